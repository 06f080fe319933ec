"""The life of RPM packages: who installs them, and what has to be so after each transaction."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from distro.chroots import Chroot, Image
from distro.debian import Interpreter, Suite
from distro.drop_in import run
from distro.packaging_life import OURS, PROGRAM, plant, precious, ways
from distro.product import TREE, rebuild
from distro.rpm_machines import PRIVATE, system_in

SUMMARY = ("pycache-sys: compiled ", "pycache-sys: removed ")
MODULES = ("django.http", "django.template", "requests", "bottle", "sealed.six", "json", "asyncio")
NAG = ("rpm: RPM should not be used", "rpm: However assuming you know")
"""What Debian's rpm says before it does anything."""
DNF = (
    "dnf",
    "--assumeyes",
    "--disablerepo=*",
    "--nogpgcheck",
    "--releasever=1",
    "--setopt=reposdir=/nonexistent",
)
ZYPPER = ("zypper", "--non-interactive", "--no-gpg-checks", "--no-remote")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program that installs packages, and its words for what is done with them."""

    name: str
    install: tuple[str, ...]
    upgrade: tuple[str, ...]
    downgrade: tuple[str, ...]
    erase: tuple[str, ...]
    into: str = ""
    """The option that names another root; empty: the root that the program itself is in."""

    def __str__(self) -> str:
        return self.name


def _zypper(*words: str, into: str = "") -> tuple[str, ...]:
    head = ZYPPER if not into else (*ZYPPER, into, "/srv/system")
    return (*head, *words)


_RPM = Tool(
    name="rpm",
    install=("rpm", "--install"),
    upgrade=("rpm", "--upgrade"),
    downgrade=("rpm", "--upgrade", "--oldpackage"),
    erase=("rpm", "--erase"),
)
_DNF = Tool(
    name="dnf",
    install=(*DNF, "install"),
    upgrade=(*DNF, "upgrade"),
    downgrade=(*DNF, "downgrade"),
    erase=(*DNF, "remove"),
)
_ZYPPER = Tool(
    name="zypper",
    install=_zypper("install", "--allow-unsigned-rpm"),
    upgrade=_zypper("install", "--allow-unsigned-rpm"),
    downgrade=_zypper("install", "--allow-unsigned-rpm", "--oldpackage"),
    erase=_zypper("remove"),
)


def _into_root(tool: Tool, option: str) -> Tool:
    """Have a tool work on the system in another root."""
    first = len(ZYPPER) if tool.name == "zypper" else len(DNF) if tool.name == "dnf" else 1
    words = {
        verb: (*command[:first], option, "/srv/system", *command[first:])
        for verb in ("install", "upgrade", "downgrade", "erase")
        for command in [getattr(tool, verb)]
    }
    return replace(tool, name=f"{tool.name}{option}", into=option, **words)


TOOLS = (
    _RPM,
    _into_root(_RPM, "--root"),
    _DNF,
    _into_root(_DNF, "--installroot"),
    _ZYPPER,
    _into_root(_ZYPPER, "--root"),
)


def rpm(chroot: Chroot, *arguments: str) -> str:
    """Run rpm, which has to succeed; return all that it printed."""
    return said(chroot, "rpm", *arguments)


def said(chroot: Chroot, *command: str) -> str:
    """Run a program that has to succeed; return all that it printed, but Debian's own warning."""
    done = chroot.attempt(*command)
    assert done.returncode == 0, (command, done.stdout[-3000:] + done.stderr[-3000:])
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if not line.startswith(NAG)]
    return "\n".join(lines)


def summaries(output: str) -> list[str]:
    """Pick the lines that say what was done, wherever a tool has put them."""
    return [line for line in output.splitlines() if any(word in line for word in SUMMARY)]


@contextmanager
def machine_for(tool: Tool, outer: Chroot, image: Image) -> Iterator[Chroot]:
    """Give the machine that a tool works on: the one that it is in, or another in it."""
    if not tool.into:
        yield outer
        return
    with system_in(outer, image) as inner:
        yield inner


class RpmLife:
    """A machine on which packages come and go, and a tool that sees to that."""

    def __init__(self, tool: Tool, outer: Chroot, machine: Chroot, suite: Suite) -> None:
        self.tool, self.outer, self.machine, self.suite = tool, outer, machine, suite
        self.kept = precious(suite)
        plant(machine, self.kept)
        self.planted = {name: machine.path(name).read_bytes() for name in self.kept}

    def do(self, verb: str, *packages: str) -> str:
        """Have the tool do one transaction."""
        return said(self.outer, *getattr(self.tool, verb), *packages)

    def check(self, *, absent: Sequence[str] = ()) -> Mapping[str, Mapping[str, str]]:
        """Check it all; return each interpreter's code of each source."""
        counts = rebuild(self.machine, "--dry-run").report["counts"]
        assert counts["compiled"] == counts["removed"] == 0 < counts["fresh"], counts
        assert rpm(self.machine, "--verify", "--all") == ""
        for name, content in self.planted.items():
            assert self.machine.path(name).read_bytes() == content, name
        return {
            python.directory: agreed(self.machine, python, self.suite, absent)
            for python in self.suite.interpreters
        }


def agreed(
    chroot: Chroot, python: Interpreter, suite: Suite, absent: Sequence[str]
) -> Mapping[str, str]:
    """Start an interpreter uncached, with the prefix and hooked, and return what all of them say.

    The modules that are not there, and those whose bytecode is another interpreter's, fail alike.
    """
    is_first = python is suite.interpreters[0]
    expected = imported(chroot, python, 0)
    found = {path: code for path, code in expected["found"].items() if OURS not in path}
    assert len(found) > 50
    failing = {*absent} if is_first else {*absent, "sealed.six"}
    assert set(expected["errors"]) == failing, expected["errors"]
    needless = set(expected["read"]) - found.keys()
    for number in (1, 2):
        result = imported(chroot, python, number)
        assert result["errors"] == expected["errors"], number
        assert {k: v for k, v in result["found"].items() if OURS not in k} == found, number
        read = {path for path in result["read"] if OURS not in path} - needless
        assert not read, (number, f"the tree does not serve {sorted(read)[:5]}")
    return found


def imported(chroot: Chroot, python: Interpreter, number: int) -> Mapping[str, dict[str, str]]:
    """Import everything in one of the ways: 0 uncached, 1 with the prefix, 2 with the hook."""
    way = ways(python, None)[number]
    environment = {"PYTHONHASHSEED": "0", "PYTHONPATH": PRIVATE, **way.environment}
    done = run(chroot, *way.command, "-c", PROGRAM, *MODULES, user=0, **environment)
    assert done.returncode == 0, (way, done.stderr[-3000:])
    answer: Mapping[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def in_tree(chroot: Chroot, directory: str) -> set[str]:
    """List what the tree has of a directory, for all interpreters."""
    top = chroot.path(TREE)
    return {str(path) for path in top.glob(f"*{directory}/**/*.pyc")}

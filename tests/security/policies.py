"""Policies on a machine of their own, what the builder makes of them, and what start-up does."""

import os
import re
import shutil
import subprocess
from ast import literal_eval
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from security.machine import (
    ACCOUNT,
    ACCOUNT_ID,
    ENVIRONMENT,
    LIBRARY,
    MALLORY,
    TAG,
    TARGET,
    TREE,
    VERSION,
    Machine,
    Run,
    entries,
    invalid,
    leftovers,
    write,
)
from security.namespace import BIND, mounted

POLICY = Path("/etc/pycacheprefix.conf")
DROP_INS = Path("/etc/pycacheprefix.conf.d")
REGISTRY = Path("/usr/share/pycache-sys/roots.d")
BCEP = Path("/usr/share/python3/bcep")
IDS = Path("/var/cache/pycache-sys/ids")
EVE = MALLORY + 1
STAFF = MALLORY + 2
NAMES = {
    "passwd": (
        f"{ACCOUNT}:x:{ACCOUNT_ID}:{ACCOUNT_ID}::/nonexistent:/usr/sbin/nologin\n"
        f"mallory:x:{MALLORY}:{MALLORY}::/home/mallory:/bin/sh\n"
        f"eve:x:{EVE}:{EVE}::/home/eve:/bin/sh\n"
    ),
    "group": f"{ACCOUNT}:x:{ACCOUNT_ID}:\nstaffers:x:{STAFF}:mallory\n",
}
ROOTS = f"roots = {LIBRARY}\n"
"""What keeps these tests quick: nobody's standard library is compiled."""

_START_UP = """
import sys
sys.path.insert(0, sys.argv[1])
from pycache_sys_runtime import policy, trust
values = policy.load("cpython", tuple(sys.version_info[:3]))
judged = [trust.only_root_changes(path) for path in sys.argv[2:]]
print(ascii((values, policy.read_ids(), judged)))
"""
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
_SECONDS = 5.0


@contextmanager
def own_configuration(scratch: Path) -> Iterator[None]:
    """Let tests write to ``/etc``, ``/usr/lib`` and ``/usr/share``, and make some accounts."""
    with ExitStack() as stack:
        for place in ("/etc", "/usr/lib", "/usr/share"):
            layer = scratch / place.strip("/").replace("/", "-")
            for part in ("upper", "work"):
                (layer / part).mkdir(parents=True)
                (layer / part).chmod(0o755)
            options = f"lowerdir={place},upperdir={layer}/upper,workdir={layer}/work"
            stack.enter_context(mounted("overlay", place, "overlay", options=options))
        for name, lines in NAMES.items():
            accounts = Path("/etc", name)
            accounts.write_text(accounts.read_text() + lines)
        yield


def lay(text: str | bytes, path: Path = POLICY, *, mode: int = 0o644) -> Path:
    """Write a policy file."""
    write(path, "", mode=mode)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def build(box: Machine, *arguments: str | Path, **options: Any) -> Run:
    """Run a rebuild that chooses interpreters as the policy says."""
    return box.rebuild(*arguments, python=None, **options)


def built(tree: Path = TREE) -> set[Path]:
    """Name the sources that have bytecode for the target interpreter."""
    prefix, suffix = tree / VERSION, f".{TAG}.pyc"
    return {
        Path("/", str(path.relative_to(prefix)).removesuffix(suffix) + ".py")
        for path in entries(prefix)
        if path.name.endswith(suffix)
    }


def settle(box: Machine, expected: set[Path], *, tree: Path = TREE) -> Run:
    """Rebuild: the tree has exactly these sources, and another run finds nothing to do."""
    run = build(box)
    assert run.status == 0, (run.stdout, run.stderr)
    assert built(tree) == expected
    assert invalid(tree) == []
    assert leftovers(tree) == []
    again = build(box)
    assert (again.status, again.count("compiled"), again.count("removed")) == (0, 0, 0), run.stdout
    assert built(tree) == expected
    return run


def policy(box: Machine, *arguments: str | Path, seconds: float = 20.0) -> Run:
    """Run ``pycache-sys policy …``."""
    done = subprocess.run(
        [str(box.command), "policy", *map(str, arguments)],
        env=ENVIRONMENT,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class StartUp:
    """What start-up makes of the policy, the ids and some paths."""

    values: dict[str, Any]
    ids: dict[str, int]
    judged: list[bool]


def start_up(
    box: Machine, *paths: str | Path, python: Path = TARGET, uid: int = 0, gids: Sequence[int] = ()
) -> StartUp:
    """Read the policy as an interpreter's start-up does: quickly, and without a word."""
    modules = box.command.parent / "modules"
    ids: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": list(gids)} if uid else {}
    done = subprocess.run(
        [str(python), "-I", "-S", "-B", "-c", _START_UP, str(modules), *map(str, paths)],
        env=ENVIRONMENT,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        **ids,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    return StartUp(*literal_eval(line))


@cache
def interpreters() -> dict[tuple[int, int], Path]:
    """Find the interpreters of this machine that start-up supports, by version."""
    found = {}
    places = [Path("/usr/bin"), Path("/usr/local/bin")]
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    places += sorted(versions.glob("*/bin"))
    for path in (path for place in places for path in place.glob("python3.*")):
        if not re.fullmatch(r"python3\.\d+", path.name):
            continue
        done = subprocess.run(
            [path, "-I", "-S", "-c", _VERSION], capture_output=True, text=True, check=False
        )
        version = done.stdout.strip().partition(".")
        if done.returncode == 0 and int(version[2]) >= 8:
            found.setdefault((int(version[0]), int(version[2])), path)
    return dict(sorted(found.items()))


def oldest_and_newest() -> list[Path]:
    """Name the two interpreters that differ most, or the only one."""
    found = list(interpreters().values())
    return list(dict.fromkeys((found[0], found[-1])))


@contextmanager
def second_interpreter() -> Iterator[tuple[Path, str] | None]:
    """Put another version in ``/usr/local/bin``: its path and version; None where there is none."""
    usual = Path(f"/usr/bin/{TARGET.name}")
    others = {v: p for v, p in interpreters().items() if p.name != usual.name and v >= (3, 9)}
    if not others:
        yield None
        return
    version, path = max(others.items())
    with ExitStack() as stack:
        if not path.is_relative_to("/usr"):
            prefix = Path("/opt/second")
            prefix.mkdir()
            stack.enter_context(mounted(str(path.parents[1]), str(prefix), flags=BIND))
            for library in prefix.glob("lib/libpython3.*.so.*"):
                shutil.copy(library, "/usr/lib")  # where it was, workers may not be able to look
            path = Path("/usr/local/bin", path.name)
            path.symlink_to(prefix / "bin" / path.name)
        yield path, f"{version[0]}.{version[1]}"

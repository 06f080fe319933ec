"""The life of packages under apt: their archives, and what their modules are, however loaded."""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distro.chroots import EXCLUDED, Chroot, Image, debian_mirror
from distro.debian import DIST_PACKAGES, EXTENSIONS, PURE, Interpreter, Suite
from distro.drop_in import run
from distro.layers import layer_on, scratch_folder
from distro.packaging import DEBS
from distro.product import TREE, rebuild

LIFE = "/srv/life"
NEWER = f"{LIFE}/newer"
MOVED = (
    "apt-listchanges",
    "mercurial",
    "python3-all",
    "python3-attr",
    "python3-babel",
    "python3-bs4",
    "python3-click",
    "python3-cryptography",
    "python3-dateutil",
    "python3-django",
    "python3-docutils",
    "python3-flask",
    "python3-idna",
    "python3-jinja2",
    "python3-lxml",
    "python3-mako",
    "python3-markdown",
    "python3-numpy",
    "python3-paramiko",
    "python3-psutil",
    "python3-pygments",
    "python3-requests",
    "python3-sqlalchemy",
    "python3-twisted",
    "python3-werkzeug",
    "python3-yaml",
    "reportbug",
)
"""The packages that come and go: three of them are in no chroot before."""
TWO_VERSIONS = ("python3-idna", "python3-markdown", "python3-mako", "python3-pygments")
"""Those of which another release has a version that can be installed here."""
TWINS = ("python3-requests", "python3-jinja2")
"""Those that are changed without a trace: the same size, the same time."""

MODULES = (*PURE, *EXTENSIONS, "mercurial.ui", "reportbug.utils", "apt_pkg", "debconf", "json")
"""What is imported: where its package is gone, the error is what all have to agree on."""

PROGRAM = """
import hashlib, importlib, json, sys, types

opened = []

def hook(event, details):
    if event == "open":
        opened.append(details[0])

sys.addaudithook(hook)

def digest(code):
    parts = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames), code.co_name,
             str(code.co_firstlineno), code.co_filename, str(code.co_flags)]
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            parts.append(digest(one))
        elif isinstance(one, frozenset):
            parts.append(repr(sorted(map(repr, one))))
        else:
            parts.append(repr(one))
    return "|".join(parts)

errors, found = {}, {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        errors[name] = repr(error)
read = [path for path in opened if isinstance(path, str) and path.endswith(".py")]
for name, module in sorted(sys.modules.items()):
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    if type(loader).__name__ == "SourceFileLoader":
        text = digest(loader.get_code(loader.name))
        found[loader.path] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
print(json.dumps({"errors": errors, "found": found, "read": read}))
"""
"""Imports for real, and says what code each module has, and which sources were read for it."""

UNLISTED = (f"{DIST_PACKAGES}/twisted/plugins",)
"""Its own postrm removes this directory, and dpkg goes on listing it."""
PRECIOUS = b"nobody has its source"
OURS = "/pycache_sys_runtime/"
QUIET_MANUALS = tuple(pattern.rstrip("*") for pattern in EXCLUDED)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to start an interpreter."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def life_archives(suite: Suite, base: Image) -> Image:
    """Add the archives of what comes and goes, in two versions where there are two.

    With each of the packages go those that depend on it: they have to come back, too.
    """
    names = " ".join(MOVED)
    neighbour = f"deb {debian_mirror()} {suite.neighbour} main"
    get = "apt-get -qq --yes -o APT::Install-Recommends=false -o Acquire::Check-Valid-Until=false"
    return layer_on(
        base,
        f"life-{suite.name}",
        (),
        f"mkdir -p {NEWER}; "
        f"with=$({get} --simulate remove {names} | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p'); "
        f"{get} --download-only --reinstall install {names} $with; "
        f"mv /var/cache/apt/archives/*.deb {LIFE}",
        f"echo '{neighbour}' > /etc/apt/sources.list.d/neighbour.list; {get} update; "
        f"cd {NEWER}; for name in {' '.join(TWO_VERSIONS)}; do "
        f"{get} download $name/{suite.neighbour}; done; "
        "rm /etc/apt/sources.list.d/neighbour.list",
    )


def ways(interpreter: Interpreter, venv: str | None) -> tuple[Way, ...]:
    """Name the ways that have to agree; the first of them uses no bytecode at all."""
    prefix = f"{TREE}/{interpreter.directory}"
    off = {"PYCACHE_SYS": "off"}
    found = [
        Way("uncached", (interpreter.command, "-B"), off | {"PYTHONPYCACHEPREFIX": "/nonexistent"}),
        Way("stock", (interpreter.command,), off | {"PYTHONPYCACHEPREFIX": prefix}),
        Way("hooked", (interpreter.command,), {}),
    ]
    if venv:
        found.append(Way("venv", (f"{venv}/bin/python",), {}))
    return tuple(found)


def imported(chroot: Chroot, way: Way) -> Mapping[str, Any]:
    """Import everything in one way."""
    environment = {"PYTHONHASHSEED": "0", **way.environment}
    done = run(chroot, *way.command, "-c", PROGRAM, *MODULES, user=0, **environment)
    assert done.returncode == 0, (way, done.stderr[-3000:])
    answer: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def managed_roots(suite: Suite) -> tuple[str, ...]:
    """Name the directories that a rebuild of everything takes."""
    return (DIST_PACKAGES, *(one.library for one in suite.interpreters))


def empty_folders(chroot: Chroot) -> set[str]:
    """List the empty ``__pycache__`` directories."""
    found = chroot.run(
        "find", "/usr", "/etc", "/opt", "-xdev", "-type", "d", "-name", "__pycache__", "-empty"
    )
    return set(found.splitlines())


def changed_files(chroot: Chroot, expected: Sequence[str] = ()) -> list[str]:
    """Ask dpkg what is not as its packages have it, but for the manuals no chroot has."""
    listed = chroot.attempt("dpkg", "--verify").stdout.splitlines()
    files = [(line, line.split()[-1]) for line in listed]
    return [
        line for line, path in files if not path.startswith(QUIET_MANUALS) and path not in expected
    ]


def make_twins(chroot: Chroot, package: str) -> str:
    """Build a newer version whose sources have their sizes and times, and other docstrings."""
    (archive,) = chroot.path(LIFE).glob(f"{package}_*.deb")
    folder = chroot.path("/srv/twin")
    shutil.rmtree(folder, ignore_errors=True)
    chroot.run("dpkg-deb", "--raw-extract", f"{LIFE}/{archive.name}", "/srv/twin")
    changed = [path for path in folder.rglob("*.py") if change(path)]
    assert changed, package
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+twin", control.read_text()))
    sums = folder / "DEBIAN/md5sums"
    lines = [line.split(maxsplit=1)[1] for line in sums.read_text().splitlines()]
    sums.write_text(
        "".join(f"{hashlib.md5((folder / x).read_bytes()).hexdigest()}  {x}\n" for x in lines)  # noqa: S324 - dpkg's
    )
    target = f"{LIFE}/twin-{package}.deb"
    chroot.run("dpkg-deb", "-Zgzip", "-z1", "--build", "/srv/twin", target)
    shutil.rmtree(folder)
    return target


def change(path: Path) -> bool:
    """Change the case of a docstring's first letter, and nothing that ``stat`` tells."""
    data, status = path.read_bytes(), path.stat()
    found = re.match(rb'(?s)((?:#[^\n]*\n|\n)*[ru]?"""\s*)([A-Za-z])', data)
    if found is None or path.is_symlink():
        return False
    at = found.end(1)
    path.write_bytes(data[:at] + data[at : at + 1].swapcase() + data[at + 1 :])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return path.stat().st_size == status.st_size


@contextmanager
def machine_of(image: Image) -> Iterator[Chroot]:
    """Give a private copy."""
    with scratch_folder() as folder, image.running(folder) as copy:
        assert copy.path(DEBS).is_dir()
        yield copy


def apt(chroot: Chroot, *arguments: str) -> str:
    """Run the chroot's apt offline, which has to succeed; return all that was printed."""
    keep = ("-o", "Dpkg::Options::=--force-confold")
    done = chroot.attempt("apt-get", "--yes", "--no-install-recommends", *keep, *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def precious(suite: Suite) -> list[str]:
    """Name what an admin has put there, and what a program has left: all without a source."""
    names = [
        f"{DIST_PACKAGES}/admins/__init__.pyc",
        f"{DIST_PACKAGES}/admins/tool.pyc",
        "/usr/share/bleachbit/Cleaner.pyc",
    ]
    for python in suite.interpreters:
        names += [
            f"{DIST_PACKAGES}/admins/__pycache__/ghost.{python.cache_tag}.pyc",
            f"{DIST_PACKAGES}/jinja2/__pycache__/ghost.{python.cache_tag}.pyc",
            f"{DIST_PACKAGES}/__pycache__/ghost.{python.cache_tag}.pyc",
            f"{python.library}/__pycache__/ghost.{python.cache_tag}.opt-1.pyc",
            f"/usr/share/bleachbit/__pycache__/Cleaner.{python.cache_tag}.pyc",
        ]
    return names


def plant(chroot: Chroot, names: list[str]) -> None:
    """Write them."""
    for name in names:
        path = chroot.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PRECIOUS)


class Life:
    """A machine on which apt works, and what has to be so after each of its runs."""

    def __init__(self, chroot: Chroot, suite: Suite, venvs: dict[str, str]) -> None:
        self.chroot, self.suite, self.venvs = chroot, suite, venvs
        self.kept = precious(suite)
        self.empty_before = empty_folders(chroot)
        self.changed_before = changed_files(chroot)
        plant(chroot, self.kept)

    def keep(self, name: str) -> None:
        """Plant one more file that has to stay."""
        plant(self.chroot, [name])
        self.kept.append(name)

    def check(self, gone: int | None = 0) -> dict[str, dict[str, str]]:
        """Check it all; ``gone`` modules cannot be imported. Return the code of each source."""
        counts = rebuild(self.chroot, "--dry-run").report["counts"]
        assert counts["compiled"] == counts["removed"] == 0 < counts["fresh"], counts
        changed = set(changed_files(self.chroot, UNLISTED)) - set(self.changed_before)
        assert not changed
        assert empty_folders(self.chroot) <= self.empty_before
        self.check_kept()
        return {one.directory: self.agreed(one, gone) for one in self.suite.interpreters}

    def check_kept(self) -> None:
        """Check that what has no source is all there."""
        for name in self.kept:
            assert self.chroot.path(name).read_bytes() == PRECIOUS, name

    def agreed(self, python: Interpreter, gone: int | None) -> dict[str, str]:
        """Start an interpreter in every way, and return what all of them say."""
        uncached, *others = ways(python, self.venvs.get(python.directory))
        expected = imported(self.chroot, uncached)
        found = {k: v for k, v in expected["found"].items() if OURS not in k}
        assert len(found) > 100
        # what is read once more than for its import is a module that looks at its own source
        imports = found.keys() & set(expected["read"])
        assert len(imports) > 50
        read_besides = Counter(expected["read"]) - Counter(imports)
        assert gone is None or len(expected["errors"]) >= gone, expected["errors"]
        if gone == 0 and python is self.suite.interpreters[0]:  # the others lack extensions
            assert expected["errors"] == {}
        for way in others:
            result = imported(self.chroot, way)
            assert result["errors"] == expected["errors"], way
            assert {k: v for k, v in result["found"].items() if OURS not in k} == found, way
            more = Counter(result["read"]) - read_besides
            assert not more, (way, more)
        return found

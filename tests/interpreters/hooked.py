"""The hook as users have it: delivered by the command, with what is built in for a policy.

All of it runs in mounts of its own. What stands below ``/opt``, in the interpreters and in ``/etc``
is a layer over the machine's, and ``/var/cache`` is empty: so the trees and the caches are those
that the hook takes when nobody says anything, and this machine's stay what they are.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pycache_sys
from interpreters.builder import Run, environment, snapshot
from interpreters.conftest import Found, find
from pycache_sys_runtime import layout
from security.namespace import BIND, mount, mounted, private_mounts

PLACE = Path("/opt/matrix")
TREE = Path("/var/cache/python")
CACHE = Path("/var/cache/pycache-sys")
OWN = CACHE / "root"
POLICY = Path("/etc/pycacheprefix.conf")
HOME = PLACE / "home"

FROM_TREE, BESIDE, FROM_OWN, COMPILED = "tree", "beside the source", "own cache", "compiled"

USABLE = [one for one in find() if one.version >= (3, 8)]
FEW = list(
    {
        one.version[:2]: one
        for one in reversed(USABLE)
        if one is USABLE[0] or one.version[:2] in ((3, 8), (3, 11), (3, 13))
    }.values()
)[::-1]
"""The running interpreter, the oldest and two that follow: for what is slow."""

PACKAGES = ("setuptools", "pytest", "typeguard", "beartype", "coverage")
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x0002_0000
_TRACE = re.compile(
    rf"^pycache-sys: ([^:]+): ({FROM_TREE}|{BESIDE}|{FROM_OWN}|{COMPILED})\b.*\n", re.MULTILINE
)
_MATCHES = re.compile(r"^# (/.*\.pyc) matches (/.*\.py)$", re.MULTILINE)
_FROM_SOURCE = re.compile(r"^# code object from (/.*\.py)$", re.MULTILINE)


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(kw_only=True)
class Machine:
    """Mounts that nobody else sees, and what was made in them."""

    descriptor: int
    scratch: Path
    programs: Mapping[Found, Path]
    venvs: dict[str, "Hooked"] = field(default_factory=dict)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in there, with this process and those that it starts."""
        here = os.getcwd()
        before = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self.descriptor)
            yield
        finally:
            _enter(before)
            os.close(before)
            os.chdir(here)

    def venv(self, found: Found) -> "Hooked":
        """Make a virtual environment with the hook, once."""
        path = PLACE / "venvs" / f"{list(self.programs).index(found)}"
        if str(path) not in self.venvs:
            self.venvs[str(path)] = self.make_venv(found, path)
        return self.venvs[str(path)]

    def venv_with_packages(self, found: Found) -> "Hooked":
        """Make one with the hook, and with packages that compile on their own account, once."""
        path = PLACE / "venvs" / f"{list(self.programs).index(found)}-packages"
        if str(path) not in self.venvs:
            venv = self.make_venv(found, path, pip=True)
            venv.pip("install", "--upgrade", *PACKAGES)
            self.venvs[str(path)] = venv
        return self.venvs[str(path)]

    def make_venv(
        self, found: Found, path: Path, *options: str, pip: bool = False, hook: bool = True
    ) -> "Hooked":
        """Make a virtual environment; the command brings the hook to it."""
        without = () if pip else ("--without-pip",)
        say(str(self.programs[found]), "-m", "venv", *without, *options, str(path))
        venv = Hooked(found=found, path=path)
        if hook:
            command("enable", "--python", str(venv.python))
        return venv


@dataclass(frozen=True, kw_only=True)
class Hooked:
    """A virtual environment that has the hook."""

    found: Found
    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin/python"

    @property
    def folder(self) -> str:
        """Name the interpreter's part of a tree."""
        return layout.version_directory(self.found.implementation, *self.found.version[:2])

    @property
    def site(self) -> Path:
        """Name the directory of packages."""
        return self.path / "lib" / f"python{self.folder}" / "site-packages"

    def pip(self, *arguments: str) -> None:
        """Install packages."""
        options = ("--quiet", "--disable-pip-version-check", "--no-input")
        network = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
        say(str(self.python), "-m", "pip", arguments[0], *options, *arguments[1:], **network)

    def run(self, *arguments: str, cwd: Path, switch: str = "trace", **variables: str) -> Run:
        """Run a child that says which layer served what."""
        return start(str(self.python), *arguments, cwd=cwd, PYCACHE_SYS=switch, **variables)

    @contextmanager
    def without_hook(self) -> Iterator[None]:
        """Take away what brings the hook, for a while."""
        line = self.site / "pycache-sys.pth"
        line.rename(line.with_suffix(".off"))
        try:
            yield
        finally:
            line.with_suffix(".off").rename(line)

    def run_stock(self, *arguments: str, cwd: Path, **variables: str) -> tuple[Run, set[Path]]:
        """Run a child without the hook; name what it has written beside sources, and remove it."""
        assert not bytecode_below(cwd)
        with self.without_hook():
            run = self.run(*arguments, cwd=cwd, **variables)
        assert "pycache-sys:" not in run.stderr
        written = bytecode_below(cwd)
        for directory in {path.parent for path in written}:
            shutil.rmtree(directory)
        return run, written

    def in_own(self, beside: Iterable[Path]) -> set[Path]:
        """Name the entries of the own cache for bytecode that stock has beside sources."""
        return {Path(f"{OWN}/{self.folder}{path.parent.parent}", path.name) for path in beside}

    def in_tree(self, beside: Iterable[Path]) -> set[Path]:
        """Name the tree's entries for it."""
        return {TREE / path.relative_to(OWN) for path in self.in_own(beside)}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A way to load modules: sources, a command line, and the modules of these sources."""

    files: Mapping[str, str | bytes]
    arguments: tuple[str, ...]
    modules: frozenset[str]
    said: str | None
    """What it prints; None where stock alone knows."""
    variables: Mapping[str, str] = field(default_factory=dict)
    since: tuple[int, ...] = (3, 8)
    status: int = 0

    @property
    def writes(self) -> bool:
        """Tell whether it may write bytecode."""
        return "-B" not in self.arguments and "PYTHONDONTWRITEBYTECODE" not in self.variables

    def write(self, folder: Path) -> None:
        """Write the sources."""
        write(folder, self.files)


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files, an hour old: stamps tell nothing of what has changed just now."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)


def start(python: str, *arguments: str, cwd: Path, **more: str) -> Run:
    """Run an interpreter in an environment that says nothing but ``more``."""
    HOME.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        [python, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=cwd,
        env=environment(**{"HOME": str(HOME), **more}),
    )
    return Run(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


def say(python: str, *arguments: str, **variables: str) -> str:
    """Run something that has to work, without the hook and without a trace."""
    run = start(python, *arguments, cwd=Path("/"), PYCACHE_SYS="off", **variables)
    assert run.status == 0, run.stdout + run.stderr
    return run.stdout


def command(*arguments: str) -> Run:
    """Run ``pycache-sys`` from where it is installed in here; it has to succeed."""
    product = {"PYTHONPATH": str(PLACE / "product"), "PYTHONDONTWRITEBYTECODE": "1"}
    run = start(sys.executable, "-m", "pycache_sys", *arguments, cwd=Path("/"), **product)
    assert run.status == 0, run.stdout + run.stderr
    return run


def build(sources: Path, venvs: Iterable[Hooked], *options: str) -> None:
    """Bring sources into the system tree."""
    named = [word for venv in venvs for word in ("--python", str(venv.python))]
    run = command("rebuild", *named, "--optimize", "0,1,2", *options, str(sources))
    assert "skipped 0" in run.stdout, run.stdout + run.stderr


def served(run: Run) -> dict[str, set[str]]:
    """Read the trace: the layers of each module, but for what a library has beside it."""
    found: dict[str, set[str]] = {}
    for name, layer in _TRACE.findall(run.stderr):
        if layer != BESIDE:
            found.setdefault(name, set()).add(layer)
    return found


def untraced(run: Run) -> str:
    """Return what a child said on stderr besides the trace."""
    return re.sub("^pycache-sys: .*\n", "", run.stderr, flags=re.MULTILINE)


def read_by(run: Run, folder: Path) -> dict[str, str]:
    """Read what ``-v`` says: the layer of each source below a folder."""
    found = dict.fromkeys(_FROM_SOURCE.findall(run.stderr), COMPILED)
    for cached, source in _MATCHES.findall(run.stderr):
        of_own = FROM_OWN if cached.startswith(f"{OWN}/") else BESIDE
        found[source] = FROM_TREE if cached.startswith(f"{TREE}/") else of_own
    inside = f"{folder}/"
    return {name.removeprefix(inside): how for name, how in found.items() if inside in name}


def bytecode_below(*folders: Path) -> set[Path]:
    """List the bytecode below folders; there is no file of another kind in ``__pycache__``."""
    found = {path for folder in folders for path in folder.rglob("*.pyc")}
    for folder in folders:
        for directory in folder.rglob("__pycache__"):
            assert set(directory.iterdir()) <= found
    return found


def files_below(folder: Path) -> set[Path]:
    """List all files, those with odd names, too."""
    return {path for path in folder.rglob("*") if not path.is_dir()}


@contextmanager
def no_tree() -> Iterator[None]:
    """Have no system tree for a while."""
    with mounted("tmpfs", str(TREE), "tmpfs", options="mode=755"):
        yield


@contextmanager
def policy(text: str) -> Iterator[None]:
    """Have a policy for a while."""
    POLICY.write_text(text)
    POLICY.chmod(0o644)
    try:
        yield
    finally:
        POLICY.unlink()


@contextmanager
def spare(machine: Machine, found: Found) -> Iterator[None]:
    """Forget, in the end, what was written to an interpreter."""
    program = machine.programs[found]
    places = [program.parent.parent]
    if not program.is_relative_to(PLACE):
        library = say(str(program), "-B", "-c", "import os; print(os.path.dirname(os.__file__))")
        places = [Path(library.strip()), Path("/usr/local"), Path("/etc")]
    with ExitStack() as stack:
        for place in places:
            stack.enter_context(overlaid(place, machine.scratch))
        yield


def check(venv: Hooked, row: Row, folder: Path) -> None:
    """Run a row without the hook, twice with it, and with a system tree: one and the same result.

    What stock writes beside sources stands in the own cache, and nothing else.
    """
    arguments = [word.replace("HERE", str(folder)) for word in row.arguments]
    stock, beside = venv.run_stock(*arguments, cwd=folder, **row.variables)
    assert stock.status == row.status, stock.stderr
    assert row.said in (None, stock.stdout), stock.stdout
    assert bool(beside) == row.writes
    expected = venv.in_own(beside)
    before = snapshot(folder, venv.site)

    def run(layers: set[str]) -> None:
        hooked = venv.run(*arguments, cwd=folder, **row.variables)
        assert hooked.stdout == stock.stdout, hooked.stderr
        assert hooked.status == stock.status
        assert untraced(hooked) == stock.stderr
        assert set(served(hooked)) == row.modules
        assert set().union(*served(hooked).values()) <= layers, hooked.stderr
        assert snapshot(folder, venv.site) == before

    with no_tree():
        run({COMPILED, FROM_OWN} if expected else {COMPILED})
        assert files_below(CACHE) == expected
        written = snapshot(CACHE)
        run({FROM_OWN} if expected else {COMPILED})
        assert snapshot(CACHE) == written
    shutil.rmtree(CACHE, ignore_errors=True)
    assert venv.in_tree(beside) <= bytecode_below(TREE)
    in_tree = snapshot(TREE)
    run({FROM_TREE})
    assert snapshot(TREE) == in_tree
    assert not CACHE.exists()


# the machine


def _layer(lower: Path, scratch: Path) -> str:
    """Make a layer that takes every write, and opens the directory below it to all."""
    layer = Path(tempfile.mkdtemp(dir=scratch))
    for part in ("upper", "work"):
        (layer / part).mkdir()
        (layer / part).chmod(0o755)
    return f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work"


@contextmanager
def overlaid(target: Path, scratch: Path) -> Iterator[None]:
    """Forget, in the end, what was written to a directory."""
    with mounted("overlay", str(target), "overlay", options=_layer(target, scratch)):
        yield


def _closed(path: Path) -> Path | None:
    """Find the directory above a path that not everybody can enter, as root's home."""
    return next((one for one in reversed(path.parents) if not one.stat().st_mode & 0o001), None)


def _programs() -> dict[Found, tuple[Path, Path | None]]:
    """Say where each interpreter will be, and the prefix that it has now, if not the system's."""
    found: dict[Found, tuple[Path, Path | None]] = {}
    for number, one in enumerate(USABLE):
        real = Path(os.path.realpath(one.path))
        prefix = real.parent.parent
        if prefix in (Path("/usr"), Path("/usr/local")):
            found[one] = (real, None)
        else:
            found[one] = (PLACE / "pythons" / str(number) / "bin" / real.name, prefix)
    return found


def _prepare(scratch: Path) -> dict[Found, Path]:
    """Mount everything, and put the product where all can read it."""
    for memory in ("/var/cache", "/run"):
        mount("tmpfs", memory, "tmpfs", options="mode=755")
    programs = _programs()
    prefixes = {prefix for _, prefix in programs.values() if prefix is not None}
    layers = [Path("/opt"), Path("/etc"), Path("/usr/lib"), Path("/usr/local")]
    closed = {prefix: _closed(prefix) for prefix in prefixes}
    layers += filter(None, set(closed.values()))
    for place in layers:
        mount("overlay", str(place), "overlay", options=_layer(place, scratch))
    PLACE.mkdir()
    for program, prefix in programs.values():
        if prefix is not None:
            target = program.parent.parent
            target.mkdir(parents=True)
            if closed[prefix] or prefix.is_relative_to("/opt"):
                mount(str(prefix), str(target), flags=BIND)
            else:
                mount("overlay", str(target), "overlay", options=_layer(prefix, scratch))
    TREE.mkdir()
    source = Path(pycache_sys.__file__).parent.parent
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("pycache_sys", "pycache_sys_runtime", "pycache_sys_worker"):
        shutil.copytree(source / name, PLACE / "product" / name, ignore=ignored)
    return {found: program for found, (program, _) in programs.items()}


@contextmanager
def private_machine() -> Iterator[Machine]:
    """Make the mounts, to enter them."""
    scratch = Path(tempfile.mkdtemp(prefix="pycache-sys-matrix-"))
    umask = os.umask(0o022)
    try:
        scratch.chmod(0o755)
        with private_mounts():
            programs = _prepare(scratch)
            descriptor = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        yield Machine(descriptor=descriptor, scratch=scratch, programs=programs)
        os.close(descriptor)
    finally:
        os.umask(umask)
        shutil.rmtree(scratch)


def rows_in_tree(machine: Machine, rows: Mapping[str, Row], name: str) -> Path:
    """Write rows, and bring them into the tree for every interpreter."""
    with machine.entered():
        folder = PLACE / "rows" / name
        for row, value in rows.items():
            value.write(folder / row)
        build(folder, [machine.venv(found) for found in machine.programs])
    return folder

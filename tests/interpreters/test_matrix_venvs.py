"""Environments and the interpreters that they are made from: whom the hook reaches, and its end."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from interpreters.builder import Run, snapshot
from interpreters.conftest import Found
from interpreters.hooked import (
    CACHE,
    COMPILED,
    FEW,
    FROM_OWN,
    PLACE,
    USABLE,
    Hooked,
    Machine,
    Row,
    build,
    bytecode_below,
    check,
    command,
    files_below,
    no_tree,
    read_by,
    say,
    served,
    spare,
    start,
    untraced,
    write,
)
from pycache_sys.core import delivery

pytest_plugins = ["interpreters.matrix_fixtures"]

SOME = [*FEW, *(one for one in USABLE if one not in FEW and one.path.startswith("/usr/"))]
"""The distribution's, too: it has a ``sitecustomize``."""
SOURCES = {"a.py": "X = 'a'\n", "pkg/__init__.py": "", "pkg/b.py": "X = 'b'\n"}
ROW = Row(
    files=SOURCES,
    arguments=("-c", "import a, pkg.b; print(a.X, pkg.b.X)"),
    modules=frozenset(["a", "pkg", "pkg.b"]),
    said="a b\n",
)
NO_WRITES = {"PYTHONDONTWRITEBYTECODE": "1"}
CUSTOM = "sitecustomize.py"
_MTIME = 3
"""Where ``remember`` has it."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """An interpreter that environments are made from; all that is written to it is forgotten."""

    machine: Machine
    found: Found

    @property
    def python(self) -> str:
        return str(self.machine.programs[self.found])

    def ask(self, what: str) -> Path:
        """Ask for one of its directories."""
        return Path(say(self.python, "-B", "-c", f"import os, site; print({what})").strip())

    @property
    def library(self) -> Path:
        return self.ask("os.path.dirname(os.__file__)")

    @property
    def site(self) -> Path:
        return self.ask("site.getsitepackages()[0]")

    def tops(self) -> list[Path]:
        """List the directories that make it up."""
        real = self.library / CUSTOM
        tops = {self.library, self.site, Path(os.path.realpath(real)).parent}
        return [top for top in tops if not tops & set(top.parents)]

    def venv(self, name: str, *options: str, hook: bool = False) -> Hooked:
        path = PLACE / "venvs" / f"{list(self.machine.programs).index(self.found)}-{name}"
        shutil.rmtree(path, ignore_errors=True)
        return self.machine.make_venv(self.found, path, *options, hook=hook)


@dataclass(frozen=True, kw_only=True)
class Reached(Hooked):
    """An environment that has the hook from its base; ``files`` bring it."""

    files: tuple[Path, ...]

    @contextmanager
    def without_hook(self) -> Iterator[None]:
        aside = [path.with_suffix(".off") for path in self.files]
        for path, other in zip(self.files, aside, strict=True):
            path.rename(other)
        try:
            yield
        finally:
            for path, other in zip(self.files, aside, strict=True):
                other.rename(path)


@pytest.fixture
def base(machine: Machine, interpreter: Found, inside: None) -> Iterator[Base]:
    """Give each interpreter, to change it."""
    with spare(machine, interpreter):
        yield Base(machine=machine, found=interpreter)


@pytest.fixture(params=SOME, ids=str)
def chosen(request: pytest.FixtureRequest, machine: Machine, inside: None) -> Iterator[Base]:
    """Give some."""
    with spare(machine, request.param):
        yield Base(machine=machine, found=request.param)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder for sources, gone in the end."""
    path = PLACE / "rows/venvs"
    yield path
    shutil.rmtree(path, ignore_errors=True)


def remember(base: Base) -> dict[str, tuple[object, ...]]:
    """Remember names, modes, mtimes and links, and the bytes of what the hook could touch.

    Packages that are installed there are left out: there may be very many.
    """
    found: dict[str, tuple[object, ...]] = {}
    for top in base.tops():
        for directory, folders, files in os.walk(top):
            near = "/test" not in directory.removeprefix(str(top))
            if directory.endswith("-packages"):
                folders[:] = [name for name in folders if name == "__pycache__"]
            for name in folders + files:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
                content = b""
                stamps: tuple[int, ...] = ()
                if stat.S_ISREG(status.st_mode):
                    stamps = (status.st_size, status.st_mtime_ns, status.st_nlink)
                    if near and name.endswith((".py", ".pyc", ".pth")):
                        content = Path(path).read_bytes()
                found[path] = (status.st_mode, status.st_uid, *stamps, link, content)
    return found


# by a .pth file


def test_an_environment_sees_the_packages_of_its_base(base: Base) -> None:
    """They are loaded through the layers as its own are; without them it fails as in stock."""
    package = base.site / "of_the_base"
    write(package, SOURCES | {"__init__.py": ""})
    names = ["of_the_base", "of_the_base.a", "of_the_base.pkg", "of_the_base.pkg.b"]
    program = f"import {', '.join(names)}; print(of_the_base.a.X, of_the_base.pkg.b.X)"
    row = Row(files={}, arguments=("-c", program), modules=frozenset(names), said="a b\n")
    seeing = base.venv("seeing", "--system-site-packages", hook=True)
    build(package, [seeing])
    check(seeing, row, package)
    blind = base.venv("blind", hook=True)
    shutil.rmtree(CACHE, ignore_errors=True)
    stock, _ = blind.run_stock("-c", program, cwd=package)
    hooked = blind.run("-c", program, cwd=package)
    assert (stock.status, hooked.status) == (1, 1)
    assert "ModuleNotFoundError" in stock.stderr
    assert (hooked.stdout, untraced(hooked)) == (stock.stdout, stock.stderr)
    assert served(hooked) == {}
    assert not CACHE.exists()


def test_the_line_of_a_base_reaches_environments_that_see_its_packages(
    base: Base, folder: Path
) -> None:
    before = remember(base)
    command("enable", "--python", base.python)
    line = base.site / "pycache-sys.pth"
    assert line.is_file()
    blind, seeing = base.venv("blind"), base.venv("seeing", "--system-site-packages")
    write(folder, SOURCES)
    run = blind.run(*ROW.arguments, cwd=folder, **NO_WRITES)
    assert (run.stdout, run.stderr) == (ROW.said, "")
    reached = Reached(found=base.found, path=seeing.path, files=(line,))
    build(folder, [reached])
    check(reached, ROW, folder)
    enabled = {name: what for name, what in remember(base).items() if name not in before}
    command("enable", "--python", base.python)
    assert {str(line)} <= set(enabled)
    assert {name: what for name, what in remember(base).items() if name in enabled} == enabled
    forget_what_stock_wrote(base, before)
    command("disable", "--python", base.python)
    assert_restored(base, before)
    run = seeing.run(*ROW.arguments, cwd=folder, **NO_WRITES)
    assert (run.stdout, run.stderr) == (ROW.said, "")


def forget_what_stock_wrote(base: Base, before: dict[str, tuple[object, ...]]) -> None:
    """Remove what runs without the hook wrote to the library, as any start of Python may."""
    kept = {str(path) for path in undone(base)}
    for path in bytecode_below(*base.tops()):
        if str(path) not in before and str(path) not in kept:
            path.unlink()


def undone(base: Base) -> list[Path]:
    """List the bytecode that ``disable`` is to remove, as the files of the hook name it."""
    found: list[Path] = []
    for file in (base.site / "pycache-sys.pth", base.library / CUSTOM):
        if file.exists():
            found += map(Path, delivery.read_undo(file.read_bytes()).made)
    return found


def differences(
    before: dict[str, tuple[object, ...]], after: dict[str, tuple[object, ...]]
) -> dict[str, list[object]]:
    """Say what is not the same: what is there on one side only, and the parts that differ."""
    found: dict[str, list[object]] = {}
    for name in before.keys() | after.keys():
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            found[name] = ["new" if one is None else "gone"]
        elif one != other:
            found[name] = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    return found


def assert_restored(base: Base, before: dict[str, tuple[object, ...]]) -> None:
    """All is as it was, but for the age of the bytecode of a ``sitecustomize`` that was there.

    That is compiled again: its bytes are the same.
    """
    after = remember(base)
    for path in cached_customs(base) & before.keys() & after.keys():
        after[path] = (*after[path][:_MTIME], before[path][_MTIME], *after[path][_MTIME + 1 :])
    assert differences(before, after) == {}


def cached_customs(base: Base) -> set[str]:
    """Name the bytecode of a ``sitecustomize``."""
    return {str(path) for path in (base.library / "__pycache__").glob("sitecustomize.*.pyc")}


# by sitecustomize


def test_the_block_reaches_every_environment(base: Base, folder: Path) -> None:
    before = remember(base)
    blind, seeing = base.venv("blind"), base.venv("seeing", "--system-site-packages")
    custom = base.library / CUSTOM
    command("enable", "--python", base.python, "--venvs")
    changed = set(differences(before, remember(base)))
    assert os.path.realpath(custom) in changed
    assert changed - {os.path.realpath(custom)} <= set(map(str, undone(base))) | cached_customs(
        base
    )
    write(folder, SOURCES)
    for venv in (blind, seeing):
        reached = Block(found=base.found, path=venv.path, base=base)
        build(folder, [venv])
        shutil.rmtree(CACHE, ignore_errors=True)
        check(reached, ROW, folder)
        shutil.rmtree(CACHE, ignore_errors=True)
        isolated(reached, folder)
        shutil.rmtree(CACHE, ignore_errors=True)
    enabled = remember(base)
    command("enable", "--python", base.python, "--venvs")
    assert differences(enabled, remember(base)) == {}
    forget_what_stock_wrote(base, before)
    command("disable", "--python", base.python)
    assert_restored(base, before)
    run = blind.run(*ROW.arguments, cwd=folder, **NO_WRITES)
    assert (run.stdout, run.stderr) == (ROW.said, "")


@dataclass(frozen=True, kw_only=True)
class Block(Hooked):
    """An environment that has the hook from the block in its base's ``sitecustomize``."""

    base: Base

    @contextmanager
    def without_hook(self) -> Iterator[None]:
        with unblocked(self.base):
            yield


@contextmanager
def unblocked(base: Base) -> Iterator[None]:
    """Have the base's ``sitecustomize`` as it was before the block, for a while."""
    custom = Path(os.path.realpath(base.library / CUSTOM))
    if not custom.exists():
        yield
        return
    text = custom.read_text()
    before, _, _ = text.partition("# >>> pycache-sys: ")
    aside = custom.with_suffix(".off")
    custom.rename(aside)
    try:
        if before:
            custom.write_text(before)
        yield
    finally:
        aside.replace(custom)


def isolated(venv: Hooked, folder: Path) -> None:
    """Run with ``-I``, which knows neither the environment nor the current directory."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); {ROW.arguments[1]}"
    stock, beside = venv.run_stock("-I", "-c", program, cwd=folder)
    sources = snapshot(folder)
    with no_tree():
        for layer in (COMPILED, FROM_OWN):
            run = venv.run("-I", "-v", "-c", program, cwd=folder)
            assert (run.status, run.stdout) == (0, stock.stdout)
            assert read_by(run, folder) == dict.fromkeys(SOURCES, layer), run.stderr
            assert files_below(CACHE) == venv.in_own(beside)
    assert snapshot(folder) == sources


LOOK = """\
import sys
module = sys.modules.get("sitecustomize")
print(module and (module.__name__, module.__file__, module.__spec__.name, module.__spec__.origin))
print(module and sorted(name for name in vars(module) if not name.startswith("__")))
print(getattr(sys, "customized", None))
try:
    import sitecustomize
    print(sitecustomize is module, sitecustomize is sys.modules["sitecustomize"])
except ImportError as error:
    print(type(error), error, error.name, error.path, error.__cause__, error.__context__)
"""
THEIRS = {
    "none": None,
    "good": "import sys\ncode = sys._getframe().f_code\n"
    "sys.customized = [__name__, __file__, code.co_filename, code.co_name]\n",
    "no module": "import no_such_module\n",
    "no attribute": "import sys\nsys.customized = 1\nfrom os import nothing_such\n",
    "own name": "raise ImportError('mine', name='sitecustomize')\n",
    "error": "import sys\nsys.customized = 1\n1 / 0\n",
    "syntax": "def\n",
    "replaced": "import sys\nsys.modules[__name__] = type(sys)('other')\n"
    "sys.modules[__name__].__file__ = '?'\nsys.modules[__name__].__spec__ = __spec__\n",
}


@pytest.mark.parametrize("where", ["environment", "PYTHONPATH"])
def test_a_sitecustomize_of_somebody_else(chosen: Base, folder: Path, where: str) -> None:
    """What ours would hide runs, fails, and is missing as without ours."""
    venv = chosen.venv("custom")
    there = venv.site if where == "environment" else PLACE / "rows/venvs-path"
    variables = {} if where == "environment" else {"PYTHONPATH": str(there)}
    write(folder, {"look.py": LOOK} | SOURCES)
    cases: dict[str, Run] = {}

    def look(*options: str) -> dict[str, Run]:
        found = {}
        for name, text in THEIRS.items():
            write(there, {CUSTOM: text or ""})
            if text is None:
                (there / CUSTOM).unlink()
            found[name] = start(
                str(venv.python), *options, "look.py", cwd=folder, **variables, **NO_WRITES
            )
        return found

    stock = {options: look(*options) for options in ((), ("-I",), ("-v",))}
    command("enable", "--python", chosen.python, "--venvs")
    for options, cases in stock.items():
        for name, run in look(*options).items():
            expected = cases[name]
            assert (run.status, run.stdout) == (expected.status, expected.stdout), (name, options)
            assert plain(run.stderr) == plain(expected.stderr), (name, options)
    if where == "environment":
        for text in THEIRS.values():
            write(there, {CUSTOM: text or ""})
            if text is None:
                (there / CUSTOM).unlink()
            run = venv.run(*ROW.arguments, cwd=folder, **NO_WRITES)
            assert {name: served(run).get(name) for name in ROW.modules} == {
                name: {COMPILED} for name in ROW.modules
            }, run.stderr
    shutil.rmtree(there if where == "PYTHONPATH" else venv.path)


_FRAMES = re.compile(
    r'  File "[^"]*/lib/python3\.\d+/sitecustomize\.py", line \d+, in (?:<module>|_next)\n'
    r"(?:    .*\n)*"
)


def plain(said: str) -> list[str]:
    """Leave out what ``-v`` says of modules that were loaded, and the frames that are ours.

    A ``sitecustomize`` that ours runs, and that fails, has these in its traceback.
    """
    about = ("import ", "# ", '  File "<frozen importlib')
    return [line for line in _FRAMES.sub("", said).splitlines() if not line.startswith(about)]


BEFORE = {
    "plain": "import sys\nsys.customized = __file__\n",
    "no end of line": "import sys\nsys.customized = 'no end'",
    "empty": "",
    "failing": "import sys\nsys.customized = 1\nimport no_such_module\n",
}


@pytest.mark.parametrize("name", BEFORE)
def test_a_sitecustomize_that_is_there_stays(chosen: Base, folder: Path, name: str) -> None:
    custom = Path(os.path.realpath(chosen.library / CUSTOM))
    write(custom.parent, {CUSTOM: BEFORE[name]})
    custom.chmod(0o640)
    venv = chosen.venv("custom")
    write(folder, {"look.py": LOOK} | SOURCES)
    before = remember(chosen)
    stock = start(str(venv.python), "look.py", cwd=folder, **NO_WRITES)
    command("enable", "--python", chosen.python, "--venvs")
    assert stat.S_IMODE(custom.stat().st_mode) == 0o640
    run = start(str(venv.python), "look.py", cwd=folder, **NO_WRITES)
    assert (run.status, run.stdout, run.stderr) == (stock.status, stock.stdout, stock.stderr)
    if name != "failing":  # what fails before the block keeps it from running
        run = venv.run(*ROW.arguments, cwd=folder, **NO_WRITES)
        assert {name: served(run).get(name) for name in ROW.modules} == {
            name: {COMPILED} for name in ROW.modules
        }, run.stderr
    command("disable", "--python", chosen.python)
    assert_restored(chosen, before)

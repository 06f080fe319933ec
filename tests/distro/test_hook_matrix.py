"""Ways to load code, on real interpreters: the same result as stock, from the right layer."""

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from distro.chroots import Chroot
from distro.hook_starts import (
    BESIDE,
    COMPILED,
    MATCHED,
    OWN,
    TREE_LAYER,
    in_tree,
    place,
    start,
    written,
)
from distro.machines import HOME, PYTHONS, Machines, Python

pytest_plugins = ["distro.hook_fixtures"]

NEWER = tuple(python for python in PYTHONS if python.folder != "3.11")
matrix = pytest.mark.parametrize("python", NEWER, ids=str)

APP = "/srv/app"
WHERE = """\
import json

ANSWER = json.dumps({"answer": 42})


def where():
    return ANSWER, __name__, __file__, __spec__.cached, where.__code__.co_filename
"""
SOURCES = {
    f"{APP}/plain.py": WHERE,
    f"{APP}/main.py": "import plain, pkg.sub\nprint(*plain.where(), *pkg.sub.where())\n",
    f"{APP}/pkg/__init__.py": "",
    f"{APP}/pkg/sub.py": WHERE,
    f"{APP}/pkg/__main__.py": "from pkg import sub\nprint(__file__, *sub.where())\n",
    "/srv/one/ns/a.py": WHERE,
    "/srv/two/ns/b.py": WHERE,
    f"{APP}/byfile.py": WHERE,
    f"{APP}/load.py": f"""\
from importlib.util import module_from_spec, spec_from_file_location

spec = spec_from_file_location("named", "{APP}/byfile.py")
module = module_from_spec(spec)
spec.loader.exec_module(module)
print(*module.where())
""",
    f"{APP}/children.py": """\
import multiprocessing, sys


def work(pipe):
    import plain
    pipe.send(plain.where())


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there,))
    process.start()
    print(here.recv())
    process.join()
    print(process.exitcode)
""",
    f"{APP}/sub_interpreter.py": """\
import sys

PROGRAM = "import sys; sys.path[:] = %r; import plain; print(*plain.where(), flush=True)" % sys.path
try:
    from concurrent import interpreters
except ImportError:
    import _interpreters
    assert _interpreters.exec(_interpreters.create(), PROGRAM) is None
else:
    interpreters.create().exec(PROGRAM)
print("after")
""",
    f"{APP}/resources.py": """\
import importlib.resources, inspect, pkgutil, pkg.sub

print(sorted(one.name for one in pkgutil.walk_packages(pkg.__path__, "pkg.")))
print(importlib.resources.files(pkg).joinpath("sub.py").read_text() == inspect.getsource(pkg.sub))
print(pkgutil.get_data("pkg", "__main__.py"))
""",
    f"{APP}/fork.py": """\
import os, sys

child = os.fork()
if not child:
    import plain
    print(*plain.where(), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
    f"{APP}/tracebacks.py": """\
import sys, traceback

load = __import__ if len(sys.argv) < 2 else __import__("importlib").import_module
for name in ("missing", "syntax", "encoding", "raises", "pkg.absent"):
    try:
        load(name)
    except Exception:
        traceback.print_exc()
import syntax
""",
    f"{APP}/missing.py": "from pkg import sub\n\nfrom pkg.sub import no_such_name\n",
    f"{APP}/syntax.py": "x = 1\ndef f(:\n    pass\n",
    f"{APP}/encoding.py": "# coding: no-such-codec\n",
    f"{APP}/raises.py": "import json\n\njson.loads('{')\n",
}
FRAMES = re.compile(
    r'  File "<(?:builtin>/)?frozen importlib._bootstrap_external>?", line [0-9]+, '
    r"in (?:get_code|read\w+)\n(?:    .*\n)*"
)
"""What stands between ``exec_module`` and ``source_to_code``."""
LIBRARY = "import sys; sys.path.append('/srv/app'); import plain; print(*plain.where())"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way: the arguments of Python, and the sources that get into the user's own cache."""

    name: str
    arguments: tuple[str, ...]
    own: tuple[str, ...] = ()
    pythonpath: str = ""
    traced: bool = True
    pypy: bool = True
    """Whether PyPy has it."""


PLAIN, SUB, PKG = f"{APP}/plain.py", f"{APP}/pkg/sub.py", f"{APP}/pkg/__init__.py"
ROWS = (
    Row(name="import", arguments=("-c", LIBRARY), own=(PLAIN,)),
    Row(name="script", arguments=(f"{APP}/main.py",), own=(PLAIN, SUB, PKG)),
    Row(
        name="module",
        arguments=("-m", "pkg"),
        own=(PKG, SUB, f"{APP}/pkg/__main__.py"),
        pythonpath=APP,
    ),
    Row(
        name="namespace",
        arguments=("-c", "import ns.a, ns.b; print(*ns.a.where(), *ns.b.where())"),
        own=("/srv/one/ns/a.py", "/srv/two/ns/b.py"),
        pythonpath="/srv/one:/srv/two",
    ),
    Row(name="spec-from-file", arguments=(f"{APP}/load.py",), own=(f"{APP}/byfile.py",)),
    Row(name="zipapp", arguments=("/srv/app.pyz",)),
    Row(name="spawn", arguments=(f"{APP}/children.py", "spawn"), own=(PLAIN,)),
    Row(name="forkserver", arguments=(f"{APP}/children.py", "forkserver"), own=(PLAIN,)),
    Row(name="multiprocessing-fork", arguments=(f"{APP}/children.py", "fork"), own=(PLAIN,)),
    Row(name="os-fork", arguments=(f"{APP}/fork.py",), own=(PLAIN,)),
    Row(
        name="subinterpreter",
        arguments=(f"{APP}/sub_interpreter.py",),
        own=(PLAIN,),
        pypy=False,
    ),
    Row(name="resources", arguments=(f"{APP}/resources.py",), own=(PKG, SUB)),
    Row(name="I", arguments=("-I", "-c", LIBRARY), own=(PLAIN,), traced=False),
    Row(name="E", arguments=("-E", "-c", LIBRARY), own=(PLAIN,), traced=False),
    Row(name="s", arguments=("-s", "-c", LIBRARY), own=(PLAIN,)),
    Row(name="P", arguments=("-P", "-c", LIBRARY), own=(PLAIN,)),
    Row(name="B", arguments=("-B", "-c", LIBRARY)),
    Row(name="S", arguments=("-S", "-B", "-c", LIBRARY), traced=False),
)


def archive() -> bytes:
    """Make a zipapp that imports a module of its own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        main = "import inner\nprint(inner.ANSWER)\n"
        for name, text in (("inner.py", WHERE), ("__main__.py", main)):
            file.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


@contextmanager
def machine(machines: Machines, python: Python, *, hooked: bool) -> Iterator[Chroot]:
    """Give a machine with all the sources above, which are root's."""
    with machines.running(python.suite, hooked=hooked) as chroot:
        place(chroot, SOURCES)
        chroot.path("/srv/app.pyz").write_bytes(archive())
        yield chroot


def stock_output(machines: Machines, python: Python, row: Row) -> tuple[int, str, str]:
    """Say what an interpreter without the hook does."""
    with machine(machines, python, hooked=False) as chroot:
        before = written(chroot)
        done = start(chroot, python.command, *row.arguments, **environment(row))
        assert written(chroot) == before, "nothing of this is the user's to write"
        return done.status, done.stdout, done.stderr


def environment(row: Row) -> dict[str, str]:
    """Give the variables that a row is started with."""
    return {"PYTHONPATH": row.pythonpath} if row.pythonpath else {}


@pytest.mark.parametrize(
    ("python", "row"),
    [
        pytest.param(python, row, id=f"{python}-{row.name}")
        for python in NEWER
        for row in ROWS
        if row.pypy or not python.is_pypy
    ],
)
def test_as_stock_from_the_right_layer(machines: Machines, python: Python, row: Row) -> None:
    expected = stock_output(machines, python, row)
    assert (expected[0], expected[2]) == (0, "")
    assert "42" in expected[1] or row.name == "resources"
    with machine(machines, python, hooked=True) as chroot:
        before = written(chroot)
        own = {python.own(source) for source in row.own}
        for layer in (COMPILED, OWN):
            done = start(chroot, python.command, *row.arguments, **environment(row))
            assert (done.status, done.stdout, done.stderr) == expected
            assert written(chroot) - before == own
            if row.traced:
                assert "json" in done.only(TREE_LAYER) or row.name == "resources"
                paths = {served.path for served in done.served.values() if served.layer == OWN}
                assert paths == (own if layer == OWN else set())
                wanted = COMPILED if row.name == "B" else layer
                assert bool(done.only(wanted)) is bool(own or row.name == "B")
        if row.name in ("I", "E"):
            done = start(chroot, python.command, *row.arguments[:1], "-v", *row.arguments[1:])
            matched = {source: pyc for pyc, source in MATCHED.findall(done.stderr)}
            json = f"{python.interpreter.library}/json/__init__.py"
            assert in_tree(python.folder, matched[json])
            assert matched[PLAIN] == python.own(PLAIN)
            assert done.served == {}


@matrix
@pytest.mark.parametrize("level", ["1", "2"])
def test_optimized(machines: Machines, python: Python, level: str) -> None:
    """The tree has level 0 only: all else is compiled for the user, under names of its own."""
    option = {"1": "-O", "2": "-OO"}[level]
    expected = stock_output(machines, python, Row(name="O", arguments=(option, "-c", LIBRARY)))
    with machine(machines, python, hooked=True) as chroot:
        before = written(chroot)
        first = start(chroot, python.command, option, "-c", LIBRARY)
        made = written(chroot) - before
        second = start(chroot, python.command, option, "-c", LIBRARY)
        for done in (first, second):
            assert (done.status, done.stdout, done.stderr) == expected
        assert first.only(TREE_LAYER) == second.only(TREE_LAYER) == set()
        assert python.own(PLAIN, level) in made
        assert {path.rpartition(".opt-")[2] for path in made} == {f"{level}.pyc"}
        assert {path.startswith(f"{HOME}/.cache/pycache-sys/") for path in made} == {True}
        assert written(chroot) - before == made
        assert second.only(COMPILED) == set()
        assert {"json", "plain"} <= second.only(OWN)


@matrix
def test_bytecode_beside_the_source_is_read(machines: Machines, python: Python) -> None:
    with machine(machines, python, hooked=True) as chroot:
        chroot.run(python.command, "-m", "compileall", "-q", PLAIN, f"{APP}/pkg")
        before = written(chroot)
        done = start(chroot, python.command, f"{APP}/main.py")
        assert done.status == 0
        assert done.only(BESIDE) == {"plain", "pkg", "pkg.sub"}
        assert "json" in done.only(TREE_LAYER)
        assert written(chroot) == before


@matrix
def test_an_explicit_prefix_keeps_its_meaning_for_writes(
    machines: Machines, python: Python
) -> None:
    options = ("-X", "pycache_prefix=/home/alice/prefix")
    with machine(machines, python, hooked=True) as chroot:
        before = written(chroot)
        mine = python.own(PLAIN, top="/home/alice").replace(f"/{python.folder}/", "/prefix/", 1)
        for _ in range(2):
            done = start(chroot, python.command, *options, "-c", LIBRARY)
            assert done.status == 0
            assert mine in done.stdout
            assert "json" in done.only(TREE_LAYER)
            assert mine in written(chroot) - before
            rest = {path for path in written(chroot) - before if not path.startswith("/home/alice")}
            assert rest == set()
            assert not chroot.path(f"{HOME}/.cache").exists()


@matrix
@pytest.mark.parametrize("way", ["statement", "import_module"])
def test_tracebacks_of_imports_are_stocks(machines: Machines, python: Python, way: str) -> None:
    """To the letter; ``importlib.import_module`` shows importlib's frames, and so one more."""
    arguments = (f"{APP}/tracebacks.py", *([way] if way == "import_module" else []))
    row = Row(name="tracebacks", arguments=arguments)
    status, _, expected = stock_output(machines, python, row)
    assert status == 1
    for name in ("ImportError", "SyntaxError", "JSONDecodeError", "ModuleNotFoundError"):
        assert name in expected
    with machine(machines, python, hooked=True) as chroot:
        for _ in range(2):
            done = start(chroot, python.command, *row.arguments)
            assert done.status == 1
            assert done.only(TREE_LAYER)
            if way == "statement":
                assert done.stderr == expected
            else:
                assert FRAMES.sub("", done.stderr) == FRAMES.sub("", expected)
                assert "pycache" not in done.stderr


@matrix
def test_off(machines: Machines, python: Python) -> None:
    with machine(machines, python, hooked=True) as chroot:
        before = written(chroot)
        done = start(chroot, python.command, "-c", LIBRARY, PYCACHE_SYS="off")
        assert done.quiet
        assert done.served == {}
        assert written(chroot) == before

"""Options of the interpreter: those that change what is written, and those that hide the trace."""

import shutil
from pathlib import Path

import pytest

from interpreters.builder import snapshot
from interpreters.conftest import Found
from interpreters.hooked import (
    CACHE,
    COMPILED,
    FROM_OWN,
    FROM_TREE,
    TREE,
    Hooked,
    Machine,
    Row,
    bytecode_below,
    check,
    files_below,
    no_tree,
    read_by,
    rows_in_tree,
    served,
    untraced,
)

pytest_plugins = ["interpreters.matrix_fixtures"]

SOURCES = {
    "a.py": "def f():\n    'words'\n    assert False, 'asserted'\n",
    "pkg/__init__.py": "",
    "pkg/b.py": "X = 'b'\n",
    "main.py": "import os, sys\n"
    "sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))\n"
    "import a, pkg.b\n"
    "flags = sys.flags\n"
    "print(flags.optimize, flags.isolated, flags.ignore_environment, flags.no_site,\n"
    "      flags.no_user_site, getattr(flags, 'safe_path', None), flags.dont_write_bytecode)\n"
    "print(a.f.__doc__)\n"
    "try:\n    print(a.f())\nexcept AssertionError as error:\n    print(error)\n",
}
MODULES = frozenset(["a", "pkg", "pkg.b"])
FILES = {"a.py", "pkg/__init__.py", "pkg/b.py"}


def row(*options: str, since: tuple[int, ...] = (3, 8), **variables: str) -> Row:
    """Make a row for some options."""
    return Row(
        files=SOURCES,
        arguments=(*options, "main.py"),
        modules=MODULES,
        said=None,
        since=since,
        variables=variables,
    )


TRACED = {
    "none": row(),
    "s": row("-s"),
    "P": row("-P", since=(3, 11)),
    "B": row("-B"),
    "no-writes": row(PYTHONDONTWRITEBYTECODE="1"),
    "O": row("-O"),
    "OO": row("-OO"),
    "optimize": row(PYTHONOPTIMIZE="1"),
    "x-dev": row("-X", "dev"),
    "hash-always": row("--check-hash-based-pycs", "always"),
}
UNTRACED = {
    "I": row("-I", "-v"),
    "E": row("-E", "-v"),
    "IB": row("-I", "-B", "-v"),
    "EOO": row("-E", "-OO", "-v"),
}


@pytest.fixture(scope="session")
def folder(machine: Machine) -> Path:
    """Write every row, and build the tree for every interpreter."""
    rows = TRACED | UNTRACED | {"S": row("-S"), "IS": row("-I", "-S"), "prefix": row()}
    return rows_in_tree(machine, rows, "options")


@pytest.mark.parametrize("name", TRACED)
def test_an_option(venv: Hooked, interpreter: Found, folder: Path, name: str) -> None:
    if interpreter.version < TRACED[name].since:
        pytest.skip(f"no interpreter before {TRACED[name].since} has this option")
    check(venv, TRACED[name], folder / name)


@pytest.mark.parametrize("name", UNTRACED)
def test_without_an_environment_the_hook_is_there_and_quiet(
    venv: Hooked, interpreter: Found, folder: Path, name: str
) -> None:
    """PYCACHE_SYS does not count: so ``-v`` has to say what is read, in the words of stock."""
    here = folder / name
    row = UNTRACED[name]
    stock, beside = venv.run_stock(*row.arguments, cwd=here)
    expected = venv.in_own(beside)
    before = snapshot(here)

    def run(layer: str, **variables: str) -> None:
        hooked = venv.run(*row.arguments, cwd=here, **variables)
        assert (hooked.status, hooked.stdout) == (stock.status, stock.stdout), hooked.stderr
        assert "pycache-sys:" not in hooked.stderr
        assert read_by(hooked, here) == dict.fromkeys(FILES, layer), hooked.stderr
        assert snapshot(here) == before

    with no_tree():
        run(COMPILED)
        assert files_below(CACHE) == expected
        written = snapshot(CACHE)
        run(FROM_OWN if expected else COMPILED)
        assert snapshot(CACHE) == written
    shutil.rmtree(CACHE, ignore_errors=True)
    run(FROM_TREE)
    assert not CACHE.exists()


@pytest.mark.parametrize("name", ["S", "IS"])
def test_without_site_all_is_as_stock_has_it(
    venv: Hooked, interpreter: Found, folder: Path, name: str
) -> None:
    here = folder / name
    arguments = ("-S", "main.py") if name == "S" else ("-I", "-S", "main.py")
    stock, beside = venv.run_stock(*arguments, cwd=here)
    assert len(beside) == 3
    hooked = venv.run(*arguments, cwd=here)
    try:
        assert (hooked.status, hooked.stdout, hooked.stderr) == (0, stock.stdout, stock.stderr)
        assert bytecode_below(here) == beside
        assert not CACHE.exists()
    finally:
        for directory in {path.parent for path in beside}:
            shutil.rmtree(directory)


@pytest.mark.parametrize("way", ["option", "variable"])
def test_an_explicit_prefix_takes_what_no_tree_has(
    venv: Hooked, interpreter: Found, folder: Path, way: str, tmp_path: Path
) -> None:
    here = folder / "prefix"
    given = {"PYTHONPYCACHEPREFIX": str(tmp_path)} if way == "variable" else {}
    option = () if given else ("-X", f"pycache_prefix={tmp_path}")
    with venv.without_hook():
        stock = venv.run(*option, "main.py", cwd=here, **given)
    inside = Path(f"{tmp_path}{here}")
    beside = bytecode_below(inside)
    assert len(beside) == 3
    shutil.rmtree(inside)
    before = snapshot(here)
    with no_tree():
        for _ in range(2):
            hooked = venv.run(*option, "main.py", cwd=here, **given)
            assert (hooked.status, hooked.stdout) == (0, stock.stdout), hooked.stderr
            assert bytecode_below(inside) == beside
    written = snapshot(inside)
    hooked = venv.run(*option, "main.py", cwd=here, **given)
    assert served(hooked) == {name: {FROM_TREE} for name in MODULES}
    assert (untraced(hooked), snapshot(inside), snapshot(here)) == (stock.stderr, written, before)
    assert not CACHE.exists()


@pytest.mark.parametrize("switch", ["off", ""])
def test_the_switch(venv: Hooked, interpreter: Found, folder: Path, switch: str) -> None:
    """``off`` is stock; anything else is the hook without a trace."""
    here = folder / "none"
    stock, beside = venv.run_stock("main.py", cwd=here)
    before = snapshot(here)
    try:
        with no_tree():
            hooked = venv.run("main.py", cwd=here, switch=switch)
        assert (hooked.status, hooked.stdout, hooked.stderr) == (0, stock.stdout, stock.stderr)
        assert bytecode_below(here) == (beside if switch else set())
        assert files_below(CACHE) == (set() if switch else venv.in_own(beside))
        assert switch or snapshot(here) == before
        assert bytecode_below(TREE)
    finally:
        for directory in {path.parent for path in bytecode_below(here)}:
            shutil.rmtree(directory)

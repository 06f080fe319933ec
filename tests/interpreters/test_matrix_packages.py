"""Packages that have to do with loading: what compiles on its own account does it as ever."""

import shutil
from pathlib import Path

import pytest

from interpreters.builder import snapshot
from interpreters.hooked import (
    CACHE,
    COMPILED,
    FROM_OWN,
    FROM_TREE,
    PLACE,
    Hooked,
    Row,
    build,
    bytecode_below,
    check,
    files_below,
    no_tree,
    policy,
    served,
    untraced,
    write,
)

pytest_plugins = ["interpreters.matrix_fixtures"]

PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "1"
"""
EDITABLE = {
    "static": {
        "pyproject.toml": PYPROJECT.format(name="static-one"),
        "src/static_one/__init__.py": "",
        "src/static_one/part.py": "X = 'static'\n",
    },
    "finder": {
        "pyproject.toml": PYPROJECT.format(name="finder-one")
        + '[tool.setuptools]\npackages = ["finder_one", "finder_one.sub"]\n'
        'package-dir = {finder_one = "lib", "finder_one.sub" = "lib/below"}\n',
        "lib/__init__.py": "",
        "lib/part.py": "X = 'finder'\n",
        "lib/below/__init__.py": "X = 'sub'\n",
    },
}


def place(venv: Hooked, name: str) -> Path:
    """Give each interpreter a folder of its own."""
    return PLACE / "rows/packages" / venv.path.name / name


@pytest.mark.parametrize("kind", EDITABLE)
def test_an_editable_install(packaged: Hooked, kind: str) -> None:
    folder = place(packaged, kind)
    write(folder, EDITABLE[kind])
    packaged.pip("install", "--no-build-isolation", "--no-deps", "--editable", str(folder))
    module = f"{kind}_one"
    assert (packaged.site / f"__editable___{module}_1_finder.py").exists() == (kind == "finder")
    build(folder, [packaged])
    shutil.rmtree(CACHE, ignore_errors=True)  # pip's
    more = ["sub"] if kind == "finder" else []
    names = [module, *(f"{module}.{name}" for name in ["part", *more])]
    program = f"import {', '.join(names)}; print({module}.part.X, {module}.__file__)"
    row = Row(files={}, arguments=("-c", program), modules=frozenset(names), said=None)
    check(packaged, row, folder)


TESTED = {
    "lib.py": "def f(x):\n    return x + 1\n",
    "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef one():\n    assert 1\n    return 1\n",
    "test_lib.py": "import lib\n\n\ndef test_good(one):\n    assert lib.f(one) == 2\n\n\n"
    "def test_bad(one):\n    found = lib.f(one)\n    assert found == [found, 'rewritten']\n",
}
TYPED = {
    "plain.py": "def area(x: int) -> int:\n    return x * 2\n",
    "shapes/__init__.py": "",
    "shapes/square.py": "import plain\n\n\ndef area(x: int) -> int:\n    return x * 2\n",
    "main.py": "import sys\n"
    "if sys.argv[1] == 'typeguard':\n"
    "    from typeguard import install_import_hook\n"
    "    install_import_hook('shapes')\n"
    "elif sys.argv[1] == 'beartype':\n"
    "    from beartype.claw import beartype_package\n"
    "    beartype_package('shapes')\n"
    "import plain, shapes.square\n"
    "print(plain.area('x'), shapes.square.area(2))\n"
    "try:\n"
    "    print(shapes.square.area('x'))\n"
    "except Exception as error:\n"
    "    print(type(error).__name__, error)\n",
}
ON_THEIR_OWN = {
    "pytest": (
        TESTED,
        ("-m", "pytest", "-qq", "-s", "-p", "no:cacheprovider"),
        "test_bad",
        "-pytest-",
        {"lib"},
    ),
    "typeguard": (TYPED, ("main.py", "typeguard"), "TypeCheckError", "typeguard", {"plain"}),
    # beartype's loader takes the place of the stock one for all that comes after it
    "beartype": (TYPED, ("main.py", "beartype"), "BeartypeCallHintParamViolation", "", set()),
}
"""Sources, a command, what it says where the instrumented code runs, a mark in the names of
bytecode that the tool writes, and the modules that are left to us.
"""


@pytest.mark.parametrize("tool", ON_THEIR_OWN)
def test_what_compiles_on_its_own_account(packaged: Hooked, tool: str) -> None:
    files, arguments, said, mark, modules = ON_THEIR_OWN[tool]
    folder = place(packaged, tool)
    write(folder, files)
    build(folder, [packaged])
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    stock, beside = packaged.run_stock(*arguments, cwd=folder, **quiet)
    assert said in stock.stdout, stock.stderr
    theirs = {path for path in beside if mark in path.name}
    assert any(tool in path.name for path in theirs)
    assert len(beside - theirs) == len(modules)
    sources = snapshot(packaged.site, *(folder / name for name in files))

    def run(layer: str, beside_now: set[Path], in_cache: set[Path]) -> None:
        hooked = packaged.run(*arguments, cwd=folder, **quiet)
        assert (hooked.status, hooked.stdout) == (stock.status, stock.stdout), hooked.stderr
        assert untraced(hooked) == stock.stderr
        assert served(hooked) == {name: {layer} for name in modules}, hooked.stderr
        assert bytecode_below(folder) == beside_now
        cached = files_below(CACHE)
        assert {path for path in cached if f"{folder}/" in str(path)} == in_cache
        if in_cache != packaged.in_own(beside):  # else the tool's own modules may be there
            assert cached == in_cache
        assert snapshot(packaged.site, *(folder / name for name in files)) == sources

    with no_tree():
        ours = packaged.in_own(beside - theirs)
        for layer in (COMPILED, FROM_OWN):
            run(layer, theirs, ours)
        uninstrumented(packaged, folder, tool)
        run(FROM_OWN, theirs, files_below(CACHE))
        for directory in {path.parent for path in theirs}:
            shutil.rmtree(directory)
        shutil.rmtree(CACHE)
        with policy("export-prefix = yes\n"):
            for layer in (COMPILED, FROM_OWN):
                run(layer, set(), packaged.in_own(beside))
        shutil.rmtree(CACHE)
    run(FROM_TREE, theirs, set())


def uninstrumented(packaged: Hooked, folder: Path, tool: str) -> None:
    """Load the same modules without the tool: nothing of what it made is taken."""
    module, result = ("test_lib", "") if tool == "pytest" else ("shapes.square", "xx\n")
    program = f"import {module} as m; hasattr(m, 'area') and print(m.area('x'))"
    for layer in (COMPILED, FROM_OWN):
        run = packaged.run("-c", program, cwd=folder)
        assert (run.status, run.stdout) == (0, result), run.stderr
        assert served(run)[module] == {layer}


COVER = """\
import subprocess, sys
coverage = [sys.executable, "-m", "coverage"]
subprocess.check_call([*coverage, "run", "--branch", "--source=.", "prog.py"])
subprocess.check_call([*coverage, "report", "-m"])
"""


def test_coverage(packaged: Hooked, tmp_path: Path) -> None:
    folder = place(packaged, "coverage")
    row = Row(
        files={
            "cover.py": COVER,
            "prog.py": "import lib, pkg.b\nprint(lib.f(1), pkg.b.X)\n",
            "lib.py": "def f(x):\n    if x:\n        return x\n    return 'never'\n",
            "pkg/__init__.py": "",
            "pkg/b.py": "X = 1\nif not X:\n    X = 2\n",
        },
        arguments=("cover.py",),
        variables={"COVERAGE_FILE": str(tmp_path / "data")},
        modules=frozenset(["lib", "pkg", "pkg.b"]),
        said=None,
    )
    row.write(folder)
    build(folder, [packaged])
    shutil.rmtree(CACHE, ignore_errors=True)
    check(packaged, row, folder)

"""Each way to load modules, under each interpreter: which layer it reads, and what it writes."""

import io
import zipfile
from pathlib import Path

import pytest

from interpreters.conftest import Found
from interpreters.hooked import Hooked, Machine, Row, check, rows_in_tree

pytest_plugins = ["interpreters.matrix_fixtures"]

PACKAGE = {
    "a.py": "X = 'a'\n",
    "pkg/__init__.py": "",
    "pkg/b.py": "X = 'b'\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/c.py": "X = 'c'\n",
}


def zipped(**files: str) -> bytes:
    """Make an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__slash__", "/") + ".py"), text)
    return buffer.getvalue()


ROWS = {
    "import": Row(
        files=PACKAGE,
        arguments=("-c", "import a, pkg.b; print(a.X, pkg.b.X)"),
        modules=frozenset(["a", "pkg", "pkg.b"]),
        said="a b\n",
    ),
    "script": Row(
        files=PACKAGE | {"main.py": "import a\nfrom pkg.deep import c\nprint(a.X, c.X)\n"},
        arguments=("main.py",),
        modules=frozenset(["a", "pkg", "pkg.deep", "pkg.deep.c"]),
        said="a c\n",
    ),
    "module": Row(
        files=PACKAGE | {"pkg/__main__.py": "from . import b\nprint(__name__, b.X)\n"},
        arguments=("-m", "pkg"),
        modules=frozenset(["pkg", "pkg.__main__", "pkg.b"]),
        said="__main__ b\n",
    ),
    "folder": Row(
        files={"app/__main__.py": "import d\nprint(d.X)\n", "app/d.py": "X = 'd'\n"},
        arguments=("app",),
        modules=frozenset(["__main__", "d"]),
        said="d\n",
    ),
    "namespace": Row(
        files={
            "one/space/x.py": "X = 'x'\n",
            "two/space/inner/y.py": "X = 'y'\n",
            "main.py": "import space.x, space.inner.y\n"
            "print(space.x.X, space.inner.y.X, len(space.__path__))\n",
        },
        arguments=("main.py",),
        variables={"PYTHONPATH": "one:two"},
        modules=frozenset(["space.x", "space.inner.y"]),
        said="x y 2\n",
    ),
    "location": Row(
        files={
            "plugins/some-plugin.py": "X = 'plugin'\n",
            "main.py": "import importlib.util as u, os\n"
            "path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'plugins')\n"
            "spec = u.spec_from_file_location('plugin', os.path.join(path, 'some-plugin.py'))\n"
            "module = u.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
            "print(module.X)\n",
        },
        arguments=("main.py",),
        modules=frozenset(["plugin"]),
        said="plugin\n",
    ),
    "lazy": Row(
        files=PACKAGE
        | {
            "main.py": "import importlib.util as u\n"
            "spec = u.find_spec('a')\nspec.loader = u.LazyLoader(spec.loader)\n"
            "module = u.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
            "print('not yet', flush=True)\nprint(module.X)\n",
        },
        arguments=("main.py",),
        modules=frozenset(["a"]),
        said="not yet\na\n",
    ),
    "pkgutil": Row(
        files=PACKAGE
        | {
            "pkg/data.txt": "data\n",
            "main.py": "import pkg, pkgutil\n"
            "print([m.name for m in pkgutil.walk_packages(pkg.__path__, 'pkg.')])\n"
            "print(pkgutil.get_data('pkg', 'data.txt'))\n",
        },
        arguments=("main.py",),
        modules=frozenset(["pkg", "pkg.deep"]),
        said="['pkg.b', 'pkg.deep', 'pkg.deep.c']\nb'data\\n'\n",
    ),
    "resources": Row(
        files=PACKAGE
        | {
            "pkg/data.txt": "data\n",
            "main.py": "import sys, importlib.resources as r\n"
            "if sys.version_info < (3, 9):\n"
            "    print(r.read_text('pkg', 'data.txt'), sorted(r.contents('pkg')))\n"
            "else:\n"
            "    files = r.files('pkg')\n"
            "    print(files.joinpath('data.txt').read_text(),"
            " sorted(one.name for one in files.iterdir()))\n",
        },
        # stock adds __pycache__ to the contents, and that is the one difference
        arguments=("-B", "main.py"),
        modules=frozenset(["pkg"]),
        said="data\n ['__init__.py', 'b.py', 'data.txt', 'deep']\n",
    ),
    "archive": Row(
        files={
            "all.zip": zipped(z="import outside\nX = 'z' + outside.X\n"),
            "outside.py": "X = 'outside'\n",
            "main.py": "import sys; sys.path.insert(0, 'all.zip')\nimport z\n"
            "print(z.X, type(z.__loader__).__name__)\n",
        },
        arguments=("main.py",),
        modules=frozenset(["outside"]),
        said="zoutside zipimporter\n",
    ),
    "zipapp": Row(
        files={
            "app.pyz": zipped(__main__="import z, outside\nprint(z.X, outside.X)\n", z="X = 'z'\n"),
            "lib/outside.py": "X = 'outside'\n",
        },
        arguments=("app.pyz",),
        variables={"PYTHONPATH": "lib"},
        modules=frozenset(["outside"]),
        said="z outside\n",
    ),
    "runpy": Row(
        files=PACKAGE
        | {
            "pkg/__main__.py": "from . import b\nX = b.X * 2\n",
            "file.py": "import a\nX = a.X * 2\n",
            "app/__main__.py": "X = 'app'\n",
            "main.py": "import runpy\n"
            "print([runpy.run_path(path)['X'] for path in ('file.py', 'app')])\n"
            "print([runpy.run_module(name)['X'] for name in ('pkg', 'pkg.deep.c')])\n",
        },
        arguments=("main.py",),
        modules=frozenset(
            ["a", "pkg", "pkg.__main__", "pkg.b", "pkg.deep", "pkg.deep.c", "__main__"]
        ),
        said="['aa', 'app']\n['bb', 'c']\n",
    ),
    "attributes": Row(
        files=PACKAGE
        | {
            "main.py": "import a, inspect, pkg.b\n"
            "for m in (a, pkg, pkg.b):\n"
            "    s = m.__spec__\n"
            "    print(m.__file__, m.__cached__, s.cached, s.origin, s.has_location,\n"
            "          type(m.__loader__).__name__, s.submodule_search_locations,\n"
            "          m.__loader__.get_code(s.name).co_filename, s.loader.is_package(s.name))\n"
            "print(inspect.getsource(a))\n",
        },
        arguments=("main.py",),
        modules=frozenset(["a", "pkg", "pkg.b"]),
        said=None,
    ),
    "failure": Row(
        files={
            "bad.py": "def f():\n    raise KeyError('bad')\n\n\nf()\n",
            "uses_bad.py": "import bad\n",
        },
        arguments=("-c", "import uses_bad"),
        modules=frozenset(["bad", "uses_bad"]),
        said="",
        status=1,
    ),
}


@pytest.fixture(scope="session")
def folder(machine: Machine) -> Path:
    """Write every row, and build the tree for every interpreter."""
    return rows_in_tree(machine, ROWS, "imports")


@pytest.mark.parametrize("name", ROWS)
def test_import(venv: Hooked, interpreter: Found, folder: Path, name: str) -> None:
    check(venv, ROWS[name], folder / name)

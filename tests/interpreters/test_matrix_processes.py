"""Children of all kinds, under each interpreter: the hook is in them, or stays in them."""

from pathlib import Path

import pytest

from interpreters.conftest import Found
from interpreters.hooked import Hooked, Machine, Row, check, rows_in_tree

pytest_plugins = ["interpreters.matrix_fixtures"]

SOURCES = {"a.py": "X = 1\n", "b.py": "X = 2\n"}
BOTH = frozenset(["a", "b"])

WITH_METHOD = """\
import multiprocessing, sys


def work(name):
    return __import__(name).X


if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(pool.map(work, ["a", "b", "a", "b"], 1))
"""
FORK = """\
import a, os
child = os.fork()
import b
print("child" if child == 0 else "parent", a.X, b.X, flush=True) if child == 0 else None
os._exit(7) if child == 0 else None
print(os.waitpid(child, 0)[1] >> 8, a.X, b.X)
"""
EXECUTED = """\
import a, subprocess, sys
print(subprocess.check_output([sys.executable, "-c", "import b; print(b.X)"]), a.X)
"""
INTERPRETER = """\
import a, sys
code = "import b; print(b.X, 'importlib' in str(type(b.__loader__)), flush=True)"
if sys.version_info >= (3, 14):
    from concurrent import interpreters
    inner = interpreters.create()
    inner.exec(code)
    inner.close()
else:
    module = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    inner = module.create()
    failure = module.run_string(inner, code)
    assert failure is None, failure
    module.destroy(inner)
print(a.X)
"""
THREADS = """\
import threading
found = []
def work():
    import a, b
    found.append(a.X + b.X)
threads = [threading.Thread(target=work) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
print(found)
"""

ROWS = {
    **{
        method: Row(
            files=SOURCES | {"main.py": WITH_METHOD},
            arguments=("main.py", method),
            modules=BOTH,
            said="[1, 2, 1, 2]\n",
        )
        for method in ("fork", "spawn", "forkserver")
    },
    "os-fork": Row(
        files=SOURCES | {"main.py": FORK},
        arguments=("main.py",),
        modules=BOTH,
        said="child 1 2\n7 1 2\n",
    ),
    "executed": Row(
        files=SOURCES | {"main.py": EXECUTED},
        arguments=("main.py",),
        modules=BOTH,
        said="b'2\\n' 1\n",
    ),
    "interpreter": Row(
        files=SOURCES | {"main.py": INTERPRETER},
        arguments=("main.py",),
        variables={"PYTHONPATH": "."},
        modules=BOTH,
        said="2 True\n1\n",
    ),
    "threads": Row(
        files=SOURCES | {"main.py": THREADS},
        arguments=("main.py",),
        modules=BOTH,
        said="[3, 3, 3, 3, 3, 3, 3, 3]\n",
    ),
}


@pytest.fixture(scope="session")
def folder(machine: Machine) -> Path:
    """Write every row, and build the tree for every interpreter."""
    return rows_in_tree(machine, ROWS, "processes")


@pytest.mark.parametrize("name", ROWS)
def test_processes(venv: Hooked, interpreter: Found, folder: Path, name: str) -> None:
    check(venv, ROWS[name], folder / name)

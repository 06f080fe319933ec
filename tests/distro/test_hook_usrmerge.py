"""Where ``/bin`` and ``/lib`` are links into ``/usr``, Python may take itself to be in ``/``."""

import posixpath

import pytest

from distro.chroots import Chroot
from distro.hook_starts import TREE_LAYER, place, start, written
from distro.machines import Python, every_python
from distro.product import COMMAND

pytest_plugins = ["distro.hook_fixtures"]

MINE = "/srv/app/mine.py"
PROGRAM = (
    "import sys; sys.path.append('/srv/app'); import json, mine; print(json.__file__, mine.ANSWER)"
)


def by_bin(python: Python) -> str:
    """Name the program as somebody does whose PATH begins with ``/bin``."""
    return f"/bin/{posixpath.basename(python.command)}"


@every_python
@pytest.mark.parametrize("way", ["pth of a package", "block"])
def test_a_start_from_bin_reads_the_tree(hooked: Chroot, python: Python, way: str) -> None:
    place(hooked, {MINE: "ANSWER = 42\n"})
    if way == "block":
        hooked.run(COMMAND, "enable", "--venvs")
    else:  # what `enable` writes is in /usr/local, which is not searched by such a start
        local = next(hooked.path("/usr/local/lib").rglob("pycache-sys.pth"))
        place(hooked, {"/usr/lib/python3/dist-packages/pycache-sys.pth": local.read_text()})
    before = written(hooked)
    done = start(hooked, by_bin(python), "-c", PROGRAM)
    file, answer = done.quiet.split()
    assert answer == "42"
    assert file.endswith("/json/__init__.py")
    assert done.layers("json", "json.decoder") == {"json": TREE_LAYER, "json.decoder": TREE_LAYER}
    assert not [path for path in written(hooked) - before if "__pycache__" in path]
    again = start(hooked, by_bin(python), "-v", "-c", PROGRAM, trace=False)
    assert f"matches {file}" in again.stderr

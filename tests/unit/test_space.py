"""What a folder takes up: each file once, no link followed."""

import os
from pathlib import Path

import pytest

from pycache_sys.core.standing import Space
from pycache_sys.system.space import files_below


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with a folder, and files outside of it."""
    (tmp_path / "tree" / "3.11" / "usr" / "lib").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "big.pyc").write_bytes(b"x" * 100_000)
    return tmp_path / "tree"


def measured(tree: Path, folder: str = "3.11") -> Space:
    return sum((space for _, space in files_below(str(tree), folder)), Space())


def test_it_is_what_du_says(tree: Path) -> None:
    sizes = [0, 1, 4096, 70_000]
    for number, size in enumerate(sizes):
        (tree / "3.11" / "usr" / "lib" / f"{number}.pyc").write_bytes(b"x" * size)
    files = list((tree / "3.11").rglob("*.pyc"))
    blocks = sum(path.stat().st_blocks for path in files)
    assert measured(tree) == Space(4, sum(sizes), 512 * blocks)


def test_a_file_with_holes_takes_up_less_than_its_size(tree: Path) -> None:
    path = tree / "3.11" / "hole.pyc"
    path.touch()
    os.truncate(path, 1 << 30)
    found = measured(tree)
    assert (found.files, found.apparent) == (1, 1 << 30)
    assert found.disk < 1 << 20


def test_a_file_with_several_names_counts_once(tree: Path) -> None:
    first = tree / "3.11" / "usr" / "a.pyc"
    first.write_bytes(b"x" * 5000)
    for name in ("b.pyc", "lib/c.pyc"):
        os.link(first, tree / "3.11" / "usr" / name)
    other = tree / "3.11" / "usr" / "d.pyc"
    other.write_bytes(b"x" * 10)
    found = dict(files_below(str(tree), "3.11"))
    assert set(found) == {f"3.11/usr/{name}.pyc" for name in ("a", "b", "lib/c", "d")}
    assert sum(space.files for space in found.values()) == 2
    assert sum(space.apparent for space in found.values()) == 5010


def test_links_are_not_followed(tree: Path) -> None:
    (tree / "3.11" / "usr" / "out").symlink_to(tree.parent / "outside")
    (tree / "3.9").symlink_to(tree.parent / "outside")
    found = dict(files_below(str(tree), "3.11"))
    assert list(found) == ["3.11/usr/out"]
    assert found["3.11/usr/out"].apparent < 1000
    assert measured(tree, "3.9") == Space()


def test_what_is_not_there_takes_up_nothing(tree: Path) -> None:
    assert measured(tree, "3.10") == Space()
    (tree / "3.12").touch()
    assert measured(tree, "3.12") == Space()


def test_spaces_add_up_with_spaces_alone() -> None:
    assert Space(1, 2, 3) + Space(10, 20, 30) == Space(11, 22, 33)
    other: object = (1, 2, 3)
    with pytest.raises(TypeError):
        Space(1, 2, 3) + other

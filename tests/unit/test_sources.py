"""What is found below a root, and what is not taken and why."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from pycache_sys.core.model import Reason, Refusal
from pycache_sys.system.sources import Walk, examine, is_gone, named_files
from pycache_sys.system.trust import CallerTrust

TRUST = CallerTrust()


def found(
    *roots: Path, excluded: Iterable[str] = (), files: bool = True
) -> tuple[list[str], dict[str, Reason]]:
    """Walk the roots; return the files and the skips, relative to the first root."""
    names: list[str] = []
    skips: dict[str, Reason] = {}
    for directory in Walk(map(str, roots), TRUST, lambda _: tuple(excluded)):
        names += [os.path.relpath(f"{directory.path}/{name}", roots[0]) for name in directory.files]
        for skip in directory.skips:
            assert skip.source not in skips
            skips[os.path.relpath(skip.source, roots[0])] = skip.reason
    return sorted(names), skips


@pytest.fixture
def root(tmp_path: Path) -> Path:
    top = tmp_path / "root"
    for name in ("a.py", "p/__init__.py", "p/q/b.py", "p/README", "__pycache__/x.py", "d.py/c.py"):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    return top


ALL = ["a.py", "d.py/c.py", "p/__init__.py", "p/q/b.py"]


def test_all_sources_are_found_and_nothing_else(root: Path) -> None:
    assert found(root) == (ALL, {})


@pytest.mark.parametrize("number", [1, 2, 8])
def test_the_parts_of_a_walk_are_the_whole(root: Path, number: int) -> None:
    walk = Walk([str(root), str(root / "p"), str(root / "d.py")], TRUST, lambda _: ())
    parts = walk.divide(number)
    assert [part.width for part in parts].count(0) == max(0, number - 3)
    assert walk.width == 0
    paths = [directory.path for part in parts for directory in part]
    assert set(paths) == {str(root / name) for name in ("", "p", "p/q", "d.py")}


def test_a_link_to_a_package_inside_the_root_is_an_alias(root: Path) -> None:
    (root / "alias").symlink_to("p")
    (root / "alias.py").symlink_to("p")
    aliases = [
        f"{name}/{below}" for name in ("alias", "alias.py") for below in ("__init__.py", "q/b.py")
    ]
    assert found(root) == (sorted(ALL + aliases), {})


def test_links_upwards_and_links_below_links_end_nowhere(root: Path) -> None:
    (root / "p" / "up").symlink_to("..")
    (root / "p" / "here").symlink_to(".")
    (root / "p" / "q" / "other").symlink_to("../../r")
    (root / "alias").symlink_to("p")
    (root / "r").mkdir()
    (root / "r" / "__init__.py").touch()
    names, skips = found(root)
    assert skips == {}
    assert {name for name in names if "/up/" in name or "/here/" in name} == set()
    assert "p/q/other/__init__.py" in names
    assert "alias/q/other/__init__.py" not in names


def test_a_link_to_a_folder_that_is_no_package_is_no_alias(root: Path) -> None:
    (root / "alias").symlink_to("d.py")
    assert found(root) == (ALL, {})


def test_a_link_out_of_the_root_is_named_and_not_followed(root: Path) -> None:
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "__init__.py").touch()
    (root / "out").symlink_to(elsewhere)
    (root / "p" / "out.py").symlink_to("../../elsewhere")
    (root / "data").symlink_to("/")
    outside = Reason.OUTSIDE_ROOTS
    assert found(root) == (ALL, {"out": outside, "p/out.py": outside})


def test_each_odd_thing_is_one_skip_and_hides_nothing(root: Path) -> None:
    (root / "p" / "dangling.py").symlink_to("nothing")
    (root / "p" / "loop.py").symlink_to("loop.py")
    (root / "p" / "loop").symlink_to("loop")
    (root / "p" / "loop.txt").symlink_to("loop.txt")
    (root / "p" / "a.pyw").touch()
    (root / "p" / "__init__.pyw").touch()
    os.mkfifo(root / "p" / "fifo.py")
    for number in range(40):
        (root / "p" / f"m{number}.py").touch()
    names, skips = found(root)
    assert names == sorted([*ALL, *(f"p/m{number}.py" for number in range(40))])
    assert skips == {
        "p/dangling.py": Reason.DANGLING_LINK,
        "p/loop.py": Reason.LINK_LOOP,
        "p/fifo.py": Reason.NOT_REGULAR,
        "p/__init__.pyw": Reason.SHADOWED,
    }


def test_what_is_not_meant_to_compile_is_named(root: Path) -> None:
    names, skips = found(root, excluded=["a", "b"])
    assert names == ["d.py/c.py", "p/__init__.py"]
    assert skips == {"a.py": Reason.EXCLUDED, "p/q/b.py": Reason.EXCLUDED}


@pytest.mark.parametrize("kind", ["absent", "file", "loop"])
def test_a_root_that_cannot_be_read_is_one_skip(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "root"
    if kind == "file":
        root.touch()
    elif kind == "loop":
        root.symlink_to("root")
    (directory,) = Walk([str(root)], TRUST, lambda _: ())
    assert directory.files == {}
    assert directory.refusal is not None
    assert [skip.source for skip in directory.skips] == [str(root)]


def test_named_files_are_looked_at_one_by_one(root: Path) -> None:
    directory = named_files(str(root), ["a.py", "gone.py", "p"], TRUST)
    assert list(directory.files) == ["a.py"]
    assert {Path(skip.source).name: skip.reason for skip in directory.skips} == {
        "gone.py": Reason.VANISHED,
        "p": Reason.NOT_REGULAR,
    }


def test_nothing_is_taken_from_a_folder_that_may_not_be_read(root: Path) -> None:
    class Distrust(CallerTrust):
        def directory(self, path: str) -> Refusal | None:
            return Refusal(Reason.WRONG_OWNER, path)

        def file(self, path: str, status: os.stat_result) -> Refusal | None:  # noqa: ARG002 - a port
            raise AssertionError(path)

    directory = named_files(str(root), ["a.py"], Distrust())
    assert directory.files == {}
    assert [skip.reason for skip in directory.skips] == [Reason.WRONG_OWNER]
    (whole,) = Walk([str(root)], Distrust(), lambda _: ())
    assert (whole.files, whole.refusal) == ({}, Refusal(Reason.WRONG_OWNER, str(root)))


def test_a_file_that_may_not_feed_the_tree_is_a_skip(root: Path) -> None:
    class Distrust(CallerTrust):
        def file(self, path: str, status: os.stat_result) -> Refusal | None:  # noqa: ARG002 - a port
            return Refusal(Reason.WRITABLE_BY_OTHERS, path)

    (root / "link.py").symlink_to("a.py")
    directory = next(iter(Walk([str(root)], Distrust(), lambda _: ())))
    assert directory.files == {}
    assert {skip.reason for skip in directory.skips} == {Reason.WRITABLE_BY_OTHERS}
    assert len(directory.skips) == 2


def test_gone_is_what_is_not_there_and_nothing_else(root: Path) -> None:
    (root / "dangling.py").symlink_to("nothing")
    assert is_gone(str(root / "nothing.py"))
    assert is_gone(str(root / "a.py" / "below.py"))
    assert not is_gone(str(root / "a.py"))
    assert not is_gone(str(root / "dangling.py"))
    assert not is_gone(str(root / ("n" * 300)))


def test_a_link_is_examined_through_to_its_file(root: Path) -> None:
    class Distrust(CallerTrust):
        def link(self, path: str) -> Refusal | None:
            return Refusal(Reason.WRONG_OWNER, path)

    (root / "link.py").symlink_to("a.py")
    seen = examine(str(root / "link.py"), TRUST)
    assert not isinstance(seen, Refusal)
    assert seen.st_ino == (root / "a.py").stat().st_ino
    refused = examine(str(root / "link.py"), Distrust())
    assert isinstance(refused, Refusal)
    assert not isinstance(examine(str(root / "a.py"), Distrust()), Refusal)

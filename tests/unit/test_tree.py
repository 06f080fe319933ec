"""The tree on disk: whole files or none, and nobody else's directory."""

import errno
import os
import resource
from pathlib import Path

import pytest

from pycache_sys.core.errors import TreeError
from pycache_sys.system.tree import Tree

MTIME = 1_600_000_000_123_456_789


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(str(tmp_path / "tree"), is_system=False)
    made.create()
    return made


def read(tree: Tree, name: str) -> bytes:
    return Path(tree.path, name).read_bytes()


def test_files_are_installed_with_content_mode_and_stamp(tree: Tree) -> None:
    tree.install("3.11/a/b", [("x.pyc", b"one"), ("y.pyc", b"two")], mtime=MTIME, mode=0o640)
    assert read(tree, "3.11/a/b/x.pyc") == b"one"
    status = Path(tree.path, "3.11/a/b/y.pyc").stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns, status.st_size) == (0o640, MTIME, 3)
    assert sorted(os.listdir(Path(tree.path, "3.11/a/b"))) == ["x.pyc", "y.pyc"]


def test_none_is_another_name_of_the_file_before(tree: Tree) -> None:
    for _ in range(2):
        tree.install("3.11", [("x", b"1"), ("y", None), ("z", None)], mtime=MTIME, mode=0o644)
        numbers = {Path(tree.path, "3.11", name).stat().st_ino for name in "xyz"}
        assert len(numbers) == 1
        assert sorted(os.listdir(Path(tree.path, "3.11"))) == ["x", "y", "z"]


def test_a_tree_that_is_deleted_meanwhile_is_made_anew(tree: Tree) -> None:
    tree.install("3.11/a", [("x", b"1")], mtime=MTIME, mode=0o644)
    top = Path(tree.path)
    top.rename(top.with_name("away"))
    tree.close()
    tree.install("3.11/a", [("x", b"2")], mtime=MTIME, mode=0o644)
    assert read(tree, "3.11/a/x") == b"2"
    assert (top / "CACHEDIR.TAG").exists()


def test_a_folder_that_is_deleted_under_us_is_made_anew(tree: Tree) -> None:
    tree.install("3.11/a", [("x", b"1")], mtime=MTIME, mode=0o644)
    Path(tree.path, "3.11/a/x").unlink()
    Path(tree.path, "3.11/a").rmdir()
    tree.install("3.11/a", [("x", b"2")], mtime=MTIME, mode=0o644)
    assert read(tree, "3.11/a/x") == b"2"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_write_that_fails_leaves_the_old_file_and_no_half_one(tree: Tree) -> None:
    tree.install("3.11", [("x", b"old")], mtime=MTIME, mode=0o644)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            tree.install("3.11", [("x", b"n" * 5000)], mtime=MTIME, mode=0o644)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.listdir(Path(tree.path, "3.11")) == ["x"]
    assert read(tree, "3.11/x") == b"old"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_takes_nothing(tree: Tree, mode: int) -> None:
    tree.install("3.11/a", [("x", b"1")], mtime=MTIME, mode=0o644)
    tree.close()
    Path(tree.path, "3.11").chmod(mode)
    with pytest.raises(TreeError, match="writable by others"):
        tree.install("3.11/a", [("x", b"2")], mtime=MTIME, mode=0o644)
    with pytest.raises(TreeError, match="writable by others"):
        tree.remove("3.11/a/x")
    assert read(tree, "3.11/a/x") == b"1"


def test_somebody_elses_tree_is_refused(tree: Tree) -> None:
    tree.close()
    tree.owner = os.geteuid() + 1
    with pytest.raises(TreeError, match=f"belongs to uid {os.geteuid()}"):
        tree.create()


@pytest.mark.parametrize("place", ["3.11", "3.11/a"])
def test_no_link_is_followed(tree: Tree, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "a").mkdir(parents=True)
    (elsewhere / "a" / "x").write_bytes(b"theirs")
    (elsewhere / "x").write_bytes(b"theirs")
    link = Path(tree.path, place)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        tree.install("3.11/a", [("x", b"ours")], mtime=MTIME, mode=0o644)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        tree.remove("3.11/a/x")
    assert {path.read_bytes() for path in elsewhere.rglob("x")} == {b"theirs"}


def test_removing_tells_whether_it_was_there(tree: Tree) -> None:
    tree.install("3.11/a", [("x", b"1")], mtime=MTIME, mode=0o644)
    assert tree.remove("3.11/a/x")
    assert not tree.remove("3.11/a/x")
    assert not tree.remove("3.11/nothing/x")


def test_only_empty_folders_are_removed_and_never_the_top(tree: Tree) -> None:
    for folder in ("3.11/a/b/c", "3.11/d", "3.12"):
        Path(tree.path, folder).mkdir(parents=True)
    Path(tree.path, "3.11/d/kept").touch()
    tree.remove_empty(["3.11/a/b/c", "3.11/d", "3.12", "3.13/gone"])
    assert sorted(p.name for p in Path(tree.path).rglob("*") if p.is_dir()) == ["3.11", "d"]


def test_an_unreadable_or_absent_folder_is_an_empty_one(tree: Tree) -> None:
    assert tree.read_directory("nothing").entries == {}


def test_reading_never_waits_and_never_follows(tree: Tree) -> None:
    folder = Path(tree.path, "3.11")
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("file")
    (folder / "file").write_bytes(b"0123456789abcdefghi")
    (folder / "below").mkdir()
    found = tree.read_directory("3.11")
    assert found.subdirectories == ("below",)
    assert found.entries["file"].header == b"0123456789abcdef"
    assert found.entries["fifo"].header == found.entries["link"].header == b""


def test_granularity_is_measured_and_leaves_nothing(tree: Tree) -> None:
    assert tree.granularity() in (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)
    assert os.listdir(tree.path) == ["CACHEDIR.TAG"]


def test_many_folders_do_not_use_up_descriptors(tree: Tree) -> None:
    for number in range(600):
        tree.install(f"3.11/{number}", [("x", b"1")], mtime=MTIME, mode=0o644)
    assert len(os.listdir("/proc/self/fd")) < 400
    tree.close()
    assert len(os.listdir("/proc/self/fd")) < 100


def test_a_tag_that_is_there_is_left_as_it_is(tree: Tree) -> None:
    tag = Path(tree.path, "CACHEDIR.TAG")
    tag.write_text("mine")
    tree.create()
    assert tag.read_text() == "mine"


def test_a_deep_folder_is_reached_without_recursion(tree: Tree) -> None:
    deep = "/".join(["d"] * 1_200)
    try:
        tree.install(deep, [("x", b"1")], mtime=MTIME, mode=0o644)
        assert tree.remove(f"{deep}/x")
        tree.remove_empty([deep])
        assert os.listdir(tree.path) == ["CACHEDIR.TAG"]
    finally:
        tree.close()
        os.system(f"rm -rf '{tree.path}'")  # noqa: S605 - rmtree recurses too

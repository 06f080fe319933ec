"""A file system that takes nothing any more: no torn file, and clear words."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from security.machine import (
    LIBRARY,
    TREE,
    Machine,
    corpus,
    entries,
    entry,
    invalid,
    leftovers,
    make_directory,
    write,
)
from security.namespace import BIND, READ_ONLY, REMOUNT, mount, mounted

TAG_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"


@contextmanager
def small(options: str) -> Iterator[None]:
    """Put a small file system under the tree."""
    make_directory(TREE)
    with mounted("tmpfs", str(TREE), "tmpfs", options=f"mode=755,{options}"):
        yield


def fill_up() -> None:
    """Leave no space on the tree's file system."""
    with (TREE / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


@pytest.mark.parametrize("options", ["size=256k", "size=1m", "size=4k", "nr_inodes=40"])
def test_a_full_disk_stops_the_run_and_tears_nothing(box: Machine, options: str) -> None:
    sources = corpus(LIBRARY, 250)
    with small(options):
        run = box.rebuild(LIBRARY)
        assert run.status == 5
        assert str(TREE) in run.report["stopped"]
        assert "space" in run.report["stopped"]
        assert leftovers() == []
        assert invalid() == []
        assert len(entries()) < len(sources)
        mount("none", str(TREE), flags=REMOUNT, options="mode=755,size=64m,nr_inodes=10000")
        again = box.rebuild(LIBRARY)
        assert again.status == 0
        assert entries() == set(map(entry, sources))
        assert invalid() == []
        tag = TREE / "CACHEDIR.TAG"
        assert tag.read_text().startswith(TAG_SIGNATURE)


def test_an_update_on_a_full_disk_leaves_no_torn_entry(box: Machine) -> None:
    sources = corpus(LIBRARY, 60)
    with small("size=16m"):
        assert box.rebuild(LIBRARY).count("compiled") == len(sources)
        corpus(LIBRARY, 60, lines=90)
        fill_up()
        run = box.rebuild(LIBRARY)
        assert run.status == 5
        assert leftovers() == []
        (TREE / "ballast").unlink()
        assert box.rebuild(LIBRARY).status == 0
        assert invalid() == []


@pytest.mark.parametrize("present", [True, False])
def test_a_read_only_tree_is_said_to_be_one(box: Machine, present: bool) -> None:
    source = write(LIBRARY / "module.py")
    if present:
        assert box.rebuild(LIBRARY).status == 0
        write(source, "CHANGED = True\n")
    place = TREE if present else TREE.parent
    with mounted(str(place), str(place), flags=BIND):
        mount("none", str(place), flags=BIND | REMOUNT | READ_ONLY)
        status, complaint = box.complain(LIBRARY)
        assert status == 5
        assert f"{TREE}: Read-only file system" in complaint
        assert "writable" in complaint
        assert box.complain(LIBRARY, "--best-effort")[0] == 0


def test_the_message_about_a_full_disk_says_what_to_do(box: Machine) -> None:
    corpus(LIBRARY, 250)
    with small("size=256k"):
        status, complaint = box.complain(LIBRARY)
    assert status == 5
    assert f"{TREE}: No space left on device" in complaint
    assert "Free some space" in complaint
    assert "run again" in complaint

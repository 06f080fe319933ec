"""--tree without root: a user's own sources, in a tree of his own, as private as they are."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from security.machine import (
    HOME,
    LIBRARY,
    MALLORY,
    TREE,
    Machine,
    entry,
    give,
    invalid,
    make_directory,
    write,
)

OTHER = MALLORY + 1
MINE = HOME / "tree"
PROJECT = HOME / "project"


def mine(path: Path, *, mode: int = 0o644) -> Path:
    """Write a source of the user's."""
    write(path, mode=mode)
    give(path.parent)
    give(path)
    return path


def can_read(path: Path, uid: int) -> bool:
    """Let the kernel say whether another user reads a file."""
    ids: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
    return not subprocess.run(
        ["cat", str(path)], **ids, capture_output=True, check=False
    ).returncode


def test_a_users_own_sources_will_do(box: Machine) -> None:
    source = mine(PROJECT / "module.py")
    run = box.rebuild_as(MALLORY, "--tree", MINE, PROJECT)
    assert (run.status, run.count("compiled")) == (0, 1)
    assert run.report["workers"] == "caller"
    assert entry(source, MINE).stat().st_uid == MALLORY
    assert invalid(MINE) == []


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_bytecode_is_as_private_as_its_source(box: Machine, mask: int) -> None:
    private = mine(PROJECT / "private.py", mode=0o600)
    public = mine(PROJECT / "public.py")
    hidden = mine(PROJECT / "closed" / "hidden.py")
    hidden.parent.chmod(0o700)
    assert box.rebuild_as(MALLORY, "--tree", MINE, PROJECT, umask=mask).status == 0
    for source in (private, hidden):
        made = entry(source, MINE)
        assert can_read(made, MALLORY)
        assert not can_read(made, OTHER)
    assert entry(private, MINE).stat().st_mode & 0o077 == 0
    assert entry(hidden, MINE).parent.stat().st_mode & 0o077 == 0
    assert can_read(entry(public, MINE), OTHER)


def test_what_becomes_private_later_becomes_so_in_the_tree(box: Machine) -> None:
    source = mine(PROJECT / "closed" / "module.py")
    assert box.rebuild_as(MALLORY, "--tree", MINE, PROJECT).status == 0
    assert can_read(entry(source, MINE), OTHER)
    source.parent.chmod(0o700)
    assert box.rebuild_as(MALLORY, "--tree", MINE, PROJECT).status == 0
    assert not can_read(entry(source, MINE), OTHER)


def test_root_in_its_own_tree_keeps_a_users_privacy_too(box: Machine) -> None:
    private = mine(PROJECT / "private.py", mode=0o600)
    hidden = mine(PROJECT / "closed" / "hidden.py")
    hidden.parent.chmod(0o700)
    tree = Path("/opt/tree")
    assert box.rebuild("--tree", tree, PROJECT).status == 0
    for source in (private, hidden):
        assert not can_read(entry(source, tree), OTHER)


def test_the_system_tree_is_roots_and_the_message_names_the_way_out(box: Machine) -> None:
    write(LIBRARY / "module.py")
    run = box.rebuild_as(MALLORY, LIBRARY)
    assert run.status == 5
    assert "--tree" in run.stderr
    assert not TREE.exists()


@pytest.mark.parametrize(
    "name", ["/var/cache/../cache/python", "/opt/alias", "/var/cache/python/", "//var/cache/python"]
)
def test_the_system_tree_by_another_name_has_its_rules(box: Machine, name: str) -> None:
    theirs = write(LIBRARY / "theirs.py")
    give(theirs)
    Path("/opt/alias").symlink_to(TREE)
    make_directory(TREE)
    box.rebuild("--tree", name, LIBRARY)
    assert not entry(theirs).exists()


@pytest.mark.parametrize("attack", ["owner", "writable", "link-of-a-user", "subdirectory"])
def test_a_tree_that_others_control_is_refused(box: Machine, attack: str) -> None:
    source = mine(PROJECT / "module.py")
    make_directory(MINE)
    give(MINE)
    match attack:
        case "owner":
            give(MINE, OTHER)
        case "writable":
            MINE.chmod(0o777)
        case "link-of-a-user":
            MINE.rmdir()
            MINE.symlink_to(make_directory(Path("/opt/victim")))
        case _:
            place = entry(source, MINE).parent
            for path in (place, *place.parents):
                make_directory(place)
                if path == MINE:
                    break
                give(path)
            give(place, OTHER)
    run = box.rebuild_as(MALLORY, "--tree", MINE, PROJECT)
    assert run.status in {1, 5}
    assert not entry(source, MINE).exists()
    assert str(MINE) in run.stdout + run.stderr


def test_the_lock_of_a_users_tree_is_his(box: Machine) -> None:
    mine(PROJECT / "module.py")
    assert box.rebuild_as(MALLORY, "--tree", MINE, PROJECT, umask=0).status == 0
    (lock,) = MINE.glob(".pycache-sys.lock")
    assert lock.stat().st_mode & 0o7777 == 0o600
    assert os.stat(lock).st_uid == MALLORY

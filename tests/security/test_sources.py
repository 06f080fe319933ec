"""Into the system tree: only what root alone can change, and everybody can read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from security.machine import (
    HOME,
    LIBRARY,
    MALLORY,
    TREE,
    Machine,
    entries,
    entry,
    give,
    invalid,
    make_directory,
    slow_source,
    write,
)
from security.posix_acl import grant
from security.processes import until, workers

PACKAGE = LIBRARY / "above" / "package"
VICTIM = PACKAGE / "victim.py"
OWNER = "wrong-owner"
WRITABLE = "writable-by-others"
UNREADABLE = "not-readable-by-all"


def link_of_a_user() -> None:
    VICTIM.rename(LIBRARY / "real.txt")
    VICTIM.symlink_to(LIBRARY / "real.txt")
    give(VICTIM)


def link_into_a_users_directory() -> None:
    VICTIM.unlink()
    write(HOME / "real.py")
    VICTIM.symlink_to(HOME / "real.py")


def link_through_a_users_link() -> None:
    VICTIM.rename(LIBRARY / "real.txt")
    (HOME / "step").symlink_to(LIBRARY)
    VICTIM.symlink_to(HOME / "step" / "real.txt")


def link_to_a_users_source() -> None:
    VICTIM.rename(LIBRARY / "real.txt")
    give(LIBRARY / "real.txt")
    VICTIM.symlink_to("../../real.txt")


def hard_link_of_a_users_file() -> None:
    VICTIM.unlink()
    theirs = write(LIBRARY / "theirs" / "file")
    give(theirs)
    os.link(theirs, VICTIM)


ATTACKS: dict[str, tuple[Callable[[], None], str]] = {
    "source-of-a-user": (lambda: give(VICTIM), OWNER),
    "source-writable-by-group": (lambda: VICTIM.chmod(0o664), WRITABLE),
    "source-writable-by-others": (lambda: VICTIM.chmod(0o646), WRITABLE),
    "source-with-acl": (lambda: grant(VICTIM, MALLORY, permissions=6), WRITABLE),
    "source-0600": (lambda: VICTIM.chmod(0o600), UNREADABLE),
    "source-0640": (lambda: VICTIM.chmod(0o640), UNREADABLE),
    "directory-of-a-user": (lambda: give(PACKAGE), OWNER),
    "directory-writable-by-group": (lambda: PACKAGE.chmod(0o775), WRITABLE),
    "directory-writable-by-others": (lambda: PACKAGE.chmod(0o757), WRITABLE),
    "directory-sticky": (lambda: PACKAGE.chmod(0o1777), WRITABLE),
    "directory-with-acl": (lambda: grant(PACKAGE, MALLORY, permissions=7), WRITABLE),
    "directory-0700": (lambda: PACKAGE.chmod(0o700), UNREADABLE),
    "ancestor-of-a-user": (lambda: give(PACKAGE.parent), OWNER),
    "ancestor-writable": (lambda: PACKAGE.parent.chmod(0o775), WRITABLE),
    "ancestor-sticky": (lambda: PACKAGE.parent.chmod(0o1777), WRITABLE),
    "ancestor-0700": (lambda: PACKAGE.parent.chmod(0o700), UNREADABLE),
    "ancestor-with-acl": (lambda: grant(PACKAGE.parent, MALLORY, permissions=7), WRITABLE),
    "link-of-a-user": (link_of_a_user, OWNER),
    "link-into-a-users-directory": (link_into_a_users_directory, OWNER),
    "link-through-a-users-link": (link_through_a_users_link, OWNER),
    "link-to-a-users-source": (link_to_a_users_source, OWNER),
    "hard-link-of-a-users-file": (hard_link_of_a_users_file, OWNER),
}


def skipped_at(source: Path) -> tuple[Path, ...]:
    """Name the places whose refusal covers a source."""
    return source, source.parent, source.parent.parent


@pytest.mark.parametrize("pruning", ["--prune", "--no-prune"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_others_control_is_skipped_and_taken_out_again(
    box: Machine, attack: str, pruning: str
) -> None:
    do, reason = ATTACKS[attack]
    write(VICTIM)
    sound = write(LIBRARY / "sound.py")
    first = box.rebuild(LIBRARY)
    assert first.status == 0
    assert entries() >= {entry(VICTIM), entry(sound)}

    do()
    late = write(LIBRARY / "late.py")
    second = box.rebuild(LIBRARY, pruning)

    assert second.status == 0, second.stderr
    assert {second.reason(path) for path in skipped_at(VICTIM)} - {None} == {reason}
    assert entries() == {entry(sound), entry(late)}
    assert invalid() == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_source_named_by_itself_is_judged_alike(box: Machine, attack: str) -> None:
    do, reason = ATTACKS[attack]
    write(VICTIM)
    assert box.rebuild(VICTIM).count("compiled") == 1
    do()
    run = box.rebuild(VICTIM)
    assert run.reason(VICTIM) == reason
    assert entries() == set()


@pytest.mark.parametrize("attack", ["source-of-a-user", "directory-0700", "source-0600"])
def test_the_parents_own_checks_do_without_the_account(bare_box: Machine, attack: str) -> None:
    do, reason = ATTACKS[attack]
    write(VICTIM)
    do()
    run = bare_box.rebuild(LIBRARY)
    assert {run.reason(path) for path in skipped_at(VICTIM)} - {None} == {reason}
    assert entries() == set()


def test_a_root_reached_through_a_users_link_is_skipped(box: Machine) -> None:
    source = write(LIBRARY / "module.py")
    way = HOME / "way"
    way.symlink_to(LIBRARY)
    assert box.rebuild(way).reason(way) == OWNER
    assert box.rebuild(way / "module.py").reason(way / "module.py") == OWNER
    assert entries() == set()
    assert source.exists()


def test_a_users_link_to_a_directory_is_not_followed(box: Machine) -> None:
    write(LIBRARY / "real" / "module.py")
    alias = LIBRARY / "alias"
    alias.symlink_to("real")
    give(alias)
    box.rebuild(LIBRARY)
    assert entries() == {entry(LIBRARY / "real" / "module.py")}


def test_what_a_user_swaps_during_the_run_is_not_published(box: Machine) -> None:
    """The source is root's when it is planned, a user's when its bytecode comes back."""
    slow = slow_source(VICTIM)
    process = box.start("-j1", LIBRARY)
    until(lambda: workers(process.pid))
    give(slow)
    run = box.finish(process)
    assert run.reason(slow) in {OWNER, "changed"}
    assert entries() == set()


def test_the_tree_itself_stays_roots(box: Machine) -> None:
    write(VICTIM)
    grant_target = make_directory(TREE)
    grant(grant_target, MALLORY, permissions=7, kind="default")
    assert box.rebuild(LIBRARY).status == 0
    made = entry(VICTIM)
    assert os.stat(made).st_mode & 0o7777 == 0o644
    assert os.stat(made.parent).st_mode & 0o7777 == 0o755

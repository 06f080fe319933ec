"""Only what root alone can write, and everybody can read, feeds the system tree."""

import errno
import os
from pathlib import Path
from stat import S_IFDIR, S_IFREG

import pytest

from pycache_sys.core.model import Reason, Refusal
from pycache_sys.system.trust import CallerTrust, RootTrust, judge_status, refusal_of
from strategies import status


@pytest.mark.parametrize(
    "mode", [S_IFREG | 0o644, S_IFREG | 0o444, S_IFDIR | 0o755, S_IFDIR | 0o711]
)
def test_roots_own_is_trusted(mode: int) -> None:
    assert judge_status("/x", status(mode=mode)) is None


@pytest.mark.parametrize(
    ("mode", "uid", "reason"),
    [
        (S_IFREG | 0o644, 1000, Reason.WRONG_OWNER),
        (S_IFREG | 0o664, 0, Reason.WRITABLE_BY_OTHERS),
        (S_IFREG | 0o646, 0, Reason.WRITABLE_BY_OTHERS),
        (S_IFDIR | 0o1777, 0, Reason.WRITABLE_BY_OTHERS),
        (S_IFREG | 0o640, 0, Reason.NOT_READABLE_BY_ALL),
        (S_IFDIR | 0o750, 0, Reason.NOT_READABLE_BY_ALL),
        (S_IFDIR | 0o754, 0, Reason.NOT_READABLE_BY_ALL),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(mode: int, uid: int, reason: Reason) -> None:
    refusal = judge_status("/x", status(mode=mode, uid=uid))
    assert refusal is not None
    assert refusal.reason is reason
    assert "/x" in refusal.detail


@pytest.mark.parametrize(
    ("mode", "words"),
    [(0o664, "its group"), (0o646, "others"), (0o666, "its group and by others")],
)
def test_a_refusal_says_who_may_write(mode: int, words: str) -> None:
    refusal = judge_status("/x", status(mode=S_IFREG | mode))
    assert refusal is not None
    assert f"writable by {words} (mode 0{mode:o})" in refusal.detail


def test_a_folder_below_one_that_others_may_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    below = shared / "a" / "b"
    below.mkdir(parents=True)
    shared.chmod(0o777)
    trust = RootTrust()
    refusal = trust.directory(str(below))
    assert refusal is not None
    assert refusal.reason in (
        Reason.WRITABLE_BY_OTHERS,
        Reason.WRONG_OWNER,
        Reason.NOT_READABLE_BY_ALL,
    )
    assert trust.directory(str(below)) == refusal
    assert trust.directory("/") is None


def test_a_folder_that_is_not_there_is_refused() -> None:
    refusal = RootTrust().directory("/no-such-folder-anywhere/x")
    assert refusal is not None
    assert refusal.reason is Reason.VANISHED


def test_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/")
    assert RootTrust().link(str(link)) is not None


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, Reason.VANISHED),
        (errno.ENOTDIR, Reason.VANISHED),
        (errno.ELOOP, Reason.LINK_LOOP),
        (errno.EACCES, Reason.UNREADABLE),
        (errno.EIO, Reason.UNREADABLE),
    ],
)
def test_an_error_has_its_reason(number: int, reason: Reason) -> None:
    assert refusal_of(OSError(number, os.strerror(number), "/x")).reason is reason


def test_the_caller_may_feed_a_tree_of_their_own_with_anything() -> None:
    trust = CallerTrust()
    assert trust.directory("/x") is None
    assert trust.file("/x", status(mode=S_IFREG | 0o666, uid=7)) is None
    assert trust.link("/x") is None
    assert isinstance(RootTrust().file("/x", status(uid=7)), Refusal)

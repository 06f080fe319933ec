"""Only what root alone can write, and everybody can read, feeds the system tree."""

import errno
import os
from pathlib import Path
from stat import S_IFDIR, S_IFREG

import pytest

from fake_system import ADA, FakeSystem
from pycache_sys.core.model import Reason, Refusal
from pycache_sys.system.trust import (
    CallerTrust,
    OwnerTrust,
    OwnFileTrust,
    OwnTrust,
    RootTrust,
    judge_status,
    refusal_of,
)
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


class TestAnOwnersRoot:
    """What lies below it may be the owner's, and all the way to it is root's."""

    @pytest.fixture
    def top(self, system: FakeSystem) -> Path:
        system.write(system.folder / "srv" / "app" / "lib" / "a.py")
        return system.folder / "srv"

    @pytest.mark.parametrize("whose", ["app", "app/lib", "app/lib/a.py"])
    @pytest.mark.parametrize(
        ("uid", "reason"), [(0, None), (ADA, None), (ADA + 1, Reason.WRONG_OWNER)]
    )
    def test_what_is_below_it_is_roots_or_the_owners(
        self, system: FakeSystem, top: Path, whose: str, uid: int, reason: Reason | None
    ) -> None:
        system.os.declare(top / whose, uid=uid)
        found = OwnerTrust(ADA, f"{top}/app").link(f"{top}/app/lib/a.py")
        assert (found and found.reason) == reason

    def test_what_is_above_it_or_beside_it_is_roots(self, system: FakeSystem, top: Path) -> None:
        (top / "application").mkdir()
        system.os.declare(top / "application", uid=ADA)
        trust = OwnerTrust(ADA, f"{top}/app")
        refusal = trust.directory(f"{top}/application")
        assert refusal == (
            Reason.WRONG_OWNER,
            f"{top}/application belongs to uid {ADA}, not to root",
        )
        system.os.declare(top, uid=ADA)
        assert OwnerTrust(ADA, f"{top}/app").directory(f"{top}/app") is not None

    @pytest.mark.parametrize("mode", [0o775, 0o757])
    def test_nobody_else_may_write_there(self, system: FakeSystem, top: Path, mode: int) -> None:
        system.os.declare(top / "app", uid=ADA, mode=mode)
        refusal = OwnerTrust(ADA, f"{top}/app").directory(f"{top}/app/lib")
        assert refusal is not None
        assert refusal.reason is Reason.WRITABLE_BY_OTHERS

    def test_a_file_is_judged_by_where_it_is(self, top: Path) -> None:
        trust = OwnerTrust(ADA, f"{top}/app")
        assert trust.file(f"{top}/app/a.py", status(uid=ADA)) is None
        assert trust.file(f"{top}/a.py", status(uid=ADA)) is not None
        refusal = trust.file(f"{top}/app/a.py", status(uid=7))
        assert refusal is not None
        assert refusal.detail.endswith(f"belongs to uid 7, not to root, nor to uid {ADA}")

    def test_a_link_of_the_owners_leads_to_what_is_trusted_only(
        self, system: FakeSystem, top: Path
    ) -> None:
        inside, outside, foreign = (top / "app" / name for name in ("inside", "outside", "foreign"))
        secret = system.write(top / "secret" / "b.py")
        inside.symlink_to("lib/a.py")
        outside.symlink_to(secret)
        foreign.symlink_to("lib/a.py")
        for link in (inside, outside):
            system.os.declare(link, uid=ADA)
        system.os.declare(foreign, uid=ADA + 1)
        trust = OwnerTrust(ADA, f"{top}/app")
        assert trust.link(str(inside)) is None
        assert trust.link(str(outside)) is None
        assert trust.link(str(foreign)) is not None
        system.os.declare(secret, uid=ADA)
        assert OwnerTrust(ADA, f"{top}/app").link(str(outside)) is not None

    def test_a_link_to_it_from_elsewhere_is_roots(self, system: FakeSystem, top: Path) -> None:
        link = top / "link"
        link.symlink_to("app")
        system.os.declare(top / "app", uid=ADA)
        assert OwnerTrust(ADA, f"{top}/app").directory(f"{top}/link/lib") is None
        system.os.declare(link, uid=ADA)
        assert OwnerTrust(ADA, f"{top}/app").directory(f"{top}/link/lib") is not None


class TestAFileOfTheCallers:
    @pytest.mark.parametrize("mode", [0o644, 0o600, 0o400])
    @pytest.mark.parametrize("uid", [0, os.geteuid()])
    def test_it_is_roots_or_their_own_and_may_be_private(self, mode: int, uid: int) -> None:
        found = OwnFileTrust().file("/x", status(mode=S_IFREG | mode, uid=uid))
        assert found is None

    @pytest.mark.parametrize(
        ("mode", "uid", "reason"),
        [
            (0o644, os.geteuid() + 1, Reason.WRONG_OWNER),
            (0o600, os.geteuid() + 1, Reason.WRONG_OWNER),
            (0o664, os.geteuid(), Reason.WRITABLE_BY_OTHERS),
            (0o602, os.geteuid(), Reason.WRITABLE_BY_OTHERS),
        ],
    )
    def test_nobody_else_could_have_written_it(self, mode: int, uid: int, reason: Reason) -> None:
        found = OwnFileTrust().file("/x", status(mode=S_IFREG | mode, uid=uid))
        assert found is not None
        assert found.reason is reason

    def test_it_may_stand_anywhere(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o777)
        assert OwnFileTrust().directory(str(tmp_path)) is None
        assert OwnFileTrust().link(str(tmp_path / "link")) is None


class TestWhatTheCallerWouldRun:
    """It is root's or their own, with all of the way to it; ``posix`` shows what is declared."""

    @pytest.fixture
    def program(self, system: FakeSystem) -> str:
        return str(system.write(system.folder / "home" / "bin" / "python"))

    def test_it_may_be_roots(self, program: str) -> None:
        assert OwnTrust().directory(program) is None
        assert OwnTrust().file(program, status(uid=7)) is None
        assert OwnTrust().link(program) is None

    @pytest.mark.parametrize("mode", [0o755, 0o700, 0o711, 0o500])
    def test_it_may_be_their_own_and_private(
        self, system: FakeSystem, program: str, mode: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(system.os, "geteuid", lambda: ADA, raising=False)
        for path in (program, os.path.dirname(program)):
            system.os.declare(path, uid=ADA, mode=mode)
        assert OwnTrust().directory(program) is None

    @pytest.mark.parametrize("whose", ["home", "home/bin", "home/bin/python"])
    @pytest.mark.parametrize("caller", [0, ADA + 1])
    def test_it_is_nobody_elses_and_neither_is_the_way(
        self,
        system: FakeSystem,
        program: str,
        whose: str,
        caller: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(system.os, "geteuid", lambda: caller, raising=False)
        system.os.declare(system.folder / whose, uid=ADA)
        for judge in (OwnTrust().directory, OwnTrust().link):
            assert judge(program) == (
                Reason.WRONG_OWNER,
                f"{program}: it, or a directory above it, belongs to uid {ADA}",
            )
        refusal = OwnTrust().file(program, status())
        assert refusal is not None
        assert refusal.reason is Reason.WRONG_OWNER

    @pytest.mark.parametrize("whose", ["home", "home/bin", "home/bin/python"])
    @pytest.mark.parametrize(
        ("mode", "words"),
        [(0o775, "its group"), (0o757, "others"), (0o777, "its group and by others")],
    )
    def test_nobody_else_writes_it_or_the_way(
        self, system: FakeSystem, program: str, whose: str, mode: int, words: str
    ) -> None:
        system.os.declare(system.folder / whose, mode=mode)
        assert OwnTrust().directory(program) == (
            Reason.WRITABLE_BY_OTHERS,
            f"{program}: it, or a directory above it, is writable by {words}",
        )

    def test_a_sticky_folder_will_do_if_it_is_roots(
        self, system: FakeSystem, program: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system.os.declare(system.folder / "home", mode=0o1777)
        assert OwnTrust().directory(program) is None
        monkeypatch.setattr(system.os, "geteuid", lambda: ADA, raising=False)
        system.os.declare(system.folder / "home", uid=ADA, mode=0o1777)
        refusal = OwnTrust().directory(program)
        assert refusal is not None
        assert refusal.reason is Reason.WRITABLE_BY_OTHERS

    def test_a_sticky_file_will_not_do(self, system: FakeSystem, program: str) -> None:
        system.os.declare(program, mode=0o1777)
        refusal = OwnTrust().directory(program)
        assert refusal is not None
        assert refusal.reason is Reason.WRITABLE_BY_OTHERS

    def test_a_link_is_judged_with_where_it_leads(self, system: FakeSystem, program: str) -> None:
        link = system.folder / "link"
        link.symlink_to(program)
        assert OwnTrust().link(str(link)) is None
        system.os.declare(os.path.dirname(program), uid=ADA)
        assert OwnTrust().link(str(link)) is not None
        system.os.declare(os.path.dirname(program))
        system.os.declare(link, uid=ADA)
        refusal = OwnTrust().link(str(link))
        assert refusal is not None
        assert refusal.reason is Reason.WRONG_OWNER

    def test_what_is_not_there_is_refused(self, system: FakeSystem) -> None:
        loop = system.folder / "loop"
        loop.symlink_to("loop")
        for path, reason in (
            (f"{system.folder}/nothing/python", Reason.VANISHED),
            (str(loop), Reason.LINK_LOOP),
        ):
            refusal = OwnTrust().directory(path)
            assert refusal is not None
            assert refusal.reason is reason

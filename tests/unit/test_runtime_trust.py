"""The hook's rule: what root alone can change, also where root has another number."""

import os
from pathlib import Path
from stat import S_IFDIR, S_IFREG

import pytest

from fake_system import ADA, FakeSystem
from pycache_sys.system.trust import RootTrust
from pycache_sys_runtime.hook import OVERFLOW, is_roots
from pycache_sys_runtime.trust import only_root_changes
from strategies import status


@pytest.mark.parametrize("mode", [S_IFREG | 0o644, S_IFREG | 0o600, S_IFDIR | 0o755])
def test_what_root_owns_and_nobody_else_writes_is_roots(mode: int) -> None:
    assert is_roots(status(mode=mode))


@pytest.mark.parametrize(
    ("uid", "mode"), [(ADA, 0o644), (0, 0o664), (0, 0o646), (0, 0o1777), (ADA, 0o666)]
)
def test_what_others_own_or_write_is_not_roots(uid: int, mode: int) -> None:
    assert not is_roots(status(uid=uid, mode=S_IFREG | mode))


def test_the_overflow_uid_is_root_where_usr_is_its_own(system: FakeSystem) -> None:
    assert not is_roots(status(uid=OVERFLOW))
    system.os.declare(os.path.realpath("/usr"), uid=OVERFLOW)
    assert is_roots(status(uid=OVERFLOW))
    assert not is_roots(status(uid=OVERFLOW, mode=S_IFREG | 0o664))


def test_the_overflow_uid_is_not_root_where_there_is_no_usr(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stat(path: str) -> os.stat_result:
        raise FileNotFoundError(path)

    monkeypatch.setattr(system.os, "stat", stat)
    assert not is_roots(status(uid=OVERFLOW))


@pytest.fixture
def file(system: FakeSystem) -> Path:
    return system.write(system.folder / "a" / "b" / "file")


class TestTheWay:
    def test_root_is_trusted_with_all_of_it(self, file: Path) -> None:
        assert only_root_changes(str(file))
        assert only_root_changes(f"{file.parent}//./../b/file")
        assert only_root_changes("/")

    @pytest.mark.parametrize("part", ["", "a", "a/b", "a/b/file"])
    def test_others_are_trusted_with_no_part_of_it(
        self, system: FakeSystem, file: Path, part: str
    ) -> None:
        system.os.declare(system.folder / part, uid=ADA)
        assert not only_root_changes(str(file))

    @pytest.mark.parametrize("part", ["", "a", "a/b", "a/b/file"])
    def test_no_part_of_it_may_be_writable_by_others(
        self, system: FakeSystem, file: Path, part: str
    ) -> None:
        system.os.declare(system.folder / part, mode=0o1777)
        assert not only_root_changes(str(file))

    @pytest.mark.parametrize("target", ["b/file", "../a/b/file", "{}/a/b/file", "./b//file"])
    def test_a_link_of_roots_is_followed(self, system: FakeSystem, file: Path, target: str) -> None:
        link = system.folder / "a" / "link"
        link.symlink_to(target.format(system.folder))
        assert only_root_changes(str(link))
        system.os.declare(file, uid=ADA)
        assert not only_root_changes(str(link))

    @pytest.mark.usefixtures("file")
    def test_a_link_in_the_middle_is_followed(self, system: FakeSystem) -> None:
        (system.folder / "link").symlink_to("a/b")
        assert only_root_changes(f"{system.folder}/link/file")
        assert only_root_changes(f"{system.folder}/link/../b/file")
        assert not only_root_changes(f"{system.folder}/link/b/file")

    @pytest.mark.parametrize("uid", [ADA, OVERFLOW])
    def test_a_link_is_judged_by_its_owner_too(
        self, system: FakeSystem, file: Path, uid: int
    ) -> None:
        link = system.folder / "link"
        link.symlink_to(file)
        assert only_root_changes(str(link))
        system.os.declare(link, uid=uid)
        assert not only_root_changes(str(link))

    def test_a_links_owner_may_be_root_by_another_number(
        self, system: FakeSystem, file: Path
    ) -> None:
        link = system.folder / "link"
        link.symlink_to(file)
        system.os.declare(link, uid=OVERFLOW)
        system.os.declare(os.path.realpath("/usr"), uid=OVERFLOW)
        assert only_root_changes(str(link))

    def test_a_loop_ends_nowhere(self, system: FakeSystem) -> None:
        (system.folder / "one").symlink_to("two")
        (system.folder / "two").symlink_to("one")
        assert not only_root_changes(f"{system.folder}/one")

    @pytest.mark.parametrize("name", ["nothing", "nothing/x", "file/x", "\0"])
    def test_what_is_not_there_is_nobodys(self, system: FakeSystem, name: str) -> None:
        system.write(system.folder / "file")
        assert not only_root_changes(f"{system.folder}/{name}")

    @pytest.mark.parametrize("where", ["a", "a/b", "a/b/file", "link", "link/file", "nothing"])
    @pytest.mark.parametrize("whose", ["", "a", "a/b", "a/b/file", "link"])
    @pytest.mark.usefixtures("file")
    def test_it_agrees_with_the_builders_rule(
        self, system: FakeSystem, where: str, whose: str
    ) -> None:
        (system.folder / "link").symlink_to("a/b")
        system.os.declare(system.folder / whose, uid=ADA)
        path = f"{system.folder}/{where}"
        assert only_root_changes(path) is (RootTrust().link(path) is None)

"""Files outside of the tree are written whole or not at all, and stay whose and what they were."""

import errno
import os
import stat
from pathlib import Path

import pytest

from fake_system import ADA
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.system import site_files
from pycache_sys.system.site_files import make_directory, read_file, remove_file, replace_file

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to others")


class TestReading:
    def test_a_file_is_read_and_a_missing_one_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "a.pth"
        assert read_file(str(path)) is None
        assert read_file(f"{tmp_path}/no/such/folder") is None
        path.write_bytes(b"import a\r\n\xff")
        assert read_file(str(path)) == b"import a\r\n\xff"

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"1")
        (tmp_path / "link").symlink_to("a")
        (tmp_path / "dangling").symlink_to("nothing")
        assert read_file(f"{tmp_path}/link") == b"1"
        assert read_file(f"{tmp_path}/dangling") is None

    @pytest.mark.parametrize("kind", ["folder", "fifo", "large"])
    def test_what_is_no_small_file_is_refused(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "a"
        match kind:
            case "folder":
                path.mkdir()
            case "fifo":
                os.mkfifo(path)
            case _:
                path.touch()
                os.truncate(path, (1 << 20) + 1)
        with pytest.raises(PycacheSysError) as caught:
            read_file(str(path))
        assert str(caught.value) == f"{path} is not a small file"
        assert caught.value.hint

    def test_the_largest_small_file_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        os.truncate(tmp_path / "a", 1 << 20)
        assert len(read_file(f"{tmp_path}/a") or b"") == 1 << 20

    def test_what_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("a")
        with pytest.raises(PycacheSysError, match=f"cannot read {tmp_path}/a: Too many levels"):
            read_file(f"{tmp_path}/a")
        (tmp_path / "file").touch()
        with pytest.raises(PycacheSysError, match=r"cannot read .*: Not a directory"):
            read_file(f"{tmp_path}/file/below")


class TestReplacing:
    def test_a_new_file_is_for_all_to_read(self, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            replace_file(f"{tmp_path}/a", b"1")
        finally:
            os.umask(before)
        assert (tmp_path / "a").read_bytes() == b"1"
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
        assert os.listdir(tmp_path) == ["a"]

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755, 0o444])
    def test_a_file_keeps_its_mode(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"1")
        path.chmod(mode)
        before = path.stat()
        replace_file(str(path), b"22")
        after = path.stat()
        assert path.read_bytes() == b"22"
        assert (after.st_mode, after.st_uid, after.st_gid) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
        )
        assert after.st_ino != before.st_ino

    @as_root
    @pytest.mark.parametrize("mode", [0o640, 0o4755])
    def test_a_file_keeps_its_owner(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"1")
        os.chown(path, ADA, ADA + 1)
        path.chmod(mode)
        replace_file(str(path), b"22")
        after = path.stat()
        assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (ADA, ADA + 1, mode)

    @pytest.mark.parametrize("mtime", [0, 1_600_000_000_123_456_789, -5_000_000_000])
    def test_it_gets_the_time_that_it_is_to_have(self, tmp_path: Path, mtime: int) -> None:
        replace_file(f"{tmp_path}/a", b"1", mtime=mtime)
        assert (tmp_path / "a").stat().st_mtime_ns == mtime

    @pytest.mark.parametrize("target", ["real/a", "real/new"])
    def test_a_link_stays_and_what_it_leads_to_is_replaced(
        self, tmp_path: Path, target: str
    ) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "a").write_bytes(b"1")
        (tmp_path / "first").symlink_to(target)
        (tmp_path / "link").symlink_to("first")
        replace_file(f"{tmp_path}/link", b"2")
        assert os.readlink(tmp_path / "link") == "first"
        assert os.readlink(tmp_path / "first") == target
        assert (tmp_path / target).read_bytes() == b"2"
        assert not (tmp_path / target).is_symlink()

    def test_it_is_written_to_its_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:7]))
        content = bytes(range(100))
        replace_file(f"{tmp_path}/a", content)
        assert (tmp_path / "a").read_bytes() == content

    @pytest.mark.parametrize("call", ["write", "fchmod", "utime", "replace"])
    @pytest.mark.parametrize("failure", [OSError(28, "No space left"), KeyboardInterrupt()])
    def test_what_fails_leaves_no_trace(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        call: str,
        failure: BaseException,
    ) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"1")

        def fail(*_arguments: object, **_options: object) -> None:
            raise failure

        open_before = set(os.listdir("/proc/self/fd"))
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(type(failure)):
                replace_file(str(path), b"2", mtime=0)
        assert path.read_bytes() == b"1"
        assert os.listdir(tmp_path) == ["a"]
        assert set(os.listdir("/proc/self/fd")) == open_before

    @pytest.mark.parametrize("call", ["open", "write"])
    def test_what_fails_is_named_and_not_the_temporary_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        def fail(path: object, *_arguments: object) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

        monkeypatch.setattr(site_files.os, call, fail)
        with pytest.raises(OSError, match="Read-only") as caught:
            replace_file(f"{tmp_path}/a", b"1")
        monkeypatch.undo()
        assert caught.value.filename == f"{tmp_path}/a"

    def test_where_there_is_no_folder_it_raises(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            replace_file(f"{tmp_path}/no/a", b"1")

    def test_a_name_that_is_in_the_way_is_not_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(site_files.os, "urandom", lambda _size: b"\0" * 8)
        planted = tmp_path / f"a.{'00' * 8}.tmp"
        planted.symlink_to(tmp_path / "victim")
        with pytest.raises(FileExistsError):
            replace_file(f"{tmp_path}/a", b"1")
        assert not (tmp_path / "victim").exists()
        assert planted.is_symlink()


def test_a_folder_is_made_for_all_to_read_and_only_once(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert make_directory(f"{tmp_path}/site")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "site").stat().st_mode) == 0o755
    (tmp_path / "site").chmod(0o700)
    assert not make_directory(f"{tmp_path}/site")
    assert stat.S_IMODE((tmp_path / "site").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_raises(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_directory(f"{tmp_path}/file/site")


def test_a_file_is_removed_once(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert remove_file(f"{tmp_path}/a")
    assert not remove_file(f"{tmp_path}/a")
    with pytest.raises(OSError, match=r"directory|permitted"):
        remove_file(str(tmp_path))

"""The own cache: nobody else has a say in it, and what is kept is whole."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pycache_sys_runtime import keep, own, trust
from pycache_sys_runtime.own import OwnCache, is_ones_own

USER = 1234
OTHER = 4711
CODE = compile("answer = 42\n", "mod.py", "exec")
DATA = b"answer = 42\n"


class OwnedOs:
    """``os`` or ``posix``, to which a folder is one user's and everything above it root's."""

    def __init__(self, folder: Path, uid: int) -> None:
        self._folder = str(folder)
        self._uid = uid
        self._declared: dict[str, tuple[int, int | None]] = {}

    def declare(self, path: Path, uid: int | None = None, mode: int | None = None) -> None:
        self._declared[str(path)] = self._uid if uid is None else uid, mode

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def lstat(self, path: str) -> os.stat_result:
        found = os.lstat(path)
        is_inside = path == self._folder or path.startswith(self._folder + "/")
        default = (self._uid, 0o700) if is_inside else (0, 0o755)
        uid, mode = self._declared.get(path, default)
        if mode is None:
            mode = 0o777 if stat.S_ISLNK(found.st_mode) else 0o700
        kind = stat.S_IFMT(found.st_mode)
        return os.stat_result((kind | mode, *found[1:4], uid, *found[5:10]))

    def stat(self, path: str) -> os.stat_result:
        return self.lstat(os.path.realpath(path))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnedOs:
    (tmp_path / "a" / "b").mkdir(parents=True)
    fake = OwnedOs(tmp_path, USER)
    monkeypatch.setattr(own, "posix", fake)
    monkeypatch.setattr(trust, "posix", fake)
    return fake


@pytest.mark.usefixtures("fake")
class TestTheWay:
    @pytest.mark.parametrize("path", ["", "/a", "/a/b", "//a/./b", "/a/../a/b"])
    def test_what_is_the_users_is_their_own(self, tmp_path: Path, path: str) -> None:
        assert is_ones_own(f"{tmp_path}{path}", USER) is True

    def test_what_is_missing_is_nobodys(self, tmp_path: Path) -> None:
        assert is_ones_own(f"{tmp_path}/a/b/missing/x", USER) is None

    @pytest.mark.parametrize("part", ["a", "a/b"])
    @pytest.mark.parametrize(
        ("uid", "mode"), [(OTHER, 0o700), (USER, 0o770), (USER, 0o702), (USER, 0o1777)]
    )
    def test_no_part_may_be_others_or_writable_by_them(
        self, tmp_path: Path, fake: OwnedOs, part: str, uid: int, mode: int
    ) -> None:
        fake.declare(tmp_path / part, uid, mode)
        assert not is_ones_own(f"{tmp_path}/a/b", USER)
        assert not is_ones_own(f"{tmp_path}/a/b/missing", USER)

    @pytest.mark.parametrize(
        ("mode", "is_own"), [(0o755, True), (0o1777, True), (0o777, False), (0o775, False)]
    )
    def test_a_folder_of_roots_above_it_may_be_shared_if_sticky(
        self, tmp_path: Path, fake: OwnedOs, mode: int, is_own: bool
    ) -> None:
        fake.declare(tmp_path / "a", 0, mode)
        assert is_ones_own(f"{tmp_path}/a/b", USER) is is_own

    def test_what_is_roots_is_not_the_users(self, tmp_path: Path, fake: OwnedOs) -> None:
        fake.declare(tmp_path / "a" / "b", 0, 0o755)
        assert not is_ones_own(f"{tmp_path}/a/b", USER)
        assert not is_ones_own("/", USER)

    def test_root_does_not_trust_a_users_folder(self, tmp_path: Path) -> None:
        assert not is_ones_own(f"{tmp_path}/a/b", 0)

    @pytest.mark.parametrize("target", ["b", "../a/b", "{}/a/b", "./b//"])
    def test_a_link_is_followed(self, tmp_path: Path, fake: OwnedOs, target: str) -> None:
        link = tmp_path / "a" / "link"
        link.symlink_to(target.format(tmp_path))
        assert is_ones_own(str(link), USER)
        fake.declare(tmp_path / "a" / "b", OTHER)
        assert not is_ones_own(str(link), USER)

    @pytest.mark.parametrize(("uid", "is_own"), [(USER, True), (0, True), (OTHER, False)])
    def test_a_link_is_judged_by_its_owner(
        self, tmp_path: Path, fake: OwnedOs, uid: int, is_own: bool
    ) -> None:
        link = tmp_path / "link"
        link.symlink_to("a")
        fake.declare(link, uid)
        assert is_ones_own(f"{link}/b", USER) is is_own

    def test_a_loop_ends_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "one").symlink_to("two")
        (tmp_path / "two").symlink_to("one")
        assert not is_ones_own(f"{tmp_path}/one", USER)

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert not is_ones_own(f"{tmp_path}/file", USER)
        assert not is_ones_own(f"{tmp_path}/file/x", USER)

    def test_a_path_that_cannot_be_is_nobodys(self, tmp_path: Path) -> None:
        assert not is_ones_own(f"{tmp_path}/\0", USER)
        assert not is_ones_own(f"{tmp_path}/{'x' * 300}", USER)


class Located:
    """A place, and how often it was asked for."""

    def __init__(self, top: str | None) -> None:
        self.top = top
        self.asked = 0

    def __call__(self) -> str | None:
        self.asked += 1
        return self.top


class TestPath:
    def test_the_place_is_looked_for_once(self, tmp_path: Path) -> None:
        located = Located(f"{tmp_path}/top")
        cache = OwnCache(located, "3.x")
        assert located.asked == 0
        assert cache.path("/a/b", "m.pyc") == f"{tmp_path}/top/3.x/a/b/m.pyc"
        assert cache.path("/a", "n.pyc") == f"{tmp_path}/top/3.x/a/n.pyc"
        assert located.asked == 1

    def test_without_a_place_there_is_none(self) -> None:
        located = Located(None)
        cache = OwnCache(located, "3.x")
        assert cache.path("/a", "m.pyc") is None
        assert cache.path("/a", "m.pyc") is None
        assert located.asked == 1

    def test_who_becomes_somebody_else_has_another_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        located = Located(f"{tmp_path}/top")
        cache = OwnCache(located, "3.x")
        assert cache.path("/a", "m.pyc") is not None
        located.top = None
        monkeypatch.setattr(own.posix, "geteuid", lambda: OTHER)
        assert cache.path("/a", "m.pyc") is None
        assert located.asked == 2

    def test_what_is_missing_is_not_there_to_be_read(self, tmp_path: Path) -> None:
        cache = OwnCache(Located(f"{tmp_path}/top"), "3.x")
        cache.path("/a", "m.pyc")
        assert not cache.is_there
        (tmp_path / "top").mkdir(mode=0o700)
        cache.path("/a", "m.pyc")
        assert not cache.is_there
        again = OwnCache(Located(f"{tmp_path}/top"), "3.x")
        again.path("/a", "m.pyc")
        assert again.is_there

    def test_a_place_of_somebody_elses_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "top").mkdir()
        (tmp_path / "top").chmod(0o777)
        assert OwnCache(Located(f"{tmp_path}/top"), "3.x").path("/a", "m.pyc") is None


@pytest.fixture
def source(tmp_path: Path) -> os.stat_result:
    path = tmp_path / "mod.py"
    path.write_bytes(DATA)
    return path.stat()


def source_of(entry: Path) -> str:
    """Name the file that the fixture above has looked at."""
    return f"{entry.parents[3]}/mod.py"


class TestWrite:
    @pytest.fixture
    def cache(self, tmp_path: Path) -> OwnCache:
        return OwnCache(Located(str(tmp_path / "top")), "3.x")

    @pytest.fixture
    def entry(self, tmp_path: Path) -> Path:
        return tmp_path / "top" / "3.x" / "a" / "mod.pyc"

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_it_is_for_the_user_alone(
        self, cache: OwnCache, entry: Path, source: os.stat_result, umask: int
    ) -> None:
        before = os.umask(umask)
        try:
            cache.write(str(entry), CODE, DATA, source_of(entry), source)
        finally:
            os.umask(before)
        assert stat.S_IMODE(entry.stat().st_mode) == 0o600
        for directory in (entry.parent, entry.parents[1], entry.parents[2]):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert os.listdir(entry.parent) == ["mod.pyc"]

    def test_who_may_not_write_does_not(self, entry: Path, source: os.stat_result) -> None:
        OwnCache(Located(None), "3.x", may_write=False).write(
            str(entry), CODE, DATA, source_of(entry), source
        )
        assert not entry.parents[2].exists()

    def test_a_source_that_changed_meanwhile_is_not_kept(
        self, cache: OwnCache, entry: Path, source: os.stat_result
    ) -> None:
        cache.write(str(entry), CODE, DATA + b"#", source_of(entry), source)
        assert not entry.parents[2].exists()

    def test_what_is_replaced_while_it_is_written_is_not_kept(
        self, cache: OwnCache, entry: Path, source: os.stat_result
    ) -> None:
        Path(source_of(entry)).touch()
        os.utime(source_of(entry), ns=(source.st_atime_ns, source.st_mtime_ns))
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert os.listdir(entry.parent) == []

    def test_nothing_is_kept_for_who_was_somebody_else_before(
        self,
        cache: OwnCache,
        entry: Path,
        source: os.stat_result,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(own.posix, "geteuid", lambda: OTHER)
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert not entry.parents[2].exists()

    def test_a_file_in_the_way_is_no_failure(
        self, cache: OwnCache, entry: Path, source: os.stat_result
    ) -> None:
        entry.parents[2].write_text("in the way")
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert entry.parents[2].read_text() == "in the way"

    def test_a_folder_that_others_write_is_not_written_to(
        self, cache: OwnCache, entry: Path, source: os.stat_result
    ) -> None:
        entry.parent.mkdir(parents=True)
        entry.parent.chmod(0o777)
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert os.listdir(entry.parent) == []

    def test_a_folder_that_vanished_is_made_again_at_the_next_write(
        self, cache: OwnCache, entry: Path, source: os.stat_result
    ) -> None:
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        entry.unlink()
        entry.parent.rmdir()
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert not entry.parent.exists()
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert entry.is_file()

    def test_what_fails_half_way_leaves_nothing(
        self,
        cache: OwnCache,
        entry: Path,
        source: os.stat_result,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fake = OwnedOs(entry, 0)
        monkeypatch.setattr(fake, "lstat", os.lstat)
        written: list[int] = []

        def write(descriptor: int, view: memoryview) -> int:
            if written:
                raise OSError(28, "full")
            written.append(os.write(descriptor, view[:5]))
            return written[0]

        monkeypatch.setattr(fake, "write", write, raising=False)
        monkeypatch.setattr(keep, "posix", fake)
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert written == [5]
        assert os.listdir(entry.parent) == []

    @pytest.mark.parametrize(
        ("number", "tries"), [(1, 1), (13, 1), (28, 1), (30, 1), (122, 1), (5, 2), (36, 2)]
    )
    def test_where_nothing_can_be_written_it_is_not_tried_again(
        self,
        cache: OwnCache,
        entry: Path,
        source: os.stat_result,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        tries: int,
    ) -> None:
        tried: list[str] = []

        def refuse(path: str, _content: bytes) -> None:
            tried.append(path)
            raise OSError(number, "no", path)

        monkeypatch.setattr(keep, "_write", refuse)
        for name in ("one", "two"):
            path = str(entry.with_name(f"{name}.pyc"))
            cache.write(path, CODE, DATA, source_of(entry), source)
        assert len(tried) == tries
        assert os.listdir(entry.parent) == []

    def test_for_another_user_it_is_tried_again(
        self,
        cache: OwnCache,
        entry: Path,
        source: os.stat_result,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(keep, "_write", lambda _path, _content: os.mkdir("/proc/no"))
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        monkeypatch.undo()
        cache._find(os.geteuid())
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert entry.is_file()

    def test_without_its_module_nothing_is_written(
        self,
        cache: OwnCache,
        entry: Path,
        source: os.stat_result,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def gone(_name: str) -> None:
            raise FileNotFoundError

        monkeypatch.setattr(own, "need", gone)
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert not entry.exists()

    def test_what_is_written_in_pieces_is_whole(
        self,
        cache: OwnCache,
        entry: Path,
        source: os.stat_result,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        whole = entry.read_bytes()
        write = os.write
        monkeypatch.setattr(own.posix, "write", lambda to, view: write(to, view[:7]))
        entry.unlink()
        cache.write(str(entry), CODE, DATA, source_of(entry), source)
        assert entry.read_bytes() == whole


class TestMakeDirectories:
    def test_another_process_may_be_quicker(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = OwnedOs(tmp_path, 0)
        monkeypatch.setattr(fake, "lstat", os.lstat)

        def mkdir(path: str, mode: int) -> None:
            os.mkdir(path, mode)
            if path == f"{tmp_path}/a":
                os.mkdir(f"{path}/b", 0o700)

        monkeypatch.setattr(fake, "mkdir", mkdir, raising=False)
        monkeypatch.setattr(keep, "posix", fake)
        monkeypatch.setattr(own, "posix", fake)
        keep.make_directories(f"{tmp_path}/a/b/c")
        assert (tmp_path / "a" / "b" / "c").is_dir()

    def test_another_process_may_remove_it_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keep, "is_ones_own", lambda _path, _uid: None)
        with pytest.raises(FileNotFoundError):
            keep.make_directories(f"{tmp_path}/a/b")

    def test_one_that_others_write_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(0o770)
        with pytest.raises(PermissionError, match="somebody else may write it"):
            keep.make_directories(f"{tmp_path}/a/b")

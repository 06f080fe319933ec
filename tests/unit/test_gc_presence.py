"""Sources and interpreters that are gone, and those that only cannot be seen."""

import os
from pathlib import Path

import pytest

from pycache_sys.core.tidying import python_of
from pycache_sys.system.machine import mount_table, presence
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.machine.presence import Presence


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Give a directory with a source."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "other.py").touch()
    return folder


def is_gone(source: Path) -> bool:
    return Presence(Mounts()).is_gone(str(source))


def test_a_source_that_was_removed_is_gone(work: Path) -> None:
    assert is_gone(work / "module.py")
    assert not is_gone(work / "other.py")


def test_a_directory_that_was_removed_takes_its_sources_along(work: Path) -> None:
    assert is_gone(work / "package" / "inner" / "module.py")


def test_a_directory_that_is_a_file_by_now_has_no_source(work: Path) -> None:
    assert is_gone(work / "other.py" / "module.py")


def test_an_empty_directory_may_be_a_mount_point(work: Path) -> None:
    empty = work / "drive"
    empty.mkdir()
    assert not is_gone(empty / "module.py")
    assert not is_gone(empty / "package" / "module.py")
    (empty / "file").touch()
    assert is_gone(empty / "module.py")


def test_a_source_that_is_a_link_to_nothing_is_there(work: Path) -> None:
    (work / "module.py").symlink_to("/nonexistent/module.py")
    assert not is_gone(work / "module.py")


def test_a_directory_that_is_a_link_to_nothing_says_nothing(work: Path) -> None:
    (work / "package").symlink_to("/nonexistent/package")
    assert not is_gone(work / "package" / "module.py")


def test_a_link_to_itself_says_nothing(work: Path) -> None:
    (work / "loop").symlink_to("loop")
    assert not is_gone(work / "loop" / "module.py")


@pytest.mark.parametrize(
    "source",
    [
        "/nonexistent/module.py",
        "/home/nonexistent/module.py",
        "/media/nonexistent/drive/module.py",
        "/mnt/nonexistent/module.py",
        "/run/user/nonexistent/module.py",
    ],
)
def test_where_drives_and_homes_come_and_go_nothing_is_gone(source: str) -> None:
    assert not is_gone(Path(source))


def test_a_drive_of_a_user_that_is_away_is_not_gone(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_gone(work / "drive" / "module.py")
    monkeypatch.setattr(presence, "_OF_EACH_USER", frozenset([str(work.parent)]))
    assert not is_gone(work / "drive" / "module.py")


def test_what_the_systems_table_has_and_is_not_mounted_is_away(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = work / "a drive"
    drive.mkdir()
    (drive / "NOT MOUNTED").touch()
    table = tmp_path / "fstab"
    place = str(drive).replace(" ", "\\040")
    table.write_text(f"# {work} \nshort\nUUID=1 / ext4\n  # {work} x\nnone swap swap\n")
    monkeypatch.setattr(presence, "_TABLE", str(table))
    assert is_gone(drive / "module.py")
    with table.open("a") as more:
        more.write(f"UUID=2 {place} ext4 noauto 0 0\n")
    assert not is_gone(drive / "module.py")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/x rw\n2 1 8:2 / {place} rw - ext4 /dev/y rw\n")
    monkeypatch.setattr(mount_table, "PATH", str(mounts))
    assert is_gone(drive / "module.py")


def test_an_automount_that_is_not_mounted_says_nothing(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    line = f"2 1 0:4 / {work} rw shared:1 - autofs /etc/auto rw\n"
    mounts.write_text(f"short\n1 0 8:1 / / rw - ext4 /dev/x rw\n{line}")
    monkeypatch.setattr(mount_table, "PATH", str(mounts))
    assert not is_gone(work / "module.py")
    (work / "ada").mkdir()
    (work / "ada" / "file").touch()
    with mounts.open("a") as more:
        more.write(f"3 2 0:5 / {work}/ada rw - nfs server:/ada rw\n")
    assert is_gone(work / "ada" / "module.py")
    assert not is_gone(work / "module.py")


def test_without_tables_directories_alone_decide(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mount_table, "PATH", "/nonexistent")
    monkeypatch.setattr(presence, "_TABLE", "/nonexistent")
    assert is_gone(work / "module.py")


def test_a_mount_that_does_not_answer_is_not_looked_at(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(Mounts):
        def silent(self, places: object, *, inside: bool = False) -> frozenset[str]:  # noqa: ARG002 - a port
            return frozenset([str(work)])

    assert not Presence(Silent()).is_gone(str(work / "module.py"))


def test_a_directory_that_cannot_be_listed_says_nothing(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: object) -> object:
        raise PermissionError(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert not is_gone(work / "module.py")


@pytest.mark.parametrize("folder", ["3.99", "pypy3.99", "3.99t"])
def test_an_interpreter_is_where_its_program_or_library_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    python = python_of(folder)
    assert python is not None
    monkeypatch.setattr(presence, "SEARCHED", (str(tmp_path / "bin"),))
    monkeypatch.setattr(presence, "LIBRARIES", (str(tmp_path / "lib"),))
    assert not Presence(Mounts()).has_interpreter(python)
    name = folder if python.is_pypy else f"python{folder}"
    for trace in (tmp_path / "bin" / name, tmp_path / "lib" / name / "os.py"):
        trace.parent.mkdir(parents=True)
        trace.touch()
        assert Presence(Mounts()).has_interpreter(python)
        trace.unlink()
    absent = Presence(Mounts())
    assert not absent.has_interpreter(python)
    trace.touch()
    assert not absent.has_interpreter(python)  # it was asked once

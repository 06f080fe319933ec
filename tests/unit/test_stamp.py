"""The stamp that lets an unchanged boot end at once."""

import os
from pathlib import Path

import pytest

from pycache_sys.system import stamp
from pycache_sys.system.machine import deployment


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Write a stamp with two files and a directory that it watches."""
    for name in ("python3.99", "policy file.conf"):
        (tmp_path / name).write_text("before")
    (tmp_path / "site").mkdir()
    (tmp_path / "tree").mkdir()
    path = tmp_path / "kept" / "stamp"
    before = stamp.describe([str(tmp_path / n) for n in ("python3.99", "policy file.conf", "site")])
    stamp.write(before, [str(tmp_path / "tree")], str(path))
    assert path.stat().st_mode & 0o7777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["stamp"]
    return path


def test_it_is_current_while_nothing_changes(written: Path) -> None:
    assert stamp.is_current(str(written))


@pytest.mark.parametrize("name", ["python3.99", "policy file.conf", "site", "tree"])
@pytest.mark.parametrize("change", ["removed", "replaced", "touched", "longer"])
def test_it_sees_what_it_watches(written: Path, name: str, change: str) -> None:
    path = written.parent.parent / name
    before = path.stat()
    match change:
        case "removed":
            path.rmdir() if path.is_dir() else path.unlink()
        case "replaced":  # by one with the same stamps: another deployment's
            path.rename(path.with_name("old"))
            path.mkdir() if name in ("site", "tree") else path.write_text("before")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "touched":
            os.utime(path, ns=(0, 0))
        case _:
            (path / "new").touch() if path.is_dir() else path.write_text("longer than before")
    assert not stamp.is_current(str(written))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"watch \n\xff\0\n"),
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
        lambda path: path.write_bytes(path.read_bytes() + b"more\n"),
        lambda path: path.write_bytes(path.read_bytes() * 1000),
        lambda path: path.chmod(0o666),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.rename(f"{path}.real"), path.symlink_to(f"{path}.real")),
    ],
)
def test_a_stamp_that_is_not_whole_or_not_ours_is_none(written: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(written)
    assert not stamp.is_current(str(written))


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give a file away")
def test_a_stamp_of_somebody_else_is_none(written: Path) -> None:
    os.chown(written, 12345, 12345)
    assert not stamp.is_current(str(written))


def test_another_version_of_ours_begins_anew(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamp, "__version__", "99")
    assert not stamp.is_current(str(written))


def test_a_removed_stamp_is_none(written: Path) -> None:
    stamp.remove(str(written))
    assert not stamp.is_current(str(written))
    stamp.remove(str(written))


@pytest.mark.parametrize("change", [False, True])
def test_what_changed_during_a_run_is_not_taken_for_built(tmp_path: Path, change: bool) -> None:
    (tmp_path / "site").mkdir()
    before = stamp.describe([str(tmp_path / "site")])
    if change:
        (tmp_path / "site" / "new").touch()
    path = tmp_path / "stamp"
    stamp.write(before, [], str(path))
    assert path.exists() is not change


def test_another_root_is_known_by_its_name_alone(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (written.parent.parent / "site" / "new").touch()
    assert stamp.is_of_this_root(str(written))
    lines = [*deployment.describe()[:-1], b"system /usr 1/2"]
    monkeypatch.setattr(deployment, "describe", lambda: lines)
    assert not stamp.is_of_this_root(str(written))
    stamp.remove(str(written))
    assert not stamp.is_of_this_root(str(written))

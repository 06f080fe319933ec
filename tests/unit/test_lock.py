"""One run at a time, and a lock that nobody else can take."""

import os
from pathlib import Path

import pytest

from pycache_sys.core.errors import LockedError, TreeError
from pycache_sys.system import lock


def unexpected(message: str) -> None:
    raise AssertionError(message)


def test_the_system_trees_lock_is_outside_of_the_tree() -> None:
    assert lock.lock_path("/var/cache/python", is_system=True) == "/run/pycache-sys/lock"
    assert lock.lock_path("/home/u/tree", is_system=False) == "/home/u/tree/.pycache-sys.lock"


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "folder" / "lock")
    told: list[str] = []
    with lock.held(path, seconds=0, waiting=unexpected):
        assert Path(path).stat().st_mode & 0o777 == 0o600
        with (
            pytest.raises(LockedError, match=f"process {os.getpid()} holds the lock"),
            lock.held(path, seconds=0.25, waiting=told.append),
        ):
            pass
    assert len(told) == 1
    assert f"process {os.getpid()}" in told[0]


def test_it_is_free_again_afterwards_and_after_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with pytest.raises(KeyError), lock.held(path, seconds=0, waiting=unexpected):
        raise KeyError
    with lock.held(path, seconds=0, waiting=unexpected):
        pass


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606])
def test_a_lock_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "lock"
    path.touch()
    path.chmod(mode)
    with (
        pytest.raises(TreeError, match="open to others") as caught,
        lock.held(str(path), seconds=0, waiting=unexpected),
    ):
        pass
    assert str(path) in caught.value.hint


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_lock_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    with pytest.raises(TreeError), lock.held(str(path), seconds=0, waiting=unexpected):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_that_was_deleted_is_not_held_by_its_old_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.held(str(path), seconds=0, waiting=unexpected):
        path.unlink()
        with lock.held(str(path), seconds=0, waiting=unexpected):
            assert path.read_text() == f"{os.getpid()}\n"

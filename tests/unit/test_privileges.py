"""What a foreign interpreter's process is given and what not."""

import os
from pathlib import Path

import pytest

from pycache_sys.system.users.privileges import Account, can_read, nobody_else

STRANGER = Account(uid=54_321, gid=54_321)


@pytest.mark.parametrize(
    ("folder", "file", "expected"),
    [(0o755, 0o644, True), (0o711, 0o604, True), (0o750, 0o644, False), (0o755, 0o640, False)],
)
def test_an_account_in_no_group_reads_by_the_modes_for_others(
    tmp_path: Path, folder: int, file: int, expected: bool
) -> None:
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.touch()
    path.parent.chmod(folder)
    path.chmod(file)
    way = [parent.stat().st_mode & 0o001 for parent in tmp_path.parents] + [
        tmp_path.stat().st_mode & 0o001
    ]
    assert can_read(STRANGER, str(path)) is (expected and all(way))


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    assert not can_read(STRANGER, str(tmp_path / "nothing"))


def test_an_owner_reads_by_the_modes_for_the_owner() -> None:
    assert can_read(Account(uid=os.stat("/").st_uid, gid=0), "/")


def test_one_that_is_asked_is_nobody_and_nobody_else() -> None:
    workers = Account(uid=61_200, gid=61_200)
    chosen = [nobody_else(workers) for _ in range(50)]
    assert all(61_184 <= ids.uid <= 65_519 and ids.gid == ids.uid for ids in chosen)
    assert len(set(chosen)) > 25
    assert workers not in chosen

"""The space that a folder of a tree takes up."""

import os
import stat
from collections.abc import Iterator

from pycache_sys.core.model import space_of
from pycache_sys.core.standing import Space


def files_below(top: str, folder: str) -> Iterator[tuple[str, Space]]:
    """Give each file below a folder of a tree with its space, by its path below the top.

    A file with several names has its space under the first one, and none under the others. No link
    is followed, nor is one the folder itself; what cannot be looked at is passed over.
    """
    seen: set[tuple[int, int]] = set()
    pending = [folder] if _is_directory(f"{top}/{folder}") else []
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(f"{top}/{directory}") as entries:
                for entry in entries:
                    path = f"{directory}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    yield path, _space(status, seen)
        except OSError:
            continue


def _space(status: os.stat_result, seen: set[tuple[int, int]]) -> Space:
    if status.st_nlink > 1:
        name = (status.st_dev, status.st_ino)
        if name in seen:
            return Space()
        seen.add(name)
    return Space(1, status.st_size, space_of(status))


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False

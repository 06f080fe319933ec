"""The file system that a tree is on: how much is left, and whether it takes changes."""

import os
from typing import NamedTuple


class Volume(NamedTuple):
    """A file system: its mount point, free bytes and inodes; ``inodes`` is None where any will do.

    What is reserved for root is not free: a cache has no claim to it.
    """

    point: str
    device: int
    free: int
    inodes: int | None
    is_read_only: bool


def volume_of(path: str) -> Volume:
    """Look at the file system of a path, or of the nearest directory above it that is there.

    Raises OSError.
    """
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    numbers = os.statvfs(path)
    return Volume(
        point=_point(path),
        device=os.stat(path).st_dev,
        free=numbers.f_bavail * numbers.f_frsize,
        inodes=numbers.f_favail if numbers.f_files else None,
        is_read_only=bool(numbers.f_flag & os.ST_RDONLY),
    )


def _point(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path

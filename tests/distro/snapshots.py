"""Compare what a directory holds before and after."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple


class Stamp(NamedTuple):
    """What tells two states of a file apart; times in nanoseconds."""

    mode: int
    owner: tuple[int, int]
    size: int
    inode: int
    mtime: int
    ctime: int


Snapshot = Mapping[str, Stamp]
"""Every file and directory below some top, by its path relative to that top."""


def snapshot(top: Path, *, without: frozenset[str] = frozenset()) -> Snapshot:
    """Record everything below a directory, the directory itself as ``.``."""
    return {os.path.relpath(path, top): stamp(path) for path in walk(os.fspath(top), without)}


def walk(top: str, without: frozenset[str]) -> Iterator[str]:
    """Yield a directory and what is below it, following no link."""
    if not os.path.lexists(top):
        return
    yield top
    for parent, directories, files in os.walk(top):
        if parent == top:
            directories[:] = [name for name in directories if name not in without]
        yield from (os.path.join(parent, name) for name in directories + files)


def stamp(path: str | Path) -> Stamp:
    """Record one file."""
    status = os.lstat(path)
    return Stamp(
        status.st_mode,
        (status.st_uid, status.st_gid),
        status.st_size if not S_ISDIR(status.st_mode) else 0,
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def bytecode_beside_sources(root: Path) -> Snapshot:
    """Record every ``__pycache__`` directory and pyc file outside of the tree."""
    everything = snapshot(root, without=frozenset({"proc", "sys", "dev", "var"}))
    return {
        path: found
        for path, found in everything.items()
        if path.endswith((".pyc", "/__pycache__")) or "/__pycache__/" in path
    }


def files(taken: Snapshot) -> set[str]:
    """Name the regular files of a snapshot."""
    return {path for path, found in taken.items() if S_ISREG(found.mode)}


def written(before: Snapshot, after: Snapshot) -> set[str]:
    """Name the files that are new, or are not the same file in the same state as before."""
    return {path for path in files(after) if before.get(path) != after[path]}


def gone(before: Snapshot, after: Snapshot) -> set[str]:
    """Name the files that are no longer there."""
    return files(before) - files(after)


def differences(before: Snapshot, after: Snapshot) -> set[str]:
    """Name everything, directories too, that is not exactly as it was."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

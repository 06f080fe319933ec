"""The directories where interpreters find modules, as they stand."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

from pycache_sys.system.machine.mounts import Mounts

_PYCACHE = "__pycache__"


class Directory(NamedTuple):
    """A directory that interpreters search, or one below it, with the names of its files."""

    path: str
    files: frozenset[str]
    directories: frozenset[str]


def walk(roots: Collection[str], mounts: Mounts) -> Iterator[Directory]:
    """Yield these directories with all below them, each once; no link is followed."""
    silent = mounts.silent(roots, inside=True)
    seen = set()
    for root in roots:
        pending = [root]
        while pending:
            path = pending.pop()
            if path in seen or path in silent:
                continue
            seen.add(path)
            files: list[str] = []
            directories: list[str] = []
            with suppress(OSError), os.scandir(path) as entries:
                for entry in entries:
                    is_directory = entry.is_dir(follow_symlinks=False)
                    (directories if is_directory else files).append(entry.name)
            yield Directory(path, frozenset(files), frozenset(directories))
            pending += [f"{path}/{name}" for name in directories if name != _PYCACHE]

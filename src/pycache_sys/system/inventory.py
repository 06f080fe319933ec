"""An inventory: all files and directories of a tree as they stand, without following a link."""

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pycache_sys.core.model import Entry
from pycache_sys.core.pyc import HEADER_SIZE
from pycache_sys.system.regular import read_regular

Enters = Callable[[str, os.stat_result], bool]
"""Says whether to look into a directory, by its path below the top and its status."""


@dataclass(slots=True, kw_only=True)
class Inventory:
    """Files (all that is no directory) and directories by path below the top, which is ``""``.

    What cannot be looked at is in ``unreadable`` with the system's words.
    """

    files: dict[str, os.stat_result] = field(default_factory=dict)
    directories: dict[str, os.stat_result] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def take_inventory(top: str, starts: Iterable[str], enters: Enters) -> Inventory:
    """Look at the directories on the way to each start, and at all below it.

    Paths that are not there are passed over.
    """
    found = Inventory()
    for start in starts:
        way = start.split("/") if start else []
        ancestors = ["/".join(way[:depth]) for depth in range(len(way))]
        if all(_look(top, path, found, enters) for path in ancestors):
            pending = [start] if _look(top, start, found, enters) else []
            while pending:
                pending += _list(top, pending.pop(), found, enters)
    return found


def read_entry(path: str) -> tuple[os.stat_result, Entry] | None:
    """Read one entry as it stands now; None where there is no regular file that can be read."""
    found = read_regular(path, HEADER_SIZE)
    return (found[1], Entry.from_stat(*found)) if found is not None else None


def stand(path: str, *, follow: bool = False) -> os.stat_result | None:
    """Say how a path stands now; None where it is gone or out of reach."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return None


def read_beginning(path: str, size: int) -> bytes | None:
    """Read the beginning of a regular file; None where that cannot be."""
    found = read_regular(path, size)
    return found[0] if found is not None else None


def _look(top: str, path: str, found: Inventory, enters: Enters) -> bool:
    """Look at one path; tell whether it is a directory to go into."""
    if path in found.directories:
        return enters(path, found.directories[path])
    try:
        status = os.lstat(f"{top}/{path}" if path else top)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        found.unreadable[path] = error.strerror or ""
        return False
    return _file(path, status, found, enters)


def _list(top: str, directory: str, found: Inventory, enters: Enters) -> list[str]:
    """Look at all in a directory; return the directories in it to go into."""
    inner = []
    try:
        with os.scandir(f"{top}/{directory}" if directory else top) as entries:
            for entry in entries:
                path = f"{directory}/{entry.name}" if directory else entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if path not in found.directories and _file(path, status, found, enters):
                    inner.append(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        found.unreadable[directory] = error.strerror or ""
    return inner


def _file(path: str, status: os.stat_result, found: Inventory, enters: Enters) -> bool:
    if not stat.S_ISDIR(status.st_mode):
        found.files[path] = status
        return False
    found.directories[path] = status
    return enters(path, status)

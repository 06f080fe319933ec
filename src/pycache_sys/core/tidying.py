"""Decide what goes from a user's own cache: what is of no use, of no use any more, or too much.

Only a file that bears the name which the hook gives to a source's bytecode is judged at all. All
times are in nanoseconds since 1970, all sizes in bytes on disk.
"""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from os import stat_result
from typing import Any, NamedTuple

from pycache_sys_runtime import layout

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
UNFOUND_AGE = 30 * 24 * HOUR
"""How long bytecode of an interpreter that is not found stays unused: it may be anywhere."""
NO_LIMIT = 1 << 62
_LEVEL = re.compile(r"([1-9][0-9]*)?")
_FOLDER = re.compile(r"(pypy)?3\.([0-9]{1,3})(?(1)|(t)?)")


class Why(StrEnum):
    """Why a file goes."""

    SOURCE_GONE = "source-gone"
    INTERPRETER_GONE = "interpreter-gone"
    UNUSED = "unused"
    OVER_SIZE = "over-size"
    LEFTOVER = "leftover"


class Refused(StrEnum):
    """Why a cache is left as it is."""

    NOT_OWN = "not-own"
    LINK = "link"
    UNREADABLE = "unreadable"
    NO_ANSWER = "no-answer"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a file may be unused, and how much the files of a cache may take up; and when."""

    now: int
    max_age: int = NO_LIMIT
    max_size: int = NO_LIMIT


@dataclass(slots=True, kw_only=True)
class Tidied:
    """What became of one cache, filled while it goes on."""

    path: str
    user: str
    uid: int
    is_there: bool = False
    removed: dict[Why, int] = field(default_factory=lambda: dict.fromkeys(Why, 0))
    freed: int = 0
    directories: int = 0
    left: int = 0
    left_space: int = 0
    foreign: int = 0
    """Files and directories that the hook would not have named so, or that are not the user's."""
    failed: int = 0
    refused: Refused | None = None

    @property
    def files(self) -> int:
        """Count what was removed."""
        return sum(self.removed.values())

    @property
    def is_sound(self) -> bool:
        """Tell whether all went as it should."""
        return not self.failed and self.refused is None

    def numbers(self) -> list[int]:
        """Return all but whose it is, as numbers: what a process of somebody else may say."""
        refusal = 0 if self.refused is None else 1 + list(Refused).index(self.refused)
        counts = (self.freed, self.directories, self.left, self.left_space, self.foreign)
        return [int(self.is_there), refusal, self.failed, *counts, *self.removed.values()]

    def take(self, numbers: Sequence[int]) -> None:
        """Take over what ``numbers`` gave, and make the best of what it would not have given."""
        there, refusal, self.failed, self.freed, self.directories, *rest = numbers
        self.left, self.left_space, self.foreign, *removed = rest
        self.is_there = bool(there)
        self.refused = (None, *Refused)[min(refusal, len(Refused))]
        self.removed = dict(zip(Why, removed, strict=True))

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "user": self.user,
            "uid": self.uid,
            "path": self.path,
            "removed": self.files,
            "bytes": self.freed,
            "directories": self.directories,
            "reasons": {why.value: number for why, number in self.removed.items() if number},
            "left": self.left,
            "left_bytes": self.left_space,
            "foreign": self.foreign,
            "failed": self.failed,
            "refused": self.refused.value if self.refused else None,
        }


class Python(NamedTuple):
    """The interpreter whose bytecode a folder of the cache has."""

    is_pypy: bool
    version: str
    tag: str


def python_of(folder: str) -> Python | None:
    """Read a folder's name; None for one that the hook does not make."""
    found = _FOLDER.fullmatch(folder)
    if found is None:
        return None
    pypy, minor, threads = found.groups("")
    implementation = "pypy" if pypy else "cpython"
    if folder != layout.version_directory(implementation, 3, int(minor), bool(threads)):
        return None
    return Python(bool(pypy), f"3.{minor}{threads}", f"{pypy or 'cpython-'}3{minor}")


def source_of(directory: str, name: str, tag: str) -> str | None:
    """Say whose bytecode a file is, by its name and the path of its directory in the folder.

    None for a name that the hook does not give: its levels are those of ``-O``, which are numbers.
    """
    named = layout.source_path(f"/.{directory}/{name}", "/.", tag)
    return named[0] if named and _LEVEL.fullmatch(named[1]) else None


def last_use(status: stat_result, now: int) -> int:
    """Say when a file was last read or written: never later than now, and not before 1970."""
    return max(0, min(max(status.st_atime_ns, status.st_mtime_ns), now))


class Surplus:
    """What is over the limit: all that was used before a time, and some of that very time."""

    def __init__(self, before: int, rest: int) -> None:
        self._before = before
        self._rest = rest

    def takes(self, used: int, size: int) -> bool:
        """Tell whether a file goes, and count it."""
        if used > self._before or (used == self._before and self._rest <= 0):
            return False
        if used == self._before:
            self._rest -= size
        return True


class Kept:
    """What stays for now: 16 bytes for each file, for there may be very many."""

    def __init__(self) -> None:
        self._used = array("q")
        self._sizes = array("q")
        self.space = 0

    def add(self, used: int, size: int) -> None:
        """Remember a file."""
        self._used.append(used)
        self._sizes.append(size)
        self.space += size

    def surplus(self, limit: int) -> Surplus | None:
        """Find what has to go until no more is left than the limit, the longest unused first."""
        excess = self.space - limit
        if excess <= 0:
            return None
        used = self._used
        before, rest = -1, 0
        for number in sorted(range(len(used)), key=used.__getitem__):
            if excess <= 0:
                break
            if used[number] != before:
                before, rest = used[number], excess
            excess -= self._sizes[number]
        return Surplus(before, rest)

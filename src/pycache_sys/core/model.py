"""The vocabulary: interpreters, sources, cache entries, and why one of them was left out."""

from collections.abc import Mapping
from enum import StrEnum
from os import stat_result
from types import MappingProxyType
from typing import NamedTuple

_BLOCK = 512


class Invalidation(StrEnum):
    """How a pyc says which source it belongs to (PEP 552), or leave the choice to the source."""

    AUTO = "auto"
    TIMESTAMP = "timestamp"
    CHECKED_HASH = "checked-hash"
    UNCHECKED_HASH = "unchecked-hash"


class Reason(StrEnum):
    """Why a source, a root or an interpreter has no bytecode from this run, or an entry stays."""

    # outcomes of compiling: failures
    SYNTAX = "syntax"
    TOO_COMPLEX = "too-complex"
    MEMORY_LIMIT = "memory-limit"
    TIME_LIMIT = "time-limit"
    CRASH = "crash"
    CHANGED = "changed"
    WRITE = "write"
    WORKER = "worker"
    # sources that are not compiled: skips
    VANISHED = "vanished"
    UNREADABLE = "unreadable"
    NOT_REGULAR = "not-regular"
    DANGLING_LINK = "dangling-link"
    LINK_LOOP = "link-loop"
    NAME_TOO_LONG = "name-too-long"
    SHADOWED = "shadowed"
    WRONG_OWNER = "wrong-owner"
    WRITABLE_BY_OTHERS = "writable-by-others"
    NOT_READABLE_BY_ALL = "not-readable-by-all"
    EXCLUDED = "excluded"
    OVER_LIMIT = "over-limit"
    NOT_A_SOURCE = "not-a-source"
    # roots and interpreters
    MISSING = "missing"
    NO_ANSWER = "no-answer"
    OUTSIDE_ROOTS = "outside-roots"
    BROKEN = "broken"
    TOO_OLD = "too-old"
    NO_CACHE_TAG = "no-cache-tag"
    CONFLICT = "conflict"
    OUT_OF_REACH = "out-of-reach"
    # what stays in the tree
    FOREIGN = "foreign"
    NO_INTERPRETER = "no-interpreter"


FAILURES = frozenset(
    {
        Reason.SYNTAX,
        Reason.TOO_COMPLEX,
        Reason.MEMORY_LIMIT,
        Reason.TIME_LIMIT,
        Reason.CRASH,
        Reason.CHANGED,
        Reason.WRITE,
        Reason.MISSING,
        Reason.WORKER,
    }
)
"""Reasons that count as failures; the others are skips."""

REVOKING = frozenset(
    {
        Reason.NOT_REGULAR,
        Reason.DANGLING_LINK,
        Reason.LINK_LOOP,
        Reason.WRONG_OWNER,
        Reason.WRITABLE_BY_OTHERS,
        Reason.NOT_READABLE_BY_ALL,
        Reason.EXCLUDED,
        Reason.OVER_LIMIT,
    }
)
"""Reasons for which an entry that the tree already has is taken out of it again."""


class Refusal(NamedTuple):
    """A reason with what a person wants to know besides."""

    reason: Reason
    detail: str


class Outcome(NamedTuple):
    """What became of one source, root or interpreter that was not simply compiled."""

    source: str
    reason: Reason
    detail: str


class SourceIdentity(NamedTuple):
    """Which state of which file was read; sizes in bytes, times in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime: int
    ctime: int

    @classmethod
    def from_stat(cls, status: stat_result) -> "SourceIdentity":
        """Take the identity out of a ``stat`` result."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


class Entry(NamedTuple):
    """A file in the tree: its first 16 bytes, type and permissions, times in nanoseconds."""

    header: bytes
    mode: int
    uid: int
    mtime: int
    ctime: int
    size: int = 0

    @classmethod
    def from_stat(cls, header: bytes, status: stat_result) -> "Entry":
        """Put together what was read of a file, and what ``stat`` says of it."""
        return cls(
            header,
            status.st_mode,
            status.st_uid,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_size,
        )


def space_of(status: stat_result) -> int:
    """Say how many bytes a file takes up on the disk."""
    return status.st_blocks * _BLOCK


class SourceDirectory(NamedTuple):
    """One directory of sources: its files by name as ``stat`` shows them, and what was skipped.

    ``refusal`` says why the directory as a whole was not read.
    """

    path: str
    files: Mapping[str, stat_result] = MappingProxyType({})
    skips: tuple[Outcome, ...] = ()
    refusal: Refusal | None = None


class TreeDirectory(NamedTuple):
    """One directory of the tree: its entries by name, and its subdirectories' names."""

    entries: Mapping[str, Entry] = MappingProxyType({})
    subdirectories: tuple[str, ...] = ()


class Interpreter(NamedTuple):
    """An interpreter that said who it is and was believed.

    ``path`` is how it was found or named, ``directory`` its folder below the tree, ``library`` its
    standard library, ``site`` where packages are installed for it, in its own order,
    ``shared_objects`` the libraries that hold the interpreter itself. ``stand_in`` is the outer
    system's interpreter that compiles for one of an entered root that cannot run.
    """

    path: str
    binary: str
    version: tuple[int, int, int]
    implementation: str
    cache_tag: str
    magic: bytes
    directory: str
    environment: str
    library: tuple[str, ...]
    site: tuple[str, ...]
    shared_objects: tuple[str, ...] = ()
    stand_in: str = ""


class Job(NamedTuple):
    """One source to compile, its size in bytes. A small tuple: there may be 100,000 of them."""

    source: str
    size: int
    levels: bytes
    invalidation: int

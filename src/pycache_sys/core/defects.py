"""Defects: what ``verify`` can find wrong with a tree, and the report of it. No I/O."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from os import stat_result
from stat import S_IMODE
from typing import Any, NamedTuple

from pycache_sys.core import pyc
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.model import Entry, Outcome
from pycache_sys.core.plan import Order, entry_mode, wanted_flags
from pycache_sys.core.report import InterpreterNote

JSON_VERSION = 1
READ_AND_SEARCH = 0o755


class Kind(StrEnum):
    """What is wrong with one file or directory of the tree."""

    MISSING = "missing"
    STALE = "stale"
    STRAY = "stray"
    CORRUPT = "corrupt"
    DIFFERS = "differs"
    OWNER = "owner"
    MODE = "mode"
    TYPE = "type"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    TAG = "tag"
    UNREADABLE = "unreadable"


class Mark(StrEnum):
    """What of an entry is not its source's."""

    MTIME = "mtime"
    HEADER = "header"
    CTIME = "ctime"
    HASH = "hash"
    MAGIC = "magic"
    INVALIDATION = "invalidation"


MARK_WORDS = {
    Mark.MTIME: "it does not have its source's time of modification",
    Mark.HEADER: "its header has another time or size than its source",
    Mark.CTIME: "its source changed after it was compiled",
    Mark.HASH: "its header does not have its source's hash",
    Mark.MAGIC: "it is of another Python, by its magic number",
    Mark.INVALIDATION: "it is matched with its source in another way than is wanted",
}


class Defect(NamedTuple):
    """One defect, sorted by where it is; ``source`` and ``marks`` are empty where there are none.

    ``path`` is absolute, ``detail`` for people.
    """

    path: str
    kind: Kind
    detail: str
    source: str = ""
    marks: tuple[Mark, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "kind": self.kind.value,
            "path": self.path,
            "source": self.source or None,
            "marks": [mark.value for mark in self.marks],
            "detail": self.detail,
        }


@dataclass(slots=True, kw_only=True)
class Verification:
    """What a verification found, filled while it goes on."""

    tree: str
    deep: bool = False
    interpreters: list[InterpreterNote] = field(default_factory=list)
    sources: int = 0
    """Sources whose bytecode is what it should be, as far as their stamps say."""
    entries: int = 0
    """Files whose body was read and loaded."""
    defects: list[Defect] = field(default_factory=list)
    uncompilable: list[Outcome] = field(default_factory=list)
    """Sources that have no bytecode because none can be made."""
    left: list[Outcome] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)
    """What could not be looked at as a whole: paths, interpreters."""
    seconds: float = 0.0
    is_planned: bool = False
    """Whether the tree could be looked into, and interpreters were looked for."""

    @property
    def counts(self) -> dict[Kind, int]:
        """Count the defects by kind, in the order of kinds."""
        found = Counter(defect.kind for defect in self.defects)
        return {kind: found[kind] for kind in Kind if found[kind]}

    @property
    def exit_status(self) -> ExitStatus:
        """Say whether anything is off."""
        unusable = any(note.named and note.refusal for note in self.interpreters)
        none_used = not any(note.refusal is None for note in self.interpreters)
        if self.defects or self.failures or unusable or none_used:
            return ExitStatus.SOME_FAILED
        return ExitStatus.DONE

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "version": JSON_VERSION,
            "tree": self.tree,
            "deep": self.deep,
            "interpreters": [note.as_json() for note in self.interpreters],
            "counts": {
                "sources": self.sources,
                "entries": self.entries,
                "defects": len(self.defects),
                "uncompilable": len(self.uncompilable),
            },
            "kinds": {kind.value: number for kind, number in self.counts.items()},
            "defects": [defect.as_json() for defect in sorted(self.defects)],
            "uncompilable": [_named("source", outcome) for outcome in sorted(self.uncompilable)],
            "left": [_named("path", outcome) for outcome in sorted(self.left)],
            "failures": [_named("source", outcome) for outcome in sorted(self.failures)],
            "seconds": round(self.seconds, 3),
        }


def _named(name: str, outcome: Outcome) -> dict[str, str]:
    return {name: outcome.source, "reason": outcome.reason.value, "detail": outcome.detail}


def stale_marks(status: stat_result, entry: Entry, order: Order) -> tuple[Mark, ...]:
    """Say what of an entry is not its source's: why ``plan.judge`` does not take it for fresh."""
    header = entry.header
    flags = wanted_flags(status, header, order)
    marks = []
    if header[:4] != order.magic:
        marks.append(Mark.MAGIC)
    elif header[:8] != pyc.start(order.magic, flags):
        marks.append(Mark.INVALIDATION)
    elif flags == pyc.TIMESTAMP and header[8:] != pyc.timestamp_fields(status):
        marks.append(Mark.HEADER)
    if entry.mtime != status.st_mtime_ns // order.granularity * order.granularity:
        marks.append(Mark.MTIME)
    if entry.ctime < status.st_ctime_ns:
        marks.append(Mark.CTIME)
    return tuple(marks)


def entry_defects(
    path: str, source: str, status: stat_result, entry: Entry, order: Order
) -> list[Defect]:
    """Say what is wrong with an entry that its plan makes anew; it is a regular file.

    What has nothing wrong but its hash is not told from what is fresh.
    """
    found = []
    if entry.uid != order.owner:
        found.append(Defect(path, Kind.OWNER, owner_words(entry.uid, order.owner), source))
    wanted = entry_mode(status, order)
    if S_IMODE(entry.mode) != wanted:
        found.append(Defect(path, Kind.MODE, mode_words(entry.mode, wanted), source))
    if len(entry.header) < pyc.HEADER_SIZE:
        detail = f"{entry.size} bytes are less than a header"
        found.append(Defect(path, Kind.CORRUPT, detail, source))
        return found
    marks = stale_marks(status, entry, order)
    if marks:
        found.append(stale(path, source, marks))
    return found


def stale(path: str, source: str, marks: tuple[Mark, ...]) -> Defect:
    """Put marks into words."""
    detail = "; ".join(MARK_WORDS[mark] for mark in marks)
    return Defect(path, Kind.STALE, detail, source, marks)


def owner_words(uid: int, wanted: int) -> str:
    """Say whose something is."""
    return f"it belongs to uid {uid}, not to uid {wanted}"


def mode_words(mode: int, wanted: int) -> str:
    """Say which mode something has."""
    return f"its mode is {S_IMODE(mode):04o}, not {wanted:04o}"


def directory_defects(
    path: str, status: stat_result, owner: int, *, is_system: bool, source_mode: int | None
) -> tuple[list[Defect], bool]:
    """Judge a directory of the tree; and tell whether nothing in it is believed, or read.

    A caller's own tree keeps the privacy of each source directory, whose mode is ``source_mode``
    (None where there is none).
    """
    unbelieved = "; what is in it may be anybody's"
    mode = S_IMODE(status.st_mode)
    if status.st_uid != owner:
        words = owner_words(status.st_uid, owner) + unbelieved
        return [Defect(path, Kind.OWNER, words)], True
    if mode & 0o022:
        words = f"it is writable by others (mode {mode:04o}){unbelieved}"
        return [Defect(path, Kind.MODE, words)], True
    if is_system and mode & READ_AND_SEARCH != READ_AND_SEARCH:
        words = f"not everybody can read it (mode {mode:04o}, not {READ_AND_SEARCH:04o})"
        return [Defect(path, Kind.MODE, words)], True
    if not is_system and source_mode is not None and mode & 0o055 & ~source_mode:
        words = (
            f"it is less private (mode {mode:04o}) than the directory of its sources "
            f"({S_IMODE(source_mode):04o})"
        )
        return [Defect(path, Kind.MODE, words)], False
    return [], False


def names_elsewhere(links: int, here: int) -> str:
    """Say that a file has more names than are its own."""
    words = "1 name" if here == 1 else f"{here} names"
    return f"the file has {links} names, and {words} here: others are elsewhere"

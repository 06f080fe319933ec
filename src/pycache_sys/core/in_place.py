"""Decide which bytecode beside the sources may go: what the tree serves as well, and nothing else.

A file in a ``__pycache__`` may go when its name is the one that PEP 3147 and PEP 488 give to the
bytecode of a source that stands there, for an interpreter that reads the tree, and when the tree's
entry for just that interpreter and level is fresh. What is left has a reason.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from os import stat_result
from stat import S_IMODE, S_ISREG
from typing import Any, NamedTuple

from pycache_sys.core.model import Entry, SourceDirectory, TreeDirectory, space_of
from pycache_sys.core.plan import Freshness, Order, is_temporary, judge, source_of
from pycache_sys_runtime import layout

HOOK_PACKAGE = "pycache_sys_runtime"
_TAGGED = re.compile(r"(?s)(.+)\.(?!opt-)[a-z]+-?[0-9]+t?(?:\.opt-[0-9a-zA-Z]+)?\.pyc")


class Left(StrEnum):
    """Why a file beside its source stays."""

    NOT_ROOTS = "not-roots"
    FOREIGN = "foreign"
    SOURCELESS = "sourceless"
    NO_INTERPRETER = "no-interpreter"
    BEFORE_HOOK = "before-hook"
    MANIFEST = "manifest"
    NO_HOOK = "no-hook"
    NOT_IN_TREE = "not-in-tree"


class Beside(NamedTuple):
    """A file in a ``__pycache__``, or that directory; ``mtime`` in nanoseconds."""

    mode: int
    uid: int
    gid: int
    mtime: int
    space: int = 0
    """What its removal frees, in bytes."""

    @classmethod
    def from_stat(cls, status: stat_result) -> "Beside":
        """Take it out of a ``stat`` result."""
        space = space_of(status) if status.st_nlink == 1 else 0
        return cls(status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, space)

    @property
    def is_roots_file(self) -> bool:
        """Tell whether it is a regular file that root alone can write."""
        return S_ISREG(self.mode) and self.uid == 0 and not self.mode & 0o022

    @property
    def permissions(self) -> int:
        """Return its mode without its type."""
        return S_IMODE(self.mode)


class Folder(NamedTuple):
    """A directory of sources that has a ``__pycache__``: its sources' names, and what is in that.

    ``is_roots`` tells whether root alone has a say in both.
    """

    path: str
    sources: AbstractSet[str]
    status: Beside
    files: Mapping[str, Beside]
    is_roots: bool = True


class View(NamedTuple):
    """What one interpreter's part of the tree has of a directory.

    ``blocked`` is why none of its bytecode goes. ``confirmed`` are sources, by path, whose hash is
    known to agree. ``planned`` is for a dry run: what is not there would be built.
    """

    order: Order
    sources: SourceDirectory
    tree: TreeDirectory
    blocked: Left | None = None
    confirmed: AbstractSet[str] = frozenset()
    planned: bool = False

    def serves(self, name: str, source: str) -> bool:
        """Tell whether the tree's entry of that name is fresh."""
        status = self.sources.files.get(source)
        if status is None:
            return False
        entry = self.tree.entries.get(name)
        verdict = Freshness.STALE if entry is None else judge(status, entry, self.order)
        if verdict is Freshness.DOUBTFUL and f"{self.sources.path}/{source}" in self.confirmed:
            return True
        if verdict is not Freshness.FRESH and self.planned:
            return level_of(name) in self.order.levels
        return verdict is Freshness.FRESH

    def doubt(self, name: str, source: str) -> tuple[stat_result, Entry] | None:
        """Return what only a hash can clear."""
        status, entry = self.sources.files.get(source), self.tree.entries.get(name)
        if status is None or entry is None:
            return None
        return (status, entry) if judge(status, entry, self.order) is Freshness.DOUBTFUL else None


def level_of(name: str) -> int:
    """Read the optimization level out of a name that ``source_of`` understands."""
    level = name[: -len(layout.BYTECODE_SUFFIX)].rpartition(layout.OPTIMIZATION_MARK)[2]
    return int(level) if level.isdecimal() else 0  # a.opt-1.py has a.opt-1.cpython-311.pyc


def select(
    folder: Folder, views: Iterable[View], before_hook: AbstractSet[str], named: AbstractSet[str]
) -> dict[str, Left | None]:
    """Say for each file of a ``__pycache__`` why it stays; None for one that may go.

    ``before_hook`` are sources by path, ``named`` the files that a manifest names.
    """
    seen = list(views)
    return {name: _judge(folder, name, seen, before_hook, named) for name in folder.files}


def _judge(
    folder: Folder,
    name: str,
    views: list[View],
    before_hook: AbstractSet[str],
    named: AbstractSet[str],
) -> Left | None:
    if not folder.is_roots or not folder.files[name].is_roots_file:
        return Left.NOT_ROOTS
    if is_temporary(name):  # of an undo that was killed
        return None
    claims = [view for view in views if source_of(name, view.order) is not None]
    source = _source(name, claims)
    if source is None:
        return Left.FOREIGN
    if source not in folder.sources:
        return Left.SOURCELESS
    if not claims:
        return Left.NO_INTERPRETER
    return _judge_served(folder, name, source, claims, before_hook, named)


def _judge_served(
    folder: Folder,
    name: str,
    source: str,
    claims: list[View],
    before_hook: AbstractSet[str],
    named: AbstractSet[str],
) -> Left | None:
    """Judge a file that some interpreters, at least one, would read."""
    path = f"{folder.path}/{source}"
    if path in before_hook or folder.path.endswith(f"/{HOOK_PACKAGE}"):
        return Left.BEFORE_HOOK
    if f"{folder.path}/__pycache__/{name}" in named:
        return Left.MANIFEST
    for view in claims:
        if view.blocked is not None:
            return view.blocked
    return None if all(view.serves(name, source) for view in claims) else Left.NOT_IN_TREE


def _source(name: str, claims: list[View]) -> str | None:
    """Name the source that a file in a ``__pycache__`` would belong to, whoever reads it."""
    if claims:
        return source_of(name, claims[0].order)
    return source_named_by(name)


def source_named_by(name: str) -> str | None:
    """Name the source of any interpreter's bytecode; None for other names."""
    found = _TAGGED.fullmatch(name)
    return found[1] + layout.SOURCE_SUFFIX if found else None


class Cleared:
    """What became of the bytecode beside sources."""

    def __init__(self) -> None:
        self.removed = 0
        self.space = 0
        """What was freed, in bytes."""
        self.directories = 0
        self.restored = 0
        self.left: list[tuple[str, Left]] = []
        self.refused: list[tuple[str, str]] = []
        """Interpreters and paths for which nothing was done, and why."""
        self.missing: list[tuple[str, str]] = []
        """What could not be put back, and why."""
        self.removals: list[str] = []
        """What a dry run would remove, or put back."""

    @property
    def counts(self) -> dict[str, int]:
        """Count what was left, by reason, the most frequent first."""
        return {
            reason.value: number
            for reason, number in Counter(why for _, why in self.left).most_common()
        }

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "removed": self.removed,
            "bytes": self.space,
            "directories": self.directories,
            "restored": self.restored,
            "left": self.counts,
            "refused": [{"path": path, "detail": detail} for path, detail in self.refused],
            "missing": [{"path": path, "detail": detail} for path, detail in self.missing],
        }

"""The use case ``purge``: remove the whole tree, but what a run would not have named so."""

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pycache_sys import build_request
from pycache_sys.core.entries import is_folder_of_ours, is_named_by_us
from pycache_sys.core.errors import ExitStatus, TreeError
from pycache_sys.policy.model import Policy
from pycache_sys.system import lock, stamp
from pycache_sys.system.inventory import Inventory, read_beginning, take_inventory
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.tree import SYSTEM_TREE, TAG_NAME, Tree

JSON_VERSION = 1
_MARK = b"created by pycache-sys"
_LONGEST_TAG = 1 << 12
_FOREIGN = "not a name of ours: left alone"
_MOUNTED = "something is mounted here: left alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for; ``tree`` is absolute."""

    tree: str = SYSTEM_TREE
    policy: Policy = Policy()  # noqa: RUF009 - it does not change
    dry_run: bool = False
    wait_seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class Purged:
    """What became of a tree, filled while it goes; ``left`` and ``failures`` are (path, why)."""

    tree: str
    dry_run: bool = False
    removals: list[str] = field(default_factory=list)
    """Files that went, or would go, as absolute paths."""
    size: int = 0
    """The bytes in them."""
    left: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    is_gone: bool = False
    """Whether the tree's top is not there any more, or would not be."""
    seconds: float = 0.0

    @property
    def exit_status(self) -> ExitStatus:
        """Say whether all went that was to go."""
        return ExitStatus.SOME_FAILED if self.failures else ExitStatus.DONE

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "version": JSON_VERSION,
            "tree": self.tree,
            "dry_run": self.dry_run,
            "counts": {
                "removed": len(self.removals),
                "bytes": self.size,
                "left": len(self.left),
                "failed": len(self.failures),
            },
            "left": _pairs(self.left),
            "failures": _pairs(self.failures),
            "gone": self.is_gone,
            "seconds": round(self.seconds, 3),
        }


def _pairs(found: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"path": path, "detail": detail} for path, detail in sorted(found)]


class Observer(Protocol):
    """Who watches a purge."""

    def waiting(self, message: str) -> None:
        """Hear that another run holds the lock."""

    def began(self, words: str, total: int) -> None:
        """Hear that so many files are removed next."""

    def advanced(self) -> None:
        """Hear that one of them is gone."""


def purge(request: Request, result: Purged, observer: Observer) -> None:
    """Remove the tree, under its lock; the names of users' ids in the policy stay.

    Raises PycacheSysError where the tree is not safe to write. After KeyboardInterrupt what is
    left of the tree is valid.
    """
    started = time.monotonic()
    asked = build_request.Request(tree=request.tree, policy=request.policy, dry_run=request.dry_run)
    tree = build_request.tree_of(asked)
    try:
        if not os.path.lexists(tree.path):
            result.is_gone = True
            return
        _check(tree)
        if request.dry_run:
            _Purge(tree, result, observer).plan()
            return
        path = lock.lock_path(tree.path, is_system=tree.is_system)
        with lock.held(path, seconds=request.wait_seconds, waiting=observer.waiting):
            _Purge(tree, result, observer).carry_out(path)
    finally:
        tree.close()
        result.seconds = time.monotonic() - started


def _check(tree: Tree) -> None:
    try:
        tree.check_top()
    except OSError as error:
        raise TreeError(
            f"cannot use the tree {tree.path}: {error.strerror}",
            hint="run this as whoever owns the directory",
        ) from error


class _Purge:
    """One purge: sorts what is there into what goes and what stays."""

    def __init__(self, tree: Tree, result: Purged, observer: Observer) -> None:
        self._tree = tree
        self._result = result
        self._observer = observer
        real = os.path.realpath(tree.path)
        self._mounted = {point[len(real) + 1 :] for point in Mounts().inside(real)}
        self._inventory = Inventory()
        self._goes: list[str] = []

    def plan(self) -> None:
        """Sort, and say what would become of it."""
        self._sort()
        for path in self._goes:
            self._count(path)
        self._result.is_gone = not (self._result.left or self._result.failures)

    def carry_out(self, lock_path: str) -> None:
        """Sort, and remove what goes."""
        tree, result = self._tree, self._result
        self._sort()
        if tree.is_system:
            stamp.remove()  # it says how a tree stood that is not there any more
        self._observer.began("removing", len(self._goes))
        for path in self._goes:
            try:
                if tree.remove(path):
                    self._count(path)
            except (OSError, TreeError) as error:
                self._fail(path, error)
            self._observer.advanced()
        tree.remove_empty(self._folders())
        if not tree.is_system and os.path.dirname(lock_path) == tree.path:
            tree.remove(os.path.basename(lock_path))
        result.is_gone = tree.remove_top()

    def _sort(self) -> None:
        """Divide the files by the rule for names."""
        self._inventory = take_inventory(self._tree.path, [""], self._enters)
        own = lock.lock_path(self._tree.path, is_system=self._tree.is_system)
        for path, status in self._inventory.files.items():
            if f"{self._tree.path}/{path}" == own:
                continue
            if stat.S_ISREG(status.st_mode) and (is_named_by_us(path) or self._is_our_tag(path)):
                self._goes.append(path)
            else:
                self._leave(path, _FOREIGN)
        for path, words in self._inventory.unreadable.items():
            self._result.failures.append((f"{self._tree.path}/{path}", words))

    def _enters(self, path: str, status: os.stat_result) -> bool:
        """Tell whether to look into a directory: not where others have had a hand in it."""
        if path in self._mounted:
            self._leave(path, _MOUNTED)
            return False
        if path and not is_folder_of_ours(path.partition("/")[0]):
            self._leave(path, _FOREIGN)
            return False
        if status.st_uid != self._tree.owner or status.st_mode & 0o022:
            why = "others own it or may write it: not looked into. Correct that, then run again"
            self._result.failures.append((f"{self._tree.path}/{path}", why))
            return False
        return True

    def _is_our_tag(self, path: str) -> bool:
        if path != TAG_NAME:
            return False
        return _MARK in (read_beginning(f"{self._tree.path}/{path}", _LONGEST_TAG) or b"")

    def _folders(self) -> Iterable[str]:
        """Name the directories that may have become empty: those in interpreters' folders."""
        return [
            path
            for path in self._inventory.directories
            if is_folder_of_ours(path.partition("/")[0]) and path not in self._mounted
        ]

    def _count(self, path: str) -> None:
        status = self._inventory.files[path]
        self._result.removals.append(f"{self._tree.path}/{path}")
        self._result.size += status.st_size // status.st_nlink

    def _leave(self, path: str, why: str) -> None:
        self._result.left.append((f"{self._tree.path}/{path}", why))

    def _fail(self, path: str, error: OSError | TreeError) -> None:
        words = error.strerror if isinstance(error, OSError) else str(error)
        self._result.failures.append((f"{self._tree.path}/{path}", f"not removed: {words}"))

"""Take stock: look at every file and directory of a tree, and judge it by owner, mode and name."""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from pycache_sys.check import Body
from pycache_sys.core.defects import (
    Defect,
    Kind,
    Verification,
    directory_defects,
    mode_words,
    names_elsewhere,
    owner_words,
)
from pycache_sys.core.entries import entries_of, source_of_entry
from pycache_sys.core.model import Interpreter, Outcome, Reason
from pycache_sys.core.names import tag_of
from pycache_sys.core.plan import Order, is_temporary
from pycache_sys.system.inventory import Inventory, stand, take_inventory
from pycache_sys.system.lock import lock_path
from pycache_sys.system.tree import TAG_NAME, Tree

_PAUSES = (0.0, 0.05, 0.25)
"""Seconds before each further look at what a rebuild may be about to change."""

Folders = Mapping[str, tuple[Order, Interpreter | None]]
"""What is wanted of each interpreter's folder, and who loads its bytecode, if anybody."""
Siblings = tuple[str, ...]
"""The entries of one source, of all levels."""


class Stock:
    """What is in a tree; what is wrong with it goes into the result.

    ``settled`` are files that somebody has said something of: their bodies are not looked at.
    ``half_made`` are those that may be under construction, by their paths below the top.
    """

    def __init__(self, tree: Tree, result: Verification) -> None:
        self.settled: set[str] = set()
        self.half_made: list[str] = []
        self._tree = tree
        self._result = result
        self._inventory = Inventory()
        self._only: frozenset[str] | None = None
        self._unbelieved: set[str] = set()
        """Directories in which nothing is believed, and what stands in the place of one."""
        self._in_the_way: set[str] = set()
        """Places where a directory is expected."""

    def take(self, starts: Sequence[str], *, only: frozenset[str] | None) -> None:
        """Look at all below some starts, and ``only`` into these folders (None: all)."""
        self._only = only
        self._inventory = take_inventory(self._tree.path, starts, self.enters)
        for path, words in self._inventory.unreadable.items():
            self._unbelieved.add(path)
            self._add(path, Kind.UNREADABLE, words)
        self._unbelieved.update(self._inventory.files)  # not a directory, if one is expected

    def enters(self, path: str, status: os.stat_result) -> bool:
        """Judge a directory, and tell whether to look into it."""
        tree = self._tree
        if path and self._only is not None and path.partition("/")[0] not in self._only:
            return False
        is_public = tree.is_system or not path
        source = None if is_public else stand(f"/{path.partition('/')[2]}", follow=True)
        defects, is_unbelieved = directory_defects(
            f"{tree.path}/{path}".rstrip("/"),
            status,
            tree.owner,
            is_system=tree.is_system,
            source_mode=source.st_mode if source is not None else None,
        )
        self._result.defects += defects
        if is_unbelieved:
            self._unbelieved.add(path)
        return not is_unbelieved

    def is_unbelieved(self, below: str) -> bool:
        """Tell whether nothing below a directory of the tree is believed."""
        place = below
        while place:
            if place in self._unbelieved:
                self._in_the_way.add(place)
                return True
            place = place.rpartition("/")[0]
        return False

    def sort(self, folders: Folders, is_meant: Callable[[str], bool]) -> dict[str, list[Body]]:
        """Judge every file; return those whose body is to be loaded, by folder.

        Entries whose source is not meant are passed over.
        """
        bodies: dict[str, list[Body]] = {}
        names: dict[tuple[int, Siblings], list[Body]] = {}
        orphans: dict[str, int] = {}
        for path, status in self._inventory.files.items():
            if stat.S_ISLNK(status.st_mode):
                self._add(path, Kind.SYMLINK, "it is a symbolic link, and a rebuild makes none")
                continue
            folder = path.partition("/")[0]
            known = folders.get(folder)
            tag = known[0].cache_tag if known else tag_of(folder)
            named = source_of_entry(path, tag)
            if named is None:
                self._judge_foreign(path, status)
                continue
            source, level = named
            if not is_meant(source):
                continue
            body = Body(f"{self._tree.path}/{path}", source, int(level or "0"), status)
            if stat.S_ISREG(status.st_mode):
                siblings = tuple(entries_of(source, folder, tag or ""))
                names.setdefault((status.st_ino, siblings), []).append(body)
            if path in self.settled or not self._is_body_believed(body):
                continue
            if known is None or known[1] is None:
                orphans[folder] = orphans.get(folder, 0) + 1
            else:
                bodies.setdefault(folder, []).append(body)
        self._compare_links(names)
        self._say_half_made()
        for folder, number in orphans.items():
            detail = f"{number} files for an interpreter that is not used: not looked into"
            self._result.left.append(
                Outcome(f"{self._tree.path}/{folder}", Reason.NO_INTERPRETER, detail)
            )
        return bodies

    def _judge_foreign(self, path: str, status: os.stat_result) -> None:
        """Leave what is not ours alone, unless others could put something else there."""
        full = f"{self._tree.path}/{path}"
        own = lock_path(self._tree.path, is_system=self._tree.is_system)
        if path in self.settled or full == own:
            return
        if "/" not in path and is_temporary(path):
            self.half_made.append(path)
            return
        found = list(_wrong_hands(full, "", status, self._tree.owner))
        if path in self._in_the_way:
            found.append(Defect(full, Kind.TYPE, "it is no directory, but stands for one"))
        self._result.defects += found
        if not found and path != TAG_NAME:
            detail = "not a name of ours: left alone"
            self._result.left.append(Outcome(full, Reason.FOREIGN, detail))

    def _is_body_believed(self, body: Body) -> bool:
        """Tell whether a file may be loaded: nobody else has had a hand in it."""
        if not stat.S_ISREG(body.status.st_mode):
            detail = "it is no regular file"
            self._result.defects.append(Defect(body.path, Kind.TYPE, detail, body.source))
            return False
        found = list(_wrong_hands(body.path, body.source, body.status, self._tree.owner))
        self._result.defects += found
        return not found

    def _compare_links(self, names: Mapping[tuple[int, Siblings], list[Body]]) -> None:
        """See that a file has no names but those of its own levels."""
        suspects = {
            key: (bodies[0].status.st_nlink, len(bodies))
            for key, bodies in names.items()
            if bodies[0].status.st_nlink != len(bodies)
        }
        for pause in _PAUSES:
            if suspects:
                time.sleep(pause)
                again = {key: self._count_names(*key) for key in suspects}
                suspects = {key: found for key, found in again.items() if found[0] > found[1]}
        for key, found in suspects.items():
            for body in names[key]:
                detail = names_elsewhere(*found)
                self._result.defects.append(Defect(body.path, Kind.HARDLINK, detail, body.source))

    def _say_half_made(self) -> None:
        """Name what is unfinished, unless a rebuild is at it: then it is gone a moment later."""
        left = self.half_made
        for pause in _PAUSES:
            if left:
                time.sleep(pause)
                left = [path for path in left if stand(f"{self._tree.path}/{path}") is not None]
        for path in left:
            self._add(path, Kind.STRAY, "a run that was killed left it half made")

    def _count_names(self, inode: int, siblings: Siblings) -> tuple[int, int]:
        """Count, as it stands now, the names of a file and those of them that are its levels'."""
        found = [stand(f"{self._tree.path}/{path}") for path in siblings]
        links = [now.st_nlink for now in found if now is not None and now.st_ino == inode]
        return max(links, default=0), len(links)

    def _add(self, path: str, kind: Kind, detail: str) -> None:
        full = f"{self._tree.path}/{path}".rstrip("/")
        self._result.defects.append(Defect(full, kind, detail))


def _wrong_hands(path: str, source: str, status: os.stat_result, owner: int) -> Iterator[Defect]:
    """Say whether others own a file or may write it."""
    if status.st_uid != owner:
        yield Defect(path, Kind.OWNER, owner_words(status.st_uid, owner), source)
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022:
        yield Defect(path, Kind.MODE, mode_words(mode, mode & ~0o022), source)

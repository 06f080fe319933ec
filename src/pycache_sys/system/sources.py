"""Find Python sources below a root, and say what was not taken and why."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from pycache_sys.core.model import Outcome, Reason, Refusal, SourceDirectory
from pycache_sys.core.select import is_below
from pycache_sys.system.trust import Trust, refusal_of

Broken = Callable[[str], tuple[str, ...]]
"""Says, for a directory, how the names of files begin that are not meant to compile."""

Excluded = Callable[[str], str]
"""Says why a path is not to be compiled; "" where it is. A directory's path ends with a slash."""


class Walk:
    """A walk over the directories below some roots; never raises for what it finds.

    A link to a package is followed where it stays inside the root and does not lead upwards, and
    below it no further one is: an alias is compiled under its own name, and no loop is walked.
    Directories in ``apart`` are not walked.
    """

    def __init__(
        self,
        roots: Iterable[str],
        trust: Trust,
        broken: Broken,
        apart: frozenset[str] = frozenset(),
        excluded: Excluded | None = None,
    ) -> None:
        self._trust = trust
        self._broken = broken
        self._apart = apart
        self._excluded = excluded
        self._pending = deque((root, root, False) for root in roots)

    def __iter__(self) -> Iterator[SourceDirectory]:
        """Yield the directories near the roots first: a division then is nearly even."""
        while self._pending:
            path, root, linked = self._pending.popleft()
            if path in self._apart:
                continue
            refusal = self._trust.directory(path) if self._excluded is None else self._judge(path)
            if refusal is not None:
                yield SourceDirectory(path=path, skips=(Outcome(path, *refusal),), refusal=refusal)
                continue
            names = self._broken(path)
            collected = _Collector(path, root, self._trust, names, self._excluded, linked)
            directory = collected.read()
            self._pending.extend((found, root, via) for found, via in collected.subdirectories)
            yield directory

    @property
    def width(self) -> int:
        """Count the directories that are known and not walked yet."""
        return len(self._pending)

    def divide(self, parts: int) -> "list[Walk]":
        """Divide what is not walked yet into walks of their own."""
        pending = list(self._pending)
        walks = []
        for part in range(parts):
            walk = Walk((), self._trust, self._broken, self._apart, self._excluded)
            walk._pending.extend(pending[part::parts])
            walks.append(walk)
        self._pending.clear()
        return walks

    def _judge(self, path: str) -> Refusal | None:
        why = self._excluded(f"{path}/") if self._excluded is not None else ""
        return Refusal(Reason.EXCLUDED, why) if why else self._trust.directory(path)


def named_files(
    directory: str, names: Sequence[str], trust: Trust, excluded: Excluded | None = None
) -> SourceDirectory:
    """Look at named files of one directory, as a package manager lists them."""
    files: dict[str, os.stat_result] = {}
    skips: list[Outcome] = []
    refusal = trust.directory(directory)
    for name in names:
        path = f"{directory}/{name}"
        why = excluded(path) if excluded is not None else ""
        result: os.stat_result | Refusal
        if why:
            result = Refusal(Reason.EXCLUDED, why)
        else:
            result = examine(path, trust) if refusal is None else refusal
        if isinstance(result, Refusal):
            skips.append(Outcome(path, *result))
        else:
            files[name] = result
    return SourceDirectory(path=directory, files=files, skips=tuple(skips))


def examine(path: str, trust: Trust) -> os.stat_result | Refusal:
    """Look at one file through its links, in a directory that may be read."""
    is_link = False
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            is_link = True
            status = os.stat(path)
    except OSError as error:
        unseen = refusal_of(error)
        if is_link and unseen.reason is Reason.VANISHED:
            return Refusal(Reason.DANGLING_LINK, "a symbolic link to nothing")
        return unseen
    if not stat.S_ISREG(status.st_mode):
        return Refusal(Reason.NOT_REGULAR, f"a {_kind(status.st_mode)}")
    refusal = trust.file(path, status)
    if refusal is None and is_link:
        refusal = trust.link(path)
    return status if refusal is None else refusal


def is_gone(path: str) -> bool:
    """Tell whether nothing stands under a name: not so where it cannot be looked at."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


class _Collector:
    """Reads one directory."""

    def __init__(
        self,
        path: str,
        root: str,
        trust: Trust,
        broken: tuple[str, ...],
        excluded: Excluded | None,
        linked: bool,  # noqa: FBT001 - private
    ) -> None:
        self.path = path
        self.subdirectories: list[tuple[str, bool]] = []
        self._root = root
        self._trust = trust
        self._broken = broken
        self._excluded = excluded
        self._selects = bool(broken) or excluded is not None
        self._linked = linked
        self._files: dict[str, os.stat_result] = {}
        self._skips: list[Outcome] = []
        self._refusal: Refusal | None = None

    def read(self) -> SourceDirectory:
        """List the directory and sort its entries."""
        windowed: list[str] = []
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    name = entry.name
                    if name.endswith(".py") and entry.is_file(follow_symlinks=False):
                        self._take(entry)
                    elif entry.is_dir(follow_symlinks=False):
                        if name != "__pycache__":
                            self.subdirectories.append((entry.path, self._linked))
                    elif name.endswith(".py"):
                        self._take_special(entry)
                    elif name.endswith(".pyw"):
                        windowed.append(name)
                    elif entry.is_symlink():
                        self._follow(entry)
        except OSError as error:
            self._refusal = refusal_of(error)
            self._skips.append(Outcome(self.path, *self._refusal))
        self._compare(windowed)
        return SourceDirectory(
            path=self.path,
            files=self._files,
            skips=tuple(self._skips),
            refusal=self._refusal,
        )

    def _compare(self, windowed: list[str]) -> None:
        for name in windowed:
            if name[:-1] in self._files:
                detail = f"its bytecode would have the name of {name[:-1]}'s"
                self._skips.append(Outcome(f"{self.path}/{name}", Reason.SHADOWED, detail))

    def _take(self, entry: "os.DirEntry[str]") -> None:
        """Take a regular file, as nearly all are."""
        if self._selects and self._is_excluded(entry):
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._skips.append(Outcome(entry.path, *refusal_of(error)))
            return
        refusal = self._trust.file(entry.path, status)
        if refusal is None:
            self._files[entry.name] = status
        else:
            self._skips.append(Outcome(entry.path, *refusal))

    def _is_excluded(self, entry: "os.DirEntry[str]") -> bool:
        why = ""
        if self._broken and entry.name.startswith(self._broken):
            why = "test data of the standard library"
        elif self._excluded is not None:
            why = self._excluded(entry.path)
        if why:
            self._skips.append(Outcome(entry.path, Reason.EXCLUDED, why))
        return bool(why)

    def _take_special(self, entry: "os.DirEntry[str]") -> None:
        """Take a link to a file; everything else is no source."""
        if os.path.isdir(entry.path):
            self._follow(entry)
            return
        if self._selects and self._is_excluded(entry):
            return
        result = examine(entry.path, self._trust)
        if isinstance(result, Refusal):
            self._skips.append(Outcome(entry.path, *result))
        else:
            self._files[entry.name] = result

    def _follow(self, entry: "os.DirEntry[str]") -> None:
        """Follow a link to a package, if it goes nowhere it should not; to data, never."""
        if not os.path.lexists(f"{entry.path}/__init__.py"):
            return
        target = os.path.realpath(entry.path)
        inside = is_below(target, os.path.realpath(self._root))
        upwards = is_below(os.path.realpath(self.path), target)
        if inside and not upwards and not self._linked:
            self.subdirectories.append((entry.path, True))
            return
        if not inside:
            self._skips.append(
                Outcome(
                    entry.path,
                    Reason.OUTSIDE_ROOTS,
                    f"a symbolic link to a package outside {self._root}: {target}",
                )
            )


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "FIFO",
        stat.S_IFSOCK: "socket",
        stat.S_IFBLK: "block device",
        stat.S_IFCHR: "character device",
        stat.S_IFDIR: "directory",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")

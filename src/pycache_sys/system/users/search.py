"""Search a directory for what root left in it, and for virtual environments; nothing is changed.

All of it goes through descriptors of directories that were opened one by one without following a
link, never into another file system, and no further than some limits: what is searched is other
people's, who may put anything there.
"""

import os
import stat
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from pycache_sys.core.delivery import PTH_NAME, START_NAME

MOST_FILES = 200_000
MOST_SECONDS = 20.0
DEEPEST = 64
"""How many directories may stand in each other; each that is entered keeps a descriptor open."""
MOST_NAMED = 100
"""So many places of a kind are named at most."""
PASSED_BY = frozenset({".git", "node_modules"})
_PYCACHE = "__pycache__"
_CONFIGURATION = "pyvenv.cfg"
_LONGEST_CONFIGURATION = 8192
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Venv(NamedTuple):
    """A virtual environment: where it is, its base's directory, and the version 3.N it says."""

    path: str
    home: str
    version: str


class Limits(NamedTuple):
    """How far a search goes."""

    files: int = MOST_FILES
    seconds: float = MOST_SECONDS


@dataclass(slots=True)
class Searched:
    """What was found in one directory."""

    root_owned: list[str] = field(default_factory=list)
    """The first of them; ``number`` counts all."""
    number: int = 0
    venvs: list[Venv] = field(default_factory=list)
    """Those that no hook reaches by their own site directory, or by the system's."""
    is_whole: bool = True
    """Whether all of it was seen that its owner can see."""


def search(
    top: str,
    beat: Callable[[], None],
    *,
    limits: Limits = Limits(),  # noqa: B008 - a tuple
    mounted: Collection[str] = (),
) -> Searched:
    """Search a directory, but for what is ``mounted`` in it.

    What root owns counts where others own the directory that it is in, and all above that up to
    the top. Raises OSError where the top cannot be opened.
    """
    descriptor = os.open(top, _DIRECTORY)
    try:
        return _Search(top, beat, limits, frozenset(mounted)).run(descriptor)
    finally:
        os.close(descriptor)


class _Search:
    """One search."""

    def __init__(
        self, top: str, beat: Callable[[], None], limits: Limits, mounted: Collection[str]
    ) -> None:
        self._top = top
        self._beat = beat
        self._left = limits.files
        self._end = time.monotonic() + limits.seconds
        self._mounted = mounted
        self._device = 0
        self._hooked: list[str] = []
        self._found = Searched()

    def run(self, descriptor: int) -> Searched:
        """Search, and return what was found."""
        status = os.fstat(descriptor)
        self._device = status.st_dev
        self._enter(descriptor, self._top.rstrip("/"), 0, is_roots=status.st_uid == 0)
        found = self._found
        found.venvs = [venv for venv in found.venvs if not self._has_hook(venv.path)][:MOST_NAMED]
        return found

    def _has_hook(self, venv: str) -> bool:
        return any(path.startswith(f"{venv}/") for path in self._hooked)

    def _enter(self, descriptor: int, path: str, depth: int, *, is_roots: bool) -> None:
        """Look at what stands in a directory, then go into those in it."""
        below: list[str] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self._left -= 1
                if self._is_over():
                    return
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                else:
                    self._look(descriptor, path, entry.name, is_roots=is_roots)
        for name in below:
            if self._is_over():
                return
            inner = f"{path}/{name}"
            if name not in PASSED_BY and inner not in self._mounted:
                self._go(descriptor, inner, depth + 1, is_roots=is_roots)

    def _is_over(self) -> bool:
        self._beat()
        is_over = self._left < 0 or time.monotonic() > self._end
        if is_over:
            self._found.is_whole = False
        return is_over

    def _go(self, above: int, path: str, depth: int, *, is_roots: bool) -> None:
        name = path.rpartition("/")[2]
        try:
            if name == _PYCACHE and not is_roots:
                status = os.stat(name, dir_fd=above, follow_symlinks=False)
                if status.st_uid == 0:
                    self._take(path)
                    return
            descriptor = os.open(name, _DIRECTORY, dir_fd=above)
        except OSError:
            return  # gone meanwhile, a link by now, or closed to its owner
        try:
            status = os.fstat(descriptor)
            if status.st_dev != self._device:
                return
            if depth > DEEPEST:
                self._found.is_whole = False
                return
            self._enter(descriptor, path, depth, is_roots=is_roots or status.st_uid == 0)
        except OSError:
            return
        finally:
            os.close(descriptor)

    def _look(self, directory: int, path: str, name: str, *, is_roots: bool) -> None:
        """Look at a file, if its name is one of those that matter."""
        if name == _CONFIGURATION:
            self._add_venv(directory, path)
        elif name in (PTH_NAME, START_NAME):
            self._hooked.append(path)
        elif name.endswith(".pyc") and not is_roots and path.endswith(f"/{_PYCACHE}"):
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except OSError:
                return
            is_file = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if status.st_uid == 0 and is_file:
                self._take(f"{path}/{name}")

    def _take(self, path: str) -> None:
        self._found.number += 1
        if len(self._found.root_owned) < MOST_NAMED:
            self._found.root_owned.append(path)

    def _add_venv(self, directory: int, path: str) -> None:
        try:
            descriptor = os.open(_CONFIGURATION, _READ, dir_fd=directory)
            with open(descriptor, "rb") as file:
                is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
                content = file.read(_LONGEST_CONFIGURATION) if is_file else b""
        except OSError:
            return
        settings = {}
        for line in content.decode("utf-8", "surrogateescape").splitlines():
            key, _, value = line.partition("=")
            settings[key.strip().lower()] = value.strip()
        version = settings.get("version_info") or settings.get("version", "")
        has_systems = settings.get("include-system-site-packages", "").lower() == "true"
        if settings.get("home") and not has_systems and len(self._found.venvs) < MOST_FILES:
            short = ".".join(version.split(".")[:2])
            self._found.venvs.append(Venv(path, settings["home"].rstrip("/"), short))

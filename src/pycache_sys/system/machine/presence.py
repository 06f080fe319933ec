"""What is gone, and what only cannot be seen: a disk that is away, a home that is not mounted.

A cache loses nothing but time when something is taken for gone that is not. But whoever plugs a
drive in again should not find that all has to be compiled anew.
"""

import os
from collections.abc import Iterable

from pycache_sys.core.names import SEARCHED
from pycache_sys.core.select import is_below
from pycache_sys.core.tidying import Python
from pycache_sys.system.machine.mount_table import mounted, unescape
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.sources import is_gone

LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
COMING_AND_GOING = frozenset(
    ("/", "/home", "/media", "/mnt", "/net", "/run", "/run/media", "/run/user", "/var/run")
)
"""Directories in which others appear and vanish without anybody having deleted anything."""
_OF_EACH_USER = frozenset(("/media", "/run/media"))
_TABLE = "/etc/fstab"
_AUTOMATIC = "autofs"


class Presence:
    """Looks for sources and interpreters, and knows which places say nothing."""

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts
        self._directory = ""
        self._is_silent = True
        self._tells: bool | None = None
        self._kinds = {mount.point: mount.kind for mount in mounted()}
        self._missing = _listed() - self._kinds.keys()
        self._found: dict[Python, bool] = {}

    def is_gone(self, source: str) -> bool:
        """Tell whether a source was removed: there is none, and its place would show it.

        Where its directory is missing as well, the nearest one above that is there decides. One
        that is empty may be a mount point, so it decides nothing.
        """
        directory = os.path.dirname(source)
        if directory != self._directory:
            self._directory = directory
            self._is_silent = bool(self._mounts.silent([directory]))
            self._tells = None
        if self._is_silent or not is_gone(source):
            return False
        if self._tells is None:
            self._tells = self._shows(directory)
        return self._tells

    def _shows(self, directory: str) -> bool:
        if self._is_away(directory):
            return False
        while is_gone(directory):
            directory = os.path.dirname(directory)
        if directory in COMING_AND_GOING or os.path.dirname(directory) in _OF_EACH_USER:
            return False
        if os.path.islink(directory) and not os.path.exists(directory):
            return False
        try:
            with os.scandir(directory) as entries:
                return any(True for _ in entries)
        except NotADirectoryError:
            return True
        except OSError:
            return False

    def _is_away(self, directory: str) -> bool:
        """Tell whether a directory is on what is mounted at times, and not now."""
        if any(is_below(directory, point) for point in self._missing):
            return True
        nearest = max((p for p in self._kinds if is_below(directory, p)), key=len, default="/")
        return self._kinds.get(nearest) == _AUTOMATIC

    def has_interpreter(self, python: Python) -> bool:
        """Tell whether an interpreter is in the usual places; also if these cannot be seen."""
        if python not in self._found:
            self._found[python] = not all(map(is_gone, _traces(python)))
        return self._found[python]


def _traces(python: Python) -> Iterable[str]:
    """Name the places of an interpreter's program and of its library."""
    name = ("pypy" if python.is_pypy else "python") + python.version
    for directory in SEARCHED:
        yield f"{directory}/{name}"
    for directory in LIBRARIES:
        yield f"{directory}/{name}/os.py"


def _listed() -> frozenset[str]:
    """Name the mount points of the system's table, but for those of swap."""
    try:
        with open(_TABLE, "rb") as lines:
            fields = [line.split() for line in lines if not line.lstrip().startswith(b"#")]
    except OSError:
        return frozenset()
    points = (field[1] for field in fields if len(field) > 1)
    return frozenset(unescape(point) for point in points if point[:1] == b"/" != point)

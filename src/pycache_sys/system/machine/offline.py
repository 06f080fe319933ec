"""Enter another system's root: from there on every path is that system's, and no link leads out.

The kernel resolves each path inside the root, for this process and for those it starts. What this
process needs is loaded before: afterwards nothing is imported, for modules found in there are not
ours, and no name service is asked, for its libraries would be that system's, run by us as root.
"""

import codecs
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pycache_sys.core.errors import PycacheSysError, UsageError
from pycache_sys.system import lock
from pycache_sys.system.machine import nowhere
from pycache_sys.system.pythons import programs
from pycache_sys.system.users import accounts

_STANDARD_LIBRARY = (
    *("argparse", "ctypes", "difflib", "errno", "fnmatch", "glob", "grp", "json", "pickle"),
    *("pwd", "signal", "traceback", "unicodedata"),
)
_CODECS = ("ascii", "latin-1", "unicode-escape", "utf-8")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Offline:
    """The root that this process has entered; ``path`` is what the caller called it."""

    def __init__(self, path: str, outside: int, inside: int) -> None:
        self.path = path
        self._outside = outside
        self.inside = inside
        """A descriptor of the root, for a process of the outer system that is to go there."""

    @contextmanager
    def left(self) -> Iterator[None]:
        """Be in the outer system for a while."""
        self.leave()
        try:
            yield
        finally:
            _change_root(self.inside)

    def leave(self) -> None:
        """Go back to the outer system, for good."""
        _change_root(self._outside)

    def tidy(self) -> None:
        """Take away the lock's folder, which a system makes anew when it starts."""
        try:
            os.unlink(lock.SYSTEM_LOCK)
            os.rmdir(os.path.dirname(lock.SYSTEM_LOCK))
        except OSError:
            return


_entered: list[Offline] = []


def entered() -> Offline | None:
    """Return the root that was entered, None in the system that we were started in."""
    return _entered[0] if _entered else None


def enter(path: str) -> None:
    """Make a directory the root of this process. Raises PycacheSysError."""
    try:
        inside = os.open(path, _DIRECTORY)
    except OSError as error:
        raise UsageError(
            f"--root {path}: {error.strerror}", hint="name the directory of a system's root"
        ) from error
    status = os.fstat(inside)
    if os.geteuid() == 0 and (status.st_uid != 0 or status.st_mode & 0o022):
        raise PycacheSysError(
            f"--root {path} belongs to uid {status.st_uid}, with mode "
            f"{stat.S_IMODE(status.st_mode):04o}: others than root can change it",
            hint="a system's root is root's alone; mend it with chown and chmod",
        )
    outside = os.open("/", _DIRECTORY)
    _load_everything()
    nowhere.descriptor()
    programs.keep_texts()
    try:
        _change_root(inside)
    except PermissionError as error:
        raise PycacheSysError(
            f"cannot enter {path}: {error.strerror}",
            hint="run it as root, or in a user namespace: unshare --map-auto --map-root-user",
        ) from error
    accounts.read_files_only()
    _entered.append(Offline(path, outside, inside))


def _change_root(descriptor: int) -> None:
    os.fchdir(descriptor)
    os.chroot(".")
    os.chdir("/")


def _load_everything() -> None:
    """Import whatever a run may need, then nothing any more that is not built in."""
    import pkgutil  # noqa: PLC0415 - for this alone
    from importlib import import_module  # noqa: PLC0415 - as above

    import pycache_sys  # noqa: PLC0415 - as above

    for name in _STANDARD_LIBRARY:
        import_module(name)
    for name in _CODECS:
        codecs.lookup(name)
    for module in pkgutil.walk_packages(pycache_sys.__path__, f"{pycache_sys.__name__}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    built_in = [finder for finder in sys.meta_path if "PathFinder" not in repr(finder)]
    sys.meta_path[:] = [finder for finder in built_in if isinstance(finder, type)]
    sys.path[:] = []

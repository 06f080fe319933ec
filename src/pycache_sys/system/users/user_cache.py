"""A user's own cache: the only place that removes something from it, and nothing is written.

All of it happens through descriptors of directories that were opened one by one without following
a link. So what is removed stood in the cache when its directory was entered, whatever is renamed
or put in the place of something meanwhile. Programs go on reading and writing the cache: a file
that vanishes is a miss for them, and a directory that does is made again.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pycache_sys.core.tidying import Refused
from pycache_sys_runtime.hook import is_root
from pycache_sys_runtime.own import is_ones_own

DEEPEST = 256
"""How many directories may stand in each other; each that is entered keeps a descriptor open."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITABLE_BY_OTHERS = 0o022


class RefusedError(Exception):
    """Nothing may be removed from this cache."""

    def __init__(self, reason: Refused) -> None:
        super().__init__(reason)
        self.reason = reason


class Judge(Protocol):
    """Decides, and hears what was done. Paths are those in a folder, with a leading slash."""

    def goes(self, directory: str, name: str, status: os.stat_result) -> bool:
        """Tell whether a file, or whatever is no directory, goes."""

    def removed(self, directory: str, name: str, status: os.stat_result) -> None:
        """Hear that it was removed, or in a dry run would have been."""

    def emptied(self, directory: str) -> None:
        """Hear that an empty directory was removed."""

    def passed(self, directory: str) -> None:
        """Hear that a directory was not entered: it is not the user's, a mount, or too deep."""

    def failed(self, path: str, error: OSError) -> None:
        """Hear that something could not be looked at or removed."""


class UserCache:
    """A cache that is one user's alone, open."""

    def __init__(self, descriptor: int, uid: int, *, dry_run: bool, young: int) -> None:
        self._top = descriptor
        self._uid = uid
        self._device = os.fstat(descriptor).st_dev
        self.dry_run = dry_run
        self._young = young

    def names(self) -> list[str]:
        """Name what stands at the top."""
        return sorted(os.listdir(self._top))

    def sweep(self, folder: str, judge: Judge) -> None:
        """Remove what a judge says from one folder, and the directories that are empty then.

        An empty directory that nothing was removed from goes only if it is older than ``young``:
        somebody may have made it to write there.
        """
        self._enter(self._top, folder, "", judge, 0)

    def _enter(self, above: int, name: str, path: str, judge: Judge, depth: int) -> bool:
        """Sweep a directory; tell whether it is gone."""
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            return True
        except NotADirectoryError:  # a link is none either
            judge.passed(path)
            return False
        except OSError as error:
            judge.failed(path, error)
            return False
        try:
            status = os.fstat(descriptor)
            is_users = status.st_uid == self._uid and status.st_dev == self._device
            if not is_users or depth > DEEPEST:
                judge.passed(path)
                return False
            if not self._sweep(descriptor, path, judge, depth, status.st_mtime_ns):
                return False
            if not self.dry_run:
                os.rmdir(name, dir_fd=above)
        except FileNotFoundError:
            return True
        except OSError as error:
            # somebody has written there meanwhile
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
                judge.failed(path, error)
            return False
        finally:
            os.close(descriptor)
        judge.emptied(path)
        return True

    def _sweep(self, directory: int, path: str, judge: Judge, depth: int, changed: int) -> bool:
        """Tell whether a directory may go, with everything in it gone."""
        gone = left = 0
        below = []
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                elif self._remove(directory, path, entry, judge):
                    gone += 1
                else:
                    left += 1
        for name in below:
            if self._enter(directory, name, f"{path}/{name}", judge, depth + 1):
                gone += 1
            else:
                left += 1
        return not left and (bool(gone) or changed < self._young)

    def _remove(self, directory: int, path: str, entry: "os.DirEntry[str]", judge: Judge) -> bool:
        """Remove a file if it is to go; tell whether it is gone."""
        try:
            status = entry.stat(follow_symlinks=False)
            if not judge.goes(path, entry.name, status):
                return False
            if not self.dry_run:
                os.unlink(entry.name, dir_fd=directory)
        except FileNotFoundError:
            return True
        except OSError as error:
            judge.failed(f"{path}/{entry.name}", error)
            return False
        judge.removed(path, entry.name, status)
        return True


@contextmanager
def opened(top: str, uid: int, *, dry_run: bool, young: int) -> Iterator[UserCache]:
    """Open a cache by the rule by which the hook believes it. Raises RefusedError.

    Links on the way to it are followed if they are root's or the user's own; it may not be one
    itself. ``young`` is the time since when an empty directory is left alone. Raises
    FileNotFoundError where there is none.
    """
    try:
        descriptor = _open(top, uid)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(top) from None
    except OSError as error:
        raise RefusedError(Refused.UNREADABLE) from error
    try:
        status = os.fstat(descriptor)
        if status.st_uid != uid or status.st_mode & _WRITABLE_BY_OTHERS:
            raise RefusedError(Refused.NOT_OWN)
        yield UserCache(descriptor, uid, dry_run=dry_run, young=young)
    finally:
        os.close(descriptor)


def _open(top: str, uid: int) -> int:
    """Open the directories on the way one by one, and look at each of them when it is open."""
    if os.path.islink(top):
        raise RefusedError(Refused.LINK)
    if is_ones_own(top, uid) is False:
        os.stat(top)  # what is not there, or cannot be seen, is nobody's
        raise RefusedError(Refused.NOT_OWN)
    way = os.path.realpath(os.path.dirname(top)).strip("/").split("/")
    current = os.open("/", _DIRECTORY)
    try:
        for name in (*filter(None, way), os.path.basename(top)):
            step = os.open(name, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = step
            _check(os.fstat(current), uid)
    except BaseException:
        os.close(current)
        raise
    return current


def _check(status: os.stat_result, uid: int) -> None:
    """Judge a directory on the way as the hook does: see ``pycache_sys_runtime.own``."""
    is_roots = is_root(status.st_uid)
    is_shared = bool(status.st_mode & _WRITABLE_BY_OTHERS)
    is_sticky = bool(status.st_mode & stat.S_ISVTX)
    if not (is_roots or status.st_uid == uid) or (is_shared and not (is_roots and is_sticky)):
        raise RefusedError(Refused.NOT_OWN)

"""The user's own cache: the only place that a hook writes to.

Nobody else has a say in what stands there. Every directory on the way is root's or the user's, and
nobody else may write it, but for sticky directories of root such as ``/tmp``: there nobody can
exchange what is the user's. What is missing is made for the user alone.
"""

import posix  # see startup
from _frozen_importlib import _verbose_message
from _frozen_importlib_external import (
    MAGIC_NUMBER,
    _code_to_hash_pyc,
    _code_to_timestamp_pyc,
)
from _imp import source_hash

from .hook import is_root
from .loader import stamps_tell
from .trust import is_link, steps

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Callable  # noqa: F401 - in comments
    from types import CodeType  # noqa: F401 - in comments

_TYPE = 0o170000
_DIRECTORY = 0o040000
_STICKY = 0o1000
_WRITABLE_BY_OTHERS = 0o022
_CREATE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC


class OwnCache:
    """One user's cache, and in it the folder of this interpreter.

    ``locate`` says where it is, and is called when a module is in no tree: it may have to ask for
    a home directory, and look at it. ``may_write`` is False where a process only reads.
    """

    def __init__(self, locate, folder, may_write=True):  # noqa: FBT002 - the caller's rule
        # type: (Callable[[], str | None], str, bool) -> None
        self._locate = locate
        self._folder = folder
        self._may_write = may_write
        self._is_known = False
        self._uid = posix.geteuid()
        self._prefix = None  # type: str | None
        self._made = set()  # type: set[str]
        self.is_there = False
        """Whether there is something to read: what is missing could be anybody's a moment later."""

    def path(self, place, cached):
        # type: (str, str) -> str | None
        """Say where a source's bytecode is; None where there is no cache that is the user's."""
        if not self._is_known or self._uid != posix.geteuid():
            self._find(posix.geteuid())  # a service may act for one user, and then for another
        return None if self._prefix is None else self._prefix + place + "/" + cached

    def _find(self, uid):
        # type: (int) -> None
        self._is_known = True
        self._uid = uid
        self._prefix = None
        self._made.clear()
        top = self._locate()
        is_own = False if top is None else is_ones_own(top, uid)
        if is_own is not False:
            self._prefix = "%s/%s" % (top, self._folder)
        self.is_there = is_own is True

    def write(self, path, code, data, source, status):
        # type: (str, CodeType, bytes, str, posix.stat_result) -> None
        """Keep bytecode, whole or not at all, unless there is any doubt; never raises.

        ``data`` was read from the source after its ``status``.
        """
        if not self._may_write or len(data) != status.st_size or self._uid != posix.geteuid():
            return
        directory = path.rpartition("/")[0]
        temporary = ""
        try:
            if directory not in self._made:
                make_directories(directory)
                self._made.add(directory)
                self.is_there = True
            temporary = "%s/.pycache-sys-%s.tmp" % (directory, posix.urandom(8).hex())
            _write(temporary, _content(code, data, status))
            try:
                posix.replace(temporary, path)
            except IsADirectoryError:
                posix.rmdir(path)
                posix.replace(temporary, path)
            if posix.stat(source).st_ctime_ns != status.st_ctime_ns:
                _remove(path)  # it is another one's by now, and younger than that
                return
            _verbose_message("created {!r}", path)
        except Exception as error:
            _verbose_message("could not create {!r}: {!r}", path, error)
            self._made.discard(directory)
            _remove(temporary)


def _content(code, data, status):
    # type: (CodeType, bytes, posix.stat_result) -> bytes
    """Write a pyc with a hash of the source where its size and time would not do."""
    if stamps_tell(status):
        return bytes(_code_to_timestamp_pyc(code, int(status.st_mtime), len(data)))
    return bytes(_code_to_hash_pyc(code, source_hash(int.from_bytes(MAGIC_NUMBER, "little"), data)))


def _write(path, content):
    # type: (str, bytes) -> None
    descriptor = posix.open(path, _CREATE, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[posix.write(descriptor, view) :]
    finally:
        posix.close(descriptor)


def _remove(path):
    # type: (str) -> None
    try:
        posix.unlink(path)
    except OSError:
        pass


def make_directories(directory):
    # type: (str) -> None
    """Make what is missing of a directory and of those above it, for the user alone.

    Raises PermissionError where somebody else was quicker, as can be in ``/tmp``.
    """
    path = directory
    missing = []
    while True:
        try:
            posix.mkdir(path, 0o700)
            break
        except FileExistsError:
            break
        except FileNotFoundError:
            missing.append(path)
            path = path.rpartition("/")[0]
    for below in reversed(missing):
        try:
            posix.mkdir(below, 0o700)
        except FileExistsError:
            pass  # another process was quicker
    if not is_ones_own(directory, posix.geteuid()):
        raise PermissionError(1, "somebody else may write it", directory)


def is_ones_own(path, uid):
    # type: (str, int) -> bool | None
    """Tell whether a user (and root) alone says what stands at a path; None where nothing does."""
    try:
        for status in steps(path):
            if status.st_uid != uid and not is_root(status.st_uid):
                return False
            if not is_link(status) and not _keeps_others_out(status):
                return False
        top = posix.stat(path)
    except FileNotFoundError:
        return None  # it may be made by us, and is then looked at again
    except (OSError, ValueError):
        return False
    return top.st_uid == uid and not top.st_mode & _WRITABLE_BY_OTHERS


def _keeps_others_out(status):
    # type: (posix.stat_result) -> bool
    """Judge a directory on the way: in root's sticky ones nobody exchanges what is the user's."""
    if status.st_mode & _TYPE != _DIRECTORY:
        return False
    if not status.st_mode & _WRITABLE_BY_OTHERS:
        return True
    return bool(status.st_mode & _STICKY) and is_root(status.st_uid)

"""The user's own cache: where it is, and whether it is the user's.

Nobody else has a say in what stands there. Every directory on the way is root's or the user's, and
nobody else may write it, but for sticky directories of root such as ``/tmp``: there nobody can
exchange what is the user's. How it is written is in ``keep``: most runs only read.
"""

import posix  # see startup

from .hook import is_root
from .modules import need
from .trust import is_link, steps

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Callable  # noqa: F401 - in comments
    from types import CodeType  # noqa: F401 - in comments

_TYPE = 0o170000
_DIRECTORY = 0o040000
_STICKY = 0o1000
_WRITABLE_BY_OTHERS = 0o022


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
        self._gives_up = False
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
        self._gives_up = False
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
        if self._gives_up or not self._may_write:
            return
        if len(data) != status.st_size or self._uid != posix.geteuid():
            return
        try:
            keep = need("keep").keep
        except Exception:  # the package may be gone by now, or another one
            return
        self._gives_up = not keep(path, code, data, source, status, self._made)
        if self._made:
            self.is_there = True


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

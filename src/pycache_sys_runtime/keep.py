"""Write to the user's own cache: nothing else that the hook does writes anything.

What is missing of directories is made for the user alone.
"""

import posix  # see startup
from _frozen_importlib import _verbose_message
from _frozen_importlib_external import (
    MAGIC_NUMBER,
    _code_to_hash_pyc,
    _code_to_timestamp_pyc,
)
from _imp import source_hash

from .loader import stamps_tell
from .own import is_ones_own

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from types import CodeType  # noqa: F401 - in comments

_FINAL = (1, 13, 28, 30, 122)  # EPERM, EACCES, ENOSPC, EROFS, EDQUOT; the errno module costs
_CREATE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC


def keep(path, code, data, source, status, made):
    # type: (str, CodeType, bytes, str, posix.stat_result, set[str]) -> bool
    """Keep bytecode, whole or not at all, unless there is any doubt; never raises.

    ``data`` was read from the source after its ``status``. ``made`` are the directories that are
    known to be there. Tells whether another file may fare better: not so on a full disk, on one
    that is read-only, nor in a service that is confined.
    """
    directory = path.rpartition("/")[0]
    temporary = ""
    try:
        if directory not in made:
            make_directories(directory)
            made.add(directory)
        temporary = "%s/.pycache-sys-%s.tmp" % (directory, posix.urandom(8).hex())
        _write(temporary, _content(code, data, status))
        try:
            posix.replace(temporary, path)
        except IsADirectoryError:
            posix.rmdir(path)
            posix.replace(temporary, path)
        if posix.stat(source).st_ctime_ns != status.st_ctime_ns:
            _remove(path)  # it is another one's by now, and younger than that
            return True
        _verbose_message("created {!r}", path)
    except Exception as error:
        _verbose_message("could not create {!r}: {!r}", path, error)
        made.discard(directory)
        _remove(temporary)
        return getattr(error, "errno", None) not in _FINAL
    return True


def _content(code, data, status):
    # type: (CodeType, bytes, posix.stat_result) -> bytes
    """Write a pyc with a hash of the source where its size and time would not do."""
    if stamps_tell(status, posix.geteuid()):
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

    Raises PermissionError where somebody else was quicker, as can be in ``/tmp``, and
    FileNotFoundError where what was made is gone again.
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
    is_own = is_ones_own(directory, posix.geteuid())
    if is_own is None:
        raise FileNotFoundError(2, "removed by another process", directory)  # as gc: not for good
    if not is_own:
        raise PermissionError(1, "somebody else may write it", directory)

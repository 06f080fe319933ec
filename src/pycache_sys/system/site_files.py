"""Files outside of the tree that ``enable`` writes, each whole or not at all."""

import os
import stat
from contextlib import suppress

from pycache_sys.core.errors import PycacheSysError

_LARGEST = 1 << 20


def read_file(path: str) -> bytes | None:
    """Read a small file; None where there is none.

    Raises PycacheSysError where there is something else, or it can't be read.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise PycacheSysError(f"{path} is not a small file", hint="move it away, and try again")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PycacheSysError(f"cannot read {path}: {error.strerror}") from error


def replace_file(path: str, content: bytes, *, mtime: int | None = None, mode: int = 0o644) -> None:
    """Write a file in the place of the one that is there, with its owner and mode.

    A symbolic link stays, and what it leads to is replaced. ``mtime`` is in nanoseconds, ``mode``
    for a new file. Raises OSError with the file's own name.
    """
    path = os.path.realpath(path)
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    try:
        try:
            _write(temporary, content, _status(path), mtime, mode)
            os.replace(temporary, path)
        except FileExistsError:
            raise  # somebody else's
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _write(
    path: str, content: bytes, before: os.stat_result | None, mtime: int | None, mode: int
) -> None:
    """Make a new file, with the owner and mode of one before it, or for all to read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode) if before else mode)
        if mtime is not None:
            os.utime(descriptor, ns=(mtime, mtime))
    finally:
        os.close(descriptor)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def make_directory(path: str) -> bool:
    """Make a directory for all to read; tell whether it was missing. Raises OSError."""
    try:
        os.mkdir(path)
        os.chmod(path, 0o755)  # noqa: S103 - a site directory is for all to read
    except FileExistsError:
        return False
    except FileNotFoundError:
        if not make_directory(os.path.dirname(path)):
            raise
        return make_directory(path)
    return True


def remove_file(path: str) -> bool:
    """Remove a file, tell whether it was there. Raises OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True

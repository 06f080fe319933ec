"""One lock per tree: runs that write take turns, and nobody else can hold them up."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pycache_sys.core.errors import LockedError, TreeError

SYSTEM_LOCK = "/run/pycache-sys/lock"
BEST_EFFORT_SECONDS = 10.0
"""How long a package manager's call waits for another run."""
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_POLL_SECONDS = 0.1


def lock_path(tree: str, *, is_system: bool) -> str:
    """Name a tree's lock file: apart from the system tree's it stands in the tree itself.

    Mode 0600, for whoever can open a file can lock it: a lock in a place open to all would let
    any user stop the package manager.
    """
    return SYSTEM_LOCK if is_system else f"{tree}/.pycache-sys.lock"


@contextmanager
def held(path: str, *, seconds: float | None, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock; wait for it at most ``seconds`` (None: as long as it takes).

    Calls ``waiting`` once, with words for who holds it. Raises LockedError when time is up.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    told = False
    while True:
        descriptor = _open(path)
        try:
            if _take(descriptor, path):
                break
            holder = _holder(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if deadline is not None and time.monotonic() >= deadline:
            raise LockedError(
                f"{holder} holds the lock {path}", hint="wait until it has finished, then try again"
            )
        if not told:
            waiting(f"{holder} holds the lock {path}; waiting")
            told = True
        time.sleep(_POLL_SECONDS)
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        descriptor = os.open(path, _FLAGS, 0o600)
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            os.close(descriptor)
            raise TreeError(
                f"the lock {path} is open to others (uid {status.st_uid}, mode "
                f"{status.st_mode & 0o7777:04o})",
                hint=f"remove it: rm {path}",
            )
    except OSError as error:
        raise TreeError(
            f"cannot open the lock {path}: {error.strerror}",
            hint="the directory it stands in must be writable",
        ) from error
    return descriptor


def _take(descriptor: int, path: str) -> bool:
    """Try to lock, and see that the file still stands under its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    return False


def _holder(descriptor: int) -> str:
    number = os.pread(descriptor, 20, 0).strip().decode("ascii", "replace")
    return f"process {number}" if number.isdecimal() else "another process"

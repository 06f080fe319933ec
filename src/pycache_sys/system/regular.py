"""Read what is a regular file and nothing else: no link, no FIFO that would wait for a writer."""

import os
import stat

TYPE_CHECKING = False  # as in typing, which an unchanged boot need not load
if TYPE_CHECKING:
    from collections.abc import Callable

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_regular(
    path: str, size: int, accepts: "Callable[[os.stat_result], bool] | None" = None
) -> tuple[bytes, os.stat_result] | None:
    """Read the beginning of a regular file, and say how it stood; None where that cannot be.

    ``accepts`` looks at the opened file's status and may refuse it.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (accepts is not None and not accepts(status)):
            return None
        return os.read(descriptor, size), status
    except OSError:
        return None
    finally:
        os.close(descriptor)

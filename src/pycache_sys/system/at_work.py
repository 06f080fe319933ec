"""Whether a run holds the lock of the system tree, found out without touching the lock."""

import os

from pycache_sys.system.lock import SYSTEM_LOCK

_LOCKS = "/proc/locks"
_WHOSE, _WHERE = 4, 5


def holder(path: str = SYSTEM_LOCK) -> int | None:
    """Return the process that holds a lock; None where nobody does, or that cannot be seen.

    The kernel lists locks as ``1: FLOCK ADVISORY WRITE 22205 00:2e:3 0 EOF``: the process, and the
    numbers of the device in hexadecimal and of the inode.
    """
    try:
        status = os.stat(path)
        with open(_LOCKS, encoding="ascii", errors="replace") as lines:
            fields = [line.split() for line in lines]
    except OSError:
        return None
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = (one for one in fields if len(one) > _WHERE and one[_WHERE] == device)
    return next((int(one[_WHOSE]) for one in found if one[_WHOSE].isdecimal()), None)

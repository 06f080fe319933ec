"""What only root can change: the part of the rule that every start-up needs.

The builder's own rule (``pycache_sys.system.trust``) says why something is refused; this one only
says that it is. Both look at each directory and each link on the way.
"""

import os

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Iterator  # noqa: F401 - in comments

ROOT = 0
OVERFLOW = 65534
"""How the owner of a file shows whose uid has no place in this user namespace."""

_TYPE = 0o170000
_LINK = 0o120000
_WRITABLE_BY_OTHERS = 0o022
_LINKS_FOLLOWED = 40
_ELOOP = 40


def is_roots(status):
    # type: (os.stat_result) -> bool
    """Tell whether a file is root's and nobody else may write it.

    In a user namespace real root shows as the overflow uid; it is root where ``/usr`` shows the
    same. This is meant for paths that only a package or the administrator can fill.
    """
    return not status.st_mode & _WRITABLE_BY_OTHERS and is_root(status.st_uid)


def is_root(uid):
    # type: (int) -> bool
    """Tell whether a uid is root's, also where it has no place in this user namespace."""
    if uid == ROOT:
        return True
    if uid != OVERFLOW:
        return False
    try:
        return os.stat("/usr").st_uid == OVERFLOW
    except OSError:
        return False


def steps(path):
    # type: (str) -> Iterator[os.stat_result]
    """Yield the ``lstat`` of each directory, link and file on the way to an absolute path.

    Links are followed. Raises OSError where the way ends, and ValueError for what is no path.
    """
    pending = path.split("/")[::-1]
    current = ""
    links = _LINKS_FOLLOWED
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            current = current.rpartition("/")[0]
            continue
        step = current + "/" + name
        status = os.lstat(step)
        yield status
        if not is_link(status):
            current = step
            continue
        links -= 1
        if not links:
            raise OSError(_ELOOP, "too many links", step)
        target = os.readlink(step)
        if target[:1] == "/":
            current = ""
        pending += target.split("/")[::-1]


def is_link(status):
    # type: (os.stat_result) -> bool
    """Tell whether this is a symbolic link's own ``lstat``."""
    return status.st_mode & _TYPE == _LINK


def only_root_changes(path):
    # type: (str) -> bool
    """Tell whether root alone says what stands at an absolute path.

    Every directory from ``/`` down, every symbolic link on the way and the file at its end must be
    root's, and apart from the links writable by root alone.
    """
    try:
        for status in steps(path):
            if not (is_root(status.st_uid) if is_link(status) else is_roots(status)):
                return False
    except (OSError, ValueError):
        return False
    return True

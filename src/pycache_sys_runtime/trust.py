"""Whom and what to believe: the part of the rules that every process needs.

The builder's own rule (``pycache_sys.system.trust``) says why something is refused; this one only
says that it is. Both look at each directory and each link on the way.
"""

import posix  # os itself would be kept from being taken down early at exit, which costs

from .hook import is_root, is_roots

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Iterator  # noqa: F401 - in comments

_TYPE = 0o170000
_LINK = 0o120000
_LINKS_FOLLOWED = 40
_ELOOP = 40


def steps(path):
    # type: (str) -> Iterator[posix.stat_result]
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
        status = posix.lstat(step)
        yield status
        if not is_link(status):
            current = step
            continue
        links -= 1
        if not links:
            raise OSError(_ELOOP, "too many links", step)
        target = posix.readlink(step)
        if target[:1] == "/":
            current = ""
        pending += target.split("/")[::-1]


def is_link(status):
    # type: (posix.stat_result) -> bool
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

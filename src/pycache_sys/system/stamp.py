"""A stamp of what the tree was built for: at an unchanged boot, comparing it is all there is to do.

It names the deployment, and how each file stands that decides what is built: the interpreters and
their libraries, the directories of packages, the policy, the tree. Image-based systems give all
their files the same mtime, but a directory of another deployment is another inode.

It is taken away when a run begins and written when it ends: a run that was stopped leaves none.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from pycache_sys import __version__
from pycache_sys.core.names import SEARCHED, is_interpreter_name
from pycache_sys.system.machine import deployment
from pycache_sys.system.regular import read_regular
from pycache_sys_runtime.startup import DIRECTORIES, FILE_NAME

PATH = "/var/cache/pycache-sys/stamp"
_CONSTANT = (
    *(f"{directory}/{FILE_NAME}" for directory in DIRECTORIES),
    *(f"{directory}/{FILE_NAME}.d" for directory in DIRECTORIES),
    "/usr/share/pycache-sys/roots.d",
    "/usr/share/python3/bcep",
)
_WATCH = b"watch "
_TREE = b"tree "
_ROOTS = (b"release ", b"boot ", b"system ")
_LONGEST = 1 << 20


def is_current(path: str = PATH) -> bool:
    """Tell whether everything is as the last whole run left it."""
    kept = _read(path)
    return kept is not None and kept == _describe(_named(kept, _WATCH), _named(kept, _TREE))


def is_of_this_root(path: str = PATH) -> bool:
    """Tell whether the tree was last built for this very root, and not for one in its place."""
    kept = _read(path)
    if kept is None:
        return False
    return [line for line in kept.split(b"\n") if line.startswith(_ROOTS)] == deployment.describe()


def describe(watched: Iterable[str]) -> bytes:
    """Say how sources and interpreters stand before a run looks at them."""
    places = {os.fsencode(place) for place in {*watched, *_CONSTANT} if "\n" not in place}
    return _describe(sorted(places), ())


def write(before: bytes, tree: Iterable[str], path: str = PATH) -> None:
    """Write down how things stood before a run and how its tree stands now. Raises OSError.

    Nothing is written where something has changed meanwhile: the next boot has to look.
    """
    watched = _named(before, _WATCH)
    if _describe(watched, ()) != before:
        return
    from pycache_sys.system.state import write_state  # noqa: PLC0415 - to compare is all that most boots do

    write_state(path, before + _lines(_TREE, sorted(os.fsencode(place) for place in tree)))


def remove(path: str = PATH) -> None:
    """Have the next boot look: what was to be done was not done."""
    with suppress(OSError):
        os.unlink(path)


def _read(path: str) -> bytes | None:
    found = read_regular(path, _LONGEST, _is_ours)
    return found[0] if found is not None else None


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def _named(kept: bytes, kind: bytes) -> list[bytes]:
    """List the places that lines of one kind are about."""
    lines = [line for line in kept.split(b"\n") if line.startswith(kind)]
    return [line[len(kind) :].rpartition(b" ")[0] for line in lines]


def _describe(watched: Iterable[bytes], tree: Iterable[bytes]) -> bytes:
    lines = [b"pycache-sys " + __version__.encode(), *deployment.describe()]
    for directory in SEARCHED:
        with suppress(OSError):
            names = sorted(filter(is_interpreter_name, os.listdir(directory)))
            lines += [b"program " + _state(os.fsencode(f"{directory}/{name}")) for name in names]
    return b"\n".join(lines) + b"\n" + _lines(_WATCH, watched) + _lines(_TREE, tree)


def _lines(kind: bytes, places: Iterable[bytes]) -> bytes:
    return b"".join(kind + _state(place) + b"\n" for place in places)


def _state(path: bytes) -> bytes:
    """Say how a file stands; the name comes first, and may have blanks."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return path + b" absent"
    # a link more or less changes a file's ctime, as when OSTree forgets another deployment; that of
    # a directory tells two trees apart whose times are all 0, also where overlayfs shows one inode
    changed = status.st_ctime_ns if stat.S_ISDIR(status.st_mode) else 0
    state = (status.st_ino, status.st_size, status.st_mtime_ns, changed)
    return path + b" %d/%d/%d/%d" % state

"""Bytecode beside the sources: the only place that removes some, or puts it back.

All of it happens through descriptors of directories that were opened one by one from ``/`` without
following a link, each of them root's and writable by root alone. So nobody can put another
directory in the place of one that was looked at.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from pycache_sys.core.in_place import Beside, Folder
from pycache_sys.core.plan import temporary_name

PYCACHE = "__pycache__"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotRootsError(Exception):
    """A directory in which somebody else has a say, or a link in the place of one."""


class Removed(NamedTuple):
    """What was removed from one ``__pycache__``."""

    files: int
    space: int
    is_gone: bool


class Listing(NamedTuple):
    """A directory: the names of its sources, its subdirectories' paths, and what it has beside."""

    path: str
    sources: frozenset[str]
    subdirectories: tuple[str, ...]
    has_bytecode: bool


def find(roots: Iterable[str], apart: frozenset[str] = frozenset()) -> Iterator[Listing]:
    """Yield the directories below some roots.

    No link is followed, and what is in ``apart`` is not entered.
    """
    pending = list(dict.fromkeys(roots))
    while pending:
        path = pending.pop()
        if path not in apart:
            found = list_directory(path)
            pending.extend(found.subdirectories)
            yield found


def list_directory(path: str) -> Listing:
    """List one directory; one that cannot be read, as the build has reported, is an empty one."""
    sources = []
    subdirectories = []
    has_bytecode = False
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.name == PYCACHE:
                has_bytecode = True
            elif entry.name.endswith(".py"):
                sources.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                subdirectories.append(entry.path)
    return Listing(path, frozenset(sources), tuple(subdirectories), has_bytecode)


def look(path: str, sources: frozenset[str]) -> Folder:
    """Look at what is in the ``__pycache__`` of a directory."""
    files: dict[str, Beside] = {}
    try:
        with _opened(path) as (_, folder):
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries]
            for name in names:
                with suppress(FileNotFoundError):
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    files[name] = Beside.from_stat(status)
            return Folder(path, sources, Beside.from_stat(os.fstat(folder)), files)
    except (NotRootsError, OSError):
        return Folder(path, sources, Beside(0, -1, -1, 0), _names(path), is_roots=False)


def _names(path: str) -> dict[str, Beside]:
    """List what stands in a ``__pycache__`` that nothing is done with; nothing through a link."""
    nothing = Beside(0, -1, -1, 0)
    with suppress(OSError):
        if stat.S_ISDIR(os.lstat(f"{path}/{PYCACHE}").st_mode):
            return dict.fromkeys(os.listdir(f"{path}/{PYCACHE}"), nothing)
    return {"": nothing}


def is_read_only(path: str) -> bool:
    """Tell whether a file system takes no changes."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def remove(path: str, names: Sequence[str], *, may_go: bool) -> Removed:
    """Remove files from the ``__pycache__`` of a directory, and that if it is empty and may go.

    Only what still is a file of root's is removed. Raises OSError with the path at fault, and
    NotRootsError.
    """
    files = space = 0
    is_gone = False
    with _opened(path) as (parent, folder):
        for name in names:
            try:
                found = Beside.from_stat(os.stat(name, dir_fd=folder, follow_symlinks=False))
                if found.is_roots_file:
                    os.unlink(name, dir_fd=folder)
                    files, space = files + 1, space + found.space
            except FileNotFoundError:
                continue
            except OSError as error:
                place = f"{path}/{PYCACHE}/{name}"
                raise OSError(error.errno, error.strerror, place) from error
        if may_go:
            with suppress(OSError):
                os.rmdir(PYCACHE, dir_fd=parent)
                is_gone = True
    return Removed(files, space, is_gone)


def restore(path: str, folder: Beside, files: Mapping[str, tuple[bytes, Beside]]) -> list[str]:
    """Put files into the ``__pycache__`` of a directory, each whole or not at all; name them.

    What is there already stays. The directory is made if it is missing. Raises OSError with the
    path at fault, and NotRootsError.
    """
    done = []
    try:
        with _opened(path, make=folder) as (_, inside):
            for name, (content, wanted) in files.items():
                if not _exists(name, inside):
                    _write(inside, name, content, wanted)
                    done.append(name)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{path}/{PYCACHE}") from error
    return done


def read(path: str) -> bytes:
    """Read a file of the tree whole, through no link. Raises OSError."""
    descriptor = os.open(path, _READ)
    with open(descriptor, "rb") as file:
        return file.read()


@contextmanager
def _opened(path: str, *, make: Beside | None = None) -> Iterator[tuple[int, int]]:
    """Open a directory of root's and its ``__pycache__``."""
    opened = [os.open("/", _DIRECTORY)]
    try:
        for name in os.path.realpath(path).strip("/").split("/"):
            opened.append(os.open(name, _DIRECTORY, dir_fd=opened[-1]))
            os.close(opened.pop(-2))
            _check(opened[0], path)
        if make is not None:
            _make(opened[0], make)
        opened.append(os.open(PYCACHE, _DIRECTORY, dir_fd=opened[0]))
        _check(opened[1], f"{path}/{PYCACHE}")
        yield opened[0], opened[1]
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _check(descriptor: int, path: str) -> None:
    status = os.fstat(descriptor)
    if status.st_uid != 0 or status.st_mode & 0o022:
        raise NotRootsError(f"{path}: somebody other than root has a say in it")


def _make(parent: int, wanted: Beside) -> None:
    """Make a ``__pycache__`` as it was before."""
    try:
        os.mkdir(PYCACHE, 0o700, dir_fd=parent)
    except FileExistsError:
        return
    descriptor = os.open(PYCACHE, _DIRECTORY, dir_fd=parent)
    try:
        _own(descriptor, wanted)
    finally:
        os.close(descriptor)


def _write(folder: int, name: str, content: bytes, wanted: Beside) -> None:
    temporary = temporary_name(os.urandom(8).hex())
    descriptor = os.open(temporary, _CREATE, 0o600, dir_fd=folder)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            _own(descriptor, wanted)
            os.utime(descriptor, ns=(wanted.mtime, wanted.mtime))
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _own(descriptor: int, wanted: Beside) -> None:
    """Give a new file or directory its group and mode; nobody else may write it in any case."""
    if os.fstat(descriptor).st_gid != wanted.gid:
        os.fchown(descriptor, -1, wanted.gid)
    os.fchmod(descriptor, wanted.permissions & 0o755)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True

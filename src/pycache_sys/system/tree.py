"""The tree on disk: the only place that writes to it.

Every write goes to a temporary file in the same directory, is checked, gets its mode and its
source's mtime, and is renamed into place: readers see the old file, the new one, or none. All of
it happens relative to directory descriptors that were opened without following a symbolic link.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress

from pycache_sys.core.errors import TreeError
from pycache_sys.core.model import Entry, TreeDirectory
from pycache_sys.core.plan import is_temporary, temporary_name
from pycache_sys.core.pyc import HEADER_SIZE
from pycache_sys.system.trust import RootTrust

SYSTEM_TREE = "/var/cache/python"
TAG_NAME = "CACHEDIR.TAG"
CACHEDIR_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by pycache-sys.\n"
    "# For information about cache directory tags, see https://bford.info/cachedir/\n"
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORIES_KEPT_OPEN = 256
_ODD_TIME = 1_000_000_001_123_456_789
_STEPS = (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)


class Tree:
    """One tree, by its top directory.

    The system tree is for everybody to read. A caller's own keeps the privacy of each source
    directory, also where that changes later.
    """

    def __init__(self, path: str, *, is_system: bool) -> None:
        self.path = path
        self.is_system = is_system
        self.owner = 0 if is_system else os.geteuid()
        self._is_created = False
        self._open: OrderedDict[str, int] = OrderedDict()

    # reading

    def read_directory(self, relative: str) -> TreeDirectory:
        """Read one directory with its entries' headers.

        One that is absent, a link, or in other hands is an empty one: nothing in it is believed.
        """
        entries: dict[str, Entry] = {}
        subdirectories: list[str] = []
        try:
            directory = self._directory(relative, create=False)
            with os.scandir(directory) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        subdirectories.append(entry.name)
                    else:
                        entries[entry.name] = _read_entry(entry.name, directory)
        except (OSError, TreeError):
            pass
        return TreeDirectory(entries=entries, subdirectories=tuple(subdirectories))

    def granularity(self) -> int:
        """Say in nanoseconds how finely the file system keeps mtimes; 1 if that can't be told.

        The tag was given an odd time when it was made: what is left of it says so.
        """
        try:
            kept = os.stat(f"{self.path}/{TAG_NAME}").st_mtime_ns
        except OSError:
            return 1
        return next((step for step in _STEPS if _ODD_TIME // step * step == kept), 1)

    # writing

    def create(self) -> None:
        """Make the top directory if it is missing, check that it is safe to write, and tag it."""
        try:
            if self.is_system:
                self._check_way()
            if os.path.islink(self.path):
                target = os.path.realpath(self.path)
                raise TreeError(
                    f"{self.path} is a symbolic link",
                    hint=f"mount {target} here instead, to keep the tree there"
                    if self.is_system
                    else f"name the directory that it leads to: --tree {target}",
                )
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
                os.chmod(self.path, 0o755)  # noqa: S103 - for all to read, whatever the umask
            self._is_created = True
            self._directory("")
            self._write_tag()
        except OSError as error:
            raise TreeError(
                f"cannot use the tree {self.path}: {error.strerror}",
                hint="make the directory writable, or choose another with --tree DIR",
            ) from error

    def check_top(self) -> None:
        """Check that a tree that is there is safe to write. Raises TreeError or OSError."""
        if self.is_system:
            self._check_way()
        if os.path.islink(self.path):
            raise TreeError(
                f"{self.path} is a symbolic link",
                hint=f"name the directory that it leads to: --tree {os.path.realpath(self.path)}",
            )
        self._directory("")

    def remove_top(self) -> bool:
        """Remove the top directory if nothing is in it any more; tell whether it went."""
        self.close()
        try:
            os.rmdir(self.path)
        except OSError:
            return False
        return True

    def tidy(self) -> None:
        """Remove what a killed run left half made at the top; elsewhere plans do."""
        for name in self.read_directory("").entries:
            if is_temporary(name):
                self.remove(name)

    def install(
        self, relative: str, files: Sequence[tuple[str, bytes | None]], *, mtime: int, mode: int
    ) -> None:
        """Put files into a directory, each whole or not at all; None links to the one before.

        Raises OSError. If somebody deletes the tree meanwhile, it is made anew.
        """
        try:
            self._install(relative, files, mtime, mode)
        except FileNotFoundError:
            self.close()
            self.create()
            self._install(relative, files, mtime, mode)

    def remove(self, path: str) -> bool:
        """Take one file out; tell whether it was there."""
        relative, _, name = path.rpartition("/")
        try:
            os.unlink(name, dir_fd=self._directory(relative, create=False))
        except FileNotFoundError:
            return False
        return True

    def remove_empty(self, directories: Iterable[str]) -> None:
        """Remove directories that are empty, and those above them that become so; keep the top."""
        self.close()
        for relative in sorted(directories, key=len, reverse=True):
            path = relative
            while path:
                parent, _, name = path.rpartition("/")
                try:
                    os.rmdir(name, dir_fd=self._directory(parent, create=False))
                except FileNotFoundError:
                    pass
                except (OSError, TreeError):
                    break
                self._forget(path)
                path = parent

    def close(self) -> None:
        """Close all directories."""
        while self._open:
            os.close(self._open.popitem()[1])

    # inside

    def _install(
        self, relative: str, files: Sequence[tuple[str, bytes | None]], mtime: int, mode: int
    ) -> None:
        directory = self._directory(relative)
        before: tuple[str, bytes] | None = None
        for name, content in files:
            temporary = temporary_name(os.urandom(8).hex())
            if content is None:
                assert before is not None  # noqa: S101 - the protocol's decoder checks it
                if _link(directory, before[0], temporary, name):
                    continue
                content = before[1]  # noqa: PLW2901 - a file system without hard links
            try:
                _write(directory, temporary, content, mtime, mode)
                os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=directory)
                raise
            before = (name, content)

    def _directory(self, relative: str, *, create: bool = True) -> int:
        """Open a directory of the tree component by component; keep the latest ones open."""
        descriptor = self._open.get(relative)
        if descriptor is not None:
            self._open.move_to_end(relative)
            return descriptor
        missing = [relative]
        while missing[-1] and missing[-1].rpartition("/")[0] not in self._open:
            missing.append(missing[-1].rpartition("/")[0])
        for path in reversed(missing):
            descriptor = self._open_one(path, create=create)
            self._open[path] = descriptor
            if len(self._open) > _DIRECTORIES_KEPT_OPEN:
                os.close(self._open.popitem(last=False)[1])
        assert descriptor is not None  # noqa: S101 - for the type checker
        return descriptor

    def _open_one(self, relative: str, *, create: bool) -> int:
        """Open one directory whose parent is open, and check it."""
        if relative:
            descriptor = self._open_below(relative, create=create)
        else:
            descriptor = os.open(self.path, _DIRECTORY)
        try:
            status = self._check(descriptor, relative)
            if relative and self._is_created and not self.is_system:
                self._keep_private(descriptor, relative, stat.S_IMODE(status.st_mode))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _open_below(self, relative: str, *, create: bool) -> int:
        head, _, name = relative.rpartition("/")
        parent = self._open[head]
        self._open.move_to_end(head)
        try:
            return os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
        os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        os.fchmod(descriptor, 0o755)
        return descriptor

    def _keep_private(self, descriptor: int, relative: str, mode: int) -> None:
        """Give a directory no more permissions than its source directory has."""
        try:
            source = os.stat(f"/{relative.partition('/')[2]}").st_mode
        except OSError:
            return  # its source is gone
        if mode & 0o055 & ~source:
            os.fchmod(descriptor, mode & (source | 0o700))

    def _check(self, descriptor: int, relative: str) -> os.stat_result:
        """Refuse a directory that somebody else owns or may write."""
        status = os.fstat(descriptor)
        path = f"{self.path}/{relative}".rstrip("/")
        if status.st_uid != self.owner:
            raise TreeError(
                f"{path} belongs to uid {status.st_uid}, not to uid {self.owner}",
                hint="whoever owns it could change the bytecode; remove it or choose another tree",
            )
        if status.st_mode & 0o022:
            raise TreeError(
                f"{path} is writable by others (mode {stat.S_IMODE(status.st_mode):04o})",
                hint=f"whoever may write it could change the bytecode; chmod go-w {path}",
            )
        return status

    def _check_way(self) -> None:
        refusal = RootTrust().directory(os.path.dirname(self.path))
        if refusal is not None:
            raise TreeError(
                f"{self.path} is not a safe place for the system tree: {refusal.detail}",
                hint="every directory above it must be root's and writable by root alone",
            )

    def _write_tag(self) -> None:
        top = self._directory("")
        try:
            descriptor = os.open(TAG_NAME, _CREATE, 0o644, dir_fd=top)
        except FileExistsError:
            return
        try:
            os.write(descriptor, CACHEDIR_TAG.encode())
            os.fchmod(descriptor, 0o644)
            os.utime(descriptor, ns=(_ODD_TIME, _ODD_TIME))
        except BaseException:
            os.unlink(TAG_NAME, dir_fd=top)
            raise
        finally:
            os.close(descriptor)

    def _forget(self, relative: str) -> None:
        descriptor = self._open.pop(relative, None)
        if descriptor is not None:
            os.close(descriptor)


def _read_entry(name: str, directory: int) -> Entry:
    """Read what freshness needs; something that is no readable file has no header."""
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return Entry(b"", 0, -1, 0, 0)
    try:
        status = os.fstat(descriptor)
        header = os.read(descriptor, HEADER_SIZE) if stat.S_ISREG(status.st_mode) else b""
    except OSError:
        return Entry(b"", 0, -1, 0, 0)
    finally:
        os.close(descriptor)
    return Entry.from_stat(header, status)


def _write(directory: int, name: str, content: bytes, mtime: int, mode: int) -> None:
    """Make a new file, whole: a full disk raises, here or at the close."""
    descriptor = os.open(name, _CREATE, 0o600, dir_fd=directory)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(mtime, mtime))
    finally:
        os.close(descriptor)


def _link(directory: int, existing: str, temporary: str, name: str) -> bool:
    """Give a file a second name, atomically; False where the file system cannot."""
    try:
        os.link(
            existing, temporary, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False
        )
    except OSError:
        return False
    try:
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        # rename does nothing where both names are one file already
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
    return True

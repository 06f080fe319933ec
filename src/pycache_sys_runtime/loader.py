"""Load modules from the layers: image tree, system tree, beside the source, the user's own cache.

``get_code`` takes the place of ``SourceFileLoader.get_code``, for that very class. It is as stock
as stock: the same reads (``io.open_code``, PEP 578), the same words with ``-v`` for what is used,
the same headers (PEP 552), the same tracebacks. What differs is where it looks, and that a cache
which is damaged, stale or in wrong hands is no cache: then the source is compiled.

Nothing here raises but what reading, compiling and executing the source would. Nothing is written
but the user's own cache.
"""

import _imp
import marshal
import os
import sys
from _frozen_importlib import _verbose_message
from _frozen_importlib_external import _RAW_MAGIC_NUMBER, MAGIC_NUMBER, SourceFileLoader
from io import open_code

from pycache_sys_runtime import hide, layout
from pycache_sys_runtime.own import stamps_say_something
from pycache_sys_runtime.trust import is_roots, only_root_changes

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping  # noqa: F401 - in comments
    from types import CodeType

    from pycache_sys_runtime.own import OwnCache  # noqa: F401 - in comments

    GetCode = Callable[[SourceFileLoader, str], CodeType]

TREE = "tree"
BESIDE = "beside the source"
OWN = "own cache"

ABSENT = "absent"
NO_FILE = "not a regular file"
HANDS = "in wrong hands"
DAMAGED = "damaged"
OTHER_VERSION = "of another version"
STALE = "stale"
"""Why a layer does not serve a module."""

HEADER_SIZE = 16
PACKAGE = "pycache_sys_runtime."
"""What the hook itself consists of keeps its bytecode beside the source, as stock has it."""

_CODE = type((lambda: None).__code__)
_TYPE = 0o170000
_REGULAR = 0o100000
_DIRECTORY = 0o040000
_GROUP_WRITES = 0o020
_OTHERS_WRITE = 0o002


class Layers:
    """What one process reads and where it writes; each directory's layers, once they are known.

    ``explicit`` and ``beside`` are as the policy has them, ``exported`` is a prefix that the hook
    has set itself.
    """

    def __init__(
        self,
        trees,
        own,
        beside=True,  # noqa: FBT002 - the policy's word
        explicit="layer",
        exported=None,
        is_traced=False,  # noqa: FBT002 - for support
    ):
        # type: (tuple[str, ...], OwnCache | None, bool, str, str | None, bool) -> None
        self.trees = trees
        self.own = own
        self.beside = beside
        self.explicit = explicit
        self.exported = exported
        self.is_traced = is_traced
        level = sys.flags.optimize
        mark = layout.OPTIMIZATION_MARK + str(level) if level else ""
        self.end = "." + str(sys.implementation.cache_tag) + mark + layout.BYTECODE_SUFFIX
        self.known = {}  # type: dict[str, tuple[list[tuple[str, str]], str | None]]

    def prefix(self):
        # type: () -> str
        """Say how an explicit ``pycache_prefix`` is treated; "" where there is none to heed."""
        prefix = sys.pycache_prefix
        if prefix is None or prefix == self.exported or self.explicit == "ignore":
            return ""
        return self.explicit

    def of(self, directory, name):
        # type: (str, str) -> tuple[list[tuple[str, str]], str | None]
        """Return the layers that may have a source, and its absolute directory.

        The directory is None where bytecode of this source has no place of its own in a tree.
        """
        if name[-3:] != layout.SOURCE_SUFFIX or len(name) == 3:
            return [], None
        if directory[:1] != "/":
            return self._look(directory)  # what a relative one means may change
        known = self.known.get(directory)
        if known is None:
            known = self.known[directory] = self._look(directory)
        return known

    def _look(self, directory):
        # type: (str) -> tuple[list[tuple[str, str]], str | None]
        place = _absolute(directory)
        found = []
        if place is not None:
            found += [(TREE, tree + place) for tree in self.trees if _is_directory(tree + place)]
        if self.beside:
            below = directory + "/__pycache__" if directory else "__pycache__"
            if _is_directory(below):
                found.append((BESIDE, below))
        return found, place


def _absolute(directory):
    # type: (str) -> str | None
    """Make a source directory absolute; None where a tree has no place for it."""
    place = directory
    if directory[:1] != "/":  # a relative entry of sys.path
        try:
            place = os.path.join(os.getcwd(), directory).rstrip("/")
        except OSError:
            return None
    return place if layout.cache_directory(place, "") is not None else None


def _is_directory(path):
    # type: (str) -> bool
    try:
        return os.stat(path).st_mode & _TYPE == _DIRECTORY
    except (OSError, ValueError):
        return False


def trusted_tree(tree, folder, is_built_in):
    # type: (str, str, bool) -> str | None
    """Return an interpreter's part of a tree, if root alone writes it.

    Where packages put a tree, the directories above it are root's on every system; where the
    policy put it, they are looked at.
    """
    path = tree + "/" + folder
    if not is_built_in:
        return path if only_root_changes(path) else None
    try:
        return path if is_roots(os.lstat(tree)) and is_roots(os.lstat(path)) else None
    except OSError:
        return None


def make_get_code(layers, stock):
    # type: (Layers, GetCode) -> GetCode
    """Make the method that takes the place of the stock one."""

    def get_code(self, fullname):
        # type: (SourceFileLoader, str) -> CodeType
        prefix = layers.prefix()
        if (
            type(self) is not SourceFileLoader
            or prefix == "exclusive"
            or fullname.startswith(PACKAGE)
        ):
            return stock(self, fullname)
        source = self.get_filename(fullname)
        try:
            status = os.stat(source)
        except (OSError, ValueError):
            return stock(self, fullname)
        directory, slash, name = source.rpartition("/")
        directory = directory or slash
        cached = name[:-3] + layers.end
        reading = Reading(self, source, status, layers)
        found, place = layers.of(directory, name)
        for layer, below in found:
            if layer is TREE or not prefix:
                code = reading.read(layer, below + "/" + cached)
                if code is not None:
                    return reading.serve(fullname, code)
        if prefix:
            return stock(self, fullname)
        return reading.serve(fullname, reading.read_own_or_compile(layers.own, place, cached))

    hide(get_code)
    return get_code


class Reading:
    """One module's search through the layers.

    ``seen`` has each of them with its path and why it did not serve, "" for the one that did.
    """

    __slots__ = ("_data", "_is_traced", "_loader", "seen", "source", "status")

    def __init__(self, loader, source, status, layers):
        # type: (SourceFileLoader, str, os.stat_result, Layers) -> None
        self._loader = loader
        self._is_traced = layers.is_traced
        self._data = None  # type: bytes | None
        self.source = source
        self.status = status
        self.seen = []  # type: list[tuple[str, str, str]]

    def source_bytes(self):
        # type: () -> bytes
        """Read the source, once."""
        if self._data is None:
            self._data = self._loader.get_data(self.source)
        return self._data

    def read(self, layer, path):
        # type: (str, str) -> CodeType | None
        """Read the code from one layer; None where it does not have it, or not rightly."""
        code, why = self._read(layer, path)
        self.seen.append((layer, path, why))
        if code is None:
            return None
        _verbose_message("{} matches {}", path, self.source)
        _verbose_message("code object from {!r}", path)
        _imp._fix_co_filename(code, self.source)
        return code

    def read_own_or_compile(self, own, place, cached):
        # type: (OwnCache | None, str | None, str) -> CodeType
        """Read the code from the user's own cache; else compile it, and keep it there."""
        path = None
        if own is not None and place is not None:
            path = own.path(place, cached)
            code = None if path is None else self.read(OWN, path)
            if code is not None:
                return code
        data = self.source_bytes()
        compiled = self._loader.source_to_code(data, self.source)
        _verbose_message("code object from {}", self.source)
        if own is not None and path is not None and not sys.dont_write_bytecode:
            own.write(path, compiled, data, self.status)
        return compiled

    def _read(self, layer, path):
        # type: (str, str) -> tuple[CodeType | None, str]
        try:
            found = os.stat(path)
            if found.st_mode & _TYPE != _REGULAR:  # a FIFO would hold us up
                return None, NO_FILE
            with open_code(path) as file:
                if layer is not TREE:
                    found = os.fstat(file.fileno())
                content = file.read()
        except (OSError, ValueError):
            return None, ABSENT
        if layer is not TREE and not in_right_hands(found, self.status, layer):
            return None, HANDS
        flags = int.from_bytes(content[4:8], "little")
        if len(content) < HEADER_SIZE or flags & ~3:
            return None, DAMAGED
        if content[:4] != MAGIC_NUMBER:
            return None, OTHER_VERSION
        if not (self._hash_fits(content) if flags & 1 else self._stamps_fit(content, found, layer)):
            return None, STALE
        try:
            code = marshal.loads(memoryview(content)[HEADER_SIZE:])  # noqa: S302 - as importlib
        except Exception:
            return None, DAMAGED
        return (code, "") if type(code) is _CODE else (None, DAMAGED)

    def _hash_fits(self, content):
        # type: (bytes) -> bool
        mode = _imp.check_hash_based_pycs
        if mode == "never" or not (content[4] & 2 or mode == "always"):
            return True
        return content[8:16] == _imp.source_hash(_RAW_MAGIC_NUMBER, self.source_bytes())

    def _stamps_fit(self, content, found, layer):
        # type: (bytes, os.stat_result, str) -> bool
        status = self.status
        return (
            content[8:12] == (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
            and content[12:16] == (status.st_size & 0xFFFFFFFF).to_bytes(4, "little")
            # a source that was replaced by one of the same size and time shows it here
            and (layer is not TREE or found.st_ctime_ns >= status.st_ctime_ns)
            and (layer is not OWN or stamps_say_something(status))
        )

    def serve(self, fullname, code):
        # type: (str, CodeType) -> CodeType
        """Give out the code, and say on stderr where it is from if that was asked for."""
        if self._is_traced:
            served, missed = "compiled", []
            for layer, path, why in self.seen:
                if why:
                    missed.append("%s: %s" % (layer, why))
                else:
                    served = "%s %s" % (layer, path)
            line = "pycache-sys: %s: %s" % (fullname, "; ".join([served, *missed]))
            try:
                sys.stderr.write(line.encode("ascii", "backslashreplace").decode() + "\n")
                sys.stderr.flush()  # before 3.9 os._exit drops what is buffered
            except Exception:  # noqa: S110 - no stderr: then nobody wants to know
                pass
        return code


def in_right_hands(found, status, layer):
    # type: (os.stat_result, os.stat_result, str) -> bool
    """Tell whether nobody wrote a cache file who could not have written its source.

    Beside the source it may be root's, the user's, or the source's owner's; in a directory such as
    ``/tmp`` anybody may have made the ``__pycache__``.
    """
    euid = os.geteuid()
    if layer is OWN:
        return found.st_uid == euid and not found.st_mode & (_GROUP_WRITES | _OTHERS_WRITE)
    if found.st_uid not in (0, euid, status.st_uid):
        return False
    if found.st_mode & ~status.st_mode & (_GROUP_WRITES | _OTHERS_WRITE):
        return False
    return not found.st_mode & _GROUP_WRITES or found.st_gid == status.st_gid


for _function in (
    Reading.read,
    Reading._read,
    Reading._hash_fits,
    Reading.source_bytes,
    Reading.read_own_or_compile,
):
    hide(_function)

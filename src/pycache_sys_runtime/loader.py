"""Load modules from the layers: image tree, system tree, beside the source, the user's own cache.

``get_code`` takes the place of ``SourceFileLoader.get_code``, for that very class. It is as stock
as stock: the same reads (``io.open_code``, PEP 578), the same words with ``-v`` for what is used,
the same headers (PEP 552), the same tracebacks. What differs is where it looks, and that a cache
which is damaged, stale or in wrong hands is no cache: then the source is compiled.

Nothing here raises but what reading, compiling and executing the source would. Nothing is written
but the user's own cache.
"""

import _imp
import posix  # os itself would be kept from being taken down early at exit, which costs
import sys
from _frozen_importlib import _verbose_message
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from _imp import _fix_co_filename
from io import open_code
from marshal import loads

from . import layout
from .hook import BUILT_IN, is_roots
from .modules import need

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping  # noqa: F401 - in comments
    from types import CodeType

    from pycache_sys_runtime.own import OwnCache  # noqa: F401 - in comments

    GetCode = Callable[[SourceFileLoader, str], CodeType]

TREE = "tree"
BESIDE = "beside the source"
OWN = "own cache"
COMPILED = "compiled"
STOCK = "stock, for there is an explicit prefix"

NONE = "none"

ABSENT = "absent"
NO_FILE = "not a regular file"
HANDS = "in wrong hands"
DAMAGED = "damaged"
OTHER_VERSION = "of another version"
STALE = "stale"
"""Why a layer does not serve a module."""

HEADER_SIZE = 16
FLATTENED_BEFORE = 315619200
"""1980-01-02 UTC: an older mtime says nothing about a source (see pycache_sys.core.pyc)."""
_RAW_MAGIC_NUMBER = int.from_bytes(MAGIC_NUMBER, "little")
_STAMPED = MAGIC_NUMBER + bytes(4)
_CODE = type((lambda: None).__code__)
_TYPE = 0o170000
_REGULAR = 0o100000
_DIRECTORY = 0o040000
_GROUP_WRITES = 0o020
_OTHERS_WRITE = 0o002
_SHARED = _GROUP_WRITES | _OTHERS_WRITE
_STICKY = 0o1000
_LARGEST = 1 << 30
"""The longest bytecode, in bytes: what is longer is a sparse file, or a broken disk's."""


class Layers:
    """What one process reads and where it writes; each directory's layers, once they are known.

    ``find_own`` is called for the first module that no tree has. ``explicit`` and ``beside`` are
    as the policy has them, ``exported`` is a prefix that the hook has set itself.
    """

    def __init__(
        self,
        trees,
        find_own,
        beside=True,  # noqa: FBT002 - the policy's word
        explicit="layer",
        exported=None,
        is_traced=False,  # noqa: FBT002 - for support
    ):
        # type: (tuple[str, ...], Callable[[], OwnCache | None], bool, str, str | None, bool) -> None
        self.trees = trees
        self._find_own = find_own
        self._own = []  # type: list[OwnCache | None]
        self.beside = beside
        self.explicit = explicit
        self.exported = exported
        self.is_traced = is_traced
        level = sys.flags.optimize
        mark = layout.OPTIMIZATION_MARK + str(level) if level else ""
        self.end = "." + str(sys.implementation.cache_tag) + mark + layout.BYTECODE_SUFFIX
        self.known = {}  # type: dict[str, tuple[list[tuple[str, str]], str | None]]

    @property
    def own(self):
        # type: () -> OwnCache | None
        """Return the user's own cache: most processes that find all in a tree never ask."""
        if not self._own:
            try:
                found = self._find_own()
            except Exception:  # the package may be gone by now, or another one
                found = None
            self._own.append(found)
        return self._own[0]

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
        known = self._look(directory)
        if _is_one_user():  # else the next module may be for somebody else
            self.known[directory] = known
        return known

    def _look(self, directory):
        # type: (str) -> tuple[list[tuple[str, str]], str | None]
        place = _absolute(directory)
        found = []
        if place is not None:
            found += [(TREE, tree + place) for tree in self.trees if _is_directory(tree + place)]
        if self.beside:
            below = directory + "/__pycache__" if directory else "__pycache__"
            if _holds_bytecode(below, directory or "."):
                found.append((BESIDE, below))
        return found, place


def _is_one_user():
    # type: () -> bool
    try:
        return len(set(posix.getresuid())) == 1
    except OSError:  # a filter for system calls may refuse it
        return False


def _absolute(directory):
    # type: (str) -> str | None
    """Make a source directory absolute; None where a tree has no place for it.

    Where ``/lib`` is a link to ``/usr/lib``, a Python that was started as ``/bin/python3`` takes
    its library to be in ``/lib``: trees have it under its real name.
    """
    place = directory
    if directory[:1] != "/":  # a relative entry of sys.path
        try:
            place = (posix.getcwd().rstrip("/") + "/" + directory).rstrip("/")
        except OSError:
            return None
    if place[:4] == "/lib":
        top, slash, rest = place[1:].partition("/")
        try:
            if posix.readlink("/" + top).strip("/") == "usr/" + top:
                place = "/usr/" + top + slash + rest
        except OSError:  # no link
            pass
    return place if layout.cache_directory(place, "") is not None else None


def _is_directory(path):
    # type: (str) -> bool
    try:
        return posix.stat(path).st_mode & _TYPE == _DIRECTORY
    except (OSError, ValueError):
        return False


def _holds_bytecode(below, directory):
    # type: (str, str) -> bool
    """Tell whether nobody filled a ``__pycache__`` who could not have exchanged the sources.

    In a sticky directory anybody makes one, and links in it to what others own. (In a user
    namespace root and that stranger may show as the same uid.)
    """
    ours = (0, posix.geteuid())
    try:
        name = posix.lstat(below)
        found = name if name.st_mode & _TYPE == _DIRECTORY else posix.stat(below)
        if found.st_mode & _TYPE != _DIRECTORY:
            return False
        if found.st_uid in ours and name.st_uid in ours and not found.st_mode & _SHARED:
            return True
        above = posix.stat(directory)
    except (OSError, ValueError):
        return False
    if above.st_mode & _STICKY and above.st_mode & _SHARED:
        return False
    if found.st_mode & ~above.st_mode & _SHARED:
        return False
    return not found.st_mode & _GROUP_WRITES or found.st_gid == above.st_gid


def trusted_tree(tree, folder, is_built_in):
    # type: (str, str, bool) -> str | None
    """Return an interpreter's part of a tree, if root alone writes it.

    Where packages put a tree, the directories above it are root's on every system; where the
    policy put it, they are looked at.
    """
    path = tree + "/" + folder
    if not is_built_in:
        return path if need("trust").only_root_changes(path) else None
    try:
        return path if is_roots(posix.lstat(tree)) and is_roots(posix.lstat(path)) else None
    except OSError:
        return None


def make_layers(values, environment, exported, is_traced):
    # type: (Mapping[str, object], Callable[[], Mapping[str, str]], str | None, bool) -> Layers
    """Look at the trees, and say what this process reads and where it writes.

    ``environment`` gives the environment as far as it counts.
    """
    folder = layout.running_version_directory()
    trees = []
    for key in ("image-tree", "system-tree"):
        if values[key]:
            tree = trusted_tree(str(values[key]), folder, values[key] == BUILT_IN[key])
            if tree is not None:
                trees.append(tree)
            elif is_traced and _is_directory(str(values[key]) + "/" + folder):
                say("%s/%s: %s" % (values[key], folder, HANDS))

    def find_own():
        # type: () -> OwnCache
        own, caches = need("own"), need("caches")
        locate = lambda: caches.locate(values, environment())  # noqa: E731 - called at the first miss
        cache = own.OwnCache(locate, folder, caches.may_write())
        return cache  # type: ignore[no-any-return]  # noqa: RET504 - for its type

    return Layers(
        tuple(trees),
        find_own,
        beside=bool(values["read-beside-source"]),
        explicit=str(values["explicit-prefix"]),
        exported=exported,
        is_traced=is_traced,
    )


def make_get_code(layers, stock):
    # type: (Layers, GetCode) -> GetCode
    """Make the method that takes the place of the stock one."""
    known = layers.known
    end = layers.end

    def get_code(self, fullname):
        # type: (SourceFileLoader, str) -> CodeType
        if type(self) is not SourceFileLoader:
            return stock(self, fullname)
        prefix = "" if sys.pycache_prefix is None else layers.prefix()
        if prefix == "exclusive":
            return stock(self, fullname)
        source = self.path if fullname == self.name else self.get_filename(fullname)
        try:
            status = posix.stat(source)
        except (OSError, ValueError):
            return stock(self, fullname)
        directory, slash, name = source.rpartition("/")
        if directory in known and name[-3:] == ".py" != name:
            found, place = known[directory]
        else:
            found, place = layers.of(directory or slash, name)
        cached = name[:-3] + end
        missed = []  # type: list[tuple[str, str]]
        for layer, below in found:
            if layer is TREE or not prefix:
                path = below + "/" + cached
                code, why = read(self, layer, path, status)
                if code is not None:
                    return trace(self, code, layer, path, missed) if layers.is_traced else code
                missed.append((layer, why))
        if prefix:
            code = stock(self, fullname)
            return trace(self, code, STOCK, "", missed) if layers.is_traced else code
        return read_own_or_compile(self, layers, place, cached, status, missed)

    return get_code


def read_own_or_compile(loader, layers, place, cached, status, missed):
    # type: (SourceFileLoader, Layers, str | None, str, posix.stat_result, list[tuple[str, str]]) -> CodeType
    """Read the code from the user's own cache; else compile it, and keep it there.

    ``place`` is the source's absolute directory, None where no cache has a place for it.
    """
    own = None if place is None else layers.own
    path = None if own is None else own.path(place, cached)
    why = NONE
    if own is not None and path is not None:
        why = ABSENT
        if own.is_there:
            code, why = read(loader, OWN, path, status)
            if code is not None:
                return trace(loader, code, OWN, path, missed) if layers.is_traced else code
    missed.append((OWN, why))
    data = loader.get_data(loader.path)
    code = loader.source_to_code(data, loader.path)
    _verbose_message("code object from {}", loader.path)
    if own is not None and path is not None and not sys.dont_write_bytecode:
        own.write(path, code, data, loader.path, status)
    return trace(loader, code, COMPILED, "", missed) if layers.is_traced else code


def read(loader, layer, path, status):
    # type: (SourceFileLoader, str, str, posix.stat_result) -> tuple[CodeType | None, str]
    """Read a source's code from one layer; or None, and why it does not have it, or not rightly.

    ``status`` is the source's, as it was before anything of it was read.
    """
    try:
        found = posix.stat(path)
        if found.st_mode & _TYPE != _REGULAR:  # a FIFO would hold us up
            return None, NO_FILE
        with open_code(path) as file:
            if layer is BESIDE:  # elsewhere nobody can have exchanged it
                found = posix.fstat(file.fileno())
            if layer is not TREE and not in_right_hands(found, status, layer):
                return None, HANDS
            if found.st_size > _LARGEST:
                return None, DAMAGED
            # the buffer between would cost a second read, and reading to the end two calls more
            content = getattr(file, "raw", file).read(found.st_size)
    except (OSError, ValueError):
        return None, ABSENT
    except MemoryError:
        return None, DAMAGED
    if content[:8] == _STAMPED and len(content) >= HEADER_SIZE:
        fits = content[8:16] == _stamps(status) and _stamps_say_enough(found, status, layer)
        why = "" if fits else STALE
    else:
        why = _judge_other(loader, content)
    if why:
        if why is STALE:
            _verbose_message("bytecode is stale for {!r}", loader.name)
        return None, why
    return _load(loader, path, content)


def _load(loader, path, content):
    # type: (SourceFileLoader, str, bytes) -> tuple[CodeType | None, str]
    try:
        code = loads(memoryview(content)[HEADER_SIZE:])  # noqa: S302 - as importlib
    except Exception:
        return None, DAMAGED
    if type(code) is not _CODE:
        return None, DAMAGED
    if sys.flags.verbose:
        _verbose_message("{} matches {}", path, loader.path)
        _verbose_message("code object from {!r}", path)
    _fix_co_filename(code, loader.path)
    return code, ""


def _stamps(status):
    # type: (posix.stat_result) -> bytes
    """Return a source's time and size as a header has them."""
    seconds = int(status.st_mtime) & 0xFFFFFFFF
    return (seconds | (status.st_size & 0xFFFFFFFF) << 32).to_bytes(8, "little")


def _stamps_say_enough(found, status, layer):
    # type: (posix.stat_result, posix.stat_result, str) -> bool
    """Tell whether a source is known by its stamps, beyond what stock wants to know."""
    if layer is BESIDE:
        return True
    # a source that was replaced by one of the same size and time shows it here
    return found.st_ctime_ns >= status.st_ctime_ns and (layer is TREE or stamps_tell(status))


def stamps_tell(status):
    # type: (posix.stat_result) -> bool
    """Tell whether a source's size and time are enough to know it by, in the user's own cache.

    Not where times are flattened, and not for sources of others: a home directory that containers
    share has seen other files of that name.
    """
    return status.st_mtime >= FLATTENED_BEFORE and status.st_uid == posix.geteuid()


def _judge_other(loader, content):
    # type: (SourceFileLoader, bytes) -> str
    """Say what is wrong with bytecode that does not go by stamps; "" where its hash is right."""
    if len(content) < HEADER_SIZE:
        _verbose_message("reached EOF while reading pyc header of {!r}", loader.name)
        return DAMAGED
    if content[:4] != MAGIC_NUMBER:
        _verbose_message("bad magic number in {!r}: {!r}", loader.name, content[:4])
        return OTHER_VERSION
    flags = int.from_bytes(content[4:8], "little")
    if flags & ~3 or not flags & 1:
        return DAMAGED
    mode = _imp.check_hash_based_pycs
    if mode == "never" or not (flags & 2 or mode == "always"):
        return ""
    found = _imp.source_hash(_RAW_MAGIC_NUMBER, loader.get_data(loader.path))
    return "" if content[8:16] == found else STALE


def trace(loader, code, layer, path, missed):
    # type: (SourceFileLoader, CodeType, str, str, list[tuple[str, str]]) -> CodeType
    """Give out the code; say on stderr where it is from, and why other layers did not have it."""
    served = layer + " " + path if path else layer
    words = [served, *[name + ": " + why for name, why in missed]]
    say(loader.name + ": " + "; ".join(words))
    return code


def say(text):
    # type: (str) -> None
    """Write a line for whoever asked for it."""
    # not by a codec, for that may have to be imported
    line = "".join([char if " " <= char <= "~" else ascii(char)[1:-1] for char in text])
    try:
        sys.stderr.write("pycache-sys: " + line + "\n")
        sys.stderr.flush()  # before 3.9 os._exit drops what is buffered
    except Exception:  # noqa: S110 - no stderr: then nobody wants to know
        pass


def in_right_hands(found, status, layer):
    # type: (posix.stat_result, posix.stat_result, str) -> bool
    """Tell whether nobody wrote a cache file who could not have written its source.

    Beside the source it may be root's, the user's, or the source's owner's; in a directory such as
    ``/tmp`` anybody may have made the ``__pycache__``.
    """
    euid = posix.geteuid()
    if layer is OWN:
        return found.st_uid == euid and not found.st_mode & (_GROUP_WRITES | _OTHERS_WRITE)
    if found.st_uid not in (0, euid, status.st_uid):
        return False
    if found.st_mode & ~status.st_mode & (_GROUP_WRITES | _OTHERS_WRITE):
        return False
    return not found.st_mode & _GROUP_WRITES or found.st_gid == status.st_gid

"""Load modules from the layers: image tree, system tree, beside the source, the user's own cache.

``get_code`` takes the place of ``SourceFileLoader.get_code``, for that very class. It is as stock
as stock: the same reads (``io.open_code``, PEP 578), the same words with ``-v`` for what is used,
the same headers (PEP 552), the same tracebacks. What differs is where it looks, and that a cache
which is damaged, stale or in wrong hands is no cache: then the source is compiled.

Nothing here raises but what reading, compiling and executing the source would. Nothing is written
but the user's own cache.
"""

import posix  # os itself would be kept from being taken down early at exit, which costs
import sys
from _frozen_importlib import ModuleSpec, _verbose_message
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

    CreateModule = Callable[[SourceFileLoader, ModuleSpec], None]
    GetCode = Callable[[SourceFileLoader, str], CodeType]
    Trace = Callable[[SourceFileLoader, CodeType, str, str, list[tuple[str, str]]], CodeType]

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
STAMPED = MAGIC_NUMBER + bytes(4)
"""How bytecode begins that goes by its source's time and size."""
_CODE = type((lambda: None).__code__)
_TYPE = 0o170000
_REGULAR = 0o100000
_DIRECTORY = 0o040000
GROUP_WRITES = 0o020
SHARED = GROUP_WRITES | 0o002
_STICKY = 0o1000
_LOW = 0xFFFFFFFF
_LARGEST = 1 << 30
"""The longest bytecode, in bytes: what is longer is a sparse file, or a broken disk's."""


class Layers:
    """What one process reads and where it writes; each directory's layers, once they are known.

    ``find_own`` is called for the first module that no tree has. ``explicit`` and ``beside`` are
    as the policy has them, ``exported`` is a prefix that the hook has set itself. ``trace`` is told
    what served each module.
    """

    def __init__(
        self,
        trees,
        find_own,
        beside=True,  # noqa: FBT002 - the policy's word
        explicit="layer",
        exported=None,
        trace=None,
    ):
        # type: (tuple[str, ...], Callable[[], OwnCache | None], bool, str, str | None, Trace | None) -> None
        self.trees = trees
        self._find_own = find_own
        self._own = []  # type: list[OwnCache | None]
        self.beside = beside
        self.explicit = explicit
        self.exported = exported
        self.trace = trace
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
        if found.st_uid in ours and name.st_uid in ours and not found.st_mode & SHARED:
            return True
        above = posix.stat(directory)
    except (OSError, ValueError):
        return False
    if above.st_mode & _STICKY and above.st_mode & SHARED:
        return False
    if found.st_mode & ~above.st_mode & SHARED:
        return False
    return not found.st_mode & GROUP_WRITES or found.st_gid == above.st_gid


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
                need("judge").say("%s/%s: %s" % (values[key], folder, HANDS))

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
        trace=need("judge").trace if is_traced else None,
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
        trace = layers.trace
        for layer, below in found:
            if layer is TREE or not prefix:
                path = below + "/" + cached
                code, why = read(self, layer, path, status)
                if code is not None:
                    return code if trace is None else trace(self, code, layer, path, missed)
                missed.append((layer, why))
        if prefix:
            code = stock(self, fullname)
            return code if trace is None else trace(self, code, STOCK, "", missed)
        return read_own_or_compile(self, layers, place, cached, status, missed)

    return get_code


def make_create_module(end):
    # type: (str) -> CreateModule | None
    """Make the method that fills in ``__cached__``; None where modules have no such attribute.

    Up to 3.14 importlib says in each module where its bytecode beside the source would be, and
    works it out in a way that takes as long as the hook does. ``end`` is what such names end with.
    """
    if sys.version_info >= (3, 15):
        return None

    def create_module(self, spec):
        # type: (SourceFileLoader, ModuleSpec) -> None
        """Make no module, as stock: importlib does."""
        if type(self) is not SourceFileLoader or type(spec) is not ModuleSpec:
            return
        origin = spec.origin
        if spec._cached is not None or not spec._set_fileattr or type(origin) is not str:
            return
        directory, _, name = origin.rpartition("/")
        is_plain = directory[-1:] not in ("", "/") and name[-3:] == ".py" != name
        if is_plain and sys.pycache_prefix is None:  # else stock has ways of its own
            spec._cached = directory + "/__pycache__/" + name[:-3] + end

    return create_module


def read_own_or_compile(loader, layers, place, cached, status, missed):
    # type: (SourceFileLoader, Layers, str | None, str, posix.stat_result, list[tuple[str, str]]) -> CodeType
    """Read the code from the user's own cache; else compile it, and keep it there.

    ``place`` is the source's absolute directory, None where no cache has a place for it.
    """
    trace = layers.trace
    own = None if place is None else layers.own
    path = None if own is None else own.path(place, cached)
    why = NONE
    if own is not None and path is not None:
        why = ABSENT
        if own.is_there:
            code, why = read(loader, OWN, path, status)
            if code is not None:
                return code if trace is None else trace(loader, code, OWN, path, missed)
    missed.append((OWN, why))
    data = loader.get_data(loader.path)
    code = loader.source_to_code(data, loader.path)
    _verbose_message("code object from {}", loader.path)
    if own is not None and path is not None and not sys.dont_write_bytecode:
        own.write(path, code, data, loader.path, status)
    return code if trace is None else trace(loader, code, COMPILED, "", missed)


def read(loader, layer, path, status):
    # type: (SourceFileLoader, str, str, posix.stat_result) -> tuple[CodeType | None, str]
    """Read a source's code from one layer; or None, and why it does not have it, or not rightly.

    ``status`` is the source's, as it was before anything of it was read. This is done for every
    module: so it is in two pieces, not many, and what is seldom is in ``judge``.
    """
    try:
        found = posix.stat(path)
        if found.st_mode & _TYPE != _REGULAR:  # a FIFO would hold us up
            return None, NO_FILE
        with open_code(path) as file:
            if layer is BESIDE:  # elsewhere nobody can have exchanged it
                found = posix.fstat(file.fileno())
            if (
                layer is not TREE
                and (found.st_mode & SHARED or found.st_uid != posix.geteuid())
                and (layer is OWN or not _in_right_hands(found, status))
            ):
                return None, HANDS
            if found.st_size > _LARGEST:
                return None, DAMAGED
            # the buffer between would cost a second read, and reading to the end two calls more
            content = getattr(file, "raw", file).read(found.st_size)
    except (OSError, ValueError):
        return None, ABSENT
    except MemoryError:
        return None, DAMAGED
    return _load(loader, layer, path, status, found, content)


def _load(loader, layer, path, status, found, content):
    # type: (SourceFileLoader, str, str, posix.stat_result, posix.stat_result, bytes) -> tuple[CodeType | None, str]
    stamps = int(status.st_mtime) & _LOW | (status.st_size & _LOW) << 32
    if content[:HEADER_SIZE] == STAMPED + stamps.to_bytes(8, "little"):
        # a source that was replaced by one of the same size and time shows it by its ctime
        fits = layer is BESIDE or found.st_ctime_ns >= status.st_ctime_ns
        why = "" if fits and (layer is not OWN or stamps_tell(status, found.st_uid)) else STALE
    else:
        why = _why_not(loader, content)
    if why:
        if why is STALE:
            _verbose_message("bytecode is stale for {!r}", loader.name)
        return None, why
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


def _why_not(loader, content):
    # type: (SourceFileLoader, bytes) -> str
    try:
        return str(need("judge").why_not(loader, content))
    except Exception:  # no source to be read, or the package is gone by now, or another one
        return DAMAGED


def _in_right_hands(found, status):
    # type: (posix.stat_result, posix.stat_result) -> bool
    try:
        return bool(need("judge").in_right_hands(found, status))
    except Exception:  # as above
        return False


def stamps_tell(status, uid):
    # type: (posix.stat_result, int) -> bool
    """Tell whether a source's size and time are enough to know it by, in this user's own cache.

    Not where times are flattened, and not for sources of others: a home directory that containers
    share has seen other files of that name.
    """
    return status.st_mtime >= FLATTENED_BEFORE and status.st_uid == uid

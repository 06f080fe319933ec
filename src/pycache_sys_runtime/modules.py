"""Load the modules of this package from where they stand, without the import system's finders.

``startup`` executes this file when the first module of the others is needed. Nothing is written:
whoever installs this package compiles it, too.
"""

import posix  # os itself would be kept from being taken down early at exit, which costs
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader, _pack_uint32
from _imp import _fix_co_filename, source_hash
from io import open_code
from marshal import loads

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from types import CodeType  # noqa: F401 - in comments
    from typing import Any  # noqa: F401 - in comments

_UNCHECKED_HASH = 1
_CHECKED_HASH = 3
_IMPORTED_BY = {
    "caches": ("layout", "own"),
    "judge": ("loader",),
    "keep": ("loader", "own"),
    "loader": ("hook", "layout"),
    "own": ("hook", "trust"),
    "policy": ("hook", "trust"),
    "trust": ("hook",),
}
_PACKAGE = __name__.rpartition(".")[0]
_FOLDER = __file__.rpartition("/")[0]


def begin(startup):
    # type: (dict[str, object]) -> None
    """Make modules of the package, of the start-up that was executed, and of this file.

    This one last: other threads go by it.
    """
    package = _make(_PACKAGE, "__init__")
    package.__path__ = package.__spec__.submodule_search_locations = [_FOLDER]
    sys.modules.setdefault(_PACKAGE, package)
    for name, space in (("startup", startup), ("modules", globals())):
        module = _make(_PACKAGE + "." + name, name)
        module.__dict__.update(space)
        sys.modules.setdefault(module.__name__, module)


def need(name):
    # type: (str) -> Any
    """Return one of this package's modules, from where this one stands.

    It counts as loaded when all of it is: two threads may come here at the same time, and so may
    the handler of a signal.
    """
    full = _PACKAGE + "." + name
    module = sys.modules.get(full)
    if module is None:
        for other in _IMPORTED_BY.get(name, ()):  # the import statement would go by the finders
            need(other)
        module = _make(full, name)
        loader = module.__loader__
        code = _read(loader) or loader.source_to_code(loader.get_data(loader.path), loader.path)
        _fix_co_filename(code, sys.modules[_PACKAGE + ".startup"].FROZEN)
        exec(code, module.__dict__)  # noqa: S102 - it is what an import does
        sys.modules[full] = module
        setattr(sys.modules[_PACKAGE], name, module)
    return module


def _make(full, name):
    # type: (str, str) -> Any
    """Make a module that has nothing in it yet."""
    module = type(sys)(full)
    module.__file__ = _FOLDER + "/" + name + ".py"
    module.__loader__ = SourceFileLoader(full, module.__file__)
    module.__spec__ = ModuleSpec(full, module.__loader__, origin=module.__file__)
    return module


def _read(loader):
    # type: (SourceFileLoader) -> CodeType | None
    """Read the bytecode beside a source, if it is plainly that source's.

    Stock's steps, by the shortest way.
    """
    path = loader.path
    directory, _, name = path.rpartition("/")
    level = "" if not sys.flags.optimize else ".opt-" + str(sys.flags.optimize)
    cached = name[:-2] + str(sys.implementation.cache_tag) + level + ".pyc"
    try:
        status = posix.stat(path)
        with open_code(directory + "/__pycache__/" + cached) as file:
            content = file.read()
        expected = _pack_uint32(0) + _pack_uint32(status.st_mtime) + _pack_uint32(status.st_size)
        if content[4] == _UNCHECKED_HASH:  # some distributions compile everything so
            expected = content[4:16]
        elif content[4] == _CHECKED_HASH:
            found = source_hash(int.from_bytes(MAGIC_NUMBER, "little"), loader.get_data(path))
            expected = _pack_uint32(_CHECKED_HASH) + found
        if content[:4] == MAGIC_NUMBER and content[4:16] == expected:
            code = loads(memoryview(content)[16:])  # noqa: S302 - as importlib
            _fix_co_filename(code, path)  # raises where it is no code
            return code  # type: ignore[no-any-return]
    except Exception:  # noqa: S110 - whatever is wrong with it, there is the source
        pass
    return None

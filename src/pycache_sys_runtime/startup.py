"""What every start of Python runs: read the policy, and put the hook in place.

As little as possible, and nothing that can fail: the layers themselves are loaded by the first
module that does not come frozen, built in or from here. What is decided here is decided for the
life of the process: whether there is a hook, and by which policy.

This file is executed by its path, under a name of its own (``pycache_sys.core.delivery`` has the
line that does it): finders cost more than all the rest, and a program that imports this package
gets the one on its own path. So modules here know each other by relative names, and what start-up
needs before anything else stands in this one.
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
    from collections.abc import Callable, Mapping  # noqa: F401 - in comments
    from types import CodeType
    from typing import Any  # noqa: F401 - in comments

    GetCode = Callable[[SourceFileLoader, str], CodeType]

DIRECTORIES = ("/etc", "/run", "/usr/lib")
"""Where policy stands, the highest precedence first."""
FILE_NAME = "pycacheprefix.conf"
MAIN_FILES = (
    "/etc/pycacheprefix.conf",
    "/run/pycacheprefix.conf",
    "/usr/lib/pycacheprefix.conf",
)
DROP_IN_DIRECTORIES = (
    "/etc/pycacheprefix.conf.d",
    "/run/pycacheprefix.conf.d",
    "/usr/lib/pycacheprefix.conf.d",
)

BUILT_IN = {
    "enabled": True,
    "system-tree": "/var/cache/python",
    "image-tree": "/usr/lib/pycache",
    "user-cache": "{user_cache_dir}",
    "root-cache": "/var/cache/pycache-sys/root",
    "service-cache": "{cache_directory}",
    "service-uids": ((1, 999), (61184, 65519), (65534, 65534)),
    "read-beside-source": True,
    "explicit-prefix": "layer",
    "export-prefix": False,
}
"""What holds where no policy says anything, as ``policy.understand`` reads it."""

SWITCH = "PYCACHE_SYS"
"""``off`` turns the hook off for one process, ``trace`` says which layer served each module."""
MARK = "pycache_sys"
"""The attribute of ``get_code`` that says the hook is in place."""
FROZEN = "<frozen importlib._bootstrap_external>"
"""Frames of code with this file name are left out of the tracebacks of imports."""

ROOT = 0
OVERFLOW = 65534
"""How the owner of a file shows whose uid has no place in this user namespace."""
_WRITABLE_BY_OTHERS = 0o022

PRIVATE = "_pycache_sys"
"""What this package is called where it is the hook."""
_LINECACHE = str(getattr(sys, "_stdlib_dir", None)) + "/linecache.py"
"""What 3.13 and later load for each ``-c``: a part of the bootstrap set, and no reason for more."""
_UNCHECKED_HASH = 1
_CHECKED_HASH = 3
_IMPORTED_BY = {
    "caches": ("layout", "own"),
    "loader": ("layout",),
    "own": ("loader", "trust"),
    "policy": ("trust",),
}
_PACKAGE = __name__.rpartition(".")[0]
_FOLDER = __file__.rpartition("/")[0]


def start():
    # type: () -> None
    """Put the hook in place, once. Never raises."""
    try:
        _start()
    except Exception:  # noqa: S110 - whatever is wrong here, Python starts
        pass


def _start():
    # type: () -> None
    stock = SourceFileLoader.get_code
    if hasattr(stock, MARK) or sys.implementation.cache_tag is None:
        return
    switch = environment().get(SWITCH)
    if switch == "off":
        return
    values = read_policy()
    if not values["enabled"]:
        return
    exported = None
    if values["export-prefix"]:
        exported = need("caches").export(values, environment())

    is_plain = values["read-beside-source"] and switch is None and not sys.flags.verbose

    def get_code(self, fullname):
        # type: (SourceFileLoader, str) -> CodeType
        """Load the hook when there is something for it to load."""
        if type(self) is not SourceFileLoader:
            return stock(self, fullname)
        if self.path == _LINECACHE and is_plain and sys.pycache_prefix is None:
            code = _read(self)
            if code is not None:
                return code
        try:
            loader = need("loader")
            layers = loader.make_layers(values, environment, exported, switch == "trace")
            method = loader.make_get_code(layers, stock)
            setattr(method, MARK, layers)
        except Exception:  # the package may be gone by now
            method = stock
        SourceFileLoader.get_code = method
        return method(self, fullname)  # type: ignore[no-any-return]

    get_code.__code__ = get_code.__code__.replace(co_filename=FROZEN)
    setattr(get_code, MARK, None)
    SourceFileLoader.get_code = get_code


def environment():
    # type: () -> Mapping[str, str]
    """Return the environment, empty where it must not count."""
    if sys.flags.ignore_environment:
        return {}
    if posix.getuid() != posix.geteuid() or posix.getgid() != posix.getegid():
        return {}
    from os import environ  # noqa: PLC0415 - see above

    return environ


def read_policy():
    # type: () -> Mapping[str, object]
    """Read the policy, if there is any file of one."""
    for path in MAIN_FILES + DROP_IN_DIRECTORIES:
        if posix.access(path, posix.F_OK):  # no exceptions, for there is nearly never a file
            values = need("policy").load(sys.implementation.name, sys.version_info[:3])
            return values  # type: ignore[no-any-return]  # noqa: RET504 - for its type
    return BUILT_IN


def is_roots(status):
    # type: (posix.stat_result) -> bool
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
        return posix.stat("/usr").st_uid == OVERFLOW
    except OSError:
        return False


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
        if _PACKAGE not in sys.modules:
            this = sys.modules[__name__] = _make(__name__, "startup")
            this.__dict__.update(globals())
            package = _make(_PACKAGE, "__init__")
            package.__path__ = package.__spec__.submodule_search_locations = [_FOLDER]
            sys.modules[_PACKAGE] = package
        module = _make(full, name)
        loader = module.__loader__
        # nothing is written: whoever installs us compiles us, too
        code = _read(loader) or loader.source_to_code(loader.get_data(loader.path), loader.path)
        _fix_co_filename(code, FROZEN)
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


if _PACKAGE == PRIVATE:
    start()

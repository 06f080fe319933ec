"""What every start of Python runs: put the hook in place, and leave the rest for later.

As little as possible, and nothing that can fail. Most starts load few modules from files, and many
none: so nothing is looked at here but whether there is a policy. The rest (``hook``, ``loader``)
is loaded by the first module that does not come frozen, built in or from here. Where there is a
policy, it is read at once, for it may set ``sys.pycache_prefix``.

This file is executed by its path, under a name of its own (``pycache_sys.core.delivery`` has the
line that does it): finders cost more than all the rest, and a program that imports this package
gets the one on its own path. So modules here know each other by relative names, and are brought
in by one of them (``modules``).
"""

import posix  # os itself would be kept from being taken down early at exit, which costs
import sys
from _frozen_importlib_external import SourceFileLoader
from _imp import _fix_co_filename, acquire_lock, release_lock

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Callable
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

MARK = "pycache_sys"
"""The attribute of ``get_code`` that says the hook is in place."""
FROZEN = "<frozen importlib._bootstrap_external>"
"""Frames of code with this file name are left out of the tracebacks of imports."""
PRIVATE = "_pycache_sys"
"""What this package is called where it is the hook."""
SWITCH = "PYCACHE_SYS"
"""``off`` turns the hook off for one process, ``trace`` says which layer served each module."""

_ITSELF = "_pycache_sys.startup"
_LINECACHE = str(getattr(sys, "_stdlib_dir", None)) + "/linecache.py"
"""What 3.13 and later load for each ``-c``: a part of the bootstrap set, and no reason for more."""
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
    settings = method = None  # type: Any
    if _has_policy():
        settings = _need(stock, "hook").read_settings()
        if settings is None:
            return

    def get_code(self, fullname):
        # type: (SourceFileLoader, str) -> CodeType
        """Load the hook when there is something for it to load."""
        nonlocal method
        if type(self) is not SourceFileLoader:
            return stock(self, fullname)
        if fullname == _ITSELF:  # before 3.15 site runs the files of a virtual environment twice
            return compile("", FROZEN, "exec")
        if method is None:
            code = _load_plainly(stock, self, settings)
            if code is not None:
                return code
            # where os is not loaded yet, this loads it: it comes by here meanwhile, and is stock's
            method = _make_method(stock, settings)
            if SourceFileLoader.get_code in (get_code, stock):  # else somebody's is around this one
                SourceFileLoader.get_code = method
        return method(self, fullname)  # type: ignore[no-any-return]

    get_code.__code__ = get_code.__code__.replace(co_filename=FROZEN)
    setattr(get_code, MARK, None)
    SourceFileLoader.get_code = get_code


def _has_policy():
    # type: () -> bool
    for path in MAIN_FILES + DROP_IN_DIRECTORIES:  # noqa: SIM110 - a generator costs more
        if posix.access(path, posix.F_OK):  # no exceptions, for there is nearly never a file
            return True
    return False


def _load_plainly(stock, loader, settings):
    # type: (GetCode, SourceFileLoader, Any) -> CodeType | None
    """Load what is in the bootstrap set, if nothing else is needed for it."""
    try:
        if loader.path == _LINECACHE and _is_plain(settings):
            return _load(stock, loader)
    except Exception:  # noqa: S110 - then it is a module like any other
        pass
    return None


def _make_method(stock, settings):
    # type: (GetCode, Any) -> GetCode
    """Make the method that loads everything from now on: stock's where there is to be no hook."""
    try:
        hook = _need(stock, "hook")
        method, create_module = hook.make_methods(stock, settings or hook.settle(hook.BUILT_IN))
        if create_module is not None:
            SourceFileLoader.create_module = create_module
    except Exception:  # the package may be gone by now
        return stock
    return method  # type: ignore[no-any-return]


def _is_plain(settings):
    # type: (Any) -> bool
    """Tell whether nobody wants to know where modules are from, or has a say in it."""
    if sys.flags.verbose or sys.pycache_prefix is not None:
        return False
    if settings is not None and not settings.beside:
        return False
    return SWITCH.encode() not in posix.environ


def _need(stock, name):
    # type: (GetCode, str) -> Any
    """Return a module of this package, by the one that brings the others."""
    full = _PACKAGE + ".modules"
    if full not in sys.modules:
        loader = SourceFileLoader(full, _FOLDER + "/modules.py")
        try:
            code = _load(stock, loader)
        except Exception:  # damaged bytecode
            code = loader.source_to_code(loader.get_data(loader.path), loader.path)
        _fix_co_filename(code, FROZEN)
        space = {"__name__": full, "__file__": loader.path}  # type: dict[str, Any]
        exec(code, space)  # noqa: S102 - it is what an import does
        space["begin"](globals())
    return sys.modules[full].need(name)


def _load(stock, loader):
    # type: (GetCode, SourceFileLoader) -> CodeType
    """Let stock load a source with the bytecode beside it, and write nothing."""
    acquire_lock()  # another thread would take what stands here meanwhile for what was there before
    kept = sys.pycache_prefix, sys.dont_write_bytecode
    sys.dont_write_bytecode, sys.pycache_prefix = True, None
    try:
        return stock(loader, loader.name)
    finally:
        sys.pycache_prefix, sys.dont_write_bytecode = kept
        release_lock()


if _PACKAGE == PRIVATE:
    start()

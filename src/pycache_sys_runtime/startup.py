"""What every start of Python runs: read the policy, and put the hook in place.

As little as possible, and nothing that can fail: the layers themselves are loaded by the first
module that does not come frozen, built in or from here. What is decided here is decided for the
life of the process: whether there is a hook, and by which policy.
"""

import os
import sys
from _frozen_importlib_external import SourceFileLoader

from pycache_sys_runtime import BUILT_IN, DROP_IN_DIRECTORIES, MAIN_FILES, hide

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Mapping  # noqa: F401 - in comments
    from types import CodeType  # noqa: F401 - in comments

    from pycache_sys_runtime.loader import GetCode, Layers  # noqa: F401 - in comments

SWITCH = "PYCACHE_SYS"
"""``off`` turns the hook off for one process, ``trace`` says which layer served each module."""

_PACKAGE = "pycache_sys_runtime."
_MAINTAINER_SCRIPT = "DPKG_MAINTSCRIPT_PACKAGE"
_MARK = "pycache_sys"


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
    if hasattr(stock, _MARK) or sys.implementation.cache_tag is None:
        return
    environ = environment()
    switch = environ.get(SWITCH)
    if switch == "off":
        return
    values = read_policy()
    if not values["enabled"]:
        return
    exported = export(values) if values["export-prefix"] else None

    def get_code(self, fullname):
        # type: (SourceFileLoader, str) -> CodeType
        """Load the hook when there is something for it to load."""
        if type(self) is not SourceFileLoader or fullname.startswith(_PACKAGE):
            return stock(self, fullname)
        try:
            from pycache_sys_runtime.loader import make_get_code  # noqa: PLC0415 - not at every start

            layers = make_layers(values, exported, switch == "trace")
            method = make_get_code(layers, stock)
            setattr(method, _MARK, layers)
        except Exception:  # the package may be gone by now
            method = stock
        SourceFileLoader.get_code = method
        return method(self, fullname)

    hide(get_code)
    setattr(get_code, _MARK, None)
    SourceFileLoader.get_code = get_code


def environment():
    # type: () -> Mapping[str, str]
    """Return the environment, empty where it must not count."""
    if sys.flags.ignore_environment:
        return {}
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        return {}
    return os.environ


def read_policy():
    # type: () -> Mapping[str, object]
    """Read the policy, if there is any file of one."""
    for path in MAIN_FILES + DROP_IN_DIRECTORIES:
        try:
            os.lstat(path)
        except OSError:
            continue
        from pycache_sys_runtime.policy import load  # noqa: PLC0415 - most systems have no file

        return load(sys.implementation.name, sys.version_info[:3])
    return BUILT_IN


def folder():
    # type: () -> str
    """Name this interpreter's folder below a tree."""
    from pycache_sys_runtime.layout import version_directory  # noqa: PLC0415 - not at every start

    major, minor = sys.version_info[:2]
    is_free_threaded = "t" in getattr(sys, "abiflags", "")
    return version_directory(sys.implementation.name, major, minor, is_free_threaded)


def locate(values):
    # type: (Mapping[str, object]) -> str | None
    """Say where this user's own cache is; None where there is none."""
    from pycache_sys_runtime import caches  # noqa: PLC0415 - at the first module in no tree

    uid = os.geteuid()
    template = values[caches.cache_key(values, uid)]
    if not template:
        return None
    return caches.expand(template, uid, environment() if uid else {})


def export(values):
    # type: (Mapping[str, object]) -> str | None
    """Make the own cache the prefix of all that compiles on its own account."""
    if sys.pycache_prefix is not None:
        return None
    from pycache_sys_runtime.own import is_ones_own  # noqa: PLC0415 - few policies export it

    top = locate(values)
    if top is None or _MAINTAINER_SCRIPT in os.environ or not is_ones_own(top, os.geteuid()):
        return None
    sys.pycache_prefix = top + "/" + folder()
    return sys.pycache_prefix


def make_layers(values, exported, is_traced):
    # type: (Mapping[str, object], str | None, bool) -> Layers
    """Look at the trees, and say what this process reads and where it writes."""
    from pycache_sys_runtime.loader import Layers, trusted_tree  # noqa: PLC0415 - not at every start
    from pycache_sys_runtime.own import OwnCache  # noqa: PLC0415 - as above

    name = folder()
    trees = []
    for key in ("image-tree", "system-tree"):
        if values[key]:
            tree = trusted_tree(values[key], name, values[key] == BUILT_IN[key])
            if tree is not None:
                trees.append(tree)
    own = OwnCache(lambda: locate(values), name, _MAINTAINER_SCRIPT not in os.environ)
    return Layers(
        tuple(trees),
        own,
        beside=bool(values["read-beside-source"]),
        explicit=str(values["explicit-prefix"]),
        exported=exported,
        is_traced=is_traced,
    )

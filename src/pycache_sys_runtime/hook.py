"""Whether there is a hook in this process, and by which policy: settled once, for its whole life.

Loaded where there is a policy, and else by the first module that does not come frozen, built in or
from here.
"""

import posix  # os itself would be kept from being taken down early at exit, which costs
import sys

from .modules import need
from .startup import MARK, SWITCH

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Mapping  # noqa: F401 - in comments

    from pycache_sys_runtime.loader import CreateModule  # noqa: F401 - in comments
    from pycache_sys_runtime.startup import GetCode  # noqa: F401 - in comments

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


ROOT = 0
OVERFLOW = 65534
"""How the owner of a file shows whose uid has no place in this user namespace."""
_WRITABLE_BY_OTHERS = 0o022


class Settings:
    """The policy's values for this process, a prefix that was exported, whether it is traced."""

    def __init__(self, values, exported, is_traced):
        # type: (Mapping[str, object], str | None, bool) -> None
        self.values = values
        self.exported = exported
        self.is_traced = is_traced
        self.beside = values["read-beside-source"]


def read_settings():
    # type: () -> Settings | None
    """Read the policy, and settle what it says."""
    return settle(need("policy").load(sys.implementation.name, sys.version_info[:3]))


def settle(values):
    # type: (Mapping[str, object]) -> Settings | None
    """Settle what holds in this process; None where there is to be no hook."""
    switch = environment().get(SWITCH)
    if switch == "off" or not values["enabled"]:
        return None
    exported = None
    if values["export-prefix"]:
        exported = need("caches").export(values, environment())
    return Settings(values, exported, switch == "trace")


def make_methods(stock, settings):
    # type: (GetCode, Settings | None) -> tuple[GetCode, CreateModule | None]
    """Make the methods that take the places of the stock ones, or stay with them.

    They are ``get_code``, and ``create_module`` where it is to be another one.
    """
    if settings is None:
        return stock, None
    loader = need("loader")
    layers = loader.make_layers(settings.values, environment, settings.exported, settings.is_traced)
    method = loader.make_get_code(layers, stock)
    setattr(method, MARK, layers)
    return method, loader.make_create_module(layers.end)


def environment():
    # type: () -> Mapping[str, str]
    """Return the environment, empty where it must not count."""
    if sys.flags.ignore_environment:
        return {}
    if posix.getuid() != posix.geteuid() or posix.getgid() != posix.getegid():
        return {}
    from os import environ  # noqa: PLC0415 - see above

    return environ


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

"""Where the caches of users are: looked up at the first module that is in no tree.

Not part of the policy's scanner, for most processes never come here.
"""

import posix  # see startup
import sys

from .layout import running_version_directory
from .modules import need
from .own import is_ones_own

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Mapping  # noqa: F401 - in comments
    from pwd import struct_passwd  # noqa: F401 - in comments

APPLICATION = "pycache-sys"


def locate(values, environ):
    # type: (Mapping[str, object], Mapping[str, str]) -> str | None
    """Say where this user's own cache is; None where there is none."""
    uid = posix.geteuid()
    template = values[cache_key(values, uid)]
    if not template:
        return None
    return expand(str(template), uid, environ if uid else {})


def may_write():
    # type: () -> bool
    """Tell whether this process keeps bytecode: what dpkg runs for a package does not."""
    from os import environ  # noqa: PLC0415 - see startup

    return "DPKG_MAINTSCRIPT_PACKAGE" not in environ


def export(values, environ):
    # type: (Mapping[str, object], Mapping[str, str]) -> str | None
    """Make the own cache the prefix of all that compiles on its own account."""
    if sys.pycache_prefix is not None:
        return None
    top = locate(values, environ)
    if top is None or not may_write():
        return None
    is_own = is_ones_own(top, posix.geteuid())
    if is_own is None and not sys.dont_write_bytecode:
        # stock would make it for anybody, or find what somebody else made
        is_own = _make(top)
    if not is_own:
        return None
    sys.pycache_prefix = top + "/" + running_version_directory()
    return sys.pycache_prefix


def _make(top):
    # type: (str) -> bool
    try:
        need("keep").make_directories(top)
    except OSError:
        return False
    return True


def cache_key(values, uid):
    # type: (Mapping[str, object], int) -> str
    """Say which of the three keys for caches is this uid's."""
    if uid == 0:
        return "root-cache"
    for low, high in values["service-uids"]:  # type: ignore[attr-defined]
        if low <= uid <= high:
            return "service-cache"
    return "user-cache"


def expand(template, uid, environ):
    # type: (str, int, Mapping[str, str]) -> str | None
    """Put a directory and numbers in the place of placeholders.

    ``environ`` is the environment, an empty mapping where it must not count. None where the
    directory is not known, as ``{cache_directory}`` for a service that was given none, or is not
    absolute.
    """
    path = ""
    for part in template.split("{"):
        name, closed, rest = part.partition("}")
        if not closed:
            path += part
            continue
        value = _placeholder(name, uid, environ)
        if not value:
            return None
        path += value + rest
    return path if path[:1] == "/" else None


def _placeholder(name, uid, environ):
    # type: (str, int, Mapping[str, str]) -> str | None
    if name == "uid":
        return str(uid)
    if name == "user_cache_dir":
        return user_cache_dir(uid, environ)
    if name == "runtime_dir":
        base = environ.get("XDG_RUNTIME_DIR", "")
        if base[:1] != "/":
            base = "/run/user/" + str(uid)
        return base.rstrip("/") + "/" + APPLICATION
    if name == "cache_directory":
        # systemd.exec(5): several directories are separated by colons
        first = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
        return first.rstrip("/") + "/" + APPLICATION if first[:1] == "/" else None
    account = _account(uid)
    user = account.pw_name if account is not None else ""
    return user if user.isprintable() and "/" not in user and user not in ("", ".", "..") else None


def user_cache_dir(uid, environ):
    # type: (int, Mapping[str, str]) -> str | None
    """Say where a user keeps caches: ``platformdirs.user_cache_dir("pycache-sys")``.

    ``XDG_CACHE_HOME``, else ``.cache`` in ``HOME``, else in the account's home directory; variables
    that are not absolute paths do not count. platformdirs itself would cost a start-up too much.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if base[:1] != "/":
        home = environ.get("HOME", "")
        if home[:1] != "/":
            account = _account(uid)
            home = account.pw_dir if account is not None else ""
            if home[:1] != "/":
                return None
        base = home.rstrip("/") + "/.cache"
    return base.rstrip("/") + "/" + APPLICATION


def _account(uid):
    # type: (int) -> struct_passwd | None
    """Look an account up. This may ask a name service over the network: not at start-up."""
    try:
        import pwd  # noqa: PLC0415 - a built-in module, and not loaded

        return pwd.getpwuid(uid)
    except (ImportError, KeyError, OSError):
        return None

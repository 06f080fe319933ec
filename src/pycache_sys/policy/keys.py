"""Every key of the policy: its default, where it may stand, and how its value is read.

``conf/pycacheprefix.conf`` explains them to administrators, in this order.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from pycache_sys.core.model import Invalidation
from pycache_sys.policy import values
from pycache_sys_runtime import policy as runtime

T = TypeVar("T")

PYTHON = "python"
USER = "user"
GROUP = "group"
ROOT = "root"
SECTIONS = (PYTHON, USER, GROUP, ROOT)
"""The kinds of sections there are."""

_PROCESS = frozenset({PYTHON, USER, GROUP})
_SOURCES = frozenset({PYTHON, ROOT})
_NOWHERE: frozenset[str] = frozenset()


class Key(Generic[T]):
    """A key: ``parse`` raises Rejected; ``sections`` are those it may stand in.

    ``is_plain`` is False for a key that is in sections only. A list's value is a tuple, and all
    that is said of it counts.
    """

    __slots__ = ("default", "is_list", "is_plain", "name", "parse", "sections")

    def __init__(
        self,
        name: str,
        default: str,
        parse: Callable[[str], T],
        sections: frozenset[str] = _NOWHERE,
        *,
        is_list: bool = False,
        is_plain: bool = True,
    ) -> None:
        self.name = name
        self.default = default
        self.parse = parse
        self.sections = sections
        self.is_list = is_list
        self.is_plain = is_plain


def _shared(name: str, sections: frozenset[str] = _NOWHERE) -> Key[Any]:
    """Describe a key that start-up reads too."""
    return Key(name, runtime.DEFAULTS[name], values.shared(name), sections)


ENABLED = cast("Key[bool]", _shared("enabled", _PROCESS))
SYSTEM_TREE = cast("Key[str]", _shared("system-tree"))
IMAGE_TREE = cast("Key[str]", _shared("image-tree"))
USER_CACHE = cast("Key[str]", _shared("user-cache", _PROCESS))
ROOT_CACHE = cast("Key[str]", _shared("root-cache"))
SERVICE_CACHE = cast("Key[str]", _shared("service-cache", _PROCESS))
SERVICE_UIDS = cast("Key[tuple[tuple[int, int], ...]]", _shared("service-uids"))
CACHE_MAX_SIZE = Key("cache-max-size", "1G", values.size, frozenset({USER, GROUP}))
CACHE_MAX_AGE = Key("cache-max-age", "90d", values.duration, frozenset({USER, GROUP}))
READ_BESIDE_SOURCE = cast("Key[bool]", _shared("read-beside-source", _PROCESS))
EXPLICIT_PREFIX = cast("Key[str]", _shared("explicit-prefix", _PROCESS))
EXPORT_PREFIX = cast("Key[bool]", _shared("export-prefix", _PROCESS))
INTERPRETERS = Key("interpreters", "auto", values.interpreters, frozenset({ROOT}), is_list=True)
ROOTS = Key("roots", "auto", values.roots, is_list=True)
EXCLUDE = Key("exclude", "", values.patterns, _SOURCES, is_list=True)
OPTIMIZE = Key("optimize", "0", values.levels, _SOURCES, is_list=True)
INVALIDATION: Key[Invalidation] = Key("invalidation", "auto", values.invalidation, _SOURCES)
JOBS = Key("jobs", "auto", values.jobs)
TIME_LIMIT = Key("time-limit", "60s", values.seconds, frozenset({PYTHON}))
MEMORY_LIMIT = Key("memory-limit", "2G", values.size, frozenset({PYTHON}))
TRIGGERS = Key("triggers", "now", values.triggers)
IN_PLACE = Key("in-place", "keep", values.in_place, frozenset({ROOT}))
OWNER = Key("owner", "root", values.owner, frozenset({ROOT}), is_plain=False)
MAX_FILES = Key("max-files", "10000", values.count, frozenset({ROOT}), is_plain=False)
MAX_BYTES = Key("max-bytes", "256M", values.size, frozenset({ROOT}), is_plain=False)

KEYS: Mapping[str, Key[Any]] = {
    key.name: key
    for key in (
        ENABLED,
        SYSTEM_TREE,
        IMAGE_TREE,
        USER_CACHE,
        ROOT_CACHE,
        SERVICE_CACHE,
        SERVICE_UIDS,
        CACHE_MAX_SIZE,
        CACHE_MAX_AGE,
        READ_BESIDE_SOURCE,
        EXPLICIT_PREFIX,
        EXPORT_PREFIX,
        INTERPRETERS,
        ROOTS,
        EXCLUDE,
        OPTIMIZE,
        INVALIDATION,
        JOBS,
        TIME_LIMIT,
        MEMORY_LIMIT,
        TRIGGERS,
        IN_PLACE,
        OWNER,
        MAX_FILES,
        MAX_BYTES,
    )
}

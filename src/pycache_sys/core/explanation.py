"""What an interpreter says it would load: a module, its layers, what would be written.

Every part is of the one form that is allowed, or none of it is believed.

The other side is ``pycache_sys_worker/explain.py``, whose words these are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pycache_sys.core.fences import parse_literal

_FIELDS = 6
_LARGEST = 1 << 64
_T = TypeVar("_T")


class Kind(StrEnum):
    """What a name stands for."""

    SOURCE = "source"
    SUBCLASS = "subclass"
    SOURCELESS = "sourceless"
    EXTENSION = "extension"
    BUILT_IN = "built-in"
    FROZEN = "frozen"
    NAMESPACE = "namespace"
    ZIP = "zip"
    OTHER = "other loader"
    MISSING = "missing"


class Hooked(StrEnum):
    """Whether a start has the hook, and why not."""

    ON = ""
    NOT_DELIVERED = "not delivered"
    SWITCH = "switch"
    POLICY = "policy"
    GONE = "gone"
    UNKNOWN = "unknown"


class Place(StrEnum):
    """Where bytecode may be; ``COMPILED`` for nowhere."""

    IMAGE = "image tree"
    SYSTEM = "system tree"
    BESIDE = "beside the source"
    OWN = "own cache"
    PREFIX = "prefix"
    COMPILED = "compiled"
    NOT_KNOWN = ""


class Why(StrEnum):
    """Why a layer does not serve a module, or why nothing would be written."""

    NOTHING = ""
    ABSENT = "absent"
    NO_FILE = "not a regular file"
    HANDS = "in wrong hands"
    DAMAGED = "damaged"
    OTHER_VERSION = "of another version"
    STALE = "stale"
    OFF = "off"
    NO_PLACE = "no place"
    NO_FOLDER = "no folder"
    NO_DIRECTORY = "no directory"
    BY_PREFIX = "explicit prefix"
    NO_CACHE = "no cache"
    NO_SERVICE = "no CACHE_DIRECTORY"
    GONE = "gone"
    SERVED = "served"
    FAILS = "fails"
    OTHER_LOADER = "other loader"
    NO_WRITES = "no writes"
    SCRIPT = "maintainer script"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What counts of a file's status; times in nanoseconds."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    ctime: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A directory, with its status, for which all that is below it does not count."""

    path: str
    file: File


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One place where bytecode of a module may be."""

    place: Place
    path: str
    why: Why
    file: File | None = None
    header: bytes = b""
    culprit: Culprit | None = None
    above: File | None = None
    """The source's directory, where ``__pycache__`` in it is in wrong hands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Where an import would write bytecode, by ``hash`` or ``time``; or why it would not."""

    path: str
    why: Why
    by: str = ""
    culprit: Culprit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """What became of one name or path."""

    asked: str
    kind: Kind
    path: str = ""
    loader: str = ""
    detail: str = ""
    locations: tuple[str, ...] = ()
    served: Place = Place.NOT_KNOWN
    file: str = ""
    """The bytecode that is loaded, the zip file, or a module without a source."""
    failure: str = ""
    source: File | None = None
    is_at_start: bool = False
    """Whether a start loads it of its own accord, which may be before the hook is in place."""
    layers: tuple[Layer, ...] = ()
    writing: Writing | None = None

    @property
    def is_loaded(self) -> bool:
        """Tell whether an import would come to an end, as far as that is known."""
        return self.kind is not Kind.MISSING and not self.failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one interpreter says, for one user."""

    version: tuple[int, ...]
    magic: bytes
    uid: int
    hook: Hooked
    prefix: str
    modules: tuple[Module, ...]


def parse_answer(output: bytes, asked: Sequence[str]) -> Answer | None:
    """Take the answer to what was asked from between the fences; None if there is none."""
    try:
        answer = _answer(parse_literal(output, "explain"))
    except (ValueError, TypeError, KeyError):
        return None
    return answer if [module.asked for module in answer.modules] == list(asked) else None


def _answer(given: Mapping[str, Any]) -> Answer:
    version = _each(given["version"], _number)
    if len(version) != 3:
        raise ValueError("version")
    return Answer(
        version=version,
        magic=_bytes(given["magic"]),
        uid=_number(given["uid"]),
        hook=Hooked(given["hook"]),
        prefix=_text(given["prefix"]),
        modules=_each(given["modules"], _module),
    )


def _module(given: Mapping[str, Any]) -> Module:
    return Module(
        asked=_text(given["asked"]),
        kind=Kind(given["kind"]),
        path=_text(given["path"]),
        loader=_text(given["loader"]),
        detail=_text(given["detail"]),
        locations=_each(given["locations"], _text),
        served=Place(given["served"]),
        file=_text(given["file"]),
        failure=_text(given["failure"]),
        source=_maybe(given["source"], _file),
        is_at_start=given["at_start"] is True,
        layers=_each(given["layers"], _layer),
        writing=_maybe(given["write"], _writing),
    )


def _layer(given: Mapping[str, Any]) -> Layer:
    return Layer(
        place=Place(given["layer"]),
        path=_text(given["path"]),
        why=Why(given["why"]),
        file=_maybe(given["file"], _file),
        header=_bytes(given["header"]),
        culprit=_maybe(given["culprit"], _culprit),
        above=_maybe(given["above"], _file),
    )


def _writing(given: Mapping[str, Any]) -> Writing:
    return Writing(
        path=_text(given["path"]),
        why=Why(given["why"]),
        by=_text(given["by"]),
        culprit=_maybe(given["culprit"], _culprit),
    )


def _culprit(given: Sequence[Any]) -> Culprit:
    return Culprit(path=_text(given[0]), file=_file(given[1:]))


def _file(given: Sequence[Any]) -> File:
    values = _each(given, _number)
    if len(values) != _FIELDS:
        raise ValueError("a status has six numbers")
    mode, uid, gid, size, mtime, ctime = values
    return File(mode=mode, uid=uid, gid=gid, size=size, mtime=mtime, ctime=ctime)


def _each(given: object, parse: Callable[[Any], _T]) -> tuple[_T, ...]:
    if not isinstance(given, list):
        raise TypeError(type(given).__name__)
    return tuple(parse(one) for one in given)


def _maybe(given: Any, parse: Callable[[Any], _T]) -> _T | None:
    return None if given is None else parse(given)


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(type(given).__name__)
    return given


def _bytes(given: object) -> bytes:
    return bytes.fromhex(_text(given))


def _number(given: object) -> int:
    if type(given) is not int or abs(given) >= _LARGEST:
        raise TypeError(type(given).__name__)
    return given

"""Which sources are for which versions of Python, by the rules of Debian's py3compile.

Public modules, those in the directories that Debian's Python searches, are for every version that
is asked for; what lies in the directory of one version is for that one; all other modules are
private, and for one version: the default if it will do.

https://www.debian.org/doc/packaging-manuals/python-policy/
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pycache_sys.core.select import is_below

Version = tuple[int, int]

_RANGE = re.compile(r"(-)?(\d\.\d+)(?:(-)(\d\.\d+)?)?")
_PUBLIC = re.compile(r"(?s).*?/usr/lib/python(\d(?:\.\d+)?)/(?:site|dist)-packages/")
_TAGGED = re.compile(
    r"(?s)(?P<stem>.+)\.(?P<tag>(?:cpython-|pypy|graalpy)[0-9]+(?:-[0-9]+)?t?)"
    r"(?:\.opt-[0-9a-zA-Z]+)?\.pyc"
)


class Range(NamedTuple):
    """A range of versions; None for no bound. The highest is not in it, unless it is the lowest."""

    lowest: Version | None = None
    highest: Version | None = None

    @property
    def exact(self) -> Version | None:
        """Return the one version that is meant, if it is one."""
        return self.lowest if self.lowest == self.highest else None

    def covers(self, version: Version) -> bool:
        """Tell whether a version is in it."""
        if self.exact is not None:
            return version == self.exact
        return (self.lowest is None or version >= self.lowest) and (
            self.highest is None or version < self.highest
        )


def parse_range(text: str) -> Range:
    """Read ``3.11``, ``3.11-``, ``-3.13``, ``3.11-3.13`` and ``-``. Raises ValueError."""
    if text in ("", "-"):
        return Range()
    found = _RANGE.match(text)  # what follows is passed over, as by py3compile
    if found is None:
        raise ValueError(f"version range is invalid: {text}")
    first = parse_version(found[2])
    if found[1]:
        return Range(None, first)
    if not found[3]:
        return Range(first, first)
    last = parse_version(found[4]) if found[4] else None
    if last is not None and first > last:
        raise ValueError(f"version range is invalid: {text}")
    return Range(first, last)


def parse_version(text: str) -> Version:
    """Read ``3.11`` or ``3.11.2``. Raises ValueError."""
    major, minor, *_ = text.split(".")
    return int(major), int(minor)


class Supported(NamedTuple):
    """The versions that a release of Debian has packages for, and the one that is ``python3``."""

    versions: tuple[Version, ...] = ()
    default: Version | None = None

    def preferred(self, versions: Iterable[Version]) -> Version:
        """Choose one: the default, or else the next one above it, or the next below."""
        default = self.default or (0, 0)
        return min(versions, key=lambda v: (v < default, v if v >= default else (-v[0], -v[1])))


def parse_supported(text: str, environment: Mapping[str, str]) -> Supported:
    """Read ``debian_defaults``; two variables of the environment go before it.

    What cannot be understood is left out.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            values[key.strip()] = value.strip()
    named = environment.get("DEBPYTHON3_SUPPORTED") or values.get("supported-versions", "")
    default = environment.get("DEBPYTHON3_DEFAULT") or values.get("default-version", "")
    known = [_version_or_none(part) for part in named.split(",")]
    return Supported(tuple(v for v in known if v is not None), _version_or_none(default))


def _version_or_none(text: str) -> Version | None:
    try:
        return parse_version(text.strip().removeprefix("python"))
    except ValueError:
        return None


def public_version(path: str) -> str:
    """Say whose public module a source is: ``3`` for all, or ``3.11``; "" for a private one."""
    found = _PUBLIC.match(path)
    return found[1] if found else ""


def for_public(
    sources: Iterable[str], versions: Sequence[Version]
) -> dict[str, frozenset[Version]]:
    """Choose the public modules among a package's sources, and the versions each is for."""
    chosen = {source: _share(source, versions) for source in sources if public_version(source)}
    return {source: share for source, share in chosen.items() if share}


def for_all(sources: Iterable[str], versions: Sequence[Version]) -> dict[str, frozenset[Version]]:
    """Say of any sources which of the versions each is for."""
    chosen = {source: _share(source, versions) for source in sources}
    return {source: share for source, share in chosen.items() if share}


def _share(source: str, versions: Sequence[Version]) -> frozenset[Version]:
    owner = public_version(source)
    return frozenset(v for v in versions if owner in ("", str(v[0]), f"{v[0]}.{v[1]}"))


def below(sources: Iterable[str], place: str) -> list[str]:
    """Choose what a path names, itself or below it: by directories, not by text."""
    return [source for source in sources if is_below(source, place.rstrip("/") or "/")]


def without(
    sources: Iterable[str], patterns: Sequence[re.Pattern[str]], directory: str
) -> list[str]:
    """Leave out what a pattern matches from its start: the path, or what of it is below a place."""
    top = directory.rstrip("/") + "/"
    return [
        source
        for source in sources
        if not any(
            source.startswith(top) and (pattern.match(source) or pattern.match(source[len(top) :]))
            for pattern in patterns
        )
    ]


def bytecode_of(name: str, stems: Iterable[str], tag: str) -> bool:
    """Tell whether a file in a ``__pycache__`` is bytecode of a source that stands beside it.

    ``stems`` are the sources' names without ``.py``; ``tag`` is how its tag begins, or all of the
    tag where it ends in a digit.
    """
    found = _TAGGED.fullmatch(name)
    if found is None or found["stem"] not in stems:
        return False
    return found["tag"] == tag if tag[-1:].isdigit() else found["tag"].startswith(tag)

"""Turn the text of a value into what it stands for, or say which part of it is wrong."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pycache_sys.core.model import Invalidation
from pycache_sys.policy.problems import Rejected, nearest
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime.pythons import match_python

AUTO = "auto"
_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LARGEST = 1 << 62
_GLOB = "*?["


class Word(NamedTuple):
    """One element of a list, and where in the value it starts."""

    text: str
    start: int

    def reject(self, message: str, hint: str = "") -> Rejected:
        """Say that this element is wrong."""
        return Rejected(message, hint=hint, start=self.start, length=len(self.text))


def words(value: str) -> Iterator[Word]:
    """Divide a list at its blanks; what stands in double quotes is one element."""
    at = 0
    while at < len(value):
        if value[at] in " \t":
            at += 1
        elif value[at] == '"':
            end = value.find('"', at + 1)
            if end < 0:
                raise Rejected("a quote is not closed", start=at, length=len(value) - at)
            yield Word(value[at + 1 : end], at + 1)
            at = end + 1
        else:
            end = at
            while end < len(value) and value[end] not in " \t":
                end += 1
            yield Word(value[at:end], at)
            at = end


def whole(value: str) -> Word:
    """Take a value as one element."""
    return Word(value, 0)


# what start-up reads too


def shared(key: str) -> Callable[[str], object]:
    """Read the value of a key as start-up does, and say why where it does not understand it."""

    def parse(value: str) -> object:
        understood = runtime.understand(key, value)
        if understood is None:
            raise _explain(key, value)
        return understood

    return parse


def _explain(key: str, value: str) -> Rejected:
    word = whole(value)
    if key in ("enabled", "read-beside-source", "export-prefix"):
        return word.reject(
            f"{value!r} is neither yes nor no", nearest(value.lower(), ("yes", "no"))
        )
    if key == "explicit-prefix":
        return _unknown(word, key, runtime.EXPLICIT_PREFIX)
    if key == "service-uids":
        return word.reject(f"{value!r} is not a list of uids", "like 1-999 65534, or none")
    if "{" in value or "}" in value:
        return _explain_template(word)
    if value == "off":
        return word.reject("there is always a system tree", "'enabled = no' turns the hooks off")
    return _judge_path(word) or word.reject(f"{value!r} is not a path for {key}")


def _explain_template(word: Word) -> Rejected:
    known = (*runtime.DIRECTORY_PLACEHOLDERS, *runtime.NAME_PLACEHOLDERS)
    for found in re.finditer(r"\{[^{}]*\}", word.text):
        if found[0] not in known:
            hint = nearest(found[0], known) or f"known are {' '.join(known)}"
            placeholder = Word(found[0], found.start())
            return placeholder.reject(f"unknown placeholder '{found[0]}'", hint)
    return word.reject(
        f"{word.text!r} is not a path with placeholders",
        f"an absolute path, or one that begins with {' or '.join(runtime.DIRECTORY_PLACEHOLDERS)}; "
        f"{' and '.join(runtime.NAME_PLACEHOLDERS)} may stand anywhere in it",
    )


# what only the builder reads


def roots(value: str) -> tuple[str, ...]:
    """Read absolute paths, which may have ``*``, ``?`` and ``[…]`` in them, and ``auto``."""
    return tuple(word.text if word.text == AUTO else _root(word) for word in words(value))


def patterns(value: str) -> tuple[str, ...]:
    """Read absolute patterns, where ``**`` stands for any number of directories."""
    found = []
    for word in words(value):
        parts = word.text.split("/")
        if any("**" in part and part != "**" for part in parts):
            raise word.reject("'**' stands for whole directories", "like /srv/**/tests")
        found.append(_absolute(word))
    return tuple(found)


def interpreters(value: str) -> tuple[str, ...]:
    """Read version specifiers, absolute paths, and ``auto``."""
    found = []
    for word in words(value):
        if "/" in word.text:
            found.append(_absolute(word))
        elif word.text == AUTO or match_python(word.text, "", (0, 0, 0)) != -2:
            found.append(word.text)
        else:
            raise word.reject(
                f"{word.text!r} is neither a version specifier nor a path",
                "versions look like 3.12, >=3.11,<3.14 (no blanks), pypy3.11",
            )
    return tuple(found)


def levels(value: str) -> tuple[int, ...]:
    """Read optimization levels."""
    found = set()
    for word in words(value.replace(",", " ")):
        if word.text not in ("0", "1", "2"):
            raise word.reject(f"unknown optimization level {word.text!r}", "the levels are 0, 1, 2")
        found.add(int(word.text))
    return tuple(sorted(found))


def invalidation(value: str) -> Invalidation:
    """Read a mode of invalidation."""
    try:
        return Invalidation(value)
    except ValueError:
        raise _unknown(
            whole(value), "invalidation", [mode.value for mode in Invalidation]
        ) from None


def jobs(value: str) -> int | None:
    """Read a number of workers; None for one a core."""
    return None if value == AUTO else count(value)


def count(value: str) -> int:
    """Read a number from 1 up."""
    if not (value.isascii() and value.isdecimal() and len(value) < 10 and int(value)):
        raise whole(value).reject(f"{value!r} is not a number from 1 up")
    return int(value)


def size(value: str) -> int | None:
    """Read a number of bytes with its unit, K to T in powers of 1024; None for no limit."""
    return _quantity(value, _SIZES, "bytes", "512K, 200M, 1G, or none")


def seconds(value: str) -> int:
    """Read a length of time."""
    result = duration(value)
    if result is None:
        raise whole(value).reject("a limit is needed here", "like 60s")
    return result


def duration(value: str) -> int | None:
    """Read a length of time with its unit; None for no limit."""
    return _quantity(value, _SECONDS, "time", "60s, 10min, 12h, 90d, or none")


def in_place(value: str) -> str:
    """Read what is done with bytecode beside its source."""
    if value not in ("keep", "remove"):
        raise _unknown(whole(value), "in-place", ("keep", "remove"))
    return value


def triggers(value: str) -> str:
    """Read when a package manager's call does its work."""
    choices = ("now", "deferred", "off")
    if value not in choices:
        raise _unknown(whole(value), "triggers", choices)
    return value


def owner(value: str) -> int:
    """Read an account's uid; a name is looked up before this is called."""
    number = 0 if value == "root" else runtime.parse_id(value)
    if number is None:
        raise whole(value).reject(f"there is no user {value!r} here", "a uid will do too")
    return number


def section_root(value: str) -> str:
    """Read the path of a ``[root …]`` section."""
    word = whole(value)
    if any(character in value for character in _GLOB):
        raise word.reject(
            "a section is for one root", "name it exactly; patterns belong to the key 'roots'"
        )
    return _root(word)


def _root(word: Word) -> str:
    if "**" in word.text:
        raise word.reject("a root is not searched for: '**' is for 'exclude'")
    path = _absolute(word)
    if path == "/":
        raise word.reject("'/' is no root: all of the system would be compiled")
    return path


def _absolute(word: Word) -> str:
    rejected = _judge_path(word)
    if rejected is not None:
        raise rejected
    return word.text.rstrip("/") or "/"


def _judge_path(word: Word) -> Rejected | None:
    """Say why a text is not an absolute path that goes straight down, if so."""
    text = word.text
    if not text.startswith("/"):
        hint = "a path starts at /"
        if text.startswith("~"):
            hint = "there is no ~ here, for whose home would it be? For users' caches: auto"
        return word.reject(f"{text!r} is a relative path", hint)
    if os.path.normpath(text) != (text.rstrip("/") or "/") or text.startswith("//"):
        return word.reject(f"{text!r} has a detour in it", f"write {_straight(text)}")
    return None


def _straight(path: str) -> str:
    return "/" + os.path.normpath(path).lstrip("/")


def _quantity(value: str, units: dict[str, int], what: str, examples: str) -> int | None:
    if value == "none":
        return None
    digits = value[: len(value) - len(value.lstrip("0123456789"))]
    unit = value[len(digits) :].strip()
    if not digits or len(digits) > 15 or (unit and unit not in units):
        raise whole(value).reject(f"{value!r} is not a {what} limit", f"like {examples}")
    if not unit and what == "time":
        raise whole(value).reject(f"{value} of what?", f"add a unit, like {examples}")
    result = int(digits) * units.get(unit, 1)
    if not 0 < result < _LARGEST:
        raise whole(value).reject(f"{value!r} is out of range", f"like {examples}")
    return result


def _unknown(word: Word, key: str, known: Sequence[str]) -> Rejected:
    hint = nearest(word.text, known, cutoff=0.4) or f"known are {', '.join(known)}"
    return word.reject(f"unknown {key} {word.text!r}", hint)

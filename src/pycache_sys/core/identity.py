"""What an interpreter says of itself.

Every part of it is of the one form that is allowed, or none of it is believed: its version becomes
the name of a folder, and root reads its directories.

The other side is ``pycache_sys_worker/identify.py``.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pycache_sys.core.fences import parse_literal
from pycache_sys.core.model import Interpreter, Reason, Refusal
from pycache_sys.core.select import managed
from pycache_sys_runtime import layout

OLDEST = (3, 8)
IMPLEMENTATIONS = ("cpython", "pypy")


def parse_answer(output: bytes) -> dict[str, Any] | None:
    """Take the dictionary of literals from between the fences; None if it is not there."""
    answer = parse_literal(output, "identify")
    return answer if isinstance(answer, dict) else None


def believe(path: str, answer: Mapping[str, Any], roots: Sequence[str]) -> Interpreter | Refusal:
    """Make an Interpreter of an answer, if every part of it is of the only form that is allowed."""
    version = answer.get("version")
    if not (
        isinstance(version, list)
        and len(version) == 3
        and all(type(n) is int and 0 <= n < 1000 for n in version)
    ):
        return Refusal(Reason.BROKEN, f"it claims the version {version!r}")
    if tuple(version) < OLDEST:
        return Refusal(Reason.TOO_OLD, "Python {}.{} is older than 3.8".format(*version))
    if answer.get("cache_tag") is None:
        return Refusal(Reason.NO_CACHE_TAG, "it has no cache tag: it keeps no bytecode")
    try:
        return _believe(path, answer, (version[0], version[1], version[2]), roots)
    except (KeyError, TypeError, ValueError) as error:
        return Refusal(Reason.BROKEN, f"what it says of itself is not understood: {error}")


def _believe(
    path: str, answer: Mapping[str, Any], version: tuple[int, int, int], roots: Sequence[str]
) -> Interpreter:
    implementation = _text(answer, "implementation")
    tag = _text(answer, "cache_tag")
    magic = bytes.fromhex(_text(answer, "magic"))
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"implementation {implementation!r}")
    plain = tag.replace("-", "").replace("_", "")
    if not plain.isalnum() or not tag.isascii() or tag.startswith("opt-"):
        raise ValueError(f"cache tag {tag!r}")
    if len(magic) != 4 or magic[2:] != b"\r\n":
        raise ValueError(f"magic number {magic!r}")
    library, _ = managed(_paths(answer, "library"), roots)
    site, _ = managed(_paths(answer, "site"), roots)
    if not library:
        raise ValueError("a standard library outside of the managed roots")
    return Interpreter(
        path=path,
        binary=_path(answer, "binary"),
        version=version,
        implementation=implementation,
        cache_tag=tag,
        magic=magic,
        directory=layout.version_directory(
            implementation, version[0], version[1], free_threaded=answer["free_threaded"] is True
        ),
        environment=_text(answer, "environment"),
        library=tuple(library),
        site=tuple(site),
        shared_objects=tuple(_paths(answer, "libraries")),
    )


def _text(answer: Mapping[str, Any], key: str) -> str:
    value = answer[key]
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{key} {value!r}")
    return value


def _path(answer: Mapping[str, Any], key: str) -> str:
    value = _text(answer, key)
    if not value.startswith("/"):
        raise ValueError(f"{key} {value!r}")
    os.fsencode(value)  # raises where it can be no file's name
    return value


def _paths(answer: Mapping[str, Any], key: str) -> list[str]:
    values = answer[key]
    if not isinstance(values, list):
        raise TypeError(f"{key} {values!r}")
    return [_path({key: value}, key) for value in values]

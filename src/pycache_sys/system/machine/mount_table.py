"""The kernel's list of mounts. Reading it touches none of them."""

import os
from typing import NamedTuple

PATH = "/proc/self/mountinfo"
_ROOT = 3
_POINT = 4


class Mount(NamedTuple):
    """What is mounted where: ``root`` is the directory of its file system that shows there."""

    root: str
    point: str
    kind: str


def mounted() -> list[Mount]:
    """List the mounts in the kernel's order, a later one over those at the same point before it.

    None where there is no list, as in a chroot without ``/proc``.
    """
    try:
        with open(PATH, "rb") as lines:
            return [mount for line in lines if (mount := _parse(line.split())) is not None]
    except OSError:
        return []


def unescape(field: bytes) -> str:
    r"""Undo the octal escapes of blank, tab, newline and backslash: ``\040``."""
    for character in b" \t\n\\":
        field = field.replace(b"\\%03o" % character, bytes([character]))
    return os.fsdecode(field)


def _parse(fields: list[bytes]) -> Mount | None:
    if b"-" not in fields[_POINT:-1]:
        return None
    kind = fields[fields.index(b"-", _POINT) + 1]
    return Mount(unescape(fields[_ROOT]), unescape(fields[_POINT]), os.fsdecode(kind))

"""The paths that a package manager has written, as it lists them on standard input."""

import os
from typing import BinaryIO

_PIECE = 1 << 16


def read_listing(stream: BinaryIO, separator: bytes = b"\n") -> frozenset[str]:
    """Read the paths of Python sources; anything else in the list is passed over.

    A path without a leading slash, as pacman gives it, is taken from the working directory. Each
    counts under its own name, and under the one that the links on the way to it lead to.
    """
    named = {os.path.abspath(os.fsdecode(path)) for path in _split(stream, separator)}
    real = {directory: os.path.realpath(directory) for directory in map(os.path.dirname, named)}
    return frozenset(
        named.union(f"{real[os.path.dirname(path)]}/{os.path.basename(path)}" for path in named)
    )


def _split(stream: BinaryIO, separator: bytes) -> list[bytes]:
    """Keep what ends like a source: a list of all files of a system is long."""
    kept: list[bytes] = []
    rest = b""
    while piece := stream.read(_PIECE):
        *whole, rest = (rest + piece).split(separator)
        kept += [path for path in whole if path.endswith(b".py")]
    if rest.endswith(b".py"):
        kept.append(rest)
    return kept

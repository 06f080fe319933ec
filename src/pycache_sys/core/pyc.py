"""The header of a pyc file, as PEP 552 and importlib write it.

PEP 552: https://peps.python.org/pep-0552/
"""

from functools import cache
from os import stat_result

from pycache_sys.core.model import Invalidation

HEADER_SIZE = 16
TIMESTAMP = 0
UNCHECKED_HASH = 1
CHECKED_HASH = 3
FLATTENED_BEFORE = 315_619_200
"""1980-01-02 UTC: image builders set mtimes to 0, 1 or, for zip's sake, 1980-01-01."""

_FLAGS = {
    Invalidation.TIMESTAMP: TIMESTAMP,
    Invalidation.UNCHECKED_HASH: UNCHECKED_HASH,
    Invalidation.CHECKED_HASH: CHECKED_HASH,
}
_CODE_TYPE = 0x63
_REFERENCE_FLAG = 0x80


def is_flattened(status: stat_result) -> bool:
    """Tell whether a source's mtime says nothing about its content."""
    return status.st_mtime < FLATTENED_BEFORE


def flags(invalidation: Invalidation, status: stat_result) -> int:
    """Return the flags word for a source; ``auto`` is a checked hash where mtimes lie."""
    if invalidation is Invalidation.AUTO:
        return CHECKED_HASH if is_flattened(status) else TIMESTAMP
    return _FLAGS[invalidation]


@cache
def start(magic: bytes, flags_word: int) -> bytes:
    """Return a header's first 8 bytes: magic number and flags."""
    return magic + flags_word.to_bytes(4, "little")


def timestamp_fields(status: stat_result) -> bytes:
    """Return a header's last 8 bytes for a timestamp pyc.

    ``int(st_mtime)`` like importlib: the float rounds up just below a full second, and toward
    zero before 1970; both fields are modulo 2**32.
    """
    mtime = int(status.st_mtime) & 0xFFFF_FFFF
    size = status.st_size & 0xFFFF_FFFF
    return (mtime | size << 32).to_bytes(8, "little")


def is_well_formed(file: bytes, header: bytes) -> bool:
    """Tell whether a whole pyc starts with this header (or part of one) and then a code object."""
    return (
        len(file) > HEADER_SIZE
        and file.startswith(header)
        and file[HEADER_SIZE] & ~_REFERENCE_FLAG == _CODE_TYPE
    )

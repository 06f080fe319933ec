"""Which Python a magic number is of: the ranges of the released CPythons. No I/O.

https://github.com/python/cpython/blob/main/Include/internal/pycore_magic_number.h
"""

_LAST = {
    3379: "3.6",
    3399: "3.7",
    3419: "3.8",
    3429: "3.9",
    3449: "3.10",
    3499: "3.11",
    3549: "3.12",
    3599: "3.13",
    3649: "3.14",
    3699: "3.15",
}
"""The last number that each version may have; pre-releases have others than the release."""
_FIRST = 3360
_PYTHON_2 = 62_211
_END = b"\r\n"


def version_of(magic: bytes) -> str:
    """Name the version of CPython that a magic number is of; "" where that is not known.

    PyPy's numbers are small ones that versions share, so they say nothing.
    """
    if len(magic) != 4 or magic[2:] != _END:
        return ""
    number = int.from_bytes(magic[:2], "little")
    if number == _PYTHON_2:
        return "2.7"
    if number < _FIRST:
        return ""
    return next((version for last, version in _LAST.items() if number <= last), "")

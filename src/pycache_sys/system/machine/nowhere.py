"""The null device, also where the system has none: in a root that is only files."""

import os

_kept: list[int] = []


def descriptor() -> int:
    """Return a descriptor of ``/dev/null``, opened once: before another root is entered, or now."""
    if not _kept:
        _kept.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
    return _kept[0]

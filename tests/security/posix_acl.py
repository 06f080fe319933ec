"""Access control lists, written as the extended attribute that the kernel keeps them in."""

import os
import struct
from pathlib import Path

_VERSION = 2
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 1, 2, 4, 16, 32
_NOBODY_IN_PARTICULAR = 0xFFFF_FFFF


def grant(path: Path, uid: int, *, permissions: int, kind: str = "access") -> None:
    """Grant a user permissions (an octal digit) on a root-owned path, over 0644 or 0755."""
    others = 5 if path.is_dir() else 4
    entries = [
        (_OWNER, others | 2, _NOBODY_IN_PARTICULAR),
        (_USER, permissions, uid),
        (_GROUP, others, _NOBODY_IN_PARTICULAR),
        (_MASK, permissions | others, _NOBODY_IN_PARTICULAR),
        (_OTHERS, others, _NOBODY_IN_PARTICULAR),
    ]
    value = struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *e) for e in entries)
    os.setxattr(path, f"system.posix_acl_{kind}", value)

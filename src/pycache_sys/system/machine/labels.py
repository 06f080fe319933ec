"""SELinux: whether it is on, and which label files have."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress

ENFORCE = "/sys/fs/selinux/enforce"
"""What is there wherever SELinux is on, whether it enforces or only complains."""
TYPE = "lib_t"
"""What ``selinux/pycache_sys.fc`` gives to the trees and to what is kept beside."""
_NAME = "security.selinux"
_CONFIGURATION = "/etc/selinux/config"
_CONTEXTS = ("file_contexts", "file_contexts.local")
_RULE = b"/var/cache/python("
_LONGEST = 1 << 24
_SAMPLE = 10


def is_on() -> bool:
    """Tell whether this system labels its files."""
    return os.path.exists(ENFORCE)


def type_of(path: str) -> str:
    """Read the type out of a file's label, "" where it has none. Raises OSError."""
    try:
        label = os.getxattr(path, _NAME, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return ""
        raise
    parts = label.rstrip(b"\0").split(b":")
    return parts[2].decode("ascii", "replace") if len(parts) > 2 else ""


def sample(top: str) -> Iterator[str]:
    """Name a directory, some in it, and some of what is in those: how a tree was labelled."""
    yield top
    level = [top]
    for _ in range(2):
        inner = []
        for directory in level:
            with suppress(OSError), os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
                inner += [entry.path for entry in found[:_SAMPLE] if not entry.is_symlink()]
        yield from inner
        level = [path for path in inner if os.path.isdir(path)]


def has_rule() -> bool:
    """Tell whether the system's policy says anything of the tree: then ``restorecon`` mends."""
    kind = "targeted"
    for line in _read(_CONFIGURATION).splitlines():
        key, _, value = line.partition(b"=")
        if key.strip() == b"SELINUXTYPE":
            kind = os.fsdecode(value.strip())
    directory = f"/etc/selinux/{kind}/contexts/files"
    return any(_RULE in _read(f"{directory}/{name}") for name in _CONTEXTS)


def _read(path: str) -> bytes:
    with suppress(OSError), open(path, "rb") as file:
        return file.read(_LONGEST)
    return b""

"""Which of several roots this system is: a build, a snapshot, a deployment of OSTree.

Such roots replace each other as a whole, and one of them can come back: a source may then be older
than bytecode of another root's source, with the same size and a clamped time of modification.
"""

import os
from contextlib import suppress

OSTREE = "/run/ostree-booted"
"""Where a deployment of OSTree is the system."""
_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
_WORDS = (b"ostree=", b"roothash=", b"usrhash=", b"mount.usr")
"""What the kernel's command line says of a root that is verified, or one of several."""
_OTHER_WORDS = (b"root=", b"rootflags=")
_READ_ONLY = frozenset({"erofs", "squashfs"})
_SNAPSHOTS = "/.snapshots/"
_LONGEST = 1 << 20


def describe() -> list[bytes]:
    """Name the operating system's build, and which root this is; the same at each of its boots."""
    lines = []
    for path in _RELEASES:
        with suppress(OSError), open(path, "rb") as file:
            lines += [b"release " + line for line in file.read(_LONGEST).split(b"\n") if line]
            break
    lines += [b"boot " + word for word in _command_line(_WORDS + _OTHER_WORDS)]
    for place in (b"/", b"/usr"):
        # by no list of mounts: a confined service has some of its own. Numbers of devices change
        # from boot to boot, but what most file systems call their own number is in the superblock
        status, system = os.stat(place), os.statvfs(place)
        lines.append(b"system %s %d/%x" % (place, status.st_ino, system.f_fsid))
    return lines


def is_replaceable() -> bool:
    """Tell whether this root is one of several: then a ctime does not say which source is newer."""
    if _command_line(_WORDS) or os.path.exists(OSTREE):
        return True
    from pycache_sys.system.machine.mount_table import mounted  # noqa: PLC0415 - an unchanged boot need not ask

    return any(
        mount.point in ("/", "/usr") and (_SNAPSHOTS in mount.root or mount.kind in _READ_ONLY)
        for mount in mounted()
    )


def _command_line(starts: tuple[bytes, ...]) -> list[bytes]:
    try:
        with open("/proc/cmdline", "rb") as file:
            return [word for word in file.read(_LONGEST).split() if word.startswith(starts)]
    except OSError:
        return []

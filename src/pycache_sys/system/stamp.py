"""A stamp of what the tree was built for: at an unchanged boot, comparing it is all there is to do.

It names the deployment, and how each file stands that decides what is built: the interpreters and
their libraries, the directories of packages, the policy, the tree. Image-based systems give all
their files the same mtime, but a directory of another deployment is another inode.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from pycache_sys import __version__
from pycache_sys.core.select import is_interpreter_name
from pycache_sys_runtime.startup import DIRECTORIES, FILE_NAME

PATH = "/var/cache/pycache-sys/stamp"
_SEARCHED = ("/usr/bin", "/usr/local/bin")
_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
_DEPLOYMENT_WORDS = (b"ostree=", b"roothash=", b"usrhash=", b"root=", b"rootflags=")
_CONSTANT = (
    *(f"{directory}/{FILE_NAME}" for directory in DIRECTORIES),
    *(f"{directory}/{FILE_NAME}.d" for directory in DIRECTORIES),
    "/usr/share/pycache-sys/roots.d",
    "/usr/share/python3/bcep",
)
_WATCH = b"watch "
_LONGEST = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_current(path: str = PATH) -> bool:
    """Tell whether everything is as the last whole run left it."""
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        is_ours = status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022
        if not (stat.S_ISREG(status.st_mode) and is_ours):
            return False
        kept = os.read(descriptor, _LONGEST)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    lines = kept.split(b"\n")
    watched = [line[len(_WATCH) :].rpartition(b" ")[0] for line in lines if line[:6] == _WATCH]
    return kept == _describe(watched)


def write(watched: Iterable[str], path: str = PATH) -> None:
    """Write down how things stand, with the files and directories given. Raises OSError."""
    places = {*watched, *_CONSTANT}
    text = _describe(sorted({os.fsencode(place) for place in places if "\n" not in place}))
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o644)
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def remove(path: str = PATH) -> None:
    """Have the next boot look: what was to be done was not done."""
    with suppress(OSError):
        os.unlink(path)


def _describe(watched: Iterable[bytes]) -> bytes:
    lines = [b"pycache-sys " + __version__.encode(), *_deployment()]
    for directory in _SEARCHED:
        with suppress(OSError):
            names = sorted(filter(is_interpreter_name, os.listdir(directory)))
            lines += [b"program " + _state(os.fsencode(f"{directory}/{name}")) for name in names]
    lines += [_WATCH + _state(place) for place in watched]
    return b"\n".join(lines) + b"\n"


def _deployment() -> list[bytes]:
    """Name the operating system's build, and which of several roots this is."""
    lines = []
    for path in _RELEASES:
        with suppress(OSError), open(path, "rb") as file:
            lines += [b"release " + line for line in file.read(_LONGEST).split(b"\n") if line]
            break
    with suppress(OSError), open("/proc/cmdline", "rb") as file:
        words = file.read(_LONGEST).split()
        lines += [b"boot " + word for word in words if word.startswith(_DEPLOYMENT_WORDS)]
    with suppress(OSError), open("/proc/self/mountinfo", "rb") as file:
        mounts = [line.split() for line in file]
        # the directory of the file system that is mounted: a deployment, a snapshot
        lines += [b"mount " + m[4] + b" " + m[3] for m in mounts if m[4] in (b"/", b"/usr")]
    return lines


def _state(path: bytes) -> bytes:
    """Say how a file stands; the name comes first, and may have blanks."""
    try:
        status = os.stat(path)
    except OSError:
        return path + b" absent"
    return path + b" %d/%d/%d" % (status.st_ino, status.st_size, status.st_mtime_ns)

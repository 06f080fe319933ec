"""Private mounts: what these tests mount, no other process of the machine sees."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x0002_0000
_MNT_DETACH = 2
READ_ONLY = 1
NOSUID_NODEV = 2 | 4
REMOUNT = 32
BIND = 4096
_RECURSIVE = 16384
_PRIVATE = 1 << 18


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount something, or change a mount that is there."""
    arguments = [text.encode() or None for text in (source, target, kind)]
    _checked(_LIBC.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), target)


def unmount(target: str) -> None:
    """Take a mount out of sight, also where somebody still uses it."""
    _checked(_LIBC.umount2(target.encode(), _MNT_DETACH), target)


@contextmanager
def mounted(
    source: str, target: str, kind: str = "", flags: int = 0, options: str = ""
) -> Iterator[None]:
    """Mount for a while."""
    mount(source, target, kind, flags, options)
    try:
        yield
    finally:
        unmount(target)


@contextmanager
def private_mounts() -> Iterator[None]:
    """Give this process, and those it starts, a mount namespace that nothing leaves."""
    here = os.getcwd()
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_LIBC.unshare(_CLONE_NEWNS), "unshare")
        mount("none", "/", flags=_RECURSIVE | _PRIVATE)
        yield
    finally:
        _checked(_LIBC.setns(before, _CLONE_NEWNS), "setns")
        os.close(before)
        os.chdir(here)

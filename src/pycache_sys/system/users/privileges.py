"""The account that workers run as, and what a child process of ours may do.

When root builds the system tree, sources are read by ``_pycache-sys``, an account that owns
nothing and is in no group: the kernel itself keeps out what not everybody can read. It is never
``nobody``, which other daemons share.
"""

import ctypes
import os
import resource
from collections.abc import Callable
from typing import NamedTuple

from pycache_sys.system.users.accounts import find_id
from pycache_sys.system.users.ids import take_ids

ACCOUNT = "_pycache-sys"
_PR_SET_NO_NEW_PRIVS = 38
_TRANSIENT = range(61_184, 65_520)


class Account(NamedTuple):
    """Numeric ids to run as."""

    uid: int
    gid: int


def worker_account() -> Account | None:
    """Look up the dedicated account; None where there is none, or where it is root."""
    found = find_id("user", ACCOUNT)
    return Account(uid=found[0], gid=found[1]) if found and found[0] else None


def can_read(account: Account, path: str) -> bool:
    """Tell whether an account in no group can read a file, from the modes on the way to it."""
    while True:
        try:
            status = os.stat(path)
        except OSError:
            return False
        wanted = 0o001 if os.path.isdir(path) else 0o004
        if status.st_uid == account.uid:
            wanted <<= 6
        if not status.st_mode & wanted:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def nobody_else(account: Account | None) -> Account:
    """Choose ids that no other process has: for one that is asked, and not believed yet.

    From the range that systemd gives to transient services (its manual: nss-systemd), which no
    package allocates from. Never the workers' own: what a hostile interpreter leaves behind must
    not get at them.
    """
    chosen = _TRANSIENT.start + int.from_bytes(os.urandom(4), "little") % len(_TRANSIENT)
    if account is not None and chosen == account.uid:
        chosen = _TRANSIENT.start if chosen != _TRANSIENT.start else _TRANSIENT[-1]
    return Account(uid=chosen, gid=chosen)


def can_become(account: Account) -> bool:
    """Tell whether a process of ours can take an account's ids: not so in all user namespaces."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            take_ids(account.uid, account.gid)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def confined(address_space: int | None, account: Account | None = None) -> Callable[[], None]:
    """Return what a child does before it executes a foreign interpreter.

    No new privileges, no core dump, no file written, an address space of so many bytes; and the
    account's ids with no groups, if one is given.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def confine() -> None:
        if account is not None:
            take_ids(account.uid, account.gid)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if address_space is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            limit = address_space if hard == resource.RLIM_INFINITY else min(address_space, hard)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return confine

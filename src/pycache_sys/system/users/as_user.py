"""Do something as another user, in a process that can be left behind.

It takes that user's ids before it looks at anything of theirs, so nothing in their directories is
touched with root's rights. What it says are numbers, and as many of them as were asked for.
"""

import os
import pwd
import select
import signal
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from pycache_sys.system.users.ids import take_ids

SILENCE_SECONDS = 30.0
TOTAL_SECONDS = 600.0
_BEAT_SECONDS = 1.0
_BEAT, _ANSWER = b".", b"="
_LONGEST = 1 << 16


class Login(NamedTuple):
    """An account: its name, and the ids of its processes."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


class NoAnswerError(Exception):
    """A process said nothing for too long, as one that waits for a dead file server."""


class FailedError(Exception):
    """A process ended without an answer, or could not become the user."""


Work = Callable[[Callable[[], None]], Sequence[int]]
"""What is done there; it gets something to call now and then, to show that it goes on."""


def logins() -> list[Login]:
    """List the accounts that the name service shows, each uid once."""
    found = {entry.pw_uid: entry for entry in reversed(pwd.getpwall())}
    return [login_of(found[uid]) for uid in sorted(found)]


def caller() -> Login:
    """Say who runs this process."""
    uid = os.geteuid()
    groups = (os.getegid(), *os.getgroups())
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Login(name, uid, os.getegid(), groups)


def login_of(entry: pwd.struct_passwd) -> Login:
    """Say as whom an account logs in: with all of its groups."""
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Login(entry.pw_name, entry.pw_uid, entry.pw_gid, groups)


def work_as(
    login: Login,
    work: Work,
    count: int,
    *,
    silence: float = SILENCE_SECONDS,
    total: float = TOTAL_SECONDS,
) -> tuple[int, ...]:
    """Do some work as a user, and return ``count`` numbers that are not negative.

    It is killed when it is silent for so many seconds, or takes so many in total. Raises
    NoAnswerError and FailedError.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            _become(login)
            numbers = work(_beater(writing))
            answer = _ANSWER + struct.pack(f"<{count}Q", *numbers)
            if os.write(writing, answer) == len(answer):
                status = 0
        finally:
            os._exit(status)
    os.close(writing)
    is_done = False
    try:
        said = _listen(reading, silence, total)
        is_done = True
    finally:
        os.close(reading)
        if not is_done:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        # one that hangs in the kernel is left behind, to be reaped by init
        _, status = os.waitpid(child, 0 if is_done else os.WNOHANG)
    _, mark, answer = said.partition(_ANSWER)
    if status != 0 or not mark or len(answer) != struct.calcsize(f"<{count}Q"):
        raise FailedError(f"the process of {login.name} ended without an answer")
    return struct.unpack(f"<{count}Q", answer)


def _become(login: Login) -> None:
    take_ids(login.uid, login.gid, login.groups)
    os.umask(0o077)
    os.chdir("/")


def _beater(writing: int) -> Callable[[], None]:
    shown = time.monotonic()

    def beat() -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown > _BEAT_SECONDS:
            shown = now
            os.write(writing, _BEAT)

    return beat


def _listen(reading: int, silence: float, total: float) -> bytes:
    """Read until the end. Raises NoAnswerError."""
    end = time.monotonic() + total
    said = b""
    while len(said) < _LONGEST:
        patience = min(silence, end - time.monotonic())
        if patience <= 0 or not select.select([reading], [], [], patience)[0]:
            raise NoAnswerError
        piece = os.read(reading, _LONGEST)
        if not piece:
            return said
        said += piece
    raise NoAnswerError

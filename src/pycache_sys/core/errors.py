"""Exit statuses, and expected failures of a whole run: raised where they are found.

They are caught once, in ``cli``.
"""

from enum import IntEnum


class ExitStatus(IntEnum):
    """The command's exit statuses."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    POLICY = 3
    LOCKED = 4
    SYSTEM = 5
    INTERRUPTED = 130


class PycacheSysError(Exception):
    """A failure that a person can do something about: what happened, and what to do next."""

    exit_status = ExitStatus.SYSTEM
    details: tuple[str, ...] = ()
    """What is to be read before the message."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PycacheSysError):
    """The command line asks for what cannot be."""

    exit_status = ExitStatus.USAGE


class LockedError(PycacheSysError):
    """Another run holds the tree's lock."""

    exit_status = ExitStatus.LOCKED


class TreeError(PycacheSysError):
    """The tree cannot be used: permissions, owner, or the file system."""

"""The files that give programs their environment, and which of them say where bytecode goes."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from pycache_sys.core.assignments import assignments

LONGEST_FILE = 1 << 18
"""What stands further down in a file is not looked at."""
FILES = (
    "/etc/environment",
    "/etc/profile",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zshenv",
    "/etc/zsh/zshenv",
    "/etc/security/pam_env.conf",
    "/etc/systemd/system.conf",
    "/etc/systemd/user.conf",
)
DIRECTORIES = (
    ("/etc/environment.d", ".conf"),
    ("/etc/profile.d", ".sh"),
    ("/etc/default", ""),
    ("/etc/sysconfig", ""),
    ("/etc/systemd/system.conf.d", ".conf"),
    ("/etc/systemd/user.conf.d", ".conf"),
)
UNITS = ("/etc/systemd/system", "/etc/systemd/user")
IN_HOME = (
    ".profile",
    ".bashrc",
    ".bash_profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".pam_environment",
)
DIRECTORY_IN_HOME = (".config/environment.d", ".conf")
_KINDS_OF_UNITS = (".service", ".socket", ".timer", ".slice")
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO must not hold us up


class Said(NamedTuple):
    """A file and line that set a variable."""

    path: str
    line: int
    variable: str

    def __str__(self) -> str:
        """Write it as compilers do, with the variable."""
        return f"{self.path}:{self.line}: {self.variable}"


def system_files() -> Iterator[str]:
    """Name the system's files that are there, or may be."""
    yield from FILES
    for directory, suffix in DIRECTORIES:
        yield from _in(directory, suffix)
    for directory in UNITS:
        for suffix in _KINDS_OF_UNITS:
            yield from _in(directory, suffix)
        for drop_ins in _in(directory, ".d"):
            yield from _in(drop_ins, ".conf")


def files_of(home: str) -> Iterator[str]:
    """Name the files of a user that are there, or may be."""
    for name in IN_HOME:
        yield f"{home}/{name}"
    directory, suffix = DIRECTORY_IN_HOME
    yield from _in(f"{home}/{directory}", suffix)


def said_in(files: Iterable[str]) -> Iterator[Said]:
    """Yield what some files set; one that cannot be read sets nothing that is known."""
    for path in files:
        for found in assignments(_read(path)):
            yield Said(path, found.line, found.variable)


def _in(directory: str, suffix: str) -> list[str]:
    names: list[str] = []
    with suppress(OSError):
        names = sorted(os.listdir(directory))
    return [f"{directory}/{name}" for name in names if name.endswith(suffix)]


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, _OPEN)
    except (OSError, ValueError):
        return b""
    with suppress(OSError), open(descriptor, "rb") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return file.read(LONGEST_FILE)
    return b""

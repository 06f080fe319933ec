"""A system in a folder: its policy's directories, and files that are whose a test says they are.

So tests of what only root may change need no root, and no folder that nobody else can write.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycache_sys_runtime.startup import FILE_NAME

ADA = 4711
"""A uid that is not root's."""
USER = max(os.geteuid(), 1000)
"""A user's uid: of whoever runs the tests, unless that is root."""


class OwnersOs:
    """``os`` or ``posix``, to which every file is root's alone, but those that were declared.

    What is declared of a link holds for the link, and not for where it leads.
    """

    def __init__(self) -> None:
        self._declared: dict[tuple[int, int], tuple[int, int | None]] = {}

    def declare(self, path: Path | str, *, uid: int = 0, mode: int | None = None) -> None:
        """Say whose a file is, and with which permissions; root's own where none are named."""
        status = os.lstat(path)
        self._declared[status.st_dev, status.st_ino] = uid, mode

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def stat(self, path: str | int) -> os.stat_result:
        return self._show(os.stat(path))

    def lstat(self, path: str) -> os.stat_result:
        return self._show(os.lstat(path))

    def fstat(self, descriptor: int) -> os.stat_result:
        return self._show(os.fstat(descriptor))

    def _show(self, status: os.stat_result) -> os.stat_result:
        uid, mode = self._declared.get((status.st_dev, status.st_ino), (0, None))
        if mode is None:
            mode = 0o777 if stat.S_ISLNK(status.st_mode) else 0o755
        kind = stat.S_IFMT(status.st_mode)
        return os.stat_result((kind | mode, *status[1:4], uid, 0, *status[6:10]))


class FakeProcess:
    """``os`` or ``posix``, with another environment and other ids."""

    def __init__(self) -> None:
        self.environ: dict[str, str] = {}
        self.uid = self.euid = USER
        self.gid = self.egid = USER

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def getuid(self) -> int:
        return self.uid

    def geteuid(self) -> int:
        return self.euid

    def getgid(self) -> int:
        return self.gid

    def getegid(self) -> int:
        return self.egid


@dataclass(frozen=True)
class FakeSystem:
    """The folder, and what it stands for."""

    folder: Path
    os: OwnersOs = field(default_factory=OwnersOs)

    @property
    def main_files(self) -> tuple[str, ...]:
        """Where the main file may be, the highest precedence first."""
        return tuple(str(self.folder / where / FILE_NAME) for where in ("etc", "run", "lib"))

    @property
    def drop_in_directories(self) -> tuple[str, ...]:
        """Where drop-ins may be, the highest precedence first."""
        return tuple(f"{path}.d" for path in self.main_files)

    @property
    def policy_file(self) -> Path:
        """The administrator's policy."""
        return self.folder / "etc" / FILE_NAME

    @property
    def registry(self) -> Path:
        """Where packages register their directories."""
        return self.folder / "roots.d"

    @property
    def bcep(self) -> Path:
        """Where Debian's packages say what is not compiled."""
        return self.folder / "bcep"

    @property
    def ids(self) -> Path:
        """The numbers for names."""
        return self.folder / "var" / "ids"

    def write(self, path: Path, content: str | bytes = "") -> Path:
        """Write a file, with the directories above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def policy(self, text: str | bytes) -> Path:
        """Write the administrator's policy."""
        return self.write(self.policy_file, text)

    def drop_in(self, name: str, text: str | bytes, directory: str = "etc") -> Path:
        """Write a drop-in."""
        return self.write(self.folder / directory / f"{FILE_NAME}.d" / name, text)

"""Who may feed the tree: files that root owns, where nobody else can write, that all can read.

A tree that everybody reads mirrors neither the modes of source directories nor their owners. So
each directory from ``/`` down, each symbolic link on the way and the file itself must be root's,
without write permission for group or others, and directories searchable and files readable by
everybody. (An ACL that grants write shows in the group bits, as its mask.)
"""

import os
import stat
from typing import Protocol

from pycache_sys.core.model import Reason, Refusal
from pycache_sys.core.select import is_below
from pycache_sys_runtime.trust import steps

_LINKS_FOLLOWED = 40
_ROOT = 0


class Trust(Protocol):
    """A rule that says which directories and files may be compiled."""

    def directory(self, path: str) -> Refusal | None:
        """Judge a directory with all its ancestors; None where it may be read."""

    def file(self, path: str, status: os.stat_result) -> Refusal | None:
        """Judge a file in a directory that was judged already."""

    def link(self, path: str) -> Refusal | None:
        """Judge the way from a symbolic link in a judged directory to its target."""


class CallerTrust:
    """The caller's own tree: whatever the caller can read will do."""

    def directory(self, path: str) -> Refusal | None:  # noqa: ARG002 - a rule that looks at nothing
        """Accept every directory."""
        return None

    def file(self, path: str, status: os.stat_result) -> Refusal | None:  # noqa: ARG002 - as above
        """Accept every file."""
        return None

    def link(self, path: str) -> Refusal | None:  # noqa: ARG002 - as above
        """Accept every link."""
        return None


class RootTrust:
    """The system tree's rule. Remembers directories, so that a walk costs one ``lstat`` each."""

    def __init__(self) -> None:
        self._judged: dict[str, tuple[str, Refusal | None]] = {"": ("", None), "/": ("", None)}

    def directory(self, path: str) -> Refusal | None:
        """Judge a directory with all its ancestors and every link on the way to it."""
        return self._resolve(path.rstrip("/"), _LINKS_FOLLOWED)[1]

    def file(self, path: str, status: os.stat_result) -> Refusal | None:
        """Judge a file's owner and mode."""
        return judge_status(path, status, self._owner_of(path))

    def link(self, path: str) -> Refusal | None:
        """Judge every link and directory from here to the file at the end."""
        head, _, name = path.rpartition("/")
        real, refusal = self._resolve(head, _LINKS_FOLLOWED)
        return refusal or self._step(real, name, _LINKS_FOLLOWED)[1]

    def _owner_of(self, path: str) -> int:  # noqa: ARG002 - for those who look
        """Say whose a file may be besides root's."""
        return _ROOT

    def _resolve(self, path: str, links: int) -> tuple[str, Refusal | None]:
        """Find the real directory behind a path, from the nearest ancestor that is known."""
        unknown: list[str] = []
        known = path
        while known not in self._judged:
            unknown.append(known)
            known = known.rpartition("/")[0]
        for current in reversed(unknown):
            head, _, name = current.rpartition("/")
            real, refusal = self._judged[head]
            self._judged[current] = (real, refusal) if refusal else self._step(real, name, links)
        return self._judged[path]

    def _step(self, parent: str, name: str, links: int) -> tuple[str, Refusal | None]:
        """Go from a judged real directory to one name in it, through links."""
        if name in ("", "."):
            return parent, None
        if name == "..":
            return parent.rpartition("/")[0], None
        path = f"{parent}/{name}"
        try:
            status = os.lstat(path)
            target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
        except OSError as error:
            return path, refusal_of(error)
        if not target:
            return path, judge_status(path, status, self._owner_of(path))
        if status.st_uid not in (_ROOT, self._owner_of(path)):
            return path, Refusal(Reason.WRONG_OWNER, f"{path} belongs to uid {status.st_uid}")
        if not links:
            return path, Refusal(Reason.LINK_LOOP, f"too many symbolic links at {path}")
        start = "" if target.startswith("/") else parent
        return self._resolve(f"{start}/{target.strip('/')}", links - 1)


class OwnerTrust(RootTrust):
    """Root's rule, but for what lies below one root: that may be another account's, too."""

    def __init__(self, uid: int, root: str) -> None:
        super().__init__()
        self._uid = uid
        self._root = root

    def _owner_of(self, path: str) -> int:
        return self._uid if is_below(path, self._root) else _ROOT


class OwnFileTrust(CallerTrust):
    """A single file that a command was given: root's or the caller's, and no one else writes it."""

    def file(self, path: str, status: os.stat_result) -> Refusal | None:
        """Judge the file, wherever it stands and whoever may read it."""
        refusal = judge_status(path, status, os.geteuid())
        return None if refusal and refusal.reason is Reason.NOT_READABLE_BY_ALL else refusal


class OwnTrust:
    """What the caller would run: root's or the caller's, the way to it included, and no one else's.

    Nobody but the caller needs to reach it, and root's sticky directories will do: there nobody
    exchanges what is another's.
    """

    def directory(self, path: str) -> Refusal | None:
        """Judge every directory and link on the way, and what is at its end."""
        own = (_ROOT, os.geteuid())
        try:
            for status in steps(path):
                mode = status.st_mode
                if status.st_uid not in own:
                    return Refusal(
                        Reason.WRONG_OWNER,
                        f"{path}: it, or a directory above it, belongs to uid {status.st_uid}",
                    )
                sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX and status.st_uid == _ROOT
                if mode & 0o022 and not stat.S_ISLNK(mode) and not sticky:
                    return Refusal(
                        Reason.WRITABLE_BY_OTHERS,
                        f"{path}: it, or a directory above it, is writable by {_writers(mode)}",
                    )
        except OSError as error:
            return refusal_of(error)
        return None

    def file(self, path: str, status: os.stat_result) -> Refusal | None:  # noqa: ARG002 - it may be a link
        """Judge a file with the way to it."""
        return self.directory(path)

    def link(self, path: str) -> Refusal | None:
        """Judge a link with the way to what it leads to."""
        return self.directory(path)


def judge_status(path: str, status: os.stat_result, owner: int = _ROOT) -> Refusal | None:
    """Judge one file or directory (not a link) by mode and owner: root, or one other."""
    mode = status.st_mode
    if status.st_uid not in (_ROOT, owner):
        other = f", nor to uid {owner}" if owner != _ROOT else ""
        return Refusal(
            Reason.WRONG_OWNER, f"{path} belongs to uid {status.st_uid}, not to root{other}"
        )
    if mode & 0o022:
        return Refusal(
            Reason.WRITABLE_BY_OTHERS,
            f"{path} is writable by {_writers(mode)} (mode {mode & 0o7777:04o})",
        )
    wanted = 0o001 if stat.S_ISDIR(mode) else 0o004
    if not mode & wanted:
        return Refusal(
            Reason.NOT_READABLE_BY_ALL,
            f"{path} is not readable by everybody (mode {mode & 0o7777:04o})",
        )
    return None


def refusal_of(error: OSError) -> Refusal:
    """Say why a path could not be looked at."""
    import errno  # noqa: PLC0415 - an error's path only

    reason = {
        errno.ENOENT: Reason.VANISHED,
        errno.ENOTDIR: Reason.VANISHED,
        errno.ELOOP: Reason.LINK_LOOP,
    }.get(error.errno or 0, Reason.UNREADABLE)
    return Refusal(
        reason, f"{os.fsdecode(error.filename or '')}: {error.strerror}".removeprefix(": ")
    )


def _writers(mode: int) -> str:
    match bool(mode & 0o020), bool(mode & 0o002):
        case True, True:
            return "its group and by others"
        case True, False:
            return "its group"
        case _:
            return "others"

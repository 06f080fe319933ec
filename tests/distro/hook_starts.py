"""Start Python in a chroot, and see what the hook says it did, and what was written."""

import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from distro.chroots import ENVIRONMENT, Chroot
from distro.machines import HOME, USER
from distro.product import TREE

TREE_LAYER, BESIDE, OWN, COMPILED = "tree", "beside the source", "own cache", "compiled"

_TRACE = re.compile(r"^pycache-sys: (\S+): ([^\n]+)\n", re.MULTILINE)
_SERVED = re.compile(r"(tree|beside the source|own cache) (/.+)")
MATCHED = re.compile(r"^# (/.+\.pyc) matches (/.+)$", re.MULTILINE)
"""What ``-v`` says, also under ``-I``, where the trace is off."""


PIVOT = 'cd "$1" && shift && pivot_root . . && umount -l . && cd / && exec "$@"'


class Served(NamedTuple):
    """Which layer had a module, in which file, and why the layers before had not."""

    layer: str
    path: str
    missed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one run did; ``stderr`` is without the hook's trace, which is in ``served``."""

    status: int
    stdout: str
    stderr: str
    served: Mapping[str, Served]

    @property
    def quiet(self) -> str:
        """Return the output of a run that had nothing to complain about."""
        assert (self.status, self.stderr) == (0, "")
        return self.stdout

    def layers(self, *modules: str) -> dict[str, str]:
        """Say which layer served each of these modules."""
        return {name: self.served[name].layer for name in modules}

    def only(self, layer: str) -> set[str]:
        """Name the modules that a layer served."""
        return {name for name, served in self.served.items() if served.layer == layer}


def start(
    chroot: Chroot, *command: str, user: int = USER, trace: bool = True, **variables: str
) -> Start:
    """Run a command with no more environment than a login has."""
    settings = {"HOME": home_of(user)} | ({"PYCACHE_SYS": "trace"} if trace else {}) | variables
    done = chroot.attempt("env", *(f"{k}={v}" for k, v in settings.items()), *command, user=user)
    return parse(done)


def start_in_own_mounts(chroot: Chroot, *command: str, user: int, **variables: str) -> Start:
    """Run a command with a copy as its root, but not in a chroot: none gets a user namespace."""
    settings = ENVIRONMENT | {"HOME": home_of(user), "PYCACHE_SYS": "trace"} | variables
    ids = (f"--reuid={user}", f"--regid={user}", "--clear-groups")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", PIVOT, "sh", chroot.root, "setpriv", *ids, *command],
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return parse(done)


def home_of(user: int) -> str:
    """Name the directory that a login of the user has in ``HOME``."""
    return {USER: HOME, 0: "/root"}.get(user, "/nonexistent")


def parse(done: subprocess.CompletedProcess[str]) -> Start:
    """Part a run's trace from what else it said."""
    return Start(
        status=done.returncode,
        stdout=done.stdout,
        stderr=_TRACE.sub("", done.stderr),
        served=served_in(done.stderr),
    )


def served_in(text: str) -> dict[str, Served]:
    """Read a trace: which layer served each module."""
    return {name: _served(words) for name, words in _TRACE.findall(text)}


def _served(text: str) -> Served:
    first, *missed = text.split("; ")
    found = _SERVED.fullmatch(first)
    return Served(found[1], found[2], tuple(missed)) if found else Served(first, "", tuple(missed))


def upper(chroot: Chroot) -> Path:
    """Return the folder in which overlayfs keeps what a copy has changed."""
    return chroot.root.parent / "upper"


def changes(chroot: Chroot) -> Iterator[tuple[str, os.stat_result]]:
    """Yield all that was written, changed or removed in a copy since it was made, but directories.

    What was removed shows as a device with the number 0.
    """
    top = upper(chroot)
    for parent, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                yield "/" + os.path.relpath(path, top), status


def written(chroot: Chroot) -> set[str]:
    """Name what was written or removed in a copy since it was made."""
    return {path for path, _ in changes(chroot)}


def new_directories(chroot: Chroot, pristine: Chroot) -> set[str]:
    """Name the directories that a pristine copy does not have."""
    top = upper(chroot)
    return {
        "/" + os.path.relpath(os.path.join(parent, name), top)
        for parent, directories, _ in os.walk(top)
        for name in directories
        if not (pristine.root / os.path.relpath(os.path.join(parent, name), top)).is_dir()
    }


def unlike(chroot: Chroot, pristine: Chroot) -> set[str]:
    """Name what a copy has touched and not given back to the byte: contents, owner, mode, mtime.

    But a directory's mtime is when a name in it changed last, which nobody gives back. Bytecode may
    have been made anew, with another time and other reference flags: its header has to be the same.
    """
    return {
        path
        for path, status in changes(chroot)
        if _description(upper(chroot) / path[1:], status) != _description_in(pristine, path)
    } | new_directories(chroot, pristine)


def _description_in(pristine: Chroot, path: str) -> object:
    before = pristine.root / path[1:]
    try:
        return _description(before, before.lstat())
    except FileNotFoundError:
        return None


def _description(path: Path, status: os.stat_result) -> object:
    if stat.S_ISCHR(status.st_mode):
        return None if status.st_rdev == 0 else status.st_rdev
    content: object = os.readlink(path) if path.is_symlink() else path.read_bytes()
    mtime = status.st_mtime_ns
    if path.suffix == ".pyc":
        mtime, content = 0, (path.read_bytes()[:16], status.st_size)
    return status.st_mode, status.st_uid, status.st_gid, mtime, content


def place(chroot: Chroot, contents: Mapping[str, str], *, owner: int = 0) -> None:
    """Write sources, by their path inside, as a package or a user would."""
    for inside, text in contents.items():
        path = chroot.path(inside)
        missing = [one for one in path.parents if not one.exists()]
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        for one in (path, *missing):
            os.chown(one, owner, owner)


def in_tree(folder: str, path: str) -> bool:
    """Tell whether a path is in an interpreter's part of the tree."""
    return path.startswith(f"{TREE}/{folder}/")

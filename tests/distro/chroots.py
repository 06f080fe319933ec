"""Make chroots of Debian releases, and cheap private copies of them."""

import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distro.debian import REINSTALLED, UPGRADED, Suite

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {
    "PATH": PATH,
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
NOBODY = 65534
ARCHIVES = "/srv/archives"
"""Where a chroot keeps the packages that tests install again."""

RECIPE = "1"
"""Raise this where a chroot is made differently: cached ones are then made anew."""

APT_OPTIONS = (
    'Acquire::Check-Valid-Until "false"',
    'Acquire::Check-Date "false"',
    'Acquire::Languages "none"',
)
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
COMMAND_SECONDS = 600
CLONE_NEWNS = 0x00020000


class ChrootError(Exception):
    """A chroot that could not be made, with what the program at fault had to say."""


@dataclass(frozen=True, slots=True)
class Chroot:
    """A root directory with its mounts in place."""

    root: Path

    def path(self, inside: str) -> Path:
        """Say where a path of the chroot is seen from outside."""
        return self.root / inside.lstrip("/")

    def status(self, inside: str) -> os.stat_result:
        """Follow a file's links as they are meant inside, and return what is there."""
        path = self.path(inside)
        while path.is_symlink():
            inside = os.path.normpath(os.path.join(os.path.dirname(inside), os.readlink(path)))
            path = self.path(inside)
        return path.lstat()

    def command(self, *command: str, user: int = 0) -> list[str]:
        """Return the command line that runs a command inside."""
        return ["chroot", f"--userspec={user}:{user}", "--groups=", str(self.root), *command]

    def attempt(self, *command: str, user: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command inside, whatever its exit status; never with this process's environment."""
        return subprocess.run(
            self.command(*command, user=user),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def run(self, *command: str, user: int = 0) -> str:
        """Run a command inside that has to succeed; return its standard output."""
        done = self.attempt(*command, user=user)
        assert done.returncode == 0, f"{command} exited {done.returncode}:\n{done.stderr[-4000:]}"
        return done.stdout


@dataclass(frozen=True, slots=True)
class Image:
    """A chroot at rest: directories to be stacked, the topmost first."""

    layers: tuple[Path, ...]

    @contextmanager
    def running(self, folder: Path) -> Iterator[Chroot]:
        """Mount a private copy whose changes stay in the folder."""
        upper, work, root = (folder / name for name in ("upper", "work", "root"))
        for directory in (upper, work, root):
            directory.mkdir()
        upper.chmod(0o755)
        lower = ":".join(map(str, self.layers))
        # a copy is thrown away: nothing has to reach the disk
        options = f"lowerdir={lower},upperdir={upper},workdir={work},volatile"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", root], check=True)
        try:
            subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
            yield Chroot(root)
        finally:
            unmount(root)

    def topped_by(self, folder: Path) -> "Image":
        """Return this image with the changes that a running copy left in its folder."""
        return Image((folder / "upper", *self.layers))


def unmount(root: Path) -> None:
    """Take a copy's mounts away, also where a stray process holds them."""
    calm = subprocess.run(["umount", "--recursive", root], capture_output=True, check=False)
    if calm.returncode != 0:
        subprocess.run(["umount", "--recursive", "--lazy", root], check=True)


def keep_mounts_private() -> None:
    """Give this process mounts of its own, which the kernel drops when it dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def cache_directory() -> Path:
    """Return where chroots are kept from one run to the next, always outside of the checkout."""
    default = "/var/tmp/pycache-sys-chroots"
    directory = Path(os.environ.get("PYCACHE_SYS_CHROOT_CACHE") or default)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    return directory


def image_of(suite: Suite) -> Image:
    """Return the suite's chroot from the cache, making it where it is not there."""
    cache = cache_directory()
    wanted = cache / f"{suite.name}-{recipe_digest(suite)}"
    with (cache / f"{suite.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.is_dir():
            for outdated in cache.glob(f"{suite.name}-*"):
                shutil.rmtree(outdated)
            partial = cache / f"{suite.name}-partial"
            try:
                make_chroot(suite, debian_mirror(), partial)
                partial.rename(wanted)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return Image((wanted,))


def recipe_digest(suite: Suite) -> str:
    """Name what a suite's chroot is made of, for the cache."""
    parts = (RECIPE, *suite.packages, suite.neighbour, REINSTALLED, UPGRADED)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def make_chroot(suite: Suite, mirror: str, target: Path) -> None:
    """Install a suite with its packages as root, and fetch the archives that tests install."""
    call(
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        "--dpkgopt=force-unsafe-io",
        f"--include={','.join(suite.packages)}",
        *(f"--aptopt={option}" for option in APT_OPTIONS),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        suite.name,
        str(target),
        f"deb {mirror} {suite.name} main",
    )
    fetch_archives(suite, mirror, target)


def fetch_archives(suite: Suite, mirror: str, target: Path) -> None:
    """Download the archives that tests install: offline, tests are quick and repeatable."""
    (target / ARCHIVES.lstrip("/")).mkdir(parents=True)
    extra_source = target / "etc/apt/sources.list.d/neighbour.list"
    extra_source.write_text(f"deb {mirror} {suite.neighbour} main\n")
    names = (
        f"{REINSTALLED}/{suite.name}",
        f"{UPGRADED}/{suite.name}",
        f"{UPGRADED}/{suite.neighbour}",
    )
    call("chroot", str(target), "apt-get", "update")
    for name in names:
        call("chroot", str(target), "sh", "-c", f"cd {ARCHIVES} && apt-get download {name}")
    extra_source.unlink()
    shutil.rmtree(target / "var/lib/apt/lists")
    (target / "var/lib/apt/lists").mkdir()


def call(*command: str) -> str:
    """Run a program that may use the network; return its standard output."""
    environment = ENVIRONMENT | proxies(os.environ)
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise ChrootError(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        raise ChrootError(f"{command[0]} exited {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Pick the proxy settings out of an environment."""
    return {name: value for name, value in environment.items() if name.lower().endswith("_proxy")}


def debian_mirror() -> str:
    """Return the mirror that the local apt takes Debian from."""
    wanted = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"
    listed = call("apt-get", "indextargets", "--format", wanted, "Created-By: Packages")
    for line in listed.splitlines():
        origin, label, component, uri = line.split("|", 3)
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return uri
    raise ChrootError("apt knows no Debian mirror: run `apt-get update` first")

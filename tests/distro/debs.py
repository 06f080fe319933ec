"""Build small Debian packages, with every timestamp under control."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from distro.chroots import ENVIRONMENT, Chroot

CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a package made for a test
"""


def build_deb(
    chroot: Chroot, name: str, version: str, contents: Mapping[str, bytes], mtime: int
) -> str:
    """Build a package of files by absolute path; return where the chroot sees it."""
    inside = f"/srv/{name}_{version}_all.deb"
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)
        (top / "DEBIAN").mkdir(mode=0o755)
        (top / "DEBIAN/control").write_text(CONTROL.format(name=name, version=version))
        for path, data in contents.items():
            place(top / path.lstrip("/"), data)
        clamp(top, mtime)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", folder, chroot.path(inside)],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return inside


def place(target: Path, data: bytes) -> None:
    """Write a file with the permissions that packages give."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(0o644)


def clamp(top: Path, mtime: int) -> None:
    """Give everything below a directory one modification time."""
    for path in [*top.rglob("*"), top]:
        os.utime(path, (mtime, mtime))


def install_deb(chroot: Chroot, archive: str, *options: str) -> None:
    """Install an archive of the chroot with its own apt."""
    chroot.run("apt-get", "install", "--yes", "--allow-downgrades", *options, archive)


def remove_packages(chroot: Chroot, *names: str) -> None:
    """Remove packages with the chroot's own apt."""
    chroot.run("apt-get", "remove", "--yes", *names)


def listed_sources(chroot: Chroot, package: str) -> set[str]:
    """Name the sources that dpkg lists for an installed package."""
    return {path for path in listed_files(chroot, package) if path.endswith(".py")}


def listed_files(chroot: Chroot, package: str) -> list[str]:
    """List what dpkg lists for an installed package."""
    return chroot.run("dpkg", "-L", package).splitlines()

"""Fixtures of the RPM packages' tests: each such module names this one as its plugin."""

import shutil
from collections.abc import Iterator

import pytest

from distro.chroots import Chroot, Image
from distro.debian import Suite
from distro.layers import installable, scratch_folder
from distro.rpm_life import rpm
from distro.rpm_machines import RPMS, Installed, built, ours, with_tools


@pytest.fixture(scope="session")
def rpm_tools(suite: Suite, base: Image) -> Image:
    """Return a machine with rpm, rpmbuild, dnf and zypper."""
    with installable(suite):
        return with_tools(suite, base)


@pytest.fixture(scope="session")
def rpm_bare(suite: Suite, rpm_tools: Image) -> Iterator[Image]:
    """Add the packages' archives, and tell rpm what dpkg has installed."""
    folder_of_rpms = built(suite, rpm_tools)
    with scratch_folder() as folder:
        with rpm_tools.running(folder) as chroot:
            shutil.copytree(folder_of_rpms, chroot.path(RPMS))
            # zypper names this database, Debian 12's rpm has another
            chroot.path("/etc/rpm").mkdir(exist_ok=True)
            chroot.path("/etc/rpm/macros.database").write_text("%_dbpath /var/lib/rpm\n")
            rpm(chroot, "--install", f"{RPMS}/stand-in-1-1.noarch.rpm")
        yield rpm_tools.topped_by(folder)


@pytest.fixture(scope="session")
def rpm_installed(rpm_bare: Image) -> Iterator[Installed]:
    """Install our packages, with nothing but rpm."""
    with scratch_folder() as folder:
        with rpm_bare.running(folder) as chroot:
            output = rpm(chroot, "--install", *ours())
        yield Installed(rpm_bare.topped_by(folder), output)


@pytest.fixture
def bare_machine(rpm_bare: Image) -> Iterator[Chroot]:
    """Give a private copy of a machine without our packages."""
    with scratch_folder() as folder, rpm_bare.running(folder) as copy:
        yield copy


@pytest.fixture
def rpm_machine(rpm_installed: Installed) -> Iterator[Chroot]:
    """Give a private copy of a machine that has our packages."""
    with scratch_folder() as folder, rpm_installed.image.running(folder) as copy:
        yield copy

"""A healthy machine, small enough to be looked at often: each such module names this plugin."""

import shutil
from collections.abc import Iterator

import pytest

from distro.chroots import Chroot, Image
from distro.debian import DIST_PACKAGES, Suite
from distro.debs import build_deb
from distro.defects import LATER, PROJECT, SECOND
from distro.healthy import POLICY, POLICY_TEXT, superfluous
from distro.layers import layer_on, scratch_folder
from distro.machines import USER, add_user
from distro.packaging import DEBS, archives_of, built, install_packages
from distro.product import COMMAND


@pytest.fixture(scope="session")
def small(suite: Suite, base: Image) -> Iterator[Image]:
    """Return a machine with few packages of Python's, and the archives of ours."""
    gone = " ".join(superfluous(suite))
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -qq --yes"
    below = layer_on(
        base,
        f"small-{suite.name}",
        (),
        f"mkdir {SECOND}; cd {SECOND}; apt-get download pypy3 pypy3-lib",
        f"{apt} --purge remove {gone}; {apt} --purge autoremove",
    )
    folder_of_debs = built(suite, base)
    with scratch_folder() as folder:
        with below.running(folder) as chroot:
            shutil.copytree(folder_of_debs, chroot.path(DEBS))
            source = {f"{DIST_PACKAGES}/later.py": b"ANSWER = 42\n"}
            assert build_deb(chroot, "later", "1", source, 1_600_000_000) == LATER
        yield below.topped_by(folder)


@pytest.fixture(scope="session")
def healthy(small: Image) -> Iterator[Image]:
    """Install the packages, the drop-in too; take away what stands beside the sources."""
    with scratch_folder() as folder:
        with small.running(folder) as chroot:
            add_user(chroot)
            policy = chroot.path(POLICY)
            policy.parent.mkdir()
            policy.write_text(POLICY_TEXT)
            install_packages(chroot, *archives_of(chroot, "pycache-sys-py3compile"))
            chroot.run(COMMAND, "rebuild")
            chroot.path(PROJECT).mkdir()
            chroot.path(f"{PROJECT}/tool.py").write_text("ANSWER = 42\n")
            chroot.run("chown", "-R", f"{USER}:{USER}", PROJECT)
        yield small.topped_by(folder)


@pytest.fixture
def healthy_machine(healthy: Image) -> Iterator[Chroot]:
    """Give a private copy of it."""
    with scratch_folder() as folder, healthy.running(folder) as copy:
        yield copy

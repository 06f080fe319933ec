"""Fixtures of the packages' tests: each such module names this one as its plugin."""

import shutil
from collections.abc import Iterator

import pytest

from distro.chroots import Chroot, Image
from distro.debian import Suite
from distro.layers import installable, layer_on, scratch_folder
from distro.packaging import DEBS, LATER, Packaged, built, install_packages
from distro.packaging_life import life_archives


@pytest.fixture(scope="session")
def unpackaged(suite: Suite, base: Image) -> Iterator[Image]:
    """Return a machine that has the packages' archives, and nothing of them installed."""
    later = LATER.get(suite.name, ())
    with installable(suite):
        folder_of_debs = built(suite, base)
        if later:
            base = layer_on(
                base,
                f"later-{suite.name}",
                later,
                f"cd /srv/archives; apt-get download {' '.join(later)}",
            )
    with scratch_folder() as folder:
        with base.running(folder) as chroot:
            shutil.copytree(folder_of_debs, chroot.path(DEBS))
        yield base.topped_by(folder)


@pytest.fixture(scope="session")
def living(suite: Suite, unpackaged: Image) -> Image:
    """Return a machine with archives of many packages, and of ours, none of these installed."""
    # the archives need the network, ours change with each commit: so they are the layer below
    *_, base = unpackaged.layers
    with installable(suite):
        below = life_archives(suite, Image((base,)))
    return Image((*unpackaged.layers[:-1], *below.layers))


@pytest.fixture(scope="session")
def packaged(unpackaged: Image) -> Iterator[Packaged]:
    """Install the packages."""
    with scratch_folder() as folder:
        with unpackaged.running(folder) as chroot:
            output = install_packages(chroot)
        yield Packaged(unpackaged.topped_by(folder), output)


@pytest.fixture
def before(unpackaged: Image) -> Iterator[Chroot]:
    """Give a private copy of a machine without the packages."""
    with scratch_folder() as folder, unpackaged.running(folder) as copy:
        yield copy


@pytest.fixture
def machine(packaged: Packaged) -> Iterator[Chroot]:
    """Give a private copy of a machine that has the packages."""
    with scratch_folder() as folder, packaged.image.running(folder) as copy:
        yield copy

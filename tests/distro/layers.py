"""Layers over a suite's chroot: made once with the network's help, kept, and stacked."""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distro.chroots import ChrootError, Image, cache_directory, call
from distro.debian import Suite

RECIPE = "1"
"""Raise this where layers are made differently: cached ones are then made anew."""
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends"
NO_SERVICES = (
    "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
)
"""Have maintainer scripts start nothing in the chroot."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder beside the cached chroots, as overlayfs wants it, and take it away again."""
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="copy-") as folder:
        yield Path(folder)


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """Hold a lock of the cache's; give the cache."""
    cache = cache_directory()
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache


@contextmanager
def installable(suite: Suite) -> Iterator[None]:
    """Skip where a release that moves cannot be installed today; for others that is a failure."""
    try:
        yield
    except ChrootError as error:
        if suite.moving:
            pytest.skip(f"the archive's {suite.name} cannot be installed today: {error}")
        raise


def layer_on(base: Image, name: str, parts: tuple[str, ...], *script: str) -> Image:
    """Return an image with changes that need the network, from the cache or made now."""
    parts = (RECIPE, *parts, *script, *(layer.name for layer in base.layers))
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    with locked(name) as cache:
        wanted = cache / f"{name}-{digest}"
        if not wanted.is_dir():
            for outdated in cache.glob(f"{name}-*"):
                shutil.rmtree(outdated)
            with scratch_folder() as folder:
                with base.running(folder) as chroot:
                    inside = ("chroot", str(chroot.root), "sh", "-ec")
                    call(*inside, "apt-get -qq update")
                    for command in script:
                        call(*inside, command)
                    call(*inside, "apt-get clean; rm -rf /var/lib/apt/lists/*")
                (folder / "upper").rename(wanted)
    return Image((wanted, *base.layers))

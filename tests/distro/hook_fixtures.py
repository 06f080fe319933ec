"""Fixtures of the hook's tests: each such module names this one as its plugin."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from distro.chroots import Chroot
from distro.machines import Machines, Python


@pytest.fixture(scope="session")
def machines(private_mounts: None, wheel: Path) -> Iterator[Machines]:
    """Give the machines, with and without the hook."""
    with ExitStack() as keep:
        yield Machines(wheel, keep)


@pytest.fixture
def hooked(machines: Machines, python: Python) -> Iterator[Chroot]:
    """Give a machine with the hook enabled."""
    with machines.running(python.suite) as chroot:
        yield chroot


@pytest.fixture
def stock(machines: Machines, python: Python) -> Iterator[Chroot]:
    """Give a machine that has all but the hook."""
    with machines.running(python.suite, hooked=False) as chroot:
        yield chroot


@pytest.fixture
def pristine(machines: Machines, python: Python) -> Iterator[Chroot]:
    """Give another copy of the same, that nobody touches."""
    with machines.running(python.suite, hooked=False) as chroot:
        yield chroot

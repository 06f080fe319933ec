"""What the tests of the matrix get. A plugin, and not part of ``hooked``, for that is imported."""

import os
import shutil
from collections.abc import Iterator

import pytest

from interpreters.conftest import Found
from interpreters.hooked import CACHE, FEW, Hooked, Machine, private_machine


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Give the mounts, to enter them."""
    if os.geteuid():
        pytest.skip("only root can put private mounts in the place of /var/cache and /etc")
    with private_machine() as made:
        yield made


@pytest.fixture
def inside(machine: Machine) -> Iterator[None]:
    """Be in there for one test, with an own cache that does not exist yet."""
    with machine.entered():
        shutil.rmtree(CACHE, ignore_errors=True)
        yield


@pytest.fixture
def venv(machine: Machine, interpreter: Found, inside: None) -> Hooked:
    """Give a virtual environment with the hook, for each interpreter."""
    return machine.venv(interpreter)


@pytest.fixture(params=FEW, ids=str)
def packaged(request: pytest.FixtureRequest, machine: Machine, inside: None) -> Hooked:
    """Give one with packages, for some interpreters."""
    return machine.venv_with_packages(request.param)

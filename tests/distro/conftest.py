"""Chroots for the tests: made once, installed once, rebuilt once, and copied for each test."""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from distro.chroots import (
    Chroot,
    ChrootError,
    Image,
    cache_directory,
    image_of,
    keep_mounts_private,
)
from distro.debian import SUITES, Suite
from distro.product import Rebuilt, add_account, build_wheel, install, rebuild, rebuild_all
from distro.snapshots import snapshot

REPOSITORY = Path(__file__).parents[2]
KERNEL_DIRECTORIES = frozenset({"proc", "sys", "dev"})


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder beside the cached chroots, as overlayfs wants it, and take it away again."""
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="copy-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def private_mounts() -> None:
    """Keep every mount of these tests to this process and its children."""
    if os.geteuid() != 0:
        pytest.fail("these tests make chroots: run them as root")
    os.umask(0o022)
    keep_mounts_private()


@pytest.fixture(scope="session")
def base_images(
    request: pytest.FixtureRequest, private_mounts: None
) -> Iterator[dict[str, Future[Image]]]:
    """Make the chroots of all suites that are asked for, side by side."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {p.params["suite"] for p in parameters if p is not None and "suite" in p.params}
    with ThreadPoolExecutor(max_workers=len(SUITES)) as pool:
        yield {suite.name: pool.submit(image_of, suite) for suite in wanted}


@pytest.fixture(scope="session", params=SUITES, ids=lambda suite: suite.name)
def suite(request: pytest.FixtureRequest) -> Suite:
    """Name the release under test."""
    chosen: Suite = request.param
    return chosen


@pytest.fixture(scope="session")
def base(suite: Suite, base_images: dict[str, Future[Image]]) -> Image:
    """Return a suite's chroot, without pycache-sys."""
    try:
        return base_images[suite.name].result()
    except ChrootError as error:
        if suite.moving:
            pytest.skip(f"the archive's {suite.name} cannot be installed today: {error}")
        raise


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the checkout's wheel."""
    return build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(base: Image, wheel: Path) -> Iterator[Image]:
    """Install pycache-sys, without the account for its workers."""
    with scratch_folder() as folder:
        with base.running(folder) as chroot:
            install(wheel, chroot)
        yield base.topped_by(folder)


@pytest.fixture(scope="session")
def rebuilt(installed: Image) -> Iterator[Rebuilt]:
    """Add the account for workers, then run ``rebuild --dry-run`` and ``rebuild``."""
    with scratch_folder() as folder:
        with installed.running(folder) as chroot:
            add_account(chroot)
            before = snapshot(chroot.root, without=KERNEL_DIRECTORIES)
            dry_run = rebuild(chroot, "--dry-run")
            after = snapshot(chroot.root, without=KERNEL_DIRECTORIES)
            first = rebuild_all(chroot)
        yield Rebuilt(
            image=installed.topped_by(folder),
            dry_run=dry_run,
            first=first,
            before_dry_run=before,
            after_dry_run=after,
        )


@pytest.fixture
def chroot(rebuilt: Rebuilt) -> Iterator[Chroot]:
    """Give a private copy of a chroot whose tree is complete."""
    with scratch_folder() as folder, rebuilt.image.running(folder) as copy:
        yield copy


@pytest.fixture
def bare_chroot(installed: Image) -> Iterator[Chroot]:
    """Give a private copy of a chroot that has pycache-sys, no account for it, and no tree."""
    with scratch_folder() as folder, installed.running(folder) as copy:
        yield copy

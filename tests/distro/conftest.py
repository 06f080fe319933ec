"""Chroots for the tests: made once, installed once, rebuilt once, and copied for each test."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from distro.chroots import (
    Chroot,
    Image,
    image_of,
    keep_mounts_private,
)
from distro.debian import SUITES, Suite
from distro.each_once import chosen, labels, name_without
from distro.layers import installable, scratch_folder
from distro.product import Rebuilt, add_account, build_wheel, install, rebuild, rebuild_all
from distro.snapshots import snapshot

REPOSITORY = Path(__file__).parents[2]
KERNEL_DIRECTORIES = frozenset({"proc", "sys", "dev"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for runs that have not the time for every release."""
    parser.addoption(
        "--each-once",
        action="store_true",
        help="run each test of tests/distro on one release and interpreter only, "
        "not on all that it is made for, and none of those marked soak",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of tests that have a command of their own."""
    config.addinivalue_line(
        "markers", "soak: many minutes for one test; not with --each-once, but with -m soak"
    )


@pytest.hookimpl(tryfirst=True)  # so that ``-k`` picks from what is chosen, and changes no choice
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what ``--each-once`` leaves out."""
    if not config.getoption("each_once", default=False):
        return
    ours = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    choices = zip(ours, chosen([name_of(item) for item in ours]), strict=True)
    left_out = {item for item, runs in choices if not runs or item.get_closest_marker("soak")}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def name_of(item: pytest.Item) -> str:
    """Name a test without its release and interpreter."""
    call = getattr(item, "callspec", None)
    if call is None:
        return item.nodeid
    test = item.nodeid.removesuffix(f"[{call.id}]")
    return name_without(test, call.id, labels(call.params))


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
    with installable(suite):
        return base_images[suite.name].result()


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

"""An upgrade to the next release of Debian, in one run of apt: the tree goes with it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from distro.chroots import Chroot, Image, debian_mirror
from distro.debian import DIST_PACKAGES, SUITES, Interpreter, Suite, cpython, pypy
from distro.layers import installable, layer_on
from distro.packaging import PACKAGES, install_packages, summaries, tree_files
from distro.packaging_life import Life, apt, machine_of
from distro.product import COMMAND, TREE

pytest_plugins = ["distro.packaging_fixtures"]
pytestmark = pytest.mark.soak

ARRIVING: dict[str, tuple[Interpreter, ...]] = {
    "bookworm": (cpython("3.13"),),
    "trixie": (cpython("3.14"), cpython("3.15"), pypy("3.11")),
}
"""By the release that is left: the interpreters that there are in the end."""
BESIDES = {"trixie": ("python3.15",)}
"""What no package asks for, and is wanted with the upgrade."""

NEXT = "/srv/next"
OPTIONS = (
    f"Dir::Etc::SourceList={NEXT}/sources.list",
    "Dir::Etc::SourceParts=/dev/null",
    f"Dir::State::Lists={NEXT}/lists",
    f"Dir::Cache::Archives={NEXT}/archives",
    "Acquire::Check-Valid-Until=false",
    "Acquire::Languages=none",
    "APT::Install-Recommends=false",
)
"""Where apt finds the next release, with the lists and archives that were fetched of it."""


def options() -> list[str]:
    """Return the options as apt takes them."""
    return [word for option in OPTIONS for word in ("-o", option)]


def upgrade_of(suite: Suite) -> list[str]:
    """Return the words that ask apt for the upgrade."""
    return [*options(), "dist-upgrade", *BESIDES.get(suite.name, ())]


def with_next_release(base: Image, suite: Suite) -> Image:
    """Add the archives of an upgrade to the next release."""
    get = "DEBIAN_FRONTEND=noninteractive apt-get -qq --yes"
    return layer_on(
        base,
        f"next-{suite.name}",
        (suite.neighbour,),
        f"mkdir -p {NEXT}/lists/partial {NEXT}/archives/partial; "
        f"echo 'deb {debian_mirror()} {suite.neighbour} main' >{NEXT}/sources.list; "
        f"{get} {' '.join(options())} update; {get} --download-only {' '.join(upgrade_of(suite))}",
    )


@pytest.fixture
def leaving(suite: Suite, unpackaged: Image) -> Iterator[Chroot]:
    """Give a machine of the old release that has the archives of the next, and ours installed."""
    # the archives need the network, ours change with each commit: so they are the layer below
    *ours, base = unpackaged.layers
    with installable(next(each for each in SUITES if each.name == suite.neighbour)):
        below = with_next_release(Image((base,)), suite)
    with machine_of(Image((*ours, *below.layers))) as chroot:
        install_packages(chroot)
        yield chroot


@pytest.mark.parametrize("suite", SUITES[:2], ids=lambda suite: suite.name, indirect=True)
def test_from_one_release_to_the_next(leaving: Chroot, suite: Suite) -> None:
    old, arriving = suite.interpreters[0], ARRIVING[suite.name]
    assert folders(leaving) == {one.directory for one in suite.interpreters}
    life = Life(leaving, replace(suite, interpreters=arriving), {})
    # when Debian's PyPy is upgraded, it removes all bytecode of its tag, also what has no source
    life.kept = [name for name in life.kept if ".pypy" not in name]
    life.keep(f"{DIST_PACKAGES}/admins/__pycache__/old.{old.cache_tag}.pyc")

    said = apt(leaving, "--no-download", *upgrade_of(suite))
    assert len(summaries(said)) == 1
    assert "pycache-sys: stopped" not in said
    life.check(gone=None)

    said = apt(leaving, *options(), "--purge", "autoremove")
    assert len(summaries(said)) in (1, 2)
    assert not leaving.path(old.command).exists()
    assert not leaving.path(old.library).exists(), leftovers(leaving, old.library)
    assert folders(leaving) == {one.directory for one in arriving}
    life.check(gone=None)

    shown = json.loads(leaving.run(COMMAND, "enable", "--show", "--json"))["interpreters"]
    assert {one["directory"] for one in shown} == {one.directory for one in arriving}
    for one in shown:
        assert one["hooked"], one
        assert one["without_bytecode"] == [], one

    apt(leaving, "purge", *PACKAGES)
    assert not leaving.path(TREE).exists()
    assert list(leaving.path(DIST_PACKAGES).glob("pycache?sys*")) == []
    life.check_kept()


def folders(chroot: Chroot) -> set[str]:
    """Name the interpreters that have entries in the tree."""
    return {name.partition("/")[0] for name in tree_files(chroot)} - {"CACHEDIR.TAG"}


def leftovers(chroot: Chroot, directory: str) -> list[str]:
    """List what a directory still has, for the message."""
    return chroot.run("find", directory).splitlines()[:20]

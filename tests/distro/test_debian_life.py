"""Real packages installed, upgraded and removed by apt: the tree is always true."""

from collections.abc import Iterator

import pytest

from distro.chroots import Chroot, Image
from distro.debian import SUITES, Suite
from distro.packaging import install_packages, summaries
from distro.packaging_life import (
    LIFE,
    MOVED,
    NEWER,
    TWINS,
    TWO_VERSIONS,
    Life,
    apt,
    machine_of,
    make_twins,
)
from distro.product import COMMAND

pytest_plugins = ["distro.packaging_fixtures"]


@pytest.fixture
def alive(suite: Suite, living: Image) -> Iterator[Chroot]:
    """Give a machine that has the packages' archives, and ours installed."""
    with machine_of(living) as chroot:
        install_packages(chroot)
        yield chroot


def archives(chroot: Chroot) -> list[str]:
    """Name the archives of what comes and goes, with what that needs."""
    return [f"{LIFE}/{path.name}" for path in sorted(chroot.path(LIFE).glob("*.deb"))]


def newer(chroot: Chroot) -> list[str]:
    """Name the archives of other versions."""
    found = [f"{NEWER}/{path.name}" for path in sorted(chroot.path(NEWER).glob("*.deb"))]
    assert len(found) == len(TWO_VERSIONS)
    return found


def make_venvs(chroot: Chroot, suite: Suite) -> dict[str, str]:
    """Make a virtual environment of each CPython, which the hook reaches."""
    chroot.run(COMMAND, "enable", "--venvs")
    made = {}
    for python in suite.interpreters:
        if python.directory.startswith("pypy"):
            continue
        made[python.directory] = f"/srv/venv-{python.directory}"
        options = ("--system-site-packages", "--without-pip")
        chroot.run(python.command, "-m", "venv", *options, made[python.directory])
    return made


@pytest.mark.parametrize("suite", SUITES[:1], ids=lambda suite: suite.name, indirect=True)
def test_everything_agrees_after_each_step(alive: Chroot, suite: Suite) -> None:
    venvs = make_venvs(alive, suite)
    alive.run(COMMAND, "rebuild", "--quiet", "--best-effort")
    life = Life(alive, suite, venvs)

    assert len(summaries(apt(alive, "remove", *installed(alive)))) == 1
    life.check(gone=20)

    everything = archives(alive)
    assert len(summaries(apt(alive, "install", "--allow-downgrades", *everything))) == 1
    first = life.check()

    twins = [make_twins(alive, name) for name in TWINS]
    assert len(summaries(apt(alive, "install", *twins))) == 1
    second = life.check()
    for python in suite.interpreters:
        one, two = first[python.directory], second[python.directory]
        changed = {path for path in one if one[path] != two[path]}
        assert any("/requests/" in path for path in changed), changed
        assert all("/requests/" in p or "/jinja2/" in p for p in changed)

    assert len(summaries(apt(alive, "install", "--allow-downgrades", *newer(alive)))) == 1
    life.check()

    again = apt(alive, "install", "--reinstall", "--allow-downgrades", *everything)
    assert len(summaries(again)) == 1
    assert life.check() == first

    # a purge is two runs of dpkg: remove, then purge
    assert len(summaries(apt(alive, "purge", *installed(alive)))) in (1, 2)
    life.check(gone=20)


def installed(chroot: Chroot) -> list[str]:
    """Name what of the moving packages is there."""
    wanted = "${db:Status-Status} ${Package}\n"
    lines = chroot.attempt("dpkg-query", "--show", f"--showformat={wanted}", *MOVED).stdout
    return [line.split()[1] for line in lines.splitlines() if line.startswith("installed ")]

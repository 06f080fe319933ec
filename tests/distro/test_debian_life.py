"""Real packages installed, upgraded and removed by apt: the tree is always true."""

from collections.abc import Iterator

import pytest

from distro.chroots import Chroot, Image
from distro.debian import Suite
from distro.drop_in import PACKAGE, PROGRAMS
from distro.packaging import archives_of, install_packages, summaries
from distro.packaging_life import (
    LIFE,
    MOVED,
    NEWER,
    TWINS,
    TWO_VERSIONS,
    Life,
    apt,
    changed_files,
    empty_folders,
    machine_of,
    make_twins,
    managed_roots,
)
from distro.product import COMMAND

pytest_plugins = ["distro.packaging_fixtures"]

POLICY = "/etc/pycacheprefix.conf"


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

    check_purge(alive)
    life.check(gone=20)


def check_purge(chroot: Chroot) -> str:
    """Purge what moves, and return what was said.

    For apt this is two runs of dpkg, the second of which takes what the first has left. That may be
    an empty directory among the modules: then the second ends with the trigger, too.
    """
    said = apt(chroot, "purge", *installed(chroot))
    _, *again = summaries(said)
    assert [line.partition(",")[0] for line in again] in ([], ["pycache-sys: compiled 0"])
    assert all(", removed 0, " in line for line in again)
    return said


def installed(chroot: Chroot) -> list[str]:
    """Name what of the moving packages is there."""
    wanted = "${db:Status-Status} ${Package}\n"
    lines = chroot.attempt("dpkg-query", "--show", f"--showformat={wanted}", *MOVED).stdout
    return [line.split()[1] for line in lines.splitlines() if line.startswith("installed ")]


@pytest.mark.soak
def test_no_pycache_with_the_programs_in_place_of_debians(alive: Chroot, suite: Suite) -> None:
    own = {name: alive.path(f"/usr/bin/{name}") for name in PROGRAMS}
    before = {name: path.read_bytes() for name, path in own.items() if path.exists()}
    changed = changed_files(alive)
    alive.path(POLICY).write_text("in-place = remove\n")
    apt(alive, "install", *archives_of(alive, PACKAGE))
    # dpkg looks for a diverted file under its old name, and there it finds another
    diverted = {line.split()[-1] for line in {*changed_files(alive)} - {*changed}}
    assert diverted <= {f"/usr/bin/{name}" for name in PROGRAMS}
    life = Life(alive, suite, {})
    kept = {name for name in life.kept if "__pycache__" in name and "bleachbit" not in name}
    everything = archives(alive)

    def check(gone: int) -> None:
        left = bytecode_in(alive, suite) - kept
        allowed = before_hook(alive)
        assert left <= allowed, sorted(left - allowed)[:10]
        life.check(gone)
        assert not empty_folders(alive)

    steps = (
        (0, ("--reinstall", "--allow-downgrades", "install", *everything)),
        (20, ("remove", *installed(alive))),
        (0, ("--allow-downgrades", "install", *everything)),
        (0, ("--allow-downgrades", "install", *newer(alive))),
    )
    for gone, arguments in steps:
        said = apt(alive, *arguments)
        assert complaints(said) == []
        assert len(summaries(said)) == 1
        check(gone)
    assert complaints(check_purge(alive)) == []
    check(20)

    apt(alive, "purge", PACKAGE)
    assert {name: path.read_bytes() for name, path in own.items() if path.exists()} == before
    assert PACKAGE not in alive.run("dpkg-divert", "--list")
    assert not list(alive.path("/usr/bin").glob("*.distrib"))
    assert changed_files(alive) == changed


def bytecode_in(chroot: Chroot, suite: Suite) -> set[str]:
    """List what is in each ``__pycache__`` below the managed roots, but the hook's own.

    Of the standard library's encodings an interpreter loads some before any hook.
    """
    found = set()
    for root in managed_roots(suite):
        top = chroot.path(root)
        for path in top.rglob("__pycache__/*"):
            inside = str(path.relative_to(top))
            if not inside.startswith("pycache_sys_runtime/"):
                found.add(f"{root}/{inside}")
    return found


def before_hook(chroot: Chroot) -> set[str]:
    """Name the files that ``migrate`` leaves for they are loaded before the hook."""
    said = chroot.attempt(COMMAND, "migrate", "--dry-run", "--verbose").stderr
    mark = ": left, loaded before the hook"
    names = [line.removesuffix(mark) for line in said.splitlines() if line.endswith(mark)]
    found = {name.removeprefix("pycache-sys: ") for name in names}
    assert len(found) < 80, "that is more than an interpreter loads before the hook"
    return found


def complaints(said: str) -> list[str]:
    """Pick what must not be said, but for the directory in which an admin has put something."""
    words = ("py3compile: ", "py3clean: ", "cannot start", "not empty")
    found = [line for line in said.splitlines() if any(word in line for word in words)]
    return [line for line in found if "dist-packages/jinja2'" not in line]

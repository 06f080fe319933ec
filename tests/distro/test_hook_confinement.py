"""Where there is no root, no home, or one that never answers: the start never fails or waits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from distro.chroots import NOBODY, Chroot
from distro.hook_starts import OWN, TREE_LAYER, Start, place, start, start_in_own_mounts, written
from distro.machines import BOOKWORM, HOME, PYTHONS, SERVICE, SID, TRIXIE, USER, Machines
from distro.product import TREE
from security.namespace import NOSUID_NODEV, mount, unmount

pytest_plugins = ["distro.hook_fixtures"]

PYTHON = PYTHONS[0]
SOURCES = {"/srv/app/mine.py": "ANSWER = 42\n"}
PROGRAM = "import sys; sys.path.append('/srv/app'); import json, mine; print(mine.ANSWER)"
COMMAND = (PYTHON.command, "-c", PROGRAM)
PATIENCE = ("timeout", "--signal=KILL", "20")
BUBBLE = ("bwrap", "--unshare-user", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
NAMESPACES = {
    "unshare-U": ("unshare", "-U"),
    "unshare-Ur": ("unshare", "-Ur"),
    "unshare-Uc": ("unshare", "-Uc"),
    "bwrap": BUBBLE,
    "bwrap-root": (*BUBBLE, "--uid", "0", "--gid", "0"),
    "bwrap-other": (*BUBBLE, "--uid", "1234", "--gid", "1234"),
    "bwrap-new-home": (*BUBBLE, "--tmpfs", "/home"),
}


@pytest.fixture
def chroot(machines: Machines) -> Iterator[Chroot]:
    """Give a machine with a module that is in no tree."""
    with machines.running(BOOKWORM) as copy:
        place(copy, SOURCES)
        yield copy


def new(chroot: Chroot) -> set[str]:
    """Name what was written besides the sources."""
    return written(chroot) - SOURCES.keys()


def run(chroot: Chroot, *before: str, user: int = USER, **variables: str) -> Start:
    """Run the program, not for ever."""
    return start(chroot, *PATIENCE, *before, *COMMAND, user=user, **variables)


@pytest.mark.parametrize(
    "user", [USER, SERVICE, NOBODY, 0], ids=["user", "service", "nobody", "root"]
)
@pytest.mark.parametrize("way", NAMESPACES)
def test_user_namespaces(chroot: Chroot, way: str, user: int) -> None:
    """Root shows as the overflow uid there, and its tree is still root's."""
    done = start_in_own_mounts(chroot, *PATIENCE, *NAMESPACES[way], *COMMAND, user=user)
    assert done.quiet == "42\n"
    if (way, user) != ("bwrap-other", 0):  # there root itself is somebody else
        assert done.layers("json") == {"json": TREE_LAYER}
    allowed = {PYTHON.own("/srv/app/mine.py")} if user == USER else set()
    if user == 0:
        allowed = {PYTHON.own("/srv/app/mine.py", top="/var/cache/pycache-sys/root")}
    assert new(chroot) <= allowed


@pytest.mark.parametrize("suite", [TRIXIE, SID], ids=lambda suite: suite.name)
def test_user_namespaces_of_other_pythons(machines: Machines, suite: object) -> None:
    for python in PYTHONS:
        if python.suite is suite:
            with machines.running(python.suite) as chroot:
                place(chroot, SOURCES)
                for way in (("unshare", "-U"), ("unshare", "-Ur")):
                    command = (*way, python.command, "-c", PROGRAM)
                    done = start_in_own_mounts(chroot, *PATIENCE, *command, user=USER)
                    assert done.quiet == "42\n"
                    assert done.layers("json") == {"json": TREE_LAYER}


def test_a_service_writes_nothing(chroot: Chroot) -> None:
    for home in ("/nonexistent", "/var/www", "/"):
        for _ in range(2):
            done = run(chroot, user=SERVICE, HOME=home)
            assert done.quiet == "42\n"
            assert done.served["mine"].layer == "compiled"
    assert new(chroot) == set()


def test_a_service_that_was_given_a_cache_keeps_it(chroot: Chroot) -> None:
    chroot.run("install", "-d", "-o", "www-data", "-g", "www-data", "/var/cache/service")
    for _ in range(2):
        done = run(chroot, user=SERVICE, CACHE_DIRECTORY="/var/cache/service")
        assert done.quiet == "42\n"
    assert done.served["mine"].layer == OWN
    own = PYTHON.own("/srv/app/mine.py", top="/var/cache/service/pycache-sys")
    assert new(chroot) == {own}


@pytest.mark.parametrize("mode", [0o555, 0o000, 0o777], ids=oct)
@pytest.mark.parametrize("owner", [0, USER], ids=["roots", "own"])
def test_a_home_that_will_not_do(chroot: Chroot, mode: int, owner: int) -> None:
    home = chroot.path(HOME)
    os.chown(home, owner, owner)
    home.chmod(mode)
    for _ in range(2):
        assert run(chroot).quiet == "42\n"
    home.chmod(0o755)
    assert new(chroot) == set()


@pytest.mark.parametrize(
    "home", ["/nonexistent", "relative", "", "/dev/null", "/proc/1", "/srv/app"]
)
def test_a_home_that_is_none(chroot: Chroot, home: str) -> None:
    assert run(chroot, HOME=home).quiet == "42\n"
    own = PYTHON.own("/srv/app/mine.py")
    assert new(chroot) <= {own}, "the account's own home, where the variable does not count"


def test_nobody_has_no_account_there(chroot: Chroot) -> None:
    assert run(chroot, user=54321).quiet == "42\n"
    assert new(chroot) == set()


@contextmanager
def dead(place: Path, user: int) -> Iterator[None]:
    """Mount a file system of a user's that never answers, as ``security.dead_mount`` does."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        options = f"fd={device},rootmode=40000,user_id={user},group_id={user}"
        mount("dead", str(place), "fuse", NOSUID_NODEV, options)
        try:
            yield
        finally:
            unmount(str(place))
    finally:
        with suppress(OSError):
            os.close(device)


def test_a_hung_home_does_not_matter_to_who_needs_no_cache(chroot: Chroot) -> None:
    with dead(chroot.path(HOME), USER):
        waiting = start(chroot, "timeout", "--signal=KILL", "2", "ls", HOME)
        assert waiting.status != 0, "the mount has to hang"
        assert "cannot" not in waiting.stderr
        # without -s, site itself looks at the home
        for arguments in (("-c", "pass"), ("-c", "import json, idna"), ("-m", "json.tool", "-h")):
            done = start(chroot, *PATIENCE, PYTHON.command, "-s", *arguments)
            assert done.status == 0
            assert done.stderr == ""
            assert set(done.served) == done.only(TREE_LAYER)
    assert new(chroot) == set()


@pytest.mark.parametrize("mode", [0o700, 0o000, 0o711, 0o777, 0o775], ids=oct)
@pytest.mark.parametrize("where", ["", f"/{PYTHON.folder}"], ids=["tree", "version"])
def test_a_tree_that_cannot_be_read_or_trusted(chroot: Chroot, mode: int, where: str) -> None:
    chroot.path(f"{TREE}{where}").chmod(mode)
    for user in (USER, SERVICE):
        done = run(chroot, user=user)
        assert done.quiet == "42\n"
        readable = mode == 0o711
        assert ("json" in done.only(TREE_LAYER)) is readable
    assert all(path.startswith(f"{HOME}/.cache/pycache-sys/") for path in new(chroot))

"""Removing the Debian packages leaves the system as it was, and never what is not theirs."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG

import pytest

from distro.chroots import ENVIRONMENT, Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.packaging import DEBS, PACKAGES, archives_of, install_packages, summaries
from distro.product import ACCOUNT, COMMAND, TREE
from distro.snapshots import Stamp, snapshot

pytest_plugins = ["distro.packaging_fixtures"]

LEFT = ": not made by pycache-sys, left in place"
KEPT_BY_OTHERS = ("var/lib/dpkg", "var/lib/apt", "var/log", "var/cache/apt", "var/cache/debconf")
"""What dpkg, apt and others write about every package."""
UNTIL_PURGED = ("etc/apparmor.d", "etc/systemd", "var/lib/systemd/deb-systemd-")
"""Where a package that is merely removed leaves configuration files, and what is enabled."""
ACCOUNTS = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")


def state(chroot: Chroot) -> Mapping[str, tuple[object, ...]]:
    """Record every file: kind, mode, owner, and content for what accounts are kept in."""
    everything = snapshot(chroot.root, without=frozenset({"proc", "sys", "dev", "tmp"}))
    return {
        path: (stamp.mode, stamp.owner, content(chroot.root / path, stamp))
        for path, stamp in everything.items()
        if not path.startswith(KEPT_BY_OTHERS) and not is_backup(path)
    }


def content(path: Path, stamp: Stamp) -> object:
    """Compare sizes of files; of lists of accounts, what they say; of bytecode, its header.

    Bytecode that was put back can be of another size, for reference flags do not count.
    """
    if path.suffix == ".pyc" and S_ISREG(stamp.mode):
        with path.open("rb") as file:
            return file.read(16)
    if path.parent.name == "etc" and path.name in ACCOUNTS:
        return path.read_text()
    return stamp.size


def is_backup(path: str) -> bool:
    """Tell whether this is the lock or the backup of a list of accounts."""
    names = [f"etc/{name}-" for name in ACCOUNTS]
    return path in (*names, "etc/.pwd.lock")


def remove(chroot: Chroot, *options: str) -> str:
    """Remove or purge what was installed; return what was printed."""
    done = chroot.attempt("dpkg", *options, *reversed(PACKAGES))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("verb", ["--remove", "--purge"])
def test_the_system_is_as_before(before: Chroot, verb: str) -> None:
    earlier = state(before)
    install_packages(before)
    during = state(before)
    assert len(during.keys() - earlier.keys()) > 1000
    before.run("/usr/bin/python3", "-c", "import sys; sys.path.append('/srv'); import json")

    remove(before, verb)

    later = state(before)
    if verb == "--remove":  # the rest goes with the purge, and so does the account
        earlier = {p: s for p, s in earlier.items() if p.removeprefix("etc/") not in ACCOUNTS}
        later = {p: s for p, s in later.items() if p.removeprefix("etc/") not in ACCOUNTS}
        later = {p: s for p, s in later.items() if p in earlier or not p.startswith(UNTIL_PURGED)}
    assert later == earlier


@pytest.mark.parametrize("policy", ["", "in-place = remove\n"])
def test_what_was_migrated_is_back(before: Chroot, policy: str) -> None:
    earlier = state(before)
    install_packages(before)
    settings = before.path("/etc/pycacheprefix.conf")
    settings.write_text(policy)
    if policy:
        before.run("dpkg-trigger", "--no-await", DIST_PACKAGES)
        before.run("dpkg", "--configure", "--pending")
    else:
        before.run(COMMAND, "migrate", "--quiet")
    gone = earlier.keys() - state(before).keys()
    assert len(gone) > 1000
    assert all(name.endswith((".pyc", "/__pycache__")) for name in gone)

    said = remove(before, "--purge")

    assert "not all bytecode" not in said
    settings.unlink()
    assert state(before) == earlier


def test_the_account_goes_with_the_purge(machine: Chroot) -> None:
    remove(machine, "--remove")
    assert ACCOUNT in machine.path("/etc/passwd").read_text()
    remove(machine, "--purge")
    assert ACCOUNT not in machine.path("/etc/passwd").read_text()
    assert ACCOUNT not in machine.path("/etc/group").read_text()


@pytest.mark.parametrize("verb", ["--remove", "--purge"])
@pytest.mark.parametrize(
    "name",
    [
        "usr/lib/foreign.pyc",
        "usr/lib/foreign.cpython-39.pyc",
        "usr/lib/notes.txt",
        "usr/lib/foreign.cpython-{tag}.opt-x.pyc",
        "foreign.cpython-{tag}.pyc",
        "usr/lib/.cpython-{tag}.pyc",
    ],
)
def test_what_has_no_name_of_ours_stays_and_is_named(
    machine: Chroot, suite: Suite, verb: str, name: str
) -> None:
    python = suite.interpreters[0]
    tag = python.cache_tag.removeprefix("cpython-")
    foreign = machine.path(f"{TREE}/{python.directory}") / name.format(tag=tag)
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_bytes(b"nobody has its source")

    output = remove(machine, verb)

    assert foreign.read_bytes() == b"nobody has its source"
    inside = foreign.relative_to(machine.root)
    assert output.count(LEFT) == 1
    assert f"pycache-sys: /{inside}{LEFT}" in output
    files = {path for path in machine.path(TREE).rglob("*") if not path.is_dir()}
    assert files == {foreign}


def test_a_link_in_the_tree_is_not_followed(machine: Chroot, suite: Suite) -> None:
    python = suite.interpreters[0]
    outside = machine.path("/srv/outside/usr")
    outside.mkdir(parents=True)
    precious = outside / f"precious.{python.cache_tag}.pyc"
    precious.write_bytes(b"bytecode")
    top = machine.path(TREE)
    (top / "3.19").symlink_to("/srv/outside")
    (top / python.directory / "usr/link").symlink_to("/srv/outside/usr")

    output = remove(machine, "--purge")

    assert precious.read_bytes() == b"bytecode"
    assert LEFT in output


def test_a_tree_that_is_a_link_stays(machine: Chroot) -> None:
    shutil.move(machine.path(TREE), machine.path("/srv/tree"))
    machine.path(TREE).symlink_to("/srv/tree")
    before = snapshot(machine.path("/srv/tree"))

    output = remove(machine, "--purge")

    assert f"{TREE} is a symbolic link" in output
    assert snapshot(machine.path("/srv/tree")) == before


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_what_is_mounted_in_the_tree_is_not_entered(
    machine: Chroot, suite: Suite, kind: str
) -> None:
    python = suite.interpreters[0]
    place = machine.path(f"{TREE}/{python.directory}/usr/a mount [x]")
    place.mkdir()
    if kind == "tmpfs":
        mount("-t", "tmpfs", "tmpfs", place)
    else:
        elsewhere = machine.path("/srv/elsewhere")
        elsewhere.mkdir()
        mount("--bind", elsewhere, place)
    precious = place / f"precious.{python.cache_tag}.pyc"
    precious.write_bytes(b"bytecode")

    remove(machine, "--purge")

    assert precious.read_bytes() == b"bytecode"


def test_a_tree_on_a_mount_of_its_own_is_emptied(machine: Chroot) -> None:
    top = machine.path(TREE)
    shutil.rmtree(top)
    top.mkdir()
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
    machine.run("dpkg-reconfigure", "pycache-sys")
    assert len(list(top.rglob("*"))) > 1000

    output = remove(machine, "--purge")

    assert list(top.iterdir()) == []
    assert LEFT not in output


@pytest.mark.parametrize("trouble", ["gone", "broken"])
def test_it_needs_no_python(machine: Chroot, trouble: str) -> None:
    program = machine.path("/usr/bin/python3")
    program.unlink()
    if trouble == "broken":
        program.write_text("#!/bin/sh\nexit 127\n")
        program.chmod(0o755)
    done = machine.attempt("dpkg", "--force-depends", "--purge", "pycache-sys")
    assert done.returncode == 0, done.stderr
    assert not machine.path(TREE).exists()
    assert not machine.path("/run/pycache-sys").exists()
    assert not machine.path(f"{DIST_PACKAGES}/pycache-sys.pth").exists()


def mount(*arguments: object) -> None:
    """Mount inside of a machine; the mount goes with it."""
    subprocess.run(["mount", *map(str, arguments)], env=ENVIRONMENT, check=True)


@pytest.mark.parametrize("links_out", [False, True])
def test_the_root_that_dpkg_is_given_is_the_one_that_counts(
    machine: Chroot, suite: Suite, links_out: bool
) -> None:
    """``dpkg --root`` runs the scripts in it; with ``DPKG_ROOT`` they are told where it is."""
    python = suite.interpreters[0]
    image = machine.path("/srv/image")
    for name in ("etc", "run", "var", f"cache/python/{python.directory}/usr"):
        (image / name).mkdir(parents=True)
    (image / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (image / "etc/group").write_text("root:x:0:\n")
    cached = image / f"cache/python/{python.directory}/usr/x.{python.cache_tag}.pyc"
    cached.write_bytes(b"bytecode")
    if links_out:
        (image / "var/cache").symlink_to("/var/cache")
    else:
        (image / "var/cache").symlink_to("../cache")
    said = ""
    host = snapshot(machine.path(TREE))
    accounts = machine.path("/etc/passwd").read_text()

    for script, argument in (
        ("postinst", "configure"),
        ("postinst", "triggered"),
        ("postrm", "remove"),
        ("postrm", "purge"),
    ):
        path = f"/var/lib/dpkg/info/pycache-sys.{script}"
        done = machine.attempt("env", "DPKG_ROOT=/srv/image", path, argument, "")
        assert done.returncode == 0, done.stderr
        said += done.stderr
        if script == "postinst":
            assert cached.read_bytes() == b"bytecode"
            assert "compiled" not in done.stdout
            assert ACCOUNT in (image / "etc/passwd").read_text()

    assert snapshot(machine.path(TREE)) == host
    assert machine.path("/etc/passwd").read_text() == accounts
    assert ACCOUNT not in (image / "etc/passwd").read_text()
    assert cached.exists() == links_out
    assert not links_out or "leads out of" in said


def test_dpkg_with_another_root(machine: Chroot) -> None:
    """As image builders call it: the scripts run in the image, with the image's own Python."""
    assert machine.path(DEBS).is_dir()
    image = machine.path("/srv/image")
    copied = ("bin", "sbin", "lib", "lib64", "usr", "etc", "var/lib/dpkg")
    image.mkdir()
    machine.run("sh", "-ec", f"cd /; tar -c {' '.join(copied)} | tar -x -C /srv/image")
    (image / "var/cache").mkdir()
    (image / "dev").mkdir()
    (image / "run").mkdir()
    machine.run("mknod", "-m", "666", "/srv/image/dev/null", "c", "1", "3")
    host = snapshot(machine.path(TREE))

    for archive in archives_of(machine, "pycache-sys"):
        output = machine.run("dpkg", "--root=/srv/image", "--install", archive)
        assert len(summaries(output)) == 1, output
    assert len(list((image / "var/cache/python").rglob("*.pyc"))) > 500
    machine.run("dpkg", "--root=/srv/image", "--purge", "pycache-sys")

    assert not (image / "var/cache/python").exists()
    assert snapshot(machine.path(TREE)) == host

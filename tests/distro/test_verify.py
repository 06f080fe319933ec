"""``verify`` on a real machine: silent whatever packages do, and it names what others did."""

import os
import subprocess

import pytest

from distro.chroots import ARCHIVES, Chroot
from distro.debian import REINSTALLED, UPGRADED, Suite
from distro.debs import listed_sources
from distro.defects import ENTRY, FOLDER, LATER, OTHER_ENTRY, SOURCE, Wrong, entry
from distro.drop_in import run
from distro.healthy import Verified, on_trixie, verified
from distro.machines import USER
from distro.packaging import archives_of
from distro.snapshots import differences, snapshot
from distro.test_offline_root import OURS, from_outside

pytest_plugins = ["distro.healthy_fixtures"]

SILENCE = Verified(0, frozenset(), frozenset())
SECRET = f"{FOLDER}/usr/lib/python3.13/json/decoder.cpython-313.pyc"
OPTIONS: tuple[tuple[str, ...], ...] = ((), ("--deep",))
INTERRUPTED = """
import os, signal, sys

from pycache_sys.cli import main

def watch(event, arguments):
    if event == "subprocess.Popen" and "-S" in arguments[1]:
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(watch)
sys.exit(main(["verify"]))
"""
"""Interrupts itself when the first worker is started."""


def archive(chroot: Chroot, package: str, version: str = "") -> str:
    """Find the archive of a real package."""
    (found,) = chroot.path(ARCHIVES).glob(f"{package}_{version}*.deb")
    return f"{ARCHIVES}/{found.name}"


@pytest.fixture
def machine(healthy_machine: Chroot) -> Chroot:
    return healthy_machine


@on_trixie
def test_whatever_apt_does_it_is_silent(machine: Chroot, suite: Suite) -> None:
    steps = (
        ("install", LATER),
        ("install", archive(machine, UPGRADED, "3.20")),
        ("install", "--allow-downgrades", archive(machine, UPGRADED, "3.10")),
        ("install", "--reinstall", archive(machine, REINSTALLED)),
        ("install", "--reinstall", *archives_of(machine, "python3-pycache-sys")),
        ("purge", "later", REINSTALLED),
    )
    for step in steps:
        machine.run("apt-get", "--yes", *step)
        for options in OPTIONS:
            assert verified(machine, *options) == SILENCE, step
        assert verified(machine, user=USER) == SILENCE, step


@on_trixie
def test_between_the_unpacking_and_the_trigger_it_names_what_has_changed(
    machine: Chroot, suite: Suite
) -> None:
    """As it is while dpkg is at work, or after it was killed; the drop-in compiles at once."""
    machine.run("dpkg", "--remove", "pycache-sys-py3compile")
    before = listed_sources(machine, UPGRADED)
    gone = listed_sources(machine, REINSTALLED)
    machine.run("dpkg", "--no-triggers", "--install", archive(machine, UPGRADED, "3.20"))
    machine.run("dpkg", "--no-triggers", "--install", LATER)
    machine.run("dpkg", "--no-triggers", "--remove", REINSTALLED)
    after = listed_sources(machine, UPGRADED)
    expected = {
        *(("stale", entry(source)) for source in before & after),
        *(
            ("missing", entry(source))
            for source in after - before | listed_sources(machine, "later")
        ),
        *(("stray", entry(source)) for source in (before - after) | gone),
    }
    found = verified(machine)
    assert {one[:2] for one in found.wrong} == expected
    assert {kind for kind, _ in expected} == {"stale", "missing", "stray"}
    assert found._replace(wrong=frozenset()) == Verified(1, frozenset(), frozenset())
    assert verified(machine, user=USER) == found
    machine.run("dpkg", "--configure", "--pending")
    machine.run("dpkg", "--triggers-only", "--pending")
    assert verified(machine) == SILENCE


@on_trixie
def test_a_user_is_told_the_same_as_far_as_it_can_be_read(machine: Chroot, suite: Suite) -> None:
    machine.run("sh", "-ec", f"echo >>{SOURCE}; chmod 0600 {SECRET}")
    edited = Wrong("stale", ENTRY, ("header", "mtime", "ctime"))
    for user, kind in ((0, "mode"), (USER, "unreadable")):
        wrong = frozenset({edited, Wrong(kind, SECRET)})
        assert verified(machine, user=user) == Verified(1, wrong, frozenset())


@on_trixie
def test_nothing_is_changed_and_no_lock_is_taken(machine: Chroot, suite: Suite) -> None:
    machine.run("sh", "-ec", f"rm {OTHER_ENTRY}; echo >>{SOURCE}; touch {FOLDER}/mine")
    without = frozenset({"proc", "sys", "dev"})
    before = snapshot(machine.root, without=without)
    for options in OPTIONS:
        assert verified(machine, *options).status == 1
    assert differences(before, snapshot(machine.root, without=without)) == set()


@on_trixie
def test_from_outside(machine: Chroot, suite: Suite) -> None:
    """A root that it has built itself, or a run from outside; and where nobody reads the output."""
    place = os.path.dirname(SOURCE)
    assert from_outside(machine.root, place, verb="verify").report["defects"] == []
    from_outside(machine.root, "--force", place)
    assert from_outside(machine.root, place, verb="verify").report["defects"] == []
    machine.path(ENTRY).unlink()
    machine.path(SECRET).unlink()  # another part of it
    done = from_outside(machine.root, place, verb="verify")
    assert done.status == 1
    assert [(one["kind"], one["path"]) for one in done.report["defects"]] == [("missing", ENTRY)]

    reading, writing = os.pipe()
    os.close(reading)
    words = (*OURS, "verify", "--root", machine.root, place)
    try:
        closed = subprocess.run(
            words, stdout=writing, stderr=subprocess.PIPE, cwd="/", check=False, text=True
        )
    finally:
        os.close(writing)
    assert "Traceback" not in closed.stderr
    assert closed.returncode == 5


@on_trixie
def test_interrupted_it_says_so_and_has_changed_nothing(machine: Chroot, suite: Suite) -> None:
    machine.run("sh", "-ec", f"rm {ENTRY}; touch {FOLDER}/mine")
    without = frozenset({"proc", "sys", "dev"})
    before = snapshot(machine.root, without=without)
    done = run(machine, "/usr/bin/python3", "-B", "-c", INTERRUPTED)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "pycache-sys: interrupted; the rest was not looked at\n"
    assert differences(before, snapshot(machine.root, without=without)) == set()
    assert running_in(machine) == ""


def running_in(chroot: Chroot) -> str:
    """List the processes whose root is a chroot's."""
    words = ("find", "/proc", "-maxdepth", "2", "-name", "root", "-lname", str(chroot.root))
    # others of the machine come and go meanwhile
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout

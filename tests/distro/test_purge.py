"""``purge`` on a real machine: the whole tree goes, and what is not ours stays."""

import json
import os
import stat
from collections.abc import Iterator

import pytest

from distro.chroots import Chroot
from distro.debian import Suite
from distro.defects import DROP_IN, FOLDER, LATER, PACKAGE, Wrong
from distro.drop_in import run
from distro.healthy import Verified, explained, on_trixie, verified
from distro.machines import USER
from distro.packaging import tree_files
from distro.product import COMMAND, TREE
from distro.snapshots import Snapshot, differences, snapshot
from distro.test_offline_root import from_outside

pytest_plugins = ["distro.healthy_fixtures"]

PLANTED = f"""
mkdir {TREE}/misc {FOLDER}/srv
for name in {TREE}/misc/kept.pyc {FOLDER}{PACKAGE}/notes.txt {FOLDER}{PACKAGE}/core.pyc \
    {FOLDER}/srv/a.cpython-313.opt-xyz.pyc {FOLDER}/srv/b.cpython-312.pyc {FOLDER}/srv/c.pyo; do
    echo precious >$name
done
ln -s /etc {FOLDER}/etc
ln -s /etc/passwd {FOLDER}{PACKAGE}/link.cpython-313.pyc
mkfifo {FOLDER}/srv/d.cpython-313.pyc
"""
PRECIOUS = (
    f"{FOLDER}{PACKAGE}/core.pyc",
    f"{FOLDER}{PACKAGE}/link.cpython-313.pyc",
    f"{FOLDER}{PACKAGE}/notes.txt",
    f"{FOLDER}/etc",
    f"{FOLDER}/srv/a.cpython-313.opt-xyz.pyc",
    f"{FOLDER}/srv/b.cpython-312.pyc",
    f"{FOLDER}/srv/c.pyo",
    f"{FOLDER}/srv/d.cpython-313.pyc",
    f"{TREE}/misc",
)
"""What has a name that is not ours, or is no regular file; of a strange directory its top."""
KEPT = {*PRECIOUS, f"{TREE}/misc/kept.pyc"} - {f"{TREE}/misc", f"{FOLDER}/etc"}
"""The files among these, in so far as they are no links to directories."""
NO_TREE = Verified(1, frozenset({Wrong("missing", TREE)}), frozenset())
KERNELS = frozenset({"proc", "sys", "dev"})
CHANGED = (
    "/var/cache/pycache-sys/stamp",
    "/run/pycache-sys/lock",
    "/var/cache/pycache-sys/root/",
)
"""What goes besides the tree, and what comes: the hook keeps what this very program loads."""
INTERRUPTED = """
import os, signal, sys

from pycache_sys.cli import main

removed = []

def watch(event, arguments):
    if event == "os.remove":
        removed.append(arguments[0])
        if len(removed) == 100:
            os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(watch)
sys.exit(main(["purge", "--json"]))
"""
"""Interrupts itself when the hundredth file is about to go."""


def purge(chroot: Chroot, *options: str) -> dict[str, object]:
    """Run ``purge --json``, which has to succeed."""
    return dict(json.loads(chroot.run(COMMAND, "purge", "--json", *options)))


def outside(chroot: Chroot) -> Snapshot:
    """Record all files but the tree's and those that are known to change with it."""
    taken = snapshot(chroot.root, without=KERNELS)
    return {
        path: found
        for path, found in taken.items()
        if not stat.S_ISDIR(found.mode) and not f"/{path}".startswith((f"{TREE}/", *CHANGED))
    }


@pytest.fixture
def machine(healthy_machine: Chroot) -> Chroot:
    return healthy_machine


@on_trixie
def test_all_goes_and_the_next_run_of_apt_builds_it_again(machine: Chroot, suite: Suite) -> None:
    complete = tree_files(machine)
    before = outside(machine)
    said = purge(machine)
    assert (said["gone"], said["left"], said["failures"]) == (True, [], [])
    assert not machine.path(TREE).exists()
    assert differences(before, outside(machine)) == set()
    assert verified(machine) == NO_TREE
    assert machine.run("python3", "-c", "import idna.core; print(idna.core.__name__)") == (
        "idna.core\n"
    )
    assert explained(machine, "idna.core").layer == "compiled"
    assert purge(machine)["gone"] is True

    machine.run("apt-get", "install", "--yes", LATER)
    later = {name for name in tree_files(machine) if "/later." in name}
    assert len(later) == 1
    assert tree_files(machine) == complete | later
    assert verified(machine) == Verified(0, frozenset(), frozenset())


@on_trixie
def test_where_triggers_are_off_it_stays_away(machine: Chroot, suite: Suite) -> None:
    machine.path(DROP_IN).write_text("triggers = off\n")
    purge(machine)
    machine.run("apt-get", "install", "--yes", LATER)
    machine.run("apt-get", "purge", "--yes", "later")
    assert verified(machine) == NO_TREE


@on_trixie
def test_what_is_not_ours_stays_and_is_named(machine: Chroot, suite: Suite) -> None:
    machine.run("sh", "-ec", PLANTED)
    ours = tree_files(machine)
    before = snapshot(machine.root, without=KERNELS)
    plan = purge(machine, "--dry-run")
    assert differences(before, snapshot(machine.root, without=KERNELS)) == set()

    said = purge(machine)
    assert said["counts"] == plan["counts"]
    left = [one["path"] for one in said["left"]]  # type: ignore[attr-defined]
    assert left == sorted(PRECIOUS)
    assert (said["gone"], said["failures"]) == (False, [])
    after = snapshot(machine.root, without=KERNELS)
    for path in [*PRECIOUS, f"{TREE}/misc/kept.pyc"]:
        name = path.lstrip("/")
        assert after[name] == before[name]._replace(ctime=after[name].ctime), path
    kept = {f"{TREE}/{name}" for name in tree_files(machine)}
    assert kept == KEPT
    assert said["counts"]["removed"] == len(ours) - len(kept)  # type: ignore[index]
    assert stat.S_ISFIFO(machine.path(f"{FOLDER}/srv/d.cpython-313.pyc").lstat().st_mode)
    assert all(os.listdir(path) for path in directories(machine))

    machine.run(COMMAND, "rebuild")
    assert verified(machine).wrong == {Wrong("symlink", f"{FOLDER}/etc")}


def directories(chroot: Chroot) -> Iterator[str]:
    """Name the directories of the tree."""
    for parent, names, _ in os.walk(chroot.path(TREE)):
        yield from (f"{parent}/{name}" for name in names)


@on_trixie
@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["purge", "dry-run"])
def test_a_user_is_refused(machine: Chroot, suite: Suite, options: tuple[str, ...]) -> None:
    before = snapshot(machine.root, without=KERNELS)
    done = machine.attempt(COMMAND, "purge", *options, user=USER)
    if options:
        assert done.returncode == 0
    else:
        assert (done.returncode, done.stdout) == (5, "")
        assert "run it as root" in done.stderr
    assert differences(before, snapshot(machine.root, without=KERNELS)) == set()


@on_trixie
def test_from_outside_nothing_but_that_roots_tree_goes(machine: Chroot, suite: Suite) -> None:
    machine.run("sh", "-ec", PLANTED)
    before = outside(machine)
    done = from_outside(machine.root, verb="purge")
    assert (done.status, [one["path"] for one in done.report["left"]]) == (0, sorted(PRECIOUS))
    assert done.report["tree"] == TREE
    assert differences(before, outside(machine)) == set()
    kept = {f"{TREE}/{name}" for name in tree_files(machine)}
    assert kept == KEPT


@on_trixie
def test_interrupted_what_is_left_is_valid_and_the_next_one_goes_on(
    machine: Chroot, suite: Suite
) -> None:
    complete = tree_files(machine)
    done = run(machine, "/usr/bin/python3", "-B", "-c", INTERRUPTED)
    assert done.returncode == 130
    assert "interrupted; what is left of the tree is valid" in done.stderr
    assert "Traceback" not in done.stderr
    left = tree_files(machine)
    assert left < complete
    assert 0 < len(complete - left) <= 100 < len(complete)
    found = verified(machine)
    assert {one.kind for one in found.wrong} <= {"missing", "tag"}
    assert len(found.wrong) == len(complete - left)
    assert explained(machine, "idna.core").failure == ""
    assert purge(machine)["gone"] is True
    assert verified(machine) == NO_TREE

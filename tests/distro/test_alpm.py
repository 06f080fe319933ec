"""pacman's packages come, change and go, and the tree is true each time."""

import shutil
from collections.abc import Iterator

import pytest

from distro.alpm_machines import PACKAGES, archive, built, ours, with_pacman
from distro.chroots import Chroot, Image
from distro.debian import DIST_PACKAGES, Suite
from distro.layers import installable, scratch_folder
from distro.packaging_life import plant, precious
from distro.product import COMMAND, TREE, rebuild, rebuild_all
from distro.rpm_life import agreed, in_tree, summaries
from distro.rpm_machines import PRIVATE, SEALED
from distro.snapshots import snapshot

OLD = [archive("requests", "2.32.4"), archive("gizmo", "0.13.3")]
NEW = [archive("requests", "2.32.5"), archive("gizmo", "0.13.4")]
TWIN = archive("requests", "2.32.5.twin")
NO_DJANGO = ("django.http", "django.template")
NOTHING = (*NO_DJANGO, "requests", "bottle", "sealed.six")


@pytest.fixture(scope="session")
def alpm_bare(suite: Suite, base: Image) -> Iterator[Image]:
    """Return a machine with pacman, the packages' archives, and nothing of ours installed."""
    with installable(suite):
        tools = with_pacman(suite, base)
    folder_of_packages = built(suite, tools)
    with scratch_folder() as folder:
        with tools.running(folder) as chroot:
            shutil.copytree(folder_of_packages, chroot.path(PACKAGES))
            # a chroot's root is no mount that space could be asked for, and nobody has signed these
            unsigned = r"s/^#\?\(LocalFile\|\)SigLevel *=.*/\1SigLevel = Never/"
            chroot.run("sed", "-i", f"s/^CheckSpace/#&/; {unsigned}", "/etc/pacman.conf")
            pacman(chroot, "--upgrade", archive("stand-in", "1"))
        yield tools.topped_by(folder)


@pytest.fixture
def alpm_machine(alpm_bare: Image) -> Iterator[Chroot]:
    """Give a private copy."""
    with scratch_folder() as folder, alpm_bare.running(folder) as copy:
        yield copy


def pacman(chroot: Chroot, *arguments: str) -> str:
    """Run pacman, which has to succeed; return all that it printed."""
    done = chroot.attempt("pacman", "--noconfirm", *arguments)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    assert "Traceback" not in output, output
    return output


def check(chroot: Chroot, suite: Suite, *absent: str) -> dict[str, dict[str, str]]:
    """Check that the tree is exact, files are as packages have them, and interpreters agree."""
    counts = rebuild(chroot, "--dry-run").report["counts"]
    assert counts["compiled"] == counts["removed"] == 0 < counts["fresh"], counts
    checked = pacman(chroot, "--query", "--check", "--check", "--quiet")
    assert checked == "", checked
    return {
        python.directory: dict(agreed(chroot, python, suite, absent))
        for python in suite.interpreters
    }


def test_the_tree_is_true_after_each_transaction(alpm_machine: Chroot, suite: Suite) -> None:
    assert len(summaries(pacman(alpm_machine, "--upgrade", ours()))) == 1
    kept = precious(suite)
    plant(alpm_machine, kept)
    others = set(alpm_machine.path(TREE).rglob("*"))

    sealed = archive("sealed", "1.17.0")
    assert len(summaries(pacman(alpm_machine, "--upgrade", *OLD, sealed))) == 1
    first = check(alpm_machine, suite, *NO_DJANGO)
    assert alpm_machine.path(SEALED).is_file()
    assert not in_tree(alpm_machine, f"{DIST_PACKAGES}/sealed")

    # a file that the new version has no more counts as removed: then both hooks are called
    assert 1 <= len(summaries(pacman(alpm_machine, "--upgrade", *NEW))) <= 2
    second = check(alpm_machine, suite, *NO_DJANGO)
    pacman(alpm_machine, "--upgrade", TWIN)
    third = check(alpm_machine, suite, *NO_DJANGO)
    for python in suite.interpreters:
        two, three = second[python.directory], third[python.directory]
        changed = {path for path in two if two[path] != three[path]}
        assert changed
        assert all("/requests/" in path for path in changed), changed
        assert first[python.directory][f"{PRIVATE}/bottle.py"] != two[f"{PRIVATE}/bottle.py"]

    pacman(alpm_machine, "--upgrade", *OLD)
    assert check(alpm_machine, suite, *NO_DJANGO) == first

    run = rebuild_all(alpm_machine, "-p", "requests")
    assert run.compiled > 10 * len(suite.interpreters)

    gone = pacman(alpm_machine, "--remove", "requests", "gizmo", "sealed")
    assert len(summaries(gone)) == 1
    check(alpm_machine, suite, *NOTHING)
    assert set(alpm_machine.path(TREE).rglob("*")) == others
    for name in kept:
        assert alpm_machine.path(name).is_file(), name


def test_it_upgrades_itself_and_its_removal_leaves_nothing(
    alpm_machine: Chroot, suite: Suite
) -> None:
    ignored = frozenset({"proc", "sys", "dev"})
    others = ("var/lib/pacman", "var/log", "etc/", "tmp", "var/cache/pacman", "var/tmp")
    earlier = snapshot(alpm_machine.root, without=ignored).keys()
    pacman(alpm_machine, "--upgrade", ours(), *OLD)
    check(alpm_machine, suite, *NO_DJANGO, "sealed.six")
    assert len(summaries(pacman(alpm_machine, "--upgrade", ours("2")))) == 1
    check(alpm_machine, suite, *NO_DJANGO, "sealed.six")
    alpm_machine.run(COMMAND, "migrate", "--quiet")

    said = pacman(alpm_machine, "--remove", "pycache-sys", "requests", "gizmo")

    assert "left in place" not in said
    assert "not all bytecode" not in said
    later = snapshot(alpm_machine.root, without=ignored).keys()
    assert {path for path in later ^ earlier if not path.startswith(others)} == set()


@pytest.mark.parametrize("trouble", ["policy", "python"])
def test_a_transaction_goes_on_whatever_happens(
    alpm_machine: Chroot, suite: Suite, trouble: str
) -> None:
    pacman(alpm_machine, "--upgrade", ours())
    policy = alpm_machine.path("/etc/pycacheprefix.conf")
    if trouble == "policy":
        policy.write_text("invalidation = hashed\n")
    else:
        alpm_machine.run("mv", "/usr/bin/python3", "/srv/python3")
    pacman(alpm_machine, "--upgrade", *OLD)
    if trouble == "policy":
        policy.unlink()
    else:
        alpm_machine.run("mv", "/srv/python3", "/usr/bin/python3")
    assert rebuild(alpm_machine, "--dry-run").compiled > 0
    pacman(alpm_machine, "--upgrade", *NEW)
    check(alpm_machine, suite, *NO_DJANGO, "sealed.six")

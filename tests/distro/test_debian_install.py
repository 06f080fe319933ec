"""The packages on Debian: what installing them brings, and how dpkg keeps the tree true."""

import json
import shutil

import pytest

from distro.chroots import ARCHIVES, Chroot
from distro.debian import DIST_PACKAGES, REINSTALLED, SUITES, Suite
from distro.debs import build_deb
from distro.packaging import (
    LATER,
    PACKAGES,
    Packaged,
    archives_of,
    install_packages,
    summaries,
    tree_files,
)
from distro.product import ACCOUNT, COMMAND, TREE, rebuild
from distro.snapshots import snapshot

pytest_plugins = ["distro.packaging_fixtures"]

HOOK = f"{DIST_PACKAGES}/pycache-sys.pth"
OLD = 1_600_000_000


def apt(chroot: Chroot, *arguments: str) -> str:
    """Run the chroot's apt, offline, and return all that it printed."""
    done = chroot.attempt("apt-get", "--yes", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def is_complete(chroot: Chroot) -> bool:
    """Tell whether a run for everything would find nothing to do."""
    counts = rebuild(chroot, "--dry-run").report["counts"]
    return bool(counts["compiled"] == counts["removed"] == 0 < counts["fresh"])


def test_one_line_says_what_was_built(packaged: Packaged) -> None:
    ours = [line for line in packaged.output.splitlines() if line.startswith("pycache-sys: ")]
    assert ours == summaries(packaged.output)
    assert len(ours) == 1


def test_every_interpreter_has_its_tree_and_the_hook(machine: Chroot, suite: Suite) -> None:
    assert is_complete(machine)
    shown = json.loads(machine.run(COMMAND, "enable", "--show", "--json"))["interpreters"]
    assert {one["directory"] for one in shown} == {one.directory for one in suite.interpreters}
    assert all(one["hooked"] and one["files"] == [HOOK] for one in shown), shown
    for python in suite.interpreters:
        program = "import json.decoder; print(json.decoder.__file__)"
        done = machine.attempt("env", "PYCACHE_SYS=trace", python.command, "-c", program)
        source = f"{python.library}/json/decoder.{python.cache_tag}.pyc"
        assert f"{TREE}/{python.directory}{source}" in done.stderr


def test_workers_have_their_account_and_dpkg_finds_nothing_changed(machine: Chroot) -> None:
    uid = machine.run("id", "-u", ACCOUNT).strip()
    run = rebuild(machine, "--force", f"{DIST_PACKAGES}/idna")
    assert run.report["workers_detail"] == f"{ACCOUNT} (uid {uid})"
    machine.run("dpkg", "--verify", *PACKAGES)


def test_configuring_again_changes_nothing(machine: Chroot) -> None:
    top = machine.path(TREE)
    before = snapshot(top)
    done = machine.attempt("dpkg-reconfigure", "pycache-sys")
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    assert [line.partition(",")[0] for line in summaries(output)] == ["pycache-sys: compiled 0"]
    assert snapshot(top) == before


def test_a_package_has_its_bytecode_when_apt_ends_and_takes_it_along(machine: Chroot) -> None:
    archive = build_deb(
        machine,
        "python3-later",
        "1",
        {f"{DIST_PACKAGES}/later/__init__.py": b"", f"{DIST_PACKAGES}/later/a.py": b"x = 1\n"},
        OLD,
    )
    others = tree_files(machine)

    installed = apt(machine, "install", archive)
    assert len(summaries(installed)) == 1
    added = tree_files(machine) - others
    assert {name.rpartition("/")[2].partition(".")[0] for name in added} == {"__init__", "a"}
    assert all("/later/" in name for name in added)
    assert is_complete(machine)

    removed = apt(machine, "remove", "python3-later")
    assert len(summaries(removed)) == 1
    assert tree_files(machine) == others


def test_an_upgrade_that_stamps_cannot_tell_is_noticed(machine: Chroot, suite: Suite) -> None:
    """Same path, same size, same time of modification, other content."""
    source = f"{DIST_PACKAGES}/later.py"
    for version, content in (("1", b"ANSWER = 1\n"), ("2", b"ANSWER = 2\n")):
        apt(
            machine, "install", build_deb(machine, "python3-later", version, {source: content}, OLD)
        )
        for python in suite.interpreters:
            program = "import later; print(later.ANSWER)"
            assert machine.run(python.command, "-c", program).strip() == version


def test_a_real_package_installed_again_stays_true(machine: Chroot) -> None:
    (archive,) = machine.path(ARCHIVES).glob(f"{REINSTALLED}_*.deb")
    output = apt(machine, "install", "--reinstall", f"{ARCHIVES}/{archive.name}")
    assert len(summaries(output)) == 1
    assert is_complete(machine)


def test_a_registered_directory_is_built_in_the_same_run(machine: Chroot) -> None:
    contents = {
        "/usr/share/pycache-sys/roots.d/app.conf": b"[root /usr/share/app]\n",
        "/usr/share/app/main.py": b"x = 1\n",
    }
    apt(machine, "install", build_deb(machine, "app", "1", contents, OLD))
    assert [name for name in tree_files(machine) if "/usr/share/app/main." in name]
    apt(machine, "remove", "app")
    assert not [name for name in tree_files(machine) if "/usr/share/app/" in name]


@pytest.mark.parametrize(
    "suite", [s for s in SUITES if s.name in LATER], ids=lambda s: s.name, indirect=True
)
def test_an_interpreter_comes_and_goes_with_its_tree(machine: Chroot, suite: Suite) -> None:
    packages = LATER[suite.name]
    (directory,) = {"3.15"}
    complete = tree_files(machine)
    has_it = {name for name in complete if name.startswith(f"{directory}/")}
    assert has_it

    apt(machine, "remove", *packages)
    assert tree_files(machine) == complete - has_it
    assert not machine.path(f"{TREE}/{directory}").exists()

    archives = [f"{ARCHIVES}/{path.name}" for path in machine.path(ARCHIVES).glob("*3.15*.deb")]
    output = apt(machine, "install", *archives)
    assert len(summaries(output)) == 1
    assert tree_files(machine) == complete
    assert is_complete(machine)


def test_a_system_that_wants_no_triggers(before: Chroot) -> None:
    policy = before.path("/etc/pycacheprefix.conf.d/50-build.conf")
    policy.parent.mkdir()
    policy.write_text("triggers = off\n")
    archive = build_deb(
        before, "python3-later", "1", {f"{DIST_PACKAGES}/later.py": b"x = 1\n"}, OLD
    )

    said = install_packages(before) + apt(before, "install", archive)
    assert "pycache-sys: " not in said
    assert tree_files(before) == set()

    assert rebuild(before).compiled > 1000
    complete = tree_files(before)
    apt(before, "remove", "python3-later")
    assert tree_files(before) == complete

    policy.unlink()
    assert len(summaries(apt(before, "install", "--reinstall", archive))) == 1
    assert is_complete(before)


def test_an_upgrade_from_an_earlier_version_of_itself(before: Chroot) -> None:
    (archive,) = archives_of(before, "pycache-sys")
    folder = before.path("/srv/older")
    shutil.rmtree(folder, ignore_errors=True)
    before.run("dpkg-deb", "--raw-extract", archive, "/srv/older")
    control = folder / "DEBIAN/control"
    text = control.read_text()
    version = next(x for x in text.splitlines() if x.startswith("Version: ")).partition(" ")[2]
    text = text.replace(f"\nVersion: {version}", "\nVersion: 0~older")
    control.write_text(text)
    before.run("dpkg-deb", "--build", "/srv/older", "/srv/older.deb")
    (library,) = archives_of(before, "python3-pycache-sys")
    apt(before, "install", "/srv/older.deb", library)
    assert is_complete(before)

    output = install_packages(before)
    assert len(summaries(output)) == 1
    assert is_complete(before)
    before.run("dpkg", "--verify", *PACKAGES)

"""The units and lists for systemd: what its own tools say, and what they do with them."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest

from distro.boots import with_systemd
from distro.chroots import Chroot, Image
from distro.conftest import REPOSITORY
from distro.debian import SUITES, Suite
from distro.layers import scratch_folder
from distro.machines import HOME, add_user
from distro.product import TREE

pytest_plugins = ["distro.packaging_fixtures"]

RELEASES = [suite for suite in SUITES if not suite.moving]
BUILDERS = ("pycache-sys-boot.service", "pycache-sys-rebuild.service")
UNITS = (*BUILDERS, "pycache-sys-gc.service")
STATES = {BUILDERS[0]: "enabled", BUILDERS[1]: "static", "pycache-sys-gc.timer": "enabled"}
EXPOSURE = 4.0
CAPABILITIES = "cap_kill cap_setgid cap_setuid"
OWN = f"{HOME}/.cache/pycache-sys"


@pytest.fixture(scope="module")
def image(suite: Suite, unpackaged: Image) -> Iterator[Image]:
    """Give a machine with systemd and the packages."""
    with with_systemd(suite, unpackaged) as made:
        yield made


@pytest.fixture
def machine(image: Image) -> Iterator[Chroot]:
    """Give a private copy of it."""
    with scratch_folder() as folder, image.running(folder) as copy:
        yield copy


in_each = pytest.mark.parametrize("suite", RELEASES, ids=lambda suite: suite.name, indirect=True)


@in_each
def test_units_are_sound_and_confined(machine: Chroot, suite: Suite) -> None:
    done = machine.attempt("systemd-analyze", "verify", "--man=no", *UNITS, "pycache-sys-gc.timer")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for unit in UNITS:
        said = machine.run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit)
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        assert found
        assert float(found[1]) <= EXPOSURE, said


def test_units_differ_in_what_they_may_write_and_nothing_else() -> None:
    """What they are kept from is written down in each, for whoever reads it."""
    folder = REPOSITORY / "systemd/system"
    texts = [(folder / unit).read_text() for unit in BUILDERS]
    services = [text.partition("[Service]\n")[2].partition("[Install]")[0] for text in texts]
    settings = [{line for line in text.split("\n") if line[:1].isalpha()} for text in services]
    own = ("Type=", "ExecStart=", "ReadWritePaths=", "StateDirectory=")
    assert all(line.startswith(own) for line in settings[0] ^ settings[1])
    (bounds,) = {line for line in settings[0] if line.startswith("CapabilityBoundingSet=")}
    assert " ".join(sorted(bounds.partition("=")[2].lower().split())) == CAPABILITIES


@in_each
def test_what_is_enabled(machine: Chroot, suite: Suite) -> None:
    """By the package, and by the preset, where a distribution goes by that."""
    assert states(machine) == STATES
    assert states(machine, "--global")["pycache-sys-gc.timer"] == "enabled"
    machine.run("systemctl", "--root=/", "disable", BUILDERS[0], "pycache-sys-gc.timer")
    machine.run("systemctl", "--root=/", "preset", *STATES)
    assert states(machine) == STATES


def states(chroot: Chroot, *options: str) -> dict[str, str]:
    command = ("systemctl", "--root=/", *options, "is-enabled")
    return {unit: chroot.attempt(*command, unit).stdout.strip() for unit in STATES}


@in_each
def test_a_removal_leaves_no_unit_and_no_stamp(machine: Chroot, suite: Suite) -> None:
    assert machine.path("/var/cache/pycache-sys/stamp").is_file()
    done = machine.attempt("apt-get", "purge", "--yes", "pycache-sys")
    assert done.returncode == 0, done.stderr
    assert "left in place" not in done.stdout + done.stderr
    left = machine.run(
        "find", "/etc", "/run", "/usr/lib/systemd", "/var/cache", "/var/lib/systemd",
        "-name", "*pycache-sys*",
    )  # fmt: skip
    assert left == ""
    assert not machine.path(TREE).exists()


@in_each
def test_tmpfiles_make_what_is_missing_and_take_over_nothing(machine: Chroot, suite: Suite) -> None:
    shutil.rmtree(machine.path(TREE))
    machine.path(f"{TREE}/3.11").mkdir(parents=True)
    for path in (TREE, f"{TREE}/3.11"):
        os.chown(machine.path(path), 1000, 1000)
    for path in ("/run/pycache-sys", "/var/cache/pycache-sys"):
        shutil.rmtree(machine.path(path))
    done = machine.attempt("systemd-tmpfiles", "--create", "pycache-sys.conf")
    assert (done.returncode, done.stderr) == (0, "")
    found = machine.run(
        "stat", "-c", "%u %a", "/run/pycache-sys", "/var/cache/pycache-sys", TREE, f"{TREE}/3.11"
    )
    assert found.splitlines() == ["0 700", "0 755", "1000 755", "1000 755"]


@in_each
def test_a_users_cache_is_private(machine: Chroot, suite: Suite) -> None:
    add_user(machine)
    machine.run("mkdir", "-p", f"{OWN}/3.13", user=1000)
    machine.run("systemd-tmpfiles", "--create", "pycache-sys.conf")
    command = ("systemd-tmpfiles", "--user", "--create", "--clean")
    environment = (f"HOME={HOME}", f"XDG_RUNTIME_DIR={HOME}")
    done = machine.attempt("env", *environment, *command, user=1000)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.run("stat", "-c", "%u %a", OWN, f"{OWN}/3.13") == "1000 700\n1000 755\n"

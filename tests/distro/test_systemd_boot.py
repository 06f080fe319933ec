"""The services under systemd: at boot, after a switch of deployments, after package managers."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from distro.boots import PACKAGE, RESULTS, run_script, set_policy, with_systemd
from distro.chroots import Chroot, Image
from distro.debian import DIST_PACKAGES, SUITES, Suite
from distro.debs import build_deb
from distro.layers import scratch_folder
from distro.packaging import tree_files
from distro.product import TREE

pytest_plugins = ["distro.packaging_fixtures"]

TRIXIE = next(suite for suite in SUITES if suite.name == "trixie")
PYTHON = TRIXIE.interpreters[0]
CACHES = "/var/cache/pycache-sys"
LARGE = ("idna", "django", "docutils")
OLD = 1_600_000_000
CPU_SECONDS = 0.1
"""50 ms is meant, on a machine that does nothing else; tests have to pass on any."""
CHECKED_HASH = 3

in_trixie = pytest.mark.parametrize("suite", [TRIXIE], ids=lambda suite: suite.name, indirect=True)

ENDED = """\
ended() { # wait until a service is at rest
    while systemctl show -P ActiveState -P Job "$1" | grep -q '^[^idf]'; do sleep 0.1; done
}
ended pycache-sys-boot.service
"""
IMPORT = f"""\
for user in root nobody; do
    setpriv --reuid=$user --clear-groups env PYCACHE_SYS=trace HOME=/nonexistent \
        {PYTHON.command} -c 'import idna.deployed; print(idna.deployed.ANSWER)' \
        2>&1 | sed -n 's/^pycache-sys: idna.deployed: //p; /^[0-9]*$/p'
done
"""


@pytest.fixture(scope="module")
def bootable(unpackaged: Image) -> Iterator[Image]:
    """Give a machine with systemd and the packages."""
    with with_systemd(TRIXIE, unpackaged) as image:
        yield image


@pytest.fixture
def machine(bootable: Image) -> Iterator[Chroot]:
    """Give a private copy of it."""
    with scratch_folder() as folder, bootable.running(folder) as copy:
        yield copy


def compiled(chroot: Chroot) -> Mapping[str, int]:
    """Say when each file of the tree was written."""
    top = chroot.path(TREE)
    return {name: (top / name).stat().st_ctime_ns for name in tree_files(chroot)}


def modes(chroot: Chroot, *paths: str) -> list[str]:
    found = [chroot.path(path).stat() for path in paths]
    return [f"{status.st_uid}:{status.st_gid} {status.st_mode & 0o7777:o}" for status in found]


@in_trixie
def test_a_boot_builds_what_is_not_there_and_the_next_does_nothing(
    machine: Chroot, suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    for path in (TREE, CACHES):
        shutil.rmtree(machine.path(path))
    drop_in = machine.path("/etc/systemd/system/pycache-sys-boot.service.d/times.conf")
    drop_in.parent.mkdir()
    # the shell says what CPU time its children took
    drop_in.write_text(
        "[Service]\nExecStart=\n"
        "ExecStart=/bin/bash -c '/usr/bin/pycache-sys rebuild --if-changed --quiet && times'\n"
        f"StandardOutput=file:{RESULTS}/times\n"
    )
    script = (
        ENDED + "systemctl show -P Result pycache-sys-boot.service\nstat -c %a /run/pycache-sys"
    )

    assert run_script(machine, script) == "success\n700\n"
    assert modes(machine, TREE, CACHES, f"{CACHES}/stamp") == ["0:0 755", "0:0 755", "0:0 644"]
    first = compiled(machine)
    assert {name.split("/")[0] for name in first} == {PYTHON.directory, "CACHEDIR.TAG"}
    assert len(first) > 5

    assert run_script(machine, script) == "success\n700\n"
    assert compiled(machine) == first
    spent = sum(map(seconds, machine.path(f"{RESULTS}/times").read_text().split()[2:]))
    record_property("CPU seconds of an unchanged boot", spent)
    assert 0 < spent < CPU_SECONDS


def seconds(text: str) -> float:
    """Read bash's ``0m0.123s``."""
    minutes, rest = text.rstrip("s").split("m")
    return int(minutes) * 60 + float(rest)


@in_trixie
def test_a_tree_that_is_deleted_comes_back_at_the_next_boot(machine: Chroot, suite: Suite) -> None:
    complete = tree_files(machine)
    shutil.rmtree(machine.path(TREE) / PYTHON.directory)
    run_script(machine, ENDED)
    assert tree_files(machine) == complete


@in_trixie
@pytest.mark.parametrize("trouble", ["source", "policy"])
def test_what_is_wrong_with_a_source_is_no_failure_of_the_service(
    machine: Chroot, suite: Suite, trouble: str
) -> None:
    if trouble == "source":
        machine.path(f"{PACKAGE}/broken.py").write_text("def\n")
    else:
        set_policy(machine, suite, "user-cache = nonsense\n")
    script = ENDED + "systemctl show -P Result -P ExecMainStatus pycache-sys-boot.service"
    expected = {"source": "success\n1\n", "policy": "exit-code\n3\n"}
    assert run_script(machine, script) == expected[trouble]


@contextmanager
def deployments(chroot: Chroot, folder: Path, time: int) -> Iterator[dict[str, Path]]:
    """Make two of a package, as OSTree does: equal times, unchanged files linked, one edited."""
    found = {}
    for name, answer in (("a", "1"), ("b", "2")):
        top = folder / name
        if not found:
            shutil.copytree(chroot.path(PACKAGE), top, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copytree(found["a"], top, copy_function=os.link)
            (top / "deployed.py").unlink()
        (top / "deployed.py").write_text(f"ANSWER = {answer}\n")
        found[name] = top
    for top in found.values():
        for path in (*top.rglob("*"), top):
            os.utime(path, (time, time))
    assert [path.is_dir() for path in found.values()] == [True, True]
    yield found


@contextmanager
def deployed(chroot: Chroot, top: Path) -> Iterator[None]:
    """Let the machine have one of them, as another build of the system."""
    release = chroot.path("/etc/os-release")
    release.unlink()
    release.write_text(f"{chroot.path('/usr/lib/os-release').read_text()}BUILD_ID={top.name}\n")
    subprocess.run(["mount", "--bind", top, chroot.path(PACKAGE)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", chroot.path(PACKAGE)], check=True)


@in_trixie
@pytest.mark.parametrize("time", [0, OLD], ids=["no times", "clamped times"])
def test_a_switch_of_deployments_and_a_rollback(
    machine: Chroot, suite: Suite, tmp_path: Path, time: int
) -> None:
    """After a rollback the source is older than bytecode of the other, in all that can be seen."""
    machine.path("/etc/tmpfiles.d/ostree.conf").write_text("f /run/ostree-booted\n")
    entry = machine.path(TREE) / f"{PYTHON.directory}{PACKAGE}/deployed.{PYTHON.cache_tag}.pyc"
    made = []
    with deployments(machine, tmp_path, time) as found:
        for name, answer in (("a", "1"), ("b", "2"), ("b", "2"), ("a", "1")):
            with deployed(machine, found[name]):
                answers = run_script(machine, ENDED + IMPORT).splitlines()
            assert [line for line in answers if line.isdigit()] == [answer, answer], answers
            assert [line.split()[0] for line in answers if not line.isdigit()] == ["tree"] * 2
            assert entry.read_bytes()[4] == CHECKED_HASH
            made.append(entry.stat().st_ctime_ns)
    assert made[0] < made[1] == made[2] < made[3]


def package(chroot: Chroot, name: str) -> str:
    return build_deb(chroot, name, "1", {f"{PACKAGE}/{name}.py": b"x = 1\n"}, OLD)


@in_trixie
def test_apt_does_not_wait_where_triggers_are_deferred(machine: Chroot, suite: Suite) -> None:
    """The second one comes while the service is at work for the first."""
    roots = " ".join(f"{DIST_PACKAGES}/{name}" for name in LARGE)
    set_policy(machine, suite, f"roots = {roots}\ntriggers = deferred\njobs = 1\n")
    first, second = package(machine, "later1"), package(machine, "later2")
    script = f"""{ENDED}
state() {{ systemctl show -P ActiveState pycache-sys-rebuild.service; }}
apt-get install -qq {first} 2>&1 | grep ^pycache-sys:
state
until ls {TREE}/*{PACKAGE}/*.pyc >/dev/null 2>&1; do sleep 0.1; done
state
apt-get install -qq {second} 2>&1 | grep ^pycache-sys:
state
ended pycache-sys-rebuild.service
state
systemctl show -P Result pycache-sys-rebuild.service
journalctl -o cat -u pycache-sys-rebuild.service | grep -i traceback || :
pycache-sys rebuild --dry-run --json
"""
    machine.path("/etc/systemd/system/multi-user.target.wants/pycache-sys-boot.service").unlink()
    shutil.rmtree(machine.path(TREE) / PYTHON.directory)
    said = "pycache-sys: left to pycache-sys-rebuild.service"
    *lines, report = run_script(machine, script).split("\n", 7)
    assert lines == [said, *["activating"] * 2, said, "activating", "inactive", "success"], lines
    counts = json.loads(report)["counts"]
    assert counts["compiled"] == counts["removed"] == 0 < counts["fresh"]
    names = {name.rpartition("/")[2].partition(".")[0] for name in tree_files(machine)}
    assert {"later1", "later2"} <= names


@in_trixie
def test_bytecode_beside_the_sources_goes_after_package_managers(
    machine: Chroot, suite: Suite
) -> None:
    """At boot nothing in /usr is changed, and that is no failure."""
    beside = f"{PACKAGE}/__pycache__/core.{PYTHON.cache_tag}.pyc"
    assert machine.path(beside).is_file()
    set_policy(machine, suite, "in-place = remove\n")
    script = f"""{ENDED}
systemctl show -P Result pycache-sys-boot.service
test ! -e {beside} || echo there
systemctl start pycache-sys-rebuild.service
test ! -e {beside} || echo there
test ! -s /var/lib/pycache-sys/in-place || echo written down
"""
    assert run_script(machine, script) == "success\nthere\nwritten down\n"

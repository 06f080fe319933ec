"""Whatever happens to the cache, a transaction goes on, and the next makes good."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES
from distro.packaging import tree_files
from distro.product import COMMAND, TREE, rebuild
from distro.rpm_life import NAG, rpm, summaries
from distro.rpm_machines import RPMS, archive

pytest_plugins = ["distro.rpm_fixtures"]

REQUESTS = archive("requests", "2.32.5")
DJANGO = archive("django", "5.2.8")
POLICY = "/etc/pycacheprefix.conf"


def transaction(chroot: Chroot, *arguments: str) -> list[str]:
    """Run rpm, which may not fail whatever becomes of the tree; return the lines it printed."""
    done = chroot.attempt("rpm", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line and not line.startswith(NAG)]


def is_repaired(chroot: Chroot) -> bool:
    """Run one more transaction, and tell whether the tree is complete then."""
    rpm(chroot, "--install", archive("gizmo", "0.13.4"))
    counts = rebuild(chroot, "--dry-run").report["counts"]
    return bool(counts["compiled"] == counts["removed"] == 0 < counts["fresh"])


@contextmanager
def small_cache(chroot: Chroot) -> Iterator[None]:
    """Leave a few hundred KiB for the tree."""
    place = chroot.path(TREE)
    command = ["mount", "-t", "tmpfs", "-o", "size=400k,mode=755", "tmpfs", place]
    subprocess.run(command, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@contextmanager
def read_only_cache(chroot: Chroot) -> Iterator[None]:
    """Let nobody write to /var/cache, as while an image is composed."""
    place = chroot.path("/var/cache")
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_cache_that_nobody_can_write(rpm_machine: Chroot) -> None:
    before = tree_files(rpm_machine)
    with read_only_cache(rpm_machine):
        for arguments in (("--install", REQUESTS), ("--erase", "requests")):
            (line,) = transaction(rpm_machine, *arguments)
            assert line.startswith("pycache-sys: ")
            if arguments[0] == "--install":
                assert "Read-only file system" in line
        assert tree_files(rpm_machine) == before
    assert is_repaired(rpm_machine)


def test_a_full_disk(rpm_machine: Chroot) -> None:
    with small_cache(rpm_machine):
        (line,) = transaction(rpm_machine, "--install", DJANGO)
        assert line.startswith("pycache-sys: stopped: ")
        assert "No space left on device" in line
    assert is_repaired(rpm_machine)


def test_a_policy_with_errors(rpm_machine: Chroot) -> None:
    rpm_machine.path(POLICY).write_text("invalidation = hashed\n")
    (line,) = transaction(rpm_machine, "--install", REQUESTS)
    assert line.startswith("pycache-sys: the policy has 1 error; nothing was done")
    rpm_machine.path(POLICY).unlink()
    assert is_repaired(rpm_machine)


@pytest.mark.parametrize("trouble", ["gone", "broken"])
def test_a_python_that_cannot_start(rpm_machine: Chroot, trouble: str) -> None:
    program = rpm_machine.path("/usr/bin/python3")
    rpm_machine.run("mv", "/usr/bin/python3", "/srv/python3")
    if trouble == "broken":
        program.write_text("#!/bin/sh\necho 'python3: symbol lookup error' >&2\nexit 127\n")
        program.chmod(0o755)
    # a list that no pipe takes, and nobody reads
    for arguments in (("--install", f"{RPMS}/many-1-1.noarch.rpm"), ("--erase", "many")):
        (line,) = transaction(rpm_machine, *arguments)
        assert "pycache-sys: " in line or "python3: " in line
    rpm_machine.run("mv", "/srv/python3", "/usr/bin/python3")
    assert is_repaired(rpm_machine)


def test_a_system_that_wants_no_triggers_reads_no_list(rpm_machine: Chroot) -> None:
    rpm_machine.path(POLICY).write_text("triggers = off\n")
    before = tree_files(rpm_machine)
    for arguments in (("--install", f"{RPMS}/many-1-1.noarch.rpm", REQUESTS), ("--erase", "many")):
        assert transaction(rpm_machine, *arguments) == []
    assert tree_files(rpm_machine) == before
    rpm_machine.path(POLICY).unlink()
    assert is_repaired(rpm_machine)


def test_a_transactional_update_leaves_the_tree_to_the_next_boot(rpm_machine: Chroot) -> None:
    before = tree_files(rpm_machine)
    inside = ("env", "TRANSACTIONAL_UPDATE=true", "rpm", "--install")
    done = rpm_machine.attempt(*inside, f"{RPMS}/many-1-1.noarch.rpm", REQUESTS)
    assert done.returncode == 0, done.stderr
    lines = [x for x in (done.stdout + done.stderr).splitlines() if not x.startswith(NAG)]
    assert len(lines) == 1, lines
    assert "transactional update" in lines[0]
    assert tree_files(rpm_machine) == before
    assert is_repaired(rpm_machine)


def test_a_list_that_no_pipe_holds_is_read(rpm_machine: Chroot) -> None:
    (line,) = transaction(rpm_machine, "--install", f"{RPMS}/many-1-1.noarch.rpm")
    assert summaries(line) == [line]
    assert "compiled 0," in line


def test_files_are_compiled_whatever_their_stamps_say(rpm_machine: Chroot) -> None:
    """What seems fresh is made anew where rpm has written its source."""
    rpm(rpm_machine, "--install", REQUESTS)
    program = f"{DIST_PACKAGES}/requests"
    rpm_machine.run(COMMAND, "rebuild", "--quiet")
    (line,) = summaries(rpm(rpm_machine, "--reinstall", REQUESTS))[:1]
    listed = rpm(rpm_machine, "--query", "--list", "requests").splitlines()
    sources = [path for path in listed if path.startswith(program) and path.endswith(".py")]
    number = int(line.partition("compiled ")[2].partition(",")[0])
    assert number % len(sources) == 0
    assert number > 0

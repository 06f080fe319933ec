"""The lock: nobody else can open it, hold it, or lead root through it."""

import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

from security.machine import (
    LIBRARY,
    LOCK,
    MALLORY,
    TREE,
    Machine,
    give,
    make_directory,
    slow_source,
    write,
)
from security.processes import until, workers

OPEN = """
import fcntl, os, sys
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
    try:
        fcntl.flock(os.open(sys.argv[1], flags), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except PermissionError:
        continue
    print("opened", flags)
"""


def test_a_user_cannot_hold_the_lock(box: Machine) -> None:
    write(LIBRARY / "module.py")
    assert box.rebuild(LIBRARY, umask=0).status == 0
    status = LOCK.stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o600)
    assert LOCK.parent.stat().st_mode & 0o022 == 0
    command = ["/usr/bin/python3", "-I", "-S", "-c", OPEN, str(LOCK)]
    ids: dict[str, Any] = {"user": MALLORY, "group": MALLORY, "extra_groups": []}
    assert subprocess.check_output(command, cwd="/", **ids) == b""


def test_a_planted_link_is_not_followed(box: Machine) -> None:
    victim = write(Path("/opt/victim"), "a victim's")
    write(LIBRARY / "module.py")
    make_directory(LOCK.parent)
    LOCK.symlink_to(victim)
    run = box.rebuild(LIBRARY)
    assert run.status == 5
    assert str(LOCK) in run.stderr
    assert victim.read_text() == "a victim's"


def test_a_dangling_link_makes_no_file(box: Machine) -> None:
    write(LIBRARY / "module.py")
    make_directory(LOCK.parent)
    LOCK.symlink_to("/opt/new")
    assert box.rebuild(LIBRARY).status == 5
    assert not Path("/opt/new").exists()


def test_a_users_lock_is_refused_and_the_message_helps(box: Machine) -> None:
    write(LIBRARY / "module.py")
    give(write(LOCK, ""))
    run = box.rebuild(LIBRARY)
    assert run.status == 5
    assert f"rm {LOCK}" in run.stderr


def test_a_users_fifo_does_not_hang_the_run(box: Machine) -> None:
    write(LIBRARY / "module.py")
    make_directory(LOCK.parent)
    os.mkfifo(LOCK)
    give(LOCK)
    assert box.rebuild(LIBRARY).status == 5


def test_two_runs_do_not_write_together(box: Machine) -> None:
    slow_source(LIBRARY / "slow.py")
    first = box.start("-j1", LIBRARY)
    until(lambda: workers(first.pid))
    second = box.rebuild("--no-wait", LIBRARY)
    assert second.status == 4
    assert str(first.pid) in second.stderr
    assert box.finish(first).count("compiled") == 1


def test_a_held_lock_does_not_stop_best_effort(box: Machine) -> None:
    write(LIBRARY / "module.py")
    write(LOCK, "", mode=0o600)
    with LOCK.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run(
            [str(box.command), "rebuild", "--best-effort", str(LIBRARY)],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 0
    assert str(LOCK) in done.stderr
    assert not list(TREE.rglob("*.pyc"))

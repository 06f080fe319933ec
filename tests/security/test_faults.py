"""Whatever system call fails, and whenever: no torn file, and the next run mends it."""

import os
import shutil
from pathlib import Path

import pytest

from security.machine import (
    LIBRARY,
    TREE,
    Machine,
    corpus,
    entries,
    entry,
    invalid,
    leftovers,
    write,
)

FAULTS = {
    "rename-eio": "rename,renameat,renameat2:error=EIO:when=5",
    "rename-eio-always": "rename,renameat,renameat2:error=EIO:when=3+",
    "rename-enospc": "rename,renameat,renameat2:error=ENOSPC:when=4",
    "fchmod-eperm": "fchmod:error=EPERM:when=6",
    "fchmod-eperm-always": "fchmod:error=EPERM:when=6+",
    "utimensat-eperm": "utimensat:error=EPERM:when=5+",
    "openat-emfile": "openat:error=EMFILE:when=400+7",
    "mkdirat-edquot": "mkdirat:error=EDQUOT:when=2+",
    "write-enospc": "write:error=ENOSPC:when=20+9",
    "write-eio": "write:error=EIO:when=31",
    "unlink-eio": "unlink,unlinkat:error=EIO:when=1+",
}


@pytest.mark.parametrize("optimize", ["0", "0,1,2"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_system_call_tears_nothing(box: Machine, fault: str, optimize: str) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("these tests make system calls fail with strace: install it")
    sources = corpus(LIBRARY, 60, lines=5)
    log = ("-o", "/dev/null")
    injecting = (strace, *log, "-e", f"inject={FAULTS[fault]}")
    process = box.start(f"--optimize={optimize}", LIBRARY, prefix=injecting)
    stdout, stderr = process.communicate(timeout=60)
    assert invalid() == []
    if "write" not in fault:  # that one also cuts the wires to the workers, and our own output
        assert "Traceback" not in stderr
        assert process.returncode in {0, 1, 5}, (stdout, stderr)
    left = leftovers()
    again = box.rebuild(f"--optimize={optimize}", LIBRARY)
    assert again.status == 0, again.stdout
    assert entries() >= set(map(entry, sources))
    assert invalid() == []
    assert leftovers() == []
    assert left == [] or "unlink" in fault, "a failed write takes its temporary file away"


def test_a_source_that_vanishes_with_its_directory_is_an_outcome(box: Machine) -> None:
    corpus(LIBRARY, 200)
    process = box.start(LIBRARY)
    while process.poll() is None and not entries():
        pass
    shutil.rmtree(LIBRARY / "part3")
    run = box.finish(process)
    assert run.status in {0, 1}
    assert invalid_without_source() == []
    assert box.rebuild("--prune", LIBRARY).status == 0
    assert not entry(LIBRARY / "part3" / "module3.py").parent.exists()


def invalid_without_source() -> list[Path]:
    """List entries that are not a whole pyc by their size alone."""
    return [path for path in entries() if os.stat(path).st_size < 100]


def test_a_tree_deleted_during_the_run_is_no_error(box: Machine) -> None:
    sources = corpus(LIBRARY, 400)
    process = box.start(LIBRARY)
    rounds = 0
    while process.poll() is None:
        if len(entries_quietly()) > 20:
            shutil.rmtree(TREE, ignore_errors=True)
            rounds += 1
    run = box.finish(process)
    assert rounds
    assert run.status in {0, 1}, run.stdout
    assert {failure["reason"] for failure in run.report["failures"]} <= {"write"}
    again = box.rebuild(LIBRARY)
    assert again.status == 0
    assert entries() == set(map(entry, sources))
    assert invalid() == []


def entries_quietly() -> list[str]:
    """List entries of a tree that vanishes meanwhile."""
    return [name for _, _, names in os.walk(TREE) for name in names if name.endswith(".pyc")]


def test_a_source_that_never_rests_is_an_outcome(box: Machine) -> None:
    restless = write(LIBRARY / "restless.py")
    sound = write(LIBRARY / "sound.py")
    process = box.start("-j1", LIBRARY)
    number = 0
    while process.poll() is None:
        number += 1
        restless.write_text(f"ANSWER = {number}\n")
    run = box.finish(process)
    assert entry(sound).exists()
    assert run.reason(restless) in {None, "changed"}
    assert box.rebuild(LIBRARY).status == 0
    assert invalid() == []

"""Ctrl-C stops the workers, leaves a valid tree, and says what remains."""

import json
import marshal
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from interpreters.builder import Builder, processes_left, processes_named, pycs

TOTAL = 400


@pytest.fixture
def python(builder: Builder) -> str:
    """Give the running interpreter a name of this test's own, to tell its workers by."""
    link = builder.folder / "bin" / os.path.basename(os.path.realpath(sys.executable))
    link.parent.mkdir()
    link.symlink_to(os.path.realpath(sys.executable))
    return str(link)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_a_run(
    builder: Builder, python: str, number: signal.Signals
) -> None:
    for n in range(TOTAL):
        builder.write(f"m{n}.py", f"x = {n}\n" * 3_000)
    process = builder.start("-j", "2", "--python", python, builder.sources)
    deadline = time.monotonic() + 30
    while len(pycs(builder.tree)) < 10 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    report = json.loads(stdout)
    done = report["counts"]["compiled"]
    assert 10 <= done < TOTAL
    # one may have been in the parent's hands
    assert done + report["remaining"] in (TOTAL, TOTAL - 1)
    assert f"interrupted with {report['remaining']} sources to go" in stderr
    assert "Traceback" not in stderr
    time.sleep(0.1)
    assert processes_left(python) == []
    entries = pycs(builder.tree)
    assert len(entries) in (done, done + 1)
    for entry in entries:
        marshal.loads(Path(entry).read_bytes()[16:])  # noqa: S302 - ours
    assert not list(builder.tree.rglob("*.tmp"))
    rest = builder.rebuild("--python", python, builder.sources)
    assert rest.summary[:2] == (TOTAL - len(entries), len(entries))


def test_a_killed_builder_leaves_no_worker_and_a_tree_that_goes_on(
    builder: Builder, python: str
) -> None:
    for n in range(TOTAL):
        builder.write(f"m{n}.py", f"x = {n}\n" * 2_000)
    process = builder.start("-j", "2", "--python", python, builder.sources)
    deadline = time.monotonic() + 30
    while len(pycs(builder.tree)) < 10 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while processes_named(python) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_left(python) == []
    rest = builder.rebuild("--no-wait", "--python", python, builder.sources)
    assert (rest.status, rest.outcomes) == (0, [])
    assert len(pycs(builder.tree)) == TOTAL
    assert not list(builder.tree.rglob("*.tmp"))

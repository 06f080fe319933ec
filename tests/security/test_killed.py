"""Kill the builder at any moment: the tree is valid, its workers end, the next run goes on."""

import os
import random
import signal
import time

import pytest

from security.machine import (
    LIBRARY,
    Machine,
    corpus,
    entries,
    entry,
    invalid,
    leftovers,
)
from security.processes import is_alive, until, workers

MOMENTS = 20


def test_twenty_murders(box: Machine) -> None:
    sources = corpus(LIBRARY, 250)
    started = time.monotonic()
    assert box.rebuild(LIBRARY).status == 0
    whole = time.monotonic() - started
    chance = random.Random(20)  # noqa: S311 - moments, no secrets
    orphans: set[int] = set()
    in_the_midst = 0
    for _ in range(MOMENTS):
        process = box.start("--force", "-j2", LIBRARY)
        deadline = time.monotonic() + chance.uniform(0.1, whole)
        seen: list[int] = []
        while time.monotonic() < deadline and process.poll() is None:
            seen = workers(process.pid) or seen
            time.sleep(0.002)
        process.kill()
        process.communicate()
        in_the_midst += process.returncode == -signal.SIGKILL and bool(seen)
        orphans.update(seen)
        assert invalid() == []
    assert in_the_midst >= 3
    until(lambda: not any(map(is_alive, orphans)), seconds=5)
    last = box.rebuild(LIBRARY)
    assert last.status == 0
    assert entries() == set(map(entry, sources))
    assert leftovers() == []
    assert invalid() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_polite_end_leaves_nothing_behind(box: Machine, number: signal.Signals) -> None:
    corpus(LIBRARY, 400)
    process = box.start("-j2", LIBRARY)
    seen = until(lambda: workers(process.pid) if entries() else [])
    os.kill(process.pid, number)
    run = box.finish(process)
    assert run.status == 130
    assert not any(map(is_alive, seen))
    assert leftovers() == []
    assert invalid() == []
    assert "goes on from here" in run.stderr


def test_a_stopped_worker_is_not_waited_for_after_a_kill(box: Machine) -> None:
    """A worker whose builder is gone ends by itself, also with requests left in its pipe."""
    corpus(LIBRARY, 400)
    process = box.start("-j1", LIBRARY)
    (worker,) = until(lambda: workers(process.pid) if entries() else [])
    os.kill(worker, signal.SIGSTOP)
    process.kill()
    process.communicate()
    os.kill(worker, signal.SIGCONT)
    until(lambda: not is_alive(worker), seconds=5)

"""What is remembered of a run comes back as it was, and whatever else is in its file is no run."""

import copy
import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_system import ADA, FakeSystem
from pycache_sys.core.last_run import LONGEST, MOST_KEPT, UNCOMPILABLE, LastRun
from pycache_sys.core.model import FAILURES, Outcome, Reason
from pycache_sys.core.report import InterpreterNote, Report
from pycache_sys.system import last_run, regular
from status_examples import NOW, interpreter

NANO = 1_000_000_000
PYTHON = interpreter("3.11", "/usr/bin/python3.11", (3, 11, 2))
COUNTS = {"compiled": 1, "fresh": 2, "removed": 3, "failed": 4, "skipped": 5}

texts = st.text(st.characters())
outcomes = st.builds(Outcome, texts, st.sampled_from(Reason), texts)
runs = st.builds(
    LastRun,
    when=st.floats(0, 1e10),
    seconds=st.floats(0, 1e6),
    counts=st.fixed_dictionaries({name: st.integers(0, 10**6) for name in COUNTS}),
    program=texts,
    stopped=texts,
    failures=st.lists(outcomes, max_size=4).map(tuple),
    over_limit=st.lists(texts, max_size=3).map(tuple),
    interpreters=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
)


def report(failures: int = 1) -> Report:
    """Make the report of a run with an interpreter that was used, and one that was not."""
    made = Report(tree="/var/cache/python")
    made.interpreters = [
        InterpreterNote(path=PYTHON.path, interpreter=PYTHON),
        InterpreterNote("/usr/bin/python3.9", None, (Reason.BROKEN, "it does not start")),
    ]
    made.compiled, made.fresh = 12, 2000
    for number in range(failures):
        made.add(Outcome(f"/usr/lib/{number:05}.py", Reason.SYNTAX, "line 1: invalid syntax"))
    made.add(Outcome("/srv/over.py", Reason.OVER_LIMIT, "max-bytes"))
    made.add(Outcome("/srv/link.py", Reason.DANGLING_LINK, "a link to nothing"))
    return made


@given(runs)
def test_a_run_comes_back(run: LastRun) -> None:
    assert LastRun.parse(json.loads(json.dumps(run.as_json()))) == run


def test_what_is_taken_from_a_report() -> None:
    run = LastRun.of(report(), when=NOW, seconds=1.23456)
    assert (run.when, run.seconds, run.stopped) == (NOW, 1.235, "")
    counts = {"compiled": 12, "fresh": 2000, "removed": 0, "failed": 1, "skipped": 2}
    assert run.counts == counts
    assert [failure.source for failure in run.failures] == ["/usr/lib/00000.py"]
    assert run.over_limit == ("/srv/over.py",)
    assert run.interpreters == ((PYTHON.path, "3.11"),)


def test_failures_are_cut_and_their_number_is_true() -> None:
    run = LastRun.of(report(MOST_KEPT + 7), when=NOW, seconds=1)
    assert len(run.failures) == MOST_KEPT
    assert run.counts["failed"] == MOST_KEPT + 7


def test_the_report_knows_best_why_a_run_stopped() -> None:
    stopped = report()
    stopped.stopped = "/: No space left on device"
    run = LastRun.of(stopped, when=NOW, seconds=1, stopped="interrupted")
    assert run.stopped == "/: No space left on device"


@pytest.mark.parametrize("reason", Reason)
def test_a_source_is_uncompilable_for_reasons_of_its_own(reason: Reason) -> None:
    run = LastRun(NOW, 1.0, COUNTS, failures=(Outcome("/a.py", reason, ""),))
    assert run.uncompilable == ({"/a.py"} if reason in UNCOMPILABLE else set())
    assert UNCOMPILABLE < FAILURES


def test_it_speaks_of_sources_as_they_were_and_of_folders_that_it_filled() -> None:
    run = LastRun(1000.5, 1.0, COUNTS, interpreters=((PYTHON.path, "3.11"),))
    assert run.has_seen("3.11", 1000 * NANO)
    assert not run.has_seen("3.11", 1001 * NANO)
    assert not run.has_seen("3.13", 1000 * NANO)


def spoilt(change: Callable[[dict[str, Any]], object]) -> object:
    answer = copy.deepcopy(LastRun.of(report(), when=NOW, seconds=1).as_json())
    change(answer)
    return answer


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(version=2),
        lambda a: a.update(version=True),
        lambda a: a.update(when="yesterday"),
        lambda a: a.update(when=-1),
        lambda a: a.update(when=float("nan")),
        lambda a: a.update(when=float("inf")),
        lambda a: a.update(when=10**400),
        lambda a: a.update(seconds=None),
        lambda a: a.update(stopped=3),
        lambda a: a.update(program=None),
        lambda a: a.update(counts=[]),
        lambda a: a["counts"].update(failed=-1),
        lambda a: a["counts"].pop("fresh"),
        lambda a: a.pop("stopped"),
        lambda a: a.pop("failures"),
        lambda a: a.update(failures="none"),
        lambda a: a.update(failures=[["/a.py", "syntax", ""]]),
        lambda a: a.update(failures=a["failures"] * (MOST_KEPT + 1)),
        lambda a: a["failures"][0].update(reason="bad luck"),
        lambda a: a["failures"][0].pop("source"),
        lambda a: a.update(over_limit=["/a.py"]),
        lambda a: a.update(interpreters=[{"path": 1, "directory": "3.11"}]),
    ],
)
def test_whatever_else_is_no_run(change: Callable[[dict[str, Any]], object]) -> None:
    assert LastRun.parse(spoilt(change)) is None


@given(st.recursive(st.none() | st.booleans() | st.floats() | texts, st.lists))
def test_no_json_makes_it_fail(answer: object) -> None:
    assert LastRun.parse(answer) is None


# the file


@pytest.fixture
def place(system: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file's place on a system where all is root's."""
    monkeypatch.setattr(regular, "os", system.os)
    return system.folder / "var" / "last-run.json"


RUN = LastRun.of(report(), when=NOW, seconds=2)


def test_the_file_is_for_all_to_read_and_has_the_run(place: Path) -> None:
    before = os.umask(0o077)
    try:
        last_run.write(RUN, str(place))
    finally:
        os.umask(before)
    assert place.stat().st_mode & 0o7777 == 0o644
    assert [path.name for path in place.parent.iterdir()] == ["last-run.json"]
    assert last_run.read(str(place)) == RUN


def test_without_a_file_nothing_is_known(place: Path) -> None:
    assert last_run.read(str(place)) is None


@pytest.mark.parametrize("what", ["file", "directory"])
@pytest.mark.parametrize("wrong", [{"uid": ADA}, {"mode": 0o664}, {"mode": 0o757}])
def test_what_others_can_write_is_not_believed(
    place: Path, system: FakeSystem, what: str, wrong: dict[str, int]
) -> None:
    last_run.write(RUN, str(place))
    system.os.declare(place if what == "file" else place.parent, **wrong)
    assert last_run.read(str(place)) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"null"),
        lambda path: path.write_bytes(b"\xff\xfe{"),
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(b"[" * 200_000),
        lambda path: path.write_bytes(b'{"version": ' + b"9" * 10_000 + b"}"),
        lambda path: os.truncate(path, 100 << 20),
        lambda path: os.truncate(path, 1 << 20),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.rename(f"{path}.real"), path.symlink_to(f"{path}.real")),
    ],
)
def test_whatever_is_odd_is_not_known(place: Path, spoil: Callable[[Path], object]) -> None:
    last_run.write(RUN, str(place))
    spoil(place)
    assert last_run.read(str(place)) is None


def test_the_largest_file_of_ours_is_not_too_long() -> None:
    longest = Outcome("/" + "\udcff" * 4095, Reason.NOT_READABLE_BY_ALL, "x" * 1000)
    one = RUN._replace(failures=(longest,), over_limit=(longest.source,))
    assert len(json.dumps(one.as_json())) * MOST_KEPT < LONGEST


# how a run is noted


def noted(place: Path, error: BaseException | None = None) -> LastRun | None:
    with ExitStack() as stack:
        stack.push(last_run.noting(report(), str(place)))
        if error is not None:
            raise error
    return last_run.read(str(place))


def test_a_run_is_noted_when_it_ends(place: Path) -> None:
    run = noted(place)
    assert run is not None
    assert (run.stopped, run.counts["compiled"]) == ("", 12)
    assert run.when > NOW - 10 * 365 * 86400


@pytest.mark.parametrize(
    ("error", "stopped"),
    [
        (KeyboardInterrupt("SIGTERM"), "interrupted"),
        (OSError("disk on fire"), "disk on fire"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_run_that_was_ended_is_noted_and_ends(
    place: Path, error: BaseException, stopped: str
) -> None:
    with pytest.raises(type(error)):
        noted(place, error)
    run = last_run.read(str(place))
    assert run is not None
    assert run.stopped == stopped


def test_a_run_that_cannot_be_noted_does_not_fail(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "in the way").touch()
    assert noted(place) is None

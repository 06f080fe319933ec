"""The worst outcome decides the exit status, and the JSON is what the manual says."""

import json

import pytest

from pycache_sys.core.errors import ExitStatus, LockedError, PycacheSysError, TreeError
from pycache_sys.core.model import FAILURES, Interpreter, Outcome, Reason
from pycache_sys.core.report import InterpreterNote, Report

INTERPRETER = Interpreter(
    path="/usr/bin/python3.11",
    binary="/usr/bin/python3.11",
    version=(3, 11, 2),
    implementation="cpython",
    cache_tag="cpython-311",
    magic=b"\xa7\r\r\n",
    directory="3.11",
    environment="",
    library=("/usr/lib/python3.11",),
    site=(),
)
USED = InterpreterNote(path="/usr/bin/python3.11", interpreter=INTERPRETER)
BROKEN = (Reason.BROKEN, "it does not start")


def report(*notes: InterpreterNote) -> Report:
    filled = Report(tree="/tree")
    filled.interpreters = list(notes)
    return filled


@pytest.mark.parametrize("reason", list(Reason))
def test_an_outcome_is_a_failure_or_a_skip(reason: Reason) -> None:
    filled = report(USED)
    filled.add(Outcome("/a.py", reason, "why"))
    assert (len(filled.failures), len(filled.skips)) == ((1, 0) if reason in FAILURES else (0, 1))
    expected = ExitStatus.SOME_FAILED if reason in FAILURES else ExitStatus.DONE
    assert filled.exit_status is expected


def test_a_skip_of_several_interpreters_counts_once_and_a_failure_each_time() -> None:
    filled = report(USED)
    for reason in (Reason.UNREADABLE, Reason.SYNTAX):
        for _ in range(2):
            filled.add(Outcome("/a.py", reason, "why"))
    assert (len(filled.skips), len(filled.failures)) == (1, 2)


def test_a_stop_is_worse_than_a_failure() -> None:
    stopped = report(USED)
    stopped.add(Outcome("/a.py", Reason.WRITE, "No space left on device"))
    stopped.stopped = "/tree: No space left on device"
    assert stopped.exit_status is ExitStatus.SYSTEM


def test_no_usable_interpreter_is_a_failure() -> None:
    assert report().exit_status is ExitStatus.SOME_FAILED
    assert report(InterpreterNote(path="/x", refusal=BROKEN)).exit_status is ExitStatus.SOME_FAILED


def test_a_broken_interpreter_is_a_failure_only_if_it_was_named() -> None:
    found = InterpreterNote(path="/x", refusal=BROKEN)
    named = InterpreterNote(path="/x", refusal=BROKEN, named=True)
    assert report(USED, found).exit_status is ExitStatus.DONE
    assert report(USED, named).exit_status is ExitStatus.SOME_FAILED


def test_json_has_the_documented_form() -> None:
    filled = report(USED, InterpreterNote(path="/x", refusal=BROKEN))
    filled.compiled, filled.fresh, filled.removed, filled.seconds = 3, 2, 1, 0.12345
    filled.add(Outcome("/a.py", Reason.SYNTAX, "line 1: invalid syntax"))
    filled.add(Outcome("/b\udcff.py", Reason.UNREADABLE, "Permission denied"))
    filled.left.append(Outcome("/tree/3.11/x", Reason.FOREIGN, "not ours"))
    assert json.loads(json.dumps(filled.as_json())) == {
        "version": 1,
        "tree": "/tree",
        "dry_run": False,
        "workers": "caller",
        "workers_detail": "",
        "interpreters": [
            {
                "path": "/usr/bin/python3.11",
                "version": "3.11.2",
                "implementation": "cpython",
                "directory": "3.11",
                "status": "used",
                "reason": None,
                "detail": None,
            },
            {
                "path": "/x",
                "version": None,
                "implementation": None,
                "directory": None,
                "status": "skipped",
                "reason": "broken",
                "detail": "it does not start",
            },
        ],
        "counts": {"compiled": 3, "fresh": 2, "removed": 1, "failed": 1, "skipped": 1},
        "failures": [{"source": "/a.py", "reason": "syntax", "detail": "line 1: invalid syntax"}],
        "skips": [{"source": "/b\udcff.py", "reason": "unreadable", "detail": "Permission denied"}],
        "left": [{"path": "/tree/3.11/x", "reason": "foreign", "detail": "not ours"}],
        "remaining": 0,
        "stopped": None,
        "in_place": None,
        "seconds": 0.123,
    }


@pytest.mark.parametrize(
    ("error", "status"), [(TreeError, 5), (LockedError, 4), (PycacheSysError, 5)]
)
def test_each_expected_error_has_its_exit_status(error: type[PycacheSysError], status: int) -> None:
    raised = error("what happened", hint="what to do")
    assert (str(raised), raised.hint, raised.exit_status) == ("what happened", "what to do", status)
    assert error("what happened").hint == ""

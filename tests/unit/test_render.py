"""What a person sees is short, and no byte of a path reaches the terminal raw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.cli.render import _WORDS, print_report, printable, summary
from pycache_sys.core.model import Outcome, Reason
from pycache_sys.core.report import InterpreterNote, Report


@given(st.text(st.characters()))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert "\n" not in shown
    shown.encode("utf-8")


def test_an_ordinary_path_stays_as_it_is() -> None:
    assert printable("/usr/lib/é.py") == "/usr/lib/é.py"


def test_every_reason_has_words() -> None:
    assert set(_WORDS) == set(Reason)


def test_failures_are_named_and_the_many_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(tree="/tree")
    for number in range(30):
        report.add(Outcome(f"/{number}\n.py", Reason.SYNTAX, "line 1: \x1b[31m"))
    print_report(report, quiet=True, verbose=False)
    said = capsys.readouterr()
    assert said.out == ""
    assert "\x1b" not in said.err
    assert "and 10 more" in said.err
    assert len([line for line in said.err.splitlines() if "syntax error" in line]) == 20
    print_report(report, quiet=False, verbose=True)
    said = capsys.readouterr()
    assert len([line for line in said.err.splitlines() if "syntax error" in line]) == 30
    assert "failed 30" in said.out


def test_what_was_left_out_is_counted_and_named_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report(tree="/tree")
    report.add(Outcome("/a.py", Reason.UNREADABLE, "Permission denied"))
    report.left.append(Outcome("/tree/x", Reason.FOREIGN, "not ours"))
    assert "1 unreadable" in summary(report)
    print_report(report, quiet=False, verbose=False)
    assert "/a.py" not in capsys.readouterr().err
    print_report(report, quiet=False, verbose=True)
    said = capsys.readouterr().err
    assert "/a.py" in said
    assert "/tree/x" in said


def test_a_skipped_interpreter_says_why_on_one_printable_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note = InterpreterNote(
        path="/usr/bin/py\x1bthon",
        refusal=(Reason.WRONG_OWNER, "/usr/\x1b[31m\n/x belongs to uid 7"),
    )
    report = Report(tree="/tree")
    report.interpreters.append(note)
    print_report(report, quiet=False, verbose=False)
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert said.count("\n") == 1
    assert "not owned by root" in said


def test_a_stopped_run_says_what_remains(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(tree="/tree")
    report.stopped, report.remaining = "/tree: No space left on device", 7
    print_report(report, quiet=True, verbose=False)
    assert "7 sources were not reached" in capsys.readouterr().err


def test_a_dry_run_speaks_of_what_would_be() -> None:
    report = Report(tree="/tree", dry_run=True)
    report.compiled = 3
    assert "to compile 3" in summary(report)

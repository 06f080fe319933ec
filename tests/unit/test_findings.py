"""Findings: their JSON, the exit status, and commands that a shell takes as they are meant."""

import os
import subprocess

import pytest

from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.findings import Check, Diagnosis, Finding, Level, command

PROBLEM = Finding(Check.TREE, Level.PROBLEM, "it is off", ("/a", "/b"), ("mend it",))
ADVICE = Finding(Check.DUPLICATES, Level.ADVICE, "it may be so", hint="or leave it")


def test_problems_come_first_and_each_level_keeps_its_order() -> None:
    result = Diagnosis()
    other = PROBLEM._replace(check=Check.DISK)
    result.add(ADVICE, PROBLEM, other)
    assert result.of(Level.PROBLEM) == [PROBLEM, other]
    report = result.as_json()
    assert report["counts"] == {"problems": 2, "advice": 1}
    assert [one["check"] for one in report["findings"]] == ["tree", "disk", "duplicates"]
    assert report["findings"][0] == {
        "check": "tree",
        "level": "problem",
        "text": "it is off",
        "places": ["/a", "/b"],
        "commands": ["mend it"],
        "hint": None,
    }
    assert report["findings"][2]["hint"] == "or leave it"


def test_advice_alone_is_no_failure() -> None:
    result = Diagnosis()
    assert result.exit_status is ExitStatus.DONE
    result.add(ADVICE)
    result.cannot(Check.DISK, "it does not answer")
    assert result.exit_status is ExitStatus.DONE
    result.add(PROBLEM)
    assert result.exit_status is ExitStatus.SOME_FAILED


def test_what_could_not_be_looked_at_is_said_once() -> None:
    result = Diagnosis()
    for _ in range(2):
        result.cannot(Check.DISK, "it does not answer")
    assert result.as_json()["unchecked"] == [{"check": "disk", "detail": "it does not answer"}]


@pytest.mark.parametrize(
    "word",
    [
        "/usr/bin/python3.13",
        "",
        "a b",
        "it's",
        '$(touch x) `y` \\ "z" *?[a]',
        "ünïcode",
        "a\nb",
        "\x1b[31m%d%%\\n",
        os.fsdecode(b"\xff\xfe/x"),
        "-n",
        "~root",
    ],
)
def test_any_word_comes_out_of_a_shell_as_it_went_in(word: str) -> None:
    line = command("printf", "%s", word)
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert done.stdout == os.fsencode(word)
    assert line.isprintable()


def test_plain_words_stay_plain() -> None:
    assert command("pycache-sys", "enable", "--python", "/usr/bin/python3.13") == (
        "pycache-sys enable --python /usr/bin/python3.13"
    )

"""The verb ``doctor`` as it is called: what it prints, where, its exit status, and its page."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from pycache_sys.cli import doctor as cli_doctor
from pycache_sys.cli import main
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.findings import Check, Diagnosis, Finding, Level
from pycache_sys.doctor import owners, run, scene
from pycache_sys.doctor.sources import LEAST_DUPLICATES
from pycache_sys.doctor.storage import LEAST_BYTES, LEAST_INODES
from pycache_sys.system.machine import variables
from pycache_sys.system.users.as_user import Login
from pycache_sys.system.users.homes import Look, Place
from pycache_sys.system.users.search import DEEPEST, MOST_FILES, MOST_NAMED, MOST_SECONDS, PASSED_BY

PROBLEM = Finding(
    Check.TREE,
    Level.PROBLEM,
    "the tree is off",
    tuple(f"/place/{number}" for number in range(7)),
    ("pycache-sys rebuild", "true"),
)
ADVICE = Finding(Check.FLATTENED, Level.ADVICE, "a\x1b[31mb", ("/c\nd",), hint="leave\x07 it")
WORDS = " ".join(f"word{number}" for number in range(30))


class Terminal(io.StringIO):
    """Is one."""

    def isatty(self) -> bool:
        return True


def find(monkeypatch: pytest.MonkeyPatch, *findings: Finding, **more: list[str]) -> None:
    """Have these findings found."""

    def examine(_request: object, result: Diagnosis, _observer: object) -> None:
        result.add(*findings)
        for detail in more.get("unchecked", ()):
            result.cannot(Check.DISK, detail)
        result.for_root += more.get("for_root", ())

    monkeypatch.setattr(cli_doctor, "examine", examine)


def test_a_healthy_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find(monkeypatch)
    assert main(["doctor"]) == ExitStatus.DONE
    assert capsys.readouterr() == ("nothing is wrong\n", "")
    assert main(["doctor", "-q"]) == ExitStatus.DONE
    assert capsys.readouterr() == ("", "")


def test_problems_come_first_and_names_are_safe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find(monkeypatch, ADVICE, PROBLEM)
    assert main(["doctor"]) == ExitStatus.SOME_FAILED
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (
        "problem: the tree is off [tree]\n"
        "    /place/0\n"
        "    /place/1\n"
        "    /place/2\n"
        "    /place/3\n"
        "    /place/4\n"
        "    and 2 more (-v names them)\n"
        "  mend: pycache-sys rebuild\n"
        "  mend: true\n"
        "\n"
        "advice: a\\x1b[31mb [flattened]\n"
        "    /c\\nd\n"
        "  to do: leave\\x07 it\n"
    )


def test_with_v_each_place_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find(monkeypatch, PROBLEM._replace(hint="there is more"))
    assert main(["doctor", "-v"]) == ExitStatus.SOME_FAILED
    out = capsys.readouterr().out
    assert "/place/6\n" in out
    assert "more (-v" not in out
    assert out.endswith("  note: there is more\n")


def test_quiet_leaves_advice_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find(monkeypatch, ADVICE, PROBLEM, for_root=["the homes"])
    assert main(["doctor", "-q"]) == ExitStatus.SOME_FAILED
    out, err = capsys.readouterr()
    assert "advice" not in out
    assert err == ""


def test_what_was_not_looked_at_is_said_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find(monkeypatch, unchecked=["/dead\n: no answer"], for_root=["the homes", "the rest"])
    assert main(["doctor"]) == ExitStatus.DONE
    out, err = capsys.readouterr()
    assert out == "nothing is wrong\n"
    assert err == (
        "pycache-sys: disk: could not be checked: /dead\\n: no answer\n"
        "pycache-sys: run it as root for the homes and the rest\n"
    )


def test_an_interruption_keeps_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def examine(_request: object, result: Diagnosis, _observer: object) -> None:
        if find_one:
            result.add(PROBLEM)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_doctor, "examine", examine)
    find_one = False
    assert main(["doctor"]) == ExitStatus.INTERRUPTED
    assert capsys.readouterr().out == ""
    find_one = True
    assert main(["doctor"]) == ExitStatus.INTERRUPTED
    out, err = capsys.readouterr()
    assert out.startswith("problem: ")
    assert "interrupted" in err


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm"}])
def test_on_a_terminal_sentences_are_folded_and_commands_are_not(
    monkeypatch: pytest.MonkeyPatch, columns: int, variables: dict[str, str]
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (*variables.items(), ("COLUMNS", str(columns))):
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    find(monkeypatch, PROBLEM._replace(text=WORDS, commands=(WORDS,), hint=WORDS))
    main(["doctor", "-q"])
    shown = terminal.getvalue()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert (plain != shown) is (variables.get("TERM") == "xterm")
    lines = plain.splitlines()
    (command,) = [line for line in lines if "mend:" in line]
    assert command == f"  mend: {WORDS}"
    width = min(max(columns, 60), 100)
    assert max(len(line) for line in lines if line != command) in range(width - 10, width + 1)
    assert lines[1].startswith("  word")


def test_in_a_pipe_a_sentence_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find(monkeypatch, PROBLEM._replace(text=WORDS, places=(), commands=(), hint=WORDS))
    main(["doctor"])
    assert capsys.readouterr().out == f"problem: {WORDS} [tree]\n  to do: {WORDS}\n"


def test_an_interpreter_that_is_not_there_is_a_mistake_of_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--config", "/dev/null", "--python", "==3.99"]) == ExitStatus.USAGE
    assert "no interpreter has a version" in capsys.readouterr().err
    assert main(["doctor", "--config", "/there/is/none"]) == ExitStatus.USAGE
    assert "there is no policy file" in capsys.readouterr().err


# the page

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
MANUAL = PAGE.parents[1] / "man" / "pycache-sys.8"


def explained(first: str) -> list[str]:
    """List what a table explains, by the heading of its first column."""
    table = PAGE.read_text().split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0]
    return [
        word
        for line in table.splitlines()[2:]
        for word in re.findall("`([^`]+)`", line.split("|")[1])
    ]


def test_every_check_is_made_and_explained_in_order() -> None:
    assert set(run.CHECKS) == set(Check)
    assert explained("check") == [check.value for check in run.CHECKS]
    text = MANUAL.read_text().split("\n.SS doctor\n")[1].split("\n.SS ")[0].replace("\\-", "-")
    assert set(re.findall(r"^\.RB \( ([a-z-]+) \)", text, re.MULTILINE)) == set(Check)


def test_the_json_of_the_page_has_just_the_keys_that_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    shown = json.loads(example)
    look = Look(Place("/home/ada", Login("ada", 1001, 1001, ())))
    look.searched.number, look.searched.root_owned = 1, ["/home/ada/work/__pycache__"]
    find(monkeypatch, owners._finding(look), unchecked=["it is off"])
    assert main(["doctor", "--json"]) == ExitStatus.SOME_FAILED
    printed = json.loads(capsys.readouterr().out)
    assert list(shown) == list(printed)
    assert shown["findings"] == printed["findings"]
    assert [list(one) for one in shown["unchecked"]] == [list(printed["unchecked"][0])]
    assert explained("key")[:2] == list(printed)[:2]
    assert set(printed) <= set(explained("key"))


def test_the_example_of_the_page_is_what_is_printed() -> None:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    blocks = [text for language, text in fenced if not language]
    assert blocks[0] == f"{cli_doctor.NOTHING}\n"
    first, second = blocks[1].split("\n\n")
    for text, level in ((first, Level.PROBLEM), (second, Level.ADVICE)):
        lines = text.splitlines()
        found = re.fullmatch(r"(problem|advice): (.*) \[([a-z-]+)\]", lines[0])
        assert found is not None
        finding = Finding(
            Check(found[3]),
            level,
            found[2],
            tuple(line.strip() for line in lines[1:-1]),
            (lines[-1].removeprefix("  mend: "),),
        )
        assert list(cli_doctor.lines_of(finding, verbose=False)) == lines


def test_limits_and_places_of_the_page_are_those_of_the_program() -> None:
    text = " ".join(PAGE.read_text().split())
    assert f"After {MOST_FILES:,} files, {MOST_SECONDS:.0f} seconds or {DEEPEST} dir" in text
    assert f"the first {MOST_NAMED}." in text
    assert f"less than {LEAST_BYTES >> 20} MiB" in text
    assert f"less than {LEAST_INODES} inodes" in text
    assert f"{LEAST_DUPLICATES >> 20} MiB or more" in text
    assert cli_doctor.LISTED == 5
    assert "not only the first five" in text
    directories = [path for path, _ in variables.DIRECTORIES if "systemd" not in path]
    files = [path for path in variables.FILES if "systemd" not in path]
    places = [*files, *directories, *variables.UNITS, *variables.IN_HOME, *scene.OTHERS]
    places += [variables.DIRECTORY_IN_HOME[0], *PASSED_BY]
    assert [place for place in places if f"`{place}`" not in text] == []

"""What the manual and the pages say is what the command does."""

import argparse
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pycache_sys.cli import render
from pycache_sys.cli.arguments import build_parser
from pycache_sys.core.identity import OLDEST
from pycache_sys.core.model import FAILURES, Interpreter, Invalidation, Outcome, Reason
from pycache_sys.core.pyc import FLATTENED_BEFORE
from pycache_sys.core.report import ExitStatus, InterpreterNote, Report
from pycache_sys.system.interpreters import SEARCHED
from pycache_sys.system.lock import SYSTEM_LOCK
from pycache_sys.system.privileges import ACCOUNT
from pycache_sys.system.tree import SYSTEM_TREE
from pycache_sys.system.workers import Limits

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "man" / "pycache-sys.8"
REPORT_PAGE = ROOT / "docs" / "report.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "bench").glob("*.md")])
USER_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

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


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the parser and those of its verbs, by verb."""
    parser = build_parser()
    yield "", parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def options() -> set[str]:
    """Collect every option of the command line, short and long."""
    return {
        option
        for _, parser in parsers()
        for action in parser._actions
        for option in action.option_strings
    }


def verbs() -> set[str]:
    return {verb for verb, _ in parsers()} - {""}


def sections(text: str, heading: str) -> dict[str, str]:
    """Divide a text at its headings."""
    pieces = re.split(heading, text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def manual() -> dict[str, str]:
    """Read the manual's sections, without what its font changes and escapes look like."""
    return sections(MANUAL.read_text().replace(r"\-", "-"), r"^\.SH (.+)\n")


def tags(section: str) -> list[str]:
    """List the words that a section of the manual explains."""
    found = re.findall(r"^\.TP\n\.([BIR]+) (.*)$", section, flags=re.MULTILINE)
    plain = [re.sub(r"\\f.|\"", "", tag) for _, tag in found]
    return [re.sub(r" *, *", ", ", tag).strip() for tag in plain]


def described_options(section: str) -> list[str]:
    return [option for tag in tags(section) for option in re.findall(r"(?<!\S)--?[a-z-]+", tag)]


def rows(section: str) -> list[list[str]]:
    """Read the first cells of a Markdown table's rows, the words in backticks or else the text."""
    first = re.findall(r"^\| ([^|]+) \|", section, flags=re.MULTILINE)
    return [re.findall(r"`([^`]+)`", cell) or [cell] for cell in first if "---" not in cell]


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )


def readme_commands() -> list[str]:
    """List the one-line commands that a newcomer is told to run."""
    blocks = code_blocks(ROOT / "README.md", "sh")
    return [block.rstrip("\n") for block in blocks if block.startswith("python3 -m venv")]


class TestManual:
    def test_every_option_is_described_once_and_no_other(self) -> None:
        described = described_options(manual()["OPTIONS"])
        assert sorted(described) == sorted(options())

    def test_no_option_is_named_that_does_not_exist(self) -> None:
        named = re.findall(r"(?<![\w-])--[a-z][a-z-]+", "".join(manual().values()))
        assert set(named) <= options()

    def test_every_verb_is_described_and_no_other(self) -> None:
        assert set(re.findall(r"^\.SS (.+)$", manual()["VERBS"], flags=re.MULTILINE)) == verbs()

    @pytest.mark.parametrize("mode", Invalidation)
    def test_every_choice_is_described(self, mode: Invalidation) -> None:
        assert re.search(rf"^\.BR? {mode}\b", manual()["OPTIONS"], flags=re.MULTILINE)

    def test_every_exit_status_is_described(self) -> None:
        assert tags(manual()["EXIT STATUS"]) == [str(int(status)) for status in ExitStatus]

    def test_diagnostics_are_in_the_words_of_the_report(self) -> None:
        source = Path(render.__file__).read_text()
        words = [word for tag in tags(manual()["DIAGNOSTICS"]) for word in tag.split(", ")]
        assert words
        assert [word for word in words if f'"{word}"' not in source] == []

    @pytest.mark.parametrize("fact", [SYSTEM_TREE, SYSTEM_LOCK, ACCOUNT, *SEARCHED])
    def test_names_of_the_system_are_right(self, fact: str) -> None:
        assert fact in "".join(manual().values())

    @pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
    def test_formats_without_a_warning(self) -> None:
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MANUAL],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
    def test_is_portable(self) -> None:
        done = subprocess.run(
            ["mandoc", "-Tlint", "-W", "warning", MANUAL],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "")


class TestReportPage:
    def test_every_reason_is_explained_and_no_other(self) -> None:
        reasons = sections(REPORT_PAGE.read_text(), r"^## (.+)\n")["Reasons"]
        explained = [word for row in rows(reasons) for word in row if word != "reason"]
        assert set(explained) == {reason.value for reason in Reason}

    def test_failures_are_those_that_count_as_failures(self) -> None:
        section = sections(REPORT_PAGE.read_text(), r"^##+ (.+)\n")["Failures"]
        assert {row[0] for row in rows(section)[1:]} == {reason.value for reason in FAILURES}

    def test_every_exit_status_is_explained(self) -> None:
        section = sections(REPORT_PAGE.read_text(), r"^## (.+)\n")["Exit statuses"]
        assert [row[0] for row in rows(section)[1:]] == [str(int(status)) for status in ExitStatus]

    def test_the_json_example_has_just_the_keys_of_a_report(self) -> None:
        outcome = Outcome("/source", Reason.SYNTAX, "detail")
        report = Report(
            tree=SYSTEM_TREE,
            interpreters=[InterpreterNote(path=INTERPRETER.path, interpreter=INTERPRETER)],
            failures=[outcome],
            skips=[outcome],
            left=[outcome],
        )
        (example,) = code_blocks(REPORT_PAGE, "json")
        assert keys(json.loads(example)) == keys(report.as_json())

    def test_every_key_is_explained(self) -> None:
        section = sections(REPORT_PAGE.read_text(), r"^## (.+)\n")["JSON"]
        explained = [word for row in rows(section)[1:] for word in row]
        assert explained == list(Report(tree=SYSTEM_TREE).as_json())


def keys(value: Any) -> Any:
    """Reduce a JSON value to its keys, in their order."""
    match value:
        case dict():
            return [(key, keys(inner)) for key, inner in value.items()]
        case list():
            return [keys(inner) for inner in value]
        case _:
            return None


@pytest.mark.parametrize("page", ["docs/report.md", "docs/how-it-works.md", "man/pycache-sys.8"])
def test_limits_are_those_of_the_workers(page: str) -> None:
    limits, text = Limits(), " ".join((ROOT / page).read_text().split())
    assert limits.address_space is not None
    assert f"{limits.address_space >> 30} GiB of address space" in text
    assert f"{limits.seconds} seconds" in text


def test_the_oldest_python_is_right() -> None:
    assert "older than Python {}.{}".format(*OLDEST) in REPORT_PAGE.read_text()


def test_the_day_before_which_times_say_nothing_is_right() -> None:
    from datetime import UTC, datetime

    day = datetime.fromtimestamp(FLATTENED_BEFORE, UTC).date().isoformat()
    assert day in MANUAL.read_text()
    assert day in (ROOT / "docs" / "how-it-works.md").read_text()


class TestReadme:
    def test_two_commands_are_one_line_each(self) -> None:
        commands = readme_commands()
        assert len(commands) == 2
        assert not any("\n" in command for command in commands)

    @pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
    def test_its_commands_are_what_is_checked_on_a_fresh_machine(self) -> None:
        done = subprocess.run(
            [ROOT / ".ci" / "run", "--list"], capture_output=True, text=True, check=True
        )
        stages = [line.partition(": ")[2] for line in done.stdout.splitlines()]
        assert set(readme_commands()) <= set(stages)

    def test_contributors_are_told_the_same_test_command(self) -> None:
        (test_command,) = (c for c in readme_commands() if c.endswith("pytest"))
        assert code_blocks(ROOT / "CONTRIBUTING.md", "sh")[0].rstrip("\n") == test_command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", USER_PAGES, ids=name)
def test_no_verb_and_no_option_is_promised_that_does_not_exist(page: Path) -> None:
    text = page.read_text()
    called = re.findall(
        r"(?:^|[`/ ])pycache-sys ([a-z]\S*)", "\n".join(code(text)), flags=re.MULTILINE
    )
    assert {verb.strip("`") for verb in called} <= verbs()
    named = re.findall(r"`(--[a-z-]+)", text)
    assert set(named) <= options()


def code(text: str) -> list[str]:
    """List what is written as code: blocks and spans."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`[^`\n]+`", text)


def test_news_fragments_are_named_as_towncrier_wants() -> None:
    fragments = [f.name for f in (ROOT / "newsfragments").iterdir() if not f.name.startswith(".")]
    kinds = "feature|bugfix|doc|removal|misc"
    assert [f for f in fragments if not re.fullmatch(rf"\d+\.({kinds})(\.\d+)?\.md", f)] == []

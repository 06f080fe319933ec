"""What the manual and the pages say is what the command does."""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pycache_sys.cli import main, render
from pycache_sys.cli import policy as cli_policy
from pycache_sys.cli.arguments import build_parser
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.identity import OLDEST
from pycache_sys.core.model import FAILURES, Interpreter, Invalidation, Outcome, Reason
from pycache_sys.core.names import SEARCHED
from pycache_sys.core.pyc import FLATTENED_BEFORE
from pycache_sys.core.report import InterpreterNote, Report
from pycache_sys.policy.files import BCEP, REGISTRY
from pycache_sys.policy.keys import EXCLUDE, INTERPRETERS, KEYS, ROOT, SECTIONS, Key
from pycache_sys.policy.model import EVERYBODY, Policy, Subject
from pycache_sys.policy.parse import Parser, parse
from pycache_sys.policy.problems import Problem
from pycache_sys.show import Place, User, cache_of, settings_as_json
from pycache_sys.system.lock import SYSTEM_LOCK
from pycache_sys.system.pythons.workers import Limits
from pycache_sys.system.tree import SYSTEM_TREE
from pycache_sys.system.users.privileges import ACCOUNT
from pycache_sys_runtime import policy as runtime

TOP = Path(__file__).parents[2]
MANUAL = TOP / "man" / "pycache-sys.8"
POLICY_MANUAL = TOP / "man" / "pycacheprefix.conf.5"
MANUALS = sorted((TOP / "man").iterdir())
DEFAULTS_FILE = TOP / "conf" / "pycacheprefix.conf"
REPORT_PAGE = TOP / "docs" / "report.md"
POLICY_PAGE = TOP / "docs" / "policy.md"
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").glob("*.md"), *(TOP / "bench").glob("*.md")])
USER_PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
ADA = 1001

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
    return str(page.relative_to(TOP))


def parsers(
    verb: str = "", parser: argparse.ArgumentParser | None = None
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the parser and those of its verbs, however deep, by verb."""
    parser = parser or build_parser()
    yield verb, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from parsers(f"{verb} {word}".lstrip(), inner)


def options() -> set[str]:
    """Collect every option of the command line, short and long."""
    return {
        option
        for _, parser in parsers()
        for action in parser._actions
        for option in action.option_strings
    }


def verbs() -> set[str]:
    """Collect the verbs that do something, like ``policy check``; ``policy`` alone does not."""
    return {verb for verb, parser in parsers() if parser.get_default("run")}


def unknown_verbs(text: str) -> set[str]:
    """Find what stands as a verb after the command's name, but is neither one nor part of one."""
    known = {verb: parser.get_default("run") for verb, parser in parsers()}
    unknown = set()
    for words in re.findall(r"(?:^|[`/ ])pycache-sys ([a-z]+(?: [a-z]+)?)", text, re.MULTILINE):
        first, *_ = words.split()
        if words not in known and not known.get(first):
            unknown.add(words)
    return unknown


def sections(text: str, heading: str) -> dict[str, str]:
    """Divide a text at its headings."""
    pieces = re.split(heading, text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def manual(page: Path = MANUAL) -> dict[str, str]:
    """Read a manual's sections, without what its escapes look like."""
    text = page.read_text()
    for escape, character in (("-", "-"), ("(ha", "^"), ("(ti", "~"), ("(aq", "'")):
        text = text.replace("\\" + escape, character)
    return sections(text, r"^\.SH (.+)\n")


def tags(section: str) -> list[str]:
    """List the words that a section of the manual explains."""
    found = re.findall(r"^\.TP\n\.([BIR]+) (.*)$", section, flags=re.MULTILINE)
    plain = [re.sub(r"\\f.|\"", "", tag) for _, tag in found]
    return [re.sub(r" *, *", ", ", tag).strip() for tag in plain]


def described_options(section: str) -> list[str]:
    return [option for tag in tags(section) for option in re.findall(r"(?<!\S)--?[a-z0-9-]+", tag)]


def rows(section: str) -> list[list[str]]:
    """Read the first cells of a Markdown table's rows, the words in backticks or else the text."""
    first = re.findall(r"^\| ([^|]+) \|", section, flags=re.MULTILINE)
    return [re.findall(r"`([^`]+)`", cell) or [cell] for cell in first if "---" not in cell]


def explained(page: Path, heading: str) -> list[str]:
    """List what the table below a heading explains."""
    section = sections(page.read_text(), r"^## (.+)\n")[heading]
    return [word for row in rows(section)[1:] for word in row]


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )


def readme_commands() -> list[str]:
    """List the one-line commands that a newcomer is told to run."""
    blocks = code_blocks(TOP / "README.md", "sh")
    return [block.rstrip("\n") for block in blocks if block.startswith("python3 -m venv")]


class TestManual:
    def test_every_option_is_described_once_and_no_other(self) -> None:
        described = described_options(manual()["OPTIONS"])
        assert sorted(described) == sorted(options())

    @pytest.mark.parametrize("page", MANUALS, ids=name)
    def test_no_option_is_named_that_does_not_exist(self, page: Path) -> None:
        named = re.findall(r"(?<![\w-])--[a-z][a-z-]+", "".join(manual(page).values()))
        assert set(named) <= options()

    def test_the_synopsis_has_every_verb(self) -> None:
        shown = re.findall(r'^\.SY "pycache-sys (.+)"$', manual()["SYNOPSIS"], flags=re.MULTILINE)
        assert set(shown) == verbs()

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

    @pytest.mark.parametrize("page", MANUALS, ids=name)
    @pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
    def test_formats_without_a_warning(self, page: Path) -> None:
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("page", MANUALS, ids=name)
    @pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
    def test_is_portable(self, page: Path) -> None:
        done = subprocess.run(
            ["mandoc", "-Tlint", "-W", "warning", page],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "")


class TestReportPage:
    def test_every_reason_is_explained_and_no_other(self) -> None:
        reasons = sections(REPORT_PAGE.read_text(), r"^## (.+)\n")["Reasons"]
        words = [word for row in rows(reasons) for word in row if word != "reason"]
        assert set(words) == {reason.value for reason in Reason}

    def test_failures_are_those_that_count_as_failures(self) -> None:
        section = sections(REPORT_PAGE.read_text(), r"^##+ (.+)\n")["Failures"]
        assert {row[0] for row in rows(section)[1:]} == {reason.value for reason in FAILURES}

    def test_every_exit_status_is_explained(self) -> None:
        section = sections(REPORT_PAGE.read_text(), r"^## (.+)\n")["Exit statuses"]
        assert [row[0] for row in rows(section)[1:]] == [str(int(status)) for status in ExitStatus]

    def test_the_json_example_has_just_the_keys_of_a_report(self) -> None:
        outcome = Outcome("/source", Reason.SYNTAX, "detail")
        report = Report(tree=SYSTEM_TREE)
        report.interpreters.append(InterpreterNote(path=INTERPRETER.path, interpreter=INTERPRETER))
        for outcomes in (report.failures, report.skips, report.left):
            outcomes.append(outcome)
        example, _, _ = code_blocks(REPORT_PAGE, "json")
        assert keys(json.loads(example)) == keys(report.as_json())

    def test_every_key_is_explained(self) -> None:
        assert explained(REPORT_PAGE, "JSON") == list(Report(tree=SYSTEM_TREE).as_json())

    def test_the_json_example_of_policy_check_is_what_it_prints(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _, example, _ = code_blocks(REPORT_PAGE, "json")
        file = tmp_path / "50-local.conf"
        file.write_text(BROKEN)
        assert main(["policy", "check", "--json", str(file)]) == ExitStatus.POLICY
        printed = capsys.readouterr().out.replace(str(file), LOCAL)
        assert json.loads(printed) == json.loads(example)
        assert explained(REPORT_PAGE, "JSON of policy check") == list(json.loads(example))

    def test_the_json_example_of_policy_show_has_just_the_keys_of_one(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        *_, block = code_blocks(REPORT_PAGE, "json")
        example = json.loads(block)
        file = tmp_path / "50-local.conf"
        file.write_text("")
        assert main(["policy", "show", "--json", "--config", str(file)]) == ExitStatus.DONE
        printed = json.loads(capsys.readouterr().out)
        assert list(example) == list(printed)
        assert list(example["user"]) == list(printed["user"])
        view = deciding_policy().view(Subject(uid=ADA))
        found = settings_as_json(view)
        assert example["settings"] == {key: found[key] for key in example["settings"]}
        place = Place(folder="3.11", verdict="compiled", detail="").as_json()
        assert [list(one) for one in example["for"]["interpreters"]] == [list(place)]
        assert explained(REPORT_PAGE, "JSON of policy show") == list(example)


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
    limits, text = Limits(), " ".join((TOP / page).read_text().split())
    assert limits.address_space is not None
    assert f"{limits.address_space >> 30} GiB of address space" in text
    assert f"{limits.seconds} seconds" in text


def test_the_oldest_python_is_right() -> None:
    assert "older than Python {}.{}".format(*OLDEST) in REPORT_PAGE.read_text()


def test_the_day_before_which_times_say_nothing_is_right() -> None:
    from datetime import UTC, datetime

    day = datetime.fromtimestamp(FLATTENED_BEFORE, UTC).date().isoformat()
    assert day in MANUAL.read_text()
    assert day in (TOP / "docs" / "how-it-works.md").read_text()


# the policy

LOCAL = "/etc/pycacheprefix.conf.d/50-local.conf"
BROKEN = """\
# bytecode of users goes to the RAM disk
user-cache = /run/user/{user_id}/pycache-sys
jobz = 2
"""


def parse_example(text: str) -> tuple[Policy, list[Problem]]:
    """Parse an example on a system that has each of its users and groups."""
    return parse([(LOCAL, text)], lambda _kind, name: 0 if name == "root" else ADA)


def deciding_policy() -> Policy:
    """Give the policy that the page's section about decisions shows."""
    (page,) = [
        text for title, text in page_sections(POLICY_PAGE) if title.startswith("Who decides")
    ]
    policy, problems = parse_example(ini_blocks(page)[0])
    assert problems == []
    return policy


def page_sections(page: Path) -> list[tuple[str, str]]:
    return list(sections(page.read_text(), r"^## (.+)\n").items())


def ini_blocks(text: str) -> list[str]:
    return re.findall(r"^```ini\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def examples(section: str) -> list[str]:
    """List the examples in a section of the policy's manual."""
    blocks: list[str] = re.findall(
        r"^\.EX\n(.*?)^\.EE$", manual(POLICY_MANUAL)[section], flags=re.MULTILINE | re.DOTALL
    )
    assert blocks
    return blocks


class TestDefaultsFile:
    TEXT = DEFAULTS_FILE.read_text(encoding="ascii")
    UNCOMMENTED = re.sub(r"^#(?=[a-z-]+ =( |$)|\[)", "", TEXT, flags=re.MULTILINE)

    def test_start_up_reads_nothing_but_comments(self) -> None:
        assert runtime.scan(self.TEXT) == []
        assert len(self.TEXT) < 8192

    def test_it_has_every_key_in_order_with_its_default(self) -> None:
        found = [
            (key, section, value)
            for _, _, _, section, key, operator, value in runtime.scan(self.UNCOMMENTED)
            if operator
        ]
        assert found == [
            (key.name, "" if key.is_plain else "root /srv/app", key.default)
            for key in KEYS.values()
        ]

    def test_what_start_up_takes_for_a_default_is_in_it(self) -> None:
        lines = self.UNCOMMENTED.split("\n")
        assert [line for line in runtime_defaults() if line not in lines] == []

    def test_uncommented_it_is_right_and_changes_nothing(self) -> None:
        policy, problems = parse_example(self.UNCOMMENTED)
        assert problems == []
        for subject in (EVERYBODY, Subject(root="/srv/app")):
            view, untouched = policy.view(subject), Policy().view(subject)
            for key in KEYS.values():
                assert view[key] == untouched[key]
                assert view.text(key) == untouched.text(key)

    @pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
    def test_each_comment_names_the_sections_of_its_key(self, key: Key[Any]) -> None:
        blocks = [block for block in self.TEXT.split("\n\n") if f"\n#{key.name} =" in block]
        named = re.findall(r"In sections: ([a-z, ]+)\.", "".join(blocks))
        expected = [kind for kind in SECTIONS if kind in key.sections]
        assert len(blocks) == 1
        assert named == ([", ".join(expected)] if expected and key.is_plain else [])


def runtime_defaults() -> list[str]:
    return [f"{key} = {value}" for key, value in runtime.DEFAULTS.items()]


class TestPolicyManual:
    def entries(self) -> dict[str, str]:
        """Read what is said of each key, by the line that names it."""
        entries = sections(manual(POLICY_MANUAL)["OPTIONS"], r"^\.TP\n\.BR (.+)\n")
        return {"".join(shlex.split(line)): text for line, text in entries.items()}

    def test_every_key_is_described_once_with_its_default_and_no_other(self) -> None:
        options = manual(POLICY_MANUAL)["OPTIONS"]
        expected = [f"{key.name} = {key.default}".rstrip() for key in KEYS.values()]
        assert sorted(self.entries()) == sorted(expected)
        assert options.count("\n.TP\n") == len(KEYS)

    @pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
    def test_every_key_is_described_with_its_sections(self, key: Key[Any]) -> None:
        text = self.entries()[f"{key.name} = {key.default}".rstrip()]
        (said,) = re.findall(r"^((?:Only in s|S)ections: .+)\.$", text, flags=re.MULTILINE)
        places = ", ".join(kind for kind in SECTIONS if kind in key.sections) or "none"
        assert said == f"{'Sections' if key.is_plain else 'Only in sections'}: {places}"

    def test_every_kind_of_section_is_described(self) -> None:
        described = re.findall(
            r"^\.BI \[([a-z]+)", manual(POLICY_MANUAL)["SECTIONS"], flags=re.MULTILINE
        )
        assert described == list(SECTIONS)

    def test_the_lists_are_named(self) -> None:
        (said,) = re.findall(
            r"^The lists are\n(.+?)\.$", manual(POLICY_MANUAL)["FORMAT"], re.MULTILINE | re.DOTALL
        )
        words = [word for word in re.findall(r"[a-z-]+", said) if word in KEYS]
        assert words == [key.name for key in KEYS.values() if key.is_list]

    @pytest.mark.parametrize("example", examples("EXAMPLES"))
    def test_every_example_is_right(self, example: str) -> None:
        policy, problems = parse_example(example)
        assert problems == []
        assert policy.settings

    def test_the_example_of_a_registered_root_is_right(self) -> None:
        (example,) = examples("REGISTERED ROOTS")
        assert registered_problems(example) == []

    def test_the_example_of_an_error_is_what_is_printed(self) -> None:
        example, _ = examples("DIAGNOSTICS")
        text = "#\n#\n#\ninvalidation = hashed\n"
        _, (problem,) = parse([("/etc/pycacheprefix.conf", text)], lambda *_: None)
        assert f"{problem}\n" == example

    def test_directories_are_in_the_order_of_precedence(self) -> None:
        mains = [f"{directory}/{runtime.FILE_NAME}" for directory in runtime.DIRECTORIES]
        synopsis = re.findall(r"(/\S+)", manual(POLICY_MANUAL)["SYNOPSIS"])
        assert synopsis == [*mains, *(f"{main}.d/" for main in mains), f"{REGISTRY}/"]
        named = re.findall(
            r"^\.IR? (/\S+\.conf)\b", manual(POLICY_MANUAL)["FILES AND PRECEDENCE"], re.MULTILINE
        )
        assert named[:3] == mains

    def test_facts_are_right(self) -> None:
        text = "".join(manual(POLICY_MANUAL).values())
        facts = [runtime.IDS_FILE, REGISTRY, BCEP, f"{runtime.SIZE_LIMIT >> 10} KiB"]
        placeholders = [*runtime.DIRECTORY_PLACEHOLDERS, *runtime.NAME_PLACEHOLDERS]
        words = [*facts, *placeholders, *runtime.EXPLICIT_PREFIX]
        assert [word for word in words if word not in text] == []

    def test_a_verb_that_does_not_exist_is_said_to_come(self) -> None:
        pieces = manual(POLICY_MANUAL)
        assert unknown_verbs("".join(pieces.values())) == set()
        assert "cache-max-size" in pieces["NOTES"]


def registered_problems(text: str) -> list[Problem]:
    """Parse what a package registers."""
    parser = Parser(lambda *_: None, {key.name: key for key in (INTERPRETERS, EXCLUDE)}, (ROOT,))
    parser.read(f"{REGISTRY}/gizmo.conf", text)
    return parser.problems


class TestPolicyPage:
    @pytest.mark.parametrize("example", ini_blocks(POLICY_PAGE.read_text()))
    def test_every_example_is_right(self, example: str) -> None:
        policy, problems = parse_example(example)
        assert problems == []
        assert policy.settings

    def test_the_example_for_packages_is_right(self) -> None:
        *_, example = ini_blocks(POLICY_PAGE.read_text())
        assert registered_problems(example) == []

    def test_the_example_of_errors_is_what_is_printed(self) -> None:
        _, problems = parse_example(BROKEN)
        drawn = "".join(f"{problem}\n" for problem in problems)
        assert f"{drawn}{LOCAL}: 1 error, 1 warning\n" in POLICY_PAGE.read_text()

    def test_what_policy_show_prints_is_what_it_prints(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        policy = deciding_policy()
        user = User(name="ada", uid=ADA, gids=(ADA,), environ={})
        view = policy.view(Subject(uid=ADA, gids=(ADA,)))
        cli_policy._print_settings(policy, view, user, *cache_of(view, user))
        printed = capsys.readouterr().out.splitlines(keepends=True)
        shown = "".join(line for line in printed if "default" not in line)
        assert f"```\n{shown}```\n" in POLICY_PAGE.read_text()


def test_the_wheel_has_the_manuals_and_the_defaults() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    manuals = {name(page): f"share/man/man{page.suffix[1:]}/{page.name}" for page in MANUALS}
    assert shipped == {**manuals, name(DEFAULTS_FILE): f"share/pycache-sys/{runtime.FILE_NAME}"}


class TestReadme:
    def test_two_commands_are_one_line_each(self) -> None:
        commands = readme_commands()
        assert len(commands) == 2
        assert not any("\n" in command for command in commands)

    @pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
    def test_its_commands_are_what_is_checked_on_a_fresh_machine(self) -> None:
        done = subprocess.run(
            [TOP / ".ci" / "run", "--list"], capture_output=True, text=True, check=True
        )
        stages = [line.partition(": ")[2] for line in done.stdout.splitlines()]
        assert set(readme_commands()) <= set(stages)

    def test_contributors_are_told_the_same_test_command(self) -> None:
        (test_command,) = (c for c in readme_commands() if c.endswith("pytest"))
        assert code_blocks(TOP / "CONTRIBUTING.md", "sh")[0].rstrip("\n") == test_command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", USER_PAGES, ids=name)
def test_no_verb_and_no_option_is_promised_that_does_not_exist(page: Path) -> None:
    text = page.read_text()
    assert unknown_verbs("\n".join(code(text))) == set()
    named = re.findall(r"`(--[a-z-]+)", text)
    assert set(named) <= options()


def code(text: str) -> list[str]:
    """List what is written as code: blocks and spans."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`[^`\n]+`", text)


def test_news_fragments_are_named_as_towncrier_wants() -> None:
    fragments = [f.name for f in (TOP / "newsfragments").iterdir() if not f.name.startswith(".")]
    kinds = "feature|bugfix|doc|removal|misc"
    assert [f for f in fragments if not re.fullmatch(rf"\d+\.({kinds})(\.\d+)?\.md", f)] == []

"""The verb ``status`` as it is called: its screens, its formats, its exit statuses."""

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from pycache_sys.cli import main, passing_line
from pycache_sys.cli import status as cli_status
from pycache_sys.cli.arguments import build_parser
from pycache_sys.cli.columns import Paint, width_of
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.model import Reason
from pycache_sys.core.standing import Cache, Standing
from pycache_sys.core.tidying import Refused
from status_examples import NOW, healthy, odd

PAGE = Path(__file__).parents[2] / "docs" / "status.md"
NAMES = ["x", "a-long-name-" * 12, "日本語" * 30, "é" * 50, "bl ank " * 20]
WIDTHS = [60, 79, 80, 81, 100, 132, 200, 400]
PLAIN, RED = Paint(is_on=False), Paint(is_on=True)
ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def screen(standing: Standing, width: int, paint: Paint = PLAIN, **options: Any) -> list[str]:
    return list(cli_status.screen(standing, width, paint, now=NOW, **options))


def give(monkeypatch: pytest.MonkeyPatch, standing: Standing) -> None:
    """Have the use case find this."""

    def status(_request: object, found: Standing, _observer: object) -> None:
        for name in Standing.__slots__:
            setattr(found, name, getattr(standing, name))

    monkeypatch.setattr(cli_status, "status", status)


# the screen


@pytest.mark.parametrize("for_all", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES, ids=["short", "long", "wide", "accents", "blanks"])
def test_no_line_is_wider_than_the_screen(name: str, width: int, for_all: bool) -> None:
    lines = screen(odd(name=name), width, is_for_all=for_all)
    assert [line for line in lines if width_of(line) > width] == []
    assert [line for line in lines if not line.isprintable() and line] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES, ids=["short", "long", "wide", "accents", "blanks"])
def test_colour_changes_no_character(name: str, width: int) -> None:
    painted = screen(odd(name=name), width, RED)
    assert [ESCAPE.sub("", line) for line in painted] == screen(odd(name=name), width)
    assert set(ESCAPE.findall("".join(painted))) == {"\x1b[31m", "\x1b[0m"}


def columns_at(lines: list[str], title: str) -> list[str]:
    """Read the cells of a column of numbers below its title, by where the title ends."""
    (head,) = [number for number, line in enumerate(lines) if re.search(rf"\b{title}\b", line)]
    end = re.search(rf"\b{title}\b", lines[head])
    assert end is not None
    rows = lines[head + 1 :]
    rows = rows[: rows.index("")] if "" in rows else rows
    return [row[: end.end()].split()[-1] for row in rows]


@pytest.mark.parametrize("width", [80, 200])
def test_numbers_stand_below_their_titles(width: int) -> None:
    lines = screen(odd(), width)
    assert columns_at(lines, "FRESH") == ["123456", "1", "-", "-"]
    assert columns_at(lines, "STALE") == ["7890", "-", "-", "-"]
    assert columns_at(lines, "MISSING") == ["12345", "-", "-", "-"]
    assert columns_at(lines, "STRAY") == ["17", "-", "3", "1"]
    assert columns_at(lines, "FAILED") == ["8", "-", "-", "-"]


def test_a_wide_screen_has_everything() -> None:
    titles = "PYTHON VERSION SOURCES FRESH STALE MISSING FAILED SKIPPED STRAY FOREIGN FILES SIZE"
    (head,) = [line for line in screen(odd(), 400) if line.startswith("PYTHON")]
    assert head.split() == f"{titles} ON DISK HOOK INTERPRETER HOOK BROUGHT BY".split()


def test_at_80_columns_there_is_what_matters() -> None:
    (head,) = [line for line in screen(odd(), 80) if line.startswith("PYTHON")]
    assert {"SOURCES", "FRESH", "STALE", "MISSING", "STRAY", "HOOK"} <= set(head.split())


def test_what_is_nowhere_above_zero_has_no_column() -> None:
    well = healthy()
    well.folders[0].uncompilable = well.folders[0].missing = 0
    head, row = [line for line in screen(well, 200) if line.startswith(("PYTHON", "3.11"))]
    assert not {"FAILED", "STRAY", "FOREIGN"} & set(head.split())
    assert row.split()[4:6] == ["-", "-"]


def test_only_what_wants_action_is_red() -> None:
    red = re.findall("\x1b\\[31m(.*?)\x1b\\[0m", "\n".join(screen(odd(), 400, RED)))
    advice = odd().advice()
    assert red == ["7890", "12345", "17", "off", "3", "1", advice]
    well = healthy()
    well.folders[0].missing = 0
    assert "\x1b" not in "".join(screen(well, 200, RED))


def test_the_hook_of_another_tree_is_not_red() -> None:
    own = odd()
    own.is_system = False
    assert "\x1b[31moff" not in "".join(screen(own, 200, RED))


def test_failures_of_the_last_run_are_named_and_counted() -> None:
    lines = screen(odd(), 80)
    assert lines[1] == "last run: a minute ago, took 0.2 s, 1700 failed"
    assert lines[2] == "  it was stopped: /var/x: No space left on device"
    assert lines[3:8] == [f"  /usr/lib/x/{number}.py: syntax error" for number in range(5)]
    assert lines[8] == "  and 1695 more (-v names them)"
    verbose = screen(odd(), 80, verbose=True)
    assert verbose[10] == "  /usr/lib/x/7.py: syntax error: line 1: \\x1b[31mx"
    assert verbose[11] == "  and 1692 more"
    assert re.search(r"a minute ago \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\)", verbose[1])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "in the future, by its clock"),
        (0, "just now"),
        (59.9, "just now"),
        (60, "a minute ago"),
        (119, "a minute ago"),
        (120, "2 minutes ago"),
        (3600, "60 minutes ago"),
        (7199, "119 minutes ago"),
        (7200, "2 hours ago"),
        (86400, "24 hours ago"),
        (172_800, "2 days ago"),
        (1e9, "11574 days ago"),
    ],
)
def test_how_long_ago_it_was(seconds: float, words: str) -> None:
    assert cli_status.ago(seconds) == words


def test_with_v_the_tally_of_what_is_skipped_is_told() -> None:
    lines = screen(odd(), 120, verbose=True)
    assert "3.11 skips 4321 excluded, 2 not owned by root" in lines
    assert "/usr/bin/pypy3: hook off" in lines
    assert not [line for line in screen(odd(), 120) if "skips" in line]


def test_the_largest_packages_are_listed_with_bars() -> None:
    lines = screen(odd(), 80)
    start = next(number for number, line in enumerate(lines) if line.startswith("PACKAGE"))
    names = [line.split()[0] for line in lines[start + 1 : start + 21]]
    assert names == [f"x-{number}" for number in range(20)]
    assert lines[start + 21].startswith("and 10 more, ")
    bars = [line.count("█") for line in lines[start + 1 : start + 5]]
    assert bars == [40, 20, 10, 5]
    assert len([li for li in screen(odd(), 80, verbose=True) if li.startswith("x-")]) == 30


def test_bars_are_of_what_can_be_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    lines = screen(odd(), 80)
    "\n".join(lines).encode("ascii")
    assert any(line.endswith(" ####################") for line in lines)


def test_packages_without_any_space_are_no_division_by_zero() -> None:
    empty = healthy()
    assert empty.packages is not None
    empty.packages = [share._replace(space=type(share.space)()) for share in empty.packages]
    assert any("0.0 %" in line for line in screen(empty, 80))


def test_each_refusal_of_a_cache_has_words() -> None:
    for refusal in Refused:
        found = healthy()
        found.caches = [Cache("ada", 1001, "/home/ada/c", refused=refusal.value)]
        for for_all in (False, True):
            text = " ".join(" ".join(screen(found, 200, is_for_all=for_all)).split())
            assert f"not looked into: {cli_status.REFUSALS[refusal]}" in text


def test_without_a_cache_it_is_said_so() -> None:
    found = healthy()
    found.caches = []
    assert "you have no cache of your own yet" in screen(found, 80)
    assert "no user has a cache" in screen(found, 80, is_for_all=True)
    found.caches = None
    starts = ("your cache", "you have", "no user", "USER")
    assert not [line for line in screen(found, 80) if line.startswith(starts)]


def test_a_tree_that_does_not_count_has_no_size() -> None:
    found = healthy()
    found.trouble = "it is a symbolic link"
    assert screen(found, 80)[0] == "/var/cache/python: not used"
    found.trouble, found.is_there = "", False
    assert screen(found, 80)[0] == "/var/cache/python: no tree yet"
    found.is_there, found.folders = True, []
    assert screen(found, 80)[0] == "/var/cache/python: empty"


def test_the_screens_of_the_page_are_what_is_printed() -> None:
    text, found = PAGE.read_text(), healthy()
    packages, found.packages = found.packages, None
    assert f"```\n{chr(10).join(screen(found, 80))}\n```\n" in text
    found.packages = packages
    lines = screen(found, 80)
    start = next(number for number, line in enumerate(lines) if line.startswith("PACKAGE"))
    assert f"```\n{chr(10).join(lines[start : start + 4])}\n```\n" in text


def test_the_page_explains_each_column() -> None:
    rows = PAGE.read_text().split("| column | meaning |\n", 1)[1].split("\n\n", 1)[0]
    explained = re.findall("`([A-Z ]+)`", "".join(line.split("|")[1] for line in rows.splitlines()))
    columns = cli_status._columns(odd(), odd().folders)
    assert set(explained) == {column.title for column in columns}
    text = PAGE.read_text()
    assert f"the first {cli_status.FAILURES_NAMED} of them" in text
    assert f"{cli_status.PACKAGES_NAMED} packages are listed" in text


# how it is called


def test_formats_are_those_of_the_parser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = build_parser("status")
    assert parser.parse_args(["status"]).format == "table"
    for words in (["--json"], ["--format", "json"], ["--format=prometheus"], ["--format", "table"]):
        give(monkeypatch, healthy())
        assert main(["status", "--config", "/dev/null", *words]) == ExitStatus.DONE
        out = capsys.readouterr().out
        if "prometheus" in words[0]:
            assert out.startswith("# HELP pycache_sys_info ")
        elif words[-1] == "table":
            assert out.startswith("/var/cache/python: 2029 files")
        else:
            assert json.loads(out) == json.loads(json.dumps(healthy().as_json()))


@pytest.mark.parametrize(
    "words", [["--json", "--format", "json"], ["--format", "xml"], ["-q", "-v"], ["PATH"]]
)
def test_what_contradicts_itself_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["status", *words])
    assert end.value.code == ExitStatus.USAGE


def test_quiet_prints_what_is_to_be_done_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, healthy())
    assert main(["status", "-q", "--config", "/dev/null"]) == ExitStatus.DONE
    said = "3 sources have no bytecode yet: run 'pycache-sys rebuild'\n"
    assert capsys.readouterr() == (said, "")
    well = healthy()
    well.folders[0].missing = 0
    give(monkeypatch, well)
    assert main(["status", "-q", "--config", "/dev/null"]) == ExitStatus.DONE
    assert capsys.readouterr() == ("", "")


def test_what_could_not_be_looked_at_is_told_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, odd())
    assert main(["status", "--config", "/dev/null"]) == ExitStatus.DONE
    out, err = capsys.readouterr()
    assert err == "pycache-sys: /usr/bin/pypy3: worker failed: it does not start\n"
    assert main(["status", "-v", "--config", "/dev/null"]) == ExitStatus.DONE
    out, err = capsys.readouterr()
    assert "/usr/bin/python3.7: skipped, too old" in err
    assert "too old" not in out


def test_nobody_but_root_looks_at_all_users(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    assert main(["status", "--all-users", "--config", "/dev/null"]) == ExitStatus.USAGE
    assert "only root can look at the caches of all users" in capsys.readouterr().err


def test_an_interruption_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_status, "status", interrupted)
    assert main(["status", "--config", "/dev/null"]) == ExitStatus.INTERRUPTED
    assert capsys.readouterr() == ("", "pycache-sys: interrupted; nothing was changed\n")


class Terminal(io.StringIO):
    """Is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("patience", [-1, 1000])
def test_progress_is_shown_when_it_takes_its_time(
    monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(passing_line, "_PATIENCE_SECONDS", patience)
    monkeypatch.setattr(passing_line, "_REFRESH_SECONDS", -1)
    with cli_status._Watch(is_shown=True) as watch:
        watch.began("looking at /home/\x1b/c")
        watch.looked()
        watch.looked()
    shown = terminal.getvalue()
    if patience > 0:
        assert shown == ""
    else:
        assert "looking at /home/\\x1b/c: 2 files" in shown
        assert shown.endswith("\r\x1b[K")
    with cli_status._Watch(is_shown=False) as watch:
        watch.began("looking")
    assert terminal.getvalue() == shown


def test_every_reason_can_be_said() -> None:
    assert all(cli_status.reason_words(reason) for reason in Reason)

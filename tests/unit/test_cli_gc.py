"""The verb ``gc`` as it is called: what it prints, where, and its exit status."""

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest

from pycache_sys.cli import gc as cli_gc
from pycache_sys.cli import main, passing_line
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.names import SEARCHED
from pycache_sys.core.tidying import HOUR, NO_LIMIT, UNFOUND_AGE, Refused, Tidied, Why
from pycache_sys.policy.keys import CACHE_MAX_AGE, CACHE_MAX_SIZE
from pycache_sys.policy.model import Policy
from pycache_sys.policy.parse import parse
from pycache_sys.system.machine import presence
from pycache_sys.system.machine.presence import COMING_AND_GOING
from pycache_sys.system.users.as_user import SILENCE_SECONDS, TOTAL_SECONDS

UID = os.geteuid()
USED = 1_700_000_000


class Terminal(io.StringIO):
    """Is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache with two files, one of a source that is gone, and a third that is foreign."""
    tmp_path.chmod(0o700)
    text = f"user-cache = {tmp_path}/{{uid}}\nservice-cache = {tmp_path}/{{uid}}\n"
    policy, _ = parse([("", f"{text}root-cache = {tmp_path}/0\n")], lambda *_: None)
    monkeypatch.setattr(cli_gc, "load", lambda _: policy)
    monkeypatch.setattr(presence, "SEARCHED", (str(tmp_path / "bin"),))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.11").touch()
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "here.py").touch()
    top = tmp_path / str(UID)
    folder = Path(f"{top}/3.11{tmp_path}/sources")
    folder.mkdir(parents=True, mode=0o700)
    top.chmod(0o700)
    for name in ("here.cpython-311.pyc", "gone.cpython-311.pyc", "a\nb.txt"):
        (folder / name).write_bytes(b"x" * 4096)
    return top


def files(top: Path) -> set[str]:
    return {path.name for path in top.rglob("*") if path.is_file()}


def test_it_says_in_one_line_what_was_done(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc"]) == ExitStatus.DONE
    out, err = capsys.readouterr()
    assert out == (
        f"{cache}: removed 1 file, 0.0 MiB freed (1 source gone); "
        "left 1 file, 0.0 MiB, and 1 of others (-v names them)\n"
    )
    assert err == ""
    assert files(cache) == {"here.cpython-311.pyc", "a\nb.txt"}
    assert main(["gc"]) == ExitStatus.DONE
    assert "nothing to remove; left 1 file" in capsys.readouterr().out


def test_a_dry_run_removes_nothing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(cache)
    assert main(["gc", "-n", "-v"]) == ExitStatus.DONE
    out, err = capsys.readouterr()
    assert "to remove 1 file, 0.0 MiB to free" in out
    assert "would remove" in err
    assert files(cache) == before


def test_with_v_every_file_is_named_safely(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "-v"]) == ExitStatus.DONE
    lines = sorted(capsys.readouterr().err.splitlines())
    assert len(lines) == 2
    assert lines[0].startswith("pycache-sys: left ")
    assert "a\\nb.txt: not a name of the hook's" in lines[0]
    assert lines[1].endswith("gone.cpython-311.pyc: source gone")


def test_quiet_says_nothing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "-q"]) == ExitStatus.DONE
    assert capsys.readouterr() == ("", "")
    assert len(files(cache)) == 2


def test_json(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--json"]) == ExitStatus.DONE
    report = json.loads(capsys.readouterr().out)
    assert (report["version"], report["dry_run"]) == (1, False)
    (one,) = report["caches"]
    assert (one["uid"], one["path"], one["reasons"]) == (UID, str(cache), {"source-gone": 1})
    assert (one["removed"], one["left"], one["foreign"], one["failed"]) == (1, 1, 1, 0)


def test_limits_of_the_command_line(cache: Path) -> None:
    assert main(["gc", "--max-size", "1"]) == ExitStatus.DONE
    assert files(cache) == {"a\nb.txt"}


def test_an_age_of_the_command_line(cache: Path) -> None:
    for path in cache.rglob("*.pyc"):
        os.utime(path, (USED, USED))
    assert main(["gc", "--older-than", "none"]) == ExitStatus.DONE
    assert "here.cpython-311.pyc" in files(cache)
    assert main(["gc", "--older-than", "1w"]) == ExitStatus.DONE
    assert files(cache) == {"a\nb.txt"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--older-than", "60"], "60 of what?; add a unit, like 60s"),
        (["--max-size", "much"], "'much' is not a bytes limit; like 512K"),
    ],
)
def test_what_is_no_limit_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["gc", *arguments])
    assert end.value.code == ExitStatus.USAGE
    assert complaint in capsys.readouterr().err


def test_none_is_no_limit() -> None:
    assert cli_gc.read_age("none") == cli_gc.read_size("none") == NO_LIMIT
    assert (cli_gc.read_age("2min"), cli_gc.read_size("2K")) == (120, 2048)


def test_a_refused_cache_is_a_failure(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.chmod(0o770)
    assert main(["gc", "-q"]) == ExitStatus.SOME_FAILED
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert f"{cache}: nothing was removed: somebody else can write it" in err
    assert main(["gc", "--json"]) == ExitStatus.SOME_FAILED
    assert json.loads(capsys.readouterr().out)["caches"][0]["refused"] == "not-own"


def test_without_a_cache_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, _ = parse(
        [("", "user-cache = off\nroot-cache = off\nservice-cache = off\n")], lambda *_: None
    )
    monkeypatch.setattr(cli_gc, "load", lambda _: policy)
    assert main(["gc"]) == ExitStatus.DONE
    assert capsys.readouterr() == ("there is no cache to tidy\n", "")


def test_nobody_but_root_tidies_for_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pycache_sys import gc

    monkeypatch.setattr(gc, "geteuid", lambda: 1001)
    monkeypatch.setattr(cli_gc, "load", lambda _: Policy())
    assert main(["gc", "--all-users"]) == ExitStatus.USAGE
    assert "only root can tidy" in capsys.readouterr().err


def fill(results: list[Tidied], *, failures: int = 0) -> None:
    for name, number in (("ada", 2), ("bob", 1)):
        one = Tidied(path=f"/home/{name}/.cache/pycache-sys", user=name, uid=1001, is_there=True)
        one.removed[Why.UNUSED] = number
        one.freed, one.directories, one.failed = number << 20, 1, failures
        results.append(one)
    away = Tidied(path="/home/cy/.cache/pycache-sys", user="cy", uid=1003)
    results.append(away)


def test_several_caches_have_a_sum(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_gc, "load", lambda _: Policy())
    monkeypatch.setattr(cli_gc, "gc", lambda _request, results, _watch: fill(results))
    assert main(["gc"]) == ExitStatus.DONE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("/home/ada/.cache/pycache-sys: removed 2 files and 1 directory")
    assert lines[2].startswith("2 caches: 3 files, 3.0 MiB freed  (")


def test_of_many_failures_some_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_request: object, results: list[Tidied], watch: cli_gc._Watch) -> None:
        for number in range(25):
            watch.failed(f"/cache/{number}", "Permission denied")
        fill(results, failures=25)

    monkeypatch.setattr(cli_gc, "load", lambda _: Policy())
    monkeypatch.setattr(cli_gc, "gc", fail)
    assert main(["gc"]) == ExitStatus.SOME_FAILED
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 21
    assert err.splitlines()[-1] == "pycache-sys: and 5 more (-v names them)"
    assert "; failed 25" in out
    assert main(["gc", "-v"]) == ExitStatus.SOME_FAILED
    assert len(capsys.readouterr().err.splitlines()) == 25


def test_what_was_done_is_said_after_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_request: object, results: list[Tidied], _watch: object) -> None:
        fill(results)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_gc, "load", lambda _: Policy())
    monkeypatch.setattr(cli_gc, "gc", interrupt)
    assert main(["gc"]) == ExitStatus.INTERRUPTED
    out, err = capsys.readouterr()
    assert "/home/ada/.cache/pycache-sys: removed 2 files" in out
    assert "interrupted" in err


@pytest.mark.parametrize("quiet", [True, False])
def test_long_work_shows_progress_on_a_terminal(
    cache: Path, monkeypatch: pytest.MonkeyPatch, *, quiet: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(passing_line, "_PATIENCE_SECONDS", -1)
    monkeypatch.setattr(passing_line, "_REFRESH_SECONDS", -1)
    assert main(["gc", *["-q"][: int(quiet)]]) == ExitStatus.DONE
    shown = terminal.getvalue()
    assert ("looked at 3 files" in shown) != quiet
    assert (f"tidying {cache}" in shown) != quiet
    assert shown == "" or shown.endswith("\r\x1b[K")


def test_every_reason_has_words() -> None:
    assert set(cli_gc.WORDS) == set(Why)
    assert set(cli_gc.REFUSALS) == set(Refused)


# the page

PAGE = Path(__file__).parents[2] / "docs" / "gc.md"


def explained(first: str) -> set[str]:
    """List what a table explains, by the heading of its first column."""
    table = PAGE.read_text().split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0]
    return {
        word
        for line in table.splitlines()[2:]
        for word in re.findall("`([^`]+)`", line.split("|")[1])
    }


def test_the_page_explains_each_reason_and_no_other() -> None:
    assert explained("reason") == {why.value for why in Why}
    assert explained("refused") == {refused.value for refused in Refused}


def test_the_json_of_the_page_has_just_the_keys_that_are_printed(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["gc", "--json"])
    printed = json.loads(capsys.readouterr().out)
    (example,) = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    shown = json.loads(example)
    assert list(shown) == list(printed)
    assert list(shown["caches"][0]) == list(printed["caches"][0])
    whose = {"user", "uid", "path"}
    assert explained("key") == (set(shown) | set(shown["caches"][0])) - whose


def test_the_line_of_the_page_is_what_is_printed() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    shown = json.loads(example)["caches"][0]
    one = Tidied(path=shown["path"], user=shown["user"], uid=shown["uid"], is_there=True)
    for why, number in shown["reasons"].items():
        one.removed[Why(why)] = number
    one.freed, one.directories = shown["bytes"], shown["directories"]
    one.left, one.left_space = shown["left"], shown["left_bytes"]
    assert f"```\n{cli_gc.summary(one, dry_run=False)}\n```\n" in PAGE.read_text()


def test_limits_and_times_of_the_page_are_those_of_the_program() -> None:
    text = " ".join(PAGE.read_text().split())
    assert f"not used for {UNFOUND_AGE // (24 * HOUR)} days." in text
    assert (CACHE_MAX_AGE.default, CACHE_MAX_SIZE.default) == ("90d", "1G")
    assert "not used for 90 days stays, and no more than 1 GiB" in text
    assert (
        f"{SILENCE_SECONDS:.0f} seconds, or takes more than {TOTAL_SECONDS / 60:.0f} minutes"
        in text
    )
    places = {*COMING_AND_GOING, *SEARCHED} - {"/run/media", "/run/user", "/var/run"}
    assert [place for place in places if f"`{place}`" not in text] == []

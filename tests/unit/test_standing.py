"""How everything stands, as values: what it comes to, what to do about it, and its JSON."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.model import Outcome, Reason
from pycache_sys.core.report import InterpreterNote
from pycache_sys.core.standing import Cache, Folder, Hook, Hooked, Space, Standing, Use
from status_examples import healthy, interpreter

PAGE = Path(__file__).parents[2] / "docs" / "status.md"
PYTHON = interpreter("3.11", "/usr/bin/python3.11", (3, 11, 2))
USELESS = "1 file is of no use any more: run 'pycache-sys rebuild'"
NOTE = InterpreterNote(path=PYTHON.path, interpreter=PYTHON)
REFUSED = NOTE._replace(refusal=(Reason.EXCLUDED, "the policy leaves it out"))


def standing(**folder: int) -> Standing:
    """Give one interpreter's folder."""
    found = Folder(directory="3.11", paths=[PYTHON.path], **folder)  # type: ignore[arg-type]  # only numbers
    return Standing(tree="/var/cache/python", is_there=True, notes=[NOTE], folders=[found])


def hooked(state: Hook, without_bytecode: int = 0) -> Hooked:
    return Hooked(PYTHON.path, "3.11", state, without_bytecode=without_bytecode)


def test_sources_are_those_that_should_have_bytecode() -> None:
    folder = Folder(directory="3.11", fresh=1, stale=20, missing=300, uncompilable=4000)
    folder.skips.update([Reason.EXCLUDED, Reason.EXCLUDED, Reason.UNREADABLE])
    assert (folder.sources, folder.skipped) == (4321, 3)


def test_a_healthy_system_needs_nothing() -> None:
    well = standing(fresh=10, uncompilable=3, foreign=2)
    well.folders[0].skips = Counter({Reason.EXCLUDED: 5})
    well.hooks = [hooked(Hook.ON)]
    well.caches = [Cache("ada", 1001, "/home/ada/.cache/pycache-sys", 10, 1000, 5, 500)]
    assert well.advice() == ""
    assert well.exit_status is ExitStatus.DONE


@pytest.mark.parametrize(
    ("folder", "advice"),
    [
        ({"missing": 1}, "1 source has no bytecode yet: run 'pycache-sys rebuild'"),
        ({"missing": 3}, "3 sources have no bytecode yet: run 'pycache-sys rebuild'"),
        ({"stale": 1}, "1 source has stale bytecode: run 'pycache-sys rebuild'"),
        ({"stray": 2}, "2 files are of no use any more: run 'pycache-sys rebuild'"),
        (
            {"missing": 1, "stale": 2, "stray": 1},
            f"1 source has no bytecode yet, 2 sources have stale bytecode, {USELESS}",
        ),
    ],
)
def test_what_a_run_mends_is_told(folder: dict[str, int], advice: str) -> None:
    found = standing(**folder)
    found.hooks = [hooked(Hook.OFF)]
    assert found.advice() == advice
    assert found.exit_status is ExitStatus.DONE
    own = standing(**folder)
    own.tree, own.is_system = "/srv/tree", False
    assert own.advice().endswith("run 'pycache-sys rebuild --tree /srv/tree'")


def test_the_hook_is_missed_in_the_system_tree_alone() -> None:
    found = standing(fresh=1)
    found.hooks = [hooked(Hook.OFF)]
    assert found.advice() == "/usr/bin/python3.11 without the hook: run 'pycache-sys enable'"
    found.hooks *= 2
    assert found.advice() == "2 interpreters without the hook: run 'pycache-sys enable'"
    found.hooks = [hooked(Hook.ON, 3)]
    assert found.advice() == "the hook is compiled at every start: run 'pycache-sys enable'"
    found.is_system = False
    assert found.advice() == ""


@pytest.mark.parametrize("state", [Hook.POLICY, None])
def test_a_hook_that_is_off_on_purpose_or_not_known_is_not_missed(state: Hook | None) -> None:
    found = standing(fresh=1)
    found.hooks = [Hooked(PYTHON.path, "3.11", state)]
    assert found.advice() == ""


def test_a_cache_that_is_not_looked_into_is_told() -> None:
    found = standing(fresh=1)
    found.caches = [Cache("ada", 1001, "/home/ada/.cache/pycache-sys", refused="link")]
    assert found.advice() == "1 cache not looked into: see 'pycache-sys gc'"


def test_without_a_tree_there_is_one_thing_to_do() -> None:
    found = standing(missing=100)
    found.is_there = False
    assert found.advice() == "there is no tree yet: run 'pycache-sys rebuild'"
    assert found.exit_status is ExitStatus.SOME_FAILED


def test_a_tree_that_does_not_count_is_told() -> None:
    found = standing(missing=100)
    found.trouble = "it belongs to uid 7, not to uid 0"
    assert found.advice() == (
        "nothing in this tree counts: it belongs to uid 7, not to uid 0; see: pycache-sys verify"
    )
    assert found.exit_status is ExitStatus.SOME_FAILED


def test_without_an_interpreter_nothing_is_known() -> None:
    found = standing()
    found.notes = [REFUSED]
    assert "no interpreter" in found.advice()
    assert found.exit_status is ExitStatus.SOME_FAILED


def test_folders_are_added_up() -> None:
    found = standing()
    found.folders = [
        Folder(directory=name, space=Space(1, 2, 3)) for name in ("3.9", "3.11", "pypy3.11")
    ]
    assert found.space == Space(3, 6, 9)


def test_hooks_are_found_by_their_folder() -> None:
    found = standing()
    other = Hooked("/usr/bin/pypy3", "pypy3.11", Hook.ON)
    found.hooks = [hooked(Hook.ON), other]
    assert found.hooks_of("pypy3.11") == [other]


# JSON


def examples() -> dict[str, object]:
    (text,) = [part.split("\n```\n")[0] for part in PAGE.read_text().split("```json\n")[1:]]
    shown: dict[str, object] = json.loads(text)
    return shown


def explained(heading: str) -> set[str]:
    """List what the table below a heading row explains."""
    table = PAGE.read_text().split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    first = [line.split("|")[1] for line in table.splitlines()[2:]]
    return {word.strip(" `") for cell in first for word in cell.split(",")}


def test_the_json_of_the_page_is_what_is_printed() -> None:
    assert examples() == json.loads(json.dumps(healthy().as_json()))


def test_the_page_explains_each_key_and_no_other() -> None:
    shown = healthy().as_json()
    assert explained("key") == set(shown)
    assert explained("key of a hook") == set(shown["interpreters"][0]["hook"])
    assert explained("key of a folder") == set(shown["folders"][0])
    assert explained("key of a last run") == set(shown["last_run"]) - {"version"}
    assert explained("key of a cache") == set(shown["caches"][0])


def test_the_page_names_each_state() -> None:
    text = PAGE.read_text()
    states = [*Use, *Hook]
    assert [state for state in states if f"`{state.value}`" not in text] == []


def test_what_is_not_known_is_null() -> None:
    answer = Standing(tree="/t", failures=[Outcome("b", Reason.WORKER, "x")]).as_json()
    assert (answer["last_run"], answer["caches"], answer["packages"]) == (None, None, None)
    assert answer["failures"] == [{"source": "b", "reason": "worker", "detail": "x"}]
    refused = Cache("ada", 1001, "/home/ada", 1, 2, 3, 4, "link").as_json()
    assert (refused["files"], refused["bytes"], refused["refused"]) == (None, None, "link")
    hook = Hooked("/p", "3.11", failure="it does not start").as_json()
    assert (hook["state"], hook["failure"]) == (None, "it does not start")
    found = standing()
    found.notes = [NOTE, REFUSED._replace(path="/usr/bin/python3.12")]
    found.hooks = [hooked(Hook.ON)]
    assert [one["hook"] is None for one in found.as_json()["interpreters"]] == [False, True]

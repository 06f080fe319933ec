"""What an entry's stamps say is wrong with it, and how a result weighs."""

import json
import os
import re
from pathlib import Path
from stat import S_IFDIR, S_IFREG
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core import pyc
from pycache_sys.core.defects import (
    MARK_WORDS,
    Defect,
    Kind,
    Mark,
    Verification,
    directory_defects,
    entry_defects,
    names_elsewhere,
    stale_marks,
)
from pycache_sys.core.entries import (
    entries_of,
    is_folder_of_ours,
    is_named_by_us,
    source_of_entry,
)
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.model import Invalidation, Outcome, Reason
from pycache_sys.core.plan import Freshness, Order, judge, temporary_name
from pycache_sys.core.report import InterpreterNote
from pycache_sys.purge import Purged
from pycache_sys.verify import MOST_TRIED
from pycache_sys_runtime import layout
from strategies import SECOND, cache_tags, entry, hostile_paths, optimizations, sources, status

MAGIC = b"\xa7\r\r\n"
ORDER = Order(tree="/t", directory="3.11", cache_tag="cpython-311", magic=MAGIC)
GOOD = pyc.start(MAGIC, pyc.TIMESTAMP) + pyc.timestamp_fields(status())


@given(
    header=st.sampled_from(
        [GOOD, GOOD[:15], b"", b"\0" * 16, pyc.start(MAGIC, 3) + bytes(8), GOOD[:8] + bytes(8)]
    ),
    mtime=st.sampled_from([1_700_000_000 * SECOND, 5]),
    ctime=st.sampled_from([1_700_000_001 * SECOND, 1_600_000_000 * SECOND]),
    mode=st.sampled_from([0o644, 0o600, 0o666]),
    uid=st.sampled_from([0, 1000]),
    source_mtime=st.sampled_from([1_700_000_000 * SECOND, 0]),
    invalidation=st.sampled_from(Invalidation),
)
def test_something_is_said_of_what_is_stale_and_of_nothing_else(
    header: bytes,
    mtime: int,
    ctime: int,
    mode: int,
    uid: int,
    source_mtime: int,
    invalidation: Invalidation,
) -> None:
    order = Order(
        tree="/t", directory="3.11", cache_tag="cpython-311", magic=MAGIC, invalidation=invalidation
    )
    source = status(mtime=source_mtime)
    one = entry(header, mtime=mtime, ctime=ctime, mode=S_IFREG | mode, uid=uid)
    found = entry_defects("/t/3.11/x/a.cpython-311.pyc", "/x/a.py", source, one, order)
    freshness = judge(source, one, order)
    flattened = source_mtime == 0 and invalidation is Invalidation.TIMESTAMP
    if not flattened:  # timestamps that were forced on a source without any are never fresh
        assert bool(found) is (freshness is Freshness.STALE)
    assert {d.kind for d in found} <= {Kind.OWNER, Kind.MODE, Kind.CORRUPT, Kind.STALE}


def test_marks_are_all_that_is_not_the_sources() -> None:
    later = status(mtime=1_700_000_007 * SECOND, ctime=1_700_000_009 * SECOND)
    assert stale_marks(later, entry(GOOD), ORDER) == (Mark.HEADER, Mark.MTIME, Mark.CTIME)
    assert stale_marks(status(), entry(b"\0" * 16), ORDER) == (Mark.MAGIC,)
    assert stale_marks(status(), entry(GOOD), ORDER) == ()
    assert set(MARK_WORDS) == set(Mark)


def directory(mode: int, uid: int = 0) -> os.stat_result:
    return status(mode=S_IFDIR | mode, uid=uid)


@pytest.mark.parametrize(
    ("mode", "uid", "is_system", "source", "kind", "is_unbelieved"),
    [
        (0o755, 0, True, None, None, False),
        (0o2755, 0, True, None, None, False),
        (0o755, 7, True, None, Kind.OWNER, True),
        (0o775, 0, True, None, Kind.MODE, True),
        (0o757, 0, False, 0o777, Kind.MODE, True),
        (0o700, 0, True, None, Kind.MODE, True),
        (0o700, 0, False, 0o755, None, False),
        (0o755, 0, False, 0o700, Kind.MODE, False),
        (0o755, 0, False, 0o755, None, False),
        (0o755, 0, False, None, None, False),
    ],
)
def test_directories(
    mode: int,
    uid: int,
    is_system: bool,
    source: int | None,
    kind: Kind | None,
    is_unbelieved: bool,
) -> None:
    found, unbelieved = directory_defects(
        "/t/3.11", directory(mode, uid), 0, is_system=is_system, source_mode=source
    )
    assert [d.kind for d in found] == ([kind] if kind else [])
    assert unbelieved is is_unbelieved


def test_names_are_counted() -> None:
    assert "1 name here" in names_elsewhere(2, 1)
    assert "2 names here" in names_elsewhere(3, 2)


USED = InterpreterNote(path="/usr/bin/python3")
BROKEN = InterpreterNote(path="/x", refusal=(Reason.BROKEN, ""), named=True)
DEFECT = Defect("/t/x", Kind.STALE, "why", "/x", (Mark.CTIME,))


@pytest.mark.parametrize(
    ("found", "exit_status"),
    [
        ({}, ExitStatus.DONE),
        ({"uncompilable": [Outcome("/x", Reason.SYNTAX, "")]}, ExitStatus.DONE),
        ({"left": [Outcome("/x", Reason.FOREIGN, "")]}, ExitStatus.DONE),
        ({"defects": [DEFECT]}, ExitStatus.SOME_FAILED),
        ({"failures": [Outcome("/x", Reason.MISSING, "")]}, ExitStatus.SOME_FAILED),
        ({"interpreters": [USED, BROKEN]}, ExitStatus.SOME_FAILED),
        ({"interpreters": []}, ExitStatus.SOME_FAILED),
    ],
)
def test_a_result_weighs(found: dict[str, Any], exit_status: ExitStatus) -> None:
    result = Verification(tree="/t", **({"interpreters": [USED]} | found))
    assert result.exit_status is exit_status


def test_a_result_as_json() -> None:
    result = Verification(tree="/t", defects=[DEFECT, Defect("/t/a", Kind.TAG, "no")])
    result.uncompilable.append(Outcome("/y", Reason.SYNTAX, "line 1"))
    found = result.as_json()
    assert found["kinds"] == {"stale": 1, "tag": 1}
    assert [d["path"] for d in found["defects"]] == ["/t/a", "/t/x"]
    assert found["defects"][1]["marks"] == ["ctime"]
    assert found["defects"][0]["source"] is None
    assert found["uncompilable"] == [{"source": "/y", "reason": "syntax", "detail": "line 1"}]


# names


@given(sources, cache_tags, optimizations)
def test_each_name_that_we_give_is_ours(source: str, tag: str, optimization: str) -> None:
    folder = {
        "cpython-38": "3.8", "cpython-311": "3.11", "cpython-313": "3.13t",
        "pypy39": "pypy3.9", "pypy311": "pypy3.11",
    }[tag]  # fmt: skip
    path = layout.cache_path(source, folder, tag, optimization)
    assert (path is None) is ("/__pycache__/" in source)
    if path is not None:
        assert is_named_by_us(path)
        assert source_of_entry(path, tag) == (source, optimization)
        assert path in entries_of(source, folder, tag)
    else:
        assert entries_of(source, folder, tag) == []


@given(hostile_paths, st.sampled_from(["3.11", "3.x", "2.7", "x", "", "3.٣", "pypy3"]))
def test_a_name_is_ours_only_if_we_give_it(rest: str, folder: str) -> None:
    path = f"{folder}/{rest}"
    named = source_of_entry(path, "cpython-311")
    assert is_named_by_us(path) is (folder == "3.11" and named is not None)
    if is_named_by_us(path) and named is not None:
        assert layout.cache_path(named[0], folder, "cpython-311", named[1]) == path


def test_names_under_construction_are_ours_where_we_make_them() -> None:
    half = temporary_name("0123456789abcdef")
    assert is_named_by_us(half)
    assert is_named_by_us(f"3.11/usr/lib/{half}")
    assert not is_named_by_us(f"elsewhere/{half}")
    assert not is_folder_of_ours("2.7")
    assert source_of_entry("3.11/usr/a.cpython-311.opt-7.pyc", "cpython-311") is None


# the page


PAGE = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()


def table(heading: str) -> list[str]:
    """List the words that a table explains, by the heading of its first column."""
    found = re.search(rf"^\| {heading} \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)
    assert found
    cells = [line.split("|")[1] for line in found[1].splitlines()]
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def examples() -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)]


def test_the_page_explains_every_kind_and_every_mark() -> None:
    assert table("kind") == [kind.value for kind in Kind]
    assert table("mark") == [mark.value for mark in Mark]


def test_the_page_shows_json_as_it_is() -> None:
    verified, purged = examples()
    assert list(verified) == list(Verification(tree="/t").as_json())
    assert list(verified["counts"]) == list(Verification(tree="/t").as_json()["counts"])
    assert [list(one) for one in verified["defects"]] == [list(DEFECT.as_json())]
    assert verified["defects"][0]["detail"] == MARK_WORDS[Mark.CTIME]
    assert list(purged) == list(Purged(tree="/t").as_json())
    assert list(purged["counts"]) == list(Purged(tree="/t").as_json()["counts"])


def test_the_page_explains_every_key() -> None:
    keys = re.split(r"^## JSON of ", PAGE, flags=re.MULTILINE)[1:]
    for text, example in zip(keys, examples(), strict=True):
        rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, flags=re.MULTILINE)
        assert [word for row in rows for word in re.findall(r"`(\w+)`", row)] == list(example)


def test_so_many_are_tried_as_the_page_says() -> None:
    assert f"more than {MOST_TRIED} have none" in PAGE

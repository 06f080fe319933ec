"""Text in columns: as wide as it looks, cut where it does not fit, aligned whatever is in it."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.cli import columns
from pycache_sys.cli.columns import Column, Paint, cut, cut_path, padded, shown, table, width_of

PLAIN, RED = Paint(is_on=False), Paint(is_on=True)
texts = st.text(st.sampled_from("ab1 /é日本́한"), max_size=30)


class Screen(io.StringIO):
    """Is a terminal, or is none."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def on(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
    for name in ("NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdout", Screen(is_terminal=is_terminal))


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("日本", 4), ("ｱ", 1)]
)
def test_a_text_is_as_wide_as_it_looks(text: str, width: int) -> None:
    assert width_of(text) == width


@given(texts, st.integers(1, 40))
def test_what_is_cut_fits_and_says_so(text: str, width: int) -> None:
    for cutter in (cut, cut_path):
        found = cutter(text, width)
        assert width_of(found) <= width
        assert found == text or "…" in found
        assert (found == text) == (width_of(text) <= width)


def test_of_a_path_the_end_is_kept() -> None:
    assert cut("/usr/lib/python3", 8) == "/usr/li…"
    assert cut_path("/usr/lib/python3", 8) == "…python3"
    assert cut("abc", 0) == cut_path("abc", 0) == ""


@given(texts, st.integers(0, 60))
def test_what_is_padded_has_that_width(text: str, more: int) -> None:
    width = width_of(text) + more
    for to_the_right in (False, True):
        found = padded(text, width, to_the_right=to_the_right)
        assert width_of(found) == width
        assert found.strip() == text.strip()


def test_a_character_that_cannot_be_encoded_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown("█", "#") == "█"
    for encoding in ("ascii", "latin-1", "no such encoding"):
        stream = type("Stream", (), {"encoding": encoding})()
        monkeypatch.setattr(sys, "stdout", stream)
        assert shown("█", "#") == "#"
        assert cut("abcdef", 3) == "ab~"


def test_numbers_stand_to_the_right_and_texts_to_the_left() -> None:
    made = [Column("NAME", ["a", "日本語"]), Column("N", ["1", "100"], is_number=True)]
    assert table(made, 80, PLAIN) == ["NAME      N", "a         1", "日本語  100"]


def test_what_matters_least_goes_first() -> None:
    made = [
        Column("A", ["aaaa"]),
        Column("B", ["bbbb"], rank=1),
        Column("C", ["cccc"], rank=9),
        Column("D", ["dddd"], rank=2),
    ]
    assert table(made, 22, PLAIN)[1] == "aaaa  bbbb  cccc  dddd"
    assert table(made, 21, PLAIN)[1] == "aaaa  bbbb  dddd"
    assert table(made, 10, PLAIN)[1] == "aaaa  bbbb"
    assert table(made, 9, PLAIN)[1] == "aaaa"


def test_what_can_be_narrower_is_so_before_others_go() -> None:
    long = Column("LONG", ["x" * 50], is_flexible=True)
    made = [Column("A", ["aaaa"]), long, Column("B", ["bbbb"], rank=1)]
    assert table(made, 40, PLAIN)[1] == f"aaaa  {'x' * 27}…  bbbb"
    assert table(made, 31, PLAIN)[1] == f"aaaa  {'x' * 24}…"


def test_red_is_what_wants_action_and_takes_no_room() -> None:
    made = [
        Column("N", ["1", "20"], is_number=True, alarms=frozenset({0})),
        Column("HOOK", ["on", "off"], alarms=frozenset({1})),
    ]
    assert table(made, 80, RED) == [" N  HOOK", " \x1b[31m1\x1b[0m  on", "20  \x1b[31moff\x1b[0m"]
    assert table(made, 80, PLAIN) == [" N  HOOK", " 1  on", "20  off"]
    assert RED("") == ""


cells = st.lists(texts, min_size=2, max_size=2)
made_columns = st.builds(
    Column, texts, cells, st.booleans(), rank=st.integers(0, 3), alarms=st.just(frozenset({1}))
)


@given(st.lists(made_columns, min_size=1, max_size=5), st.integers(1, 200))
def test_lines_are_no_wider_than_is_said_if_anything_can_go(made: list[Column], width: int) -> None:
    fixed = [column for column in made if not column.rank]
    needed = sum(c.width for c in fixed) + 2 * (len(fixed) - 1)
    if fixed and needed <= width:
        lines = table(made, width, PLAIN)
        assert len(lines) == 3
        assert all(width_of(line) <= width for line in lines)


def test_a_terminal_says_how_wide_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, is_terminal=True)
    monkeypatch.setenv("COLUMNS", "133")
    assert columns.screen_width() == 133
    monkeypatch.setenv("COLUMNS", "7")
    assert columns.screen_width() == 60
    on(monkeypatch, is_terminal=False)
    monkeypatch.setenv("COLUMNS", "133")
    assert columns.screen_width() == 80


@pytest.mark.parametrize(
    ("variables", "is_terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm-256color"}, True, True),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], is_terminal: bool, expected: bool
) -> None:
    on(monkeypatch, is_terminal=is_terminal)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert columns.has_colour() is expected

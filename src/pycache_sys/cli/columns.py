"""Text in columns, as a terminal shows it: how wide it is, how it is cut, how it is aligned."""

import os
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

PLAIN_WIDTH = 80
"""How wide a screen is taken to be where there is none."""
_NARROWEST = 60
_WIDEST_TEXT = 100
_FLEXIBLE = 20
"""So wide a column that can be narrower is to stay, as long as others can go."""
_GAP = "  "
_RED, _USUAL = "\x1b[31m", "\x1b[0m"


def screen_width() -> int:
    """Say how wide the terminal on standard output is."""
    if not sys.stdout.isatty():
        return PLAIN_WIDTH
    return max(shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, _NARROWEST)


def text_width() -> int:
    """Say how wide sentences are laid out on a terminal: no wider than is good to read."""
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST_TEXT)


def has_colour() -> bool:
    """Tell whether standard output is to have colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not is_dumb()


def is_dumb() -> bool:
    """Tell whether the terminal takes nothing but text."""
    return os.environ.get("TERM") == "dumb"


def shown(text: str, otherwise: str) -> str:
    """Give a text, or if standard output's encoding does not have it, another."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return otherwise
    return text


class Paint:
    """Marks what wants action: in red, or without colours not at all."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on

    def __call__(self, text: str) -> str:
        """Mark a text."""
        return f"{_RED}{text}{_USUAL}" if self._is_on and text.strip() else text


def width_of(text: str) -> int:
    """Say how many columns a printable text takes: Chinese characters take two, accents none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415 - seldom needed

    return sum(
        0 if combining(character) else 1 + (east_asian_width(character) in "WF")
        for character in text
    )


def cut(text: str, width: int) -> str:
    """Take so much of a text's beginning that it fits, and show that it was cut."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[:-1]
    return text + shown("…", "~") if width > 0 else ""


def cut_path(text: str, width: int) -> str:
    """Take so much of a text's end that it fits: of a path, that tells more."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[1:]
    return shown("…", "~") + text if width > 0 else ""


def padded(text: str, width: int, *, to_the_right: bool = False) -> str:
    """Fill a text up with blanks."""
    blanks = " " * (width - width_of(text))
    return blanks + text if to_the_right else text + blanks


class Column(NamedTuple):
    """A column: its cells are one for each line; those in ``alarms`` are marked.

    If all do not fit, what is ``is_flexible`` gets narrower, of which there is one at most. If that
    is not enough, the column with the highest ``rank`` goes first; 0 stays.
    """

    title: str
    cells: Sequence[str]
    is_number: bool = False
    rank: int = 0
    is_flexible: bool = False
    alarms: frozenset[int] = frozenset()

    @property
    def width(self) -> int:
        """Say how wide it wants to be."""
        return max(map(width_of, (self.title, *self.cells)))


def table(columns: Sequence[Column], width: int, paint: Paint) -> list[str]:
    """Lay out columns below their titles, in lines that are no wider than that."""
    kept = list(columns)
    slack = sum(max(c.width - _FLEXIBLE, 0) for c in columns if c.is_flexible)
    while _total(kept) - slack > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    excess = _total(kept) - width
    widths = [column.width - max(excess, 0) * column.is_flexible for column in kept]
    lines = [_line([c.title for c in kept], kept, widths)]
    for number in range(len(kept[0].cells)):
        marked = [number in column.alarms for column in kept]
        lines.append(_line([c.cells[number] for c in kept], kept, widths, marked, paint))
    return lines


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _line(
    texts: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    marked: Sequence[bool] = (),
    paint: Paint = Paint(is_on=False),  # noqa: B008 - it does not change
) -> str:
    cells = []
    last = len(columns) - 1
    for number, (text, column, width) in enumerate(zip(texts, columns, widths, strict=True)):
        cell = cut(text, max(width, 1))
        if number < last or column.is_number:
            cell = padded(cell, width, to_the_right=column.is_number)
        if any(marked[number : number + 1]):
            bare = cell.strip()
            cell = cell.replace(bare, paint(bare), 1)
        cells.append(cell)
    return _GAP.join(cells).rstrip()

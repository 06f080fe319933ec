"""Where a file sets one of the variables that decide where Python's bytecode goes. No I/O.

The files are for shells, for ``systemd`` or for PAM. Whether a line is ever reached is not known:
what is commented out does not count, all else does.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

PREFIX = "PYTHONPYCACHEPREFIX"
DONT_WRITE = "PYTHONDONTWRITEBYTECODE"
LONGEST_LINE = 4096
"""What stands further to the right in a line is not looked at."""

_NAMES = f"({PREFIX}|{DONT_WRITE})"
_VALUE = r"""("[^"]*|'[^']*|[^\s"';&|)]*)"""
_SET = re.compile(
    rf"(?<![\w$#{{.]){_NAMES}(?:=|\s+(?:DEFAULT|OVERRIDE)=){_VALUE}"
    rf"|(?:^|[;&|\s])(?:setenv|set\s+-\w*x\w*)\s+{_NAMES}\s+{_VALUE}"
)
_COMMENT = re.compile(r"(?:^|\s)#.*|^\s*;.*")


class Assignment(NamedTuple):
    """A variable, and the number of the line that sets it."""

    variable: str
    line: int


def assignments(content: bytes) -> Iterator[Assignment]:
    """Yield what a file sets to something; a variable that is empty does not count for Python."""
    for number, line in enumerate(content.split(b"\n"), 1):
        text = line[:LONGEST_LINE].decode("utf-8", "replace")
        if PREFIX not in text and DONT_WRITE not in text:
            continue
        seen = set()
        for found in _SET.finditer(_COMMENT.sub("", text)):
            name, value, other, others_value = found.groups()
            if (value or others_value or "").strip("\"'") and (name or other) not in seen:
                seen.add(name or other)
                yield Assignment(name or other, number)

"""What is wrong in a policy file, and where: file, line, column, and a caret below it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pycache_sys.core.errors import ExitStatus, PycacheSysError

_WIDEST = 200
"""How much of a line is shown: one as long as the file may have thousands of problems."""
_BEFORE = 60
"""How much of a longer line is shown before the problem."""


class Location(NamedTuple):
    """A place in a file; lines and columns count from 1. Line 0 stands for the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Write it as compilers do."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(NamedTuple):
    """One thing that is wrong; ``source`` is the line it stands in, ``length`` how far it goes."""

    at: Location
    message: str
    hint: str = ""
    source: str = ""
    length: int = 1
    is_warning: bool = False

    def __str__(self) -> str:
        """Draw it: where, what, the line itself, and a caret with what to do."""
        at = self.at
        where = f"{at.file}:{at.line}:{at.column}" if at.line else at.file
        lines = [f"{where}: {'warning: ' if self.is_warning else ''}{self.message}"]
        if at.line:
            start = max(0, at.column - _BEFORE) if len(self.source) > _WIDEST else 0
            part = self.source[start : start + _WIDEST]
            shown = "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in part)
            caret = " " * (at.column - 1 - start)
            caret += "^" * max(1, min(self.length, start + _WIDEST - at.column + 1))
            lines += [f"  {shown}", f"  {caret}  {self.hint}".rstrip()]
        elif self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)


class Rejected(Exception):  # noqa: N818 - a verdict on a value, not an error of the program
    """A value that is not understood: which part of it, why, and what would be."""

    def __init__(self, message: str, *, hint: str = "", start: int = 0, length: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.start = start
        self.length = length


class PolicyError(PycacheSysError):
    """A policy that nothing may be built by."""

    exit_status = ExitStatus.POLICY

    def __init__(self, problems: Sequence[Problem]) -> None:
        errors = sum(not problem.is_warning for problem in problems)
        super().__init__(
            f"the policy has {errors} error{'s' if errors > 1 else ''}; nothing was done",
            hint="mend it, and see with: pycache-sys policy check",
        )
        self.problems = tuple(problems)
        self.details = tuple(map(str, problems))


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Suggest what was probably meant; "" where nothing is near."""
    import difflib  # noqa: PLC0415 - only for something that is wrong already

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean '{found[0]}'?" if found else ""

"""What is not compiled: the policy's patterns, and what Debian's packages ask to be left out."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pycache_sys.core.model import Interpreter
from pycache_sys.core.select import is_below

Judge = Callable[[str], str]
"""Says why a path is excluded; "" where it is not. A directory's path ends with a slash."""

_RANGE = r"(-)?(\d)\.(\d{1,4})(?:(-)(?:(\d)\.(\d{1,4}))?)?"


class Pattern:
    """An absolute pattern: ``*``, ``?`` and ``[…]`` within a name, ``**`` for whole directories.

    What lies below a directory that matches is covered with it.
    """

    def __init__(self, text: str) -> None:
        import fnmatch  # noqa: PLC0415 - only where something is excluded

        self.text = text
        parts = text.strip("/").split("/")
        plain = 0
        while plain < len(parts) and not set(parts[plain]).intersection("*?["):
            plain += 1
        self._start = "".join(f"/{part}" for part in parts[:plain])
        self._segments: list[list[re.Pattern[str]]] = [[]]
        for part in parts[plain:]:
            if part == "**":
                self._segments.append([])
            else:
                self._segments[-1].append(re.compile(fnmatch.translate(part)))
        self._needs_more = parts[-1] == "**"

    def covers(self, path: str) -> bool:
        """Tell whether a path matches, or a directory above it."""
        if not is_below(path, self._start or "/"):
            return False
        names = path[len(self._start) + 1 :].split("/") if path != self._start else []
        first, *others = self._segments
        if not _fits(first, names, 0):
            return False
        at = len(first)
        for segment in others:  # where it fits first leaves the most for those behind it
            last = len(names) - len(segment)
            places = (place for place in range(at, last + 1) if _fits(segment, names, place))
            place = next(places, None)
            if place is None:
                return False
            at = place + len(segment)
        return not self._needs_more or at < len(names)


def _fits(segment: Sequence["re.Pattern[str]"], names: Sequence[str], at: int) -> bool:
    return at + len(segment) <= len(names) and all(
        pattern.match(names[at + index]) for index, pattern in enumerate(segment)
    )


class Exemption(NamedTuple):
    """One line of Debian's: for these versions, below this directory, what matches."""

    kind: str
    lowest: tuple[int, int]
    highest: tuple[int, int]
    directory: str
    pattern: "re.Pattern[str]"
    at: str

    def covers(self, path: str) -> bool:
        """Tell whether py3compile would leave this source out."""
        if not path.startswith(self.directory):
            return False
        if self.kind == "dir":
            return True
        if self.kind == "file":
            return path == self.directory
        rest = path[len(self.directory) :]
        if path.endswith("/"):
            return False  # py3compile looks at files
        return bool(self.pattern.match(path) or self.pattern.match(rest))


def parse_exemption(line: str, at: str) -> Exemption | None:
    """Read ``type|versions|directory|pattern``; None for a comment and for what is not understood.

    https://manpages.debian.org/py3compile
    """
    fields = line.split("|", 3)
    if line.startswith("#") or len(fields) < 3 or fields[0] not in ("re", "dir", "file"):
        return None
    versions = _versions(fields[1])
    if versions is None or not fields[2].startswith("/"):
        return None
    try:
        pattern = re.compile(fields[3] if len(fields) > 3 else ".*")
    except (re.error, OverflowError, RecursionError):
        return None
    directory = fields[2] if fields[0] == "file" else fields[2].rstrip("/") + "/"
    return Exemption(fields[0], *versions, directory, pattern, at)


def _versions(text: str) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Read ``3.5``, ``3.5-``, ``-3.5``, ``3.5-3.9``; the end of a range is not in it."""
    lowest, highest = (0, 0), (999, 999)
    if text.strip() in ("", "-"):
        return lowest, highest
    found = re.fullmatch(_RANGE, text.strip())
    if found is None:
        return None
    first = (int(found[2]), int(found[3]))
    if found[1]:
        return None if found[4] else (lowest, first)
    last = (int(found[5]), int(found[6])) if found[5] else highest
    if not found[4] or last == first:
        return first, (first[0], first[1] + 1)
    return (first, last) if first < last else None


def excluder(
    patterns: Sequence[str], exemptions: Sequence[Exemption], interpreter: Interpreter
) -> Judge | None:
    """Say what is excluded for an interpreter; None where nothing is."""
    version = interpreter.version[:2]
    mine = [one for one in exemptions if one.lowest <= version < one.highest]
    if not patterns and not mine:
        return None
    own = [Pattern(text) for text in patterns]

    def judge(path: str) -> str:
        for pattern in own:
            if pattern.covers(path.rstrip("/")):
                return f"the policy excludes {pattern.text}"
        for one in mine:
            if one.covers(path):
                return f"a package excludes it in {one.at}"
        return ""

    return judge

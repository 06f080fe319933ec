"""The last run of ``rebuild`` for everything: what is remembered of it. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pycache_sys import __version__
from pycache_sys.core.model import Outcome, Reason
from pycache_sys.core.report import Report, used_in

JSON_VERSION = 1
MOST_KEPT = 1000
"""So many failures are named; their true number is kept, too."""
LONGEST = 64 << 20
"""No file of ours is longer than so many bytes: a path has 4096 at most, and 6 stand for each."""
UNCOMPILABLE = frozenset(
    {
        Reason.SYNTAX,
        Reason.TOO_COMPLEX,
        Reason.MEMORY_LIMIT,
        Reason.TIME_LIMIT,
        Reason.CRASH,
    }
)
"""Failures of a source, and not of what there was to write it to."""
_COUNTS = ("compiled", "fresh", "removed", "failed", "skipped")
_SECOND = 1_000_000_000
_LATEST = 1 << 36


class LastRun(NamedTuple):
    """One run: ``when`` it began, in seconds since 1970, and how many ``seconds`` it took.

    ``counts`` are those of the report, with the true number of failures. ``stopped`` says why it
    ended early, and is empty where it did not. ``interpreters`` are (path, folder).
    """

    when: float
    seconds: float
    counts: Mapping[str, int]
    program: str = __version__
    stopped: str = ""
    failures: tuple[Outcome, ...] = ()
    over_limit: tuple[str, ...] = ()
    """Sources whose root may not have so much bytecode."""
    interpreters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, report: Report, *, when: float, seconds: float, stopped: str = "") -> "LastRun":
        """Take what is remembered out of a report."""
        over_limit = [o.source for o in report.skips if o.reason is Reason.OVER_LIMIT]
        return cls(
            when=when,
            seconds=round(seconds, 3),
            counts={
                "compiled": report.compiled,
                "fresh": report.fresh,
                "removed": report.removed,
                "failed": len(report.failures),
                "skipped": len(report.skips),
            },
            stopped=report.stopped or stopped,
            failures=tuple(sorted(report.failures)[:MOST_KEPT]),
            over_limit=tuple(sorted(over_limit)[:MOST_KEPT]),
            interpreters=tuple(
                (found.path, found.directory) for found in used_in(report.interpreters)
            ),
        )

    @classmethod
    def parse(cls, answer: object) -> "LastRun | None":
        """Read what ``as_json`` gave; None for anything else."""
        try:
            return cls._parse(_Reader(answer))
        except (ValueError, TypeError, KeyError):
            return None

    @classmethod
    def _parse(cls, read: "_Reader") -> "LastRun":
        if read.number("version") != JSON_VERSION:
            raise ValueError
        counts = _Reader(read.answer["counts"])
        return cls(
            when=read.number("when"),
            seconds=read.number("seconds"),
            counts={name: int(counts.number(name)) for name in _COUNTS},
            program=read.text("program"),
            stopped="" if read.answer["stopped"] is None else read.text("stopped"),
            failures=tuple(
                Outcome(one.text("source"), Reason(one.text("reason")), one.text("detail"))
                for one in read.several("failures")
            ),
            over_limit=tuple(one.text("source") for one in read.several("over_limit")),
            interpreters=tuple(
                (one.text("path"), one.text("directory")) for one in read.several("interpreters")
            ),
        )

    @property
    def uncompilable(self) -> frozenset[str]:
        """Name the sources that no bytecode could be made of."""
        return frozenset(o.source for o in self.failures if o.reason in UNCOMPILABLE)

    def has_seen(self, directory: str, changed: int) -> bool:
        """Tell whether it had a folder to fill, and a source as it is since ``changed``.

        That is in nanoseconds: the time of the source's last change of any kind, its ctime.
        """
        is_used = any(used == directory for _, used in self.interpreters)
        return is_used and changed <= self.when * _SECOND

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "version": JSON_VERSION,
            "program": self.program,
            "when": self.when,
            "seconds": self.seconds,
            "counts": dict(self.counts),
            "stopped": self.stopped or None,
            "failures": [
                {"source": o.source, "reason": o.reason.value, "detail": o.detail}
                for o in self.failures
            ],
            "over_limit": [{"source": source} for source in self.over_limit],
            "interpreters": [
                {"path": path, "directory": folder} for path, folder in self.interpreters
            ],
        }


class _Reader:
    """Reads an object whose values are of the kinds they should be. Raises ValueError and such."""

    def __init__(self, answer: object) -> None:
        if not isinstance(answer, dict):
            raise TypeError
        self.answer: dict[str, object] = answer

    def text(self, name: str) -> str:
        found = self.answer[name]
        if not isinstance(found, str):
            raise TypeError
        return found

    def number(self, name: str) -> float:
        """Read a number that is neither negative nor beyond all times."""
        found = self.answer[name]
        if not isinstance(found, int | float) or isinstance(found, bool):
            raise TypeError
        if not 0 <= found < _LATEST:  # no NaN is
            raise ValueError
        return found

    def several(self, name: str) -> "Sequence[_Reader]":
        found = self.answer[name]
        if not isinstance(found, list) or len(found) > MOST_KEPT:
            raise TypeError
        return [_Reader(one) for one in found]

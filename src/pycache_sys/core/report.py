"""What a run did: counts, failures and skips, mergeable, and the exit status they stand for."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.model import FAILURES, Interpreter, Outcome, Reason

if TYPE_CHECKING:
    from pycache_sys.core.in_place import Cleared

JSON_VERSION = 1


class InterpreterNote(NamedTuple):
    """What became of one interpreter: used, or skipped for a reason."""

    path: str
    interpreter: Interpreter | None = None
    refusal: tuple[Reason, str] | None = None
    named: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        found = self.interpreter
        return {
            "path": self.path,
            "version": ".".join(map(str, found.version)) if found else None,
            "implementation": found.implementation if found else None,
            "directory": found.directory if found else None,
            "status": "skipped" if self.refusal else "used",
            "reason": self.refusal[0].value if self.refusal else None,
            "detail": self.refusal[1] if self.refusal else None,
        }


def used_in(notes: Iterable[InterpreterNote]) -> list[Interpreter]:
    """List the interpreters that take part."""
    return [note.interpreter for note in notes if note.interpreter and not note.refusal]


class Report:
    """A run's results, filled while it goes on."""

    def __init__(self, tree: str, *, dry_run: bool = False, only_prune: bool = False) -> None:
        self.tree = tree
        self.dry_run = dry_run
        self.only_prune = only_prune
        self.workers = "caller"
        self.workers_detail = ""
        self.interpreters: list[InterpreterNote] = []
        self.compiled = 0
        self.fresh = 0
        self.removed = 0
        self.failures: list[Outcome] = []
        self.skips: list[Outcome] = []
        self.left: list[Outcome] = []
        self.seconds = 0.0
        self.remaining = 0
        """Sources that were planned and not reached, because the run was stopped."""
        self.stopped = ""
        """Why the run ended early, empty where it did not."""
        self.in_place: Cleared | None = None
        """What became of bytecode beside the sources, where that was looked at."""
        self._seen: set[Outcome] = set()

    def add(self, outcome: Outcome) -> None:
        """File an outcome under failures or skips; a skip of several interpreters counts once."""
        if outcome.reason in FAILURES:
            self.failures.append(outcome)
        elif outcome not in self._seen:
            self._seen.add(outcome)
            self.skips.append(outcome)

    @property
    def exit_status(self) -> ExitStatus:
        """Weigh the outcomes: the worst one counts."""
        if self.stopped:
            return ExitStatus.SYSTEM
        unusable = any(note.named and note.refusal for note in self.interpreters)
        none_used = not any(note.refusal is None for note in self.interpreters)
        if self.failures or unusable or none_used:
            return ExitStatus.SOME_FAILED
        return ExitStatus.DONE

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "version": JSON_VERSION,
            "tree": self.tree,
            "dry_run": self.dry_run,
            "workers": self.workers,
            "workers_detail": self.workers_detail,
            "interpreters": [note.as_json() for note in self.interpreters],
            "counts": {
                "compiled": self.compiled,
                "fresh": self.fresh,
                "removed": self.removed,
                "failed": len(self.failures),
                "skipped": len(self.skips),
            },
            "failures": [_outcome(outcome) for outcome in self.failures],
            "skips": [_outcome(outcome) for outcome in self.skips],
            "left": [
                {"path": o.source, "reason": o.reason.value, "detail": o.detail} for o in self.left
            ],
            "remaining": self.remaining,
            "stopped": self.stopped or None,
            "in_place": self.in_place.as_json() if self.in_place else None,
            "seconds": round(self.seconds, 3),
        }


def _outcome(outcome: Outcome) -> dict[str, str]:
    return {"source": outcome.source, "reason": outcome.reason.value, "detail": outcome.detail}

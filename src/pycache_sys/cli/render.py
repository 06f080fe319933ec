"""What a person sees: a progress bar on a terminal, and a short report."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pycache_sys.core.model import Outcome, Reason
from pycache_sys.core.plan import Plan
from pycache_sys.core.report import Report, used_in

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from pycache_sys.core.in_place import Cleared

_LISTED = 20
_REFRESH_SECONDS = 0.1
_WORDS = {
    Reason.SYNTAX: "syntax error",
    Reason.TOO_COMPLEX: "too complex for the compiler",
    Reason.MEMORY_LIMIT: "memory limit",
    Reason.TIME_LIMIT: "time limit",
    Reason.CRASH: "compiler crashed",
    Reason.CHANGED: "changed meanwhile",
    Reason.WRITE: "not written",
    Reason.WORKER: "worker failed",
    Reason.MISSING: "does not exist",
    Reason.VANISHED: "vanished meanwhile",
    Reason.UNREADABLE: "unreadable",
    Reason.NOT_REGULAR: "not a regular file",
    Reason.DANGLING_LINK: "dangling link",
    Reason.LINK_LOOP: "link loop",
    Reason.NAME_TOO_LONG: "name too long",
    Reason.SHADOWED: "shadowed by the .py beside it",
    Reason.WRONG_OWNER: "not owned by root",
    Reason.WRITABLE_BY_OTHERS: "writable by others",
    Reason.NOT_READABLE_BY_ALL: "not readable by everybody",
    Reason.EXCLUDED: "excluded",
    Reason.OVER_LIMIT: "over the limit of its root",
    Reason.NOT_A_SOURCE: "not an importable source",
    Reason.NO_ANSWER: "no answer",
    Reason.OUTSIDE_ROOTS: "link to a package elsewhere",
    Reason.BROKEN: "broken",
    Reason.TOO_OLD: "too old",
    Reason.NO_CACHE_TAG: "no cache tag",
    Reason.CONFLICT: "conflict",
    Reason.OUT_OF_REACH: "out of reach",
    Reason.FOREIGN: "not ours",
    Reason.NO_INTERPRETER: "interpreter not installed",
}


class Progress:
    """Watches a run: a bar on a terminal, the plan in a dry run, and silence in a pipe."""

    def __init__(self, *, quiet: bool, list_plan: bool) -> None:
        self._wants_bar = not quiet and not list_plan and sys.stderr.isatty()
        self._list_plan = list_plan
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._shown = 0.0

    def __enter__(self) -> Self:
        """Start watching."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def waiting(self, message: str) -> None:
        """Say that another run is at work."""
        print(f"pycache-sys: {message}", file=sys.stderr)

    def planned(self, plan: Plan, interpreter: str) -> None:
        """Show a plan, or start the bar for it."""
        if self._list_plan:
            for job in sorted(plan.jobs):
                print(f"compile {plan.order.directory} {printable(job.source)}")
            for path in sorted(plan.removals):
                print(f"remove  {printable(f'{plan.order.tree}/{path}')}")
        elif plan.jobs and self._wants_bar:
            self._show(plan, interpreter)

    def advanced(self) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
            if time.monotonic() - self._shown > _REFRESH_SECONDS:
                self._shown = time.monotonic()
                self._bar.refresh()

    def _show(self, plan: Plan, interpreter: str) -> None:
        self._start(
            f"compiling for {plan.order.directory}",
            len(plan.jobs),
            f"{interpreter}: compiling {len(plan.jobs)} sources",
        )

    def began(self, words: str, total: int) -> None:
        """Start the bar for something else than a plan."""
        if total and self._wants_bar:
            self._start(words, total, f"{words}: {total}")

    def _start(self, words: str, total: int, plain: str) -> None:
        """Start a bar, or where that cannot be shown, print a line."""
        if self._bar is None:
            try:
                from rich.console import Console  # noqa: PLC0415 - only where a terminal is shown something
                from rich.progress import (  # noqa: PLC0415 - as above
                    BarColumn,
                    MofNCompleteColumn,
                    TextColumn,
                    TimeRemainingColumn,
                )
                from rich.progress import Progress as RichProgress  # noqa: PLC0415 - as above
            except ImportError:
                print(plain, file=sys.stderr)
                return
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                auto_refresh=False,  # that is a thread, and workers are forked beside it
            )
            self._bar.start()
        self._task = self._bar.add_task(words, total=total)


def print_report(report: Report, *, quiet: bool, verbose: bool, brief: bool = False) -> None:
    """Print failures and what was left out on stderr, the result on stdout.

    ``brief`` is for who runs this unasked: one line, and what is wrong with the whole. Most systems
    have sources that never compile, and they are the same each time.
    """
    complain = _complainer()
    _print_interpreters(report, complain, quiet=quiet, verbose=verbose)
    if not brief:
        _print_outcomes(report.failures, complain, limit=None if verbose else _LISTED)
    if report.stopped:
        complain(
            f"stopped: {report.stopped}; {report.remaining} sources were not reached. "
            "Free some space or make the tree writable, then run again"
        )
        if brief:
            return
    if verbose:
        _print_outcomes(report.skips, complain, limit=None)
        _print_outcomes(report.left, complain, limit=None)
    if not quiet:
        print(f"pycache-sys: {_counts(report)}" if brief else summary(report))


def _print_interpreters(
    report: Report, complain: Callable[[str], None], *, quiet: bool, verbose: bool
) -> None:
    """Say which interpreters were not used, and if that is all of them."""
    for note in report.interpreters:
        if not note.refusal:
            continue
        reason, detail = note.refusal
        if verbose or note.named or not (quiet or reason is Reason.EXCLUDED):
            complain(f"{printable(note.path)}: skipped, {_WORDS[reason]}: {printable(detail)}")
    if not report.interpreters:
        complain(
            "no Python interpreter found in /usr/bin and /usr/local/bin; "
            "name one with --python PATH"
        )
    refusals = [note.refusal for note in report.interpreters]
    if refusals and all(r is not None and r[0] is Reason.EXCLUDED for r in refusals):
        complain("the policy's 'interpreters' leave out all that were found (-v names them)")


def print_json(answer: Mapping[str, object]) -> None:
    """Print a documented JSON object on stdout."""
    import json  # noqa: PLC0415 - most calls print lines

    json.dump(answer, sys.stdout, indent=2)
    print()


def reason_words(reason: Reason) -> str:
    """Say a reason in a few plain words."""
    return _WORDS[reason]


def files_words(number: int) -> str:
    """Say how many files: 1 file, 2 files."""
    return "1 file" if number == 1 else f"{number} files"


def space_words(size: int) -> str:
    """Say how much space so many bytes are."""
    return f"{size / (1 << 20):.1f} MiB"


def summary(report: Report) -> str:
    """Say in a few lines what was done."""
    directories = dict.fromkeys(found.directory for found in used_in(report.interpreters))
    folders = ", ".join(directories) or "no interpreter"
    lines = [f"{printable(report.tree)}: {folders}", f"  {_counts(report)}"]
    if report.skips:
        lines.append(f"  skipped: {_tally(report.skips)} (-v names them)")
    if report.left:
        lines.append(f"  left alone in the tree: {_tally(report.left)} (-v names them)")
    if report.in_place and report.in_place.removed:
        removed = "to remove" if report.dry_run else "removed"
        files, space = cleared_words(report.in_place)
        lines.append(f"  beside the sources: {removed} {files} ({space})")
    if report.compiled and not report.dry_run:
        lines.append(f"  workers ran as {_workers(report)}")
    return "\n".join(lines)


def _counts(report: Report) -> str:
    compiled, removed = ("compiled", "removed")
    if report.dry_run:
        compiled, removed = ("to compile", "to remove")
    if report.only_prune:
        return (
            f"{removed} {report.removed}, failed {len(report.failures)}  ({report.seconds:.1f} s)"
        )
    return (
        f"{compiled} {report.compiled}, fresh {report.fresh}, "
        f"{removed} {report.removed}, failed {len(report.failures)}, "
        f"skipped {len(report.skips)}  ({report.seconds:.1f} s)"
    )


def cleared_words(cleared: "Cleared") -> tuple[str, str]:
    """Say how many files went from beside the sources, and how much space that is."""
    return files_words(cleared.removed), space_words(cleared.space)


def printable(text: str) -> str:
    """Escape what a terminal would act upon, and what it could not show."""
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)


def _workers(report: Report) -> str:
    if report.workers == "account":
        return report.workers_detail
    return f"uid {os.geteuid()}: {report.workers_detail}"


def _tally(outcomes: Iterable[Outcome]) -> str:
    counts = Counter(_WORDS[outcome.reason] for outcome in outcomes)
    return ", ".join(f"{number} {words}" for words, number in counts.most_common())


def _print_outcomes(
    outcomes: list[Outcome], complain: Callable[[str], None], *, limit: int | None
) -> None:
    for outcome in sorted(outcomes)[:limit]:
        complain(
            f"{printable(outcome.source)}: {_WORDS[outcome.reason]}: {printable(outcome.detail)}"
        )
    if limit is not None and len(outcomes) > limit:
        complain(f"and {len(outcomes) - limit} more (-v names them)")


def _complainer() -> Callable[[str], None]:
    return lambda text: print(f"pycache-sys: {text}", file=sys.stderr)

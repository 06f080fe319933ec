"""The verb ``status``."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from pycache_sys.cli.columns import (
    Column,
    Paint,
    cut,
    cut_path,
    has_colour,
    is_dumb,
    screen_width,
    shown,
    table,
    width_of,
)
from pycache_sys.cli.gc import REFUSALS
from pycache_sys.cli.passing_line import PassingLine
from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import (
    files_words,
    print_json,
    print_report,
    printable,
    reason_words,
    space_words,
)
from pycache_sys.cli.scene import enter_and_load, tree_path
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.last_run import LastRun
from pycache_sys.core.report import Report
from pycache_sys.core.standing import Cache, Folder, Hook, Share, Standing, Use
from pycache_sys.core.tidying import Refused
from pycache_sys.status import Request, status

FAILURES_NAMED = 5
PACKAGES_NAMED = 20
_NOTHING = "-"
_MEBIBYTE = 1 << 20
_NO_PACKAGE = "(no package)"
_SHORTEST_BAR, _LONGEST_BAR = 10, 40
_UNITS = ((86400 * 2, 86400, "days"), (3600 * 2, 3600, "hours"), (60 * 2, 60, "minutes"))
_HOOKS = {Hook.ON: "on", Hook.OFF: "off", Hook.POLICY: "off by the policy"}
_USES = {Use.NOT_INSTALLED: "not installed", Use.LEFT_OUT: "left out by the policy"}


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    policy = enter_and_load(namespace)
    paths, specifiers = parse_pythons(namespace.python)
    request = Request(
        tree=tree_path(namespace, policy),
        python_paths=paths,
        python_specifiers=specifiers,
        policy=policy,
        by_package=namespace.by_package,
        all_users=namespace.all_users,
    )
    standing = Standing(tree=request.tree)
    is_table = namespace.format == "table"
    try:
        with _Watch(is_shown=is_table and not namespace.quiet) as watch:
            status(request, standing, watch)
    except KeyboardInterrupt:
        print("pycache-sys: interrupted; nothing was changed", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    if namespace.format == "json":
        print_json(standing.as_json())
    elif namespace.format == "prometheus":
        from pycache_sys.cli.prometheus import exposition  # noqa: PLC0415 - for this alone

        sys.stdout.write(exposition(standing))
    else:
        _print(standing, namespace)
    return standing.exit_status


class _Watch:
    """Shows on a terminal what is looked at, if that takes its time; nothing in a pipe."""

    def __init__(self, *, is_shown: bool) -> None:
        self._line = PassingLine(is_shown=is_shown and not is_dumb())
        self._looked = 0
        self._words = ""

    def __enter__(self) -> Self:
        """Start watching."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Take the line away."""
        self._line.clear()

    def began(self, words: str) -> None:
        """Show what is looked at next."""
        self._words, self._looked = printable(words), 0
        self._show(self._words)

    def looked(self) -> None:
        """Count a file."""
        self._looked += 1
        if self._line.is_shown:
            self._show(f"{self._words}: {files_words(self._looked)}")

    def _show(self, text: str) -> None:
        self._line.show(cut(text, screen_width() - 1))


def _print(standing: Standing, namespace: argparse.Namespace) -> None:
    """Print the screen on stdout, and what could not be looked at on stderr."""
    verbose = namespace.verbose
    if namespace.quiet:
        advice = standing.advice()
        lines = iter([printable(advice)] if advice else [])
    else:
        lines = screen(
            standing,
            screen_width(),
            Paint(is_on=has_colour()),
            now=time.time(),
            verbose=verbose,
            is_for_all=namespace.all_users,
        )
    for line in lines:
        print(line)
    sys.stdout.flush()
    found = Report(tree=standing.tree)
    found.interpreters, found.failures = list(standing.notes), standing.failures
    print_report(found, quiet=True, verbose=verbose)


def screen(
    standing: Standing,
    width: int,
    paint: Paint,
    *,
    now: float,
    verbose: bool = False,
    is_for_all: bool = False,
) -> Iterator[str]:
    """Lay everything out, with all users' caches or one's own.

    ``verbose`` lines with paths in them may be wider than the screen.
    """
    yield cut(_headline(standing), width)
    yield from _last_run(standing.last_run, width, now=now, verbose=verbose)
    blocks = (
        _folders(standing, width, paint, verbose=verbose),
        _packages(standing.packages, width, verbose=verbose),
        _caches(standing.caches, width, is_for_all=is_for_all),
        _wrapped(standing.advice(), width, paint),
    )
    for block in map(list, blocks):
        if block:
            yield ""
            yield from block


def _size(number: int) -> str:
    """Say how much space so many bytes are; "-" for none."""
    if not number:
        return _NOTHING
    return space_words(number) if number >= _MEBIBYTE else f"{-(-number // 1024)} KiB"


# the tree and its last run


def _headline(standing: Standing) -> str:
    tree, space = printable(standing.tree), standing.space
    if standing.trouble or not standing.is_there:
        return f"{tree}: {'not used' if standing.trouble else 'no tree yet'}"
    if not space.files:
        return f"{tree}: empty"
    files = files_words(space.files)
    return f"{tree}: {files}, {_size(space.disk)} on disk"


def _last_run(run: LastRun | None, width: int, *, now: float, verbose: bool) -> Iterator[str]:
    if run is None:
        return
    moment = ago(now - run.when)
    if verbose:
        moment += f" ({time.strftime('%Y-%m-%d %H:%M:%S %z', time.localtime(run.when))})"
    line = f"last run: {moment}, took {run.seconds:.1f} s"
    failed = run.counts["failed"]
    if failed:
        line += f", {failed} failed"
    yield line if verbose else cut(line, width)
    if run.stopped:
        stopped = f"  it was stopped: {printable(run.stopped)}"
        yield stopped if verbose else cut(stopped, width)
    named = run.failures if verbose else run.failures[:FAILURES_NAMED]
    for outcome in named:
        source, why = printable(outcome.source), reason_words(outcome.reason)
        if verbose:
            yield f"  {source}: {why}: {printable(outcome.detail)}"
        else:
            yield f"  {cut_path(source, width - len(why) - 4)}: {why}"
    if failed > len(named):
        hint = "" if verbose else " (-v names them)"
        yield f"  and {failed - len(named)} more{hint}"


def ago(seconds: float) -> str:
    """Say in words how long ago something was."""
    for least, unit, words in _UNITS:
        if seconds >= least:
            return f"{int(seconds // unit)} {words} ago"
    if seconds >= 60:
        return "a minute ago"
    return "just now" if seconds >= 0 else "in the future, by its clock"


# the interpreters


def _folders(standing: Standing, width: int, paint: Paint, *, verbose: bool) -> Iterator[str]:
    folders = standing.folders
    if not folders:
        return
    yield from table(list(_columns(standing, folders)), width, paint)
    if not verbose:
        return
    for folder in folders:
        if folder.skips:
            tally = [f"{n} {reason_words(reason)}" for reason, n in folder.skips.most_common()]
            words = f"{folder.directory} skips {', '.join(tally)}"
            yield from _wrapped(words, width, Paint(is_on=False))
    for hooked in standing.hooks:
        state = _HOOKS[hooked.hook] if hooked.hook else f"not known: {hooked.failure}"
        files = f", by {', '.join(hooked.files)}" if hooked.files else ""
        yield printable(f"{hooked.path}: hook {state}{files}")


def _columns(standing: Standing, folders: Sequence[Folder]) -> Iterator[Column]:
    """Give the columns from left to right; counts that are nowhere above zero have none."""
    yield Column("PYTHON", [folder.directory for folder in folders])
    yield Column("VERSION", [", ".join(f.versions) or _NOTHING for f in folders], rank=5)
    yield _counts("SOURCES", [folder.sources for folder in folders])
    yield _counts("FRESH", [folder.fresh for folder in folders])
    yield _counts("STALE", [folder.stale for folder in folders], is_alarm=True)
    yield _counts("MISSING", [folder.missing for folder in folders], is_alarm=True)
    optional = (
        _counts("FAILED", [folder.uncompilable for folder in folders], rank=1),
        _counts("SKIPPED", [folder.skipped for folder in folders], rank=6),
        _counts("STRAY", [folder.stray for folder in folders], is_alarm=True),
        _counts("FOREIGN", [folder.foreign for folder in folders], rank=4),
    )
    yield from (column for column in optional if set(column.cells) != {_NOTHING})
    yield _counts("FILES", [folder.space.files for folder in folders], rank=3)
    sizes = [_size(folder.space.apparent) for folder in folders]
    yield Column("SIZE", sizes, is_number=True, rank=7)
    blocks = [_size(folder.space.disk) for folder in folders]
    yield Column("ON DISK", blocks, is_number=True, rank=2)
    states = [_hook_words(standing, folder) for folder in folders]
    off = {number for number, state in enumerate(states) if "off" in state.split(", ")}
    alarms = frozenset(off) if standing.is_system else frozenset[int]()
    if any(state != _NOTHING for state in states):
        yield Column("HOOK", states, is_flexible=True, alarms=alarms)
    yield Column("INTERPRETER", [printable(", ".join(f.paths)) for f in folders], rank=8)
    brought = [_brought_by(standing, folder) for folder in folders]
    if any(brought):
        yield Column("HOOK BROUGHT BY", [by or _NOTHING for by in brought], rank=9)


def _counts(title: str, numbers: Sequence[int], *, rank: int = 0, is_alarm: bool = False) -> Column:
    cells = [str(number) if number else _NOTHING for number in numbers]
    alarms = frozenset(n for n, number in enumerate(numbers) if number and is_alarm)
    return Column(title, cells, is_number=True, rank=rank, alarms=alarms)


def _hook_words(standing: Standing, folder: Folder) -> str:
    if folder.use is not Use.USED:
        return _USES[folder.use]
    words = [
        f"{_HOOKS[hooked.hook]}{' with venvs' if hooked.hook is Hook.ON and hooked.venvs else ''}"
        if hooked.hook
        else "not known"
        for hooked in standing.hooks_of(folder.directory)
    ]
    return ", ".join(dict.fromkeys(words)) or _NOTHING


def _brought_by(standing: Standing, folder: Folder) -> str:
    files = [file for hooked in standing.hooks_of(folder.directory) for file in hooked.files]
    return printable(", ".join(dict.fromkeys(files)))


# who uses the space


def _packages(shares: Sequence[Share] | None, width: int, *, verbose: bool) -> Iterator[str]:
    if not shares:
        return
    total = sum(share.space.disk for share in shares)
    listed = shares if verbose else shares[:PACKAGES_NAMED]
    names = [printable(share.package) or _NO_PACKAGE for share in listed]
    parts = [share.space.disk / total if total else 0.0 for share in listed]
    columns = [
        Column("PACKAGE", names, is_flexible=True),
        Column("FILES", [str(share.space.files) for share in listed], is_number=True),
        Column("ON DISK", [_size(share.space.disk) for share in listed], is_number=True),
        Column("SHARE", [f"{100 * part:.1f} %" for part in parts], is_number=True),
    ]
    taken = sum(column.width for column in columns) + 2 * len(columns)
    longest = min(max(width - taken, _SHORTEST_BAR), _LONGEST_BAR)
    block, first = shown("█", "#"), parts[0] or 1.0
    bars = [block * round(longest * part / first) for part in parts]
    yield from table([*columns, Column("", bars)], width, Paint(is_on=False))
    if len(shares) > len(listed):
        left = shares[len(listed) :]
        space = _size(sum(share.space.disk for share in left))
        yield f"and {len(left)} more, {space} (-v names them)"


# the users' own caches


def _caches(caches: Sequence[Cache] | None, width: int, *, is_for_all: bool) -> Iterator[str]:
    if caches is None:
        return
    if not caches:
        yield "no user has a cache" if is_for_all else "you have no cache of your own yet"
    elif not is_for_all:
        for cache in caches:
            path, words = f"your cache: {printable(cache.path)}:", _size_words(cache)
            if width_of(f"{path} {words}") <= width:
                yield f"{path} {words}"
            else:
                yield cut(path, width)
                yield from _wrapped(words, width, Paint(is_on=False), start="  ")
    else:
        free = [_size(cache.freed) for cache in caches]
        known = [not cache.refused for cache in caches]
        columns = [
            Column("USER", [printable(cache.user) for cache in caches], is_flexible=True),
            Column("FILES", _known([str(c.files) for c in caches], known), is_number=True),
            Column("SIZE", _known([_size(c.size) for c in caches], known), is_number=True),
            Column("GC FREES", free, is_number=True),
            Column("CACHE", [printable(cache.path) for cache in caches], rank=1),
        ]
        yield from table(columns, width, Paint(is_on=False))
        for cache in caches:
            if cache.refused:
                words = (
                    f"{printable(cache.user)}: not looked into: {REFUSALS[Refused(cache.refused)]}"
                )
                yield from _wrapped(words, width, Paint(is_on=False))


def _known(cells: Sequence[str], known: Sequence[bool]) -> list[str]:
    return [cell if is_known else _NOTHING for cell, is_known in zip(cells, known, strict=True)]


def _size_words(cache: Cache) -> str:
    if cache.refused:
        return f"not looked into: {REFUSALS[Refused(cache.refused)]}"
    words = f"{files_words(cache.files)}, {_size(cache.size)}"
    if cache.removable:
        words += f"; 'pycache-sys gc' frees {_size(cache.freed)}"
    return words


def _wrapped(text: str, width: int, paint: Paint, *, start: str = "") -> Iterator[str]:
    """Break a text into lines at its blanks; a word that is too long is cut."""
    line, is_begun = start, False
    for word in printable(text).split():
        longer = f"{line} {word}" if is_begun else line + word
        if is_begun and width_of(longer) > width:
            yield paint(line)
            longer = f"  {word}"
        line, is_begun = cut(longer, width), True
    if is_begun:
        yield paint(line)

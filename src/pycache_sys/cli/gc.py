"""The verb ``gc``."""

import argparse
import sys
import time
from types import TracebackType
from typing import Self

from pycache_sys.cli.passing_line import PassingLine
from pycache_sys.cli.render import files_words, print_json, printable, space_words
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.report import JSON_VERSION
from pycache_sys.core.tidying import NO_LIMIT, Refused, Tidied, Why
from pycache_sys.gc import Request, gc
from pycache_sys.policy import values
from pycache_sys.policy.load import load
from pycache_sys.policy.problems import Rejected

_LISTED = 20
WORDS = {
    Why.SOURCE_GONE: "source gone",
    Why.INTERPRETER_GONE: "interpreter not installed",
    Why.UNUSED: "unused for too long",
    Why.OVER_SIZE: "over the size limit",
    Why.LEFTOVER: "half written",
}
REFUSALS = {
    Refused.NOT_OWN: "somebody else can write it, or a directory on the way",
    Refused.LINK: "a symbolic link: name the directory it leads to as 'user-cache' in the policy",
    Refused.UNREADABLE: "it cannot be read",
    Refused.NO_ANSWER: "its file system does not answer, or takes too long",
    Refused.FAILED: "the process that was to tidy it as this user has failed",
}


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    request = Request(
        policy=load(namespace.config),
        everybody=namespace.all_users,
        max_age=namespace.older_than,
        max_size=namespace.max_size,
        dry_run=namespace.dry_run,
    )
    results: list[Tidied] = []
    started = time.monotonic()
    interrupted = False
    verbose = namespace.verbose and not namespace.json
    quiet = namespace.quiet or namespace.json
    with _Watch(verbose=verbose, quiet=quiet, dry_run=request.dry_run) as watch:
        try:
            gc(request, results, watch)
        except KeyboardInterrupt:
            interrupted = True
    seconds = time.monotonic() - started
    if namespace.json:
        _print_json(results, seconds, dry_run=request.dry_run)
    else:
        _print(results, seconds, namespace)
    if interrupted:
        print(
            "pycache-sys: interrupted; the cache is valid, and the next run goes on from here",
            file=sys.stderr,
        )
        return ExitStatus.INTERRUPTED
    is_sound = all(cache.is_sound for cache in results)
    return ExitStatus.DONE if is_sound else ExitStatus.SOME_FAILED


def read_age(text: str) -> int:
    """Read the argument of ``--older-than`` as the policy reads ``cache-max-age``."""
    try:
        seconds = values.duration(text)
    except Rejected as error:
        raise argparse.ArgumentTypeError(f"{error}; {error.hint}") from None
    return NO_LIMIT if seconds is None else seconds


def read_size(text: str) -> int:
    """Read the argument of ``--max-size`` as the policy reads ``cache-max-size``."""
    try:
        size = values.size(text)
    except Rejected as error:
        raise argparse.ArgumentTypeError(f"{error}; {error.hint}") from None
    return NO_LIMIT if size is None else size


class _Watch:
    """Shows on a terminal how far it is, and with ``-v`` what is done; nothing in a pipe."""

    def __init__(self, *, verbose: bool, quiet: bool, dry_run: bool) -> None:
        self._verbose = verbose
        self._verb = "would remove" if dry_run else "removed"
        self._line = PassingLine(is_shown=not quiet)
        self._looked = 0
        self._failed = 0

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
        if self._failed > _LISTED and not self._verbose:
            print(
                f"pycache-sys: and {self._failed - _LISTED} more (-v names them)", file=sys.stderr
            )

    def began(self, path: str) -> None:
        """Show which cache is the next: that of somebody else may take its time in silence."""
        self._line.show(f"tidying {printable(path)}")

    def looked(self) -> None:
        """Count a file."""
        self._looked += 1
        if self._line.is_shown:
            self._line.show(f"looked at {self._looked} files")

    def removed(self, path: str, why: Why) -> None:
        """Name a file that goes."""
        if self._verbose:
            self._say(f"{self._verb} {printable(path)}: {WORDS[why]}")

    def left(self, path: str) -> None:
        """Name a file that stays."""
        if self._verbose:
            self._say(f"left {printable(path)}: not a name of the hook's, or not this user's")

    def failed(self, path: str, why: str) -> None:
        """Name what could not be removed."""
        self._failed += 1
        if self._verbose or self._failed <= _LISTED:
            self._say(f"{printable(path)}: not removed: {printable(why)}")

    def _say(self, text: str) -> None:
        self._line.clear()
        print(f"pycache-sys: {text}", file=sys.stderr)


def _print_json(results: list[Tidied], seconds: float, *, dry_run: bool) -> None:
    answer = {
        "version": JSON_VERSION,
        "dry_run": dry_run,
        "caches": [cache.as_json() for cache in results if cache.is_there or cache.refused],
        "seconds": round(seconds, 3),
    }
    print_json(answer)


def _print(results: list[Tidied], seconds: float, namespace: argparse.Namespace) -> None:
    for cache in results:
        if cache.refused is not None:
            print(
                f"pycache-sys: {printable(cache.path)}: nothing was removed: "
                f"{REFUSALS[cache.refused]}",
                file=sys.stderr,
            )
    if namespace.quiet:
        return
    found = [cache for cache in results if cache.is_there and cache.refused is None]
    for cache in found:
        print(summary(cache, dry_run=namespace.dry_run))
    if not found:
        print("there is no cache to tidy")
    elif len(found) > 1:
        files = sum(cache.files for cache in found)
        freed = sum(cache.freed for cache in found)
        verb = "to free" if namespace.dry_run else "freed"
        total = f"{len(found)} caches: {files_words(files)}, {space_words(freed)} {verb}"
        print(f"{total}  ({seconds:.1f} s)")


def summary(cache: Tidied, *, dry_run: bool) -> str:
    """Say in one line what became of a cache."""
    verb, freed = ("to remove", "to free") if dry_run else ("removed", "freed")
    line = f"{printable(cache.path)}: "
    if cache.files or cache.directories:
        line += f"{verb} {files_words(cache.files)}"
        if cache.directories:
            line += f" and {cache.directories} director{'y' if cache.directories == 1 else 'ies'}"
        line += f", {space_words(cache.freed)} {freed}"
        reasons = [f"{number} {WORDS[why]}" for why, number in cache.removed.items() if number]
        line += f" ({', '.join(reasons)})" if reasons else ""
    else:
        line += "nothing to remove"
    line += f"; left {files_words(cache.left)}, {space_words(cache.left_space)}"
    if cache.foreign:
        line += f", and {cache.foreign} of others (-v names them)"
    if cache.failed:
        line += f"; failed {cache.failed}"
    return line

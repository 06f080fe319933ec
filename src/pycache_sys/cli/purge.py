"""The verb ``purge``."""

import argparse
import sys

from pycache_sys.cli.rebuild import wait_seconds
from pycache_sys.cli.render import Progress, files_words, print_json, printable, space_words
from pycache_sys.cli.scene import enter_and_load, tree_path
from pycache_sys.core.errors import ExitStatus
from pycache_sys.purge import Purged, Request, purge

_LISTED = 20


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    policy = enter_and_load(namespace)
    request = Request(
        tree=tree_path(namespace, policy),
        policy=policy,
        dry_run=namespace.dry_run,
        wait_seconds=wait_seconds(namespace),
    )
    result = Purged(tree=request.tree, dry_run=request.dry_run)
    interrupted = False
    with Progress(quiet=namespace.quiet or namespace.json, list_plan=False) as progress:
        try:
            purge(request, result, progress)
        except KeyboardInterrupt:
            interrupted = True
    if namespace.json:
        print_json(result.as_json())
    else:
        _print(result, quiet=namespace.quiet, verbose=namespace.verbose)
    if interrupted:
        print(
            "pycache-sys: interrupted; what is left of the tree is valid, run again for the rest",
            file=sys.stderr,
        )
        return ExitStatus.INTERRUPTED
    return ExitStatus.DONE if namespace.best_effort else result.exit_status


def _print(result: Purged, *, quiet: bool, verbose: bool) -> None:
    """Print what went on stdout, and what has stayed on stderr."""
    if not quiet:
        for path in sorted(result.removals) if result.dry_run or verbose else ():
            print(f"remove  {printable(path)}")
        print(summary(result))
        sys.stdout.flush()
        _complain(result.left, verbose=verbose)
    _complain(result.failures, verbose=True)


def summary(result: Purged) -> str:
    """Say in a line what was done."""
    files, space = files_words(len(result.removals)), space_words(result.size)
    verb = "to remove" if result.dry_run else "removed"
    line = f"{printable(result.tree)}: {verb} {files} ({space})"
    if result.left:
        line += f", left alone {len(result.left)}"
    if result.failures:
        line += f", failed {len(result.failures)}"
    return line


def _complain(found: list[tuple[str, str]], *, verbose: bool) -> None:
    """Name what has stayed."""
    for path, why in sorted(found)[: None if verbose else _LISTED]:
        print(f"pycache-sys: {printable(path)}: {printable(why)}", file=sys.stderr)
    if not verbose and len(found) > _LISTED:
        print(f"pycache-sys: and {len(found) - _LISTED} more (-v names them)", file=sys.stderr)

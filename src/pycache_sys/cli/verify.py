"""The verb ``verify``."""

import argparse
import sys

from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import Progress, print_json, print_report, printable
from pycache_sys.cli.scene import enter_and_load, tree_path
from pycache_sys.core.defects import Verification
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.report import Report, used_in
from pycache_sys.verify import Request, verify

_WIDTH = 10
"""Of the first column: the longest kind."""


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    policy = enter_and_load(namespace)
    paths, specifiers = parse_pythons(namespace.python)
    request = Request(
        tree=tree_path(namespace, policy),
        paths=namespace.paths,
        python_paths=paths,
        python_specifiers=specifiers,
        policy=policy,
        deep=namespace.deep,
    )
    result = Verification(tree=request.tree, deep=request.deep)
    interrupted = False
    with Progress(quiet=namespace.quiet or namespace.json, list_plan=False) as progress:
        try:
            verify(request, result, progress)
        except KeyboardInterrupt:
            interrupted = True
    if namespace.json:
        print_json(result.as_json())
    else:
        _print(result, quiet=namespace.quiet, verbose=namespace.verbose)
    if interrupted:
        print("pycache-sys: interrupted; the rest was not looked at", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    return result.exit_status


def _print(result: Verification, *, quiet: bool, verbose: bool) -> None:
    """Print a line for each defect on stdout, and nothing for a healthy tree."""
    if not quiet:
        for defect in result.defects:
            print(f"{defect.kind:<{_WIDTH}} {printable(defect.path)}: {printable(defect.detail)}")
    if verbose:
        print(summary(result))
    sys.stdout.flush()
    if result.is_planned:
        found = Report(tree=result.tree)
        found.interpreters, found.failures = result.interpreters, result.failures
        if verbose:
            found.skips, found.left = result.uncompilable, result.left
        print_report(found, quiet=True, verbose=verbose)
    if result.defects and not quiet:
        number = len(result.defects)
        print(
            f"pycache-sys: {number} {'defect' if number == 1 else 'defects'}: {_counts(result)}. "
            "'pycache-sys rebuild' mends what is missing, stale or stray; delete other files first",
            file=sys.stderr,
        )


def summary(result: Verification) -> str:
    """Say in a few lines what was looked at."""
    folders = ", ".join(dict.fromkeys(found.directory for found in used_in(result.interpreters)))
    verb = "compared" if result.deep else "loaded"
    counts = f"up to date {result.sources}, {verb} {result.entries}, defects {len(result.defects)}"
    lines = [
        f"{printable(result.tree)}: {folders or 'no interpreter'}",
        f"  {counts}  ({result.seconds:.1f} s)",
    ]
    if result.uncompilable:
        lines.append(f"  cannot be compiled: {len(result.uncompilable)}")
    if result.left:
        lines.append(f"  left alone in the tree: {len(result.left)}")
    return "\n".join(lines)


def _counts(result: Verification) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in result.counts.items())

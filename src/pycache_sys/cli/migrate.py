"""The verb ``migrate``."""

import argparse
import sys

from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import Progress, cleared_words, print_json, print_report, printable
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.in_place import Cleared, Left
from pycache_sys.core.report import JSON_VERSION, Report
from pycache_sys.in_place.task import is_wanted
from pycache_sys.migrate import Request, migrate
from pycache_sys.policy.keys import SYSTEM_TREE
from pycache_sys.policy.load import load

_LISTED = 20
WORDS = {
    Left.NOT_ROOTS: "not root's alone",
    Left.FOREIGN: "not a name of Python's",
    Left.SOURCELESS: "without a source",
    Left.NO_INTERPRETER: "interpreter not installed",
    Left.BEFORE_HOOK: "loaded before the hook",
    Left.MANIFEST: "named by a package",
    Left.NO_HOOK: "interpreter without the hook",
    Left.NOT_IN_TREE: "not in the tree",
}


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    policy = load(namespace.config)
    paths, specifiers = parse_pythons(namespace.python)
    request = Request(
        paths=namespace.paths,
        packages=namespace.package,
        python_paths=paths,
        python_specifiers=specifiers,
        policy=policy,
        undo=namespace.undo,
        force=namespace.force,
        dry_run=namespace.dry_run,
    )
    report = Report(tree=policy.view()[SYSTEM_TREE], dry_run=request.dry_run)
    interrupted = False
    with Progress(quiet=namespace.quiet or namespace.json, list_plan=False) as progress:
        try:
            migrate(request, report, progress)
        except KeyboardInterrupt:
            interrupted = True
    result = report.in_place or Cleared()
    if namespace.json:
        _print_json(report, result, undo=request.undo)
    else:
        print_report(report, quiet=True, verbose=namespace.verbose)
        _print(report, result, namespace)
    _complain(result, request, is_kept_so=is_wanted(policy))
    if interrupted:
        print(
            "pycache-sys: interrupted; what was removed is in the tree, and the next run goes on "
            "from here",
            file=sys.stderr,
        )
        return ExitStatus.INTERRUPTED
    if report.exit_status is ExitStatus.DONE and (result.refused or result.missing):
        return ExitStatus.SOME_FAILED
    return report.exit_status


def _print_json(report: Report, result: Cleared, *, undo: bool) -> None:
    answer = {
        "version": JSON_VERSION,
        "dry_run": report.dry_run,
        "undo": undo,
        **result.as_json(),
        "files": result.removals,
        "rebuild": report.as_json(),
    }
    print_json(answer)


def _print(report: Report, result: Cleared, namespace: argparse.Namespace) -> None:
    sys.stdout.flush()
    if namespace.verbose:
        for path, why in sorted(result.left):
            print(f"pycache-sys: {printable(path)}: left, {WORDS[why]}", file=sys.stderr)
    if namespace.quiet:
        return
    verb = "restore" if namespace.undo else "remove"
    for path in result.removals:
        print(f"{verb} {printable(path)}")
    print(_summary(report, result, undo=namespace.undo))


def _summary(report: Report, result: Cleared, *, undo: bool) -> str:
    """Say in one line what was done."""
    if undo:
        verb = "to put back" if report.dry_run else "put back"
        return f"{verb} {result.restored}, not put back {len(result.missing)}"
    verb, freed = ("to remove", "to free") if report.dry_run else ("removed", "freed")
    files, space = cleared_words(result)
    places = "1 directory" if result.directories == 1 else f"{result.directories} directories"
    line = f"{verb} {files} and {places}, {space} {freed}"
    if result.left:
        why = ", ".join(f"{number} {WORDS[Left(name)]}" for name, number in result.counts.items())
        line += f"; left {len(result.left)}: {why} (-v names them)"
    return line


def _complain(result: Cleared, request: Request, *, is_kept_so: bool) -> None:
    """Say on stderr what was not done, and what to do about it."""
    sys.stdout.flush()
    hook = "bring it with 'pycache-sys enable', or remove the bytecode all the same with --force"
    for path, why in result.refused:
        print(f"pycache-sys: {printable(path)}: left as it is: {why}", file=sys.stderr)
    if any("hook" in why for _, why in result.refused):
        print(f"  {hook}", file=sys.stderr)
    for path, why in sorted(result.missing)[:_LISTED]:
        print(f"pycache-sys: {printable(path)}: not put back: {why}", file=sys.stderr)
    if len(result.missing) > _LISTED:
        print(f"pycache-sys: and {len(result.missing) - _LISTED} more", file=sys.stderr)
    if request.undo and is_kept_so and not request.dry_run:
        print(
            "pycache-sys: the policy says 'in-place = remove': the next run for everything "
            "removes it again",
            file=sys.stderr,
        )

"""The verb ``rebuild``."""

import argparse
import sys

from pycache_sys.build_request import Request
from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import Progress, print_json, print_report
from pycache_sys.cli.scene import enter_and_load, tree_path
from pycache_sys.core.errors import ExitStatus, UsageError
from pycache_sys.core.model import Invalidation
from pycache_sys.core.report import Report
from pycache_sys.policy.keys import TRIGGERS
from pycache_sys.policy.model import Policy
from pycache_sys.rebuild import rebuild
from pycache_sys.system.lock import BEST_EFFORT_SECONDS


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    _check_usage(namespace)
    policy = enter_and_load(namespace)
    if namespace.best_effort and is_done_elsewhere(policy, quiet=namespace.quiet):
        return ExitStatus.DONE
    return perform(_request(namespace, policy), namespace)


def is_done_elsewhere(policy: Policy, *, quiet: bool) -> bool:
    """Tell whether a package manager's call has nothing to do here, and say who does it."""
    triggers = policy.view()[TRIGGERS]
    if triggers == "off":
        return True
    from pycache_sys.system.machine import deferral  # noqa: PLC0415 - for package managers only

    said = deferral.unfit_place()
    if said:
        said += ": the tree is built when it starts"
    elif triggers == "deferred" and deferral.defer():
        said = f"left to {deferral.SERVICE}"
    if said:
        from pycache_sys.system import stamp  # noqa: PLC0415 - as above

        stamp.remove()  # should it not come to that, the next boot sees to it
        if not quiet:
            print(f"pycache-sys: {said}")
    return bool(said)


def perform(request: Request, namespace: argparse.Namespace) -> int:
    """Do what is asked for, say what became of it, and return the exit status."""
    report = Report(tree=request.tree, dry_run=request.dry_run, only_prune=request.only_prune)
    interrupted = False
    brief = namespace.best_effort and not (namespace.verbose or namespace.dry_run)
    quiet = namespace.quiet or namespace.json or brief  # apt gives its programs a terminal
    with Progress(quiet=quiet, list_plan=request.dry_run and not quiet) as progress:
        try:
            rebuild(request, report, progress)
        except KeyboardInterrupt:
            interrupted = True
    if namespace.json:
        print_json(report.as_json())
    else:
        print_report(
            report,
            quiet=namespace.quiet,
            verbose=namespace.verbose,
            brief=brief,
        )
    if interrupted:
        print(
            f"pycache-sys: interrupted with {report.remaining} sources to go; the tree is valid, "
            "and the next run goes on from here",
            file=sys.stderr,
        )
        return ExitStatus.INTERRUPTED
    return ExitStatus.DONE if namespace.best_effort else report.exit_status


def wait_seconds(namespace: argparse.Namespace) -> float | None:
    """Say how long to wait for another run; None for as long as it takes."""
    if namespace.no_wait:
        return 0.0
    return BEST_EFFORT_SECONDS if namespace.best_effort else None


def _check_usage(namespace: argparse.Namespace) -> None:
    """Refuse what contradicts itself."""
    if namespace.null and not namespace.from_stdin:
        raise UsageError("-0 says how paths on standard input end", hint="add --from-stdin")
    named = namespace.paths or namespace.package
    if namespace.from_stdin and named:
        raise UsageError(
            "--from-stdin cannot be combined with PATHs or packages",
            hint="it means everything, and what standard input lists for certain",
        )


def _listed(namespace: argparse.Namespace) -> frozenset[str]:
    if not namespace.from_stdin:
        return frozenset()
    from pycache_sys.system.listing import read_listing  # noqa: PLC0415 - rpm and pacman only

    return read_listing(sys.stdin.buffer, b"\0" if namespace.null else b"\n")


def _request(namespace: argparse.Namespace, policy: Policy) -> Request:
    paths, specifiers = parse_pythons(namespace.python)
    return Request(
        tree=tree_path(namespace, policy),
        policy=policy,
        paths=namespace.paths,
        packages=namespace.package,
        listed=_listed(namespace),
        python_paths=paths,
        python_specifiers=specifiers,
        levels=namespace.optimize,
        invalidation=Invalidation(namespace.invalidation) if namespace.invalidation else None,
        force=namespace.force,
        prune=namespace.prune,
        dry_run=namespace.dry_run,
        wait_seconds=wait_seconds(namespace),
        jobs=namespace.jobs,
    )

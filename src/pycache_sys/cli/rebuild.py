"""The verb ``rebuild``."""

import argparse
import os
import sys

from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import Progress, print_report
from pycache_sys.core.report import ExitStatus, Report
from pycache_sys.policy.keys import SYSTEM_TREE, TRIGGERS
from pycache_sys.policy.load import load
from pycache_sys.policy.model import Policy
from pycache_sys.rebuild import Request, rebuild
from pycache_sys.system.lock import BEST_EFFORT_SECONDS


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    policy = load(namespace.config)
    if policy.warnings and not namespace.quiet:
        print(
            f"pycache-sys: the policy has {len(policy.warnings)} warning"
            f"{'s' if len(policy.warnings) > 1 else ''}; see: pycache-sys policy check",
            file=sys.stderr,
        )
    if namespace.best_effort and policy.view()[TRIGGERS] == "off":
        return ExitStatus.DONE
    request = _request(namespace, policy)
    report = Report(tree=request.tree, dry_run=request.dry_run)
    interrupted = False
    brief = namespace.best_effort and not (namespace.verbose or namespace.dry_run)
    quiet = namespace.quiet or namespace.json or brief  # apt gives its programs a terminal
    with Progress(quiet=quiet, list_plan=request.dry_run and not quiet) as progress:
        try:
            rebuild(request, report, progress)
        except KeyboardInterrupt:
            interrupted = True
    if namespace.json:
        import json  # noqa: PLC0415 - a run that has nothing to do is quick because of such

        json.dump(report.as_json(), sys.stdout, indent=2)
        print()
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


def _request(namespace: argparse.Namespace, policy: Policy) -> Request:
    paths, specifiers = parse_pythons(namespace.python)
    wait = BEST_EFFORT_SECONDS if namespace.best_effort else None
    tree = namespace.tree and os.path.abspath(namespace.tree)
    return Request(
        tree=tree or policy.view()[SYSTEM_TREE],
        policy=policy,
        paths=namespace.paths,
        packages=namespace.package,
        python_paths=paths,
        python_specifiers=specifiers,
        levels=namespace.optimize,
        invalidation=namespace.invalidation,
        force=namespace.force,
        prune=namespace.prune,
        dry_run=namespace.dry_run,
        wait_seconds=0.0 if namespace.no_wait else wait,
        jobs=namespace.jobs,
    )

"""The verb ``prune``."""

import argparse
import os

from pycache_sys.build_request import Request
from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.rebuild import is_done_elsewhere, load_policy, perform, wait_seconds
from pycache_sys.core.report import ExitStatus
from pycache_sys.policy.keys import SYSTEM_TREE
from pycache_sys.system.offline import enter


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    if namespace.root:
        enter(namespace.root)
    policy = load_policy(namespace)
    if namespace.best_effort and is_done_elsewhere(policy, quiet=namespace.quiet):
        return ExitStatus.DONE
    paths, specifiers = parse_pythons(namespace.python)
    tree = namespace.tree and os.path.abspath(namespace.tree)
    request = Request(
        tree=tree or policy.view()[SYSTEM_TREE],
        policy=policy,
        python_paths=paths,
        python_specifiers=specifiers,
        only_prune=True,
        dry_run=namespace.dry_run,
        wait_seconds=wait_seconds(namespace),
    )
    return perform(request, namespace)

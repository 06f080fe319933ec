"""The verb ``prune``."""

import argparse

from pycache_sys.build_request import Request
from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.rebuild import is_done_elsewhere, perform, wait_seconds
from pycache_sys.cli.scene import enter_and_load, tree_path
from pycache_sys.core.errors import ExitStatus


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    policy = enter_and_load(namespace)
    if namespace.best_effort and is_done_elsewhere(policy, quiet=namespace.quiet):
        return ExitStatus.DONE
    paths, specifiers = parse_pythons(namespace.python)
    request = Request(
        tree=tree_path(namespace, policy),
        policy=policy,
        python_paths=paths,
        python_specifiers=specifiers,
        only_prune=True,
        dry_run=namespace.dry_run,
        wait_seconds=wait_seconds(namespace),
    )
    return perform(request, namespace)

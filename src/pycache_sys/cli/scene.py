"""Where a verb works: in which root, by which policy, on which tree."""

import argparse
import os
import sys

from pycache_sys.policy.keys import SYSTEM_TREE
from pycache_sys.policy.load import load
from pycache_sys.policy.model import Policy


def enter_and_load(namespace: argparse.Namespace) -> Policy:
    """Enter the root that ``--root`` names, load the policy there, and say that it has warnings."""
    if namespace.root:
        from pycache_sys.system.machine.offline import enter  # noqa: PLC0415 - for images

        enter(namespace.root)
    policy = load(namespace.config)
    if policy.warnings and not namespace.quiet:
        print(
            f"pycache-sys: the policy has {len(policy.warnings)} warning"
            f"{'s' if len(policy.warnings) > 1 else ''}; see: pycache-sys policy check",
            file=sys.stderr,
        )
    return policy


def tree_path(namespace: argparse.Namespace, policy: Policy) -> str:
    """Name the tree, by an absolute path: that of ``--tree``, or the policy's."""
    return os.path.abspath(namespace.tree) if namespace.tree else policy.view()[SYSTEM_TREE]

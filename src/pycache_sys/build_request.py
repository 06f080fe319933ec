"""What a run is asked for, the tree that this means, and whom its workers run as."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from pycache_sys.core.errors import TreeError
from pycache_sys.core.model import Interpreter, Invalidation
from pycache_sys.core.report import Report
from pycache_sys.core.select import is_below
from pycache_sys.discover import Admits
from pycache_sys.in_place.task import Task
from pycache_sys.policy import keys
from pycache_sys.policy.model import Policy, subject_of
from pycache_sys.system.machine import offline
from pycache_sys.system.pythons.workers import Limits
from pycache_sys.system.tree import SYSTEM_TREE, Tree
from pycache_sys.system.users.privileges import (
    ACCOUNT,
    Account,
    can_become,
    nobody_else,
    worker_account,
)


class Request(NamedTuple):
    """What the command line asks for; what it leaves open (None, empty) the policy says.

    ``tree`` is absolute; no paths and packages: everything.
    """

    tree: str = SYSTEM_TREE
    paths: Sequence[str] = ()
    packages: Sequence[str] = ()
    listed: frozenset[str] = frozenset()
    """Sources that are compiled whatever their stamps say, where they are in a root."""
    only_prune: bool = False
    """Compile nothing."""
    only_tree: bool = False
    """Leave alone what stands beside the sources, whatever the policy says."""
    python_paths: Sequence[str] = ()
    python_specifiers: Sequence[Admits] = ()
    policy: Policy = Policy()
    levels: tuple[int, ...] | None = None
    invalidation: Invalidation | None = None
    force: bool = False
    jobs: int | None = None
    prune: bool | None = None
    dry_run: bool = False
    wait_seconds: float | None = None
    limits: Limits | None = None
    in_place: Task | None = None
    """What to do with bytecode beside the sources; None for what the policy says."""

    @property
    def is_whole(self) -> bool:
        """Tell whether all that the interpreters have is meant."""
        return not (self.paths or self.packages)

    @property
    def is_look(self) -> bool:
        """Tell whether somebody only wants to know how the tree stands."""
        return self.dry_run and self.only_tree

    @property
    def workers(self) -> int:
        """Say how many processes compile."""
        return self.jobs or self.policy.view()[keys.JOBS] or len(os.sched_getaffinity(0))


def tree_of(request: Request) -> Tree:
    """Decide whose tree it is: the system's has rules of its own, and is root's."""
    view = request.policy.view()
    wanted = os.path.realpath(request.tree)
    for tree in (view[keys.SYSTEM_TREE], view[keys.IMAGE_TREE]):
        system = os.path.realpath(tree)
        if wanted == system:
            if os.geteuid() != 0 and not request.dry_run:
                raise TreeError(
                    f"only root writes {tree}",
                    hint="run it as root, or build a tree of your own with --tree DIR",
                )
            return Tree(tree, is_system=True)
        if is_below(wanted, system):
            raise TreeError(
                f"{request.tree} is a part of the system tree, not a tree",
                hint=f"name {tree} itself, or choose a directory elsewhere",
            )
    return Tree(request.tree, is_system=False)


def limits_for(interpreter: Interpreter, policy: Policy) -> Limits:
    """Say what the policy lets a worker of an interpreter take."""
    view = policy.view(subject_of(interpreter))
    return Limits(seconds=view[keys.TIME_LIMIT], address_space=view[keys.MEMORY_LIMIT])


def account_for(tree: Tree, report: Report) -> Account | None:
    """Choose whom workers run as, and say so in the report."""
    if not tree.is_system:
        report.workers_detail = "the tree is your own"
        return None
    if os.geteuid() != 0:
        report.workers_detail = "the caller is not root"
        return None
    account = worker_account()
    name = ACCOUNT
    if offline.entered() is not None:  # a system that is no more than files may have no accounts
        account, name = (account, name) if account else (nobody_else(None), "nobody's account")
        if not can_become(account):
            report.workers_detail = "there are no other accounts here"
            return None
    if account is None:
        report.workers_detail = f"there is no account {ACCOUNT}"
        return None
    report.workers = "account"
    report.workers_detail = f"{name} (uid {account.uid})"
    return account

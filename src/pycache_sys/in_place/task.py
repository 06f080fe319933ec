"""What is to be done beside the sources, and the run that it is a part of."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pycache_sys.core.plan import Order
from pycache_sys.core.report import Report
from pycache_sys.discover import Target
from pycache_sys.policy import keys
from pycache_sys.policy.model import Policy
from pycache_sys.system import ledger
from pycache_sys.system.access import Access
from pycache_sys.system.pythons.workers import Pool
from pycache_sys.system.tree import Tree

REMOVE = "remove"
"""What the policy's ``in-place`` says where it is not 'keep'."""


class Task(NamedTuple):
    """What is to be done: by the policy, or ``is_asked`` by the verb; ``undo`` puts back.

    Paths are absolute. Without paths and packages all managed roots are meant. ``force`` is also
    for interpreters without the hook.
    """

    is_asked: bool = False
    undo: bool = False
    force: bool = False
    paths: Sequence[str] = ()
    packages: Sequence[str] = ()
    ledger: str = ledger.LEDGER

    @property
    def is_whole(self) -> bool:
        """Tell whether all managed roots are meant."""
        return not (self.paths or self.packages)


class Scene(NamedTuple):
    """The run that this is a part of. ``is_narrowed``: not all interpreters take part."""

    policy: Policy
    tree: Tree
    access: Access
    order: Callable[[Target], Order]
    pool: Callable[[Target], Pool]
    report: Report
    is_narrowed: bool = False


def is_wanted(policy: Policy) -> bool:
    """Tell whether the policy wants any root to be kept free of bytecode."""
    return any(one.key is keys.IN_PLACE and one.value == REMOVE for one in policy.settings)

"""The checks, in the order in which they are made: the cheap ones first."""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from pycache_sys.core.errors import PycacheSysError, UsageError
from pycache_sys.core.findings import Check, Diagnosis
from pycache_sys.doctor import hooks, owners, settings, sources, storage, trees
from pycache_sys.doctor.scene import Examine, Request, Scene
from pycache_sys.system.pythons.workers import WorkersError

CHECKS: Mapping[Check, Examine] = MappingProxyType(
    {
        Check.POLICY: settings.policy,
        Check.ACCOUNT: trees.account,
        Check.SELINUX: storage.selinux,
        Check.TREE: trees.tree,
        Check.LAST_RUN: trees.last_run,
        Check.INTERPRETER: hooks.interpreter,
        Check.DISABLED: settings.disabled,
        Check.HOOK_MISSING: hooks.hook_missing,
        Check.BOOTSTRAP: hooks.bootstrap,
        Check.TRIGGERS: settings.triggers,
        Check.ORPHANED: trees.orphaned,
        Check.SOURCELESS_MAGIC: sources.sourceless_magic,
        Check.FLATTENED: sources.flattened,
        Check.DUPLICATES: sources.duplicates,
        Check.ROOT_OWNED: owners.root_owned,
        Check.HOOK_VENVS: hooks.hook_venvs,
        Check.PREFIX_SET: settings.prefix_set,
        Check.DISK: storage.disk,
    }
)


class Observer(Protocol):
    """Who watches an examination."""

    def began(self, words: str, total: int) -> None:
        """Hear that so many things of one kind are done next."""

    def advanced(self) -> None:
        """Hear that one of them is done."""


def examine(request: Request, result: Diagnosis, observer: Observer) -> None:
    """Make all checks, and fill the result while it goes on.

    Each stands alone: what goes wrong in one is noted, and the others are made. Raises UsageError
    for what the command line names and is not there.
    """
    started = time.monotonic()
    scene = Scene(request, result)
    observer.began("checks of this machine", len(CHECKS))
    try:
        for check, make in CHECKS.items():
            _make(check, make, scene)
            observer.advanced()
    finally:
        result.seconds = time.monotonic() - started
    if not scene.is_root:
        result.for_root.append("the homes of other users")


def _make(check: Check, make: Examine, scene: Scene) -> None:
    try:
        make(scene)
    except UsageError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        scene.result.cannot(check, f"{place}{error.strerror or error}")
    except (PycacheSysError, WorkersError) as error:
        scene.result.cannot(check, str(error))

"""The use case ``migrate``: build the tree, then remove the bytecode beside sources, or undo that.

Both ways the work is a run of ``rebuild`` that has a task beside the sources: one lock, one set of
roots and interpreters, one report. To put files back, their bytecode is taken from the tree, after
the build: what is removed needs no copy, and a source that has changed gets what it is now.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pycache_sys import build_request, rebuild
from pycache_sys.core.errors import TreeError
from pycache_sys.core.in_place import level_of, source_named_by
from pycache_sys.core.report import Report
from pycache_sys.core.select import is_below
from pycache_sys.discover import Admits
from pycache_sys.in_place.task import Task
from pycache_sys.policy import keys
from pycache_sys.policy.model import Policy
from pycache_sys.system import ledger
from pycache_sys.system.sources import is_gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for; no paths and packages: all managed roots."""

    paths: Sequence[str] = ()
    packages: Sequence[str] = ()
    python_paths: Sequence[str] = ()
    python_specifiers: Sequence[Admits] = ()
    policy: Policy = Policy()  # noqa: RUF009 - frozen
    undo: bool = False
    force: bool = False
    dry_run: bool = False
    ledger: str = ledger.LEDGER


def migrate(request: Request, report: Report, observer: rebuild.Observer) -> None:
    """Do it, and fill the report while it goes on; ``report.in_place`` is what became of it.

    Raises PycacheSysError where nothing can be done at all. Whenever it is killed, what was
    removed has its fresh entry in the tree.
    """
    if os.geteuid() != 0 and not request.dry_run:
        raise TreeError(
            "only root changes what is beside the system's sources",
            hint="run it as root, or with --dry-run to see what it would do",
        )
    paths = tuple(os.path.abspath(path) for path in request.paths)
    build = build_request.Request(
        tree=request.policy.view()[keys.SYSTEM_TREE],
        paths=paths,
        packages=request.packages,
        python_paths=request.python_paths,
        python_specifiers=request.python_specifiers,
        policy=request.policy,
        dry_run=request.dry_run,
    )
    if request.undo and not request.dry_run:
        _build_other_levels(request, paths, build, observer)
    task = Task(
        is_asked=True,
        undo=request.undo,
        force=request.force,
        paths=paths,
        packages=request.packages,
        ledger=request.ledger,
    )
    rebuild.rebuild(build._replace(in_place=task), report, observer)


def _build_other_levels(
    request: Request, paths: Sequence[str], build: build_request.Request, observer: rebuild.Observer
) -> None:
    """Build what the ledger names besides level 0: the tree's own levels may be fewer now.

    What goes wrong here is said of the file that can't be put back.
    """
    sources: dict[str, set[int]] = {}
    for directory, (_, files) in ledger.read(request.ledger).items():
        for name in files:
            source = f"{directory}/{source_named_by(name)}"
            meant = not paths or any(is_below(source, path) for path in paths)
            if level_of(name) and meant and not is_gone(source):
                sources.setdefault(source, {0}).add(level_of(name))
    if sources:
        levels = tuple(sorted(set().union(*sources.values())))
        others = build._replace(paths=tuple(sorted(sources)), packages=(), levels=levels)
        rebuild.rebuild(others, Report(tree=build.tree), observer)

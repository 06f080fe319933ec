"""The use case ``rebuild``: bring the tree up to date with the sources."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from pycache_sys import packagers
from pycache_sys.apply import Writer, remove_entries, resolve_doubts
from pycache_sys.build_request import Request, account_for, limits_for, tree_of
from pycache_sys.core.model import Invalidation, Outcome, Reason
from pycache_sys.core.names import folder_of, tag_of
from pycache_sys.core.plan import Order, Plan
from pycache_sys.core.report import Report, used_in
from pycache_sys.discover import (
    Target,
    make_targets,
    name_paths,
    name_sources,
    select_interpreters,
)
from pycache_sys.in_place.task import Scene, Task, is_wanted
from pycache_sys.policy import keys
from pycache_sys.policy.load import write_ids
from pycache_sys.survey import survey, survey_orphan
from pycache_sys.system import last_run, lock, stamp
from pycache_sys.system.access import Access
from pycache_sys.system.machine import deployment, offline
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons.bootstrap import keep_own
from pycache_sys.system.pythons.workers import Pool, WorkersError
from pycache_sys.system.tree import Tree
from pycache_sys.system.trust import CallerTrust, OwnerTrust, RootTrust
from pycache_sys_runtime import startup

_PASSING = frozenset({Reason.WRITE, Reason.WORKER, Reason.CHANGED, Reason.TIME_LIMIT})
"""Failures that another run may not have."""


class Observer(Protocol):
    """Who watches a run."""

    def waiting(self, message: str) -> None:
        """Hear that another run holds the lock."""

    def planned(self, plan: Plan, interpreter: str) -> None:
        """Hear of a plan before it is applied."""

    def advanced(self) -> None:
        """Hear that one more source of the plan is done."""


class Plans:
    """Takes what a dry run would carry out, for whoever wants to know how the tree stands."""

    def __init__(self) -> None:
        self.found: list[tuple[Plan, str]] = []

    def waiting(self, message: str) -> None:
        """Never happens: a dry run takes no lock."""

    def planned(self, plan: Plan, interpreter: str) -> None:
        """Keep a plan."""
        self.found.append((plan, interpreter))

    def advanced(self) -> None:
        """Never happens: nothing is compiled."""


def rebuild(request: Request, report: Report, observer: Observer) -> None:
    """Bring the tree up to date, and fill the report while it goes on.

    What is wrong with a source, a root or an interpreter is an outcome in the report. Raises
    PycacheSysError where nothing can be done at all. After KeyboardInterrupt the tree is valid,
    no worker is left, and ``report.remaining`` counts what was not reached.
    """
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            run = _Run(request, report, observer, stack)
            if run.is_remembered:
                stack.push(last_run.noting(report))
            run.run()
    finally:
        report.seconds = time.monotonic() - started


class _Run:
    """One run: its tree, held under lock, and what it may look at."""

    def __init__(
        self, request: Request, report: Report, observer: Observer, stack: ExitStack
    ) -> None:
        self._request = request
        self._report = report
        self._observer = observer
        self._tree = tree_of(request)
        self._root = offline.entered()
        stack.callback(self._tree.close)
        if not request.dry_run:
            if self._root is not None:
                stack.callback(self._root.tidy)
            self._tree.create()
            path = lock.lock_path(self._tree.path, is_system=self._tree.is_system)
            stack.enter_context(
                lock.held(path, seconds=request.wait_seconds, waiting=observer.waiting)
            )
            self._tree.tidy()
        self._is_replaceable = self._tree.is_system and deployment.is_replaceable()
        self._is_doubtful = self._is_replaceable and not stamp.is_of_this_root()
        self._has_stamp = self._is_for_stamp()
        if self._has_stamp:
            stamp.remove()  # until the run has come to its end
        # what is built for an image is to be the same each time
        self.is_remembered = self._has_stamp and not os.environ.get("SOURCE_DATE_EPOCH")
        self._access = Access(
            trust=RootTrust() if self._tree.is_system else CallerTrust(),
            account=account_for(self._tree, report),
            mounts=Mounts(),
            is_restricted=self._tree.is_system,
        )

    def run(self) -> None:
        """Discover, then plan and apply for one target after the other."""
        request, report = self._request, self._report
        self._remember_ids()
        report.interpreters = select_interpreters(
            request.python_paths, request.python_specifiers, self._access, request.policy
        )
        targets = make_targets(report.interpreters, request.policy, with_roots=self._tree.is_system)
        if not request.is_whole:
            self._narrow(targets)
        before = self._begin_stamp(targets) if self._has_stamp else b""
        for target in targets:
            self._build(target)
            if report.stopped:
                return
        self._prune_orphans()
        self._keep_hook(targets)
        self._tend_in_place()
        if self._has_stamp:
            self._leave_stamp(before, targets)

    def _is_for_stamp(self) -> bool:
        """Tell whether this run brings all of the running system's tree up to date."""
        request = self._request
        is_part = request.python_paths or request.python_specifiers or not request.is_whole
        is_systems = self._tree.path == request.policy.view()[keys.SYSTEM_TREE]
        is_for_show = request.dry_run or request.only_prune
        return is_systems and self._root is None and not (is_part or is_for_show)

    def _remember_ids(self) -> None:
        """Write down for start-up what numbers the policy's names have."""
        if self._tree.is_system and self._request.policy.is_systems and not self._request.dry_run:
            try:
                write_ids(self._request.policy.ids)
            except OSError as error:
                path = os.fsdecode(error.filename or "")
                self._report.add(Outcome(path, Reason.WRITE, error.strerror or ""))

    def _begin_stamp(self, targets: Sequence[Target]) -> bytes:
        """Say how everything stands that this run is about to look at; b"" for no stamp.

        None is left where a mount is silent: the next boot is to look whether it answers.
        """
        watched = set(self._request.policy.files)
        for target in targets:
            found = target.interpreter
            watched |= {found.binary, *found.shared_objects, *found.library, *found.site}
            watched |= set(target.roots)
        if self._access.mounts.silent(watched):
            return b""
        return stamp.describe(watched)

    def _leave_stamp(self, before: bytes, targets: Sequence[Target]) -> None:
        """Write down what the tree was built for, unless another run may do better."""
        report = self._report
        if not before or report.stopped or any(o.reason in _PASSING for o in report.failures):
            return
        path = self._tree.path
        try:
            stamp.write(before, {path, *(f"{path}/{t.interpreter.directory}" for t in targets)})
        except OSError as error:
            report.add(Outcome(stamp.PATH, Reason.WRITE, error.strerror or ""))

    def _narrow(self, targets: list[Target]) -> None:
        """Put paths and packages in the place of the interpreters' own roots."""
        for outcome in name_paths(targets, self._request.paths, self._access.mounts):
            self._report.add(outcome)
        for package in self._request.packages:
            name_sources(targets, packagers.files_of(package))

    def _build(self, target: Target) -> None:
        """Plan one target, and do it or only say it."""
        request, report = self._request, self._report
        order = self._order(target)
        access = self._access
        if target.terms.owner and access.is_restricted:
            access = access._replace(trust=OwnerTrust(target.terms.owner, target.terms.owned))
        plan = survey(
            target,
            self._tree,
            access,
            order,
            prune=request.is_whole if request.prune is None else request.prune,
            everything=request.is_whole,
            divide=request.workers > 1,
            image=self._image(target.interpreter.directory),
        )
        if request.only_prune:
            plan.jobs.clear()
            plan.doubts.clear()
        try:
            if plan.doubts:
                resolve_doubts(plan, self._pool(target))
            self._take_over(plan, target.interpreter.path)
            if plan.jobs and not request.dry_run:
                pool = self._pool(target)
                writer = Writer(
                    plan,
                    pool,
                    self._tree,
                    access.trust,
                    report,
                    max_bytes=target.terms.max_bytes,
                )
                writer.run(self._observer.advanced)
        except WorkersError as error:
            report.add(Outcome(target.interpreter.path, Reason.WORKER, str(error)))

    def _image(self, directory: str) -> Tree | None:
        """Return the image's tree, where the system's is built and it has this interpreter."""
        path = self._request.policy.view()[keys.IMAGE_TREE]
        if not self._tree.is_system or self._tree.path == path:
            return None
        return Tree(path, is_system=True) if os.path.isdir(f"{path}/{directory}") else None

    def _take_over(self, plan: Plan, label: str) -> None:
        """Report what a plan found, and do its removals."""
        request, report = self._request, self._report
        self._observer.planned(plan, label)
        for skip in plan.skips:
            report.add(skip)
        report.left += plan.left
        report.fresh += plan.fresh
        if request.dry_run:
            report.compiled += len(plan.jobs)
            report.removed += len(plan.removals)
        else:
            remove_entries(plan, self._tree, report)

    def _order(self, target: Target) -> Order:
        request = self._request
        invalidation = request.invalidation or target.terms.invalidation
        is_entered = self._root is not None
        is_image = self._tree.path == request.policy.view()[keys.IMAGE_TREE]
        or_timestamp = False
        if invalidation is Invalidation.AUTO and (
            os.environ.get("SOURCE_DATE_EPOCH") or is_entered or self._is_replaceable or is_image
        ):
            invalidation = Invalidation.CHECKED_HASH
            or_timestamp = is_entered and not is_image and request.is_look
        return Order(
            tree=self._tree.path,
            directory=target.interpreter.directory,
            cache_tag=target.interpreter.cache_tag,
            magic=target.interpreter.magic,
            levels=request.levels or target.terms.levels,
            invalidation=invalidation,
            or_timestamp=or_timestamp,
            # when a package manager names files, their stamps say nothing
            force=request.force or bool(request.packages),
            listed=request.listed,
            is_doubtful=self._is_doubtful,
            owner=self._tree.owner,
            world_readable=self._tree.is_system,
            granularity=self._tree.granularity(),
        )

    def _pool(self, target: Target) -> Pool:
        return Pool(
            target.interpreter,
            size=self._request.workers,
            account=self._access.account,
            limits=self._request.limits or limits_for(target.interpreter, self._request.policy),
        )

    def _prune_orphans(self) -> None:
        """Prune the folders of interpreters that are neither used now nor merely broken."""
        request, notes = self._request, self._report.interpreters
        if not request.is_whole or request.prune is False:
            return
        if request.python_paths or request.python_specifiers:
            return
        self._prune_excluded()
        present = {folder_of(os.path.basename(note.path)) for note in notes}
        present |= {note.interpreter.directory for note in notes if note.interpreter}
        for folder in self._tree.read_directory("").subdirectories:
            tag = tag_of(folder)
            is_present = folder in present or (folder.startswith("pypy") and "pypy3" in present)
            if tag is not None and not is_present:
                order = Order(tree=self._tree.path, directory=folder, cache_tag=tag, magic=b"")
                self._take_over(survey_orphan(self._tree, order), folder)

    def _keep_hook(self, targets: Sequence[Target]) -> None:
        """Give the hook its own bytecode, for interpreters that came after it."""
        request = self._request
        if not (self._tree.is_system and request.is_whole) or request.dry_run:
            return
        if request.only_prune or self._root is not None:
            return
        own = os.path.realpath(startup.__file__)
        for interpreter in {
            target.interpreter.path: target.interpreter for target in targets
        }.values():
            site = tuple(s for s in interpreter.site if not self._access.mounts.silent([s]))
            try:
                for outcome in keep_own(interpreter._replace(site=site), own):
                    self._report.add(outcome)
            except WorkersError as error:
                self._report.add(Outcome(interpreter.path, Reason.WORKER, str(error)))

    def _tend_in_place(self) -> None:
        """Remove bytecode beside the sources, or put it back, where that is asked for."""
        request = self._request
        task = request.in_place
        if request.only_prune or request.only_tree or self._root is not None:
            return
        if task is None and request.is_whole and is_wanted(request.policy):
            task = Task()
        if task is None or not self._tree.is_system:
            return
        scene = Scene(
            policy=request.policy,
            tree=self._tree,
            access=self._access,
            order=self._order,
            pool=self._pool,
            report=self._report,
            is_narrowed=bool(request.python_paths or request.python_specifiers),
        )
        from pycache_sys.in_place.act import act  # noqa: PLC0415 - most runs have no such task

        act(task, scene)

    def _prune_excluded(self) -> None:
        """Empty the folders of interpreters that the policy leaves out."""
        kept = {found.directory for found in used_in(self._report.interpreters)}
        for note in self._report.interpreters:
            found = note.interpreter
            if found and note.refusal and note.refusal[0] is Reason.EXCLUDED:
                if found.directory in kept:
                    continue
                order = Order(
                    tree=self._tree.path,
                    directory=found.directory,
                    cache_tag=found.cache_tag,
                    magic=found.magic,
                )
                plan = survey_orphan(self._tree, order, is_left_out=True)
                self._take_over(plan, found.path)

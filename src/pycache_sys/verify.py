"""The use case ``verify``: say what is wrong with the tree, and change nothing.

The plan of ``rebuild`` must be empty: what it would compile is missing or stale, what it would
remove is stray. Beyond that, every file and directory of the tree is looked at, and every body is
loaded. No lock is taken, so the tree may change meanwhile: whatever seems wrong is looked at once
more before it is said.
"""

import os
import stat
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from pycache_sys import build_request, rebuild
from pycache_sys.check import Bench, Body, account_for, check_bodies
from pycache_sys.core.defects import (
    Defect,
    Kind,
    Mark,
    Verification,
    entry_defects,
    stale,
)
from pycache_sys.core.entries import entries_of, source_of_entry
from pycache_sys.core.model import Interpreter, Job, Outcome, Reason, Refusal
from pycache_sys.core.plan import Freshness, Order, Plan, cache_names, is_temporary, judge
from pycache_sys.core.report import Report, used_in
from pycache_sys.core.select import is_below, outermost
from pycache_sys.discover import Admits
from pycache_sys.policy import keys
from pycache_sys.policy.model import Policy, subject_of
from pycache_sys.stock import Stock
from pycache_sys.system.inventory import (
    read_beginning,
    read_entry,
    stand,
)
from pycache_sys.system.pythons import programs
from pycache_sys.system.pythons.workers import WorkersError
from pycache_sys.system.sources import is_gone
from pycache_sys.system.tree import CACHEDIR_TAG, SYSTEM_TREE, TAG_NAME, Tree
from pycache_sys.system.trust import RootTrust

MOST_TRIED = 1000
"""So many sources without bytecode are compiled to see whether they can be; above that, none is."""
_SIGNATURE = CACHEDIR_TAG.partition("\n")[0].encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for; ``tree`` is absolute, no paths: everything."""

    tree: str = SYSTEM_TREE
    paths: Sequence[str] = ()
    python_paths: Sequence[str] = ()
    python_specifiers: Sequence[Admits] = ()
    policy: Policy = Policy()  # noqa: RUF009 - it does not change
    deep: bool = False


class Observer(Protocol):
    """Who watches a verification."""

    def began(self, words: str, total: int) -> None:
        """Hear that so many things of one kind are done next."""

    def advanced(self) -> None:
        """Hear that one of them is done."""


def verify(request: Request, result: Verification, observer: Observer) -> None:
    """Fill the result with everything that is wrong.

    Raises PycacheSysError where nothing can be said at all. After KeyboardInterrupt the result
    has what was found until then.
    """
    started = time.monotonic()
    try:
        _Run(request, result, observer).run()
    finally:
        result.defects[:] = sorted(set(result.defects))
        result.seconds = time.monotonic() - started


class _Run:
    """One verification."""

    def __init__(self, request: Request, result: Verification, observer: Observer) -> None:
        self._request = request
        self._result = result
        self._observer = observer
        self._started = time.time_ns()
        self._asked = build_request.Request(
            tree=request.tree,
            paths=request.paths,
            python_paths=request.python_paths,
            python_specifiers=request.python_specifiers,
            policy=request.policy,
            prune=True if request.paths else None,
            dry_run=True,
            only_tree=True,
        )
        self._tree: Tree = build_request.tree_of(self._asked)
        self._stock = Stock(self._tree, result)
        self._folders: dict[str, tuple[Order, Interpreter | None]] = {}
        self._skips: dict[str, Outcome] = {}

    def run(self) -> None:
        """Plan, take stock, compare, and have the bodies loaded."""
        if not self._is_top_usable():
            return
        plans, report = rebuild.Plans(), Report(tree=self._tree.path, dry_run=True)
        rebuild.rebuild(self._asked, report, plans)
        self._take_over(report, plans)
        is_part = self._request.python_paths or self._request.python_specifiers
        only = frozenset(self._folders) if is_part else None
        self._stock.take(self._starts(), only=only)
        for plan, label in plans.found:
            self._compare_jobs(plan)
            self._compare_removals(plan, label)
        bodies = self._stock.sort(self._folders, self._is_meant)
        self._check_tag()
        for folder, found in bodies.items():
            self._check_bodies(folder, found)

    # the top

    def _is_top_usable(self) -> bool:
        """Look at the top and the way to it; tell whether there is more to be seen."""
        path, add = self._tree.path, self._result.defects.append
        if self._tree.is_system:
            refusal = RootTrust().directory(os.path.dirname(path))
            if refusal is not None:
                kind = Kind.OWNER if refusal.reason is Reason.WRONG_OWNER else Kind.MODE
                add(Defect(path, kind, f"it is not a safe place: {refusal.detail}"))
                return False
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            add(Defect(path, Kind.MISSING, "there is no tree: run 'pycache-sys rebuild'"))
            return False
        except OSError as error:
            add(Defect(path, Kind.UNREADABLE, error.strerror or ""))
            return False
        if not stat.S_ISDIR(status.st_mode):
            is_link = stat.S_ISLNK(status.st_mode)
            words = "a symbolic link is not believed" if is_link else "it is no directory"
            add(Defect(path, Kind.SYMLINK if is_link else Kind.TYPE, words))
            return False
        return self._stock.enters("", status)

    def _check_tag(self) -> None:
        """See that backups are told to skip the tree."""
        path = f"{self._tree.path}/{TAG_NAME}"
        if read_beginning(path, len(_SIGNATURE)) != _SIGNATURE:
            detail = "it does not say that this is a cache, so backups keep it"
            self._result.defects.append(Defect(path, Kind.TAG, detail))

    # plans

    def _take_over(self, report: Report, plans: rebuild.Plans) -> None:
        """Keep what planning found out."""
        result = self._result
        result.is_planned = True
        result.interpreters = report.interpreters
        result.failures += report.failures
        self._skips = {skip.source: skip for skip in report.skips}
        usable = {found.directory: found for found in used_in(report.interpreters)}
        for plan, _ in plans.found:
            folder = plan.order.directory
            self._folders.setdefault(folder, (plan.order, usable.get(folder)))
            result.sources += plan.fresh

    def _starts(self) -> list[str]:
        """Say where in the tree to look."""
        paths = outermost(map(os.path.abspath, self._request.paths))
        if not paths:
            return [""]
        starts = []
        for folder, (order, _) in self._folders.items():
            for path in paths:
                if os.path.isdir(path):
                    starts.append(f"{folder}{path}".rstrip("/"))
                else:
                    starts += entries_of(path, folder, order.cache_tag)
        return starts

    def _is_meant(self, source: str) -> bool:
        """Tell whether a source is one of those asked for: a path may be a single source."""
        paths = self._request.paths
        return not paths or any(is_below(source, os.path.abspath(path)) for path in paths)

    def _compare_jobs(self, plan: Plan) -> None:
        """Say of each source that would be compiled what is wrong with its entries."""
        missing: dict[str, tuple[Job, list[str]]] = {}
        for job in plan.jobs:
            status = stand(job.source, follow=True)
            if status is None:
                continue  # gone meanwhile
            below, names = cache_names(job.source, plan.order)
            if self._stock.is_unbelieved(below):
                continue
            for name in names:
                path = f"{below}/{name}"
                if self._compare_entry(path, job.source, status, plan.order):
                    missing.setdefault(job.source, (job, []))[1].append(path)
        self._add_missing(plan, missing)

    def _compare_entry(self, path: str, source: str, status: os.stat_result, order: Order) -> bool:
        """Judge one entry as it stands now; tell whether it is missing."""
        full, defects = f"{self._tree.path}/{path}", self._result.defects
        found = read_entry(full)
        if found is None:
            now = stand(full)
            if now is None:
                return True
            self._stock.settled.add(path)
            if stat.S_ISREG(now.st_mode):
                defects.append(Defect(full, Kind.UNREADABLE, "it cannot be read", source))
            elif not stat.S_ISLNK(now.st_mode):
                defects.append(Defect(full, Kind.TYPE, "it is no regular file", source))
            return False
        entry = found[1]
        wrong = entry_defects(full, source, status, entry, order)
        doubtful = judge(status, entry, order) is Freshness.DOUBTFUL
        if doubtful and entry.ctime < self._started:  # the plan knows that the hash is another
            wrong = [stale(full, source, (Mark.HASH,))]
        if wrong:
            self._stock.settled.add(path)
            defects += wrong
        return False

    def _add_missing(self, plan: Plan, missing: dict[str, tuple[Job, list[str]]]) -> None:
        """Say what is missing, but for sources that no bytecode can be made of."""
        hopeless = self._try(plan, [job for job, _ in missing.values()])
        for source, (_, paths) in missing.items():
            refusal = hopeless.get(source)
            if refusal is not None:
                self._result.uncompilable.append(Outcome(source, *refusal))
                continue
            for path in paths:
                full = f"{self._tree.path}/{path}"
                detail = "its source has no bytecode"
                if stand(full) is None:  # still
                    self._result.defects.append(Defect(full, Kind.MISSING, detail, source))

    def _try(self, plan: Plan, jobs: list[Job]) -> dict[str, Refusal]:
        """Compile sources that have no bytecode; say of which ones none can be made."""
        interpreter = self._folders[plan.order.directory][1]
        if not jobs or interpreter is None or len(jobs) > MOST_TRIED:
            return {}
        room = self._room(plan, jobs[0], interpreter)
        hopeless: dict[str, Refusal] = {}
        self._observer.began("compiling what is missing", len(jobs))
        try:
            with closing(self._bench(interpreter).pool(programs.COMPILE).run(jobs)) as results:
                for job, answer in results:
                    self._observer.advanced()
                    if isinstance(answer, Refusal):
                        hopeless[job.source] = answer
                    elif room is not None and sum(len(file or b"") for file in answer.files) > room:
                        detail = "with its bytecode: max-bytes of its root's section"
                        hopeless[job.source] = Refusal(Reason.OVER_LIMIT, detail)
        except WorkersError as error:
            self._result.failures.append(Outcome(interpreter.path, Reason.WORKER, str(error)))
        return hopeless

    def _room(self, plan: Plan, job: Job, interpreter: Interpreter) -> int | None:
        """Say how many bytes the policy leaves for the sources of a root that has an owner."""
        policy = self._request.policy
        if not self._tree.is_system:
            return None
        sections = [section for section in policy.roots if is_below(job.source, section)]
        if not sections:
            return None
        view = policy.view(subject_of(interpreter, max(sections, key=len)))
        most = view[keys.MAX_BYTES] if view[keys.OWNER] else None
        return None if most is None else most - plan.kept_bytes

    def _compare_removals(self, plan: Plan, label: str) -> None:
        """Say what stands in the tree and should not."""
        for path in plan.removals:
            full = f"{self._tree.path}/{path}"
            if stand(full) is None:
                continue  # gone meanwhile: a file under construction, say
            self._stock.settled.add(path)
            if is_temporary(path.rpartition("/")[2]):
                self._stock.half_made.append(path)
                continue
            named = source_of_entry(path, plan.order.cache_tag)
            source = named[0] if named else ""
            why = self._why_stray(source, plan, label)
            self._result.defects.append(Defect(full, Kind.STRAY, why, source))

    def _why_stray(self, source: str, plan: Plan, label: str) -> str:
        if is_gone(source):
            return "its source is gone"
        if self._folders[plan.order.directory][1] is None:
            is_left_out = label != plan.order.directory
            return "the policy leaves its Python out" if is_left_out else "its Python is gone"
        place = source
        while place:
            if place in self._skips:
                return f"its source may not be compiled: {self._skips[place].detail}"
            place = place.rpartition("/")[0]
        return "its optimization level is not asked for, and it is not fresh"

    # bodies

    def _check_bodies(self, folder: str, bodies: list[Body]) -> None:
        """Have the interpreter load what has nothing wrong so far; levels in one file once."""
        interpreter = self._folders[folder][1]
        assert interpreter is not None  # noqa: S101 - only those are collected
        is_deep = self._request.deep
        files: dict[object, list[Body]] = {}
        for body in bodies:
            inode = (body.status.st_dev, body.status.st_ino, body.source)
            files.setdefault(body.path if is_deep else inode, []).append(body)
        names = {bodies[0].path: bodies for bodies in files.values()}
        words = "comparing with sources" if is_deep else "loading bytecode"
        self._observer.began(f"{words} for {folder}", len(names))
        self._result.entries += len(names)
        once = [bodies[0] for bodies in files.values()]
        bench = self._bench(interpreter)
        try:
            with closing(
                check_bodies(once, bench, deep=is_deep, progress=self._observer.advanced)
            ) as results:
                for found in results:
                    same = (found._replace(path=body.path) for body in names[found.path])
                    self._result.defects.extend(same)
        except WorkersError as error:
            self._result.failures.append(Outcome(interpreter.path, Reason.WORKER, str(error)))

    def _bench(self, interpreter: Interpreter) -> Bench:
        return Bench(
            interpreter=interpreter,
            account=account_for(interpreter, is_system=self._tree.is_system),
            limits=build_request.limits_for(interpreter, self._request.policy),
            size=self._asked.workers,
        )

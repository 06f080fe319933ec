"""What removing and putting back have in common: directories, and the tree's view of them."""

import os
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pycache_sys import packagers
from pycache_sys.apply import resolve_doubts
from pycache_sys.core.in_place import Cleared, View
from pycache_sys.core.model import Outcome, Reason, SourceDirectory, TreeDirectory
from pycache_sys.core.plan import Plan, make_job, source_of
from pycache_sys.core.select import is_below
from pycache_sys.discover import Target, make_targets
from pycache_sys.in_place.task import REMOVE, Scene, Task
from pycache_sys.policy import keys
from pycache_sys.policy.model import subject_of
from pycache_sys.system import in_place as system
from pycache_sys.system.sources import named_files
from pycache_sys.system.trust import RootTrust
from pycache_sys_runtime import layout

_NOT_MANAGED = "it is not below a root that is managed: see 'roots' in the policy"


@dataclass(slots=True)
class Visit:
    """A directory, the targets that it is a part of, and those of its sources that are meant."""

    listing: system.Listing
    targets: list[int] = field(default_factory=list)
    names: set[str] | None = None


class Work(ABC):
    """What removing and putting back have in common: directories, and the tree's view of them."""

    def __init__(self, task: Task, scene: Scene) -> None:
        self.result = Cleared()
        self._task = task
        self._scene = scene
        self._notes = list(scene.report.interpreters)
        self._targets = make_targets(list(self._notes), scene.policy)
        self._orders = [scene.order(target) for target in self._targets]
        self._trust = RootTrust()

    @abstractmethod
    def run(self) -> None:
        """Do it."""

    def _is_meant(self, target: Target) -> bool:
        """Ask the policy: an own section that says 'keep' holds unless its paths are named."""
        section = target.section or None
        view = self._scene.policy.view(subject_of(target.interpreter, section))
        if view[keys.IN_PLACE] == REMOVE:
            return True
        said = any(one.section.kind == keys.ROOT for one in view.settings(keys.IN_PLACE))
        return self._task.is_asked and not (said and self._task.is_whole)

    def _listed(self) -> dict[str, set[str]]:
        """Collect the sources that are meant one by one, by directory."""
        listed: dict[str, set[str]] = defaultdict(set)
        files = [file for name in self._task.packages for file in packagers.files_of(name)]
        files += [path for path in self._task.paths if not os.path.isdir(path)]
        for path in files:
            directory, _, name = path.rpartition("/")
            if name.endswith(".py"):
                listed[directory].add(name)
        return listed

    def _visits(self) -> dict[str, Visit]:
        """Find the directories that are meant."""
        visits: dict[str, Visit] = {}
        listed = self._listed()
        reached: set[str] = set()
        for number, target in enumerate(self._targets):
            if not self._is_meant(target):
                continue
            silent = self._scene.access.mounts.silent(target.roots, inside=True)
            apart = target.apart | target.elsewhere | silent
            starts, parts = self._starts(target)
            reached |= parts
            for found in system.find(starts, apart):
                visits.setdefault(found.path, Visit(found)).targets.append(number)
            for directory, names in listed.items():
                if not has(target, directory) or _is_in(directory, silent):
                    continue
                reached |= {f"{directory}/{name}" for name in names}
                if directory not in visits:
                    found = system.list_directory(directory)
                    visits[directory] = Visit(found, names=set(names))
                if number not in visits[directory].targets:
                    visits[directory].targets.append(number)
        for path in self._task.paths:
            if path not in reached:
                self.result.refused.append((path, _NOT_MANAGED))
        return visits

    def _starts(self, target: Target) -> tuple[list[str], set[str]]:
        """Say where to look in a target, and which paths of the task that covers."""
        if self._task.is_whole:
            return list(target.roots), set()
        starts, covered = [], set()
        for path in filter(os.path.isdir, self._task.paths):
            found = [root for root in target.roots if is_below(root, path)]
            if has(target, path):
                found = [path]
            if found:
                starts += found
                covered.add(path)
        return starts, covered

    def _view(self, directory: str, names: Iterable[str], number: int) -> View:
        """Look at the sources that names in a ``__pycache__`` stand for, and at the tree."""
        target, order = self._targets[number], self._orders[number]
        sources = sorted({s for s in (source_of(name, order) for name in names) if s})
        below = layout.cache_directory(directory, order.directory)
        if not sources or below is None:
            return View(order, SourceDirectory(path=directory), TreeDirectory())
        return View(
            order,
            named_files(directory, sources, self._trust, target.terms.excluded),
            self._scene.tree.read_directory(below),
            planned=self._scene.report.dry_run,
        )

    def _confirm(self, views: dict[tuple[str, int], View]) -> None:
        """Hash the sources that only a hash can tell fresh."""
        for number, target in enumerate(self._targets):
            headers: dict[str, bytes] = {}
            plan = Plan(order=self._orders[number])
            unlike = set()
            for (directory, whose), view in views.items():
                for name in view.tree.entries if whose == number else ():
                    source = source_of(name, view.order)
                    doubt = source and view.doubt(name, source)
                    if not doubt:
                        continue
                    path, header = f"{directory}/{source}", doubt[1].header[8:]
                    if headers.setdefault(path, header) != header:
                        unlike.add(path)
                    plan.doubts.append((make_job(path, doubt[0], view.order), header))
            if not plan.doubts:
                continue
            resolve_doubts(plan, self._scene.pool(target))
            sure = frozenset(headers).difference(unlike, (job.source for job in plan.jobs))
            for key, view in views.items():
                if key[1] == number:
                    views[key] = view._replace(confirmed=sure)

    def _fail(self, path: str, error: OSError | system.NotRootsError, what: str) -> None:
        words = error.strerror if isinstance(error, OSError) else str(error)
        self._scene.report.add(Outcome(path, Reason.WRITE, f"{what}: {words}"))


def has(target: Target, path: str) -> bool:
    """Tell whether a path is a target's."""
    return _is_in(path, target.roots) and not _is_in(path, target.elsewhere | target.apart)


def _is_in(path: str, places: Iterable[str]) -> bool:
    return any(is_below(path, place) for place in places)

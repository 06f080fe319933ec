"""The use case ``status``: say how everything stands, and change nothing.

What ``rebuild`` would do says what is fresh, stale, missing and stray. No lock is taken and no
bytecode is read: whether that is sound, ``verify`` says.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pycache_sys import build_request, gc, rebuild
from pycache_sys.core.entries import source_of_entry
from pycache_sys.core.errors import UsageError
from pycache_sys.core.last_run import LastRun
from pycache_sys.core.model import Interpreter, Job, Outcome, Reason
from pycache_sys.core.names import tag_of
from pycache_sys.core.plan import Plan, entry_paths
from pycache_sys.core.report import Report
from pycache_sys.core.standing import Cache, Folder, Hook, Hooked, Share, Space, Standing, Use
from pycache_sys.core.tidying import Tidied, Why
from pycache_sys.discover import Admits
from pycache_sys.policy import keys
from pycache_sys.policy.model import Policy, Subject
from pycache_sys.system import last_run
from pycache_sys.system.inventory import stand
from pycache_sys.system.machine import offline
from pycache_sys.system.space import files_below
from pycache_sys.system.tree import SYSTEM_TREE, Tree
from pycache_sys.system.trust import RootTrust

_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for; ``tree`` is absolute."""

    tree: str = SYSTEM_TREE
    python_paths: Sequence[str] = ()
    python_specifiers: Sequence[Admits] = ()
    policy: Policy = Policy()  # noqa: RUF009 - it does not change
    by_package: bool = False
    all_users: bool = False


class Observer(Protocol):
    """Who watches."""

    def began(self, words: str) -> None:
        """Hear what is looked at next."""

    def looked(self) -> None:
        """Hear that one more file of a cache was looked at."""


def status(request: Request, standing: Standing, observer: Observer) -> None:
    """Find out how everything stands.

    Raises PycacheSysError where nothing can be said, as where somebody else than root asks for
    all users.
    """
    if request.all_users and os.geteuid() != 0:
        raise UsageError(
            "only root can look at the caches of all users",
            hint="run it as root, or without --all-users for your own",
        )
    started = time.monotonic()
    _Look(request, standing, observer).run()
    standing.seconds = time.monotonic() - started


class _Look:
    """One look at everything."""

    def __init__(self, request: Request, standing: Standing, observer: Observer) -> None:
        self._request = request
        self._standing = standing
        self._observer = observer
        self._asked = build_request.Request(
            tree=request.tree,
            python_paths=request.python_paths,
            python_specifiers=request.python_specifiers,
            policy=request.policy,
            dry_run=True,
            only_tree=True,
        )
        self._tree: Tree = build_request.tree_of(self._asked)
        self._folders: dict[str, Folder] = {}

    def run(self) -> None:
        """Look at the tree, the hook, the last run and the caches."""
        request, standing, tree = self._request, self._standing, self._tree
        is_here = offline.entered() is None
        standing.is_system = tree.path == request.policy.view()[keys.SYSTEM_TREE]
        standing.trouble = self._judge_top()
        if standing.is_system:
            standing.last_run = last_run.read()
        self._observer.began(f"looking at {tree.path}")
        self._plan()
        self._measure()
        if is_here:  # neither is anything of another root executed, nor are its users' homes here
            self._observer.began("looking for the hook")
            standing.hooks = list(self._hooks())
            standing.caches = list(self._caches())

    # the tree

    def _judge_top(self) -> str:
        """See whether there is a tree, and say why nothing in it counts."""
        path = self._tree.path
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            return error.strerror or "it cannot be looked at"
        self._standing.is_there = True
        if stat.S_ISLNK(found.st_mode):
            return "it is a symbolic link"
        if not stat.S_ISDIR(found.st_mode):
            return "it is no directory"
        if found.st_uid != self._tree.owner:
            return f"it belongs to uid {found.st_uid}, not to uid {self._tree.owner}"
        if found.st_mode & _WRITABLE_BY_OTHERS:
            return f"others can write it (mode {stat.S_IMODE(found.st_mode):04o})"
        refusal = RootTrust().directory(os.path.dirname(path)) if self._tree.is_system else None
        return refusal.detail if refusal is not None else ""

    def _plan(self) -> None:
        """Take the counts from what a run would do; sections of the policy have their own plans."""
        plans, report = rebuild.Plans(), Report(tree=self._tree.path, dry_run=True)
        rebuild.rebuild(self._asked, report, plans)
        self._standing.notes = report.interpreters
        self._standing.failures += report.failures
        for found in self._standing.used:
            self._add_interpreter(found)
        for plan, label in plans.found:
            self._count(plan, label)
        named = sorted(self._folders.values(), key=lambda folder: folder.use is not Use.USED)
        self._standing.folders = named

    def _add_interpreter(self, found: Interpreter) -> None:
        folder = self._folders.setdefault(found.directory, Folder(directory=found.directory))
        version = ".".join(map(str, found.version))
        if version not in folder.versions:
            folder.versions.append(version)
        folder.paths.append(found.path)

    def _count(self, plan: Plan, label: str) -> None:
        directory = plan.order.directory
        folder = self._folders.get(directory)
        if folder is None:
            use = Use.NOT_INSTALLED if label == directory else Use.LEFT_OUT
            folder = self._folders[directory] = Folder(directory=directory, use=use)
        folder.fresh += plan.fresh
        folder.stray += len(plan.removals)
        folder.foreign += sum(outcome.reason is Reason.FOREIGN for outcome in plan.left)
        folder.skips.update(outcome.reason for outcome in set(plan.skips))
        run = self._standing.last_run
        hopeless = run.uncompilable if run else frozenset()
        for job in plan.jobs:
            if self._has_entry(job, plan):
                folder.stale += 1
            elif job.source in hopeless and self._is_as_before(job, directory, run):
                folder.uncompilable += 1
            elif run and job.source in run.over_limit and self._is_as_before(job, directory, run):
                folder.skips[Reason.OVER_LIMIT] += 1
            else:
                folder.missing += 1

    def _has_entry(self, job: Job, plan: Plan) -> bool:
        paths = entry_paths(job.source, plan.order)
        return any(os.path.lexists(f"{self._tree.path}/{path}") for path in paths)

    def _is_as_before(self, job: Job, directory: str, run: LastRun | None) -> bool:
        """Tell whether the last run has seen a source as it is now, for the same folder."""
        now = stand(job.source, follow=True)
        return now is not None and run is not None and run.has_seen(directory, now.st_ctime_ns)

    # its space

    def _measure(self) -> None:
        """Add up what the folders take up, and with ``by_package`` whose sources that is for."""
        spaces: dict[str, Space] = {}
        for folder in self._standing.folders if not self._standing.trouble else ():
            tag = tag_of(folder.directory)
            for path, space in files_below(self._tree.path, folder.directory):
                folder.space += space
                if self._request.by_package:
                    named = source_of_entry(path, tag)
                    source = named[0] if named else ""
                    spaces[source] = spaces.get(source, Space()) + space
        if self._request.by_package:
            self._observer.began("asking the package manager")
            self._standing.packages = self._shares(spaces)

    def _shares(self, spaces: dict[str, Space]) -> list[Share]:
        from pycache_sys.packagers.owners import owners_of  # noqa: PLC0415 - on request only

        found = owners_of(spaces.keys() - {""})
        for failure in found.failures:
            self._standing.failures.append(Outcome("packages", Reason.BROKEN, failure))
        shares: dict[str, Space] = {}
        for source, space in spaces.items():
            package = found.packages.get(source, "")
            shares[package] = shares.get(package, Space()) + space
        listed = [Share(package, space) for package, space in shares.items()]
        return sorted(listed, key=lambda share: (-share.space.disk, share.package))

    # the hook

    def _hooks(self) -> Iterator[Hooked]:
        """Ask each interpreter once whether a start of it has the hook."""
        from pycache_sys import enable  # noqa: PLC0415 - not for images

        by_path = {interpreter.path: interpreter for interpreter in self._standing.used}
        if not by_path:
            return
        asked = enable.Request(python_paths=list(by_path), policy=self._request.policy)
        for found in enable.show(asked):
            interpreter = by_path.get(found.path)
            if interpreter is None:
                continue
            state = None if found.failure else self._state(interpreter, is_on=found.is_hooked)
            yield Hooked(
                path=found.path,
                directory=interpreter.directory,
                hook=state,
                venvs=found.reaches_venvs,
                files=tuple(found.files),
                without_bytecode=len(found.without_bytecode),
                failure=found.failure,
            )

    def _state(self, interpreter: Interpreter, *, is_on: bool) -> Hook:
        if is_on:
            return Hook.ON
        subject = Subject(
            python=(interpreter.implementation, interpreter.version),
            uid=os.geteuid(),
            gids=(os.getegid(), *os.getgroups()),
        )
        return Hook.OFF if self._request.policy.view(subject)[keys.ENABLED] else Hook.POLICY

    # the caches

    def _caches(self) -> Iterator[Cache]:
        """Say what a tidying of the caches would do, the largest first."""
        results: list[Tidied] = []
        everybody = self._request.all_users
        asked = gc.Request(policy=self._request.policy, everybody=everybody, dry_run=True)
        gc.gc(asked, results, _Listener(self._observer))
        found = [cache for cache in results if cache.is_there or cache.refused]
        for one in sorted(found, key=lambda one: (-one.left_space - one.freed, one.uid)):
            yield Cache(
                user=one.user,
                uid=one.uid,
                path=one.path,
                files=one.left + one.files,
                size=one.left_space + one.freed,
                removable=one.files,
                freed=one.freed,
                refused=one.refused.value if one.refused else "",
            )


class _Listener:
    """Passes on that a dry run of ``gc`` makes progress."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.looked: Callable[[], None] = observer.looked

    def began(self, path: str) -> None:
        """Pass on which cache is the next."""
        self._observer.began(f"looking at {path}")

    def removed(self, path: str, why: Why) -> None:
        """Hear what is counted anyway."""

    def left(self, path: str) -> None:
        """Hear what is counted anyway."""

    def failed(self, path: str, why: str) -> None:
        """Hear what is counted anyway."""

"""What the checks look at, found out once and when it is first needed."""

import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

from pycache_sys import build_request, enable, rebuild
from pycache_sys.check import Bench, account_for
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.findings import Check, Diagnosis, command
from pycache_sys.core.in_place import Cleared
from pycache_sys.core.model import Interpreter, Reason, Refusal
from pycache_sys.core.report import Report, used_in
from pycache_sys.core.select import is_below
from pycache_sys.discover import Admits
from pycache_sys.doctor.directories import Directory, walk
from pycache_sys.in_place.task import Task
from pycache_sys.policy import keys
from pycache_sys.policy.examine import examine_policy
from pycache_sys.policy.model import Policy, Subject, View, subject_of
from pycache_sys.policy.problems import Problem
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons import programs
from pycache_sys.system.pythons.workers import WorkersError
from pycache_sys.system.trust import RootTrust
from pycache_sys.system.users.as_user import caller
from pycache_sys.system.users.homes import Look, Place, homes, look, owner_of
from pycache_sys.system.users.search import Limits as SearchLimits

MOST_TRIED = 200
"""So many sources without bytecode are compiled to see whether they can be; above that, none is."""
OTHERS = ("/opt", "/srv")
"""Where virtual environments of services often are."""
_WRITABLE_BY_OTHERS = 0o022
_READ_AND_SEARCH = 0o555


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for; ``paths`` are directories to look into besides homes."""

    config: str | None = None
    python_paths: Sequence[str] = ()
    python_specifiers: Sequence[Admits] = ()
    paths: Sequence[str] = ()
    limits: SearchLimits = SearchLimits()  # noqa: RUF009 - a tuple
    total_seconds: float = 120.0
    """After this time no further home is begun."""


class Survey(rebuild.Plans):
    """What a rebuild would do, and what ``migrate`` would remove."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
        self.hopeless = 0
        """Sources that have no bytecode because none can be made."""

    @property
    def used(self) -> list[Interpreter]:
        """List the interpreters that take part."""
        return used_in(self.report.interpreters)

    @property
    def beside(self) -> Cleared:
        """Say what ``migrate`` would do."""
        return self.report.in_place or Cleared()

    @property
    def missing(self) -> int:
        """Count the sources that want compiling."""
        return sum(len(plan.jobs) for plan, _ in self.found) - self.hopeless

    @property
    def missing_bytes(self) -> int:
        """Add up how large they are."""
        return sum(job.size for plan, _ in self.found for job in plan.jobs)


class Scene:
    """What the checks look at. Each part raises what went wrong with it."""

    def __init__(self, request: Request, result: Diagnosis) -> None:
        self.request = request
        self.result = result
        self.is_root = os.geteuid() == 0
        self.mounts = Mounts()

    def command(self, verb: str, *words: str) -> str:
        """Write a call of this program that means the same policy."""
        config = self.request.config
        more = ["--config", config] if config is not None else []
        return command("pycache-sys", verb, *more, *words)

    def policy_check(self) -> str:
        """Write the call that shows what is wrong with the policy."""
        config = self.request.config
        return command("pycache-sys", "policy", "check", *([config] if config else []))

    # the policy

    @cached_property
    def examined(self) -> tuple[Policy, list[Problem]]:
        """Read the policy with its problems; errors in it are left out, as start-up does it."""
        return examine_policy(self.request.config)

    @property
    def policy(self) -> Policy:
        """Return the policy as far as it is right."""
        return self.examined[0]

    @property
    def view(self) -> View:
        """Say what holds for everybody."""
        return self.policy.view()

    @property
    def tree(self) -> str:
        """Name the system tree."""
        return self.view[keys.SYSTEM_TREE]

    def view_for(self, interpreter: Interpreter) -> View:
        """Say what holds for an interpreter that the caller starts."""
        subject: Subject = subject_of(interpreter)
        groups = (os.getegid(), *os.getgroups())
        return self.policy.view(subject._replace(uid=os.geteuid(), gids=groups))

    # the tree

    @cached_property
    def top_is_usable(self) -> bool:
        """Tell whether bytecode in the tree is believed at all."""
        self._ask_for_tree()
        try:
            status = os.lstat(self.tree)
        except OSError:
            return False
        mode = status.st_mode
        if not stat.S_ISDIR(mode) or status.st_uid != 0 or mode & _WRITABLE_BY_OTHERS:
            return False
        is_open = mode & _READ_AND_SEARCH == _READ_AND_SEARCH
        return is_open and RootTrust().directory(os.path.dirname(self.tree)) is None

    def _ask_for_tree(self) -> None:
        if self.mounts.silent([self.tree]):
            raise PycacheSysError(f"{self.tree}: its file system does not answer")

    @cached_property
    def survey(self) -> Survey:
        """Plan a rebuild, and a removal of what stands beside the sources."""
        self._ask_for_tree()
        asked = build_request.Request(
            tree=self.tree,
            python_paths=self.request.python_paths,
            python_specifiers=self.request.python_specifiers,
            policy=self.policy,
            dry_run=True,
            in_place=Task(is_asked=True),
        )
        survey = Survey(Report(tree=self.tree, dry_run=True))
        rebuild.rebuild(asked, survey.report, survey)
        for outcome in survey.report.skips:
            if outcome.reason is Reason.NO_ANSWER:
                self.result.cannot(Check.TREE, f"{outcome.source}: {outcome.detail}")
        for outcome in survey.report.failures:
            self.result.cannot(Check.TREE, f"{outcome.source}: {outcome.detail}")
        survey.hopeless = self._hopeless(survey)
        return survey

    def _hopeless(self, survey: Survey) -> int:
        """Count the sources that no bytecode can be made of: a rebuild would mend nothing."""
        pythons = {one.directory: one for one in survey.used}
        found = 0
        for plan, _ in survey.found:
            interpreter = pythons.get(plan.order.directory)
            if interpreter is None or not 0 < len(plan.jobs) <= MOST_TRIED:
                continue
            bench = Bench(
                interpreter=interpreter,
                account=account_for(interpreter, is_system=True),
                limits=build_request.limits_for(interpreter, self.policy),
                size=2,
            )
            try:
                with closing(bench.pool(programs.COMPILE).run(plan.jobs)) as results:
                    found += sum(isinstance(answer, Refusal) for _, answer in results)
            except WorkersError as error:
                self.result.cannot(Check.TREE, f"{interpreter.path}: {error}")
        return found

    @cached_property
    def libraries(self) -> dict[str, list[Interpreter]]:
        """Map the directories that interpreters search to those that do; silent ones are absent."""
        found: dict[str, list[Interpreter]] = {}
        for interpreter in self.survey.used:
            for place in (*interpreter.library, *interpreter.site):
                if not self.mounts.silent([place]):
                    found.setdefault(place, []).append(interpreter)
        return found

    @cached_property
    def directories(self) -> list[Directory]:
        """List these directories with all below them."""
        return list(walk(self.libraries, self.mounts))

    # interpreters

    @cached_property
    def deliveries(self) -> list[enable.Delivery]:
        """Start each interpreter, and see whether it has the hook."""
        asked = enable.Request(
            python_paths=self.request.python_paths,
            python_specifiers=self.request.python_specifiers,
            policy=self.policy,
        )
        return enable.show(asked)

    def interpreter_at(self, path: str) -> Interpreter | None:
        """Return the interpreter of a path, if it takes part."""
        return next((one for one in self.survey.used if one.path == path), None)

    # homes

    @cached_property
    def looks(self) -> list[Look]:
        """Look into the homes and the other directories, each as the user whose it is."""
        end = time.monotonic() + self.request.total_seconds
        found = []
        for place in self._places():
            if time.monotonic() > end:
                found.append(Look(place, failure="the time for this is over"))
            else:
                found.append(look(place, self.mounts, self.request.limits))
        return found

    def _places(self) -> list[Place]:
        services = self.view[keys.SERVICE_UIDS]
        everybody = homes(services)
        if not self.is_root:
            everybody = [place for place in everybody if place.login.uid == os.geteuid()]
        named = [os.path.abspath(path) for path in self.request.paths]
        wanted = [place.path for place in everybody]
        for path in (*named, *OTHERS):
            if any(is_below(path, other) for other in wanted):
                continue
            wanted.append(path)
            if self.mounts.silent([path]):
                self.result.cannot(Check.ROOT_OWNED, f"{path}: its file system does not answer")
                continue
            place = owner_of(path)
            if place is not None:
                everybody.append(place if self.is_root else place._replace(login=caller()))
            elif path in named:
                self.result.cannot(Check.ROOT_OWNED, f"{path}: there is no such directory")
        return everybody


Examine = Callable[[Scene], None]
"""A check: adds its findings to the scene's result."""

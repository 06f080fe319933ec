"""The use case ``gc``: tidy the own cache of a user, or as root that of each user.

A cache is gone through once: what has lost its source or was not used for too long goes. Of the
rest only times and sizes are remembered. If it is too much, a second time takes the longest unused.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import environ, geteuid, stat_result
from stat import S_ISREG
from typing import Protocol

from pycache_sys.core.errors import UsageError
from pycache_sys.core.model import space_of
from pycache_sys.core.plan import is_temporary
from pycache_sys.core.tidying import (
    HOUR,
    NO_LIMIT,
    SECOND,
    UNFOUND_AGE,
    Kept,
    Limits,
    Python,
    Refused,
    Surplus,
    Tidied,
    Why,
    last_use,
    python_of,
    source_of,
)
from pycache_sys.policy import keys
from pycache_sys.policy.model import Policy, Subject
from pycache_sys.show import User, cache_of
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.machine.presence import Presence
from pycache_sys.system.users.as_user import (
    FailedError,
    Login,
    NoAnswerError,
    caller,
    logins,
    work_as,
)
from pycache_sys.system.users.user_cache import RefusedError, UserCache, opened

_MINORS = range(8, 30)
_LAST_MICRO = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for; seconds and bytes, None for what the policy says."""

    policy: Policy = Policy()  # noqa: RUF009 - frozen
    everybody: bool = False
    max_age: int | None = None
    max_size: int | None = None
    dry_run: bool = False


class Observer(Protocol):
    """Watches the run. Nothing is heard of single files of other users than the caller."""

    def began(self, path: str) -> None:
        """Hear that the next cache is tidied."""

    def looked(self) -> None:
        """Hear that one more file was looked at."""

    def removed(self, path: str, why: Why) -> None:
        """Hear that a file was removed, or in a dry run would be."""

    def left(self, path: str) -> None:
        """Hear that something stays that the hook would not have put there."""

    def failed(self, path: str, why: str) -> None:
        """Hear that something could not be removed."""


@dataclass(slots=True)
class _Silent:
    """Watches in another user's process, and shows that it goes on."""

    beat: Callable[[], None]

    def began(self, path: str) -> None:
        pass

    def looked(self) -> None:
        self.beat()

    def removed(self, path: str, why: Why) -> None:
        pass

    def left(self, path: str) -> None:
        pass

    def failed(self, path: str, why: str) -> None:
        pass


def gc(request: Request, results: list[Tidied], observer: Observer) -> None:
    """Tidy, and fill the results while it goes on: one for each cache that the policy names.

    Raises UsageError where somebody else than root asks for everybody.
    """
    if request.everybody and geteuid() != 0:
        raise UsageError(
            "only root can tidy the caches of all users",
            hint="run it as root, or without --all-users for your own",
        )
    own = caller()
    everybody = logins() if request.everybody else [own]
    for login in everybody:
        for cache in _caches(request, login):
            results.append(cache)
            observer.began(cache.path)
            limits = _limits(request, login)
            if login.uid == own.uid:
                tidy(cache, limits, observer, dry_run=request.dry_run)
            else:
                _tidy_as(login, cache, limits, dry_run=request.dry_run)


def _caches(request: Request, login: Login) -> Iterator[Tidied]:
    """Say where a user's cache is: several places, if the policy has one for some interpreters."""
    variables = environ if login.uid and login.uid == geteuid() else {}
    user = User(name=login.name, uid=login.uid, gids=login.groups, environ=variables)
    found: dict[str, None] = {}
    for python in _pythons(request.policy):
        subject = Subject(python=python, uid=login.uid, gids=login.groups)
        top, _ = cache_of(request.policy.view(subject), user)
        if top:
            found[top.rstrip("/")] = None
    for top in found:
        yield Tidied(path=top, user=login.name, uid=login.uid)


def _pythons(policy: Policy) -> Iterator[tuple[str, tuple[int, int, int]] | None]:
    """List the interpreters that the policy may tell from others; None for any."""
    yield None
    if any(section.kind == keys.PYTHON for section in policy.sections):
        for implementation in ("cpython", "pypy"):
            for minor in _MINORS:
                yield implementation, (3, minor, 0)
                yield implementation, (3, minor, _LAST_MICRO)


def _limits(request: Request, login: Login) -> Limits:
    view = request.policy.view(Subject(uid=login.uid, gids=login.groups))
    age = view[keys.CACHE_MAX_AGE] if request.max_age is None else request.max_age
    size = view[keys.CACHE_MAX_SIZE] if request.max_size is None else request.max_size
    return Limits(
        now=time.time_ns(),
        max_age=NO_LIMIT if age is None else age * SECOND,
        max_size=NO_LIMIT if size is None else size,
    )


def _tidy_as(login: Login, cache: Tidied, limits: Limits, *, dry_run: bool) -> None:
    """Tidy another user's cache as that user; of what comes back only the numbers count."""

    def work(beat: Callable[[], None]) -> list[int]:
        tidy(cache, limits, _Silent(beat), dry_run=dry_run)
        return cache.numbers()

    try:
        cache.take(work_as(login, work, len(cache.numbers())))
    except NoAnswerError:
        cache.refused = Refused.NO_ANSWER
    except (FailedError, OSError):
        cache.refused = Refused.FAILED


def tidy(cache: Tidied, limits: Limits, observer: Observer, *, dry_run: bool) -> None:
    """Tidy one cache as the user whose it is."""
    mounts = Mounts()
    if mounts.silent([cache.path]):
        cache.refused = Refused.NO_ANSWER
        return
    try:
        with opened(cache.path, cache.uid, dry_run=dry_run, young=limits.now - HOUR) as place:
            cache.is_there = True
            _sweep(place, cache, limits, Presence(mounts), observer)
    except FileNotFoundError:
        return
    except RefusedError as error:
        cache.is_there = True
        cache.refused = error.reason


def _sweep(
    place: UserCache, cache: Tidied, limits: Limits, presence: Presence, observer: Observer
) -> None:
    kept = Kept()
    judges = []
    for name in place.names():
        python = python_of(name)
        if python is None:
            cache.foreign += 1
            observer.left(f"{cache.path}/{name}")
            continue
        judges.append((name, _Judge(name, python, cache, limits, presence, observer, kept)))
    for name, judge in judges:
        place.sweep(name, judge)
    surplus = kept.surplus(limits.max_size)
    if surplus is not None:
        cache.directories *= not place.dry_run  # then they are all there still, to be counted
        for name, judge in judges:
            place.sweep(name, _SurplusJudge(judge, surplus, dry_run=place.dry_run))


class _Judge:
    """Finds what is of no use any more in one folder, remembers the rest, and keeps account."""

    def __init__(
        self,
        folder: str,
        python: Python,
        cache: Tidied,
        limits: Limits,
        presence: Presence,
        observer: Observer,
        kept: Kept,
    ) -> None:
        self.cache = cache
        self.now = limits.now
        self.observer = observer
        self.why = Why.LEFTOVER
        self._top = f"{cache.path}/{folder}"
        self._python = python
        self._max_age = limits.max_age
        self._presence = presence
        self._kept = kept

    def source(self, directory: str, name: str, status: stat_result) -> str | None:
        """Say whose bytecode a file is; "" for an unfinished one, None for one of others."""
        if not S_ISREG(status.st_mode) or status.st_uid != self.cache.uid:
            return None
        return "" if is_temporary(name) else source_of(directory, name, self._python.tag)

    def find(self, directory: str, name: str, status: stat_result) -> Why | bool:
        """Say why a file goes; False for one that stays, True for one that is not the hook's."""
        source = self.source(directory, name, status)
        if source is None:
            return True
        if not source:
            return status.st_mtime_ns < self.now - HOUR and Why.LEFTOVER
        age = self.now - last_use(status, self.now)
        if age > self._max_age:
            return Why.UNUSED
        if self._presence.is_gone(source):
            return Why.SOURCE_GONE
        is_lost = age > UNFOUND_AGE and not self._presence.has_interpreter(self._python)
        return is_lost and Why.INTERPRETER_GONE

    def goes(self, directory: str, name: str, status: stat_result) -> bool:
        """Tell whether a file goes, and remember why, or that it stays."""
        self.observer.looked()
        why = self.find(directory, name, status)
        if isinstance(why, Why):
            self.why = why
            return True
        if why:
            self.passed(f"{directory}/{name}")
        elif not is_temporary(name):
            self._kept.add(last_use(status, self.now), space_of(status))
            self.cache.left += 1
            self.cache.left_space += space_of(status)
        return False

    def removed(self, directory: str, name: str, status: stat_result) -> None:
        """Count a file."""
        self.cache.removed[self.why] += 1
        self.cache.freed += space_of(status)
        self.observer.removed(f"{self._top}{directory}/{name}", self.why)

    def emptied(self, directory: str) -> None:  # noqa: ARG002 - a port
        """Count a directory."""
        self.cache.directories += 1

    def passed(self, path: str) -> None:
        """Count what is not the hook's."""
        self.cache.foreign += 1
        self.observer.left(self._top + path)

    def failed(self, path: str, error: OSError) -> None:
        """Count what could not be done."""
        self.cache.failed += 1
        self.observer.failed(self._top + path, error.strerror or str(error))


class _SurplusJudge:
    """Takes the longest unused of what stayed. In a dry run what has gone before is there still."""

    def __init__(self, first: _Judge, surplus: Surplus, *, dry_run: bool) -> None:
        self._first = first
        self._surplus = surplus
        self._dry_run = dry_run
        self._is_new = True

    def goes(self, directory: str, name: str, status: stat_result) -> bool:
        """Tell whether a file is among the longest unused."""
        first = self._first
        first.observer.looked()
        why = self._look(directory, name, status)
        self._is_new = why is False
        if why is False:
            return self._surplus.takes(last_use(status, first.now), space_of(status))
        return why is not True

    def _look(self, directory: str, name: str, status: stat_result) -> Why | bool:
        """Say what became of a file at first, as ``_Judge.find`` does."""
        if self._dry_run:
            return self._first.find(directory, name, status) or is_temporary(name)
        return not self._first.source(directory, name, status)

    def removed(self, directory: str, name: str, status: stat_result) -> None:
        """Count a file that was counted as left."""
        if self._is_new:
            self._first.why = Why.OVER_SIZE
            self._first.removed(directory, name, status)
            self._first.cache.left -= 1
            self._first.cache.left_space -= space_of(status)

    def emptied(self, directory: str) -> None:
        """Count a directory."""
        self._first.emptied(directory)

    def passed(self, path: str) -> None:
        """Say nothing twice."""

    def failed(self, path: str, error: OSError) -> None:
        """Count what could not be done."""
        self._first.failed(path, error)

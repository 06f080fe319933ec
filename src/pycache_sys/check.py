"""Check: have each interpreter load the tree's bytecode, and say what it cannot load.

A body is bytes that anybody may have spoiled, and loading it can crash an interpreter. So that is
done by workers, which have given up root where they can; a crash is what is wrong with the file.
"""

import os
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

from pycache_sys.core.defects import Defect, Kind, Mark, stale
from pycache_sys.core.model import Interpreter, Job, Reason, Refusal
from pycache_sys.core.protocol import Compiled
from pycache_sys.system.inventory import stand
from pycache_sys.system.pythons import programs
from pycache_sys.system.pythons.workers import Limits, Pool
from pycache_sys.system.users.privileges import (
    Account,
    can_become,
    can_read,
    nobody_else,
    worker_account,
)

_ROUNDS = 3
_GOOD = b"good"


class Body(NamedTuple):
    """An entry to be loaded: where it is, whose it is, and how it stood when it was seen."""

    path: str
    source: str
    level: int
    status: os.stat_result


class Bench(NamedTuple):
    """Where bodies of one interpreter are checked."""

    interpreter: Interpreter
    account: Account | None
    limits: Limits
    size: int

    def pool(self, program: str) -> Pool:
        """Give workers that run a program."""
        return Pool(
            self.interpreter,
            size=self.size,
            account=self.account,
            limits=self.limits,
            program=program,
        )


def account_for(interpreter: Interpreter, *, is_system: bool) -> Account | None:
    """Choose whom workers run as; None for the caller.

    For the system tree root gives itself up: for the account of the workers, or where there is
    none for numbers of nobody's. Everything they need there is public.
    """
    if not is_system or os.geteuid() != 0:
        return None
    account = worker_account() or nobody_else(None)
    needed = [interpreter.binary, *(f"{path}/os.py" for path in interpreter.library[:1])]
    if interpreter.stand_in or all(can_read(account, path) for path in needed):
        return account if can_become(account) else None
    return None


def check_bodies(
    bodies: Sequence[Body], bench: Bench, *, deep: bool, progress: Callable[[], None]
) -> Generator[Defect, None, None]:
    """Load all bodies, and yield what is wrong; ``deep`` compiles their sources, too.

    One that was replaced while it was looked at is looked at again. Raises WorkersError.
    """
    left: Iterable[Body] = bodies
    for _ in range(_ROUNDS):
        again: list[Body] = []
        jobs = {_job(body, deep=deep): body for body in left}
        if not jobs:
            return
        with closing(bench.pool(programs.CHECK).run(jobs)) as results:
            for job, result in results:
                progress()
                defect = _defect(jobs[job], result)
                if defect is None:
                    continue
                now = stand(jobs[job].path)
                if now is None:
                    continue  # gone meanwhile
                if _state(now) == _state(jobs[job].status):
                    yield defect
                elif stat.S_ISREG(now.st_mode):
                    again.append(jobs[job]._replace(status=now))
        left = again


def _job(body: Body, *, deep: bool) -> Job:
    """Put a body into the form of a request, as ``pycache_sys_worker/check.py`` explains it."""
    return Job(
        source=f"{body.path}\0{body.source}",
        size=body.status.st_size,
        levels=bytes([body.level]),
        invalidation=int(deep),
    )


def _defect(body: Body, result: Compiled | Refusal) -> Defect | None:
    """Read a verdict."""
    if isinstance(result, Refusal):
        return _refused(body, result)
    verdict = result.files[0] or b""
    if verdict == _GOOD:
        return None
    word, _, detail = verdict.decode("utf-8", "replace").partition("\0")
    match word:
        case Kind.STALE:
            mark = Mark.HASH if detail == Mark.HASH else Mark.HEADER
            return stale(body.path, body.source, (mark,))
        case Kind.DIFFERS | Kind.UNREADABLE:
            return Defect(body.path, Kind(word), detail, body.source)
        case _:
            return Defect(body.path, Kind.CORRUPT, detail, body.source)


def _refused(body: Body, refusal: Refusal) -> Defect | None:
    reason, detail = refusal
    if reason is Reason.VANISHED:
        return None
    if reason in (Reason.UNREADABLE, Reason.NOT_REGULAR):
        return Defect(body.path, Kind.UNREADABLE, detail, body.source)
    words = {
        Reason.CRASH: "it crashes the interpreter that loads it",
        Reason.MEMORY_LIMIT: "loading it needs more memory than a worker may have",
        Reason.TIME_LIMIT: "loading it takes longer than a worker may take",
    }
    return Defect(body.path, Kind.CORRUPT, words.get(reason, detail), body.source)


def _state(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns

"""Apply: do what a plan says, and write down what became of it."""

import errno
import os
import time
from collections.abc import Callable
from contextlib import closing

from pycache_sys.core import pyc
from pycache_sys.core.errors import TreeError
from pycache_sys.core.model import Job, Outcome, Reason, Refusal, SourceIdentity
from pycache_sys.core.plan import Plan, cache_names, entry_mode
from pycache_sys.core.protocol import Compiled
from pycache_sys.core.report import Report
from pycache_sys.system.pythons.workers import Pool
from pycache_sys.system.sources import examine
from pycache_sys.system.tree import Tree
from pycache_sys.system.trust import Trust

RACY_NANOSECONDS = 20_000_000
"""A source changed this recently may change again without its ctime showing it (kernel ticks)."""
_ATTEMPTS = 3
_STOPPING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


def resolve_doubts(plan: Plan, pool: Pool) -> None:
    """Hash the sources that only their hash can clear; the others become jobs."""
    known = {job.source: expected for job, expected in plan.doubts}
    asked = [job._replace(levels=b"", invalidation=pyc.CHECKED_HASH) for job, _ in plan.doubts]
    again = {job.source: job for job, _ in plan.doubts}
    with closing(pool.run(asked)) as results:
        for job, result in results:
            if isinstance(result, Compiled) and result.source_hash == known[job.source]:
                plan.fresh += 1
            else:
                plan.jobs.append(again[job.source])
    plan.doubts.clear()


def remove_entries(plan: Plan, tree: Tree, report: Report) -> None:
    """Take out what the plan takes out, and the directories that this leaves empty."""
    for path in plan.removals:
        try:
            report.removed += tree.remove(path)
        except (OSError, TreeError) as error:
            report.add(
                Outcome(f"{tree.path}/{path}", Reason.WRITE, f"not removed: {_words(error)}")
            )
    parents = {path.rpartition("/")[0] for path in plan.removals}
    tree.remove_empty(parents.union(plan.hollow))


class Writer:
    """Checks what workers send, and writes it."""

    def __init__(
        self,
        plan: Plan,
        pool: Pool,
        tree: Tree,
        trust: Trust,
        report: Report,
        *,
        max_bytes: int | None = None,
    ) -> None:
        self._room = None if max_bytes is None else max_bytes - plan.kept_bytes
        self._order = plan.order
        self._jobs = plan.jobs
        self._pool = pool
        self._tree = tree
        self._trust = trust
        self._report = report
        self._attempts: dict[str, int] = {}

    def run(self, progress: Callable[[], None]) -> None:
        """Compile and write all jobs of the plan.

        A failed file is an outcome. A file system that takes nothing any more stops the run.
        """
        with closing(self._pool.run(self._jobs)) as results:
            try:
                for job, result in results:
                    self._finish(job, result)
                    progress()
                    if self._report.stopped:
                        break
            finally:
                self._report.remaining += self._pool.remaining

    def _finish(self, job: Job, result: Compiled | Refusal) -> None:
        refusal = result if isinstance(result, Refusal) else self._write(job, result)
        if refusal is None:
            return
        self._report.add(Outcome(job.source, *refusal))
        self._withdraw(job)

    def _write(self, job: Job, compiled: Compiled) -> Refusal | None:
        """Write one source's entries, if they are what they should be."""
        status = examine(job.source, self._trust)
        if isinstance(status, Refusal):
            return status
        if not self._is_settled(status, compiled.identity):
            return self._retry(job)
        header = pyc.start(self._order.magic, job.invalidation)
        header += compiled.source_hash if job.invalidation else pyc.timestamp_fields(status)
        if not all(file is None or pyc.is_well_formed(file, header) for file in compiled.files):
            return Refusal(Reason.WORKER, "the worker's answer is not this source's bytecode")
        size = sum(len(file) for file in compiled.files if file is not None)
        if self._room is not None:
            if size > self._room:
                return Refusal(
                    Reason.OVER_LIMIT, "with its bytecode: max-bytes of its root's section"
                )
            self._room -= size
        below, names = cache_names(job.source, self._order)
        try:
            self._tree.install(
                below,
                list(zip(names, compiled.files, strict=True)),
                mtime=status.st_mtime_ns,
                mode=entry_mode(status, self._order),
            )
        except (OSError, TreeError) as error:
            if isinstance(error, OSError) and error.errno in _STOPPING:
                self._report.stopped = f"{self._tree.path}: {error.strerror}"
            return Refusal(Reason.WRITE, _words(error))
        after = examine(job.source, self._trust)
        if isinstance(after, Refusal):
            return after
        if not self._is_settled(after, compiled.identity):
            return self._retry(job)
        self._report.compiled += 1
        return None

    def _is_settled(self, status: os.stat_result, read: SourceIdentity) -> bool:
        """Tell whether a source is still what was read, and would show it if it were not."""
        age = time.time_ns() - read.ctime
        return SourceIdentity.from_stat(status) == read and not 0 <= age < RACY_NANOSECONDS

    def _retry(self, job: Job) -> Refusal | None:
        attempts = self._attempts.get(job.source, 1)
        if attempts == _ATTEMPTS:
            return Refusal(Reason.CHANGED, "it changed while it was compiled; run again")
        self._attempts[job.source] = attempts + 1
        time.sleep(RACY_NANOSECONDS / 1e9)
        self._pool.add(job)
        return None

    def _withdraw(self, job: Job) -> None:
        """Take out entries that their source has outlived."""
        below, names = cache_names(job.source, self._order)
        for name in names:
            try:
                self._report.removed += self._tree.remove(f"{below}/{name}")
            except (OSError, TreeError):
                continue  # what could not be written cannot be removed either; it was reported


def _words(error: OSError | TreeError) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)

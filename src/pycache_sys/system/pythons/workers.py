"""Workers: processes of a target interpreter that read and compile, while we write.

Each is fed through a pipe with a short queue, answers in order, and is replaced when it dies; then
the file it was busy with is at fault, and the others of its queue go to its successor.
"""

import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from fcntl import fcntl
from itertools import count
from typing import NamedTuple

from pycache_sys.core import protocol
from pycache_sys.core.environment import environment
from pycache_sys.core.model import Interpreter, Job, Reason, Refusal
from pycache_sys.system.machine import nowhere, offline
from pycache_sys.system.pythons import programs
from pycache_sys.system.users.privileges import Account, confined

_QUEUED_BYTES = select.PIPE_BUF
_F_SETPIPE_SZ = 1031
_PIPE_SIZE = 1 << 20
_READ_SIZE = 1 << 18
_START_SECONDS = 30.0
_GRACE_SECONDS = 10.0
_FALSE_STARTS = 3

Result = protocol.Compiled | Refusal


class Limits(NamedTuple):
    """What one file may cost: wall-clock seconds, and bytes of address space of its worker."""

    seconds: int = 60
    address_space: int | None = 2 << 30


class WorkersError(Exception):
    """Workers of an interpreter do not start, or do not speak the protocol."""


class Pool:
    """A number of workers of one interpreter."""

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        size: int,
        account: Account | None,
        limits: Limits,
        program: str = programs.COMPILE,
    ) -> None:
        self._interpreter = interpreter
        self._program = program
        self._size = size
        self._account = account
        self._limits = limits
        self._pending: deque[Job] = deque()
        self._workers: list[_Worker] = []
        self._poll = select.poll()
        self._false_starts = 0

    def add(self, job: Job) -> None:
        """Put one more job at the end of the queue; allowed while ``run`` goes on."""
        self._pending.append(job)

    @property
    def remaining(self) -> int:
        """Count the jobs that have no result yet."""
        return len(self._pending) + sum(len(worker.queue) for worker in self._workers)

    def run(self, jobs: Iterable[Job]) -> Generator[tuple[Job, Result], None, None]:
        """Do the jobs, the largest first, and yield each with its result as it comes.

        Ends all workers when it is closed or raises. Raises WorkersError.
        """
        self._pending.extend(sorted(jobs, key=lambda job: job.size, reverse=True))
        try:
            for _ in range(min(self._size, len(self._pending))):
                self._start()
            while self._workers or self._pending:
                if not self._workers:
                    self._start()
                yield from self._turn()
        finally:
            for worker in self._workers:
                worker.kill()
            for worker in self._workers:
                self._pending.extend(worker.queue)
                worker.queue.clear()
                worker.reap()
            self._workers.clear()

    def _turn(self) -> Iterator[tuple[Job, Result]]:
        """Wait for some worker to say something, and deal with it."""
        ready = {descriptor for descriptor, _ in self._poll.poll(1000)}
        for worker in list(self._workers):
            if worker.answers in ready:
                yield from self._listen(worker)
            elif worker.is_late():
                worker.kill()
                yield from self._bury(worker, late=True)

    def _listen(self, worker: "_Worker") -> Iterator[tuple[Job, Result]]:
        try:
            frames, ended = worker.read()
            for frame in frames:
                if worker.greeted:
                    yield worker.finish(frame)
                else:
                    worker.greet(frame, self._greeting())
                    self._false_starts = 0
        except protocol.ProtocolError as error:
            raise WorkersError(f"{self._interpreter.path}: {error}") from error
        if ended:
            yield from self._bury(worker, late=False)
        else:
            self._feed(worker)

    def _bury(self, worker: "_Worker", *, late: bool) -> Iterator[tuple[Job, Result]]:
        """See a dead worker off, name the file at fault, and start a successor if one is needed."""
        self._workers.remove(worker)
        self._poll.unregister(worker.answers)
        status = worker.reap()
        if not worker.greeted:
            self._false_starts += 1
            if self._false_starts == _FALSE_STARTS:
                raise WorkersError(
                    f"{self._interpreter.path}: workers end before they are ready ({_fate(status)})"
                )
        elif worker.queue and (late or status != 0 or not worker.has_answered):
            refusal = _blame(status, self._limits, late=late)
            yield worker.queue.popleft(), refusal
        self._pending.extendleft(reversed(worker.queue))
        worker.queue.clear()
        if self._pending:
            self._start()

    def _start(self) -> None:
        worker = _Worker(self._interpreter, self._account, self._limits, self._program)
        self._workers.append(worker)
        self._poll.register(worker.answers, select.POLLIN)
        self._feed(worker)

    def _feed(self, worker: "_Worker") -> None:
        # an equal share of half of what is left, so that all end at the same time
        share = max(1, len(self._pending) // (2 * self._size))
        while self._pending and len(worker.queue) < share and worker.takes(self._pending[0]):
            worker.send(self._pending.popleft())
        if not self._pending and not worker.queue:
            worker.dismiss()

    def _greeting(self) -> bytes:
        uid = os.geteuid() if self._account is None else self._account.uid
        return protocol.greeting(
            uid=uid, magic=self._interpreter.magic, cache_tag=self._interpreter.cache_tag
        )


class _Worker:
    """One worker process with its queue."""

    def __init__(
        self, interpreter: Interpreter, account: Account | None, limits: Limits, program: str
    ) -> None:
        command = [interpreter.stand_in or interpreter.path, "-I", "-S", "-B", "-X", "utf8"]
        command += [*programs.arguments(program), str(limits.seconds)]
        if account is not None:
            command += [str(account.uid), str(account.gid)]
        prepare = confined(limits.address_space)
        kept: tuple[int, ...] = ()
        root = offline.entered() if interpreter.stand_in else None
        if root is not None:
            command += [] if account is not None else ["-", "-"]
            command += [str(root.inside)]
            kept = (root.inside,)
            prepare = _outside(root, prepare)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=nowhere.descriptor(),
                bufsize=0,
                cwd="/",
                env=environment(os.environ, is_root=os.geteuid() == 0),
                start_new_session=True,
                pass_fds=kept,
                preexec_fn=prepare,  # noqa: PLW1509 - no threads here
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise WorkersError(f"{interpreter.path}: a worker does not start: {error}") from error
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self._requests = self._process.stdin
        self._answers = self._process.stdout
        self.answers = self._answers.fileno()
        self.queue: deque[Job] = deque()
        self.greeted = False
        self.has_answered = False
        self._limits = limits
        self._queued_bytes = 0
        self._numbers = count()
        self._answered = count()
        self._buffer = bytearray()
        self._deadline = time.monotonic() + _START_SECONDS
        with suppress(OSError):
            fcntl(self.answers, _F_SETPIPE_SZ, _PIPE_SIZE)

    def takes(self, job: Job) -> bool:
        """Tell whether the queue has room: what is queued must fit into the pipe at once."""
        if self._requests.closed:
            return False
        return not self.queue or self._queued_bytes + _request_size(job) <= _QUEUED_BYTES

    def send(self, job: Job) -> None:
        """Queue a job."""
        frame = protocol.encode_request(
            next(self._numbers) & 0xFFFF_FFFF, job.invalidation, job.levels, os.fsencode(job.source)
        )
        if not self.queue and self.greeted:
            self._set_deadline()
        self.queue.append(job)
        self._queued_bytes += _request_size(job)
        # a worker that is gone is noticed at its answers' end
        with suppress(BrokenPipeError):
            self._requests.write(frame)

    def read(self) -> tuple[list[bytes], bool]:
        """Read what is there: (whole frames, whether the worker has closed its end)."""
        piece = os.read(self.answers, _READ_SIZE)
        self._buffer += piece
        frames = []
        offset, prefix = 0, protocol.LENGTH.size
        with memoryview(self._buffer) as buffer:
            while len(buffer) - offset >= prefix:
                start = offset + prefix
                end = start + protocol.frame_length(bytes(buffer[offset:start]))
                if end > len(buffer):
                    break
                frames.append(bytes(buffer[start:end]))
                offset = end
        del self._buffer[:offset]
        return frames, not piece

    def greet(self, frame: bytes, expected: bytes) -> None:
        """Check the handshake."""
        if frame != expected:
            raise protocol.ProtocolError("a worker is not the interpreter it was identified as")
        self.greeted = True
        self._set_deadline()

    def finish(self, frame: bytes) -> tuple[Job, Result]:
        """Match an answer with its job."""
        number, result = protocol.decode_answer(frame)
        if not self.queue or number != next(self._answered) & 0xFFFF_FFFF:
            raise protocol.ProtocolError("an answer that nobody asked for")
        job = self.queue.popleft()
        self.has_answered = True
        if not isinstance(result, Refusal) and len(result.files) != len(job.levels):
            raise protocol.ProtocolError("an answer with too few files")
        self._queued_bytes -= _request_size(job)
        self._set_deadline()
        return job, result

    def is_late(self) -> bool:
        """Tell whether the worker did not even die of its own alarm (a dead mount, say)."""
        return bool(self.queue) and time.monotonic() > self._deadline

    def dismiss(self) -> None:
        """Let the worker end: there is nothing more to do."""
        self._requests.close()

    def kill(self) -> None:
        """End the worker now."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self.dismiss()

    def reap(self) -> int | None:
        """Collect the exit status; None where the process cannot even be killed."""
        self.dismiss()
        self._answers.close()
        try:
            return self._process.wait(timeout=_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def _set_deadline(self) -> None:
        self._deadline = time.monotonic() + self._limits.seconds + _GRACE_SECONDS


def _outside(root: offline.Offline, prepare: Callable[[], None]) -> Callable[[], None]:
    """Have a child leave the root that we are in, for a program of the outer system."""

    def leave_and_prepare() -> None:
        root.leave()
        prepare()

    return leave_and_prepare


def _request_size(job: Job) -> int:
    return len(job.source) * 4 + 16


def _blame(status: int | None, limits: Limits, *, late: bool) -> Refusal:
    if late or status == -signal.SIGALRM:
        return Refusal(Reason.TIME_LIMIT, f"not done after {limits.seconds} s")
    return Refusal(Reason.CRASH, f"the compiler did not survive it: {_fate(status)}")


def _fate(status: int | None) -> str:
    if status is None:
        return "it hangs in the kernel"
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"

"""Find the interpreters of a system, and ask each who it is.

For the system tree an interpreter's program, its shared library and its standard library must be
root's, or whoever owns them would write bytecode for everybody. Before that is established it runs
under ids that nobody else has.
"""

import errno
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pycache_sys.core.environment import environment
from pycache_sys.core.identity import believe, parse_answer
from pycache_sys.core.model import Interpreter, Reason, Refusal
from pycache_sys.core.names import SEARCHED, is_interpreter_name
from pycache_sys.core.report import InterpreterNote
from pycache_sys.core.select import managed_roots
from pycache_sys.system.access import Access
from pycache_sys.system.machine import nowhere, offline
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons import programs
from pycache_sys.system.pythons.standard_library import (
    judge_configuration,
    judge_library,
    judge_nearby,
)
from pycache_sys.system.trust import OwnTrust, RootTrust
from pycache_sys.system.users.privileges import Account, can_read, confined, nobody_else

_SECONDS = 10.0
_LONGEST_ANSWER = 1 << 20

Question = subprocess.Popen[bytes]


class Unable:
    """The place of a question to an interpreter that is there, and cannot run here."""


class Candidate(NamedTuple):
    """A program that may be an interpreter; ``named`` by the caller, or found."""

    path: str
    named: bool


def find(access: Access) -> list[Candidate]:
    """List the programs named like interpreters, by version."""
    found = []
    for directory in SEARCHED:
        if access.mounts.silent([directory]):
            continue
        with suppress(OSError):
            found += [
                Candidate(path=f"{directory}/{name}", named=False)
                for name in os.listdir(directory)
                if is_interpreter_name(name)
            ]
    return sorted(found, key=lambda candidate: _natural(candidate.path))


def _natural(path: str) -> tuple[str, int, str]:
    digits = path.rpartition(".")[2].removesuffix("t")
    return path.rpartition(".")[0], int(digits) if digits.isdecimal() else 0, path


def identify(candidates: Sequence[Candidate], access: Access) -> list[InterpreterNote]:
    """Ask all candidates who they are, at the same time; one interpreter counts once."""
    asked: list[tuple[Candidate, Question | Refusal | Unable]] = []
    try:
        asked.extend((one, _ask(one.path, access)) for one in candidates)
        return _notes(asked, access)
    finally:  # also after Ctrl-C: nobody is left behind
        for _, question in asked:
            if isinstance(question, subprocess.Popen):
                _end(question)


def _notes(
    asked: Sequence[tuple[Candidate, Question | Refusal | Unable]], access: Access
) -> list[InterpreterNote]:
    ours = _outer_interpreters() if any(isinstance(one, Unable) for _, one in asked) else []
    deadline = time.monotonic() + _SECONDS
    named = [candidate.path for candidate, _ in asked if candidate.named]
    roots = managed_roots(named) if access.is_restricted else ("/",)
    notes: list[InterpreterNote] = []
    seen: set[tuple[object, ...] | None] = set()
    for candidate, question in asked:
        if isinstance(question, Unable):
            from pycache_sys.system.pythons import foreign  # noqa: PLC0415 - in few roots

            result = foreign.describe(candidate.path, ours)
        else:
            result = _weigh(candidate, question, deadline, roots)
        if not isinstance(result, Refusal):
            result = _judge(result, access) or result
        key = None if isinstance(result, Refusal) else _key(result)
        if not isinstance(result, Refusal) and key is None:
            result = Refusal(Reason.BROKEN, f"it says it is {result.binary}, which is not there")
        if isinstance(result, Refusal):
            notes.append(
                InterpreterNote(path=candidate.path, refusal=result, named=candidate.named)
            )
            continue
        if key not in seen:
            seen.add(key)
            notes.append(
                InterpreterNote(path=candidate.path, interpreter=result, named=candidate.named)
            )
    return notes


def _outer_interpreters() -> list[Interpreter]:
    """Ask the interpreters of the system outside of the root that was entered."""
    root = offline.entered()
    if root is None:
        return []
    with root.left():
        access = Access(trust=RootTrust(), account=None, mounts=Mounts(), is_restricted=True)
        notes = identify(find(access), access)
    return [note.interpreter for note in notes if note.interpreter is not None]


def _weigh(
    candidate: Candidate,
    question: Question | Refusal,
    deadline: float,
    roots: Sequence[str],
) -> Interpreter | Refusal:
    if isinstance(question, Refusal):
        return question
    answer = _await(question, deadline)
    return answer if isinstance(answer, Refusal) else believe(candidate.path, answer, roots)


def _key(interpreter: Interpreter) -> tuple[object, ...] | None:
    try:
        status = os.stat(interpreter.binary)
    except OSError:
        return None
    return status.st_dev, status.st_ino, interpreter.environment, interpreter.library


def _ask(path: str, access: Access) -> Question | Refusal | Unable:
    """Start an interpreter with the question, if it may be started."""
    refusal = _judge_program(path, access)
    if refusal is not None:
        return refusal
    drops = access.is_restricted and os.geteuid() == 0
    account = nobody_else(access.account) if drops else None
    try:
        return _start(path, account)
    except subprocess.SubprocessError:
        # no setuid here, as in a user namespace with one uid: there root is nobody special
        return _start(path, None)
    except PermissionError as error:
        if account is not None:
            return Refusal(Reason.OUT_OF_REACH, "not everybody can execute it")
        return Refusal(Reason.BROKEN, str(error))
    except OSError as error:
        if error.errno == errno.ENOEXEC and offline.entered() is not None:
            return Unable()
        return Refusal(Reason.BROKEN, f"it does not start: {error}")


def _judge_program(path: str, access: Access) -> Refusal | None:
    trust = access.trust
    refusal = access.mounts.refusal(path)
    if refusal is not None:
        return refusal
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return Refusal(Reason.MISSING, "there is no such file")
    except OSError as error:
        return Refusal(Reason.BROKEN, error.strerror or "")
    refusal = trust.directory(os.path.dirname(path)) or trust.file(path, status)
    if refusal is None and os.path.islink(path):
        refusal = trust.link(path)
    refusal = refusal or judge_configuration(path, trust)
    if refusal is None and isinstance(trust, OwnTrust):
        refusal = judge_nearby(path, trust)  # it runs as the caller, with whatever it loads
    return refusal


def _start(path: str, account: Account | None) -> Question:
    # as text: an account that cannot read our folder can be asked, too
    return subprocess.Popen(
        [path, "-I", "-S", "-B", "-X", "utf8", "-c", programs.text(programs.IDENTIFY)],
        stdin=nowhere.descriptor(),
        stdout=subprocess.PIPE,
        stderr=nowhere.descriptor(),
        cwd="/",
        env=environment(os.environ, is_root=os.geteuid() == 0),
        start_new_session=True,
        preexec_fn=confined(None, account),  # noqa: PLW1509 - no threads here
    )


def _await(process: Question, deadline: float) -> dict[str, Any] | Refusal:
    """Wait for an answer, not for ever, and take it from between its fences."""
    output = _read_answer(process, deadline)
    has_ended = _ends(process, deadline)
    status = _end(process)
    if not has_ended:
        return Refusal(Reason.NO_ANSWER, f"no answer in {_SECONDS:.0f} s")
    answer = parse_answer(output) if status == 0 else None
    if answer is None:
        return Refusal(
            Reason.BROKEN, f"it does not say who it is, or not plainly (exit status {status})"
        )
    return answer


def _ends(process: Question, deadline: float) -> bool:
    """Wait until a process ends, without reaping it; False where it is late."""
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _end(process: Question) -> int | None:
    """Kill a process that was asked, with all that it started in its group; return its status."""
    if process.returncode is None:
        # not reaped yet: the number of the group is still its own
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
    return process.returncode


def _read_answer(process: Question, deadline: float) -> bytes:
    """Read what the process prints until it ends its output, says too much, or is late."""
    assert process.stdout is not None  # noqa: S101 - for the type checker
    output = b""
    with process.stdout as channel:
        while len(output) < _LONGEST_ANSWER:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([channel], [], [], left)[0]:
                break
            piece = os.read(channel.fileno(), _LONGEST_ANSWER)
            if not piece:
                break
            output += piece
    return output


def _judge(interpreter: Interpreter, access: Access) -> Refusal | None:
    """See that root alone can change the interpreter, and that the account can run it."""
    trust = access.trust
    for path in (interpreter.binary, *interpreter.shared_objects):
        refusal = trust.directory(os.path.dirname(path))
        if refusal is None:
            with suppress(OSError):
                refusal = trust.file(path, os.stat(path))
        if refusal is not None:
            return refusal
    library = interpreter.library[0]
    refusal = access.mounts.refusal(library)
    if refusal is None and access.is_restricted:
        refusal = judge_library(interpreter, trust)
    if refusal is None and access.account and not can_read(access.account, library):
        return Refusal(Reason.OUT_OF_REACH, f"the workers' account cannot read {library}")
    return refusal

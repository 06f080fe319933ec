"""Start an interpreter as its user does, with ``site`` and the hook, and let it answer.

Nothing that runs there can write a file: the option is ``-B``, and the kernel's limit for the size
of files is 0. It gets no privileges that the caller does not have.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pycache_sys.core.errors import PycacheSysError
from pycache_sys.system.machine import nowhere
from pycache_sys.system.pythons import programs
from pycache_sys.system.users.privileges import confined

_SECONDS = 60.0
_LONGEST_ANSWER = 64 << 20
_LONGEST_COMPLAINT = 1 << 16

WITHOUT_CODE = (
    "PYCACHE_SYS",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONOPTIMIZE",
    "DPKG_MAINTSCRIPT_PACKAGE",
)
"""Variables that say how bytecode is used, and from nowhere which."""


def start_environment(
    caller: Mapping[str, str], *, is_root: bool, directory: str
) -> dict[str, str]:
    """Return the environment for a start like the caller's own.

    Relative entries of ``PYTHONPATH`` are made absolute, for the interpreter starts in ``/``. Root
    has none but its own, and of the caller's only what names no code.
    """
    if not is_root:
        kept = dict(caller)
        path = kept.get("PYTHONPATH")
        if path:
            entries = [os.path.join(directory, entry) for entry in path.split(":")]
            kept["PYTHONPATH"] = ":".join(entries)
        return kept
    own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    return own | {name: caller[name] for name in WITHOUT_CODE if name in caller}


def ask(python: str, arguments: Sequence[str], variables: Mapping[str, str]) -> bytes:
    """Let an interpreter explain what it would load, and return what it prints.

    Raises PycacheSysError where it does not end well.
    """
    program = programs.text(programs.EXPLAIN_LAYERS) + programs.text(programs.EXPLAIN)
    try:
        process = subprocess.Popen(
            [python, "-B", "-c", program, *arguments],
            stdin=nowhere.descriptor(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=dict(variables),
            start_new_session=True,
            preexec_fn=confined(None),  # noqa: PLW1509 - no threads here
        )
    except OSError as error:
        raise PycacheSysError(f"it does not start: {error.strerror}") from error
    try:
        printed, complaint = _read(process, time.monotonic() + _SECONDS)
        status = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        raise PycacheSysError(f"no answer in {_SECONDS:.0f} s") from None
    finally:  # also after Ctrl-C: nobody is left behind
        _end(process)
    if status < 0:
        raise PycacheSysError(f"it is ended by signal {-status}")
    if status:
        *_, last = ["", *complaint.decode("utf-8", "replace").strip().splitlines()]
        raise PycacheSysError(f"it ends with status {status}{': ' * bool(last)}{last}")
    return printed


def _read(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, bytes]:
    """Read both outputs until they end, say too much, or are late."""
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101 - as above
    limits = {process.stdout: _LONGEST_ANSWER, process.stderr: _LONGEST_COMPLAINT}
    pieces: dict[object, list[bytes]] = {channel: [] for channel in limits}
    while limits:
        left = max(0.0, deadline - time.monotonic())
        ready = select.select(list(limits), [], [], left)[0]
        if not ready:
            raise subprocess.TimeoutExpired(process.args, _SECONDS)
        for channel in ready:
            piece = os.read(channel.fileno(), 1 << 16)
            if channel is process.stdout:
                limits[channel] -= len(piece)
            pieces[channel].append(piece)
            if channel is process.stderr:  # a trace can be long, and only its end counts
                pieces[channel] = pieces[channel][-2:]
            if not piece or limits[channel] < 0:
                del limits[channel]
    return b"".join(pieces[process.stdout]), b"".join(pieces[process.stderr])


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill what was asked, with all that it started in its group."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for channel in (process.stdout, process.stderr):
        if channel is not None:
            channel.close()

"""Look at processes through /proc, and attack them as their own user would."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

COMPILER = "/pycache_sys_worker/compile.py"
ATTACK = """
import ctypes, os, sys
pid = int(sys.argv[1])
try:
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
    print("mem")
except OSError:
    pass
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
if libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
    print("ptrace")
    os.waitpid(pid, 0)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
"""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What the kernel shows of a process."""

    users: frozenset[int]
    groups: frozenset[int]
    supplementary: tuple[int, ...]
    capabilities: int
    no_new_privileges: bool
    descriptors: tuple[str, ...]
    environment: dict[str, str]
    limits: dict[str, tuple[str, str]]


def look_at(pid: int) -> Process:
    """Read what /proc tells of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    links = sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda link: int(link.name))
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")[:-1]
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return Process(
        users=frozenset(map(int, status["Uid"])),
        groups=frozenset(map(int, status["Gid"])),
        supplementary=tuple(map(int, status["Groups"])),
        capabilities=int(status["CapEff"][0], 16)
        | int(status["CapPrm"][0], 16)
        | int(status["CapInh"][0], 16)
        | int(status["CapAmb"][0], 16),
        no_new_privileges=status["NoNewPrivs"] == ["1"],
        descriptors=tuple(os.readlink(link) for link in links),
        environment=dict(pair.split("=", 1) for pair in pairs),
        limits={line[:26].strip(): tuple(line[26:].split()[:2]) for line in limits},  # type: ignore[misc]  # two columns
    )


def children(parent: int) -> list[int]:
    """List a process's children."""
    try:
        tasks = [path / "children" for path in Path(f"/proc/{parent}/task").iterdir()]
        return [int(pid) for task in tasks for pid in task.read_text().split()]
    except OSError:
        return []


def command_line(pid: int) -> str:
    """Return a process's command line; nothing where there is none any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def workers(parent: int) -> list[int]:
    """List the workers that a run has at the moment."""
    return [pid for pid in children(parent) if COMPILER in command_line(pid)]


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs as a worker (its number may be another's by now)."""
    return COMPILER in command_line(pid)


def until(condition: Callable[[], T], *, seconds: float = 20.0) -> T:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


def attack_memory(pid: int, uid: int) -> list[str]:
    """Try to get at a process's memory as another process of a user; name the ways that worked."""
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-S", "-c", ATTACK, str(pid)],
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def kill(pid: int) -> None:
    """Kill a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


assert sys.platform == "linux"

"""Run commands and measure time, peak memory, and how busy the rest of the machine was."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

QUIET = 0.15
"""The share of the machine that others may use before a sample counts as disturbed."""

POLL_SECONDS = 0.002
GLANCE_SECONDS = 0.25


class CommandFailedError(Exception):
    """A measured command ended with a status that makes its time meaningless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run: seconds of wall and processor time, and the share of the machine others used."""

    wall: float
    cpu: float
    foreign: float

    @property
    def quiet(self) -> bool:
        """Say whether the rest of the machine was idle enough."""
        return self.foreign <= QUIET


@dataclass(slots=True)
class Series:
    """Samples of one command in one state."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def quiet(self) -> int:
        """Count the undisturbed samples."""
        return sum(sample.quiet for sample in self.samples)

    @property
    def used(self) -> list[Sample]:
        """Return the undisturbed samples, or all where there is none."""
        return [sample for sample in self.samples if sample.quiet] or self.samples

    @property
    def wall(self) -> float:
        """Return the median wall time."""
        return statistics.median(sample.wall for sample in self.used)

    @property
    def cpu(self) -> float:
        """Return the median processor time, children included."""
        return statistics.median(sample.cpu for sample in self.used)

    @property
    def span(self) -> tuple[float, float]:
        """Return the shortest and the longest wall time."""
        walls = [sample.wall for sample in self.used]
        return min(walls), max(walls)


def cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0))


def child_environment() -> dict[str, str]:
    """Return the environment without anything that changes how Python or uv behave."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "UV_", "VIRTUAL_ENV", "PYCACHE_SYS"))
    }


def busy_seconds() -> float:
    """Return the processor time that the whole machine has spent, stolen time included."""
    with open("/proc/stat", encoding="ascii") as stream:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(
            int, stream.readline().split()[1:9]
        )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(patience: float) -> None:
    """Wait until others leave the machine alone, but no longer than this many seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        busy = busy_seconds()
        time.sleep(GLANCE_SECONDS)
        if (busy_seconds() - busy) / (GLANCE_SECONDS * cores()) < QUIET:
            return


def measure(commands: list[list[str]], *, patience: float) -> Sample:
    """Run the commands at the same time and measure until the last one ends.

    Everything written before reaches the disk first, and a quiet moment is waited for, as long as
    ``patience`` (seconds) lasts.
    """
    environment = child_environment()
    os.sync()
    wait_for_quiet(patience)
    busy = busy_seconds()
    start = time.perf_counter()
    children = [
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    cpu = 0.0
    for child in children:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        cpu += usage.ru_utime + usage.ru_stime
    wall = time.perf_counter() - start
    foreign = max(0.0, busy_seconds() - busy - cpu) / (wall * cores())
    for child, command in zip(children, commands, strict=True):
        check_status(command, child.returncode)
    return Sample(wall=wall, cpu=cpu, foreign=foreign)


def peak_memory(command: list[str]) -> int:
    """Return the peak resident set in KiB of the command's own process, without its children.

    ``ru_maxrss`` is no use: it survives exec, and it is the maximum over reaped children. The
    kernel's high-water mark only grows, so the last reading before the end is the peak.
    """
    child = subprocess.Popen(
        command,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    status_file = Path(f"/proc/{child.pid}/status")
    peak = 0
    while child.poll() is None:
        if found := re.search(r"^VmHWM:\s+(\d+) kB", status_file.read_text("utf-8"), re.MULTILINE):
            peak = int(found[1])
        time.sleep(POLL_SECONDS)
    check_status(command, child.returncode)
    return peak


def check_status(command: list[str], status: int) -> None:
    """Refuse any end but success or "some files failed"."""
    if status not in {0, 1}:
        raise CommandFailedError(f"exit status {status}: {' '.join(command)}")

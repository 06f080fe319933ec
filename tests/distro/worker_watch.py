"""Look at the workers of a running ``rebuild`` through /proc."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from distro.chroots import ENVIRONMENT, Chroot
from distro.product import COMMAND

WORKER_SCRIPT = "/pycache_sys_worker/compile.py"
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What the kernel shows of one worker."""

    users: frozenset[int]
    groups: frozenset[int]
    supplementary: tuple[int, ...]
    capabilities: int
    no_new_privileges: bool
    memory_owner: int
    """Root's where the process is not dumpable: nobody else may read or trace it then."""
    open_files: frozenset[str]


def watch_workers(chroot: Chroot, *arguments: str) -> list[Worker]:
    """Run ``rebuild`` and return each of its workers as it was last seen."""
    seen: dict[int, Worker] = {}
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(
            chroot.command(COMMAND, "rebuild", *arguments),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process:
            while process.poll() is None:
                seen.update(workers_below(process.pid))
                time.sleep(POLL_SECONDS)
        output.seek(0)
        assert process.returncode == 0, output.read()
    return list(seen.values())


def workers_below(parent: int) -> dict[int, Worker]:
    """Find the workers that a process runs at the moment."""
    found = {}
    for pid in children(parent):
        try:
            if WORKER_SCRIPT.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found[pid] = look_at(pid)
        except OSError:  # it ended while we looked
            continue
    return found


def children(parent: int) -> list[int]:
    """List a process's children."""
    try:
        threads = Path(f"/proc/{parent}/task").iterdir()
        return [int(pid) for task in threads for pid in (task / "children").read_text().split()]
    except OSError:
        return []


def look_at(pid: int) -> Worker:
    """Read what the kernel shows of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    descriptors = Path(f"/proc/{pid}/fd")
    return Worker(
        users=frozenset(map(int, status["Uid"])),
        groups=frozenset(map(int, status["Gid"])),
        supplementary=tuple(map(int, status["Groups"])),
        capabilities=int(status["CapEff"][0], 16) | int(status["CapPrm"][0], 16),
        no_new_privileges=status["NoNewPrivs"] == ["1"],
        memory_owner=os.stat(f"/proc/{pid}/mem").st_uid,
        open_files=frozenset(os.readlink(link) for link in descriptors.iterdir()),
    )

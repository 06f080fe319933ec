"""Ask a package manager: all programs of theirs are started here."""

import os
import subprocess
from collections.abc import Sequence

from pycache_sys.core.environment import environment

DPKG_DATABASE = "/var/lib/dpkg/status"

Answer = subprocess.CompletedProcess[bytes]


def run(command: Sequence[str]) -> Answer:
    """Run a program of a package manager, and return what it said; raises OSError as usual.

    In nobody's language, for dpkg translates what it says of diversions.
    """
    return subprocess.run(
        command,
        input=b"",  # a root that was entered may have no null device
        capture_output=True,
        check=False,
        env=environment(os.environ, is_root=os.geteuid() == 0) | {"LC_ALL": "C.UTF-8"},
    )


def list_files(command: Sequence[str]) -> list[str] | None:
    """Run a command that prints a path a line; None where it is absent or fails.

    Lines that are no absolute path are not taken: dpkg-query prints diversions as sentences.
    """
    try:
        done = run(command)
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        return None
    return [os.fsdecode(line) for line in done.stdout.split(b"\n") if line.startswith(b"/")]

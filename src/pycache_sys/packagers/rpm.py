"""rpm: the files of an installed RPM package."""

import os
import subprocess

from pycache_sys.core.environment import environment


def files_of(package: str) -> list[str] | None:
    """List a package's files; None where rpm is absent or does not know it.

    A package name that stands for several installed versions or architectures gives the files of
    all of them.
    """
    try:
        done = subprocess.run(
            ["rpm", "--query", "--queryformat", "[%{FILENAMES}\\n]", "--", package],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=environment(os.environ, is_root=os.geteuid() == 0),
        )
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        return None
    return [os.fsdecode(line) for line in done.stdout.split(b"\n") if line.startswith(b"/")]

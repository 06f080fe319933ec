"""dpkg: the files of an installed Debian package."""

import os
import subprocess

from pycache_sys.core.environment import environment


def files_of(package: str) -> list[str] | None:
    """List a package's files; None where dpkg is absent or does not know it.

    ``package`` may carry an architecture (``python3-lxml:amd64``). dpkg-query prints diversions
    between the paths, as sentences: they do not start with a slash.
    """
    try:
        done = subprocess.run(
            ["dpkg-query", "--listfiles", "--", package],
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

"""Who brings the tree up to date after a package manager, where it is not that very call."""

import os
import subprocess

from pycache_sys.core.environment import environment
from pycache_sys.system.machine import deployment

SERVICE = "pycache-sys-rebuild.service"
_MANAGER = "/run/systemd/system"
_SECONDS = 10.0


def unfit_place() -> str:
    """Say why nothing is to be built here by a package manager's call; "" where there is no reason.

    Both systems make a new root while the old one runs, and the cache at hand is the old one's or
    nobody's: the boot service builds it when the new root is the system.
    """
    if os.environ.get("TRANSACTIONAL_UPDATE") == "true":
        return "this is a transactional update"
    if os.path.exists(deployment.OSTREE):
        return "this system is an OSTree deployment"
    return ""


def defer() -> bool:
    """Let systemd begin the rebuild, without waiting for it; False where it does not take it.

    A rebuild that is under way begins anew, for its survey may be over: what it has written is
    fresh by then.
    """
    if not os.path.isdir(_MANAGER) or _is_chroot():
        return False
    try:
        done = subprocess.run(
            ["systemctl", "--no-block", "restart", SERVICE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env=environment(os.environ, is_root=os.geteuid() == 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _is_chroot() -> bool:
    """Tell whether systemd has another root than we: then it would rebuild that one's tree."""
    try:
        return not os.path.samestat(os.stat("/proc/1/root"), os.stat("/"))
    except OSError:
        return True

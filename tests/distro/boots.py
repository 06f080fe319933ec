"""Boot a machine with its own systemd, run services on it, and shut it down again."""

import subprocess
import uuid
from collections.abc import Mapping

from distro.chroots import Chroot

RESULTS = "/srv/results"
_SECONDS = 60
_TARGET = "results.target"
_OWN_TARGET = "[Unit]\nRequires=basic.target\nAfter=basic.target\n"
"""What is booted into: nothing but the services that are asked for."""

_SERVICE = """\
[Unit]
After=basic.target
[Service]
Type=oneshot
{settings}
ExecStart={command}
StandardOutput=file:{results}/{name}.out
StandardError=file:{results}/{name}.err
ExecStopPost=+/bin/sh -c 'echo $EXIT_STATUS >{results}/{name}.status'
"""

_LAST = """\
[Unit]
After={names}
SuccessAction=poweroff
[Service]
Type=oneshot
ExecStart=/bin/true
"""


def run_services(
    chroot: Chroot, services: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, str, str]]:
    """Boot, and run each service once: its unit's settings, and its command line.

    Return what each left: its exit status, its output, and what it wrote to stderr.
    """
    results = chroot.path(RESULTS)
    results.mkdir(parents=True, exist_ok=True)
    units = chroot.path("/etc/systemd/system")
    wants = units / f"{_TARGET}.wants"
    wants.mkdir(parents=True, exist_ok=True)
    texts = {
        name: _SERVICE.format(settings=settings, command=command, results=RESULTS, name=name)
        for name, (settings, command) in services.items()
    }
    texts["zz-last"] = _LAST.format(names=" ".join(f"{name}.service" for name in services))
    for name, text in texts.items():
        (units / f"{name}.service").write_text(text)
        (wants / f"{name}.service").symlink_to(f"../{name}.service")
    (units / _TARGET).write_text(_OWN_TARGET)
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to(_TARGET)
    boot(chroot)
    return {name: _left(chroot, name) for name in services}


def _left(chroot: Chroot, name: str) -> tuple[str, str, str]:
    found = [chroot.path(f"{RESULTS}/{name}.{kind}") for kind in ("status", "out", "err")]
    assert found[0].is_file(), f"{name} did not run"
    status, out, err = (path.read_text() if path.is_file() else "" for path in found)
    return status.strip(), out, err


def boot(chroot: Chroot) -> str:
    """Boot the machine, and wait until it has shut itself down; return its console."""
    machine_id = chroot.path("/etc/machine-id")
    machine_id.write_text(f"{uuid.uuid4().hex}\n")
    command = [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--private-network",
        "--link-journal=no",
        "--console=read-only",
        "--boot",
        f"--directory={chroot.root}",
    ]
    # a machine that boots has a /proc of its own, and would see this one instead
    subprocess.run(["umount", chroot.path("/proc")], check=True)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        console = (error.stdout or b"").decode(errors="replace")
        raise AssertionError(f"it did not shut down:\n{console[-4000:]}") from None
    finally:
        subprocess.run(["mount", "-t", "proc", "proc", chroot.path("/proc")], check=True)
    console = done.stdout.decode(errors="replace")
    assert done.returncode == 0, console[-4000:]
    return console

"""Boot a machine with its own systemd, run services or a script on it, and shut it down again."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from distro.chroots import Chroot, Image
from distro.debian import DIST_PACKAGES, Suite
from distro.layers import layer_on, scratch_folder
from distro.packaging import install_packages

RESULTS = "/srv/results"
PACKAGE = f"{DIST_PACKAGES}/idna"
"""What the tree of a machine with systemd has: other tests show that all is built."""
POLICY = "/etc/pycacheprefix.conf.d/50-test.conf"
_SECONDS = 60
_SCRIPT = "/srv/script"
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

_DRIVER = f"""\
[Unit]
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=exec
ExecStart=/bin/sh -eu {_SCRIPT}
StandardOutput=file:{RESULTS}/driver.out
StandardError=file:{RESULTS}/driver.err
ExecStopPost=+/bin/sh -c 'echo $EXIT_STATUS >{RESULTS}/driver.status'
"""

_LAST = """\
[Unit]
After={names}
SuccessAction=poweroff
[Service]
Type=oneshot
ExecStart=/bin/true
"""


@contextmanager
def with_systemd(suite: Suite, unpackaged: Image) -> Iterator[Image]:
    """Give a machine with systemd and the packages, whose tree is small."""
    *ours, base = unpackaged.layers
    command = "apt-get install -qq --no-install-recommends systemd-sysv apparmor"
    below = layer_on(
        Image((base,)), f"systemd-{suite.name}", (), f"DEBIAN_FRONTEND=noninteractive {command}"
    )
    image = Image((*ours, *below.layers))
    with scratch_folder() as folder:
        with image.running(folder) as chroot:
            set_policy(chroot, suite)
            install_packages(chroot)
        yield image.topped_by(folder)


def set_policy(chroot: Chroot, suite: Suite, more: str = "") -> None:
    """Have one package compiled for one interpreter."""
    policy = chroot.path(POLICY)
    policy.parent.mkdir(exist_ok=True)
    interpreter = suite.interpreters[0].directory
    policy.write_text(f"interpreters = {interpreter}\nroots = {PACKAGE}\n{more}")


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


def run_script(chroot: Chroot, script: str, *, seconds: int = 480) -> str:
    """Boot with all that is enabled, run a shell script meanwhile, and return what it printed."""
    results = chroot.path(RESULTS)
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    chroot.path(_SCRIPT).write_text(script)
    units = chroot.path("/etc/systemd/system")
    (units / "driver.service").write_text(_DRIVER)
    for link, target in {
        "default.target": "/usr/lib/systemd/system/multi-user.target",
        "multi-user.target.wants/driver.service": "/etc/systemd/system/driver.service",
    }.items():
        (units / link).parent.mkdir(exist_ok=True)
        (units / link).unlink(missing_ok=True)
        (units / link).symlink_to(target)
    console = boot(chroot, seconds=seconds)
    status, out, err = _left(chroot, "driver")
    assert status == "0", (out, err, console[-4000:])
    return out


def _left(chroot: Chroot, name: str) -> tuple[str, str, str]:
    found = [chroot.path(f"{RESULTS}/{name}.{kind}") for kind in ("status", "out", "err")]
    assert found[0].is_file(), f"{name} did not run"
    status, out, err = (path.read_text() if path.is_file() else "" for path in found)
    return status.strip(), out, err


def boot(chroot: Chroot, *, seconds: int = _SECONDS) -> str:
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
            timeout=seconds,
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

"""Services of a real systemd: what the hook reads and keeps in each kind of confinement."""

from collections.abc import Iterator

import pytest

from distro.boots import run_services
from distro.chroots import Chroot
from distro.hook_starts import COMPILED, OWN, TREE_LAYER, place, served_in, written
from distro.machines import PYTHONS, TRIXIE, Machines

pytest_plugins = ["distro.hook_fixtures"]

(PYTHON,) = [python for python in PYTHONS if python.suite is TRIXIE and not python.is_pypy]
SOURCE = "/srv/app/mine.py"
PROGRAM = "import sys; sys.path.append('/srv/app'); import json, mine; print(mine.ANSWER)"
USER = "User=alice"
KINDS = {
    "plain": "",
    "user": USER,
    "private-users": f"{USER}\nPrivateUsers=yes",
    "private-users-root": "PrivateUsers=yes",
    "dynamic": "DynamicUser=yes",
    "dynamic-cache": "DynamicUser=yes\nCacheDirectory=mine",
    "strict": f"{USER}\nProtectSystem=strict\nProtectHome=read-only",
    "strict-root": "ProtectSystem=strict\nProtectHome=yes",
    "strict-private": f"{USER}\nPrivateUsers=yes\nProtectSystem=strict\nPrivateTmp=yes",
    "no-syscalls": f"{USER}\nSystemCallFilter=@system-service\nNoNewPrivileges=yes",
    "read-only-root": "DynamicUser=yes\nReadOnlyPaths=/\nMemoryDenyWriteExecute=yes",
}
KEEPS = {
    "plain": PYTHON.own(SOURCE, top="/var/cache/pycache-sys/root"),
    "user": PYTHON.own(SOURCE),
    "dynamic-cache": PYTHON.own(SOURCE, top="/var/cache/private/mine/pycache-sys"),
}
"""Where those that may write keep the bytecode of what is in no tree."""


@pytest.fixture
def chroot(machines: Machines) -> Iterator[Chroot]:
    """Give a machine with a module that is in no tree."""
    with machines.running(TRIXIE) as copy:
        place(copy, {SOURCE: "ANSWER = 42\n"})
        yield copy


def test_services_of_every_kind(chroot: Chroot) -> None:
    command = f'{PYTHON.command} -c "{PROGRAM}"'
    trace = "Environment=PYCACHE_SYS=trace"
    services = {name: (f"{settings}\n{trace}", command) for name, settings in KINDS.items()}
    services |= {f"{name}-quiet": (settings, command) for name, settings in KINDS.items()}
    found = run_services(chroot, services)
    for name in KINDS:
        assert found[f"{name}-quiet"] == ("0", "42\n", ""), name
        status, out, err = found[name]
        assert (status, out) == ("0", "42\n"), (name, err)
        layers = served_in(err)
        assert layers["json"].layer == TREE_LAYER, (name, err)
        assert layers["mine"].layer in (COMPILED, OWN), (name, err)
    kept = {path for path in written(chroot) if path.endswith(".pyc")}
    assert set(KEEPS.values()) <= kept
    assert not [path for path in kept if "__pycache__" in path]

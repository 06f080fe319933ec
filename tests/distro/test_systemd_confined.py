"""Confined programs: what they may not open is a miss, and what they may not write they leave.

In services of a real systemd, by its own means; and call by call, with strace.
"""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from distro.boots import run_services
from distro.chroots import ENVIRONMENT, Chroot
from distro.hook_starts import COMPILED, TREE_LAYER, place, served_in, written
from distro.hook_starts import OWN as OWN_LAYER
from distro.machines import HOME, PYTHONS, TRIXIE, USER, Machines
from distro.product import TREE

pytest_plugins = ["distro.hook_fixtures"]

(PYTHON,) = [python for python in PYTHONS if python.suite is TRIXIE and not python.is_pypy]
FOLDER = "/srv/app"
NAMES = ("first", "second", "third")
SOURCES = {f"{FOLDER}/{name}.py": "ANSWER = 42\n" for name in NAMES}
IMPORTS = f"import sys; sys.path.append('{FOLDER}'); import json, {', '.join(NAMES)}"
PROGRAM = f"{IMPORTS}; print(third.ANSWER)"
TREE_FILE = f"{TREE}/{PYTHON.folder}/usr/lib/python3.13/json/__init__.cpython-313.pyc"
CACHE = f"{HOME}/.cache"
OWN = f"{CACHE}/pycache-sys"
READ = {
    "tree": TREE,
    "folder": f"{TREE}/{PYTHON.folder}",
    "tree-directory": TREE_FILE.rpartition("/")[0],
    "tree-file": TREE_FILE,
    "beside": "/usr/lib/python3.13/json/__pycache__",
    "policy": "/etc/pycacheprefix.conf.d/50-test.conf",
    "home": HOME,
    "cache-home": CACHE,
    "own-cache": OWN,
    "own-file": PYTHON.own(f"{FOLDER}/second.py"),
}
"""What the hook looks at."""
REFUSED = "EPERM", "EACCES"
WRITING = "mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir"

KINDS = {
    "no-trees": f"User=alice\nInaccessiblePaths={TREE}",
    "no-caches": "InaccessiblePaths=/var/cache",
    "no-policy": "User=alice\nInaccessiblePaths=/etc/pycacheprefix.conf.d",
    "no-home": f"User=alice\nInaccessiblePaths={HOME}",
    "no-cache-home": f"User=alice\nInaccessiblePaths={CACHE}",
    "nothing-made": f"User=alice\nSystemCallFilter=~{WRITING.replace(',', ' ')}",
    "no-links-read": "User=alice\nSystemCallFilter=~readlink readlinkat",
    "no-ids": "User=alice\nSystemCallFilter=~getresuid geteuid getuid",
}


@pytest.fixture
def chroot(machines: Machines) -> Iterator[Chroot]:
    """Give a machine with modules that are in no tree."""
    with machines.running(TRIXIE) as copy:
        place(copy, SOURCES)
        policy = copy.path("/etc/pycacheprefix.conf.d/50-test.conf")
        policy.parent.mkdir()
        policy.write_text("jobs = 1\n")
        place(copy, {f"{CACHE}/other": ""}, owner=USER)
        yield copy


@pytest.mark.parametrize("errno", REFUSED)
def test_a_service_is_not_hindered(chroot: Chroot, errno: str) -> None:
    command = f'{PYTHON.command} -c "{PROGRAM}"'
    more = f"Environment=PYCACHE_SYS=trace\nSystemCallErrorNumber={errno}"
    services = {name: (f"{settings}\n{more}", command) for name, settings in KINDS.items()}
    found = run_services(chroot, services)
    for name, (status, out, err) in found.items():
        assert (status, out) == ("0", "42\n"), (name, err)
        layers = served_in(err)
        hidden = name in ("no-trees", "no-caches")
        assert (layers["json"].layer == TREE_LAYER) is not hidden, (name, err)
        assert layers["third"].layer in (COMPILED, OWN_LAYER), (name, err)
        if "-home" in name:
            assert layers["third"].layer == COMPILED, (name, err)


def traced(chroot: Chroot, *options: str) -> list[str]:
    """Run the program under strace, where it has to succeed; return the calls that were traced."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("these tests make system calls fail with strace: install it")
    log = chroot.path("/srv/calls")
    inside = chroot.command(
        "/usr/bin/env", f"HOME={HOME}", PYTHON.command, "-c", PROGRAM, user=USER
    )
    done = subprocess.run(
        [strace, "-qq", "-o", log, *options, *inside],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", ""), options
    return log.read_text().splitlines()


@pytest.mark.parametrize("errno", REFUSED)
@pytest.mark.parametrize("path", READ, ids=list(READ))
def test_what_cannot_be_read_is_a_miss(chroot: Chroot, path: str, errno: str) -> None:
    """The one way, and with a cache of the user's that has all."""
    place_of = READ[path]
    # by its name, and by a descriptor, whose name strace sees from outside
    named = [word for one in (place_of, str(chroot.path(place_of))) for word in ("-P", one)]
    assert traced(chroot, "-e", "trace=execve") != []
    for calls in ("openat", "?newfstatat,?stat,?lstat,?fstat,?statx", "read", "?readlink"):
        injected = traced(chroot, *named, "-e", f"inject={calls}:error={errno}")
        if calls.startswith("?newfstatat"):
            assert any("INJECTED" in line for line in injected), "nothing was tried"


@pytest.mark.parametrize("errno", [*REFUSED, "EROFS", "ENOSPC"])
@pytest.mark.parametrize("call", ["mkdir", "openat", "write", "rename"])
def test_after_a_write_that_fails_there_is_no_other(chroot: Chroot, call: str, errno: str) -> None:
    kinds = "-e", f"trace=openat,write,{WRITING}"
    whole = traced(chroot, *kinds)
    creating = [n for n, line in enumerate(whole) if "O_CREAT" in line]
    assert len(creating) == len(NAMES), "each module is kept"
    chroot.run("rm", "-r", OWN)

    first = whole[: creating[0] + 1]
    number = sum(line.startswith("openat(") for line in first) if call == "openat" else 1
    calls = traced(chroot, *kinds, "-e", f"inject={call}:error={errno}:when={number}")
    (failed,) = [n for n, line in enumerate(calls) if "INJECTED" in line]
    after = calls[failed + 1 :]
    assert not [line for line in after if "O_CREAT" in line or line.startswith("mkdir")], after
    assert [path for path in written(chroot) if path.endswith((".pyc", ".tmp"))] == []

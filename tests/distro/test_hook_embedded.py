"""Pythons inside of other programs: hooked by the .pth file, and nothing is written for them."""

import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

import pytest

from distro.chroots import ENVIRONMENT, Chroot
from distro.hook_starts import TREE_LAYER, place, start, written
from distro.machines import PYTHONS, SERVICE, TRIXIE, Machines

pytest_plugins = ["distro.hook_fixtures"]

PYTHON = next(python for python in PYTHONS if python.suite is TRIXIE and not python.is_pypy)
SITE, STATE = "/srv/site", "/srv/state"
APPLICATION = f"""\
import os, sys
sys.path.append("{SITE}")
import json, email.message, answer
from _frozen_importlib_external import SourceFileLoader


def application(environ, start_response):
    found = {{
        "answer": answer.ANSWER,
        "hooked": hasattr(SourceFileLoader.get_code, "pycache_sys"),
        "user": os.geteuid(),
    }}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found, sort_keys=True).encode()]
"""
SOURCES = {f"{SITE}/answer.py": "ANSWER = 42\n", f"{SITE}/app.py": APPLICATION}
APACHE = """\
ServerRoot {state}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {state}/pid
ErrorLog {state}/log
DefaultRuntimeDir {state}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so
StartServers 1
User www-data
Group www-data
WSGISocketPrefix {state}/wsgi
WSGIScriptAlias / {site}/app.py
{daemon}
<Directory {site}>
Require all granted
</Directory>
"""
DAEMON = "WSGIDaemonProcess one user=www-data group=www-data processes=1\nWSGIProcessGroup one"
EXPECTED = '{{"answer": 42, "hooked": {hooked}, "user": 33}}'
SERVED = re.compile(r"pycache-sys: (\S+): (tree|compiled|own cache|beside the source)")
SECONDS = 30


def free_port() -> int:
    """Find a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(chroot: Chroot, *command: str, user: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server that stays in the foreground, and end it."""
    with chroot.path(f"{STATE}/output").open("wb") as output:
        process = subprocess.Popen(
            chroot.command(*command, user=user),
            env=ENVIRONMENT | {"PYCACHE_SYS": "trace", "HOME": "/var/www"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def fetch(process: subprocess.Popen[bytes], port: int) -> str:
    """Ask the server, as soon as it answers."""
    end = time.monotonic() + SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"http://127.0.0.1:{port}/", timeout=SECONDS) as answer:
                return str(answer.read().decode())
        except (OSError, HTTPException):
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.1)


def log(chroot: Chroot) -> str:
    """Read all that a server said."""
    paths = (chroot.path(f"{STATE}/{name}") for name in ("output", "log"))
    return "".join(path.read_text() for path in paths if path.exists())


def prepare(chroot: Chroot) -> set[str]:
    """Write the application, which is root's; say what is there then."""
    place(chroot, SOURCES)
    chroot.run("mkdir", "--mode=1777", STATE)
    return written(chroot)


def assert_served(chroot: Chroot, answer: str, before: set[str], *, hooked: bool) -> None:
    """Check the answer, where the modules came from, and that nothing was written."""
    assert answer == EXPECTED.format(hooked=str(hooked).lower()), log(chroot)
    served = dict(SERVED.findall(log(chroot)))
    assert bool(served) is hooked
    if hooked:
        assert served["email.message"] == TREE_LAYER
        assert served["answer"] == "compiled"
    new = {path for path in written(chroot) - before if not path.startswith(f"{STATE}/")}
    assert new == set()


@pytest.mark.parametrize("hooked", [True, False], ids=["hooked", "stock"])
@pytest.mark.parametrize("daemon", ["", DAEMON], ids=["embedded", "daemon"])
def test_mod_wsgi(machines: Machines, daemon: str, hooked: bool) -> None:
    with machines.running(TRIXIE, hooked=hooked) as chroot:
        before = prepare(chroot)
        port = free_port()
        configuration = APACHE.format(state=STATE, site=SITE, port=port, daemon=daemon)
        chroot.path(f"{STATE}/conf").write_text(configuration)
        with serving(chroot, "apache2", "-f", f"{STATE}/conf", "-D", "FOREGROUND") as process:
            answer = fetch(process, port)
        assert_served(chroot, answer, before, hooked=hooked)


@pytest.mark.parametrize("hooked", [True, False], ids=["hooked", "stock"])
def test_uwsgi(machines: Machines, hooked: bool) -> None:
    with machines.running(TRIXIE, hooked=hooked) as chroot:
        before = prepare(chroot)
        port = free_port()
        options = ("--plugin", "python3", "--master", "--need-app", "--die-on-term")
        address = ("--http-socket", f"127.0.0.1:{port}", "--wsgi-file", f"{SITE}/app.py")
        with serving(chroot, "uwsgi-core", *options, *address, user=SERVICE) as process:
            answer = fetch(process, port)
        assert_served(chroot, answer, before, hooked=hooked)


def test_gdb(machines: Machines) -> None:
    program = f"import sys; sys.path.append('{SITE}'); import json, answer; print(answer.ANSWER)"
    with machines.running(TRIXIE) as chroot:
        before = prepare(chroot)
        done = start(chroot, "gdb", "-nx", "-batch", "-ex", f"python {program}")
        assert (done.status, done.stdout) == (0, "42\n")
        assert done.layers("json") == {"json": TREE_LAYER}
        assert f"{PYTHON.own(f'{SITE}/answer.py')}" in written(chroot) - before
        assert not [path for path in written(chroot) - before if not path.startswith("/home/")]
        service = start(chroot, "gdb", "-nx", "-batch", "-ex", f"python {program}", user=SERVICE)
        assert (service.status, service.stdout) == (0, "42\n")
        assert service.layers("json") == {"json": TREE_LAYER}
        assert not [path for path in written(chroot) - before if not path.startswith("/home/")]

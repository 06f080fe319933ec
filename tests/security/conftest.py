"""A private machine for every test."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from security.machine import TARGET, Machine, account, machine
from security.namespace import private_mounts
from security.policies import own_configuration

if os.geteuid() != 0:
    raise pytest.UsageError(
        "tests/security carries out attacks between users, for which it needs root: "
        "run it as root (sudo), or choose other tests"
    )

REPOSITORY = Path(__file__).parents[2]
# without site: where its directories are on a dead mount, no Python starts
LAUNCHER = f"""\
#!{TARGET} -IS
import sys

sys.path.insert(0, "{{modules}}")
from pycache_sys.cli import main

sys.exit(main())
"""


@pytest.fixture(scope="session")
def command() -> Iterator[Path]:
    """Install the checkout's wheel where every user can run it."""
    folder = Path(tempfile.mkdtemp(prefix="pycache-sys-security-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        modules = folder / "modules"
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
        done = subprocess.run(
            [*install, "--target", str(modules), str(REPOSITORY)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        launcher = folder / "pycache-sys"
        launcher.write_text(LAUNCHER.format(modules=modules))
        for path in (launcher, *modules.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path == launcher else 0o644)
        yield launcher
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def own_mounts() -> Iterator[None]:
    """Keep every mount of these tests to themselves."""
    before = os.umask(0o022)
    try:
        with private_mounts():
            yield
    finally:
        os.umask(before)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Give a folder for what is mounted elsewhere."""
    return tmp_path


@pytest.fixture
def bare_box(command: Path, own_mounts: None, scratch: Path) -> Iterator[Machine]:
    """Give a machine that has no account for workers."""
    with machine(command, scratch) as box:
        yield box


@pytest.fixture
def box(bare_box: Machine, scratch: Path) -> Iterator[Machine]:
    """Give a machine with the account for workers."""
    with account(scratch):
        yield bare_box


@pytest.fixture
def ruled(bare_box: Machine, scratch: Path) -> Iterator[Machine]:
    """Give a machine that has the accounts, and where policies can be written."""
    with own_configuration(scratch):
        yield bare_box

"""Put the checkout's own wheel into a chroot, and run what it installs."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distro.chroots import Chroot, Image
from distro.debian import DIST_PACKAGES
from distro.snapshots import Snapshot

TREE = "/var/cache/python"
ACCOUNT = "_pycache-sys"
COMMAND = "/usr/bin/pycache-sys"
LAUNCHER = """\
#!/usr/bin/python3
import sys

from pycache_sys.cli import main

sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A source that got no bytecode, and why."""

    source: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one call of the command returned and printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> Mapping[str, Any]:
        """Parse the JSON report; fail with the diagnostics where there is none."""
        try:
            parsed: Mapping[str, Any] = json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no report (exit status {self.status}): {self.stderr}") from None
        return parsed

    def count(self, name: str) -> int:
        """Return one of the report's counts."""
        return int(self.report["counts"][name])

    @property
    def compiled(self) -> int:
        """Return how many pyc files were made, or would be."""
        return self.count("compiled")

    @property
    def removed(self) -> int:
        """Return how many entries left the tree, or would."""
        return self.count("removed")

    @property
    def used_directories(self) -> set[str]:
        """Name the tree's folders of the interpreters that were used."""
        return {i["directory"] for i in self.report["interpreters"] if i["status"] == "used"}

    @property
    def failures(self) -> list[Outcome]:
        """List the sources that failed."""
        return [Outcome(**failure) for failure in self.report["failures"]]

    @property
    def without_bytecode(self) -> set[str]:
        """Name the sources that failed or were skipped."""
        return {o["source"] for key in ("failures", "skips") for o in self.report[key]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A chroot on which ``rebuild`` ran for the first time, after a dry run of the same."""

    image: Image
    dry_run: Run
    first: Run
    before_dry_run: Snapshot
    after_dry_run: Snapshot


def build_wheel(repository: Path, folder: Path) -> Path:
    """Build the checkout's wheel into a folder."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    done = subprocess.run([*command, str(repository)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, chroot: Chroot) -> None:
    """Unpack a wheel where Debian's packages put their modules, compiled as theirs are."""
    site = chroot.path(DIST_PACKAGES)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".data/" not in name]
        for name in names:
            target = site / name
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
            target.chmod(0o644)
    launcher = chroot.path(COMMAND)
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    packages = {name.partition("/")[0] for name in names if name.endswith("/__init__.py")}
    chroot.run("/usr/bin/python3", "-m", "compileall", "-q", *(f"{site_of(p)}" for p in packages))


def site_of(package: str) -> str:
    """Return an installed package's directory."""
    return f"{DIST_PACKAGES}/{package}"


def add_account(chroot: Chroot) -> None:
    """Make the account that workers run as."""
    chroot.run("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT)


def rebuild(chroot: Chroot, *arguments: str, user: int = 0) -> Run:
    """Run ``pycache-sys rebuild --json`` inside."""
    done = chroot.attempt(COMMAND, "rebuild", "--json", *arguments, user=user)
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def rebuild_all(chroot: Chroot, *arguments: str) -> Run:
    """Run ``rebuild`` as root where nothing may fail but sources that no interpreter compiles."""
    run = rebuild(chroot, *arguments)
    expected = 1 if run.count("failed") else 0
    assert run.status == expected, f"exit status {run.status}: {run.stderr}"
    return run

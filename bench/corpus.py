"""Lay out what is measured: the sources, a virtual environment around them, and installed tools.

Everything stands in one work folder outside the repository, on one file system. Nothing is deleted
while samples are taken: ext4 does not reuse an inode for minutes after its deletion, and searches
past every such inode whenever it creates a file, which makes each run after a deletion slower by
seconds of system time. So caches and trees of earlier samples are moved aside, and removed last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sample import child_environment

BENCH = Path(__file__).resolve().parent
REQUIREMENTS = BENCH / "corpus-requirements.txt"
TOOLS = BENCH / "tools-requirements.txt"
RECENTLY_DELETED_SECONDS = 360
"""How long ext4 (RECENTCY_MIN + RECENTCY_DIRTY in fs/ext4/ialloc.c) shuns a deleted inode."""

QUICK = (
    "asyncio", "collections", "concurrent", "ctypes", "curses", "dbm", "distutils", "email",
    "encodings", "html", "http", "importlib", "json", "logging", "multiprocessing", "re",
    "sqlite3", "tkinter", "tomllib", "unittest", "urllib", "wsgiref", "xml", "xmlrpc",
)  # fmt: skip
"""Packages of the standard library that make the small corpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The interpreter that everything is compiled for."""

    path: str
    version: str
    cache_tag: str
    stdlib: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Sources in the site-packages of an environment of their own.

    ``requirements`` lists what is installed there, so that ``uv pip sync`` finds all of it
    present. ``sources`` holds (path, size).
    """

    python: str
    root: Path
    requirements: Path
    sources: list[tuple[str, int]]


@dataclass(slots=True)
class Workspace:
    """A folder for corpora, trees and what is to be deleted in the end."""

    path: Path
    _numbers: count[int] = field(default_factory=count)

    def fresh(self, name: str) -> Path:
        """Name a path that does not exist yet; it is removed by ``clean``."""
        spent = self.path / "spent"
        spent.mkdir(parents=True, exist_ok=True)
        return spent / f"{os.getpid()}-{next(self._numbers)}-{name}"

    def set_aside(self, root: Path) -> None:
        """Move every ``__pycache__`` below a directory out of it."""
        away = self.fresh("caches")
        away.mkdir()
        numbers = count()
        for directory, names, _ in os.walk(root):
            if "__pycache__" in names:
                names.remove("__pycache__")
                os.rename(f"{directory}/__pycache__", away / str(next(numbers)))

    def clean(self) -> None:
        """Delete what was used, and remember when."""
        shutil.rmtree(self.path / "spent", ignore_errors=True)
        (self.path / "deleted").touch()

    def wait_for_inodes(self) -> None:
        """Wait until the file system has forgotten what an earlier run deleted."""
        try:
            deleted = (self.path / "deleted").stat().st_mtime
        except FileNotFoundError:
            return
        seconds = deleted + RECENTLY_DELETED_SECONDS - time.time()
        if seconds > 0:
            say(f"waiting {seconds:.0f} s: the file system still shuns inodes of an earlier run")
            time.sleep(seconds)


def say(text: str) -> None:
    """Tell what goes on, on stderr."""
    print(text, file=sys.stderr, flush=True)


def ask_target(path: str) -> Target:
    """Ask an interpreter what its name, its tag and its library are."""
    question = (
        "import json, platform, sys, sysconfig; print(json.dumps([sys.executable, "
        "platform.python_version(), sys.implementation.cache_tag, sysconfig.get_path('stdlib')]))"
    )
    answer = subprocess.run(
        [path, "-I", "-c", question],
        check=True,
        capture_output=True,
        text=True,
        env=child_environment(),
    )
    executable, version, tag, stdlib = json.loads(answer.stdout)
    return Target(path=executable, version=version, cache_tag=tag, stdlib=stdlib)


def make_environment(path: Path, target: Target) -> str:
    """Make a virtual environment without pip; return its interpreter."""
    run([target.path, "-m", "venv", "--clear", "--without-pip", str(path)])
    return str(path / "bin" / "python")


def pip_install(python: str, *arguments: str) -> None:
    """Install into another environment with the pip of the interpreter that runs the bench."""
    run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *arguments])


def run(command: list[str]) -> None:
    """Run a step that is not measured; its output is shown, and a failure ends the bench."""
    environment = {n: v for n, v in child_environment().items() if n != "__PYVENV_LAUNCHER__"}
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)


def real_corpus(workspace: Workspace, target: Target) -> Corpus:
    """Install the pinned packages, once for each interpreter and list of pins."""
    text = REQUIREMENTS.read_bytes() + target.path.encode() + target.version.encode()
    digest = hashlib.sha256(text).hexdigest()[:12]
    path = workspace.path / f"corpus-{target.cache_tag}-{digest}"
    python = str(path / "bin" / "python")
    if not (path / "complete").exists():
        say(f"installing the corpus into {path}")
        python = make_environment(path, target)
        pip_install(python, "--no-compile", "--no-deps", "--requirement", str(REQUIREMENTS))
        (path / "complete").touch()
    return _describe(workspace, python, REQUIREMENTS)


def copied_corpus(workspace: Workspace, target: Target, directories: list[Path]) -> Corpus:
    """Copy the sources below some directories into an environment; the originals stay untouched."""
    path = workspace.fresh("corpus")
    python = make_environment(path, target)
    site = _site_packages(path)
    for directory in directories:
        shutil.copytree(
            directory,
            site / directory.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    information = site / "corpus-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: corpus\nVersion: 1.0\n")
    (information / "RECORD").touch()
    requirements = path / "requirements.txt"
    requirements.write_text("corpus==1.0\n")
    return _describe(workspace, python, requirements)


def quick_corpus(workspace: Workspace, target: Target) -> Corpus:
    """Copy some packages of the target's standard library."""
    packages = [Path(target.stdlib, name) for name in QUICK]
    return copied_corpus(workspace, target, [path for path in packages if path.is_dir()])


def many_files(workspace: Workspace, number: int) -> Path:
    """Make a package of small sources, with paths about as long as real ones."""
    root = workspace.fresh(f"many-{number}")
    for start in range(0, number, 100):
        directory = root / "site-packages" / "a_package_of_many" / f"subpackage_{start:06}"
        directory.mkdir(parents=True)
        for index in range(start, min(start + 100, number)):
            (directory / f"a_module_{index:06}.py").write_text(f"x={index:07}\n")
    return root


def _site_packages(environment: Path) -> Path:
    (site,) = environment.glob("lib/*/site-packages")
    return site


def _describe(workspace: Workspace, python: str, requirements: Path) -> Corpus:
    """Clear left-over caches, list the sources, and bring them into memory."""
    root = _site_packages(Path(python).parent.parent)
    workspace.set_aside(root)
    sources = []
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith(".py") and os.path.isfile(path):
                with open(path, "rb") as stream:
                    sources.append((path, len(stream.read())))
    return Corpus(python=python, root=root, requirements=requirements, sources=sources)

"""The command line, run as a user runs it, and interpreters that misbehave."""

import ast
import ctypes
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pycache_sys
from pycache_sys_runtime import layout

WORKER = Path(pycache_sys.__file__).parent.parent / "pycache_sys_worker"
IDENTIFY = WORKER / "identify.py"
COMPILE = WORKER / "compile.py"
FENCES = ("<<<pycache-sys identify\n", "\npycache-sys identify>>>")
TAG = sys.implementation.cache_tag or ""
FOLDER = layout.version_directory(
    sys.implementation.name,
    *sys.version_info[:2],
    free_threaded="t" in getattr(sys, "abiflags", ""),
)
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing but ``more`` says how bytecode is made."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "COV_CORE")) and name != "SOURCE_DATE_EPOCH"
    } | more


def obeying_modes() -> None:
    """Before an exec: make root, too, subject to the modes of files."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run said: its exit status, its report, and its two streams."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report."""
        loaded: dict[str, Any] = json.loads(self.stdout)
        return loaded

    @property
    def counts(self) -> dict[str, int]:
        """The report's counts."""
        counts: dict[str, int] = self.report["counts"]
        return counts

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """The failures and skips, as (source, reason)."""
        both = self.report["failures"] + self.report["skips"]
        return sorted((outcome["source"], outcome["reason"]) for outcome in both)

    @property
    def summary(self) -> tuple[int, int, int]:
        """The counts of what was compiled, fresh and removed."""
        return self.counts["compiled"], self.counts["fresh"], self.counts["removed"]


@dataclass(frozen=True, kw_only=True)
class Builder:
    """One folder with sources, a tree, and the interpreter that compiles."""

    folder: Path
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=environment)

    @property
    def tree(self) -> Path:
        """The tree."""
        return self.folder / "tree"

    @property
    def sources(self) -> Path:
        """The folder of sources."""
        return self.folder / "sources"

    def write(self, name: str, text: str | bytes = "x = 1\n") -> Path:
        """Write a source."""
        path = self.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def command(self, *arguments: str | Path, machine: bool = True) -> list[str]:
        """Return the command line of a rebuild."""
        start = [sys.executable, "-m", "pycache_sys", "rebuild", "--tree", str(self.tree)]
        named = [] if "--python" in arguments else ["--python", self.python]
        return [*start, *["--json"] * machine, *named, *map(str, arguments)]

    def start(
        self, *arguments: str | Path, machine: bool = True, **options: Any
    ) -> "subprocess.Popen[str]":
        """Start a rebuild."""
        return subprocess.Popen(
            self.command(*arguments, machine=machine),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            env=options.pop("env", self.environment),
            **options,
        )

    def rebuild(
        self, *arguments: str | Path, machine: bool = True, seconds: float = 100, **options: Any
    ) -> Run:
        """Run a rebuild to its end."""
        with self.start(*arguments, machine=machine, **options) as process:
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Run(status=process.returncode, stdout=stdout, stderr=stderr)

    def build(self, *arguments: str | Path, **options: Any) -> Run:
        """Rebuild the folder of sources."""
        return self.rebuild(self.sources, *arguments, **options)

    def cached(self, source: Path, optimization: str = "") -> Path:
        """Name a source's entry, for the running interpreter."""
        path = layout.cache_path(str(source), str(self.tree / FOLDER), TAG, optimization)
        assert path is not None
        return Path(path)


def say(python: str, program: str, *options: str, **more: Any) -> str:
    """Run a program under an interpreter, which writes no bytecode, and return what it prints."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [python, "-B", *options, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=True,
        env=environment(),
        **more,
    )
    return done.stdout


def identity(python: str = sys.executable) -> dict[str, Any]:
    """Ask an interpreter who it is, with the builder's own question."""
    done = subprocess.run(
        [python, "-S", "-B", str(IDENTIFY)],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    _, opened, rest = done.stdout.partition(FENCES[0])
    inner, closed, _ = rest.partition(FENCES[1])
    assert opened
    assert closed
    answer: dict[str, Any] = ast.literal_eval(inner)
    return answer


def fenced(answer: object) -> str:
    """Write an answer as identify.py does; a text as it is."""
    text = answer if isinstance(answer, str) else repr(answer)
    return f"\n{FENCES[0]}{text}{FENCES[1]}\n"


def pretend(path: Path, answer: object, *, worker: str = "", raw: bool = False) -> str:
    """Make a program that gives this answer, and works like the running interpreter.

    ``worker`` is what it does, in sh, instead of compiling; ``raw`` answers have no fences.
    """
    said = path.with_name(path.name + ".answer")
    said.parent.mkdir(parents=True, exist_ok=True)
    said.write_text(str(answer) if raw else fenced(answer), encoding="utf-8")
    real = worker or f'exec {shlex.quote(os.path.realpath(sys.executable))} "$@"'
    path.write_text(
        f'#!/bin/sh\ncase "$*" in\n*identify.py*) cat {shlex.quote(str(said))} ;;\n'
        f"*) {real} ;;\nesac\n"
    )
    path.chmod(0o755)
    return str(path)


def snapshot(*tops: Path) -> dict[str, tuple[object, ...]]:
    """Remember all below some folders: kinds, modes, stamps and bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for top in tops:
        for directory, folders, files in os.walk(top):
            for name in folders + files:
                path = Path(directory, name)
                status = path.lstat()
                content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
                link = os.readlink(path) if path.is_symlink() else ""
                stamps = (status.st_mtime_ns, status.st_ctime_ns)
                found[str(path)] = (status.st_mode, status.st_ino, *stamps, link, content)
    return found


def pycs(tree: Path) -> set[str]:
    """List the bytecode in a tree."""
    return {str(path) for path in tree.rglob("*.pyc")}


def processes_left(text: str, seconds: float = 20) -> list[int]:
    """List processes as ``processes_named`` does; one that was killed gets a while to go."""
    deadline = time.monotonic() + seconds
    while (found := processes_named(text)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def processes_named(text: str) -> list[int]:
    """List the processes that have a text in their command line."""
    found = []
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            command = Path("/proc", number, "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(text) in command and int(number) != os.getpid():
            found.append(int(number))
    return found


def stock_import(
    python: str, prefix: Path, folder: Path, modules: Sequence[str], *options: str
) -> tuple[list[str], str]:
    """Import modules with the stock interpreter and the tree as its prefix.

    Return the sources that were imported from the folder, and what ``-v`` said.
    """
    program = (
        "import sys, importlib\n"
        f"sys.path.insert(0, {str(folder)!r})\n"
        f"for name in {list(modules)!r}: importlib.import_module(name)\n"
        "for module in list(sys.modules.values()):\n"
        "    file = getattr(module, '__file__', None) or ''\n"
        f"    if file.startswith({str(folder) + '/'!r}): print(ascii(file))\n"
    )
    done = subprocess.run(
        [python, "-S", "-v", "-X", f"pycache_prefix={prefix}", *options, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=environment(),
    )
    said = os.fsdecode(done.stderr)
    assert done.returncode == 0, said[-2000:]
    return [eval(line) for line in os.fsdecode(done.stdout).splitlines()], said  # noqa: S307 - ours


def matches(said: str, cached: str | Path, source: str | Path) -> bool:
    """Tell whether ``-v`` said that bytecode belongs to its source."""
    return f"# {cached} matches {source}\n" in said

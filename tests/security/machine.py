"""A machine to attack: real interpreters, and places to write that vanish with the test."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from security.namespace import BIND, mounted

TREE = Path("/var/cache/python")
LOCK = Path("/run/pycache-sys/lock")
LIBRARY = Path("/opt/library")
HOME = Path("/home/mallory")
MARKS = Path("/opt/marks")
"""Whoever ran hostile code makes a directory in here: workers cannot write files."""
ACCOUNT = "_pycache-sys"
ACCOUNT_ID = 61_233
MALLORY = 61_234
VALIDATOR = Path(__file__).with_name("validator.py")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
SECONDS = 100.0


def target_interpreter() -> Path:
    """Find a distribution's own interpreter that every user can run; 3.11 or later."""
    found = [
        path
        for path in Path("/usr/bin").glob("python3.*")
        if path.name[8:].isdecimal() and int(path.name[8:]) >= 11
    ]
    if not found:
        raise RuntimeError("these tests attack /usr/bin/python3.N: install python3 (3.11 or later)")
    return max(found, key=lambda path: int(path.name[8:]))


TARGET = target_interpreter()
VERSION = TARGET.name.removeprefix("python")
TAG = f"cpython-{VERSION.replace('.', '')}"


@dataclass(frozen=True, slots=True)
class Run:
    """What one call of the command returned and printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> Mapping[str, Any]:
        """Parse the JSON report."""
        try:
            parsed: Mapping[str, Any] = json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no report (exit status {self.status}): {self.stderr}") from None
        return parsed

    def count(self, name: str) -> int:
        """Return one of the report's counts."""
        return int(self.report["counts"][name])

    def reason(self, path: Path) -> str | None:
        """Say why a source or a directory was skipped or failed; None where it was not."""
        for outcome in (*self.report["skips"], *self.report["failures"]):
            if outcome["source"] == str(path):
                return str(outcome["reason"])
        return None

    def interpreter(self, path: Path) -> Mapping[str, Any]:
        """Return what became of an interpreter."""
        notes = [note for note in self.report["interpreters"] if note["path"] == str(path)]
        assert len(notes) == 1, self.report["interpreters"]
        note: Mapping[str, Any] = notes[0]
        return note


@dataclass(frozen=True, slots=True)
class Machine:
    """The command, and what the attacks need of a system."""

    command: Path

    def start(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] = ENVIRONMENT,
        prefix: tuple[str, ...] = (),
        python: Path | None = TARGET,
        **options: Any,
    ) -> "subprocess.Popen[str]":
        """Start ``pycache-sys rebuild --json``; ``prefix`` is a command to run it under."""
        chosen = [] if python is None else ["--python", str(python)]
        return subprocess.Popen(
            [*prefix, str(self.command), "rebuild", "--json", *chosen, *map(str, arguments)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"cwd": "/", **options},
        )

    def finish(self, process: "subprocess.Popen[str]", *, seconds: float = SECONDS) -> Run:
        """Wait for a run, and take a traceback for the failure that it is."""
        with process:
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            finally:
                process.kill()
        assert "Traceback" not in stderr, stderr
        return Run(process.returncode, stdout, stderr)

    def rebuild(self, *arguments: str | Path, seconds: float = SECONDS, **options: Any) -> Run:
        """Run ``pycache-sys rebuild --json``, for so many seconds at most."""
        return self.finish(self.start(*arguments, **options), seconds=seconds)

    def complain(self, *arguments: str | Path) -> tuple[int, str]:
        """Run it for a person; return the exit status and what stands on stderr."""
        command = [str(self.command), "rebuild", "--python", str(TARGET), *map(str, arguments)]
        done = subprocess.run(
            command, env=ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stderr

    def rebuild_as(self, uid: int, *arguments: str | Path, **options: Any) -> Run:
        """Run it as another user."""
        home = {**ENVIRONMENT, "HOME": str(HOME)}
        ids: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
        return self.rebuild(*arguments, environment=home, **ids, **options)


@contextmanager
def machine(command: Path, scratch: Path) -> Iterator[Machine]:
    """Put memory over every place that a test may write to."""
    with ExitStack() as stack:
        for place in ("/var/cache", "/run", "/home"):
            stack.enter_context(mounted("tmpfs", place, "tmpfs", options="mode=755"))
        stack.enter_context(mounted("tmpfs", str(scratch), "tmpfs", options="mode=755"))
        for place in ("/opt", "/usr/local"):
            layer = scratch / place.strip("/").replace("/", "-")
            for part in ("upper", "work"):
                (layer / part).mkdir(parents=True)
                (layer / part).chmod(0o755)
            options = f"lowerdir={place},upperdir={layer}/upper,workdir={layer}/work"
            stack.enter_context(mounted("overlay", place, "overlay", options=options))
        MARKS.mkdir()
        MARKS.chmod(0o1777)
        HOME.mkdir(mode=0o755)
        give(HOME)
        LIBRARY.mkdir()
        yield Machine(command)


@contextmanager
def account(scratch: Path) -> Iterator[int]:
    """Make the workers' account, for this namespace only."""
    with ExitStack() as stack:
        for name, line in {
            "passwd": f"{ACCOUNT}:x:{ACCOUNT_ID}:{ACCOUNT_ID}::/nonexistent:/usr/sbin/nologin\n",
            "group": f"{ACCOUNT}:x:{ACCOUNT_ID}:\n",
        }.items():
            with_account = scratch / name
            with_account.write_text(Path(f"/etc/{name}").read_text() + line)
            with_account.chmod(0o644)
            stack.enter_context(mounted(str(with_account), f"/etc/{name}", flags=BIND))
        yield ACCOUNT_ID


def give(path: Path, uid: int = MALLORY) -> None:
    """Give a file, a directory or a link itself to a user."""
    os.chown(path, uid, uid, follow_symlinks=False)


def write(path: Path, text: str = "ANSWER = 42\n", *, mode: int = 0o644) -> Path:
    """Write a source, with the directories above it."""
    make_directory(path.parent)
    path.write_text(text)
    path.chmod(mode)
    return path


def make_directory(path: Path) -> Path:
    """Make a directory with those above it, 0755 whatever the umask."""
    if not path.exists():
        make_directory(path.parent)
        path.mkdir()
        path.chmod(0o755)
    return path


def corpus(directory: Path, number: int, *, lines: int = 60) -> list[Path]:
    """Write a number of sources that differ."""
    text = "".join(f"def function_{n}(a, b):\n    return a * {n} + b\n" for n in range(lines))
    return [
        write(directory / f"part{n % 7}" / f"module{n}.py", f"NUMBER = {n}\n{text}")
        for n in range(number)
    ]


def slow_source(path: Path, *, lines: int = 40_000) -> Path:
    """Write a source that a compiler is busy with for a second or more."""
    return write(path, "".join(f"v{n} = ({n}, 's{n}', [{n}])\n" for n in range(lines)))


def entry(source: Path, tree: Path = TREE) -> Path:
    """Say where a source's bytecode belongs."""
    return tree / VERSION / str(source.parent).lstrip("/") / f"{source.stem}.{TAG}.pyc"


def entries(tree: Path = TREE) -> set[Path]:
    """List all bytecode of a tree."""
    return set(tree.rglob("*.pyc"))


def leftovers(tree: Path = TREE) -> list[Path]:
    """List files under construction."""
    return [path for path in tree.rglob("*") if path.name.startswith(".pycache-sys-")]


def invalid(tree: Path = TREE) -> list[str]:
    """Let the interpreter itself say which entries are not their sources' bytecode."""
    command = [str(TARGET), "-I", "-S", "-B", str(VALIDATOR), str(tree / VERSION), TAG]
    done = subprocess.run(
        command, env=ENVIRONMENT, cwd="/", capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def copy_interpreter(prefix: Path) -> Path:
    """Copy the interpreter with as much of its library as it needs to start and to compile."""
    library = prefix / "lib" / f"python{VERSION}"
    make_directory(prefix / "bin")
    make_directory(library.parent)
    binary = prefix / "bin" / TARGET.name
    shutil.copy(TARGET.resolve(), binary)
    unneeded = ("__pycache__", "test", "config-*", "idlelib", "lib2to3", "dist-packages", "asyncio")
    shutil.copytree(
        f"/usr/lib/python{VERSION}", library, ignore=shutil.ignore_patterns(*unneeded, "email")
    )
    return binary


def marks() -> set[str]:
    """Name what hostile code left behind."""
    return {path.name for path in MARKS.iterdir()}

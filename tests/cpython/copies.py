"""Two copies of an interpreter, one with the hook: in memory, and seen by these tests alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from security.namespace import BIND, mounted

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("pycache_sys", "pycache_sys_runtime", "pycache_sys_worker")
PLACE = Path("/srv")
"""Where everybody may read, and only root write: so the system tree takes what stands here."""
HOOK = PLACE / "hook"
COLLECTOR = PLACE / "collector.py"
TREE = Path("/var/cache/python")
TESTER = 51_234
"""A person: as root CPython skips some of its tests and fails others, and services have no home."""

SECONDS = 900.0
"""How long a module may take: several times what the longest does on a machine that is not busy."""
ATTEMPTS = 2
_LAUNCHER = (
    f"import sys; sys.path.insert(0, {str(HOOK)!r}); "
    "from pycache_sys.cli import main; sys.exit(main())"
)
_LEFT_OUT = ("site-packages", "dist-packages", "config-*", "sitecustomize.py", "usercustomize.py")
_IS_HOOKED = (
    "from importlib.machinery import SourceFileLoader\n"
    "print(hasattr(SourceFileLoader.get_code, 'pycache_sys'))"
)
_IN_ENVIRONMENT = (
    "import subprocess, venv\n"
    "venv.create('environment', clear=True, symlinks=True)\n"
    f"subprocess.run(['environment/bin/python', '-c', {_IS_HOOKED!r}], check=True)"
)
_METHODS = ("fork", "spawn", "forkserver")
_PARTS = {
    "manager": 'only_type="manager"',
    "misc": "exclude_types=True",
    "processes": 'only_type="processes"',
    "threads": 'only_type="threads"',
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of the tests of a module."""

    outcomes: Mapping[str, list[str]]
    words: Mapping[str, list[str]]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of an interpreter, and a user's home for what it runs."""

    version: str
    is_hooked: bool

    @property
    def prefix(self) -> Path:
        """Say where it stands."""
        return PLACE / ("on" if self.is_hooked else "off") / self.version

    @property
    def python(self) -> Path:
        """Name its program."""
        return self.prefix / "bin" / f"python{self.version}"

    @property
    def library(self) -> Path:
        """Name its standard library."""
        return self.prefix / "lib" / f"python{self.version}"

    @property
    def home(self) -> Path:
        """Name the home directory of its user, and no other's."""
        return self.prefix.with_name(f"{self.version}-home")

    @property
    def own_cache(self) -> Path:
        """Say where the hook keeps bytecode for that user."""
        return self.home / ".cache" / "pycache-sys"

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
    ) -> "subprocess.Popen[str]":
        """Start it as the user, with an environment that says nothing to it."""
        settings: dict[str, Any] = {
            "env": {**plain_environment(self.home), **(environment or {})},
            "cwd": self.home,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "user": TESTER,
            "group": TESTER,
            "extra_groups": [],
            "start_new_session": True,
            **options,
        }
        return subprocess.Popen([str(self.python), *arguments], text=True, **settings)

    def say(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Return what it prints."""
        with self.start(*arguments, environment=environment) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        return output


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One interpreter, with the hook and without."""

    version: str
    off: Copy
    on: Copy
    hangs: list[str] = field(default_factory=list)
    """Which modules did not come to their end, and on which of both."""

    def run(self, module: str) -> tuple[Run, Run]:
        """Run a test module on both at the same time: without the hook, with it.

        Tests of multiprocessing hang now and then, so who does not come to the end gets another
        chance, and only one.
        """
        names = ("without the hook", "with the hook")
        ends: list[Run | None] = []
        said: list[str] = []
        for _ in range(ATTEMPTS):
            with ExitStack() as stack:
                runs = [stack.enter_context(_running(copy, module)) for copy in (self.off, self.on)]
                for process, _, _ in runs:
                    _await(process, SECONDS + 30)
                ends = [_result(folder) for _, folder, _ in runs]
                said = [log.read_text(encoding="utf-8", errors="replace") for _, _, log in runs]
            match ends:
                case [Run() as off, Run() as on]:
                    return off, on
            self.hangs.extend(
                f"{module} {name}" for name, end in zip(names, ends, strict=True) if end is None
            )
        raise AssertionError(
            "\n".join(
                f"{name}, {module} did not come to its end:\n{words[-6000:]}"
                for name, end, words in zip(names, ends, said, strict=True)
                if end is None
            )
        )


def _await(process: "subprocess.Popen[str]", seconds: float) -> None:
    """Wait for a process, and end what it leaves behind: it leads a session."""
    end = time.monotonic() + seconds
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)  # nobody has its number yet, for it is not waited for
    process.wait()


@contextmanager
def _running(copy: Copy, module: str) -> Iterator[tuple["subprocess.Popen[str]", Path, Path]]:
    folder = copy.prefix.with_name(f"{copy.version}-run")
    folder.mkdir(mode=0o755)
    os.chown(folder, TESTER, TESTER)
    log = copy.prefix.with_name(f"{copy.version}-log")
    try:
        with log.open("w") as output:
            process = copy.start(
                str(COLLECTOR),
                str(folder / "result"),
                str(SECONDS),
                module,
                environment={"TMPDIR": str(folder)},
                cwd=folder,
                stdout=output,
            )
        try:
            yield process, folder, log
        finally:
            if process.returncode is None:
                _await(process, 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _result(folder: Path) -> Run | None:
    try:
        answer = json.loads((folder / "result").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Run(outcomes=answer["outcomes"], words=answer["words"], seconds=answer["seconds"])


def plain_environment(home: Path) -> dict[str, str]:
    """Return an environment that says nothing about bytecode."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(home)}


def _patch_number(prefix: Path) -> int:
    number = prefix.name.rpartition(".")[2]
    return int(number) if number.isdecimal() else -1


def find_prefix(version: str) -> Path | None:
    """Find an interpreter of this version that has CPython's tests with it."""
    roots = [os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv")]
    for root in filter(None, roots):
        prefixes = Path(root, "versions").glob(f"{version}.*")
        for prefix in sorted(prefixes, key=_patch_number, reverse=True):
            library = prefix / "lib" / f"python{version}"
            if (library / "test" / "test_importlib").is_dir():
                return prefix
    return None


@contextmanager
def machine() -> Iterator[None]:
    """Put memory over every place that this writes to, and a copy of the checkout's hook in it."""
    with ExitStack() as stack:
        for place in ("/var/cache", "/run", str(PLACE)):
            stack.enter_context(mounted("tmpfs", place, "tmpfs", options="mode=755"))
        accounts = PLACE / "passwd"
        line = f"tester:x:{TESTER}:{TESTER}::{PLACE}:/bin/sh\n"
        accounts.write_text(Path("/etc/passwd").read_text() + line)
        stack.enter_context(mounted(str(accounts), "/etc/passwd", flags=BIND))
        for name in PACKAGES:
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / "src" / name, HOOK / name, ignore=ignore)
        shutil.copy(Path(__file__).with_name("collector.py"), COLLECTOR)
        for path in (accounts, COLLECTOR, HOOK, *HOOK.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield


def make_pair(version: str, prefix: Path) -> Pair:
    """Copy an interpreter twice, and bring the hook to one of them, with a built system tree.

    By ``sitecustomize``: that reaches what tests start with ``-I`` or ``-E`` and the virtual
    environments that they make, too.
    """
    off = Copy(version=version, is_hooked=False)
    on = Copy(version=version, is_hooked=True)
    for copy in (off, on):
        _copy(prefix, copy)
        copy.home.mkdir()
        os.chown(copy.home, TESTER, TESTER)
    _command("rebuild", "--python", str(on.python))
    _command("enable", "--venvs", "--python", str(on.python))
    return Pair(version=version, off=off, on=on)


def is_hooked(copy: Copy, *options: str) -> bool:
    """Tell whether a start with these options has the hook."""
    return copy.say(*options, "-c", _IS_HOOKED).strip() == "True"


def hooks_environments(copy: Copy) -> bool:
    """Tell whether virtual environments that are made from it have the hook."""
    return copy.say("-c", _IN_ENVIRONMENT).strip() == "True"


def _command(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _LAUNCHER, *arguments],
        env=plain_environment(PLACE),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _copy(prefix: Path, copy: Copy) -> None:
    """Copy what an interpreter needs, with the bytecode beside its sources."""
    ignore = shutil.ignore_patterns(*_LEFT_OUT)
    shutil.copytree(prefix / "lib" / copy.library.name, copy.library, symlinks=True, ignore=ignore)
    (copy.library / "site-packages").mkdir()
    copy.python.parent.mkdir()
    program = (prefix / "bin" / copy.python.name).read_bytes()
    before = f"{prefix}/lib".encode() + b"\0"  # where a program finds a shared libpython
    after = f"{copy.prefix}/lib".encode() + b"\0"
    if program.count(before) == 1 and len(after) <= len(before):
        program = program.replace(before, after.ljust(len(before), b"\0"))
    copy.python.write_bytes(program)
    copy.python.chmod(0o755)
    for name in ("python3", "python"):
        copy.python.with_name(name).symlink_to(copy.python.name)
    for shared in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(shared, copy.prefix / "lib", follow_symlinks=False)
    for method in _METHODS:
        _add_multiprocessing(copy.library / "test" / f"test_multiprocessing_{method}", method)


def _add_multiprocessing(folder: Path, method: str) -> None:
    """Write what ``make install`` of 3.11.7 forgets, as it is in CPython's repository."""
    if folder.exists() or folder.with_suffix(".py").exists():
        return
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "import os.path\nfrom test import support\n\n"
        "def load_tests(*args):\n"
        "    return support.load_package_tests(os.path.dirname(__file__), *args)\n"
    )
    for part, choice in _PARTS.items():
        (folder / f"test_{part}.py").write_text(
            "from test._test_multiprocessing import install_tests_in_module_dict\n\n"
            f"install_tests_in_module_dict(globals(), {method!r}, {choice})\n"
        )

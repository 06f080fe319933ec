#!/usr/bin/env python3
"""Measure what the start-up hook costs, and what it saves.

    python3 bench/startup.py [PYTHON...]

Each interpreter is copied, so that its own files stay as they are, and starts in turns: stock,
with an idle ``.pth`` file, with the hook by ``.pth``, with the hook by ``sitecustomize``. These are
the same files under the same path, for two copies of one interpreter differ by up to 3 %: each
is a farm of hard links, renamed to where it runs before it is started. "again" is stock once more:
what it differs from stock is the error of all other figures. All of it happens behind private
mounts, on one core, as an ordinary user. Needs root and Linux, and Python 3.11.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOURCE = Path(__file__).resolve().parents[1] / "src"
PLACE = Path("/opt/startup-bench")
UID = 4711
VARIANTS = ("stock", "again", "idle", "pth", "site")
BARE_TARGET = 1.03
WARM_TARGET = 1.00
FIRST_TARGET = 5.0
MODULES = 200
CANDIDATES = """\
argparse ast asyncio base64 bdb bisect calendar cmd codeop collections.abc colorsys compileall
concurrent.futures configparser contextlib contextvars copy csv ctypes dataclasses datetime
decimal difflib dis doctest email.mime.multipart email.mime.text email.parser enum filecmp
fileinput fnmatch fractions ftplib functools getopt getpass gettext glob graphlib gzip hashlib
heapq hmac html.parser http.client http.cookiejar http.server imaplib importlib.metadata
importlib.resources inspect ipaddress json.tool locale logging.config logging.handlers lzma
mailbox mimetypes multiprocessing.managers multiprocessing.pool netrc numbers opcode optparse
pathlib pdb pickle pickletools pkgutil platform plistlib poplib pprint profile pstats pydoc
queue quopri random re reprlib rlcompleter runpy sched secrets selectors shelve shlex shutil
signal site smtplib socketserver sqlite3 ssl statistics string stringprep subprocess symtable
sysconfig tabnanny tarfile tempfile textwrap threading timeit token tokenize trace traceback
tracemalloc types typing unittest.mock urllib.request urllib.robotparser uuid venv warnings wave
weakref webbrowser wsgiref.simple_server xml.dom.minidom xml.etree.ElementTree xml.sax.handler
xmlrpc.client xmlrpc.server zipapp zipfile zipimport
"""
COUNT = (
    "import sys\nfor name in sys.argv[1:]:\n"
    "    try:\n        __import__(name)\n    except ImportError:\n        pass\n"
    "print([m.__spec__.origin for m in list(sys.modules.values())"
    " if getattr(getattr(m, '__spec__', None), 'origin', '') "
    "and str(m.__spec__.origin).endswith('.py')])"
)


@dataclass(kw_only=True)
class Copy:
    """A copy of an interpreter, and a farm of links to it for each way to start it."""

    version: str
    folder: Path
    library: str
    here: str = ""

    @property
    def top(self) -> Path:
        """Name the folder of the variant that is in place: the same for all of them."""
        return self.folder / "python"

    @property
    def python(self) -> str:
        """Name the interpreter."""
        return str(self.top / "bin" / f"python{self.version}")

    def put(self, variant: str) -> None:
        """Put a variant in its place, if it isn't there."""
        if self.here != variant:
            if self.here:
                self.top.rename(self.folder / self.here)
            (self.folder / variant).rename(self.top)
            self.here = variant


@dataclass(kw_only=True)
class Case:
    """Something to start again and again; ``before`` is done each time, and not measured."""

    copy: Copy
    variant: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)

    def run(self, *, counts: bool) -> None:
        """Run it once, and remember how long it took."""
        self.before()
        self.copy.put(self.variant)
        argv = [self.copy.python, *self.arguments]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(PLACE / "home"), **self.environment}
        before = time.perf_counter()
        child = os.posix_spawn(argv[0], argv, environment)
        status = os.waitpid(child, 0)[1]
        taken = time.perf_counter() - before
        if status:
            raise SystemExit(f"{' '.join(argv)[:200]}: status {status}")
        if counts:
            self.seconds.append(taken)


def measure(cases: dict[str, Case], rounds: int) -> dict[str, list[float]]:
    """Run all cases in turns, and give each round's milliseconds.

    The order is another one each time. Cases whose names begin alike are compared, so they run one
    after the other.
    """
    for case in cases.values():
        case.copy.put(VARIANTS[0])

    def rounds_as_user() -> dict[str, list[float]]:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        for copy in {case.copy.folder: case.copy for case in cases.values()}.values():
            os.chown(copy.folder, UID, UID)
        os.setgroups([])
        os.setgid(UID)
        os.setuid(UID)
        groups: dict[str, list[Case]] = {}
        for name, case in cases.items():
            groups.setdefault(name.split(",")[0], []).append(case)
        for number in range(rounds + 2):
            for group in random.sample(list(groups.values()), len(groups)):
                for case in random.sample(group, len(group)):
                    case.run(counts=number > 1)
        for case in cases.values():
            case.copy.put(VARIANTS[0])  # where the next measurement finds it
        return {name: [one * 1000 for one in case.seconds] for name, case in cases.items()}

    return in_child(rounds_as_user)


def in_child(work: Callable[[], dict[str, list[float]]]) -> dict[str, list[float]]:
    """Do something in a process that may give up its rights."""
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.close(here)
        try:
            with os.fdopen(there, "w") as channel:
                json.dump(work(), channel)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    os.close(there)
    with os.fdopen(here) as channel:
        text = channel.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the measurement failed")
    found: dict[str, list[float]] = json.loads(text)
    return found


# preparation, behind private mounts


def make_private() -> None:
    """Start again behind private mounts, with the places that are written to empty."""
    if os.environ.get("STARTUP_BENCH") != "private":
        os.environ["STARTUP_BENCH"] = "private"
        program = ["unshare", "-m", "--", sys.executable, *sys.argv]
        os.execvp(program[0], program)  # noqa: S606 - itself
    for place in ("/opt", "/var/cache"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "bench", place], check=True)


def copy_interpreter(python: str) -> Copy:
    """Copy what an interpreter needs to start, with all bytecode made."""
    ask = (
        "import sys, os; print('%d.%d' % sys.version_info[:2], os.path.dirname(os.__file__), "
        "os.path.realpath(sys.executable), sys.base_prefix, sep='\\n')"
    )
    answer = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True)
    version, library, binary, prefix = answer.stdout.splitlines()
    copy = Copy(version=version, folder=PLACE / version, library=f"lib/python{version}")
    left_out = shutil.ignore_patterns(
        "test", "tests", "config-*", "idlelib", "tkinter", "__pycache__", "sitecustomize.py"
    )

    def keep(directory: str, names: list[str]) -> set[str]:
        if Path(directory).name in ("site-packages", "dist-packages"):
            return set(names)
        return set(left_out(directory, names))

    shutil.copytree(library, copy.top / copy.library, ignore=keep, symlinks=False)
    (copy.top / "bin").mkdir()
    shutil.copy2(binary, copy.python)
    for shared in Path(prefix, "lib").glob("libpython*.so*"):
        shutil.copy2(shared, copy.top / "lib")
    # a program that was told where its library is looks beside itself now
    program = Path(copy.python)
    there = f"{prefix}/lib\0".encode()
    here = b"$ORIGIN/../lib\0".ljust(len(there), b"\0")
    program.write_bytes(program.read_bytes().replace(there, here))
    compile_all = [copy.python, "-m", "compileall", "-q", "-j2", str(copy.top / copy.library)]
    subprocess.run(compile_all, check=False, stdout=subprocess.DEVNULL)
    copy.top.rename(copy.folder / VARIANTS[0])
    for variant in VARIANTS[1:]:
        first = copy.folder / VARIANTS[0]
        shutil.copytree(first, copy.folder / variant, copy_function=os.link)
    return copy


def deliver(copy: Copy) -> None:
    """Bring the hook to the variants that have it, and a line that does nothing to another."""
    runtime = PLACE / "runtime"
    if not runtime.exists():
        shutil.copytree(SOURCE, runtime, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pycache_sys", "enable", "--python", copy.python]
    environment = {**os.environ, "PYTHONPATH": str(runtime)}
    for variant, more in (("pth", []), ("site", ["--venvs"])):
        copy.put(variant)
        subprocess.run([*command, *more], check=True, env=environment, stdout=subprocess.DEVNULL)
    [pth] = (copy.folder / "pth").rglob("pycache-sys.pth")
    idle = copy.folder / "idle" / pth.relative_to(copy.folder / "pth")
    idle.parent.mkdir(parents=True, exist_ok=True)
    idle.write_text("# nothing\n")
    subprocess.run(
        [sys.executable, "-m", "pycache_sys", "rebuild", "-q", "--python", copy.python],
        check=False,
        env=environment,
    )
    for variant in VARIANTS:  # whoever starts first writes what is left to write
        copy.put(variant)
        subprocess.run([copy.python, "-c", "pass"], check=True)
    tree = Path("/var/cache/python", copy.version)
    count = sum(1 for _ in tree.rglob("*.pyc"))
    print(f"{copy.version}: {count} files in the system tree", file=sys.stderr)


def choose_modules(copy: Copy) -> list[str]:
    """Choose modules of the library whose import brings some 200 files."""
    copy.put("stock")
    chosen: list[str] = []
    for name in CANDIDATES.split():
        chosen.append(name)
        command = [copy.python, "-B", "-c", COUNT, *chosen]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            chosen.pop()
        elif done.stdout.count(".py'") >= MODULES:
            break
    return chosen


@dataclass(kw_only=True)
class Programs:
    """What is run: each imports some 200 modules.

    ``library`` those of the standard library, ``own`` the same from beside itself, and ``small``
    as many with nothing but their functions.
    """

    library: Path
    own: Path
    small: Path


def make_programs(copy: Copy) -> Programs:
    """Write the programs, and their modules."""
    chosen = choose_modules(copy)
    names = "\n".join(f"try:\n    import {name}\nexcept ImportError:\n    pass" for name in chosen)
    folder = PLACE / "home" / f"projects-{copy.version}"
    programs = Programs(
        library=PLACE / f"library-{copy.version}.py",
        own=folder / "own" / "main.py",
        small=folder / "small" / "main.py",
    )
    (folder / "small" / "app").mkdir(parents=True)
    (folder / "own").mkdir()
    programs.library.write_text(names + "\n")
    programs.own.write_text(names + "\n")
    (folder / "small" / "app" / "__init__.py").write_text("")
    library = copy.top / copy.library
    lines = []
    for number, file in enumerate(files_of(copy, chosen)):
        own = folder / "own" / file.relative_to(library)
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, own)
        if number >= MODULES:
            continue
        # the same code, as modules that need nothing and define all that they define
        try:
            text = functions_of(file.read_text("utf-8"))
        except SyntaxError:
            continue  # a syntax that is younger than the Python that runs this
        (folder / "small" / "app" / f"m{number}.py").write_text(text)
        lines.append(f"import app.m{number}\n")
    programs.small.write_text("".join(lines))
    give(PLACE / "home")
    return programs


def files_of(copy: Copy, chosen: Sequence[str]) -> list[Path]:
    """Return the sources in the library that importing these modules loads."""
    command = [copy.python, "-B", "-c", COUNT, *chosen]
    found = eval(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # noqa: S307 - our own child's
    library = copy.top / copy.library
    files = sorted({Path(file) for file in found})
    return [file for file in files if file.is_relative_to(library)]


def give(folder: Path) -> None:
    """Give a folder and all in it to the user."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, UID, UID)
        path.chmod(0o755 if path.is_dir() else 0o644)


def functions_of(text: str) -> str:
    """Keep the functions of a module that stand at its top: they load without anything else."""
    tree = ast.parse(text)
    tree.body = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list
    ]
    for node in tree.body:
        assert isinstance(node, ast.FunctionDef)
        node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
        node.args.kw_defaults = [ast.Constant(None) for _ in node.args.kw_defaults]
        node.returns = None
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        for argument in (node.args.vararg, node.args.kwarg):
            if argument:
                argument.annotation = None
    return ast.unparse(tree) + "\n"


# what is measured


def bare(copy: Copy, rounds: int) -> dict[str, list[float]]:
    """Start the interpreter and do nothing, by ``-c`` and by a file."""
    nothing = PLACE / "nothing.py"
    nothing.write_text("")
    cases = {}
    for what, arguments in (("pass", ["-c", "pass"]), ("file", [str(nothing)])):
        for group, variants in (("site", ("stock", "again", "site")), ("pth", ("idle", "pth"))):
            for variant in variants:
                name = f"{group} {what}, {variant}"
                cases[name] = Case(copy=copy, variant=variant, arguments=arguments)
    return measure(cases, rounds)


def warm(copy: Copy, programs: Programs, rounds: int) -> dict[str, list[float]]:
    """Run the programs with all bytecode there: beside the source for stock, in layers for us."""
    cases = {
        "tree, stock": Case(copy=copy, variant="stock", arguments=[str(programs.library)]),
        "tree, again": Case(copy=copy, variant="again", arguments=[str(programs.library)]),
        "tree, hook": Case(copy=copy, variant="site", arguments=[str(programs.library)]),
    }
    stock = programs.own.parents[1].with_name(f"stock-{copy.version}")
    shutil.copytree(programs.own.parents[1], stock)
    give(stock)
    for name, program in (("own", programs.own), ("small", programs.small)):
        there = str(stock / name / program.name)
        cases[f"{name}, stock"] = Case(copy=copy, variant="stock", arguments=[there])
        cases[f"{name}, hook"] = Case(copy=copy, variant="site", arguments=[str(program)])
    found = measure(cases, rounds)
    cache = PLACE / "home" / ".cache" / "pycache-sys" / copy.version
    for name, program in (("own", programs.own), ("small", programs.small)):
        folder = program.parent
        assert not list(folder.rglob("__pycache__")), "the hook has written beside the source"
        kept = Path(f"{cache}{folder}")
        assert len(list(kept.rglob("*.pyc"))) >= MODULES // 2, f"{kept}: next to nothing was kept"
        assert len(list((stock / name).rglob("*.pyc"))) >= MODULES // 2
    return found


def first(copy: Copy, programs: Programs, rounds: int) -> dict[str, list[float]]:
    """Run the program as a new user: stock with an empty prefix, the hook with the tree."""
    prefix, cache = PLACE / "home" / "prefix", PLACE / "home" / ".cache"

    def forget() -> None:
        shutil.rmtree(prefix, ignore_errors=True)
        shutil.rmtree(cache, ignore_errors=True)

    cases = {
        "first, stock": Case(
            copy=copy,
            variant="stock",
            arguments=[str(programs.library)],
            environment={"PYTHONPYCACHEPREFIX": str(prefix)},
            before=forget,
        ),
        "first, hook": Case(
            copy=copy, variant="site", arguments=[str(programs.library)], before=forget
        ),
    }
    return measure(cases, rounds)


@dataclass(kw_only=True)
class Ratio:
    """How much longer one case took than another: the median of each round's ratio.

    A machine that is slower for a minute is slower for both cases of a round; medians of each case
    may be from different minutes. The true median is in ``low`` to ``high`` with 95 % confidence.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, cases: Sequence[float], bases: Sequence[float]) -> Ratio:
        """Compare two cases of the same rounds."""
        ratios = sorted(case / base for case, base in zip(cases, bases, strict=True))
        count = len(ratios)
        off = 0.98 * count**0.5  # of the binomial distribution of the median's place
        low, high = max(int(count / 2 - off), 0), min(int(count / 2 + off), count - 1)
        return cls(median=statistics.median(ratios), low=ratios[low], high=ratios[high])

    def row(self, what: str, target: float = 0, sign: str = "<=") -> str:
        """Write one line of the table; where there is a target, whether it is met."""
        line = f"  {what:57} {self.median:6.3f}  ({self.low:.3f}-{self.high:.3f})"
        if not target:
            return line
        fits = self.median <= target if sign == "<=" else self.median >= target
        return f"{line}  {sign} {target:.2f}  {'pass' if fits else 'MISSED'}"


def report(copy: Copy, rounds: int) -> None:
    """Measure one interpreter, and print its rows."""
    programs = make_programs(copy)
    found = bare(copy, rounds)
    found |= warm(copy, programs, max(rounds // 3, 5))
    found |= first(copy, programs, max(rounds // 20, 3))
    print(f"\nPython {copy.version}, medians in milliseconds of {rounds} starts:")
    print("  " + ", ".join(f"{name} {statistics.median(one):.2f}" for name, one in found.items()))

    def row(what: str, case: str, base: str, target: float = 0, sign: str = "<=") -> None:
        print(Ratio.of(found[case], found[base]).row(what, target, sign))

    print("  the median of each round's ratio, and where it truly is, with 95 % confidence:")
    for kind, what in (("pass", "-c pass"), ("file", "an empty file")):
        row(f"{what}: stock again / stock", f"site {kind}, again", f"site {kind}, stock")
        base = f"site {kind}, stock"
        row(f"{what}: by sitecustomize / stock", f"site {kind}, site", base, BARE_TARGET)
        base = f"pth {kind}, idle"
        row(f"{what}: by .pth / idle .pth", f"pth {kind}, pth", base, BARE_TARGET)
    row(f"{MODULES} modules: stock again / stock", "tree, again", "tree, stock")
    for name, what in (
        ("tree", f"{MODULES} modules from the system tree / stock"),
        ("own", f"{MODULES} modules from the user's layer / stock"),
        ("small", f"{MODULES} small ones from there / stock"),
    ):
        row(what, f"{name}, hook", f"{name}, stock", WARM_TARGET)
    what = "first run of a user: stock with an empty prefix / hook"
    row(what, "first, stock", "first, hook", FIRST_TARGET, ">=")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the interpreters one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", nargs="*", default=[sys.executable], help="interpreters")
    parser.add_argument("--rounds", type=int, default=400, help="starts of each kind (400)")
    options = parser.parse_args(arguments)
    for name in list(os.environ):
        if name.startswith("PYTHON"):
            del os.environ[name]
    make_private()
    PLACE.mkdir()
    for python in options.python:
        copy = copy_interpreter(python)
        (PLACE / "home").mkdir(exist_ok=True)
        deliver(copy)
        report(copy, options.rounds)
        shutil.rmtree(copy.folder)


if __name__ == "__main__":
    main()

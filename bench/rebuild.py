#!/usr/bin/env python3
"""Measure ``pycache-sys rebuild`` against other compilers and against the least time possible.

All of them compile the same sources for the same interpreter on the same file system, in turns:
one round runs each of them cold and then with nothing to do, and the next round goes the other way
around. See README.md for what is measured and what came out.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import marshal
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import corpus as layout
from corpus import BENCH, TOOLS, Corpus, Target, Workspace, say
from sample import Series, cores, measure, peak_memory

COLD_TO_FLOOR = 1.15
IDLE_TO_PARALLEL = 0.12
IDLE_TO_SERIAL = 0.5
PEAK_MIB = 60.0
BYTES_PER_FILE = 1024.0
IDLE_REPEATS = 3
PATIENCE_SECONDS = 30.0
EXTRA_ROUNDS = 2
"""Rounds added, as multiples of --runs, for whoever was disturbed by others on the machine."""

BUILDER = "pycache-sys rebuild"
WHOLE = "the same, library and prune"
UV = "uv pip sync --compile-bytecode"
FLOOR = "floor"
FLOOR_GC = "floor, collector on"
SERIAL = "compileall"
PARALLEL = f"compileall -j{cores()}"

Commands = Callable[[Path], list[list[str]]]


@dataclass(slots=True, kw_only=True)
class Contender:
    """Something that compiles the corpus, cold into an empty place and again with nothing to do.

    ``commands`` makes, for a tree, the commands that run at the same time. One that is ``in_place``
    writes ``__pycache__`` and no tree.
    """

    name: str
    commands: Commands
    in_place: bool = False
    idles: bool = True
    cold: Series = field(default_factory=Series)
    idle: Series = field(default_factory=Series)
    files: int = 0
    tree: Path = Path()

    def has_quiet(self, runs: int) -> bool:
        """Say whether there are as many undisturbed samples as wanted."""
        return self.cold.quiet >= runs and (not self.idles or self.idle.quiet >= runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One target with what was measured; ``limit`` is the most that passes."""

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Say whether the target was met."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Peak memory of the builder's own process in KiB, and its growth in bytes per source."""

    cold: int
    idle: int
    growth: float
    files: tuple[int, int]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds (default: 5)")
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="the interpreter to compile for (default: the system's, if it is 3.11 or newer)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--corpus", type=Path, metavar="DIR", help="compile a copy of DIR, not the pinned packages"
    )
    what.add_argument(
        "--quick", action="store_true", help="a small corpus from the standard library: seconds"
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="leave out a contender"
    )
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where to install and write (default: the cache)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to FILE")
    return parser.parse_args(arguments)


def default_python() -> str:
    """Choose the system's interpreter, or the one that runs this where that is too old."""
    system = shutil.which("python3", path="/usr/bin")
    if system and tuple(map(int, layout.ask_target(system).version.split(".")[:2])) >= (3, 11):
        return system
    return sys.executable


def default_work() -> Path:
    """Choose a folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pycache-sys-bench"


def install_builder(workspace: Workspace, target: Target) -> str:
    """Install this repository as a user would, with its own bytecode; return the command."""
    path = workspace.path / "builder"
    python = layout.make_environment(path, target)
    layout.pip_install(python, "--compile", str(BENCH.parent))
    return str(path / "bin" / "pycache-sys")


def install_uv(workspace: Workspace, target: Target) -> str | None:
    """Install the pinned uv; None where there is none to be had."""
    path = workspace.path / "tools"
    try:
        python = layout.make_environment(path, target)
        layout.pip_install(python, "--requirement", str(TOOLS))
    except subprocess.CalledProcessError:
        say("uv is not measured: it could not be installed")
        return None
    return str(path / "bin" / "uv")


def find_py3compile(target: Target) -> str | None:
    """Find Debian's compiler, if it works for the target."""
    found = shutil.which("py3compile", path="/usr/bin")
    system = shutil.which("python3", path="/usr/bin")
    if found and system and os.path.realpath(system) == os.path.realpath(target.path):
        return found
    return None


def floor_commands(corpus: Corpus, target: Target, workspace: Workspace, *options: str) -> Commands:
    """Make one process per core, with shares of equal size, the largest files first."""
    largest_first = sorted(corpus.sources, key=lambda source: source[1], reverse=True)

    def commands(tree: Path) -> list[list[str]]:
        shares: list[list[tuple[str, str]]] = [[] for _ in range(cores())]
        loads = [0] * len(shares)
        for path, size in largest_first:
            index = loads.index(min(loads))
            loads[index] += size
            shares[index].append((path, f"{tree}{path[:-3]}.{target.cache_tag}.pyc"))
        result = []
        for share in shares:
            listing = workspace.fresh("share")
            listing.write_bytes(marshal.dumps(share))
            program = [str(BENCH / "floor.py"), str(listing), *options]
            result.append([corpus.python, "-I", "-S", "-W", "ignore", *program])
        return result

    return commands


def contenders(
    corpus: Corpus, target: Target, workspace: Workspace, without: Sequence[str]
) -> Iterator[Contender]:
    """Make everything that is measured, in the order of the first round."""
    python, root = corpus.python, str(corpus.root)
    compileall = [python, "-m", "compileall", "-q"]
    yield Contender(name=FLOOR, commands=floor_commands(corpus, target, workspace), idles=False)
    if BUILDER not in without:
        builder = install_builder(workspace, target)
        yield Contender(
            name=BUILDER,
            commands=lambda tree: [
                [builder, "rebuild", "--tree", str(tree), "--python", python, root]
            ],
        )
        yield Contender(
            name=WHOLE,
            commands=lambda tree: [[builder, "rebuild", "--tree", str(tree), "--python", python]],
        )
    if FLOOR_GC not in without:
        yield Contender(
            name=FLOOR_GC, commands=floor_commands(corpus, target, workspace, "gc"), idles=False
        )
    if UV not in without and (uv := install_uv(workspace, target)):
        sync = [uv, "pip", "sync", "--quiet", "--offline", "--compile-bytecode"]
        command = [*sync, "--python", python, str(corpus.requirements)]
        yield Contender(name=UV, commands=lambda _: [command], in_place=True)
    yield Contender(
        name=PARALLEL, commands=lambda _: [[*compileall, f"-j{cores()}", root]], in_place=True
    )
    yield Contender(name=SERIAL, commands=lambda _: [[*compileall, root]], in_place=True)
    if "py3compile" not in without and (found := find_py3compile(target)):
        yield Contender(name="py3compile", commands=lambda _: [[found, root]], in_place=True)


def take_turns(
    everyone: list[Contender], corpus: Corpus, workspace: Workspace, *, runs: int, patience: float
) -> None:
    """Measure in rounds, to and fro; with patience, repeat for whoever was disturbed too often."""
    for number in range(runs * (1 + EXTRA_ROUNDS) if patience else runs):
        due = [c for c in everyone if number < runs or not c.has_quiet(runs)]
        if not due:
            return
        say(f"round {number + 1}: {', '.join(contender.name for contender in due)}")
        for contender in due if number % 2 == 0 else reversed(due):
            take_turn(contender, corpus, workspace, patience)


def take_turn(contender: Contender, corpus: Corpus, workspace: Workspace, patience: float) -> None:
    """Measure one contender cold and then idle."""
    contender.tree = workspace.fresh("tree")
    place = corpus.root if contender.in_place else contender.tree
    contender.cold.samples.append(measure(contender.commands(contender.tree), patience=patience))
    contender.files = sum(1 for _ in place.rglob("*.pyc"))
    if contender.idles:
        for _ in range(IDLE_REPEATS):
            contender.idle.samples.append(
                measure(contender.commands(contender.tree), patience=patience)
            )
    if contender.in_place:
        workspace.set_aside(corpus.root)


def measure_memory(builder: Contender, workspace: Workspace, base: int) -> Memory:
    """Measure the builder's peak on the corpus, and its growth from ``base`` files to four times.

    The growth is the worse of a cold run's and an idle run's.
    """
    (command,) = builder.commands(workspace.fresh("tree"))
    cold, idle = peak_memory(command), peak_memory(command)
    counts = (base, 4 * base)
    peaks = []
    for number in counts:
        say(f"memory with {number} small files")
        sources = str(layout.many_files(workspace, number))
        tree = str(workspace.fresh("tree"))
        many = [*command[:-1], sources]
        many[many.index("--tree") + 1] = tree
        peaks.append((peak_memory(many), peak_memory(many)))
    (few_cold, few_idle), (many_cold, many_idle) = peaks
    kibibytes = max(many_cold - few_cold, many_idle - few_idle)
    return Memory(cold=cold, idle=idle, growth=kibibytes * 1024 / (3 * base), files=counts)


def judge(everyone: Sequence[Contender], memory: Memory | None) -> list[Verdict]:
    """Hold the builder against its targets."""
    named = {contender.name: contender for contender in everyone}
    if BUILDER not in named:
        return []
    builder = named[BUILDER]
    floor = fastest_floor(everyone)
    verdicts = [
        Verdict(name="cold / floor", value=builder.cold.wall / floor.cold.wall, limit=COLD_TO_FLOOR)
    ]
    if UV in named:
        ratio = builder.cold.wall / named[UV].cold.wall
        verdicts.append(Verdict(name="cold / uv", value=ratio, limit=1.0))
    for name, limit in ((PARALLEL, IDLE_TO_PARALLEL), (SERIAL, IDLE_TO_SERIAL)):
        ratio = builder.idle.wall / named[name].idle.wall
        verdicts.append(Verdict(name=f"nothing to do / {name}", value=ratio, limit=limit))
    if memory:
        peak = max(memory.cold, memory.idle) / 1024
        verdicts += [
            Verdict(name="parent's peak memory", value=peak, limit=PEAK_MIB, unit="MiB"),
            Verdict(name="growth per file", value=memory.growth, limit=BYTES_PER_FILE, unit="B"),
        ]
    return verdicts


def fastest_floor(everyone: Sequence[Contender]) -> Contender:
    """Return the faster of the floor's variants."""
    floors = [c for c in everyone if c.name in {FLOOR, FLOOR_GC}]
    return min(floors, key=lambda contender: contender.cold.wall)


def print_table(everyone: Sequence[Contender]) -> None:
    """Print medians, ranges and ratios."""
    named = {contender.name: contender for contender in everyone}
    floor = fastest_floor(everyone).cold.wall
    serial = named[SERIAL].idle.wall
    parallel = named[PARALLEL].idle.wall
    print(f"{'':31}{'cold, seconds':^38}  {'nothing to do, seconds':^42}")
    print(
        f"{'':31}{'files':>6} {'median':>7} {'min-max':>14} {'cpu':>6} {'/floor':>7}"
        f" {'median':>7} {'min-max':>13} {'/serial':>8} {'/parallel':>9}"
    )
    for contender in sorted(everyone, key=lambda c: c.cold.wall):
        cold = contender.cold
        low, high = cold.span
        line = (
            f"{contender.name:31}{contender.files:>6} {cold.wall:>7.2f} "
            f"{f'{low:.2f}-{high:.2f}':>14} {cold.cpu:>6.2f} {cold.wall / floor:>7.2f}"
        )
        if contender.idles:
            idle = contender.idle
            low, high = idle.span
            line += (
                f" {idle.wall:>7.3f} {f'{low:.3f}-{high:.3f}':>13}"
                f" {idle.wall / serial:>8.2f} {idle.wall / parallel:>9.2f}"
            )
        print(line)
    samples = [s for c in everyone for s in (*c.cold.samples, *c.idle.samples)]
    disturbed = sum(not sample.quiet for sample in samples)
    print(f"\n{len(samples)} samples, {disturbed} disturbed by others and left out where possible")


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print each target beside what was measured."""
    for verdict in verdicts:
        word = "pass" if verdict.passed else "MISS"
        print(
            f"{verdict.name:34} {verdict.value:8.2f} {verdict.unit:3}"
            f"  <= {verdict.limit:7.2f} {verdict.unit:3}  {word}"
        )


def compare_trees(everyone: Sequence[Contender], target: Target) -> tuple[int, int] | None:
    """Count the floor's files, and those that the builder wrote byte for byte the same."""
    named = {contender.name: contender for contender in everyone}
    if BUILDER not in named:
        return None
    ours = named[BUILDER].tree / ".".join(target.version.split(".")[:2])
    floor = named[FLOOR].tree
    files = [path.relative_to(floor) for path in floor.rglob("*.pyc")]
    same, _, _ = filecmp.cmpfiles(floor, ours, [str(path) for path in files], shallow=False)
    return len(files), len(same)


def as_json(
    everyone: Sequence[Contender],
    memory: Memory | None,
    verdicts: Sequence[Verdict],
    corpus: Corpus,
    target: Target,
) -> dict[str, object]:
    """Return all that was measured."""
    return {
        "version": 1,
        "python": target.version,
        "cores": cores(),
        "files": len(corpus.sources),
        "bytes": sum(size for _, size in corpus.sources),
        "contenders": [
            {
                "name": contender.name,
                "files": contender.files,
                "cold": [asdict(sample) for sample in contender.cold.samples],
                "idle": [asdict(sample) for sample in contender.idle.samples],
            }
            for contender in everyone
        ],
        "memory": asdict(memory) if memory else None,
        "targets": [asdict(verdict) | {"passed": verdict.passed} for verdict in verdicts],
    }


def choose_corpus(options: argparse.Namespace, workspace: Workspace, target: Target) -> Corpus:
    """Prepare the corpus that the command line asks for."""
    if options.quick:
        return layout.quick_corpus(workspace, target)
    if options.corpus:
        return layout.copied_corpus(workspace, target, [options.corpus.resolve()])
    return layout.real_corpus(workspace, target)


def main() -> None:
    """Prepare, measure, print."""
    options = parse_arguments()
    workspace = Workspace(options.work or default_work())
    workspace.path.mkdir(parents=True, exist_ok=True)
    target = layout.ask_target(options.python or default_python())
    try:
        corpus = choose_corpus(options, workspace, target)
        everyone = list(contenders(corpus, target, workspace, options.without))
        patience = 0.0
        if not options.quick:
            workspace.wait_for_inodes()
            patience = PATIENCE_SECONDS
        take_turns(everyone, corpus, workspace, runs=options.runs, patience=patience)
        memory = None
        builders = [contender for contender in everyone if contender.name == BUILDER]
        if builders and not options.no_memory:
            base = 500 if options.quick else 10_000
            memory = measure_memory(builders[0], workspace, base)
        verdicts = judge(everyone, memory)
        size = sum(size for _, size in corpus.sources) / 1e6
        print(
            f"{len(corpus.sources)} sources, {size:.0f} MB, "
            f"Python {target.version}, {cores()} cores\n"
        )
        print_table(everyone)
        if counts := compare_trees(everyone, target):
            print(f"{counts[1]} of the floor's {counts[0]} files are the builder's byte for byte")
        print()
        print_verdicts(verdicts)
        if options.json:
            result = as_json(everyone, memory, verdicts, corpus, target)
            options.json.write_text(json.dumps(result, indent=2) + "\n")
    finally:
        workspace.clean()


if __name__ == "__main__":
    main()

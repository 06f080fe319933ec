#!/usr/bin/env python3
"""Measure what an ``apt install`` costs with Debian's py3compile, the trigger, and the drop-in.

    python3 bench/packages.py [--suite trixie] [--runs 11]

Three copies of one chroot with some 5,000 real sources: with nothing of ours, with the packages
``pycache-sys`` and ``python3-pycache-sys`` (Debian's py3compile runs, and then the trigger), and
with ``pycache-sys-py3compile`` besides. In each, apt installs and removes a small and a large
package of real modules, from local files: in turns, in another order each round. Needs root, and
``mmdebstrap``; the chroots and our packages are those that ``tests/distro`` makes and keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sample import Series, cores, measure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # where chroots are made
from distro.chroots import ENVIRONMENT, Chroot, Image, image_of, keep_mounts_private
from distro.debian import DIST_PACKAGES, SUITES, Suite
from distro.drop_in import PACKAGE as DROP_IN
from distro.drop_in import beside, in_tree, make_module_deb
from distro.layers import layer_on, scratch_folder
from distro.packaging import DEBS, PACKAGES, archives_of, built

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MORE = "python3-pip"
"""Installed besides what ``tests/distro`` needs, which is some 4,500 sources."""
LIBRARIES = ("django", "sqlalchemy")
"""What the modules of the two packages are copies of."""
SMALL, LARGE, LARGE_QUICK = 5, 900, 100
POSTINST = "/var/lib/dpkg/info/pycache-sys.postinst"

DEBIANS, TRIGGER, DROPPED_IN = "Debian's", "trigger", "drop-in"
WAYS = {
    DEBIANS: (),
    TRIGGER: PACKAGES,
    DROPPED_IN: (*PACKAGES, DROP_IN),
}
"""The ways, with the packages that each of them has installed."""

OWN_COST_SECONDS = 0.5
LARGE_RATIO = 1.0
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package to install: its name, its modules, and its archive as the chroots see it."""

    name: str
    modules: int
    archive: str


@dataclass(slots=True, kw_only=True)
class Step:
    """Something that is done in each round: how it is called, and the samples for each way."""

    name: str
    series: dict[str, Series] = field(default_factory=lambda: {way: Series() for way in WAYS})

    def median(self, way: str) -> float:
        """Return the median wall time, in seconds."""
        return self.series[way].wall


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A figure, and the most that it may be; None where no target is set."""

    name: str
    value: float
    unit: str
    limit: float | None = None


def main() -> None:
    """Prepare, measure, print."""
    options = parse_arguments()
    if os.geteuid() != 0:
        raise SystemExit("bench/packages.py makes chroots: run it as root")
    os.umask(0o022)
    keep_mounts_private()
    suite = {suite.name: suite for suite in SUITES}[options.suite]
    with ExitStack() as stack:
        base = image_with_more(suite)
        debs = built(suite, image_of(suite))
        folder = stack.enter_context(scratch_folder())
        with base.running(folder) as chroot:
            shutil.copytree(debs, chroot.path(DEBS))
            packages = make_packages(chroot, LARGE_QUICK if options.quick else LARGE)
        image = base.topped_by(folder)
        chroots = {way: stack.enter_context(running(image)) for way in WAYS}
        for way, names in WAYS.items():
            if names:
                archives = (path for name in names for path in archives_of(chroots[way], name))
                chroots[way].run("apt-get", "install", "--yes", *archives)
            check(way, chroots[way], packages)
        print(f"{suite.name}: {describe(chroots[TRIGGER])}, {cores()} cores, {options.runs} rounds")
        steps, alone = take_turns(chroots, packages, runs=options.runs, quick=options.quick)
    print_table(steps, alone)
    print_verdicts(judge(packages, steps, alone))
    if options.json:
        options.json.write_text(json.dumps(as_json(steps, alone), indent=2) + "\n")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [suite.name for suite in SUITES]
    parser.add_argument("--suite", choices=names, default="trixie", help="default: trixie")
    parser.add_argument("--runs", type=int, default=11, metavar="N", help="rounds (default: 11)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a large package of {LARGE_QUICK} modules, and no waiting for a quiet moment",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to FILE")
    return parser.parse_args(arguments)


# preparation


def image_with_more(suite: Suite) -> Image:
    """Return a suite's chroot with some 5,000 sources, for its one default interpreter."""
    install = f"apt-get install -qq --no-install-recommends {MORE} >/dev/null"
    script = [install]
    if suite.packages_of_last:
        script.append(f"apt-get purge -qq {' '.join(suite.packages_of_last)} >/dev/null")
    return layer_on(image_of(suite), f"bench-{suite.name}", (), *script)


@contextmanager
def running(image: Image) -> Iterator[Chroot]:
    """Mount a private copy of an image."""
    with scratch_folder() as folder, image.running(folder) as chroot:
        yield chroot


def make_packages(chroot: Chroot, large: int) -> list[Package]:
    """Make the two packages, with the maintainer scripts that dh_python3 gives one."""
    site = chroot.path(DIST_PACKAGES)
    libraries = (sorted((site / name).rglob("*.py")) for name in LIBRARIES)
    sources = list(chain.from_iterable(libraries))[:LARGE]
    packages = []
    for name, modules, chosen in (
        # those of a package of five modules are about as long as others, not all __init__.py
        ("bench-small", SMALL, [path for path in sources if path.name != "__init__.py"]),
        ("bench-large", large, sources),
    ):
        folder = f"{DIST_PACKAGES}/{name.replace('-', '_')}"
        taken = chosen[:: len(chosen) // modules][:modules]
        contents = {f"{folder}/{path.relative_to(site)}": path.read_bytes() for path in taken}
        assert len(contents) == modules, f"there are {len(contents)} sources for {name} only"
        archive = make_module_deb(chroot, name, "1", contents)
        packages.append(Package(name=name, modules=modules, archive=archive))
    return packages


def check(way: str, chroot: Chroot, packages: Iterable[Package]) -> None:
    """See that each package is compiled where this way does it, and that nothing of it is left."""
    for package in packages:
        top = f"{DIST_PACKAGES}/{package.name.replace('-', '_')}"
        chroot.run(*apt_install(package))
        counts = (len(beside(chroot, top)), len(below(top, chroot)))
        expected = {
            DEBIANS: (package.modules, 0),
            TRIGGER: (package.modules, package.modules),
            DROPPED_IN: (0, package.modules),
        }[way]
        assert counts == expected, f"{way}, {package.name}: {counts} compiled, not {expected}"
        chroot.run(*apt_remove(package))
        assert not chroot.path(top).exists(), f"{way}: {top} is left"
        assert not below(top, chroot), f"{way}: bytecode of {top} is left"


def below(top: str, chroot: Chroot) -> set[str]:
    """Name the sources below a directory that have bytecode in the tree."""
    return {source for source, _, _ in in_tree(chroot) if source.startswith(f"{top}/")}


def describe(chroot: Chroot) -> str:
    """Say what the system is like on which is measured."""
    version = chroot.run("/usr/bin/python3", "-c", "import sys; print(sys.version.split()[0])")
    return f"{len(in_tree(chroot))} sources in the tree, Python {version.strip()}"


# what is measured


def take_turns(
    chroots: dict[str, Chroot], packages: Sequence[Package], *, runs: int, quick: bool
) -> tuple[list[Step], Series]:
    """Install and remove in all ways, in another order each round, and run the trigger alone."""
    steps: list[Step] = []
    commands: list[tuple[Step, tuple[str, ...]]] = []
    for package in packages:
        for verb, command in (("install", apt_install(package)), ("remove", apt_remove(package))):
            step = Step(name=f"{verb}, {package.modules} modules")
            steps.append(step)
            commands.append((step, command))
    alone = Series()
    patience = 0.0 if quick else PATIENCE_SECONDS
    order = list(WAYS)
    for number in range(runs):
        print(f"round {number + 1} of {runs}", file=sys.stderr)
        for step, command in commands:
            random.shuffle(order)
            for way in order:
                sample = measure([inside(chroots[way], *command)], patience=patience)
                step.series[way].samples.append(sample)
        trigger = (POSTINST, "triggered", DIST_PACKAGES)
        alone.samples.append(measure([inside(chroots[TRIGGER], *trigger)], patience=patience))
    return steps, alone


def apt_install(package: Package) -> tuple[str, ...]:
    """Return the command that installs a package."""
    return ("apt-get", "install", "--yes", package.archive)


def apt_remove(package: Package) -> tuple[str, ...]:
    """Return the command that removes a package."""
    return ("apt-get", "remove", "--yes", package.name)


def inside(chroot: Chroot, *command: str) -> list[str]:
    """Return a command line that runs a command inside, with nothing of this environment."""
    variables = (f"{name}={value}" for name, value in ENVIRONMENT.items())
    return chroot.command("env", "-i", *variables, *command)


# what comes out


def judge(packages: Sequence[Package], steps: Sequence[Step], alone: Series) -> list[Verdict]:
    """Hold what was measured against the targets."""
    named = {step.name: step for step in steps}
    small, large = (named[f"install, {package.modules} modules"] for package in packages)
    return [
        Verdict(
            name=f"the trigger's own cost, {small.name}",
            value=small.median(TRIGGER) - small.median(DEBIANS),
            unit="s",
            limit=OWN_COST_SECONDS,
        ),
        Verdict(
            name="the trigger alone, nothing to do",
            value=alone.wall,
            unit="s",
            limit=OWN_COST_SECONDS,
        ),
        Verdict(
            name=f"the trigger, which compiles them again, {large.name}",
            value=large.median(TRIGGER) - large.median(DEBIANS),
            unit="s",
        ),
        Verdict(
            name=f"drop-in / Debian's, {large.name}",
            value=large.median(DROPPED_IN) / large.median(DEBIANS),
            unit="",
            limit=LARGE_RATIO,
        ),
        Verdict(
            name=f"drop-in / Debian's with the trigger, {small.name}",
            value=small.median(DROPPED_IN) / small.median(TRIGGER),
            unit="",
        ),
    ]


def quartiles(series: Series) -> tuple[float, float]:
    """Return the first and the third quartile of the wall times."""
    walls = [sample.wall for sample in series.used]
    if len(walls) == 1:
        return walls[0], walls[0]
    first, _, third = statistics.quantiles(walls, n=4, method="inclusive")
    return first, third


def print_table(steps: Sequence[Step], alone: Series) -> None:
    """Print medians in seconds, quartiles, and processor time."""
    print(f"\n{'seconds':22}{''.join(f'{way:>26}' for way in WAYS)}   /Debian's")
    columns = f"{'median (quartiles)':>20}{'cpu':>6}" * len(WAYS)
    print(f"{'':22}{columns}{TRIGGER:>10}{DROPPED_IN:>9}")
    for step in steps:
        cells = "".join(cell(step.series[way]) for way in WAYS)
        ratios = "".join(
            f"{step.median(way) / step.median(DEBIANS):{width}.2f}"
            for way, width in ((TRIGGER, 10), (DROPPED_IN, 9))
        )
        print(f"{step.name:22}{cells}{ratios}")
    print(f"{'the trigger alone':22}{'':26}{cell(alone)}")
    everything = [*(series for step in steps for series in step.series.values()), alone]
    samples = [sample for series in everything for sample in series.samples]
    disturbed = sum(not sample.quiet for sample in samples)
    print(
        f"\n{len(samples)} samples, {disturbed} disturbed by others and left out where possible\n"
    )


def cell(series: Series) -> str:
    """Write the figures of one series."""
    low, high = quartiles(series)
    return f"{series.wall:8.2f} ({low:.2f}-{high:.2f}){series.cpu:6.2f}"


def print_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Print each figure, with its target if it has one."""
    for verdict in verdicts:
        line = f"{verdict.name:64} {verdict.value:6.2f} {verdict.unit:1}"
        if verdict.limit is not None:
            word = "pass" if verdict.value <= verdict.limit else "MISSED"
            line += f"  <= {verdict.limit:.2f}  {word}"
        print(line)


def as_json(steps: Iterable[Step], alone: Series) -> dict[str, object]:
    """Return all samples."""
    return {
        "version": 1,
        "cores": cores(),
        "steps": {
            step.name: {
                way: [asdict(sample) for sample in series.samples]
                for way, series in step.series.items()
            }
            for step in steps
        },
        "trigger alone": [asdict(sample) for sample in alone.samples],
    }


if __name__ == "__main__":
    main()

"""The use cases ``py3compile`` and ``pypy3compile``: Debian's calls, answered with the tree.

What is compiled for whom is Debian's to say (``core.debian``). How, and what may feed the tree, is
``rebuild``'s. What no tree can serve, the hook itself and what PyPy loads before it, is given its
bytecode beside the source as well.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pycache_sys.build_request import Request
from pycache_sys.core import debian
from pycache_sys.core.debian import Range, Version
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.model import Interpreter
from pycache_sys.core.report import Report
from pycache_sys.named_sources import sources_in, sources_of
from pycache_sys.policy import examine, keys
from pycache_sys.policy.model import Policy
from pycache_sys.policy.values import AUTO
from pycache_sys.rebuild import Observer, rebuild
from pycache_sys.system.pythons.bootstrap import compile_beside, loaded_before_hooks, own_sources
from pycache_sys_runtime import startup
from pycache_sys_runtime.pythons import match_python

LOADED_NOW = (examine,)
"""What a run may need later: whoever can import this module can run it."""

DEFAULTS = "/usr/share/python3/debian_defaults"
PROGRAMS = "/usr/bin"
PYPY = f"{PROGRAMS}/pypy3"
_OPTIMIZED = (1,)


class NoSuchVersionError(PycacheSysError):
    """No version of Python that was asked for is installed."""


class Wanted(NamedTuple):
    """What a call asks for; ``optimized`` stands for ``-O`` instead of the policy's levels."""

    packages: Sequence[str] = ()
    places: Sequence[str] = ()
    versions: Range = Range()
    patterns: Sequence[re.Pattern[str]] = ()
    optimized: bool = False
    force: bool = False


class Run(NamedTuple):
    """What a call is done with: the policy, the time to wait for the lock, and who watches."""

    policy: Policy
    wait_seconds: float | None
    observer: Observer
    warn: Callable[[str], None]


def compile_for_cpython(wanted: Wanted, run: Run) -> Report:
    """Do what ``py3compile`` was asked for; at most one package.

    Raises NoSuchVersionError, NoSuchPackageError, and what ``rebuild`` raises.
    """
    supported = debian.parse_supported(_read(DEFAULTS), os.environ)
    versions = _installed(wanted.versions, supported)
    if not versions:
        raise NoSuchVersionError(
            "Requested versions are not installed",
            hint="py3versions --installed lists those that are",
        )
    sources = dict(_choose(wanted, versions, supported, run.warn))
    groups: dict[frozenset[Version], list[str]] = defaultdict(list)
    for source, share in sources.items():
        groups[frozenset(v for v in share if _admits(run.policy, _program(v), v))].append(source)
    programs = {
        tuple(_program(v) for v in sorted(share)): listed for share, listed in groups.items()
    }
    return _compile(programs, wanted, run)


def compile_for_pypy(wanted: Wanted, run: Run) -> Report:
    """Do what ``pypy3compile`` was asked for, if its version of Python is in the range.

    Raises NoSuchPackageError, and what ``rebuild`` raises.
    """
    version = pypy_version()
    if version is not None and not (
        wanted.versions.covers(version) and _admits(run.policy, PYPY, version)
    ):
        return Report(tree=run.policy.view()[keys.SYSTEM_TREE])
    chosen: set[str] | None = None
    if wanted.packages:
        listed = [source for package in wanted.packages for source in sources_of(package)]
        chosen = {s for s in listed if not s.startswith("/usr/share/doc/")}
    if wanted.places:
        found = {source for place in wanted.places for source in sources_in(place)}
        chosen = found if chosen is None else found & chosen
    sources = sorted(
        source
        for source in chosen or ()
        if not any(pattern.match(source) for pattern in wanted.patterns)
    )
    return _compile({(PYPY,): sources}, wanted, run)


def pypy_version() -> Version | None:
    """Read the version of Python that PyPy speaks from its program's name; None: not there."""
    name = os.path.basename(os.path.realpath(PYPY))
    try:
        return debian.parse_version(name.removeprefix("pypy"))
    except ValueError:
        return None


def _choose(
    wanted: Wanted,
    versions: Sequence[Version],
    supported: debian.Supported,
    warn: Callable[[str], None],
) -> Mapping[str, frozenset[Version]]:
    """Say which sources are compiled for which versions."""
    if wanted.packages and not wanted.places:
        return debian.for_public(sources_of(wanted.packages[0]), versions)
    if not wanted.packages:
        return debian.for_all(
            (
                source
                for place in wanted.places
                for source in debian.without(
                    sources_in(place), wanted.patterns, os.path.abspath(place)
                )
            ),
            versions,
        )
    listed = sources_of(wanted.packages[0])
    chosen: list[str] = []
    for place in map(os.path.abspath, wanted.places):
        if os.path.exists(place):
            chosen += debian.without(debian.below(listed, place), wanted.patterns, place)
        else:
            warn(f"No such file or directory: {place}")
    return debian.for_all(chosen, [supported.preferred(versions)])


def _installed(wanted: Range, supported: debian.Supported) -> list[Version]:
    """List the versions in a range: supported ones, or just the one that was named."""
    exact = wanted.exact
    candidates = supported.versions if exact is None else (exact,)
    return [v for v in candidates if wanted.covers(v) and os.path.exists(_program(v))]


def _program(version: Version) -> str:
    return f"{PROGRAMS}/python{version[0]}.{version[1]}"


def _admits(policy: Policy, program: str, version: Version) -> bool:
    """Tell whether the policy's ``interpreters`` have one, by version or by path."""
    implementation = "pypy" if program == PYPY else "cpython"
    return any(
        os.path.realpath(item) == os.path.realpath(program)
        if "/" in item
        else item == AUTO or match_python(item, implementation, (*version, 0)) > 0
        for item in policy.view()[keys.INTERPRETERS]
    )


def _compile(programs: Mapping[tuple[str, ...], Sequence[str]], wanted: Wanted, run: Run) -> Report:
    """Compile each list of sources for its interpreters."""
    report = Report(tree=run.policy.view()[keys.SYSTEM_TREE])
    for paths, sources in programs.items():
        if not paths or not sources or report.stopped:
            continue
        request = Request(
            tree=report.tree,
            policy=run.policy,
            paths=sources,
            python_paths=paths,
            levels=_OPTIMIZED if wanted.optimized else None,
            # when a package manager names files, their stamps say nothing
            force=wanted.force or bool(wanted.packages),
            wait_seconds=run.wait_seconds,
        )
        one = Report(tree=report.tree)
        rebuild(request, one, run.observer)
        _keep_beside(one, sources)
        _add(report, one)
    return report


def _keep_beside(report: Report, sources: Sequence[str]) -> None:
    """Give what no tree can serve its bytecode in place."""
    listed = frozenset(sources)
    hook = os.path.dirname(startup.__file__) + "/"
    for note in report.interpreters:
        interpreter = note.interpreter
        if interpreter is None or note.refusal:
            continue
        needed = _before_hook(interpreter, listed)
        if f"{hook}startup.py" in listed:
            needed += own_sources(startup.__file__)
        for outcome in compile_beside(interpreter, (path for path in needed if path in listed)):
            report.add(outcome)


def _before_hook(interpreter: Interpreter, listed: Iterable[str]) -> list[str]:
    """Name what an interpreter loads before the hook, where a library is compiled."""
    if f"{interpreter.library[0]}/encodings/__init__.py" not in listed:
        return []
    return loaded_before_hooks(interpreter)


def _add(total: Report, one: Report) -> None:
    """Add what became of one list."""
    total.workers, total.workers_detail = one.workers, one.workers_detail
    total.interpreters += one.interpreters
    total.compiled += one.compiled
    total.fresh += one.fresh
    total.removed += one.removed
    for outcome in (*one.failures, *one.skips):
        total.add(outcome)
    total.left += one.left
    total.seconds += one.seconds
    total.remaining += one.remaining
    total.stopped = total.stopped or one.stopped


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""

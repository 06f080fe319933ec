"""Discover: which interpreters take part, and what each has to compile."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pycache_sys.core.errors import UsageError
from pycache_sys.core.model import Interpreter, Outcome, Reason, Refusal
from pycache_sys.core.report import InterpreterNote
from pycache_sys.core.select import outermost, publishes, serves, unsearched
from pycache_sys.system import interpreters as found
from pycache_sys.system.access import Access
from pycache_sys.system.mounts import Mounts

Admits = Callable[[Interpreter], bool]


@dataclass(slots=True, kw_only=True)
class Target:
    """One folder of the tree: who compiles for it, the roots, and sources named one by one."""

    interpreter: Interpreter
    roots: tuple[str, ...] = ()
    listed: dict[str, list[str]] = field(default_factory=dict)
    """File names by directory: named by path, or by a package."""
    apart: frozenset[str] = frozenset()
    """Package directories inside the library that these interpreters do not search."""


def select_interpreters(
    paths: Sequence[str],
    specifiers: Sequence[Admits],
    access: Access,
) -> list[InterpreterNote]:
    """Find and ask the interpreters, and keep those that were asked for.

    Raises UsageError where there are interpreters, but none of the versions asked for.
    """
    candidates = [found.Candidate(path=os.path.abspath(path), named=True) for path in paths]
    if specifiers or not paths:
        candidates += found.find(access)
    notes = found.identify(candidates, access)
    chosen = [
        note
        for note in notes
        if note.named
        or not specifiers
        or (note.interpreter and any(admits(note.interpreter) for admits in specifiers))
    ]
    if notes and not chosen:
        versions = sorted(
            {note.interpreter.directory for note in notes if note.interpreter is not None}
        )
        raise UsageError(
            "no interpreter has a version that --python asks for",
            hint=f"found: {', '.join(versions) or 'none that works'}; name another by its path",
        )
    return chosen


def make_targets(notes: list[InterpreterNote]) -> list[Target]:
    """Group usable interpreters by their folder; one that cannot share it is marked as skipped."""
    targets: dict[str, Target] = {}
    for index, note in enumerate(notes):
        interpreter = note.interpreter
        if interpreter is None:
            continue
        roots = (*interpreter.library, *interpreter.site)
        target = targets.get(interpreter.directory)
        if target is None:
            targets[interpreter.directory] = Target(interpreter=interpreter, roots=roots)
        elif _compatible(target.interpreter, interpreter):
            target.roots += roots
        else:
            refusal = Refusal(
                Reason.CONFLICT,
                f"{target.interpreter.path} has the folder {interpreter.directory} already, "
                "with another magic number or cache tag",
            )
            notes[index] = replace(note, refusal=refusal)
    for target in targets.values():
        target.apart = unsearched(target.roots)
        target.roots = outermost(target.roots)
    return list(targets.values())


def _compatible(one: Interpreter, other: Interpreter) -> bool:
    return (one.magic, one.cache_tag) == (other.magic, other.cache_tag)


def name_paths(targets: Sequence[Target], paths: Sequence[str], mounts: Mounts) -> list[Outcome]:
    """Replace the targets' roots by paths that the caller named; report those that are missing."""
    missing = []
    everyone = [target.interpreter for target in targets]
    for target in targets:
        target.roots = ()
    for path in map(os.path.abspath, paths):
        refusal = mounts.refusal(path)
        if refusal is not None:
            missing.append(Outcome(path, *refusal))
            continue
        if not os.path.lexists(path):
            missing.append(Outcome(path, Reason.MISSING, "there is no such file or directory"))
            continue
        for target in targets:
            if not serves(path, target.interpreter, everyone):
                continue
            if os.path.isdir(path):
                target.roots = outermost((*target.roots, path))
            else:
                _list(target, path)
    return missing


def name_sources(targets: Sequence[Target], sources: Sequence[str]) -> None:
    """Give each target the sources, out of a package's files, that are for it."""
    everyone = [target.interpreter for target in targets]
    for target in targets:
        for source in sources:
            if publishes(source) and serves(source, target.interpreter, everyone):
                _list(target, source)


def _list(target: Target, path: str) -> None:
    directory, _, name = path.rpartition("/")
    target.listed.setdefault(directory, []).append(name)

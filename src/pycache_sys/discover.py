"""Discover: which interpreters take part, and what each has to compile."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pycache_sys.core.errors import UsageError
from pycache_sys.core.model import Interpreter, Invalidation, Outcome, Reason, Refusal
from pycache_sys.core.report import InterpreterNote
from pycache_sys.core.select import is_below, outermost, publishes, serves, unsearched
from pycache_sys.policy import keys
from pycache_sys.policy.exclusion import Judge, excluder
from pycache_sys.policy.model import Policy, subject_of
from pycache_sys.policy.values import AUTO
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons import interpreters as found
from pycache_sys_runtime.pythons import match_python

Admits = Callable[[Interpreter], bool]


class Terms(NamedTuple):
    """What the policy says of the sources of one target; ``excluded`` is None for nothing.

    Sources of an ``owner`` that is not root are limited in number and in bytes.
    """

    levels: tuple[int, ...] = (0,)
    invalidation: Invalidation = Invalidation.AUTO
    excluded: Judge | None = None
    owner: int = 0
    owned: str = ""
    """The root that this owner was given."""
    max_files: int | None = None
    max_bytes: int | None = None


class Target:
    """One part of a folder of the tree: who compiles it, the roots, and sources named one by one.

    A root that the policy has a section for is a target of its own: its terms are its own, and so
    are its workers. ``section`` names it, and is empty for all the rest.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        roots: tuple[str, ...] = (),
        apart: frozenset[str] = frozenset(),
        elsewhere: frozenset[str] = frozenset(),
        section: str = "",
        terms: Terms = Terms(),  # noqa: B008 - a tuple
    ) -> None:
        self.interpreter = interpreter
        self.roots = roots
        self.listed: dict[str, list[str]] = {}
        """File names by directory: named by path, or by a package."""
        self.apart = apart
        """Package directories inside the library that these interpreters do not search."""
        self.elsewhere = elsewhere
        """Roots that are another target's."""
        self.section = section
        self.terms = terms

    def share_of(self, path: str) -> str | None:
        """Say which part of a path is this target's to compile: the path, the section, nothing.

        Where sources are limited, they are all counted: that is, the whole root.
        """
        if any(is_below(path, root) for root in self.elsewhere):
            return None
        if not self.section:
            return path
        if is_below(path, self.section):
            return self.section if self.terms.owner else path
        return self.section if is_below(self.section, path) else None


def select_interpreters(
    paths: Sequence[str],
    specifiers: Sequence[Admits],
    access: Access,
    policy: Policy,
) -> list[InterpreterNote]:
    """Find and ask the interpreters, and keep those that were asked for, or that the policy names.

    Raises UsageError where there are interpreters, but none of the versions asked for.
    """
    if paths or specifiers:
        return _choose(_ask(paths, access, search=bool(specifiers)), specifiers)
    wanted = policy.view()[keys.INTERPRETERS]
    by_path = [item for item in wanted if "/" in item]
    others = [item for item in wanted if "/" not in item]
    return [
        note
        if note.named or note.interpreter is None or _admits(others, note.interpreter)
        else note._replace(refusal=(Reason.EXCLUDED, "the policy leaves it out"))
        for note in _ask(by_path, access, search=True)
    ]


def _ask(paths: Sequence[str], access: Access, *, search: bool) -> list[InterpreterNote]:
    candidates = [found.Candidate(path=os.path.abspath(path), named=True) for path in paths]
    if search:
        candidates += found.find(access)
    return found.identify(candidates, access)


def _choose(notes: list[InterpreterNote], specifiers: Sequence[Admits]) -> list[InterpreterNote]:
    chosen = [
        note
        for note in notes
        if note.named
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


def _admits(wanted: Sequence[str], interpreter: Interpreter) -> bool:
    """Tell whether the policy's ``interpreters`` name one, by version or by path."""
    for item in wanted:
        if "/" in item:
            fits = os.path.realpath(item) in (interpreter.path, os.path.realpath(interpreter.path))
        else:
            fits = item == AUTO or (
                match_python(item, interpreter.implementation, interpreter.version) > 0
            )
        if fits:
            return True
    return False


def make_targets(
    notes: list[InterpreterNote], policy: Policy, *, with_roots: bool = True
) -> list[Target]:
    """Group usable interpreters by their folder; one that cannot share it is marked as skipped.

    ``with_roots`` also takes the policy's roots, which are for the system tree.
    """
    targets: dict[str, Target] = {}
    for index, note in enumerate(notes):
        interpreter = note.interpreter
        if interpreter is None or note.refusal is not None:
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
            notes[index] = note._replace(refusal=refusal)
    everyone = [target.interpreter for target in targets.values()]
    sections = policy.roots if with_roots else ()
    divided = []
    for target in targets.values():
        target.apart = unsearched(target.roots)
        target.elsewhere = frozenset(sections)
        target.terms = _terms(policy, target.interpreter)
        named = policy.view(subject_of(target.interpreter))[keys.ROOTS]
        own = target.roots if AUTO in named or not with_roots else ()
        added = _expand(named) if with_roots else ()
        roots = (*own, *(root for root in added if serves(root, target.interpreter, everyone)))
        target.roots = outermost(root for root in roots if target.share_of(root))
        divided.append(target)
        divided += [
            _section_target(target, policy, section)
            for section in sections
            if serves(section, target.interpreter, everyone)
        ]
    return divided


def _section_target(target: Target, policy: Policy, section: str) -> Target:
    """Make a target of a root that the policy has a section for."""
    interpreter = target.interpreter
    terms = _terms(policy, interpreter, section)
    wanted = policy.view(subject_of(interpreter, section))[keys.INTERPRETERS]
    if not _admits(wanted, interpreter):
        terms = terms._replace(excluded=lambda _path: "the policy has it for other interpreters")
    return Target(
        interpreter=interpreter,
        roots=(section,),
        apart=target.apart,
        elsewhere=frozenset(r for r in policy.roots if r != section and is_below(r, section)),
        section=section,
        terms=terms,
    )


def _terms(policy: Policy, interpreter: Interpreter, section: str | None = None) -> Terms:
    view = policy.view(subject_of(interpreter, section))
    owner, levels, patterns = view[keys.OWNER], view[keys.OPTIMIZE], view[keys.EXCLUDE]
    return Terms(
        levels=tuple(sorted(levels)),
        invalidation=view[keys.INVALIDATION],
        excluded=excluder(patterns, policy.exemptions, interpreter),
        owner=owner,
        owned=view.settings(keys.OWNER)[-1].section.argument if owner else "",
        max_files=view[keys.MAX_FILES] if owner else None,
        max_bytes=view[keys.MAX_BYTES] if owner else None,
    )


def _expand(roots: Sequence[str]) -> Iterator[str]:
    """Look up which directories the policy's roots are."""
    for root in roots:
        if root == AUTO:
            continue
        if any(character in root for character in "*?["):
            import glob  # noqa: PLC0415 - only where a policy has patterns

            yield from sorted(glob.glob(root))
        else:
            yield root


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
            if serves(path, target.interpreter, everyone):
                _take(target, path)
    return missing


def name_sources(targets: Sequence[Target], sources: Sequence[str]) -> None:
    """Give each target the sources, out of a package's files, that are for it."""
    everyone = [target.interpreter for target in targets]
    for target in targets:
        for source in sources:
            if publishes(source) and serves(source, target.interpreter, everyone):
                _take(target, source, is_source=True)


def _take(target: Target, path: str, *, is_source: bool = False) -> None:
    """Give a target its share of a path."""
    share = target.share_of(path)
    if share is None:
        return
    if (not is_source and os.path.isdir(share)) or share != path:
        target.roots = outermost((*target.roots, share))
    else:
        directory, _, name = path.rpartition("/")
        target.listed.setdefault(directory, []).append(name)

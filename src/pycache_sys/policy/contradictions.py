"""What cannot hold together, although each statement alone is understood."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pycache_sys.core.select import is_below
from pycache_sys.policy.exclusion import Pattern
from pycache_sys.policy.keys import (
    EXCLUDE,
    EXPORT_PREFIX,
    IMAGE_TREE,
    MAX_BYTES,
    MAX_FILES,
    OWNER,
    ROOT,
    ROOT_CACHE,
    ROOTS,
    SERVICE_CACHE,
    SYSTEM_TREE,
    USER,
    USER_CACHE,
    Key,
)
from pycache_sys.policy.model import Policy, Section, Setting, Subject, View
from pycache_sys.policy.problems import Location, Problem
from pycache_sys.policy.values import AUTO

Lines = Mapping[str, Sequence[str]]

Own = Mapping[Section, Sequence[Setting]]

_PERSONAL = ("{user_cache_dir}", "{runtime_dir}", "{cache_directory}", "{uid}", "{user}")
_SYSTEM = ("/usr", "/etc", "/var", "/home")
_PACKAGED = ("/usr", "/etc")
_LOCAL = "/usr/local"


def contradictions(policy: Policy, lines: Lines) -> list[Problem]:
    """List the contradictions, each at the statement that would have to go."""
    found = []
    for at, message, hint in _find(policy):
        source = lines[at.file][at.line - 1]
        length = max(1, len(source.rstrip()) - at.column + 1)
        found.append(Problem(at=at, message=message, hint=hint, source=source, length=length))
    return found


def _find(policy: Policy) -> Iterator[tuple[Location, str, str]]:
    view = policy.view()
    yield from _trees(view)
    for setting in policy.settings:
        if setting.key in (USER_CACHE, ROOT_CACHE, SERVICE_CACHE):
            yield from _caches(setting, view)
    exports = _by_section(policy, (EXPORT_PREFIX, USER_CACHE))
    roots = _Roots(policy)
    for section in (Section(), *policy.sections):
        yield from _export(exports, section)
        if section.kind == ROOT:
            yield from _section_root(policy.sections[section], section, roots, view)
    for setting in policy.settings:
        if setting.key is ROOTS:
            for root in setting.value:
                if root != AUTO:
                    yield from _root(root, setting.at, roots, view)


def _trees(view: View) -> Iterator[tuple[Location, str, str]]:
    system, image = view[SYSTEM_TREE], view[IMAGE_TREE]
    if image and (is_below(system, image) or is_below(image, system)):
        blamed = (*view.settings(IMAGE_TREE), *view.settings(SYSTEM_TREE))[0]
        yield (
            blamed.at,
            f"the trees {system} and {image} overlap",
            "each needs a directory of its own",
        )


def _caches(setting: Setting, view: View) -> Iterator[tuple[Location, str, str]]:
    """Look at the directory of a cache: apart from the trees, and one user's alone."""
    path = setting.value
    for key in (SYSTEM_TREE, IMAGE_TREE):
        tree = view[key]
        if tree and path and (is_below(path, tree) or is_below(tree, path)):
            yield (
                setting.at,
                f"{path} overlaps with the {key.name} {tree}",
                "only root writes that; choose a directory elsewhere",
            )
    if setting.key is not ROOT_CACHE and path and not any(mark in path for mark in _PERSONAL):
        one = setting.section.kind == USER and len(setting.section.argument.split()) == 1
        if not one:
            yield setting.at, f"every user would have the same {path}", "add /{uid} to it"


def _by_section(policy: Policy, keys: Collection[Key[Any]]) -> Own:
    """Sort what is said of some keys, once: there may be thousands of sections."""
    found: dict[Section, list[Setting]] = {}
    for setting in policy.settings:
        if setting.key in keys:
            found.setdefault(setting.section, []).append(setting)
    return found


class _Roots:
    """What is said of roots; a policy may have thousands, and most have the same."""

    def __init__(self, policy: Policy) -> None:
        self.own = _by_section(policy, (EXCLUDE, OWNER, MAX_FILES, MAX_BYTES))
        self._lengths = {len(section.argument) for section in self.own}
        self._views: dict[tuple[Section, ...], View] = {}
        self._patterns: dict[str, Pattern] = {}

    def view(self, root: str) -> View:
        """Say what holds for a root: from the sections for it and for what is above it."""
        ends = (at for at in self._lengths if root[at : at + 1] in ("/", ""))
        above = (Section(ROOT, root[:end]) for end in sorted(ends) if end <= len(root))
        sections = tuple(section for section in above if section in self.own)
        if sections not in self._views:
            own = [s for place in (Section(), *sections) for s in self.own.get(place, ())]
            places = {setting.section: setting.at for setting in own}
            policy = Policy(settings=tuple(own), sections=places)
            self._views[sections] = policy.view(Subject(root=root))
        return self._views[sections]

    def excluding(self, root: str) -> Iterator[str]:
        """List the patterns that exclude a root."""
        for text in self.view(root)[EXCLUDE]:
            if text not in self._patterns:
                self._patterns[text] = Pattern(text)
            if self._patterns[text].covers(root):
                yield text


def _export(own: Own, section: Section) -> Iterator[tuple[Location, str, str]]:
    """See that there is something to export where ``export-prefix`` is on."""
    nobody = Location(file="")
    on, cache = (False, nobody), (AUTO, nobody)
    here = own.get(section, ())
    for setting in here if not section.kind else (*own.get(Section(), ()), *here):
        if setting.key is EXPORT_PREFIX:
            on = (setting.value, setting.at)
        else:
            cache = (setting.value, setting.at)
    mine = {setting.at for setting in here}
    if on[0] and not cache[0] and not mine.isdisjoint((on[1], cache[1])):
        yield (
            on[1],
            "there is no user-cache that could be exported: it is off",
            f"switched off in {cache[1]}",
        )


def _section_root(
    at: Location, section: Section, roots: _Roots, view: View
) -> Iterator[tuple[Location, str, str]]:
    yield from _root(section.argument, at, roots, view)
    own = {setting.key.name: setting.at for setting in roots.own.get(section, ())}
    owner = roots.view(section.argument)[OWNER]
    if OWNER.name in own and _is_systems(section.argument):
        yield (
            own[OWNER.name],
            f"{section.argument} holds the system itself: it stays root's",
            "name the directory of one application",
        )
    for key in (MAX_FILES, MAX_BYTES):
        if key.name in own and not owner and OWNER.name not in own:
            yield (
                own[key.name],
                f"'{key.name}' is for a root that has another owner",
                "add owner = …, or leave it out",
            )


def _is_systems(root: str) -> bool:
    """Tell whether a root holds directories of the system, or what packages install."""
    if any(is_below(path, root) for path in _SYSTEM):
        return True
    local = is_below(root, _LOCAL) and root != _LOCAL
    return not local and any(is_below(root, path) for path in _PACKAGED)


def _root(
    root: str, at: Location, roots: _Roots, view: View
) -> Iterator[tuple[Location, str, str]]:
    """See that a root can be compiled at all."""
    for key in (SYSTEM_TREE, IMAGE_TREE):
        tree = view[key]
        if tree and is_below(root, tree):
            yield at, f"{root} lies in the {key.name} {tree}", "bytecode has no bytecode"
    for text in roots.excluding(root):
        yield at, f"{root} is excluded as a whole, by {text}", "leave out the one or the other"

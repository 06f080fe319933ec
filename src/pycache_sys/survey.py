"""Survey: look at the sources and at the tree, and make the plan."""

import os
from collections.abc import Mapping, Sequence

from pycache_sys.core.model import (
    REVOKING,
    Entry,
    Outcome,
    Reason,
    Refusal,
    SourceDirectory,
    TreeDirectory,
)
from pycache_sys.core.plan import Order, Plan, add_directory, source_of
from pycache_sys.core.select import broken_test_data, is_below
from pycache_sys.discover import Target, Terms
from pycache_sys.system.access import Access
from pycache_sys.system.forks import fork
from pycache_sys.system.sources import Walk, is_gone, named_files
from pycache_sys.system.tree import Tree
from pycache_sys_runtime import layout

_WIDTH_WORTH_DIVIDING = 64
_PARTS = 32
_LIBRARY_MARK = "/os.py"
"""What each standard library has at its top, and is looked for by Python itself."""

Seen = tuple[Plan, dict[str, tuple[str, ...]]]


def survey(
    target: Target,
    tree: Tree,
    access: Access,
    order: Order,
    *,
    prune: bool,
    everything: bool,
    divide: bool,
    image: Tree | None = None,
) -> Plan:
    """Plan one folder of the tree.

    With ``prune`` the entries below the roots whose source is gone are planned to go; with
    ``everything`` also those that stand elsewhere in the folder are looked at: what was once
    built on request is kept true until its source is gone. With ``divide`` a second process takes
    a part of the directories. What an ``image`` tree serves is not built a second time.
    """

    def broken(directory: str) -> tuple[str, ...]:
        return broken_test_data(directory, target.interpreter.library)

    part = _Part(tree, access, order, target, prune=prune, image=image)
    silent = access.mounts.silent(target.roots, inside=True)
    part.skip_silent(target.roots, silent)
    roots = [r for r in target.roots if not access.mounts.silent([r]) and not is_gone(r)]
    apart = target.apart | target.elsewhere | silent
    walk = Walk(roots, access.trust, broken, apart, target.terms.excluded)
    divide = divide and target.terms.max_files is None  # what is limited is counted by one
    part.follow(walk, until=_WIDTH_WORTH_DIVIDING if divide else None)
    if walk.width:
        tree.close()  # a directory that two processes have open has one position for both
        if image is not None:
            image.close()
        other = _Part(tree, access, order, target, prune=prune, image=image)
        other.seen.update(part.seen)
        share(part, other, walk.divide(_PARTS))
    for directory, names in target.listed.items():
        part.add_listed(directory, names)
    if prune:
        whole = everything and not target.section
        part.follow_tree(["/"] if whole else list(target.roots))
    return part.plan


def share(part: "_Part", other: "_Part", walks: Sequence[Walk]) -> None:
    """Follow walks in two processes, each taking the next one when it is done with one.

    A pipe holds the numbers of the walks that nobody has taken.
    """
    taking, giving = os.pipe()
    os.write(giving, bytes(range(len(walks))))
    os.close(giving)

    def work(worker: _Part) -> tuple[Seen, bytes]:
        taken = b""
        while number := os.read(taking, 1):
            worker.follow(walks[number[0]])
            taken += number
        return (worker.plan, worker.seen), taken

    result = fork(lambda: work(other))
    _, taken = work(part)
    os.close(taking)
    answer = result()
    if answer is not None:
        part.merge(answer[0])
        return
    for number in set(range(len(walks))).difference(taken):  # the other process failed
        part.follow(walks[number])


def survey_orphan(tree: Tree, order: Order, *, is_left_out: bool = False) -> Plan:
    """Plan a folder that no interpreter has.

    Everything goes where the policy leaves the interpreter out, or where its standard library was
    here and has gone, too. Where the library stayed, programs may embed it: then only what has no
    source goes.
    """
    plan = Plan(order=order)
    ours: list[tuple[str, str]] = []
    foreign = 0
    pending = [order.directory]
    while pending:
        relative = pending.pop()
        found = tree.read_directory(relative)
        pending += [f"{relative}/{name}" for name in found.subdirectories]
        if not found.entries:
            plan.hollow.append(relative)
        directory = relative[len(order.directory) :]
        is_ours = layout.cache_directory(directory, order.directory) is not None
        for name in found.entries:
            source = source_of(name, order)
            if is_ours and source is not None:
                ours.append((f"{relative}/{name}", f"{directory}/{source}"))
            else:
                foreign += 1
    libraries = [is_gone(source) for _, source in ours if source.endswith(_LIBRARY_MARK)]
    everything = is_left_out or (bool(libraries) and all(libraries))
    plan.removals += [path for path, source in ours if everything or is_gone(source)]
    kept = foreign + len(ours) - len(plan.removals)
    if kept:
        whose = "left out by the policy" if is_left_out else "not installed"
        detail = f"{kept} files for an interpreter that is {whose}: left alone"
        plan.left.append(Outcome(order.prefix, Reason.NO_INTERPRETER, detail))
    return plan


class _Limit:
    """What the sources of an owner other than root may come to."""

    def __init__(self, terms: Terms) -> None:
        self.is_set = terms.max_files is not None
        self._files = terms.max_files
        self._bytes = terms.max_bytes

    def trim(self, sources: SourceDirectory) -> SourceDirectory:
        """Take the sources that fit, and report the others."""
        if self._files is None:
            return sources
        files: dict[str, os.stat_result] = {}
        skips = list(sources.skips)
        for name, status in sorted(sources.files.items()):
            if self._files < 1 or (self._bytes is not None and status.st_size > self._bytes):
                detail = "max-files or max-bytes of its root's section"
                skips.append(Outcome(f"{sources.path}/{name}", Reason.OVER_LIMIT, detail))
                continue
            self._files -= 1
            if self._bytes is not None:
                self._bytes -= status.st_size
            files[name] = status
        return sources._replace(files=files, skips=tuple(skips))


class _Part:
    """What one process has seen, and its share of the plan."""

    def __init__(
        self,
        tree: Tree,
        access: Access,
        order: Order,
        target: Target,
        *,
        prune: bool,
        image: Tree | None = None,
    ) -> None:
        self.plan = Plan(order=order)
        self.seen: dict[str, tuple[str, ...]] = {}
        """By source directory: what subdirectories the tree's directory for it has."""
        self._tree = tree
        self._image = image
        self._trust = access.trust
        self._mounts = access.mounts
        self._prune = prune
        self._elsewhere = target.elsewhere
        self._excluded = target.terms.excluded
        self._limit = _Limit(target.terms)

    def skip_silent(self, roots: Sequence[str], silent: frozenset[str]) -> None:
        """Report the mounts that do not answer: as the roots that lie there, or as themselves."""
        for point in silent:
            for place in [root for root in roots if is_below(root, point)] or [point]:
                refusal = self._mounts.refusal(place)
                if refusal is not None:
                    self.plan.skips.append(Outcome(place, *refusal))

    def follow(self, walk: Walk, *, until: int | None = None) -> None:
        """Plan each directory of a walk, at most until it is so many directories wide."""
        for sources in map(self._limit.trim, walk) if self._limit.is_set else walk:
            if sources.path not in self.seen:
                self.plan.skips.extend(sources.skips)
                found = self._read(sources.path)
                image = self._read_image(sources.path)
                add_directory(self.plan, sources, found, prune=self._prune, image=image)
                if sources.refusal is not None and sources.refusal.reason in REVOKING:
                    self._revoke(sources.path, sources.refusal)
            if until is not None and walk.width >= until:
                break

    def merge(self, other: Seen) -> None:
        """Add what another process has seen."""
        self.plan.merge(other[0])
        self.seen |= other[1]

    def add_listed(self, directory: str, names: list[str]) -> None:
        """Plan files that were named one by one."""
        walked = directory in self.seen  # a root that was named too: its sources are planned
        names = [name for name in dict.fromkeys(names) if not (walked and name.endswith(".py"))]
        named = self._limit.trim(named_files(directory, names, self._trust, self._excluded))
        self.plan.skips.extend(named.skips)
        image = self._read_image(directory)
        add_directory(self.plan, named, self._read(directory), prune=False, image=image)

    def follow_tree(self, starts: list[str]) -> None:
        """Plan the directories of the tree that no source led to."""
        pending = [start.strip("/") for start in starts]
        while pending:
            inner = pending.pop()
            directory = f"/{inner}"
            if directory in self._elsewhere:
                continue
            children = self.seen.get(directory)
            if children is None and not self._mounts.silent([directory]):
                children = self._add_rest(directory)
            pending += [f"{inner}/{name}".lstrip("/") for name in children or ()]

    def _add_rest(self, directory: str) -> tuple[str, ...]:
        """Plan the entries of one directory by looking for each one's source."""
        order = self.plan.order
        found = self._tree.read_directory(f"{order.directory}{directory}".rstrip("/"))
        if found.entries:
            named = {source_of(name, order) for name in found.entries}
            names = sorted(name for name in named if name is not None)
            sources = self._limit.trim(
                named_files(directory.rstrip("/"), names, self._trust, self._excluded)
            )
            self.plan.skips.extend(s for s in sources.skips if s.reason is not Reason.VANISHED)
            add_directory(self.plan, sources, found, prune=True)
        else:
            self.plan.hollow.append(f"{order.directory}{directory}".rstrip("/"))
        return found.subdirectories

    def _revoke(self, directory: str, refusal: Refusal) -> None:
        """Take out what the tree has from below a directory that may not feed it any more."""
        pending = [f"{directory}/{name}" for name in self.seen[directory]]
        while pending:
            inner = pending.pop()
            found = self._read(inner)
            pending += [f"{inner}/{name}" for name in found.subdirectories]
            add_directory(
                self.plan, SourceDirectory(path=inner, refusal=refusal), found, prune=False
            )

    def _read_image(self, directory: str) -> Mapping[str, Entry]:
        """Read what the image's tree has for a source directory."""
        below = layout.cache_directory(directory, self.plan.order.directory)
        if self._image is None or below is None:
            return {}
        return self._image.read_directory(below).entries

    def _read(self, directory: str) -> TreeDirectory:
        """Read the tree's directory for a source directory, unless its parent shows it absent."""
        parent, _, name = directory.rpartition("/")
        siblings = self.seen.get(parent)
        below = layout.cache_directory(directory, self.plan.order.directory)
        found = TreeDirectory()
        if below is not None and (siblings is None or name in siblings):
            found = self._tree.read_directory(below)
        self.seen[directory] = found.subdirectories
        return found

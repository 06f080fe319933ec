"""The use cases ``py3clean`` and ``pypy3clean``: take out the bytecode of sources that will go.

Gone are the tree's entries, and in the ``__pycache__`` beside each source what bears the name of
its bytecode. No interpreter is run: one that is broken must not keep a package from being removed.
What has no source, an untagged ``foo.pyc``, and what a package lists as its own file are left.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pycache_sys.apply import remove_entries
from pycache_sys.core import debian
from pycache_sys.core.debian import Version
from pycache_sys.core.model import Outcome, Reason
from pycache_sys.core.names import tag_of
from pycache_sys.core.plan import Order, Plan
from pycache_sys.core.report import Report
from pycache_sys.named_sources import files_of, sources_in
from pycache_sys.system import in_place, lock
from pycache_sys.system.tree import Tree
from pycache_sys_runtime import layout

ALL = ""
PYPY = "pypy"
_OPTIMIZATIONS = ("", "1", "2")


class Wanted(NamedTuple):
    """What a call asks for; ``tag`` is how the tags of the bytecode begin that is to go."""

    packages: Sequence[str] = ()
    places: Sequence[str] = ()
    tag: str = ALL


class Sources(NamedTuple):
    """Sources by directory, and the bytecode that a manifest names."""

    names: Mapping[str, set[str]]
    named: frozenset[str] = frozenset()


def tag_for(version: Version) -> str:
    """Name the tag of a version of CPython."""
    return f"cpython-{version[0]}{version[1]}"


def choose(wanted: Wanted) -> Sources:
    """Find the sources that are meant: of packages, below places, or what is both.

    Raises NoSuchPackageError.
    """
    listed: set[str] | None = None
    files = [path for package in wanted.packages for path in files_of(package)]
    if wanted.packages:
        listed = {path for path in files if path.endswith(".py")}
    if wanted.places:
        below = {source for place in wanted.places for source in sources_in(place)}
        listed = below if listed is None else below & listed
    names: dict[str, set[str]] = defaultdict(set)
    for source in listed or ():
        directory, _, name = source.rpartition("/")
        names[directory].add(name)
    if wanted.packages:
        return Sources(names, frozenset(path for path in files if path.endswith(".pyc")))
    if not names:
        return Sources(names)
    from pycache_sys.packagers.manifests import (  # noqa: PLC0415 - packages need it not
        named_bytecode,
    )

    return Sources(names, named_bytecode(()))


def clean_beside(chosen: Sources, tag: str, report: Report) -> None:
    """Remove bytecode in the ``__pycache__`` beside sources, and each that is empty then."""
    for directory, names in sorted(chosen.names.items()):
        present = {name for name in names if os.path.lexists(f"{directory}/{name}")}
        if not os.path.isdir(f"{directory}/{in_place.PYCACHE}"):
            continue
        stems = frozenset(name[:-3] for name in present)
        folder = in_place.look(directory, frozenset(present))
        going = [
            name
            for name in folder.files
            if debian.bytecode_of(name, stems, tag)
            and f"{directory}/{in_place.PYCACHE}/{name}" not in chosen.named
        ]
        try:
            report.removed += in_place.remove(directory, going, may_go=True).files
        except (OSError, in_place.NotRootsError) as error:
            why = error.strerror if isinstance(error, OSError) else "not root's alone"
            place = f"{directory}/{in_place.PYCACHE}"
            report.add(Outcome(place, Reason.WRITE, f"not removed: {why}"))


def clean_tree(
    chosen: Sources,
    tag: str,
    report: Report,
    *,
    wait_seconds: float | None,
    waiting: Callable[[str], None],
) -> None:
    """Remove the tree's entries of sources. Raises LockedError and TreeError."""
    tree = Tree(report.tree, is_system=True)
    if not os.path.isdir(tree.path) or not chosen.names:
        return
    try:
        tree.create()
        path = lock.lock_path(tree.path, is_system=True)
        with lock.held(path, seconds=wait_seconds, waiting=waiting):
            for folder in tree.read_directory("").subdirectories:
                found = tag_of(folder)
                if found is not None and _is_meant(found, tag):
                    _clean_folder(tree, folder, found, chosen, report)
    finally:
        tree.close()


def _is_meant(tag: str, wanted: str) -> bool:
    return tag == wanted if wanted[-1:].isdigit() else tag.startswith(wanted)


def _clean_folder(tree: Tree, folder: str, tag: str, chosen: Sources, report: Report) -> None:
    """Remove the entries of one interpreter."""
    plan = Plan(order=Order(tree=tree.path, directory=folder, cache_tag=tag, magic=b""))
    for directory, names in chosen.names.items():
        below = layout.cache_directory(directory, folder)
        if below is None or not os.path.isdir(f"{tree.path}/{below}"):
            continue
        plan.removals += [f"{below}/{name}" for name in _entries(names, tag)]
    remove_entries(plan, tree, report)


def _entries(names: Iterable[str], tag: str) -> list[str]:
    named = (layout.cache_name(n, tag, level) for n in names for level in _OPTIMIZATIONS)
    return [name for name in named if name is not None]

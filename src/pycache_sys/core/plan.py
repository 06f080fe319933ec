"""Decide what is fresh and what is to be done: the centre of the builder.

The tree is its own ledger. An entry is fresh when it has its source's mtime to the nanosecond, a
header that agrees, and a ctime not before its source's: nobody can set a ctime, so a source that
was replaced by one of the same size and mtime is seen. Where mtimes are flattened (and ctimes may
run backwards between deployments) the source is hashed. In doubt, compile.
"""

from collections.abc import Mapping
from enum import Enum, auto
from os import stat_result
from stat import S_IFREG
from types import MappingProxyType
from typing import NamedTuple

from pycache_sys.core import pyc
from pycache_sys.core.model import (
    REVOKING,
    Entry,
    Invalidation,
    Job,
    Outcome,
    Reason,
    SourceDirectory,
    TreeDirectory,
)
from pycache_sys_runtime import layout

NAME_MAX = 255
PATH_MAX = 4095
_TEMPORARY = (".pycache-sys-", ".tmp")
_TEMPORARY_LENGTH = 16
_UNMAPPED = "its bytecode has no place of its own in a tree"
_OPTIMIZATIONS = ("", "1", "2")
_PUBLIC = 0o644


class Freshness(Enum):
    """What one entry is to its source."""

    FRESH = auto()
    STALE = auto()
    DOUBTFUL = auto()
    """Only the source's hash can tell: compare it with the header's."""


class Order(NamedTuple):
    """What is wanted of one interpreter's part of the tree.

    ``granularity`` is that of mtimes on the tree's file system, in nanoseconds; ``mode`` and
    ``directory`` are what this interpreter's entries have and where they stand below ``tree``.
    """

    tree: str
    directory: str
    cache_tag: str
    magic: bytes
    levels: tuple[int, ...] = (0,)
    invalidation: Invalidation = Invalidation.AUTO
    or_timestamp: bool = False
    """What is matched by time is right as well, where times say something: whoever looks at a root
    from outside finds what its own runs have made, or those from outside."""
    force: bool = False
    listed: frozenset[str] = frozenset()
    """Sources that a package manager has written just now: their stamps say nothing."""
    is_doubtful: bool = False
    """Built for another root, perhaps: times prove nothing, only hashes do."""
    owner: int = 0
    world_readable: bool = True
    granularity: int = 1

    @property
    def prefix(self) -> str:
        """The interpreter's part of the tree: what a stock ``pycache_prefix`` would be."""
        return f"{self.tree}/{self.directory}"


class Plan:
    """All that is to be done, for one interpreter: what ``--dry-run`` prints."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.jobs: list[Job] = []
        self.doubts: list[tuple[Job, bytes]] = []
        self.removals: list[str] = []
        """Entries to take out, as paths relative to the tree's top."""
        self.hollow: list[str] = []
        """Directories of the tree that have no entry: removed if they are empty by then."""
        self.skips: list[Outcome] = []
        self.left: list[Outcome] = []
        self.fresh = 0
        self.kept_bytes = 0
        """The size of all entries that stay as they are."""

    def merge(self, other: "Plan") -> None:
        """Add what another part of the same survey planned."""
        self.jobs += other.jobs
        self.doubts += other.doubts
        self.removals += other.removals
        self.hollow += other.hollow
        self.skips += other.skips
        self.left += other.left
        self.fresh += other.fresh
        self.kept_bytes += other.kept_bytes

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is to be done."""
        return not (self.jobs or self.doubts or self.removals)


def temporary_name(token: str) -> str:
    """Name a file under construction; ``token`` is 16 hexadecimal digits."""
    return token.join(_TEMPORARY)


def is_temporary(name: str) -> bool:
    """Tell whether a file is one that a killed run left half made."""
    before, after = _TEMPORARY
    token = name[len(before) : -len(after)]
    return (
        name == temporary_name(token)
        and len(token) == _TEMPORARY_LENGTH
        and all(character in "0123456789abcdef" for character in token)
    )


def entry_mode(status: stat_result, order: Order) -> int:
    """Return the permissions of a source's entries.

    0644 in a tree for everybody, whose sources everybody can read. A caller's own tree keeps the
    source's privacy, as stock Python does.
    """
    return 0o644 if order.world_readable else 0o600 | (status.st_mode & 0o044)


def wanted_flags(status: stat_result, header: bytes, order: Order) -> int:
    """Say which flags word an entry should have."""
    by_time = pyc.start(order.magic, pyc.TIMESTAMP)
    if order.or_timestamp and header.startswith(by_time) and not pyc.is_flattened(status):
        return pyc.TIMESTAMP
    return pyc.flags(order.invalidation, status)


def judge(status: stat_result, entry: Entry, order: Order) -> Freshness:
    """Tell whether an entry is what the builder would make of a source now."""
    flags = wanted_flags(status, entry.header, order)
    header = entry.header
    if (
        entry.mode != S_IFREG | entry_mode(status, order)
        or entry.uid != order.owner
        or len(header) != pyc.HEADER_SIZE
        or header[:8] != pyc.start(order.magic, flags)
        or entry.ctime < status.st_ctime_ns
        or entry.mtime != status.st_mtime_ns // order.granularity * order.granularity
    ):
        return Freshness.STALE
    if flags == pyc.TIMESTAMP:
        is_certain = not (order.is_doubtful or pyc.is_flattened(status))
        if header[8:] != pyc.timestamp_fields(status) or not is_certain:
            return Freshness.STALE
    elif order.is_doubtful or pyc.is_flattened(status):
        return Freshness.DOUBTFUL
    return Freshness.FRESH


def add_directory(
    plan: Plan,
    sources: SourceDirectory,
    tree: TreeDirectory,
    *,
    prune: bool,
    image: Mapping[str, Entry] = MappingProxyType({}),
) -> None:
    """Plan one directory of sources against its directory in the tree.

    ``image`` is what another tree, which is read first, has for it: where that serves a source, an
    entry that is missing here is not missed.
    """
    if not (sources.files or tree.entries):
        return
    below = layout.cache_directory(sources.path, plan.order.directory)
    if below is None:
        for name in tree.entries:
            _add_unnamed(plan, f"{plan.order.directory}{sources.path}".rstrip("/"), name)
        for name in sources.files:
            plan.skips.append(Outcome(f"{sources.path}/{name}", Reason.NOT_A_SOURCE, _UNMAPPED))
        return
    others = dict(tree.entries)
    for name, status in sources.files.items():
        _add_source(plan, sources.path, name, status, others, image)
    for name, entry in others.items():
        named = source_of(name, plan.order)
        if named is None:
            _add_unnamed(plan, below, name)
        elif named in sources.files:
            _add_other_level(plan, f"{below}/{name}", sources.files[named], entry)
        elif _is_to_go(named, sources, prune=prune):
            plan.removals.append(f"{below}/{name}")


def _is_to_go(name: str, sources: SourceDirectory, *, prune: bool) -> bool:
    """Tell whether the entries of a source that is not compiled are taken out.

    They go when their source is gone, and also when it may not feed the tree any more, or is not
    to. They stay when their source could not be looked at.
    """
    refusals = [o.reason for o in sources.skips if o.source == f"{sources.path}/{name}"]
    if sources.refusal:
        refusals.append(sources.refusal.reason)
    if not refusals or refusals[0] is Reason.VANISHED:
        return prune
    return refusals[0] in REVOKING


def _add_source(
    plan: Plan,
    directory: str,
    name: str,
    status: stat_result,
    entries: dict[str, Entry],
    image: Mapping[str, Entry],
) -> None:
    """Plan one source; take its entries of the levels that are asked for out of ``entries``."""
    order = plan.order
    forced = order.force or (order.listed and f"{directory}/{name}" in order.listed)
    verdict = Freshness.STALE if forced else Freshness.FRESH
    header = b""
    size = 0
    for level in order.levels:
        cached = layout.cache_name(name, order.cache_tag, str(level or ""))
        if cached is None:
            plan.skips.append(Outcome(f"{directory}/{name}", Reason.NOT_A_SOURCE, _UNMAPPED))
            return
        freshness, found, length = _weigh(cached, status, entries, image, order)
        if freshness is None:
            if _too_long(order, directory, cached):
                plan.skips.append(
                    Outcome(
                        f"{directory}/{name}",
                        Reason.NAME_TOO_LONG,
                        "its bytecode's name would be longer than the system allows",
                    )
                )
                return
            verdict = Freshness.STALE
            continue
        size += length
        match freshness:
            case Freshness.STALE:
                verdict = Freshness.STALE
            case Freshness.DOUBTFUL if verdict is Freshness.FRESH:
                verdict, header = Freshness.DOUBTFUL, found
            case Freshness.DOUBTFUL if header and header != found:
                verdict = Freshness.STALE
    if verdict is Freshness.FRESH:
        plan.fresh += 1
        plan.kept_bytes += size
        return
    job = make_job(f"{directory}/{name}", status, order)
    if verdict is Freshness.DOUBTFUL:
        plan.doubts.append((job, header[8:]))
    else:
        plan.jobs.append(job)


def _weigh(
    cached: str,
    status: stat_result,
    entries: dict[str, Entry],
    image: Mapping[str, Entry],
    order: Order,
) -> tuple[Freshness | None, bytes, int]:
    """Judge the entry of one level, here or in the image: (None if missing, header, size here)."""
    entry = entries.pop(cached, None)
    if entry is not None:
        return judge(status, entry, order), entry.header, entry.size
    served = image.get(cached)
    if served is not None and _may_serve(served, order):
        return Freshness.DOUBTFUL, served.header, 0
    return None, b"", 0


def _may_serve(entry: Entry, order: Order) -> bool:
    """Tell whether an image's entry is one that start-up believes, if the hash is the source's."""
    start = pyc.start(order.magic, pyc.CHECKED_HASH)
    return (
        entry.mode == S_IFREG | _PUBLIC
        and entry.uid == order.owner
        and len(entry.header) == pyc.HEADER_SIZE
        and entry.header[:8] == start
    )


def make_job(source: str, status: stat_result, order: Order) -> Job:
    """Say how to compile a source."""
    return Job(
        source=source,
        size=status.st_size,
        levels=bytes(order.levels),
        invalidation=pyc.flags(order.invalidation, status),
    )


def source_of(name: str, order: Order) -> str | None:
    """Name the source of an entry; None for a name that no run of ours would give."""
    named = layout.source_name(name, order.cache_tag)
    return named[0] if named is not None and named[1] in _OPTIMIZATIONS else None


def cache_names(source: str, order: Order) -> tuple[str, list[str]]:
    """Say where a planned source's entries stand: their directory below the top, their names."""
    directory, _, name = source.rpartition("/")
    below = layout.cache_directory(directory, order.directory)
    names = [layout.cache_name(name, order.cache_tag, str(level or "")) for level in order.levels]
    assert below is not None  # noqa: S101 - only mappable sources are planned
    return below, [cached for cached in names if cached is not None]


def entry_paths(source: str, order: Order) -> list[str]:
    """Name a planned source's entries by their paths below the top."""
    below, names = cache_names(source, order)
    return [f"{below}/{name}" for name in names]


def _too_long(order: Order, directory: str, cached: str) -> bool:
    name = len(cached.encode("utf-8", "surrogateescape"))
    path = len(f"{order.prefix}{directory}/".encode("utf-8", "surrogateescape")) + name
    return name > NAME_MAX or path > PATH_MAX


def _add_other_level(plan: Plan, path: str, status: stat_result, entry: Entry) -> None:
    """Take out an entry of a level that is not asked for, unless it is fresh."""
    if judge(status, entry, plan.order) is not Freshness.FRESH:
        plan.removals.append(path)


def _add_unnamed(plan: Plan, below: str, name: str) -> None:
    """Leave what our rule does not name, but for what a killed run of ours left behind."""
    path = f"{below}/{name}"
    if is_temporary(name):
        plan.removals.append(path)
    else:
        plan.left.append(
            Outcome(f"{plan.order.tree}/{path}", Reason.FOREIGN, "not a name of ours: left alone")
        )

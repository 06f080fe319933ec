"""How everything stands as metrics, in the text that node_exporter's textfile collector reads.

What is not known has no sample. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pycache_sys import __version__
from pycache_sys.cli.render import printable
from pycache_sys.core.standing import Hook, Standing, Use

PREFIX = "pycache_sys_"


class Metric(NamedTuple):
    """A metric, all of them gauges: its name without the prefix, and what it says."""

    name: str
    help: str


class Sample(NamedTuple):
    """One value of a metric."""

    metric: Metric
    value: float
    labels: Mapping[str, str]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("info", "The version of pycache-sys, always 1."),
        Metric("up", "Whether the tree, and at least one interpreter, could be looked at."),
        Metric("collection_seconds", "How long it took to find all this out."),
        Metric("tree_exists", "Whether there is a tree whose bytecode counts."),
        Metric("sources", "Sources by the state of their bytecode in the tree."),
        Metric("tree_files", "Files in the tree, one with several names once."),
        Metric("tree_bytes", "What they take up: their sizes, and their blocks on the disk."),
        Metric("tree_stray_files", "Files in the tree that the next run removes."),
        Metric("tree_foreign_files", "Files in the tree that pycache-sys did not name."),
        Metric("hook_enabled", "Whether a start of the interpreter has the hook."),
        Metric("last_run_timestamp_seconds", "When the last run for everything began."),
        Metric("last_run_duration_seconds", "How long it took."),
        Metric("last_run_failures", "Sources and others that failed in it."),
        Metric("last_run_stopped", "Whether it ended before its time."),
        Metric("user_cache_bytes", "What a user's own cache takes up on the disk."),
        Metric("user_cache_files", "Files in a user's own cache."),
    )
}


def exposition(standing: Standing) -> str:
    """Write everything that is known, each metric with its help and type."""
    found: dict[Metric, list[Sample]] = {metric: [] for metric in METRICS.values()}
    for sample in _samples(standing):
        found[sample.metric].append(sample)
    lines = []
    for metric, samples in found.items():
        if samples:
            name = PREFIX + metric.name
            lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels(sample.labels)} {sample.value}" for sample in samples]
    return "\n".join(lines) + "\n"


def _samples(standing: Standing) -> Iterator[Sample]:
    yield _sample("info", 1, version=__version__)
    yield _sample("up", standing.is_up)
    yield _sample("collection_seconds", round(standing.seconds, 3))
    yield _sample("tree_exists", standing.is_there and not standing.trouble)
    yield from _of_folders(standing)
    for hooked in standing.hooks:
        if hooked.hook is not None:
            is_on = hooked.hook is Hook.ON
            place = {"interpreter": hooked.directory, "path": hooked.path}
            yield _sample("hook_enabled", is_on, **place)
    yield from _of_last_run(standing)
    yield from _of_caches(standing)


def _of_folders(standing: Standing) -> Iterator[Sample]:
    for folder in standing.folders if not standing.trouble else ():
        of = {"interpreter": folder.directory}
        if folder.use is Use.USED:
            states = {
                "fresh": folder.fresh,
                "stale": folder.stale,
                "missing": folder.missing,
                "uncompilable": folder.uncompilable,
                "skipped": folder.skipped,
            }
            for state, number in states.items():
                yield _sample("sources", number, **of, state=state)
        if standing.is_there:
            yield _sample("tree_files", folder.space.files, **of)
            yield _sample("tree_bytes", folder.space.apparent, **of, kind="apparent")
            yield _sample("tree_bytes", folder.space.disk, **of, kind="disk")
            yield _sample("tree_stray_files", folder.stray, **of)
            yield _sample("tree_foreign_files", folder.foreign, **of)


def _of_last_run(standing: Standing) -> Iterator[Sample]:
    run = standing.last_run
    if run is not None:
        yield _sample("last_run_timestamp_seconds", round(run.when, 3))
        yield _sample("last_run_duration_seconds", run.seconds)
        yield _sample("last_run_failures", run.counts["failed"])
        yield _sample("last_run_stopped", bool(run.stopped))


def _of_caches(standing: Standing) -> Iterator[Sample]:
    """Add up those of one user: the policy can have places of their own for some interpreters."""
    sizes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for cache in standing.caches or ():
        if not cache.refused:
            sizes[cache.user][0] += cache.size
            sizes[cache.user][1] += cache.files
    for user, (size, files) in sorted(sizes.items()):
        yield _sample("user_cache_bytes", size, user=user)
        yield _sample("user_cache_files", files, user=user)


def _sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(METRICS[name], int(value) if isinstance(value, bool) else value, labels)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items()) + "}"


def _escape(text: str) -> str:
    """Escape a label's value; what is no printable text is made so first."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')

"""The laws of ``rebuild``: apply then plan is empty, and nothing is taken that cannot come back."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from interpreters.builder import FOLDER, TAG, identity, pretend, snapshot
from pycache_sys.build_request import Request
from pycache_sys.core.model import Reason
from pycache_sys.core.plan import Order, Plan
from pycache_sys.core.report import Report
from pycache_sys.rebuild import rebuild
from pycache_sys.survey import survey_orphan
from pycache_sys.system.tree import Tree
from pycache_sys_runtime import layout
from strategies import components, source_names

WHO = identity()
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: each example starts processes, and a tree of twelve files is small enough."""


@dataclass
class Recorder:
    """Keeps the plans."""

    plans: list[Plan] = field(default_factory=list)

    def waiting(self, message: str) -> None:
        raise AssertionError(message)

    def planned(self, plan: Plan, interpreter: str) -> None:  # noqa: ARG002 - a port
        self.plans.append(plan)

    def advanced(self) -> None:
        pass


@dataclass(frozen=True)
class Place:
    """A folder with sources, a tree, and an interpreter whose library the sources are."""

    top: Path

    @property
    def sources(self) -> Path:
        return self.top / "sources"

    @property
    def tree(self) -> Path:
        return self.top / "tree"

    def run(self, **options: Any) -> tuple[Report, Recorder]:
        report, recorder = Report(tree=str(self.tree)), Recorder()
        python = str(self.top / "python3.99")
        request = Request(tree=str(self.tree), python_paths=[python], jobs=2, **options)
        rebuild(request, report, recorder)
        return report, recorder


@contextmanager
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as top:
        made = Place(Path(os.path.realpath(top)))
        made.sources.mkdir()
        answer = WHO | {"library": [str(made.sources)], "site": [], "environment": ""}
        pretend(made.top / "python3.99", answer)
        yield made


CONTENTS = {
    "good": b"x = 1\n",
    "asserts": b'"""Documented."""\nassert True\n',
    "python 2": b"print 'x'\n",
    "nul": b"x = 1\0\n",
    "codec": b"# coding: nothing\n",
    "empty": b"",
}
kinds = st.sampled_from([*CONTENTS, "link", "dangling", "loop", "fifo", "folder", "up"])
places = st.lists(components, max_size=2)
mtimes = st.sampled_from([0, 1, -5_000_000_000, 1_600_000_000_999_999_999, 1 << 62 >> 1, None])
trees = st.lists(st.tuples(places, st.one_of(source_names, components), kinds, mtimes), max_size=12)


def make(folder: Path, what: list[tuple[list[str], str, str, int | None]]) -> None:
    """Make files; what is in the way of another one is left out."""
    for directories, name, kind, mtime in what:
        path = folder.joinpath(*directories, name)
        with suppress(FileExistsError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            match kind:
                case "link":
                    path.symlink_to(folder / "a.py")
                case "dangling":
                    path.symlink_to("nothing.py")
                case "loop":
                    path.symlink_to(name)
                case "fifo":
                    os.mkfifo(path)
                case "folder":
                    path.mkdir()
                case "up":
                    path.symlink_to("..")
                case _:
                    if path.is_symlink() or (path.exists() and not path.is_file()):
                        continue
                    path.write_bytes(CONTENTS[kind])
                    if mtime is not None:
                        os.utime(path, ns=(mtime, mtime))


def assert_settled(here: Place, report: Report, **options: Any) -> None:
    """See that a second plan has nothing but what failed in the first run."""
    failed = {outcome.source for outcome in report.failures}
    before = snapshot(here.tree)
    again, recorder = here.run(**options)
    (plan,) = recorder.plans
    assert {job.source for job in plan.jobs} == failed
    assert plan.removals == []
    assert plan.doubts == []
    assert (again.compiled, again.removed) == (0, 0)
    assert {o.source for o in again.failures} == failed
    assert again.fresh == report.compiled + report.fresh
    after = snapshot(here.tree)
    assert {p: f for p, f in after.items() if p.endswith(".pyc")} == {
        p: f for p, f in before.items() if p.endswith(".pyc")
    }


@settings(max_examples=15, phases=PHASES)
@given(trees, trees, st.sampled_from([(0,), (0, 1, 2), (1,)]))
def test_apply_then_plan_is_empty(
    first: list[tuple[list[str], str, str, int | None]],
    then: list[tuple[list[str], str, str, int | None]],
    levels: tuple[int, ...],
) -> None:
    with place() as here:
        make(here.sources, first)
        report, _ = here.run(levels=levels)
        assert {o.reason.value for o in report.failures} <= {"syntax"}
        assert_settled(here, report, levels=levels)
        if first:
            directories, name, _, _ = first[0]
            with suppress(OSError):
                here.sources.joinpath(*directories, name).unlink()
        make(here.sources, then)
        report, _ = here.run(levels=levels)
        assert_settled(here, report, levels=levels)


@settings(max_examples=25, phases=PHASES)
@given(trees)
def test_a_broken_source_is_one_outcome_and_every_good_one_is_compiled(
    what: list[tuple[list[str], str, str, int | None]],
) -> None:
    with place() as here:
        make(here.sources, what)
        report, _ = here.run()
        outcomes = [o.source for o in report.failures + report.skips]
        assert len(outcomes) == len(set(outcomes))
        for directory, _, files in os.walk(here.sources):
            for name in files:
                path = Path(directory, name)
                if not name.endswith(".py") or name == ".py" or not path.is_file():
                    continue
                cached = layout.cache_path(str(path), str(here.tree / FOLDER), TAG)
                assert cached is not None
                assert os.path.exists(cached) is (str(path) not in outcomes), path


entry_names = st.one_of(
    components,
    components.map(lambda name: f"{name}.pyc"),
    st.tuples(
        st.one_of(st.sampled_from(["a", "b", "gone"]), components),
        st.sampled_from(["", ".opt-1", ".opt-2", ".opt-3", ".opt-", ".opt-x"]),
        st.sampled_from([TAG, "cpython-27", TAG + "x"]),
    ).map(lambda parts: f"{parts[0]}.{parts[2]}{parts[1]}.pyc"),
)
BYTES = b"# not from this run"
files = st.lists(st.tuples(places, entry_names), max_size=12)


def put(folder: Path, what: list[tuple[list[str], str]]) -> None:
    for directories, name in what:
        path = folder.joinpath(*directories, name)
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(BYTES)


@settings(max_examples=25, phases=PHASES)
@given(
    in_tree=files,
    beside=files,
    elsewhere=files,
    in_pycache=st.lists(entry_names, max_size=4),
    force=st.booleans(),
)
def test_prune_takes_only_what_our_naming_rule_gives_and_whose_source_is_gone(
    in_tree: list[tuple[list[str], str]],
    beside: list[tuple[list[str], str]],
    elsewhere: list[tuple[list[str], str]],
    in_pycache: list[str],
    force: bool,
) -> None:
    with place() as here:
        for name in ("a.py", "b.py", "p/a.py"):
            here.sources.joinpath(name).parent.mkdir(exist_ok=True)
            here.sources.joinpath(name).write_bytes(b"x = 1\n")
        put(here.sources, beside)
        put(here.sources / "__pycache__", [([], name) for name in in_pycache])
        prefix = here.tree / FOLDER
        put(Path(f"{prefix}{here.sources}"), in_tree)
        put(prefix, elsewhere)
        put(here.tree, elsewhere)
        with suppress(FileNotFoundError):
            here.tree.chmod(0o755)
        sources, before = snapshot(here.sources), snapshot(here.tree)
        old = {p: f for p, f in before.items() if f[-1] == BYTES}
        report, _ = here.run(force=force, prune=True)
        assert report.failures == []
        assert snapshot(here.sources) == sources
        after = snapshot(here.tree)
        left = {outcome.source for outcome in report.left}
        for path, facts in old.items():
            named = layout.source_path(path, str(prefix), TAG)
            if named is None or named[1] not in ("", "1", "2"):
                assert after[path] == facts
                assert path in left or not path.startswith(f"{prefix}/"), path
            elif not os.path.lexists(named[0]):
                assert path not in after
            assert after.get(path) != facts or path in left or not path.startswith(f"{prefix}/")
        gone = set(before) - set(after)
        assert {p for p in gone if p in old} == {p for p in old if p not in after}
        running = sys.implementation.cache_tag
        for path in after.keys() - before.keys():
            assert not path.endswith(".pyc") or running is None or running in path


@settings(max_examples=10, phases=PHASES)
@given(files)
def test_without_prune_nothing_is_taken_whose_source_is_gone(
    in_tree: list[tuple[list[str], str]],
) -> None:
    with place() as here:
        put(Path(f"{here.tree / FOLDER}{here.sources}"), in_tree)
        with suppress(FileNotFoundError):
            here.tree.chmod(0o755)
        before = {p: f for p, f in snapshot(here.tree).items() if f[-1] == BYTES}
        report, _ = here.run(prune=False)
        after = snapshot(here.tree)
        assert all(after[path] == facts for path, facts in before.items())
        assert (report.compiled, report.removed, report.failures) == (0, 0, [])


def test_what_is_listed_is_compiled_though_it_seems_fresh() -> None:
    with place() as here:
        for name in ("a.py", "b.py", "p/a.py", "p/old.py"):
            here.sources.joinpath(name).parent.mkdir(exist_ok=True)
            here.sources.joinpath(name).write_bytes(b"x = 1\n")
        here.run()
        here.sources.joinpath("p/old.py").unlink()
        listed = {f"{here.sources}/p/a.py", f"{here.sources}/p/old.py", f"{here.top}/elsewhere.py"}
        report, _ = here.run(listed=frozenset(listed))
        assert (report.compiled, report.fresh, report.removed) == (1, 2, 1)
        assert (report.failures, report.skips) == ([], [])


@settings(max_examples=10, phases=PHASES)
@given(files, trees)
def test_pruning_alone_takes_the_same_and_compiles_nothing(
    in_tree: list[tuple[list[str], str]], what: list[tuple[list[str], str, str, int | None]]
) -> None:
    with place() as here:
        make(here.sources, what)
        put(Path(f"{here.tree / FOLDER}{here.sources}"), in_tree)
        with suppress(FileNotFoundError):
            here.tree.chmod(0o755)
        before = snapshot(here.tree)
        planned, recorder = here.run(dry_run=True, prune=True)
        report, _ = here.run(only_prune=True)
        after = snapshot(here.tree)
        assert (report.compiled, report.removed) == (0, planned.removed)
        gone = {path for path in before if path not in after and path.endswith(".pyc")}
        assert gone == {f"{here.tree}/{path}" for plan in recorder.plans for path in plan.removals}
        assert all(before[path] == facts for path, facts in after.items() if path in before
                   and path.endswith(".pyc"))  # fmt: skip


def test_a_folder_whose_interpreter_is_gone_loses_what_has_no_source_either(
    tmp_path: Path,
) -> None:
    source = tmp_path / "sources" / "kept.py"
    source.parent.mkdir()
    source.touch()
    tree = Tree(str(tmp_path / "tree"), is_system=False)
    folder = Path(f"{tree.path}/3.9{source.parent}")
    folder.mkdir(parents=True)
    names = ["kept.cpython-39.pyc", "gone.cpython-39.pyc", "gone.cpython-39.opt-2.pyc"]
    names += ["gone.cpython-311.pyc", "gone.pyc", "gone.cpython-39.opt-7.pyc", "note"]
    for name in names:
        (folder / name).touch()
    order = Order(tree=tree.path, directory="3.9", cache_tag="cpython-39", magic=b"")
    plan = survey_orphan(tree, order)
    assert {Path(path).name for path in plan.removals} == set(names[1:3])
    assert [(o.source, o.reason) for o in plan.left] == [(order.prefix, Reason.NO_INTERPRETER)]
    assert plan.left[0].detail.startswith("5 ")


@pytest.mark.parametrize(
    ("library", "goes"),
    [(None, False), ("there", False), ("gone", True), ("one of two", False)],
)
def test_a_folder_whose_library_has_gone_too_is_emptied(
    tmp_path: Path, library: str | None, goes: bool
) -> None:
    source = tmp_path / "sources" / "kept.py"
    source.parent.mkdir()
    source.touch()
    tree = Tree(str(tmp_path / "tree"), is_system=False)
    folder = Path(f"{tree.path}/3.9{source.parent}")
    (folder / "other").mkdir(parents=True)
    names = ["kept.cpython-39.pyc", "foreign.pyc"]
    names += ["os.cpython-39.pyc", "other/os.cpython-39.pyc"] if library else []
    for name in names:
        (folder / name).touch()
    if library in ("there", "one of two"):
        (source.parent / "os.py").touch()
    if library == "there":
        (source.parent / "other").mkdir()
        (source.parent / "other" / "os.py").touch()
    plan = survey_orphan(
        tree, Order(tree=tree.path, directory="3.9", cache_tag="cpython-39", magic=b"")
    )
    removed = {Path(path).name for path in plan.removals}
    assert ("kept.cpython-39.pyc" in removed) is goes
    assert "foreign.pyc" not in removed
    assert len(plan.left) == 1

"""The law of ``verify``: right after ``rebuild`` there is nothing to say, of any sources."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from interpreters.builder import FOLDER, TAG, identity, pretend, snapshot
from pycache_sys.build_request import Request
from pycache_sys.core.defects import Verification
from pycache_sys.core.report import Report
from pycache_sys.rebuild import rebuild
from pycache_sys.verify import Request as Question
from pycache_sys.verify import verify
from strategies import components, source_names

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: each example starts processes, and a tree of twelve files is small enough."""


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

    def build(self, **options: Any) -> Report:
        report = Report(tree=str(self.tree))
        python = str(self.top / "python3.99")
        request = Request(tree=str(self.tree), python_paths=[python], jobs=2, **options)
        rebuild(request, report, Silence())
        return report

    def verify(self, *, deep: bool = False) -> Verification:
        result = Verification(tree=str(self.tree), deep=deep)
        python = str(self.top / "python3.99")
        verify(Question(tree=str(self.tree), python_paths=[python], deep=deep), result, Silence())
        return result


class Silence:
    """Watches, and hears nothing that it would repeat."""

    def waiting(self, message: str) -> None:
        raise AssertionError(message)

    def planned(self, plan: object, interpreter: str) -> None:
        pass

    def began(self, words: str, total: int) -> None:
        assert words
        assert total >= 0

    def advanced(self) -> None:
        pass


@contextmanager
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as top:
        made = Place(Path(os.path.realpath(top)))
        made.sources.mkdir()
        library = {"library": [str(made.sources)], "site": [], "environment": ""}
        pretend(made.top / "python3.99", identity() | library)
        yield made


CONTENTS = {
    "good": b"x = 1\n",
    "function": b"def f(a):\n    return lambda: (a, 1.5, 'x', {1, 2})\n",
    "asserts": b'"""Documented."""\nassert True\n',
    "python 2": b"print 'x'\n",
    "nul": b"x = 1\0\n",
    "codec": b"# coding: latin-1\nx = '\xe9'\n",
    "empty": b"",
}
kinds = st.sampled_from([*CONTENTS, "link", "dangling", "fifo", "folder"])
places = st.lists(components, max_size=2)
mtimes = st.sampled_from([0, 1, -5_000_000_000, 1_600_000_000_999_999_999, 1 << 61, None])
modes = st.sampled_from([0o755, 0o755, 0o700, 0o750])
trees = st.lists(
    st.tuples(places, st.one_of(source_names, components), kinds, mtimes, modes), max_size=12
)
What = list[tuple[list[str], str, str, int | None, int]]


def make(folder: Path, what: What) -> None:
    """Make files; what is in the way of another one is left out."""
    for directories, name, kind, mtime, mode in what:
        path = folder.joinpath(*directories, name)
        with suppress(FileExistsError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(mode)
            match kind:
                case "link":
                    path.symlink_to(folder / "a.py")
                case "dangling":
                    path.symlink_to("nothing.py")
                case "fifo":
                    os.mkfifo(path)
                case "folder":
                    path.mkdir()
                case _:
                    if path.is_symlink() or (path.exists() and not path.is_file()):
                        continue
                    path.write_bytes(CONTENTS[kind])
                    path.chmod(mode & 0o644 | 0o600)
                    if mtime is not None:
                        os.utime(path, ns=(mtime, mtime))


@settings(max_examples=12, phases=PHASES)
@given(trees, st.booleans())
def test_right_after_rebuild_there_is_nothing_to_say(what: What, deep: bool) -> None:
    with place() as here:
        make(here.sources, what)
        report = here.build()
        before = snapshot(here.top)
        result = here.verify(deep=deep)
        assert result.defects == []
        assert result.failures == []
        assert result.exit_status == 0
        assert result.sources == result.entries == report.compiled
        assert {o.source for o in result.uncompilable} == {o.source for o in report.failures}
        assert snapshot(here.top) == before


@settings(max_examples=12, phases=PHASES)
@given(trees, trees, st.data())
def test_what_is_said_is_just_what_rebuild_would_do(
    what: What, then: What, data: st.DataObject
) -> None:
    """Of sources that came, went and changed: each is named once, and nothing else is."""
    with place() as here:
        make(here.sources, [*what, ([], "a.py", "good", None, 0o755)])
        here.build()
        files = sorted(path for path in here.sources.rglob("*.py") if path.is_file())
        for path in data.draw(st.sets(st.sampled_from(files))):
            path.unlink()
        make(here.sources, then)
        defects = {(d.kind.value, d.source) for d in here.verify().defects if d.source}
        report = Report(tree=str(here.tree))
        plans = Plans()
        request = Request(
            tree=str(here.tree), python_paths=[str(here.top / "python3.99")], dry_run=True
        )
        rebuild(request, report, plans)
        assert {s for kind, s in defects if kind == "stray"} == plans.removed
        to_compile = {source for kind, source in defects if kind in ("missing", "stale", "mode")}
        uncompilable = {o.source for o in here.verify().uncompilable}
        assert to_compile == plans.jobs - uncompilable
        here.build()
        assert here.verify().defects == []


class Plans(Silence):
    """Keeps what is planned, by source."""

    def __init__(self) -> None:
        self.jobs: set[str] = set()
        self.removed: set[str] = set()

    def planned(self, plan: Any, interpreter: str) -> None:  # noqa: ARG002 - a port
        self.jobs |= {job.source for job in plan.jobs}
        for path in plan.removals:
            self.removed.add(path.removeprefix(FOLDER).removesuffix(f".{TAG}.pyc") + ".py")


def test_a_folder_whose_interpreter_is_gone() -> None:
    with place() as here:
        source = here.sources / "a.py"
        source.write_text("x = 1\n")
        here.build()
        folder = here.tree / f"3.9{here.sources}"
        folder.mkdir(parents=True)
        for name in ("a.cpython-39.pyc", "gone.cpython-39.pyc"):
            (folder / name).write_bytes(b"not even bytecode")
        result = Verification(tree=str(here.tree))
        verify(Question(tree=str(here.tree)), result, Silence())
        mine = [d for d in result.defects if "/3.9/" in d.path and d.path.endswith(".pyc")]
        assert [(d.kind, Path(d.path).name) for d in mine] == [("stray", "gone.cpython-39.pyc")]
        assert [o.reason for o in result.left if o.source == f"{here.tree}/3.9"] == [
            "no-interpreter"
        ]

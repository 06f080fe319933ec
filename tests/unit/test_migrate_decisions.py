"""What may go from beside the sources, and why everything else stays."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core.in_place import (
    Beside,
    Cleared,
    Folder,
    Left,
    View,
    level_of,
    select,
    source_named_by,
)
from pycache_sys.core.model import Entry, SourceDirectory, TreeDirectory
from pycache_sys.core.plan import Order, temporary_name
from pycache_sys.core.pyc import CHECKED_HASH, TIMESTAMP, start, timestamp_fields

DIRECTORY = "/usr/lib/python3/dist-packages/gizmo"
MAGIC = b"\xa7\r\r\n"
TAG = "cpython-311"
NAME = f"foo.{TAG}.pyc"
SOURCE = "foo.py"
LATE, EARLY = 1_700_000_000, 0
FILE = Beside(stat.S_IFREG | 0o644, 0, 0, 0, 4096)


def status(mtime: int = LATE) -> os.stat_result:
    """Describe a source of root's."""
    seconds = (mtime, mtime, mtime)
    times = {f"st_{name}_ns": mtime * 10**9 for name in ("atime", "mtime", "ctime")}
    fields = (stat.S_IFREG | 0o644, 1, 1, 1, 0, 0, 10, *seconds)
    return os.stat_result(fields, {**times, "st_atime": mtime, "st_mtime": mtime})


def order(tag: str = TAG, levels: tuple[int, ...] = (0,), directory: str = "3.11") -> Order:
    return Order(
        tree="/var/cache/python", directory=directory, cache_tag=tag, magic=MAGIC, levels=levels
    )


def entry(source: os.stat_result, *, mtime: int | None = None, hashed: bytes = b"") -> Entry:
    """Describe the tree's entry of a source; ``mtime`` is another one than the source's."""
    flags = CHECKED_HASH if hashed else TIMESTAMP
    header = start(MAGIC, flags) + (hashed or timestamp_fields(source))
    stamp = source.st_mtime_ns if mtime is None else mtime
    return Entry(header, stat.S_IFREG | 0o644, 0, stamp, source.st_ctime_ns)


def view(
    entries: dict[str, Entry],
    *,
    source: os.stat_result | None = None,
    tag: str = TAG,
    **more: object,
) -> View:
    files = {SOURCE: source or status()}
    return View(
        order(tag),
        SourceDirectory(path=DIRECTORY, files=files),
        TreeDirectory(entries=entries),
        **more,  # type: ignore[arg-type]
    )


def folder(*names: str, **more: object) -> Folder:
    files = dict.fromkeys(names, FILE)
    return Folder(DIRECTORY, frozenset({SOURCE}), FILE, files)._replace(**more)


def why(
    one: Folder,
    *views: View,
    before: frozenset[str] = frozenset(),
    named: frozenset[str] = frozenset(),
) -> Left | None:
    (verdict,) = select(one, views, before, named).values()
    return verdict


FRESH = view({NAME: entry(status())})


class TestWhatGoes:
    def test_bytecode_whose_entry_is_fresh(self) -> None:
        assert why(folder(NAME), FRESH) is None

    def test_each_level_by_its_own_entry(self) -> None:
        other = f"foo.{TAG}.opt-2.pyc"
        assert why(folder(other), FRESH) is Left.NOT_IN_TREE
        assert why(folder(other), view({other: entry(status())})) is None

    def test_what_a_killed_undo_left(self) -> None:
        assert why(folder(temporary_name("0123456789abcdef"))) is None

    def test_a_source_whose_hash_agrees(self) -> None:
        source = status(EARLY)
        hashed = {NAME: entry(source, hashed=b"8 bytes.")}
        doubtful = view(hashed, source=source)
        assert doubtful.doubt(NAME, SOURCE) == (source, hashed[NAME])
        assert why(folder(NAME), doubtful) is Left.NOT_IN_TREE
        sure = doubtful._replace(confirmed=frozenset({f"{DIRECTORY}/{SOURCE}"}))
        assert why(folder(NAME), sure) is None

    def test_a_dry_run_counts_on_what_would_be_built(self) -> None:
        planned = view({}, planned=True)
        assert why(folder(NAME), planned) is None
        assert why(folder(f"foo.{TAG}.opt-1.pyc"), planned) is Left.NOT_IN_TREE
        assert why(folder(NAME), FRESH._replace(planned=True)) is None


class TestWhatStays:
    @pytest.mark.parametrize(
        "name",
        [
            f"foo.{TAG}-pytest-8.2.pyc",
            "foo.pyc",
            "foo.py",
            ".pyc",
            f"foo.{TAG}.pyc.140234",
            f"foo.{TAG}.pyo",
            "notes.txt",
        ],
    )
    def test_names_that_importlib_does_not_give(self, name: str) -> None:
        assert why(folder(name), FRESH) is Left.FOREIGN

    @pytest.mark.parametrize("name", [f"gone.{TAG}.pyc", "gone.pypy39.pyc"])
    def test_bytecode_without_a_source(self, name: str) -> None:
        assert why(folder(name), FRESH) is Left.SOURCELESS

    @pytest.mark.parametrize("name", ["foo.cpython-39.pyc", "foo.pypy39.opt-1.pyc"])
    def test_bytecode_of_an_interpreter_that_is_not_here(self, name: str) -> None:
        assert why(folder(name), FRESH) is Left.NO_INTERPRETER

    def test_a_level_that_no_python_has(self) -> None:
        assert why(folder(f"foo.{TAG}.opt-x.pyc"), FRESH) is Left.NO_INTERPRETER

    def test_what_is_loaded_before_the_hook(self) -> None:
        before = frozenset({f"{DIRECTORY}/{SOURCE}"})
        assert why(folder(NAME), FRESH, before=before) is Left.BEFORE_HOOK

    def test_the_hooks_own_package(self) -> None:
        own = folder(NAME, path="/usr/lib/python3/dist-packages/pycache_sys_runtime")
        assert why(own, FRESH) is Left.BEFORE_HOOK

    def test_what_a_manifest_names(self) -> None:
        named = frozenset({f"{DIRECTORY}/__pycache__/{NAME}"})
        assert why(folder(NAME), FRESH, named=named) is Left.MANIFEST

    def test_what_an_interpreter_without_the_hook_reads(self) -> None:
        assert why(folder(NAME), FRESH._replace(blocked=Left.NO_HOOK)) is Left.NO_HOOK

    def test_what_another_interpreter_with_the_same_names_does_not_have(self) -> None:
        """3.13 and 3.13t share cache tag and magic number."""
        assert why(folder(NAME), FRESH, view({})) is Left.NOT_IN_TREE
        assert why(folder(NAME), FRESH, FRESH) is None

    def test_a_stale_entry(self) -> None:
        assert why(folder(NAME), view({NAME: entry(status(), mtime=5)})) is Left.NOT_IN_TREE

    def test_a_source_that_may_not_feed_the_tree(self) -> None:
        one = FRESH._replace(sources=SourceDirectory(path=DIRECTORY))
        assert why(folder(NAME), one) is Left.NOT_IN_TREE
        assert one.doubt(NAME, SOURCE) is None

    @pytest.mark.parametrize(
        "file",
        [
            FILE._replace(uid=1000),
            FILE._replace(mode=stat.S_IFREG | 0o664),
            FILE._replace(mode=stat.S_IFREG | 0o646),
            FILE._replace(mode=stat.S_IFLNK | 0o777),
            FILE._replace(mode=stat.S_IFIFO | 0o600),
            FILE._replace(mode=stat.S_IFDIR | 0o755),
        ],
    )
    def test_what_is_not_a_file_of_roots_alone(self, file: Beside) -> None:
        assert why(folder(NAME, files={NAME: file}), FRESH) is Left.NOT_ROOTS

    def test_anything_in_a_directory_that_is_not(self) -> None:
        assert why(folder(NAME, is_roots=False), FRESH) is Left.NOT_ROOTS


def test_what_is_fresh_is_no_doubt() -> None:
    assert FRESH.doubt(NAME, SOURCE) is None


names = st.one_of(
    st.builds(
        "{}.{}{}.pyc".format,
        st.sampled_from(["foo", "bar", "foo.bar", "a\nb", "\udcff", ""]),
        st.sampled_from([TAG, "cpython-312", "pypy311", "cpython-39", f"{TAG}-pytest-8.2", "x"]),
        st.sampled_from(["", ".opt-1", ".opt-2", ".opt-3", ".opt-a.b"]),
    ),
    st.text(max_size=12),
)
kinds = st.sampled_from([stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
files = st.builds(
    Beside,
    st.builds(int.__or__, kinds, st.sampled_from([0o644, 0o600, 0o664, 0o666])),
    st.sampled_from([0, 0, 0, 1000]),
    st.just(0),
    st.just(0),
)


@given(
    beside=st.dictionaries(names, files, max_size=8),
    present=st.frozensets(st.sampled_from(["foo.py", "bar.py", "foo.bar.py", "a\nb.py"])),
    in_tree=st.dictionaries(names, st.booleans(), max_size=8),
    before=st.frozensets(st.sampled_from([f"{DIRECTORY}/foo.py", f"{DIRECTORY}/bar.py"])),
    data=st.data(),
)
def test_nothing_goes_that_the_tree_does_not_have(
    beside: dict[str, Beside],
    present: frozenset[str],
    in_tree: dict[str, bool],
    before: frozenset[str],
    data: st.DataObject,
) -> None:
    named = (
        frozenset(
            f"{DIRECTORY}/__pycache__/{name}"
            for name in data.draw(st.frozensets(st.sampled_from(sorted(beside))))
            if beside
        )
        if beside
        else frozenset()
    )
    source = status()
    entries = {
        name: entry(source, mtime=None if is_fresh else 5) for name, is_fresh in in_tree.items()
    }
    one = View(
        order(),
        SourceDirectory(path=DIRECTORY, files=dict.fromkeys(present, source)),
        TreeDirectory(entries=entries),
    )
    verdicts = select(Folder(DIRECTORY, present, FILE, beside), [one], before, named)
    assert verdicts.keys() == beside.keys()
    for name in (name for name, verdict in verdicts.items() if verdict is None):
        assert in_tree[name]
        stem, _, rest = name.partition(f".{TAG}")
        assert rest in (".pyc", ".opt-1.pyc", ".opt-2.pyc")
        assert f"{stem}.py" in present
        assert f"{DIRECTORY}/{stem}.py" not in before
        assert f"{DIRECTORY}/__pycache__/{name}" not in named
        assert beside[name].is_roots_file


def test_levels_and_sources_are_read_from_names() -> None:
    assert [level_of(n) for n in (NAME, f"a.{TAG}.opt-1.pyc", f"a.{TAG}.opt-2.pyc")] == [0, 1, 2]
    assert level_of(f"a.opt-1.{TAG}.pyc") == 0
    assert level_of(f"a.opt-1.{TAG}.opt-2.pyc") == 2
    assert source_named_by("foo.bar.pypy311.opt-1.pyc") == "foo.bar.py"
    assert source_named_by("foo.pyc") is None


def test_what_a_file_frees_is_told_once() -> None:
    first = os.stat(__file__)
    assert Beside.from_stat(first).space == first.st_blocks * 512
    linked = os.stat_result((*first[:3], 2, *first[4:]), {"st_blocks": 8, "st_mtime_ns": 1})
    assert Beside.from_stat(linked).space == 0
    assert FILE.permissions == 0o644


def test_the_result_counts_reasons() -> None:
    left = [("/a", Left.FOREIGN), ("/b", Left.MANIFEST), ("/c", Left.MANIFEST)]
    result = Cleared()
    result.removed, result.space, result.directories = 2, 8192, 1
    result.left, result.refused = left, [("/x", "why")]
    assert list(result.as_json()["left"].items()) == [("manifest", 2), ("foreign", 1)]
    assert result.as_json() == {
        "removed": 2,
        "bytes": 8192,
        "directories": 1,
        "restored": 0,
        "left": {"manifest": 2, "foreign": 1},
        "refused": [{"path": "/x", "detail": "why"}],
        "missing": [],
    }

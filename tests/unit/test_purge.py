"""The law of ``purge``: nothing goes but what our naming rule gives, and no link is followed."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreters.builder import Builder, snapshot
from pycache_sys.cli import main
from pycache_sys.core.entries import is_named_by_us
from pycache_sys.core.plan import temporary_name
from pycache_sys.purge import Purged, Request, purge
from pycache_sys.system import lock
from pycache_sys.system.tree import CACHEDIR_TAG
from strategies import components

POSTRM = Path(__file__).parents[2] / "debian" / "pycache-sys.postrm"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
HALF = temporary_name("0123456789abcdef")


class Silence:
    """Watches, and hears nothing that it would repeat."""

    def waiting(self, message: str) -> None:
        raise AssertionError(message)

    def began(self, words: str, total: int) -> None:
        pass

    def advanced(self) -> None:
        pass


def clear(tree: Path, **options: Any) -> Purged:
    result = Purged(tree=str(tree), **options)
    purge(Request(tree=str(tree), **options), result, Silence())
    return result


folders = st.sampled_from(
    [
        "3.11",
        "3.13t",
        "pypy3.11",
        "3.08",
        "3.x",
        "3.",
        "2.7",
        "3.11.2",
        "3.11tt",
        "x",
        "pypy",
        "3.11",
    ]
)
names = st.one_of(
    components,
    st.just(HALF),
    st.tuples(
        st.one_of(st.sampled_from(["a", "", "a.opt-1", "."]), components),
        st.sampled_from(["cpython-311", "cpython-313", "pypy311", "cpython-308", "cpython-27"]),
        st.sampled_from(["", "", ".opt-1", ".opt-2", ".opt-3", ".opt-", ".opt-12"]),
        st.sampled_from([".pyc", ".pyc", ".pyc", ".pyo", ""]),
    ).map("{0[0]}.{0[1]}{0[2]}{0[3]}".format),
)
places = st.lists(st.one_of(components, st.sampled_from(["usr", "lib", "__pycache__"])), max_size=3)
kinds = st.sampled_from(["file", "file", "file", "link", "folder link", "folder", "fifo"])
entries = st.lists(st.tuples(folders, places, names, kinds), max_size=15)
Entries = list[tuple[str, list[str], str, str]]
tops = st.lists(st.one_of(names, st.sampled_from(["CACHEDIR.TAG", HALF])), max_size=3)


def fill(tree: Path, elsewhere: Path, what: Entries, top: list[str]) -> None:
    """Make a tree; what is in the way of something else is left out."""
    tree.mkdir(parents=True)
    tree.chmod(0o755)
    (tree / "CACHEDIR.TAG").write_text(CACHEDIR_TAG)
    for folder, directories, name, kind in [*what, *(("", [], name, "file") for name in top)]:
        path = tree.joinpath(folder, *directories, name)
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            match kind:
                case "link":
                    path.symlink_to(elsewhere / "kept.cpython-311.pyc")
                case "folder link":
                    path.symlink_to(elsewhere)
                case "folder":
                    path.mkdir()
                case "fifo":
                    os.mkfifo(path)
                case _ if not path.exists():
                    path.write_bytes(b"bytes")


@contextmanager
def scene(what: Entries, top: list[str]) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as made:
        home = Path(os.path.realpath(made))
        elsewhere = home / "elsewhere" / "usr"
        elsewhere.mkdir(parents=True)
        for name in ("kept.cpython-311.pyc", HALF):
            (elsewhere / name).write_text("kept")
        tree = home / "var/cache/python"
        fill(tree, elsewhere, what, top)
        yield tree, elsewhere


def listing(tree: Path) -> set[str]:
    """List all files, and the directories that have none."""
    found = set()
    for directory, inner, files in os.walk(tree):
        links = [name for name in inner if os.path.islink(os.path.join(directory, name))]
        found |= {os.path.relpath(os.path.join(directory, name), tree) for name in files + links}
        if not inner and not files:
            found.add(os.path.relpath(directory, tree))
    return found


@settings(max_examples=150)
@given(entries, tops)
def test_just_what_we_would_have_named_so_goes(what: Entries, top: list[str]) -> None:
    with scene(what, top) as (tree, elsewhere):
        outside, before = snapshot(elsewhere), snapshot(tree)
        planned = clear(tree, dry_run=True)
        assert snapshot(tree) == before
        result = clear(tree)
        assert result.failures == []
        assert snapshot(elsewhere) == outside
        gone = {os.path.relpath(path, tree) for path in before if not os.path.lexists(path)}
        after = snapshot(tree)
        for path, facts in before.items():
            relative = os.path.relpath(path, tree)
            is_file = facts[0] & 0o170000 == 0o100000  # type: ignore[operator]  # the mode
            if is_file:
                ours = is_named_by_us(relative) or relative == "CACHEDIR.TAG"
                assert (relative in gone) is ours, relative
            elif facts[0] & 0o170000 != 0o040000:  # type: ignore[operator]  # as above
                assert after[path] == facts  # links and FIFOs are nobody's of ours
        assert planned.removals == result.removals
        assert planned.left == result.left
        assert planned.is_gone == result.is_gone == (not tree.exists())
        assert tree.exists() is bool(result.left)


@settings(max_examples=40)
@given(entries, tops)
def test_the_maintainer_script_has_the_same_rule(what: Entries, top: list[str]) -> None:
    with scene(what, top) as (ours, _), scene(what, top) as (theirs, outside):
        before = snapshot(outside)
        clear(ours)
        root = theirs.parents[2]
        subprocess.run(
            ["sh", str(POSTRM), "remove"],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DPKG_ROOT": str(root)},
            capture_output=True,
            check=True,
        )
        assert snapshot(outside) == before
        assert ours.exists() == theirs.exists()
        assert listing(ours) == listing(theirs)


# the command


def say(builder: Builder, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pycache_sys", "purge", "--tree", str(builder.tree), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=builder.environment,
    )


@pytest.fixture
def built(builder: Builder) -> Builder:
    """Give a tree with two modules, one of them in three levels that share a file."""
    builder.write("a.py", "x = 1\n")
    builder.write("p/b.py", '"""Documented."""\nassert True\n')
    assert builder.build("--optimize", "0,1,2").counts["compiled"] == 2
    return builder


def test_a_whole_tree_goes(built: Builder) -> None:
    sources = snapshot(built.sources)
    planned = say(built, "-n")
    assert planned.stdout.count("\nremove ") + planned.stdout.startswith("remove ") == 7
    assert built.tree.exists()
    done = say(built)
    assert (done.returncode, done.stderr) == (0, "")
    assert "removed 7 files" in done.stdout
    assert not built.tree.exists()
    assert snapshot(built.sources) == sources
    again = say(built, "--json")
    assert (again.returncode, json.loads(again.stdout)["gone"]) == (0, True)
    assert not built.tree.exists()
    assert built.build().counts["compiled"] == 2


def test_what_stays_is_named(built: Builder) -> None:
    kept = built.cached(built.sources / "p/b.py").with_name("notes.txt")
    kept.write_text("mine")
    (built.tree / "empty").mkdir()
    done = say(built)
    assert done.returncode == 0
    assert f"pycache-sys: {kept}: not a name of ours" in done.stderr
    assert f"pycache-sys: {built.tree}/empty: not a name of ours" in done.stderr
    assert listing(built.tree) == {"empty", str(kept.relative_to(built.tree))}
    report = json.loads(say(built, "--json").stdout)
    assert {one["path"] for one in report["left"]} == {str(kept), f"{built.tree}/empty"}
    assert (report["counts"]["removed"], report["gone"]) == (0, False)


@pytest.mark.parametrize("text", ["", "Signature: 8a477f597d28d172789f06886806bc55\n# mine\n"])
def test_a_tag_that_is_somebody_elses_stays(built: Builder, text: str) -> None:
    tag = built.tree / "CACHEDIR.TAG"
    tag.write_text(text)
    assert say(built).returncode == 0
    assert listing(built.tree) == {"CACHEDIR.TAG"}


@pytest.mark.parametrize("mode", [0o777, pytest.param(None, marks=AS_ROOT)])
def test_a_directory_in_wrong_hands_is_a_failure(built: Builder, mode: int | None) -> None:
    folder = built.cached(built.sources / "p/b.py").parent
    os.chown(folder, 61_000, -1) if mode is None else folder.chmod(mode)
    before = snapshot(folder)
    done = say(built)
    assert done.returncode == 1
    assert f"pycache-sys: {folder}: others own it or may write it" in done.stderr
    assert snapshot(folder) == before
    assert not built.cached(built.sources / "a.py").exists()


@pytest.mark.parametrize("what", ["link", "open"])
def test_a_tree_that_is_not_safe_is_refused(built: Builder, what: str) -> None:
    elsewhere = built.folder / "elsewhere"
    if what == "link":
        built.tree.rename(elsewhere)
        built.tree.symlink_to(elsewhere)
    else:
        built.tree.chmod(0o777)
    before = snapshot(built.folder)
    done = say(built)
    assert (done.returncode, done.stdout) == (5, "")
    assert "Traceback" not in done.stderr
    assert snapshot(built.folder) == before


def test_it_waits_for_its_turn(built: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    path = lock.lock_path(str(built.tree), is_system=False)
    with lock.held(path, seconds=0, waiting=print):
        refused = say(built, "--no-wait")
        assert (refused.returncode, refused.stdout) == (4, "")
        assert say(built, "--no-wait", "--best-effort").returncode == 0
        planned = say(built, "-n", "--no-wait")
        assert planned.returncode == 0
        assert len(listing(built.tree)) == 8  # with the lock
    assert main(["purge", "--tree", str(built.tree), "-q"]) == 0
    assert not built.tree.exists()
    assert capsys.readouterr().out == ""


def test_an_interrupted_purge_leaves_a_valid_tree(built: Builder) -> None:
    class Impatient(Silence):
        def advanced(self) -> None:
            raise KeyboardInterrupt

    result = Purged(tree=str(built.tree))
    with pytest.raises(KeyboardInterrupt):
        purge(Request(tree=str(built.tree)), result, Impatient())
    assert len(result.removals) == 1
    run = built.build("--optimize", "0,1,2")
    assert run.status == 0
    assert run.counts["compiled"] <= 1
    assert clear(built.tree).is_gone


def test_a_tree_that_is_built_meanwhile_is_whole_or_gone(built: Builder) -> None:
    for number in range(60):
        built.write(f"m{number}.py", f"x = {number}\n")
    process = built.start(built.sources)
    watcher = threading.Thread(target=process.communicate)
    watcher.start()
    done = say(built)
    watcher.join()
    assert process.returncode == 0
    assert done.returncode == 0
    assert built.build().status == 0
    assert say(built).returncode == 0
    assert not built.tree.exists()


def test_only_root_purges_the_system_tree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["purge", "--config", "/dev/null"]) == 5
    assert "only root writes /var/cache/python" in capsys.readouterr().err

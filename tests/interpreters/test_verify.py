"""``verify`` names each prepared defect rightly, and says nothing of a healthy tree."""

import json
import marshal
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interpreters.builder import FOLDER, TAG, Builder, obeying_modes, snapshot
from pycache_sys.cli import main
from pycache_sys.core.defects import Verification
from pycache_sys.core.plan import temporary_name
from pycache_sys.verify import Request, verify

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
STRANGER = 61_000
TEXT = "def f(a, b=2):\n    return [a, b, 3.5, (1, 'two'), {'x': f}]\n"
HEADER = 16
CRASHER = b">\x01\x00\x00\x00\xa9\x01r\x00\x00\x00\x00"
"""A frozenset of a tuple that holds itself: its hash is never done."""

Seen = dict[str, Any]


@pytest.fixture
def place(builder: Builder) -> Builder:
    """Give a tree that was built of a package with two modules, and of one beside it."""
    builder.write("p/__init__.py", "")
    builder.write("p/a.py", TEXT)
    builder.write("b.py", "y = 1\n")
    assert builder.build().summary == (3, 0, 0)
    return builder


def look(place: Builder, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Seen:
    """Verify the folder of sources in this process, and return the report with its status."""
    capsys.readouterr()
    words = ["verify", "--tree", place.tree, "--python", place.python, "--json", *arguments]
    status = main([*map(str, words), str(place.sources)])
    found: Seen = json.loads(capsys.readouterr().out)
    return found | {"status": int(status)}


def kinds(seen: Seen, place: Builder) -> list[tuple[str, str]]:
    """List the defects as (kind, path below the folder of the tree that holds the sources)."""
    top = f"{place.tree}/{FOLDER}{place.sources}/"
    return sorted((d["kind"], d["path"].removeprefix(top)) for d in seen["defects"])


def reheader(entry: Path, source: Path, body: bytes) -> None:
    """Give an entry another body, and make it look fresh."""
    entry.write_bytes(entry.read_bytes()[:HEADER] + body)
    stamp = source.stat().st_mtime_ns
    os.utime(entry, ns=(stamp, stamp))


def body_of(text: str, name: str) -> bytes:
    return marshal.dumps(compile(text, name, "exec", dont_inherit=True))


NAME = f"p/a.{TAG}.pyc"


# what is wrong with an entry


def _remove(source: Path, entry: Path) -> None:
    entry.unlink()


def _edit(source: Path, entry: Path) -> None:
    source.write_text(TEXT + "z = 1\n")


def _edit_in_secret(source: Path, entry: Path) -> None:
    stamp = source.stat().st_mtime_ns
    source.write_text(TEXT.replace("two", "TWO"))
    os.utime(source, ns=(stamp, stamp))


def _touch(source: Path, entry: Path) -> None:
    os.utime(entry, ns=(1, 1))


def _rehead(at: int, value: bytes) -> Callable[[Path, Path], None]:
    def rehead(source: Path, entry: Path) -> None:
        whole = bytearray(entry.read_bytes())
        whole[at : at + len(value)] = value
        entry.write_bytes(whole)
        stamp = source.stat().st_mtime_ns
        os.utime(entry, ns=(stamp, stamp))

    return rehead


def _rebody(make: Callable[[Path, bytes], bytes]) -> Callable[[Path, Path], None]:
    def rebody(source: Path, entry: Path) -> None:
        reheader(entry, source, make(source, entry.read_bytes()[HEADER:]))

    return rebody


def _become(make: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    def become(source: Path, entry: Path) -> None:
        kept = entry.with_name("kept")
        entry.rename(kept)
        make(entry, kept)

    return become


def _link(entry: Path, kept: Path) -> None:
    elsewhere = entry.parents[len(entry.parents) - 3] / f"{entry.name}.elsewhere"
    kept.rename(elsewhere)
    entry.symlink_to(elsewhere)


def _fifo(entry: Path, kept: Path) -> None:
    kept.unlink()
    os.mkfifo(entry)


def _folder(entry: Path, kept: Path) -> None:
    kept.unlink()
    entry.mkdir()


ENTRY_DEFECTS: dict[str, tuple[Callable[[Path, Path], None], str, list[str]]] = {
    "it is gone": (_remove, "missing", []),
    "its source was edited": (_edit, "stale", ["header", "mtime", "ctime"]),
    "its source was edited in secret": (_edit_in_secret, "stale", ["ctime"]),
    "its own time was changed": (_touch, "stale", ["mtime"]),
    "its header has another time": (_rehead(8, b"\1\2\3\4"), "stale", ["header"]),
    "its header has another size": (_rehead(12, b"\1\2"), "stale", ["header"]),
    "it is of another Python": (_rehead(0, b"\1\2"), "stale", ["magic"]),
    "it is matched by hash": (_rehead(4, b"\3"), "stale", ["invalidation"]),
    "everybody may write it": (lambda _, entry: entry.chmod(0o666), "mode", []),
    "not everybody may read it": (lambda _, entry: entry.chmod(0o600), "mode", []),
    "it is empty": (_rebody(lambda *_: b""), "corrupt", []),
    "it is a part of a header": (
        lambda _, entry: os.truncate(entry, HEADER - 1),
        "corrupt",
        ["mtime"],
    ),
    "it is cut": (_rebody(lambda _, body: body[:-1]), "corrupt", []),
    "it is garbage": (_rebody(lambda *_: b"\xff" * 99), "corrupt", []),
    "it is zeros": (_rebody(lambda _, body: bytes(len(body))), "corrupt", []),
    "one of its bytes is another": (
        _rebody(lambda _, body: b"\xe3" + b"\xff" * 8 + body[9:]),
        "corrupt",
        [],
    ),
    "it is no code": (_rebody(lambda *_: marshal.dumps([1])), "corrupt", []),
    "more follows": (_rebody(lambda _, body: body + b"\0"), "corrupt", []),
    "it was made elsewhere": (_rebody(lambda *_: body_of(TEXT, "/tmp/a.py")), "corrupt", []),
    "it kills the interpreter": (_rebody(lambda *_: CRASHER), "corrupt", []),
    "it is a FIFO": (_become(_fifo), "type", []),
    "it is a directory": (_become(_folder), "type", []),
    "it has another name": (
        lambda _, entry: os.link(entry, entry.with_name(f"b.{TAG}.pyc")),
        "hardlink",
        [],
    ),
}


@pytest.mark.parametrize("case", ENTRY_DEFECTS)
def test_an_entry_is_off(place: Builder, capsys: pytest.CaptureFixture[str], case: str) -> None:
    spoil, kind, marks = ENTRY_DEFECTS[case]
    source = place.sources / "p/a.py"
    spoil(source, place.cached(source))
    before = snapshot(place.sources, place.tree)
    seen = look(place, capsys)
    assert snapshot(place.sources, place.tree) == before
    found = [d for d in seen["defects"] if d["path"] == str(place.cached(source))]
    assert seen["status"] == 1
    assert [(d["kind"], d["source"]) for d in found] == [(kind, str(source))]
    if kind == "stale":
        assert found[0]["marks"] == marks
    others = [d for d in seen["defects"] if d not in found]
    if case == "it has another name":  # of a source that is not there
        assert [d["kind"] for d in others] == ["hardlink", "stray"]
    else:
        assert others == []


def test_what_is_wrong_with_a_file_is_wrong_with_each_of_its_names(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = place.folder / "policy.conf"
    policy.write_text("optimize = 0 1 2\n")
    place.build("--optimize", "0,1,2")
    source = place.sources / "p/a.py"
    reheader(place.cached(source), source, CRASHER)
    seen = look(place, capsys, "--config", policy)
    names = [place.cached(source, level).name for level in ("1", "2", "")]
    assert kinds(seen, place) == [("corrupt", f"p/{name}") for name in names]
    assert seen["counts"]["entries"] == 3


def test_the_crash_is_one_files_and_the_others_are_looked_at(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        place.write(f"q/m{number:02}.py", TEXT)
    assert place.build().counts["compiled"] == 12
    for number in (3, 4, 9):
        source = place.sources / f"q/m{number:02}.py"
        reheader(place.cached(source), source, CRASHER)
    cut = place.sources / "q/m05.py"
    reheader(place.cached(cut), cut, b"\xe3")
    seen = look(place, capsys)
    assert kinds(seen, place) == [("corrupt", f"q/m{n:02}.{TAG}.pyc") for n in (3, 4, 5, 9)]
    crashed = [d for d in seen["defects"] if "crashes" in d["detail"]]
    assert len(crashed) == 3
    assert seen["counts"]["entries"] == 15


def test_a_hash_that_is_not_the_sources(place: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    source = place.write("old.py", "x = 1\n")
    os.utime(source, (0, 0))
    place.build()
    assert look(place, capsys)["defects"] == []
    source.write_text("x = 2\n")
    os.utime(source, (0, 0))
    time.sleep(0.02)
    os.utime(place.cached(source), (0, 0))  # its ctime is younger now than the source's
    seen = look(place, capsys)
    assert kinds(seen, place) == [("stale", f"old.{TAG}.pyc")]
    assert seen["defects"][0]["marks"] == ["hash"]


@AS_ROOT
def test_an_entry_is_somebody_elses_and_its_bytes_are_not_loaded(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    source = place.sources / "p/a.py"
    reheader(place.cached(source), source, CRASHER)
    os.chown(place.cached(source), STRANGER, -1)
    assert kinds(look(place, capsys), place) == [("owner", NAME)]


def test_an_entry_whose_source_cannot_be_looked_at_is_not_loaded_from_others_hands(
    place: Builder,
) -> None:
    source = place.sources / "p/a.py"
    reheader(place.cached(source), source, CRASHER)
    place.cached(source).chmod(0o666)
    source.parent.chmod(0)
    done = run(place, "verify", "--json", str(place.sources), preexec_fn=obeying_modes)
    source.parent.chmod(0o755)
    assert kinds(json.loads(done.stdout), place) == [("mode", "p"), ("mode", NAME)]


# what should not be there


def test_strays(place: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    gone, kept = place.sources / "b.py", place.sources / "p/a.py"
    gone.unlink()
    half = temporary_name("0123456789abcdef")
    for folder in (place.cached(kept).parent, place.tree):
        (folder / half).write_text("")
    place.cached(kept, "2").write_bytes(b"not fresh")
    seen = look(place, capsys)
    assert {(kind, Path(path).name) for kind, path in kinds(seen, place)} == {
        ("stray", f"b.{TAG}.pyc"),
        ("stray", half),
        ("stray", f"a.{TAG}.opt-2.pyc"),
    }
    whole = json.loads(run(place, "verify", "--json").stdout)
    mine = [d for d in whole["defects"] if d["path"] == f"{place.tree}/{half}"]
    assert [d["kind"] for d in mine] == ["stray"]


def test_a_source_that_the_policy_excludes_has_a_stray_entry(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = place.folder / "policy.conf"
    policy.write_text(f"exclude += {place.sources}/p\n")
    seen = look(place, capsys, "--config", policy)
    assert {kind for kind, _ in kinds(seen, place)} == {"stray"}
    assert all("excludes" in d["detail"] for d in seen["defects"])
    assert len(seen["defects"]) == 2


def test_what_is_not_ours_is_left_alone_and_no_defect(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place.cached(place.sources / "b.py").parent
    for name in ("notes.txt", "b.pyc", "b.cpython-27.pyc", f"b.{TAG}.opt-7.pyc"):
        (folder / name).write_text("")
    seen = look(place, capsys)
    assert (seen["status"], seen["defects"], len(seen["left"])) == (0, [], 4)
    (folder / "notes.txt").chmod(0o666)
    if os.geteuid() == 0:
        os.chown(folder / "b.pyc", STRANGER, -1)
    expected = [("mode", "notes.txt")]
    expected += [("owner", "b.pyc")] if os.geteuid() == 0 else []
    assert kinds(look(place, capsys), place) == expected


def test_a_link_is_named_wherever_it_is(place: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    source = place.sources / "p/a.py"
    entry = place.cached(source)
    elsewhere = place.folder / "elsewhere"
    entry.rename(elsewhere)
    entry.symlink_to(elsewhere)
    (entry.parent / "other").symlink_to("/etc")
    assert kinds(look(place, capsys), place) == [("symlink", NAME), ("symlink", "p/other")]


def test_a_link_for_a_directory_is_one_defect(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place.cached(place.sources / "p/a.py").parent
    folder.rename(place.folder / "elsewhere")
    folder.symlink_to(place.folder / "elsewhere")
    assert kinds(look(place, capsys), place) == [("symlink", "p")]


def test_a_file_for_a_directory_is_one_defect(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place.cached(place.sources / "p/a.py").parent
    folder.rename(place.folder / "elsewhere")
    folder.write_text("")
    assert kinds(look(place, capsys), place) == [("type", "p")]


# directories


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(0o777, "mode"), (0o775, "mode"), pytest.param(None, "owner", marks=AS_ROOT)],
)
def test_a_directory_in_wrong_hands_is_one_defect(
    place: Builder, capsys: pytest.CaptureFixture[str], mode: int | None, kind: str
) -> None:
    folder = place.cached(place.sources / "p/a.py").parent
    os.chown(folder, STRANGER, -1) if mode is None else folder.chmod(mode)
    seen = look(place, capsys)
    assert kinds(seen, place) == [(kind, "p")]
    assert "what is in it may be anybody's" in seen["defects"][0]["detail"]


def test_a_directory_that_is_less_private_than_its_sources(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.sources / "p").chmod(0o700)
    assert kinds(look(place, capsys), place) == [("mode", "p")]
    place.build()
    assert look(place, capsys)["defects"] == []


def test_a_directory_that_cannot_be_read_is_one_defect(place: Builder) -> None:
    folder = place.cached(place.sources / "p/a.py").parent
    folder.chmod(0o300)
    done = run(place, "verify", "--json", str(place.sources), preexec_fn=obeying_modes)
    folder.chmod(0o755)
    seen = json.loads(done.stdout)
    assert (done.returncode, kinds(seen, place)) == (1, [("unreadable", "p")])


@pytest.mark.parametrize(
    ("what", "kind"), [("gone", "missing"), ("link", "symlink"), ("file", "type"), ("open", "mode")]
)
def test_the_top_is_off(
    place: Builder, capsys: pytest.CaptureFixture[str], what: str, kind: str
) -> None:
    elsewhere = place.folder / "elsewhere"
    if what == "open":
        place.tree.chmod(0o777)
    else:
        place.tree.rename(elsewhere)
    if what == "link":
        place.tree.symlink_to(elsewhere)
    if what == "file":
        place.tree.write_text("")
    seen = look(place, capsys)
    assert [(d["kind"], d["path"]) for d in seen["defects"]] == [(kind, str(place.tree))]
    assert seen["status"] == 1


@pytest.mark.parametrize("text", [None, "", "Signature: none\n"])
def test_the_tag_is_off(
    place: Builder, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    tag = place.tree / "CACHEDIR.TAG"
    tag.unlink() if text is None else tag.write_text(text)
    seen = look(place, capsys)
    assert [(d["kind"], d["path"]) for d in seen["defects"]] == [("tag", str(tag))]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_stands_in_the_place_of_the_tag_is_no_tag(
    place: Builder, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    tag = place.tree / "CACHEDIR.TAG"
    tag.unlink()
    make(tag)
    seen = look(place, capsys)
    assert [(d["kind"], d["path"]) for d in seen["defects"]] == [("tag", str(tag))]
    assert seen["status"] == 1


# --deep


DIFFERENCES = {
    "other code": TEXT.replace("a, b", "b, a"),
    "another constant": TEXT.replace("3.5", "3.25"),
    "a constant inside of a constant": TEXT.replace("(1, 'two')", "(1, 'TWO')"),
    "a constant of another type": TEXT.replace("(1, ", "(True, "),
    "another line": "\n" + TEXT,
    "another default": TEXT.replace("b=2", "b=3"),
    "another name": TEXT.replace("f(", "g("),
    "more": TEXT + "x = 1\n",
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_deep_finds_code_that_is_not_the_sources(
    place: Builder, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    source = place.sources / "p/a.py"
    reheader(place.cached(source), source, body_of(DIFFERENCES[case], str(source)))
    assert look(place, capsys)["defects"] == []
    seen = look(place, capsys, "--deep")
    assert (seen["status"], kinds(seen, place)) == (1, [("differs", NAME)])


@pytest.mark.parametrize(
    ("one", "other"), [("+0.0", "-0.0"), ("0x1", "1.0"), ("0x01", "True"), ("+0j", "-0j")]
)
@pytest.mark.parametrize("form", ["x = {}\n", "x = ({}, 2)\n", "x = y in {{{}, 2}}\n"])
def test_deep_tells_constants_of_equal_value_apart(
    place: Builder, capsys: pytest.CaptureFixture[str], one: str, other: str, form: str
) -> None:
    source = place.write("c.py", form.format(one))
    place.build()
    reheader(place.cached(source), source, body_of(form.format(other), str(source)))
    seen = look(place, capsys, "--deep")
    assert kinds(seen, place) == [("differs", f"c.{TAG}.pyc")]
    assert "co_consts" in seen["defects"][0]["detail"]


def test_deep_does_not_mind_how_constants_are_shared(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    source = place.sources / "p/a.py"
    entry = place.cached(source)
    code = compile(TEXT, str(source), "exec", dont_inherit=True)
    bodies = {marshal.dumps(code, version) for version in (2, 4)}
    assert len(bodies) == 2
    for body in bodies:
        reheader(entry, source, body)
        assert look(place, capsys, "--deep")["defects"] == []


@pytest.mark.parametrize("mode", ["unchecked-hash", "checked-hash"])
def test_deep_compares_hashes(
    place: Builder, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    source = place.sources / "p/a.py"
    place.build("--force", "--invalidation", mode)
    policy = place.folder / "policy.conf"
    policy.write_text(f"invalidation = {mode}\n")
    assert look(place, capsys, "--deep", "--config", policy)["defects"] == []
    _rehead(8, b"\1\2\3\4")(source, place.cached(source))
    assert look(place, capsys, "--config", policy)["defects"] == []
    seen = look(place, capsys, "--deep", "--config", policy)
    assert [(d["kind"], d["marks"]) for d in seen["defects"]] == [("stale", ["hash"])]


def test_deep_looks_at_each_level(place: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    source = place.write("c.py", '"""Documented."""\nassert x\ny = __debug__\n')
    policy = place.folder / "policy.conf"
    policy.write_text("optimize = 0 1 2\n")
    place.build("--optimize", "0,1,2")
    assert place.cached(place.sources / "b.py").stat().st_nlink == 3
    seen = look(place, capsys, "--deep", "--config", policy)
    assert (seen["defects"], seen["counts"]["entries"]) == ([], 12)
    reheader(place.cached(source, "2"), source, place.cached(source, "1").read_bytes()[HEADER:])
    assert look(place, capsys, "--config", policy)["defects"] == []
    seen = look(place, capsys, "--deep", "--config", policy)
    assert kinds(seen, place) == [("differs", f"c.{TAG}.opt-2.pyc")]


def test_each_interpreter_loads_and_compares_its_own(
    each: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ast", "dataclasses", "decimal", "heapq", "textwrap", "typing"):
        each.write(f"{name}_.py", Path(os.__file__).with_name(f"{name}.py").read_bytes())
    each.write("constants.py", "x = [0.0, -0.0, 1e400 - 1e400, 1j, (1, True), b'', ..., None]\n")
    each.write("sets.py", "def f(x):\n    return x in {1, 'a', (2, 3)}, x[1:2], x is ()\n")
    source = each.write("p/a.py", f'"""Documented."""\n{TEXT}')
    built = each.build("--optimize", "0,2")
    assert built.counts["compiled"] > 3
    policy = each.folder / "policy.conf"
    policy.write_text("optimize = 0 2\n")
    seen = look(each, capsys, "--deep", "--config", policy)
    assert (seen["status"], seen["defects"]) == (0, [])
    assert seen["counts"]["entries"] == 2 * built.counts["compiled"]
    cut, strange = sorted(each.tree.rglob("sources/p/a.*.pyc"))
    reheader(cut, source, cut.read_bytes()[HEADER:-3])
    elsewhere = min(each.tree.rglob("sources/sets.*.pyc"))
    reheader(strange, source, elsewhere.read_bytes()[HEADER:])
    seen = look(each, capsys, "--config", policy)
    assert [d["kind"] for d in seen["defects"] if "/p/" in d["path"]] == ["corrupt", "corrupt"]


# what is no defect


def run(place: Builder, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command on the tree as a user does."""
    verb, *rest = arguments
    start = [sys.executable, "-m", "pycache_sys", verb, "--tree", str(place.tree)]
    return subprocess.run(
        [*start, "--python", place.python, *rest],
        capture_output=True,
        text=True,
        check=False,
        env=place.environment,
        **options,
    )


def test_of_a_healthy_tree_nothing_is_said(place: Builder) -> None:
    place.write("broken.py", "def (\n")
    place.write("p/empty.py", "")
    place.write("tab\tand\nnewline.py", "x = 1\n")
    place.build()
    (place.sources / "dangling.py").symlink_to("nothing")
    before = snapshot(place.sources, place.tree)
    done = run(place, "verify", str(place.sources))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    deep = run(place, "verify", "--deep", str(place.sources))
    assert (deep.returncode, deep.stdout, deep.stderr) == (0, "", "")
    assert snapshot(place.sources, place.tree) == before
    told = run(place, "verify", "-v", str(place.sources))
    assert "up to date 5, loaded 5, defects 0" in told.stdout
    assert "broken.py: syntax error" in told.stderr


def test_lines_are_for_people_and_quiet_has_none(place: Builder) -> None:
    source = place.sources / "p/a.py"
    place.cached(source).unlink()
    done = run(place, "verify", str(place.sources))
    line = f"missing    {place.cached(source)}: its source has no bytecode\n"
    assert (done.returncode, done.stdout) == (1, line)
    assert done.stderr.startswith("pycache-sys: 1 defect: 1 missing.")
    quiet = run(place, "verify", "-q", str(place.sources))
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (1, "", "")


def test_only_what_was_asked_for_is_looked_at(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("p/a.py", "b.py"):
        place.cached(place.sources / name).unlink()
    capsys.readouterr()
    words = ["verify", "--tree", place.tree, "--python", place.python, "--json"]
    main([*map(str, words), str(place.sources / "p")])
    seen = json.loads(capsys.readouterr().out)
    assert kinds(seen, place) == [("missing", NAME)]
    main([*map(str, words), str(place.sources / "p/__init__.py")])
    seen = json.loads(capsys.readouterr().out)
    assert (seen["defects"], seen["counts"]["entries"]) == ([], 1)


def test_a_path_that_does_not_exist_is_a_failure(place: Builder) -> None:
    done = run(place, "verify", str(place.folder / "nothing"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not exist" in done.stderr


def test_what_rebuild_mends_is_not_there_any_more(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [place.write(f"m{number}.py", TEXT) for number in range(5)]
    place.build()
    _remove(sources[0], place.cached(sources[0]))
    _edit(sources[1], place.cached(sources[1]))
    place.cached(sources[2]).chmod(0o666)
    sources[3].unlink()
    _become(_fifo)(sources[4], place.cached(sources[4]))
    assert len(look(place, capsys)["defects"]) == 5
    place.build("--prune")
    assert look(place, capsys)["defects"] == []


def test_a_tree_that_is_built_meanwhile_has_no_lasting_defect(place: Builder) -> None:
    """What a look reports during a rebuild may be so at that moment; bodies are always whole."""
    for number in range(40):
        place.write(f"m{number:02}.py", TEXT * 5)
    place.build("--optimize", "0,1,2")
    policy = place.folder / "policy.conf"
    policy.write_text("optimize = 0 1 2\n")
    stopped = threading.Event()

    def build() -> None:
        while not stopped.is_set():
            place.build("--force", "--optimize", "0,1,2")

    thread = threading.Thread(target=build)
    thread.start()
    seen = []
    try:
        for _ in range(6):
            done = run(place, "verify", "--json", "--config", str(policy), str(place.sources))
            seen += json.loads(done.stdout)["defects"]
    finally:
        stopped.set()
        thread.join()
    assert seen == []


class Meddler:
    """Puts another file in an entry's place as soon as the first body was looked at."""

    def __init__(self, entry: Path, body: bytes) -> None:
        self.entry = entry
        self.header = entry.read_bytes()[:HEADER]
        self.stamp = entry.stat().st_mtime_ns
        self.body: bytes | None = body

    def began(self, words: str, total: int) -> None:
        assert total == 1, words

    def advanced(self) -> None:
        if self.body is not None:
            other = self.entry.with_name("other")
            other.write_bytes(self.header + self.body)
            os.utime(other, ns=(self.stamp, self.stamp))
            other.replace(self.entry)
            self.body = None


@pytest.mark.parametrize("is_mended", [True, False])
def test_what_is_replaced_while_it_is_looked_at_is_looked_at_again(
    place: Builder, is_mended: bool
) -> None:
    source = place.sources / "p/a.py"
    entry = place.cached(source)
    good = entry.read_bytes()[HEADER:]
    reheader(entry, source, good[:-1])
    request = Request(tree=str(place.tree), paths=[str(source)], python_paths=[place.python])
    result = Verification(tree=request.tree)
    meddler = Meddler(entry, good if is_mended else good[:-2])
    verify(request, result, meddler)
    assert meddler.body is None
    assert [d.kind for d in result.defects] == ([] if is_mended else ["corrupt"])


def test_an_interrupted_look_leaves_no_worker(place: Builder) -> None:
    for number in range(300):
        place.write(f"m{number:03}.py", "\n".join(f"x{n} = [{n}]" for n in range(400)))
    place.build()
    command = [sys.executable, "-m", "pycache_sys", "verify", "--deep", "--json"]
    command += ["--tree", str(place.tree), "--python", place.python, str(place.sources)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=place.environment
    ) as process:
        workers: list[str] = []
        deadline = time.monotonic() + 60
        while not workers and time.monotonic() < deadline:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            workers = [number for number in children if "check.py" in command_of(number)]
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert workers
    assert process.returncode == 130
    assert json.loads(stdout)["defects"] == []
    assert "interrupted" in stderr
    while any(is_running(number) for number in workers):  # one that was just started ends itself
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command_of(number: str) -> str:
    try:
        return Path(f"/proc/{number}/cmdline").read_text()
    except OSError:  # one that asked an interpreter who it is has ended
        return ""


def is_running(number: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False

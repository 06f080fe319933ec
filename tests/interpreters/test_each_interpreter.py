"""What holds for every interpreter of the machine: its own import system is the judge."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from interpreters.builder import (
    COMPILE,
    Builder,
    environment,
    identity,
    matches,
    pycs,
    say,
    snapshot,
    stock_import,
)
from interpreters.conftest import Found
from pycache_sys_runtime import layout

LEVELS = ("", "1", "2")
PACKAGES = ("email", "json", "xml")
MODULES = ("json", "email", "email.charset", "email.errors", "xml.dom.minidom", "levels", "plain")


@pytest.fixture
def corpus(each: Builder) -> Path:
    """Copy some of the interpreter's own packages; two sources show the levels."""
    where = say(each.python, "import os; print(os.path.dirname(os.__file__))").strip()
    for package in PACKAGES:
        shutil.copytree(
            f"{where}/{package}",
            each.sources / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    each.write("levels.py", '"""A docstring."""\nassert len("a") == 1\n')
    each.write("plain.py", "x = 1\n")
    return each.sources


def folder_of(each: Builder) -> Path:
    """Name the interpreter's folder in the tree, from who it is."""
    who = identity(each.python)
    major, minor, _ = who["version"]
    name = layout.version_directory(
        who["implementation"], major, minor, free_threaded=who["free_threaded"]
    )
    return each.tree / name


def cached(each: Builder, source: Path, level: str = "") -> Path:
    tag = identity(each.python)["cache_tag"]
    path = layout.cache_path(str(source), str(folder_of(each)), tag, level)
    assert path is not None
    return Path(path)


def odd_sources() -> list[str]:
    """List some 200 paths, among them what is odd and allowed."""
    names = [
        *(
            "a",
            "__init__",
            "a.b",
            "a.opt-1",
            "a.cpython-311",
            ".hidden",
            "a b",
            "a\nb",
            "é",
            "-",
            "...",
        ),
        *("\udcff", "a.py", "%s", "日本語", "\x7f", "a" * 200, "opt-2"),
    ]
    directories = [
        "/usr/lib/python3",
        "/a",
        "/a//b",
        "/a/./b",
        "//a",
        "/a.py",
        "/é/\udcfe",
        "/a\nb",
    ]
    directories += ["/usr/lib/python3/dist-packages/" + "/".join("d" * n) for n in (1, 2, 30)]
    return [f"{directory}/{name}.py" for directory in directories for name in names]


def test_layout_is_the_interpreters_own(interpreter: Found, tmp_path: Path) -> None:
    prefix = str(tmp_path / "prefix")
    sources = odd_sources()
    assert len(sources) > 180
    questions = tmp_path / "questions.json"
    questions.write_text(json.dumps(sources))
    program = (
        "import json, sys, importlib.util as u\n"
        f"sources = json.load(open({str(questions)!r}))\n"
        f"levels = {LEVELS!r}\n"
        "print(json.dumps([[u.cache_from_source(s, optimization=o) for o in levels]"
        " for s in sources]))\n"
        "print(sys.implementation.cache_tag)\n"
    )
    said, tag = say(interpreter.path, program, "-X", f"pycache_prefix={prefix}").splitlines()
    ours = [[layout.cache_path(s, prefix, tag, level) for level in LEVELS] for s in sources]
    assert json.loads(said) == ours


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(("level", "option"), [("", "-q"), ("1", "-O"), ("2", "-OO")])
def test_stock_takes_every_module_from_the_tree_and_writes_nothing(
    each: Builder, level: str, option: str
) -> None:
    done = each.build("--optimize", level or "0")
    assert (done.status, done.outcomes) == (0, [])
    corpus_in_tree = Path(f"{folder_of(each)}{each.sources}")
    before = snapshot(corpus_in_tree)
    sources, said = stock_import(
        each.python, folder_of(each), each.sources, MODULES, *([option] if level else [])
    )
    assert len(sources) > 12
    for source in sources:
        assert matches(said, cached(each, Path(source), level), source), source
    assert snapshot(corpus_in_tree) == before
    assert not list(each.sources.rglob("__pycache__"))


@pytest.mark.usefixtures("corpus")
def test_identical_levels_are_one_file(each: Builder) -> None:
    each.build("--optimize", "0,1,2")
    plain = [cached(each, each.sources / "plain.py", level).stat().st_ino for level in LEVELS]
    assert len(set(plain)) == 1
    differing = [cached(each, each.sources / "levels.py", level).stat().st_ino for level in LEVELS]
    assert len(set(differing)) == 3
    assert each.build("--optimize", "0,1,2").counts["compiled"] == 0


@pytest.mark.usefixtures("corpus")
def test_the_number_of_workers_makes_no_difference(each: Builder, tmp_path: Path) -> None:
    trees = []
    for number in ("1", "4"):
        tree = tmp_path / f"tree-{number}"
        done = each.build("--tree", tree, "-j", number, "--optimize", "0,2")
        assert (done.status, done.counts["failed"]) == (0, 0)
        trees.append(tree)
    facts = [
        {
            str(path.relative_to(tree)): (path.lstat().st_mode, path.lstat().st_mtime_ns)
            for path in tree.rglob("*.pyc")
        }
        for tree in trees
    ]
    assert len(facts[0]) > 50
    assert facts[0] == facts[1]
    program = (
        "import marshal\n"
        f"for name in {sorted(facts[0])!r}:\n"
        f"    both = [tree + '/' + name for tree in {[str(t) for t in trees]!r}]\n"
        "    one, other = [open(path, 'rb').read() for path in both]\n"
        "    assert one[:16] == other[:16], name\n"
        "    code = marshal.loads(one[16:])\n"
        "    assert code == marshal.loads(other[16:]), name\n"
        "    print(code.co_filename)\n"
    )
    said = set(say(each.python, program).splitlines())
    assert said == {str(path) for path in each.sources.rglob("*.py")}


@pytest.mark.usefixtures("corpus")
def test_a_second_rebuild_compiles_nothing_and_a_third_what_was_replaced(each: Builder) -> None:
    first = each.build()
    total = first.counts["compiled"]
    assert total == len(list(each.sources.rglob("*.py"))) == len(pycs(each.tree))
    before = snapshot(folder_of(each))
    assert each.build().summary == (0, total, 0)
    assert snapshot(folder_of(each)) == before
    source = each.sources / "plain.py"
    status = source.stat()
    source.unlink()
    source.write_text("x = 2\n")
    os.utime(source, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert (source.stat().st_size, source.stat().st_mtime_ns) == (6, status.st_mtime_ns)
    assert each.build().summary == (1, total - 1, 0)
    after = snapshot(folder_of(each))
    entry = str(cached(each, source))
    changed = {path for path, facts in after.items() if facts != before[path]}
    assert {path for path in changed if path.endswith(".pyc")} == {entry}
    program = f"import marshal; exec(marshal.loads(open({entry!r}, 'rb').read()[16:])); print(x)"
    assert say(each.python, program) == "2\n"


def test_identify_says_where_this_interpreter_imports_from(interpreter: Found) -> None:
    who = identity(interpreter.path)
    assert tuple(who["version"]) == interpreter.version
    program = (
        "import sys, os, json, importlib.util as u, sysconfig\n"
        "print(json.dumps([sys.implementation.cache_tag, u.MAGIC_NUMBER.hex(),"
        " os.path.dirname(os.__file__), os.path.realpath(sys.executable), sys.path]))"
    )
    tag, magic, library, binary, path = json.loads(say(interpreter.path, program, "-I"))
    assert (who["cache_tag"], who["magic"], who["binary"]) == (tag, magic, binary)
    assert library in who["library"]
    ours = {os.path.realpath(one) for one in who["library"] + who["site"]}
    assert {os.path.realpath(p) for p in path if os.path.isdir(p) and "packages" in p} <= ours


def test_identify_says_only_its_version_where_it_is_too_old(ancient: Found) -> None:
    assert identity(ancient.path) == {"version": list(ancient.version)}


def test_an_old_interpreter_is_reported_as_too_old(builder: Builder, too_old: Found) -> None:
    builder.write("a.py")
    done = builder.build("--python", too_old.path)
    assert done.status == 1
    (note,) = done.report["interpreters"]
    assert (note["status"], note["reason"]) == ("skipped", "too-old")
    assert pycs(builder.tree) == set()


def test_the_worker_speaks_its_protocol(interpreter: Found, tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    broken = tmp_path / "b.py"
    broken.write_text("x = = 1\n")
    requests = b""
    for number, (path, levels) in enumerate([(source, b"\0\1"), (broken, b"\0"), (source, b"")]):
        body = struct.pack("<IBB", number, 3, len(levels)) + levels + os.fsencode(path)
        requests += struct.pack("<I", len(body)) + body
    done = subprocess.run(
        [interpreter.path, "-I", "-S", "-B", "-X", "utf8", str(COMPILE), "60"],
        input=requests,
        capture_output=True,
        check=True,
        env=environment(),
    )
    frames, rest = [], done.stdout
    while rest:
        (length,) = struct.unpack_from("<I", rest)
        frames.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
    who = identity(interpreter.path)
    greeting = b"pycache-sys worker 1" + struct.pack("<I", os.geteuid())
    assert frames[0] == greeting + bytes.fromhex(who["magic"]) + who["cache_tag"].encode()
    status = source.stat()
    stamps = (status.st_dev, status.st_ino, 6, status.st_mtime_ns, status.st_ctime_ns)
    assert frames[1][:45] == struct.pack("<IBQQqqq", 0, 0, *stamps)
    (length,) = struct.unpack_from("<I", frames[1], 53)
    file = frames[1][57 : 57 + length]
    assert file[:16] == bytes.fromhex(who["magic"]) + b"\3\0\0\0" + frames[1][45:53]
    assert frames[1][57 + length :] == bytes(4)
    assert frames[2][:12] == struct.pack("<IB", 1, 1) + b"syntax\0"
    assert frames[3] == struct.pack("<IB", 2, 0) + frames[1][5:53]


def test_a_virtual_environment_has_its_packages_and_its_bases_library(
    each: Builder, tmp_path: Path
) -> None:
    subprocess.run(
        [each.python, "-B", "-m", "venv", "--without-pip", str(tmp_path / "venv")],
        check=True,
        capture_output=True,
        env=environment(),
    )
    python = f"{tmp_path}/venv/bin/python"
    where = say(python, "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    source = Path(where, "thing.py")
    source.write_text("x = 1\n")
    library = say(python, "import os; print(os.path.dirname(os.__file__))").strip()
    folder = folder_of(each)
    planned = each.rebuild("--python", python, "--dry-run", machine=False).stdout.splitlines()
    assert f"compile {folder.name} {source}" in planned
    assert f"compile {folder.name} {library}/os.py" in planned
    assert f"compile {folder.name} {library}/json/__init__.py" in planned
    done = each.rebuild("--python", python, where)
    assert done.summary == (1, 0, 0)
    sources, said = stock_import(python, folder, Path(where), ["thing"])
    assert sources == [str(source)]
    assert matches(said, cached(each, source), source)


def test_two_paths_of_one_interpreter_count_once(each: Builder, tmp_path: Path) -> None:
    each.write("a.py")
    link = tmp_path / "another"
    link.symlink_to(os.path.realpath(each.python))
    done = each.build("--python", each.python, "--python", str(link))
    assert (done.status, done.summary) == (0, (1, 0, 0))
    assert [note["path"] for note in done.report["interpreters"]] == [each.python]


DEEP = {
    "parentheses": "(" * 100_000 + ")" * 100_000,
    "brackets": "x = " + "[" * 90 + "]" * 90,
    "negations": "x = " + "-" * 100_000 + "1",
    "nots": "x = " + "not " * 100_000 + "x",
    "attributes": "x = y" + ".z" * 100_000,
    "calls": "x = y" + "()" * 100_000,
    "sums": "x = 1" + " + y" * 100_000,
    "lambdas": "x = " + "lambda: " * 100_000 + "0",
    "conditions": "x = " + "1 if y else " * 50_000 + "0",
    "indents": "".join(" " * n + "if x:\n" for n in range(300)) + " " * 300 + "pass\n",
    "elifs": "if x: pass\n" + "elif x: pass\n" * 20_000,
}


def test_a_source_that_is_too_deep_for_a_compiler_spoils_no_other(each: Builder) -> None:
    good = [each.write(f"good{n}.py", f"x = {n}\n") for n in range(20)]
    for name, text in DEEP.items():
        each.write(f"{name}.py", text)
    done = each.build("-j", "2")
    allowed = {"syntax", "too-complex", "crash", "memory-limit"}
    assert {reason for _, reason in done.outcomes} <= allowed
    assert str(each.sources / "parentheses.py") in dict(done.outcomes)
    assert len(done.outcomes) == len(dict(done.outcomes))
    assert done.status == 1
    assert all(cached(each, source).exists() for source in good)
    assert done.counts["compiled"] == len(good) + len(DEEP) - len(done.outcomes)
    assert len(pycs(each.tree)) == done.counts["compiled"]

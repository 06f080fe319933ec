"""A bad source is one outcome with its reason, and everything else is compiled."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from interpreters.builder import FOLDER, Builder, Run, matches, obeying_modes, pycs, stock_import
from pycache_sys.build_request import Request
from pycache_sys.core.plan import Plan
from pycache_sys.core.report import Report
from pycache_sys.rebuild import rebuild
from pycache_sys.system.pythons.workers import Limits

GOOD = ("a.py", "m/n.py", "z.py")


@pytest.fixture(autouse=True)
def _good(builder: Builder) -> None:
    for number, name in enumerate(GOOD):
        builder.write(name, f"x = {number}\n")


def expect(builder: Builder, run: Run, *outcomes: tuple[Path, str], status: int) -> None:
    """See that the good sources are compiled, and that nothing else happened but these outcomes."""
    assert run.stderr == ""
    assert run.outcomes == sorted((str(path), reason) for path, reason in outcomes)
    assert run.summary == (len(GOOD), 0, 0)
    assert pycs(builder.tree) == {str(builder.cached(builder.sources / name)) for name in GOOD}
    assert run.status == status


@pytest.mark.parametrize(
    "text",
    [
        b"print 'Python 2'\n",
        b"x = 1\0\n",
        b"# coding: no-such-codec\nx = 1\n",
        b"x = '\xff'\n",
        b"\xef\xbb\xbf# coding: latin-1\nx = 1\n",
        b"def f():\n    return\n  x\n",
        b"return\n",
        b"(" * 300,
    ],
    ids=["python-2", "nul", "no-codec", "not-utf-8", "two-codings", "dedent", "return", "open"],
)
def test_what_is_not_python_is_a_syntax_error(builder: Builder, text: bytes) -> None:
    bad = builder.write("bad.py", text)
    run = builder.build()
    expect(builder, run, (bad, "syntax"), status=1)
    assert run.report["failures"][0]["detail"]


def test_a_syntax_error_names_its_line(builder: Builder) -> None:
    builder.write("bad.py", "x = 1\n\nprint 'Python 2'\n")
    (failure,) = builder.build().report["failures"]
    assert failure["detail"].startswith("line 3: ")


def test_an_entry_whose_source_became_bad_is_taken_out(builder: Builder) -> None:
    bad = builder.write("bad.py")
    builder.build()
    assert builder.cached(bad).exists()
    bad.write_text("x = = 1\n")
    run = builder.build()
    assert run.outcomes == [(str(bad), "syntax")]
    assert run.summary == (0, len(GOOD), 1)
    assert not builder.cached(bad).exists()


def test_an_unreadable_source(builder: Builder) -> None:
    bad = builder.write("bad.py")
    bad.chmod(0)
    run = builder.build(preexec_fn=obeying_modes)
    expect(builder, run, (bad, "unreadable"), status=0)


def test_an_unreadable_directory(builder: Builder) -> None:
    bad = builder.write("bad/a.py")
    bad.parent.chmod(0)
    try:
        run = builder.build(preexec_fn=obeying_modes)
        expect(builder, run, (bad.parent, "unreadable"), status=0)
    finally:
        bad.parent.chmod(0o755)


def test_a_fifo(builder: Builder) -> None:
    bad = builder.sources / "bad.py"
    os.mkfifo(bad)
    expect(builder, builder.build(), (bad, "not-regular"), status=0)


def test_a_socket(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(builder.sources)  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("bad.py")
    bad = builder.sources / "bad.py"
    expect(builder, builder.build(), (bad, "not-regular"), status=0)


def test_a_device(builder: Builder) -> None:
    bad = builder.sources / "bad.py"
    bad.symlink_to("/dev/zero")
    expect(builder, builder.build(), (bad, "not-regular"), status=0)


def test_a_symlink_loop(builder: Builder) -> None:
    bad = builder.sources / "bad.py"
    bad.symlink_to("bad.py")
    expect(builder, builder.build(), (bad, "link-loop"), status=0)


def test_a_dangling_link(builder: Builder) -> None:
    bad = builder.sources / "bad.py"
    bad.symlink_to("nothing.py")
    expect(builder, builder.build(), (bad, "dangling-link"), status=0)


def test_links_of_directories_in_a_circle(builder: Builder) -> None:
    (builder.sources / "m" / "up").symlink_to("..")
    (builder.sources / "m" / "self").symlink_to("self")
    expect(builder, builder.build(), status=0)


def test_a_link_to_a_directory_elsewhere_is_not_followed(builder: Builder) -> None:
    elsewhere = builder.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.py").write_text("x = 1\n")
    (elsewhere / "__init__.py").touch()
    bad = builder.sources / "bad"
    bad.symlink_to(elsewhere)
    expect(builder, builder.build(), (bad, "outside-roots"), status=0)


def test_a_link_to_a_source_is_compiled_under_its_own_name(builder: Builder) -> None:
    elsewhere = builder.folder / "elsewhere.py"
    elsewhere.write_text("x = 5\n")
    link = builder.sources / "link.py"
    link.symlink_to(elsewhere)
    assert builder.build().summary == (len(GOOD) + 1, 0, 0)
    imported, said = stock_import(sys.executable, builder.tree / FOLDER, builder.sources, ["link"])
    assert imported == [str(link)]
    assert matches(said, builder.cached(link), link)
    assert builder.build().summary == (0, len(GOOD) + 1, 0)


@pytest.mark.parametrize(
    "name", [b"new\nline.py", b"not-utf-8-\xff.py", b" .py", b"-j.py", b"\x1b[31m.py", b"a.b.py"]
)
def test_an_odd_name_is_compiled_as_any_other(builder: Builder, name: bytes) -> None:
    odd = builder.write(os.fsdecode(name))
    run = builder.build()
    assert (run.status, run.outcomes, run.summary) == (0, [], (len(GOOD) + 1, 0, 0))
    assert builder.cached(odd).exists()
    assert builder.build().summary == (0, len(GOOD) + 1, 0)


@pytest.mark.parametrize("name", [b"new\nline", b"not-utf-8-\xff", b"\x1b[31m"])
def test_no_name_reaches_the_terminal_raw(builder: Builder, name: bytes) -> None:
    builder.write(os.fsdecode(name) + ".py", "x = = 1\n")
    run = builder.build("-v", machine=False)
    assert run.status == 1
    assert len([line for line in run.stderr.splitlines() if "syntax error" in line]) == 1
    assert run.stderr.isascii()
    assert "\x1b" not in run.stderr


def test_a_name_that_is_too_long_with_the_tag(builder: Builder) -> None:
    bad = builder.write("a" * 248 + ".py")
    expect(builder, builder.build(), (bad, "name-too-long"), status=0)


def test_a_directory_deeper_than_pythons_own_recursion(builder: Builder) -> None:
    # PATH_MAX allows some 2,000 levels; they are made and removed one by one
    levels = 1_100
    descriptor = os.open(builder.sources, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("deep.py", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=descriptor))
    os.close(descriptor)
    try:
        run = builder.build()
        assert run.stderr == ""
        assert (run.status, run.outcomes) == (0, [])
        assert run.summary == (len(GOOD) + 1, 0, 0)
        assert builder.cached(Path(builder.sources, *["d"] * levels, "deep.py")).exists()
        assert builder.build().summary == (0, len(GOOD) + 1, 0)
        (Path(builder.sources, *["d"] * levels, "deep.py")).unlink()
        assert builder.build("--prune").summary == (0, len(GOOD), 1)
    finally:
        os.system(f"rm -rf '{builder.sources}' '{builder.tree}'")  # noqa: S605 - rmtree recurses too


def test_a_pyw_beside_a_py(builder: Builder) -> None:
    bad = builder.write("a.pyw")
    expect(builder, builder.build(), (bad, "shadowed"), status=0)


def test_a_root_that_does_not_exist(builder: Builder) -> None:
    bad = builder.sources / "nothing"
    expect(builder, builder.build(bad), (bad, "missing"), status=1)


def test_a_path_that_is_no_source(builder: Builder) -> None:
    bad = builder.write("README")
    expect(builder, builder.build(bad), (bad, "not-a-source"), status=0)


def test_a_source_that_is_named_twice_is_compiled_once(builder: Builder) -> None:
    again = builder.sources / "a.py"
    expect(builder, builder.build(again, again, builder.sources / "m"), status=0)


def test_compiled_code_is_never_executed(builder: Builder) -> None:
    mark = builder.folder / "mark"
    builder.write("bad.py", f"open({str(mark)!r}, 'w')\nprint('hello')\n")
    builder.write("sitecustomize.py", f"open({str(mark)!r}, 'w')\n")
    run = builder.build("--optimize", "0,1,2", cwd=builder.sources)
    assert (run.status, run.counts["compiled"]) == (0, len(GOOD) + 2)
    assert not mark.exists()


def test_the_compilers_warnings_reach_nobody(builder: Builder) -> None:
    builder.write("bad.py", "if 1 is 1: '\\d'\nassert (1, 'x')\n")
    run = builder.build(machine=False)
    assert (run.status, run.stderr) == (0, "")
    assert "Warning" not in run.stdout
    run = builder.build("--force", env=builder.environment | {"PYTHONWARNINGS": "error"})
    assert (run.status, run.outcomes) == (0, [])


@dataclass
class Watcher:
    """Does something when the plan is made and when a source is done."""

    on_plan: Callable[[], object] = lambda: None
    on_advance: Callable[[], object] = lambda: None

    def waiting(self, message: str) -> None:
        raise AssertionError(message)

    def planned(self, plan: Plan, interpreter: str) -> None:  # noqa: ARG002 - a port
        self.on_plan()

    def advanced(self) -> None:
        self.on_advance()


def run_with(
    builder: Builder, watcher: Watcher, limits: Limits | None = None, jobs: int = 2
) -> Report:
    report = Report(tree=str(builder.tree))
    request = Request(
        tree=str(builder.tree),
        paths=[str(builder.sources)],
        python_paths=[sys.executable],
        jobs=jobs,
        limits=limits or Limits(),
    )
    rebuild(request, report, watcher)
    return report


def outcomes(report: Report) -> list[tuple[str, str]]:
    return [(o.source, o.reason.value) for o in report.failures + report.skips]


def test_a_source_that_takes_all_memory(builder: Builder) -> None:
    bad = builder.write("bad.py", "x=1\n" * 3_000_000)
    report = run_with(builder, Watcher(), Limits(address_space=256 << 20))
    assert outcomes(report) == [(str(bad), "memory-limit")]
    assert report.compiled == len(GOOD)
    assert report.exit_status == 1


def test_a_source_that_takes_for_ever(builder: Builder) -> None:
    bad = builder.write("bad.py", "x = (1, 2, 3)\n" * 1_500_000)
    started = time.monotonic()
    report = run_with(builder, Watcher(), Limits(seconds=1))
    assert outcomes(report) == [(str(bad), "time-limit")]
    assert report.compiled == len(GOOD)
    assert report.exit_status == 1
    assert time.monotonic() - started < 10


def test_a_builder_that_was_stopped_for_a_while_blames_no_source(builder: Builder) -> None:
    """A suspended builder, or a slow disk, does not make the worker late."""
    for number in range(6):
        builder.write(f"large{number}.py", f"x = {'y' * 2_000_000!r}\n")
    pauses = iter([2.5])
    report = run_with(
        builder, Watcher(on_advance=lambda: time.sleep(next(pauses, 0))), Limits(seconds=1), jobs=1
    )
    assert outcomes(report) == []
    assert report.compiled == len(GOOD) + 6


def test_a_source_that_vanishes_before_it_is_read(builder: Builder) -> None:
    bad = builder.write("bad.py")
    report = run_with(builder, Watcher(on_plan=bad.unlink))
    assert outcomes(report) == [(str(bad), "vanished")]
    assert report.compiled == len(GOOD)
    assert not builder.cached(bad).exists()


@contextmanager
def rewritten_all_the_time(path: Path) -> Iterator[None]:
    """Give a source another content again and again."""
    ended = threading.Event()

    def rewrite() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with path.open("w") as file:
                file.write(f"x = {number}\n" + "y = 1\n" * (number % 7))
            time.sleep(0.0005)

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_source_that_changes_all_the_time(builder: Builder) -> None:
    bad = builder.write("bad.py")
    with rewritten_all_the_time(bad):
        run = builder.build()
    expect(builder, run, (bad, "changed"), status=1)


def test_a_source_that_changed_after_the_plan_is_compiled_as_it_is_then(builder: Builder) -> None:
    late = builder.write("late.py", "x = 'before'\n")

    def change() -> None:
        late.write_text("x = 'after'\n")

    report = run_with(builder, Watcher(on_plan=change))
    assert outcomes(report) == []
    assert b"after" in builder.cached(late).read_bytes()
    assert run_with(builder, Watcher()).compiled == 0

"""An interpreter that is broken, hangs or lies is reported; the others do their work."""

import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from interpreters.builder import (
    Builder,
    fenced,
    identity,
    pretend,
    processes_left,
    processes_named,
    pycs,
)


@pytest.fixture
def truth(builder: Builder) -> dict[str, Any]:
    """Say what an honest interpreter says, its library being the folder of sources."""
    builder.write("a.py")
    return identity() | {"library": [str(builder.sources)], "site": [], "environment": ""}


def note_of(builder: Builder, python: str) -> tuple[str, str]:
    """Rebuild with a bad interpreter beside the running one; return (reason, detail)."""
    run = builder.rebuild("--python", python, "--python", sys.executable, builder.sources)
    assert run.status == 1, run.stderr
    assert run.stderr == ""
    bad, good = run.report["interpreters"]
    assert (bad["path"], bad["status"]) == (python, "skipped")
    assert (good["path"], good["status"]) == (sys.executable, "used")
    assert run.counts["compiled"] == 1
    return bad["reason"], bad["detail"]


def test_a_program_that_is_none_of_our_kind(builder: Builder) -> None:
    builder.write("a.py")
    for python in (
        "/bin/true",
        "/bin/false",
        "/dev/null",
        "/nothing/python3",
        str(builder.sources),
    ):
        reason, detail = note_of(builder, python)
        expected = "missing" if python == "/nothing/python3" else "broken"
        assert (reason, bool(detail)) == (expected, True), python
        builder.cached(builder.sources / "a.py").unlink()


def test_nothing_usable_at_all(builder: Builder) -> None:
    builder.write("a.py")
    run = builder.build("--python", "/bin/false")
    assert run.status == 1
    assert pycs(builder.tree) == set()
    assert builder.build("--python", "/bin/false", "--best-effort").status == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "../../etc"}, "broken"),
        ({"version": ["../../etc", 3, 11]}, "broken"),
        ({"version": [3, 11]}, "broken"),
        ({"version": [3, True, 2]}, "broken"),
        ({"version": [3, -1, 2]}, "too-old"),
        ({"version": [3, 11.0, 2]}, "broken"),
        ({"version": [3, 5000, 2]}, "broken"),
        ({"version": [3, 7, 9]}, "too-old"),
        ({"version": None}, "broken"),
        ({"implementation": "../cpython"}, "broken"),
        ({"implementation": "jython"}, "broken"),
        ({"implementation": None}, "broken"),
        ({"cache_tag": None}, "no-cache-tag"),
        ({"cache_tag": ""}, "broken"),
        ({"cache_tag": "../../x"}, "broken"),
        ({"cache_tag": "cpython-311\n"}, "broken"),
        ({"cache_tag": "cpython.311"}, "broken"),
        ({"magic": "a70d0d"}, "broken"),
        ({"magic": "a70d0d0a00"}, "broken"),
        ({"magic": "xyz"}, "broken"),
        ({"magic": 5}, "broken"),
        ({"library": ["/usr/../etc"]}, "broken"),
        ({"library": []}, "broken"),
        ({"library": ["relative"]}, "broken"),
        ({"library": ["/a\0b"]}, "broken"),
        ({"library": "/"}, "broken"),
        ({"library": {"/": 1}}, "broken"),
        ({"library": None}, "broken"),
        ({"site": ["/ok", 5]}, "broken"),
        ({"site": 7}, "broken"),
        ({"binary": "python"}, "broken"),
        ({"binary": "/nothing/at/all"}, "broken"),
        ({"binary": "/\ud800"}, "broken"),
        ({"library": ["/\ud800"]}, "broken"),
        ({"environment": 3}, "broken"),
        ({"libraries": [1]}, "broken"),
    ],
    ids=repr,
)
def test_a_liar(
    builder: Builder, truth: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    python = pretend(builder.folder / "python3.99", truth | changes)
    if changes.get("version") == [3, -1, 2]:
        reason = "broken"
    assert note_of(builder, python)[0] == reason
    assert {path.name for path in builder.tree.iterdir() if path.is_dir()} == {
        builder.cached(builder.sources / "a.py").relative_to(builder.tree).parts[0]
    }


@pytest.mark.parametrize(
    "answer",
    ["", "[]", "{", "null", "3", "[" * 100_000, "9" * 10_000, "-" * 100_000 + "1", "\udcff", "{}",
     "{[]: 1}", "(" * 150 + ")" * 150],
    ids=lambda text: ascii(text[:5]),
)  # fmt: skip
def test_one_that_answers_nonsense(builder: Builder, answer: str) -> None:
    builder.write("a.py")
    python = builder.folder / "python3.99"
    pretend(python, "")
    Path(f"{python}.answer").write_bytes(os.fsencode(fenced(answer)))
    assert note_of(builder, str(python))[0] == "broken"


def test_one_without_fences(builder: Builder, truth: dict[str, Any]) -> None:
    python = pretend(builder.folder / "python3.99", repr(truth), raw=True)
    assert note_of(builder, python)[0] == "broken"


def test_noise_around_the_fences_is_no_answer(builder: Builder, truth: dict[str, Any]) -> None:
    noisy = f"Hello!\n\x1b[31m{{'version': 5}}{fenced(truth)}<<< bye\n{fenced('3')}"
    python = pretend(builder.folder / "python3.99", noisy, raw=True)
    run = builder.rebuild("--python", python)
    assert (run.status, run.summary) == (0, (1, 0, 0))


def test_a_site_directory_that_leads_elsewhere_is_not_taken(
    builder: Builder, truth: dict[str, Any]
) -> None:
    elsewhere = builder.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.py").write_text("x = 1\n")
    dotted = f"{builder.sources}/../elsewhere"
    python = pretend(builder.folder / "python3.99", truth | {"site": [dotted]})
    run = builder.rebuild("--python", python)
    assert (run.status, run.summary) == (0, (1, 0, 0))
    assert pycs(builder.tree) == {str(builder.cached(builder.sources / "a.py"))}


def test_no_word_of_a_liar_reaches_the_terminal_raw(
    builder: Builder, truth: dict[str, Any]
) -> None:
    for changes in ({"implementation": "\x1b[31m"}, {"\x1b]": 1, "version": ["\x1b[31m"]}):
        python = pretend(builder.folder / "python3.99", truth | changes)
        run = builder.rebuild("--python", python, machine=False)
        assert run.status == 1
        assert "\x1b" not in run.stderr


@pytest.mark.parametrize(
    "worker",
    [
        "exit 0",
        "exit 3",
        "kill -9 $$",
        "echo garbage; sleep 60",
        "printf '\\377\\377\\377\\377garbage'; sleep 60",
        "cat /dev/zero",
        "cat",
    ],
)
def test_a_worker_that_does_not_work(builder: Builder, truth: dict[str, Any], worker: str) -> None:
    python = pretend(builder.folder / "python3.99", truth, worker=worker)
    run = builder.rebuild("--python", python, seconds=20)
    assert (run.status, run.stderr) == (1, "")
    assert run.outcomes == [(python, "worker")]
    assert run.counts["compiled"] == 0
    assert pycs(builder.tree) == set()
    assert processes_left(str(builder.folder)) == []


@pytest.mark.parametrize("changes", [{"magic": "00000d0a"}, {"cache_tag": "cpython-999"}])
def test_a_worker_that_is_not_who_it_was_identified_as(
    builder: Builder, truth: dict[str, Any], changes: dict[str, str]
) -> None:
    python = pretend(builder.folder / "python3.99", truth | changes)
    run = builder.rebuild("--python", python, seconds=20)
    assert (run.status, run.outcomes, run.summary) == (1, [(python, "worker")], (0, 0, 0))
    assert pycs(builder.tree) == set()


def test_those_that_hang_or_talk_for_ever_hold_nobody_up_for_long(
    builder: Builder, truth: dict[str, Any]
) -> None:
    """One test for all, because each takes the ten seconds that an answer may take."""
    bad = []
    for name, command in {
        "python3.90": "cat /dev/zero",
        "python3.91": "sleep 100",
        "python3.92": "sleep 100 & sleep 100",
    }.items():
        path = builder.folder / name
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)
        bad += ["--python", str(path)]
    started = time.monotonic()

    def little_memory() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, hard))

    run = builder.build(*bad, "--python", sys.executable, preexec_fn=little_memory, seconds=40)
    assert time.monotonic() - started < 20
    assert run.stderr == ""
    notes = {Path(note["path"]).name: note["reason"] for note in run.report["interpreters"]}
    assert notes["python3.91"] == notes["python3.92"] == "no-answer"
    assert notes["python3.90"] in ("no-answer", "broken")
    assert (run.status, run.counts["compiled"]) == (1, 1)
    assert processes_left(str(builder.folder)) == []


def test_an_interrupt_leaves_no_interpreter_behind_that_was_being_asked(builder: Builder) -> None:
    builder.write("a.py")
    python = builder.folder / "python3.99"
    python.write_text("#!/bin/sh\nsleep 100\n")
    python.chmod(0o755)
    process = builder.start("--python", str(python), builder.sources)
    mark = f"/bin/sh\0{python}"
    deadline = time.monotonic() + 10
    while not processes_named(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    asked = processes_named(mark)
    try:
        assert asked
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 130
        time.sleep(0.2)
        assert processes_left(mark) == []
    finally:
        process.kill()
        for number in processes_named(mark):
            os.killpg(number, signal.SIGKILL)


def test_a_rebuild_survives_an_interpreter_that_is_removed_meanwhile(
    builder: Builder, truth: dict[str, Any]
) -> None:
    path = builder.folder / "python3.99"
    python = pretend(path, truth)
    text = path.read_text().replace(") cat ", f") rm {path}; cat ")
    path.write_text(text)
    run = builder.rebuild("--python", python)
    assert (run.status, run.outcomes) == (1, [(python, "worker")])


def test_a_found_interpreter_is_chosen_by_its_version(builder: Builder) -> None:
    builder.write("a.py")
    major, minor = sys.version_info[:2]
    run = builder.rebuild("--python", f"=={major}.{minor}.*", builder.sources)
    for note in run.report["interpreters"]:
        assert note["version"].startswith(f"{major}.{minor}.")

"""``status`` counts what is there: with real interpreters, real trees, and what is off in them."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from interpreters.builder import (
    FOLDER,
    TAG,
    Builder,
    environment,
    identity,
    obeying_modes,
    pretend,
    snapshot,
)
from pycache_sys.cli import main
from pycache_sys.cli.columns import width_of
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.plan import temporary_name

Seen = dict[str, Any]
NOT_PYTHON = "def broken(:\n"
ESCAPE = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture
def place(builder: Builder) -> Builder:
    """Give a tree that was built of three modules, the whole library of an interpreter."""
    who = identity() | {"library": [str(builder.sources)], "site": [], "environment": ""}
    python = pretend(builder.folder / "python3.99", who)
    made = Builder(folder=builder.folder, python=python)
    for name in ("p/__init__.py", "p/a.py", "b.py"):
        made.write(name)
    assert made.rebuild().summary == (3, 0, 0)
    return made


def look(place: Builder, capsys: pytest.CaptureFixture[str], *arguments: str) -> Seen:
    """Look in this process; return the answer with its exit status."""
    capsys.readouterr()
    words = ["status", "--tree", str(place.tree), "--python", place.python, "--config", "/dev/null"]
    before = snapshot(place.tree)
    status = main([*words, "--json", *arguments])
    assert snapshot(place.tree) == before, "nothing is changed"
    found: Seen = json.loads(capsys.readouterr().out)
    return found | {"status": int(status)}


def counts(seen: Seen) -> dict[str, int]:
    """List the counts of the only folder that are above zero."""
    (folder,) = seen["folders"]
    assert folder["directory"] == FOLDER
    return {name: number for name, number in folder["counts"].items() if number}


def test_of_a_healthy_tree_all_is_fresh(place: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    seen = look(place, capsys)
    assert counts(seen) == {"sources": 3, "fresh": 3, "files": 3}
    assert (seen["status"], seen["advice"], seen["failures"]) == (0, None, [])
    entries = [path.stat() for path in place.tree.rglob("*.pyc")]
    (folder,) = seen["folders"]
    assert folder["bytes"]["apparent"] == sum(entry.st_size for entry in entries)
    assert folder["bytes"]["disk"] == sum(entry.st_blocks * 512 for entry in entries)


def test_each_state_is_counted_once(place: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    (place.sources / "p" / "a.py").write_text("y = 1234\n")
    place.write("new.py")
    place.cached(place.sources / "b.py").unlink()
    place.write("broken.py", NOT_PYTHON)
    (place.sources / "dangling.py").symlink_to("nothing.py")
    folder = place.cached(place.sources / "b.py").parent
    (folder / "notes.txt").touch()
    (folder / f"gone.{TAG}.pyc").touch()
    (folder / temporary_name("0" * 16)).touch()
    seen = look(place, capsys)
    assert counts(seen) == {
        "sources": 5,
        "fresh": 1,
        "stale": 1,
        "missing": 3,  # of another tree than the system's no last run is known
        "skipped": 1,
        "stray": 2,
        "foreign": 1,
        "files": 5,
    }
    assert seen["folders"][0]["skips"] == {"dangling-link": 1}
    assert seen["advice"].endswith(f"run 'pycache-sys rebuild --tree {place.tree}'")
    assert seen["status"] == 0, "it tells, and does not judge"


def test_after_a_rebuild_nothing_is_left_to_do(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.sources / "p" / "a.py").write_text("y = 1234\n")
    place.write("new.py")
    (place.sources / "b.py").unlink()
    assert look(place, capsys)["advice"]
    run = place.rebuild()
    assert run.summary == (2, 1, 1)
    seen = look(place, capsys)
    assert counts(seen) == {"sources": 3, "fresh": 3, "files": 3}
    assert seen["advice"] is None


def test_levels_that_are_one_file_count_once(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.rebuild("--optimize", "0,1,2").status == 0
    names = list(place.tree.rglob("*.pyc"))
    inodes = {path.stat().st_ino for path in names}
    assert len(inodes) < len(names)
    assert counts(look(place, capsys))["files"] == len(inodes)


def test_the_bytecode_of_an_interpreter_that_is_gone_is_told(builder: Builder) -> None:
    """Only a run for all interpreters looks at other folders than theirs."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pycache_sys", "rebuild", "--tree", builder.tree, "-q"),
            *("--config", "/dev/null", str(builder.write("a.py"))),
        ],
        env=environment(),
        check=False,
    )
    assert done.returncode == 0
    used = {path.name for path in builder.tree.iterdir() if path.is_dir()}
    assert used
    old = builder.tree / "3.2" / str(builder.sources).lstrip("/")
    old.mkdir(parents=True)
    (old / "a.cpython-32.pyc").write_bytes(b"x" * 100)
    (old / "gone.cpython-32.pyc").write_bytes(b"x" * 100)
    command = [sys.executable, "-m", "pycache_sys", "status", "--tree", str(builder.tree)]
    command += ["--config", "/dev/null", "--json"]
    shown = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    folders = {folder["directory"]: folder for folder in json.loads(shown.stdout)["folders"]}
    assert set(folders) == {*used, "3.2"}
    assert folders["3.2"]["use"] == "not-installed"
    assert (folders["3.2"]["counts"]["stray"], folders["3.2"]["counts"]["files"]) == (1, 2)
    assert list(folders)[-1] == "3.2"


def test_without_a_tree_the_way_to_one_is_told(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(place.tree)
    seen = look(place, capsys)
    assert (seen["status"], seen["exists"]) == (1, False)
    assert counts(seen) == {"sources": 3, "missing": 3}
    assert seen["advice"] == (
        f"there is no tree yet: run 'pycache-sys rebuild --tree {place.tree}'"
    )
    assert main(["status", "--tree", str(place.tree), "--python", place.python]) == 1
    assert capsys.readouterr().out.startswith(f"{place.tree}: no tree yet\n")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda tree: tree.chmod(0o777), "others can write it (mode 0777)"),
        (
            lambda tree: (tree.rename(f"{tree}.real"), tree.symlink_to(f"{tree}.real")),
            "it is a symbolic link",
        ),
        (lambda tree: (shutil.rmtree(tree), tree.touch()), "it is no directory"),
    ],
)
def test_a_tree_that_does_not_count_is_no_tree(
    place: Builder, capsys: pytest.CaptureFixture[str], spoil: Any, why: str
) -> None:
    spoil(place.tree)
    seen = look(place, capsys)
    assert (seen["status"], seen["trouble"]) == (1, why)
    assert "files" not in counts(seen)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_a_tree_of_somebody_else_does_not_count(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    os.chown(place.tree, 61_000, 61_000)
    assert look(place, capsys)["trouble"] == "it belongs to uid 61000, not to uid 0"


def test_where_no_interpreter_works_nothing_can_be_told(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Path(place.python)
    broken.write_text("#!/bin/sh\nexit 1\n")
    seen = look(place, capsys)
    assert (seen["status"], seen["folders"]) == (1, [])
    assert "no interpreter" in seen["advice"]


def test_packages_share_all_that_is_there(
    place: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = look(place, capsys, "--by-package")
    (share,) = seen["packages"]
    assert (share["package"], share["files"]) == (None, 3)
    assert share["bytes"] == seen["folders"][0]["bytes"]
    assert look(place, capsys)["packages"] is None


def test_each_interpreter(each: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole standard library of each, which is not compiled but for one module."""
    source = each.write("a.py")
    assert each.build().status == 0
    seen = look(each, capsys)
    (folder,) = seen["folders"]
    (python,) = [one for one in seen["interpreters"] if one["status"] == "used"]
    assert python["directory"] == folder["directory"]
    assert python["hook"]["state"] == "off"
    numbers = folder["counts"]
    assert numbers["fresh"] == numbers["files"] == 1
    assert numbers["missing"] > 100
    assert numbers["sources"] == numbers["missing"] + 1
    source.unlink()
    assert look(each, capsys)["folders"][0]["counts"]["stray"] == 1


def test_a_user_without_rights_sees_the_same(place: Builder) -> None:
    """Nothing is written, and nothing but what everybody can read is read."""
    command = [sys.executable, "-m", "pycache_sys", "status", "--tree", str(place.tree)]
    command += ["--python", place.python, "--config", "/dev/null", "--json"]
    for directory, _, _ in os.walk(place.tree):
        os.chmod(directory, 0o555)  # noqa: S103 - for all to read
    done = subprocess.run(
        command,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=obeying_modes,
    )
    assert counts(json.loads(done.stdout)) == {"sources": 3, "fresh": 3, "files": 3}


def test_an_interruption_ends_it_with_one_line(place: Builder) -> None:
    """Whenever it comes: here, while an interpreter is asked that takes its time."""
    waiting = place.folder / "waiting"
    python = place.folder / "slow" / "python3.98"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\ntouch '{waiting}'\nexec sleep 60\n")
    python.chmod(0o755)
    command = [sys.executable, "-m", "pycache_sys", "status", "--tree", str(place.tree)]
    with subprocess.Popen(
        [*command, "--python", str(python), "--config", "/dev/null"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not waiting.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "pycache-sys: interrupted; nothing was changed\n")


# on a real terminal


def on_terminal(builder: Builder, **variables: str) -> str:
    """Run the verb as a user does, on a pseudo-terminal; return what it shows."""
    command = [sys.executable, "-m", "pycache_sys", "status", "--tree", str(builder.tree)]
    command += ["--python", builder.python, "--config", "/dev/null"]
    plain = {name: value for name, value in environment().items() if name != "NO_COLOR"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=plain | variables
    ) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # that is how a terminal ends
            while piece := os.read(ours, 1 << 16):
                said += piece
        os.close(ours)
    assert process.returncode == ExitStatus.DONE
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_is_shown_a_screen_of_its_width(
    builder: Builder, width: int, variables: dict[str, str], is_coloured: bool
) -> None:
    builder.write("a.py")
    assert builder.build().summary == (1, 0, 0)  # the standard library is missing, then
    shown = on_terminal(builder, COLUMNS=str(width), **variables)
    progress, _, shown = shown.rpartition("\r\x1b[K")
    assert not (progress and variables["TERM"] == "dumb")
    assert ("\x1b[31m" in shown) == is_coloured
    lines = ESCAPE.sub("", shown).splitlines()
    assert lines[0].startswith(str(builder.tree)[:30])
    assert [line for line in lines if width_of(line) > width] == []
    assert any(line.startswith(FOLDER) for line in lines)
    assert ("INTERPRETER" in shown) == (width > 80)

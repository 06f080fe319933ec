"""A tree that cannot be used is refused as a whole; one bad entry in it is one outcome."""

import os
import subprocess
from pathlib import Path

import pytest

from interpreters.builder import FOLDER, TAG, Builder, obeying_modes, pycs, snapshot
from pycache_sys.system import lock


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o757])
def test_a_tree_that_others_may_write_is_refused(builder: Builder, mode: int) -> None:
    builder.write("a.py")
    builder.tree.mkdir()
    builder.tree.chmod(mode)
    run = builder.build()
    assert (run.status, run.stdout) == (5, "")
    assert "writable by others" in run.stderr
    assert "chmod go-w" in run.stderr
    assert pycs(builder.tree) == set()


def test_a_read_only_tree_is_refused(builder: Builder) -> None:
    builder.write("a.py")
    builder.tree.mkdir()
    builder.tree.chmod(0o555)
    run = builder.build(preexec_fn=obeying_modes)
    assert run.status == 5
    assert "Permission denied" in run.stderr
    assert "--tree" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("kind", ["file", "link", "below a file"])
def test_a_tree_that_is_no_directory_is_refused(builder: Builder, kind: str) -> None:
    builder.write("a.py")
    tree = builder.tree
    if kind == "link":
        (builder.folder / "elsewhere").mkdir()
        tree.symlink_to("elsewhere")
    else:
        tree.write_text("")
    run = builder.build("--tree", tree / "x" if kind == "below a file" else tree)
    assert run.status == 5
    assert "Traceback" not in run.stderr
    assert not list(builder.folder.rglob("*.pyc"))


@pytest.mark.parametrize("options", [(), ("--prune",)])
def test_a_folder_of_the_tree_that_others_may_write_is_an_outcome_of_its_own(
    builder: Builder, options: tuple[str, ...]
) -> None:
    good, bad, gone = builder.write("a.py"), builder.write("p/b.py"), builder.write("p/q/c.py")
    builder.build()
    folder = builder.cached(bad).parent
    folder.chmod(0o777)
    gone.unlink()
    run = builder.build("--force", *options)
    assert run.status == 1
    assert "Traceback" not in run.stderr
    assert (str(bad), "write") in run.outcomes
    assert run.counts["compiled"] == 1
    assert builder.cached(good).exists()


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "garbage", "empty", "mode"])
def test_a_damaged_entry_is_made_anew(builder: Builder, kind: str) -> None:
    source = builder.write("a.py")
    builder.build()
    entry = builder.cached(source)
    good = entry.read_bytes()
    elsewhere = builder.folder / "elsewhere"
    elsewhere.write_bytes(good)
    match kind:
        case "mode":
            entry.chmod(0o666)
        case "garbage":
            entry.write_bytes(b"\0" * 100)
        case _:
            entry.unlink()
    match kind:
        case "symlink":
            entry.symlink_to(elsewhere)
        case "dangling":
            entry.symlink_to("nothing")
        case "fifo":
            os.mkfifo(entry)
        case "empty":
            entry.touch()
    assert builder.build().summary == (1, 0, 0)
    assert entry.is_file()
    assert not entry.is_symlink()
    assert entry.stat().st_mode & 0o777 == 0o644
    assert entry.read_bytes() == good
    assert elsewhere.read_bytes() == good
    assert builder.build().summary == (0, 1, 0)


def test_a_directory_in_an_entrys_place_is_one_failure(builder: Builder) -> None:
    source, other = builder.write("a.py"), builder.write("b.py")
    entry = builder.cached(source)
    entry.mkdir(parents=True)
    (entry / "kept").write_text("")
    builder.tree.chmod(0o755)
    run = builder.build()
    assert (run.status, run.outcomes, run.summary) == (1, [(str(source), "write")], (1, 0, 0))
    assert (entry / "kept").exists()
    assert builder.cached(other).exists()


def test_a_link_in_a_folders_place_is_not_followed(builder: Builder) -> None:
    source, other = builder.write("p/a.py"), builder.write("b.py")
    builder.build()
    folder = builder.cached(source).parent
    elsewhere = builder.folder / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    before = snapshot(elsewhere)
    source.write_text("x = 12\n")
    run = builder.build("--prune")
    assert (run.status, run.outcomes) == (1, [(str(source), "write")])
    assert snapshot(elsewhere) == before
    source.unlink()
    builder.build("--prune")
    assert snapshot(elsewhere) == before
    assert builder.cached(other).exists()


def test_two_runs_take_turns(builder: Builder) -> None:
    builder.write("a.py")
    builder.build()
    path = lock.lock_path(str(builder.tree), is_system=False)
    with lock.held(path, seconds=0, waiting=print):
        refused = builder.build("--force", "--no-wait")
        assert (refused.status, refused.stdout) == (4, "")
        assert f"process {os.getpid()} holds the lock" in refused.stderr
        best = builder.build("--force", "--no-wait", "--best-effort")
        assert best.status == 0
        assert f"process {os.getpid()}" in best.stderr
        assert builder.build("--dry-run", "--force").summary == (1, 0, 0)
        waiting = builder.start("--force", builder.sources)
        assert waiting.stderr is not None
        assert f"process {os.getpid()} holds the lock" in waiting.stderr.readline()
        assert waiting.poll() is None
    stdout, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert '"compiled": 1' in stdout


def test_a_lock_that_others_can_open_is_refused(builder: Builder) -> None:
    builder.write("a.py")
    builder.build()
    path = Path(lock.lock_path(str(builder.tree), is_system=False))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)
    run = builder.build()
    assert run.status == 5
    assert f"rm {path}" in run.stderr


@pytest.mark.parametrize(("options", "status"), [((), 5), (("--best-effort",), 0)])
@pytest.mark.parametrize("machine", [True, False])
def test_a_reader_that_has_gone_is_no_crash(
    builder: Builder, options: tuple[str, ...], status: int, machine: bool
) -> None:
    source = builder.write("a.py")
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        builder.command(*options, builder.sources, machine=machine),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env=builder.environment,
        restore_signals=True,
    ) as process:
        os.close(writing)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (status, "")
    assert builder.cached(source).exists()


@pytest.mark.parametrize(("options", "status"), [((), 5), (("--best-effort",), 0)])
def test_an_output_that_is_full_is_no_crash(
    builder: Builder, options: tuple[str, ...], status: int
) -> None:
    source = builder.write("a.py")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            builder.command(*options, builder.sources),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=builder.environment,
        )
    assert "Traceback" not in done.stderr
    assert done.returncode == status
    assert builder.cached(source).exists()


def test_an_output_that_is_closed_is_no_crash(builder: Builder) -> None:
    source = builder.write("a.py")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", *builder.command(builder.sources)],
        check=False,
        env=builder.environment,
    )
    assert done.returncode in (0, 5)
    assert builder.cached(source).exists()
    assert all(b"{" not in Path(path).read_bytes()[:1] for path in pycs(builder.tree))


def test_a_tree_that_is_deleted_costs_time_and_never_a_result(builder: Builder) -> None:
    source = builder.write("a.py")
    builder.build()
    first = builder.cached(source).read_bytes()
    for path in sorted(builder.tree.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    builder.tree.rmdir()
    assert builder.build().summary == (1, 0, 0)
    assert builder.cached(source).read_bytes() == first
    assert builder.cached(source).name == f"a.{TAG}.pyc"
    assert (builder.tree / FOLDER).stat().st_mode & 0o777 == 0o755


def test_a_lower_limit_of_the_callers_own_is_kept(builder: Builder) -> None:
    source = builder.write("a.py")
    done = subprocess.run(
        ["sh", "-c", 'ulimit -v 1500000 && exec "$@"', "sh", *builder.command(builder.sources)],
        capture_output=True,
        text=True,
        check=False,
        env=builder.environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert builder.cached(source).exists()

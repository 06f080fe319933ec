"""Through which worker: a process that can do nothing, and that nobody can get at."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from security.machine import (
    ACCOUNT,
    ACCOUNT_ID,
    LIBRARY,
    TARGET,
    Machine,
    Run,
    copy_interpreter,
    corpus,
    entries,
    entry,
    invalid,
    make_directory,
    slow_source,
    write,
)
from security.namespace import BIND, mounted
from security.processes import (
    attack_memory,
    children,
    command_line,
    is_alive,
    kill,
    look_at,
    until,
    workers,
)

PIPE = re.compile(r"pipe:\[\d+\]")
SLOW = Path("/opt/slow/bin") / TARGET.name


@contextmanager
def running(box: Machine, number: int = 2) -> Iterator[list[int]]:
    """Run a rebuild whose workers are all busy for a while; give their numbers."""
    long = LIBRARY.joinpath(*("directory" * 25,) * 3)  # one request fills a worker's queue
    for n in range(number):
        slow_source(long / f"slow{n}.py")
    with Path("/etc/shadow").open() as secret:
        process = box.start(f"-j{number}", LIBRARY, pass_fds=[secret.fileno()])
    try:
        until(lambda: sum(map(is_serving, workers(process.pid))) == number)
        yield workers(process.pid)
    finally:
        run = box.finish(process)
    assert run.count("compiled") == number, run.stdout


def is_serving(pid: int) -> bool:
    """Tell whether a worker is set up: its answers' pipe has left descriptor 1."""
    try:
        names = [os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)]
    except OSError:
        return False
    return names == [os.devnull] * 3


def test_a_worker_is_the_account_with_two_pipes_and_nothing_else(box: Machine) -> None:
    with running(box) as pids:
        time.sleep(0.1)  # a source is read within this time
        seen = [look_at(pid) for pid in pids]
        broken_into = [attack_memory(pid, ACCOUNT_ID) for pid in pids]
        assert all(map(is_alive, pids))
    assert broken_into == [[], []], "its memory belongs to nobody of its account"
    for worker in seen:
        assert worker.users == {ACCOUNT_ID}
        assert worker.groups == {ACCOUNT_ID}
        assert worker.supplementary == ()
        assert worker.capabilities == 0
        assert worker.no_new_privileges
        streams, others = worker.descriptors[:3], worker.descriptors[3:]
        assert set(streams) == {os.devnull}
        assert len(others) == 2
        assert all(PIPE.fullmatch(name) for name in others)
        assert worker.limits["Max core file size"] == ("0", "0")
        assert worker.limits["Max file size"] == ("0", "0")
        soft, hard = worker.limits["Max address space"]
        assert soft == hard
        assert 0 < int(soft) <= 4 << 30
    first, second = (set(worker.descriptors[3:]) for worker in seen)
    assert not first & second, "no worker holds another's pipes"
    assert not any(map(is_alive, pids)), "none outlives the run"


def test_the_attack_on_memory_works_where_nothing_prevents_it() -> None:
    with subprocess.Popen(["sleep", "60"], user=ACCOUNT_ID, group=ACCOUNT_ID) as victim:
        try:
            until(lambda: "sleep" in command_line(victim.pid))
            assert attack_memory(victim.pid, ACCOUNT_ID) == ["mem", "ptrace"]
        finally:
            kill(victim.pid)


def test_without_the_account_workers_are_the_callers_and_the_report_says_so(
    bare_box: Machine,
) -> None:
    with running(bare_box) as pids:
        seen = [look_at(pid) for pid in pids]
    assert {uid for worker in seen for uid in worker.users} == {0}, "never nobody"
    assert all(worker.no_new_privileges for worker in seen)
    sound = write(LIBRARY / "module.py")
    assert bare_box.rebuild(LIBRARY).report["workers"] == "caller"
    arguments = [str(bare_box.command), "rebuild", "--force", "--python", str(TARGET), str(sound)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert f"there is no account {ACCOUNT}" in done.stdout


def test_the_report_names_the_account(box: Machine) -> None:
    write(LIBRARY / "module.py")
    assert box.rebuild(LIBRARY).report["workers"] == "account"


def test_an_account_that_is_root_is_none(bare_box: Machine, scratch: Path) -> None:
    faked = scratch / "passwd"
    line = f"{ACCOUNT}:x:0:0::/nonexistent:/usr/sbin/nologin\n"
    faked.write_text(Path("/etc/passwd").read_text() + line)
    write(LIBRARY / "module.py")
    with mounted(str(faked), "/etc/passwd", flags=BIND):
        run = bare_box.rebuild(LIBRARY)
    assert run.report["workers"] == "caller"


@contextmanager
def identifying(box: Machine) -> Iterator[int]:
    """Give the process that is asked who it is, and stop the run afterwards."""
    write(SLOW, f'#!/bin/sh\nread nothing < /opt/slow/pipe\nexec {TARGET} "$@"\n', mode=0o755)
    os.mkfifo("/opt/slow/pipe")
    Path("/opt/slow/pipe").chmod(0o644)
    shell = f"/bin/sh {SLOW}"
    process = box.start(LIBRARY, python=SLOW)
    try:

        def asked() -> list[int]:
            return [pid for pid in children(process.pid) if command_line(pid).startswith(shell)]

        yield until(asked)[0]
    finally:
        process.terminate()
        process.communicate()


def test_the_question_is_asked_as_nobody_that_anybody_else_is(box: Machine) -> None:
    with identifying(box) as pid:
        asked = look_at(pid)
    assert len(asked.users) == 1
    assert asked.users == asked.groups
    assert asked.users <= set(range(61_184, 65_520)) - {ACCOUNT_ID}
    assert asked.supplementary == ()
    assert asked.capabilities == 0
    assert asked.no_new_privileges
    kinds = {"/dev/null"} | {name for name in asked.descriptors if PIPE.fullmatch(name)}
    # the dynamic loader's are there for a moment
    own = {name for name in asked.descriptors if re.search(r"^/usr/lib/.*\.so(\.|$)", name)}
    assert set(asked.descriptors) - own - {"/opt/slow/pipe", str(SLOW)} <= kinds


def test_another_process_of_the_account_cannot_answer_in_its_place(box: Machine) -> None:
    """Who gets at its memory decides what the builder believes of this interpreter."""
    with identifying(box) as pid:
        assert attack_memory(pid, ACCOUNT_ID) == []


def test_the_question_is_never_asked_as_root_where_there_is_an_account(
    box: Machine, scratch: Path
) -> None:
    """Also when the account cannot read our own program: the tool below a closed directory."""
    closed = make_directory(Path("/opt/closed"))
    shutil.copytree(box.command.parent / "modules", closed / "modules")
    launcher = closed / "pycache-sys"
    launcher.write_text(
        box.command.read_text().replace(str(box.command.parent), str(closed)), encoding="utf-8"
    )
    launcher.chmod(0o755)
    closed.chmod(0o700)
    with identifying(Machine(launcher)) as pid:
        assert 0 not in look_at(pid).users


@pytest.mark.parametrize("place", ["prefix", "binary"])
def test_an_interpreter_out_of_the_accounts_reach_is_skipped(box: Machine, place: str) -> None:
    prefix = Path("/opt/reach/python")
    binary = copy_interpreter(prefix)
    closed = {"prefix": prefix.parent, "binary": binary}[place]
    closed.chmod(0o700)
    write(LIBRARY / "module.py")
    run: Run = box.rebuild(LIBRARY, python=binary)
    note = run.interpreter(binary)
    assert note["status"] == "skipped"
    assert note["reason"] in {"out-of-reach", "not-readable-by-all"}, note
    assert entries() == set()


def kill_some(box: Machine, choose: Callable[[int], bool], *, number: int, wait: float) -> Run:
    """Run a rebuild and kill so many of its workers, each in the state that is asked for."""
    process = box.start("-j2", LIBRARY)
    killed: set[int] = set()
    until(lambda: entries() or process.poll() is not None)
    while process.poll() is None and len(killed) < number:
        for pid in workers(process.pid):
            if pid not in killed and len(killed) < number and choose(pid):
                time.sleep(wait)
                kill(pid)
                killed.add(pid)
    run = box.finish(process)
    assert killed
    return run


def check_losses(box: Machine, run: Run, sources: list[Path], *, at_most: int) -> None:
    """See that only what the killed were busy with failed, and that the next run does it."""
    failures = run.report["failures"]
    assert {failure["reason"] for failure in failures} <= {"crash"}, failures
    assert len(failures) <= at_most
    lost = {Path(failure["source"]) for failure in failures}
    assert entries() == {entry(source) for source in set(sources) - lost}
    assert invalid() == []
    again = box.rebuild(LIBRARY)
    assert again.count("compiled") == len(lost)
    assert entries() == set(map(entry, sources))


def test_killed_workers_cost_only_what_they_were_busy_with(box: Machine) -> None:
    sources = corpus(LIBRARY, 500)
    run = kill_some(box, is_serving, number=4, wait=0.05)
    check_losses(box, run, sources, at_most=4)


def test_a_worker_killed_while_it_starts_is_replaced(box: Machine) -> None:
    """The kernel's out-of-memory killer asks nobody whether a worker has greeted."""
    sources = corpus(LIBRARY, 500)
    process = box.start("-j2", LIBRARY)
    (first, *_) = until(lambda: workers(process.pid))
    kill(first)
    check_losses(box, box.finish(process), sources, at_most=1)

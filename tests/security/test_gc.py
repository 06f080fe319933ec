"""``gc``: what is outside a user's cache stays, whatever is planted, and so do running programs."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from security.accounts import (
    MODULES,
    PYTHON,
    SHARED,
    SOURCE,
    Account,
    Run,
    Seen,
    World,
    entry,
    look,
    put,
    pyc,
    world,
)
from security.dead_mount import dead
from security.machine import ENVIRONMENT, TAG, TARGET, VERSION
from security.namespace import mounted

COMMAND = (
    "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
    "from pycache_sys.cli import main; sys.exit(main())"
)
HOUR = 3600
RACE_SECONDS = "6"
WHO = ["ada", "root"]
POLICY = Path("/etc/pycacheprefix.conf")


@pytest.fixture
def people(command: Path, own_mounts: None, scratch: Path) -> Iterator[World]:
    """Give a machine with two accounts and root."""
    with world(command, scratch) as place:
        yield place


def gc(who: Account, *options: str, **more: Any) -> Run:
    """Run the verb as somebody."""
    run = who.run(TARGET, "-IS", "-c", COMMAND, MODULES, "gc", *options, **more)
    assert "Traceback" not in run.stderr, run.stderr
    return run


def caches(run: Run) -> dict[str, Mapping[str, Any]]:
    """Read the report, by user."""
    return {cache["user"]: cache for cache in json.loads(run.stdout)["caches"]}


def home(who: Account) -> Path:
    """Name a directory of somebody's that vanishes with the test: root's own home would not."""
    return who.home if who.uid else Path("/var/cache/home")


def gone_source(who: Account) -> Path:
    """Name a source that was removed from a directory that is there."""
    directory = home(who) / "work"
    put(directory / "other.py", SOURCE.encode(), owner=who)
    return directory / "gone.py"


def useless(who: Account, top: Path | None = None) -> Path:
    """Put bytecode into a cache whose source is gone."""
    return put(entry(top or who.own, gone_source(who)), pyc(), owner=who, mode=0o600)


# links


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize("depth", range(6))
def test_nothing_is_removed_through_a_link(people: World, name: str, depth: int) -> None:
    """The link stands for the cache, its folder, one of those in it, or the file."""
    who = getattr(people, name)
    found = useless(who)
    steps = [who.own, *reversed(found.relative_to(who.own).parents), found]
    places = list(dict.fromkeys([who.own, *(who.own / s for s in steps[1:-1]), found]))
    place = places[min(depth, len(places) - 1)]
    outside = home(who) / "outside"
    place.rename(outside)
    place.symlink_to(outside)
    who.owns(place)
    before = look(outside)
    run = gc(who, "--json", "--max-size", "1", "--older-than", "1s")
    assert look(outside) == before
    assert place.is_symlink()
    assert run.status == (1 if place == who.own else 0), run.stderr
    place.unlink()
    outside.rename(place)
    assert caches(gc(who, "--json"))[who.name]["removed"] == 1
    assert not found.exists()


def test_a_cache_behind_somebody_elses_link_is_left(people: World) -> None:
    outside = people.ada.home / "outside"
    found = useless(people.ada, outside / "pycache-sys")
    link = SHARED / "link"
    link.symlink_to(outside)
    people.mallory.owns(link)
    before = look(outside)
    variables = {"XDG_CACHE_HOME": str(link)}
    run = gc(people.ada, "--json", environment=variables)
    assert (run.status, caches(run)["ada"]["refused"]) == (1, "not-own")
    assert look(outside) == before
    people.ada.owns(link)
    assert gc(people.ada, environment=variables).status == 0
    assert not found.exists()


def test_behind_a_link_of_the_users_own_only_the_cache_is_tidied(people: World) -> None:
    """Many a ``~/.cache`` leads to a larger disk: that is where the hook writes."""
    disk = people.ada.home / "disk"
    found = useless(people.ada, disk / "pycache-sys")
    beside = put(disk / VERSION / found.name, pyc(), owner=people.ada)
    (people.ada.home / ".cache").symlink_to(disk)
    people.ada.owns(people.ada.home / ".cache")
    assert gc(people.ada).status == 0
    assert not found.exists()
    assert beside.exists()


@pytest.mark.parametrize("open_to", [0o020, 0o002])
def test_a_cache_that_others_can_write_is_left(people: World, open_to: int) -> None:
    found = useless(people.ada)
    people.ada.own.chmod(0o700 | open_to)
    run = gc(people.ada, "--json")
    assert (run.status, caches(run)["ada"]["refused"]) == (1, "not-own")
    assert found.exists()


_GC = """
import contextlib, io, json, sys, time
sys.path.insert(0, sys.argv[1])
from pycache_sys.cli import main
end = time.monotonic() + float(sys.argv[2])
removed, worst = [], 0
while time.monotonic() < end:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = main(["gc", "--json", *sys.argv[3:]])
    assert status in (0, 1), out.getvalue()
    worst = max(worst, status)
    removed += [cache["removed"] for cache in json.loads(out.getvalue())["caches"]]
late = len(removed) // 5
print(sum(removed), sum(removed[-late:]), worst)
"""
_EXCHANGE = """
import ctypes, os, sys, time
rename = ctypes.CDLL(None, use_errno=True).renameat2
one, other = (os.fsencode(path) for path in sys.argv[1:3])
end = time.monotonic() + float(sys.argv[3])
done = 0
while time.monotonic() < end:
    assert rename(-100, one, -100, other, 2) == 0, ctypes.get_errno()
    done += 1
print(done)
"""


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_raced_exchange_with_a_link_removes_nothing_outside(
    people: World, name: str, level: int
) -> None:
    """A directory and a link to one outside change places all the while: the top, and in it."""
    who = getattr(people, name)
    found = useless(who)
    put(found.with_name("notes.txt"), b"so the directory stays", owner=who)
    place = (who.own, found.parents[1], found.parent)[level]
    outside = home(who) / "outside"
    shutil.copytree(place, outside)
    who.owns(outside)
    link = (who.own if level else who.own.parent) / "link"
    link.symlink_to(outside)
    who.owns(link)
    before = look(outside)
    # as the very user: nobody else could
    racer = start(who, TARGET, "-IS", "-c", _EXCHANGE, place, link, RACE_SECONDS)
    tidier = start(who, TARGET, "-IS", "-c", _GC, MODULES, RACE_SECONDS, "--max-size", "none")
    while racer.poll() is None:
        for there in (place, link):  # wherever the directory is by now, and not the link
            _refill(there, found.relative_to(place), who)
        time.sleep(0.001)
    said = [int(program.communicate(timeout=60)[0].split()[0]) for program in (racer, tidier)]
    assert (racer.returncode, tidier.returncode) == (0, 0)
    assert look(outside) == before
    exchanges, removed = said
    assert exchanges > 1000
    assert removed > 10


def start(who: Account, *command: str | Path) -> "subprocess.Popen[str]":
    """Start a program as somebody."""
    return subprocess.Popen(
        list(map(str, command)), user=who.uid, group=who.gid, extra_groups=who.groups, cwd="/",
        env={**ENVIRONMENT, "HOME": str(who.home)}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _refill(place: Path, inside: Path, who: Account) -> None:
    """Put the file back, through no link."""
    try:
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        for part in inside.parts[:-1]:
            try:
                os.mkdir(part, dir_fd=directory)
                os.chown(part, who.uid, who.gid, dir_fd=directory)
            except FileExistsError:
                pass
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = below
        file = os.open(inside.name, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=directory)
        os.fchown(file, who.uid, who.gid)
        os.close(file)
    except OSError:
        pass
    finally:
        os.close(directory)


def test_what_others_own_in_the_cache_stays(people: World) -> None:
    """Root's files in a user's cache, say of a call with sudo, and a directory of somebody's."""
    found = useless(people.ada)
    roots = put(found.with_name(f"roots.{TAG}.pyc"), pyc(), owner=people.root)
    folder = found.parent / "theirs"
    theirs = put(folder / f"their.{TAG}.pyc", pyc(), owner=people.ada)
    os.chown(folder, people.mallory.uid, people.mallory.gid)
    report = caches(gc(people.ada, "--json"))["ada"]
    assert (report["removed"], report["foreign"]) == (1, 2)
    assert roots.exists()
    assert theirs.exists()
    people.ada.owns(people.ada.own)
    assert caches(gc(people.ada, "--json"))["ada"]["removed"] == 2


def test_what_is_mounted_in_the_cache_stays(people: World) -> None:
    """A file system of another kind has no say there, but what is under it has."""
    found = useless(people.ada)
    with mounted("tmpfs", str(found.parent), "tmpfs", options="mode=700"):
        os.chown(found.parent, people.ada.uid, people.ada.gid)
        useless(people.ada)
        report = caches(gc(people.ada, "--json"))["ada"]
        assert (report["removed"], report["foreign"], report["failed"]) == (0, 1, 0)
        assert found.exists()
    assert caches(gc(people.ada, "--json"))["ada"]["removed"] == 1


# everybody


def test_root_tidies_the_cache_of_each_user(people: World) -> None:
    everybody = (people.ada, people.mallory, people.root)
    found = [useless(who) for who in everybody]
    run = gc(people.root, "--all-users", "--json")
    assert run.status == 0, run.stderr
    assert {name: cache["removed"] for name, cache in caches(run).items()} == {
        "ada": 1, "mallory": 1, "root": 1,
    }  # fmt: skip
    assert not any(path.exists() for path in found)


def test_only_root_tidies_for_others(people: World) -> None:
    found = useless(people.ada)
    run = gc(people.mallory, "--all-users")
    assert (run.status, run.stdout) == (2, "")
    assert "only root" in run.stderr
    assert found.exists()


def test_root_does_for_a_user_what_the_user_can_do_and_no_more(people: World) -> None:
    """A user cannot remove from a directory that is not writable, nor look into a closed one."""
    found = useless(people.mallory)
    closed = people.mallory.home / "closed"
    put(closed / "here.py", SOURCE.encode(), owner=people.root)
    there = put(entry(people.mallory.own, closed / "gone.py"), pyc(), owner=people.mallory)
    closed.chmod(0o700)
    os.chown(closed, 0, 0)
    found.parent.chmod(0o500)
    run = gc(people.root, "--all-users", "--json")
    report = caches(run)["mallory"]
    assert (run.status, report["removed"], report["failed"]) == (1, 0, 1)
    assert found.exists()
    assert there.exists()
    found.parent.chmod(0o700)
    closed.chmod(0o755)
    assert caches(gc(people.root, "--all-users", "--json"))["mallory"]["removed"] == 2


def test_a_users_links_do_not_lead_root_anywhere(people: World) -> None:
    """Mallory's cache leads to Ada's, and to root's."""
    theirs = [useless(people.ada), useless(people.root)]
    seen: Seen = look(people.ada.own, people.root.own)
    planted = people.mallory.own / VERSION / "home" / "mallory"
    people.mallory.write(planted / "file")
    for number, path in enumerate(theirs):
        link = planted / str(number)
        link.symlink_to(path.parent)
        people.mallory.owns(link)
    (planted / f"gone.{TAG}.pyc").symlink_to(theirs[0])
    options = ("--all-users", "--max-size", "1", "--json")
    POLICY.write_text("[user ada]\nuser-cache = off\n")
    keep = people.root.own.rename(people.root.own.with_name("aside"))
    run = gc(people.root, *options)
    keep.rename(people.root.own)
    assert run.status == 0, run.stderr
    assert caches(run)["mallory"]["removed"] == 0
    assert look(people.ada.own, people.root.own) == seen
    POLICY.unlink()
    assert caches(gc(people.root, *options))["ada"]["removed"] == 1


def test_a_home_that_does_not_answer_stops_nobody(people: World) -> None:
    found = useless(people.ada)
    began = time.monotonic()
    with dead(people.mallory.home, people.mallory.uid, people.mallory.gid):
        run = gc(people.root, "--all-users", "--json")
    assert time.monotonic() - began < 45
    assert run.status == 1
    assert caches(run)["mallory"]["refused"] == "no-answer"
    assert caches(run)["ada"]["removed"] == 1
    assert not found.exists()


def test_a_source_on_a_mount_that_does_not_answer_is_not_gone(people: World) -> None:
    found = useless(people.ada)
    work = people.ada.home / "work"
    with dead(work, people.ada.uid, people.ada.gid):
        assert caches(gc(people.ada, "--json"))["ada"]["removed"] == 0
    assert found.exists()
    assert caches(gc(people.ada, "--json"))["ada"]["removed"] == 1


# beside running programs

_PROGRAM = """
import importlib, os, subprocess, sys, time
folder, number, seconds, fresh = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
sys.path[:0] = [folder]
end = time.monotonic() + seconds
done = 0
while time.monotonic() < end:
    if fresh:
        program = "import sys; sys.path.insert(0, %r)\\n" % folder
        program += "".join("import package.module%d as m; assert m.ANSWER == %d\\n" % (n, n)
                           for n in range(number))
        subprocess.run([sys.executable, "-c", program], check=True)
        done += number
        continue
    for n in range(number):
        sys.modules.pop("package.module%d" % n, None)
        module = importlib.import_module("package.module%d" % n)
        assert module.ANSWER == n and module.double() == 2 * n, (module, n)
        done += 1
print(done)
"""


def test_eight_programs_import_while_all_is_removed_again_and_again(people: World) -> None:
    """Four import in one process, four start a new one each time; and each finds what it wants."""
    number, seconds = 40, "12"
    folder = people.ada.home / "work"
    people.ada.write(folder / "package" / "__init__.py", "")
    for n in range(number):
        text = f"ANSWER = {n}\ndef double():\n    return {n} * 2\n"
        source = people.ada.write(folder / "package" / f"module{n}.py", text)
        os.utime(source, (time.time() - HOUR,) * 2)

    programs = [
        start(people.ada, PYTHON, "-c", _PROGRAM, folder, str(number), seconds, *["fresh"][: n % 2])
        for n in range(8)
    ]
    tidier = start(people.ada, TARGET, "-IS", "-c", _GC, MODULES, seconds, "--max-size", "1")
    for program in (*programs, tidier):
        said, complaint = program.communicate(timeout=120)
        assert (program.returncode, complaint) == (0, "")
        if program is not tidier:
            assert int(said) >= number
            continue
        # what was removed was written anew, and still is at the end
        removed, late, worst = map(int, said.split())
        assert removed > 5 * number
        assert late > number
        assert worst == 0
    assert not list(people.ada.own.rglob("*.tmp"))


# very many files

_MEASURE = """
import json, os, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=False)
seconds = time.monotonic() - began
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, seconds, usage.ru_maxrss >> 10, json.loads(done.stdout)]))
"""
_FILL = """
import os, sys
top, number = sys.argv[1], int(sys.argv[2])
for folder in range(number // 20):
    path = "%s/part%d/package%d" % (top, folder % 100, folder)
    os.makedirs(path, 0o700)
    for n in range(20):
        name = "%s/module%d.%s.pyc" % (path, n, sys.argv[3])
        file = os.open(name, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(file, b"x")
        os.utime(file, (1_700_000_000 + folder, 1_700_000_000 + n * 1000))
        os.close(file)
"""
MANY = 200_000


def measured(who: Account, *options: str) -> tuple[int, float, int, Mapping[str, Any]]:
    """Run the verb; return its exit status, seconds, the most memory in MiB, and the report."""
    command = [TARGET, "-IS", "-c", COMMAND, MODULES, "gc", "--json", *options]
    run = who.run(TARGET, "-IS", "-c", _MEASURE, *command)
    status, seconds, memory, report = json.loads(run.stdout)
    return status, seconds, memory, report["caches"][0]


@pytest.mark.parametrize("kind", ["gone", "too much"])
def test_two_hundred_thousand_files_take_seconds_and_little_memory(
    people: World, kind: str
) -> None:
    """Their sources are gone, or cannot be looked at: then all are remembered for the limit."""
    ada = people.ada
    directory = gone_source(ada).parent
    top = ada.own / VERSION / str(directory).lstrip("/")
    assert ada.run(TARGET, "-IS", "-c", _FILL, top, str(MANY), TAG).status == 0
    options, left = ["--older-than", "none", "--max-size", "none"], 0
    if kind == "too much":
        directory.chmod(0)
        left = MANY // 4
        options[-1] = str(left * next(top.rglob("*.pyc")).stat().st_blocks * 512)
    status, seconds, memory, report = measured(ada, *options)
    assert (status, report["removed"], report["left"]) == (0, MANY - left, left)
    assert seconds < 20
    assert memory < 100
    status, seconds, memory, report = measured(ada, *options)
    assert (status, report["removed"], report["left"]) == (0, 0, left)

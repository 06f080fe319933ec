"""Root writes, all read: a tree that somebody prepared leads root nowhere."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from security.hostile import with_libraries
from security.machine import (
    HOME,
    LIBRARY,
    MALLORY,
    TREE,
    VERSION,
    Machine,
    Run,
    entries,
    entry,
    give,
    invalid,
    leftovers,
    make_directory,
    write,
)
from security.posix_acl import grant

SOURCE = LIBRARY / "package" / "module.py"
PLACE = entry(SOURCE).parent
VICTIMS = Path("/opt/victims")


def contents(directory: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Take down all that a directory holds, to see that it stays so."""
    found = {}
    for path in (directory, *directory.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (status.st_uid, status.st_mode, status.st_mtime_ns, data)
    return found


def tree_to(target: Path) -> None:
    make_directory(TREE.parent)
    TREE.symlink_to(target)


def users_link() -> None:
    tree_to(VICTIMS)
    give(TREE)


def ready_tree() -> Path:
    return make_directory(TREE)


TOPS: dict[str, Callable[[], None]] = {
    "of-a-user": lambda: give(ready_tree()),
    "writable-by-group": lambda: ready_tree().chmod(0o775),
    "writable-by-others": lambda: ready_tree().chmod(0o757),
    "sticky": lambda: ready_tree().chmod(0o1777),
    "with-acl": lambda: grant(ready_tree(), MALLORY, permissions=7),
    "link": lambda: tree_to(VICTIMS),
    "link-of-a-user": users_link,
    "dangling-link": lambda: tree_to(VICTIMS / "new"),
    "file": lambda: (write(TREE, "not a directory"), None)[1],
    "cache-of-a-user": lambda: give(TREE.parent),
    "cache-writable": lambda: TREE.parent.chmod(0o777),
}


@pytest.mark.parametrize("attack", TOPS)
def test_a_top_that_others_control_is_refused(box: Machine, attack: str) -> None:
    write(SOURCE)
    write(VICTIMS / "etc" / "victim")
    TOPS[attack]()
    before = contents(VICTIMS)
    run = box.rebuild(LIBRARY)
    assert run.status == 5
    assert str(TREE) in run.stderr
    assert len(run.stderr.strip().splitlines()) >= 2, "what is wrong, and what to do"
    assert contents(VICTIMS) == before
    assert not (VICTIMS / VERSION).exists()
    if TREE.is_dir() and not TREE.is_symlink():
        assert list(TREE.iterdir()) == []


SUBDIRECTORIES: dict[str, Callable[[Path], None]] = {
    "of-a-user": give,
    "writable-by-group": lambda path: path.chmod(0o775),
    "writable-by-others": lambda path: path.chmod(0o757),
    "sticky": lambda path: path.chmod(0o1777),
    "with-acl": lambda path: grant(path, MALLORY, permissions=7),
}


def refuses(run: Run, place: Path) -> bool:
    """Tell whether a run says that it does not write below a place."""
    if run.status == 5:
        return str(place) in run.stderr
    text = str(run.report["failures"])
    return run.status == 1 and str(place) in text


@pytest.mark.parametrize("place", [TREE / VERSION, PLACE.parent, PLACE], ids=["top", "mid", "leaf"])
@pytest.mark.parametrize("attack", SUBDIRECTORIES)
@pytest.mark.parametrize("freshness", ["missing", "stale", "fresh"])
def test_a_subdirectory_that_others_control_is_refused(
    box: Machine, attack: str, place: Path, freshness: str
) -> None:
    """Whoever may rename in it replaces bytecode, whether anything is to be compiled or not."""
    write(SOURCE)
    if freshness == "missing":
        make_directory(PLACE)
    else:
        assert box.rebuild(LIBRARY).count("compiled") == 1
    SUBDIRECTORIES[attack](place)
    if freshness == "stale":
        write(SOURCE, "CHANGED = True\n")
    before = contents(place)
    run = box.rebuild(LIBRARY)
    assert refuses(run, place), (run.status, run.stdout, run.stderr)
    assert set(contents(place)) <= set(before), "nothing is written there"


LINKS = {"top": TREE / VERSION, "middle": PLACE.parent, "leaf": PLACE}


@pytest.mark.parametrize("where", LINKS)
@pytest.mark.parametrize("options", [(), ("--prune",), ("--force", "--prune")])
def test_a_link_for_a_directory_is_not_followed(
    box: Machine, where: str, options: tuple[str, ...]
) -> None:
    write(SOURCE)
    link = LINKS[where]
    make_directory(link.parent)
    below = VICTIMS / PLACE.relative_to(link)
    write(below / entry(SOURCE).name, "a victim's")
    write(below / entry(LIBRARY / "package" / "gone.py").name, "a victim's")
    write(below / ".pycache-sys-0123456789abcdef.tmp", "a victim's")
    make_directory(below / "empty")
    link.symlink_to(VICTIMS)
    before = contents(VICTIMS)
    run = box.rebuild(LIBRARY, *options)
    assert contents(VICTIMS) == before
    assert run.status in {1, 5}
    assert link.is_symlink()


@pytest.mark.parametrize("where", LINKS)
def test_fresh_entries_behind_a_link_do_not_count(box: Machine, where: str) -> None:
    write(SOURCE)
    assert box.rebuild(LIBRARY).count("compiled") == 1
    link = LINKS[where]
    shutil.move(link, VICTIMS)
    link.symlink_to(VICTIMS)
    run = box.rebuild(LIBRARY)
    assert run.status in {1, 5}, run.stdout


@pytest.mark.parametrize("name", [entry(SOURCE).name, "gone.cpython.pyc", None])
def test_a_link_for_a_file_is_replaced_and_not_followed(box: Machine, name: str | None) -> None:
    write(SOURCE)
    victim = write(VICTIMS / "victim", "a victim's")
    make_directory(PLACE)
    planted = PLACE / (name or ".pycache-sys-0123456789abcdef.tmp")
    planted.symlink_to(victim)
    before = contents(VICTIMS)
    run = box.rebuild(LIBRARY)
    assert run.status == 0, run.stderr
    assert contents(VICTIMS) == before
    assert not entry(SOURCE).is_symlink()
    assert invalid() == []


def test_a_hard_link_to_a_victim_is_replaced_and_not_written(box: Machine) -> None:
    write(SOURCE)
    make_directory(PLACE)
    victim = write(Path("/var/cache/victim"), "a victim's")
    os.link(victim, entry(SOURCE))
    assert box.rebuild(LIBRARY).status == 0
    assert victim.read_text() == "a victim's"
    assert victim.stat().st_nlink == 1


@pytest.mark.parametrize("kind", ["fifo", "directory", "socket"])
def test_something_else_in_an_entrys_place_is_an_outcome(box: Machine, kind: str) -> None:
    write(SOURCE)
    sound = write(LIBRARY / "sound.py")
    make_directory(PLACE)
    if kind == "directory":
        write(entry(SOURCE) / "file")
    elif kind == "fifo":
        os.mkfifo(entry(SOURCE))
    else:
        os.mknod(entry(SOURCE), 0o140644)
    run = box.rebuild(LIBRARY)
    assert run.status == (1 if kind == "directory" else 0), run.stdout
    assert entry(sound).exists()
    assert leftovers() == []


@pytest.mark.parametrize("attack", ["owner", "mode", "acl"])
def test_planted_bytecode_is_replaced(box: Machine, attack: str) -> None:
    """It has the right header and mtime; only its owner or its mode tells."""
    write(SOURCE)
    assert box.rebuild(LIBRARY).count("compiled") == 1
    made = entry(SOURCE)
    status = made.stat()
    made.write_bytes(made.read_bytes()[:16] + b"forged")
    os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))
    match attack:
        case "owner":
            give(made)
        case "mode":
            made.chmod(0o666)
        case _:
            grant(made, MALLORY, permissions=6)
    assert box.rebuild(LIBRARY).count("compiled") == 1
    assert (made.stat().st_uid, made.stat().st_mode & 0o7777) == (0, 0o644)
    assert invalid() == []


def test_a_default_acl_gives_nobody_write_permission(box: Machine) -> None:
    write(SOURCE)
    grant(make_directory(TREE), MALLORY, permissions=7, kind="default")
    assert box.rebuild(LIBRARY).status == 0
    made = entry(SOURCE)
    for path, mode in {made: 0o644, made.parent: 0o755, TREE / VERSION: 0o755}.items():
        assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("place", [TREE, PLACE], ids=["tree", "leaf"])
def test_what_a_killed_run_left_is_removed_and_nothing_else(box: Machine, place: Path) -> None:
    write(SOURCE)
    program = with_libraries(box, Path("/opt/python/bin/whole"), library=LIBRARY)
    make_directory(place)
    half_made = write(place / ".pycache-sys-0123456789abcdef.tmp", "half")
    foreign = [
        write(place / name, "another's")
        for name in (".pycache-sys-foo", ".pycache-sys-.tmp", "x.tmp", ".pycache-sys-XYZ.tmp")
    ]
    assert box.rebuild(python=program).status == 0
    assert not half_made.exists()
    assert all(path.read_text() == "another's" for path in foreign)
    assert entries() == {entry(SOURCE), entry(LIBRARY / "os.py")}


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_the_callers_umask_makes_no_difference(box: Machine, mask: int) -> None:
    write(SOURCE)
    assert box.rebuild(LIBRARY, umask=mask).status == 0
    for path in (TREE, *TREE.rglob("*")):
        wanted = 0o755 if path.is_dir() else 0o644
        assert path.stat().st_mode & 0o7777 == wanted, path
        assert path.stat().st_uid == 0
    assert leftovers() == []


def test_a_user_can_read_the_tree_and_write_nothing(box: Machine) -> None:
    write(SOURCE)
    assert box.rebuild(LIBRARY).status == 0
    script = (
        "import os, sys\n"
        "for top, _, names in os.walk('/var/cache/python'):\n"
        "    assert not os.access(top, os.W_OK), top\n"
        "    for name in names:\n"
        "        assert not os.access(f'{top}/{name}', os.W_OK), name\n"
        "        open(f'{top}/{name}', 'rb').close()\n"
    )
    command = ["/usr/bin/python3", "-I", "-S", "-c", script]
    subprocess.run(command, user=MALLORY, group=MALLORY, extra_groups=[], cwd="/", check=True)


def test_a_plan_alone_reads_nothing_behind_a_link(box: Machine) -> None:
    write(SOURCE)
    tree_to(HOME)
    give(TREE)
    run = box.rebuild("--dry-run", LIBRARY)
    assert run.count("compiled") == 1
    assert list(HOME.iterdir()) == []

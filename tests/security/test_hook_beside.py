"""Bytecode beside the source: what others planted is not loaded, and nothing is left there."""

import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from security.accounts import (
    BESIDE,
    COMPILED,
    EVIL,
    GOOD,
    OWN,
    SHARED,
    SOURCE,
    Account,
    World,
    beside,
    entry,
    fails_until,
    look,
    owned,
    put,
    pyc,
    world,
)
from security.machine import TARGET

GIGABYTE = 1 << 30


@pytest.fixture
def people(command: Path, own_mounts: None, scratch: Path) -> Iterator[World]:
    """Give a machine with two accounts and root."""
    with world(command, scratch) as place:
        yield place


def shared_source(owner: Account) -> Path:
    """Write a source into a folder where everybody may add files."""
    return put(SHARED / "module.py", SOURCE.encode(), owner=owner)


def of(people: World, name: str) -> Account:
    """Return an account by its name."""
    account: Account = getattr(people, name)
    return account


VICTIMS = [("ada", "ada"), ("ada", "root"), ("root", "root"), ("root", "ada")]
"""Who imports, and whose the source is."""


@pytest.mark.parametrize(("who", "whose"), VICTIMS)
def test_a_pycache_planted_in_a_sticky_folder(people: World, who: str, whose: str) -> None:
    victim, source = of(people, who), shared_source(of(people, whose))
    people.mallory.write(beside(source), pyc(source))
    fails_until(
        victim,
        source,
        lambda: victim.owns(SHARED / "__pycache__"),
        untouched=[SHARED / "__pycache__", source],
    )


@pytest.mark.parametrize("aim", ["file", "folder"])
@pytest.mark.parametrize(("who", "whose"), VICTIMS)
def test_a_planted_link_to_a_file_of_the_victims(
    people: World, who: str, whose: str, aim: str
) -> None:
    """What Mallory wrote, and the victim copied: theirs now, and harmless where it stands."""
    victim, source = of(people, who), shared_source(of(people, whose))
    place = Path("/opt/copies") if who == "root" else people.ada.home / "copies"
    copy = put(place / beside(source).name, pyc(), owner=victim)
    if aim == "file":
        people.mallory.run("mkdir", SHARED / "__pycache__")
        assert people.mallory.run("ln", "-s", copy, beside(source)).status == 0
    else:
        assert people.mallory.run("ln", "-s", place, SHARED / "__pycache__").status == 0

    def corrected() -> None:
        if aim == "folder":
            (SHARED / "__pycache__").unlink()
            (SHARED / "__pycache__").mkdir()
            beside(source).symlink_to(copy)
        victim.owns(SHARED / "__pycache__")

    fails_until(victim, source, corrected, untouched=[place, SHARED / "__pycache__"])


def test_a_hard_link_to_a_file_that_the_victim_lets_all_write(people: World) -> None:
    """The kernel lets Mallory link what she may write, and it is Ada's by its number."""
    source = shared_source(people.ada)
    copy = put(SHARED / "copy", pyc(), owner=people.ada, mode=0o666)
    people.mallory.run("mkdir", SHARED / "__pycache__")
    assert people.mallory.run("ln", copy, beside(source)).status == 0

    def corrected() -> None:
        copy.chmod(0o644)
        people.ada.owns(SHARED / "__pycache__")

    fails_until(people.ada, source, corrected, untouched=[copy])


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_bytecode_that_more_people_write_than_its_source(people: World, mode: int) -> None:
    source = people.ada.write(people.ada.home / "work/module.py")
    planted = put(beside(source), pyc(source), owner=people.ada, mode=mode)
    os.chown(planted, people.ada.uid, people.project if mode & 0o020 else people.ada.gid)
    people.mallory.write(planted, pyc(source))
    fails_until(people.ada, source, lambda: planted.chmod(0o644), untouched=[source.parent])


def test_a_project_of_a_group(people: World) -> None:
    """Who may exchange the source may not exchange the bytecode unseen: it is by a stranger."""
    project = SHARED / "project"
    people.ada.run("mkdir", "-m", "2775", project)
    os.chown(project, people.ada.uid, people.project)
    project.chmod(0o2775)
    source = people.ada.write(project / "module.py")
    planted = people.mallory.write(beside(source), pyc(source))
    fails_until(
        people.ada, source, lambda: people.ada.owns(planted.parent), untouched=[planted.parent]
    )
    # Ada's bytecode, which the group writes as it does the source: stock's way, and no gain
    os.chown(source, people.ada.uid, people.project)
    source.chmod(0o664)
    planted.chmod(0o664)
    os.chown(planted, people.ada.uid, people.ada.gid)
    put(planted, pyc(source), owner=people.ada, mode=0o664)
    assert people.ada.imports(source).said == [GOOD]  # of another group than the source
    os.chown(planted, people.ada.uid, people.project)
    assert people.ada.imports(source).said == [EVIL]
    # the source's owner's bytecode serves the others
    source.chmod(0o644)
    planted.chmod(0o644)
    run = people.mallory.imports(source)
    assert (run.said, run.layer("module")) == ([EVIL], BESIDE)


# what is no file, or a great one


def as_fifo(path: Path) -> None:
    os.mkfifo(path, 0o644)


def as_device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, 5))


def as_loop(path: Path) -> None:
    path.symlink_to(path.name)


def as_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def as_directory(path: Path) -> None:
    path.mkdir()


def as_terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


def as_sparse(path: Path) -> None:
    path.write_bytes(pyc()[:16])
    os.truncate(path, 400 * GIGABYTE)


ODD: dict[str, Callable[[Path], None]] = {
    "fifo": as_fifo,
    "device": as_device,
    "loop": as_loop,
    "link-to-a-device": as_link_to_a_device,
    "directory": as_directory,
    "terminal": as_terminal,
    "sparse": as_sparse,
}


def limited() -> None:
    """Let a process that reads too much fail, before the machine does."""
    resource.setrlimit(resource.RLIMIT_AS, (2 * GIGABYTE, 2 * GIGABYTE))


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("whose", ["mallory", "ada"])
@pytest.mark.parametrize("where", ["beside", "own"])
def test_what_is_no_bytecode_at_all(people: World, where: str, whose: str, kind: str) -> None:
    """It holds nobody up; in the own cache it is replaced, even where it is not the user's."""
    source = people.ada.write(SHARED / "work" / "module.py")
    people.ada.imports(source)
    place = entry(people.ada.own, source) if where == "own" else beside(source)
    place.unlink(missing_ok=True)
    put(place.parent / "beside-it", b"", owner=people.ada).unlink()
    ODD[kind](place)
    of(people, whose).owns(place)
    for layer in (COMPILED if where == "own" else OWN, OWN):
        run = people.ada.imports(source, preexec_fn=limited)
        assert (run.said, run.layer("module")) == ([GOOD], layer)
    if where == "own":
        assert stat.S_ISREG(place.lstat().st_mode)
        assert place.stat().st_uid == people.ada.uid
    else:
        place.rmdir() if kind == "directory" else place.unlink()
        put(place, pyc(source), owner=people.ada)
        assert people.ada.imports(source, preexec_fn=limited).said == [EVIL]


# nothing is left behind


def test_nothing_of_roots_is_left_in_somebody_elses_tree(people: World) -> None:
    home = people.mallory.home
    sources = [
        people.mallory.write(home / name)
        for name in ("a.py", "package/__init__.py", "deep/er/b.py", "open/c.py")
    ]
    (home / "open").chmod(0o777)
    (home / "link").symlink_to(home / "deep")
    people.mallory.owns(home)
    before = look(home)
    found = [home / "a.py", home / "deep/er/b.py", home / "open/c.py", home / "link/er/b.py"]
    for who in (people.root, people.ada):
        program = "import sys; sys.path.insert(0, sys.argv[1]); import a, package"
        who.python(program, home, environment={"XDG_CACHE_HOME": home, "CACHE_DIRECTORY": home})
        for source in found:
            who.imports(source, cwd=home, umask=0)
        assert look(home) == before
        assert owned(who, home) == []
        assert entry(who.own, sources[0]).exists()
    # stock Python does it
    stock = f"import sys; sys.path.insert(0, {str(home)!r}); import a"
    people.root.run(TARGET, "-c", stock)
    assert len(owned(people.root, home)) == 2


def test_roots_bytecode_of_somebody_elses_source_is_of_that_source(people: World) -> None:
    """Mallory exchanges her source for one of the same size and time: root runs what it says."""
    source = people.mallory.write(people.mallory.home / "a.py", "print('one1')\n")
    status = source.stat()
    assert people.root.imports(source).said == ["one1"]
    assert people.root.imports(source).layer("a") == OWN
    people.mallory.write(source, "print('two2')\n")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert people.root.imports(source).said == ["two2"]
    # and what root keeps of it nobody else reads
    kept = entry(people.root.own, source)
    for account in (people.mallory, people.ada):
        assert account.run("cat", kept).status != 0
        assert account.imports(source).said == ["two2"]
    assert people.root.run("cat", kept).status == 0

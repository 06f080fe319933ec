"""The user's own cache: what others planted, linked or exchanged there is never loaded."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from security.accounts import (
    COMPILED,
    EVIL,
    GOOD,
    OWN,
    PYTHON,
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
    writable_by_others,
)
from security.machine import VERSION
from security.posix_acl import grant


@pytest.fixture
def people(command: Path, own_mounts: None, scratch: Path) -> Iterator[World]:
    """Give a machine with two accounts and root."""
    with world(command, scratch) as place:
        yield place


@pytest.fixture
def source(people: World) -> Path:
    """Write a source of the victim's."""
    return people.ada.write(people.ada.home / "work" / "module.py")


def test_the_first_import_keeps_bytecode_and_the_second_loads_it(
    people: World, source: Path
) -> None:
    for word, layer in ((GOOD, COMPILED), (GOOD, OWN)):
        run = people.ada.imports(source)
        assert (run.said, run.layer("module")) == ([word], layer)
    put(entry(people.ada.own, source), pyc(source), owner=people.ada)
    assert people.ada.imports(source).said == [EVIL]
    assert not list(source.parent.glob("__pycache__"))


# planted before the victim has a cache


@pytest.mark.parametrize("depth", range(4))
def test_a_cache_planted_in_a_shared_folder(people: World, source: Path, depth: int) -> None:
    """Mallory's is all of it, or what begins at the second, third … folder, or the file alone."""
    top = SHARED / "cache"
    planted = entry(top / "pycache-sys", source)
    people.mallory.write(planted, pyc(source))
    begins = (top, top / "pycache-sys", top / "pycache-sys" / VERSION, planted)[depth]
    people.ada.owns(top)
    people.mallory.owns(begins)

    def corrected() -> None:
        put(planted, pyc(source), owner=people.ada)  # in Ada's own folder it was replaced
        people.ada.owns(top)

    fails_until(
        people.ada,
        source,
        corrected,
        untouched=[] if depth == 3 else [top],
        environment={"XDG_CACHE_HOME": top},
    )


def test_a_home_in_a_shared_folder_that_somebody_else_filled(people: World, source: Path) -> None:
    planted = entry(SHARED / ".cache" / "pycache-sys", source)
    people.mallory.write(planted, pyc(source))
    fails_until(
        people.ada,
        source,
        lambda: people.ada.owns(SHARED / ".cache"),
        untouched=[SHARED / ".cache"],
        environment={"HOME": SHARED},
    )


def test_a_shared_folder_as_home_serves_who_comes_first(people: World, source: Path) -> None:
    home = {"HOME": SHARED}
    for layer in (COMPILED, OWN):
        assert people.ada.imports(source, environment=home).layer("module") == layer
    before = look(SHARED / ".cache")
    assert {uid for uid, *_ in before.values()} == {people.ada.uid}
    assert writable_by_others(SHARED / ".cache") == []
    theirs = people.mallory.write(people.mallory.home / "other.py")
    for one in (theirs, source):
        run = people.mallory.imports(one, environment=home)
        assert (run.said, run.layer(one.stem)) == ([GOOD], COMPILED)
    assert look(SHARED / ".cache") == before


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777, "acl", "acl-on-cache"])
def test_a_home_that_others_write(people: World, source: Path, mode: int | str) -> None:
    """What Mallory put there by renaming what is Ada's: each file for itself is in right hands."""
    planted = put(entry(people.ada.own, source), pyc(source), owner=people.ada)
    people.ada.owns(people.ada.home / ".cache")
    place = people.ada.home if mode != "acl-on-cache" else people.ada.home / ".cache"
    if isinstance(mode, str):
        grant(place, people.mallory.uid, permissions=7)
    else:
        os.chown(place, people.ada.uid, people.project)
        place.chmod(mode)
    people.mallory.write(place / "i-can-write-here")
    fails_until(
        people.ada,
        source,
        lambda: place.chmod(0o755),
        untouched=[people.ada.home / ".cache"],
    )
    assert planted.exists()


def test_a_cache_that_others_write_is_neither_read_nor_filled(people: World, source: Path) -> None:
    people.ada.imports(source)
    other = people.ada.write(source.with_name("other.py"))
    folder = entry(people.ada.own, source).parent
    for place in (people.ada.own, people.ada.own.parent):
        mode = stat.S_IMODE(place.stat().st_mode)
        place.chmod(0o777)
        before = look(people.ada.own)
        assert people.ada.imports(other).layer("other") == COMPILED
        assert look(people.ada.own) == before
        place.chmod(mode)
    folder.chmod(0o777)  # only what is written is looked at that closely, files for themselves
    before = look(people.ada.own)
    assert people.ada.imports(other).layer("other") == COMPILED
    assert look(people.ada.own) == before
    folder.chmod(0o700)
    assert people.ada.imports(other).layer("other") == COMPILED
    assert people.ada.imports(other).layer("other") == OWN


@pytest.mark.parametrize("name", ["ada", "root"])
def test_a_top_folder_of_roots_that_everybody_shares(people: World, name: str) -> None:
    """It is sticky, so the way goes on; but what is at its end is for one alone.

    Mallory's folder in it has a link to a file of the victim's that she has written.
    """
    victim: Account = getattr(people, name)
    source = put(Path("/opt/library/module.py"), SOURCE.encode(), owner=people.root)
    top = SHARED / "cache/pycache-sys" if victim.uid else victim.own
    top.mkdir(parents=True)
    top.chmod(0o1777)
    copy = put(Path("/opt/copies/attachment"), pyc(), owner=victim)
    planted = entry(top, source)
    people.mallory.run("mkdir", "-p", planted.parent)
    assert people.mallory.run("ln", "-s", copy, planted).status == 0

    def corrected() -> None:
        victim.owns(top)
        top.chmod(0o700)

    environment = {"XDG_CACHE_HOME": SHARED / "cache"}
    fails_until(victim, source, corrected, untouched=[top], environment=environment)


# links


def test_a_cache_that_is_a_link_of_somebody_elses(people: World, source: Path) -> None:
    """It leads to what is Ada's: who owns the link may turn it at any time."""
    real = people.ada.home / "real"
    put(entry(real / "pycache-sys", source), pyc(source), owner=people.ada)
    link = SHARED / "cache"
    link.symlink_to(real)
    people.mallory.owns(link)
    fails_until(
        people.ada,
        source,
        lambda: people.ada.owns(link),
        untouched=[real],
        environment={"XDG_CACHE_HOME": link},
    )


@pytest.mark.parametrize("linked", [".cache", ".cache/pycache-sys"])
def test_a_link_of_ones_own_into_a_folder_of_somebody_elses(
    people: World, source: Path, linked: str
) -> None:
    theirs = SHARED / "theirs"
    below = "pycache-sys" if linked == ".cache" else ""
    people.mallory.write(entry(theirs / below, source), pyc(source))
    link = people.ada.home / linked
    people.ada.run("mkdir", "-p", link.parent)
    people.ada.run("ln", "-s", theirs, link)
    fails_until(people.ada, source, lambda: people.ada.owns(theirs), untouched=[theirs])


def test_a_link_through_a_folder_of_somebody_elses(people: World, source: Path) -> None:
    real = people.ada.home / "real"
    put(entry(real / "pycache-sys", source), pyc(source), owner=people.ada)
    people.mallory.run("ln", "-s", people.ada.home, people.mallory.home / "step")
    link = people.ada.home / ".cache"
    people.ada.run("ln", "-s", people.mallory.home / "step" / "real", link)

    def corrected() -> None:
        link.unlink()
        people.ada.run("ln", "-s", real, link)

    fails_until(people.ada, source, corrected, untouched=[real])


def test_a_hard_link_of_somebody_elses_bytecode(people: World, source: Path) -> None:
    """It is not loaded; and when the cache heals, it is not written through the link either."""
    theirs = people.mallory.write(people.mallory.home / "theirs", pyc(source))
    planted = entry(people.ada.own, source)
    people.ada.imports(source)
    planted.unlink()
    os.link(theirs, planted)  # root's doing: Mallory cannot get in there
    before = look(theirs)
    run = people.ada.imports(source)
    assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
    assert look(theirs) == before
    assert people.ada.imports(source).layer("module") == OWN
    planted.unlink()
    os.link(theirs, planted)
    people.ada.owns(planted)
    assert people.ada.imports(source).said == [EVIL]


def test_an_entry_that_is_a_link_is_replaced_not_followed(people: World, source: Path) -> None:
    theirs = people.mallory.write(people.mallory.home / "theirs", pyc(source))
    precious = people.ada.write(people.ada.home / "precious", "words")
    planted = entry(people.ada.own, source)
    people.ada.imports(source)
    for target in (theirs, precious, Path("/etc/passwd"), people.ada.home / "nothing"):
        before = target.read_bytes() if target.exists() else None
        planted.unlink()
        planted.symlink_to(target)
        run = people.ada.imports(source)
        assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
        assert (target.read_bytes() if target.exists() else None) == before
        assert not planted.is_symlink()
        assert people.ada.imports(source).layer("module") == OWN


def test_a_link_at_the_temporary_name_is_not_followed(people: World, source: Path) -> None:
    """As if Mallory had guessed it; the folder is Ada's as that is the only one that is used."""
    precious = people.ada.write(people.ada.home / "precious", "words")
    people.ada.imports(people.ada.write(source.with_name("first.py")))
    folder = entry(people.ada.own, source).parent
    guessed = folder / f".pycache-sys-{'00' * 8}.tmp"
    guessed.symlink_to(precious)
    certain = "import posix\nposix.urandom = bytes"
    run = people.ada.imports(source, before=certain)
    assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
    assert precious.read_text() == "words"
    assert not entry(people.ada.own, source).exists()  # for the name was indeed the guessed one
    guessed.unlink(missing_ok=True)
    people.ada.imports(source, before=certain)
    assert people.ada.imports(source, before=certain).layer("module") == OWN


# somebody else's folder


def test_a_cache_below_somebody_elses_folder(people: World, source: Path) -> None:
    """Though from there on all of it is Ada's: the folder's owner exchanges it when they like."""
    top = people.mallory.home / "cache"
    put(entry(top / "pycache-sys", source), pyc(source), owner=people.ada)
    fails_until(
        people.ada,
        source,
        lambda: people.root.owns(people.mallory.home, spare=top),
        untouched=[people.mallory.home],
        environment={"XDG_CACHE_HOME": top},
    )


def test_nothing_is_made_in_somebody_elses_folder(people: World, source: Path) -> None:
    folder = people.mallory.home / "open"
    people.mallory.run("mkdir", "-m", "777", folder)
    for missing in ("cache", "a/b/c", "../open/cache", "./cache"):
        run = people.ada.imports(source, environment={"XDG_CACHE_HOME": folder / missing})
        assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
    assert owned(people.ada, people.mallory.home) == []
    open_to_all = SHARED / "open"
    people.ada.run("mkdir", "-m", "755", open_to_all)
    people.ada.imports(source, environment={"XDG_CACHE_HOME": open_to_all / "a/b/c"})
    assert len(owned(people.ada, open_to_all / "a/b/c")) > 3


# what is written


def test_whatever_the_umask_nobody_else_writes_or_reads(people: World, source: Path) -> None:
    for number, umask in enumerate((0o000, 0o002, 0o022, 0o077, 0o777)):
        top = people.ada.home / f"cache{number}"
        for layer in (COMPILED, OWN):
            run = people.ada.imports(source, environment={"XDG_CACHE_HOME": top}, umask=umask)
            assert run.layer("module") == layer if umask != 0o777 else run.said == [GOOD]
        seen = look(top) if top.exists() else {}
        modes = {stat.S_IMODE(mode) for _, _, mode, _ in seen.values()}
        assert modes <= ({0o700, 0o600} if umask != 0o777 else {0}), umask
    before = look(people.ada.home)
    people.ada.python("open(__import__('sys').argv[1], 'w')", people.ada.home / "x", umask=0)
    assert writable_by_others(people.ada.home) == [str(people.ada.home / "x")]
    assert set(look(people.ada.home)) - set(before) == {str(people.ada.home / "x")}


def test_who_inherits_rights_by_an_acl_has_none_in_the_cache(people: World, source: Path) -> None:
    cache = people.ada.home / ".cache"
    people.ada.run("mkdir", cache)
    for place in (people.ada.home, cache):
        grant(place, people.mallory.uid, permissions=7, kind="default")
    for layer in (COMPILED, OWN):
        assert people.ada.imports(source).layer("module") == layer
    theirs = entry(people.ada.own, source)
    commands: list[list[str | Path]] = [
        ["cat", theirs],
        ["ls", people.ada.own],
        ["touch", theirs.parent / "x"],
    ]
    for command in commands:
        assert people.mallory.run(*command).status != 0
        assert people.ada.run(*command).status == 0


# races


def swap(mallory: Account, program: str, *arguments: str | Path) -> "subprocess.Popen[str]":
    """Let Mallory exchange things as fast as she can, until her input ends."""
    loop = (
        "import os, select, sys\ncount = 0\n"
        "while not select.select([sys.stdin], [], [], 0)[0]:\n"
        "    count += 1\n    for step in steps:\n        try: step()\n"
        "        except OSError: pass\n"
        "print(count)"
    )
    return subprocess.Popen(
        [PYTHON, "-IS", "-c", f"{program}\n{loop}", *map(str, arguments)],
        user=mallory.uid,
        group=mallory.gid,
        extra_groups=mallory.groups,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )


REPEAT = """
import os, sys, tempfile
sys.path.insert(0, sys.argv[1])
bad = 0
for n in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        out, back = os.dup(1), os.memfd_create('said')
        os.dup2(back, 1)
        try:
            import module
            sys.stdout.flush()
            os._exit(os.pread(back, 9, 0) != b'good\\n')
        except BaseException:
            os._exit(2)
    bad += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
print(bad)
"""


def repeated(victim: Account, source: Path, *, times: int, cache: Path) -> int:
    """Import a module in so many new processes; return how often it did not say its word."""
    run = victim.python(REPEAT, source.parent, str(times), environment={"XDG_CACHE_HOME": cache})
    return int(run.stdout)


def raced(people: World, source: Path, program: str, *paths: Path, cache: Path) -> int:
    """Let Ada import while Mallory exchanges things; return how often it went wrong."""
    mallory = swap(people.mallory, program, *paths)
    try:
        return repeated(people.ada, source, times=120, cache=cache)
    finally:
        swaps = int(mallory.communicate("end", timeout=20)[0])
        assert swaps > 120


RENAME = """
parent, hers, aside = sys.argv[1:]
steps = [
    lambda: os.rename(parent, aside),
    lambda: os.rename(hers, parent),
    lambda: os.rename(parent, hers),
    lambda: os.rename(aside, parent),
]
"""


def test_a_parent_that_is_renamed_after_it_was_looked_at(people: World, source: Path) -> None:
    """In a folder that both write: in Mallory's hands, all is Ada's but what is above it."""
    shared = Path("/tmp/team")
    shared.mkdir()
    os.chown(shared, 0, people.project)
    shared.chmod(0o775)
    for name in ("parent", "hers"):
        (shared / name).mkdir()
    people.ada.owns(shared / "parent")
    planted = put(entry(shared / "hers/cache/pycache-sys", source), pyc(source), owner=people.ada)
    people.mallory.owns(shared / "hers")
    people.ada.owns(shared / "hers" / "cache")
    names = [shared / name for name in ("parent", "hers", "aside")]
    assert raced(people, source, "import os, sys" + RENAME, *names, cache=names[0] / "cache") == 0
    assert planted.read_bytes() == pyc(source)
    assert owned(people.ada, shared / "parent") == [str(shared / "parent")]
    os.rename(names[0], names[2])
    os.rename(names[1], names[0])
    people.ada.owns(names[0])
    shared.chmod(0o755)
    assert repeated(people.ada, source, times=3, cache=names[0] / "cache") == 3


CREATE = """
top, hers, linked = sys.argv[1:]
def link():
    os.symlink(linked, top)
steps = [
    lambda: os.mkdir(top, 0o777),
    lambda: os.chmod(top, 0o777),
    lambda: os.rename(top, hers),
    link,
    lambda: os.unlink(top),
    lambda: os.rename(hers, top),
    lambda: os.rename(top, hers + '%d' % count),
]
"""


def test_a_top_folder_that_somebody_else_makes_in_the_same_moment(
    people: World, source: Path
) -> None:
    """In a sticky folder: it is there, it is a link, it is gone, while Ada makes hers."""
    top, linked = SHARED / "cache", SHARED / "linked"
    people.mallory.write(entry(linked / "pycache-sys", source), pyc(source))
    linked.chmod(0o777)
    program = "import os, sys" + CREATE
    assert raced(people, source, program, top, SHARED / "hers", linked, cache=top) == 0
    for path in owned(people.ada, SHARED):
        # she made folders in Mallory's, and that is all; in her own there may be more
        status = os.lstat(path)
        if not path.startswith(str(top)) or os.lstat(top).st_uid != people.ada.uid:
            assert stat.S_ISDIR(status.st_mode), path
        assert not status.st_mode & 0o022
    if top.is_symlink() or top.exists():
        subprocess.run(["rm", "-rf", top], check=True)
    linked.chmod(0o755)
    people.ada.owns(linked)
    os.rename(linked, top)
    assert repeated(people.ada, source, times=3, cache=top) == 3


LATER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import first
print('looked', flush=True)
sys.stdin.readline()
import module
"""


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_a_cache_that_is_missing_when_it_is_looked_at(
    people: World, source: Path, umask: int
) -> None:
    """Then Mallory makes it: a link in it leads to a file of Ada's that Mallory has written.

    Ada copied it (an attachment, a checkout): it is hers, and harmless where it stands.
    """
    people.ada.write(source.with_name("first.py"), "pass")
    copy = people.ada.write(people.ada.home / "attachment", pyc())
    top = SHARED / "cache"
    planted = entry(top / "pycache-sys", source)
    environment = {
        "HOME": str(people.ada.home),
        "XDG_CACHE_HOME": str(top),
        "PATH": "/usr/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with subprocess.Popen(
        [PYTHON, "-c", LATER, source.parent],
        env=environment,
        user=people.ada.uid,
        group=people.ada.gid,
        extra_groups=[],
        umask=umask,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "looked\n"
        people.mallory.run("mkdir", "-p", planted.parent)
        people.mallory.run("ln", "-s", copy, planted)
        assert planted.read_bytes() == pyc()
        said = process.communicate("go\n", timeout=20)[0]
    assert said.split() == [GOOD]
    # if it were in right hands
    people.ada.owns(top)
    assert people.ada.imports(source, environment=environment).said == [EVIL]


# the prefix that is exported to what compiles on its own account: stock code reads and fills it


SUBCLASS = """
import sys
from importlib.machinery import SourceFileLoader
class Own(SourceFileLoader): pass
sys.stdin.readline()
exec(Own('module', sys.argv[1]).get_code('module'))
"""


def export(people: World) -> None:
    put(Path("/etc/pycacheprefix.conf"), b"export-prefix = yes\n", owner=people.root)


def test_an_exported_prefix_is_not_made_by_somebody_else(people: World, source: Path) -> None:
    """It is missing at the start, in a folder where everybody may make it."""
    export(people)
    top = SHARED / "cache"
    environment = {"HOME": str(people.ada.home), "XDG_CACHE_HOME": str(top)}
    with subprocess.Popen(
        [PYTHON, "-c", "print('started', flush=True)" + SUBCLASS, source],
        env=environment,
        user=people.ada.uid,
        group=people.ada.gid,
        extra_groups=[],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        planted = entry(top / "pycache-sys", source)
        people.mallory.run("mkdir", "-p", planted.parent)
        people.mallory.run("tee", planted, data=pyc())
        said = process.communicate("go\n", timeout=20)[0]
    assert said.split() == [GOOD]
    put(planted, pyc(), owner=people.ada)
    people.ada.owns(top)
    assert people.ada.python(SUBCLASS, source, environment=environment, data=b"\n").said == [EVIL]


def test_an_exported_prefix_is_closed_whatever_the_umask(people: World, source: Path) -> None:
    export(people)
    compiles = "import py_compile, sys; print(py_compile.compile(sys.argv[1]))"
    run = people.ada.python(compiles, source, umask=0)
    assert run.said == [str(entry(people.ada.own, source))]
    assert stat.S_IMODE(people.ada.own.stat().st_mode) == 0o700
    assert people.mallory.run("cat", entry(people.ada.own, source)).status != 0
    assert people.ada.run("cat", entry(people.ada.own, source)).status == 0


# a process that changes whom it acts for


CHANGES = """
import os, sys
uid = int(sys.argv[1])
sys.path[:0] = sys.argv[2:]
os.seteuid(uid)
import first
os.seteuid(0)
import module, sub.inner
"""


def test_who_turns_back_into_root_leaves_the_users_cache(people: World) -> None:
    """A service of root's acts for Mallory for a while, and imports; then it is root again."""
    service = Path("/opt/service")
    for name in ("first.py", "module.py", "sub/inner.py"):
        put(service / name, SOURCE.encode(), owner=people.root)
    secret = Path("/opt/secret")
    secret.mkdir(mode=0o700)
    # Mallory's cache is prepared: one folder of it leads to where only root writes
    people.mallory.run("mkdir", "-p", entry(people.mallory.own, service / "module.py").parent)
    people.mallory.run(
        "ln", "-s", secret, entry(people.mallory.own, service / "sub/inner.py").parent
    )
    people.root.python(CHANGES, str(people.mallory.uid), service)
    assert list(secret.iterdir()) == []
    assert owned(people.root, people.mallory.home) == []
    assert entry(people.mallory.own, service / "first.py").exists()  # while it acted for her
    assert entry(people.root.own, service / "module.py").exists()
    assert entry(people.root.own, service / "sub/inner.py").exists()


LINKED = """
import os, sys
sys.path[:0] = sys.argv[2:]
os.seteuid(int(sys.argv[1]))
import first
os.seteuid(0)
import module
"""


def test_who_turns_back_into_root_loads_nothing_of_the_users(people: World) -> None:
    """Mallory's link leads to a file of root's that she has written: root copied it."""
    service = Path("/opt/service")
    for name in ("first.py", "module.py"):
        put(service / name, SOURCE.encode(), owner=people.root)
    copy = put(Path("/opt/copies/attachment"), pyc(), owner=people.root)
    planted = entry(people.mallory.own, service / "module.py")
    people.mallory.run("mkdir", "-p", planted.parent)
    people.mallory.run("ln", "-s", copy, planted)
    run = people.root.python(LINKED, str(people.mallory.uid), service)
    assert run.said == [GOOD, GOOD]
    put(entry(people.root.own, service / "module.py"), pyc(), owner=people.root)
    run = people.root.python(LINKED, str(people.mallory.uid), service)
    assert run.said == [GOOD, EVIL]


def test_who_turns_back_into_root_looks_again_beside_the_sources(people: World) -> None:
    """A __pycache__ of Mallory's in a shared folder will do for her, but not for root."""
    for name in ("first.py", "module.py"):
        put(SHARED / name, SOURCE.encode(), owner=people.root)
    copy = put(Path("/opt/copies/attachment"), pyc(SHARED / "module.py"), owner=people.root)
    planted = beside(SHARED / "module.py")
    people.mallory.run("mkdir", "-p", planted.parent)
    people.mallory.run("ln", "-s", copy, planted)
    run = people.root.python(LINKED, str(people.mallory.uid), SHARED)
    assert run.said == [GOOD, GOOD]
    people.root.owns(planted.parent)
    run = people.root.python(LINKED, str(people.mallory.uid), SHARED)
    assert run.said == [GOOD, EVIL]


# one home, several containers


@pytest.mark.parametrize("whose", ["root", "ada"])
def test_a_home_that_containers_share(people: World, whose: str) -> None:
    """Each has its own source at the same place, of the same size and time."""
    app = Path("/opt/app/tool.py")
    owner = people.root if whose == "root" else people.ada
    flattened = 1 if whose == "ada" else 1_600_000_000  # for what is one's own, if times tell
    word = ""
    for word in ("one1", "two2", "one1", "two2"):
        put(app, f"print({word!r})\n".encode(), owner=owner)
        os.utime(app, (flattened, flattened))
        for layer in (COMPILED, OWN):
            run = people.ada.imports(app)
            assert (run.said, run.layer("tool")) == ([word], layer)
    # stamps alone would have been believed
    put(entry(people.ada.own, app), pyc(app), owner=people.ada)
    assert people.ada.imports(app).said == [word]
    people.ada.owns(app)
    os.utime(app, (1_600_000_000,) * 2)
    put(entry(people.ada.own, app), pyc(app), owner=people.ada)
    assert people.ada.imports(app).said == [EVIL]

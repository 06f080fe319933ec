"""Root, borrowed ids, other namespaces: nobody else's environment or tree counts."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from security.accounts import (
    BESIDE,
    COMPILED,
    EVIL,
    FROM_TREE,
    GOOD,
    IMAGE,
    OWN,
    PYTHON,
    ROOTS_CACHE,
    SHARED,
    SOURCE,
    TREE,
    Account,
    Run,
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
from security.machine import TARGET, VERSION
from security.posix_acl import grant

LIBRARY = Path("/opt/library/module.py")
SUDOERS = Path("/etc/sudoers.d/tests")
IMPORT = (
    "import sys\nfor path in sys.argv[1:]:\n    sys.path.insert(0, path.rpartition('/')[0])\n"
    "    __import__(path.rpartition('/')[2][:-3])\n"
)
TOOL = Path("/opt/tool/main.py")


@pytest.fixture
def people(command: Path, own_mounts: None, scratch: Path) -> Iterator[World]:
    """Give a machine with two accounts and root."""
    with world(command, scratch) as place:
        yield place


@pytest.fixture
def library(people: World) -> Path:
    """Write a source of root's that everybody may import."""
    return put(LIBRARY, SOURCE.encode(), owner=people.root)


# sudo: Mallory's environment, root's hands


@pytest.fixture
def sudo(people: World) -> Callable[..., Run]:
    """Let Mallory run one tool of root's, as root or as Ada, with her environment."""
    put(TOOL, IMPORT.encode(), owner=people.root)
    rules = f"mallory ALL=(ALL) NOPASSWD:SETENV: {PYTHON} * {TOOL} *, {PYTHON} {TOOL} *\n"
    put(SUDOERS, rules.encode(), owner=people.root, mode=0o440)

    def run(*sources: Path, options: tuple[str, ...] = (), who: str = "root", **given: str) -> Run:
        command = ["sudo", "-n", "-E", "-u", who, PYTHON, *options, TOOL, *sources]
        done = people.mallory.run(*command, environment=given)
        assert done.status == 0, done.stderr
        return done

    return run


def all_of_mallorys(people: World, top: Path) -> dict[str, str]:
    """Name every directory that the environment can name."""
    names = ("XDG_CACHE_HOME", "HOME", "CACHE_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")
    return {**dict.fromkeys(names, str(top)), "PYCACHE_SYS": "trace"}


def test_root_by_sudo_takes_no_directory_from_the_environment(
    people: World, library: Path, sudo: Callable[..., Run]
) -> None:
    top = people.mallory.home / "top"
    source = people.mallory.write(people.mallory.home / "hers.py")
    for one in (library, source):
        for below in ("", ".cache"):
            people.mallory.write(entry(top / below / "pycache-sys", one), pyc())
    before = look(people.mallory.home, LIBRARY.parent)
    environment = all_of_mallorys(people, top)
    for layer in (COMPILED, OWN):
        run = sudo(library, source, **environment)
        assert run.said == [GOOD, GOOD]
        assert {run.layer("module"), run.layer("hers")} == {layer}
    assert look(people.mallory.home, LIBRARY.parent) == before
    assert entry(ROOTS_CACHE, library).exists()
    # the environment came along, and the same files are good bytecode: in root's own cache
    seen = people.mallory.run("sudo", "-n", "-E", "printenv", environment=environment)
    assert seen.status != 0  # the rule is for the tool
    put(SUDOERS, b"mallory ALL=(ALL) NOPASSWD:SETENV: ALL\n", owner=people.root, mode=0o440)
    seen = people.mallory.run("sudo", "-n", "-E", "printenv", environment=environment)
    assert {f"{name}={value}" for name, value in environment.items()} <= set(seen.said)
    hers = entry(top / "pycache-sys", library).read_bytes()
    put(entry(ROOTS_CACHE, library), hers, owner=people.root)
    assert sudo(library, **environment).said == [EVIL]


def test_ada_by_sudo_takes_only_what_is_hers(
    people: World, library: Path, sudo: Callable[..., Run]
) -> None:
    top = people.mallory.home / "top"
    planted = people.mallory.write(entry(top / "pycache-sys", library), pyc())
    environment = all_of_mallorys(people, top)
    run = sudo(library, who="ada", **environment)
    assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
    assert owned(people.ada, people.mallory.home) == []
    people.root.owns(people.mallory.home)
    people.ada.owns(top)
    assert planted.read_bytes() == pyc()
    assert sudo(library, who="ada", **environment).said == [EVIL]


@pytest.mark.parametrize("options", [["-p"], ["-"], []], ids=str)
@pytest.mark.parametrize("who", ["root", "ada"])
def test_su_with_an_environment(people: World, library: Path, who: str, options: list[str]) -> None:
    """With ``-p`` all of it comes along, else all but HOME, and with ``-`` nothing."""
    top = people.mallory.home / "top"
    planted = people.mallory.write(entry(top / "pycache-sys", library), pyc())
    put(TOOL, IMPORT.encode(), owner=people.root)
    command = ["su", *options, who, "-s", "/bin/sh", "-c", f"{PYTHON} {TOOL} {library}"]
    environment = {**all_of_mallorys(people, top), "PYCACHE_SYS": "trace"}
    for layer in (COMPILED, OWN if who == "root" or "-p" not in options else COMPILED):
        run = people.root.run(*command, environment=environment)
        assert (run.status, run.said) == (0, [GOOD]), run.stderr
        assert options == ["-"] or who == "ada" or run.layer("module") == layer
    assert planted.read_bytes() == pyc()
    assert owned(people.root, people.mallory.home) == []
    assert owned(people.ada, people.mallory.home) == []
    people.root.owns(people.mallory.home)
    people.ada.owns(top)
    if who == "ada" and options == ["-p"]:  # it does come along
        assert people.root.run(*command, environment=environment).said == [EVIL]


@pytest.mark.parametrize("options", [("-I",), ("-E",), ("-I", "-E"), ()])
def test_switches_of_mallorys_for_root(
    people: World, library: Path, sudo: Callable[..., Run], options: tuple[str, ...]
) -> None:
    """Whatever she says, root loads nothing that stock Python would not, and mostly less."""
    source = put(SHARED / "module.py", SOURCE.encode(), owner=people.root)
    people.mallory.write(beside(source), pyc(source))
    before = look(SHARED / "__pycache__")
    for switch in ("trace", "on", "", "off\n", "OFF"):
        run = sudo(source, options=options, PYCACHE_SYS=switch)
        assert run.said == [GOOD], switch
        assert ("pycache-sys:" in run.stderr) == (switch == "trace" and not options)
    assert look(SHARED / "__pycache__") == before
    # off is stock Python
    run = sudo(source, options=options, PYCACHE_SYS="off")
    assert run.said == ([GOOD] if options else [EVIL])


@pytest.mark.parametrize("options", [("-I",), ("-E",), ("-I", "-E"), ()])
def test_a_prefix_of_mallorys_for_root(
    people: World, library: Path, sudo: Callable[..., Run], options: tuple[str, ...]
) -> None:
    """An explicit prefix keeps its meaning, which ``-E`` takes: the hook adds nothing to it."""
    prefix = people.mallory.home / "prefix"
    planted = prefix / str(LIBRARY.parent)[1:] / entry(prefix, LIBRARY).name
    people.mallory.write(planted, pyc(library))
    run = sudo(library, options=options, PYTHONPYCACHEPREFIX=str(prefix))
    stock = people.root.run(
        *(TARGET, *options, TOOL, library), environment={"PYTHONPYCACHEPREFIX": prefix}
    )
    assert run.said == stock.said == ([GOOD] if options else [EVIL])


def test_the_scripts_of_packages_write_nothing(people: World, library: Path) -> None:
    before = look(Path("/opt"), Path("/var/cache"), people.ada.home)
    script = {"DPKG_MAINTSCRIPT_PACKAGE": "python3-module"}
    for who in (people.root, people.ada):
        run = who.imports(library, environment=script)
        assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
    assert look(Path("/opt"), Path("/var/cache"), people.ada.home) == before
    people.root.imports(library)
    assert people.root.imports(library, environment=script).layer("module") == OWN


# borrowed ids


BORROWED = """
import os, sys
uid, gid, euid, egid = map(int, sys.argv[1:5])
os.setgroups([])
os.setresgid(gid, egid, egid)
os.setresuid(uid, euid, euid)
os.execv(sys.argv[5], [sys.argv[5], '-c', *sys.argv[6:]])
"""


def borrowed(
    real: Account, effective: Account, *sources: Path, environment: dict[str, str | Path]
) -> Run:
    """Run as a program does that is set-uid and set-gid: one user's call, another's rights."""
    ids = [str(number) for one in (real, effective) for number in (one.uid, one.gid)]
    root = Account("root", 0, 0, Path("/root"))
    run = root.run(
        *(TARGET, "-IS", "-c", BORROWED, *ids, PYTHON, IMPORT, *sources), environment=environment
    )
    assert run.status == 0, run.stderr
    return run


@pytest.mark.parametrize("victim", ["ada", "root"])
def test_a_program_with_borrowed_rights(people: World, library: Path, victim: str) -> None:
    """It keeps its bytecode where its rights are from, wherever its caller points."""
    person: Account = getattr(people, victim)
    top = people.mallory.home / "top"
    people.mallory.write(entry(top / "pycache-sys", library), pyc())
    environment: dict[str, str | Path] = dict(all_of_mallorys(people, top))
    before = look(people.mallory.home)
    for _ in range(2):
        run = borrowed(people.mallory, person, library, environment=environment)
        assert (run.said, run.stderr) == ([GOOD], "")
    assert look(people.mallory.home) == before
    # what is the victim's would count: there it was kept, and there it is read
    kept = entry(person.own, library)
    assert kept.stat().st_uid == person.uid
    put(kept, pyc(), owner=person)
    assert borrowed(people.mallory, person, library, environment=environment).said == [EVIL]


def test_a_folder_of_the_victims_named_by_the_caller(people: World, library: Path) -> None:
    """Mallory names another folder of Ada's, with what Ada never ran as Python."""
    downloads = people.ada.home / "downloads"
    put(entry(downloads / "pycache-sys", library), pyc(), owner=people.ada)
    people.ada.owns(downloads)
    environment: dict[str, str | Path] = {"XDG_CACHE_HOME": downloads}
    assert borrowed(people.mallory, people.ada, library, environment=environment).said == [GOOD]
    assert borrowed(people.ada, people.ada, library, environment=environment).said == [EVIL]


def test_rights_that_are_only_a_groups(people: World, library: Path) -> None:
    """A set-gid program: the user is the caller, and so is the cache; but not what they say."""
    with_group = Account("ada", people.ada.uid, people.project, people.ada.home)
    top = people.ada.home / "elsewhere"
    environment: dict[str, str | Path] = {"XDG_CACHE_HOME": top}
    run = borrowed(people.ada, with_group, library, environment=environment)
    assert run.said == [GOOD]
    assert not top.exists()
    assert entry(people.ada.own, library).stat().st_mode & 0o777 == 0o600


# trees


def of_mallorys(place: Path, people: World) -> None:
    os.chown(place, people.mallory.uid, people.mallory.gid)


def by_group(place: Path, people: World) -> None:
    os.chown(place, 0, people.project)
    place.chmod(0o775)


def by_all(place: Path, people: World) -> None:
    place.chmod(0o757)


def sticky(place: Path, people: World) -> None:
    place.chmod(0o1777)


def by_acl(place: Path, people: World) -> None:
    grant(place, people.mallory.uid, permissions=7)


def linked(place: Path, people: World) -> None:
    hers = people.mallory.home / "tree"
    shutil.copytree(place, hers)
    people.mallory.owns(hers)
    shutil.rmtree(place)
    place.symlink_to(hers)


def linked_through(place: Path, people: World) -> None:
    elsewhere = Path("/opt/elsewhere")
    shutil.move(place, elsewhere)
    (people.mallory.home / "step").symlink_to("/opt")
    people.mallory.owns(people.mallory.home / "step")
    place.symlink_to(people.mallory.home / "step/elsewhere")


WRONG = (of_mallorys, by_group, by_all, sticky, by_acl, linked, linked_through)


def right(tree: Path, people: World, library: Path) -> None:
    """Make a tree that counts, anew."""
    for path in (tree, tree / VERSION):
        if path.is_symlink():
            path.unlink()
    shutil.rmtree(tree, ignore_errors=True)
    put(entry(tree, library), pyc(library), owner=people.root)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: one.__name__)
@pytest.mark.parametrize("part", ["", VERSION])
@pytest.mark.parametrize("tree", [TREE, IMAGE], ids=str)
def test_a_tree_that_is_not_only_roots(
    people: World, library: Path, tree: Path, part: str, wrong: Callable[[Path, World], None]
) -> None:
    right(tree, people, library)
    wrong(tree / part, people)
    for victim in (people.ada, people.root):
        run = victim.imports(library)
        assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
    right(tree, people, library)
    for victim in (people.ada, people.root):
        run = victim.imports(library)
        assert (run.said, run.layer("module")) == ([EVIL], FROM_TREE)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: one.__name__)
@pytest.mark.parametrize("part", ["..", "", VERSION])
def test_a_tree_that_the_policy_names(
    people: World, library: Path, part: str, wrong: Callable[[Path, World], None]
) -> None:
    tree = Path("/opt/trees/python")
    put(Path("/etc/pycacheprefix.conf"), f"system-tree = {tree}\n".encode(), owner=people.root)
    right(tree, people, library)
    wrong(tree.parent if part == ".." else tree / part, people)
    for victim in (people.ada, people.root):
        run = victim.imports(library)
        assert (run.said, run.layer("module")) == ([GOOD], COMPILED)
    shutil.rmtree(tree.parent) if not tree.parent.is_symlink() else tree.parent.unlink()
    right(tree, people, library)
    assert people.ada.imports(library).said == [EVIL]


def test_only_root_writes_a_policy(people: World, library: Path) -> None:
    hers = people.mallory.home / "tree"
    people.mallory.write(entry(hers, library), pyc())
    people.ada.owns(hers)
    policy = put(
        Path("/etc/pycacheprefix.conf"), f"user-cache = {hers}\n".encode(), owner=people.mallory
    )
    assert people.ada.imports(library).said == [GOOD]
    assert entry(people.ada.own, library).exists()
    shutil.rmtree(people.ada.own)
    os.chown(policy, 0, 0)
    people.root.owns(people.mallory.home)
    people.ada.owns(hers)
    assert people.ada.imports(library).said == [EVIL]


# namespaces of users


INSIDE = ["unshare", "--user", "--map-root-user", "--mount"]


def test_root_of_a_namespace_of_ones_own_matters_to_nobody_else(
    people: World, library: Path
) -> None:
    """There Mallory is root, and her tree is at its place; outside there is none."""
    hers = people.mallory.home / "tree"
    people.mallory.write(entry(hers / "python", library), pyc(library))
    script = (
        f'mount --bind {hers} /var/cache && {PYTHON} -c \'__import__("sys").path.insert(0, '
        f'"{library.parent}"); import module\' && echo ready && read line'
    )
    with subprocess.Popen(
        [*INSIDE, "sh", "-c", script],
        env={"PATH": "/usr/bin:/bin", "HOME": str(people.mallory.home)},
        user=people.mallory.uid,
        group=people.mallory.gid,
        extra_groups=[],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "evil\n"  # it works, for herself
        assert process.stdout.readline() == "ready\n"
        for victim in (people.ada, people.root):
            assert victim.imports(library).said == [GOOD]
        process.communicate("end\n", timeout=20)


def test_what_belongs_to_the_overflow_uid_is_nobodys(people: World, library: Path) -> None:
    """``/usr`` is root's here: then 65534 is just another user."""
    nobody = Account("nobody", 65534, 65534, Path("/"))
    for top in (TREE, IMAGE):
        put(entry(top, library), pyc(library), owner=people.root)
        nobody.owns(top)
    top = people.ada.home / "cache"
    put(entry(top / "pycache-sys", library), pyc(), owner=people.ada)
    nobody.owns(top)
    people.ada.owns(top / "pycache-sys")
    environment = {"XDG_CACHE_HOME": top}
    fails_until(
        people.ada,
        library,
        lambda: people.root.owns(top, spare=top / "pycache-sys"),
        untouched=[TREE, IMAGE, top],
        environment=environment,
    )
    people.root.owns(IMAGE)
    assert people.root.imports(library).layer("module") == FROM_TREE


def in_namespace(victim: Account, *sources: Path) -> Run:
    """Import in a namespace that knows nobody but this user: all others are 65534."""
    run = victim.run(
        *("unshare", "--user", "--map-user", str(victim.uid), "--map-group", str(victim.gid)),
        *(PYTHON, "-c", IMPORT, *sources),
        environment={"PYCACHE_SYS": "trace"},
    )
    assert run.status == 0, run.stderr
    return run


def test_in_a_namespace_roots_trees_and_ones_own_cache_serve(people: World, library: Path) -> None:
    seen = people.ada.run(
        *("unshare", "--user", "--map-user", str(people.ada.uid), "stat", "-c", "%u", "/usr")
    )
    assert seen.said == ["65534"]
    for layer in (COMPILED, OWN):
        run = in_namespace(people.ada, library)
        assert (run.said, run.layer("module")) == ([GOOD], layer)
    for top in (TREE, IMAGE):
        put(entry(top, library), pyc(library), owner=people.root)
        run = in_namespace(people.ada, library)
        assert (run.said, run.layer("module")) == ([EVIL], FROM_TREE)
        shutil.rmtree(top)
    put(beside(library), pyc(library), owner=people.root)
    run = in_namespace(people.ada, library)
    assert (run.said, run.layer("module")) == ([EVIL], BESIDE)


def test_in_a_namespace_a_stranger_does_not_pass_for_root(people: World) -> None:
    """Root and Mallory have the same number there: so in a sticky folder neither counts."""
    source = put(SHARED / "module.py", SOURCE.encode(), owner=people.root)
    planted = people.mallory.write(beside(source), pyc(source))
    assert in_namespace(people.ada, source).said == [GOOD]
    assert people.ada.imports(source).said == [GOOD]
    people.ada.owns(planted.parent)
    assert in_namespace(people.ada, source).said == [EVIL]

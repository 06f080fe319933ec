"""A policy counts only if root alone can have written it, and bad input builds nothing."""

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distro.snapshots import differences, snapshot
from pycache_sys.core.model import Reason
from pycache_sys.system.trust import RootTrust
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime.trust import only_root_changes
from security.machine import (
    HOME,
    LIBRARY,
    MALLORY,
    TARGET,
    TREE,
    Machine,
    entry,
    give,
    make_directory,
    write,
)
from security.policies import (
    DROP_INS,
    EVE,
    POLICY,
    ROOTS,
    build,
    built,
    lay,
    oldest_and_newest,
    policy,
    start_up,
)
from security.posix_acl import grant

GOOD = "export-prefix = yes\n"
"""What start-up shows where it took a line of the file."""
OLD, NEW = LIBRARY / "old.py", LIBRARY / "new.py"
DROP_IN = DROP_INS / "50-more.conf"
NOBODY = 65534
"""As whom files show whose owner has no number in a user namespace."""
VENDOR = Path("/usr/lib/pycacheprefix.conf")


@pytest.fixture
def used(ruled: Machine) -> Machine:
    """Give a machine with something in its tree, which a rebuild would change."""
    for path in (OLD, NEW, entry(OLD), entry(LIBRARY / "gone.py")):
        write(path)
    return ruled


def nothing_is_built(box: Machine, *said: str) -> None:
    """See that the builder refuses, says where, and leaves the tree as it is."""
    before = snapshot(TREE)
    processes = box.start(python=None), box.start("--best-effort", LIBRARY, python=None)
    checked = policy(box, "check", seconds=10)
    run, lenient = (box.finish(process, seconds=10) for process in processes)
    assert (run.status, run.stdout) == (3, ""), run.stderr
    assert (lenient.status, lenient.stdout) == (0, "")
    for text in said:
        assert text in run.stderr
    assert differences(before, snapshot(TREE)) == set()
    assert checked.status == 3
    for text in said:
        assert text in checked.stderr


def at_start_up(box: Machine, path: Path, *, root: bool, user: bool) -> None:
    """See which lines count for root's interpreters, and for a user's."""
    for python in oldest_and_newest():
        seen = start_up(box, path, python=python)
        assert seen.values["export-prefix"] is root, python
        assert seen.judged == [only_root_changes(str(path))], python
    assert start_up(box, uid=MALLORY).values["export-prefix"] is user


def builders_word(path: Path) -> bool:
    """Tell whether the builder takes a path for one that only root changes."""
    refusal = RootTrust().link(str(path))
    return refusal is None or refusal.reason is Reason.NOT_READABLE_BY_ALL


# files that others could have written, and what is no file


def hard_link(path: Path) -> None:
    """Put a user's file there, which has its other name in a place of theirs."""
    theirs = lay(GOOD, Path("/etc/theirs"))
    give(theirs)
    path.unlink()
    os.link(theirs, path)


def relinked(path: Path, target: Path | str) -> Path:
    """Put a link in a file's place."""
    path.unlink()
    path.symlink_to(target)
    return path


def through_a_users_link(path: Path) -> None:
    shutil.move(path, "/opt/real.conf")
    (HOME / "step").symlink_to("/opt")
    path.symlink_to(HOME / "step" / "real.conf")


def as_device(path: Path, minor: int = 5) -> None:
    path.unlink()
    os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, minor))
    path.chmod(0o644)


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    path.chmod(0o644)


def as_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    path.chmod(0o644)


def link_to_a_fifo(path: Path) -> None:
    os.mkfifo("/opt/fifo", 0o644)
    relinked(path, "/opt/fifo")


FILES: dict[str, Callable[[Path], Any]] = {
    "of-a-user": give,
    "writable-by-group": lambda path: path.chmod(0o664),
    "writable-by-others": lambda path: path.chmod(0o646),
    "with-acl": lambda path: grant(path, MALLORY, permissions=6),
    "hard-link": hard_link,
    "link-to-a-users-file": lambda path: relinked(path, as_users(lay(GOOD, HOME / "x.conf"))),
    "link-into-a-users-directory": lambda path: relinked(path, lay(GOOD, HOME / "x.conf")),
    "link-through-a-users-link": through_a_users_link,
    "link-of-a-user": lambda path: give(relinked(path, lay(GOOD, Path("/opt/x")))),
    "dangling": lambda path: relinked(path, "/opt/nowhere.conf"),
    "loop": lambda path: relinked(path, path.name),
    "link-to-null-by-another-way": lambda path: relinked(path, "../dev/null"),
    "link-to-zero": lambda path: relinked(path, "/dev/zero"),
    "link-to-a-fifo": link_to_a_fifo,
    "link-to-a-directory": lambda path: relinked(path, "/opt"),
    "long": lambda path: path.write_text(GOOD + "# comment\n" * 1_000_000),
    "directory": lambda path: (path.unlink(), make_directory(path)),
    "fifo": as_fifo,
    "device": as_device,
    "socket": as_socket,
}


def as_users(path: Path) -> Path:
    """Give a file away, and name it."""
    give(path)
    return path


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_does_not_count(used: Machine, case: str) -> None:
    lay(GOOD)
    FILES[case](POLICY)
    nothing_is_built(used, f"{POLICY}: ")
    at_start_up(used, POLICY, root=False, user=False)
    assert only_root_changes(str(POLICY)) == builders_word(POLICY)


@pytest.mark.parametrize("case", ["of-a-user", "dangling", "fifo", "device", "directory", "long"])
def test_a_drop_in_that_does_not_count(used: Machine, case: str) -> None:
    lay("export-prefix = no\n")
    lay(GOOD, DROP_IN)
    FILES[case](DROP_IN)
    nothing_is_built(used, f"{DROP_IN}: ")
    at_start_up(used, DROP_IN, root=False, user=False)


@pytest.mark.parametrize("case", ["of-a-user", "fifo", "dangling"])
def test_what_does_not_count_does_not_hide_what_does(used: Machine, case: str) -> None:
    lay("enabled = no\n")
    lay(GOOD, VENDOR)
    FILES[case](POLICY)
    nothing_is_built(used, str(POLICY))
    at_start_up(used, POLICY, root=True, user=True)
    assert start_up(used).values["enabled"] is True


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604, 0o000])
def test_a_file_that_not_everybody_reads(used: Machine, mode: int) -> None:
    lay(GOOD, mode=mode)
    everybody = bool(mode & 0o004)
    if not everybody:
        nothing_is_built(used, f"{POLICY}: ", "chmod a+r")
    at_start_up(used, POLICY, root=True, user=everybody)


def test_a_link_that_is_roots_all_the_way(used: Machine) -> None:
    lay(GOOD + ROOTS, Path("/opt/policy/real.conf"))
    Path("/opt/way").symlink_to("policy")
    POLICY.symlink_to("../opt/way/../policy/real.conf")
    assert build(used).status == 0
    assert built() == {OLD, NEW}
    at_start_up(used, POLICY, root=True, user=True)


# directories


def directory_elsewhere(through: str) -> None:
    """Let the directory of drop-ins be a link that leads to one of root's."""
    real = make_directory(Path("/opt/real.d"))
    shutil.rmtree(DROP_INS)
    lay(GOOD, real / DROP_IN.name)
    match through:
        case "a-users-link":
            (HOME / "step").symlink_to(real)
            DROP_INS.symlink_to(HOME / "step")
        case "a-users-directory":
            lay(GOOD, HOME / "real.d" / DROP_IN.name)
            DROP_INS.symlink_to(HOME / "real.d")
        case _:
            DROP_INS.symlink_to(real)
            give(DROP_INS)


DIRECTORIES: dict[str, Callable[[], Any]] = {
    "of-a-user": lambda: give(DROP_INS),
    "writable-by-group": lambda: DROP_INS.chmod(0o775),
    "sticky": lambda: DROP_INS.chmod(0o1777),
    "with-acl": lambda: grant(DROP_INS, MALLORY, permissions=7),
    "through-a-users-link": lambda: directory_elsewhere("a-users-link"),
    "through-a-users-directory": lambda: directory_elsewhere("a-users-directory"),
    "by-a-users-link": lambda: directory_elsewhere("own"),
}


@pytest.mark.parametrize("case", DIRECTORIES)
def test_a_directory_that_others_could_fill(used: Machine, case: str) -> None:
    lay(GOOD, DROP_IN)
    DIRECTORIES[case]()
    nothing_is_built(used, str(DROP_INS))
    at_start_up(used, DROP_INS, root=False, user=False)
    assert only_root_changes(str(DROP_INS)) == builders_word(DROP_INS)


def test_a_directory_that_not_everybody_reads(used: Machine) -> None:
    lay(GOOD, DROP_IN)
    DROP_INS.chmod(0o700)
    nothing_is_built(used, str(DROP_INS))
    at_start_up(used, DROP_INS, root=True, user=False)


@pytest.mark.parametrize("directory", ["/run", "/usr/lib"])
def test_the_lower_layers_have_the_same_rules(used: Machine, directory: str) -> None:
    main = lay(GOOD, Path(directory, POLICY.name))
    give(main)
    nothing_is_built(used, f"{main}: ")
    at_start_up(used, main, root=False, user=False)
    main.unlink()
    drop_in = lay(GOOD, Path(directory, DROP_INS.name, "10-x.conf"))
    drop_in.parent.chmod(0o777)
    nothing_is_built(used, str(drop_in.parent))
    at_start_up(used, drop_in, root=False, user=False)


# what is masked


@pytest.mark.parametrize("path", [POLICY, DROP_IN])
def test_a_link_to_null_masks(used: Machine, path: Path) -> None:
    make_directory(path.parent)
    path.symlink_to("/dev/null")
    lay("enabled = maybe\n", Path("/usr/lib", path.relative_to("/etc")))
    lay(ROOTS, DROP_INS / "90-roots.conf")
    assert build(used).status == 0
    assert built() == {OLD, NEW}
    assert policy(used, "check").status == 0
    at_start_up(used, path, root=False, user=False)


# what is in it

TEXTS: dict[str, tuple[bytes, str, bool]] = {
    # what stands there, where it is wrong, whether start-up takes the good line
    "bad-utf-8": (GOOD.encode() + b"user-cache = /x/\xff/{uid}\n", "2:17", True),
    "latin-1-comment": (b"# \xe9t\xe9\n" + GOOD.encode(), "1:3", True),
    "cr-lf": (b"export-prefix = yes\r\nread-beside-source = no\r\n", "1:20", True),
    "nul": (GOOD.encode() + b"user-cache = /x\0/{uid}\n", "2:16", True),
    "nul-alone": (GOOD.encode() + b"\0\0\0\n", "2:1", True),
    "escape": (GOOD.encode() + b"# \x1b[2J\n", "2:3", True),
    "bell": (b"system-tree = /opt/\a\n" + GOOD.encode(), "1:20", True),
    "delete": (b"system-tree = /opt/\x7f\n" + GOOD.encode(), "1:20", True),
    "mark": (b"\xef\xbb\xbfenabled = no\n" + GOOD.encode(), "1:1", True),
    "mark-before-a-section": (b"\xef\xbb\xbf[user 7]\n" + GOOD.encode(), "1:1", False),
    "nul-before-a-section": (b"\0[user 7]\n" + GOOD.encode(), "1:1", False),
    "nul-in-a-section": (b"[user\0 7]\n" + GOOD.encode(), "1:6", False),
    "unclosed-section": (b"[user 7\n" + GOOD.encode(), "1:1", False),
    "no-value": (b"enabled\n" + GOOD.encode(), "1:1", True),
    "empty-value": (b"enabled =\n" + GOOD.encode(), "1:", True),
    "bad-value": (b"enabled = maybe\n" + GOOD.encode(), "1:11", True),
    "wrong-type": (b"jobs = many\n" + GOOD.encode(), "1:8", True),
    "relative-tree": (b"system-tree = var/tree\n" + GOOD.encode(), "1:15", True),
    "relative-image": (b"image-tree = var/tree\n" + GOOD.encode(), "1:14", True),
    "relative-root": (b"roots = auto lib\n" + GOOD.encode(), "1:14", True),
    "relative-exclude": (b"exclude = */tests\n" + GOOD.encode(), "1:11", True),
    "relative-cache": (b"root-cache = cache/{uid}\n" + GOOD.encode(), "1:14", True),
    "relative-section": (b"[root opt]\n[user 0-]\n[user 7]\n", "1:7", False),
    "detour": (b"system-tree = /var/../tree\n" + GOOD.encode(), "1:15", True),
    "twice": (GOOD.encode() + b"export-prefix = yes\n", "2:1", True),
    "contradiction": (b"system-tree = /usr/lib/pycache/x\n" + GOOD.encode(), "1:", True),
    "nobody-there": (b"[root /opt/x]\nowner = who\n", "2:9", False),
    "owner-of-all": (b"[root /usr]\nowner = 7\n", "2:9", False),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_line_that_is_not_understood(used: Machine, case: str) -> None:
    content, place, taken = TEXTS[case]
    lay(content)
    nothing_is_built(used, f"{POLICY}:{place}")
    at_start_up(used, POLICY, root=taken, user=taken)


def test_bytes_of_another_encoding(used: Machine) -> None:
    lay(GOOD.encode("utf-16"))
    nothing_is_built(used, f"{POLICY}:1:1")
    at_start_up(used, POLICY, root=False, user=False)


def test_a_bad_line_anywhere_stops_the_builder(used: Machine) -> None:
    lay(ROOTS)
    lay("optimize = 3\n", Path("/usr/lib/pycacheprefix.conf.d/10-x.conf"))
    lay("jobs = 0\n", Path("/run/pycacheprefix.conf.d/20-x.conf"))
    nothing_is_built(
        used,
        "/usr/lib/pycacheprefix.conf.d/10-x.conf:1:12: ",
        "/run/pycacheprefix.conf.d/20-x.conf:1:8: ",
    )


# paths in it


def users_link() -> Path:
    """Return a way through a user's link."""
    make_directory(Path("/opt/real"))
    (HOME / "way").symlink_to("/opt/real")
    return HOME / "way"


def link_of_a_user() -> Path:
    way = Path("/opt/way")
    way.symlink_to(make_directory(Path("/opt/real")))
    give(way)
    return way


def into_a_users_directory() -> Path:
    way = Path("/opt/way")
    way.symlink_to(make_directory(HOME / "real"))
    return way


def second_link() -> Path:
    """Return a way through a link of root's, behind which there is one to a user."""
    first = Path("/opt/first")
    first.symlink_to(make_directory(Path("/opt/real")))
    (first / "second").symlink_to(make_directory(HOME / "theirs"))
    return first / "second"


WAYS = {
    "users-link": users_link,
    "link-of-a-user": link_of_a_user,
    "into-a-users-directory": into_a_users_directory,
    "second-link": second_link,
}
NAMED = {
    "system-tree": "system-tree = {}/tree\nroots =\n",
    "image-tree": "image-tree = {}/tree\nroots =\n",
    "root-cache": "root-cache = {}/cache\nroots =\n",
    "roots": "roots = {}\n",
    "roots-of-several": "roots = {}/sources\nroots += /opt/library\n",
    "section": "roots =\n[root {}/sources]\n",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("named", NAMED)
def test_a_path_through_links_that_others_control(used: Machine, named: str, way: str) -> None:
    path = WAYS[way]()
    write(path / "sources" / "module.py")
    text = NAMED[named].format(path)
    lay(text)
    lines = text.partition(str(path))[0].split("\n")
    before = snapshot(TREE)
    run = build(used)
    assert run.status == 3, run.stdout
    assert f"{POLICY}:{len(lines)}:{len(lines[-1]) + 1}: " in run.stderr
    assert differences(before, snapshot(TREE)) == set()
    assert not only_root_changes(str(path))
    assert not builders_word(path)


def test_a_warning_does_not_keep_the_ways_from_being_looked_at(used: Machine) -> None:
    lay(f"colour = red\nroot-cache = {users_link()}/cache\n{ROOTS}")
    nothing_is_built(used, f"{POLICY}:2:14: ")


def test_a_path_through_roots_own_links_will_do(used: Machine) -> None:
    way = Path("/opt/way")
    way.symlink_to(make_directory(Path("/opt/real")))
    lay(f"{ROOTS}system-tree = {way}/tree\nroot-cache = {way}/cache\n")
    assert build(used).status == 0
    assert built(way / "tree") == {OLD, NEW}


@pytest.mark.parametrize("key", ["system-tree", "image-tree", "root-cache"])
def test_a_path_in_a_users_directory(used: Machine, key: str) -> None:
    """No link, and all the same a user could put another directory there."""
    lay(f"{ROOTS}{key} = {HOME}/bytecode\n")
    run = build(used)
    assert run.status in ((3, 5) if key == "system-tree" else (3,)), run.stdout
    assert str(HOME) in run.stderr
    assert not entry(NEW).exists()
    assert not (HOME / "bytecode").exists()


def test_roots_of_a_user_feed_nothing(used: Machine) -> None:
    write(HOME / "module.py")
    lay(f"roots = {LIBRARY} {HOME}\n")
    run = build(used)
    assert run.reason(HOME) == "wrong-owner"
    assert built() == {OLD, NEW}


# a file that a command is given


def test_a_callers_own_file_will_do_for_a_tree_of_his_own(used: Machine) -> None:
    mine = lay("optimize = 0 1\n", HOME / "mine.conf", mode=0o600)
    give(mine)
    source = write(HOME / "project" / "module.py")
    arguments = ("--config", mine, "--tree", HOME / "tree", source)
    assert used.rebuild_as(MALLORY, *arguments).status == 0
    assert len(list((HOME / "tree").rglob("*.pyc"))) == 2


@pytest.mark.parametrize("case", ["another-users", "writable", "fifo", "directory", "link"])
def test_a_given_file_that_others_could_have_written(used: Machine, case: str) -> None:
    given = lay(ROOTS, Path("/opt/given.conf"))
    match case:
        case "another-users":
            give(given, EVE)
        case "writable":
            given.chmod(0o666)
        case "link":
            relinked(given, as_users(lay(ROOTS, HOME / "x.conf")))
        case _:
            FILES[case](given)
    run = build(used, "--config", given, seconds=10)
    assert run.status == 3
    assert str(given) in run.stderr
    assert policy(used, "check", given).status == 3
    assert not entry(NEW).exists()


def test_a_given_file_that_is_not_there(used: Machine) -> None:
    run = build(used, "--config", "/opt/nowhere.conf")
    assert run.status == 2
    assert "/opt/nowhere.conf" in run.stderr
    assert not entry(NEW).exists()


def test_users_are_told_as_well(used: Machine) -> None:
    lay("nonsense\n")
    run = used.rebuild_as(MALLORY, "--tree", HOME / "tree", LIBRARY)
    assert run.status == 3
    assert f"{POLICY}:1:1" in run.stderr
    assert not (HOME / "tree").exists()


# the two who judge agree


def agreeing_places() -> list[Path]:
    """Make a place of every kind: some that only root changes, others not."""
    top = make_directory(Path("/opt/places"))
    for name in ("plain", "users", "nobodys", "group", "acl", "private"):
        write(top / name)
    for name in ("d-plain", "d-users", "d-group", "d-sticky", "d-private"):
        write(top / name / "file")
    give(top / "users")
    give(top / "nobodys", NOBODY)
    (top / "group").chmod(0o664)
    grant(top / "acl", MALLORY, permissions=6)
    (top / "private").chmod(0o600)
    give(top / "d-users")
    (top / "d-group").chmod(0o775)
    (top / "d-sticky").chmod(0o1777)
    (top / "d-private").chmod(0o700)
    for name, target in {
        "l-plain": "plain",
        "l-absolute": f"{top}/plain",
        "l-up": "d-plain/../plain",
        "l-users": "users",
        "l-through": "d-users/file",
        "l-chain": "l-through",
        "l-loop": "l-loop",
        "l-dangling": "nowhere",
        "l-home": str(HOME),
        "l-null": "/dev/null",
        "l-of-a-user": "plain",
        "l-of-nobody": "plain",
        "l-directory": "d-plain",
    }.items():
        (top / name).symlink_to(target)
    give(top / "l-of-a-user")
    give(top / "l-of-nobody", NOBODY)
    os.mkfifo(top / "fifo", 0o644)
    found = [*top.iterdir(), *(path / "file" for path in top.glob("d-*"))]
    return [*found, top / "l-directory" / "file", top / "l-directory" / ".." / "plain", TARGET]


def test_start_up_and_builder_agree(ruled: Machine) -> None:
    places = sorted(agreeing_places())
    expected = {str(path): builders_word(path) for path in places}
    assert sum(expected.values()) > 10
    for python in oldest_and_newest():
        judged = start_up(ruled, *places, python=python).judged
        assert dict(zip(map(str, places), judged, strict=True)) == expected


# which file counts


def shown(box: Machine, key: str, *arguments: str) -> tuple[str, list[tuple[str, int]]]:
    """Return a key's value, and where it comes from."""
    found = policy(box, "show", "--json", *arguments).report["settings"][key]
    return found["value"], [(origin["file"], origin["line"]) for origin in found["from"]]


def layers(name: str = "") -> list[Path]:
    """Name a file's three places, the one that counts first."""
    return [
        Path(directory, "pycacheprefix.conf.d" if name else "pycacheprefix.conf", name)
        for directory in runtime.DIRECTORIES
    ]


def test_the_highest_main_file_is_the_only_one(ruled: Machine) -> None:
    for number, path in enumerate(layers()):
        lay(f"# number {number}\njobs = {number + 1}\nuser-cache = /x{number}/{{uid}}\n", path)
    for number, path in enumerate(layers()):
        assert shown(ruled, "jobs") == (str(number + 1), [(str(path), 2)])
        assert start_up(ruled).values["user-cache"] == f"/x{number}/{{uid}}"
        path.unlink()
    assert shown(ruled, "jobs") == ("auto", [])


def test_drop_ins_are_sorted_by_name_across_all_places(ruled: Machine) -> None:
    etc, run, usr = (path.parent for path in layers("x"))
    lay("jobs = 1\n")
    lay("jobs = 2\nuser-cache = /two/{uid}\n", etc / "10-a.conf")
    lay("\njobs = 3\nuser-cache = /three/{uid}\n", usr / "30-c.conf")
    lay("jobs = 4\n", run / "20-b.conf")
    lay("jobs = 5\n", run / "40-d.txt")
    assert shown(ruled, "jobs") == ("3", [(str(usr / "30-c.conf"), 2)])
    assert start_up(ruled).values["user-cache"] == "/three/{uid}"
    lay("optimize = 1\n", etc / "30-c.conf")
    assert shown(ruled, "jobs") == ("4", [(str(run / "20-b.conf"), 1)])
    assert start_up(ruled).values["user-cache"] == "/two/{uid}"
    (run / "20-b.conf").unlink()
    (run / "20-b.conf").symlink_to("/dev/null")
    assert shown(ruled, "jobs") == ("2", [(str(etc / "10-a.conf"), 1)])
    files = policy(ruled, "show", "--json").report["files"]
    assert files == [str(path) for path in (POLICY, etc / "10-a.conf", run / "20-b.conf")] + [
        str(etc / "30-c.conf")
    ]


def test_a_masked_main_file_leaves_the_drop_ins(ruled: Machine) -> None:
    lay("jobs = 7\noptimize = 1\n", VENDOR)
    lay("optimize += 2\n", layers("10-x.conf")[2])
    POLICY.symlink_to("/dev/null")
    assert shown(ruled, "jobs") == ("auto", [])
    assert shown(ruled, "optimize") == ("0 2", [(str(layers("10-x.conf")[2]), 1)])


def test_lists_grow_over_layers(ruled: Machine) -> None:
    sources = [write(Path(f"/opt/{name}/{name}.py")) for name in ("one", "two", "three", "four")]
    one, two, three, four = (source.parent for source in sources)
    lay(f"roots = {one}\nexclude = {one}/none\n")
    first = lay(f"roots += {two}\n", layers("10-a.conf")[2])
    second = lay(f"\nroots += {three}\n", layers("20-b.conf")[1])
    assert shown(ruled, "roots") == (
        f"{one} {two} {three}",
        [(str(POLICY), 1), (str(first), 1), (str(second), 2)],
    )
    assert build(ruled).status == 0
    assert built() == {*sources[:3]}
    third = lay(f"roots = {four}\n", layers("15-between.conf")[0])
    assert shown(ruled, "roots") == (f"{four} {three}", [(str(third), 1), (str(second), 2)])
    assert build(ruled).status == 0
    assert entry(sources[3]).exists()


def test_sections_come_from_where_they_stand(ruled: Machine) -> None:
    lay("read-beside-source = no\n[user mallory]\nuser-cache = off\n")
    drop_in = lay("[group staffers]\nuser-cache = /g/{uid}\n[python 3.9]\nenabled = no\n", DROP_IN)
    assert shown(ruled, "user-cache", "--user", "mallory") == ("off", [(str(POLICY), 3)])
    assert shown(ruled, "user-cache", "--user", "eve") == ("auto", [])
    assert shown(ruled, "enabled", "--python", "3.9") == ("no", [(str(drop_in), 4)])
    assert shown(ruled, "enabled", "--python", "3.10") == ("yes", [])

"""``doctor`` among users: what they plant holds nothing up, and leads root nowhere."""

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pycache_sys.doctor.owners import chown
from pycache_sys.system.machine.variables import LONGEST_FILE
from pycache_sys.system.users.as_user import Login
from pycache_sys.system.users.search import DEEPEST
from security.accounts import MODULES, SHARED, TREE, Account, Run, World, look, put, world
from security.dead_mount import dead
from security.machine import ENVIRONMENT, TAG, TARGET
from security.namespace import mounted

COMMAND = (
    "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
    "from pycache_sys.cli import main; sys.exit(main())"
)
LINE = "export PYTHONPYCACHEPREFIX=/x\n"
STRANGE = "a\nb \x1b[31mc'$(touch x)\udcff"
EXCHANGES = 2000


@pytest.fixture
def people(command: Path, own_mounts: None, scratch: Path) -> Iterator[World]:
    """Give a machine with two accounts and root."""
    with world(command, scratch) as place:
        yield place


def doctor(who: Account, *arguments: str) -> Run:
    """Run the verb as somebody."""
    words = ("doctor", "--python", str(TARGET), *arguments)
    run = who.run(TARGET, "-IS", "-c", COMMAND, MODULES, *words)
    assert "Traceback" not in run.stderr, run.stderr
    return run


def report(who: Account, *arguments: str) -> Mapping[str, Any]:
    """Read what it says."""
    answer: Mapping[str, Any] = json.loads(doctor(who, "--json", *arguments).stdout)
    return answer


def places(answer: Mapping[str, Any], check: str) -> list[str]:
    """Name all places that one check has found."""
    return [place for one in answer["findings"] if one["check"] == check for place in one["places"]]


def unchecked(answer: Mapping[str, Any]) -> str:
    """Put together what could not be looked at."""
    return "\n".join(f"{one['check']}: {one['detail']}" for one in answer["unchecked"])


def roots_bytecode(people: World, directory: Path, owner: Account) -> Path:
    """Leave a ``__pycache__`` of root's in somebody's directory."""
    put(directory / "a.py", b"", owner=owner)
    return put(directory / "__pycache__" / f"a.{TAG}.pyc", b"", owner=people.root).parent


def owner_of(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


def test_each_home_is_looked_into_and_no_link_is_followed(people: World) -> None:
    """Mallory's home leads to Ada's, to root's, and to a directory of everybody's."""
    ada, mallory = people.ada, people.mallory
    hers = roots_bytecode(people, ada.home / "work", ada)
    shared = roots_bytecode(people, SHARED / "there", ada)
    for number, target in enumerate((ada.home, ada.home / "work", shared.parent, "/root", "/")):
        link = mallory.home / f"link{number}"
        link.symlink_to(target)
        mallory.owns(link)
    bait = mallory.home / "work"
    put(bait / "a.py", b"", owner=mallory)
    (bait / "__pycache__").symlink_to(hers)
    answer = report(people.root)
    assert places(answer, "root-owned") == [str(hers)]
    assert unchecked(answer) == ""


def test_what_root_itself_keeps_in_a_home_is_left_alone(people: World) -> None:
    ada = people.ada
    hers = roots_bytecode(people, ada.home / "work", ada)
    roots = roots_bytecode(people, ada.home / "roots", people.root)
    below = roots_bytecode(people, ada.home / "roots" / "inner", ada)
    linked = put(ada.home / "own" / "__pycache__" / f"b.{TAG}.pyc", b"", owner=ada)
    linked.unlink()
    os.link(put(ada.home / "roots" / "secret", b"", owner=people.root), linked)
    before = look(roots.parent)
    (finding,) = [one for one in report(people.root)["findings"] if one["check"] == "root-owned"]
    assert finding["places"] == [str(hers)]
    run(finding["commands"][0])
    assert owner_of(hers) == owner_of(next(hers.iterdir())) == (ada.uid, ada.gid)
    assert look(roots.parent) == before
    assert owner_of(linked) == (0, 0)
    assert str(below).startswith(str(roots.parent))
    assert places(report(people.root), "root-owned") == []


def run(line: str) -> None:
    done = subprocess.run(
        ["sh", "-c", line], env=ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (line, done.stderr)


def test_strange_names_are_shown_safely_and_mended(people: World) -> None:
    ada = people.ada
    found = roots_bytecode(people, ada.home / STRANGE, ada)
    answer = report(people.root)
    assert places(answer, "root-owned") == [str(found)]
    shown = doctor(people.root)
    assert "\x1b" not in shown.stdout
    assert "a\\nb \\x1b[31mc'$(touch x)" in shown.stdout
    (line,) = [
        line.removeprefix("  mend: ") for line in shown.stdout.splitlines() if "find " in line
    ]
    run(line)
    assert owner_of(found) == (ada.uid, ada.gid)
    top = found.parent
    named = report(people.root, str(top))
    assert places(named, "root-owned") == []


def test_a_directory_with_a_strange_name_is_mended(people: World) -> None:
    """It is named on the command line, so it is in the command."""
    ada = people.ada
    top = SHARED / STRANGE
    found = roots_bytecode(people, top, ada)
    ada.owns(top, spare=found)
    (finding,) = [
        one for one in report(people.root, str(top))["findings"] if one["check"] == "root-owned"
    ]
    assert finding["commands"][0].isprintable()
    assert finding["commands"][0].isascii()
    run(finding["commands"][0])
    assert owner_of(found) == (ada.uid, ada.gid)
    assert not Path("/x").exists()


def test_files_that_are_no_files_and_endless_ones_hold_nothing_up(people: World) -> None:
    """FIFOs, devices, a line of ten million characters, a file that grows in the middle."""
    mallory, ada = people.mallory, people.ada
    ada.write(ada.home / ".profile", LINE)
    for name in (".profile", ".zshrc", "env/pyvenv.cfg", "p/__pycache__/x.pyc"):
        path = mallory.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    (mallory.home / ".zshenv").symlink_to("/dev/zero")
    (mallory.home / ".pam_environment").symlink_to("/etc/shadow")
    (mallory.home / ".bashrc").write_bytes(b"x" * 10_000_000 + b"\n" + LINE.encode())
    (mallory.home / ".bash_profile").write_bytes(b"\n" * (LONGEST_FILE - 1) + LINE.encode() * 9)
    (mallory.home / ".config").mkdir()
    (mallory.home / ".config" / "environment.d").symlink_to(ada.home)
    mallory.owns(mallory.home)
    answer = report(people.root)
    assert places(answer, "prefix-set") == [f"{ada.home}/.profile:1"]
    assert unchecked(answer) == ""


def test_only_what_a_user_can_read_is_said(people: World) -> None:
    """A link in Mallory's home to Ada's private file tells nothing of what is in it."""
    private = put(people.ada.home / "private", LINE.encode(), owner=people.ada, mode=0o600)
    link = people.mallory.home / ".profile"
    link.symlink_to(private)
    people.mallory.owns(link)
    assert places(report(people.root), "prefix-set") == []


def test_very_deep_directories_are_said_not_to_be_seen(people: World) -> None:
    mallory = people.mallory
    deep = mallory.home
    for _ in range(DEEPEST + 4):
        deep /= "d"
    roots_bytecode(people, deep, mallory)
    mallory.owns(mallory.home, spare=deep / "__pycache__")
    hers = roots_bytecode(people, people.ada.home / "work", people.ada)
    answer = report(people.root)
    assert places(answer, "root-owned") == [str(hers)]
    assert f"root-owned: not all of {mallory.home} was looked at" in unchecked(answer)
    status = doctor(people.root)
    assert f"could not be checked: not all of {mallory.home}" in status.stderr


def test_a_home_that_does_not_answer_stops_nobody(people: World) -> None:
    hers = roots_bytecode(people, people.ada.home / "work", people.ada)
    with dead(people.mallory.home, people.mallory.uid, people.mallory.gid):
        answer = report(people.root)
    assert places(answer, "root-owned") == [str(hers)]
    assert f"{people.mallory.home}: its file system does not answer" in unchecked(answer)


def test_a_tree_that_does_not_answer_stops_no_other_check(people: World) -> None:
    hers = roots_bytecode(people, people.ada.home / "work", people.ada)
    TREE.mkdir(exist_ok=True)
    with dead(TREE):
        answer = report(people.root)
    assert places(answer, "root-owned") == [str(hers)]
    assert places(answer, "tree") == []
    assert f"tree: {TREE}: its file system does not answer" in unchecked(answer)


def test_what_is_mounted_in_a_home_is_not_looked_into(people: World) -> None:
    """Neither what does not answer, nor what does."""
    ada = people.ada
    hers = roots_bytecode(people, ada.home / "work", ada)
    for name in ("dead", "disk"):
        (ada.home / name).mkdir()
        ada.owns(ada.home / name)
    with (
        dead(ada.home / "dead", ada.uid, ada.gid),
        mounted("tmpfs", str(ada.home / "disk"), "tmpfs", options=f"uid={ada.uid},mode=755"),
    ):
        roots_bytecode(people, ada.home / "disk" / "work", ada)
        answer = report(people.root)
        own = report(ada)
    assert places(answer, "root-owned") == [str(hers)]
    assert places(own, "root-owned") == [str(hers)]
    assert unchecked(answer) == unchecked(own) == ""


def test_a_directory_that_becomes_a_link_while_it_is_mended(people: World) -> None:
    """Whoever is to get root's bytecode gets nothing else, however fast names change."""
    mallory = people.mallory
    login = Login(mallory.name, mallory.uid, mallory.gid, mallory.groups)
    work = mallory.home / "work"
    roots_bytecode(people, work, mallory)
    victim = roots_bytecode(people, SHARED / "victim", people.root)
    link = mallory.home / "link"
    link.symlink_to(victim.parent)
    mallory.owns(link)
    before = look(victim.parent)
    line = chown(str(mallory.home), login)
    with subprocess.Popen(
        ["sh", "-c", f"for i in $(seq 40); do {line}; done"],
        env=ENVIRONMENT, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as mending:  # fmt: skip
        exchanged = 0
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        while mending.poll() is None or exchanged < EXCHANGES:
            assert rename(-100, os.fsencode(work), -100, os.fsencode(link), 2) == 0
            exchanged += 1
    assert look(victim.parent) == before
    real = link if work.is_symlink() else work
    run(line)
    assert owner_of(real / "__pycache__") == (mallory.uid, mallory.gid)


def test_what_a_user_forges_decides_nothing(people: World) -> None:
    """An environment that says it is of another Python, or has a hundred lines of lies."""
    mallory = people.mallory
    lies = f"home = {TARGET.parent}\nversion = 9.9.9\n", "home = /\n", "version = 3\n", "\0" * 50
    for number, text in enumerate(lies):
        mallory.write(mallory.home / f"env{number}" / "pyvenv.cfg", text)
    answer = report(people.root)
    assert places(answer, "hook-venvs") == []
    assert unchecked(answer) == ""

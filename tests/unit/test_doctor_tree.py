"""The checks of ``doctor`` on the tree, its disk, sources and homes."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from doctor_scenes import ADA, OLD, PYTHON, check, one, plan, policy_of, scene
from pycache_sys.core.findings import Level
from pycache_sys.core.in_place import Cleared
from pycache_sys.core.last_run import LastRun
from pycache_sys.core.model import Job, Outcome, Reason, Refusal
from pycache_sys.doctor import owners, sources, storage, trees
from pycache_sys.doctor.scene import Scene
from pycache_sys.system import at_work
from pycache_sys.system.machine import labels
from pycache_sys.system.machine.volume import Volume, volume_of
from pycache_sys.system.users.homes import Look, Place

MEBIBYTE = 1 << 20
HOLDER = at_work.holder


@pytest.fixture(autouse=True)
def _nobody_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at no lock of the machine that the tests run on."""
    monkeypatch.setattr(at_work, "holder", lambda: None)


# the tree


def test_an_account_that_systemd_makes_or_useradd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trees, "worker_account", lambda: None)
    monkeypatch.setattr(trees, "_SYSUSERS", (str(tmp_path),))
    monkeypatch.setattr(trees.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert one(trees.account, scene()).commands[0].startswith("useradd --system ")
    (tmp_path / trees.SYSUSERS_NAME).touch()
    assert one(trees.account, scene()).commands == ("systemd-sysusers pycache-sys.conf",)
    monkeypatch.setattr(trees, "worker_account", lambda: (1, 1))
    assert check(trees.account, scene()) == []


def test_a_tree_that_is_not_up_to_date() -> None:
    place = scene()
    job = Job("/srv/a.py", 10, b"\0", 0)
    place.survey.found = [
        plan(jobs=[job], removals=["3.13/b", "3.13/a"]),
        plan("3.9", removals=["x"]),
    ]
    found = one(trees.tree, place)
    assert found.text == (
        "the tree /var/cache/python is not up to date: 1 source has no bytecode there that is up "
        "to date; 2 files of it have no source any more, or one that is not compiled"
    )
    assert found.places == ("/srv/a.py", "/var/cache/python/3.13/a", "/var/cache/python/3.13/b")


def test_sources_that_never_compile_are_nothing_to_mend() -> None:
    place = scene()
    place.survey.found = [plan(jobs=[Job("/srv/a.py", 10, b"\0", 0)])]
    place.survey.hopeless = 1
    assert check(trees.tree, place) == []


@pytest.mark.parametrize(
    ("make", "words", "commands"),
    [
        (lambda _: None, "there is no tree", 1),
        (lambda path: path.touch(), "is no directory", 0),
        (lambda path: path.symlink_to("/"), "is a symbolic link", 0),
        (lambda path: path.mkdir(0o700), "with mode 0700", 3),
    ],
)
def test_a_tree_that_does_not_count(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    words: str,
    commands: int,
) -> None:
    path = tmp_path / "tree"
    make(path)
    trust = SimpleNamespace(directory=lambda _: None)
    monkeypatch.setattr(trees, "RootTrust", lambda: trust)
    place = scene(f"system-tree = {path}\n")
    del vars(place)["top_is_usable"]
    found = one(trees.tree, place)
    assert words in found.text
    assert (len(found.commands), bool(found.hint)) == (commands, not commands)


def test_a_tree_in_no_safe_place(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Refusal(Reason.WRONG_OWNER, "/var belongs to uid 4")
    trust = SimpleNamespace(directory=lambda _: refusal)
    monkeypatch.setattr(trees, "RootTrust", lambda: trust)
    found = one(trees.tree, scene(top_is_usable=False))
    assert found.text.endswith("so nothing in it is read: /var belongs to uid 4")


def last_run(**more: Any) -> LastRun:
    counts = dict.fromkeys(("compiled", "fresh", "removed", "failed", "skipped"), 0)
    usual: dict[str, Any] = {"when": 1.0, "seconds": 1.0, "counts": counts | more.pop("counts", {})}
    return LastRun(**(usual | more))


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (None, ""),
        (last_run(), ""),
        (last_run(counts={"failed": 3, "fresh": 1}), ""),
        (last_run(counts={"failed": 3}), "failed for every source"),
        (last_run(stopped="No space"), "was stopped: No space"),
    ],
)
def test_how_the_last_run_ended(
    monkeypatch: pytest.MonkeyPatch, run: LastRun | None, words: str
) -> None:
    monkeypatch.setattr(trees.last, "read", lambda: run)
    found = check(trees.last_run, scene())
    assert bool(found) is bool(words)
    assert all(finding.text.endswith(words) for finding in found)


def test_folders_of_interpreters_that_are_gone() -> None:
    place = scene()
    left = Outcome("/var/cache/python/3.8", Reason.NO_INTERPRETER, "kept")
    place.survey.found = [
        plan("3.9", removals=["3.9/a.pyc"]),
        plan("3.8", left=[left]),
        plan("3.7"),
    ]
    removed, useless = check(trees.orphaned, place)
    assert removed.text == "the tree has 1 file for Python 3.9, which is not installed"
    assert removed.commands == ("pycache-sys prune",)
    assert (useless.level, useless.commands) == (Level.ADVICE, ("rm -r /var/cache/python/3.8",))
    assert check(trees.orphaned, scene(top_is_usable=False)) == []


# storage


def volume(**more: Any) -> Volume:
    usual: dict[str, Any] = {
        "point": "/var", "device": -1, "free": 1 << 40, "inodes": 1 << 20, "is_read_only": False,
    }  # fmt: skip
    return Volume(**(usual | more))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (volume(), ""),
        (volume(free=64 * MEBIBYTE), ""),
        (volume(free=64 * MEBIBYTE - 1), "63 MiB free, 64 MiB wanted"),
        (volume(inodes=999), "999 inodes free, 1000 wanted"),
        (volume(inodes=None), ""),
        (volume(is_read_only=True, free=0), ""),
    ],
)
def test_how_much_is_left(monkeypatch: pytest.MonkeyPatch, found: Volume, words: str) -> None:
    monkeypatch.setattr(storage, "volume_of", lambda _: found)
    findings = check(storage.disk, scene())
    assert bool(findings) is bool(words)
    assert all(words in one.text and one.hint.startswith("free some space") for one in findings)


def test_what_is_missing_needs_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "volume_of", lambda _: volume(free=100 * MEBIBYTE))
    place = scene()
    place.survey.found = [plan(jobs=[Job("/srv/a.py", 100 * MEBIBYTE, b"\0", 0)])]
    assert "100 MiB free, 120 MiB wanted" in one(storage.disk, place).text


def test_a_read_only_place_matters_where_something_is_to_be_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "volume_of", lambda _: volume(is_read_only=True))
    place = scene()
    place.survey.found = [plan(removals=["x"])]
    assert one(storage.disk, place).commands == ("mount -o remount,rw /var",)
    assert len(check(storage.disk, scene(top_is_usable=False))) == 1


def test_users_caches_on_the_same_disk_can_be_tidied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = volume(free=0, device=tmp_path.stat().st_dev)
    monkeypatch.setattr(storage, "volume_of", lambda _: full)
    place = scene("root-cache = /there/is/none\n", looks=[Look(Place(str(tmp_path), ADA))])
    found = one(storage.disk, place)
    assert found.commands == ("pycache-sys gc --all-users",)
    assert found.hint == "if this is not enough, free some space on /var"


def test_the_volume_of_what_is_not_there_yet(tmp_path: Path) -> None:
    found = volume_of(str(tmp_path / "not" / "there"))
    assert found.device == tmp_path.stat().st_dev
    assert os.path.ismount(found.point)
    assert found.free > 0


def test_labels_are_looked_at_where_selinux_is_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    types = {str(tmp_path): "lib_t", str(tmp_path / "03"): "var_t"}
    monkeypatch.setattr(labels, "ENFORCE", str(tmp_path / "off"))
    monkeypatch.setattr(labels, "type_of", lambda path: types.get(path, "lib_t"))
    monkeypatch.setattr(storage, "_STATE", "/there/is/none")
    place = scene(f"system-tree = {tmp_path}\n")
    assert check(storage.selinux, place) == []
    monkeypatch.setattr(labels, "ENFORCE", str(tmp_path))
    monkeypatch.setattr(labels, "has_rule", lambda: True)
    found = one(storage.selinux, place)
    assert found.places == (str(tmp_path / "03"),)
    assert found.commands == (f"restorecon -RF {tmp_path}",)


def test_a_file_without_a_label_has_no_type(tmp_path: Path) -> None:
    assert labels.type_of(str(tmp_path)) in ("", "lib_t", "tmp_t", "user_tmp_t")
    with pytest.raises(OSError, match="No such file"):
        labels.type_of(str(tmp_path / "gone"))


# sources


def with_library(top: Path, **parts: Any) -> Scene:
    place = scene(**parts)
    vars(place)["libraries"] = {str(top): [PYTHON]}
    return place


def test_modules_that_nobody_can_import(tmp_path: Path) -> None:
    for name in ("old", "shadowed", "package", "extension", "fits", "strange", "not.importable"):
        (tmp_path / f"{name}.pyc").write_bytes(OLD)
    (tmp_path / "fits.pyc").write_bytes(PYTHON.magic)
    (tmp_path / "strange.pyc").write_bytes(b"xyz")
    (tmp_path / "shadowed.py").touch()
    (tmp_path / "extension.cpython-313-x86_64-linux-gnu.so").touch()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "also.pyc").write_bytes(OLD)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(OLD)
    os.mkfifo(tmp_path / "fifo.pyc")
    unknown, old = check(sources.sourceless_magic, with_library(tmp_path))
    assert unknown.places == (str(tmp_path / "strange.pyc"),)
    assert "for another Python" in unknown.text
    assert old.places == (str(tmp_path / "old.pyc"), str(tmp_path / "package" / "also.pyc"))
    assert "these 2 modules have no source, and bytecode for Python 3.9" in old.text
    assert old.hint.startswith("install python3.9, or get the modules for an installed Python")


def test_sources_whose_times_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "new.py").touch()
    for name in ("a.py", "b.py", "c.txt"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
    found = one(sources.flattened, with_library(tmp_path))
    assert found.text.startswith("2 sources say to be from before 1980-01-02")
    assert found.places == (str(tmp_path / "a.py"), str(tmp_path / "b.py"))
    policy = (policy_of("invalidation = unchecked-hash\n"), [])
    assert check(sources.flattened, with_library(tmp_path, examined=policy)) == []


def test_few_duplicates_are_not_worth_a_word() -> None:
    place = scene()
    vars(place)["libraries"] = {"/usr/lib/python3.13": [PYTHON], "/usr/lib/other": [PYTHON]}
    cleared = place.survey.report.in_place = Cleared()
    cleared.removed, cleared.space = 2, sources.LEAST_DUPLICATES - 1
    cleared.removals = ["/usr/lib/python3.13/__pycache__/a.pyc"] * 2
    assert check(sources.duplicates, place) == []
    cleared.space += 1
    found = one(sources.duplicates, place)
    assert "2 files of bytecode beside the sources (1.0 MiB) are in the tree" in found.text
    assert found.places == ("/usr/lib/python3.13",)


# homes


def test_what_root_owns_is_mended_with_no_name_from_the_home() -> None:
    look = Look(Place("/home/a b", ADA))
    look.searched.root_owned = ["/home/a b/$(x)/__pycache__"]
    look.searched.number = 12
    found = one(owners.root_owned, scene(looks=[look]))
    assert "has 12 places with bytecode that root owns, in directories of ada" in found.text
    (line,) = found.commands
    assert line.startswith("find '/home/a b' -xdev ")
    assert "$(x)" not in line
    assert " 1001:1002 " in line


def test_homes_that_were_not_seen_or_not_as_a_whole() -> None:
    dead, large = Look(Place("/home/a", ADA), failure="dead"), Look(Place("/home/b", ADA))
    large.searched.is_whole = False
    place = scene(looks=[dead, large])
    assert check(owners.root_owned, place) == []
    assert [one.detail for one in place.result.unchecked] == [
        "/home/a: dead",
        "not all of /home/b was looked at: it is large",
    ]


def test_who_holds_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert HOLDER(str(path)) is None
    with path.open("w") as file:
        assert HOLDER(str(path)) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        # where the file system hides its own number, as overlayfs may, it cannot be seen
        assert HOLDER(str(path)) in (os.getpid(), None)
    assert HOLDER(str(path)) is None


def test_while_a_run_is_at_work_nothing_is_said_of_the_tree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(at_work, "holder", lambda: 42)
    place = scene()
    place.survey.found = [plan(removals=["3.13/a"])]
    assert check(trees.tree, place) == []
    assert [one.detail for one in place.result.unchecked] == [
        "process 42 is bringing the tree up to date just now"
    ]

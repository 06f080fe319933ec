"""``status`` on Debian: what a whole system's tree, hook, caches and packages come to."""

import json
import stat
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from distro.chroots import NOBODY, Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.product import COMMAND, TREE, Rebuilt, rebuild, rebuild_all
from distro.snapshots import snapshot

LAST_RUN = "/var/cache/pycache-sys/last-run.json"
POLICY = "/etc/pycacheprefix.conf"
APP, OTHER = "/srv/app", "/srv/other"
WRITABLE = ("/etc", "/home", "/root", "/run", "/var")
UNCOMPILABLE = {"syntax", "too-complex", "memory-limit", "time-limit", "crash"}
OF_A_SOURCE = ("fresh", "stale", "missing", "uncompilable")

Seen = Mapping[str, Any]


def look(chroot: Chroot, *arguments: str, user: int = 0) -> Seen:
    """Ask ``status --json``, which changes nothing."""
    before = [snapshot(chroot.path(top)) for top in WRITABLE]
    seen: Seen = json.loads(chroot.run(COMMAND, "status", "--json", *arguments, user=user))
    assert [snapshot(chroot.path(top)) for top in WRITABLE] == before
    return seen


def total(seen: Seen, name: str) -> int:
    return sum(folder["counts"][name] for folder in seen["folders"])


@pytest.fixture
def small(chroot: Chroot) -> Chroot:
    """Give a machine whose policy has a few sources for all there is, in two targets."""
    chroot.run("rm", "-rf", TREE)  # of what is below no root any more, it would stay
    for name in (f"{APP}/one.py", f"{APP}/two.py", f"{OTHER}/three.py"):
        source = chroot.path(name)
        source.parent.mkdir(exist_ok=True)
        source.write_text("x = 1\n")
    chroot.path(POLICY).write_text(f"roots = {APP}\n[root {OTHER}]\noptimize = 0 1\n")
    assert rebuild_all(chroot).report["failures"] == []
    return chroot


@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
def test_after_a_run_all_is_told(chroot: Chroot, rebuilt: Rebuilt, suite: Suite, user: int) -> None:
    """To whoever asks: a source that cannot be compiled is not missing."""
    first = rebuilt.first
    seen = look(chroot, user=user)
    assert {folder["directory"] for folder in seen["folders"]} == {
        interpreter.directory for interpreter in suite.interpreters
    }
    assert total(seen, "fresh") == first.compiled
    assert (total(seen, "missing"), total(seen, "stale"), total(seen, "stray")) == (0, 0, 0)
    hopeless = [failure for failure in first.failures if failure.reason in UNCOMPILABLE]
    assert total(seen, "uncompilable") == len(hopeless)
    for folder in seen["folders"]:
        top = chroot.path(f"{TREE}/{folder['directory']}")
        files = [path.lstat() for path in top.rglob("*") if not path.is_dir()]
        assert folder["counts"]["files"] == len(files)
        assert folder["bytes"]["apparent"] == sum(file.st_size for file in files)
        assert folder["bytes"]["disk"] == sum(file.st_blocks * 512 for file in files)
        assert folder["counts"]["sources"] == sum(folder["counts"][name] for name in OF_A_SOURCE)
    run = seen["last_run"]
    assert run["counts"] == first.report["counts"]
    assert run["stopped"] is None
    assert Counter(f["source"] for f in run["failures"]) == Counter(
        failure.source for failure in first.failures
    )
    assert {one["hook"]["state"] for one in seen["interpreters"] if one["hook"]} == {"off"}
    assert "enable" in seen["advice"]


def test_a_source_that_failed_is_missing_when_it_changes(small: Chroot) -> None:
    source = small.path(f"{APP}/broken.py")
    source.write_text("def broken(:\n")
    folders = len(look(small)["folders"])
    assert total(look(small), "missing") == folders
    assert rebuild(small).status == 1
    seen = look(small)
    assert total(seen, "missing") == 0
    assert total(seen, "uncompilable") == folders
    assert {failure["source"] for failure in seen["last_run"]["failures"]} == {f"{APP}/broken.py"}
    assert total(look(small, "--python", ">=3"), "uncompilable") == folders
    source.touch()
    assert total(look(small), "missing") == folders


def test_the_last_run_is_one_for_everything(small: Chroot) -> None:
    path = small.path(LAST_RUN)
    status = path.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o644)
    before = path.read_bytes()
    small.path(f"{APP}/four.py").write_text("x = 4\n")
    for arguments in (["--dry-run"], [f"{APP}/four.py"], ["--python", ">=3"]):
        assert rebuild(small, *arguments).compiled > 0 or arguments == ["--python", ">=3"]
        assert path.read_bytes() == before, arguments
    small.run("env", "SOURCE_DATE_EPOCH=1700000000", COMMAND, "rebuild")
    small.run(COMMAND, "prune")
    small.run(COMMAND, "rebuild", "--tree", "/srv/tree", "--config", "/dev/null", APP)
    assert path.read_bytes() == before
    rebuild_all(small)
    after = json.loads(path.read_bytes())
    assert after["when"] > json.loads(before)["when"]
    assert {entry.name for entry in path.parent.iterdir()} == {"stamp", path.name}


def test_a_run_that_was_stopped_is_told(chroot: Chroot) -> None:
    """By a full disk: the tree is on a small one."""
    chroot.run("rm", "-rf", TREE)
    chroot.run("mkdir", TREE)
    chroot.run("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", TREE)
    assert rebuild(chroot).status == 5
    seen = look(chroot)
    assert "No space left on device" in seen["last_run"]["stopped"]
    assert total(seen, "missing") > 100
    shown = chroot.run(COMMAND, "status").splitlines()
    assert shown[2] == "  it was stopped: /var/cache/python: No space left on device"
    assert shown[-1].endswith("run 'pycache-sys rebuild'")


@pytest.mark.parametrize(
    "spoil",
    [
        ["chmod", "666", LAST_RUN],
        ["chown", "nobody", LAST_RUN],
        ["truncate", "--size=100M", LAST_RUN],
        ["sh", "-c", f"echo '[]' > {LAST_RUN}"],
        ["sh", "-c", f"rm {LAST_RUN} && mkfifo {LAST_RUN}"],
        ["rm", LAST_RUN],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_last_run_that_anybody_could_have_written_is_not_known(
    small: Chroot, spoil: list[str]
) -> None:
    assert look(small)["last_run"]
    small.run(*spoil)
    for user in (0, NOBODY):
        assert look(small, user=user)["last_run"] is None


def test_the_hook_is_told(chroot: Chroot) -> None:
    chroot.run(COMMAND, "enable")
    seen = look(chroot)
    hooks = [one["hook"] for one in seen["interpreters"] if one["hook"]]
    assert {hook["state"] for hook in hooks} == {"on"}
    assert all(hook["files"] for hook in hooks)
    assert seen["advice"] is None
    chroot.path(POLICY).write_text("enabled = no\n")
    seen = look(chroot)
    hooks = [one["hook"] for one in seen["interpreters"] if one["hook"]]
    assert {hook["state"] for hook in hooks} == {"off-by-policy"}
    assert seen["advice"] is None
    assert "off by the policy" in chroot.run(COMMAND, "status")


def test_caches_are_looked_at_as_their_users(chroot: Chroot) -> None:
    chroot.run("useradd", "--create-home", "--uid", "1000", "alice")
    chroot.run("useradd", "--create-home", "--uid", "1001", "bob")
    chroot.run(COMMAND, "enable")
    made = chroot.path("/srv/mine.py")
    made.write_text("ANSWER = 42\n")
    for home, user in (("alice", 1000), ("bob", 1001)):
        program = "import sys; sys.path.insert(0, '/srv'); import mine"
        chroot.run("env", f"HOME=/home/{home}", "python3", "-c", program, user=user)
    linked = chroot.path("/home/bob/.cache/pycache-sys")
    linked.rename(linked.with_name("elsewhere"))
    linked.symlink_to("elsewhere")
    made.unlink()
    seen = look(chroot, "--all-users")
    caches = {cache["user"]: cache for cache in seen["caches"] if cache["uid"]}
    alice = caches["alice"]
    assert alice["path"] == "/home/alice/.cache/pycache-sys"
    assert alice["files"] >= 1
    assert alice["bytes"] >= 4096
    assert (caches["bob"]["refused"], caches["bob"]["files"]) == ("link", None)
    done = chroot.attempt(COMMAND, "status", "--all-users", user=1000)
    assert (done.returncode, done.stdout) == (2, "")
    own = chroot.run("env", "HOME=/home/alice", COMMAND, "status", "--json", user=1000)
    (only,) = json.loads(own)["caches"]
    assert only["files"] == alice["files"]


def test_the_space_is_that_of_packages(chroot: Chroot, suite: Suite) -> None:
    chroot.run(
        *("dpkg-divert", "--local", "--rename", "--divert", f"{DIST_PACKAGES}/idna/moved.py"),
        *("--add", f"{DIST_PACKAGES}/idna/core.py"),
    )
    chroot.path(f"{DIST_PACKAGES}/by_nobody.py").write_text("x = 1\n")
    rebuild(chroot)
    seen = look(chroot, "--by-package")
    shares = {share["package"]: share for share in seen["packages"]}
    for kind in ("apparent", "disk"):
        parts = sum(share["bytes"][kind] for share in seen["packages"])
        assert parts == sum(folder["bytes"][kind] for folder in seen["folders"])
    sizes = [share["bytes"]["disk"] for share in seen["packages"]]
    assert sizes == sorted(sizes, reverse=True)
    listed = chroot.run("dpkg-query", "--listfiles", "python3-idna").splitlines()
    sources = [line for line in listed if line.startswith("/") and line.endswith(".py")]
    folders = [interpreter.directory for interpreter in suite.interpreters]
    assert shares["python3-idna"]["files"] == len(sources) * len(folders)
    assert None in shares
    unowned = shares[None]["files"]
    assert unowned >= len(folders)
    libraries = {name for name in shares if name and "python3." in name}
    assert libraries, "the standard library has no owner"
    assert not [name for name in shares if name and ":" in name]
    shown = chroot.run(COMMAND, "status", "--by-package", user=NOBODY)
    assert "(no package)" in shown or "more, " in shown
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_metrics_are_what_prometheus_reads(chroot: Chroot) -> None:
    text = chroot.run(COMMAND, "status", "--format", "prometheus", "--all-users")
    seen = look(chroot)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    fresh = [
        sample.value
        for sample in families["pycache_sys_sources"].samples
        if sample.labels["state"] == "fresh"
    ]
    assert sum(fresh) == total(seen, "fresh")
    (up,) = families["pycache_sys_up"].samples
    assert up.value == 1
    (when,) = families["pycache_sys_last_run_timestamp_seconds"].samples
    assert when.value == pytest.approx(seen["last_run"]["when"], abs=0.01)
    chroot.run("rm", "-rf", TREE)
    done = chroot.attempt(COMMAND, "status", "--format", "prometheus")
    assert done.returncode == 1
    assert "pycache_sys_tree_exists 0\n" in done.stdout
    assert "pycache_sys_tree_files" not in done.stdout


def test_another_root_is_looked_at_from_outside(small: Chroot) -> None:
    """From inside of this one, as if it were a disk that is mounted somewhere."""
    assert total(look(small), "fresh") == total(look(small), "sources")
    small.run("mkdir", "-p", "/mnt/disk")
    small.run("mount", "--bind", "/", "/mnt/disk")
    before = small.path(LAST_RUN).read_bytes()
    small.run(COMMAND, "rebuild", "--root", "/mnt/disk")
    assert small.path(LAST_RUN).read_bytes() == before
    seen = look(small, "--root", "/mnt/disk")
    assert total(seen, "fresh") == total(seen, "sources") == 3 * len(seen["folders"])
    assert seen["caches"] is None
    assert {one["hook"] for one in seen["interpreters"]} == {None}

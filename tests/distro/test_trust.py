"""Root writes, all read: who owns the tree, and who the workers are."""

from stat import S_IMODE, S_ISDIR, S_ISREG

from distro.chroots import NOBODY, Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.product import ACCOUNT, TREE, Rebuilt, add_account, rebuild, rebuild_all
from distro.snapshots import snapshot
from distro.worker_watch import watch_workers

SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
LIBRARY = f"{DIST_PACKAGES}/django"


def account_id(chroot: Chroot) -> int:
    """Return the number of the workers' account."""
    return int(chroot.run("id", "-u", ACCOUNT))


def test_the_tree_is_roots_and_readable_by_all(suite: Suite, chroot: Chroot) -> None:
    tree = snapshot(chroot.path(TREE))
    directories = {path for path, found in tree.items() if S_ISDIR(found.mode)}
    assert all(S_ISREG(found.mode) for path, found in tree.items() if path not in directories)
    assert {found.owner for found in tree.values()} == {(0, 0)}
    assert {S_IMODE(tree[path].mode) for path in directories} == {0o755}
    assert {S_IMODE(tree[path].mode) for path in tree.keys() - directories} == {0o644}
    assert not [path for path in tree if "__pycache__" in path]
    assert {p for p in tree if "/" not in p} == {".", "CACHEDIR.TAG"} | {
        interpreter.directory for interpreter in suite.interpreters
    }


def test_backups_are_told_to_skip_the_tree(chroot: Chroot) -> None:
    assert chroot.path(f"{TREE}/CACHEDIR.TAG").read_bytes().startswith(SIGNATURE)


def test_every_entry_has_its_sources_mtime(suite: Suite, chroot: Chroot) -> None:
    for interpreter in suite.interpreters:
        top = chroot.path(f"{TREE}/{interpreter.directory}")
        for name, found in snapshot(top).items():
            if S_ISREG(found.mode):
                source = chroot.status(f"/{name.rsplit('.', 2)[0]}.py")
                assert found.mtime == source.st_mtime_ns, name


def test_the_report_names_the_account(rebuilt: Rebuilt) -> None:
    assert rebuilt.first.report["workers"] == "account"


def test_without_the_account_workers_are_the_callers(bare_chroot: Chroot) -> None:
    run = rebuild_all(bare_chroot, f"{DIST_PACKAGES}/idna")
    assert run.report["workers"] == "caller"
    assert run.compiled > 0


def test_workers_run_as_the_account_and_hold_nothing(bare_chroot: Chroot) -> None:
    add_account(bare_chroot)
    account = account_id(bare_chroot)
    workers = watch_workers(bare_chroot, "-j", "2", LIBRARY)
    assert len(workers) >= 2
    for worker in workers:
        assert worker.users == {account}
        assert 0 not in worker.groups
        assert worker.supplementary == ()
        assert worker.capabilities == 0
        assert worker.no_new_privileges
        assert worker.memory_owner == 0
        assert not [name for name in worker.open_files if "/var/cache" in name or "/run" in name]


def test_sources_that_are_not_roots_alone_are_left_out(suite: Suite, chroot: Chroot) -> None:
    doubtful = {"owned": "wrong-owner", "writable": "writable-by-others"}
    for name in (*doubtful, "private", "sound"):
        chroot.path(f"{DIST_PACKAGES}/{name}.py").write_text("ANSWER = 42\n")
    chroot.run("chown", f"{NOBODY}:{NOBODY}", f"{DIST_PACKAGES}/owned.py")
    chroot.path(f"{DIST_PACKAGES}/writable.py").chmod(0o666)
    chroot.path(f"{DIST_PACKAGES}/private.py").chmod(0o600)
    run = rebuild(chroot)
    assert run.status == 0, run.stderr
    assert run.compiled == len(suite.interpreters)
    reasons = {skip["source"]: skip["reason"] for skip in run.report["skips"]}
    for name, reason in {**doubtful, "private": "not-readable-by-all"}.items():
        assert reasons[f"{DIST_PACKAGES}/{name}.py"] == reason


def test_nobody_else_can_hold_the_lock(chroot: Chroot) -> None:
    rebuild_all(chroot)
    status = chroot.status("/run/pycache-sys/lock")
    assert (status.st_uid, S_IMODE(status.st_mode)) == (0, 0o600)


def test_a_tree_that_others_may_write_is_refused(chroot: Chroot) -> None:
    chroot.path(TREE).chmod(0o777)
    run = rebuild(chroot)
    assert run.status == 5
    assert TREE in run.stderr

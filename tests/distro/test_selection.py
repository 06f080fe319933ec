"""What a person names is what gets compiled: packages, paths, interpreters, another tree."""

from distro.chroots import NOBODY, Chroot
from distro.debian import CHOSEN, DIST_PACKAGES, Suite
from distro.debs import listed_sources
from distro.product import TREE, Rebuilt, rebuild, rebuild_all
from distro.rpms import install_rpm
from distro.snapshots import differences, files, snapshot

OWN_TREE = "/srv/nobody/tree"


def sources_in(chroot: Chroot, directory: str, tree: str = TREE) -> list[str]:
    """Name the sources that have bytecode in one folder of a tree."""
    names = files(snapshot(chroot.path(f"{tree}/{directory}")))
    return sorted(f"/{name.rsplit('.', 2)[0]}.py" for name in names)


def test_a_package_means_its_sources(suite: Suite, bare_chroot: Chroot) -> None:
    run = rebuild_all(bare_chroot, "-p", CHOSEN)
    expected = sorted(listed_sources(bare_chroot, CHOSEN))
    assert len(expected) > 10
    for interpreter in suite.interpreters:
        assert sources_in(bare_chroot, interpreter.directory) == expected
    assert run.compiled == len(expected) * len(suite.interpreters)


def test_a_package_is_compiled_again_though_it_is_fresh(suite: Suite, chroot: Chroot) -> None:
    run = rebuild_all(chroot, "-p", CHOSEN)
    expected = len(listed_sources(chroot, CHOSEN)) * len(suite.interpreters)
    assert run.compiled == expected


def test_a_package_of_rpm_means_its_sources(suite: Suite, bare_chroot: Chroot) -> None:
    install_rpm(bare_chroot)
    run = rebuild_all(bare_chroot, "-p", "pycache-sample-rpm")
    expected = [f"{DIST_PACKAGES}/pycache_rpm/{name}.py" for name in ("__init__", "other")]
    for interpreter in suite.interpreters:
        assert sources_in(bare_chroot, interpreter.directory) == expected
    assert run.compiled == len(expected) * len(suite.interpreters)


def test_an_unknown_package_is_named_in_the_error(chroot: Chroot) -> None:
    before = snapshot(chroot.path(TREE))
    run = rebuild(chroot, "-p", "python3-no-such-package")
    assert run.status not in (0, 4)
    assert "python3-no-such-package" in run.stderr
    assert len(run.stderr.splitlines()) <= 3
    assert differences(before, snapshot(chroot.path(TREE))) == set()


def test_one_interpreter_of_several(suite: Suite, bare_chroot: Chroot) -> None:
    chosen = suite.interpreters[-1]
    run = rebuild_all(bare_chroot, "--python", chosen.command, f"{DIST_PACKAGES}/idna")
    assert run.used_directories == {chosen.directory}
    made = {path.name for path in bare_chroot.path(TREE).iterdir() if path.is_dir()}
    assert made == {chosen.directory}
    assert all(s.startswith(f"{DIST_PACKAGES}/idna/") for s in sources_in(bare_chroot, *made))


def test_dry_run_changes_nothing_and_agrees(rebuilt: Rebuilt) -> None:
    changed = differences(rebuilt.before_dry_run, rebuilt.after_dry_run)
    assert changed == set()
    assert rebuilt.dry_run.compiled == rebuilt.first.compiled + rebuilt.first.count("failed")
    assert rebuilt.dry_run.removed == rebuilt.first.removed


def test_the_system_tree_is_not_for_other_users(chroot: Chroot) -> None:
    before = snapshot(chroot.path(TREE))
    run = rebuild(chroot, user=NOBODY)
    assert run.status == 5
    assert "--tree" in run.stderr
    assert len(run.stderr.splitlines()) <= 3
    assert differences(before, snapshot(chroot.path(TREE))) == set()


def test_other_users_have_trees_of_their_own(suite: Suite, bare_chroot: Chroot) -> None:
    home = bare_chroot.path("/srv/nobody")
    home.mkdir()
    sources = f"{DIST_PACKAGES}/idna"
    refused = rebuild(bare_chroot, "--tree", OWN_TREE, sources, user=NOBODY)
    assert refused.status == 5, "the folder is not theirs yet"
    home.chmod(0o755)
    chown(bare_chroot, "/srv/nobody")
    run = rebuild(bare_chroot, "--tree", OWN_TREE, sources, user=NOBODY)
    assert run.status == 0, run.stderr
    assert run.report["workers"] == "caller"
    expected = sorted(str(path) for path in bare_chroot.path(sources).glob("*.py"))
    inside = [f"/{path.removeprefix(f'{bare_chroot.root}/')}" for path in expected]
    for interpreter in suite.interpreters:
        assert sources_in(bare_chroot, interpreter.directory, OWN_TREE) == inside
    owners = {found.owner for found in snapshot(bare_chroot.path(OWN_TREE)).values()}
    assert owners == {(NOBODY, NOBODY)}


def chown(chroot: Chroot, path: str) -> None:
    """Give a directory to nobody."""
    chroot.run("chown", f"{NOBODY}:{NOBODY}", path)

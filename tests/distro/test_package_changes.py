"""After packages change, ``rebuild`` does just what changed."""

from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest

from distro.chroots import ARCHIVES, Chroot
from distro.debian import DIST_PACKAGES, REINSTALLED, REMOVED, SUITES, UPGRADED, Suite
from distro.debs import build_deb, install_deb, listed_sources, remove_packages
from distro.import_trace import evaluate, prefix_options
from distro.product import TREE, Run, rebuild_all
from distro.snapshots import Snapshot, differences, files, gone, snapshot, written

CLAMPED = 1_704_067_200
"""2024-01-01: the day that a reproducible build gives to every file."""
FLATTENED = 1
"""What image builders such as OSTree make of every modification time."""
SAMPLE = "pycache-sample"


def entries(suite: Suite, sources: Iterable[str]) -> set[tuple[str, str, str]]:
    """Say which entries the sources of DIST_PACKAGES have: interpreter, folder, module."""
    paths = [PurePosixPath(source) for source in sources]
    return {
        (interpreter.directory, str(path.parent), path.stem)
        for interpreter in suite.interpreters
        for path in paths
        if path.is_relative_to(DIST_PACKAGES)
    }


def parsed(names: Iterable[str]) -> set[tuple[str, str, str]]:
    """Split the tree's paths into interpreter, folder and module."""
    paths = [PurePosixPath(name) for name in names]
    return {(p.parts[0], f"/{'/'.join(p.parts[1:-1])}", p.name.rsplit(".", 2)[0]) for p in paths}


def tree_of(chroot: Chroot) -> Snapshot:
    """Record the tree."""
    return snapshot(chroot.path(TREE))


def assert_changed(
    suite: Suite,
    run: Run,
    states: tuple[Snapshot, Snapshot],
    *,
    made: Iterable[str],
    lost: Iterable[str] = (),
) -> None:
    """Check that the tree's entries of these sources, and no others, were made and lost."""
    expected_made, expected_lost = entries(suite, made), entries(suite, lost)
    assert parsed(written(*states)) == expected_made
    assert parsed(gone(*states)) == expected_lost
    assert (run.compiled, run.removed) == (len(expected_made), len(expected_lost))


def archives_of(chroot: Chroot, package: str) -> list[str]:
    """List the archives of a package that the chroot keeps, the oldest version first."""
    found = [f"{ARCHIVES}/{path.name}" for path in chroot.path(ARCHIVES).glob(f"{package}_*")]
    versions = {chroot.run("dpkg-deb", "--field", path, "Version").strip(): path for path in found}
    ordered = chroot.run("sh", "-c", f"printf '%s\\n' {' '.join(versions)} | sort --version-sort")
    return [versions[version] for version in ordered.split()]


def sample(chroot: Chroot, version: str, answer: int, *names: str, mtime: int = CLAMPED) -> str:
    """Build a version of the sample package: modules that each hold one number."""
    contents = {
        f"{DIST_PACKAGES}/pycache_sample/{name}.py": f"ANSWER = {answer}\n".encode()
        for name in names
    }
    return build_deb(chroot, SAMPLE, version, contents, mtime)


def test_reinstall(suite: Suite, chroot: Chroot) -> None:
    before = tree_of(chroot)
    (archive,) = archives_of(chroot, REINSTALLED)
    install_deb(chroot, archive, "--reinstall")
    run = rebuild_all(chroot)
    sources = listed_sources(chroot, REINSTALLED)
    assert len(sources) > 10
    assert_changed(suite, run, (before, tree_of(chroot)), made=sources)
    assert rebuild_all(chroot).compiled == 0


def test_upgrade_from_the_archive(suite: Suite, chroot: Chroot) -> None:
    older, newer = archives_of(chroot, UPGRADED)
    install_deb(chroot, older)
    rebuild_all(chroot)
    before, old_sources = tree_of(chroot), listed_sources(chroot, UPGRADED)
    install_deb(chroot, newer)
    run = rebuild_all(chroot)
    sources = listed_sources(chroot, UPGRADED)
    assert_changed(suite, run, (before, tree_of(chroot)), made=sources, lost=old_sources - sources)


def test_upgrade_that_adds_and_drops_modules(suite: Suite, chroot: Chroot) -> None:
    install_deb(chroot, sample(chroot, "1", 1, "__init__", "kept", "dropped"))
    rebuild_all(chroot)
    before, old_sources = tree_of(chroot), listed_sources(chroot, SAMPLE)
    install_deb(chroot, sample(chroot, "2", 22, "__init__", "kept", "added"))
    run = rebuild_all(chroot)
    sources = listed_sources(chroot, SAMPLE)
    dropped = {f"{DIST_PACKAGES}/pycache_sample/dropped.py"}
    assert old_sources - sources == dropped
    assert_changed(suite, run, (before, tree_of(chroot)), made=sources, lost=dropped)


def test_removal(suite: Suite, chroot: Chroot) -> None:
    before, sources = tree_of(chroot), listed_sources(chroot, REMOVED)
    assert len(sources) > 10
    remove_packages(chroot, REMOVED)
    run = rebuild_all(chroot)
    assert_changed(suite, run, (before, tree_of(chroot)), made=(), lost=sources)
    for interpreter in suite.interpreters:
        folder = f"{TREE}/{interpreter.directory}{DIST_PACKAGES}/markdown"
        assert not chroot.path(folder).exists()


@pytest.mark.parametrize(
    "suite",
    [suite for suite in SUITES if suite.packages_of_last],
    indirect=True,
    ids=lambda suite: suite.name,
)
def test_removal_of_an_interpreter(suite: Suite, chroot: Chroot) -> None:
    """All that the tree has for it goes, also of packages whose sources are still there."""
    last = suite.interpreters[-1]
    before = tree_of(chroot)
    library = {name for name in files(before) if name.startswith(f"{last.directory}{last.library}")}
    assert len(library) > 500
    remove_packages(chroot, *suite.packages_of_last)
    run = rebuild_all(chroot)
    after = tree_of(chroot)
    assert last.directory not in run.used_directories
    everything = {name for name in files(before) if name.startswith(f"{last.directory}/")}
    assert library < everything
    assert gone(before, after) == everything
    assert written(before, after) == set()
    assert run.report["left"] == []


def test_upgrade_with_the_same_size_and_mtime(suite: Suite, chroot: Chroot) -> None:
    program = "import pycache_sample.kept as kept; print(kept.ANSWER)"
    install_deb(chroot, sample(chroot, "1", 1, "__init__", "kept"))
    rebuild_all(chroot)
    before = tree_of(chroot)
    install_deb(chroot, sample(chroot, "2", 2, "__init__", "kept"))
    for interpreter in suite.interpreters:
        fooled = evaluate(chroot, interpreter, program, *prefix_options(interpreter))
        assert fooled == "1", "the two versions have to look the same to stock Python"
    run = rebuild_all(chroot)
    assert_changed(suite, run, (before, tree_of(chroot)), made=listed_sources(chroot, SAMPLE))
    for interpreter in suite.interpreters:
        assert evaluate(chroot, interpreter, program, *prefix_options(interpreter)) == "2"


def test_upgrade_with_flattened_mtimes(suite: Suite, chroot: Chroot) -> None:
    """Stock Python itself sees through such an upgrade, before any rebuild: by the hash."""
    program = "import pycache_sample as sample; print(sample.ANSWER)"

    def answers() -> set[str]:
        return {
            evaluate(chroot, interpreter, program, *prefix_options(interpreter))
            for interpreter in suite.interpreters
        }

    for version, answer in (("1", 1), ("2", 2)):
        install_deb(chroot, sample(chroot, version, answer, "__init__", mtime=FLATTENED))
        assert answers() == {str(answer)}
        rebuild_all(chroot)
        assert answers() == {str(answer)}
    assert rebuild_all(chroot).compiled == 0


def test_dry_run_foretells_what_rebuild_does(suite: Suite, chroot: Chroot) -> None:
    (archive,) = archives_of(chroot, REINSTALLED)
    install_deb(chroot, archive, "--reinstall")
    remove_packages(chroot, REMOVED)
    before = snapshot(chroot.root, without=frozenset({"proc"}))
    foretold = rebuild_all(chroot, "--dry-run")
    after = snapshot(chroot.root, without=frozenset({"proc"}))
    assert differences(before, after) == set()
    done = rebuild_all(chroot)
    assert done.compiled > 0
    assert done.removed > 0
    assert foretold.report["counts"] == done.report["counts"]

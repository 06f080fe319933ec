"""After a package upgrade the new code runs, however alike the old and the new file look."""

import pytest

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.debs import build_deb, install_deb
from distro.hook_starts import TREE_LAYER, start
from distro.machines import PYTHONS, SUITES, USER, Machines
from distro.product import rebuild_all

pytest_plugins = ["distro.hook_fixtures"]

SAMPLE = "pycache-sample"
PROGRAM = "import pycache_sample.kept as kept; print(kept.ANSWER)"
MTIMES = {"clamped": 1_704_067_200, "zero": 0, "flattened": 1}


def package(chroot: Chroot, version: str, answer: int, mtime: int) -> str:
    """Build a version of a package whose files are of one size and one time in all versions."""
    contents = {
        f"{DIST_PACKAGES}/pycache_sample/{name}.py": f"ANSWER = {answer}\n".encode()
        for name in ("__init__", "kept")
    }
    return build_deb(chroot, SAMPLE, version, contents, mtime)


@pytest.mark.parametrize("mtime", MTIMES.values(), ids=MTIMES)
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_new_code_runs(machines: Machines, suite: Suite, mtime: int) -> None:
    pythons = [python for python in PYTHONS if python.suite is suite]

    def answers(chroot: Chroot) -> set[tuple[str, str]]:
        return {
            (start(chroot, python.command, "-c", PROGRAM, user=user).quiet.strip(), layer)
            for python in pythons
            for user in (USER, 0)
            for layer in {
                start(chroot, python.command, "-c", PROGRAM, user=user)
                .served["pycache_sample.kept"]
                .layer
            }
        }

    with machines.running(suite) as chroot:
        install_deb(chroot, package(chroot, "1", 1, mtime))
        chroot.run("rm", "-rf", f"{DIST_PACKAGES}/pycache_sample/__pycache__")
        rebuild_all(chroot, "-p", SAMPLE)
        assert answers(chroot) == {("1", TREE_LAYER)}
        for version in (2, 3):
            install_deb(chroot, package(chroot, str(version), version, mtime))
            before_rebuild = answers(chroot)
            assert {answer for answer, _ in before_rebuild} == {str(version)}
            assert TREE_LAYER not in {layer for _, layer in before_rebuild}
            rebuild_all(chroot, "-p", SAMPLE)
            assert answers(chroot) == {(str(version), TREE_LAYER)}

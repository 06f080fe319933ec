"""Each defect of the table is named rightly by each verb, and mended by what they say."""

import pytest

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.defects import (
    FLAWS,
    MODULE,
    PYPY,
    REBUILD,
    SECOND,
    Flaw,
    Found,
    Loaded,
    Wrong,
    compiled,
)
from distro.healthy import Diagnosed, Verified, diagnosed, explained, on_trixie, verified
from distro.product import TREE

pytest_plugins = ["distro.healthy_fixtures"]

SILENCE = Verified(0, frozenset(), frozenset())
HEALTH = Diagnosed(0, ())


@pytest.fixture
def machine(healthy_machine: Chroot) -> Chroot:
    return healthy_machine


@on_trixie
def test_of_a_healthy_system_the_verbs_say_nothing(machine: Chroot, suite: Suite) -> None:
    assert verified(machine) == SILENCE
    assert verified(machine, "--deep") == SILENCE
    assert explained(machine, MODULE) == Loaded()
    assert diagnosed(machine) == HEALTH
    silent = machine.attempt("sh", "-c", "pycache-sys verify; pycache-sys doctor -q")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")


@on_trixie
@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.name)
def test_a_defect_is_named_and_mended(machine: Chroot, suite: Suite, flaw: Flaw) -> None:
    machine.run("sh", "-ec", flaw.prepare)
    wrong, left = frozenset(flaw.verify), frozenset(flaw.left)
    status = flaw.status if flaw.status is not None else int(bool(wrong))
    assert verified(machine, *flaw.options) == Verified(status, wrong, left)
    assert explained(machine, flaw.module) == flaw.explain
    doctor = diagnosed(machine)
    is_problem = any(one.level == "problem" for one in flaw.doctor)
    assert doctor == Diagnosed(int(is_problem), flaw.doctor)

    commands = [flaw.mend] if flaw.mend else [line for one in doctor.found for line in one.mend]
    machine.run("sh", "-ec", "\n".join(commands))
    assert verified(machine, *flaw.options) == Verified(0, frozenset(), left)
    assert explained(machine, flaw.module) == flaw.after
    assert diagnosed(machine) == HEALTH


@on_trixie
def test_a_second_interpreter_that_was_unpacked_by_hand(machine: Chroot, suite: Suite) -> None:
    """A row of its own, for all of its sources are missing."""
    machine.run("sh", "-ec", f"for deb in {SECOND}/*.deb; do dpkg-deb -x $deb /; done")
    listed = machine.run("find", PYPY, DIST_PACKAGES, "-name", "*.py").splitlines()
    entries = (f"{TREE}/pypy3.11{source[:-3]}.pypy311.pyc" for source in listed)
    missing = frozenset(Wrong("missing", path) for path in entries)
    assert verified(machine) == Verified(1, missing, frozenset())
    assert verified(machine, "--python", "3.13") == SILENCE
    nothing = compiled("no folder", "absent: there is no such tree for this version")
    assert explained(machine, MODULE, "--python", "pypy3.11") == nothing
    assert explained(machine, MODULE, "--python", "3.13") == Loaded()
    doctor = diagnosed(machine)
    tree, bootstrap = doctor.found
    assert doctor == Diagnosed(1, (tree, bootstrap))
    assert tree == Found("tree", mend=(REBUILD,), places=tuple(sorted(listed)))
    assert bootstrap[:2] == ("bootstrap", "problem")
    assert bootstrap.mend == (
        f"/usr/bin/pypy3 -B -I -S -m py_compile {' '.join(bootstrap.places)}",
    )
    assert {f"{PYPY}/os.py", f"{PYPY}/encodings/utf_8.py"} < set(bootstrap.places) < set(listed)

    machine.run("sh", "-ec", "\n".join((*tree.mend, *bootstrap.mend)))
    assert verified(machine) == SILENCE
    assert explained(machine, MODULE, "--python", "pypy3.11") == Loaded()
    assert diagnosed(machine) == HEALTH


def test_the_table_is_long_enough_and_each_row_is_a_defect_of_its_own() -> None:
    assert len({flaw.name for flaw in FLAWS}) == len(FLAWS) >= 30
    said = [flaw for flaw in FLAWS if flaw.verify or flaw.doctor or flaw.explain != Loaded()]
    assert len(said) >= 30

"""``--each-once`` of the tests in chroots: what counts as the same test, and which of them runs."""

from collections import Counter

import pytest

from distro.debian import SUITES
from distro.each_once import chosen, labels, name_without
from distro.machines import PYTHONS


@pytest.mark.parametrize(
    ("parameters", "varying", "left"),
    [
        ("sid", {"sid"}, ""),
        ("3.11-user", {"3.11", "bookworm"}, "user"),
        ("user-pypy3.11", {"pypy3.11", "trixie"}, "user"),
        ("root-trixie-py3-by-hand", {"trixie", "3.13"}, "root-py3-by-hand"),
        ("pypy3.11-user", {"3.11"}, "pypy3.11-user"),
        ("-V 3.11 gizmo-bookworm", {"3.11", "bookworm"}, "-V 3.11 gizmo"),
        ("sid-sidecar", {"sid"}, "sidecar"),
        ("3x11", {"3.11"}, "3x11"),
    ],
)
def test_only_what_varies_is_cut_from_a_name(parameters: str, varying: set[str], left: str) -> None:
    assert name_without("file::test", parameters, varying) == f"file::test[{left}]"


def test_releases_and_interpreters_vary_and_nothing_else() -> None:
    for suite in SUITES:
        assert labels({"suite": suite, "user": 0, "verb": "sid"}) == {suite.name}
    for python in PYTHONS:
        assert labels({"python": python, "way": "3"}) == {python.folder, python.suite.name}
    assert labels({"user": 0}) == set()


def test_one_of_each_name_runs_and_the_choice_is_the_same_each_time() -> None:
    names = [f"test_{number}" for number in range(300) for _ in SUITES]
    runs = chosen(names)
    assert Counter(name for name, run in zip(names, runs, strict=True) if run) == Counter(
        set(names)
    )
    assert chosen(names) == runs
    # neither the other tests nor their order have a say
    assert chosen(names[600:]) == runs[600:]


def test_each_release_gets_its_share() -> None:
    names = [f"test_{number}" for number in range(300) for _ in SUITES]
    shares = Counter(place % len(SUITES) for place, run in enumerate(chosen(names)) if run)
    assert all(60 < shares[number] < 140 for number in range(len(SUITES)))


def test_the_choice_is_known() -> None:
    """It may not depend on the process, as Python's own ``hash`` does."""
    assert chosen(["a", "b", "b", "a", "b"]) == [False, False, False, True, True]

"""Nothing that differs is missed, nor what is listed and does not differ."""

from collections.abc import Callable

import pytest

from cpython.comparison import LIST, MORE_ROUNDS, Meant, compare, read_list
from cpython.copies import Run
from cpython.test_cpython import MODULES, VERSIONS

PASSED = Run(outcomes={"test.a": ["passed"]}, words={}, seconds=1.0)
FAILED = Run(
    outcomes={"test.a": ["failed"]}, words={"test.a": ["Traceback\nEOFError: oh"]}, seconds=1.0
)
GONE = Run(outcomes={}, words={}, seconds=1.0)
LISTED = {"test.a": Meant(reason="so it is", says=("EOFError",))}


def runs(*pairs: tuple[Run, Run]) -> Callable[[], tuple[Run, Run]]:
    left = list(pairs)
    return lambda: left.pop(0)


@pytest.mark.parametrize("on", [FAILED, GONE])
def test_a_difference_that_is_not_listed_is_found(on: Run) -> None:
    result = compare(runs(*[(PASSED, on)] * (1 + MORE_ROUNDS)), {})
    assert [one.test for one in result.found] == ["test.a"]


def test_a_difference_that_comes_back_once_is_found() -> None:
    rounds = [(PASSED, FAILED), *[(PASSED, PASSED)] * (MORE_ROUNDS - 1), (PASSED, FAILED)]
    assert compare(runs(*rounds), {}).found


def test_what_comes_out_alike_afterwards_is_unsteady() -> None:
    result = compare(runs((PASSED, FAILED), *[(PASSED, PASSED)] * MORE_ROUNDS), {})
    assert not result.found
    assert [one.test for one in result.unsteady] == ["test.a"]


def test_a_listed_difference_is_meant() -> None:
    result = compare(runs((PASSED, FAILED)), LISTED)
    assert [one.test for one in result.meant] == ["test.a"]
    assert not result.found
    assert not result.stale


def test_a_listed_test_that_says_something_else_is_found() -> None:
    other = {"test.a": Meant(reason="so it is", says=("ImportError",))}
    assert compare(runs(*[(PASSED, FAILED)] * (1 + MORE_ROUNDS)), other).found


def test_a_listed_test_that_does_not_differ_is_stale() -> None:
    assert compare(runs((PASSED, PASSED)), LISTED).stale == ["test.a"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_entry_of_the_list_belongs_to_a_module_that_is_run(version: str) -> None:
    read = [test for module in MODULES for test in read_list(version, module)]
    assert sorted(read) == sorted(set(read))
    assert len(read) == LIST.read_text().count('    "test.')

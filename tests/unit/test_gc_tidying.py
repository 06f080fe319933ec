"""What goes from a user's cache: names, times and sizes."""

import os
from stat import S_IFREG

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core.model import space_of
from pycache_sys.core.tidying import (
    Kept,
    Python,
    Refused,
    Tidied,
    Why,
    last_use,
    python_of,
    source_of,
)
from pycache_sys_runtime import layout
from strategies import components, sources


@pytest.mark.parametrize(
    ("folder", "python"),
    [
        ("3.11", Python(is_pypy=False, version="3.11", tag="cpython-311")),
        ("3.8", Python(is_pypy=False, version="3.8", tag="cpython-38")),
        ("3.13t", Python(is_pypy=False, version="3.13t", tag="cpython-313")),
        ("pypy3.11", Python(is_pypy=True, version="3.11", tag="pypy311")),
    ],
)
def test_the_folders_of_the_hook_are_known(folder: str, python: Python) -> None:
    assert python_of(folder) == python


@pytest.mark.parametrize(
    "folder", ["", "3", "3.", "2.7", "3.011", "3.11 ", "3.11\n", "pypy3.11t", "PYPY3.9", "3.9999"]
)
def test_other_folders_are_not(folder: str) -> None:
    assert python_of(folder) is None


@given(source=sources, optimization=st.sampled_from(["", "1", "2"]))
def test_what_the_hook_names_is_known_again(source: str, optimization: str) -> None:
    path = layout.cache_path(source, "/top/3.11", "cpython-311", optimization)
    if path is not None:
        directory, _, name = path.removeprefix("/top/3.11").rpartition("/")
        assert source_of(directory, name, "cpython-311") == source


@given(parts=st.lists(components, max_size=3), name=components)
def test_what_is_taken_for_the_hooks_is_named_by_the_rule(parts: list[str], name: str) -> None:
    directory = "".join(f"/{part}" for part in parts)
    for given_name in (name, f"{name}.cpython-311.pyc", f"{name}.cpython-311.opt-1.pyc"):
        source = source_of(directory, given_name, "cpython-311")
        if source is not None:
            named = {
                layout.cache_path(source, "/top", "cpython-311", optimization)
                for optimization in ("", *given_name.split("."), *given_name.split("-"))
            } | {layout.cache_path(source, "/top", "cpython-311", "1")}
            assert f"/top{directory}/{given_name}" in named


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("/srv", "foo.pyc"),
        ("/srv", "foo.cpython-312.pyc"),
        ("/srv", "foo.cpython-311.pyc.4711"),
        ("/srv", "foo.cpython-311.opt-xyz.pyc"),
        ("/srv", "foo.cpython-311.opt-01.pyc"),
        ("/srv", "test_a.cpython-311-pytest-8.2.pyc"),
        ("/srv", ".cpython-311.pyc"),
        ("/srv/__pycache__", "foo.cpython-311.pyc"),
        ("", "foo.cpython-311.pyc"),
    ],
)
def test_other_names_are_nobodys(directory: str, name: str) -> None:
    assert source_of(directory, name, "cpython-311") is None


def status(atime: int, mtime: int, blocks: int = 8) -> os.stat_result:
    fields = {"st_atime_ns": atime, "st_mtime_ns": mtime, "st_blocks": blocks}
    return os.stat_result((S_IFREG | 0o600, 1, 2, 1, 0, 0, 10, 0, 0, 0), fields)


@pytest.mark.parametrize(
    ("atime", "mtime", "used"),
    [(5, 3, 5), (3, 5, 5), (5, 99, 10), (99, 5, 10), (-(1 << 70), -4, 0), (10, 10, 10)],
)
def test_the_later_of_both_times_counts_but_no_time_to_come(
    atime: int, mtime: int, used: int
) -> None:
    assert last_use(status(atime, mtime), now=10) == used


def test_the_space_is_what_the_disk_gives_for_it() -> None:
    assert space_of(status(1, 1, blocks=8)) == 4096


def surplus(files: list[tuple[int, int]], limit: int) -> list[int]:
    """Tell which files go, by number."""
    kept = Kept()
    for file in files:
        kept.add(*file)
    found = kept.surplus(limit)
    if found is None:
        return []
    return [number for number, file in enumerate(files) if found.takes(*file)]


def test_the_longest_unused_go_until_the_rest_fits() -> None:
    assert surplus([(3, 10), (1, 10), (2, 10), (4, 10)], 25) == [1, 2]
    assert surplus([(3, 10), (1, 10), (2, 10), (4, 10)], 40) == []
    assert surplus([(3, 10), (1, 10), (2, 10), (4, 10)], 1) == [0, 1, 2, 3]


def test_of_the_same_time_no_more_go_than_have_to() -> None:
    assert surplus([(1, 10)] * 6, 45) == [0, 1]
    assert surplus([(2, 10), (1, 10), (2, 10), (2, 10)], 20) == [0, 1]


files = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), max_size=30)


@given(files=files, limit=st.integers(1, 500))
def test_what_is_left_fits_and_none_of_it_is_older_than_what_goes(
    files: list[tuple[int, int]], limit: int
) -> None:
    gone = surplus(files, limit)
    left = [file for number, file in enumerate(files) if number not in gone]
    assert sum(size for _, size in left) <= limit
    if gone and left:
        assert max(files[number][0] for number in gone) <= min(used for used, _ in left)
    fits = sum(size for _, size in files) <= limit
    assert fits == (not gone)


def tidied() -> Tidied:
    return Tidied(path="/cache", user="ada", uid=1001)


def test_numbers_say_all_that_was_done() -> None:
    one, other = tidied(), tidied()
    one.is_there, one.freed, one.directories, one.left = True, 1, 2, 3
    one.left_space, one.foreign, one.failed, one.refused = 4, 5, 6, Refused.NO_ANSWER
    one.removed.update(dict.fromkeys(Why, 7))
    other.take(one.numbers())
    assert other == one
    assert (one.files, one.is_sound) == (7 * len(Why), False)
    assert one.as_json()["reasons"] == {why.value: 7 for why in Why}


@given(st.lists(st.integers(0, (1 << 64) - 1), min_size=13, max_size=13))
def test_any_numbers_can_be_taken(numbers: list[int]) -> None:
    one = tidied()
    assert len(one.numbers()) == 13
    one.take(numbers)
    assert one.as_json()["path"] == "/cache"


def test_a_cache_that_was_tidied_is_sound() -> None:
    one = tidied()
    assert (one.is_sound, one.files) == (True, 0)
    one.failed = 1
    assert not one.is_sound
    one.failed, one.refused = 0, Refused.LINK
    assert not one.is_sound
    assert one.as_json()["refused"] == "link"

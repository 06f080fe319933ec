"""The mapping from source to cache path is stock Python's, or there is none."""

import importlib.util
import sys
from os.path import normpath
from types import SimpleNamespace

import pytest
from hypothesis import assume, example, given

from pycache_sys_runtime import layout
from strategies import (
    cache_tags,
    components,
    directories,
    hostile_paths,
    optimizations,
    source_names,
    sources,
)

PREFIX = "/var/cache/python/3.11"
TAG = "cpython-311"


def stock(source: str, prefix: str, optimization: str) -> str:
    """Ask the running interpreter."""
    before = sys.pycache_prefix
    sys.pycache_prefix = prefix
    try:
        return importlib.util.cache_from_source(source, optimization=optimization)
    finally:
        sys.pycache_prefix = before


def running_tag() -> str:
    tag = sys.implementation.cache_tag
    assert tag is not None
    return tag


@given(sources, cache_tags, optimizations)
def test_every_absolute_source_has_a_cache_path(source: str, tag: str, optimization: str) -> None:
    assert layout.cache_path(source, PREFIX, tag, optimization) is not None


@given(sources, sources, optimizations, optimizations)
@example("/d/a.py", "/d/a.opt-1.py", "1", "")
@example("/d/a.cpython-311.py", "/d/a.py", "", "")
def test_two_sources_or_levels_never_share_a_cache_path(
    one: str, other: str, first: str, second: str
) -> None:
    assume((one, first) != (other, second))
    assert layout.cache_path(one, PREFIX, TAG, first) != layout.cache_path(
        other, PREFIX, TAG, second
    )


@given(sources, cache_tags, optimizations)
def test_a_cache_path_leads_back_to_its_source(source: str, tag: str, optimization: str) -> None:
    cached = layout.cache_path(source, PREFIX, tag, optimization)
    assert cached is not None
    assert layout.source_path(cached, PREFIX, tag) == (source, optimization)


@given(hostile_paths, optimizations)
@example("/../x/foo.py", "")
@example("/..//foo.py", "")
@example("/a/../../../../etc/foo.py", "")
def test_no_path_leaves_the_prefix(path: str, optimization: str) -> None:
    cached = layout.cache_path(path, PREFIX, TAG, optimization)
    assert cached is None or normpath(cached).startswith(PREFIX + "/")


@given(hostile_paths, optimizations)
@example("/usr//lib/foo.py", "")
@example("//usr/foo.py", "1")
@example("/usr/./foo.py", "2")
def test_an_answer_for_any_path_is_stock_pythons(path: str, optimization: str) -> None:
    cached = layout.cache_path(path, PREFIX, running_tag(), optimization)
    assert cached is None or cached == stock(path, PREFIX, optimization)


@given(sources, optimizations)
def test_the_answer_for_a_source_is_stock_pythons(source: str, optimization: str) -> None:
    assert layout.cache_path(source, PREFIX, running_tag(), optimization) == stock(
        source, PREFIX, optimization
    )


@given(sources)
def test_a_slash_after_the_prefix_changes_nothing(source: str) -> None:
    assert layout.cache_path(source, PREFIX + "/", TAG) == layout.cache_path(source, PREFIX, TAG)


@pytest.mark.parametrize(
    "path",
    [
        "foo.py",
        "lib/foo.py",
        "",
        "/",
        "/foo.py",
        "//foo.py",
        "/../x/foo.py",
        "/usr/../foo.py",
        "/usr/lib/..",
        "/usr/lib/foo.pyw",
        "/usr/lib/foo",
        "/usr/lib/.py",
        "/usr/lib/foo.PY",
        "/usr/li\0b/foo.py",
        "/usr/lib/fo\0o.py",
    ],
)
def test_where_stock_is_ambiguous_or_unsafe_there_is_no_cache_path(path: str) -> None:
    assert layout.cache_path(path, PREFIX, TAG) is None


@pytest.mark.parametrize(
    "cached",
    [
        "/var/cache/python/3.1/usr/foo.cpython-311.pyc",
        "/var/cache/python/3.110/usr/foo.cpython-311.pyc",
        PREFIX,
        PREFIX + "/foo.cpython-311.pyc",
        PREFIX + "/usr/../foo.cpython-311.pyc",
        PREFIX + "/usr/foo.pyc",
        PREFIX + "/usr/foo.cpython-311.py",
        PREFIX + "/usr/foo.cpython-31.pyc",
        PREFIX + "/usr/.cpython-311.pyc",
        PREFIX + "/usr/foocpython-311.pyc",
        PREFIX + "/usr/foo.cpython-311.opt-.pyc",
        PREFIX + "/usr/foo.cpython-311.opt-1.2.pyc",
        PREFIX + "/usr/foo.cpython-310.opt-1.pyc",
        PREFIX + "/usr/.cpython-311.opt-1.pyc",
        PREFIX + "/usr/foo.opt-1.pyc",
    ],
)
def test_what_we_would_not_have_named_has_no_source(cached: str) -> None:
    assert layout.source_path(cached, PREFIX, TAG) is None


@given(components, cache_tags)
def test_a_name_is_taken_for_ours_only_if_we_would_give_it(name: str, tag: str) -> None:
    named = layout.source_name(name + ".pyc", tag)
    assert named is None or layout.cache_name(named[0], tag, named[1]) == name + ".pyc"


@given(directories, source_names, optimizations)
def test_name_and_directory_make_the_path(directory: str, name: str, optimization: str) -> None:
    below = layout.cache_directory(directory, PREFIX)
    cached = layout.cache_name(name, TAG, optimization)
    assert (
        layout.cache_path(f"{directory}/{name}", PREFIX, TAG, optimization) == f"{below}/{cached}"
    )


@pytest.mark.parametrize(
    ("arguments", "free_threaded", "expected"),
    [
        (("cpython", 3, 8), False, "3.8"),
        (("cpython", 3, 13), True, "3.13t"),
        (("pypy", 3, 11), False, "pypy3.11"),
    ],
)
def test_each_kind_of_interpreter_has_its_own_folder(
    arguments: tuple[str, int, int], free_threaded: bool, expected: str
) -> None:
    assert layout.version_directory(*arguments, free_threaded=free_threaded) == expected
    if not free_threaded:
        assert layout.version_directory(*arguments) == expected


@pytest.mark.parametrize(
    ("implementation", "flags", "expected"),
    [
        ("cpython", {}, "3.13"),
        ("cpython", {"abiflags": ""}, "3.13"),
        ("cpython", {"abiflags": "t"}, "3.13t"),
        ("pypy", {}, "pypy3.13"),
    ],
)
def test_the_folder_names_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, implementation: str, flags: dict[str, str], expected: str
) -> None:
    fake = SimpleNamespace(
        version_info=(3, 13, 1), implementation=SimpleNamespace(name=implementation), **flags
    )
    monkeypatch.setattr(layout, "sys", fake)
    assert layout.running_version_directory() == expected

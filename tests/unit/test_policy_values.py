"""What each key's value may be, and which part of one that may not be is to blame."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pycache_sys.core.model import Invalidation
from pycache_sys.policy import values
from pycache_sys.policy.keys import KEYS, SECTIONS
from pycache_sys.policy.problems import Rejected, nearest
from pycache_sys.policy.values import Word, words
from pycache_sys_runtime import policy as runtime
from strategies import policy_values

T = TypeVar("T")
KNOWN = "known are {user_cache_dir} {runtime_dir} {cache_directory} {uid} {user}"


def attempt(read: Callable[[], T]) -> tuple[T | None, Rejected | None]:
    """Return what is read, or why it cannot be."""
    try:
        return read(), None
    except Rejected as error:
        return None, error


def rejected(key: str, value: str) -> tuple[str, str, str]:
    """Return why a value is rejected, the part that is to blame, and what to do."""
    with pytest.raises(Rejected) as caught:
        KEYS[key].parse(value)
    error = caught.value
    return str(error), value[error.start : error.start + error.length], error.hint


class TestWords:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("", []),
            (" \t ", []),
            ("a", [("a", 0)]),
            (" a\tb  c ", [("a", 1), ("b", 3), ("c", 6)]),
            ('"a b" c', [("a b", 1), ("c", 6)]),
            ('""', [("", 1)]),
            ('a"b c"', [('a"b', 0), ('c"', 4)]),
            ('"a""b"', [("a", 1), ("b", 4)]),
        ],
    )
    def test_a_list_is_divided_at_blanks_outside_of_quotes(
        self, value: str, expected: list[tuple[str, int]]
    ) -> None:
        assert list(words(value)) == expected

    def test_a_quote_is_closed(self) -> None:
        with pytest.raises(Rejected, match="not closed") as caught:
            list(words('a "b c'))
        assert (caught.value.start, caught.value.length) == (2, 4)

    @given(policy_values)
    def test_words_stand_where_they_say(self, value: str) -> None:
        found, error = attempt(lambda: list(words(value)))
        assert error is None or value[error.start] == '"'
        assert all(value[word.start :].startswith(word.text) for word in found or ())


class TestKeys:
    def test_every_key_is_under_its_name(self) -> None:
        assert all(name == key.name for name, key in KEYS.items())

    def test_every_default_can_be_read(self) -> None:
        for key in KEYS.values():
            key.parse(key.default)

    def test_start_ups_keys_are_all_there_with_the_same_default(self) -> None:
        assert {name: KEYS[name].default for name in runtime.DEFAULTS} == runtime.DEFAULTS

    def test_what_holds_for_the_whole_system_stands_in_no_section(self) -> None:
        assert {name for name in runtime.DEFAULTS if not KEYS[name].sections} == runtime.SYSTEM_WIDE

    def test_a_key_stands_somewhere(self) -> None:
        assert all(key.is_plain or key.sections for key in KEYS.values())
        assert all(key.sections <= set(SECTIONS) for key in KEYS.values())

    @given(st.sampled_from(sorted(KEYS)), policy_values)
    @example("exclude", "/srv/[a--c]")
    @example("exclude", "/srv/[]--]")
    @example("exclude", "/srv/[a||b&&c~~d[[e]")
    def test_any_value_is_read_or_a_part_of_it_is_to_blame(self, key: str, value: str) -> None:
        parsed, error = attempt(lambda: KEYS[key].parse(value))
        if error is None:
            assert not KEYS[key].is_list or isinstance(parsed, tuple)
        else:
            assert str(error)
            assert 0 <= error.start <= error.start + error.length <= len(value)


class TestWhatStartUpReadsToo:
    @pytest.mark.parametrize(
        ("key", "value", "message", "hint"),
        [
            ("enabled", "maybe", "'maybe' is neither yes nor no", ""),
            ("enabled", "YES", "'YES' is neither yes nor no", "did you mean 'yes'?"),
            ("export-prefix", "noo", "'noo' is neither yes nor no", "did you mean 'no'?"),
            ("explicit-prefix", "layers", "unknown explicit-prefix 'layers'",
             "did you mean 'layer'?"),
            ("explicit-prefix", "0", "unknown explicit-prefix '0'",
             "known are layer, exclusive, ignore"),
            ("service-uids", "9-1", "'9-1' is not a list of uids", "like 1-999 65534, or none"),
            ("system-tree", "off", "there is always a system tree",
             "'enabled = no' turns the hooks off"),
            ("system-tree", "srv", "'srv' is a relative path", "a path starts at /"),
            ("image-tree", "/a/../b", "'/a/../b' has a detour in it", "write /b"),
            ("image-tree", "//a", "'//a' has a detour in it", "write /a"),
            ("image-tree", "/a/./b//", "'/a/./b//' has a detour in it", "write /a/b"),
            ("system-tree", "/", "'/' is not a path for system-tree", ""),
            ("system-tree", "/a\x07", "'/a\\x07' is not a path for system-tree", ""),
            ("user-cache", "~/x", "'~/x' is a relative path",
             "there is no ~ here, for whose home would it be? For users' caches: auto"),
        ],
    )  # fmt: skip
    def test_it_is_said_why_a_value_is_not_understood(
        self, key: str, value: str, message: str, hint: str
    ) -> None:
        assert rejected(key, value) == (message, value, hint)

    @pytest.mark.parametrize(
        ("value", "placeholder", "hint"),
        [
            ("{user_cache}/x", "{user_cache}", "did you mean '{user_cache_dir}'?"),
            ("/x/{uid}/{name}", "{name}", KNOWN),
            ("/x/{}", "{}", KNOWN),
        ],
    )  # fmt: skip
    def test_an_unknown_placeholder_is_named(self, value: str, placeholder: str, hint: str) -> None:
        assert rejected("user-cache", value) == (
            f"unknown placeholder '{placeholder}'", placeholder, hint
        )  # fmt: skip

    @pytest.mark.parametrize(
        "value", ["{uid}", "/x/{uid", "/x/uid}", "/x/{runtime_dir}", "{uid}/."]
    )
    def test_a_placeholder_in_the_wrong_place_is_explained(self, value: str) -> None:
        message, part, hint = rejected("service-cache", value)
        assert message == f"{value!r} is not a path with placeholders"
        assert part == value
        assert "begins with {user_cache_dir}" in hint


class TestPaths:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("", ()),
            ("auto", ("auto",)),
            ("/srv/app /opt/*/lib/ auto", ("/srv/app", "/opt/*/lib", "auto")),
            ('"/srv/my app"', ("/srv/my app",)),
            ("/srv/[ab]?", ("/srv/[ab]?",)),
        ],
    )
    def test_roots(self, value: str, expected: tuple[str, ...]) -> None:
        assert values.roots(value) == expected

    @pytest.mark.parametrize(
        ("value", "message", "part", "hint"),
        [
            ("/a srv", "'srv' is a relative path", "srv", "a path starts at /"),
            ("/srv/**", "a root is not searched for: '**' is for 'exclude'", "/srv/**", ""),
            ("/a /", "'/' is no root: all of the system would be compiled", "/", ""),
            ("/a/../b", "'/a/../b' has a detour in it", "/a/../b", "write /b"),
            ('/a ""', "'' is a relative path", "", "a path starts at /"),
        ],
    )
    def test_what_is_no_root(self, value: str, message: str, part: str, hint: str) -> None:
        assert rejected("roots", value) == (message, part, hint)

    @pytest.mark.parametrize("value", ["/srv/*", "/srv/?", "/srv/[a]"])
    def test_a_section_is_for_one_root(self, value: str) -> None:
        with pytest.raises(Rejected, match="a section is for one root"):
            values.section_root(value)

    def test_a_sections_root_is_written_plainly(self) -> None:
        assert values.section_root("/srv/my app/") == "/srv/my app"
        with pytest.raises(Rejected, match="no root"):
            values.section_root("/")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("", ()),
            ("/srv/**/tests /opt/*.py", ("/srv/**/tests", "/opt/*.py")),
            ("/srv/x/", ("/srv/x",)),
            ("/srv/[!a-c]?", ("/srv/[!a-c]?",)),
            ("/", ("/",)),
        ],
    )
    def test_patterns(self, value: str, expected: tuple[str, ...]) -> None:
        assert values.patterns(value) == expected

    @pytest.mark.parametrize(
        ("value", "message", "part"),
        [
            ("/a tests", "'tests' is a relative path", "tests"),
            ("/a /b**/c", "'**' stands for whole directories", "/b**/c"),
            ("/a/../b", "'/a/../b' has a detour in it", "/a/../b"),
            ('""', "'' is a relative path", ""),
        ],
    )
    def test_what_is_no_pattern(self, value: str, message: str, part: str) -> None:
        assert rejected("exclude", value)[:2] == (message, part)


class TestWhatTheBuilderReads:
    @pytest.mark.parametrize(
        ("key", "value", "expected"),
        [
            ("interpreters", "auto", ("auto",)),
            ("interpreters", "3.12 >=3.11,<3.14 pypy", ("3.12", ">=3.11,<3.14", "pypy")),
            ("interpreters", "/opt/py/bin/python3 auto", ("/opt/py/bin/python3", "auto")),
            ("interpreters", '"/opt/my py/python"', ("/opt/my py/python",)),
            ("optimize", "2 0", (0, 2)),
            ("optimize", "0,1,2", (0, 1, 2)),
            ("optimize", "1 1", (1,)),
            ("invalidation", "checked-hash", Invalidation.CHECKED_HASH),
            ("jobs", "auto", None),
            ("jobs", "12", 12),
            ("max-files", "10000", 10000),
            ("max-files", "999999999", 999999999),
            ("cache-max-size", "none", None),
            ("cache-max-size", "512", 512),
            ("cache-max-size", "512K", 512 << 10),
            ("cache-max-size", "1 M", 1 << 20),
            ("cache-max-size", "2G", 2 << 30),
            ("cache-max-size", "3T", 3 << 40),
            ("cache-max-age", "none", None),
            ("cache-max-age", "60s", 60),
            ("cache-max-age", "2min", 120),
            ("cache-max-age", "12h", 43200),
            ("cache-max-age", "90d", 7776000),
            ("cache-max-age", "2w", 1209600),
            ("time-limit", "60 s", 60),
            ("triggers", "now", "now"),
            ("triggers", "off", "off"),
            ("triggers", "deferred", "deferred"),
            ("in-place", "keep", "keep"),
            ("in-place", "remove", "remove"),
            ("owner", "root", 0),
            ("owner", "1000", 1000),
        ],
    )
    def test_it_is_what_it_says(self, key: str, value: str, expected: object) -> None:
        assert KEYS[key].parse(value) == expected

    @pytest.mark.parametrize(
        ("key", "value", "message", "part", "hint"),
        [
            ("interpreters", "3.12 three", "'three' is neither a version specifier nor a path",
             "three", "versions look like 3.12, >=3.11,<3.14 (no blanks), pypy3.11"),
            ("interpreters", "bin/python3", "'bin/python3' is a relative path", "bin/python3",
             "a path starts at /"),
            ("interpreters", ">= 3.12", "'>=' is neither a version specifier nor a path", ">=",
             "versions look like 3.12, >=3.11,<3.14 (no blanks), pypy3.11"),
            ("optimize", "0,9", "unknown optimization level '9'", "9", "the levels are 0, 1, 2"),
            ("optimize", "0 1 two", "unknown optimization level 'two'", "two",
             "the levels are 0, 1, 2"),
            ("invalidation", "hashed", "unknown invalidation 'hashed'", "hashed",
             "did you mean 'checked-hash'?"),
            ("jobs", "0", "'0' is not a number from 1 up", "0", ""),
            ("jobs", "many", "'many' is not a number from 1 up", "many", ""),
            ("max-files", "1000000000", "'1000000000' is not a number from 1 up", "1000000000", ""),
            ("max-files", "٣", "'٣' is not a number from 1 up", "٣", ""),
            ("cache-max-size", "1X", "'1X' is not a bytes limit", "1X",
             "like 512K, 200M, 1G, or none"),
            ("cache-max-size", "G", "'G' is not a bytes limit", "G",
             "like 512K, 200M, 1G, or none"),
            ("cache-max-size", "0", "'0' is out of range", "0", "like 512K, 200M, 1G, or none"),
            ("cache-max-size", "9999999999T", "'9999999999T' is out of range", "9999999999T",
             "like 512K, 200M, 1G, or none"),
            ("cache-max-size", "1" * 16, f"'{'1' * 16}' is not a bytes limit", "1" * 16,
             "like 512K, 200M, 1G, or none"),
            ("cache-max-age", "60", "60 of what?", "60",
             "add a unit, like 60s, 10min, 12h, 90d, or none"),
            ("cache-max-age", "1 year", "'1 year' is not a time limit", "1 year",
             "like 60s, 10min, 12h, 90d, or none"),
            ("time-limit", "none", "a limit is needed here", "none", "like 60s"),
            ("time-limit", "0s", "'0s' is out of range", "0s",
             "like 60s, 10min, 12h, 90d, or none"),
            ("triggers", "of", "unknown triggers 'of'", "of", "did you mean 'off'?"),
            ("in-place", "removed", "unknown in-place 'removed'", "removed",
             "did you mean 'remove'?"),
            ("owner", "ghost", "there is no user 'ghost' here", "ghost", "a uid will do too"),
        ],
    )  # fmt: skip
    def test_or_the_part_that_is_wrong_is_named(
        self, key: str, value: str, message: str, part: str, hint: str
    ) -> None:
        assert rejected(key, value) == (message, part, hint)


def test_a_word_is_rejected_where_it_stands() -> None:
    error = Word("ada", 7).reject("who?", "eve")
    assert (str(error), error.hint, error.start, error.length) == ("who?", "eve", 7, 3)


def test_the_nearest_name_is_suggested_and_only_if_it_is_near() -> None:
    assert nearest("enabeld", KEYS) == "did you mean 'enabled'?"
    assert nearest("xyz", KEYS) == ""
    assert nearest("hashed", ["checked-hash"], cutoff=0.9) == ""

"""What an interpreter says of itself is believed in one form only."""

import os
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core.identity import believe, parse_answer
from pycache_sys.core.model import Interpreter, Reason, Refusal
from strategies import ANSWER, json_values

PATH = "/usr/bin/python3.11"
ROOTS = ("/usr", "/opt")


def test_an_honest_answer_is_believed() -> None:
    assert believe(PATH, ANSWER, ROOTS) == Interpreter(
        path=PATH,
        binary="/usr/bin/python3.11",
        version=(3, 11, 2),
        implementation="cpython",
        cache_tag="cpython-311",
        magic=b"\xa7\r\r\n",
        directory="3.11",
        environment="",
        library=("/usr/lib/python3.11", "/usr/lib/python3.11/lib-dynload"),
        site=("/usr/local/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages"),
    )


def assert_strict(result: Interpreter | Refusal) -> None:
    """See that what was believed can name folders, and be looked at, without harm."""
    if isinstance(result, Refusal):
        assert result.reason in (Reason.BROKEN, Reason.TOO_OLD, Reason.NO_CACHE_TAG)
        assert result.detail
        return
    assert result.version >= (3, 8)
    assert all(type(number) is int and 0 <= number < 1000 for number in result.version)
    assert result.implementation in ("cpython", "pypy")
    assert set(result.cache_tag) <= set(string.ascii_letters + string.digits + "-_")
    assert result.cache_tag
    assert len(result.magic) == 4
    assert result.magic.endswith(b"\r\n")
    assert "/" not in result.directory
    assert result.library
    for directory in (*result.library, *result.site):
        assert os.path.normpath(directory) == directory
        assert directory.startswith(("/usr/", "/opt/")) or directory in ROOTS
    for path in (*result.library, *result.site, *result.shared_objects, result.binary):
        assert path.startswith("/")
        os.fsencode(path)
        assert "\0" not in path


@given(st.dictionaries(st.sampled_from(sorted(ANSWER)), json_values, max_size=10))
def test_anything_else_is_refused_without_a_crash(answer: dict[str, Any]) -> None:
    assert_strict(believe(PATH, answer, ROOTS))


@given(
    st.dictionaries(
        st.sampled_from(sorted(ANSWER)),
        st.one_of(json_values, st.lists(st.text(max_size=8)), st.text(max_size=12)),
        min_size=1,
        max_size=3,
    )
)
def test_one_false_part_spoils_an_honest_answer_or_does_no_harm(changes: dict[str, Any]) -> None:
    assert_strict(believe(PATH, {**ANSWER, **changes}, ROOTS))


@given(st.sets(st.sampled_from(sorted(ANSWER)), min_size=1))
def test_a_missing_part_is_refused_unless_it_says_nothing(missing: set[str]) -> None:
    answer = {key: value for key, value in ANSWER.items() if key not in missing}
    result = believe(PATH, answer, ROOTS)
    assert_strict(result)
    assert isinstance(result, Refusal) or missing == {"executable"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": [3, 7, 17]}, Reason.TOO_OLD),
        ({"version": [2, 7, 18]}, Reason.TOO_OLD),
        ({"version": ["../../etc", 11, 2]}, Reason.BROKEN),
        ({"version": [3, True, 0]}, Reason.BROKEN),
        ({"cache_tag": None}, Reason.NO_CACHE_TAG),
        ({"cache_tag": "opt-1"}, Reason.BROKEN),
        ({"cache_tag": "a/b"}, Reason.BROKEN),
        ({"cache_tag": "é"}, Reason.BROKEN),
        ({"magic": "a70d0d0a0a"}, Reason.BROKEN),
        ({"magic": "a70d0a0d"}, Reason.BROKEN),
        ({"implementation": "ironpython"}, Reason.BROKEN),
        ({"library": ["/etc"]}, Reason.BROKEN),
        ({"library": "/usr"}, Reason.BROKEN),
        ({"library": "///", "site": []}, Reason.BROKEN),
        ({"site": {"/usr": 1}}, Reason.BROKEN),
        ({"binary": "python"}, Reason.BROKEN),
        ({"binary": "/\ud800"}, Reason.BROKEN),
    ],
)
def test_lies_are_refused_for_what_they_are(changes: dict[str, Any], reason: Reason) -> None:
    roots = ("/",) if "site" in changes else ROOTS
    result = believe(PATH, {**ANSWER, **changes}, roots)
    assert isinstance(result, Refusal)
    assert result.reason is reason


def test_directories_are_cut_down_to_the_managed_roots() -> None:
    answer = {**ANSWER, "site": ["/etc/x", "/usr/../etc", "/usr/lib/y", "/opt", "/home/u/lib"]}
    result = believe(PATH, answer, ROOTS)
    assert isinstance(result, Interpreter)
    assert result.site == ("/usr/lib/y", "/opt")


def test_a_free_threaded_interpreter_has_a_folder_of_its_own() -> None:
    result = believe(PATH, {**ANSWER, "free_threaded": True}, ROOTS)
    assert isinstance(result, Interpreter)
    assert result.directory == "3.11t"


def fenced(text: str) -> bytes:
    return f"\n<<<pycache-sys identify\n{text}\npycache-sys identify>>>\n".encode()


def test_an_answer_is_found_among_noise() -> None:
    answer = parse_answer(b"hello\n" + fenced(ascii(ANSWER)) + b"bye\n")
    assert answer == ANSWER


@pytest.mark.parametrize(
    "output",
    [
        b"",
        ascii(ANSWER).encode(),
        fenced(ascii(ANSWER)).rpartition(b"\n")[0],
        fenced(ascii(ANSWER))[1:],
        *map(fenced, ("[]", "{[]: 1}", "{{1}}", "(" * 50_000, "__import__('os')", "\xe9", "")),
    ],
)
def test_anything_else_is_no_answer(output: bytes) -> None:
    assert parse_answer(output) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert isinstance(parse_answer(fenced(text.encode("ascii", "replace").decode())), dict | None)

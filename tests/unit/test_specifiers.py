"""``--python`` reads versions as a person writes them."""

import pytest

from pycache_sys.core.errors import ExitStatus, UsageError
from pycache_sys.core.model import Interpreter
from pycache_sys.core.specifiers import parse_specifier

CPYTHON = Interpreter(
    path="/usr/bin/python3.11",
    binary="/usr/bin/python3.11",
    version=(3, 11, 2),
    implementation="cpython",
    cache_tag="cpython-311",
    magic=b"\xa7\r\r\n",
    directory="3.11",
    environment="",
    library=("/usr/lib/python3.11",),
    site=(),
)
PYPY = CPYTHON._replace(implementation="pypy")


@pytest.mark.parametrize(
    "text",
    [
        "3.11",
        "3",
        "3.11.2",
        "3.11.*",
        ">=3.8",
        ">=3.11,<3.14",
        "python3.11",
        "cpython",
        "",
        " 3.11 ",
    ],
)
def test_admits(text: str) -> None:
    assert parse_specifier(text).admits(CPYTHON)


@pytest.mark.parametrize(
    "text", ["3.1", "3.12", "3.11.1", "3.10.*", "<3.11", "pypy", "pypy3.11", "python3.12"]
)
def test_does_not_admit(text: str) -> None:
    assert not parse_specifier(text).admits(CPYTHON)


def test_an_implementation_is_chosen_by_its_name_and_none_by_a_bare_version() -> None:
    assert parse_specifier("pypy3.11").admits(PYPY)
    assert parse_specifier("3.11").admits(PYPY)
    assert not parse_specifier("python3.11").admits(PYPY)


@pytest.mark.parametrize("text", ["three", "python three", "=", "3.x", "python3.11-config"])
def test_nonsense_is_a_usage_error_with_a_way_out(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_specifier(text)
    assert repr(text) in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_status is ExitStatus.USAGE

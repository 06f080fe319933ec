"""Version specifiers without a library mean what they mean with one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core.errors import UsageError
from pycache_sys.core.specifiers import parse_specifier
from pycache_sys_runtime.pythons import ONE_PYTHON, SEVERAL_PYTHONS, match_python
from strategies import specifiers

MINE = ("cpython", (3, 12, 4))


@pytest.mark.parametrize(
    "text",
    [
        "3.12",
        "3",
        "3.12.4",
        "3.12.*",
        "==3.12.*",
        "== 3.12.4",
        "cpython3.12",
        "python 3.12.4",
        "==3.*",
    ],
)
def test_one_python_is_more_specific(text: str) -> None:
    assert match_python(text, *MINE) == ONE_PYTHON


@pytest.mark.parametrize(
    "text",
    ["cpython", "python", ">=3.12", ">3.12", ">=3.8,<3.13", "==3.12.*,!=3.12.5", "~=3.8",
     "!=3.11.*", "cpython >= 3.12 , < 4", "<=3.12.4", "~=3.12.2"],
)  # fmt: skip
def test_than_several(text: str) -> None:
    assert match_python(text, *MINE) == SEVERAL_PYTHONS


@pytest.mark.parametrize(
    "text",
    ["pypy", "pypy3.12", "3.1", "3.12.3", ">3.12.4", "<3.12", ">=3.8,<3.12", "==3.12", "!=3.12.4",
     "~=3.11.2", "~=3.12.5", "pypy>=3", "2"],
)  # fmt: skip
def test_one_that_does_not_fit_is_told(text: str) -> None:
    assert match_python(text, *MINE) == -1


@pytest.mark.parametrize(
    "text",
    ["", " ", "three", "3.x", "3.", ".3", "3.12.4.1", ">=", ">=3.12.*", "~=3", "~=3.*", "=3.12",
     "===3.12", "3,4", ">=3.8,", ",", "3.12rc1", "v3", "²", "==٣", "3.123456", "pythonic", "PyPy",
     "pypy,cpython", ">=3.8 <3.12", "*", "==*", "3.*.1", "pypy three"],
)  # fmt: skip
def test_what_is_not_understood_is_told_from_what_does_not_fit(text: str) -> None:
    assert match_python(text, *MINE) == -2
    assert match_python(text, "pypy", (2, 0, 0)) == -2


versions = st.tuples(st.integers(2, 4), st.integers(0, 14), st.integers(0, 12))


@given(specifiers, st.sampled_from(["cpython", "pypy"]), versions)
def test_packaging_agrees(text: str, implementation: str, version: tuple[int, int, int]) -> None:
    rest = text.removeprefix("cpython").removeprefix("python").removeprefix("pypy")
    found = match_python(text, implementation, version)
    try:
        specifier = parse_specifier(text)
    except UsageError:
        assert found == -2
        return
    admitted = specifier.implementation in ("", implementation) and specifier.versions.contains(
        ".".join(map(str, version)), prereleases=True
    )
    if found == -2:  # stricter only where nobody would look for it
        assert not rest.strip() or rest.count(".") > 2 or rest.strip().endswith(",")
    else:
        assert (found > 0) is admitted


@given(st.text(st.sampled_from("3.12*<>=!~, pypcthon0"), max_size=14), versions)
def test_any_text_is_answered_and_never_against_packaging(
    text: str, version: tuple[int, int, int]
) -> None:
    found = match_python(text, "cpython", version)
    assert found in (-2, -1, SEVERAL_PYTHONS, ONE_PYTHON)
    if found != -2:
        specifier = parse_specifier(text)
        assert (found > 0) is (
            specifier.implementation in ("", "cpython")
            and specifier.versions.contains(".".join(map(str, version)), prereleases=True)
        )

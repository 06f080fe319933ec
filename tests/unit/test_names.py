"""How interpreters, their folders and their cache tags are named."""

import pytest

from pycache_sys.core import names


@pytest.mark.parametrize(
    "name", ["python3.8", "python3.11", "python3.13t", "pypy3", "pypy3.9", "pypy3.11"]
)
def test_interpreters_are_known_by_name(name: str) -> None:
    assert names.is_interpreter_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "python3",
        "python2.7",
        "python3.11-config",
        "python3.",
        "python3.t",
        "pypy",
        "",
        "x",
    ],
)
def test_other_programs_are_not_taken_for_interpreters(name: str) -> None:
    assert not names.is_interpreter_name(name)


@pytest.mark.parametrize(
    ("program", "folder", "tag"),
    [
        ("python3.9", "3.9", "cpython-39"),
        ("python3.13t", "3.13t", "cpython-313"),
        ("pypy3.9", "pypy3.9", "pypy39"),
        ("pypy3", "pypy3", None),
    ],
)
def test_a_programs_name_gives_its_folder_and_the_folder_its_tag(
    program: str, folder: str, tag: str | None
) -> None:
    assert names.folder_of(program) == folder
    assert names.tag_of(folder) == tag


@pytest.mark.parametrize(
    "name", ["", "3", "3.", ".9", "3.9.1", "x3.9", "3.x", "lost+found", "pypy"]
)
def test_a_folder_that_is_no_interpreters_has_no_tag(name: str) -> None:
    assert names.tag_of(name) is None

"""What package managers write on standard input, and what is taken of it."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.system.listing import read_listing


def read(text: bytes, separator: bytes = b"\n") -> frozenset[str]:
    return read_listing(io.BytesIO(text), separator)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\n",
        b"/usr/lib/python3\n/usr/lib/python3/README\n/usr/lib/python3/a.pyc\n",
        b"/usr/lib/python3/a.py/\n",
        b"\0" * 10,
    ],
)
def test_what_is_no_source_is_passed_over(text: bytes) -> None:
    assert read(text) == frozenset()


def test_the_last_line_needs_no_end() -> None:
    assert read(b"/nowhere/a.py\n/nowhere/b.py") == {"/nowhere/a.py", "/nowhere/b.py"}


def test_names_with_newlines_need_nul() -> None:
    assert read(b"/nowhere/a\nb.py\0/nowhere/c.py\0", b"\0") == {
        "/nowhere/a\nb.py",
        "/nowhere/c.py",
    }


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    assert read(b"/nowhere/\xff.py\n") == {os.fsdecode(b"/nowhere/\xff.py")}


def test_a_path_without_a_slash_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(b"usr/lib/a.py\n") == {f"{tmp_path.resolve()}/usr/lib/a.py"}


def test_a_source_counts_under_its_real_directory_too(tmp_path: Path) -> None:
    (tmp_path / "usr" / "lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    named = f"{tmp_path}/lib/a.py"
    assert read(named.encode()) == {named, f"{tmp_path.resolve()}/usr/lib/a.py"}


@given(st.lists(st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"x")), max_size=40))
def test_no_split_of_what_is_read_loses_a_path(names: list[bytes]) -> None:
    class Drop(io.BytesIO):
        """A pipe that gives a byte at a time."""

        def read(self, size: int | None = -1) -> bytes:
            return super().read(1 if size else 0)

    paths = [b"/nowhere/" + name.replace(b"/", b"_") + b".py" for name in names]
    text = b"\0".join(paths)
    assert read_listing(Drop(text), b"\0") == read(text, b"\0") == set(map(os.fsdecode, paths))

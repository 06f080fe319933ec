"""Magic numbers of Pythons that are not installed."""

import importlib.util
import sys

import pytest

from pycache_sys.core.magic import version_of


@pytest.mark.parametrize(
    ("number", "version"),
    [
        (62_211, "2.7"),
        (3379, "3.6"),
        (3394, "3.7"),
        (3413, "3.8"),
        (3425, "3.9"),
        (3439, "3.10"),
        (3495, "3.11"),
        (3531, "3.12"),
        (3571, "3.13"),
        (3627, "3.14"),
        (336, ""),
        (3350, ""),
        (40_000, ""),
    ],
)
def test_releases(number: int, version: str) -> None:
    assert version_of(number.to_bytes(2, "little") + b"\r\n") == version


def test_the_running_interpreter_knows_itself() -> None:
    here = "{}.{}".format(*sys.version_info)
    assert version_of(importlib.util.MAGIC_NUMBER) in (here, "")


@pytest.mark.parametrize("magic", [b"", b"abc", b"\x00\x0d\x00\x00", b"\x00\x0d\r\n\x00"])
def test_what_is_no_magic_number(magic: bytes) -> None:
    assert version_of(magic) == ""

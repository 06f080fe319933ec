"""Headers are PEP 552's, as importlib writes and reads them."""

import importlib.util
import os
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pycache_sys.core import pyc
from pycache_sys.core.model import Invalidation
from strategies import SECOND, stamps, status

stock = import_module("importlib._bootstrap_external")
MAGIC = importlib.util.MAGIC_NUMBER
CODE = compile("x = 1", "<test>", "exec")
FLATTENED = 315_619_200 * SECOND


@given(stamps, st.integers(0, 1 << 34))
@example(-1, 0)
@example(-1_500_000_000, 1)
@example((1 << 32) * SECOND + 5, 1 << 32)
@example(1_700_000_000 * SECOND + 999_999_999, 3)
def test_a_timestamp_header_is_importlibs(mtime: int, size: int) -> None:
    source = status(mtime=mtime, size=size)
    whole = bytes(stock._code_to_timestamp_pyc(CODE, int(source.st_mtime), size))
    assert pyc.start(MAGIC, pyc.TIMESTAMP) + pyc.timestamp_fields(source) == whole[:16]


@pytest.mark.parametrize("mtime", [-5, 0, 1_600_000_000 * SECOND + 999_999_999, 2**32 * SECOND])
def test_the_fake_status_is_the_systems(tmp_path: Path, mtime: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12")
    os.utime(path, ns=(mtime, mtime))
    real = path.stat()
    fake = status(mtime=real.st_mtime_ns, size=2)
    assert (fake.st_mtime, fake.st_mtime_ns) == (real.st_mtime, real.st_mtime_ns)


@pytest.mark.parametrize(("flags", "checked"), [(pyc.CHECKED_HASH, True), (1, False)])
def test_a_hash_header_is_importlibs(flags: int, checked: bool) -> None:
    source_hash = importlib.util.source_hash(b"x = 1")
    whole = bytes(stock._code_to_hash_pyc(CODE, source_hash, checked))
    assert pyc.start(MAGIC, flags) + source_hash == whole[:16]


@pytest.mark.parametrize(
    ("invalidation", "mtime", "flags"),
    [
        (Invalidation.AUTO, FLATTENED, pyc.TIMESTAMP),
        (Invalidation.AUTO, FLATTENED - SECOND, pyc.CHECKED_HASH),
        (Invalidation.AUTO, 0, pyc.CHECKED_HASH),
        (Invalidation.AUTO, -SECOND, pyc.CHECKED_HASH),
        (Invalidation.TIMESTAMP, 0, pyc.TIMESTAMP),
        (Invalidation.CHECKED_HASH, FLATTENED, pyc.CHECKED_HASH),
        (Invalidation.UNCHECKED_HASH, FLATTENED, pyc.UNCHECKED_HASH),
    ],
)
def test_auto_hashes_where_mtimes_say_nothing(
    invalidation: Invalidation, mtime: int, flags: int
) -> None:
    assert pyc.flags(invalidation, status(mtime=mtime)) == flags


def test_a_whole_pyc_is_well_formed() -> None:
    whole = bytes(stock._code_to_timestamp_pyc(CODE, 1, 2))
    assert pyc.is_well_formed(whole, whole[:16])
    assert pyc.is_well_formed(whole, whole[:8])


@pytest.mark.parametrize(
    "file", [b"", b"h" * 15, b"h" * 16, b"h" * 16 + b"i\0\0\0\0", b"H" + b"h" * 15 + b"\xe3"]
)
def test_anything_else_is_not(file: bytes) -> None:
    assert not pyc.is_well_formed(file, b"h" * 16)

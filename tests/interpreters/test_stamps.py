"""Modification times that lie, and the ways to tell which source bytecode belongs to."""

import os
import sys
from pathlib import Path

import pytest

from interpreters.builder import FOLDER, Builder, matches, stock_import

SECOND = 1_000_000_000
FLAGS = {"timestamp": 0, "unchecked-hash": 1, "checked-hash": 3}


def flags(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[4:8], "little")


def assert_stock_takes_it(builder: Builder, source: Path) -> None:
    entry = builder.cached(source)
    before = entry.read_bytes()
    _, said = stock_import(sys.executable, builder.tree / FOLDER, builder.sources, [source.stem])
    assert matches(said, entry, source)
    assert entry.read_bytes() == before


@pytest.mark.parametrize(
    "mtime",
    [
        -SECOND,
        -1_500_000_001,
        -(1 << 32) * SECOND,
        0,
        1,
        315_619_199 * SECOND,
        315_619_200 * SECOND,
        1_600_000_000 * SECOND + 999_999_999,
        (1 << 31) * SECOND + 1,
        (1 << 32) * SECOND,
        (1 << 32) * SECOND + 5 * SECOND + 999_999_999,
    ],
)
@pytest.mark.parametrize("invalidation", ["auto", "timestamp"])
def test_no_modification_time_is_an_error(builder: Builder, mtime: int, invalidation: str) -> None:
    source = builder.write("a.py")
    os.utime(source, ns=(mtime, mtime))
    run = builder.build("--invalidation", invalidation)
    assert (run.status, run.outcomes, run.summary) == (0, [], (1, 0, 0))
    entry = builder.cached(source)
    assert entry.stat().st_mtime_ns == source.stat().st_mtime_ns
    expected = 3 if invalidation == "auto" and mtime < 315_619_200 * SECOND else 0
    assert flags(entry) == expected
    assert_stock_takes_it(builder, source)
    if invalidation == "auto":
        assert builder.build().summary == (0, 1, 0)


def test_an_edit_under_a_flattened_mtime_is_seen_by_its_hash(builder: Builder) -> None:
    source = builder.write("a.py", "x = 1\n")
    other = builder.write("b.py", "x = 1\n")
    for path in (source, other):
        os.utime(path, ns=(0, 0))
    assert builder.build("--optimize", "0,1").summary == (2, 0, 0)
    source.write_text("x = 2\n")
    os.utime(source, ns=(0, 0))
    for path in (builder.cached(source), builder.cached(source, "1")):
        os.utime(path, ns=(0, 0))  # younger than the edit: only the hash can tell
    assert builder.build("--optimize", "0,1").summary == (1, 1, 0)
    assert_stock_takes_it(builder, source)
    assert builder.build("--optimize", "0,1").summary == (0, 2, 0)


@pytest.mark.parametrize("invalidation", list(FLAGS))
def test_each_invalidation_is_what_it_says(builder: Builder, invalidation: str) -> None:
    source = builder.write("a.py")
    assert builder.build().summary == (1, 0, 0)
    changed = 0 if invalidation == "timestamp" else 1
    assert builder.build("--invalidation", invalidation).summary == (changed, 1 - changed, 0)
    assert flags(builder.cached(source)) == FLAGS[invalidation]
    assert builder.build("--invalidation", invalidation).summary == (0, 1, 0)
    _, said = stock_import(sys.executable, builder.tree / FOLDER, builder.sources, ["a"])
    assert matches(said, builder.cached(source), source)


@pytest.mark.parametrize(("options", "expected"), [((), 3), (("--invalidation", "timestamp"), 0)])
def test_source_date_epoch_asks_for_hashes_unless_somebody_says_otherwise(
    builder: Builder, options: tuple[str, ...], expected: int
) -> None:
    source = builder.write("a.py")
    stamped = builder.environment | {"SOURCE_DATE_EPOCH": "1600000000"}
    assert builder.build(*options, env=stamped).summary == (1, 0, 0)
    assert flags(builder.cached(source)) == expected
    assert builder.build(*options, env=stamped).summary == (0, 1, 0)


def test_a_touched_source_is_compiled_again(builder: Builder) -> None:
    source = builder.write("a.py")
    builder.build()
    os.utime(source, ns=(5_000 * SECOND * 100_000, 5_000 * SECOND * 100_000))
    assert builder.build().summary == (1, 0, 0)
    os.chmod(source, 0o600)
    assert builder.build().summary == (1, 0, 0)
    assert builder.cached(source).stat().st_mode & 0o777 == 0o600
    assert builder.build().summary == (0, 1, 0)

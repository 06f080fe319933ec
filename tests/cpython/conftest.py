"""The machine with both copies of each interpreter, and a table of what was run."""

import os
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from cpython.comparison import Comparison
from cpython.copies import Pair, find_prefix, machine, make_pair
from security.namespace import private_mounts

TABLE = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def pair_of() -> Iterator[Callable[[str], Pair]]:
    """Give a function that makes the pair of a version, once, or skips the test."""
    if os.geteuid():
        pytest.skip("mounts, and a system tree: run these as root")

    @cache
    def pair_of(version: str) -> Pair | None:
        prefix = find_prefix(version)
        return None if prefix is None else make_pair(version, prefix)

    def give(version: str) -> Pair:
        pair = pair_of(version)
        if pair is None:
            pytest.skip(f"no CPython {version} with its tests in pyenv")
        return pair

    before = os.umask(0o022)
    try:
        with private_mounts(), machine():
            yield give
    finally:
        os.umask(before)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[Pair, str, Comparison], None]:
    """Give a function that puts a module's figures into the table."""

    def tell(pair: Pair, module: str, result: Comparison) -> None:
        off, on = result.seconds
        differing = (("differ as listed", result.meant), ("DIFFER", result.found))
        parts = [f"{len(some)} {what}" for what, some in differing if some]
        if result.unsteady:
            parts.append("unsteady: " + ", ".join(one.test for one in result.unsteady))
        parts += [f"hung: {hang}" for hang in pair.hangs if hang.startswith(f"{module} ")]
        line = (
            f"{pair.version:5} {module:36} {result.tests:5} {result.skipped:5} {off:7.1f} {on:7.1f}"
        )
        request.config.stash.setdefault(TABLE, []).append(f"{line}  {'; '.join(parts)}")

    return tell


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    lines = config.stash.get(TABLE, [])
    if lines:
        terminalreporter.section("CPython's own tests")
        heading = ("module", "tests", "skip", "s off", "s on")
        terminalreporter.write_line("{:5} {:36} {:>5} {:>5} {:>7} {:>7}".format("", *heading))
        for line in lines:
            terminalreporter.write_line(line)

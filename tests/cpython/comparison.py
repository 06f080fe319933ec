"""What differs between a run with the hook and one without, and what is meant to."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cpython.copies import Run

LIST = Path(__file__).with_name("differences.toml")
MORE_ROUNDS = 2
"""How often both are run again before a difference is believed that the list does not have."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A test that comes out otherwise with the hook, and what was said of it there."""

    test: str
    off: tuple[str, ...]
    on: tuple[str, ...]
    words: str = ""

    def __str__(self) -> str:
        words = self.words.rstrip().replace("\n", "\n    ")
        outcomes = f"{', '.join(self.off) or 'no result'} -> {', '.join(self.on) or 'no result'}"
        return f"{self.test}: {outcomes} with the hook\n    {words}"


@dataclass(frozen=True, kw_only=True)
class Meant:
    """Why a test is meant to differ, and what its failure then says in its last line."""

    reason: str
    says: Sequence[str]


@dataclass(kw_only=True)
class Comparison:
    """One module's tests, with the hook and without."""

    tests: int
    skipped: int
    seconds: tuple[float, float]
    """Without the hook, with it."""
    meant: list[Difference] = field(default_factory=list)
    found: list[Difference] = field(default_factory=list)
    """What the list does not have, or not with these words."""
    unsteady: list[Difference] = field(default_factory=list)
    """What came out alike when it was run again."""
    stale: list[str] = field(default_factory=list)
    """What the list has, and does not differ."""


def read_list(version: str, module: str) -> dict[str, Meant]:
    """Read which tests of a module are meant to differ."""
    entries = tomllib.loads(LIST.read_text(encoding="utf-8"))["difference"]
    meant: dict[str, Meant] = {}
    for entry in entries:
        for test in entry["tests"]:
            if version in entry["versions"] and test.startswith(f"test.{module}."):
                assert test not in meant, f"{test} is listed twice"
                meant[test] = Meant(reason=entry["reason"], says=entry["says"])
    return meant


def differences(off: Run, on: Run) -> dict[str, Difference]:
    """Compare two runs, test by test."""
    found = {}
    for test in sorted({*off.outcomes, *on.outcomes}):
        before = tuple(sorted(off.outcomes.get(test, ())))
        after = tuple(sorted(on.outcomes.get(test, ())))
        if before != after:
            words = "\n".join((on.words.get(test) or off.words.get(test) or [""])[:1])
            found[test] = Difference(test=test, off=before, on=after, words=words)
    return found


def compare(run: Callable[[], tuple[Run, Run]], meant: Mapping[str, Meant]) -> Comparison:
    """Run a module on both, again where that brings something unexpected, and sort it out."""
    off, on = run()
    differing = differences(off, on)
    result = Comparison(
        tests=sum(map(len, off.outcomes.values())),
        skipped=sum(outcomes.count("skipped") for outcomes in off.outcomes.values()),
        seconds=(off.seconds, on.seconds),
        stale=sorted(meant.keys() - differing.keys()),
    )
    unexpected = {}
    for test, difference in differing.items():
        if test in meant and is_meant(difference, meant[test]):
            result.meant.append(difference)
        else:
            unexpected[test] = difference
    again: set[str] = set()
    for _ in range(MORE_ROUNDS if unexpected else 0):
        again |= differences(*run()).keys()
    for test, difference in unexpected.items():
        (result.found if test in again else result.unsteady).append(difference)
    return result


def is_meant(difference: Difference, meant: Meant) -> bool:
    """Tell whether a test fails in the way that the list describes."""
    last = (difference.words.rstrip().splitlines() or [""])[-1]
    return set(difference.off) == {"passed"} and any(words in last for words in meant.says)

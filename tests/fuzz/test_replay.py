"""Every seed, and every input that once broke a law, keeps all of them."""

from pathlib import Path

import pytest

from fuzz.invariants import check
from pycache_sys_runtime import policy as runtime

INPUTS = sorted(
    path for folder in ("seeds", "crashers") for path in Path(__file__).with_name(folder).iterdir()
)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_keeps_the_laws(path: Path) -> None:
    check(path.read_bytes())


@pytest.mark.parametrize(
    "line",
    [
        "[user {0}]\nenabled = no\n",
        "[root /srv/{0}]\nin-place = keep\n",
        "[root /srv/{0}]\nowner = 5\nexclude = /srv/{0}/tests\n",
        "roots = /srv/{0}\n",
        "exclude = /srv/{0}\n",
    ],
)
def test_a_long_policy_takes_no_time(line: str) -> None:
    lines = "".join(line.format(number) for number in range(runtime.SIZE_LIMIT // len(line) - 1000))
    check(lines[: runtime.SIZE_LIMIT].encode(), stretch=False)


def test_a_long_line_with_many_problems_is_not_drawn_each_time() -> None:
    check(b"[user " + b"nobody " * 9000 + b"]\n", stretch=False)

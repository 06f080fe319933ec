"""Every interpreter of the machine, once, as a parameter with its version for a name."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from interpreters.builder import Builder, environment

_NAME = re.compile(r"python(2\.7|3\.\d+t?)|pypy3(\.\d+)?")
_PROBE = (
    "import sys; i = getattr(sys, 'implementation', None); "
    "print('%s %d %d %d %s' % ((i.name if i else 'cpython',) + tuple(sys.version_info[:3])"
    " + (sys.executable,)))"
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """An interpreter of this machine."""

    path: str
    implementation: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return self.implementation + ".".join(map(str, self.version))


def _directories() -> Iterator[str]:
    yield from ("/usr/bin", "/usr/local/bin")
    homes = [os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv")]
    for home in filter(None, homes):
        yield from sorted(map(str, Path(home, "versions").glob("*/bin")))
    for directory in os.environ.get("PATH", "").split(":"):
        if directory.startswith("/") and not directory.endswith("/shims"):
            yield directory


def _candidates() -> Iterator[str]:
    yield os.path.realpath(sys.executable)
    for directory in dict.fromkeys(_directories()):
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        yield from (f"{directory}/{name}" for name in names if _NAME.fullmatch(name))


@cache
def find() -> list[Found]:
    """List the interpreters that start, the running one first, each once."""
    found: dict[str, Found] = {}
    for path in _candidates():
        if os.path.realpath(path) in found:
            continue
        try:
            done = subprocess.run(
                [path, "-B", "-S", "-E", "-c", _PROBE],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
                env=environment(),
            )
        except (OSError, subprocess.SubprocessError):
            continue
        implementation, major, minor, micro, _ = done.stdout.split(maxsplit=4)
        version = (int(major), int(minor), int(micro))
        found[os.path.realpath(path)] = Found(
            path=path, implementation=implementation, version=version
        )
    return list(found.values())


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of tests that have a command of their own."""
    config.addinivalue_line("markers", "soak: many minutes for one test; only with -m soak")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what takes many minutes, unless it is asked for."""
    here = Path(__file__).parent
    if "soak" in config.getoption("markexpr", default=""):
        return
    long = [i for i in items if i.get_closest_marker("soak") and i.path.is_relative_to(here)]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize by what is there."""
    usable = [one for one in find() if one.version >= (3, 8)]
    too_old = [one for one in find() if (3, 0) <= one.version < (3, 8)]
    if "interpreter" in metafunc.fixturenames:
        metafunc.parametrize("interpreter", usable, ids=str, scope="session")
    if "too_old" in metafunc.fixturenames:
        metafunc.parametrize("too_old", too_old, ids=str, scope="session")
    if "ancient" in metafunc.fixturenames:
        ancient = [one for one in find() if one.version < (3, 8)]
        metafunc.parametrize("ancient", ancient, ids=str, scope="session")


@pytest.fixture
def each(interpreter: Found, tmp_path: Path) -> Builder:
    """Give a builder for each interpreter of the machine."""
    tmp_path.chmod(0o755)
    return Builder(folder=tmp_path, python=interpreter.path)

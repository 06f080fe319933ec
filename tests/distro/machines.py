"""Chroots for the start-up hook: more packages, accounts, the product, a tree, and the hook."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from distro.chroots import Chroot, Image, image_of
from distro.debian import DIST_PACKAGES, SUITES, Interpreter, Suite
from distro.layers import INSTALL, NO_SERVICES, installable, layer_on, scratch_folder
from distro.product import COMMAND, add_account, install, rebuild_all

USER = 1000
"""An ordinary account, with a home."""
HOME = "/home/alice"
SERVICE = 33
"""Debian's ``www-data``: a service's account, whose home is not its own."""

IN_THE_TREE = ("django", "idna", "jinja2", "markupsafe", "requests", "urllib3", "yaml")
"""The packages that are in the tree beside the standard libraries; ``click`` is in none."""

BOOKWORM, TRIXIE, SID = SUITES
PACKAGES: Mapping[str, tuple[str, ...]] = {
    BOOKWORM.name: ("python3.11-venv", "bubblewrap"),
    TRIXIE.name: (
        "python3.13-venv",
        "pypy3-venv",
        "apache2",
        "libapache2-mod-wsgi-py3",
        "uwsgi-core",
        "uwsgi-plugin-python3",
        "gdb",
        "bubblewrap",
        "systemd-sysv",
    ),
    SID.name: ("python3.14-venv", "python3.15-venv"),
}
"""What the hook's tests need besides the packages of each suite."""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter, and the release that has it."""

    suite: Suite
    interpreter: Interpreter

    def __str__(self) -> str:
        return self.interpreter.directory

    @property
    def command(self) -> str:
        """Name the program."""
        return self.interpreter.command

    @property
    def folder(self) -> str:
        """Name its folder below a tree."""
        return self.interpreter.directory

    @property
    def is_pypy(self) -> bool:
        """Tell what it is not: CPython."""
        return self.folder.startswith("pypy")

    @property
    def version(self) -> tuple[int, int]:
        """Return the version of the language."""
        major, _, minor = self.folder.removeprefix("pypy").partition(".")
        return int(major), int(minor)

    def own(self, source: str, level: str = "", *, top: str = f"{HOME}/.cache/pycache-sys") -> str:
        """Say where a user's own cache has the bytecode of a source."""
        mark = f".opt-{level}" if level else ""
        name = f"{source.removesuffix('.py')}.{self.interpreter.cache_tag}{mark}.pyc"
        return f"{top}/{self.folder}{name}"


PYTHONS = tuple(Python(suite, one) for suite in SUITES for one in suite.interpreters)
every_python = pytest.mark.parametrize("python", PYTHONS, ids=str)


@dataclass(slots=True)
class Machines:
    """The images that tests copy, each made when the first test asks for it."""

    wheel: Path
    keep: ExitStack
    made: dict[tuple[str, bool], Image] = field(default_factory=dict)

    def image(self, suite: Suite, *, hooked: bool) -> Image:
        """Return a machine with the product and its tree; ``hooked``: after ``enable``."""
        key = (suite.name, hooked)
        if key not in self.made:
            below = self.image(suite, hooked=False) if hooked else with_packages(suite)
            folder = self.keep.enter_context(scratch_folder())
            with below.running(folder) as chroot:
                if hooked:
                    chroot.run(COMMAND, "enable")
                else:
                    install(self.wheel, chroot)
                    add_account(chroot)
                    add_user(chroot)
                    rebuild_all(chroot, *in_the_tree(suite))
            self.made[key] = below.topped_by(folder)
        return self.made[key]

    @contextmanager
    def running(self, suite: Suite, *, hooked: bool = True) -> Iterator[Chroot]:
        """Give a private copy of such a machine."""
        with scratch_folder() as folder, self.image(suite, hooked=hooked).running(folder) as copy:
            yield copy


def in_the_tree(suite: Suite) -> list[str]:
    """Name what ``rebuild`` is asked for: other tests show that it does all."""
    packages = (f"{DIST_PACKAGES}/{name}" for name in IN_THE_TREE)
    return [*(one.library for one in suite.interpreters), *packages]


def add_user(chroot: Chroot) -> None:
    """Make the ordinary account."""
    chroot.run("useradd", "--create-home", "--uid", str(USER), "--shell", "/bin/sh", "alice")


def with_packages(suite: Suite) -> Image:
    """Return the suite's chroot with more packages, from the cache or made now."""
    with installable(suite):
        install = f"{INSTALL} {' '.join(PACKAGES[suite.name])}"
        return layer_on(image_of(suite), f"hook-{suite.name}", (), NO_SERVICES, install)

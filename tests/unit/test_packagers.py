"""A packager lists the files of a package, whatever their names are."""

import os
from pathlib import Path

import pytest

from pycache_sys import packagers
from pycache_sys.core.errors import UsageError

DPKG = """#!/bin/sh
[ "$1 $2" = "--listfiles --" ] || exit 9
[ "$3" = known ] || exit 1
printf '/.\\n/usr/lib/a.py\\ndiverted by x to: /usr/lib/c.py\\n/usr/lib/\\377.py\\n'
"""
RPM = """#!/bin/sh
[ "$1" = --query ] || exit 9
case "$*" in
*"-- known-to-rpm") printf '/usr/lib/r.py\\n/usr/lib/s.py\\n' ;;
*) echo no; exit 1 ;;
esac
"""
PACMAN = """#!/bin/sh
[ "$1 $2 $3 $4" = "--query --list --quiet --" ] || exit 9
[ "$5" = known-to-pacman ] || exit 1
printf '/usr/lib/\\n/usr/lib/p.py\\n'
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # root's search path is not the caller's
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def test_dpkgs_paths_are_taken_and_its_sentences_are_not(programs: Path) -> None:
    program(programs, "dpkg-query", DPKG)
    assert packagers.files_of("known") == ["/.", "/usr/lib/a.py", os.fsdecode(b"/usr/lib/\xff.py")]


def test_the_next_packager_is_asked(programs: Path) -> None:
    program(programs, "dpkg-query", DPKG)
    program(programs, "rpm", RPM)
    program(programs, "pacman", PACMAN)
    assert packagers.files_of("known-to-rpm") == ["/usr/lib/r.py", "/usr/lib/s.py"]
    assert packagers.files_of("known-to-pacman") == ["/usr/lib/", "/usr/lib/p.py"]


def test_root_runs_no_program_from_the_callers_search_path(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs, "dpkg-query", DPKG)
    program(programs, "rpm", RPM)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(UsageError):
        packagers.files_of("known-to-rpm")


@pytest.mark.usefixtures("programs")
def test_no_packager_knows_it() -> None:
    with pytest.raises(UsageError, match="'unknown'") as caught:
        packagers.files_of("unknown")
    assert "dpkg" in caught.value.hint


def test_an_option_in_the_place_of_a_package_is_a_package_that_nobody_knows(programs: Path) -> None:
    program(programs, "dpkg-query", DPKG)
    program(programs, "rpm", RPM)
    with pytest.raises(UsageError):
        packagers.files_of("--admindir=/tmp")

"""A search for virtual environments, and what it passes by; what root owns is a test of its own."""

import os
from pathlib import Path

import pytest

from pycache_sys.system.users.search import (
    DEEPEST,
    MOST_NAMED,
    PASSED_BY,
    Limits,
    Searched,
    Venv,
    search,
)

CONFIGURATION = "home = /usr/bin/\ninclude-system-site-packages = false\nversion = 3.13.5\n"
ROOT = os.geteuid() == 0


def found(top: Path, **options: object) -> Searched:
    return search(str(top), lambda: None, **options)  # type: ignore[arg-type]


def environment(top: Path, text: str = CONFIGURATION) -> Path:
    top.mkdir(parents=True)
    (top / "pyvenv.cfg").write_text(text)
    return top


def test_an_environment_says_what_it_was_made_from(tmp_path: Path) -> None:
    top = environment(tmp_path / "a" / "env")
    uv = environment(tmp_path / "uv", "home = /usr/bin\nversion_info = 3.12.1\n")
    assert sorted(found(tmp_path).venvs) == [
        Venv(str(top), "/usr/bin", "3.13"),
        Venv(str(uv), "/usr/bin", "3.12"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no = home\n",
        "home = /usr/bin\ninclude-system-site-packages = True\n",
        "x" * 9000 + "\nhome = /usr/bin\n",
    ],
)
def test_an_environment_that_does_not_count(tmp_path: Path, text: str) -> None:
    environment(tmp_path / "env", text)
    assert found(tmp_path).venvs == []


@pytest.mark.parametrize("name", ["pycache-sys.pth", "pycache-sys.start"])
def test_an_environment_with_a_hook_of_its_own_needs_none(tmp_path: Path, name: str) -> None:
    site = environment(tmp_path / "env") / "lib" / "python3.13" / "site-packages"
    site.mkdir(parents=True)
    (site / name).touch()
    other = environment(tmp_path / "env2")
    assert [venv.path for venv in found(tmp_path).venvs] == [str(other)]


def test_no_link_is_followed_and_a_fifo_holds_nothing_up(tmp_path: Path) -> None:
    outside = environment(tmp_path / "outside")
    top = tmp_path / "top"
    (top / "fifo").mkdir(parents=True)
    os.mkfifo(top / "fifo" / "pyvenv.cfg")
    (top / "link").symlink_to(outside)
    (top / "file").mkdir()
    (top / "file" / "pyvenv.cfg").symlink_to(outside / "pyvenv.cfg")
    assert found(top) == Searched()


def test_a_top_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match="link"):
        found(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        found(tmp_path / "gone")


@pytest.mark.parametrize("name", sorted(PASSED_BY))
def test_what_is_passed_by(tmp_path: Path, name: str) -> None:
    environment(tmp_path / name / "env")
    assert found(tmp_path) == Searched()


def test_what_is_mounted_is_not_entered(tmp_path: Path) -> None:
    top = environment(tmp_path / "disk")
    assert found(tmp_path, mounted=[str(top)]) == Searched()


def test_after_so_many_files_it_ends(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).touch()
    assert found(tmp_path, limits=Limits(files=20)).is_whole
    assert not found(tmp_path, limits=Limits(files=19)).is_whole
    assert not found(tmp_path, limits=Limits(seconds=-1.0)).is_whole


def test_very_deep_directories_are_not_entered(tmp_path: Path) -> None:
    top = tmp_path
    for _ in range(DEEPEST):
        top /= "d"
    environment(top)
    assert found(tmp_path).is_whole
    assert found(tmp_path).venvs
    assert not found(tmp_path.parent).is_whole


@pytest.mark.skipif(not ROOT, reason="needs root to leave something of root's")
def test_what_root_owns_in_directories_of_others(tmp_path: Path) -> None:
    for directory in ("work", "roots/inner"):
        (tmp_path / directory / "__pycache__").mkdir(parents=True)
    for number in range(MOST_NAMED + 1):
        (tmp_path / "mine" / str(number) / "__pycache__").mkdir(parents=True)
        (tmp_path / "mine" / str(number) / "__pycache__" / "a.pyc").touch()
    for path in (tmp_path, *tmp_path.rglob("*")):
        if "roots" not in path.parts and path != tmp_path / "work" / "__pycache__":
            os.chown(path, 1234, 1234)
    os.chown(tmp_path / "roots" / "inner", 1234, 1234)
    seen = found(tmp_path)
    assert (seen.number, seen.root_owned) == (1, [str(tmp_path / "work" / "__pycache__")])
    for path in tmp_path.glob("mine/*/__pycache__/a.pyc"):
        os.chown(path, 0, 0)
    seen = found(tmp_path)
    assert (seen.number, len(seen.root_owned)) == (MOST_NAMED + 2, MOST_NAMED)
    assert seen.is_whole

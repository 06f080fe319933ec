"""Directories of the tree where a rebuild does not write, and what mends each."""

import os
from pathlib import Path

import pytest

from pycache_sys.core.findings import Diagnosis, Finding
from pycache_sys.core.model import Job
from pycache_sys.core.plan import Order, Plan
from pycache_sys.core.report import Report
from pycache_sys.doctor import trees
from pycache_sys.doctor.barred import barred, is_barred
from pycache_sys.doctor.scene import Request, Scene, Survey
from pycache_sys.policy.parse import parse

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs directories of root's")
STRANGER = 61_000
SOURCES = ("/nowhere/p/a.py", "/nowhere/p/b.py", "/nowhere/q/c.py")
PLACE = "3.13/nowhere/p"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Give a tree with the directories for some sources, which have no bytecode."""
    tmp_path.chmod(0o755)
    for name in ("p", "q"):
        (tmp_path / "3.13/nowhere" / name).mkdir(parents=True)
    return tmp_path


def scene(top: Path) -> Scene:
    made = Scene(Request(), Diagnosis())
    plan = Plan(
        Order(tree=str(top), directory="3.13", cache_tag="cpython-313", magic=b"\xf3\r\r\n")
    )
    plan.jobs += [Job(source, 1, b"\0", 0) for source in SOURCES]
    policy = parse([("/etc/x.conf", f"system-tree = {top}")], lambda *_: None)[0]
    survey = Survey(Report(tree=str(top), dry_run=True))
    survey.found.append((plan, "/usr/bin/python3.13"))
    vars(made).update({"examined": (policy, []), "survey": survey, "top_is_usable": True})
    return made


def found(top: Path) -> list[tuple[tuple[str, ...], tuple[str, ...], str]]:
    """List what the check says: places, commands, hint."""
    looked = scene(top)
    trees.tree(looked)
    return [(one.places, one.commands, one.hint) for one in looked.result.findings]


@AS_ROOT
def test_directories_of_roots_that_all_can_read_are_no_matter(top: Path) -> None:
    assert barred(scene(top)) == {}
    assert found(top) == [(SOURCES, ("pycache-sys rebuild",), "")]


@AS_ROOT
@pytest.mark.parametrize(("owner", "mode"), [(STRANGER, 0o755), (0, 0o775), (0, 0o757)])
def test_one_in_wrong_hands_comes_first_and_what_is_below_it_is_not_said(
    top: Path, owner: int, mode: int
) -> None:
    path = top / PLACE
    os.chown(path, owner, 0)
    path.chmod(mode)
    commands = (
        f"chown root:root {path}",
        f"chmod 0755 {path}",
        "pycache-sys rebuild --force",  # its sources are gone
    )
    rest = ((SOURCES[2],), ("pycache-sys rebuild",), "")
    assert found(top) == [((str(path),), commands, ""), rest]


@AS_ROOT
def test_only_what_was_open_to_others_is_compiled_anew(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    place = tmp_path / "3.13/usr"
    place.mkdir(parents=True)
    place.chmod(0o777)
    (finding,) = barred(scene(tmp_path)).values()
    assert finding.commands[-1] == "pycache-sys rebuild --force /usr"


@AS_ROOT
def test_one_that_not_everybody_can_read(top: Path) -> None:
    (top / "3.13").chmod(0o700)
    assert found(top) == [((f"{top}/3.13",), (f"chmod 0755 {top}/3.13",), "")]


@AS_ROOT
def test_what_stands_in_the_way(top: Path) -> None:
    path = top / PLACE
    path.rmdir()
    path.symlink_to("/tmp")
    rest = ((SOURCES[2],), ("pycache-sys rebuild",), "")
    assert found(top) == [((str(path),), (f"rm {path}", "pycache-sys rebuild"), ""), rest]
    path.unlink()
    path.write_text("mine\n")
    hint = "move it away, then call 'pycache-sys rebuild'"
    assert found(top) == [((str(path),), (), hint), rest]


@AS_ROOT
def test_directories_that_are_not_of_an_interpreter_are_left_alone(top: Path) -> None:
    (top / "misc").mkdir()
    (top / "misc").chmod(0o777)
    assert barred(scene(top)) == {}


@AS_ROOT
def test_a_directory_in_the_place_of_bytecode(top: Path) -> None:
    path = top / PLACE / "a.cpython-313.pyc"
    path.mkdir()
    rest = (SOURCES[1:], ("pycache-sys rebuild",), "")
    assert found(top) == [((str(path),), (f"rmdir {path}", "pycache-sys rebuild"), ""), rest]
    (path / "mine").touch()
    hint = "move it away, then call 'pycache-sys rebuild'"
    assert found(top) == [((str(path),), (), hint), rest]


def test_what_is_barred_is_so_by_component_and_not_by_text() -> None:
    order = Order(tree="/tree", directory="3.13", cache_tag="cpython-313", magic=b"\xf3\r\r\n")
    job = Job("/usr/lib/a.py", 1, b"\0", 0)

    def places(*paths: str) -> dict[str, Finding]:
        return dict.fromkeys(paths)  # type: ignore[arg-type]

    assert is_barred(job, order, places("3.13/usr/lib"))
    assert is_barred(job, order, places("3.13", "3.12"))
    assert is_barred(job, order, places("3.13/usr/lib/a.cpython-313.pyc"))
    assert not is_barred(job, order, places("3.13/usr/li", "3.13/usr/lib/b.cpython-313.pyc"))

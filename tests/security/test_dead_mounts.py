"""A root on a dead mount is skipped in time, and everything else is compiled."""

from pathlib import Path

import pytest

from security.dead_mount import dead
from security.machine import LIBRARY, VERSION, Machine, entries, entry, make_directory, write

SITE = Path(f"/usr/local/lib/python{VERSION}/dist-packages")
SECONDS = 30.0
"""What a run may take: it waits 10 s for a file system, perhaps twice."""


@pytest.fixture
def gone(box: Machine) -> Path:
    """Name a directory whose file system will be dead."""
    return make_directory(Path("/opt/gone"))


def test_a_dead_root_is_skipped(box: Machine, gone: Path) -> None:
    sound = write(LIBRARY / "module.py")
    with dead(gone):
        run = box.rebuild(gone, LIBRARY, seconds=SECONDS)
    assert run.reason(gone) == "no-answer"
    assert entry(sound).exists()


def test_a_dead_directory_inside_a_root_is_skipped(box: Machine, gone: Path) -> None:
    sound = write(LIBRARY / "module.py")
    inner = make_directory(LIBRARY / "inner")
    with dead(inner):
        box.rebuild(LIBRARY, seconds=SECONDS)
    assert entry(sound).exists()


def test_a_dead_source_named_by_itself_is_skipped(box: Machine, gone: Path) -> None:
    sound = write(LIBRARY / "module.py")
    with dead(gone):
        run = box.rebuild(gone / "module.py", sound, seconds=SECONDS)
    assert run.report["skips"] or run.report["failures"]
    assert entry(sound).exists()


def test_a_dead_site_directory_is_skipped(box: Machine) -> None:
    """Everything of the interpreter's own is compiled."""
    make_directory(SITE)
    with dead(SITE):
        run = box.rebuild(seconds=SECONDS)
    assert run.reason(SITE) == "no-answer"
    assert len(entries()) > 500


def test_what_stands_in_the_tree_for_a_dead_root_stays(box: Machine, gone: Path) -> None:
    source = write(gone / "module.py")
    assert box.rebuild(gone).count("compiled") == 1
    with dead(gone):
        box.rebuild("--prune", gone, seconds=SECONDS)
    assert entry(source).exists()

"""What a caller's environment says has no effect on the code that workers run."""

import subprocess
from pathlib import Path

from security.machine import (
    ENVIRONMENT,
    HOME,
    LIBRARY,
    MARKS,
    TARGET,
    Machine,
    entry,
    give,
    invalid,
    slow_source,
    write,
)
from security.processes import look_at, until, workers

EVIL = HOME / "evil"
MARKING = f"import os\nos.mkdir('{MARKS}/%s' % __name__)\n"
HOSTILE = {
    **ENVIRONMENT,
    "PYTHONPATH": str(EVIL),
    "PYTHONHOME": str(EVIL),
    "PYTHONSTARTUP": str(EVIL / "os.py"),
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONPYCACHEPREFIX": str(EVIL / "cache"),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPLATLIBDIR": "evil",
    "PATH": f"{EVIL}:/usr/bin:/bin",
    "LD_LIBRARY_PATH": str(EVIL),
    "LD_AUDIT": str(EVIL / "audit.so"),
    "HOME": str(HOME),
}


def plant() -> None:
    """Put modules and programs where the environment points."""
    for name in ("os", "stat", "warnings", "site", "ast", "signal", "gc", "usercustomize"):
        give(write(EVIL / f"{name}.py", MARKING))
    for name in (TARGET.name, "python3", "python", "dpkg-query", "rpm", "sh"):
        theirs = write(EVIL / name, f"#!/bin/sh\nmkdir {MARKS}/{name}\n", mode=0o755)
        give(theirs)
    give(EVIL)


def test_a_workers_environment_is_not_the_callers(box: Machine) -> None:
    plant()
    slow = slow_source(LIBRARY / "slow.py")
    process = box.start("-j1", LIBRARY, environment=HOSTILE, cwd=EVIL)
    (worker,) = until(lambda: workers(process.pid))
    seen = look_at(worker)
    working_directory = Path(f"/proc/{worker}/cwd").readlink()
    run = box.finish(process)
    assert run.count("compiled") == 1
    assert set(seen.environment) <= {"PATH", "LC_ALL", "LANG"}
    assert str(EVIL) not in str(seen.environment)
    assert working_directory == Path("/")
    assert entry(slow).exists()


def test_nothing_that_the_environment_names_is_run(box: Machine) -> None:
    plant()
    source = write(LIBRARY / "module.py", '"""Documented."""\nassert __doc__\n')
    run = box.rebuild(LIBRARY, environment=HOSTILE, cwd=EVIL)
    assert run.count("compiled") == 1
    assert list(MARKS.iterdir()) == []
    assert entry(source).exists()
    assert invalid() == []


def test_the_marks_would_be_made() -> None:
    """A check of the check: an interpreter that listens to its environment runs the planted."""
    listening = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/opt/nothing", "PYTHONVERBOSE": "1"}
    done = subprocess.run(
        [str(TARGET), "-c", "import sys; print(sys.path)"],
        env=listening,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "/opt/nothing" in done.stdout


def test_a_preloaded_library_does_not_reach_workers(box: Machine) -> None:
    slow_source(LIBRARY / "slow.py")
    library = next(Path("/lib").glob("*-linux-gnu*/libm.so.6"))
    process = box.start("-j1", LIBRARY, environment={**ENVIRONMENT, "LD_PRELOAD": str(library)})
    (worker,) = until(lambda: workers(process.pid))
    assert "LD_PRELOAD" not in look_at(worker).environment
    assert box.finish(process).status == 0


def test_a_packages_database_is_not_asked_through_the_callers_path(box: Machine) -> None:
    plant()
    box.rebuild("-p", "python3-minimal", environment=HOSTILE)
    assert list(MARKS.iterdir()) == []


def test_the_source_date_is_no_workers_business(box: Machine) -> None:
    source = write(LIBRARY / "module.py")
    run = box.rebuild(LIBRARY, environment={**ENVIRONMENT, "SOURCE_DATE_EPOCH": "0"})
    assert run.status == 0
    assert entry(source).read_bytes()[4] in {0, 3}
    assert invalid() == []

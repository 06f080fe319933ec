"""The file that remembers the last run for everything, for ``status`` to say what became of it.

Every user reads it, so it counts only if nobody but root can have written it.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from pycache_sys.core.last_run import LONGEST, LastRun
from pycache_sys.core.report import Report
from pycache_sys.system.regular import read_regular
from pycache_sys_runtime.hook import is_roots
from pycache_sys_runtime.trust import only_root_changes

PATH = "/var/cache/pycache-sys/last-run.json"

Leaving = Callable[
    [type[BaseException] | None, BaseException | None, TracebackType | None], bool | None
]


def noting(report: Report, path: str = PATH) -> Leaving:
    """Return what is to be called when the run ends that begins now, however it ends.

    Nothing is raised: a run is not to fail because it cannot be remembered.
    """
    when, started = time.time(), time.monotonic()

    def note(
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        stopped = ""
        if kind is not None:
            is_interrupted = issubclass(kind, KeyboardInterrupt)
            stopped = "interrupted" if is_interrupted else str(error) or kind.__name__
        seconds = time.monotonic() - started
        with suppress(OSError):
            write(LastRun.of(report, when=when, seconds=seconds, stopped=stopped), path)

    return note


def write(run: LastRun, path: str = PATH) -> None:
    """Write down a run. Raises OSError."""
    from json import dumps  # noqa: PLC0415 - needed once, at the end of a run

    from pycache_sys.system.state import write_state  # noqa: PLC0415 - as above

    write_state(path, f"{dumps(run.as_json())}\n".encode())


def read(path: str = PATH) -> LastRun | None:
    """Say what the last run was; None where that is not known, or somebody else may say it."""
    if not only_root_changes(os.path.dirname(path)):
        return None
    found = read_regular(path, LONGEST, lambda now: is_roots(now) and now.st_size <= LONGEST)
    if found is None:
        return None
    from json import loads  # noqa: PLC0415 - only where there is something to read

    try:
        return LastRun.parse(loads(found[0]))
    except (ValueError, RecursionError):
        return None

"""What the programs in the place of Debian's have in common: statuses, and a word to the wrapper.

They are started by a sh script, ``debian/py3compile.sh``, which listens on a descriptor:

- nothing: this program could not start, or leaves the call to Debian's own, which then runs;
- ``started``, and no more: it did not live to the end;
- ``started`` and a number: the exit status it has decided on.

A maintainer script that fails stops dpkg, and none has to fail for a cache. So within one, all that
goes wrong with compiling or removing bytecode is said, and the exit status is 0. Only a call that
can't be understood keeps its status.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from pycache_sys.cli import complain, end_by_interrupt
from pycache_sys.core.errors import ExitStatus, PycacheSysError
from pycache_sys.core.report import Report
from pycache_sys.policy import keys
from pycache_sys.policy.load import load
from pycache_sys.policy.model import Policy
from pycache_sys.system.lock import BEST_EFFORT_SECONDS

_STARTED = b"started"


class CallError(PycacheSysError):
    """The call itself is at fault: its status is Debian's, also in a maintainer script."""

    def __init__(self, message: str, status: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class LeftToDebianError(Exception):
    """A call that is for Debian's own program."""


Prepare = Callable[[str, Sequence[str]], Callable[[], int]]
"""Reads a program's arguments, and returns what does the work."""


def run(prepare: Prepare, descriptor: int = 3) -> int:
    """Run the program that ``sys.argv`` names, and tell the wrapper how it goes.

    What ``prepare`` is given raises LeftToDebianError before anything is done.
    """
    program, *arguments = sys.argv[1:]
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional only
    if os.geteuid() != 0:
        return 0  # who is not root compiles beside his own sources, as ever
    try:
        act = prepare(program, arguments)
    except LeftToDebianError:
        return 0
    except SystemExit as ending:
        os.write(descriptor, _STARTED)
        return _decide(ending.code if isinstance(ending.code, int) else 2, descriptor)
    os.write(descriptor, _STARTED)
    return _decide(_act(program, act), descriptor)


def is_maintainer_script() -> bool:
    """Tell whether a package's script makes this call, whose failure would stop dpkg."""
    return bool(os.environ.get("DPKG_MAINTSCRIPT_PACKAGE"))


def wait_seconds() -> float | None:
    """Say how long to wait for the tree's lock."""
    return BEST_EFFORT_SECONDS if is_maintainer_script() else None


def load_policy() -> tuple[Policy, Report]:
    """Load the system's policy, and make a report for the tree that it names."""
    policy = load()
    return policy, Report(tree=policy.view()[keys.SYSTEM_TREE])


def _act(program: str, act: Callable[[], int]) -> int:
    end_by_interrupt()
    fault = ExitStatus.DONE if is_maintainer_script() else ExitStatus.SOME_FAILED
    try:
        status = act()
        sys.stdout.flush()
    except CallError as error:
        complain(program, error)
        return error.status
    except PycacheSysError as error:
        complain(program, error)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{program}: {error.strerror or error}", file=sys.stderr)
    else:
        return ExitStatus.DONE if is_maintainer_script() else status
    return fault


def _decide(status: int, descriptor: int) -> int:
    with suppress(OSError):
        os.write(descriptor, b" %d" % status)
    return status

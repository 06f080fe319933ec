"""The command line: the only place that knows exit statuses, prints, and catches what is raised."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from pycache_sys.core.errors import ExitStatus, PycacheSysError

TYPE_CHECKING = False  # as in typing, which an unchanged boot need not load
if TYPE_CHECKING:
    from argparse import Namespace

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    from pycache_sys.cli.arguments import build_parser  # noqa: PLC0415 - the drop-in has its own

    _open_standard_streams()
    given = sys.argv[1:] if arguments is None else arguments
    namespace = build_parser(given[0] if given else "").parse_args(given)
    end_by_interrupt()
    try:
        status: int = namespace.run(namespace)
        sys.stdout.flush()
    except PycacheSysError as error:
        complain("pycache-sys", error, brief=namespace.best_effort)
        status = ExitStatus.DONE if namespace.best_effort else error.exit_status
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone; nothing is left to say, also not at exit
        status = _silence(namespace)
    except OSError as error:
        print(f"pycache-sys: {error.strerror or error}", file=sys.stderr)
        status = _silence(namespace)
    return int(status)


def end_by_interrupt() -> None:
    """Let the signals that end a program end it as Ctrl-C does."""
    for number in _ENDING_SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def complain(program: str, error: PycacheSysError, *, brief: bool = False) -> None:
    """Say on stderr what went wrong, and what to do about it; ``brief`` in one line."""
    if brief:
        print("; ".join(filter(None, (f"{program}: {error}", error.hint))), file=sys.stderr)
        return
    for detail in error.details:
        print(detail, file=sys.stderr)
    print(f"{program}: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)


def _silence(namespace: "Namespace") -> ExitStatus:
    """Send what is still to be printed, also at exit, to nowhere."""
    from pycache_sys.system.machine import nowhere  # noqa: PLC0415 - seldom needed

    os.dup2(nowhere.descriptor(), sys.stdout.fileno())
    return ExitStatus.DONE if namespace.best_effort else ExitStatus.SYSTEM


def _open_standard_streams() -> None:
    """Fill closed descriptors 0 to 2: no file of the tree may become our standard output."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor < 3:
        descriptor = os.dup(descriptor)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - for good


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: stop the workers, leave a valid tree."""
    raise KeyboardInterrupt(signal.Signals(number).name)

"""Mounts that do not answer: whoever looks at one hangs, past any signal.

So the looking is done by a process that can be left behind. Only mounts that matter are asked: the
ones above a place that is about to be looked at, and for a walk also those below it.
"""

import os
import select
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress

from pycache_sys.core.model import Reason, Refusal
from pycache_sys.core.select import is_below
from pycache_sys.system.machine.mount_table import mounted

ANSWER_SECONDS = 10.0


class Mounts:
    """The mount points of the system, and which of them are silent.

    Without ``/proc`` none is known, and none is taken for silent.
    """

    def __init__(self, *, seconds: float = ANSWER_SECONDS) -> None:
        self._seconds = seconds
        points = dict.fromkeys(mount.point for mount in mounted())
        self._points = [point for point in points if point != "/"]
        self._asked: set[str] = set()
        self._silent: set[str] = set()

    def silent(self, places: Iterable[str], *, inside: bool = False) -> frozenset[str]:
        """Name the silent mounts above some places, and ``inside`` also those below them."""
        wanted = tuple(places)
        relevant = [
            point
            for point in self._points
            if any(
                is_below(place, point) or (inside and is_below(point, place)) for place in wanted
            )
        ]
        waiting = [point for point in relevant if point not in self._asked]
        self._asked.update(waiting)
        while waiting:
            waiting = waiting[_look(waiting, self._seconds) :]
            if waiting:
                self._silent.add(waiting.pop(0))
        return frozenset(self._silent.intersection(relevant))

    def inside(self, place: str) -> frozenset[str]:
        """Name the mount points below a place, without looking at them."""
        return frozenset(p for p in self._points if p != place and is_below(p, place))

    def refusal(self, path: str) -> Refusal | None:
        """Say why a path must not be looked at, if it lies on a silent mount."""
        if self.silent([path]):
            return Refusal(
                Reason.NO_ANSWER, f"no answer from its file system in {self._seconds:.0f} s"
            )
        return None


def _look(points: Sequence[str], seconds: float) -> int:
    """Look at each mount point from a child process; return how many answered."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for point in points:
                with suppress(OSError):
                    os.stat(point)
                os.write(writing, b".")
        finally:
            os._exit(0)
    os.close(writing)
    answered = 0
    try:
        while answered < len(points) and select.select([reading], [], [], seconds)[0]:
            piece = os.read(reading, len(points))
            if not piece:
                break
            answered += len(piece)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    # one that hangs in the kernel is left behind, to be reaped by init
    os.waitpid(child, 0 if answered == len(points) else os.WNOHANG)
    return answered

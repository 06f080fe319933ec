"""A copy of this process that shares the work."""

import os
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def fork(function: Callable[[], _T]) -> Callable[[], _T | None]:
    """Start a function in a copy of this process; return what waits for its result.

    The result is None where the copy failed, for whatever reason.
    """
    import pickle  # noqa: PLC0415 - where few sources are named, nobody shares the work

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            with open(writing, "wb") as channel:
                pickle.dump(function(), channel, protocol=pickle.HIGHEST_PROTOCOL)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)

    def result() -> _T | None:
        with open(reading, "rb") as channel:
            data = channel.read()
        if os.waitpid(child, 0)[1] != 0:
            return None
        answer: _T = pickle.loads(data)  # noqa: S301 - from our own copy, by a pipe of our own
        return answer

    return result

"""What another user's process tells: a text of limited length, to be shown and not believed.

Nothing of a user's is touched with root's rights, and what a process of theirs says can be
anything. So it may name places to a reader, and decide nothing.
"""

from collections.abc import Callable

from pycache_sys.system.users.as_user import Login, work_as

LONGEST = 32_768
"""How many bytes are told at most: what is said at once has to fit into a pipe."""
_STEP = 8
_COUNT = 1 + LONGEST // _STEP

Tell = Callable[[Callable[[], None]], bytes]
"""What is done there; it gets something to call now and then, to show that it goes on."""


def hear(login: Login, tell: Tell, *, silence: float, total: float) -> bytes:
    """Have a text told by a process of this user; what is too long is cut.

    Raises as ``work_as`` does, and OSError.
    """

    def work(beat: Callable[[], None]) -> list[int]:
        text = tell(beat)[:LONGEST]
        padded = text.ljust(LONGEST, b"\0")
        words = range(0, LONGEST, _STEP)
        numbers = [int.from_bytes(padded[at : at + _STEP], "little") for at in words]
        return [len(text), *numbers]

    length, *numbers = work_as(login, work, _COUNT, silence=silence, total=total)
    return b"".join(number.to_bytes(_STEP, "little") for number in numbers)[:length]

"""One line on a terminal that says how far something is, and goes again."""

import sys
import time

_PATIENCE_SECONDS = 0.5
_REFRESH_SECONDS = 0.1


class PassingLine:
    """Shows nothing in a pipe, nor of what is done at once."""

    def __init__(self, *, is_shown: bool) -> None:
        self.is_shown = is_shown and sys.stderr.isatty()
        self._next = time.monotonic() + _PATIENCE_SECONDS
        self._is_dirty = False

    def show(self, text: str) -> None:
        """Put a text in the place of the one before, now and then."""
        if self.is_shown and time.monotonic() > self._next:
            self._next = time.monotonic() + _REFRESH_SECONDS
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            self._is_dirty = True

    def clear(self) -> None:
        """Take the line away."""
        if self._is_dirty:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._is_dirty = False

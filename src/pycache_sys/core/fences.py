"""What a program prints between two lines of its own, whatever else its interpreter prints."""

from ast import literal_eval
from typing import Any


def parse_literal(output: bytes, name: str) -> Any:
    """Take the Python literal from between a program's fences; None if there is none."""
    _, opened, rest = output.partition(b"\n<<<pycache-sys %s\n" % name.encode())
    inner, closed, _ = rest.partition(b"\npycache-sys %s>>>\n" % name.encode())
    if not opened or not closed:
        return None
    try:
        return literal_eval(inner.decode("ascii"))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None

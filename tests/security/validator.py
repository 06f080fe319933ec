"""Print every entry of a tree that is not whole, or not what its source compiles to.

Executed under the interpreter that the tree is for: ``PYTHON -I -S -B validator.py PREFIX TAG``.
"""

import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER, source_hash


def complaint(path: str, source: str) -> str:
    """Say what is wrong with an entry, nothing where it is right."""
    with open(path, "rb") as file:
        whole = file.read()
    with open(source, "rb") as file:
        data = file.read()
    status = os.stat(source)
    mtime, size = int(status.st_mtime) & 0xFFFF_FFFF, status.st_size & 0xFFFF_FFFF
    stamps = mtime.to_bytes(4, "little") + size.to_bytes(4, "little")
    if whole[:4] != MAGIC_NUMBER:
        return "magic number"
    fields = source_hash(data) if whole[4] else stamps
    if whole[8:16] != fields:
        return "header"
    try:
        code = marshal.loads(whole[16:])  # noqa: S302 - our own tree
    except (EOFError, ValueError, TypeError) as error:
        return f"torn: {error}"
    if code != compile(data, source, "exec", dont_inherit=True):
        return "other code"
    return ""


def main(prefix: str, tag: str) -> None:
    """Look at all entries."""
    for directory, _, names in os.walk(prefix):
        for name in names:
            if name.endswith(f".{tag}.pyc"):
                path = f"{directory}/{name}"
                source = directory[len(prefix) :] + "/" + name[: -len(f".{tag}.pyc")] + ".py"
                problem = complaint(path, source)
                if problem:
                    sys.stdout.write(f"{path}: {problem}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

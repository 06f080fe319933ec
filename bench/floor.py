"""Compile a precomputed list of sources and write their bytecode, checking nothing.

Run one of these per core, under the interpreter whose bytecode is wanted, to learn the least time
that compiling the list can take:

    python -I -S -W ignore floor.py SHARE [gc]

SHARE holds a marshalled list of (source, target) pairs. The garbage collector is off, unless ``gc``
is given.
"""

import gc
import importlib.util
import marshal
import os
import sys


def header(status: os.stat_result) -> bytes:
    """Return the sixteen bytes of a timestamp pyc (PEP 552)."""
    fields = (0, int(status.st_mtime), status.st_size)
    return importlib.util.MAGIC_NUMBER + b"".join(
        (field & 0xFFFFFFFF).to_bytes(4, "little") for field in fields
    )


def compile_share(pairs: list[tuple[str, str]]) -> None:
    """Read, compile, marshal and write every pair; leave out what does not compile."""
    made: set[str] = set()
    for source, target in pairs:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        data = os.read(descriptor, status.st_size + 1)
        os.close(descriptor)
        try:
            code = compile(data, source, "exec", 0, True)  # noqa: FBT003 - positional is faster
        except (SyntaxError, ValueError):
            continue
        parent = target[: target.rindex("/")]
        if parent not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.write(descriptor, header(status) + marshal.dumps(code))
        os.close(descriptor)


def main() -> None:
    """Compile the share named on the command line."""
    with open(sys.argv[1], "rb") as stream:
        pairs = marshal.load(stream)  # noqa: S302 - the bench wrote it a moment ago
    if "gc" not in sys.argv[2:]:
        gc.disable()
        gc.freeze()
    compile_share(pairs)


if __name__ == "__main__":
    main()

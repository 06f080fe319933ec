"""Check bytecode with the interpreter that runs this file, and send back what is wrong with it.

Protocol, executed as ``PYTHON -I -S -B -X utf8 check.py SECONDS [UID GID [ROOT]]``: that of
compile.py, whose code does all the talking and gives up root. Where that file is not beside this
one, its text stands in ``COMPILE_TEXT``. What differs:

- A request's invalidation is 0 to load the bytecode, 1 to compile its source, too, and compare.
  There is one level, and the path is the pyc file's, NUL, the source's.
- The identity in an answer is the pyc file's as read, the hash is zeros. In the place of a pyc
  file stands a verdict: ``good``, or a word, NUL, what is wrong (UTF-8). The words: ``corrupt``
  for what is not whole bytecode of this source's name; ``stale`` for a header that is not the
  source's, with ``header`` or ``hash`` for what is wrong; ``differs`` for other code than the
  source's; ``unreadable`` for a source that cannot be read.

Bytecode is loaded, never executed. What crashes the interpreter is the file that it was busy with.
"""

import _imp
import marshal
import os
import struct
import sys
import types
from importlib import _bootstrap_external as importlib_files

HEADER_SIZE = 16
GOOD = b"good"
CODE_FIELDS = (
    "co_name",
    "co_qualname",
    "co_filename",
    "co_firstlineno",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_nlocals",
    "co_stacksize",
    "co_flags",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_code",
    "co_exceptiontable",
    "co_linetable" if hasattr(types.CodeType, "co_linetable") else "co_lnotab",
)


def load_base():
    """Load compile.py as a module: from its text, or from the file beside this one."""
    text = globals().get("COMPILE_TEXT")
    if text is None:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compile.py")
        with open(path, encoding="utf-8") as file:
            text = file.read()
    module = types.ModuleType("pycache_sys_compile")
    exec(compile(text, "compile.py", "exec"), module.__dict__)  # noqa: S102 - our own file
    return module


class WrongError(Exception):
    """What is wrong with a file: a word and what a person wants to know besides."""


def load(data, source):
    """Load a whole pyc file's code, as an import does; see that it is this source's."""
    if len(data) < HEADER_SIZE:
        raise WrongError("corrupt", "%d bytes are less than a header" % len(data))
    if data[:4] != importlib_files.MAGIC_NUMBER:
        raise WrongError("corrupt", "it has the magic number of another Python")
    body = memoryview(data)[HEADER_SIZE:]
    try:
        code = marshal.loads(body)  # noqa: S302 - that is the question; as the workers' account
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the bytes make it raise
        raise WrongError("corrupt", "it cannot be loaded: %s" % error) from None
    if not isinstance(code, types.CodeType):
        raise WrongError("corrupt", "it holds no code but a %s" % type(code).__name__)
    other = other_file(code, source)
    if other is not None:
        raise WrongError("corrupt", "it says that it was compiled from %s" % ascii(other))
    if has_more(body):
        raise WrongError("corrupt", "there are more bytes behind the code")
    return code


def other_file(code, source):
    """Find a file name in the code that is not its source's."""
    if code.co_filename != source:
        return code.co_filename
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found = other_file(constant, source)
            if found is not None:
                return found
    return None


def has_more(body):
    """Tell whether bytes follow the code: then it is whole without the last one."""
    try:
        marshal.loads(body[:-1])  # noqa: S302 - as above
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as it should be
        return False
    return True


def compare(base, data, code, source, level):
    """Compile the source and compare its code with what was loaded."""
    try:
        text, status = base.read_source(source)
    except base.RefusedError as refusal:
        raise WrongError("unreadable", "its source: %s" % refusal.args[1]) from None
    if data[4] & 1:
        if data[8:16] != _imp.source_hash(base.RAW_MAGIC, text):
            raise WrongError("stale", "hash")
    else:
        fields = struct.pack("<II", int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
        if data[8:16] != fields:
            raise WrongError("stale", "header")
    try:
        made = base.compile_level(text, source, level)
    except base.RefusedError as refusal:
        raise WrongError("differs", "its source does not compile: %s" % refusal.args[1]) from None
    found = difference(code, made)
    if found:
        raise WrongError("differs", "not what its source compiles to: %s" % found)


def difference(code, made):
    """Say where two code objects differ first; "" where they do not.

    Field by field: their bytes may differ in which constants share an object.
    """
    for field in CODE_FIELDS:
        if getattr(code, field, None) != getattr(made, field, None):
            return "%s of %s, line %d" % (field, made.co_name, made.co_firstlineno)
    if len(code.co_consts) != len(made.co_consts):
        return "co_consts of %s, line %d" % (made.co_name, made.co_firstlineno)
    for one, other in zip(code.co_consts, made.co_consts):  # noqa: B905 - as many; 3.8 has no strict
        if isinstance(one, types.CodeType) and isinstance(other, types.CodeType):
            found = difference(one, other)
            if found:
                return found
        elif key(one) != key(other):
            return "co_consts of %s, line %d" % (made.co_name, made.co_firstlineno)
    return ""


def key(constant):
    """Make of a constant what is equal only for the same type and value, inside of it, too."""
    name = type(constant).__name__
    if isinstance(constant, float):
        return name, struct.pack("<d", constant)  # -0.0, and what is not a number
    if isinstance(constant, complex):
        return name, struct.pack("<dd", constant.real, constant.imag)
    if isinstance(constant, tuple):
        return name, tuple(map(key, constant))
    if isinstance(constant, frozenset):
        return name, frozenset(map(key, constant))
    if isinstance(constant, slice):
        return name, (key(constant.start), key(constant.stop), key(constant.step))
    return name, constant


def make_answer(base):
    """Return what answers one request."""

    def answer(paths, deep, levels):
        path, _, source = paths.partition("\0")
        data, status = base.read_source(path)
        try:
            code = load(data, source)
            if deep:
                compare(base, data, code, source, levels[0])
            verdict = GOOD
        except WrongError as wrong:
            verdict = ("%s\0%s" % wrong.args).encode("utf-8", "backslashreplace")
        identity = base.IDENTITY.pack(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )
        return [identity, base.NO_HASH, base.LENGTH.pack(len(verdict)), verdict]

    return answer


def main(arguments):
    """Set the process up and serve."""
    base = load_base()
    base.answer = make_answer(base)
    base.main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])

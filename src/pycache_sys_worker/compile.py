"""Compile sources for the interpreter that runs this file, and send the bytecode back.

Protocol, executed as ``PYTHON -I -S -B -X utf8 compile.py SECONDS [UID GID [ROOT]]``. With UID and
GID the process gives up root for them before it reads its first request ("-" for both: it does
not); before that, it makes the directory with the descriptor ROOT its root. Standard input carries
requests, standard output answers; integers are little-endian, every frame starts with the length
of what follows as u32. Both descriptors are moved out of the way first: nothing that the compiler
prints can reach them.

Handshake, from the worker once::

    b"pycache-sys worker 1"  u32 effective uid  4 bytes magic number  rest: cache tag

Request::

    u32 id  u8 invalidation (0 timestamp, 1 unchecked hash, 3 checked hash)
    u8 number of levels, that many u8 optimization levels  rest: path

With no level the answer holds the source's hash and no bytecode.

Answer, one for every request, in their order::

    u32 id  u8 0
        u64 device  u64 inode  i64 size  i64 mtime (ns)  i64 ctime (ns)    of the source as read
        8 bytes source hash (zeros for invalidation 0)
        per level: u32 length, that many bytes of a whole pyc file; length 0: as the level before
    u32 id  u8 1
        reason, NUL, detail (UTF-8)

Reasons are the values of ``pycache_sys.core.model.Reason``. A worker that ran out of memory
answers, and then ends with status 0. One that needs more than SECONDS for a file dies of SIGALRM,
also when nobody watches it any more. Sources are read and compiled, never executed.

The bytecode is made by importlib's own functions: how ``marshal`` is called changes the bytes.
"""

import _imp
import gc
import marshal  # noqa: F401 - importlib's serializer needs it; loaded before privileges go
import os
import stat
import sys
import warnings
from importlib import _bootstrap_external as importlib_files
from struct import Struct

GREETING = b"pycache-sys worker 1"
LENGTH = Struct("<I")
REQUEST = Struct("<IBB")
ANSWER = Struct("<IB")
IDENTITY = Struct("<QQqqq")
UNCHECKED_HASH = 1
CHECKED_HASH = 3
NO_HASH = bytes(8)
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
RAW_MAGIC = int.from_bytes(importlib_files.MAGIC_NUMBER, "little")

try:
    from _signal import alarm  # type: ignore[import-not-found]  # in no stub
except ImportError:  # PyPy has no such private module
    from signal import alarm


class RefusedError(Exception):
    """A source that is not compiled, with the reason and its detail."""


def secure_channels():
    """Move the protocol off descriptors 0 to 2, so that no print reaches it; return both."""
    requests, answers = os.dup(0), os.dup(1)
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
    except OSError:  # a chroot without /dev
        reading, nowhere = os.pipe()
        os.close(reading)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    return open(requests, "rb"), answers  # noqa: SIM115 - open as long as the process


def enter_root(descriptor):
    """Make a directory the root, with every codec loaded that a source may name."""
    import encodings  # noqa: PLC0415 - loaded already

    for name in sorted(os.listdir(os.path.dirname(encodings.__file__))):
        if name.endswith(".py"):
            try:
                __import__("encodings." + name[:-3])
            except ImportError:  # mbcs and oem are for Windows
                continue
    os.fchdir(descriptor)
    os.chroot(".")
    os.chdir("/")
    os.close(descriptor)


def drop_privileges(uid, gid):
    """Become the account for good: no groups, no way back, and no debugger of its own uid.

    A change of ids makes the kernel clear the dumpable flag (unless fs.suid_dumpable is 1), so
    other processes of the account can neither read nor write this one's memory.
    """
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    try:
        with open("/proc/sys/fs/suid_dumpable") as setting:
            if setting.read(1) != "1":
                return
        import ctypes  # noqa: PLC0415 - needed under a debugging sysctl only

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    except (OSError, ImportError):
        return


def read_source(path):
    """Read a regular file; return its bytes and the identity it had when opened."""
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except FileNotFoundError:
        raise RefusedError("vanished", "it was there a moment ago") from None
    except OSError as error:
        raise RefusedError("unreadable", error.strerror) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError("not-regular", "not a regular file")
        pieces = []
        while True:
            piece = os.read(descriptor, status.st_size + 1)
            if not piece:
                break
            pieces.append(piece)
    except OSError as error:
        raise RefusedError("unreadable", error.strerror) from None
    finally:
        os.close(descriptor)
    return b"".join(pieces), status


def compile_level(data, path, level):
    """Compile as ``SourceLoader.source_to_code`` does, for one optimization level."""
    try:
        return compile(data, path, "exec", dont_inherit=True, optimize=level)
    except SyntaxError as error:
        where = "line %d: " % error.lineno if error.lineno else ""
        raise RefusedError("syntax", where + error.msg) from None
    except RecursionError:
        raise RefusedError("too-complex", "nested too deeply for this compiler") from None
    except MemoryError as error:
        if error.args:  # "Parser stack overflowed - Python source too complex to compile"
            raise RefusedError("too-complex", str(error)) from None
        raise
    except Exception as error:  # noqa: BLE001 - whatever the compiler raises is the file's outcome
        raise RefusedError("syntax", "%s: %s" % (type(error).__name__, error)) from None


def pyc_file(code, invalidation, status, source_hash):
    """Serialize code into a whole pyc file (PEP 552)."""
    if invalidation:
        return importlib_files._code_to_hash_pyc(  # type: ignore[attr-defined]  # private
            code, source_hash, invalidation == CHECKED_HASH
        )
    return importlib_files._code_to_timestamp_pyc(  # type: ignore[attr-defined]  # private
        code, int(status.st_mtime), status.st_size
    )


def answer(path, invalidation, levels):
    """Compile one source; return the body of a successful answer as pieces."""
    data, status = read_source(path)
    source_hash = NO_HASH
    if invalidation:
        source_hash = _imp.source_hash(RAW_MAGIC, data)
    pieces = [
        IDENTITY.pack(
            status.st_dev, status.st_ino, len(data), status.st_mtime_ns, status.st_ctime_ns
        ),
        source_hash,
    ]
    before = None
    for level in levels:
        whole = bytes(pyc_file(compile_level(data, path, level), invalidation, status, source_hash))
        if whole == before:
            pieces.append(LENGTH.pack(0))
        else:
            pieces += [LENGTH.pack(len(whole)), whole]
        before = whole
    return pieces


def send(descriptor, pieces):
    """Write one frame, whole."""
    frame = b"".join(pieces)
    view = memoryview(LENGTH.pack(len(frame)) + frame)
    while view:
        view = view[os.write(descriptor, view) :]


def serve(requests, answers, seconds):
    """Answer requests until there are no more."""
    send(
        answers,
        [
            GREETING,
            LENGTH.pack(os.geteuid()),
            importlib_files.MAGIC_NUMBER,
            sys.implementation.cache_tag.encode(),
        ],
    )
    while True:
        prefix = requests.read(LENGTH.size)
        if len(prefix) < LENGTH.size:
            return
        body = requests.read(LENGTH.unpack(prefix)[0])
        number, invalidation, count = REQUEST.unpack_from(body)
        start = REQUEST.size + count
        levels = body[REQUEST.size : start]
        path = os.fsdecode(body[start:])
        alarm(seconds)
        try:
            pieces = answer(path, invalidation, levels)
        except RefusedError as refusal:
            alarm(0)
            reason, detail = refusal.args
            text = "%s\0%s" % (reason, detail)
            send(answers, [ANSWER.pack(number, 1), text.encode("utf-8", "backslashreplace")])
            gc.collect()
        except MemoryError:
            alarm(0)
            send(answers, [ANSWER.pack(number, 1), b"memory-limit\0it needs too much memory"])
            return
        else:
            alarm(0)  # before the answer: how long the builder takes for it is not the file's fault
            send(answers, [ANSWER.pack(number, 0)] + pieces)


def main(arguments):
    """Set the process up and serve."""
    requests, answers = secure_channels()
    if len(arguments) > 3:
        enter_root(int(arguments[3]))
    if len(arguments) > 1 and arguments[1] != "-":
        drop_privileges(int(arguments[1]), int(arguments[2]))
    warnings.simplefilter("ignore")
    gc.disable()  # a compiler makes no cycles; worth some percent
    try:
        serve(requests, answers, int(arguments[0]))
    except BrokenPipeError:
        return  # the builder is gone


if __name__ == "__main__":
    main(sys.argv[1:])

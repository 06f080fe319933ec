"""The bootstrap set: what an interpreter loads before any hook is in place, and the hook itself.

No tree can serve these: an interpreter without their bytecode beside the source compiles them at
every start. So they keep it there, or get it.
"""

import os
import stat
import subprocess
from ast import literal_eval
from collections.abc import Iterable, Iterator
from contextlib import closing

from pycache_sys.core import delivery, pyc
from pycache_sys.core.environment import environment
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.model import Interpreter, Job, Outcome, Reason
from pycache_sys.core.protocol import Compiled
from pycache_sys.system.in_place import is_read_only
from pycache_sys.system.pythons.workers import Limits, Pool
from pycache_sys.system.site_files import make_directory, read_file, replace_file
from pycache_sys_runtime import layout
from pycache_sys_runtime.startup import MARK

_SECONDS = 30
_MODULES = (
    "import site, sys; print(ascii([s.origin for s in "
    "(getattr(m, '__spec__', None) for m in sys.modules.values()) if s]))"
)
_IS_HOOKED = (
    "from _frozen_importlib_external import SourceFileLoader as L; "
    f"print(); print(hasattr(L.get_code, {MARK!r}))"
)


def loaded_before_hooks(interpreter: Interpreter) -> list[str]:
    """List the sources that an interpreter loads before it looks at its site directories."""
    answer = _ask(interpreter, "-I", "-S", "-B", "-c", _MODULES)
    try:
        files = literal_eval(answer)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return []
    if not isinstance(files, list):
        return []
    library = interpreter.library[0]
    found = [file for file in files if isinstance(file, str) and file.endswith(".py")]
    # what comes frozen has no such origin, and os.path is posixpath once more
    found = list(dict.fromkeys(found))
    if interpreter.version >= (3, 13):  # the codec that .pth files are read with
        found.append(f"{library}/encodings/utf_8_sig.py")
    return [file for file in found if file.startswith(f"{library}/")]


def own_sources(startup: str) -> list[str]:
    """List what the hook itself consists of."""
    folder = os.path.dirname(startup)
    return sorted(f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(".py"))


def is_hooked(interpreter: Interpreter) -> bool:
    """Tell whether a start of this interpreter puts the hook in place."""
    answer = _ask(interpreter, "-I", "-B", "-c", _IS_HOOKED)
    return answer.endswith("\nTrue\n")  # a sitecustomize may have said something before


def bytecode_of(source: str, interpreter: Interpreter) -> str:
    """Name the bytecode beside a source, as PEP 3147 does."""
    directory, _, name = source.rpartition("/")
    cached = layout.cache_name(name, interpreter.cache_tag)
    return f"{directory}/__pycache__/{cached}"


def compile_beside(interpreter: Interpreter, sources: Iterable[str]) -> Iterator[Outcome]:
    """Give sources their bytecode in place, where it is missing or stale; yield what failed."""
    jobs = []
    for source in sources:
        try:
            status = os.stat(source)
        except OSError:
            continue
        if not _is_fresh(source, status, interpreter):
            jobs.append(Job(source, status.st_size, b"\0", pyc.TIMESTAMP))
    if not jobs:
        return
    pool = Pool(interpreter, size=1, account=None, limits=Limits())
    with closing(pool.run(jobs)) as results:
        for job, result in results:
            if isinstance(result, Compiled):
                try:
                    _install(job.source, result.files[0], interpreter)
                except OSError as error:
                    yield Outcome(job.source, Reason.WRITE, error.strerror or "")
            else:
                yield Outcome(job.source, *result)


def keep_own(interpreter: Interpreter, startup: str) -> Iterator[Outcome]:
    """Give the hook its bytecode in place, where a site directory brings it; yield what failed.

    A distribution's package compiles the hook for those interpreters that are there when it is
    installed. One that comes later would compile it at each start. Nothing is done on a file
    system that takes no changes.
    """
    if _is_brought(interpreter, startup) and not is_read_only(os.path.dirname(startup)):
        yield from compile_beside(interpreter, own_sources(startup))


def _is_brought(interpreter: Interpreter, startup: str) -> bool:
    """Tell whether a file in a site directory executes this start-up."""
    for directory in interpreter.site:
        for name in (delivery.PTH_NAME, f"{delivery.START_MODULE}.py"):
            try:
                content = read_file(f"{directory}/{name}") or b""
            except PycacheSysError:
                continue
            if delivery.is_site_file(content) and os.fsencode(startup) in content:
                return True
    return False


def _install(source: str, content: bytes | None, interpreter: Interpreter) -> None:
    status = os.stat(source)
    header = _header(status, interpreter)
    if content is not None and pyc.is_well_formed(content, header):
        path = bytecode_of(source, interpreter)
        make_directory(os.path.dirname(path))
        replace_file(path, content, mode=stat.S_IMODE(status.st_mode) & 0o666 | 0o200)


def _is_fresh(source: str, status: os.stat_result, interpreter: Interpreter) -> bool:
    try:
        with open(bytecode_of(source, interpreter), "rb") as file:
            head = file.read(pyc.HEADER_SIZE + 1)
    except OSError:
        return False
    if head[4:5] in (b"\x01", b"\x03"):  # a distribution's: by hash
        return pyc.is_well_formed(head, interpreter.magic)
    return pyc.is_well_formed(head, _header(status, interpreter))


def _header(status: os.stat_result, interpreter: Interpreter) -> bytes:
    return pyc.start(interpreter.magic, pyc.TIMESTAMP) + pyc.timestamp_fields(status)


def _ask(interpreter: Interpreter, *arguments: str) -> str:
    """Run an interpreter that the caller would run anyway; "" where it fails."""
    try:
        done = subprocess.run(
            [interpreter.path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment(os.environ, is_root=os.geteuid() == 0),
            timeout=_SECONDS,
            check=True,
            text=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ""
    return done.stdout

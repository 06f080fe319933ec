"""The use cases ``enable`` and ``disable``: bring the start-up hook to interpreters, or remove it.

Each interpreter is a case of its own: what is wrong with one is its outcome, and the others go on.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from pycache_sys.core import delivery
from pycache_sys.core.delivery import Undo
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.model import Interpreter, Reason
from pycache_sys.core.report import InterpreterNote
from pycache_sys.discover import Admits, select_interpreters
from pycache_sys.policy.model import Policy
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons import bootstrap
from pycache_sys.system.pythons.standard_library import judge_files_in
from pycache_sys.system.pythons.workers import WorkersError
from pycache_sys.system.site_files import make_directory, read_file, remove_file, replace_file
from pycache_sys.system.trust import OwnTrust

JSON_VERSION = 1
_NO_MATTER = (Reason.EXCLUDED, Reason.TOO_OLD, Reason.NO_CACHE_TAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which interpreters (none named: all that are found), and whether by ``sitecustomize``."""

    python_paths: Sequence[str] = ()
    python_specifiers: Sequence[Admits] = ()
    policy: Policy = Policy()  # noqa: RUF009 - frozen
    venvs: bool = False


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One interpreter: the files that bring the hook to it, and what was done."""

    path: str
    folder: str = ""
    is_environment: bool = False
    files: list[str] = field(default_factory=list)
    """What brings the hook now, ours or a package's."""
    reaches_venvs: bool = False
    is_hooked: bool = False
    """Whether a start of this interpreter has the hook in place."""
    without_bytecode: list[str] = field(default_factory=list)
    """What is compiled at every start, for nothing keeps its bytecode."""
    changed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: str = ""
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "path": self.path,
            "directory": self.folder or None,
            "hooked": self.is_hooked,
            "venvs": self.reaches_venvs,
            "files": self.files,
            "changed": self.changed,
            "without_bytecode": self.without_bytecode,
            "notes": self.notes,
            "failure": self.failure or None,
        }


def enable(request: Request) -> list[Delivery]:
    """Bring the hook to interpreters; nothing is changed where it is in place.

    By the site directory, which reaches no virtual environments, or with ``venvs`` by the
    ``sitecustomize`` of the standard library.
    """
    return _for_each(request, _put_block if request.venvs else _put_site_files)


def disable(request: Request) -> list[Delivery]:
    """Take away what ``enable`` has brought, to the byte; with ``venvs`` only ``sitecustomize``."""

    def take(interpreter: Interpreter, result: Delivery) -> None:
        if not interpreter.environment:  # its library is another's
            _take_block(interpreter, result)
        if not request.venvs:
            _take_site_files(interpreter, result)

    return _for_each(request, take)


def show(request: Request) -> list[Delivery]:
    """Say for interpreters whether they have the hook, and by which files."""
    return _for_each(request, lambda _interpreter, _result: None)


def startup_file() -> str:
    """Name the file that every start is to execute: the one of this installation."""
    from pycache_sys_runtime import startup  # noqa: PLC0415 - for its place

    return os.path.realpath(startup.__file__)


def _for_each(request: Request, act: Callable[[Interpreter, Delivery], None]) -> list[Delivery]:
    access = Access(trust=OwnTrust(), account=None, mounts=Mounts(), is_restricted=False)
    notes = select_interpreters(
        request.python_paths, request.python_specifiers, access, request.policy
    )
    return [_deliver(note, act) for note in notes if note.named or not _is_no_matter(note)]


def _is_no_matter(note: InterpreterNote) -> bool:
    """Tell whether an interpreter that was found is none that could have the hook."""
    return note.refusal is not None and note.refusal[0] in _NO_MATTER


def _deliver(note: InterpreterNote, act: Callable[[Interpreter, Delivery], None]) -> Delivery:
    result = Delivery(path=note.path)
    interpreter = note.interpreter
    if interpreter is None or note.refusal is not None:
        if note.refusal is not None:
            result.failure = note.refusal[1]
            if note.refusal[0] in (Reason.WRONG_OWNER, Reason.WRITABLE_BY_OTHERS):
                result.hint = "it is run to be asked who it is: do this as its owner"
        return result
    result.folder = interpreter.directory
    result.is_environment = bool(interpreter.environment)
    try:
        act(interpreter, result)
    except PycacheSysError as error:
        result.failure, result.hint = str(error), error.hint
    except OSError as error:
        place = error.filename2 or error.filename or interpreter.path
        result.failure = f"cannot write {os.fsdecode(place)}: {error.strerror}"
        result.hint = (
            "run it as root"
            if os.geteuid()
            else "nothing was changed there; run it where this file system is made, or writable"
        )
    _look(interpreter, result)
    return result


def _look(interpreter: Interpreter, result: Delivery) -> None:
    """See what brings the hook, and whether it does."""
    result.files += _site_files(interpreter.site)
    path = _sitecustomize(interpreter)
    if delivery.block_in(_read(path) or b""):
        result.files.append(path)
        result.reaches_venvs = True
    result.is_hooked = bootstrap.is_hooked(interpreter)
    if result.is_hooked:
        result.without_bytecode = [
            source
            for source in _bootstrap_set(interpreter)
            if not os.path.exists(bootstrap.bytecode_of(source, interpreter))
        ]


def _read(path: str) -> bytes | None:
    try:
        return read_file(path)
    except PycacheSysError:
        return None


# the site directory


def _put_site_files(interpreter: Interpreter, result: Delivery) -> None:
    startup = _checked_startup(interpreter)
    if not interpreter.site:
        raise PycacheSysError(
            f"{interpreter.path} has no site directory", hint="bring the hook with --venvs"
        )
    directory = interpreter.site[0]
    other = _site_files_of_packages(interpreter)
    if other:
        result.notes.append(f"{other[0]} brings it already")
        return
    first = next(iter(delivery.site_files(startup, interpreter.version, Undo())))
    before = read_file(f"{directory}/{first}")
    if before is not None and not delivery.is_site_file(before):
        raise PycacheSysError(
            f"{directory}/{first} is not this program's", hint="move it away, and try again"
        )
    make_directory(directory)
    with _bytecode_made(interpreter, before, result) as made:
        files = delivery.site_files(startup, interpreter.version, Undo(made=made))
        for name, content in files.items():
            _write(f"{directory}/{name}", content, result)
    # a module among them loads before the hook is there: no layer has its bytecode
    _compile(interpreter, [f"{directory}/{name}" for name in files if name[-3:] == ".py"], result)


def _take_site_files(interpreter: Interpreter, result: Delivery) -> None:
    directory = next(iter(interpreter.site), "")
    ours = ([delivery.PTH_NAME], [delivery.START_NAME, f"{delivery.START_MODULE}.py"])
    for names in ours if directory else ():
        content = read_file(f"{directory}/{names[0]}")
        if content is None or not delivery.is_site_file(content):
            continue
        for name in names:
            if remove_file(f"{directory}/{name}"):
                result.changed.append(f"{directory}/{name}")
        made = delivery.read_undo(content).made
        own = [bootstrap.bytecode_of(f"{directory}/{name}", interpreter) for name in names[1:]]
        _undo_bytecode(interpreter, Undo(made=(*made, *own)), result)
    for path in _site_files_of_packages(interpreter):
        result.notes.append(
            f"{path} is a package's: remove the package, or say 'enabled = no' in the policy"
        )


def _site_files_of_packages(interpreter: Interpreter) -> list[str]:
    """List the files with the hook in site directories that are not ours to write."""
    return _site_files(interpreter.site[1:])


def _site_files(directories: Sequence[str]) -> list[str]:
    """List the files with the hook in site directories."""
    return [
        path
        for directory in directories
        for path in (f"{directory}/{delivery.PTH_NAME}", f"{directory}/{delivery.START_NAME}")
        if delivery.is_site_file(_read(path) or b"")
    ]


# sitecustomize


def _put_block(interpreter: Interpreter, result: Delivery) -> None:
    if interpreter.environment:
        raise PycacheSysError(
            f"{interpreter.path} is a virtual environment's",
            hint="leave out --venvs for this one, or name the interpreter that it was made from",
        )
    startup = _checked_startup(interpreter)
    path = _sitecustomize(interpreter)
    before = read_file(path)
    block = delivery.block_in(before or b"")
    with _bytecode_made(interpreter, block, result) as made:
        undo = Undo()
        if block is not None:
            undo = delivery.read_undo(block)
        elif before is not None:
            undo = Undo(mtime=os.stat(path).st_mtime_ns, checksum=crc32(before))
        cached = bootstrap.bytecode_of(path, interpreter)
        own = () if cached in made or os.path.exists(cached) else (cached,)
        undo = undo._replace(made=(*made, *own))
        _write(path, delivery.add_block(before, startup, undo), result)
    _compile(interpreter, [path], result)


def _take_block(interpreter: Interpreter, result: Delivery) -> None:
    path = _sitecustomize(interpreter)
    content = read_file(path)
    block = delivery.block_in(content or b"")
    if content is None or block is None:
        return
    undo = delivery.read_undo(block)
    rest = delivery.remove_block(content)
    if rest is None:
        remove_file(os.path.realpath(path))
    else:
        replace_file(path, rest, mtime=undo.mtime_for(rest))
    result.changed.append(path)
    _undo_bytecode(interpreter, undo, result)
    if rest is not None and bootstrap.bytecode_of(path, interpreter) not in undo.made:
        _compile(interpreter, [path], result)


def _sitecustomize(interpreter: Interpreter) -> str:
    return f"{interpreter.library[0]}/{delivery.SITECUSTOMIZE}"


# what both need


def _checked_startup(interpreter: Interpreter) -> str:
    """Name the start-up file, if nobody else can change it and all can read it who should."""
    startup = startup_file()
    folder = os.path.dirname(startup)
    trust = OwnTrust()
    refusal = judge_files_in(folder, trust) or judge_files_in(f"{folder}/__pycache__", trust)
    if refusal is not None:
        raise PycacheSysError(
            f"the hook would be code that others can change: {refusal.detail}",
            hint="install pycache-sys where only root can write, and call it from there",
        )
    if os.geteuid() == 0 and _is_open_to_all(interpreter.binary) and not _is_open_to_all(startup):
        raise PycacheSysError(
            f"everybody can run {interpreter.path}, but not everybody can read {startup}",
            hint="install pycache-sys where all can read it, as in /usr or /opt",
        )
    return startup


def _is_open_to_all(path: str) -> bool:
    """Tell whether everybody can come to a file and read it."""
    directory = os.path.dirname(path)
    while os.stat(directory).st_mode & 0o001:
        if directory == "/":
            return bool(os.stat(path).st_mode & 0o004)
        directory = os.path.dirname(directory)
    return False


def _write(path: str, content: bytes, result: Delivery) -> None:
    if read_file(path) != content:
        replace_file(path, content)
        result.changed.append(path)


def _bootstrap_set(interpreter: Interpreter) -> list[str]:
    return bootstrap.loaded_before_hooks(interpreter) + bootstrap.own_sources(startup_file())


@contextmanager
def _bytecode_made(
    interpreter: Interpreter, before: bytes | None, result: Delivery
) -> Iterator[tuple[str, ...]]:
    """Give the bootstrap set its bytecode, and say what of it has to be undone one day.

    That is what was missing, but for the hook's own, and what an earlier call has made. If the
    hook cannot be brought after all, it is undone at once.
    """
    loaded = bootstrap.loaded_before_hooks(interpreter)
    paths = [bootstrap.bytecode_of(source, interpreter) for source in loaded]
    missing = [path for path in paths if not os.path.exists(path)]
    _compile(interpreter, [*loaded, *bootstrap.own_sources(startup_file())], result)
    new = tuple(path for path in missing if os.path.exists(path))
    try:
        yield tuple(dict.fromkeys([*delivery.read_undo(before or b"").made, *new]))
    except OSError:
        _undo_bytecode(interpreter, Undo(made=new), Delivery(path=result.path))
        raise


def _compile(interpreter: Interpreter, sources: Sequence[str], result: Delivery) -> None:
    try:
        for failure in bootstrap.compile_beside(interpreter, sources):
            result.notes.append(f"no bytecode for {failure.source}: {failure.detail}")
    except WorkersError as error:
        result.notes.append(f"no bytecode: {error}")


def _undo_bytecode(interpreter: Interpreter, undo: Undo, result: Delivery) -> None:
    sources = [
        *bootstrap.loaded_before_hooks(interpreter),
        *(f"{directory}/{delivery.START_MODULE}.py" for directory in interpreter.site[:1]),
        _sitecustomize(interpreter),
    ]
    possible = {bootstrap.bytecode_of(source, interpreter) for source in sources}
    for path in undo.made:  # what a file says is no order
        if path in possible and remove_file(path):
            result.changed.append(path)
            try:
                os.rmdir(os.path.dirname(path))
            except OSError:
                continue  # other bytecode is there

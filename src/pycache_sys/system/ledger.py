"""The ledger: which bytecode was removed from beside sources, so that it can be put back.

The tree needs no ledger, for what it should hold can be seen from the sources. What stood in each
``__pycache__`` cannot: not which files there were, and not their modes. That is state and no
cache, so it is in ``/var/lib`` (FHS). It is written whole, by a rename, *before* the first file it
names is removed. It names files that were not removed after all where a run was killed; whoever
puts them back finds them there. If it is lost, nothing else is: ``migrate --undo PATH`` works from
the sources.

One JSON value a line: a version, then ``[directory, [mode, gid, mtime], {name: [mode, gid,
mtime]}]`` for each directory that has a ``__pycache__``; times in nanoseconds.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.in_place import Beside

LEDGER = "/var/lib/pycache-sys/in-place"
_VERSION = {"pycache-sys in-place": 1}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Record = tuple[Beside, dict[str, Beside]]
"""A ``__pycache__``, and its files by name."""


def read(path: str = LEDGER) -> dict[str, Record]:
    """Read the ledger by the directories of the sources; nothing where there is none.

    Raises PycacheSysError for one that is not root's alone, or is damaged.
    """
    import json  # noqa: PLC0415 - only where there is something beside a source

    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PycacheSysError(f"cannot read {path}: {error.strerror}", hint=_hint(path)) from error
    with open(descriptor, encoding="ascii", newline="\n") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
            raise PycacheSysError(f"{path} is not a file of root's alone", hint=_hint(path))
        try:
            version, *values = map(json.loads, file)
            if version == _VERSION:
                return {
                    str(directory): (
                        _record(folder),
                        {str(name): _record(one) for name, one in files.items()},
                    )
                    for directory, folder, files in values
                }
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise PycacheSysError(f"{path} is damaged", hint=_hint(path)) from error
        raise PycacheSysError(f"{path} is of another version", hint=_hint(path))


def write(records: Mapping[str, Record], path: str = LEDGER) -> None:
    """Replace the ledger, on the disk by the time this returns; one without records goes.

    Raises OSError.
    """
    import json  # noqa: PLC0415 - as above

    directory = os.path.dirname(path)
    if not records:
        with suppress(FileNotFoundError):
            os.unlink(path)
        with suppress(OSError):  # missing, or something else is in it
            os.rmdir(directory)
        return
    with suppress(FileExistsError):
        os.mkdir(directory, 0o755)
        os.chmod(directory, 0o755)  # noqa: S103 - whatever the umask
    lines = [json.dumps(_VERSION)]
    for name, (folder, files) in sorted(records.items()):
        lines.append(
            json.dumps([name, _fields(folder), {n: _fields(f) for n, f in sorted(files.items())}])
        )
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    try:
        descriptor = os.open(temporary, _CREATE, 0o644)
        with open(descriptor, "w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.replace(temporary, path)
        _flush(directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _flush(directory: str) -> None:
    descriptor = os.open(directory, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fields(file: Beside) -> list[int]:
    return [file.permissions, file.gid, file.mtime]


def _record(fields: list[int]) -> Beside:
    mode, gid, mtime = map(int, fields)
    return Beside(mode, 0, gid, mtime)


def _hint(path: str) -> str:
    return f"move {path} away; then 'migrate --undo PATH' puts bytecode back from the sources"

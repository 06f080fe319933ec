"""Manifests: the bytecode that is named as a package's own file, so that it must not be missing.

Bytecode that a package's scripts compile is in no manifest. Where it is shipped, as in RPM and
conda packages, ``rpm --verify`` and the like would miss it.
"""

import os
import shutil
from collections.abc import Iterable, Iterator

from pycache_sys.core.errors import PycacheSysError
from pycache_sys.packagers import query

_RPM_DATABASES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_DPKG_NONE_FOUND = 1
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_UNKNOWN = "which bytecode packages name is not known without it, so nothing was removed"
_PYCACHE = b"/__pycache__"


def named_bytecode(directories: Iterable[str]) -> frozenset[str]:
    """List what manifests name in or as a ``__pycache__``; conda's, for prefixes above directories.

    Each under the path that the manifest gives, under the one that this leads to, and as one of
    the directories names it. Raises PycacheSysError where there is a manifest that cannot be read:
    then nothing is known.
    """
    wanted = list(directories)
    named = {*_of_dpkg(), *_of_rpm(), *_of_conda(wanted)}
    named.update([_resolved(path) for path in named])
    for directory in wanted:
        real = os.path.realpath(directory)
        if real != directory:
            inside = f"{real}/__pycache__"
            named.update(
                [directory + path[len(real) :] for path in named if path.startswith(inside)]
            )
    return frozenset(named)


def _of_dpkg() -> Iterator[str]:
    if not os.path.exists(query.DPKG_DATABASE):
        return
    done = _run("dpkg-query", "--search", "*/__pycache__*")
    if done.returncode not in (0, _DPKG_NONE_FOUND):
        raise _unreadable("dpkg-query", done)
    for line in done.stdout.splitlines():
        _, found, path = line.partition(b": /")
        if found:
            yield os.fsdecode(b"/" + path)


def _of_rpm() -> Iterator[str]:
    if shutil.which("rpm", path=_PATH) is None:
        if any(os.path.isdir(path) and os.listdir(path) for path in _RPM_DATABASES):
            raise PycacheSysError(
                "there is a database of rpm's, but the program is missing", hint=_UNKNOWN
            )
        return
    # where it is differs; and rpm makes one where there is none
    place = os.fsdecode(_run("rpm", "--eval", "%{_dbpath}").stdout).strip()
    if not (os.path.isdir(place) and os.listdir(place)):
        return
    done = _run("rpm", "--query", "--all", "--queryformat", "[%{FILENAMES}\\n]")
    if done.returncode != 0:
        raise _unreadable("rpm", done)
    yield from (os.fsdecode(line) for line in done.stdout.split(b"\n") if _PYCACHE in line)


def _of_conda(directories: Iterable[str]) -> Iterator[str]:
    places = {name for path in directories for name in (path, os.path.realpath(path))}
    above = {directory for path in places for directory in _ancestors(path)}
    for prefix in sorted(above):
        try:
            names = sorted(os.listdir(f"{prefix}/conda-meta"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise PycacheSysError(f"cannot read {prefix}/conda-meta: {error.strerror}") from error
        for name in names:
            if name.endswith(".json"):
                yield from _of_conda_package(prefix, f"{prefix}/conda-meta/{name}")


def _of_conda_package(prefix: str, path: str) -> Iterator[str]:
    import json  # noqa: PLC0415 - only where there is a conda prefix

    try:
        with open(path, "rb") as file:
            files = json.load(file)["files"]
        yield from (f"{prefix}/{name}" for name in files if "__pycache__" in name)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PycacheSysError(
            f"{path} cannot be read as conda's: which bytecode it names is not known",
            hint="repair it, or name other directories as PATH",
        ) from error


def _ancestors(path: str) -> Iterator[str]:
    while path.strip("/"):
        yield path
        path = path.rpartition("/")[0]


def _resolved(path: str) -> str:
    head, _, name = path.rpartition("/")
    return f"{os.path.realpath(head)}/{name}"


def _run(*command: str) -> query.Answer:
    try:
        return query.run(command)
    except FileNotFoundError as error:
        raise PycacheSysError(
            f"there is a database for {command[0]}, but the program is missing", hint=_UNKNOWN
        ) from error


def _unreadable(program: str, done: query.Answer) -> PycacheSysError:
    said = done.stderr.decode(errors="replace").strip()
    return PycacheSysError(
        f"{program} cannot say which bytecode packages name: {said}",
        hint="nothing was removed; repair its database and try again",
    )

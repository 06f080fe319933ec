"""Owners: which package has brought each source, asked once for all of them.

A package names a file as it was built: below ``/lib``, where that is a link to ``usr/lib`` now, or
under a name that another package has diverted it from.
"""

import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pycache_sys.packagers import query

_PACMAN_DATABASE = "/var/lib/pacman/local"
_NONE_FOUND = 1
_SOURCES = (b".py", b".pyw")


class Owners(NamedTuple):
    """The packages of sources; ``failures`` says which package managers could not be asked."""

    packages: dict[str, str]
    failures: tuple[str, ...] = ()


def owners_of(sources: Collection[str]) -> Owners:
    """Say which package each source belongs to; those of none are left out.

    Each package manager that has a database here is asked; if several name a source, the first.
    """
    wanted = {source: source for source in sources}
    wanted |= {real: source for source, real in _resolved(sources) if real not in wanted}
    packages: dict[str, str] = {}
    failures: list[str] = []
    links = _links_at_the_top()
    for ask in (_of_dpkg, _of_rpm, _of_pacman):
        try:
            for path, package in ask():
                source = wanted.get(path) or wanted.get(_straight(path, links))
                if source is not None:
                    packages.setdefault(source, package)
        except _UnansweredError as error:
            failures.append(str(error))
    return Owners(packages, tuple(failures))


class _UnansweredError(Exception):
    """A package manager that has a database did not answer."""


# the package managers


def _of_dpkg() -> Iterator[tuple[str, str]]:
    if not os.path.exists(query.DPKG_DATABASE):
        return
    patterns = [f"*{os.fsdecode(ending)}" for ending in _SOURCES]
    owners: dict[str, list[str]] = {}
    diverted: dict[str, tuple[str, str]] = {}
    came_from = ("", "")
    said = _ask("dpkg-query", "--search", "--", *patterns, accepted=(0, _NONE_FOUND))
    for line in os.fsdecode(said).split("\n"):
        names, found, rest = line.partition(": /")
        if not found:
            continue
        path = f"/{rest}"
        match _diversion(names):
            case ("from", by):
                came_from = (path, by)
            case ("to", by):
                diverted[came_from[0]] = (path, by)
            case _:
                # libfoo:amd64 and libfoo:i386 share what is the same in both
                packages = [name.partition(":")[0] for name in names.split(", ")]
                owners.setdefault(path, []).extend(packages)
    for path, packages in owners.items():
        other, by = diverted.get(path, (path, packages[0]))
        for package in packages:
            yield (path if package == by else other), package


def _diversion(names: str) -> tuple[str, str] | None:
    """Read ``diversion by PACKAGE from`` or ``to``; PACKAGE is "" for the administrator's."""
    match names.split(" "):
        case ["diversion", "by", by, "from" | "to" as way]:
            return way, by.partition(":")[0]
        case ["local", "diversion", "from" | "to" as way]:
            return way, ""
        case _:
            return None


def _of_rpm() -> Iterator[tuple[str, str]]:
    # where the database is differs; and rpm makes one where there is none
    try:
        place = os.fsdecode(_ask("rpm", "--eval", "%{_dbpath}")).strip()
    except _UnansweredError:
        return
    if not _has_files(place):
        return
    wanted = "[%{=NAME} %{FILENAMES}\\n]"
    yield from _named_first(_ask("rpm", "--query", "--all", "--queryformat", wanted))


def _of_pacman() -> Iterator[tuple[str, str]]:
    if _has_packages(_PACMAN_DATABASE):
        yield from _named_first(_ask("pacman", "--query", "--list"))


def _has_files(directory: str) -> bool:
    try:
        return bool(os.listdir(directory))
    except OSError:
        return False


def _has_packages(directory: str) -> bool:
    """Tell whether a pacman of this system has installed any: each has a directory there."""
    try:
        with os.scandir(directory) as entries:
            return any(entry.is_dir() for entry in entries)
    except OSError:
        return False


def _named_first(said: bytes) -> Iterator[tuple[str, str]]:
    for line in said.split(b"\n"):
        if line.endswith(_SOURCES):
            package, _, path = os.fsdecode(line).partition(" ")
            yield path, package


def _ask(*command: str, accepted: Collection[int] = (0,)) -> bytes:
    try:
        done = query.run(command)
    except OSError as error:
        raise _UnansweredError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode not in accepted:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise _UnansweredError(f"{command[0]} cannot say whose files are whose: {said}")
    return done.stdout


# names


def _resolved(sources: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give each source with the path that links among its directories lead to."""
    directories = {source.rpartition("/")[0] for source in sources}
    real = {directory: os.path.realpath(directory) for directory in directories}
    for source in sources:
        directory, _, name = source.rpartition("/")
        yield source, f"{real[directory]}/{name}"


def _links_at_the_top() -> dict[str, str]:
    """Say where ``/lib`` and the like lead, where they are links."""
    with os.scandir("/") as entries:
        return {entry.name: os.path.realpath(entry.path) for entry in entries if entry.is_symlink()}


def _straight(path: str, links: dict[str, str]) -> str:
    top, slash, rest = path[1:].partition("/")
    return f"{links[top]}{slash}{rest}" if top in links else path

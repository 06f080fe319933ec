"""Look into homes and other directories of users, each as the user whose it is.

A process that has become the user looks, so root's rights reach nothing there, and one that waits
for a dead file server is left behind. What it tells is hearsay: places to be shown.
"""

import os
import pwd
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.machine.variables import Said, files_of, said_in
from pycache_sys.system.users.as_user import FailedError, Login, NoAnswerError, login_of, logins
from pycache_sys.system.users.hearsay import LONGEST, hear
from pycache_sys.system.users.search import Limits, Searched, Venv, search

SILENCE_SECONDS = 10.0
_MORE_SECONDS = 10.0
_HOMES = "/home"


class Place(NamedTuple):
    """A directory, and the user whose it is; ``is_home`` if files in it are read at a login."""

    path: str
    login: Login
    is_home: bool = True


@dataclass(slots=True)
class Look:
    """What was seen in a place; ``failure`` says why nothing was."""

    place: Place
    searched: Searched = field(default_factory=Searched)
    said: list[Said] = field(default_factory=list)
    failure: str = ""


def homes(services: Sequence[tuple[int, int]]) -> list[Place]:
    """List the homes that are their users' own: not root's, and no service's but below ``/home``.

    Nothing is looked at but the directory itself.
    """
    by_uid = {login.uid: login for login in logins()}
    found: dict[str, Place] = {}
    for entry in pwd.getpwall():
        login = by_uid[entry.pw_uid]
        path = os.path.normpath(entry.pw_dir)
        is_service = any(low <= login.uid <= high for low, high in services)
        if login.uid == 0 or not path.startswith("/") or path == "/":
            continue
        if not is_service or path.startswith(f"{_HOMES}/"):
            found.setdefault(path, Place(path, login))
    return list(found.values())


def owner_of(path: str) -> Place | None:
    """Say whose a directory is; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    with suppress(KeyError):
        return Place(path, login_of(pwd.getpwuid(status.st_uid)), is_home=False)
    login = Login(str(status.st_uid), status.st_uid, status.st_gid, (status.st_gid,))
    return Place(path, login, is_home=False)


def look(place: Place, mounts: Mounts, limits: Limits) -> Look:
    """Look into a place, as its user where that is another one."""
    found = Look(place)
    mounted = mounts.inside(place.path)

    def tell(beat: Callable[[], None]) -> bytes:
        return b"\0".join(_told(place, mounted, limits, beat))

    try:
        if place.login.uid == os.geteuid():
            if mounts.silent([place.path]):
                found.failure = "its file system does not answer"
                return found
            text = tell(lambda: None)
        else:
            total = limits.seconds + _MORE_SECONDS
            text = hear(place.login, tell, silence=SILENCE_SECONDS, total=total)
    except NoAnswerError:
        found.failure = "its file system does not answer, or takes too long"
    except FailedError:
        found.failure = f"the process that was to look as {place.login.name} has failed"
    except OSError as error:
        found.failure = error.strerror or str(error)
    else:
        _take(text, found)
    return found


# what is told: records that end with NUL, each of fields that end with newlines


def _told(
    place: Place, mounted: Iterable[str], limits: Limits, beat: Callable[[], None]
) -> list[bytes]:
    """Look, and tell what was seen; as much of it as may be told."""
    try:
        searched = search(place.path, beat, limits=limits, mounted=frozenset(mounted))
    except FileNotFoundError:
        return [_record("gone")]
    except OSError as error:
        return [_record("failed", error.strerror or "")]
    said = said_in(files_of(place.path)) if place.is_home else ()
    records = [
        _record("number", str(searched.number)),
        *([] if searched.is_whole else [_record("part")]),
        *(_record("said", s.path, str(s.line), s.variable) for s in said),
        *(_record("venv", *venv) for venv in searched.venvs),
        *(_record("root", path) for path in searched.root_owned),
    ]
    length = 0
    for number, record in enumerate(records):
        length += len(record) + 1
        if length > LONGEST:
            return records[:number]
    return records


def _record(*fields: str) -> bytes:
    return b"\n".join(os.fsencode(text).replace(b"\n", b"\1") for text in fields)


def _records(text: bytes) -> Iterator[list[str]]:
    for record in text.split(b"\0"):
        fields = record.split(b"\n")
        yield [os.fsdecode(part.replace(b"\1", b"\n")) for part in fields]


def _take(text: bytes, found: Look) -> None:
    """Read what was told; what is of no known form is nothing."""
    searched = found.searched
    for record in _records(text):
        match record:
            case ["failed", why]:
                found.failure = why or "it cannot be read"
            case ["part"]:
                searched.is_whole = False
            case ["number", number] if _is_number(number):
                searched.number = int(number)
            case ["said", path, line, variable] if _is_number(line):
                found.said.append(Said(path, int(line), variable))
            case ["venv", path, home, version]:
                searched.venvs.append(Venv(path, home, version))
            case ["root", path]:
                searched.root_owned.append(path)
            case _:
                continue


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16

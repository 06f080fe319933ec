"""Users of this system: who they are, and to become one of them for good."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pycache_sys.core.errors import PycacheSysError, UsageError
from pycache_sys.system.users.ids import take_ids
from pycache_sys_runtime.policy import parse_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who runs Python, with the environment of a new session."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def environ(self) -> Mapping[str, str]:
        """Return what the variables are after a login, as far as nobody has changed them."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": self.home,
            "USER": self.name,
            "LOGNAME": self.name,
        }


def find_person(text: str) -> Person:
    """Look up a user by name or uid. Raises UsageError."""
    import pwd  # noqa: PLC0415 - only where somebody is named

    number = parse_id(text)
    try:
        found = pwd.getpwnam(text) if number is None else pwd.getpwuid(number)
    except KeyError:
        hint = "name one that 'getent passwd' lists"
        raise UsageError(f"there is no user {text!r}", hint=hint) from None
    return Person(
        name=found.pw_name,
        uid=found.pw_uid,
        gid=found.pw_gid,
        groups=tuple(os.getgrouplist(found.pw_name, found.pw_gid)),
        home=found.pw_dir,
    )


def become(person: Person) -> None:
    """Take on somebody's ids and groups: from now on this process may do no more than they may.

    Raises PycacheSysError where that is not allowed, or where this program is out of their reach:
    it loads modules of its own until it ends.
    """
    if os.getresuid() == (person.uid,) * 3:
        return
    try:
        take_ids(person.uid, person.gid, person.groups)
    except OSError as error:
        raise PycacheSysError(
            f"only root can look as {person.name} does: {error.strerror}", hint="run it as root"
        ) from error
    for path in (os.__file__, __file__):
        if not os.access(path, os.R_OK):
            raise PycacheSysError(
                f"{person.name} cannot read {path}, which this program needs",
                hint="install pycache-sys and its Python where all can read them, as in /usr",
            )


def name_of(uid: int) -> str:
    """Say who a uid is: ``root``, ``ada (uid 1000)``, or ``uid 1000`` where no account has it."""
    import pwd  # noqa: PLC0415 - only where somebody is named

    if not uid:
        return "root"
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"

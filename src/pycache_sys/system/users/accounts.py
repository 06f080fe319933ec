"""The numbers of users and groups, from the name service or from a root's own files."""

import os

_FILES = {"user": "/etc/passwd", "group": "/etc/group"}
_NUMBER = 2
_GROUP_NUMBER = 3
_files_only: list[bool] = []


def read_files_only() -> None:
    """From now on ask no name service: its libraries would be loaded from another system."""
    _files_only.append(True)


def find_id(kind: str, name: str) -> tuple[int, int] | None:
    """Return the number of a ``user`` or ``group`` with that of a user's group; None for nobody."""
    if _files_only:
        return _find_in_file(kind, name)
    import grp  # noqa: PLC0415 - only where there are names
    import pwd  # noqa: PLC0415 - as above

    try:
        if kind == "user":
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
        number = grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None
    return number, number


def _find_in_file(kind: str, name: str) -> tuple[int, int] | None:
    try:
        with open(_FILES[kind], "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return None
    for line in lines:
        fields = line.split(b":")
        if fields[0] == os.fsencode(name) and len(fields) > _GROUP_NUMBER:
            own, other = fields[_NUMBER], fields[_GROUP_NUMBER if kind == "user" else _NUMBER]
            if own.isdigit() and other.isdigit():
                return int(own), int(other)
    return None

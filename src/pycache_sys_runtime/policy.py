"""Read the administrator's policy: the scanner, and what it means for one process.

The format, one statement a line::

    key = value           # a comment, at the start of a line or after a blank
    key += more           # add to a list of a lower layer
    [python >=3.12]       # what follows is for some interpreters, users, groups or roots only

Which files there are, and which counts when, is the UAPI Configuration Files Specification:
``/etc`` over ``/run`` over ``/usr/lib``; drop-ins sorted by name across all three; a link to
``/dev/null`` masks a file. https://uapi-group.org/specifications/specs/configuration_files_specification/

Start-up reads this once per process. So nothing is imported that is not loaded, nothing raises,
and nothing is said: a line that is not understood is skipped, a file that others could have
written is absent, and what is left over is the default. The builder reads with the same functions
and says what is wrong (``pycache_sys.policy``).
"""

import os

from . import hook, modules, startup
from .hook import is_roots
from .trust import only_root_changes

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence  # noqa: F401 - in comments

    Statement = tuple[str, int, int, str | None, str, str, str]
    Ids = Callable[[], Mapping[str, int]]
    Gids = Callable[[], Collection[int]]

DIRECTORIES = startup.DIRECTORIES
FILE_NAME = startup.FILE_NAME
MAIN_FILES = startup.MAIN_FILES
DROP_IN_DIRECTORIES = startup.DROP_IN_DIRECTORIES
DROP_IN_SUFFIX = ".conf"
SIZE_LIMIT = 65536
"""The longest policy file, in bytes."""
IDS_FILE = "/var/cache/pycache-sys/ids"
"""Numbers for the names in the policy: start-up asks no name service, so the builder does."""

UNCLOSED = "no section"
NO_VALUE = "neither section nor key"
UNPRINTABLE = "unprintable"
"""What a line is that says nothing: stands in the place of its operator."""

CACHES = ("user-cache", "root-cache", "service-cache")
DEFAULTS = {
    "enabled": "yes",
    "system-tree": "/var/cache/python",
    "image-tree": "/usr/lib/pycache",
    "user-cache": "auto",
    "root-cache": "auto",
    "service-cache": "auto",
    "service-uids": "1-999 61184-65519 65534",
    "read-beside-source": "yes",
    "explicit-prefix": "layer",
    "export-prefix": "no",
}
"""What start-up does where the policy says nothing, in the policy's words."""

SYSTEM_WIDE = frozenset(["system-tree", "image-tree", "root-cache", "service-uids"])
"""What holds for everybody: no section can change it."""

BUILT_IN = hook.BUILT_IN
"""``DEFAULTS`` as ``understand`` reads them: start-up has no time to do it."""

DIRECTORY_PLACEHOLDERS = ("{user_cache_dir}", "{runtime_dir}", "{cache_directory}")
NAME_PLACEHOLDERS = ("{uid}", "{user}")
EXPLICIT_PREFIX = ("layer", "exclusive", "ignore")
WORDS = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}

EVERYWHERE = 0
GROUP = 3
USER = 4
"""How specific a section is: a setting in a more specific one wins, at a tie the later.

Between the two are interpreters: see ``pythons``.
"""

_SPECIAL = "[ \t\r"
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TYPE = 0o170000
_REGULAR = 0o100000
_ELOOP = 40
_HIGHEST_ID = (1 << 32) - 2


# the text


def scan(text, file=""):
    # type: (str, str) -> list[Statement]
    """List the statements of a file as (file, line, column, section, key, operator, value).

    Lines and columns count from 1; the column is the value's. A section's own line has an empty
    key and operator, and the section as its value. Keys before any section have the section "".
    A line that is neither has an empty key, the operator ``UNCLOSED``, ``NO_VALUE`` or
    ``UNPRINTABLE``, and itself as the value; after a section that is not closed the section is
    None, for nobody knows whom those lines are for. Never raises.
    """
    found = []
    section = ""  # type: str | None
    number = 0
    for line in text.split("\n"):
        number += 1
        if not line or line[0] == "#":
            continue
        statement = line.strip(" \t\r")
        if "#" in statement:
            statement = statement[: _comment(statement)].strip(" \t")
        if not statement:
            continue
        key, operator, value = statement.partition("=")
        if operator and line[0] not in _SPECIAL and statement.isprintable():
            column = len(statement)
            value = value.strip(" ")
            if key[-1:] == "+":
                key = key[:-1]
                operator = "+="
            column += 1 - len(value)
            found.append((file, number, column, section, key.strip(" "), operator, value))
        else:
            section = _scan_rest(found, file, number, line, statement, section)
    return found


def _scan_rest(found, file, number, line, statement, section):
    # type: (list[Statement], str, int, str, str, str | None) -> str | None
    """Add what is not simply an assignment; return the section for the lines that follow."""
    column = len(line) - len(line.lstrip(" \t\r")) + 1
    plain = statement.replace("\t", " ")
    if statement[0] == "[":
        name = " ".join(plain[1:-1].split())
        section = name if name and plain[-1] == "]" and plain.isprintable() else None
    key, operator, value = "", "", statement
    if not plain.isprintable():
        operator = UNPRINTABLE
        if "[" in plain.partition("=")[0]:  # a section behind a byte order mark, say
            section = None
    elif statement[0] == "[":
        operator = UNCLOSED if section is None else ""
        value = section or statement
    elif "=" not in statement:
        operator = NO_VALUE
    else:  # there are tabs in it, or blanks before it
        key, operator, value = statement.partition("=")
        if key[-1:] == "+":
            key, operator = key[:-1], "+="
        key = key.rstrip(" \t")
        value = value.lstrip(" \t")
        column = line.find(value, line.find("=") + 1) + 1
    found.append((file, number, column, section, key, operator, value))
    return section


def _comment(statement):
    # type: (str) -> int
    """Find where a comment starts: at a ``#`` after a blank, or in front."""
    if statement[0] == "#":
        return 0
    ends = [at for at in (statement.find(" #"), statement.find("\t#")) if at >= 0]
    return min(ends) if ends else len(statement)


# the files


def read_files(mains, drop_ins, read, names):
    # type: (Iterable[str], Iterable[str], Callable[[str], str | None], Callable[[str], list[str]]) -> list[tuple[str, str]]
    """List the files that count, as (path, text), the lowest precedence first.

    ``mains`` are where the main file may be and ``drop_ins`` the directories of drop-ins, the
    highest precedence first. ``read`` gives a path's text, "" for one that is masked, None for one
    that is absent; ``names`` gives the names in a directory.
    """
    found = []
    for path in mains:
        text = read(path)
        if text is not None:
            found.append((path, text))
            break
    places = {}  # type: dict[str, list[str]]
    for directory in drop_ins:
        for name in names(directory):
            if name.endswith(DROP_IN_SUFFIX):
                places.setdefault(name, []).append(directory + "/" + name)
    if not places:
        return found
    for name in sorted(places):
        for path in places[name]:
            text = read(path)
            if text is not None:
                found.append((path, text))
                break
    return found


def read_file(path):
    # type: (str) -> str | None
    """Read a file that only root can change; "" where it is masked, None for any other.

    Waits for nobody: a FIFO is no policy. Bytes that are not UTF-8 spoil their own line only.
    """
    try:
        descriptor = os.open(path, _OPEN)
    except OSError as error:
        return _read_link(path) if error.errno == _ELOOP else None
    except ValueError:
        return None
    try:
        status = os.fstat(descriptor)
        if (
            status.st_mode & _TYPE != _REGULAR
            or status.st_size > SIZE_LIMIT
            or not is_roots(status)
        ):
            return None
        return os.read(descriptor, status.st_size).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _read_link(path):
    # type: (str) -> str | None
    try:
        if os.readlink(path) == "/dev/null":
            return ""
        target = os.path.realpath(path)
        if not only_root_changes(path) or os.path.islink(target):
            return None
    except (OSError, ValueError):
        return None
    return read_file(target)


def read_names(directory):
    # type: (str) -> list[str]
    """List the names in a directory that only root can change."""
    try:
        if not os.access(directory, os.F_OK):  # cheaper than an exception, and nearly always so
            return []
        names = os.listdir(directory)
        if os.path.islink(directory) and not only_root_changes(directory):
            return []
        return names if is_roots(os.stat(directory)) else []
    except (OSError, ValueError):
        return []


# what it means


def settings(statements, implementation, version, uid, gids, ids):
    # type: (Iterable[Statement], str, tuple[int, int, int], int, Gids, Ids) -> dict[str, object]
    """Say what holds for one process: ``DEFAULTS``, and what the statements change of it.

    ``gids`` gives the numbers of the process's groups and ``ids`` the numbers for names (a mapping
    of ``user ada`` and ``group staff``); both are called where they are needed. Values are as
    ``understand`` gives them. Never raises.
    """
    values = dict(BUILT_IN)
    ranks = {}  # type: dict[str, int]
    known = {}  # type: dict[str | None, int]
    for _, _, _, section, key, operator, value in statements:
        if key not in values or operator != "=":
            continue
        level = EVERYWHERE
        if section != "":
            if section not in known:
                known[section] = rank(section, implementation, version, uid, gids, ids)
            level = known[section]
            if level < EVERYWHERE or key in SYSTEM_WIDE:
                continue
        if ranks and level < ranks.get(key, EVERYWHERE):
            continue
        understood = understand(key, value)
        if understood is not None:
            values[key] = understood
            if level:
                ranks[key] = level
    return values


def rank(section, implementation, version, uid, gids, ids):
    # type: (str | None, str, tuple[int, int, int], int, Gids, Ids) -> int
    """Say how specific a section is that holds for a process; -1 for one that does not hold."""
    if not section:
        return EVERYWHERE if section == "" else -1
    kind, _, argument = section.partition(" ")
    if kind == "python":
        # few policies need it
        match_python = modules.need("pythons").match_python
        return match_python(argument, implementation, version)  # type: ignore[no-any-return]
    if kind == "user":
        return USER if _names_one(kind, argument, (uid,), ids) else -1
    if kind == "group":
        return GROUP if _names_one(kind, argument, gids(), ids) else -1
    return -1


def _names_one(kind, argument, numbers, ids):
    # type: (str, str, Collection[int], Ids) -> bool
    for name in argument.split():
        number = parse_id(name)
        if number is None:
            number = ids().get(kind + " " + name)
        if number is not None and number in numbers:
            return True
    return False


def parse_id(text):
    # type: (str) -> int | None
    """Read a uid or gid; None where the text is something else."""
    if not text or len(text) > 10 or not (text.isdigit() and text.isascii()):
        return None
    number = int(text)
    return number if number <= _HIGHEST_ID else None


def understand(key, value):
    # type: (str, str) -> object
    """Read the value of one of the keys in ``DEFAULTS``; None where it is not understood.

    Booleans; a tree's path without a final slash, "" for off; a cache's path with its
    placeholders, "" for off; ranges of uids as pairs; ``explicit-prefix`` as it stands.
    """
    default = BUILT_IN[key]
    if default is True or default is False:
        return WORDS.get(value)
    if key in CACHES:
        if value == "auto":
            return default
        return "" if value == "off" else _template(value)
    if key == "explicit-prefix":
        return value if value in EXPLICIT_PREFIX else None
    if key == "service-uids":
        return _ranges(value)
    if value == "off" and key == "image-tree":
        return ""
    return _path(value)


def _path(value):
    # type: (str) -> str | None
    """Take an absolute path that goes straight down, and not to ``/`` itself."""
    path = value.rstrip("/")
    inside = path + "/"
    if path[:1] != "/" or "//" in inside or "/./" in inside or "/../" in inside:
        return None
    return path if path.isprintable() else None


def _template(value):
    # type: (str) -> str | None
    """Take an absolute path, or one that begins with a directory's placeholder."""
    shape = value
    if "{" in value or "}" in value:
        if value[0] == "{":
            for name in DIRECTORY_PLACEHOLDERS:
                if shape.startswith(name):
                    shape = "/x" + shape[len(name) :]
        for name in NAME_PLACEHOLDERS:
            shape = shape.replace(name, "x")
        if "{" in shape or "}" in shape:
            return None
    return value.rstrip("/") if _path(shape) is not None else None


def _ranges(value):
    # type: (str) -> tuple[tuple[int, int], ...] | None
    """Read ``1-999 65534``; "none" for no number at all."""
    found = []
    for word in value.split():
        first, dash, last = word.partition("-")
        low = parse_id(first)
        high = parse_id(last) if dash else low
        if low is None or high is None or high < low:
            return () if value == "none" else None
        found.append((low, high))
    return tuple(found) or None


# all of it


def load(implementation, version, mains=MAIN_FILES, drop_ins=DROP_IN_DIRECTORIES):
    # type: (str, tuple[int, int, int], Iterable[str], Iterable[str]) -> dict[str, object]
    """Read the system's policy and say what holds for this process. Never raises."""
    found = read_files(mains, drop_ins, read_file, read_names)
    if not found:
        return dict(BUILT_IN)
    statements = []
    for path, text in found:
        statements += scan(text, path)
    return settings(statements, implementation, version, os.geteuid(), _groups, read_ids)


def _groups():
    # type: () -> list[int]
    return [os.getegid(), *os.getgroups()]


def read_ids(path=IDS_FILE):
    # type: (str) -> dict[str, int]
    """Read the numbers that the builder has found for names."""
    text = read_file(path) if only_root_changes(os.path.dirname(path)) else None
    found = {}
    for statement in scan(text or ""):
        number = parse_id(statement[6])
        if number is not None:
            found[statement[4]] = number
    return found

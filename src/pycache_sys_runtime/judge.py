"""Judge bytecode that is not as it mostly is, and tell those who ask where code came from.

``loader`` needs this seldom, so most processes do without it.
"""

import _imp
import posix  # os itself would be kept from being taken down early at exit, which costs
import sys
from _frozen_importlib import _verbose_message
from _frozen_importlib_external import MAGIC_NUMBER

from .loader import DAMAGED, GROUP_WRITES, HEADER_SIZE, OTHER_VERSION, SHARED, STALE, STAMPED

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from _frozen_importlib_external import SourceFileLoader  # noqa: F401 - in comments
    from types import CodeType  # noqa: F401 - in comments

_RAW_MAGIC_NUMBER = int.from_bytes(MAGIC_NUMBER, "little")


def in_right_hands(found, status):
    # type: (posix.stat_result, posix.stat_result) -> bool
    """Tell whether nobody wrote bytecode beside a source who could not have written the source.

    It may be root's, the user's, or the source's owner's; in a directory such as ``/tmp`` anybody
    may have made the ``__pycache__``.
    """
    if found.st_uid not in (0, posix.geteuid(), status.st_uid):
        return False
    if found.st_mode & ~status.st_mode & SHARED:
        return False
    return not found.st_mode & GROUP_WRITES or found.st_gid == status.st_gid


def why_not(loader, content):
    # type: (SourceFileLoader, bytes) -> str
    """Say what is wrong with bytecode that has no stamps of its source; "" where its hash fits."""
    if len(content) < HEADER_SIZE:
        _verbose_message("reached EOF while reading pyc header of {!r}", loader.name)
        return DAMAGED
    if content[:8] == STAMPED:
        return STALE
    if content[:4] != MAGIC_NUMBER:
        _verbose_message("bad magic number in {!r}: {!r}", loader.name, content[:4])
        return OTHER_VERSION
    flags = int.from_bytes(content[4:8], "little")
    if flags & ~3 or not flags & 1:
        return DAMAGED
    mode = _imp.check_hash_based_pycs
    if mode == "never" or not (flags & 2 or mode == "always"):
        return ""
    found = _imp.source_hash(_RAW_MAGIC_NUMBER, loader.get_data(loader.path))
    return "" if content[8:16] == found else STALE


def trace(loader, code, layer, path, missed):
    # type: (SourceFileLoader, CodeType, str, str, list[tuple[str, str]]) -> CodeType
    """Give out the code; say on stderr where it is from, and why other layers did not have it."""
    served = layer + " " + path if path else layer
    words = [served, *[name + ": " + why for name, why in missed]]
    say(loader.name + ": " + "; ".join(words))
    return code


def say(text):
    # type: (str) -> None
    """Write a line for whoever asked for it."""
    # not by a codec, for that may have to be imported
    line = "".join([char if " " <= char <= "~" else ascii(char)[1:-1] for char in text])
    try:
        sys.stderr.write("pycache-sys: " + line + "\n")
        sys.stderr.flush()  # before 3.9 os._exit drops what is buffered
    except Exception:  # noqa: S110 - no stderr: then nobody wants to know
        pass

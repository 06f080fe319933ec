"""Why a layer does not serve a module, and why nothing would be written, in plain words.

The decision is the hook's; what is said here follows from what can be seen of the file.
"""

import stat
from collections.abc import Callable
from dataclasses import dataclass

from pycache_sys.core.explanation import (
    Answer,
    File,
    Hooked,
    Layer,
    Module,
    Place,
    Why,
    Writing,
)
from pycache_sys.core.pyc import FLATTENED_BEFORE, HEADER_SIZE, TIMESTAMP

Who = Callable[[int], str]
"""Says who a uid is, like ``ada (uid 1000)``."""

_SECOND = 1_000_000_000
_WRAP = 1 << 32
_KNOWN_FLAGS = (0, 1, 3)
_LARGEST = 1 << 30
_FOR_GROUP, _FOR_OTHERS = 0o020, 0o002
_TYPES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

HOOK_WORDS = {
    Hooked.ON: "the hook is on",
    Hooked.NOT_DELIVERED: "no hook: nothing brings it (pycache-sys enable does)",
    Hooked.SWITCH: "the hook is off: PYCACHE_SYS=off is set",
    Hooked.POLICY: "the hook is off: the policy says 'enabled = no'",
    Hooked.GONE: "no hook: the files that it consists of cannot be loaded",
    Hooked.UNKNOWN: "the hook is of another version, which this program cannot ask",
}


@dataclass(frozen=True, slots=True)
class Words:
    """A few words, and the path that they are about if it is not plain which."""

    text: str
    path: str = ""


def layer_reason(layer: Layer, module: Module, answer: Answer, who: Who) -> Words:
    """Say what a layer has of a module, and why that is not loaded."""
    match layer.why:
        case Why.NOTHING:
            return Words(_serving(layer, module), layer.path)
        case Why.ABSENT | Why.NO_DIRECTORY if layer.culprit is not None:
            return _closed(layer.culprit.file, layer.culprit.path, who)
        case Why.ABSENT if layer.file is not None:
            return _closed(layer.file, layer.path, who)
        case Why.NO_FILE:
            return Words(f"ignored: {_kind_of(layer.file)}", layer.path)
        case Why.DAMAGED:
            return Words(f"damaged: {_damage(layer)}", layer.path)
        case Why.OTHER_VERSION:
            return Words(_other_version(layer, answer), layer.path)
        case Why.STALE:
            return Words(f"stale: {_staleness(layer, module, who)}", layer.path)
        case Why.HANDS:
            return _hands(layer, module, answer, who)
        case _:
            return Words(_PLAIN.get((layer.place, layer.why)) or _PLAIN_ANYWHERE[layer.why])


_PLAIN_ANYWHERE = {
    Why.ABSENT: "absent",
    Why.OFF: "off: the policy says so",
    Why.NO_PLACE: "none: bytecode of such a path has no place of its own",
    Why.NO_FOLDER: "absent: there is no such tree for this version",
    Why.NO_DIRECTORY: "absent: it has nothing of this directory",
    Why.BY_PREFIX: "not asked: there is an explicit pycache_prefix",
    Why.NO_CACHE: "none: no home directory is known",
    Why.NO_SERVICE: "none: CACHE_DIRECTORY is not set for this service",
    Why.GONE: "none: the files of the hook are gone",
}
_PLAIN = {(Place.BESIDE, Why.NO_DIRECTORY): "absent: there is no __pycache__"}


def _serving(layer: Layer, module: Module) -> str:
    if layer.path == module.file:
        return "fails here: Python stops at it" if module.failure else "serves it"
    if module.served is Place.COMPILED:
        return "good, but was not asked"
    return f"good, but the {module.served} comes first"


def _closed(file: File, path: str, who: Who) -> Words:
    mode = f"{stat.S_IMODE(file.mode):04o}"
    return Words(f"cannot be read: it is {whose(file.uid, who)}, mode {mode}", path)


def whose(uid: int, who: Who) -> str:
    """Say whose a file is."""
    name, blank, rest = who(uid).partition(" ")
    return f"of uid {uid}" if name == "uid" else f"{name}'s{blank}{rest}"


def _kind_of(file: File | None) -> str:
    kind = "not a file" if file is None else _TYPES.get(stat.S_IFMT(file.mode), "not a file")
    return f"it is {kind}"


def _damage(layer: Layer) -> str:
    size = layer.file.size if layer.file is not None else 0
    if not size:
        return "the file is empty"
    if size < HEADER_SIZE:
        return f"the file ends after {size} bytes"
    if size > _LARGEST:
        return "the file is longer than any bytecode"
    flags = int.from_bytes(layer.header[4:8], "little")
    if flags not in _KNOWN_FLAGS:
        return f"it has flags that no Python writes ({flags:#x})"
    return "what follows the header is no code, or not all of it"


def _other_version(layer: Layer, answer: Answer) -> str:
    if layer.header[2:4] != b"\r\n":
        return "damaged: it does not begin as bytecode does"
    found, own = (int.from_bytes(magic[:2], "little") for magic in (layer.header, answer.magic))
    return f"of another version: magic number {found}, this Python has {own}"


# stale


def _staleness(layer: Layer, module: Module, who: Who) -> str:
    source, file = module.source, layer.file
    if source is None or file is None or len(layer.header) < HEADER_SIZE:
        return "it is not this source's"
    if int.from_bytes(layer.header[4:8], "little") != TIMESTAMP:
        return "its hash is not that of the source"
    compiled, size = (int.from_bytes(layer.header[at : at + 4], "little") for at in (8, 12))
    newer = source.mtime // _SECOND % _WRAP - compiled
    if newer:
        than = "newer" if newer > 0 else "older"
        return f"the source is {duration(abs(newer))} {than}"
    if source.size % _WRAP != size:
        return f"the source has {source.size} bytes, the one compiled had {size}"
    if file.ctime < source.ctime:
        since = duration((source.ctime - file.ctime) // _SECOND)
        return f"the source was changed {since} after it"
    if source.mtime < FLATTENED_BEFORE * _SECOND:
        return "the source's time says nothing, and there is no hash"
    return f"it has no hash, and the source is {whose(source.uid, who)}"


def duration(seconds: int) -> str:
    """Say roughly how long that is."""
    if seconds < 1:
        return "less than 1 s"
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


# in wrong hands


def _hands(layer: Layer, module: Module, answer: Answer, who: Who) -> Words:
    if layer.culprit is not None and layer.above is not None:
        file = layer.culprit.file
        return Words(f"ignored: {_planted(file, layer.above, answer, who)}", layer.culprit.path)
    if layer.culprit is not None:
        wanted = who(answer.uid) if layer.place is Place.OWN else "root"
        return Words(f"ignored: {_spoilt(layer.culprit.file, wanted, who)}", layer.culprit.path)
    if layer.file is None:
        return Words("ignored: somebody else can change it", layer.path)
    if layer.place is Place.OWN:
        return Words(f"ignored: {_spoilt(layer.file, who(answer.uid), who)}", layer.path)
    return Words(f"ignored: {_beside(layer.file, module.source, answer, who)}", layer.path)


def _spoilt(file: File, wanted: str, who: Who) -> str:
    """Say who can change what should be one user's alone."""
    name = wanted.partition(" (")[0]
    mode = f"(mode {stat.S_IMODE(file.mode):04o})"
    if who(file.uid) != wanted and file.uid:
        return f"it belongs to {who(file.uid)}, not to {name}"
    if stat.S_ISLNK(file.mode):
        return "it is a symbolic link, and none is followed here"
    if file.mode & _FOR_OTHERS:
        return f"everybody can write it {mode}"
    if file.mode & _FOR_GROUP:
        return f"its group can write it {mode}"
    if file.uid == 0 and wanted != "root":
        return f"it belongs to root, not to {name}"
    return "somebody else can change it"


def _beside(file: File, source: File | None, answer: Answer, who: Who) -> str:
    """Say who could write a file beside a source, and not the source."""
    above = source.mode if source is not None else 0
    if source is None or file.uid not in (0, answer.uid, source.uid):
        return f"it is {whose(file.uid, who)}, the source is not"
    if file.mode & ~above & _FOR_OTHERS:
        return "everybody can write it, but not the source"
    if file.mode & ~above & _FOR_GROUP:
        return "its group can write it, but not the source"
    return "its group can write it, and another one the source"


def _planted(file: File, above: File, answer: Answer, who: Who) -> str:
    """Say who could fill a ``__pycache__`` without being able to exchange the sources."""
    if above.mode & stat.S_ISVTX and above.mode & (_FOR_GROUP | _FOR_OTHERS):
        if file.uid not in (0, answer.uid):
            return f"it is {whose(file.uid, who)}, in a directory open to all"
        return "others can write it, or have put it there"
    if stat.S_IFMT(file.mode) not in (stat.S_IFDIR, stat.S_IFLNK):
        return _kind_of(file)
    if file.mode & ~above.mode & _FOR_OTHERS:
        return "everybody can write it, but not the folder above"
    if file.mode & ~above.mode & _FOR_GROUP:
        return "its group can write it, but not the folder above"
    return "a group can write it that cannot write the sources"


# what would be written

_WRITTEN = {
    "hash": "this file, matched with the source by its hash",
    "time": "this file, matched by size and time",
}
_NOT_WRITTEN = {
    Why.SERVED: "nothing: there is good bytecode",
    Why.FAILS: "nothing: the source does not compile",
    Why.OTHER_LOADER: "what its own loader writes",
    Why.NO_WRITES: "nothing: PYTHONDONTWRITEBYTECODE is set",
    Why.SCRIPT: "nothing: a package's maintainer script runs",
    Why.NO_PLACE: "nothing: bytecode of such a path has no place of its own",
    Why.OFF: "nothing: the policy says that there is no own cache",
    Why.GONE: "nothing: the files of the hook are gone",
    Why.NO_CACHE: "nothing: there is no own cache",
    Why.NO_SERVICE: "nothing: there is no own cache",
}


def writing_reason(writing: Writing, answer: Answer, who: Who) -> Words:
    """Say what an import would write, or why nothing."""
    match writing.why:
        case Why.NOTHING:
            return Words(
                _WRITTEN.get(writing.by, "this file, matched by size and time"), writing.path
            )
        case Why.HANDS if writing.culprit is not None:
            return Words(
                f"nothing: {_spoilt(writing.culprit.file, who(answer.uid), who)}",
                writing.culprit.path,
            )
        case Why.DENIED if writing.culprit is not None:
            return Words(
                f"nothing: {who(answer.uid)} cannot write this directory", writing.culprit.path
            )
        case _:
            return Words(_NOT_WRITTEN.get(writing.why, "nothing"))

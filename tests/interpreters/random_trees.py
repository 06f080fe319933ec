"""Random sources with bytecode in every layer, and what of it could be made again.

What may be deleted is decided here a second time, and without the code that deletes: by names as
PEP 3147 and PEP 488 have them, and by compiling the source.
"""

import json
import marshal
import os
import re
import shutil
import stat
import sys
import time
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from random import Random
from types import CodeType
from typing import NamedTuple

from hypothesis import strategies as st

from interpreters.builder import FOLDER, TAG
from interpreters.hooked import OWN, TREE

PLACE = Path("/opt/sourceless")
LIBRARY = PLACE / "library"
OUTSIDE = PLACE / "outside"
NEAR_CACHES = TREE.parent / "outside"
"""What is outside, on the file system of the caches."""
MANIFEST = LIBRARY / "conda-meta" / "package.json"
LINKS = {
    "link": OUTSIDE / f"a.{TAG}.pyc",
    "link to source": OUTSIDE / "source.py",
    "dangling": OUTSIDE / "nothing.py",
}
STRANGER = 4300
HALF = ".pycache-sys-0123456789abcdef.tmp"
_HOUR = 3600

STEMS = ["a", "b", "a.b", f"a.{TAG}", "a.opt-1", "-d", "new\nline", "\udcff\udc80", "ä", "__init__"]
DIRECTORIES = ["", "pkg", "pkg/sub", "odd\nname", "\udcfe", "-d", f"a.{TAG}.pyc", "pkg/__pycache__"]
FOLDERS = [FOLDER, FOLDER, FOLDER, FOLDER, "3.13t", "pypy3.11", "2.7", "3.x", "notes"]
TEXTS = [
    b"VALUE = 'source'\n",
    b"def f():\n    'Explain.'\n    assert VALUE\nVALUE = 'source'\n",
    b"",
    b"print 'of another age'\n",
    b"\xff\xfe",
]
NAMES = [
    "README",
    "CACHEDIR.TAG",
    f"a.{TAG}.pyc.bak",
    f"a.{TAG}.pyo",
    "a.pyc",
    f".{TAG}.pyc",
    f"a.{TAG}-pytest-8.2.0.pyc",
    f"a.{TAG}.opt-.pyc",
    f"a.{TAG}.opt-xyz.pyc",
    "-rf",
    HALF,
    ".pycache-sys-0123456789ABCDEF.tmp",
]


class Source(NamedTuple):
    """A source, and what becomes of it when everything else is there."""

    directory: str
    stem: str
    suffix: str
    text: bytes
    form: str
    fate: str
    is_flat: bool


class Bytecode(NamedTuple):
    """A file named like bytecode: beside its source, in the tree or in root's own cache."""

    layer: str
    folder: str
    directory: str
    stem: str
    tag: str
    mark: str
    content: str
    form: str


class Sourceless(NamedTuple):
    """A module that is installed as bytecode alone."""

    directory: str
    stem: str


class Stray(NamedTuple):
    """A file that nobody of ours has named, in any of the layers."""

    layer: str
    folder: str
    directory: str
    name: str
    form: str
    is_old: bool


class Way(NamedTuple):
    """A directory that leads elsewhere, or that others may enter, write, or own."""

    layer: str
    folder: str
    directory: str
    form: str


class Listed(NamedTuple):
    """Bytecode that a package names as its own file."""

    directory: str
    stem: str
    mark: str


Piece = Source | Bytecode | Sourceless | Stray | Way | Listed
FORMS = ["file"] * 12 + ["link", "hard link", "fifo", "directory", "given", "open"]
MARKS = ["", "", "", "", "", ".opt-1", ".opt-2", ".opt-3", ".opt-xyz"]
LAYERS = ["beside", "tree", "cache"]
WAYS = ["outside", "closed", "open", "given", "read-only", "directory"]
SOURCES = (
    [".py", ".py", ".py", ".py", ".py", ".pyw"],
    TEXTS[:2] * 5 + TEXTS,
    ["file"] * 16 + ["link", "dangling", "directory", "given", "open"],
    ["stays"] * 8 + ["goes", "goes", "changes", "changes silently"],
    [False, False, False, True],
)
BYTECODE = (
    FOLDERS,
    ["its"] * 8 + [TAG, "cpython-27", "cpython-313", "pypy311"],
    MARKS,
    ["right"] * 6 + ["hashed", "unchecked", "other", "stale", "garbage", ""],
    FORMS,
)


def tree_of(seed: int) -> list[Piece]:
    """Choose what there is, by a number: few names, so that it meets.

    Drawn one by one, many of the trees would be like those before them.
    """
    dice = Random(seed)  # noqa: S311 - the same for each number
    stems = dice.sample(STEMS, dice.randint(1, 3))
    directories = dice.sample(DIRECTORIES, dice.randint(1, 2))
    every = [(directory, stem) for directory in directories for stem in stems]
    sources = [
        Source(*dice.choice(every), *map(dice.choice, SOURCES)) for _ in range(dice.randint(3, 6))
    ]
    places = [(one.directory, one.stem) for one in sources] * 4 + every
    found: list[Piece] = list(sources)
    for _ in range(dice.randint(12, 24)):
        folder, *more = map(dice.choice, BYTECODE)
        found.append(Bytecode(dice.choice(LAYERS), folder, *dice.choice(places), *more))
    found.append(Sourceless(dice.choice(directories), dice.choice(STEMS)))
    for _ in range(dice.randint(0, 4)):
        where = (dice.choice(LAYERS), dice.choice(FOLDERS), dice.choice(directories))
        is_old = dice.random() < 0.5
        found.append(Stray(*where, dice.choice(NAMES), dice.choice(FORMS), is_old))
    for _ in range(dice.choice([0, 0, 1, 1, 2])):
        layer = dice.choice(["source", *LAYERS])
        where = (layer, dice.choice(FOLDERS), dice.choice(directories))
        found.append(Way(*where, dice.choice(WAYS)))
    number = dice.choice([0, 0, 1, 2])
    return found + [Listed(*dice.choice(places), dice.choice(MARKS[:7])) for _ in range(number)]


trees = st.integers(0, (1 << 48) - 1).map(tree_of)
"""What there is: sources, and bytecode in every layer."""


# making it


def top_of(layer: str, folder: str) -> Path:
    """Name the directory in which a layer has what belongs to ``/``."""
    return {"tree": TREE, "cache": OWN}[layer] / folder


def place_of(layer: str, folder: str, directory: str) -> Path:
    """Name the directory in which a layer has the bytecode of a directory's sources."""
    if layer in ("source", "beside"):
        return LIBRARY / directory / ("__pycache__" if layer == "beside" else "")
    return top_of(layer, folder) / str(LIBRARY / directory).lstrip("/")


def make(pieces: list[Piece]) -> None:
    """Make it all anew; what is in the way of something else is left out."""
    for top in (LIBRARY, OUTSIDE, NEAR_CACHES, TREE, OWN):
        shutil.rmtree(top, ignore_errors=True)
        top.mkdir(parents=True)
    OWN.chmod(0o700)
    (LIBRARY / "README").write_text("Not empty, as a mount point would be.\n")
    (TREE / "CACHEDIR.TAG").write_text("created by pycache-sys\n")
    for name in (f"a.{TAG}.pyc", "hard.pyc", HALF, "source.py", f"__pycache__/source.{TAG}.pyc"):
        path = OUTSIDE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"VALUE = 'outside'\n")
    for name in (f"a.{TAG}.pyc", "hard.pyc"):
        (NEAR_CACHES / name).write_bytes(b"VALUE = 'outside'\n")
    order = [Source, Sourceless, Bytecode, Stray, Way]
    for kind in order:
        for piece in pieces:
            if isinstance(piece, kind):
                _make_one(piece)
    for piece in pieces:
        if isinstance(piece, Source):
            _end(piece)
    _list([piece for piece in pieces if isinstance(piece, Listed)])


def _make_one(piece: Piece) -> None:
    match piece:
        case Source():
            path = LIBRARY / piece.directory / (piece.stem + piece.suffix)
            form = {"link": "link to source"}.get(piece.form, piece.form)
            if _put(path, piece.text, form) and path.is_file():
                past = 0 if piece.is_flat else time.time() - _HOUR
                os.utime(path, (past, past))
        case Sourceless():
            path = LIBRARY / piece.directory / f"{piece.stem}.pyc"
            code = compile("VALUE = 'sourceless'\n", "elsewhere.py", "exec")
            _put(path, MAGIC_NUMBER + bytes(12) + marshal.dumps(code), "file")
        case Bytecode():
            _make_bytecode(piece)
        case Stray():
            path = place_of(piece.layer, piece.folder, piece.directory) / piece.name
            if _put(path, b"nobody knows", piece.form) and piece.is_old and piece.form == "file":
                os.utime(path, (time.time() - 2 * _HOUR,) * 2)
        case Way():
            _change_way(piece)


def _put(path: Path, content: bytes, form: str) -> bool:
    """Make a file of some kind; tell whether there was room for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            return False
        top = OUTSIDE if path.is_relative_to(PLACE) else NEAR_CACHES
        if form == "outside":
            path.symlink_to(top)
        elif form in LINKS:
            path.symlink_to(LINKS[form])
        elif form == "hard link":
            path.hardlink_to(top / "hard.pyc")
        elif form == "fifo":
            os.mkfifo(path)
        elif form == "directory":
            path.mkdir()
        else:
            path.write_bytes(content)
            path.chmod(0o666 if form == "open" else 0o644)
            if form == "given":
                os.chown(path, STRANGER, STRANGER)
    except (FileExistsError, NotADirectoryError):
        return False
    return True


def _make_bytecode(piece: Bytecode) -> None:
    tag = piece.tag
    if tag == "its":
        tag = TAG if piece.layer == "beside" else tag_of(piece.folder) or TAG
    name = f"{piece.stem}.{tag}{piece.mark}.pyc"
    path = place_of(piece.layer, piece.folder, piece.directory) / name
    source = LIBRARY / piece.directory / f"{piece.stem}.py"
    level = int(piece.mark[-1]) if piece.mark in (".opt-1", ".opt-2") else 0
    if _put(path, content_of(piece.content, source, level), piece.form) and piece.form == "file":
        past = source.stat().st_mtime_ns if source.is_file() else 0
        os.utime(path, ns=(past, past))


def content_of(kind: str, source: Path, level: int) -> bytes:
    """Write bytecode as stock Python does, or as nobody should."""
    if kind in ("", "garbage"):
        return kind.encode() * 9
    data = source.read_bytes() if source.is_file() else b""
    seconds = int(source.stat().st_mtime) if source.is_file() else 0
    code = compiled(source, level)
    if kind == "other" or code is None:
        code = compile("VALUE = 'other'\n", str(source), "exec")
    if kind == "stale":
        seconds += 7
    fields = seconds.to_bytes(4, "little") + len(data).to_bytes(4, "little")
    flags = {"hashed": 3, "unchecked": 1}.get(kind, 0)
    if flags:
        fields = source_hash(data)
    return MAGIC_NUMBER + flags.to_bytes(4, "little") + fields + marshal.dumps(code)


def _change_way(piece: Way) -> None:
    path = place_of(piece.layer, piece.folder, piece.directory)
    if piece.form in ("outside", "directory"):
        _put(path if piece.layer == "beside" else path / "further", b"", piece.form)
    elif path.is_dir() and not path.is_symlink() and path != LIBRARY:
        if piece.form == "given":
            os.chown(path, STRANGER, STRANGER)
        else:
            path.chmod({"closed": 0o700, "open": 0o777, "read-only": 0o555}[piece.form])


def _end(piece: Source) -> None:
    """Let a source go, or become another."""
    path = LIBRARY / piece.directory / (piece.stem + piece.suffix)
    if not os.path.lexists(path) or path.is_dir():
        return
    before = path.lstat()
    match piece.fate:
        case "goes":
            path.unlink()
        case "changes" if stat.S_ISREG(before.st_mode):
            path.write_bytes(b"VALUE = 'changed'\n")
        case "changes silently" if stat.S_ISREG(before.st_mode):
            path.write_bytes(path.read_bytes().replace(b"'source'", b"'SOURCE'"))
            os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))


def _list(pieces: list[Listed]) -> None:
    if not pieces:
        return
    files = [
        str(Path(piece.directory, "__pycache__", f"{piece.stem}.{TAG}{piece.mark}.pyc"))
        for piece in pieces
    ]
    MANIFEST.parent.mkdir()
    MANIFEST.write_text(json.dumps({"files": files}))


# what there is


class Facts(NamedTuple):
    """All that must stay the same of a file, a link or a directory."""

    mode: int
    uid: int
    inode: int
    mtime: int
    link: str
    content: bytes

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_roots_file(self) -> bool:
        """Tell whether it is a regular file that root alone can write."""
        return stat.S_ISREG(self.mode) and self.uid == 0 and not self.mode & 0o022


Picture = dict[Path, Facts]


def look() -> Picture:
    """Remember everything, also what is outside."""
    found: Picture = {}
    for top in (LIBRARY, OUTSIDE, NEAR_CACHES, TREE, OWN):
        found |= look_below(top)
    return found


def look_below(top: Path) -> Picture:
    """Remember what is below a directory."""
    return {
        path: _facts(path)
        for directory, folders, files in os.walk(top)
        for path in (Path(directory, name) for name in folders + files)
    }


def _facts(path: Path) -> Facts:
    status = path.lstat()
    is_directory, is_link = stat.S_ISDIR(status.st_mode), stat.S_ISLNK(status.st_mode)
    return Facts(
        status.st_mode,
        status.st_uid,
        status.st_ino,
        0 if is_directory else status.st_mtime_ns,
        os.readlink(path) if is_link else "",
        path.read_bytes() if stat.S_ISREG(status.st_mode) else b"",
    )


def listed_files(picture: Picture) -> set[Path]:
    """Name the files that a package lists as its own."""
    if MANIFEST not in picture:
        return set()
    return {LIBRARY / name for name in json.loads(picture[MANIFEST].content)["files"]}


# what could be made again


def tag_of(folder: str) -> str | None:
    """Name the tag of an interpreter by its folder; None for a folder that is nobody's."""
    found = re.fullmatch(r"(pypy)?3\.([0-9]+)(?(1)|t?)", folder)
    return f"{found[1] or 'cpython-'}3{found[2]}" if found else None


def entry_named(path: Path, top: Path, levels: str) -> tuple[Path, str] | None:
    """Say whose bytecode a file of a tree or cache is, by its name, and of which level."""
    folder, *directories = path.relative_to(top).parts[:-1] or ("",)
    tag = tag_of(folder)
    if tag is None or not directories or "__pycache__" in directories:
        return None
    named = bytecode_named(path.name, re.escape(tag), levels)
    return named and (Path("/", *directories, named[0]), named[1])


def bytecode_named(name: str, tag: str, levels: str) -> tuple[str, str] | None:
    """Split the name of bytecode into its source's name and its level."""
    found = re.fullmatch(rf"(.+)\.(?:{tag})(?:\.opt-({levels}))?\.pyc", name, re.DOTALL)
    return (f"{found[1]}.py", found[2] or "") if found else None


def is_half(path: Path) -> bool:
    """Tell whether a file is one that a killed program of ours leaves."""
    return re.fullmatch(r"\.pycache-sys-[0-9a-f]{16}\.tmp", path.name) is not None


def compiled(source: Path, level: int) -> CodeType | None:
    """Compile a source, if it is there and can be."""
    if not source.is_file():
        return None
    try:
        text = source.read_bytes()
        return compile(text, str(source), "exec", dont_inherit=True, optimize=level)
    except (SyntaxError, ValueError):
        return None


def is_served(entry: Path, source: Path, level: int) -> bool:
    """Tell whether bytecode is this source's, by its stamps as well as by its code."""
    code = compiled(source, level)
    if code is None or entry.is_symlink() or not entry.is_file():
        return False
    content = entry.read_bytes()
    status, data = source.stat(), source.read_bytes()
    stamps = (int(status.st_mtime) & 0xFFFF_FFFF, len(data))
    fields = {
        0: b"".join(number.to_bytes(4, "little") for number in stamps),
        3: source_hash(data),
    }
    flags = int.from_bytes(content[4:8], "little")
    return (
        content[:4] == MAGIC_NUMBER
        and content[8:16] == fields.get(flags)
        and is_code(content[16:], code)
    )


def is_code(body: bytes, code: CodeType) -> bool:
    """Tell whether a body of bytecode is some code."""
    try:
        return bool(marshal.loads(body) == code)  # noqa: S302 - made here
    except (EOFError, ValueError, TypeError):
        return False


def is_roots_source(source: Path) -> bool:
    """Tell whether a source, no link, is one that may feed the system tree."""
    if source.is_symlink() or not source.is_file() or source.suffix != ".py":
        return False
    if source.stat().st_uid or source.stat().st_mode & 0o026 != 0o004:
        return False
    above = [path for path in source.parents if path.is_relative_to(LIBRARY)]
    return all(
        not path.is_symlink()
        and path.name != "__pycache__"
        and path.stat().st_uid == 0
        and not path.stat().st_mode & 0o022
        and path.stat().st_mode & 0o001
        for path in above
    )


assert sys.implementation.cache_tag == TAG

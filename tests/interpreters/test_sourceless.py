"""Sourceless is sacred: no verb removes what could not be made again, whatever there is.

Each verb meets random sources and bytecode. What is missing afterwards, or is another file, has to
bear a name that we give, where we write; and beside a source it has to be made again.
"""

import os
import signal
import stat
import subprocess
import sys
from ast import literal_eval
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from interpreters.builder import FOLDER, TAG, environment
from interpreters.hooked import (
    OWN,
    TREE,
    USABLE,
    Machine,
    command,
    policy,
    private_machine,
    start,
)
from interpreters.hooked import (
    PLACE as MATRIX,
)
from interpreters.random_trees import (
    LIBRARY,
    PLACE,
    Facts,
    Picture,
    Piece,
    Sourceless,
    bytecode_named,
    compiled,
    content_of,
    entry_named,
    is_code,
    is_half,
    is_roots_source,
    is_served,
    listed_files,
    look,
    look_below,
    make,
    trees,
)
from interpreters.random_trees import (
    NAMES as ODD_NAMES,
)
from own_prefix import OwnPrefix, make_prefix
from pycache_sys.cli import drop_in, main, py3clean
from security.namespace import mounted

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can put private mounts in the place of /var/cache"
)

PRODUCT = MATRIX / "product"
LEDGER = Path("/var/lib/pycache-sys/in-place")
PYTHONS = r"cpython-[0-9]+|pypy[0-9]+"
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking by numbers: what a tree need not have is left out instead."""
IMPORTER = """
import ast, importlib, os, sys
for line in sys.stdin:
    folder, names = ast.literal_eval(line)
    child = os.fork()
    if not child:
        sys.path.insert(0, folder)
        found = {}
        for name in names:
            try:
                found[name] = getattr(importlib.import_module(name), "VALUE", None)
            except Exception as error:
                found[name] = type(error).__name__
        print(ascii(found), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


class Importer:
    """A hooked interpreter that imports modules, each time in a new process."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), "-u", "-c", IMPORTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env=environment(HOME="/nonexistent"),
        )

    def values(self, folder: Path, names: list[str]) -> dict[str, object]:
        """Import modules from a folder, and return what each has to say."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(ascii((str(folder), names)), file=self._process.stdin, flush=True)
        found: dict[str, object] = literal_eval(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=60)


@dataclass(frozen=True)
class World:
    """An interpreter with the hook, on a machine whose caches are empty."""

    python: Path
    importer: Importer

    def rules(self, *, remove: bool = False, python: str = "") -> str:
        """Write a policy for the library alone."""
        lines = [f"roots = {LIBRARY}", f"interpreters = {python or self.python}", "jobs = 1"]
        return "\n".join([*lines, *["in-place = remove"] * remove, ""])


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Give the machine. It is this module's own, for every interpreter there gets the hook."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with private_machine() as machine, machine.entered():
        yield from _furnished(machine)
    for number, handler in handlers.items():  # ``main`` has its own
        signal.signal(number, handler)


def _furnished(machine: Machine) -> Iterator[World]:
    PLACE.mkdir()
    python = machine.programs[USABLE[0]]
    with (
        mounted("tmpfs", str(PLACE), "tmpfs", options="mode=755"),
        mounted("tmpfs", "/var/lib", "tmpfs", options="mode=755"),
    ):
        command("enable", "--python", str(python))
        command("enable")
        importer = Importer(python)
        try:
            yield World(python, importer)
        finally:
            importer.close()


# what each verb may remove


@dataclass
class Change:
    """What a verb has done: what was there before is missing now, or is another file."""

    before: Picture
    after: Picture
    lost: dict[Path, Facts] = field(init=False)
    new: set[Path] = field(init=False)

    def __post_init__(self) -> None:
        self.lost = {
            path: facts for path, facts in self.before.items() if self.after.get(path) != facts
        }
        self.new = set(self.after) - set(self.before)

    def is_whole(self, directory: Path) -> bool:
        """Tell whether all that was in a directory is gone with it."""
        there = self.after.get(directory)
        is_same = there is not None and there.inode == self.before[directory].inode
        return not is_same and all(
            path in self.lost for path in self.before if path.parent == directory
        )


Rule = Callable[[Path, Facts, Change], bool]
"""Says whether a file may be missing, or may have been replaced."""


def assert_lawful(change: Change, **rules: Rule) -> Counter[str]:
    """Check all that is missing by the rule of where it was; count it."""
    counted: Counter[str] = Counter()
    tops = {"tree": TREE, "cache": OWN, "beside": LIBRARY}
    for path, facts in change.lost.items():
        where = next((name for name, top in tops.items() if path.is_relative_to(top)), "outside")
        assert where in rules, (where, path)
        if facts.is_directory:
            ours = where != "beside" or path.name == "__pycache__"
            assert ours, path
            assert change.is_whole(path), path
        else:
            assert rules[where](path, facts, change), path
            counted[where] += 1
    for path in change.new:
        where = next((name for name, top in tops.items() if path.is_relative_to(top)), "outside")
        assert where in rules, path
        assert where != "beside", path
    return counted


def is_trees(path: Path, _: Facts, __: Change) -> bool:
    """Tell whether a file of the tree has a name of ours."""
    return is_half(path) or entry_named(path, TREE, "[12]") is not None


def is_tidied(path: Path, facts: Facts, change: Change) -> bool:
    """Tell whether ``rebuild`` may take or replace an entry: none that it would have to give back.

    What a source has at level 0 is there again, and is its own.
    """
    if is_half(path):
        return True
    named = entry_named(path, TREE, "[12]")
    if named is None:
        return False
    source, level = named
    if not path.is_relative_to(TREE / FOLDER):  # of a Python that is not here
        return not os.path.lexists(source)
    if (
        level
        or not source.is_relative_to(LIBRARY)
        or compiled(source, 0) is None
        or not is_roots_source(source)
    ):
        return True
    return is_served(path, source, 0)


def is_pruned(path: Path, facts: Facts, change: Change) -> bool:
    """Tell whether ``prune`` may take an entry: none of a source that may feed the tree."""
    if is_half(path):
        return True
    named = entry_named(path, TREE, "[12]")
    if named is None or path in change.after:
        return False
    source, level = named
    if not path.is_relative_to(TREE / FOLDER):  # of a Python that is not here
        return not os.path.lexists(source)
    return bool(level) or not is_roots_source(source)


def is_of_cache(path: Path, facts: Facts, change: Change) -> bool:
    """Tell whether a file of a user's cache has a name that the hook gives."""
    return entry_named(path, OWN, "[1-9]") is not None


def is_swept(path: Path, facts: Facts, change: Change) -> bool:
    """Tell whether ``gc`` may take it, if anything."""
    is_own = stat.S_ISREG(facts.mode) and not facts.uid
    return is_own and (is_half(path) or is_of_cache(path, facts, change))


def is_in_tree(path: Path, facts: Facts, change: Change) -> bool:
    """Tell whether bytecode beside a source is served by the tree."""
    if path.parent.name != "__pycache__" or not facts.is_roots_file:
        return False
    if is_half(path):
        return True
    named = bytecode_named(path.name, TAG, "[12]")
    if named is None or path in change.after or path in listed_files(change.before):
        return False
    source = path.parent.parent / named[0]
    entry = TREE / FOLDER / str(source.parent).lstrip("/") / path.name
    return is_served(entry, source, int(named[1] or 0))


def is_cleaned(path: Path, facts: Facts, change: Change) -> bool:
    """Tell whether ``py3clean`` may take it: what any Python compiles of a source that stands."""
    named = bytecode_named(path.name, PYTHONS, "[0-9a-zA-Z]+")
    if named is None or path.parent.name != "__pycache__" or not facts.is_roots_file:
        return False
    return os.path.lexists(path.parent.parent / named[0]) and path not in change.after


# the verbs


def call(*arguments: str) -> None:
    """Run the command; what it could not do is its business, but nothing else may go wrong."""
    assert main([*arguments, "--quiet"]) in (0, 1), arguments


Act = Callable[[World], Counter[str]]
VERBS: dict[str, Act] = {}


def verb(act: Act) -> Act:
    """Put a verb on the list."""
    VERBS[act.__name__] = act
    return act


def changed_by(act: Callable[[], None]) -> Change:
    """Do something, and see what it has changed."""
    before = look()
    act()
    return Change(before, look())


def assert_made_again(change: Change) -> None:
    """Build everything, and find what was lost of sources that may feed the tree."""
    call("rebuild", "--optimize", "0,1,2")
    for path in change.lost:
        named = path.is_relative_to(TREE / FOLDER) and entry_named(path, TREE, "[12]")
        if named and named[0].is_relative_to(LIBRARY) and is_roots_source(named[0]):
            source, level = named[0], int(named[1] or 0)
            fits = compiled(source, level) is None or is_served(path, source, level)
            assert fits or path.parent.stat().st_mode & 0o022 or path.is_dir(), path


@verb
def rebuild(world: World) -> Counter[str]:
    with policy(world.rules()):
        return assert_lawful(changed_by(lambda: call("rebuild")), tree=is_tidied)


@verb
def rebuild_all_levels(world: World) -> Counter[str]:
    with policy(world.rules()):
        build = lambda: call("rebuild", "--force", "--optimize", "0,1,2")  # noqa: E731
        return assert_lawful(changed_by(build), tree=is_tidied)


@verb
def rebuild_in_place(world: World) -> Counter[str]:
    with policy(world.rules(remove=True)):
        change = changed_by(lambda: call("rebuild"))
        return assert_lawful(change, tree=is_tidied, beside=is_in_tree)


@verb
def rebuild_left_out(world: World) -> Counter[str]:
    with policy(world.rules(python="3.99")):
        change = changed_by(lambda: call("rebuild"))
        counted = assert_lawful(change, tree=is_trees)
    with policy(world.rules()):
        assert_made_again(change)
    return counted


@verb
def prune(world: World) -> Counter[str]:
    with policy(world.rules()):
        return assert_lawful(changed_by(lambda: call("prune")), tree=is_pruned)


@verb
def purge(world: World) -> Counter[str]:
    with policy(world.rules()):
        change = changed_by(lambda: call("purge"))
        tag = {TREE / "CACHEDIR.TAG"}
        counted = assert_lawful(
            change, tree=lambda p, f, c: p in tag or (is_trees(p, f, c) and stat.S_ISREG(f.mode))
        )
        assert_made_again(change)
        return counted


@verb
def gc(world: World) -> Counter[str]:
    change = changed_by(lambda: call("gc"))
    for path in change.lost:
        named = entry_named(path, OWN, "[1-9]")
        assert named is None or not os.path.lexists(named[0]), path
    return assert_lawful(change, cache=is_swept)


@verb
def gc_of_all(world: World) -> Counter[str]:
    change = changed_by(lambda: call("gc", "--older-than", "60s", "--max-size", "1K"))
    return assert_lawful(change, cache=is_swept)


@verb
def migrate(world: World) -> Counter[str]:
    with policy(world.rules()):
        before = look()
        call("migrate")
        change = Change(before, look())
        counted = assert_lawful(change, tree=is_tidied, beside=is_in_tree)
        call("migrate", "--undo")
    after = look()
    for path, facts in change.lost.items():
        if path.is_relative_to(LIBRARY) and not facts.is_directory and not is_half(path):
            name, level = bytecode_named(path.name, TAG, "[12]") or ("", "")
            code = compiled(path.parent.parent / name, int(level or 0))
            assert code is not None, path
            assert is_code(after[path].content[16:], code), path
    return counted


@verb
def clean(world: World) -> Counter[str]:
    reading, writing = os.pipe()
    before = sys.argv
    sys.argv = ["py3clean", "py3clean", str(LIBRARY)]
    try:
        with policy(world.rules()):
            change = changed_by(lambda: _clean(writing))
    finally:
        sys.argv = before
        os.close(reading)
        os.close(writing)
    return assert_lawful(change, tree=is_trees, beside=is_cleaned)


def _clean(descriptor: int) -> None:
    assert drop_in.run(py3clean._prepare, descriptor) == 0


@verb
def hook(world: World) -> Counter[str]:
    names = [name[:-3] for _, _, files in os.walk(LIBRARY) for name in files if name[-3:] == ".py"]
    folders = [Path(folder) for folder, _, files in os.walk(LIBRARY) if files]

    def load() -> None:
        for folder in folders:
            world.importer.values(folder, names)

    change = changed_by(load)
    for path in change.lost:
        named = entry_named(path, OWN, "")
        assert named is None or named[0].stem in names, path
    return assert_lawful(change, cache=is_of_cache)


EXAMPLES = {
    "rebuild": 20,
    "rebuild_all_levels": 20,
    "rebuild_in_place": 20,
    "rebuild_left_out": 20,
    "migrate": 20,
    "gc": 60,
    "gc_of_all": 60,
    "clean": 60,
    "hook": 40,
}
"""How many trees a verb meets: few, where that starts many processes."""
EXPECTED = {
    "rebuild_in_place": {"tree", "beside"},
    "migrate": {"tree", "beside"},
    "clean": {"tree", "beside"},
    "gc": {"cache"},
    "gc_of_all": {"cache"},
    "hook": {"cache"},
}


def explore(world: World, act: Act, profile: settings) -> None:
    """Let a verb meet random trees, and look that it has something to do."""
    counted: Counter[str] = Counter()

    @profile
    @given(trees)
    def one(pieces: list[Piece]) -> None:
        try:
            counted.update(check(world, act, pieces))
        except AssertionError:
            few = fewest(world, act, pieces)
            note(f"{act.__name__} with {few}")
            check(world, act, few)
            raise

    one()
    assert set(counted) == EXPECTED.get(act.__name__, {"tree"}) | {"sourceless"}
    assert min(counted.values()) > 2, counted


def check(world: World, act: Act, pieces: list[Piece]) -> Counter[str]:
    """Let a verb meet a tree. Modules that are bytecode alone are imported before and after."""
    make(pieces)
    LEDGER.unlink(missing_ok=True)
    folders = sourceless(pieces)
    values = {folder: world.importer.values(folder, names) for folder, names in folders}
    counted = act(world)
    for folder, names in folders:
        assert world.importer.values(folder, names) == values[folder]
    said = [value for found in values.values() for value in found.values()]
    return counted + Counter(sourceless=said.count("sourceless"))


def fewest(world: World, act: Act, pieces: list[Piece]) -> list[Piece]:
    """Leave out what a tree need not have to be against the law."""
    for piece in pieces:
        fewer = [one for one in pieces if one is not piece]
        try:
            check(world, act, fewer)
        except AssertionError:
            pieces = fewer
    return pieces


def sourceless(pieces: list[Piece]) -> list[tuple[Path, list[str]]]:
    """Name the modules that are bytecode alone, by folder."""
    found: dict[Path, list[str]] = {}
    for piece in pieces:
        folder = LIBRARY / piece.directory
        if not isinstance(piece, Sourceless) or "." in piece.stem:  # that is in a package
            continue
        if not os.path.lexists(folder / f"{piece.stem}.py"):
            found.setdefault(folder, []).append(piece.stem)
    return list(found.items())


@pytest.mark.parametrize("name", VERBS)
def test_nothing_goes_that_could_not_be_made_again(world: World, name: str) -> None:
    profile = settings(max_examples=EXAMPLES.get(name, 30), phases=PHASES)
    explore(world, VERBS[name], profile)


@pytest.mark.soak
@pytest.mark.parametrize("name", VERBS)
def test_nothing_goes_that_could_not_be_made_again_in_long_runs(world: World, name: str) -> None:
    profile = settings(max_examples=1000, phases=PHASES, derandomize=False, print_blob=True)
    explore(world, VERBS[name], profile)


# what enable has compiled

BOOTSTRAP = ["encodings/__init__", "encodings/aliases", "encodings/utf_8"]
KINDS = ["absent", "absent", "right", "stale", "garbage"]
BOTH = """
import os, sys
from pycache_sys.cli import main
python, venvs, meanwhile = sys.argv[1], sys.argv[2:3] * (sys.argv[2] != ""), sys.argv[3:]
assert main(["enable", "--python", python, *venvs]) == 0
for path in meanwhile:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(b"put there meanwhile")
assert main(["disable", "--python", python]) == 0
"""


@pytest.fixture(scope="module")
def prefix(world: World) -> OwnPrefix:
    """Give an interpreter with a library of its own."""
    return make_prefix(PLACE / "prefix")


@settings(max_examples=8, phases=PHASES)
@given(
    before=st.lists(st.sampled_from(KINDS), min_size=3, max_size=3),
    strays=st.sets(st.sampled_from(ODD_NAMES)),
    meanwhile=st.sets(st.sampled_from(ODD_NAMES)),
    venvs=st.sampled_from(["", "--venvs"]),
)
def test_disable_takes_what_enable_has_brought_and_nothing_else(
    prefix: OwnPrefix, before: list[str], strays: set[str], meanwhile: set[str], venvs: str
) -> None:
    prefix.clean()
    for path in (prefix.library / "encodings").iterdir():
        if path.suffix != ".py":
            path.unlink()
    for name, kind in zip(BOOTSTRAP, before, strict=True):
        put_bootstrap(prefix, name, kind)
    places = [prefix.library / "encodings/__pycache__", prefix.library / "encodings"]
    for name in strays:
        for place in places:
            place.mkdir(exist_ok=True)
            (place / name).write_bytes(b"nobody knows")
    top = prefix.folder / "prefix"
    seen = look_below(top)
    late = [str(place / f"late.{name}") for name in meanwhile for place in places]
    product = str(PRODUCT)
    run = start(
        sys.executable, "-c", BOTH, prefix.python, venvs, *late, cwd=Path("/"), PYTHONPATH=product
    )
    assert run.status == 0, run.stdout + run.stderr
    after = look_below(top)
    for path, facts in seen.items():
        if after.get(path) != facts:
            source = path.parent.parent / path.name.replace(f".{TAG}.pyc", ".py")
            assert source in seen, path
            assert is_served(path, source, 0), path
    assert {Path(path) for path in late} <= set(after)
    directories = {path for path in set(after) - set(seen) if after[path].is_directory}
    assert set(after) - set(seen) == {Path(path) for path in late} | directories


def put_bootstrap(prefix: OwnPrefix, name: str, kind: str) -> None:
    """Give what is loaded before the hook some bytecode."""
    source = prefix.library / f"{name}.py"
    path = source.parent / "__pycache__" / f"{source.stem}.{TAG}.pyc"
    if kind != "absent":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content_of(kind, source, 0))

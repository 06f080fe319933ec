"""The loader: which layer serves a module, and that no bad cache file ever does."""

import _imp
import importlib.machinery
import importlib.util
import io
import marshal
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fake_system import FakeProcess
from pycache_sys_runtime import judge, keep, layout, loader, own, trust
from pycache_sys_runtime.hook import BUILT_IN
from pycache_sys_runtime.loader import BESIDE, OWN, TREE, Layers
from strategies import SECOND
from strategies import status as made_status

FOLDER = "3.x"
SOURCE = "answer = 'source'\n"
LAYERS = (TREE, BESIDE, OWN)
USER = os.geteuid()
GROUP = 4242
OTHER = 4711
SELF = os.geteuid()


class ShownOs:
    """The module ``posix``, with other owners and modes where a test says so."""

    def __init__(self) -> None:
        self.shown: dict[tuple[int, int], dict[str, int]] = {}

    def declare(self, path: Path, **fields: int) -> None:
        found = os.lstat(path)
        self.shown[found.st_dev, found.st_ino] = fields

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def stat(self, path: str) -> os.stat_result:
        return self._show(os.stat(path))

    def lstat(self, path: str) -> os.stat_result:
        return self._show(os.lstat(path))

    def fstat(self, descriptor: int) -> os.stat_result:
        return self._show(os.fstat(descriptor))

    def _show(self, found: os.stat_result) -> os.stat_result:
        fields = self.shown.get((found.st_dev, found.st_ino), {})
        mode = stat.S_IFMT(found.st_mode) | fields.get("mode", stat.S_IMODE(found.st_mode))
        uid, gid = fields.get("uid", found.st_uid), fields.get("gid", found.st_gid)
        times = {
            "st_mtime": found.st_mtime,
            "st_mtime_ns": found.st_mtime_ns,
            "st_ctime_ns": fields.get("ctime", found.st_ctime_ns),
        }
        return os.stat_result((mode, *found[1:4], uid, gid, *found[6:10]), times)


@dataclass
class World:
    """A folder of sources, a tree and a cache."""

    folder: Path
    compiled: list[str] = field(default_factory=list)
    may_write: bool = True

    def __post_init__(self) -> None:
        self.sources.mkdir()
        self.source.write_text(SOURCE)

    @property
    def sources(self) -> Path:
        return self.folder / "src"

    @property
    def source(self) -> Path:
        return self.sources / "mod.py"

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def top(self) -> Path:
        return self.folder / "cache" / "pycache-sys"

    def entry(self, layer: str) -> Path:
        """Say where the source's entry in a layer is."""
        name = f"mod{self.layers().end}"
        if layer is BESIDE:
            return self.sources / "__pycache__" / name
        top = self.tree if layer is TREE else self.top / FOLDER
        return Path(f"{top}{self.sources}") / name

    def put(self, layer: str, content: bytes | None = None) -> Path:
        """Put an entry into a layer, by default a good one that names the layer."""
        path = self.entry(layer)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.pyc(layer) if content is None else content)
        path.chmod(0o600)
        return path

    def pyc(
        self,
        answer: str = "bad",
        *,
        magic: bytes = importlib.util.MAGIC_NUMBER,
        flags: int = 0,
        older: int = 0,
        bigger: int = 0,
        body: bytes | None = None,
    ) -> bytes:
        found = self.source.stat()
        header = magic + b"".join(
            (number & 0xFFFFFFFF).to_bytes(4, "little")
            for number in (flags, int(found.st_mtime) - older, found.st_size + bigger)
        )
        return header + (self.body(answer) if body is None else body)

    def hashed(self, answer: str, *, flags: int, data: bytes | None = None) -> bytes:
        digest = importlib.util.source_hash(self.source.read_bytes() if data is None else data)
        number = flags.to_bytes(4, "little")
        return importlib.util.MAGIC_NUMBER + number + digest + self.body(answer)

    @staticmethod
    def body(answer: str) -> bytes:
        return marshal.dumps(compile(f"answer = {answer!r}\n", "elsewhere.py", "exec"))

    def layers(self, *trees: str, **settings: Any) -> Layers:
        cache = own.OwnCache(lambda: str(self.top), FOLDER, self.may_write)
        chosen = settings.pop("own", cache)
        if settings.pop("is_traced", False):
            settings["trace"] = judge.trace
        return Layers(trees or (str(self.tree),), lambda: chosen, **settings)

    def code(self, layers: Layers | None = None, path: str | None = None) -> CodeType:
        def stock(this: importlib.machinery.SourceFileLoader, name: str) -> CodeType:
            self.compiled.append("stock")
            return compile("answer = 'stock'\n", this.name, "exec")

        get_code = loader.make_get_code(self.layers() if layers is None else layers, stock)
        return get_code(source_loader(path or str(self.source)), "mod")

    def load(self, layers: Layers | None = None, path: str | None = None) -> str:
        """Load the module, and say who answered."""
        return run(self.code(layers, path))

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if not path.is_dir())


def source_loader(path: str) -> importlib.machinery.SourceFileLoader:
    return importlib.machinery.SourceFileLoader("mod", path)


def run(code: CodeType) -> str:
    space: dict[str, str] = {}
    exec(code, space)  # noqa: S102 - a module is loaded to be executed
    return space["answer"]


@pytest.fixture(autouse=True)
def _as_a_plain_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write bytecode, and heed no prefix."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(_imp, "check_hash_based_pycs", "default")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> ShownOs:
    fake = ShownOs()
    monkeypatch.setattr(loader, "posix", fake)
    return fake


class TestOrder:
    @pytest.mark.parametrize("first", [0, 1, 2])
    def test_the_first_layer_that_has_it_serves(self, world: World, first: int) -> None:
        for layer in LAYERS[first:]:
            world.put(layer)
        assert world.load() == LAYERS[first]

    def test_the_first_tree_serves_before_the_second(self, world: World) -> None:
        second = world.folder / "second"
        (second / str(world.sources)[1:]).mkdir(parents=True)
        world.put(TREE)
        layers = world.layers(str(second), str(world.tree))
        assert world.load(layers) == TREE

    def test_nothing_beside_the_source_is_read_where_policy_says_so(self, world: World) -> None:
        world.put(BESIDE)
        assert world.load(world.layers(beside=False)) == "source"

    def test_code_names_the_source_it_was_asked_for(self, world: World) -> None:
        world.put(TREE)
        assert world.code().co_filename == str(world.source)

    def test_directories_are_looked_at_once(self, world: World) -> None:
        layers = world.layers()
        assert world.load(layers) == "source"
        world.put(BESIDE)
        world.put(OWN)
        assert world.load(layers) == OWN


class TestWriting:
    def test_an_own_cache_is_written_once_for_the_user_alone(self, world: World) -> None:
        assert world.load() == "source"
        entry = world.entry(OWN)
        before = entry.stat()
        assert stat.S_IMODE(before.st_mode) == 0o600
        for directory in entry.parents:
            if directory == world.folder:
                break
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert world.load() == "source"
        after = entry.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_what_was_written_is_read(self, world: World) -> None:
        world.load()
        entry = world.entry(OWN)
        content = entry.read_bytes()
        assert content[:16] == world.pyc()[:16]
        entry.write_bytes(content[:16] + world.body("kept"))
        assert world.load() == "kept"

    def test_nothing_else_is_written(self, world: World) -> None:
        for layer in (TREE, BESIDE):
            world.entry(layer).parent.mkdir(parents=True)
        world.load()
        assert world.files() == sorted([world.source, world.entry(OWN)])

    def test_dont_write_bytecode_writes_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        assert world.load() == "source"
        assert world.files() == [world.source]

    def test_who_may_not_write_reads_only(self, world: World) -> None:
        world.may_write = False
        assert world.load() == "source"
        assert world.files() == [world.source]
        world.put(OWN)
        assert world.load() == OWN

    def test_without_an_own_cache_the_source_is_compiled(self, world: World) -> None:
        assert world.load(world.layers(own=None)) == "source"
        cache = own.OwnCache(lambda: None, FOLDER)
        assert world.load(world.layers(own=cache)) == "source"
        assert world.files() == [world.source]


def empty(world: World, path: Path) -> None:
    path.write_bytes(b"")


def short(world: World, path: Path) -> None:
    path.write_bytes(world.pyc()[:10])


def header_only(world: World, path: Path) -> None:
    path.write_bytes(world.pyc(body=b""))


def truncated(world: World, path: Path) -> None:
    path.write_bytes(world.pyc()[:-9])


def garbage(world: World, path: Path) -> None:
    path.write_bytes(world.pyc(body=b"\xff\x00garbage" * 9))


def not_code(world: World, path: Path) -> None:
    path.write_bytes(world.pyc(body=marshal.dumps(["no", "code"])))


def wrong_magic(world: World, path: Path) -> None:
    path.write_bytes(world.pyc(magic=b"\x01\x02\r\n"))


def other_flags(world: World, path: Path) -> None:
    path.write_bytes(world.pyc(flags=4))


def stale_mtime(world: World, path: Path) -> None:
    path.write_bytes(world.pyc(older=1))


def stale_size(world: World, path: Path) -> None:
    path.write_bytes(world.pyc(bigger=1))


def stale_hash(world: World, path: Path) -> None:
    path.write_bytes(world.hashed("bad", flags=3, data=b"other"))


def directory(world: World, path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(world: World, path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def dangling(world: World, path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def loop(world: World, path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


REWRITTEN: list[Callable[[World, Path], None]] = [
    empty,
    short,
    header_only,
    truncated,
    garbage,
    not_code,
    wrong_magic,
    other_flags,
    stale_mtime,
    stale_size,
    stale_hash,
    fifo,
    dangling,
    loop,
]


class TestBadEntries:
    @pytest.mark.parametrize("spoil", [*REWRITTEN, directory])
    @pytest.mark.parametrize("layer", LAYERS)
    def test_a_bad_entry_is_passed_over(
        self, world: World, layer: str, spoil: Callable[[World, Path], None]
    ) -> None:
        spoil(world, world.put(layer))
        assert world.load() == "source"

    @pytest.mark.parametrize("spoil", REWRITTEN)
    def test_the_own_cache_heals(self, world: World, spoil: Callable[[World, Path], None]) -> None:
        entry = world.put(OWN)
        spoil(world, entry)
        world.load()
        assert entry.is_file()
        assert not entry.is_symlink()
        assert entry.read_bytes()[:16] == world.pyc()[:16]

    def test_the_own_cache_heals_from_a_directory(self, world: World) -> None:
        entry = world.put(OWN)
        directory(world, entry)
        world.load()
        assert entry.is_file()

    def test_what_a_hook_of_open_code_gives_is_read_too(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PEP 578: it may be any object that reads."""
        world.put(TREE)
        monkeypatch.setattr(loader, "open_code", lambda path: io.BytesIO(Path(path).read_bytes()))
        assert world.load() == TREE

    @pytest.mark.parametrize("layer", LAYERS)
    def test_an_unreadable_entry_is_passed_over(
        self, world: World, layer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = world.put(layer)

        def open_code(path: str) -> io.BufferedIOBase:
            if path == str(entry):
                raise PermissionError(13, "unreadable", path)
            return io.open_code(path)

        monkeypatch.setattr(loader, "open_code", open_code)
        assert world.load() == "source"

    @pytest.mark.parametrize("layer", LAYERS[:2])
    def test_a_good_entry_behind_a_bad_one_serves(self, world: World, layer: str) -> None:
        truncated(world, world.put(layer))
        world.put(OWN)
        assert world.load() == OWN

    @pytest.mark.parametrize("layer", LAYERS[1:])
    def test_an_entry_in_wrong_hands_is_passed_over(
        self, world: World, layer: str, shown: ShownOs
    ) -> None:
        shown.declare(world.put(layer), uid=OTHER)
        assert world.load() == "source"


class TestHashes:
    @pytest.mark.parametrize("layer", LAYERS)
    @pytest.mark.parametrize(
        ("mode", "flags", "fits", "served"),
        [
            ("default", 3, True, True),
            ("default", 3, False, False),
            ("default", 1, True, True),
            ("default", 1, False, True),
            ("always", 3, True, True),
            ("always", 3, False, False),
            ("always", 1, True, True),
            ("always", 1, False, False),
            ("never", 3, True, True),
            ("never", 3, False, True),
            ("never", 1, False, True),
        ],
    )
    def test_a_hash_is_checked_as_the_interpreter_was_told(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        layer: str,
        mode: str,
        flags: int,
        fits: bool,
        served: bool,
    ) -> None:
        monkeypatch.setattr(_imp, "check_hash_based_pycs", mode)
        data = None if fits else b"other"
        world.put(layer, world.hashed(layer, flags=flags, data=data))
        assert world.load() == (layer if served else "source")

    @pytest.mark.parametrize("mtime", [0, loader.FLATTENED_BEFORE - 1])
    def test_a_flattened_time_gives_a_checked_hash(self, world: World, mtime: int) -> None:
        os.utime(world.source, (mtime, mtime))
        world.load()
        assert world.entry(OWN).read_bytes()[:16] == world.hashed("", flags=3)[:16]
        world.source.write_text(SOURCE.replace("source", "edited"))
        os.utime(world.source, (mtime, mtime))
        assert world.load() == "edited"

    def test_a_source_of_another_gives_a_checked_hash(self, world: World, shown: ShownOs) -> None:
        shown.declare(world.source, uid=OTHER)
        world.load()
        assert world.entry(OWN).read_bytes()[:16] == world.hashed("", flags=3)[:16]

    @pytest.mark.parametrize("is_flat", [False, True])
    def test_stamps_of_such_a_source_are_not_believed_in_the_own_cache(
        self, world: World, shown: ShownOs, is_flat: bool
    ) -> None:
        if is_flat:
            os.utime(world.source, (0, 0))
        else:
            shown.declare(world.source, uid=OTHER)
        world.put(OWN)
        assert world.load() == "source"

    def test_a_source_changed_after_the_tree_was_built_is_compiled(
        self, world: World, shown: ShownOs
    ) -> None:
        entry = world.put(TREE)
        shown.declare(world.source, ctime=entry.stat().st_ctime_ns)
        assert world.load() == TREE
        shown.declare(world.source, ctime=entry.stat().st_ctime_ns + 1)
        assert world.load() == "source"


@pytest.mark.parametrize(
    ("uid", "mtime", "tell"),
    [
        (SELF, loader.FLATTENED_BEFORE, True),
        (SELF, loader.FLATTENED_BEFORE - 1, False),
        (SELF, 0, False),
        (OTHER, loader.FLATTENED_BEFORE, False),
        (OTHER, 0, False),
    ],
)
def test_stamps_tell_of_ones_own_sources_whose_times_are_true(
    uid: int, mtime: int, tell: bool
) -> None:
    assert loader.stamps_tell(made_status(uid=uid, mtime=mtime * SECOND), SELF) is tell


class TestHands:
    ROOT_OR_SELF = (0, SELF)

    @pytest.mark.parametrize(
        ("owner", "source_owner", "is_right"),
        [
            (0, SELF, True),
            (SELF, 0, True),
            (OTHER, OTHER, True),
            (OTHER, 0, False),
            (OTHER, SELF, False),
            (OTHER, OTHER + 1, False),
        ],
    )
    def test_beside_the_source_three_are_right(
        self, owner: int, source_owner: int, is_right: bool
    ) -> None:
        found, source = made_status(uid=owner), made_status(uid=source_owner)
        assert judge.in_right_hands(found, source) is is_right

    @pytest.mark.parametrize(
        ("mode", "source_mode", "gid", "is_right"),
        [
            (0o644, 0o644, 0, True),
            (0o644, 0o644, 7, True),
            (0o664, 0o664, 0, True),
            (0o664, 0o664, 7, False),
            (0o664, 0o644, 0, False),
            (0o646, 0o644, 0, False),
            (0o646, 0o646, 7, True),
            (0o666, 0o666, 0, True),
            (0o666, 0o664, 0, False),
            (0o644, 0o666, 7, True),
        ],
    )
    def test_nobody_may_write_it_who_may_not_write_the_source(
        self, mode: int, source_mode: int, gid: int, is_right: bool
    ) -> None:
        made = made_status(mode=stat.S_IFREG | mode, uid=SELF)
        found = os.stat_result((*made[:5], gid, *made[6:10]))
        source = made_status(mode=stat.S_IFREG | source_mode, uid=SELF)
        assert judge.in_right_hands(found, source) is is_right

    @pytest.mark.parametrize(
        ("owner", "mode", "is_right"),
        [
            (SELF, 0o600, True),
            (SELF, 0o644, True),
            (SELF, 0o620, False),
            (SELF, 0o602, False),
            (OTHER, 0o600, False),
        ],
    )
    def test_in_the_own_cache_only_ones_own_is_right(
        self, world: World, shown: ShownOs, owner: int, mode: int, is_right: bool
    ) -> None:
        shown.declare(world.put(OWN), uid=owner, mode=mode)
        assert world.load() == (OWN if is_right else "source")

    def test_the_package_is_gone_meanwhile(
        self, world: World, shown: ShownOs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def need(name: str) -> None:
            raise FileNotFoundError(name)

        shown.declare(world.put(BESIDE), uid=OTHER)
        wrong_magic(world, world.put(TREE))
        monkeypatch.setattr(loader, "need", need)
        assert world.load() == "source"


class TestTheFolderBesideTheSource:
    """Who filled a ``__pycache__``: a link in it may lead to what somebody else owns."""

    @pytest.mark.parametrize(
        ("above", "uid", "mode", "is_read"),
        [
            (0o755, USER, 0o755, True),
            (0o755, 0, 0o755, True),
            (0o1777, USER, 0o755, True),
            (0o1777, 0, 0o755, True),
            (0o1777, OTHER, 0o755, False),
            (0o1777, USER, 0o777, False),
            (0o1775, OTHER, 0o755, False),
            (0o755, OTHER, 0o755, True),
            (0o755, USER, 0o777, False),
            (0o755, USER, 0o775, False),
            (0o775, OTHER, 0o775, True),
            (0o777, OTHER, 0o777, True),
        ],
    )
    def test_it_is_read_if_nobody_filled_it_who_could_not_exchange_the_source(
        self, world: World, shown: ShownOs, above: int, uid: int, mode: int, is_read: bool
    ) -> None:
        entry = world.put(BESIDE)
        shown.declare(world.sources, uid=USER, mode=above, gid=GROUP)
        shown.declare(entry.parent, uid=uid, mode=mode, gid=GROUP)
        assert world.load() == (BESIDE if is_read else "source")

    def test_another_group_writes_it(self, world: World, shown: ShownOs) -> None:
        entry = world.put(BESIDE)
        shown.declare(world.sources, uid=USER, mode=0o775, gid=GROUP)
        shown.declare(entry.parent, uid=OTHER, mode=0o775, gid=GROUP + 1)
        assert world.load() == "source"

    def test_a_link_to_it_is_somebodys(self, world: World, shown: ShownOs) -> None:
        entry = world.put(BESIDE)
        moved = world.folder / "moved"
        entry.parent.rename(moved)
        entry.parent.symlink_to(moved)
        assert world.load() == BESIDE
        shown.declare(world.sources, uid=USER, mode=0o1777)
        shown.declare(entry.parent, uid=OTHER, mode=0o777)
        assert world.load() == "source"

    def test_a_link_to_a_file_is_no_folder(self, world: World) -> None:
        (world.sources / "__pycache__").symlink_to(world.source)
        assert world.load() == "source"


@pytest.mark.parametrize(
    ("ids", "is_known"), [((7, 7, 7), True), ((7, 7, 0), False), ((0, 7, 0), False)]
)
def test_who_may_become_somebody_else_looks_at_each_directory_again(
    world: World, shown: ShownOs, ids: tuple[int, int, int], is_known: bool
) -> None:
    shown.getresuid = lambda: ids  # type: ignore[attr-defined]
    layers = world.layers()
    world.load(layers)
    assert (str(world.sources) in layers.known) is is_known


def test_a_filter_that_refuses_to_say_who_we_are_hinders_nothing(
    world: World, shown: ShownOs
) -> None:
    def refuse() -> tuple[int, int, int]:
        raise PermissionError

    shown.getresuid = refuse  # type: ignore[attr-defined]
    layers = world.layers()
    world.put(TREE)
    assert world.load(layers) == world.load() != "source"
    assert layers.known == {}


class TestHugeEntries:
    @pytest.mark.parametrize("layer", LAYERS)
    def test_a_sparse_one_is_not_read(self, world: World, layer: str) -> None:
        entry = world.put(layer)
        os.truncate(entry, 1 << 41)
        assert world.load() == "source"

    def test_one_that_memory_does_not_hold_is_passed_by(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: str) -> Any:
            raise MemoryError

        world.put(TREE)
        monkeypatch.setattr(loader, "open_code", refuse)
        assert world.load() == "source"


class TestExplicitPrefix:
    @pytest.fixture
    def prefix(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
        path = str(tmp_path / "prefix")
        monkeypatch.setattr(sys, "pycache_prefix", path)
        return path

    @pytest.mark.usefixtures("prefix")
    def test_layer_reads_the_trees_and_leaves_the_rest_to_stock(self, world: World) -> None:
        for layer in LAYERS:
            world.put(layer)
        assert world.load() == TREE
        world.entry(TREE).unlink()
        assert world.load() == "stock"

    @pytest.mark.usefixtures("prefix")
    def test_exclusive_is_all_stock(self, world: World) -> None:
        world.put(TREE)
        assert world.load(world.layers(explicit="exclusive")) == "stock"

    @pytest.mark.usefixtures("prefix")
    def test_ignore_takes_no_notice(self, world: World) -> None:
        assert world.load(world.layers(explicit="ignore")) == "source"
        assert world.entry(OWN).is_file()

    @pytest.mark.parametrize("explicit", ["layer", "exclusive", "ignore"])
    def test_a_prefix_of_our_own_is_none(self, world: World, prefix: str, explicit: str) -> None:
        layers = world.layers(explicit=explicit, exported=prefix)
        assert world.load(layers) == "source"
        assert world.entry(OWN).is_file()

    @pytest.mark.parametrize("explicit", ["layer", "exclusive", "ignore"])
    def test_without_one_nothing_differs(self, world: World, explicit: str) -> None:
        assert world.layers(explicit=explicit).prefix() == ""


class TestSources:
    @pytest.mark.parametrize("layer", LAYERS)
    @pytest.mark.parametrize(
        ("where", "path"), [("src", "mod.py"), ("src", "./mod.py"), ("", "src/mod.py")]
    )
    def test_a_relative_path_is_found_in_each_layer(
        self, world: World, monkeypatch: pytest.MonkeyPatch, layer: str, where: str, path: str
    ) -> None:
        monkeypatch.chdir(world.folder / where)
        world.put(layer)
        assert world.load(path=path) == layer

    def test_a_relative_path_follows_the_working_directory(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layers = world.layers()
        monkeypatch.chdir(world.sources)
        assert world.load(layers, "mod.py") == "source"
        other = world.folder / "other"
        other.mkdir()
        (other / "mod.py").write_text(SOURCE.replace("source", "second"))
        times = world.source.stat()
        os.utime(other / "mod.py", ns=(times.st_atime_ns, times.st_mtime_ns))
        monkeypatch.chdir(other)
        assert world.load(layers, "mod.py") == "second"

    def test_a_source_below_the_root_is_not_the_working_directorys(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Rooted(ShownOs):
            def stat(self, path: str) -> os.stat_result:
                return super().stat(str(world.source) if path == "/mod.py" else path)

        monkeypatch.setattr(loader, "posix", Rooted())
        monkeypatch.chdir(world.sources)
        world.put(BESIDE)
        world.put(OWN)
        this = source_loader("/mod.py")
        monkeypatch.setattr(this, "get_data", lambda _: SOURCE.encode(), raising=False)
        get_code = loader.make_get_code(world.layers(), no_stock)
        assert run(get_code(this, "mod")) == "source"

    def test_a_working_directory_that_is_gone_has_no_layer(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = ShownOs()
        monkeypatch.setattr(gone, "getcwd", no_directory, raising=False)
        monkeypatch.setattr(loader, "posix", gone)
        monkeypatch.chdir(world.sources)
        assert world.load(path="mod.py") == "source"
        assert world.files() == [world.source]

    @pytest.mark.parametrize("name", ["mod.pyw", "mod", "mod.txt", ".py"])
    def test_other_names_are_compiled_and_not_kept(self, world: World, name: str) -> None:
        path = world.source.rename(world.sources / name)
        assert world.load(path=str(path)) == "source"
        assert world.files() == [path]

    @pytest.mark.parametrize("where", ["__pycache__", "__pycache__/below", "x/.."])
    def test_a_place_that_is_nobodys_is_compiled_and_not_kept(
        self, world: World, where: str
    ) -> None:
        folder = f"{world.sources}/{where}"
        (world.sources / where.partition("/..")[0]).mkdir(parents=True)
        path = Path(folder) / "mod.py"
        os.rename(world.source, path)
        before = world.files()
        assert world.load(path=f"{folder}/mod.py") == "source"
        assert world.files() == before

    @pytest.mark.parametrize("path", ["{}/vanished.py", "{}/vanished.pyc", "{}/\0.py"])
    def test_a_source_that_is_not_there_is_left_to_stock(self, world: World, path: str) -> None:
        assert world.load(path=path.format(world.sources)) == "stock"

    def test_a_subclass_is_left_to_stock(self, world: World) -> None:
        class Own(importlib.machinery.SourceFileLoader):
            pass

        world.put(TREE)
        layers = world.layers()
        get_code = loader.make_get_code(layers, lambda this, name: (this, name))  # type: ignore[arg-type, return-value]
        this = Own("mod", str(world.source))
        assert get_code(this, "mod") == (this, "mod")

    def test_another_modules_name_is_refused_as_by_stock(self, world: World) -> None:
        get_code = loader.make_get_code(world.layers(), no_stock)
        with pytest.raises(ImportError, match="cannot handle other"):
            get_code(source_loader(str(world.source)), "other")

    def test_a_name_with_a_nul_byte_is_no_directory(self, world: World) -> None:
        found, place = world.layers().of(f"{world.sources}/\0", "mod.py")
        assert found == []
        assert place is None


class TestLibraryOfAMergedSystem:
    """Where ``/lib`` is a link, a Python started as ``/bin/python3`` has its library there."""

    @pytest.fixture
    def links(self, shown: ShownOs) -> dict[str, str]:
        """Give the links that there are."""
        found: dict[str, str] = {}

        def readlink(path: str) -> str:
            if path not in found:
                raise OSError(22, "no link", path)
            return found[path]

        shown.readlink = readlink  # type: ignore[attr-defined]
        return found

    @pytest.mark.parametrize("top", ["lib", "lib64", "lib32", "libx32"])
    @pytest.mark.parametrize("target", ["usr/{}", "/usr/{}", "usr/{}/", "/usr/{}/"])
    @pytest.mark.parametrize("below", ["", "/python3.11", "/python3.11/json"])
    def test_it_is_in_trees_under_its_real_name(
        self, links: dict[str, str], top: str, target: str, below: str
    ) -> None:
        links[f"/{top}"] = target.format(top)
        assert loader._absolute(f"/{top}{below}") == f"/usr/{top}{below}"

    @pytest.mark.parametrize(
        ("link", "target"),
        [
            *[(None, None), ("/lib", "usr/lib64"), ("/lib", "/opt/lib"), ("/lib", "../usr/lib")],
            *[("/lib", "usr/lib/python3.11"), ("/lib", "usr"), ("/lib", ""), ("/lib", "lib")],
            *[("/lib64", "usr/lib64"), ("/usr", "usr/lib"), ("/lib/python3.11", "usr/lib")],
        ],
    )
    def test_without_such_a_link_it_is_what_it_says(
        self, links: dict[str, str], link: str | None, target: str | None
    ) -> None:
        if link is not None and target is not None:
            links[link] = target
        assert loader._absolute("/lib/python3.11") == "/lib/python3.11"

    @pytest.mark.parametrize(
        "directory", ["/library/x", "/libexec", "/li", "/srv/lib", "/usr/lib/python3.11", "/bin/x"]
    )
    def test_other_directories_are_what_they_say(
        self, links: dict[str, str], directory: str
    ) -> None:
        links.update({"/lib": "usr/lib", "/bin": "usr/bin"})
        assert loader._absolute(directory) == directory

    @pytest.mark.parametrize(
        ("where", "directory", "place"),
        [
            ("/lib", "python3.11", "/usr/lib/python3.11"),
            ("/lib/python3.11", "", "/usr/lib/python3.11"),
            ("/", "lib/python3.11", "/usr/lib/python3.11"),
            ("/srv", "lib/python3.11", "/srv/lib/python3.11"),
            ("/", "library", "/library"),
        ],
    )
    def test_a_relative_one_is_looked_at_where_it_is(
        self, shown: ShownOs, links: dict[str, str], where: str, directory: str, place: str
    ) -> None:
        links["/lib"] = "usr/lib"
        shown.getcwd = lambda: where  # type: ignore[attr-defined]
        assert loader._absolute(directory) == place

    def test_a_place_that_is_nobodys_stays_so(self, links: dict[str, str]) -> None:
        links["/lib"] = "usr/lib"
        assert loader._absolute("/lib/../etc") is None
        assert loader._absolute("/lib/__pycache__") is None

    def test_a_module_from_there_is_read_from_the_tree(
        self, world: World, links: dict[str, str], shown: ShownOs
    ) -> None:
        """And its bytecode names the source as it was found."""
        links["/lib"] = "usr/lib"
        status = os.stat(world.source)
        shown.stat = lambda path: (  # type: ignore[method-assign]
            status if path == "/lib/python3.x/mod.py" else os.stat(path)
        )
        entry = Path(f"{world.tree}/usr/lib/python3.x", f"mod{world.layers().end}")
        entry.parent.mkdir(parents=True)
        entry.write_bytes(world.pyc(TREE))
        code = world.code(path="/lib/python3.x/mod.py")
        assert run(code) == TREE
        assert code.co_filename == "/lib/python3.x/mod.py"


def no_stock(this: importlib.machinery.SourceFileLoader, name: str) -> CodeType:
    raise AssertionError(name)


def no_directory() -> str:
    raise FileNotFoundError


@pytest.mark.parametrize(("level", "mark"), [(0, ""), (1, ".opt-1"), (2, ".opt-2")])
def test_each_optimization_has_its_own_name(
    monkeypatch: pytest.MonkeyPatch, level: int, mark: str
) -> None:
    class Flags:
        optimize = level

    monkeypatch.setattr(sys, "flags", Flags)
    end = Layers((), lambda: None).end
    assert end == f".{sys.implementation.cache_tag}{mark}{layout.BYTECODE_SUFFIX}"


class TestTrace:
    def test_it_says_what_served_and_why_the_others_did_not(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.entry(TREE).parent.mkdir(parents=True)
        stale_mtime(world, world.put(BESIDE))
        entry = world.put(OWN)
        world.load(world.layers(is_traced=True))
        assert capsys.readouterr().err == (
            f"pycache-sys: mod: own cache {entry}; tree: absent; beside the source: stale\n"
        )

    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (directory, "not a regular file"),
            (fifo, "not a regular file"),
            (dangling, "absent"),
            (truncated, "damaged"),
            (short, "damaged"),
            (other_flags, "damaged"),
            (not_code, "damaged"),
            (wrong_magic, "of another version"),
            (stale_size, "stale"),
        ],
    )
    def test_it_says_why_nothing_served(
        self,
        world: World,
        capsys: pytest.CaptureFixture[str],
        spoil: Callable[[World, Path], None],
        why: str,
    ) -> None:
        spoil(world, world.put(TREE))
        world.load(world.layers(is_traced=True, own=None))
        said = f"pycache-sys: mod: compiled; tree: {why}; own cache: none\n"
        assert capsys.readouterr().err == said

    def test_it_says_what_is_left_to_stock(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "pycache_prefix", "/prefix")
        stale_mtime(world, world.put(TREE))
        assert world.load(world.layers(is_traced=True)) == "stock"
        said = "pycache-sys: mod: stock, for there is an explicit prefix; tree: stale\n"
        assert capsys.readouterr().err == said

    @pytest.mark.parametrize("is_traced", [False, True])
    def test_it_names_trees_in_wrong_hands(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        is_traced: bool,
    ) -> None:
        folder = layout.running_version_directory()
        tree = world.folder / "tree-of-others"
        (tree / folder).mkdir(parents=True)
        monkeypatch.setattr(loader, "trusted_tree", lambda *_: None)
        values = {**BUILT_IN, "system-tree": str(tree), "image-tree": f"{tree}/absent"}
        loader.make_layers(values, dict, None, is_traced)
        said = f"pycache-sys: {tree}/{folder}: in wrong hands\n" if is_traced else ""
        assert capsys.readouterr().err == said

    def test_it_says_whose_hands_are_wrong(
        self, world: World, shown: ShownOs, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown.declare(world.put(BESIDE), uid=OTHER)
        world.load(world.layers(is_traced=True, own=None))
        assert "beside the source: in wrong hands" in capsys.readouterr().err

    def test_any_name_is_shown_in_ascii(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "wörld"
        folder.mkdir()
        world = World(folder)
        world.put(TREE)
        world.load(world.layers(is_traced=True))
        assert "w\\xf6rld" in capsys.readouterr().err

    def test_without_stderr_nothing_is_said(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stderr", None)
        assert world.load(world.layers(is_traced=True)) == "source"

    def test_without_being_asked_nothing_is_said(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.load()
        assert capsys.readouterr().err == ""


def test_it_is_as_verbose_as_stock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def say(message: str, *arguments: object) -> None:
        said.append(message.format(*arguments))

    class Flags:
        optimize = sys.flags.optimize
        verbose = 1

    monkeypatch.setattr(sys, "flags", Flags)
    monkeypatch.setattr(loader, "_verbose_message", say)
    monkeypatch.setattr(keep, "_verbose_message", say)
    source, entry = str(world.source), str(world.entry(OWN))
    world.load()
    assert said == [f"code object from {source}", f"created {entry!r}"]
    said.clear()
    world.load()
    assert said == [f"{entry} matches {source}", f"code object from {entry!r}"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (stale_mtime, "bytecode is stale for 'mod'"),
        (short, "reached EOF while reading pyc header of 'mod'"),
        (wrong_magic, "bad magic number in 'mod': "),
    ],
)
def test_what_is_wrong_with_bytecode_is_said_in_stocks_words(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[World, Path], None],
    expected: str,
) -> None:
    said: list[str] = []
    for module in (loader, judge):
        monkeypatch.setattr(
            module, "_verbose_message", lambda m, *args: said.append(m.format(*args))
        )
    spoil(world, world.put(BESIDE))
    world.load()
    assert said[0].startswith(expected)


class TestTrustedTree:
    @pytest.fixture
    def tree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ShownOs]:
        fake = ShownOs()
        monkeypatch.setattr(loader, "posix", fake)
        folder = tmp_path / "tree"
        (folder / FOLDER).mkdir(parents=True)
        for path in (folder, folder / FOLDER):
            fake.declare(path, uid=0, mode=0o755)
        return folder, fake

    def test_a_built_in_one_is_roots(self, tree: tuple[Path, ShownOs]) -> None:
        folder, _ = tree
        assert loader.trusted_tree(str(folder), FOLDER, True) == f"{folder}/{FOLDER}"

    @pytest.mark.parametrize("part", ["", FOLDER])
    @pytest.mark.parametrize("shown", [{"uid": OTHER}, {"uid": 0, "mode": 0o775}])
    def test_no_part_of_it_may_be_anybody_elses(
        self, tree: tuple[Path, ShownOs], part: str, shown: dict[str, int]
    ) -> None:
        folder, fake = tree
        fake.declare(folder / part, **shown)
        assert loader.trusted_tree(str(folder), FOLDER, True) is None

    def test_one_without_this_interpreter_is_none(self, tree: tuple[Path, ShownOs]) -> None:
        assert loader.trusted_tree(str(tree[0]), "2.7", True) is None

    @pytest.mark.parametrize("is_trusted", [False, True])
    def test_one_that_the_policy_named_is_looked_at_all_the_way(
        self, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
    ) -> None:
        asked: list[str] = []

        def only_root_changes(path: str) -> bool:
            asked.append(path)
            return is_trusted

        monkeypatch.setattr(trust, "only_root_changes", only_root_changes)
        expected = "/some/tree/3.x" if is_trusted else None
        assert loader.trusted_tree("/some/tree", FOLDER, False) == expected
        assert asked == ["/some/tree/3.x"]


class TestOwnCache:
    def test_who_finds_all_in_a_tree_is_never_asked(self, world: World) -> None:
        def find_own() -> own.OwnCache:
            raise AssertionError

        for layer in LAYERS[:2]:
            world.put(layer)
        assert world.load(Layers((str(world.tree),), find_own)) == TREE
        assert world.load(Layers((), find_own)) == BESIDE

    @pytest.mark.parametrize("has_one", [False, True])
    def test_it_is_found_once(self, world: World, has_one: bool) -> None:
        asked: list[own.OwnCache | None] = []

        def find_own() -> own.OwnCache | None:
            asked.append(world.layers().own if has_one else None)
            return asked[-1]

        layers = Layers((), find_own)
        assert asked == []
        assert world.load(layers) == world.load(layers) == "source"
        assert [layers.own] == asked
        assert world.entry(OWN).exists() is has_one

    def test_a_package_that_is_gone_is_no_failure(self, world: World) -> None:
        asked: list[str] = []

        def find_own() -> own.OwnCache:
            asked.append("own")
            raise FileNotFoundError(2, "gone", "own.py")

        layers = Layers((), find_own)
        assert world.load(layers) == world.load(layers) == "source"
        assert asked == ["own"]


class TestMakeLayers:
    def test_trees_that_are_trusted_come_in_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, str, bool]] = []

        def trusted(tree: str, folder: str, is_built_in: bool) -> str:
            asked.append((tree, folder, is_built_in))
            return f"{tree}/{folder}"

        monkeypatch.setattr(loader, "trusted_tree", trusted)
        name = layout.running_version_directory()
        values = {**BUILT_IN, "system-tree": "/other"}
        layers = loader.make_layers(values, dict, None, False)
        assert asked == [("/usr/lib/pycache", name, True), ("/other", name, False)]
        assert layers.trees == (f"/usr/lib/pycache/{name}", f"/other/{name}")

    def test_trees_that_are_not_trusted_or_not_named_are_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loader, "trusted_tree", lambda *_: None)
        values = {**BUILT_IN, "image-tree": ""}
        assert loader.make_layers(values, dict, None, False).trees == ()

    @pytest.mark.parametrize("is_script", [False, True])
    def test_package_managers_scripts_only_read(
        self,
        world: World,
        process: FakeProcess,
        values: dict[str, object],
        is_script: bool,
    ) -> None:
        if is_script:
            process.environ["DPKG_MAINTSCRIPT_PACKAGE"] = "python3-foo"
        layers = loader.make_layers(values, dict, None, False)
        get_code = loader.make_get_code(layers, no_stock)
        assert run(get_code(source_loader(str(world.source)), "mod")) == "source"
        assert (world.folder / "user" / str(process.euid)).exists() is not is_script

    @pytest.mark.usefixtures("process")
    def test_the_environment_says_where_the_own_cache_is(
        self, world: World, values: dict[str, object]
    ) -> None:
        asked: list[str] = []

        def environment() -> dict[str, str]:
            asked.append("environment")
            return {"XDG_CACHE_HOME": str(world.folder / "home")}

        values["user-cache"] = "{user_cache_dir}"
        layers = loader.make_layers(values, environment, None, False)
        cache = layers.own
        assert cache is not None
        assert asked == []
        name = layout.running_version_directory()
        for _ in range(2):
            path = cache.path("/a", "m.pyc")
            assert path == f"{world.folder}/home/pycache-sys/{name}/a/m.pyc"
        assert asked == ["environment"]

    def test_the_policys_words_reach_the_layers(self, values: dict[str, object]) -> None:
        values["read-beside-source"] = False
        values["explicit-prefix"] = "exclusive"
        layers = loader.make_layers(values, dict, "/exported", True)
        assert (layers.beside, layers.explicit) == (False, "exclusive")
        assert (layers.exported, layers.trace) == ("/exported", judge.trace)


class TestCreateModule:
    """Where bytecode beside a source would be: up to 3.14 each module says it."""

    END = f".{sys.implementation.cache_tag}{layout.BYTECODE_SUFFIX}"

    def create(self, spec: importlib.machinery.ModuleSpec) -> str | None:
        """Have the method make a module of this, and say what it left in the spec."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
            create_module = loader.make_create_module(self.END)
        assert create_module is not None
        assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
        create_module(spec.loader, spec)
        return spec._cached  # type: ignore[attr-defined, no-any-return]

    def spec(self, path: str) -> importlib.machinery.ModuleSpec:
        found = importlib.util.spec_from_file_location("mod", path, loader=source_loader(path))
        assert found is not None
        return found

    @given(st.text("/ab.\u00fc", max_size=12), st.sampled_from([".py", ".pyw", ".PY", "", "py"]))
    @example("/a/b", ".py")
    @example("/a//b", ".py")
    @example("/a", ".py")
    @example("a/.", ".py")
    def test_it_says_what_stock_says_or_nothing(self, stem: str, suffix: str) -> None:
        spec = self.spec(stem + suffix)
        found = self.create(spec)
        if found is not None:
            assert spec.origin is not None
            assert found == importlib.util.cache_from_source(spec.origin)

    def test_it_says_something_where_it_can(self) -> None:
        assert self.create(self.spec("/a/b.py")) == f"/a/__pycache__/b{self.END}"

    def test_with_a_prefix_it_is_left_to_stock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "pycache_prefix", "/prefix")
        assert self.create(self.spec("/a/b.py")) is None

    def test_what_is_said_already_stays(self) -> None:
        spec = self.spec("/a/b.py")
        spec.cached = "/elsewhere.pyc"
        assert self.create(spec) == "/elsewhere.pyc"

    def test_a_subclass_is_left_to_stock(self) -> None:
        class Own(importlib.machinery.SourceFileLoader):
            pass

        spec = self.spec("/a/b.py")
        spec.loader = Own("mod", "/a/b.py")
        assert self.create(spec) is None

    def test_from_3_15_on_modules_do_not_say_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "version_info", (3, 15, 0, "final", 0))
        assert loader.make_create_module(self.END) is None

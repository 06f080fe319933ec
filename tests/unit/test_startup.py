"""The start-up: when there is a hook, by which policy, and that it never fails."""

import _frozen_importlib_external
import ast
import importlib.machinery
import importlib.util
import marshal
import os
import posix
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import pytest

import pycache_sys_runtime
from fake_system import USER, FakeProcess, FakeSystem
from pycache_sys_runtime import loader, startup
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime.startup import BUILT_IN, FROZEN, MARK

TESTED = "_tested_siblings"
"""What the package is called whose start-up is executed here."""


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, values: dict[str, object]) -> dict[str, object]:
    """Give a policy that has all of it in a folder."""
    monkeypatch.setattr(startup, "read_policy", lambda: values)
    return values


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[importlib.machinery.SourceFileLoader]:
    """Put a class in the place of the interpreter's own."""

    class StandIn(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - as stock's
            return compile("answer = 'stock'", self.path, "exec")

    monkeypatch.setattr(startup, "SourceFileLoader", StandIn)
    monkeypatch.setattr(startup, "FROZEN", startup.__file__)  # coverage goes by file names
    monkeypatch.setattr(loader, "SourceFileLoader", StandIn)
    return StandIn


StandIns = type[importlib.machinery.SourceFileLoader]


def run(code: CodeType) -> str:
    space: dict[str, str] = {}
    exec(code, space)  # noqa: S102 - a module is loaded to be executed
    return space["answer"]


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "mod.py"
    path.write_text("answer = 'source'\n")
    return str(path)


@pytest.mark.usefixtures("process", "policy")
class TestStart:
    def test_the_first_module_brings_the_layers(self, stand_in: StandIns, source: str) -> None:
        stock = stand_in.get_code
        startup.start()
        first = stand_in.get_code
        assert first is not stock
        assert getattr(first, MARK) is None
        assert run(stand_in("mod", source).get_code("mod")) == "source"
        second = stand_in.get_code
        assert second is not first
        assert isinstance(getattr(second, MARK), loader.Layers)
        assert run(stand_in("mod", source).get_code("mod")) == "source"

    def test_what_each_start_loads_does_not_bring_the_layers(
        self, stand_in: StandIns, source: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(startup, "_LINECACHE", source)
        put_beside(Path(source), pyc(Path(source), compiled("answer = 'beside'\n")))
        startup.start()
        code = stand_in("linecache", source).get_code("linecache")
        assert run(code) == "beside"
        assert code.co_filename == source
        assert getattr(stand_in.get_code, MARK) is None

    @pytest.mark.parametrize("why", ["no bytecode", "traced", "verbose", "policy", "prefix"])
    def test_but_it_is_a_module_like_any_other(
        self,
        stand_in: StandIns,
        source: str,
        monkeypatch: pytest.MonkeyPatch,
        process: FakeProcess,
        values: dict[str, object],
        why: str,
    ) -> None:
        class Flags:
            verbose, ignore_environment, optimize = 1, 0, 0

        monkeypatch.setattr(startup, "_LINECACHE", source)
        if why != "no bytecode":
            put_beside(Path(source), pyc(Path(source), compiled("answer = 'beside'\n")))
        if why == "traced":
            process.environ["PYCACHE_SYS"] = "trace"
        elif why == "verbose":
            monkeypatch.setattr(sys, "flags", Flags)
        elif why == "policy":
            values["read-beside-source"] = False
        startup.start()
        if why == "prefix":
            monkeypatch.setattr(sys, "pycache_prefix", "/prefix")
        stand_in("linecache", source).get_code("linecache")
        assert getattr(stand_in.get_code, MARK) is not None

    @pytest.mark.parametrize("is_used", [False, True])
    def test_a_second_start_changes_nothing(
        self, stand_in: StandIns, source: str, is_used: bool
    ) -> None:
        startup.start()
        if is_used:
            stand_in("mod", source).get_code("mod")
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_subclasses_are_stocks(self, stand_in: StandIns, source: str) -> None:
        class Below(stand_in):  # type: ignore[valid-type, misc]
            pass

        startup.start()
        before = stand_in.get_code
        assert run(Below("mod", source).get_code("mod")) == "stock"
        assert stand_in.get_code is before

    @pytest.mark.parametrize("name", ["pycache_sys_runtime", "pycache_sys_runtime.loader"])
    def test_a_programs_copy_of_this_package_is_like_any_other(
        self, stand_in: StandIns, source: str, name: str
    ) -> None:
        startup.start()
        for _ in range(2):
            assert run(stand_in(name, source).get_code(name)) == "source"

    def test_a_disabled_policy_puts_nothing_in_place(
        self, stand_in: StandIns, policy: dict[str, object]
    ) -> None:
        policy["enabled"] = False
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_the_switch_puts_nothing_in_place(
        self, stand_in: StandIns, process: FakeProcess
    ) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    @pytest.mark.parametrize(("switch", "is_traced"), [("trace", True), ("on", False), ("", False)])
    def test_the_switch_traces(
        self,
        stand_in: StandIns,
        process: FakeProcess,
        source: str,
        capsys: pytest.CaptureFixture[str],
        switch: str,
        is_traced: bool,
    ) -> None:
        process.environ["PYCACHE_SYS"] = switch
        startup.start()
        stand_in("mod", source).get_code("mod")
        assert capsys.readouterr().err.startswith("pycache-sys: mod: compiled") is is_traced

    def test_without_a_cache_tag_there_is_no_cache(
        self, stand_in: StandIns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.implementation, "cache_tag", None)
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_it_never_raises(self, stand_in: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken() -> dict[str, object]:
            raise RuntimeError

        monkeypatch.setattr(startup, "read_policy", broken)
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_the_first_module_never_fails_for_us(
        self, stand_in: StandIns, source: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*arguments: object) -> loader.Layers:
            raise RuntimeError

        monkeypatch.setattr(loader, "make_layers", broken)
        startup.start()
        assert run(stand_in("mod", source).get_code("mod")) == "stock"
        assert not hasattr(stand_in.get_code, MARK)

    def test_the_package_may_be_gone_by_then(
        self, stand_in: StandIns, source: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(name: str) -> ModuleType:
            raise FileNotFoundError(2, "gone", name)

        startup.start()
        monkeypatch.setattr(startup, "need", gone)
        assert run(stand_in("mod", source).get_code("mod")) == "stock"
        assert run(stand_in("mod", source).get_code("mod")) == "stock"

    def test_the_first_modules_frame_is_hidden(
        self, stand_in: StandIns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(startup, "FROZEN", FROZEN)
        startup.start()
        assert stand_in.get_code.__code__.co_filename == FROZEN
        assert FROZEN == "<frozen importlib._bootstrap_external>"

    def test_an_exported_prefix_is_known_as_ours(
        self, stand_in: StandIns, source: str, policy: dict[str, object]
    ) -> None:
        policy["export-prefix"] = True
        startup.start()
        assert sys.pycache_prefix is not None
        assert run(stand_in("mod", source).get_code("mod")) == "source"
        assert getattr(stand_in.get_code, MARK).exported == sys.pycache_prefix

    def test_two_threads_may_bring_the_layers_at_once(
        self, stand_in: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make, gate = loader.make_layers, threading.Barrier(2)
        found: dict[str, str] = {}

        def meet(*arguments: Any) -> loader.Layers:
            gate.wait(10)
            return make(*arguments)

        def load(name: str) -> None:
            path = tmp_path / f"{name}.py"
            path.write_text(f"answer = {name!r}\n")
            found[name] = run(first(stand_in(name, str(path)), name))

        monkeypatch.setattr(loader, "make_layers", meet)
        startup.start()
        first = stand_in.get_code
        threads = [threading.Thread(target=load, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {"one": "one", "two": "two"}
        assert isinstance(getattr(stand_in.get_code, MARK), loader.Layers)


class TestEnvironment:
    def test_it_is_the_process_own(self, process: FakeProcess) -> None:
        assert startup.environment() is process.environ

    @pytest.mark.parametrize("name", ["uid", "euid", "gid", "egid"])
    def test_it_does_not_count_under_borrowed_ids(self, process: FakeProcess, name: str) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        setattr(process, name, USER + 1)
        assert startup.environment() == {}

    def test_it_does_not_count_where_python_ignores_it(
        self, process: FakeProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        monkeypatch.setattr(sys, "flags", SimpleNamespace(ignore_environment=1))
        assert startup.environment() == {}


class TestReadPolicy:
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, system: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(startup, "MAIN_FILES", system.main_files)
        monkeypatch.setattr(startup, "DROP_IN_DIRECTORIES", system.drop_in_directories)
        where = (system.main_files, system.drop_in_directories)
        monkeypatch.setattr(runtime.load, "__defaults__", where)

    def test_without_a_file_it_is_the_built_in_one(self) -> None:
        assert startup.read_policy() is BUILT_IN

    def test_a_main_file_is_read(self, system: FakeSystem) -> None:
        system.policy("enabled = no\n")
        assert startup.read_policy()["enabled"] is False

    def test_a_drop_in_is_read(self, system: FakeSystem) -> None:
        system.drop_in("10-x.conf", "enabled = no\n", "lib")
        assert startup.read_policy()["enabled"] is False


def test_policy_stands_in_each_of_the_three_directories() -> None:
    files = tuple(f"{directory}/{startup.FILE_NAME}" for directory in startup.DIRECTORIES)
    assert startup.DIRECTORIES == ("/etc", "/run", "/usr/lib")
    assert files == startup.MAIN_FILES
    assert tuple(f"{file}.d" for file in files) == startup.DROP_IN_DIRECTORIES


def test_the_package_itself_holds_a_docstring_only() -> None:
    """The hook makes the package without it, so whatever stood there would be missing."""
    (only,) = ast.parse(Path(str(pycache_sys_runtime.__file__)).read_text()).body
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)
    assert isinstance(only.value.value, str)


# executed by its path, under a name of its own


def execute(path: str, name: str) -> dict[str, Any]:
    """Execute this package's start-up as the one that stands at a path, under a name."""
    code = importlib.machinery.SourceFileLoader(name, startup.__file__).get_code(name)
    space = {"__name__": name, "__file__": path}
    exec(code, space)  # noqa: S102 - it is how it is delivered
    return space


class TestPrivateName:
    @pytest.fixture(autouse=True)
    def _without_a_policy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def absent(path: str) -> os.stat_result:
            raise FileNotFoundError(path)

        monkeypatch.setattr(posix, "lstat", absent)
        monkeypatch.delenv("PYCACHE_SYS", raising=False)

    @pytest.mark.parametrize(
        ("name", "starts"), [(f"{startup.PRIVATE}.startup", True), (f"{TESTED}.startup", False)]
    )
    def test_it_starts_under_its_own_name_alone(
        self, monkeypatch: pytest.MonkeyPatch, name: str, starts: bool
    ) -> None:
        class StandIn(importlib.machinery.SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                raise AssertionError(fullname)

        monkeypatch.setattr(_frozen_importlib_external, "SourceFileLoader", StandIn)
        before = dict(sys.modules)
        execute(startup.__file__, name)
        assert hasattr(StandIn.get_code, MARK) is starts
        assert dict(sys.modules) == before


SIBLING = "answer = 'source'\n"


def pyc(
    source: Path,
    body: bytes,
    *,
    magic: bytes = importlib.util.MAGIC_NUMBER,
    flags: int = 0,
    older: int = 0,
    bigger: int = 0,
) -> bytes:
    """Make bytecode for a source, with its size and time."""
    found = source.stat()
    numbers = (flags, int(found.st_mtime) - older, found.st_size + bigger)
    return magic + b"".join(number.to_bytes(4, "little") for number in numbers) + body


def compiled(text: str) -> bytes:
    return marshal.dumps(compile(text, "elsewhere.py", "exec"))


def put_beside(source: Path, content: bytes, level: str = "") -> Path:
    """Put bytecode beside a source."""
    path = Path(importlib.util.cache_from_source(str(source), optimization=level))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


@dataclass
class Siblings:
    """A package in a folder, and the start-up that loads its modules."""

    folder: Path
    space: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.space = execute(f"{self.folder}/startup.py", f"{TESTED}.startup")

    def need(self, name: str = "sibling") -> ModuleType:
        module = self.space["need"](name)
        assert isinstance(module, ModuleType)
        return module

    def write(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.py"
        path.write_text(text)
        return path

    def pyc(self, body: bytes = compiled("answer = 'bytecode'\n"), **header: Any) -> bytes:
        return pyc(self.folder / "sibling.py", body, **header)

    def put(self, content: bytes | None = None, level: str = "") -> Path:
        """Put bytecode beside the sibling, by default good."""
        content = self.pyc() if content is None else content
        return put_beside(self.folder / "sibling.py", content, level)

    def files(self) -> dict[str, bytes | None]:
        return {
            str(path): path.read_bytes() if path.is_file() else None
            for path in self.folder.rglob("*")
        }


@pytest.fixture
def siblings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Siblings]:
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    made = Siblings(tmp_path)
    made.write("sibling", SIBLING)
    yield made
    for name in private_modules():
        del sys.modules[name]


def private_modules() -> list[str]:
    return sorted(name for name in sys.modules if name.partition(".")[0] == TESTED)


def empty(siblings: Siblings) -> bytes:
    return b""


def short(siblings: Siblings) -> bytes:
    return siblings.pyc()[:10]


def header_only(siblings: Siblings) -> bytes:
    return siblings.pyc(b"")


def truncated(siblings: Siblings) -> bytes:
    return siblings.pyc()[:-9]


def garbage(siblings: Siblings) -> bytes:
    return siblings.pyc(b"\xff\x00garbage" * 9)


def not_code(siblings: Siblings) -> bytes:
    return siblings.pyc(marshal.dumps(["no", "code"]))


def wrong_magic(siblings: Siblings) -> bytes:
    return siblings.pyc(magic=b"\x01\x02\r\n")


def other_flags(siblings: Siblings) -> bytes:
    return siblings.pyc(flags=4)


def with_a_hash(siblings: Siblings) -> bytes:
    digest = importlib.util.source_hash(SIBLING.encode())
    return siblings.pyc(flags=3)[:8] + digest + siblings.pyc()[16:]


def with_another_hash(siblings: Siblings) -> bytes:
    return siblings.pyc(flags=3)[:8] + bytes(8) + siblings.pyc()[16:]


def with_an_unchecked_hash(siblings: Siblings) -> bytes:
    return siblings.pyc(flags=1)[:8] + bytes(8) + siblings.pyc()[16:]


def stale_mtime(siblings: Siblings) -> bytes:
    return siblings.pyc(older=1)


def stale_size(siblings: Siblings) -> bytes:
    return siblings.pyc(bigger=1)


BAD: list[Callable[[Siblings], bytes]] = [
    empty,
    short,
    header_only,
    truncated,
    garbage,
    not_code,
    wrong_magic,
    other_flags,
    with_another_hash,
    stale_mtime,
    stale_size,
]


class TestNeed:
    def test_what_a_module_imports_from_here_is_known(self) -> None:
        found = {}
        for path in Path(startup.__file__).parent.glob("*.py"):
            body = ast.parse(path.read_text("utf-8")).body
            imported = [one for one in body if isinstance(one, ast.ImportFrom) and one.level]
            names = {one.module or one.names[0].name for one in imported} - {"startup"}
            if names:
                found[path.stem] = names
        assert {name: set(others) for name, others in startup._IMPORTED_BY.items()} == found

    def test_a_sibling_is_loaded_under_the_packages_own_name(self, siblings: Siblings) -> None:
        before = dict(sys.modules)
        module = siblings.need()
        assert module.answer == "source"
        assert private_modules() == [TESTED, f"{TESTED}.sibling", f"{TESTED}.startup"]
        assert {name: sys.modules[name] for name in before} == before
        assert set(sys.modules) - set(before) == set(private_modules())
        assert sys.modules["pycache_sys_runtime.startup"] is startup

    def test_what_a_sibling_imports_is_loaded_before_it(
        self, siblings: Siblings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(siblings.space["_IMPORTED_BY"], "sibling", ("cousin",))
        siblings.write("cousin", "x = 1\n")
        siblings.write("sibling", f"import sys\nbefore = '{TESTED}.cousin' in sys.modules\n")
        assert siblings.need().before

    def test_it_is_what_an_import_would_make(self, siblings: Siblings) -> None:
        module = siblings.need()
        path = f"{siblings.folder}/sibling.py"
        assert (module.__name__, module.__file__) == (f"{TESTED}.sibling", path)
        spec = module.__spec__
        assert spec is not None
        assert (spec.name, spec.origin, spec.parent) == (f"{TESTED}.sibling", path, TESTED)
        assert spec.loader is module.__loader__
        assert type(spec.loader) is importlib.machinery.SourceFileLoader
        assert (spec.loader.name, spec.loader.path) == (f"{TESTED}.sibling", path)
        package = sys.modules[TESTED]
        assert package.sibling is module
        assert list(package.__path__) == [str(siblings.folder)]
        assert importlib.import_module(f"{TESTED}.sibling") is module

    def test_it_is_loaded_once(self, siblings: Siblings) -> None:
        path = siblings.write("sibling", "from .startup import environment\n")
        module = siblings.need()
        path.unlink()
        assert siblings.need() is module

    def test_siblings_know_each_other_by_relative_names(self, siblings: Siblings) -> None:
        siblings.write("second", "from . import sibling\nfrom .startup import need\n")
        first = siblings.need()
        second = siblings.need("second")
        assert second.sibling is first
        assert second.need is siblings.space["need"]

    def test_what_it_executes_is_hidden(self, siblings: Siblings) -> None:
        siblings.write("sibling", "def outer():\n    def inner(): pass\n    return inner\n")
        outer = siblings.need().outer
        assert outer.__code__.co_filename == FROZEN
        assert outer().__code__.co_filename == FROZEN

    def test_bytecode_is_hidden_too(self, siblings: Siblings) -> None:
        siblings.put(siblings.pyc(compiled("def outer():\n    return lambda: 1\n")))
        outer = siblings.need().outer
        assert outer.__code__.co_filename == FROZEN
        assert outer().__code__.co_filename == FROZEN

    def test_it_counts_when_all_of_it_is_there(self, siblings: Siblings) -> None:
        siblings.write("sibling", "import sys\nseen = __name__ in sys.modules\n")
        module = siblings.need()
        assert module.seen is False
        assert sys.modules[f"{TESTED}.sibling"] is module

    @pytest.mark.parametrize(
        ("text", "error"),
        [("answer = 1\n1 / 0\n", ZeroDivisionError), ("no python\n", SyntaxError), (None, OSError)],
    )
    def test_what_fails_half_way_does_not_count(
        self, siblings: Siblings, text: str | None, error: type[Exception]
    ) -> None:
        path = siblings.write("sibling", text or "")
        if text is None:
            path.unlink()
        with pytest.raises(error):
            siblings.need()
        assert private_modules() == [TESTED, f"{TESTED}.startup"]
        assert not hasattr(sys.modules[TESTED], "sibling")
        siblings.write("sibling", SIBLING)
        assert siblings.need().answer == "source"

    def test_whoever_comes_in_the_middle_gets_all_of_it(self, siblings: Siblings) -> None:
        """As a signal's handler does, or another thread."""
        siblings.space["calls"] = []
        siblings.write(
            "sibling",
            "from .startup import calls, need\n"
            "calls.append(1)\n"
            "other = need('sibling') if len(calls) == 1 else None\n"
            "answer = 'source'\n",
        )
        module = siblings.need()
        assert (module.answer, module.other.answer) == ("source", "source")
        assert module.other is not module
        assert siblings.need() is module
        assert len(siblings.space["calls"]) == 2

    def test_threads_that_load_it_at_once_all_get_it(self, siblings: Siblings) -> None:
        gate = siblings.space["gate"] = threading.Barrier(2)
        siblings.write("sibling", "from .startup import gate\ngate.wait(10)\nanswer = 'source'\n")
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.append(siblings.need().answer)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["source"] * 2
        assert not gate.broken

    def test_bytecode_beside_it_is_read(self, siblings: Siblings) -> None:
        siblings.put()
        assert siblings.need().answer == "bytecode"

    @pytest.mark.parametrize("content", BAD)
    def test_bad_bytecode_is_passed_over(
        self, siblings: Siblings, content: Callable[[Siblings], bytes]
    ) -> None:
        siblings.put(content(siblings))
        before = siblings.files()
        assert siblings.need().answer == "source"
        assert siblings.files() == before

    @pytest.mark.parametrize("is_link", [False, True])
    def test_what_is_no_file_is_passed_over(self, siblings: Siblings, is_link: bool) -> None:
        entry = siblings.put()
        entry.unlink()
        if is_link:
            entry.symlink_to(entry.name)
        else:
            entry.mkdir()
        assert siblings.need().answer == "source"

    def test_without_bytecode_it_is_compiled_and_nothing_is_written(
        self, siblings: Siblings
    ) -> None:
        before = siblings.files()
        assert siblings.need().answer == "source"
        assert siblings.files() == before

    @pytest.mark.parametrize("make", [with_a_hash, with_an_unchecked_hash])
    def test_bytecode_that_goes_by_a_hash_is_read(
        self, siblings: Siblings, make: Callable[[Siblings], bytes]
    ) -> None:
        siblings.put(make(siblings))
        assert siblings.need().answer == "bytecode"

    @pytest.mark.parametrize(("level", "mark"), [(0, ""), (1, "1"), (2, "2")])
    def test_each_optimization_has_its_own_bytecode(
        self, siblings: Siblings, monkeypatch: pytest.MonkeyPatch, level: int, mark: str
    ) -> None:
        for other in {"", "1", "2"} - {mark}:
            siblings.put(level=other)
        path = f"{siblings.folder}/sibling.py"
        loader = importlib.machinery.SourceFileLoader("sibling", path)

        class Flags:
            optimize = level

        monkeypatch.setattr(sys, "flags", Flags)
        read = siblings.space["_read"]
        assert read(loader) is None
        siblings.put(level=mark)
        assert run(read(loader)) == "bytecode"


# as it is delivered, in a process of its own

PRELUDE = """
import sys
from importlib.machinery import SourceFileLoader
stock, path = SourceFileLoader.get_code, sys.argv[1]
def execute():
    space = dict(__name__='_pycache_sys.startup', __file__=path)
    exec(stock(SourceFileLoader(space['__name__'], path), space['__name__']), space)
    return space
def ours():
    return sorted(name for name in sys.modules if name.partition('.')[0] == '_pycache_sys')
def hook():
    return getattr(SourceFileLoader.get_code, 'pycache_sys', 'stock')
sys.path.insert(0, sys.argv[2])
if path:
    execute()
    assert hook() is None or {is_off}, hook()
"""


@dataclass(frozen=True)
class Delivered:
    """A copy of this package, to which the whole system is in a folder."""

    folder: Path

    def __post_init__(self) -> None:
        original = Path(startup.__file__).parent
        shutil.copytree(original, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        self.rewrite(r'"/(?=(?:etc|run|usr|var)\b)', f'"{self.folder}/system/')
        self.sources.mkdir()

    @property
    def package(self) -> Path:
        return self.folder / "elsewhere" / "pycache_sys_runtime"

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    def rewrite(self, pattern: str, text: str) -> None:
        """Change what the start-up says."""
        path = self.package / "startup.py"
        before = path.read_text()
        path.write_text(re.sub(pattern, text, before))
        assert path.read_text() != before

    def write(self, name: str, text: str) -> Path:
        path = self.sources / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def run(
        self,
        program: str,
        *options: str,
        has_hook: bool = True,
        is_off: bool = False,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program behind the hook, or as stock does; nothing is written."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        path = str(self.package / "startup.py") if has_hook else ""
        places = {"HOME": home, "XDG_CACHE_HOME": home, "CACHE_DIRECTORY": home}
        before = self.files()
        done = subprocess.run(
            [
                *(sys.executable, "-B", "-S", "-s", *options),
                *("-c", PRELUDE.format(is_off=is_off) + program, path, str(self.sources)),
            ],
            env={**{name: str(place) for name, place in places.items()}, **variables},
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert self.files() == before
        return done

    def say(self, program: str, *options: str, **variables: Any) -> list[str]:
        """Run a program behind the hook, and return the lines that it prints."""
        done = self.run(program, *options, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*"))


@pytest.fixture
def delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Delivered:
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return Delivered(tmp_path)


ALWAYS = ["_pycache_sys", "_pycache_sys.layout", "_pycache_sys.loader", "_pycache_sys.startup"]
AT_A_MISS = ["_pycache_sys.caches", "_pycache_sys.own", "_pycache_sys.trust"]


class TestDelivered:
    def test_a_start_loads_nothing(self, delivered: Delivered) -> None:
        program = (
            "import os; SourceFileLoader.get_code = stock; before = set(sys.modules)\n"
            "execute(); print(hook(), set(sys.modules) - before)"
        )
        assert delivered.say(program) == ["None set()"]

    def test_what_is_beside_its_source_takes_no_own_cache(self, delivered: Delivered) -> None:
        source = delivered.write("mod.py", "x = 1\n")
        put_beside(source, pyc(source, compiled("x = 2\n")))
        (said,) = delivered.say("import mod; print(mod.x, ours())")
        assert said == f"2 {ALWAYS}"

    def test_a_miss_loads_the_own_cache_and_all_of_it_is_hidden(self, delivered: Delivered) -> None:
        delivered.write("mod.py", "x = 1\n")
        program = (
            "import mod\nprint(ours())\nshown = set()\n"
            "for module in [sys.modules[name] for name in ours()]:\n"
            "    for part in list(vars(module).values()):\n"
            "        for one in [part, *getattr(part, '__dict__', {}).values()]:\n"
            "            if getattr(one, '__module__', None) == module.__name__:\n"
            "                if hasattr(one, '__code__'):\n"
            "                    shown.add((module.__name__, one.__code__.co_filename))\n"
            "print(sorted(shown))\nprint(SourceFileLoader.get_code.__code__.co_filename)"
        )
        path = str(delivered.package / "startup.py")
        hidden = [name for name in sorted([*ALWAYS, *AT_A_MISS]) if name.count(".")]
        expected = [(one, path if one.endswith("startup") else FROZEN) for one in hidden]
        said = delivered.say(program)
        assert said == [str(sorted([*ALWAYS, *AT_A_MISS])), str(expected), FROZEN]

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("import no_such_module\n", "ModuleNotFoundError"),
            ("from sys import no_such_name\n", "ImportError"),
            ("def f(:\n    pass\n", "SyntaxError"),
            ("if 1:\nx = 1\n", "IndentationError"),
            ("x = '\0'\n", "Error"),
            ("# coding: no-such\n", "SyntaxError"),
            ("def f():\n    return 1 / 0\nf()\n", "ZeroDivisionError"),
        ],
    )
    @pytest.mark.parametrize("is_first", [False, True])
    def test_tracebacks_are_stocks(
        self, delivered: Delivered, text: str, error: str, is_first: bool
    ) -> None:
        delivered.write("before.py", "")
        delivered.write("inner.py", text)
        delivered.write("outer.py", "import inner\n")
        program = "import inner" if is_first else "import before, outer"
        stock = delivered.run(program, has_hook=False)
        assert error in stock.stderr.splitlines()[-1]
        done = delivered.run(program)
        assert (done.returncode, done.stderr) == (stock.returncode, stock.stderr)
        assert "pycache_sys" not in done.stderr

    def test_each_of_our_frames_is_named_as_the_interpreters_own(
        self, delivered: Delivered
    ) -> None:
        delivered.write("inner.py", "no python\n")
        program = (
            "try:\n"
            "    SourceFileLoader('inner', sys.argv[2] + '/inner.py').get_code('inner')\n"
            "except SyntaxError as error:\n"
            "    step = error.__traceback__.tb_next\n"
            "    while step:\n"
            "        frame, step = step.tb_frame, step.tb_next\n"
            "        is_ours = '_pycache_sys' in frame.f_globals['__name__']\n"
            "        print(is_ours, frame.f_code.co_filename.startswith('<frozen importlib.'))"
        )
        said = delivered.say(program)
        assert "True True" in said
        assert set(said) <= {"True True", "False True"}

    @pytest.mark.parametrize("is_used", [False, True])
    def test_a_second_execution_changes_nothing(self, delivered: Delivered, is_used: bool) -> None:
        delivered.write("mod.py", "x = 1\n")
        delivered.write("other.py", "x = 2\n")
        program = (
            f"if {is_used}: import mod\n"
            "before = SourceFileLoader.get_code, hook(), [sys.modules[name] for name in ours()]\n"
            "execute()\n"
            "after = SourceFileLoader.get_code, hook(), [sys.modules[name] for name in ours()]\n"
            "print(before == after, type(hook()).__name__)\n"
            "import other; print(other.x, type(hook()).__name__)"
        )
        kind = "Layers" if is_used else "NoneType"
        assert delivered.say(program) == [f"True {kind}", "2 Layers"]

    def test_a_program_that_imports_this_package_gets_its_own(self, delivered: Delivered) -> None:
        copy = delivered.sources / "pycache_sys_runtime"
        shutil.copytree(delivered.package, copy)
        program = (
            "from pycache_sys_runtime import caches, loader, own, startup\n"
            "theirs = sorted(name for name in sys.modules if name.startswith('pycache_sys'))\n"
            "print(*theirs)\n"
            "for name in theirs[1:]:\n"
            "    module = sys.modules[name]\n"
            "    private = sys.modules['_pycache_sys' + name[len('pycache_sys_runtime'):]]\n"
            "    assert module is not private, name\n"
            "    assert module.__file__.startswith(sys.argv[2] + '/'), module.__file__\n"
            "    assert private.__file__.startswith(path[:-len('startup.py')]), private.__file__\n"
            "assert loader.is_roots is startup.is_roots\n"
            "assert type(hook()) is sys.modules['_pycache_sys.loader'].Layers\n"
            "assert not isinstance(hook(), loader.Layers)\n"
            "execute(); before = SourceFileLoader.get_code\n"
            "startup.start(); print(SourceFileLoader.get_code is before)"
        )
        names = ("caches", "layout", "loader", "own", "startup", "trust")
        theirs = ["pycache_sys_runtime", *(f"pycache_sys_runtime.{name}" for name in names)]
        assert delivered.say(program) == [" ".join(theirs), "True"]

    def test_a_program_may_call_its_own_module_as_this_package(self, delivered: Delivered) -> None:
        delivered.write("pycache_sys_runtime.py", "answer = 'mine'\n")
        program = "import pycache_sys_runtime as this\nprint(this.answer, ours())"
        assert delivered.say(program) == [f"mine {sorted([*ALWAYS, *AT_A_MISS])}"]

    def test_threads_that_import_for_the_first_time_at_once(self, delivered: Delivered) -> None:
        for number in range(8):
            delivered.write(f"m{number}.py", f"x = {number}\n")
        program = (
            "SourceFileLoader.get_code = stock\nimport threading; execute()\n"
            "sys.setswitchinterval(1e-6)\ngate, found = threading.Barrier(8), []\n"
            "def work(number):\n"
            "    gate.wait()\n"
            "    found.append(__import__('m%d' % number).x)\n"
            "assert hook() is None\n"
            "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
            "[one.start() for one in threads], [one.join() for one in threads]\n"
            "print(sorted(found), type(hook()).__name__, ours())"
        )
        expected = f"{list(range(8))} Layers {sorted([*ALWAYS, *AT_A_MISS])}"
        for _ in range(5):
            assert delivered.say(program) == [expected]

    @pytest.mark.parametrize("name", ["layout", "loader"])
    @pytest.mark.parametrize("text", ["no python\n", "1 / 0\n", None])
    def test_a_package_that_is_broken_leaves_python_as_it_is(
        self, delivered: Delivered, name: str, text: str | None
    ) -> None:
        delivered.write("mod.py", "x = 1\n")
        path = delivered.package / f"{name}.py"
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        assert delivered.say("import mod; print(mod.x, hook())") == ["1 stock"]

    def test_a_package_that_vanished_meanwhile_leaves_python_working(
        self, delivered: Delivered
    ) -> None:
        source = delivered.write("first.py", "x = 1\n")
        put_beside(source, pyc(source, compiled("x = 2\n")))
        delivered.write("mod.py", "x = 3\n")
        program = (
            "import first, os\nfolder = os.path.dirname(path)\n"
            "os.rename(folder, folder + '.gone')\n"
            "import mod; print(first.x, mod.x, ours()); os.rename(folder + '.gone', folder)"
        )
        assert delivered.say(program) == [f"2 3 {ALWAYS}"]

    def test_an_exported_prefix_writes_nothing_beside_the_package(
        self, delivered: Delivered
    ) -> None:
        delivered.rewrite('"export-prefix": False', '"export-prefix": True')
        program = (
            "for name in ours()[1:]:\n"
            "    for part in vars(sys.modules[name]).values():\n"
            "        if getattr(part, '__module__', '') == name and hasattr(part, '__code__'):\n"
            "            assert part.__code__.co_filename != sys.modules[name].__file__ or "
            "name == '_pycache_sys.startup', name\n"
            "print(ours())"
        )
        modules = sorted([*ALWAYS, *AT_A_MISS])
        assert delivered.say(program) == [str(modules)]

    def test_bytecode_of_its_own_that_is_not_code_leaves_python_working(
        self, delivered: Delivered
    ) -> None:
        delivered.write("mod.py", "x = 1\n")
        path = delivered.package / "loader.py"
        put_beside(path, pyc(path, marshal.dumps(["no", "code"])))
        (said,) = delivered.say("import mod; print(mod.x, type(hook()).__name__)")
        assert said == "1 Layers"

    @pytest.mark.parametrize(("option", "mark"), [("", ""), ("-O", "1"), ("-OO", "2")])
    def test_its_own_bytecode_is_its_levels(
        self, delivered: Delivered, option: str, mark: str
    ) -> None:
        delivered.write("mod.py", "x = 1\n")
        path = delivered.package / "layout.py"
        for level in ("", "1", "2"):
            text = f"{path.read_text()}\nlevel = {level!r}\n"
            put_beside(path, pyc(path, compiled(text)), level)
        program = "import mod; print(repr(sys.modules['_pycache_sys.layout'].level))"
        assert delivered.say(program, *filter(None, [option])) == [repr(mark)]

    def test_the_switch_and_the_policy_turn_it_off(self, delivered: Delivered) -> None:
        delivered.write("mod.py", "x = 1\n")
        program = "import mod; print(SourceFileLoader.get_code is stock, ours())"
        assert delivered.say(program, is_off=True, PYCACHE_SYS="off") == ["True []"]
        delivered.rewrite('"enabled": True', '"enabled": False')
        assert delivered.say(program, is_off=True) == ["True []"]

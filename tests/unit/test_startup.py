"""The start-up: when there is a hook, what it loads and when, and that it never fails."""

import _frozen_importlib_external
import ast
import importlib.machinery
import os
import posix
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import pytest

import pycache_sys_runtime
from fake_system import FakeProcess, FakeSystem
from pycache_sys.core.delivery import Undo, pth_file
from pycache_sys_runtime import hook, loader, startup
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime.startup import FROZEN, MARK
from siblings import BAD, TESTED, compiled, execute, private_modules, put_beside, pyc

StandIns = type[importlib.machinery.SourceFileLoader]
Values = dict[str, object]


@pytest.fixture
def seen() -> list[tuple[bool, str | None]]:
    """Give what stock was told each time: whether to write, and where to."""
    return []


@pytest.fixture
def stand_in(
    monkeypatch: pytest.MonkeyPatch, seen: list[tuple[bool, str | None]]
) -> type[importlib.machinery.SourceFileLoader]:
    """Put a class in the place of the interpreter's own."""

    class StandIn(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - as stock's
            seen.append((sys.dont_write_bytecode, sys.pycache_prefix))
            return compile("answer = 'stock'", self.path, "exec")

    monkeypatch.setattr(startup, "SourceFileLoader", StandIn)
    monkeypatch.setattr(startup, "FROZEN", startup.__file__)  # coverage goes by file names
    monkeypatch.setattr(loader, "SourceFileLoader", StandIn)
    return StandIn


@pytest.fixture
def built_in(
    monkeypatch: pytest.MonkeyPatch, system: FakeSystem, process: FakeProcess, values: Values
) -> Values:
    """Give what is built in: all of it in a folder, and so is any policy that a test writes."""
    monkeypatch.setattr(hook, "BUILT_IN", values)
    monkeypatch.setattr(runtime, "BUILT_IN", values)
    monkeypatch.setattr(startup, "MAIN_FILES", system.main_files)
    monkeypatch.setattr(startup, "DROP_IN_DIRECTORIES", system.drop_in_directories)
    where = (system.main_files, system.drop_in_directories)
    monkeypatch.setattr(runtime.load, "__defaults__", where)
    monkeypatch.delenv("PYCACHE_SYS", raising=False)
    monkeypatch.setattr(startup, "posix", SimpleNamespace(access=os.access, F_OK=0, environ={}))
    return values


def run(code: CodeType) -> str:
    space: dict[str, str] = {}
    exec(code, space)  # noqa: S102 - a module is loaded to be executed
    return space["answer"]


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "mod.py"
    path.write_text("answer = 'source'\n")
    return str(path)


@pytest.mark.usefixtures("built_in")
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

    @pytest.mark.usefixtures("stand_in")
    def test_a_start_without_a_policy_needs_nothing_of_ours(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        needed: list[str] = []
        monkeypatch.setattr(startup, "_need", lambda _stock, name: needed.append(name))
        startup.start()
        assert needed == []

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

    def test_what_brings_it_a_second_time_executes_nothing(
        self, stand_in: StandIns, source: str
    ) -> None:
        """And that is no first module: before 3.15 virtual environments come here at each start."""
        startup.start()
        before = stand_in.get_code
        name = f"{startup.PRIVATE}.startup"
        space: dict[str, object] = {"__builtins__": None}
        exec(stand_in(name, source).get_code(name), space)  # noqa: S102 - as it is delivered
        assert space == {"__builtins__": None}
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

    def test_the_first_module_looks_at_the_switch(
        self, stand_in: StandIns, source: str, process: FakeProcess
    ) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        stock = stand_in.get_code
        startup.start()
        assert getattr(stand_in.get_code, MARK) is None
        assert run(stand_in("mod", source).get_code("mod")) == "stock"
        assert stand_in.get_code is stock

    def test_what_somebody_puts_around_it_stays(self, stand_in: StandIns, source: str) -> None:
        startup.start()
        inner = stand_in.get_code
        names: list[str] = []

        def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> Any:
            names.append(fullname)
            return inner(self, fullname)  # type: ignore[arg-type]

        stand_in.get_code = get_code  # type: ignore[method-assign, assignment]
        for _ in range(2):
            assert run(stand_in("mod", source).get_code("mod")) == "source"
        assert stand_in.get_code is get_code
        assert names == ["mod", "mod"]

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
        def gone(stock: object, name: str) -> ModuleType:
            raise FileNotFoundError(2, "gone", name)

        startup.start()
        monkeypatch.setattr(startup, "_need", gone)
        assert run(stand_in("mod", source).get_code("mod")) == "stock"
        assert run(stand_in("mod", source).get_code("mod")) == "stock"

    def test_the_first_modules_frame_is_hidden(
        self, stand_in: StandIns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(startup, "FROZEN", FROZEN)
        startup.start()
        assert stand_in.get_code.__code__.co_filename == FROZEN
        assert FROZEN == "<frozen importlib._bootstrap_external>"

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


@pytest.mark.usefixtures("built_in")
class TestPolicy:
    @pytest.mark.parametrize("where", ["etc", "run", "lib"])
    def test_a_disabled_one_puts_nothing_in_place(
        self, stand_in: StandIns, system: FakeSystem, where: str
    ) -> None:
        system.drop_in("10-x.conf", "enabled = no\n", where)
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_with_one_the_switch_puts_nothing_in_place(
        self, stand_in: StandIns, system: FakeSystem, process: FakeProcess
    ) -> None:
        system.policy("")
        process.environ["PYCACHE_SYS"] = "off"
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_it_is_read_once_and_at_the_start(
        self, stand_in: StandIns, source: str, system: FakeSystem, process: FakeProcess
    ) -> None:
        path = system.policy("read-beside-source = no\nexplicit-prefix = ignore\n")
        startup.start()
        assert getattr(stand_in.get_code, MARK) is None
        path.unlink()
        process.environ["PYCACHE_SYS"] = "off"
        assert run(stand_in("mod", source).get_code("mod")) == "source"
        layers = getattr(stand_in.get_code, MARK)
        assert (layers.beside, layers.explicit) == (False, "ignore")

    def test_one_that_appears_later_does_not_count(
        self, stand_in: StandIns, source: str, system: FakeSystem
    ) -> None:
        startup.start()
        system.policy("enabled = no\nread-beside-source = no\n")
        assert run(stand_in("mod", source).get_code("mod")) == "source"
        assert getattr(stand_in.get_code, MARK).beside is True

    def test_one_that_cannot_be_read_leaves_python_as_it_is(
        self, stand_in: StandIns, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken() -> hook.Settings:
            raise RuntimeError

        system.policy("")
        monkeypatch.setattr(hook, "read_settings", broken)
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_a_prefix_is_exported_at_the_start_and_known_as_ours(
        self, stand_in: StandIns, source: str, system: FakeSystem
    ) -> None:
        system.policy("export-prefix = yes\n")
        startup.start()
        exported = sys.pycache_prefix
        assert exported is not None
        assert run(stand_in("mod", source).get_code("mod")) == "source"
        assert getattr(stand_in.get_code, MARK).exported == sys.pycache_prefix == exported

    def test_it_stands_in_each_of_the_three_directories(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.undo()
        files = tuple(f"{directory}/{startup.FILE_NAME}" for directory in startup.DIRECTORIES)
        assert startup.DIRECTORIES == ("/etc", "/run", "/usr/lib")
        assert files == startup.MAIN_FILES
        assert tuple(f"{file}.d" for file in files) == startup.DROP_IN_DIRECTORIES


@pytest.mark.usefixtures("built_in")
class TestWhatEachStartLoads:
    """From 3.13 on ``linecache``, with ``-c``."""

    @pytest.fixture(autouse=True)
    def _as_linecache(self, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
        monkeypatch.setattr(startup, "_LINECACHE", source)
        monkeypatch.setattr(sys, "dont_write_bytecode", False)

    @pytest.mark.parametrize("policy", [None, "explicit-prefix = ignore\n"])
    def test_stock_loads_it_from_beside_it_and_writes_nothing(
        self,
        stand_in: StandIns,
        source: str,
        seen: list[tuple[bool, str | None]],
        system: FakeSystem,
        policy: str | None,
    ) -> None:
        if policy is not None:
            system.policy(policy)
        startup.start()
        code = stand_in("linecache", source).get_code("linecache")
        assert run(code) == "stock"
        assert getattr(stand_in.get_code, MARK) is None
        assert seen == [(True, None)]
        assert (sys.dont_write_bytecode, sys.pycache_prefix) == (False, None)

    def test_the_next_module_brings_the_layers(
        self, stand_in: StandIns, source: str, tmp_path: Path
    ) -> None:
        startup.start()
        stand_in("linecache", source).get_code("linecache")
        (tmp_path / "next.py").write_text("answer = 'next'\n")
        assert run(stand_in("next", f"{tmp_path}/next.py").get_code("next")) == "next"

    @pytest.mark.parametrize("why", ["traced", "switched", "verbose", "policy", "prefix"])
    def test_but_it_is_a_module_like_any_other(
        self,
        stand_in: StandIns,
        source: str,
        monkeypatch: pytest.MonkeyPatch,
        process: FakeProcess,
        system: FakeSystem,
        why: str,
    ) -> None:
        class Flags:
            verbose, ignore_environment, optimize = int(why == "verbose"), 0, 0

        if why in ("traced", "switched"):
            process.environ["PYCACHE_SYS"] = "trace" if why == "traced" else ""
            startup.posix.environ[b"PYCACHE_SYS"] = process.environ["PYCACHE_SYS"].encode()
        elif why == "verbose":
            monkeypatch.setattr(sys, "flags", Flags)
        elif why == "policy":
            system.policy("read-beside-source = no\n")
        startup.start()
        if why == "prefix":
            monkeypatch.setattr(sys, "pycache_prefix", "/prefix")
        code = stand_in("linecache", source).get_code("linecache")
        assert run(code) == ("stock" if why == "prefix" else "source")
        assert isinstance(getattr(stand_in.get_code, MARK), loader.Layers)

    def test_it_is_too_where_stock_fails(
        self, stand_in: StandIns, source: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As it does for damaged bytecode."""

        def fail(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType:
            raise EOFError(fullname)

        monkeypatch.setattr(stand_in, "get_code", fail)
        startup.start()
        assert run(stand_in("linecache", source).get_code("linecache")) == "source"
        assert (sys.dont_write_bytecode, sys.pycache_prefix) == (False, None)


def test_the_package_itself_holds_a_docstring_only() -> None:
    """The hook makes the package without it, so whatever stood there would be missing."""
    (only,) = ast.parse(Path(str(pycache_sys_runtime.__file__)).read_text()).body
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)
    assert isinstance(only.value.value, str)


# how it loads what comes next


class TestNeed:
    @pytest.fixture
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """Give a copy of what loads the others, and one module besides."""
        monkeypatch.setattr(sys, "dont_write_bytecode", False)
        monkeypatch.setattr(sys, "pycache_prefix", None)
        shutil.copy(Path(startup.__file__).parent / "modules.py", tmp_path)
        (tmp_path / "sibling.py").write_text("answer = 'source'\n")
        yield tmp_path
        for name in private_modules():
            del sys.modules[name]

    def start(self, package: Path) -> Callable[[], Any]:
        """Execute the start-up, and give what loads the sibling."""
        space = execute(f"{package}/startup.py", f"{TESTED}.startup")
        return lambda: space["_need"](importlib.machinery.SourceFileLoader.get_code, "sibling")

    def need(self, package: Path) -> Any:
        return self.start(package)()

    def test_a_module_is_brought_by_the_one_that_brings_the_others(self, package: Path) -> None:
        first = self.need(package)
        assert first.answer == "source"
        before = {name: sys.modules[name] for name in private_modules()}
        names = ("modules", "sibling", "startup")
        assert list(before) == [TESTED, *(f"{TESTED}.{name}" for name in names)]
        assert self.need(package) is first
        assert {name: sys.modules[name] for name in private_modules()} == before

    @pytest.mark.parametrize("prefix", [None, "prefix"])
    def test_its_bytecode_is_read_from_beside_it_and_nothing_is_written(
        self, package: Path, monkeypatch: pytest.MonkeyPatch, prefix: str | None
    ) -> None:
        path = package / "modules.py"
        put_beside(path, pyc(path, compiled(path.read_text() + "\nread = 'bytecode'\n")))
        need = self.start(package)
        set_to = prefix and f"{package}/{prefix}"
        monkeypatch.setattr(sys, "pycache_prefix", set_to)
        before = sorted(package.rglob("*"))
        assert need().answer == "source"
        assert sys.modules[f"{TESTED}.modules"].__dict__["read"] == "bytecode"
        assert (sys.dont_write_bytecode, sys.pycache_prefix) == (False, set_to)
        assert sorted(package.rglob("*")) == before

    @pytest.mark.parametrize("kind", BAD)
    def test_damaged_bytecode_is_compiled_anew_and_not_written(
        self, package: Path, kind: str
    ) -> None:
        path = package / "modules.py"
        entry = put_beside(path, b"")
        entry.write_bytes(BAD[kind](pyc(path, compiled("read = 'bytecode'\n"))))
        before = entry.read_bytes(), sorted(package.rglob("*"))
        assert self.need(package).answer == "source"
        assert (entry.read_bytes(), sorted(package.rglob("*"))) == before
        assert (sys.dont_write_bytecode, sys.pycache_prefix) == (False, None)

    def test_what_it_executes_is_hidden(self, package: Path) -> None:
        self.need(package)
        assert sys.modules[f"{TESTED}.modules"].need.__code__.co_filename == FROZEN

    @pytest.mark.parametrize(
        ("text", "error"), [("no python\n", SyntaxError), ("1 / 0\n", ZeroDivisionError)]
    )
    def test_what_fails_does_not_count(
        self, package: Path, text: str, error: type[Exception]
    ) -> None:
        (package / "modules.py").write_text(text)
        with pytest.raises(error):
            self.need(package)
        assert private_modules() == []
        (package / "modules.py").unlink()
        with pytest.raises(FileNotFoundError):
            self.need(package)
        assert (sys.dont_write_bytecode, sys.pycache_prefix) == (False, None)


class TestLoad:
    @pytest.mark.parametrize("kept", [(False, None), (False, "/prefix"), (True, "/prefix")])
    @pytest.mark.parametrize("fails", [False, True])
    def test_what_was_set_before_is_set_after_it(
        self, monkeypatch: pytest.MonkeyPatch, kept: tuple[bool, str | None], fails: bool
    ) -> None:
        found = []

        def stock(this: importlib.machinery.SourceFileLoader, name: str) -> CodeType:
            found.append((this.name, name, sys.dont_write_bytecode, sys.pycache_prefix))
            return compile("1 / 0" if not fails else "no python", name, "exec")

        monkeypatch.setattr(sys, "dont_write_bytecode", kept[0])
        monkeypatch.setattr(sys, "pycache_prefix", kept[1])
        this = importlib.machinery.SourceFileLoader("mod", "/mod.py")
        if fails:
            with pytest.raises(SyntaxError):
                startup._load(stock, this)
        else:
            assert startup._load(stock, this).co_filename == "mod"
        assert found == [("mod", "mod", True, None)]
        assert (sys.dont_write_bytecode, sys.pycache_prefix) == kept

    def test_it_is_so_too_where_two_threads_load_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second would take for what was set before what the first has set."""
        inside = threading.Event()
        code = compile("", "mod", "exec")
        first = threading.Thread(target=lambda: startup._load(stock, this))

        def stock(_this: importlib.machinery.SourceFileLoader, _name: str) -> CodeType:
            if threading.current_thread() is first:
                inside.set()
                second_is_in.wait(0.5)  # in vain: it has to wait
            else:
                second_is_in.set()
                first.join(10)  # so that it is the last to set things back
            return code

        second_is_in = threading.Event()
        monkeypatch.setattr(sys, "dont_write_bytecode", False)
        monkeypatch.setattr(sys, "pycache_prefix", "/prefix")
        this = importlib.machinery.SourceFileLoader("mod", "/mod.py")
        first.start()
        assert inside.wait(10)
        second = threading.Thread(target=lambda: startup._load(stock, this))
        second.start()
        first.join()
        second.join()
        assert second_is_in.is_set()
        assert (sys.dont_write_bytecode, sys.pycache_prefix) == (False, "/prefix")


# executed by its path, under a name of its own


class TestPrivateName:
    @pytest.mark.parametrize(
        ("name", "starts"), [(f"{startup.PRIVATE}.startup", True), (f"{TESTED}.startup", False)]
    )
    @pytest.mark.usefixtures("without_policy")
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

    @pytest.fixture
    def without_policy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(posix, "access", lambda _path, _mode: False)


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
        for name in ("startup", "hook"):
            self.rewrite(name, r'"/(?=(?:etc|run|usr|var)\b)', f'"{self.folder}/system/')
        self.sources.mkdir()

    @property
    def package(self) -> Path:
        return self.folder / "elsewhere" / "pycache_sys_runtime"

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    def rewrite(self, name: str, pattern: str, text: str) -> None:
        """Change what a module says."""
        path = self.package / f"{name}.py"
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
        before = self.content()
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
        assert self.content() == before
        return done

    def say(self, program: str, *options: str, **variables: Any) -> list[str]:
        """Run a program behind the hook, and return the lines that it prints."""
        done = self.run(program, *options, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def policy(self, text: str) -> Path:
        """Write the policy that a start finds."""
        path = self.folder / "system/etc/pycacheprefix.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def mark(self, name: str, level: str = "") -> None:
        """Put bytecode beside a module of ours, of which it can be told that it was read."""
        path = self.package / f"{name}.py"
        text = f"{path.read_text()}\nread_from = {level!r} or 'beside'\n"
        put_beside(path, pyc(path, compiled(text)), level)

    def content(self) -> dict[str, bytes | None]:
        """Read all that is in the folder."""
        return {
            str(path): path.read_bytes() if path.is_file() else None
            for path in self.folder.rglob("*")
        }


@pytest.fixture
def delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Delivered:
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return Delivered(tmp_path)


FIRST = ["_pycache_sys", *(f"_pycache_sys.{name}" for name in ("hook", "modules", "startup"))]
ALWAYS = sorted([*FIRST, "_pycache_sys.layout", "_pycache_sys.loader"])
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

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_a_bare_start_loads_nothing_however_often_it_is_brought(
        self, delivered: Delivered, times: int
    ) -> None:
        """Before 3.15 site runs the files of a virtual environment twice."""
        lines = pth_file(str(delivered.package / "startup.py"), Undo()).decode()
        (line,) = [line for line in lines.splitlines() if not line.startswith("#")]
        program = (
            "SourceFileLoader.get_code = stock; before = set(sys.modules)\n"
            f"for _ in range({times}): exec({line!r})\n"
            "print(hook(), set(sys.modules) - before)"
        )
        assert delivered.say(program) == ["None set()"]

    def test_a_program_that_imports_this_package_gets_its_own(self, delivered: Delivered) -> None:
        copy = delivered.sources / "pycache_sys_runtime"
        shutil.copytree(delivered.package, copy)
        program = (
            "from pycache_sys_runtime import caches, hook as hook_, loader, own, startup\n"
            "theirs = sorted(name for name in sys.modules if name.startswith('pycache_sys'))\n"
            "print(*theirs)\n"
            "for name in theirs[1:]:\n"
            "    module = sys.modules[name]\n"
            "    private = sys.modules['_pycache_sys' + name[len('pycache_sys_runtime'):]]\n"
            "    assert module is not private, name\n"
            "    assert module.__file__.startswith(sys.argv[2] + '/'), module.__file__\n"
            "    assert private.__file__.startswith(path[:-len('startup.py')]), private.__file__\n"
            "assert loader.is_roots is hook_.is_roots\n"
            "assert type(hook()) is sys.modules['_pycache_sys.loader'].Layers\n"
            "assert not isinstance(hook(), loader.Layers)\n"
            "execute(); before = SourceFileLoader.get_code\n"
            "startup.start(); print(SourceFileLoader.get_code is before)"
        )
        names = ("caches", "hook", "layout", "loader", "modules", "own", "startup", "trust")
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

    @pytest.mark.parametrize("has_policy", [False, True])
    @pytest.mark.parametrize("name", ["modules", "hook", "layout", "loader"])
    @pytest.mark.parametrize("text", ["no python\n", "1 / 0\n", "", None])
    def test_a_package_that_is_broken_leaves_python_as_it_is(
        self, delivered: Delivered, name: str, text: str | None, has_policy: bool
    ) -> None:
        delivered.write("mod.py", "x = 1\n")
        if has_policy:
            delivered.policy("")
        path = delivered.package / f"{name}.py"
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        program = "import mod; print(mod.x, hook(), sys.pycache_prefix)"
        is_off = has_policy and name in ("modules", "hook")
        assert delivered.say(program, is_off=is_off) == ["1 stock None"]

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
        delivered.rewrite("hook", '"export-prefix": False', '"export-prefix": True')
        delivered.policy("")
        program = (
            "for name in ours()[1:]:\n"
            "    for part in vars(sys.modules[name]).values():\n"
            "        if getattr(part, '__module__', '') == name and hasattr(part, '__code__'):\n"
            "            assert part.__code__.co_filename != sys.modules[name].__file__ or "
            "name == '_pycache_sys.startup', name\n"
            "print(ours())"
        )
        modules = sorted({*ALWAYS, *AT_A_MISS, "_pycache_sys.policy"} - {"_pycache_sys.loader"})
        assert delivered.say(program) == [str(modules)]

    @pytest.mark.parametrize("name", ["modules", "hook", "loader"])
    @pytest.mark.parametrize("kind", BAD)
    def test_bytecode_of_its_own_that_is_bad_leaves_python_working(
        self, delivered: Delivered, name: str, kind: str
    ) -> None:
        delivered.write("mod.py", "x = 1\n")
        path = delivered.package / f"{name}.py"
        put_beside(path, BAD[kind](pyc(path, compiled("bad = 1 / 0\n"))))
        (said,) = delivered.say("import mod; print(mod.x, type(hook()).__name__)")
        assert said == "1 Layers"

    def test_an_explicit_prefix_is_not_for_our_own_modules(
        self, delivered: Delivered, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """But for the first, which stock loads."""
        prefix = tmp_path_factory.mktemp("prefix")
        delivered.write("mod.py", "x = 1\n")
        names = ("modules", "hook", "layout", "loader")
        for name in names:
            delivered.mark(name)
        program = (
            "sys.dont_write_bytecode = False\nimport mod\n"
            f"print(*[sys.modules['_pycache_sys.' + name].read_from for name in {names}])\n"
            "print(mod.x, type(hook()).__name__, sys.dont_write_bytecode, sys.pycache_prefix)"
        )
        said = delivered.say(program, "-X", f"pycache_prefix={prefix}")
        assert said == ["beside " * 3 + "beside", f"1 Layers False {prefix}"]
        tag = sys.implementation.cache_tag
        written = [path for path in prefix.rglob("*") if not path.is_dir()]
        assert written == [Path(f"{prefix}{delivered.sources}/mod.{tag}.pyc")]

    def test_linecache_is_loaded_by_stock_and_nothing_is_written(
        self, delivered: Delivered
    ) -> None:
        """As 3.13 does for each ``-c``."""
        places = r'str\(getattr\(sys, "_stdlib_dir", None\)\)'
        delivered.rewrite("startup", places, repr(str(delivered.sources)))
        source = delivered.write("linecache.py", "x = 'source'\n")
        program = (
            "sys.modules.pop('linecache', None); sys.dont_write_bytecode = False\n"
            "import linecache; print(linecache.x, linecache.__file__ == sys.argv[2] + "
            "'/linecache.py', hook(), ours(), sys.dont_write_bytecode, sys.pycache_prefix)"
        )
        assert delivered.say(program) == ["source True None [] False None"]
        put_beside(source, BAD["time"](pyc(source, compiled("x = 'stale'\n"))))
        assert delivered.say(program) == ["source True None [] False None"]
        put_beside(source, pyc(source, compiled("x = 'bytecode'\n")))
        assert delivered.say(program) == ["bytecode True None [] False None"]
        for options, variables in (((), {"PYCACHE_SYS": "on"}), (("-v",), {})):
            done = delivered.run(program, *options, **variables)
            assert "bytecode True <_pycache_sys.loader.Layers object at" in done.stdout
        put_beside(source, BAD["no code"](pyc(source, b"")))
        done = delivered.run(program.replace("False\n", "True\n"))
        assert "source True <_pycache_sys.loader.Layers object at" in done.stdout

    @pytest.mark.parametrize(("option", "mark"), [("", ""), ("-O", "1"), ("-OO", "2")])
    def test_its_own_bytecode_is_its_levels(
        self, delivered: Delivered, option: str, mark: str
    ) -> None:
        delivered.write("mod.py", "x = 1\n")
        names = ("modules", "hook", "layout")
        for level in ("", "1", "2"):
            for name in names:
                delivered.mark(name, level)
        program = (
            "import mod\n"
            f"print(*[sys.modules['_pycache_sys.' + name].read_from for name in {names}])"
        )
        said = [" ".join([mark or "beside"] * len(names))]
        assert delivered.say(program, *filter(None, [option])) == said

    def test_the_switch_turns_it_off_with_the_first_module(self, delivered: Delivered) -> None:
        delivered.write("mod.py", "x = 1\n")
        program = "import mod; print(SourceFileLoader.get_code is stock, ours())"
        assert delivered.say(program, PYCACHE_SYS="off") == [f"True {FIRST}"]

    def test_with_a_policy_the_switch_turns_it_off_at_once(self, delivered: Delivered) -> None:
        delivered.policy("")
        program = "print(SourceFileLoader.get_code is stock, sys.pycache_prefix)"
        assert delivered.say(program, is_off=True, PYCACHE_SYS="off") == ["True None"]

    def test_the_policy_turns_it_off_at_once(self, delivered: Delivered) -> None:
        delivered.policy("")
        delivered.rewrite("hook", '"enabled": True', '"enabled": False')
        program = "print(SourceFileLoader.get_code is stock)"
        assert delivered.say(program, is_off=True) == ["True"]

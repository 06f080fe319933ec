"""The start-up: when there is a hook, by which policy, and that it never fails."""

import importlib.machinery
import os
import sys
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

import pycache_sys_runtime
from fake_system import FakeSystem
from pycache_sys_runtime import BUILT_IN, caches, loader, startup
from pycache_sys_runtime import policy as runtime

MARK = "pycache_sys"
USER = 1234
SERVICE = 500


class Environ:
    """The module ``os``, with another environment and other ids."""

    def __init__(self) -> None:
        self.environ: dict[str, str] = {}
        self.uid = self.euid = USER
        self.gid = self.egid = USER

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def getuid(self) -> int:
        return self.uid

    def geteuid(self) -> int:
        return self.euid

    def getgid(self) -> int:
        return self.gid

    def getegid(self) -> int:
        return self.egid


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Environ:
    fake = Environ()
    monkeypatch.setattr(startup, "os", fake)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return fake


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Give a policy that has all of it in a folder."""
    values: dict[str, object] = {
        **BUILT_IN,
        "image-tree": f"{tmp_path}/image",
        "system-tree": "",
        "user-cache": f"{tmp_path}/user/{{uid}}",
        "root-cache": f"{tmp_path}/root",
    }
    monkeypatch.setattr(startup, "read_policy", lambda: values)
    return values


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[importlib.machinery.SourceFileLoader]:
    """Put a class in the place of the interpreter's own."""

    class StandIn(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - as stock's
            return compile("answer = 'stock'", self.path, "exec")

    monkeypatch.setattr(startup, "SourceFileLoader", StandIn)
    monkeypatch.setattr(startup, "hide", lambda _: None)  # coverage goes by file names
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

    def test_our_own_modules_and_subclasses_are_stocks(
        self, stand_in: StandIns, source: str
    ) -> None:
        class Below(stand_in):  # type: ignore[valid-type, misc]
            pass

        startup.start()
        before = stand_in.get_code
        name = "pycache_sys_runtime.loader"
        assert run(stand_in(name, source).get_code(name)) == "stock"
        assert run(Below("mod", source).get_code("mod")) == "stock"
        assert stand_in.get_code is before

    def test_a_disabled_policy_puts_nothing_in_place(
        self, stand_in: StandIns, policy: dict[str, object]
    ) -> None:
        policy["enabled"] = False
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    def test_the_switch_puts_nothing_in_place(self, stand_in: StandIns, process: Environ) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        before = stand_in.get_code
        startup.start()
        assert stand_in.get_code is before

    @pytest.mark.parametrize(("switch", "is_traced"), [("trace", True), ("on", False), ("", False)])
    def test_the_switch_traces(
        self,
        stand_in: StandIns,
        process: Environ,
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

        monkeypatch.setattr(startup, "make_layers", broken)
        startup.start()
        assert run(stand_in("mod", source).get_code("mod")) == "stock"

    def test_the_first_modules_frame_is_hidden(
        self, stand_in: StandIns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(startup, "hide", pycache_sys_runtime.hide)
        startup.start()
        frozen = "<frozen importlib._bootstrap_external>"
        assert stand_in.get_code.__code__.co_filename == frozen

    def test_an_exported_prefix_is_known_as_ours(
        self, stand_in: StandIns, source: str, policy: dict[str, object]
    ) -> None:
        policy["export-prefix"] = True
        startup.start()
        assert sys.pycache_prefix is not None
        assert run(stand_in("mod", source).get_code("mod")) == "source"
        assert getattr(stand_in.get_code, MARK).exported == sys.pycache_prefix


class TestEnvironment:
    def test_it_is_the_process_own(self, process: Environ) -> None:
        assert startup.environment() is process.environ

    @pytest.mark.parametrize("name", ["uid", "euid", "gid", "egid"])
    def test_it_does_not_count_under_borrowed_ids(self, process: Environ, name: str) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        setattr(process, name, USER + 1)
        assert startup.environment() == {}

    def test_it_does_not_count_where_python_ignores_it(
        self, process: Environ, monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.parametrize(
    ("implementation", "flags", "expected"),
    [
        ("cpython", {}, "3.13"),
        ("cpython", {"abiflags": ""}, "3.13"),
        ("cpython", {"abiflags": "t"}, "3.13t"),
        ("pypy", {}, "pypy3.13"),
    ],
)
def test_the_folder_names_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, implementation: str, flags: dict[str, str], expected: str
) -> None:
    fake = SimpleNamespace(
        version_info=(3, 13, 1), implementation=SimpleNamespace(name=implementation), **flags
    )
    monkeypatch.setattr(startup, "sys", fake)
    assert startup.folder() == expected


class TestLocate:
    @pytest.mark.parametrize(
        ("uid", "expected"),
        [
            (0, "/var/cache/pycache-sys/root"),
            (USER, "/home/ada/.cache/pycache-sys"),
            (SERVICE, "/var/cache/service/pycache-sys"),
        ],
    )
    def test_each_kind_of_user_has_a_place(self, process: Environ, uid: int, expected: str) -> None:
        process.uid = process.euid = uid
        process.environ.update(HOME="/home/ada", CACHE_DIRECTORY="/var/cache/service")
        assert startup.locate(BUILT_IN) == expected

    def test_a_service_without_one_has_none(self, process: Environ) -> None:
        process.uid = process.euid = SERVICE
        assert startup.locate(BUILT_IN) is None

    @pytest.mark.parametrize(
        ("uid", "key"), [(0, "root-cache"), (USER, "user-cache"), (SERVICE, "service-cache")]
    )
    def test_an_empty_value_is_no_cache(self, process: Environ, uid: int, key: str) -> None:
        process.uid = process.euid = uid
        assert startup.locate({**BUILT_IN, key: ""}) is None

    def test_roots_environment_does_not_count(
        self, process: Environ, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process.uid = process.euid = 0
        process.environ["XDG_CACHE_HOME"] = "/home/ada/.cache"
        monkeypatch.setattr(caches, "_account", lambda _: SimpleNamespace(pw_dir="/root"))
        values = {**BUILT_IN, "root-cache": "{user_cache_dir}"}
        assert startup.locate(values) == "/root/.cache/pycache-sys"


@pytest.mark.usefixtures("process")
class TestExport:
    def test_the_own_cache_becomes_the_prefix(self, policy: dict[str, object]) -> None:
        prefix = startup.export(policy)
        assert prefix == f"{startup.locate(policy)}/{startup.folder()}"
        assert sys.pycache_prefix == prefix

    def test_an_explicit_prefix_stays(
        self, policy: dict[str, object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "pycache_prefix", "/explicit")
        assert startup.export(policy) is None
        assert sys.pycache_prefix == "/explicit"

    def test_without_a_cache_there_is_no_prefix(self, policy: dict[str, object]) -> None:
        policy["user-cache"] = ""
        assert startup.export(policy) is None
        assert sys.pycache_prefix is None


@pytest.mark.usefixtures("process")
class TestMakeLayers:
    def test_trees_that_are_trusted_come_in_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, str, bool]] = []

        def trusted(tree: str, folder: str, is_built_in: bool) -> str:
            asked.append((tree, folder, is_built_in))
            return f"{tree}/{folder}"

        monkeypatch.setattr(loader, "trusted_tree", trusted)
        name = startup.folder()
        values = {**BUILT_IN, "system-tree": "/other"}
        layers = startup.make_layers(values, None, False)
        assert asked == [("/usr/lib/pycache", name, True), ("/other", name, False)]
        assert layers.trees == (f"/usr/lib/pycache/{name}", f"/other/{name}")

    def test_trees_that_are_not_trusted_or_not_named_are_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loader, "trusted_tree", lambda *_: None)
        values = {**BUILT_IN, "image-tree": ""}
        assert startup.make_layers(values, None, False).trees == ()

    @pytest.mark.parametrize("is_script", [False, True])
    def test_package_managers_scripts_only_read(
        self,
        process: Environ,
        policy: dict[str, object],
        source: str,
        is_script: bool,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sys, "dont_write_bytecode", False)
        if is_script:
            process.environ["DPKG_MAINTSCRIPT_PACKAGE"] = "python3-foo"
        layers = startup.make_layers(policy, None, False)
        get_code = loader.make_get_code(layers, no_stock)
        this = importlib.machinery.SourceFileLoader("mod", source)
        assert run(get_code(this, "mod")) == "source"
        assert (tmp_path / "user").exists() is not is_script

    def test_the_policys_words_reach_the_layers(self, policy: dict[str, object]) -> None:
        policy["read-beside-source"] = False
        policy["explicit-prefix"] = "exclusive"
        layers = startup.make_layers(policy, "/exported", True)
        assert (layers.beside, layers.explicit) == (False, "exclusive")
        assert (layers.exported, layers.is_traced) == ("/exported", True)


def no_stock(this: importlib.machinery.SourceFileLoader, name: str) -> CodeType:
    raise AssertionError(name)

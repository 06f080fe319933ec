"""Whether there is a hook in a process, and by which policy."""

import importlib.machinery
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_system import USER, FakeProcess, FakeSystem
from pycache_sys_runtime import hook, judge, layout, loader
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime.hook import BUILT_IN, Settings
from pycache_sys_runtime.startup import MARK

Values = dict[str, object]


class TestEnvironment:
    def test_it_is_the_process_own(self, process: FakeProcess) -> None:
        assert hook.environment() is process.environ

    @pytest.mark.parametrize("name", ["uid", "euid", "gid", "egid"])
    def test_it_does_not_count_under_borrowed_ids(self, process: FakeProcess, name: str) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        setattr(process, name, USER + 1)
        assert hook.environment() == {}

    def test_it_does_not_count_where_python_ignores_it(
        self, process: FakeProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        monkeypatch.setattr(sys, "flags", SimpleNamespace(ignore_environment=1))
        assert hook.environment() == {}


class TestSettle:
    @pytest.mark.parametrize(("switch", "is_traced"), [("trace", True), ("on", False), ("", False)])
    def test_the_switch_traces(
        self, process: FakeProcess, values: Values, switch: str, is_traced: bool
    ) -> None:
        process.environ["PYCACHE_SYS"] = switch
        settings = hook.settle(values)
        assert settings is not None
        assert settings.is_traced is is_traced

    @pytest.mark.usefixtures("process")
    def test_without_the_switch_nothing_is_traced(self, values: Values) -> None:
        settings = hook.settle(values)
        assert settings is not None
        assert (settings.values, settings.exported) == (values, None)
        assert (settings.is_traced, settings.beside) == (False, True)

    def test_the_switch_turns_it_off(self, process: FakeProcess, values: Values) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        assert hook.settle({**values, "export-prefix": True}) is None
        assert sys.pycache_prefix is None

    def test_it_does_not_under_borrowed_ids(self, process: FakeProcess, values: Values) -> None:
        process.environ["PYCACHE_SYS"] = "off"
        process.euid = USER + 1
        assert hook.settle(values) is not None

    @pytest.mark.usefixtures("process")
    def test_a_disabled_policy_turns_it_off(self, values: Values) -> None:
        assert hook.settle({**values, "enabled": False, "export-prefix": True}) is None
        assert sys.pycache_prefix is None

    @pytest.mark.usefixtures("process")
    def test_a_prefix_is_exported_where_the_policy_says_so(self, values: Values) -> None:
        settings = hook.settle({**values, "export-prefix": True})
        assert settings is not None
        assert settings.exported == sys.pycache_prefix
        assert sys.pycache_prefix is not None

    @pytest.mark.usefixtures("process")
    def test_the_policy_says_whether_bytecode_beside_sources_is_read(self, values: Values) -> None:
        settings = hook.settle({**values, "read-beside-source": False})
        assert settings is not None
        assert settings.beside is False


@pytest.mark.usefixtures("process")
class TestReadSettings:
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, system: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
        where = (system.main_files, system.drop_in_directories)
        monkeypatch.setattr(runtime.load, "__defaults__", where)
        monkeypatch.setattr(runtime, "os", system.os)

    def test_without_a_file_it_is_the_built_in_policy(self) -> None:
        settings = hook.read_settings()
        assert settings is not None
        assert settings.values == BUILT_IN

    def test_a_main_file_is_read(self, system: FakeSystem) -> None:
        system.policy("enabled = no\n")
        assert hook.read_settings() is None

    def test_a_drop_in_is_read(self, system: FakeSystem) -> None:
        system.drop_in("10-x.conf", "read-beside-source = no\n", "lib")
        settings = hook.read_settings()
        assert settings is not None
        assert settings.beside is False


class TestMakeMethods:
    def test_where_there_is_to_be_no_hook_it_is_stocks(self) -> None:
        stock = importlib.machinery.SourceFileLoader.get_code
        assert hook.make_methods(stock, None) == (stock, None)

    def test_it_reads_what_the_settings_say(
        self, process: FakeProcess, values: Values, tmp_path: Path
    ) -> None:
        stock = importlib.machinery.SourceFileLoader.get_code
        values |= {"read-beside-source": False, "explicit-prefix": "ignore"}
        method, create_module = hook.make_methods(stock, Settings(values, "/exported", True))
        assert (create_module is None) is (sys.version_info >= (3, 15))
        layers = getattr(method, MARK)
        assert isinstance(layers, loader.Layers)
        assert (layers.beside, layers.explicit) == (False, "ignore")
        assert (layers.exported, layers.trace) == ("/exported", judge.trace)
        process.environ["XDG_CACHE_HOME"] = f"{tmp_path}/home"
        values["user-cache"] = "{user_cache_dir}"
        assert layers.own is not None
        name = layout.running_version_directory()
        assert layers.own.path("/a", "m.pyc") == f"{tmp_path}/home/pycache-sys/{name}/a/m.pyc"

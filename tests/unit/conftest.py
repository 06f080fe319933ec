"""What unit tests of the policy get: a system of their own."""

from pathlib import Path

import pytest

from fake_system import FakeSystem
from pycache_sys.policy import files, load
from pycache_sys.system import sources, trust
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime import trust as runtime_trust


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    """Give a system in a folder, where everything is root's until a test says otherwise."""
    fake = FakeSystem(tmp_path)
    for module in (runtime_trust, runtime, trust, sources):
        monkeypatch.setattr(module, "os", fake.os)
    monkeypatch.setattr(runtime, "MAIN_FILES", fake.main_files)
    monkeypatch.setattr(runtime, "DROP_IN_DIRECTORIES", fake.drop_in_directories)
    monkeypatch.setattr(runtime.read_ids, "__defaults__", (str(fake.ids),))
    monkeypatch.setattr(load.write_ids, "__defaults__", (str(fake.ids),))
    for module in (files, load):
        monkeypatch.setattr(module, "REGISTRY", str(fake.registry))
        monkeypatch.setattr(module, "BCEP", str(fake.bcep))
    return fake

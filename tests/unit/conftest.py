"""What unit tests get: a system of their own, and a process."""

import os
import sys
from pathlib import Path

import pytest

from fake_system import FakeProcess, FakeSystem
from pycache_sys.policy import files, load
from pycache_sys.system import sources, trust
from pycache_sys_runtime import caches, hook
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime import trust as runtime_trust


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    """Give a system in a folder, where everything is root's until a test says otherwise."""
    fake = FakeSystem(tmp_path)
    for module in (hook, runtime_trust):
        monkeypatch.setattr(module, "posix", fake.os)
    for module in (runtime, trust, sources):
        monkeypatch.setattr(module, "os", fake.os)
    monkeypatch.setattr(runtime, "MAIN_FILES", fake.main_files)
    monkeypatch.setattr(runtime, "DROP_IN_DIRECTORIES", fake.drop_in_directories)
    monkeypatch.setattr(runtime.read_ids, "__defaults__", (str(fake.ids),))
    monkeypatch.setattr(load.write_ids, "__defaults__", (str(fake.ids),))
    for module in (files, load):
        monkeypatch.setattr(module, "REGISTRY", str(fake.registry))
        monkeypatch.setattr(module, "BCEP", str(fake.bcep))
    return fake


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> FakeProcess:
    """Give the process other ids, and an environment that is empty."""
    fake = FakeProcess()
    monkeypatch.setattr(os, "environ", fake.environ)
    monkeypatch.setattr(hook, "posix", fake)
    monkeypatch.setattr(caches, "posix", fake)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return fake


@pytest.fixture
def values(tmp_path: Path) -> dict[str, object]:
    """Give what a policy says that has all of it in a folder."""
    return {
        **hook.BUILT_IN,
        "image-tree": f"{tmp_path}/image",
        "system-tree": "",
        "user-cache": f"{tmp_path}/user/{{uid}}",
        "root-cache": f"{tmp_path}/root",
    }

"""What a process has to have before it enters another system's root."""

import ast
import sys
from pathlib import Path

import pytest

import pycache_sys
from pycache_sys.core.model import Interpreter, Reason, Refusal
from pycache_sys.system.machine import offline
from pycache_sys.system.pythons import foreign
from pycache_sys.system.users import accounts

PACKAGE = Path(pycache_sys.__file__).parent
OPTIONAL = {"rich", "packaging"}
"""Only for what is shown on a terminal, and for versions, which are parsed by a module of ours."""


def imported_late() -> set[str]:
    """List what functions of ours import, apart from our own modules."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add((node.module or "").partition(".")[0])
    return names - {"pycache_sys", "pycache_sys_runtime"}


def test_all_that_is_imported_late_is_loaded_before() -> None:
    late = imported_late() - OPTIONAL - {"pkgutil", "importlib"}  # these load it
    frozen = {"sys", "_frozen_importlib", "_frozen_importlib_external"}
    assert late - frozen <= set(offline._STANDARD_LIBRARY)
    assert "json" in late
    assert {name for name in offline._STANDARD_LIBRARY if name not in sys.stdlib_module_names} == (
        set()
    )


PASSWD = b"""\
root:x:0:0:root:/root:/bin/bash
short:x:1
ada:x:1000:1001:Ada:/home/ada:/bin/sh
twice:x:7:8::/:
twice:x:9:9::/:
bad:x:minus:1::/:
\xff:x:12:13::/:
"""


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("user", "root", (0, 0)),
        ("user", "ada", (1000, 1001)),
        ("user", "twice", (7, 8)),
        ("user", "bad", None),
        ("user", "short", None),
        ("user", "nobody-of-that-name", None),
        ("user", "", None),
        ("user", "\udcff", (12, 13)),
        ("group", "staff", (50, 50)),
        ("group", "ada", None),
    ],
)
def test_accounts_are_read_from_files(
    kind: str,
    name: str,
    expected: tuple[int, int] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "passwd").write_bytes(PASSWD)
    (tmp_path / "group").write_bytes(b"root:x:0:\nstaff:x:50:ada,bob\n")
    files = {"user": str(tmp_path / "passwd"), "group": str(tmp_path / "group")}
    monkeypatch.setattr(accounts, "_FILES", files)
    monkeypatch.setattr(accounts, "_files_only", [])
    accounts.read_files_only()
    assert accounts.find_id(kind, name) == expected


def test_without_the_files_there_is_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_FILES", {"user": str(tmp_path / "passwd")})
    monkeypatch.setattr(accounts, "_files_only", [True])
    assert accounts.find_id("user", "root") is None


OURS = Interpreter(
    path="/usr/bin/python3.11",
    binary="/usr/bin/python3.11",
    version=(3, 11, 2),
    implementation="cpython",
    cache_tag="cpython-311",
    magic=(3495).to_bytes(2, "little") + b"\r\n",
    directory="3.11",
    environment="",
    library=("/usr/lib/python3.11",),
    site=(),
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the standard library of an interpreter that cannot run."""
    monkeypatch.setattr(foreign, "_LIBRARIES", (str(tmp_path / "usr/lib"),))
    made = tmp_path / "usr/lib/python3.11"
    (made / "encodings/__pycache__").mkdir(parents=True)
    (made / "importlib").mkdir()
    (made / "site-packages").mkdir()
    (made / "os.py").touch()
    return made


def test_bytecode_shows_the_magic_number(library: Path) -> None:
    (library / "encodings/__pycache__/__init__.cpython-311.pyc").write_bytes(OURS.magic + bytes(12))
    found = foreign.describe("/usr/bin/python3.11", [OURS])
    assert isinstance(found, Interpreter)
    assert (found.stand_in, found.library[0]) == (OURS.path, str(library))
    assert str(library / "site-packages") in found.site


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("MAGIC_NUMBER = (3495).to_bytes(2, 'little') + b'\\r\\n'\n", ""),
        ("MAGIC_NUMBER = (3494).to_bytes(2, 'little') + b'\\r\\n'\n", "another magic number"),
        ("MAGIC_NUMBER = _imp.pyc_magic_number_token.to_bytes(4, 'little')\n", "nothing in"),
        ("", "nothing in"),
        (None, "nothing in"),
    ],
)
def test_the_source_of_importlib_shows_it_too(library: Path, source: str | None, word: str) -> None:
    if source is not None:
        (library / "importlib/_bootstrap_external.py").write_text(f"x = 1\n{source}y = 2\n")
    found = foreign.describe("/usr/bin/python3.11", [OURS])
    if word:
        assert isinstance(found, Refusal)
        assert found.reason is Reason.BROKEN
        assert word in found.detail
    else:
        assert isinstance(found, Interpreter)


def test_another_version_of_ours_stands_in_for_nobody(library: Path) -> None:
    library.rename(library.with_name("python3.12"))
    found = foreign.describe("/usr/bin/python3.12", [OURS])
    assert isinstance(found, Refusal)
    assert "this system has no Python 3.12" in found.detail

"""What loads before any hook has its bytecode beside it, made like the interpreter's own."""

import importlib.util
import os
import py_compile
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from interpreters.builder import TAG, say
from own_prefix import OwnPrefix, describe, make_prefix
from pycache_sys.core.delivery import Undo, pth_file
from pycache_sys.core.model import Interpreter, Outcome, Reason
from pycache_sys.system.pythons import bootstrap
from pycache_sys.system.pythons.bootstrap import (
    bytecode_of,
    compile_beside,
    is_hooked,
    keep_own,
    loaded_before_hooks,
    own_sources,
)
from pycache_sys.system.pythons.workers import WorkersError


def identity(path: Path) -> tuple[int, int]:
    """Say which file it is, and when it was written; to be read is no change."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> OwnPrefix:
    return make_prefix(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def asked(home: OwnPrefix) -> Interpreter:
    return describe(home.python)


@pytest.fixture
def interpreter(home: OwnPrefix, asked: Interpreter) -> Iterator[Interpreter]:
    """Give an interpreter whose library has no bytecode yet."""
    home.clean()
    yield asked
    home.clean()


def program(folder: Path, text: str) -> str:
    """Write a program that says something whoever asks."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def compile_all(interpreter: Interpreter, *sources: Path) -> list[Outcome]:
    return list(compile_beside(interpreter, map(str, sources)))


def cached(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.{TAG}.pyc"


class TestWhatIsLoadedBefore:
    def test_it_is_of_the_library(self, interpreter: Interpreter) -> None:
        found = loaded_before_hooks(interpreter)
        library = interpreter.library[0]
        assert f"{library}/encodings/__init__.py" in found
        assert f"{library}/encodings/utf_8.py" in found
        assert all(file.startswith(f"{library}/") and os.path.isfile(file) for file in found)

    def test_it_is_listed_once(self, interpreter: Interpreter) -> None:
        found = loaded_before_hooks(interpreter)
        assert len(found) == len(set(found))

    def test_what_comes_frozen_needs_no_bytecode(self, interpreter: Interpreter) -> None:
        said = say(
            interpreter.path,
            "import site, sys\n"
            "for m in list(sys.modules.values()):\n"
            "    if 'Frozen' in str(m.__loader__): print(getattr(m, '__file__', None))\n",
            "-I",
            "-S",
        )
        assert not set(said.split()) & set(loaded_before_hooks(interpreter))

    @pytest.mark.parametrize(("minor", "is_there"), [(12, False), (13, True), (15, True)])
    def test_pth_files_have_a_codec_from_3_13_on(
        self, interpreter: Interpreter, minor: int, *, is_there: bool
    ) -> None:
        found = loaded_before_hooks(interpreter._replace(version=(3, minor, 0)))
        codec = f"{interpreter.library[0]}/encodings/utf_8_sig.py"
        assert (codec in found) == is_there

    def test_no_bytecode_is_written_by_asking(
        self, interpreter: Interpreter, home: OwnPrefix
    ) -> None:
        is_hooked(interpreter)
        assert not list(home.folder.rglob("*.pyc"))

    def test_nor_by_asking_what_is_loaded(self, interpreter: Interpreter, home: OwnPrefix) -> None:
        loaded_before_hooks(interpreter)
        assert not list(home.folder.rglob("*.pyc"))

    @pytest.mark.parametrize(
        "text",
        ["exit 1", "echo '[['", "echo", "printf '\\377'", "kill -9 $$", "echo \"['/x.py', 7]\"",
         "echo \"['relative.py', None]\""],
    )  # fmt: skip
    def test_one_that_does_not_say_it_has_none(
        self, interpreter: Interpreter, tmp_path: Path, text: str
    ) -> None:
        asked = interpreter._replace(path=program(tmp_path, text), version=(3, 11, 0))
        assert loaded_before_hooks(asked) == []
        assert not is_hooked(asked)

    def test_one_that_says_no_list_has_none(self, interpreter: Interpreter, tmp_path: Path) -> None:
        assert loaded_before_hooks(interpreter._replace(path=program(tmp_path, "echo 7"))) == []

    def test_one_that_is_not_there_or_late_has_none(
        self, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert loaded_before_hooks(interpreter._replace(path=f"{tmp_path}/nothing")) == []
        monkeypatch.setattr(bootstrap, "_SECONDS", 0.05)
        asked = interpreter._replace(path=program(tmp_path, "exec sleep 5"))
        assert loaded_before_hooks(asked) == []


def test_an_interpreter_is_hooked_if_a_start_of_it_is(
    interpreter: Interpreter, home: OwnPrefix
) -> None:
    site = home.site
    site.mkdir(parents=True, exist_ok=True)
    assert not is_hooked(interpreter)
    (site / "any.pth").write_bytes(pth_file(str(home.startup), Undo()))
    assert is_hooked(interpreter)
    assert not list(home.folder.rglob("*.pyc"))


def test_the_hook_consists_of_its_sources(home: OwnPrefix) -> None:
    found = own_sources(str(home.startup))
    assert found == sorted(map(str, home.startup.parent.glob("*.py")))
    assert str(home.startup) in found


class TestTheHooksOwnBytecode:
    """The hook is there before some interpreters are."""

    def own(self, home: OwnPrefix) -> list[Path]:
        return [cached(source) for source in home.startup.parent.glob("*.py")]

    def bring(self, home: OwnPrefix, startup: Path) -> None:
        site = home.site
        site.mkdir(parents=True, exist_ok=True)
        (site / "pycache-sys.pth").write_bytes(pth_file(str(startup), Undo()))

    def test_it_is_made_where_the_hook_is_brought(
        self, interpreter: Interpreter, home: OwnPrefix
    ) -> None:
        self.bring(home, home.startup)
        assert list(keep_own(interpreter, str(home.startup))) == []
        assert all(path.is_file() for path in self.own(home))
        before = {path: identity(path) for path in self.own(home)}
        assert list(keep_own(interpreter, str(home.startup))) == []
        assert {path: identity(path) for path in self.own(home)} == before

    def test_not_where_nothing_brings_it(self, interpreter: Interpreter, home: OwnPrefix) -> None:
        assert list(keep_own(interpreter, str(home.startup))) == []
        assert not any(path.exists() for path in self.own(home))

    def test_nor_where_another_one_is_brought(
        self, interpreter: Interpreter, home: OwnPrefix, tmp_path: Path
    ) -> None:
        self.bring(home, tmp_path / "startup.py")
        assert list(keep_own(interpreter, str(home.startup))) == []
        assert not any(path.exists() for path in self.own(home))

    def test_nor_where_that_cannot_be_told(self, interpreter: Interpreter, home: OwnPrefix) -> None:
        site = home.site
        site.mkdir(parents=True, exist_ok=True)
        os.mkfifo(site / "pycache-sys.pth")
        assert list(keep_own(interpreter, str(home.startup))) == []
        assert not any(path.exists() for path in self.own(home))

    def test_nor_where_nothing_can_be_written(
        self, interpreter: Interpreter, home: OwnPrefix, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.bring(home, home.startup)
        monkeypatch.setattr(bootstrap, "is_read_only", lambda _path: True)
        assert list(keep_own(interpreter, str(home.startup))) == []
        assert not any(path.exists() for path in self.own(home))


def test_bytecode_is_named_as_the_interpreter_names_it(interpreter: Interpreter) -> None:
    for source in ("/lib/os.py", "/lib/a.b.py", "/l i b/é.py"):
        assert bytecode_of(source, interpreter) == importlib.util.cache_from_source(source)


class TestCompiling:
    def test_bytecode_is_what_the_interpreter_would_read(
        self, interpreter: Interpreter, tmp_path: Path
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("print('one')\n")
        assert compile_all(interpreter, source) == []
        assert stat.S_IMODE(cached(source).parent.stat().st_mode) == 0o755
        assert stat.S_IMODE(cached(source).stat().st_mode) == 0o644
        mine = cached(source).read_bytes()
        load = (
            f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import one; print(one.__cached__)"
        )
        assert say(interpreter.path, load) == f"one\n{cached(source)}\n"
        py_compile.compile(str(source), doraise=True)
        assert cached(source).read_bytes()[:16] == mine[:16]

    def test_what_is_fresh_stays_as_it_is(self, interpreter: Interpreter, tmp_path: Path) -> None:
        source = tmp_path / "one.py"
        source.write_text("x = 1\n")
        compile_all(interpreter, source)
        before = cached(source).stat()
        assert compile_all(interpreter, source) == []
        assert cached(source).stat() == before

    @pytest.mark.parametrize(
        "mode",
        [
            py_compile.PycInvalidationMode.CHECKED_HASH,
            py_compile.PycInvalidationMode.UNCHECKED_HASH,
        ],
    )
    def test_a_distributions_stays_that_goes_by_hash(
        self, interpreter: Interpreter, tmp_path: Path, mode: py_compile.PycInvalidationMode
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("x = 1\n")
        py_compile.compile(str(source), doraise=True, invalidation_mode=mode)
        before = cached(source).stat()
        compile_all(interpreter, source)
        assert cached(source).stat() == before

    @pytest.mark.parametrize(
        "damage",
        [
            b"", b"\0" * 20, b"\xa7\r\r\n", "other magic", "other magic, by hash", "body", "time",
            "no code",
        ],
    )  # fmt: skip
    def test_what_is_damaged_or_stale_is_made_anew(
        self, interpreter: Interpreter, tmp_path: Path, damage: bytes | str
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("x = 1\n")
        compile_all(interpreter, source)
        right = cached(source).read_bytes()
        match damage:
            case "other magic":
                damage = b"\x01\x02\r\n" + right[4:]
            case "other magic, by hash":
                damage = b"\x01\x02\r\n\x01" + right[5:]
            case "body":
                damage = right[:16]
            case "time":
                damage = right[:8] + b"\x01\x02\x03\x04" + right[12:]
            case "no code":
                damage = right[:16] + b"N"
        assert isinstance(damage, bytes)
        cached(source).write_bytes(damage)
        assert compile_all(interpreter, source) == []
        assert cached(source).read_bytes() == right

    def test_what_cannot_be_compiled_is_named_and_the_others_are(
        self, interpreter: Interpreter, tmp_path: Path
    ) -> None:
        bad, good = tmp_path / "bad.py", tmp_path / "good.py"
        bad.write_text("def (:\n")
        good.write_text("x = 1\n")
        (failure,) = compile_all(interpreter, bad, tmp_path / "missing.py", good)
        assert (failure.source, failure.reason) == (str(bad), Reason.SYNTAX)
        assert cached(good).exists()
        assert not cached(bad).exists()

    def test_what_cannot_be_written_is_named(
        self, interpreter: Interpreter, tmp_path: Path
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("x = 1\n")
        (tmp_path / "__pycache__").write_text("in the way")
        (failure,) = compile_all(interpreter, source)
        assert failure.reason is Reason.WRITE
        assert failure.detail == "Not a directory"

    def test_what_cannot_be_written_has_the_name_of_the_source(
        self, interpreter: Interpreter, tmp_path: Path
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("x = 1\n")
        (tmp_path / "__pycache__").write_text("in the way")
        (failure,) = compile_all(interpreter, source)
        assert failure.source == str(source)

    def test_a_source_that_changes_meanwhile_gets_none(
        self, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("x = 1\n")
        install = bootstrap._install

        def late(path: str, content: bytes | None, interpreter: Interpreter) -> None:
            source.write_text("changed = 'meanwhile'\n")
            install(path, content, interpreter)

        monkeypatch.setattr(bootstrap, "_install", late)
        assert compile_all(interpreter, source) == []
        assert not cached(source).exists()

    def test_a_private_source_has_private_bytecode(
        self, interpreter: Interpreter, tmp_path: Path
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("password = 'x'\n")
        source.chmod(0o600)
        compile_all(interpreter, source)
        assert stat.S_IMODE(cached(source).stat().st_mode) & 0o077 == 0

    def test_nothing_is_started_for_nothing(self, interpreter: Interpreter, tmp_path: Path) -> None:
        broken = interpreter._replace(path=program(tmp_path, "exit 1"))
        assert compile_all(broken) == []
        assert compile_all(broken, tmp_path / "missing.py") == []

    def test_workers_that_do_not_start_raise(
        self, interpreter: Interpreter, tmp_path: Path
    ) -> None:
        source = tmp_path / "one.py"
        source.write_text("x = 1\n")
        with pytest.raises(WorkersError):
            compile_all(interpreter._replace(path=program(tmp_path, "exit 1")), source)

    def test_the_library_itself_gets_it(self, interpreter: Interpreter) -> None:
        sources = loaded_before_hooks(interpreter)
        assert compile_all(interpreter, *map(Path, sources)) == []
        assert all(os.path.exists(bytecode_of(source, interpreter)) for source in sources)
        said = say(
            interpreter.path, "import encodings.utf_8; print(encodings.utf_8.__cached__)", "-I"
        )
        assert said.strip() == bytecode_of(
            f"{interpreter.library[0]}/encodings/utf_8.py", interpreter
        )

"""``enable`` and ``disable``, with real interpreters: copies of the running one, in a folder."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

from fake_system import ADA
from interpreters.builder import identity, pretend, say, snapshot
from own_prefix import OwnPrefix, describe, make_prefix
from pycache_sys import enable as use_cases
from pycache_sys.core.delivery import (
    PTH_NAME,
    SITECUSTOMIZE,
    START_MODULE,
    START_NAME,
    Undo,
    add_block,
    block_in,
    pth_file,
    read_undo,
    site_files,
)
from pycache_sys.core.errors import PycacheSysError, UsageError
from pycache_sys.enable import Delivery, Request, disable, enable, show, startup_file
from pycache_sys.system.pythons import bootstrap
from pycache_sys.system.pythons import interpreters as found
from pycache_sys_runtime import startup

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to others")
HOOKED = (
    "from importlib.machinery import SourceFileLoader; "
    "print(hasattr(SourceFileLoader.get_code, 'pycache_sys'))"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> OwnPrefix:
    before = os.umask(0o022)
    try:
        made = make_prefix(tmp_path_factory.mktemp("home"))
        made.venv()
        made.venv("--system-site-packages", name="sees-all")
        made.site.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)
    return made


@pytest.fixture(autouse=True)
def place(home: OwnPrefix, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnPrefix]:
    """Give the copy as it was, and let the hook be the copied one."""
    home.clean()
    monkeypatch.setattr(startup, "__file__", str(home.startup))
    before = os.umask(0o022)
    yield home
    os.umask(before)
    home.clean()


@pytest.fixture
def venv(home: OwnPrefix) -> str:
    return f"{home.folder}/venv/bin/python"


@pytest.fixture
def pth(home: OwnPrefix, venv: str) -> Path:
    """Give the file that is to bring the hook to the virtual environment."""
    return home.site_of(venv) / PTH_NAME


def one(results: list[Delivery]) -> Delivery:
    (result,) = results
    return result


def turn_on(python: str, *, venvs: bool = False) -> Delivery:
    return one(enable(Request(python_paths=[python], venvs=venvs)))


def turn_off(python: str, *, venvs: bool = False) -> Delivery:
    return one(disable(Request(python_paths=[python], venvs=venvs)))


def look(python: str) -> Delivery:
    return one(show(Request(python_paths=[python])))


def is_hooked(python: str) -> bool:
    return say(python, HOOKED) == "True\n"


def contents(home: OwnPrefix) -> dict[str, tuple[object, ...]]:
    """Remember all but the hook's own folder: kinds, modes, links and bytes."""
    tops = [home.folder / name for name in ("prefix", "venv", "sees-all")]
    return {path: (state[0], *state[4:]) for path, state in snapshot(*tops).items()}


def bytecode(home: OwnPrefix) -> set[str]:
    return {str(path) for path in (home.folder / "prefix").rglob("*.pyc")}


class TestASiteDirectory:
    def test_a_file_brings_the_hook(self, venv: str, pth: Path, home: OwnPrefix) -> None:
        assert not is_hooked(venv)
        result = turn_on(venv)
        assert (result.failure, result.hint, result.notes) == ("", "", [])
        assert result.changed == result.files == [str(pth)]
        assert result.is_hooked
        assert result.is_environment
        assert not result.reaches_venvs
        assert result.without_bytecode == []
        assert is_hooked(venv)
        assert stat.S_IMODE(pth.stat().st_mode) == 0o644
        assert str(home.startup) in pth.read_text()
        assert not is_hooked(home.python)
        assert not is_hooked(f"{home.folder}/sees-all/bin/python")

    def test_what_loads_before_it_gets_its_bytecode(
        self, venv: str, pth: Path, home: OwnPrefix
    ) -> None:
        turn_on(venv)
        made = read_undo(pth.read_bytes()).made
        assert set(made) == bytecode(home)
        assert f"{home.library}/encodings/__pycache__" in {os.path.dirname(path) for path in made}
        assert len(list(home.startup.parent.glob("__pycache__/*.pyc"))) == len(
            list(home.startup.parent.glob("*.py"))
        )

    def test_bytecode_that_is_there_stays_after_all(
        self, venv: str, pth: Path, home: OwnPrefix
    ) -> None:
        interpreter = describe(venv)
        source = f"{home.library}/encodings/utf_8.py"
        list(bootstrap.compile_beside(interpreter, [source]))
        before = contents(home)
        turn_on(venv)
        assert bootstrap.bytecode_of(source, interpreter) not in read_undo(pth.read_bytes()).made
        turn_off(venv)
        assert contents(home) == before

    def test_a_second_time_nothing_changes(self, venv: str, home: OwnPrefix) -> None:
        first = turn_on(venv)
        before = snapshot(home.folder)
        second = turn_on(venv)
        assert snapshot(home.folder) == before
        assert second == replace(first, changed=[])

    def test_lost_bytecode_is_mended_and_still_undone(
        self, venv: str, home: OwnPrefix, pth: Path
    ) -> None:
        before = contents(home)
        turn_on(venv)
        lost = min(read_undo(pth.read_bytes()).made)
        os.unlink(lost)
        assert look(venv).without_bytecode
        assert turn_on(venv).without_bytecode == []
        assert os.path.exists(lost)
        turn_off(venv)
        assert contents(home) == before

    def test_showing_it_changes_nothing(self, venv: str, pth: Path, home: OwnPrefix) -> None:
        for enabled in (False, True):
            if enabled:
                turn_on(venv)
            before = snapshot(home.folder)
            result = look(venv)
            assert snapshot(home.folder) == before
            assert result.is_hooked is enabled
            assert result.files == [str(pth)] * enabled
            assert (result.changed, result.notes, result.failure) == ([], [], "")
            assert result.folder == describe(venv).directory

    def test_it_is_taken_away_to_the_byte(self, venv: str, pth: Path, home: OwnPrefix) -> None:
        before = contents(home)
        turn_on(venv)
        made = bytecode(home)
        result = turn_off(venv)
        assert contents(home) == before
        assert (result.failure, result.files, result.notes) == ("", [], [])
        assert set(result.changed) == {str(pth)} | made
        assert not result.is_hooked
        assert not is_hooked(venv)

    def test_a_second_time_nothing_is_there_to_be_taken(self, venv: str, home: OwnPrefix) -> None:
        turn_on(venv)
        turn_off(venv)
        before = snapshot(home.folder)
        result = turn_off(venv)
        assert snapshot(home.folder) == before
        assert (result.changed, result.failure, result.is_hooked) == ([], "", False)

    def test_with_venvs_only_sitecustomize_is_looked_for(self, home: OwnPrefix) -> None:
        turn_on(home.python)
        result = turn_off(home.python, venvs=True)
        assert result.changed == []
        assert result.is_hooked

    @pytest.mark.parametrize("content", [b"", b"import sys\n", b"\xff"])
    def test_a_file_of_others_is_refused_and_left_alone(
        self, venv: str, pth: Path, home: OwnPrefix, content: bytes
    ) -> None:
        pth.write_bytes(content)
        before = snapshot(home.folder)
        result = turn_on(venv)
        assert result.failure == f"{pth} is not this program's"
        assert result.hint == "move it away, and try again"
        assert (result.changed, result.files, result.is_hooked) == ([], [], False)
        assert turn_off(venv).changed == []
        assert snapshot(home.folder) == before

    def test_something_else_in_its_place_is_refused(self, venv: str, pth: Path) -> None:
        pth.symlink_to(pth.parent)
        result = turn_on(venv)
        assert result.failure == f"{pth} is not a small file"
        assert result.hint
        assert turn_off(venv).failure == f"{pth} is not a small file"

    def test_one_that_is_out_of_date_is_replaced(self, venv: str, pth: Path) -> None:
        undo = Undo(made=("/nowhere/else.pyc",))
        pth.write_bytes(pth_file("/no/such/startup.py", undo))
        assert not look(venv).is_hooked
        assert look(venv).files == [str(pth)]
        result = turn_on(venv)
        assert result.changed == [str(pth)]
        assert result.is_hooked
        assert undo.made[0] in read_undo(pth.read_bytes()).made

    def test_what_a_package_brought_is_left_to_it(self, home: OwnPrefix) -> None:
        python = f"{home.folder}/sees-all/bin/python"
        packages = home.site / PTH_NAME
        packages.write_bytes(pth_file(str(home.startup), Undo()))
        before = snapshot(home.folder)
        result = turn_on(python)
        assert result.notes == [f"{packages} brings it already"]
        assert (result.changed, result.files, result.failure) == ([], [str(packages)], "")
        assert result.is_hooked
        result = turn_off(python)
        assert result.notes == [
            f"{packages} is a package's: remove the package, or say 'enabled = no' in the policy"
        ]
        assert (result.changed, result.is_hooked) == ([], True)
        assert snapshot(home.folder) == before

    def test_a_missing_site_directory_is_made(self, home: OwnPrefix) -> None:
        site = home.site
        site.rmdir()
        try:
            assert turn_on(home.python).is_hooked
            assert stat.S_IMODE(site.stat().st_mode) == 0o755
        finally:
            site.mkdir(exist_ok=True)

    def test_a_missing_site_directory_is_made_with_what_is_above(
        self, home: OwnPrefix, tmp_path: Path
    ) -> None:
        asked = describe(home.python)._replace(site=(f"{tmp_path}/local/lib/site-packages",))
        result = Delivery(path=asked.path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(use_cases, "_look", lambda _interpreter, _result: None)
            result = use_cases._deliver(
                use_cases.InterpreterNote(path=asked.path, interpreter=asked),
                use_cases._put_site_files,
            )
        assert result.failure == ""

    def test_from_3_18_on_it_is_a_start_file_with_its_module(
        self, home: OwnPrefix, venv: str
    ) -> None:
        before = contents(home)
        asked = describe(venv)._replace(version=(3, 18, 0))
        result = Delivery(path=venv)
        use_cases._put_site_files(asked, result)
        site = home.site_of(venv)
        names = [START_NAME, f"{START_MODULE}.py"]
        assert result.changed == [f"{site}/{name}" for name in names]
        assert sorted({*os.listdir(site)} - {"__pycache__"}) == sorted(names)
        assert os.listdir(site / "__pycache__")
        undo = read_undo((site / START_NAME).read_bytes())
        expected = site_files(str(home.startup), (3, 18), undo)
        assert {name: (site / name).read_bytes() for name in names} == expected
        again = Delivery(path=venv)
        use_cases._put_site_files(asked, again)
        assert again.changed == []
        result = Delivery(path=venv)
        use_cases._look(asked, result)
        assert result.files == [f"{site}/{START_NAME}"]
        use_cases._take_site_files(asked, result)
        assert contents(home) == before

    def test_a_start_that_does_not_take_it_is_not_hooked(
        self, venv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "startup.py").write_text("'does nothing'\n")
        tmp_path.chmod(0o755)
        monkeypatch.setattr(startup, "__file__", f"{tmp_path}/startup.py")
        result = turn_on(venv)
        assert result.failure == ""
        assert result.changed == result.files != []
        assert not result.is_hooked


class TestWhatCannotBeWritten:
    @pytest.fixture
    def _read_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let nothing be written: as root, modes do not help."""

        def refuse(path: str, *_arguments: object, **_options: object) -> bool:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

        for module in (use_cases, bootstrap):
            monkeypatch.setattr(module, "replace_file", refuse)
            monkeypatch.setattr(module, "make_directory", refuse)
        monkeypatch.setattr(use_cases, "remove_file", refuse)

    @pytest.mark.usefixtures("_read_only")
    @pytest.mark.parametrize(
        ("uid", "hint"), [(0, "nothing was changed there; run it where"), (ADA, "run it as root")]
    )
    def test_a_read_only_directory_is_a_failure_with_advice(
        self, venv: str, pth: Path, home: OwnPrefix, uid: int, hint: str
    ) -> None:
        asked = describe(venv)
        note = use_cases.InterpreterNote(path=venv, interpreter=asked)
        before = snapshot(home.folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(use_cases, "_checked_startup", lambda _interpreter: startup_file())
            patch.setattr(os, "geteuid", lambda: uid)
            result = use_cases._deliver(note, use_cases._put_site_files)
        assert result.failure == f"cannot write {pth.parent}: Read-only file system"
        assert result.hint.startswith(hint)
        assert (result.changed, result.files, result.is_hooked) == ([], [], False)
        assert snapshot(home.folder) == before

    def test_only_the_file_cannot_be_written(
        self, venv: str, pth: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: str, *_arguments: object, **_options: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

        monkeypatch.setattr(use_cases, "replace_file", refuse)
        result = turn_on(venv)
        assert result.failure == f"cannot write {pth}: Read-only file system"
        assert result.changed == []

    def test_nothing_can_be_taken_away_either(
        self, venv: str, pth: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        turn_on(venv)

        def refuse(path: str) -> bool:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

        monkeypatch.setattr(use_cases, "remove_file", refuse)
        result = turn_off(venv)
        assert result.failure == f"cannot write {pth}: Read-only file system"
        assert (result.changed, result.files, result.is_hooked) == ([], [str(pth)], True)

    def test_bytecode_that_cannot_be_written_is_a_note(
        self, venv: str, pth: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: str, *_arguments: object, **_options: object) -> None:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)

        monkeypatch.setattr(bootstrap, "replace_file", refuse)
        result = turn_on(venv)
        assert (result.failure, result.changed, result.is_hooked) == ("", [str(pth)], True)
        assert result.notes
        assert all(note.startswith("no bytecode for ") for note in result.notes)
        assert all(note.endswith(": Permission denied") for note in result.notes)
        assert result.without_bytecode

    def test_bytecode_that_could_not_be_written_is_not_undone(
        self, venv: str, home: OwnPrefix, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: str, *_arguments: object, **_options: object) -> None:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)

        with monkeypatch.context() as patch:
            patch.setattr(bootstrap, "replace_file", refuse)
            turn_on(venv)
        source = f"{home.library}/encodings/utf_8.py"
        interpreter = describe(venv)
        list(bootstrap.compile_beside(interpreter, [source]))  # the distribution
        turn_off(venv)
        assert os.path.exists(bootstrap.bytecode_of(source, interpreter))


class TestWhatIsNotTrusted:
    def refused(self, python: str, home: OwnPrefix, detail: str) -> None:
        """See that an interpreter is not even started."""
        trap = home.library / "encodings" / "__init__.py"
        text = trap.read_text()
        ran = home.folder / "ran"
        trap.write_text(f"{text}\nopen({str(ran)!r}, 'w').close()\n")
        try:
            for act in (turn_on, turn_off, look):
                result = act(python)
                assert detail in result.failure
                assert not result.is_hooked
                assert (result.changed, result.files, result.folder) == ([], [], "")
            assert not ran.exists()
        finally:
            trap.write_text(text)
            ran.unlink(missing_ok=True)

    @as_root
    @pytest.mark.parametrize(
        "whose",
        ["venv", "venv/bin", "prefix", "prefix/bin", "prefix/lib", "library", "library/encodings",
         "library/importlib", "library/collections"],
    )  # fmt: skip
    def test_an_interpreter_in_other_hands_is_not_run(
        self, venv: str, home: OwnPrefix, whose: str
    ) -> None:
        path = str(home.folder / whose).replace(f"{home.folder}/library", str(home.library))
        os.chown(path, ADA, ADA)
        try:
            self.refused(venv, home, f"belongs to uid {ADA}")
        finally:
            os.chown(path, 0, 0)

    @as_root
    def test_a_program_in_other_hands_is_not_run(self, venv: str, home: OwnPrefix) -> None:
        os.chown(home.python, ADA, ADA)
        try:
            self.refused(venv, home, f"belongs to uid {ADA}")
            self.refused(home.python, home, f"belongs to uid {ADA}")
        finally:
            os.chown(home.python, 0, 0)

    @pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
    def test_a_library_that_others_write_is_not_run(
        self, venv: str, home: OwnPrefix, mode: int
    ) -> None:
        if mode == 0o1777 and os.geteuid() == 0:
            pytest.skip("root's sticky folder will do")
        home.library.chmod(mode)
        try:
            self.refused(venv, home, "is writable by")
        finally:
            home.library.chmod(0o755)

    @pytest.mark.parametrize("name", ["encodings/__init__.py", "os.py", "site.py"])
    def test_a_library_with_a_file_that_others_write_is_not_run(
        self, venv: str, home: OwnPrefix, name: str
    ) -> None:
        (home.library / name).chmod(0o666)
        try:
            self.refused(venv, home, "is writable by")
        finally:
            (home.library / name).chmod(0o644)

    def test_an_interpreter_that_is_found_is_judged_like_a_named_one(
        self, home: OwnPrefix, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(found, "SEARCHED", (os.path.dirname(home.python),))
        home.library.chmod(0o777)
        try:
            assert "is writable by" in one(show(Request())).failure
            with pytest.raises(UsageError):
                show(Request(python_specifiers=[lambda _one: True]))
        finally:
            home.library.chmod(0o755)

    def test_the_others_go_on(self, venv: str, home: OwnPrefix, tmp_path: Path) -> None:
        missing = f"{tmp_path}/python3"
        bad = Path(home.folder, "bin")
        bad.mkdir()
        (bad / "python3").symlink_to(home.python)
        (home.folder / "pyvenv.cfg").write_text("home = /x\n")
        (home.folder / "pyvenv.cfg").chmod(0o666)
        try:
            results = enable(Request(python_paths=[missing, str(bad / "python3"), venv]))
        finally:
            (home.folder / "pyvenv.cfg").unlink()
            (bad / "python3").unlink()
            bad.rmdir()
        assert [(result.path, result.is_hooked) for result in results] == [
            (missing, False),
            (f"{bad}/python3", False),
            (venv, True),
        ]
        assert results[0].failure == "there is no such file"
        assert f"{home.folder}/pyvenv.cfg" in results[1].failure
        assert "is writable by its group and by others" in results[1].failure

    def test_a_refused_one_goes_with_those_of_a_version(
        self, home: OwnPrefix, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(found, "SEARCHED", (os.path.dirname(home.python),))
        bad = home.folder / "bad"
        (bad / "lib" / "python").mkdir(parents=True)
        (bad / "lib" / "python" / "os.py").touch()
        (bad / "lib" / "python").chmod(0o777)
        try:
            request = Request(
                python_paths=[f"{bad}/bin/python"], python_specifiers=[lambda _one: True]
            )
            results = show(request)
        finally:
            (bad / "lib" / "python").chmod(0o755)
            (bad / "lib" / "python" / "os.py").unlink()
        assert [(result.path, bool(result.failure)) for result in results] == [
            (f"{bad}/bin/python", True),
            (home.python, False),
        ]

    @pytest.mark.parametrize("mode", [0o664, 0o646])
    def test_a_startup_that_others_write_is_refused(
        self, venv: str, home: OwnPrefix, mode: int
    ) -> None:
        home.startup.chmod(mode)
        try:
            for result in (turn_on(venv), turn_on(home.python, venvs=True)):
                assert result.failure.startswith("the hook would be code that others can change: ")
                assert str(home.startup) in result.failure
                assert result.hint.startswith("install pycache-sys where only root can write")
                assert (result.changed, result.files) == ([], [])
        finally:
            home.startup.chmod(0o644)

    def test_a_startup_below_a_folder_that_others_write_is_refused(
        self, venv: str, home: OwnPrefix
    ) -> None:
        home.startup.parent.chmod(0o775)
        try:
            assert "can change" in turn_on(venv).failure
        finally:
            home.startup.parent.chmod(0o755)

    def test_the_rest_of_the_hook_is_judged_too(self, venv: str, home: OwnPrefix) -> None:
        loader = home.startup.parent / "loader.py"
        loader.chmod(0o666)
        try:
            assert "can change" in turn_on(venv).failure
        finally:
            loader.chmod(0o644)

    @as_root
    def test_where_all_run_it_all_can_read_the_startup(self, venv: str, home: OwnPrefix) -> None:
        public = describe(venv)._replace(binary="/bin/sh", path="/bin/sh")
        assert not use_cases._is_open_to_all(str(home.startup))  # pytest's folders are private
        with pytest.raises(PycacheSysError) as caught:
            use_cases._checked_startup(public)
        assert str(caught.value) == (
            f"everybody can run /bin/sh, but not everybody can read {home.startup}"
        )
        assert caught.value.hint == "install pycache-sys where all can read it, as in /usr or /opt"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(startup, "__file__", "/bin/sh")
            assert use_cases._checked_startup(public) == os.path.realpath("/bin/sh")
        assert use_cases._checked_startup(describe(venv)) == str(home.startup)

    @as_root
    def test_what_is_open_to_all_is_so_all_the_way(self, tmp_path: Path) -> None:
        assert use_cases._is_open_to_all("/bin/sh")
        private = tmp_path / "a"
        private.touch()
        assert not use_cases._is_open_to_all(str(private))
        assert not use_cases._is_open_to_all("/etc/shadow")


class TestSitecustomize:
    @pytest.fixture
    def own(self, home: OwnPrefix) -> Path:
        """Give the standard library's ``sitecustomize``, which is not there yet."""
        return home.library / SITECUSTOMIZE

    def test_virtual_environments_have_the_hook(
        self, home: OwnPrefix, venv: str, own: Path
    ) -> None:
        before = contents(home)
        result = turn_on(home.python, venvs=True)
        assert (result.failure, result.notes) == ("", [])
        assert result.changed == result.files == [str(own)]
        assert result.is_hooked
        assert result.reaches_venvs
        assert result.without_bytecode == []
        assert is_hooked(home.python)
        assert is_hooked(venv)
        assert look(venv).reaches_venvs
        everything = snapshot(home.folder)
        assert turn_on(home.python, venvs=True) == replace(result, changed=[])
        assert snapshot(home.folder) == everything
        result = turn_off(home.python, venvs=True)
        assert contents(home) == before
        assert str(own) in result.changed
        assert not result.is_hooked
        assert turn_off(home.python).changed == []

    def test_it_is_not_put_for_a_virtual_environment(self, home: OwnPrefix, venv: str) -> None:
        before = snapshot(home.folder)
        result = turn_on(venv, venvs=True)
        assert result.failure == f"{venv} is a virtual environment's"
        assert "leave out --venvs" in result.hint
        assert result.changed == []
        assert snapshot(home.folder) == before

    @pytest.mark.parametrize("venvs", [False, True])
    def test_it_is_not_taken_by_a_virtual_environment(
        self, home: OwnPrefix, venv: str, own: Path, *, venvs: bool
    ) -> None:
        turn_on(home.python, venvs=True)
        turn_off(venv, venvs=venvs)
        assert own.exists()
        assert is_hooked(home.python)

    def test_both_ways_are_taken_away_together(self, home: OwnPrefix, own: Path) -> None:
        before = contents(home)
        turn_on(home.python)
        assert turn_on(home.python, venvs=True).files == [
            f"{home.site}/{PTH_NAME}",
            str(own),
        ]
        assert not turn_off(home.python).is_hooked
        assert contents(home) == before

    @pytest.mark.parametrize(
        "content", [b"x = 1\n", b"x = 1", b"x = 1\r\n", b"", b"# \xe9\xff", b"\n\n"]
    )
    def test_a_file_that_is_there_stays_what_it_was(
        self, home: OwnPrefix, own: Path, content: bytes
    ) -> None:
        own.write_bytes(content)
        own.chmod(0o640)
        os.utime(own, ns=(1_500_000_000_000_000_001, 1_500_000_000_123_456_789))
        if os.geteuid() == 0:
            os.chown(own, 0, ADA)
        before, everything = own.stat(), contents(home)
        asked = describe(home.python)
        put = Delivery(path=asked.path)
        use_cases._put_block(asked, put)
        status = own.stat()
        assert put.changed == [str(own)]
        assert own.read_bytes().startswith(content)
        assert block_in(own.read_bytes())
        assert (status.st_mode, status.st_uid, status.st_gid) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
        )
        use_cases._put_block(asked, put)
        assert put.changed == [str(own)]
        taken = Delivery(path=asked.path)
        use_cases._take_block(asked, taken)
        status = own.stat()
        assert own.read_bytes() == content
        assert status.st_mtime_ns == before.st_mtime_ns
        assert (status.st_mode, status.st_uid, status.st_gid) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
        )
        assert taken.changed[0] == str(own)
        assert contents(home) == everything

    def test_what_it_said_before_still_runs(self, home: OwnPrefix, venv: str, own: Path) -> None:
        own.write_text("print('before')")
        turn_on(home.python, venvs=True)
        assert say(venv, HOOKED) == "before\nTrue\n"
        turn_off(home.python)
        assert say(venv, HOOKED) == "before\nFalse\n"

    def test_the_one_that_it_hides_still_runs(self, home: OwnPrefix, venv: str) -> None:
        (home.site_of(venv) / SITECUSTOMIZE).write_text("print('hidden')\n")
        turn_on(home.python, venvs=True)
        assert say(venv, HOOKED) == "hidden\nTrue\n"
        assert say(home.python, HOOKED) == "True\n"

    def test_its_bytecode_is_right_before_and_after(self, home: OwnPrefix, own: Path) -> None:
        own.write_text("x = 1\n")
        asked = describe(home.python)
        list(bootstrap.compile_beside(asked, [str(own)]))
        cached = Path(bootstrap.bytecode_of(str(own), asked))
        before = cached.read_bytes()
        turn_on(home.python, venvs=True)
        assert cached.read_bytes() != before
        assert cached.read_bytes()[8:12] == int(own.stat().st_mtime).to_bytes(4, "little")
        turn_off(home.python)
        assert cached.read_bytes() == before

    def test_lines_that_came_later_stay(self, home: OwnPrefix, own: Path) -> None:
        own.write_text("x = 1\n")
        turn_on(home.python, venvs=True)
        own.write_bytes(b"above = 1\n" + own.read_bytes() + b"below = 1\n")
        turn_off(home.python)
        assert own.read_text() == "above = 1\nx = 1\nbelow = 1\n"

    def test_lines_that_came_later_have_a_time_of_their_own(
        self, home: OwnPrefix, own: Path
    ) -> None:
        own.write_text("x = 1\n")
        os.utime(own, (1_500_000_000, 1_500_000_000))
        turn_on(home.python, venvs=True)
        own.write_bytes(own.read_bytes().replace(b"x = 1\n", b"x = 2\n", 1))
        turn_off(home.python)
        assert own.read_text() == "x = 2\n"
        assert own.stat().st_mtime != 1_500_000_000

    @pytest.mark.parametrize("content", [b"x = 1\n", b""])
    def test_a_link_stays_one(
        self, home: OwnPrefix, own: Path, tmp_path: Path, content: bytes
    ) -> None:
        real = tmp_path / "etc" / "sitecustomize.py"
        real.parent.mkdir()
        real.write_bytes(content)
        own.symlink_to(real)
        turn_on(home.python, venvs=True)
        assert os.readlink(own) == str(real)
        assert real.read_bytes().startswith(content)
        assert block_in(real.read_bytes())
        turn_off(home.python)
        assert os.readlink(own) == str(real)
        assert real.read_bytes() == content

    def test_a_link_that_leads_nowhere_stays_one(
        self, home: OwnPrefix, own: Path, tmp_path: Path
    ) -> None:
        own.symlink_to(tmp_path / "nothing.py")
        turn_on(home.python, venvs=True)
        turn_off(home.python)
        assert own.is_symlink()
        assert not (tmp_path / "nothing.py").exists()

    def test_something_else_in_its_place_is_refused(self, home: OwnPrefix, own: Path) -> None:
        own.mkdir()
        try:
            result = turn_on(home.python, venvs=True)
            assert result.failure == f"{own} is not a small file"
            assert turn_off(home.python).failure == f"{own} is not a small file"
        finally:
            own.rmdir()

    def test_one_that_is_out_of_date_is_replaced(self, home: OwnPrefix, own: Path) -> None:
        undo = Undo(("/nowhere/else.pyc",), 1_500_000_000_000_000_000, crc32(b"x = 1\n"))
        own.write_bytes(add_block(b"x = 1\n", "/no/such/startup.py", undo))
        shown = look(home.python)
        assert (shown.files, shown.reaches_venvs, shown.is_hooked) == ([str(own)], True, False)
        assert shown.without_bytecode == []
        assert turn_on(home.python, venvs=True).is_hooked
        assert b"/no/such" not in own.read_bytes()
        block = block_in(own.read_bytes())
        assert block is not None
        assert read_undo(block).mtime == undo.mtime
        assert undo.made[0] in read_undo(block).made
        turn_off(home.python)
        assert own.stat().st_mtime_ns == undo.mtime

    def test_what_it_says_of_bytecode_is_no_order(
        self, home: OwnPrefix, own: Path, pth: Path, venv: str, tmp_path: Path
    ) -> None:
        asked = describe(home.python)
        possible = Path(bootstrap.bytecode_of(f"{home.library}/encodings/utf_8.py", asked))
        victims = [
            tmp_path / "victim.pyc",
            home.library / "json" / "__init__.py",
            home.library / "os.py",
            possible.with_name("other.pyc"),
        ]
        for path in (victims[0], possible, victims[3]):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
        paths = [*map(str, victims), f"{possible.parent}/../os.py", str(tmp_path), "", "a\0", "/"]
        undo = Undo(made=(*paths, str(possible)))
        own.write_bytes(add_block(b"x = 1\n", str(home.startup), undo))
        pth.write_bytes(pth_file(str(home.startup), undo))
        for python in (home.python, venv):
            assert turn_off(python).failure == ""
        assert all(path.exists() for path in victims)
        assert not possible.exists()
        assert not pth.exists()

    @pytest.mark.parametrize(
        "said", [b"garbage", b"((", b"(7, 7, 0)", b"\xff", b"(('/etc/passwd',), 'now', 0)"]
    )
    def test_a_damaged_undo_does_not_count(self, home: OwnPrefix, own: Path, said: bytes) -> None:
        block = add_block(b"x = 1\n", str(home.startup), Undo(mtime=7))
        own.write_bytes(block.replace(b"((), 7, 0)", said))
        assert said in own.read_bytes()
        result = turn_off(home.python)
        assert (result.failure, result.changed) == ("", [str(own)])
        assert own.read_bytes() == b"x = 1\n"

    def test_a_time_that_no_file_has_does_not_count(self, home: OwnPrefix, own: Path) -> None:
        undo = Undo(mtime=1 << 200)
        own.write_bytes(add_block(b"x = 1\n", str(home.startup), undo))
        assert turn_off(home.python).failure == ""
        assert own.read_bytes() == b"x = 1\n"


class TestOddInterpreters:
    """Each is a case of its own: what is wrong with one is its outcome."""

    @pytest.fixture
    def odd(self, home: OwnPrefix) -> Iterator[Path]:
        folder = home.folder / "odd" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        yield folder / "python3.98"
        for path in folder.iterdir():
            path.unlink()

    def test_one_that_gives_no_answer_is_a_failure(self, odd: Path) -> None:
        python = pretend(odd, "nonsense", raw=True)
        result = turn_on(python)
        assert result.failure.startswith("it does not say who it is")
        assert (result.folder, result.changed) == ("", [])

    def test_one_that_does_not_compile_is_a_failure(self, odd: Path, home: OwnPrefix) -> None:
        python = pretend(odd, identity(home.python), worker="exit 1")
        result = turn_on(python)
        assert result.failure or result.notes

    @pytest.mark.parametrize("act", [turn_on, turn_off])
    def test_one_without_a_site_directory_is_a_failure(
        self, odd: Path, home: OwnPrefix, act: object
    ) -> None:
        python = pretend(odd, identity(home.python) | {"site": []})
        assert callable(act)
        result = act(python)
        assert isinstance(result, Delivery)
        assert result.changed == []

    def test_none_found_is_no_result(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(found, "SEARCHED", (str(tmp_path),))
        assert show(Request()) == []

    def test_those_found_are_those_of_the_policy(
        self, home: OwnPrefix, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(found, "SEARCHED", (os.path.dirname(home.python),))
        assert one(enable(Request())).path == home.python
        assert is_hooked(home.python)


def test_the_startup_is_that_of_this_installation(
    home: OwnPrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(home.startup)
    monkeypatch.setattr(startup, "__file__", f"{tmp_path}/link")
    assert startup_file() == str(home.startup)


def test_a_result_is_one_json_object(venv: str, pth: Path, home: OwnPrefix) -> None:
    interpreter = describe(venv)
    assert turn_on(venv).as_json() == {
        "path": venv,
        "directory": interpreter.directory,
        "hooked": True,
        "venvs": False,
        "files": [str(pth)],
        "changed": [str(pth)],
        "without_bytecode": [],
        "notes": [],
        "failure": None,
    }
    assert Delivery(path="/x", failure="no").as_json()["directory"] is None

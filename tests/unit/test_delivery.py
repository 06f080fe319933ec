"""What the files say that bring the hook: they come and go without a trace, and never complain."""

import os
import posix
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interpreters.builder import environment
from pycache_sys.core import delivery
from pycache_sys.core.delivery import (
    NO_IMPORT_LINES,
    PTH_NAME,
    SITECUSTOMIZE,
    START_MODULE,
    START_NAME,
    Undo,
    add_block,
    block_in,
    is_site_file,
    pth_file,
    read_undo,
    remove_block,
    start_files,
)
from pycache_sys_runtime import startup as start_up
from pycache_sys_runtime.startup import MARK
from strategies import components, directories, texts, undecodable

STARTUP = "/usr/lib/python3/dist-packages/pycache_sys_runtime/startup.py"
MARKS = (b"# >>> pycache-sys: ", b"# <<< pycache-sys\n", b"# undo: ")

lines = st.one_of(
    st.binary(max_size=12).filter(lambda line: not any(mark in line for mark in MARKS)),
    st.sampled_from(
        [b"", b"\r", b"import sys", b"# >>> pycache", b"# <<< pycache-sys", b"\xff", b"\0", b"\\"]
    ),
)
contents = st.builds(
    lambda some, end: end.join(some) if some else b"",
    st.lists(lines, max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
"""Files as others write them, or bytes: with and without an end to the last line, empty."""
paths = st.one_of(
    directories.map(lambda folder: f"{folder}/startup.py"),
    st.tuples(st.sampled_from("'\"\\\n\r\t {}%\x85\u2028é€𝄞\udcff\udc80"), texts).map(
        lambda parts: f"/opt/{''.join(parts)}/startup.py"
    ),
)
undos = st.builds(
    Undo,
    made=st.lists(st.one_of(paths, components, undecodable), max_size=3).map(tuple),
    mtime=st.one_of(st.none(), st.integers(-(1 << 63), (1 << 63) - 1)),
)


class TestTheBlock:
    @given(contents, paths, undos)
    @example(b"", STARTUP, Undo())
    @example(b"x = 1", STARTUP, Undo())
    @example(b"x = 1\r\n", STARTUP, Undo())
    @example(b"\n", STARTUP, Undo())
    @example(b"\n\n", STARTUP, Undo(mtime=0))
    def test_it_goes_without_a_trace(self, content: bytes, startup: str, undo: Undo) -> None:
        assert remove_block(add_block(content, startup, undo)) == content

    @given(paths, undos)
    def test_a_file_of_its_own_goes_with_it(self, startup: str, undo: Undo) -> None:
        assert remove_block(add_block(None, startup, undo)) is None

    @given(st.one_of(st.none(), contents), paths, undos)
    def test_a_second_time_changes_nothing(
        self, content: bytes | None, startup: str, undo: Undo
    ) -> None:
        once = add_block(content, startup, undo)
        assert add_block(once, startup, undo) == once

    @given(st.one_of(st.none(), contents), paths, undos, paths, undos)
    def test_it_takes_the_place_of_an_older_one(
        self, content: bytes | None, startup: str, undo: Undo, other: str, another: Undo
    ) -> None:
        older = add_block(content, other, another)
        assert add_block(older, startup, undo) == add_block(content, startup, undo)

    @given(st.one_of(st.none(), contents), paths, undos)
    def test_it_is_found(self, content: bytes | None, startup: str, undo: Undo) -> None:
        whole = add_block(content, startup, undo)
        block = block_in(whole)
        assert block is not None
        assert whole.endswith(block)
        assert block.startswith(MARKS[0])
        assert block.endswith(MARKS[1])
        assert read_undo(block) == undo

    @given(contents)
    def test_there_is_none_in_what_others_write(self, content: bytes) -> None:
        assert block_in(content) is None
        assert remove_block(content) == content

    @given(st.one_of(st.none(), contents), contents, contents)
    def test_lines_that_are_put_around_it_stay(
        self, content: bytes | None, above: bytes, below: bytes
    ) -> None:
        above = above + b"\n" if above else b""
        whole = add_block(content, STARTUP, Undo())
        if content and not content.endswith(b"\n"):
            below = b""  # see the next test
        before = content or b""
        rest = above + before + below
        assert remove_block(above + whole + below) == (
            None if content is None and not rest else rest
        )

    @given(contents.filter(lambda content: content and not content.endswith(b"\n")))
    def test_a_line_below_it_is_not_joined_to_one_without_an_end(self, content: bytes) -> None:
        whole = add_block(content, STARTUP, Undo()) + b"x = 1\n"
        assert remove_block(whole) == content + b"\nx = 1\n"

    def test_a_file_of_its_own_to_which_lines_came_keeps_them(self) -> None:
        whole = add_block(None, STARTUP, Undo())
        assert remove_block(b"x = 1\n" + whole) == b"x = 1\n"
        assert remove_block(whole + b"x = 1\n") == b"x = 1\n"

    def test_a_file_of_its_own_to_which_lines_came_is_not_changed_again(self) -> None:
        whole = b"x = 1\n" + add_block(None, STARTUP, Undo())
        assert add_block(whole, STARTUP, Undo()) == whole

    @pytest.mark.parametrize("before", [b"", b"x = 1\n"])
    def test_an_opening_that_was_left_over_is_not_its_own(self, before: bytes) -> None:
        content = before + MARKS[0] + b"what was here\nimport sys\n"
        assert remove_block(add_block(content, STARTUP, Undo())) == content

    def test_an_end_that_was_left_over_is_not_its_own(self) -> None:
        content = b"x = 1\n" + MARKS[1]
        assert remove_block(add_block(content, STARTUP, Undo())) == content

    def test_a_damaged_one_is_taken_out_all_the_same(self) -> None:
        content = b"x = 1\n" + MARKS[0] + b"\xff\n" + MARKS[1]
        assert remove_block(content) == b"x = 1\n"


class TestWhatToUndo:
    @given(paths, undos)
    def test_each_text_says_it(self, startup: str, undo: Undo) -> None:
        texts_ = [pth_file(startup, undo), start_files(startup, undo)[START_NAME]]
        texts_ += [add_block(None, startup, undo), add_block(b"x = 1", startup, undo)]
        assert [read_undo(text) for text in texts_] == [undo] * len(texts_)

    def test_nothing_is_said_where_there_is_nothing(self) -> None:
        assert b"undo" not in pth_file(STARTUP, Undo())
        assert read_undo(b"") == Undo()

    @pytest.mark.parametrize(
        "said",
        [
            b"", b"()", b"(1, 2)", b"((), None, 'x')", b"((), 'soon')", b"(None, None)", b"((",
            b"((), [])", b"((), 1e", b"open('/etc/passwd')", b"__import__('os')", b"\xff", b"\0",
            b"7", b"((), float('nan'))", b"((), 1j)", b"(" * 5000, b"-" * 100_000, b"9" * 5000,
        ],
    )  # fmt: skip
    def test_what_is_damaged_says_nothing(self, said: bytes) -> None:
        assert read_undo(MARKS[2] + said + b"\n") == Undo()

    def test_a_time_without_end_says_nothing(self) -> None:
        assert read_undo(MARKS[2] + b"((), 1e999, 0)\n") == Undo()

    @given(st.binary(max_size=30))
    @pytest.mark.filterwarnings("ignore")
    def test_whatever_is_there_is_read(self, said: bytes) -> None:
        assert isinstance(read_undo(MARKS[2] + said + b"\n"), Undo)

    def test_a_list_will_do_and_is_one_of_texts(self) -> None:
        undo = Undo(made=("/a", "7"), mtime=5, checksum=9)
        assert read_undo(MARKS[2] + b"[['/a', 7], 5.5, 9.5]\n") == undo


class TestTheSiteFiles:
    @given(paths, undos)
    def test_a_pth_file_has_comments_and_one_import(self, startup: str, undo: Undo) -> None:
        content = pth_file(startup, undo)
        assert content.isascii()
        assert content.endswith(b"\n")
        *comments, statement = content.decode().splitlines()
        assert all(comment.startswith("# ") for comment in comments)
        assert statement.startswith("import ")
        assert is_site_file(content)

    @given(paths, undos)
    def test_a_start_file_names_a_function(self, startup: str, undo: Undo) -> None:
        files = start_files(startup, undo)
        assert list(files) == [START_NAME, f"{START_MODULE}.py"]
        assert all(content.isascii() for content in files.values())
        *comments, entry = files[START_NAME].decode().splitlines()
        assert all(comment.startswith("# ") for comment in comments)
        assert entry == f"{START_MODULE}:start"
        assert all(map(is_site_file, files.values()))

    @pytest.mark.parametrize("version", [(3, 8, 0), (3, 11, 2), (3, 17, 99)])
    def test_there_is_a_pth_file_up_to_3_17(self, version: tuple[int, ...]) -> None:
        found = delivery.site_files(STARTUP, version, Undo(mtime=1))
        assert found == {PTH_NAME: pth_file(STARTUP, Undo(mtime=1))}

    @pytest.mark.parametrize("version", [NO_IMPORT_LINES, (3, 18, 0), (3, 20, 1), (4, 0, 0)])
    def test_there_is_a_start_file_from_3_18_on(self, version: tuple[int, ...]) -> None:
        found = delivery.site_files(STARTUP, version, Undo(mtime=1))
        assert found == start_files(STARTUP, Undo(mtime=1))

    @pytest.mark.parametrize(
        "content", [b"", b"import a\n", b"/opt/x\n", b"_pycache_sys\n", b"# the start-up hook\n"]
    )
    def test_files_of_others_are_told_from_them(self, content: bytes) -> None:
        assert not is_site_file(content)


@contextmanager
def startup_in(name: str, program: bytes | None) -> Iterator[str]:
    """Make a folder with this name, and a start-up file in it; none where there is no program."""
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(os.path.realpath(top), name, "startup.py")
        os.makedirs(os.path.dirname(path))
        if program is not None:
            with open(path, "wb") as file:
                file.write(program)
        yield path


def execute(content: bytes, name: str = SITECUSTOMIZE.removesuffix(".py")) -> None:
    exec(compile(content, name, "exec"), {"__name__": name, "__file__": f"/{name}.py"})  # noqa: S102 - as an import does


def run_pth(content: bytes) -> None:
    """Do what site does with a ``.pth`` file's lines."""
    for line in content.decode("utf-8-sig").splitlines():
        if not line.startswith("#"):
            assert line.startswith(("import ", "import\t"))
            exec(line)  # noqa: S102 - as site does


def run_start(startup: str) -> None:
    module: dict[str, object] = {}
    exec(start_files(startup, Undo())[f"{START_MODULE}.py"], module)  # noqa: S102 - as an import does
    start = module["start"]
    assert callable(start)
    start()


WAYS = {
    "pth": lambda startup: run_pth(pth_file(startup, Undo(made=(startup,), mtime=3))),
    "start": run_start,
    "block": lambda startup: execute(add_block(b"x = 1", startup, Undo(made=(startup,)))),
    "own file": lambda startup: execute(add_block(None, startup, Undo()), "another_name"),
}
RECORD = b"import sys; sys.recorded = __name__, __file__, sorted(globals())\n"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a start-up file say under which name it runs, and write no bytecode."""
    monkeypatch.setattr(sys, "recorded", None, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("way", WAYS)
class TestEachWay:
    @given(name=st.one_of(components, st.sampled_from(["a'b", 'a"b', "a\\n", "a\nb", "\udcff"])))
    def test_it_runs_the_startup_wherever_it_is(self, way: str, name: str) -> None:
        with startup_in(name, RECORD) as startup:
            WAYS[way](startup)
            found = getattr(sys, "recorded")  # noqa: B009 - the stubs do not know it
        assert found[:2] == ("_pycache_sys.startup", startup)
        assert found[2] == ["__builtins__", "__file__", "__name__", "sys"]

    @pytest.mark.parametrize(
        "program",
        [
            None, b"raise RuntimeError", b"import no_such_module_anywhere", b"def (:\n", b"\0",
            b"\xff\xff", b"# coding: nothing\n", b"1/0", b"", b"(" * 500, b"import sys\nassert 0",
        ],
    )  # fmt: skip
    def test_it_says_nothing_whatever_is_wrong(
        self, way: str, program: bytes | None, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with startup_in("hook", program) as startup:
            WAYS[way](startup)
        assert capfd.readouterr() == ("", "")

    def test_it_says_nothing_where_the_startup_cannot_be_read(
        self, way: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "startup.py").mkdir()
        WAYS[way](f"{tmp_path}/startup.py")
        (tmp_path / "loop.py").symlink_to("loop.py")
        WAYS[way](f"{tmp_path}/loop.py")
        WAYS[way](f"{tmp_path}/startup.py/below/it.py")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("is_in_place", [False, True])
    def test_the_startup_does_nothing_where_the_hook_is_in_place(
        self, way: str, monkeypatch: pytest.MonkeyPatch, is_in_place: bool
    ) -> None:
        """The lines do not ask: each word of them is compiled at every start."""
        from importlib.machinery import SourceFileLoader

        stock = SourceFileLoader.get_code

        def get_code(self: SourceFileLoader, fullname: str) -> CodeType:
            return stock(self, fullname)

        if is_in_place:
            setattr(get_code, MARK, None)
        monkeypatch.setattr(SourceFileLoader, "get_code", get_code)
        monkeypatch.setattr(posix, "access", lambda _path, _mode: False)  # no policy
        before = dict(sys.modules)
        for _ in range(2):
            WAYS[way](os.path.realpath(start_up.__file__))
            placed = SourceFileLoader.get_code
            assert (placed is get_code) is is_in_place
            assert hasattr(placed, MARK)
            monkeypatch.setattr(SourceFileLoader, "get_code", placed)
            is_in_place, get_code = True, placed
        assert sys.modules == before


class TestAFileOfItsOwn:
    """A new ``sitecustomize`` runs the one that it hides, as if it were not there."""

    @pytest.fixture
    def shown(self, tmp_path: Path) -> Path:
        """Give the folder with the block in a file of its own, and a start-up file."""
        folder = tmp_path / "library"
        folder.mkdir()
        (tmp_path / "startup.py").write_bytes(b"print('startup')\n")
        content = add_block(None, f"{tmp_path}/startup.py", Undo())
        (folder / SITECUSTOMIZE).write_bytes(content)
        return folder

    def start(self, *folders: Path, then: str = "") -> str:
        """Import sitecustomize as site does, without site, and say what is printed.

        Nothing else is on the path: Debian has a ``sitecustomize`` of its own there.
        """
        program = (
            "import sys\n"
            f"sys.path[:] = {[str(folder) for folder in folders]!r}\n"
            "try:\n    import sitecustomize\n"
            "except ImportError as error:\n"
            "    print('none', error.name, error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", program + then],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        )
        assert done.stderr == ""
        return done.stdout

    def test_without_another_it_is_as_if_there_were_none(self, shown: Path) -> None:
        assert self.start(shown) == "startup\nnone sitecustomize No module named 'sitecustomize'\n"

    def test_the_next_one_on_the_path_runs_in_its_place(self, shown: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / SITECUSTOMIZE).write_text("print(__name__, __file__)\nx = 1\n")
        then = "print(sitecustomize.__file__, sitecustomize.x, sitecustomize.__spec__.origin)\n"
        place = f"{other}/{SITECUSTOMIZE}"
        assert self.start(shown, tmp_path, other, then=then) == (
            f"startup\nsitecustomize {place}\n{place} 1 {place}\n"
        )

    def test_one_before_it_on_the_path_hides_it(self, shown: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / SITECUSTOMIZE).write_text("print('other')\n")
        assert self.start(other, shown) == "other\n"

    def test_one_that_is_a_package_runs(self, shown: Path, tmp_path: Path) -> None:
        (tmp_path / "other" / "sitecustomize").mkdir(parents=True)
        (tmp_path / "other" / "sitecustomize" / "__init__.py").write_text("print('package')\n")
        assert self.start(shown, tmp_path / "other") == "startup\npackage\n"

    def test_a_folder_of_that_name_is_none(self, shown: Path, tmp_path: Path) -> None:
        (tmp_path / "other" / "sitecustomize").mkdir(parents=True)
        said = self.start(shown, tmp_path / "other")
        assert said == "startup\nnone sitecustomize No module named 'sitecustomize'\n"

    def test_what_the_next_one_raises_is_raised(self, shown: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / SITECUSTOMIZE).write_text("import no_such_module_anywhere\n")
        said = self.start(shown, other)
        assert said == (
            "startup\nnone no_such_module_anywhere No module named 'no_such_module_anywhere'\n"
        )

    def test_one_from_another_finder_behind_the_path_runs(
        self, shown: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other.py"
        other.write_text("print('from a finder')\n")
        finder = (
            "import sys\n"
            "from importlib.util import spec_from_file_location\n"
            "class Old: pass\n"
            "class Finder:\n"
            "    @staticmethod\n"
            "    def find_spec(name, path, target=None):\n"
            f"        return spec_from_file_location(name, {str(other)!r})\n"
            "sys.meta_path += [Old, Finder]\n"
            f"sys.path[:] = [{str(shown)!r}]\n"
            "import sitecustomize\n"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", finder],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        )
        assert (done.stdout, done.stderr) == ("startup\nfrom a finder\n", "")

    def test_under_another_name_it_runs_no_other(self, shown: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", str(shown / SITECUSTOMIZE)],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        )
        assert (done.stdout, done.stderr) == ("startup\n", "")


def test_site_reads_the_pth_file(tmp_path: Path) -> None:
    """See that the real site runs it, once for each directory."""
    (tmp_path / "startup.py").write_bytes(b"print(__name__)\n")
    (tmp_path / PTH_NAME).write_bytes(pth_file(f"{tmp_path}/startup.py", Undo(made=("é\n",))))
    program = f"import site; site.addsitedir({str(tmp_path)!r})"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert (done.stdout, done.stderr) == ("_pycache_sys.startup\n", "")

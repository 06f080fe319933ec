"""The builder reads the files that start-up reads, and says why one would not count."""

import os
from pathlib import Path

import pytest
from hypothesis import given

from fake_system import ADA, FakeSystem
from pycache_sys.core.model import Reason, Refusal
from pycache_sys.policy.files import Reader, problems_of_text
from pycache_sys.policy.problems import Problem
from pycache_sys.system.trust import CallerTrust, OwnFileTrust, RootTrust
from pycache_sys_runtime.policy import FILE_NAME, SIZE_LIMIT, read_file, scan
from strategies import policy_texts

DEV_NULL = os.devnull


@pytest.fixture
def reader(system: FakeSystem) -> Reader:
    return Reader(RootTrust())


def only(reader: Reader) -> Problem:
    (problem,) = reader.problems
    assert not problem.is_warning
    return problem


class TestTheSystemsPolicy:
    def test_there_may_be_none(self, reader: Reader) -> None:
        assert reader.system() == []
        assert reader.problems == []

    def test_the_file_and_drop_ins_are_read_in_their_order(
        self, system: FakeSystem, reader: Reader
    ) -> None:
        system.write(system.folder / "lib" / FILE_NAME, "vendor")
        etc = system.policy("etc")
        low = system.drop_in("10.conf", "low", "lib")
        system.drop_in("20.conf", "hidden", "run")
        high = system.drop_in("20.conf", "high")
        system.drop_in("README", "no policy")
        assert reader.system() == [(str(etc), "etc"), (str(low), "low"), (str(high), "high")]
        assert reader.problems == []

    def test_a_link_to_dev_null_masks(self, system: FakeSystem, reader: Reader) -> None:
        system.write(system.folder / "lib" / FILE_NAME, "vendor")
        system.policy_file.parent.mkdir()
        system.policy_file.symlink_to(DEV_NULL)
        assert reader.system() == [(str(system.policy_file), "")]
        assert reader.problems == []

    def test_a_directory_that_others_may_fill_is_told(
        self, system: FakeSystem, reader: Reader
    ) -> None:
        directory = system.drop_in("10.conf", "enabled = no").parent
        system.os.declare(directory, mode=0o777)
        assert reader.system() == []
        (problem,) = reader.problems
        assert problem.at.file == str(directory)
        assert problem.message.startswith("it is writable by")

    def test_a_directory_that_cannot_be_read_is_told(
        self, system: FakeSystem, reader: Reader
    ) -> None:
        directory = Path(f"{system.policy_file}.d")
        directory.parent.mkdir()
        directory.symlink_to(directory.name)
        assert reader.names(str(directory)) == []
        problem = only(reader)
        assert problem.at.file == str(directory)
        assert problem.message.startswith("cannot be read: ")

    @pytest.mark.parametrize("name", ["nothing", "file", "file/below"])
    def test_what_is_no_directory_is_empty(
        self, system: FakeSystem, reader: Reader, name: str
    ) -> None:
        system.write(system.folder / "file")
        assert reader.names(f"{system.folder}/{name}") == []
        assert reader.problems == []


class TestOneFile:
    def test_a_file_that_is_not_there_is_absent(self, reader: Reader) -> None:
        assert reader.read("/no-such-file-anywhere") is None
        assert reader.problems == []

    @pytest.mark.parametrize(
        ("uid", "mode", "message", "hint"),
        [
            (ADA, 0o644, "belongs to uid 4711, not to root", "chown root and chmod go-w"),
            (0, 0o664, "is writable by its group (mode 0664)", "chown root and chmod go-w"),
            (0, 0o600, "is not readable by everybody (mode 0600)", "chmod a+r"),
        ],
    )
    def test_one_that_would_not_count_is_told(
        self, system: FakeSystem, reader: Reader, uid: int, mode: int, message: str, hint: str
    ) -> None:
        path = system.policy("enabled = no")
        system.os.declare(path, uid=uid, mode=mode)
        assert reader.read(str(path)) == ""
        problem = only(reader)
        assert problem.at.file == str(path)
        assert problem.message == f"it {message}"
        assert problem.hint.startswith(hint)

    def test_so_is_one_in_a_directory_of_others(self, system: FakeSystem, reader: Reader) -> None:
        path = system.policy("enabled = no")
        system.os.declare(path.parent, uid=ADA)
        assert reader.read(str(path)) == ""
        assert only(reader).message == f"{path.parent} belongs to uid {ADA}, not to root"

    def test_a_directory_is_told(self, system: FakeSystem, reader: Reader) -> None:
        system.policy_file.mkdir(parents=True)
        assert reader.read(str(system.policy_file)) == ""
        problem = only(reader)
        assert problem.message == "a directory"
        assert problem.hint.startswith("put a file there, or nothing")

    def test_a_fifo_is_told_and_holds_nobody_up(self, system: FakeSystem, reader: Reader) -> None:
        system.policy_file.parent.mkdir()
        os.mkfifo(system.policy_file)
        assert reader.read(str(system.policy_file)) == ""
        assert only(reader).message == "a FIFO"

    @pytest.mark.parametrize(
        ("target", "message"), [("nothing", "a symbolic link to nothing"), (FILE_NAME, "")]
    )
    def test_a_link_to_no_file_is_told(
        self, system: FakeSystem, reader: Reader, target: str, message: str
    ) -> None:
        system.policy_file.parent.mkdir()
        system.policy_file.symlink_to(target)
        assert reader.read(str(system.policy_file)) == ""
        problem = only(reader)
        assert message in problem.message
        assert problem.hint.startswith("mend the link; to mask a file, link it to /dev/null")

    def test_a_link_is_followed_where_it_is_roots(self, system: FakeSystem, reader: Reader) -> None:
        target = system.write(system.folder / "srv" / "policy", "enabled = no")
        system.policy_file.parent.mkdir()
        system.policy_file.symlink_to(target)
        assert reader.read(str(system.policy_file)) == "enabled = no"
        system.os.declare(target.parent, uid=ADA)
        assert Reader(RootTrust()).read(str(system.policy_file)) == ""

    def test_a_file_has_a_longest_size(self, system: FakeSystem, reader: Reader) -> None:
        path = system.policy("#" * SIZE_LIMIT)
        assert reader.read(str(path)) == "#" * SIZE_LIMIT
        assert reader.problems == []
        os.truncate(path, 10 << 20)
        assert reader.read(str(path)) == ""
        problem = only(reader)
        assert problem.message == f"it is longer than {SIZE_LIMIT} bytes"
        assert problem.hint.startswith(f"divide it: drop-ins go to {path}.d")

    def test_one_that_vanishes_meanwhile_is_told(self, system: FakeSystem) -> None:
        class Removing(CallerTrust):
            def file(self, path: str, status: os.stat_result) -> None:  # noqa: ARG002 - a port
                os.unlink(path)

        path = system.policy("enabled = no")
        reader = Reader(Removing())
        assert reader.read(str(path)) == ""
        problem = only(reader)
        assert problem.message.startswith(f"{path}: ")
        assert problem.hint == "make it readable, or remove it"

    def test_one_whose_directory_cannot_be_looked_at_is_told(self, system: FakeSystem) -> None:
        class Blind(CallerTrust):
            def directory(self, path: str) -> Refusal:
                return Refusal(Reason.UNREADABLE, f"{path}: Permission denied")

        path = system.policy("enabled = no")
        reader = Reader(Blind())
        assert reader.read(str(path)) == ""
        problem = only(reader)
        assert problem.message == f"{path.parent}: Permission denied"
        assert problem.hint == "until then it does not count for any interpreter"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_one_that_may_not_be_read_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "policy"
        path.touch(mode=0o200)
        reader = Reader(OwnFileTrust())
        assert reader.read(str(path)) == ""
        assert only(reader).hint == "make it readable, or remove it"

    @pytest.mark.parametrize(
        "kind", ["file", "others", "fifo", "directory", "long", "mask", "link"]
    )
    def test_start_up_counts_what_the_builder_counts(
        self, system: FakeSystem, reader: Reader, kind: str
    ) -> None:
        path = system.policy_file
        target = system.write(system.folder / "target", "enabled = no")
        path.parent.mkdir()
        match kind:
            case "fifo":
                os.mkfifo(path)
            case "directory":
                path.mkdir()
            case "mask" | "link":
                path.symlink_to(DEV_NULL if kind == "mask" else target)
            case _:
                path.write_text("#" * SIZE_LIMIT * (1 + (kind == "long")))
        system.os.declare(path, uid=ADA if kind == "others" else 0)
        text = reader.read(str(path))
        assert text == (read_file(str(path)) or "")


class TestText:
    @pytest.mark.parametrize(
        ("text", "line", "column", "message", "hint"),
        [
            ("a\n b = \udcff\udcfe", 2, 6, "a byte that is not UTF-8", "write the file in UTF-8"),
            ("a\r\nb\r\n", 1, 2, "the line ends as in DOS, in CR LF",
             "take the CRs out: sed -i 's/\\r$//' FILE"),
            ("\ufeffa = b", 1, 1, "a byte order mark", "save the file without it"),
            ("a = \0", 1, 5, "the control character U+0000", "take it out"),
            ("a = \x1b[0m", 1, 5, "the control character U+001B", "take it out"),
            ("a\rb", 1, 2, "the control character U+000D", "take it out"),
            ("a\x7f", 1, 2, "the control character U+007F", "take it out"),
        ],
    )  # fmt: skip
    def test_what_is_no_text_is_told_where_it_stands(
        self, text: str, line: int, column: int, message: str, hint: str
    ) -> None:
        (problem,) = problems_of_text("/f", text)
        assert (problem.at.file, problem.at.line, problem.at.column) == ("/f", line, column)
        assert (problem.message, problem.hint) == (message, hint)
        assert problem.source == text.split("\n")[line - 1]

    @pytest.mark.parametrize("text", ["", "a = b\n\tc\n", "ä = ö", "a = \xa0", "a = \u200b"])
    def test_what_is_text_is_not(self, text: str) -> None:
        assert list(problems_of_text("/f", text)) == []

    def test_each_kind_is_told_once(self) -> None:
        text = "\0\0\x01\r\n\udcff\r\n\udcff\r\n\0\r\n"
        places = [(p.at.line, p.at.column) for p in problems_of_text("/f", text)]
        assert places == [(1, 1), (1, 3), (1, 4), (2, 1)]

    def test_a_file_that_is_no_text_is_read_and_told(
        self, system: FakeSystem, reader: Reader
    ) -> None:
        path = system.policy(b"enabled = no\r\nroots = /\xff\r\n")
        assert reader.read(str(path)) == "enabled = no\r\nroots = /\udcff\r\n"
        assert [(p.at.line, p.at.column) for p in reader.problems] == [(1, 13), (2, 10)]

    @given(policy_texts)
    def test_problems_lie_inside_of_the_text(self, text: str) -> None:
        lines = text.split("\n")
        for problem in problems_of_text("/f", text):
            assert problem.source == lines[problem.at.line - 1]
            assert 1 <= problem.at.column <= len(problem.source)

    @given(policy_texts)
    def test_no_line_that_start_up_takes_for_unprintable_is_silent(self, text: str) -> None:
        told = {problem.message for problem in problems_of_text("/f", text)}
        for *_, operator, value in scan(text):
            if operator == "unprintable" and any("\udc80" <= c <= "\udcff" for c in value):
                assert "a byte that is not UTF-8" in told


class TestRegistry:
    def test_what_packages_register_is_read_in_the_order_of_names(
        self, system: FakeSystem, reader: Reader
    ) -> None:
        second = system.write(system.registry / "b.conf", "[root /b]")
        first = system.write(system.registry / "a.conf", "[root /a]")
        system.write(system.registry / "README", "nothing")
        system.write(system.registry / "empty.conf")
        assert reader.registry() == [(str(first), "[root /a]"), (str(second), "[root /b]")]
        assert reader.problems == []

    def test_what_others_may_write_is_told(self, system: FakeSystem, reader: Reader) -> None:
        system.os.declare(system.write(system.registry / "a.conf", "[root /a]"), uid=ADA)
        assert reader.registry() == []
        assert only(reader).at.file == f"{system.registry}/a.conf"

    def test_there_may_be_none(self, reader: Reader) -> None:
        assert reader.registry() == []
        assert reader.exemptions() == ()
        assert reader.problems == []


class TestExemptions:
    def test_debians_lines_are_read_with_their_places(
        self, system: FakeSystem, reader: Reader
    ) -> None:
        path = system.write(system.bcep / "b", "# why\nnonsense\ndir|3.11|/usr/lib/a|\n")
        other = system.write(system.bcep / "a", "file|-|/usr/lib/b.py|")
        system.write(system.bcep / ".hidden", "dir|-|/usr|")
        found = reader.exemptions()
        assert [(one.kind, one.directory, one.at) for one in found] == [
            ("file", "/usr/lib/b.py", f"{other}:1"),
            ("dir", "/usr/lib/a/", f"{path}:3"),
        ]
        assert reader.problems == []

    def test_lines_end_where_debians_reader_ends_them(
        self, system: FakeSystem, reader: Reader
    ) -> None:
        path = system.write(
            system.bcep / "a", "re|-|/usr/lib/a|b\x0c\u2028\nfile|-|/usr/lib/b.py|\n"
        )
        assert [one.at for one in reader.exemptions()] == [f"{path}:1", f"{path}:2"]

    def test_what_is_no_file_is_told(self, system: FakeSystem, reader: Reader) -> None:
        (system.bcep / "directory").mkdir(parents=True)
        assert reader.exemptions() == ()
        assert only(reader).message == "a directory"

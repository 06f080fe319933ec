"""Start-up's scanner: statements, the files that count, and those that must not."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fake_system import ADA, FakeSystem
from pycache_sys_runtime.policy import (
    DROP_IN_DIRECTORIES,
    MAIN_FILES,
    NO_VALUE,
    SIZE_LIMIT,
    UNCLOSED,
    UNPRINTABLE,
    read_file,
    read_files,
    read_names,
    scan,
)
from strategies import policy_texts

MAIN = "/{}/pycacheprefix.conf"
DROP_IN = "/{}/pycacheprefix.conf.d/{}"


class TestStatements:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("key = value", (7, "key", "=", "value")),
            ("key=value", (5, "key", "=", "value")),
            ("  key  =  a b  ", (11, "key", "=", "a b")),
            ("\tkey\t=\ta\tb\t", (8, "key", "=", "a\tb")),
            ("key += more", (8, "key", "+=", "more")),
            ("key+=more", (6, "key", "+=", "more")),
            ("key\t+=\tmore", (8, "key", "+=", "more")),
            ("key +\t= more", (9, "key +", "=", "more")),
            ("key = a = b", (7, "key", "=", "a = b")),
            ("key = key", (7, "key", "=", "key")),
            ("key =", (6, "key", "=", "")),
            ("key\t=\t", (6, "key", "=", "")),
            ("= value", (3, "", "=", "value")),
            ("key = value\r", (7, "key", "=", "value")),
            ("key = [x]", (7, "key", "=", "[x]")),
            ("schlüssel = größe", (13, "schlüssel", "=", "größe")),
        ],
    )
    def test_an_assignment_is_a_key_an_operator_and_where_the_value_is(
        self, line: str, expected: tuple[int, str, str, str]
    ) -> None:
        column, key, operator, value = expected
        assert scan(line, "/f") == [("/f", 1, column, "", key, operator, value)]

    @pytest.mark.parametrize("line", ["", "   ", "\t", "\r", "#", "# key = value", " \t# x", " #"])
    def test_blank_lines_and_comments_say_nothing(self, line: str) -> None:
        assert scan(line) == []

    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("key = a # b", "a"),
            ("key = a\t# b", "a"),
            ("key = a\t # b", "a"),
            ("key = a # b\t# c", "a"),
            ("key = a\t# b # c", "a"),
            ("key = a#b", "a#b"),
            ("key = a#b #c", "a#b"),
            ("key = # nothing", ""),
        ],
    )
    def test_a_comment_starts_after_a_blank(self, line: str, value: str) -> None:
        ((*_, found),) = scan(line)
        assert found == value

    def test_a_section_is_for_the_lines_below_it(self) -> None:
        text = "a = 1\n[python  >=3.12]\n b = 2\n\t[user\tada]  # who\nc = 3\n"
        assert scan(text, "f") == [
            ("f", 1, 5, "", "a", "=", "1"),
            ("f", 2, 1, "python >=3.12", "", "", "python >=3.12"),
            ("f", 3, 6, "python >=3.12", "b", "=", "2"),
            ("f", 4, 2, "user ada", "", "", "user ada"),
            ("f", 5, 5, "user ada", "c", "=", "3"),
        ]

    @pytest.mark.parametrize(
        "line", ["[", "[user ada", "[]", "[ ]", "[\t]", "[user ada] x", "[a]="]
    )
    def test_what_follows_a_broken_section_is_for_nobody(self, line: str) -> None:
        first, second = scan(f"[user ada]\n{line}\nenabled = no")[1:]
        assert first == ("", 2, 1, None, "", UNCLOSED, line)
        assert second == ("", 3, 11, None, "enabled", "=", "no")

    def test_the_next_section_is_for_somebody_again(self) -> None:
        assert scan("[user\n[user ada]\na = 1")[-1][3] == "user ada"

    @pytest.mark.parametrize("line", ["key", "key value", "]", "+", "key # = value"])
    def test_a_line_without_a_value_is_told(self, line: str) -> None:
        assert scan("a = 1\n  " + line)[1] == (
            "", 2, 3, "", "", NO_VALUE, line.partition(" #")[0],
        )  # fmt: skip

    @pytest.mark.parametrize(
        "line",
        ["a = \0", "a\x1b = b", "\ufeffa = b", "a = \udc80", "a\tb = \x7f", "\x0b", "a\u2028b"],
    )
    def test_what_cannot_be_printed_is_told_and_not_read(self, line: str) -> None:
        assert scan("[user ada]\n" + line)[1] == (
            "", 2, 1, "user ada", "", UNPRINTABLE, line,
        )  # fmt: skip

    def test_below_a_section_that_cannot_be_printed_nothing_counts(self) -> None:
        first, second = scan("[user \x07]\na = 1")
        assert first == ("", 1, 1, None, "", UNPRINTABLE, "[user \x07]")
        assert second[3] is None

    def test_line_ends_of_dos_are_read_as_any_other(self) -> None:
        text = "[user ada] # x\na = 1\n\n# c\nb += 2 # d\nc\n"
        assert scan(text.replace("\n", "\r\n")) == scan(text)

    @given(st.one_of(policy_texts, st.text()))
    @example("\x1f[")
    def test_every_statement_is_found_where_it_says(self, text: str) -> None:
        lines = text.split("\n")
        section: str | None = ""
        for file, number, column, found, key, operator, value in scan(text, "/f"):
            assert file == "/f"
            assert 1 <= number <= len(lines)
            line = lines[number - 1]
            assert 1 <= column <= len(line) + 1
            if key or operator:
                assert line[column - 1 :].startswith(value)
            else:
                assert line[column - 1] == "["
                assert found == value == " ".join(value.split())
            head = value.partition("=")[0]
            if operator in (UNCLOSED, "") or (operator == UNPRINTABLE and "[" in head):
                section = found
            assert found == section

    @given(policy_texts, policy_texts)
    def test_a_file_is_read_line_by_line(self, first: str, second: str) -> None:
        count = first.count("\n") + 1
        above = scan(first)
        section = above[-1][3] if above else ""
        below = scan(f"{first}\n{second}")[len(above) :]
        expected = scan(second)
        assert [(one[1] - count, *one[4:]) for one in below] == [
            (one[1], *one[4:]) for one in expected
        ]
        assert not below or below[0][3] in (section, expected[0][3])


class TestWhichFilesCount:
    @staticmethod
    def read(files: dict[str, str | None]) -> list[tuple[str, str]]:
        def names(directory: str) -> list[str]:
            return [path.rpartition("/")[2] for path in files if path.startswith(directory + "/")]

        return read_files(MAIN_FILES, DROP_IN_DIRECTORIES, files.get, names)

    def test_there_may_be_none(self) -> None:
        assert self.read({}) == []

    @pytest.mark.parametrize(
        "present", [("etc", "run", "usr/lib"), ("run", "usr/lib"), ("usr/lib",)]
    )
    def test_the_first_directory_that_has_the_file_says_it_all(
        self, present: tuple[str, ...]
    ) -> None:
        files: dict[str, str | None] = {MAIN.format(where): where for where in present}
        assert self.read(files) == [(MAIN.format(present[0]), present[0])]

    def test_drop_ins_come_after_the_file_sorted_by_name_across_directories(self) -> None:
        order = [
            MAIN.format("usr/lib"),
            DROP_IN.format("usr/lib", "10-a.conf"),
            DROP_IN.format("etc", "20-b.conf"),
            DROP_IN.format("run", "30-c.conf"),
        ]
        assert self.read(dict.fromkeys(reversed(order), "x")) == [(path, "x") for path in order]

    def test_of_two_drop_ins_with_one_name_the_higher_directorys_counts(self) -> None:
        paths = [DROP_IN.format(where, "a.conf") for where in ("usr/lib", "run", "etc")]
        assert self.read({path: path for path in paths}) == [(paths[2], paths[2])]

    def test_only_names_that_end_in_conf_are_drop_ins(self) -> None:
        files: dict[str, str | None] = {
            DROP_IN.format("etc", name): "x" for name in ("README", "a.conf~", "a.conf.bak", "conf")
        }
        assert self.read(files) == []

    def test_a_masked_file_hides_those_below_it(self) -> None:
        high, low = DROP_IN.format("etc", "a.conf"), DROP_IN.format("usr/lib", "a.conf")
        assert self.read({MAIN.format("etc"): "", MAIN.format("run"): "x", high: "", low: "x"}) == [
            (MAIN.format("etc"), ""),
            (high, ""),
        ]

    def test_an_absent_file_hides_nothing(self) -> None:
        high, low = DROP_IN.format("etc", "a.conf"), DROP_IN.format("usr/lib", "a.conf")
        files = {MAIN.format("etc"): None, MAIN.format("run"): "x", high: None, low: "y"}
        assert self.read(files) == [(MAIN.format("run"), "x"), (low, "y")]
        assert self.read({high: None}) == []


class TestReadingAFile:
    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", ""),
            (b"a = 1\n", "a = 1\n"),
            (b"a = 1\r\nb = 2\r\n", "a = 1\r\nb = 2\r\n"),
            ("a = ü\n".encode(), "a = ü\n"),
            (b"a = \xff\nb = 2\n", "a = \udcff\nb = 2\n"),
            (b"\0", "\0"),
        ],
    )
    def test_it_is_read_as_it_stands(self, system: FakeSystem, content: bytes, text: str) -> None:
        assert read_file(str(system.policy(content))) == text

    def test_bytes_that_are_not_utf_8_spoil_their_own_line_only(self, system: FakeSystem) -> None:
        text = read_file(str(system.policy(b"enabled = \xff\nexport-prefix = yes\n")))
        assert [one[5:] for one in scan(text or "")] == [
            (UNPRINTABLE, "enabled = \udcff"),
            ("=", "yes"),
        ]

    def test_a_file_that_is_not_there_is_absent(self, system: FakeSystem) -> None:
        assert read_file(str(system.policy_file)) is None

    def test_a_path_that_can_be_none_is_absent(self) -> None:
        assert read_file("/etc/\0") is None

    def test_a_directory_is_absent(self, system: FakeSystem) -> None:
        system.policy_file.mkdir(parents=True)
        assert read_file(str(system.policy_file)) is None

    def test_a_fifo_is_absent_and_holds_nobody_up(self, system: FakeSystem) -> None:
        system.policy_file.parent.mkdir()
        os.mkfifo(system.policy_file)
        assert read_file(str(system.policy_file)) is None

    def test_a_file_has_a_longest_size(self, system: FakeSystem) -> None:
        longest = "#" * SIZE_LIMIT
        assert read_file(str(system.policy(longest))) == longest
        assert read_file(str(system.policy(longest + "#"))) is None
        with system.policy("").open("ab") as file:
            file.truncate(10 << 20)
        assert read_file(str(system.policy_file)) is None

    @pytest.mark.parametrize(("uid", "mode"), [(ADA, 0o644), (0, 0o664), (0, 0o646)])
    def test_a_file_that_others_could_have_written_is_absent(
        self, system: FakeSystem, uid: int, mode: int
    ) -> None:
        path = system.policy("enabled = no")
        system.os.declare(path, uid=uid, mode=mode)
        assert read_file(str(path)) is None

    def test_a_file_that_cannot_be_read_is_absent_and_closed(
        self, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried = []

        def read(descriptor: int, size: int) -> bytes:
            tried.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        path = system.policy("enabled = no")
        monkeypatch.setattr(system.os, "read", read, raising=False)
        assert read_file(str(path)) is None
        (descriptor,) = tried
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


class TestReadingThroughALink:
    @staticmethod
    def link(system: FakeSystem, target: str | Path) -> Path:
        system.policy_file.parent.mkdir()
        system.policy_file.symlink_to(target)
        return system.policy_file

    def test_a_link_to_dev_null_masks(self, system: FakeSystem) -> None:
        assert read_file(str(self.link(system, os.devnull))) == ""

    @pytest.mark.parametrize("kind", ["absolute", "relative", "twice"])
    def test_a_link_of_roots_to_a_file_of_roots_is_followed(
        self, system: FakeSystem, kind: str
    ) -> None:
        target = system.write(system.folder / "srv" / "policy", "a = 1")
        (system.folder / "again").symlink_to(target)
        ways = {"absolute": target, "relative": "../srv/policy", "twice": "../again"}
        assert read_file(str(self.link(system, ways[kind]))) == "a = 1"

    @pytest.mark.parametrize("what", ["file", "directory", "link"])
    def test_nobody_else_has_a_say_on_the_way(self, system: FakeSystem, what: str) -> None:
        target = system.write(system.folder / "srv" / "policy", "a = 1")
        link = self.link(system, target)
        system.os.declare({"file": target, "directory": target.parent, "link": link}[what], uid=ADA)
        assert read_file(str(link)) is None

    @pytest.mark.parametrize("target", ["nothing", "pycacheprefix.conf", "../etc", "/dev/zero"])
    def test_a_link_to_no_file_is_absent(self, system: FakeSystem, target: str) -> None:
        assert read_file(str(self.link(system, target))) is None

    def test_a_link_to_a_fifo_is_absent_and_holds_nobody_up(self, system: FakeSystem) -> None:
        os.mkfifo(system.folder / "fifo")
        assert read_file(str(self.link(system, "../fifo"))) is None

    def test_a_link_that_vanishes_meanwhile_is_absent(
        self, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = self.link(system, "nothing")

        def readlink(path: str) -> str:
            os.unlink(path)
            return os.readlink(path)

        monkeypatch.setattr(system.os, "readlink", readlink, raising=False)
        assert read_file(str(link)) is None


class TestReadingNames:
    def test_the_names_of_a_directory_of_roots_are_read(self, system: FakeSystem) -> None:
        system.drop_in("a.conf", "")
        path = system.drop_in("b", "")
        assert sorted(read_names(str(path.parent))) == ["a.conf", "b"]

    @pytest.mark.parametrize(("uid", "mode"), [(ADA, 0o755), (0, 0o775), (0, 0o1777)])
    def test_a_directory_that_others_may_fill_is_empty(
        self, system: FakeSystem, uid: int, mode: int
    ) -> None:
        directory = system.drop_in("a.conf", "").parent
        system.os.declare(directory, uid=uid, mode=mode)
        assert read_names(str(directory)) == []

    @pytest.mark.parametrize("whose", ["link", "srv", "srv/drop-ins"])
    def test_a_link_to_one_is_roots_with_all_the_way(self, system: FakeSystem, whose: str) -> None:
        system.write(system.folder / "srv" / "drop-ins" / "a.conf")
        (system.folder / "link").symlink_to("srv/drop-ins")
        assert read_names(f"{system.folder}/link") == ["a.conf"]
        system.os.declare(system.folder / whose, uid=ADA)
        assert read_names(f"{system.folder}/link") == []

    @pytest.mark.parametrize("make", [str, Path.touch])
    def test_what_is_no_directory_is_empty(
        self, tmp_path: Path, make: Callable[[Path], object]
    ) -> None:
        make(tmp_path / "d")
        assert read_names(str(tmp_path / "d")) == []

    def test_a_path_that_can_be_none_is_empty(self) -> None:
        assert read_names("/etc/\0") == []

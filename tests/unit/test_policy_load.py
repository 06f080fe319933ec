"""The policy as a whole: the system's files, or one that was named, and what they name."""

import grp
import os
import pwd
import sys
from pathlib import Path

import pytest

from fake_system import ADA, FakeSystem
from pycache_sys.core.errors import UsageError
from pycache_sys.policy.examine import examine_policy, resolve
from pycache_sys.policy.keys import ENABLED, EXCLUDE, IN_PLACE, INTERPRETERS, JOBS
from pycache_sys.policy.load import load, write_ids
from pycache_sys.policy.model import Policy, Section, Subject
from pycache_sys.policy.problems import PolicyError, Problem
from pycache_sys_runtime.policy import BUILT_IN, read_ids

IDS = {"user ada": ADA, "group staff": 50}


def test_where_nobody_says_anything_the_defaults_hold_at_no_cost(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycache_sys.policy.examine", None)
    assert load() == Policy(is_systems=True)
    system.policy("jobs = 2\n")
    with pytest.raises(ImportError):
        load()


@pytest.fixture(autouse=True)
def _in_a_system_of_its_own(system: FakeSystem) -> None:
    """Keep the real system's policy, and what its packages register, out of it."""


def problems_of(config: str | None = None) -> list[Problem]:
    return examine_policy(config)[1]


class TestTheSystems:
    def test_without_a_file_the_defaults_hold(self) -> None:
        policy = load()
        assert (policy.files, policy.settings, policy.warnings) == ((), (), ())

    def test_all_files_count(self, system: FakeSystem) -> None:
        system.policy("jobs = 2\nenabled = no\n")
        system.drop_in("10.conf", "jobs = 3\n", "lib")
        view = load().view()
        assert (view[JOBS], view[ENABLED]) == (3, False)

    def test_errors_of_all_files_are_raised_together(self, system: FakeSystem) -> None:
        system.policy("jobs = x\n")
        system.drop_in("10.conf", "xyz = 1\nenabled = x\n")
        with pytest.raises(PolicyError, match="has 2 errors; nothing was done") as caught:
            load()
        assert [p.is_warning for p in caught.value.problems] == [False, False, True]
        assert caught.value.exit_status == 3

    def test_warnings_are_kept(self, system: FakeSystem) -> None:
        system.policy("xyz = 1\n")
        (warning,) = load().warnings
        assert warning.message.startswith("unknown key 'xyz'")

    @pytest.mark.parametrize(("uid", "mode"), [(ADA, 0o644), (0, 0o666)])
    def test_a_file_that_is_not_trusted_is_refused(
        self, system: FakeSystem, uid: int, mode: int
    ) -> None:
        system.os.declare(system.policy("enabled = no\n"), uid=uid, mode=mode)
        with pytest.raises(PolicyError) as caught:
            load()
        assert [problem.at.file for problem in caught.value.problems] == [str(system.policy_file)]

    @pytest.mark.parametrize("content", [b"\0", b"a = \xff\n", b"jobs = 2\r\n", b"\xef\xbb\xbf"])
    def test_a_file_that_is_no_text_is_refused(self, system: FakeSystem, content: bytes) -> None:
        system.policy(content)
        with pytest.raises(PolicyError):
            load()


class TestANamedFile:
    def test_it_counts_alone(self, system: FakeSystem, tmp_path: Path) -> None:
        system.policy("enabled = no\n")
        path = system.write(tmp_path / "mine", "jobs = 2\n")
        policy = load(str(path))
        assert policy.files == (str(path),)
        assert (policy.view()[JOBS], policy.view()[ENABLED]) == (2, True)

    def test_it_is_found_from_the_working_directory(
        self, system: FakeSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = system.write(tmp_path / "mine", "jobs = 2\n")
        monkeypatch.chdir(tmp_path)
        assert load("mine").files == (str(path),)

    def test_it_may_be_the_callers_own_wherever_it_stands(
        self, system: FakeSystem, tmp_path: Path
    ) -> None:
        path = system.write(tmp_path / "mine", "jobs = 2\n")
        system.os.declare(path, uid=os.geteuid(), mode=0o600)
        system.os.declare(tmp_path, uid=ADA, mode=0o777)
        assert load(str(path)).view()[JOBS] == 2

    @pytest.mark.parametrize("mode", [0o664, 0o646])
    def test_but_not_one_that_others_may_write(
        self, system: FakeSystem, tmp_path: Path, mode: int
    ) -> None:
        path = system.write(tmp_path / "mine", "jobs = 2\n")
        system.os.declare(path, uid=os.geteuid(), mode=mode)
        with pytest.raises(PolicyError):
            load(str(path))

    def test_nor_somebody_elses(self, system: FakeSystem, tmp_path: Path) -> None:
        path = system.write(tmp_path / "mine", "jobs = 2\n")
        system.os.declare(path, uid=os.geteuid() + 1)
        with pytest.raises(PolicyError):
            load(str(path))

    def test_dev_null_is_no_policy_at_all(self, system: FakeSystem) -> None:
        system.policy("enabled = no\n")
        assert load(os.devnull).settings == ()

    def test_it_has_to_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no policy file") as caught:
            load(str(tmp_path / "nothing"))
        assert caught.value.exit_status == 2

    @pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
    def test_what_is_no_file_is_refused(self, tmp_path: Path, make: object) -> None:
        assert callable(make)
        make(tmp_path / "x")
        with pytest.raises(PolicyError):
            load(str(tmp_path / "x"))


class TestTheWay:
    """Nobody but root has a say in where the trees and the roots are."""

    @pytest.fixture
    def place(self, system: FakeSystem) -> str:
        """Name a directory through a link that a test may give away."""
        (system.folder / "real" / "app").mkdir(parents=True)
        (system.folder / "link").symlink_to("real")
        return f"{system.folder}/link/app"

    @pytest.mark.parametrize(
        "line",
        ["system-tree = {}", "image-tree = {}", "root-cache = {}", "roots = auto {}", "[root {}]"],
    )
    @pytest.mark.parametrize("whose", ["link", "real"])
    def test_a_link_of_others_is_refused(
        self, system: FakeSystem, place: str, line: str, whose: str
    ) -> None:
        system.policy(line.format(place))
        assert problems_of() == []
        system.os.declare(system.folder / whose, uid=ADA)
        (problem,) = problems_of()
        assert not problem.is_warning
        assert problem.message.startswith(f"on the way to {place}: ")
        assert str(ADA) in problem.message
        assert problem.source[problem.at.column - 1 :][: problem.length] == place
        assert problem.hint == "every directory and link on the way must be root's alone"

    def test_so_it_is_beside_a_warning(self, system: FakeSystem, place: str) -> None:
        system.policy(f"xyz = 1\nroots = {place}\n")
        system.os.declare(system.folder / "link", uid=ADA)
        assert [problem.is_warning for problem in problems_of()] == [False, True]

    @pytest.mark.usefixtures("place")
    def test_so_is_a_second_link(self, system: FakeSystem) -> None:
        (system.folder / "real" / "second").symlink_to("app")
        system.policy(f"roots = {system.folder}/link/second\n")
        assert problems_of() == []
        system.os.declare(system.folder / "real" / "second", uid=ADA)
        assert len(problems_of()) == 1

    def test_a_link_to_nothing_is_refused(self, system: FakeSystem) -> None:
        (system.folder / "link").symlink_to("nothing")
        system.policy(f"system-tree = {system.folder}/link\n")
        assert len(problems_of()) == 1

    @pytest.mark.parametrize(
        "text",
        [
            "roots = {0}/no/such/folder {0}/*/app auto\n",
            "roots = {0}/real\n",
            "image-tree = off\n",
            "root-cache = off\n",
            "root-cache = {{user_cache_dir}}/x\n",
            "user-cache = {0}/link/{{uid}}\n",
            "[root {0}/link/app]\nowner = 4711\n",
        ],
    )
    @pytest.mark.usefixtures("place")
    def test_other_ways_are_judged_when_they_are_gone(self, system: FakeSystem, text: str) -> None:
        system.os.declare(system.folder / "link", uid=ADA)
        system.policy(text.format(system.folder))
        assert problems_of() == []

    @pytest.mark.parametrize("key", ["system-tree", "image-tree", "root-cache"])
    def test_what_root_writes_is_not_below_a_directory_of_others(
        self, system: FakeSystem, key: str
    ) -> None:
        system.write(system.folder / "srv" / "file")
        system.policy(f"{key} = {system.folder}/srv/x\n")
        assert problems_of() == []
        system.os.declare(system.folder / "srv", mode=0o1777)
        (problem,) = problems_of()
        assert "writable by its group and by others" in problem.message

    @pytest.mark.parametrize(
        ("key", "count"), [("system-tree", 1), ("image-tree", 1), ("root-cache", 0)]
    )
    def test_only_roots_own_cache_may_be_private(
        self, system: FakeSystem, key: str, count: int
    ) -> None:
        system.write(system.folder / "srv" / "file")
        system.os.declare(system.folder / "srv", mode=0o700)
        system.policy(f"{key} = {system.folder}/srv/x\n")
        assert len(problems_of()) == count

    def test_a_default_on_such_a_way_is_told_at_its_line(
        self, system: FakeSystem, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        system.os.declare(system.folder / "link", uid=ADA)
        monkeypatch.setitem(BUILT_IN, "root-cache", place)
        system.policy("  root-cache = auto\n")
        (problem,) = problems_of()
        assert (problem.at.line, problem.at.column) == (1, 16)
        assert problem.length == len("auto")


class TestPackages:
    def test_what_they_register_stands_below_the_policy(self, system: FakeSystem) -> None:
        system.write(system.registry / "app.conf", "[root /usr/share/app]\ninterpreters = pypy\n")
        subject = Subject(root="/usr/share/app/x")
        assert load().roots == ("/usr/share/app",)
        assert load().view(subject)[INTERPRETERS] == ("pypy",)
        assert load().view()[INTERPRETERS] == ("auto",)
        system.policy("[root /usr/share/app]\ninterpreters = 3.12\nin-place = remove\n")
        assert load().view(subject)[INTERPRETERS] == ("3.12",)
        assert load().view(subject)[IN_PLACE] == "remove"
        assert load().sections[Section("root", "/usr/share/app")].file == str(system.policy_file)

    def test_they_are_no_files_of_the_policy(self, system: FakeSystem) -> None:
        system.write(system.registry / "app.conf", "[root /usr/share/app]\n")
        assert load().files == ()

    def test_they_add_to_what_the_administrator_excludes(self, system: FakeSystem) -> None:
        system.write(
            system.registry / "app.conf", "[root /usr/share/app]\nexclude = /usr/share/app/tests\n"
        )
        system.policy("exclude = /srv\n")
        excluded = load().view(Subject(root="/usr/share/app"))[EXCLUDE]
        assert excluded == ("/srv", "/usr/share/app/tests")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("[root srv]", "'srv' is a relative path"),
            ("[user ada]", "unknown section 'user ada'"),
            ("enabled = no", "unknown key 'enabled'"),
            ("[root /usr/share/app]\nowner = 5", "unknown key 'owner'"),
            ("[root /usr/share/app]\ninterpreters = three", "'three' is neither"),
            ("interpreters = pypy", "'interpreters' cannot stand outside of a section"),
        ],
    )
    def test_their_mistakes_are_warnings(self, system: FakeSystem, line: str, message: str) -> None:
        path = system.write(system.registry / "app.conf", line)
        policy = load()
        (warning,) = policy.warnings
        assert warning.at.file == str(path)
        assert warning.message.startswith(message)
        assert policy.settings == ()

    def test_a_file_of_others_is_a_warning(self, system: FakeSystem) -> None:
        system.os.declare(system.write(system.registry / "app.conf", "[root /x]\n"), uid=ADA)
        assert len(load().warnings) == 1
        assert load().roots == ()

    def test_they_count_beside_a_named_file(self, system: FakeSystem) -> None:
        system.write(system.registry / "app.conf", "[root /usr/share/app]\n")
        system.write(system.bcep / "app", "dir|-|/usr/lib/x|\n")
        policy = load(os.devnull)
        assert policy.roots == ("/usr/share/app",)
        assert [one.directory for one in policy.exemptions] == ["/usr/lib/x/"]


class TestNames:
    def test_the_system_is_asked_for_their_numbers(self) -> None:
        user, group = pwd.getpwall()[0], grp.getgrall()[0]
        assert resolve("user", user.pw_name) == user.pw_uid
        assert resolve("group", group.gr_name) == group.gr_gid

    @pytest.mark.parametrize("kind", ["user", "group"])
    @pytest.mark.parametrize("name", ["no such name here", "", "a\0b"])
    def test_others_have_none(self, kind: str, name: str) -> None:
        assert resolve(kind, name) is None


class TestNumbersForStartUp:
    def test_they_are_written_and_read_again(self, system: FakeSystem) -> None:
        write_ids(IDS)
        assert read_ids() == IDS
        assert system.ids.stat().st_mode & 0o777 == 0o644
        assert os.listdir(system.ids.parent) == ["ids"]

    def test_they_are_readable_whatever_the_umask(self, system: FakeSystem) -> None:
        before = os.umask(0o077)
        try:
            write_ids(IDS)
        finally:
            os.umask(before)
        assert system.ids.stat().st_mode & 0o777 == 0o644
        assert system.ids.parent.stat().st_mode & 0o777 == 0o755

    def test_without_names_nothing_is_written(self, system: FakeSystem) -> None:
        write_ids({})
        assert not system.ids.parent.exists()

    def test_what_has_not_changed_is_not_written_again(self, system: FakeSystem) -> None:
        write_ids(IDS)
        before = system.ids.stat()
        write_ids(IDS)
        assert system.ids.stat() == before

    def test_names_that_have_gone_are_taken_out(self) -> None:
        write_ids(IDS)
        write_ids({"user ada": 1})
        assert read_ids() == {"user ada": 1}
        write_ids({})
        assert read_ids() == {}

    def test_where_it_cannot_be_done_nothing_is_left_behind(self, system: FakeSystem) -> None:
        system.ids.mkdir(parents=True)
        with pytest.raises(OSError, match="directory"):
            write_ids(IDS)
        assert os.listdir(system.ids.parent) == ["ids"]

    def test_the_names_of_the_policy_are_in_it(self, system: FakeSystem) -> None:
        user = pwd.getpwall()[0]
        system.policy(f"[user {user.pw_name}]\nenabled = no\n")
        write_ids(load().ids)
        assert read_ids() == {f"user {user.pw_name}": user.pw_uid}

"""``explain``: whom it asks and how, and what becomes of an interpreter that does not answer."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from interpreters.builder import identity, pretend, processes_left
from pycache_sys.core.errors import PycacheSysError, UsageError
from pycache_sys.core.explanation import Hooked
from pycache_sys.explain import Explained, Request, as_asked, explain
from pycache_sys.system.pythons import normal_starts
from pycache_sys.system.pythons.normal_starts import WITHOUT_CODE, ask, start_environment
from pycache_sys.system.users.persons import Person, become, find_person, name_of

PLAIN = {"PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("json", "json"),
        ("json.decoder", "json.decoder"),
        ("./app", "/srv/app"),
        ("app.py", "/srv/app.py"),
        ("../app.pyc", "/app.pyc"),
        ("/opt/x.py", "/opt/x.py"),
    ],
)
def test_what_has_a_slash_or_ends_as_a_source_is_a_path(text: str, expected: str) -> None:
    assert as_asked(text, "/srv") == expected


@pytest.mark.parametrize("text", ["", ".", "json.", ".json", "a..b"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no module$"):
        as_asked(text, "/srv")


class TestEnvironment:
    def test_a_users_own_stays_and_relative_paths_mean_what_they_meant(self) -> None:
        caller = {"PYTHONPATH": "lib::/opt", "PYTHONOPTIMIZE": "1", "HOME": "/home/ada"}
        found = start_environment(caller, is_root=False, directory="/srv")
        assert found == {**caller, "PYTHONPATH": "/srv/lib:/srv/:/opt"}
        assert start_environment(PLAIN, is_root=False, directory="/srv") == PLAIN

    def test_root_has_nothing_that_names_code(self) -> None:
        code = dict.fromkeys(["PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "LD_PRELOAD"], "x")
        words = dict.fromkeys(WITHOUT_CODE, "1")
        found = start_environment(code | words | {"PATH": "."}, is_root=True, directory="/srv")
        assert found == words | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class TestAsking:
    def program(self, folder: Path, text: str) -> str:
        path = folder / "python"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def test_what_it_prints(self, tmp_path: Path) -> None:
        printed = ask(self.program(tmp_path, 'echo "$1 $2"; pwd; echo "$4"'), ["/srv", "a"], PLAIN)
        assert printed == b"-B -c\n/\n/srv\n"

    def test_nothing_can_be_written(self, tmp_path: Path) -> None:
        target = tmp_path / "file"
        with pytest.raises(PycacheSysError, match=r"status"):
            ask(self.program(tmp_path, f"trap '' XFSZ; echo x > {target} || exit 7"), [], PLAIN)
        assert target.read_bytes() == b""

    def test_one_that_fails(self, tmp_path: Path) -> None:
        program = self.program(tmp_path, "echo one >&2; echo 'Error: two' >&2; exit 3")
        with pytest.raises(PycacheSysError, match=r"^it ends with status 3: Error: two$"):
            ask(program, [], PLAIN)
        with pytest.raises(PycacheSysError, match=r"^it is ended by signal 9$"):
            ask(self.program(tmp_path, "kill -9 $$"), [], PLAIN)
        with pytest.raises(PycacheSysError, match=r"^it ends with status 4$"):
            ask(self.program(tmp_path, "exit 4"), [], PLAIN)

    def test_one_that_does_not_start(self, tmp_path: Path) -> None:
        with pytest.raises(PycacheSysError, match=r"^it does not start: No such file"):
            ask(str(tmp_path / "none"), [], PLAIN)

    def test_one_that_does_not_end_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(normal_starts, "_SECONDS", 0.3)
        started = time.monotonic()
        with pytest.raises(PycacheSysError, match=r"^no answer in 0 s$"):
            ask(self.program(tmp_path, "sleep 60.4711 & exec sleep 60.4711"), [], PLAIN)
        assert time.monotonic() - started < 10
        assert processes_left("60.4711") == []

    def test_one_that_never_stops_talking(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(normal_starts, "_LONGEST_ANSWER", 1 << 17)
        monkeypatch.setattr(normal_starts, "_SECONDS", 2)
        with pytest.raises(PycacheSysError):
            ask(self.program(tmp_path, "exec yes"), [], PLAIN)


class TestInterpreters:
    def explain(self, python: str) -> Explained:
        (found,) = explain(Request(asked=["json"], python_paths=[python], environ=PLAIN))
        return found

    def test_the_running_one(self) -> None:
        found = self.explain(sys.executable)
        assert found.answer is not None
        assert found.answer.hook is Hooked.NOT_DELIVERED
        assert found.answer.uid == os.geteuid()
        assert [module.asked for module in found.answer.modules] == ["json"]
        assert found.is_loaded

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        found = self.explain(f"{tmp_path}/python3.12")
        assert (found.answer, found.failure) == (None, "there is no such file")
        assert not found.is_loaded

    def test_one_that_answers_something_else(self, tmp_path: Path) -> None:
        python = tmp_path / "python3"
        pretend(python, identity(), worker="echo x")
        found = self.explain(str(python))
        assert (found.answer, found.failure) == (None, "what it answers is not understood")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_one_that_is_somebody_elses(self, tmp_path: Path) -> None:
        python = tmp_path / "python3"
        pretend(python, identity())
        os.chown(python, 4711, 4711)
        found = self.explain(str(python))
        assert found.answer is None
        assert found.hint == "to look as its owner does, name that user with --user"


class TestPersons:
    def test_the_caller_is_found_and_need_not_become_anybody(self) -> None:
        me = find_person(str(os.getuid()))
        assert me.uid == os.getuid()
        assert me.environ()["HOME"] == me.home
        assert find_person(me.name) == me
        become(me)
        assert os.getuid() == me.uid

    def test_nobody_of_that_name(self) -> None:
        for text in ("no such user", "4294967290"):
            with pytest.raises(UsageError, match=r"^there is no user '"):
                find_person(text)

    def test_names(self) -> None:
        assert name_of(0) == "root"
        assert name_of(4_294_967_290) == "uid 4294967290"
        nobody = find_person("nobody")
        assert name_of(nobody.uid) == f"nobody (uid {nobody.uid})"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    def test_who_became_somebody_cannot_go_back(self) -> None:
        somebody = Person(name="ada", uid=4711, gid=4712, groups=(4713,), home="/nonexistent")
        child = os.fork()
        if not child:
            status = 1
            try:
                with suppress(PycacheSysError):  # a checkout in root's home is out of reach then
                    become(somebody)
                ids = (os.getresuid(), os.getresgid(), os.getgroups())
                status = 2 if ids != ((4711,) * 3, (4712,) * 3, [4713]) else 3
                os.setresuid(0, 0, 0)
            except PermissionError:
                status = 0 if status == 3 else status
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can start somebody else")
    def test_nobody_but_root_becomes_somebody(self) -> None:
        child = os.fork()
        if not child:
            os.setresgid(4712, 4712, 4712)
            os.setresuid(4711, 4711, 4711)
            status = 1
            try:
                become(Person(name="ada", uid=4799, gid=4799, groups=(), home="/"))
            except PycacheSysError as error:
                status = 0 if str(error).startswith("only root can look as ada does") else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0


def test_a_program_out_of_reach_is_said(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    code = (
        "import os, sys\nfrom pycache_sys.system.users import persons\n"
        "persons.__file__ = sys.argv[1]\n"
        "try:\n    persons.become(persons.find_person('nobody'))\n"
        "except persons.PycacheSysError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, f"{closed}/persons.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("nobody cannot read /")

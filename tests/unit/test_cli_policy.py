"""``policy check`` and ``policy show``: what is printed where, and the exit statuses."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from fake_system import ADA, FakeSystem
from interpreters.builder import FOLDER, TAG, identity, pretend
from pycache_sys.cli import main
from pycache_sys.cli import policy as verbs
from pycache_sys.policy.keys import KEYS
from pycache_sys.system.access import Access
from pycache_sys.system.trust import CallerTrust

Capture = pytest.CaptureFixture[str]
NOBODY = 4294967294
"""A uid without an account."""


@pytest.fixture(autouse=True)
def _in_a_system_of_its_own(system: FakeSystem) -> None:
    """Keep the real system's policy, and what its packages register, out of it."""


class TestCheck:
    def test_without_a_file_it_says_where_it_looked(self, capsys: Capture) -> None:
        assert main(["policy", "check"]) == 0
        out, err = capsys.readouterr()
        assert out == (
            "no policy file: the defaults hold "
            "(looked for pycacheprefix.conf in /etc, /run and /usr/lib)\n"
        )
        assert err == ""

    def test_a_good_policy_is_named(self, system: FakeSystem, capsys: Capture) -> None:
        system.policy("enabled = yes\n")
        drop_in = system.drop_in("10.conf", "jobs = 2\n")
        assert main(["policy", "check"]) == 0
        out, err = capsys.readouterr()
        assert out == f"{system.policy_file}, {drop_in}: no errors, no warnings\n"
        assert err == ""

    def test_errors_are_drawn_on_stderr_and_counted_on_stdout(
        self, system: FakeSystem, capsys: Capture
    ) -> None:
        system.policy("invalidation = hashed\nxyz = 1\njobs = 0\n")
        assert main(["policy", "check"]) == 3
        out, err = capsys.readouterr()
        assert out == f"{system.policy_file}: 2 errors, 1 warning\n"
        assert err.splitlines() == [
            f"{system.policy_file}:1:16: unknown invalidation 'hashed'",
            "  invalidation = hashed",
            "                 ^^^^^^  did you mean 'checked-hash'?",
            f"{system.policy_file}:3:8: '0' is not a number from 1 up",
            "  jobs = 0",
            "         ^",
            f"{system.policy_file}:2:1: warning: unknown key 'xyz': it does not count",
            "  xyz = 1",
            "  ^^^",
        ]

    def test_warnings_are_errors_only_when_it_is_strict(
        self, system: FakeSystem, capsys: Capture
    ) -> None:
        system.policy("enabeld = no\n")
        assert main(["policy", "check"]) == 0
        assert capsys.readouterr().out == f"{system.policy_file}: no errors, 1 warning\n"
        assert main(["policy", "check", "--strict"]) == 3
        out, err = capsys.readouterr()
        assert out == f"{system.policy_file}: 1 error, no warnings\n"
        assert "did you mean 'enabled'?" in err

    def test_a_file_that_is_refused_is_an_error(self, system: FakeSystem, capsys: Capture) -> None:
        system.os.declare(system.policy("enabled = no\n"), mode=0o666)
        assert main(["policy", "check"]) == 3
        out, err = capsys.readouterr()
        assert "1 error" in out
        assert err.startswith(f"{system.policy_file}: ")
        assert "writable by its group and by others" in err

    def test_what_packages_register_wrongly_is_told_without_a_policy_too(
        self, system: FakeSystem, capsys: Capture
    ) -> None:
        system.write(system.registry / "app.conf", "[root srv]\n")
        assert main(["policy", "check"]) == 0
        out, err = capsys.readouterr()
        assert out == "no file counts: no errors, 1 warning\n"
        assert err.startswith(f"{system.registry}/app.conf:1:7: warning: ")

    def test_one_file_can_be_checked_alone(
        self, system: FakeSystem, tmp_path: Path, capsys: Capture
    ) -> None:
        system.policy("jobs = x\n")
        path = system.write(tmp_path / "new.conf", "jobs = 2\n")
        assert main(["policy", "check", str(path)]) == 0
        assert capsys.readouterr().out == f"{path}: no errors, no warnings\n"

    def test_a_file_that_is_not_there_is_a_usage_error(
        self, tmp_path: Path, capsys: Capture
    ) -> None:
        assert main(["policy", "check", str(tmp_path / "nothing")]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("pycache-sys: there is no policy file ")

    def test_json_is_all_on_stdout(self, system: FakeSystem, capsys: Capture) -> None:
        system.policy("jobs = x\nenabeld = no\n")
        assert main(["policy", "check", "--json"]) == 3
        out, err = capsys.readouterr()
        assert err == ""
        found = json.loads(out)
        file = str(system.policy_file)
        assert found == {
            "version": 1,
            "files": [file],
            "errors": 1,
            "warnings": 1,
            "problems": [
                {
                    "file": file, "line": 1, "column": 8, "length": 1, "severity": "error",
                    "message": "'x' is not a number from 1 up", "hint": None,
                },
                {
                    "file": file, "line": 2, "column": 1, "length": 7, "severity": "warning",
                    "message": "unknown key 'enabeld': it does not count",
                    "hint": "did you mean 'enabled'?",
                },
            ],
        }  # fmt: skip

    def test_json_of_a_whole_file_has_no_line(self, system: FakeSystem, capsys: Capture) -> None:
        system.policy_file.mkdir(parents=True)
        assert main(["policy", "check", "--json"]) == 3
        (problem,) = json.loads(capsys.readouterr().out)["problems"]
        assert (problem["line"], problem["column"]) == (None, None)

    @pytest.mark.parametrize("arguments", [["--strict", "--json"], ["--json"]])
    def test_json_counts_as_the_exit_status_does(
        self, system: FakeSystem, capsys: Capture, arguments: list[str]
    ) -> None:
        system.policy("enabeld = no\n")
        status = main(["policy", "check", *arguments])
        found = json.loads(capsys.readouterr().out)
        assert (status == 3) is bool(found["errors"]) is ("--strict" in arguments)
        assert found["errors"] + found["warnings"] == 1


class TestShow:
    @staticmethod
    def shown(capsys: Capture, *arguments: str) -> Any:
        assert main(["policy", "show", "--json", *arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return json.loads(out)

    @staticmethod
    def printed(capsys: Capture, *arguments: str) -> str:
        assert main(["policy", "show", *arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    def test_every_plain_key_has_its_value_and_its_origin(
        self, system: FakeSystem, capsys: Capture
    ) -> None:
        system.policy("jobs = 2\nexclude =\n")
        lines = self.printed(capsys).splitlines()
        assert lines[0] == f"Policy: {system.policy_file}"
        rows = {line.split()[0]: line.split()[1:] for line in lines[3:]}
        assert list(rows) == [name for name, key in KEYS.items() if key.is_plain]
        assert rows["jobs"] == ["2", f"{system.policy_file}:1"]
        assert rows["exclude"] == ["none", f"{system.policy_file}:2"]
        assert rows["enabled"] == ["yes", "default"]

    def test_without_a_file_these_are_the_defaults(self, capsys: Capture) -> None:
        first, *_ = self.printed(capsys).splitlines()
        assert first == "Policy: no file in /etc, /run and /usr/lib; these are the defaults"

    def test_the_caller_is_the_user_by_default(self, capsys: Capture) -> None:
        found = self.shown(capsys)["user"]
        assert found["uid"] == os.geteuid()
        assert f"(uid {os.geteuid()})" in self.printed(capsys).splitlines()[1]

    def test_who_has_no_account_has_a_number(
        self, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
        found = self.shown(capsys)["user"]
        assert (found["name"], found["uid"]) == (str(NOBODY), NOBODY)

    def test_a_callers_environment_counts_and_roots_does_not(
        self, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
        assert self.shown(capsys)["user"]["cache"] == "/elsewhere/pycache-sys"
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert self.shown(capsys)["user"]["cache"] == "/var/cache/pycache-sys/root"

    def test_another_user_is_named_or_numbered(self, system: FakeSystem, capsys: Capture) -> None:
        account = pwd.getpwuid(0)
        system.policy("[user 0]\nexplicit-prefix = ignore\n")
        for text in (account.pw_name, "0"):
            found = self.shown(capsys, "--user", text)
            assert found["user"]["name"] == account.pw_name
            assert found["settings"]["explicit-prefix"] == {
                "value": "ignore",
                "from": [{"file": str(system.policy_file), "line": 2, "section": "[user 0]"}],
            }
        found = self.shown(capsys, "--user", str(NOBODY))
        assert found["user"] == {"name": str(NOBODY), "uid": NOBODY, "cache": None}
        assert found["settings"]["explicit-prefix"]["value"] == "layer"

    def test_a_users_groups_count(self, system: FakeSystem, capsys: Capture) -> None:
        account = pwd.getpwuid(0)
        system.policy(f"[group {account.pw_gid}]\nenabled = no\n")
        shown = self.shown(capsys, "--user", account.pw_name)["settings"]["enabled"]
        assert shown["value"] == "no"
        assert self.shown(capsys, "--user", str(NOBODY))["settings"]["enabled"]["value"] == "yes"

    def test_a_user_who_is_not_here_is_a_usage_error(self, capsys: Capture) -> None:
        assert main(["policy", "show", "--user", "no such user"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "there is no user 'no such user'" in err
        assert "a uid will do too" in err

    def test_a_user_without_a_cache_has_none(self, system: FakeSystem, capsys: Capture) -> None:
        system.policy("user-cache = off\n")
        assert self.shown(capsys, "--user", str(NOBODY))["user"]["cache"] is None
        second = self.printed(capsys, "--user", str(NOBODY)).splitlines()[1]
        assert second == f"User: {NOBODY} (uid {NOBODY}), whose cache is none (user-cache)"

    @pytest.mark.parametrize(
        ("text", "folder", "value"),
        [
            ("3.12", "3.12", "1s"),
            ("python3.12.4", "3.12", "1s"),
            ("cpython3.11", "3.11", "60s"),
            ("pypy3.11", "pypy3.11", "2s"),
        ],
    )
    def test_an_interpreters_sections_count(
        self, system: FakeSystem, capsys: Capture, text: str, folder: str, value: str
    ) -> None:
        system.policy("[python >=3.12]\ntime-limit = 1s\n[python pypy]\ntime-limit = 2s\n")
        found = self.shown(capsys, "--python", text)
        assert found["python"] == folder
        assert found["settings"]["time-limit"]["value"] == value
        assert self.shown(capsys)["python"] is None

    @pytest.mark.parametrize(
        "text", ["3", "three", ">=3.12", "3.12.4.1", "3.x", "3.٣", "pypy", "3." + "1" * 5000]
    )
    def test_what_is_not_one_version_is_a_usage_error(self, capsys: Capture, text: str) -> None:
        assert main(["policy", "show", "--python", text]) == 2
        assert "is not one version" in capsys.readouterr().err

    def test_a_file_can_be_shown_alone(
        self, system: FakeSystem, tmp_path: Path, capsys: Capture
    ) -> None:
        system.policy("jobs = 2\n")
        path = system.write(tmp_path / "new.conf", "jobs = 3\n")
        found = self.shown(capsys, "--config", str(path))
        assert found["files"] == [str(path)]
        assert found["settings"]["jobs"]["value"] == "3"

    def test_a_policy_with_errors_is_not_shown(self, system: FakeSystem, capsys: Capture) -> None:
        system.policy("jobs = x\n")
        assert main(["policy", "show"]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"{system.policy_file}:1:8: ")
        assert "pycache-sys: the policy has 1 error; nothing was done" in err
        assert err.rstrip().endswith("pycache-sys policy check")

    def test_sections_that_do_not_count_here_are_shown_too(
        self, system: FakeSystem, capsys: Capture
    ) -> None:
        system.policy(
            f"[user {ADA}]\nenabled = no\n[user {NOBODY}]\nexport-prefix = yes\n[root /srv/app]\n"
        )
        out = self.printed(capsys, "--user", str(NOBODY))
        _, *below = out.split("\n\n")[1:]
        assert [part.split("\n")[0] for part in below] == [
            f"[user {ADA}]  ({system.policy_file}:1)",
            f"[root /srv/app]  ({system.policy_file}:5)",
        ]
        assert below[0].split()[-2:] == ["enabled", "no"]

    def test_it_is_said_that_the_hook_is_off(self, system: FakeSystem, capsys: Capture) -> None:
        assert "hook is off" not in self.printed(capsys)
        system.policy("enabled = no\n")
        assert "but the hook is off" in self.printed(capsys)

    def test_what_a_terminal_would_act_upon_is_escaped(
        self, system: FakeSystem, tmp_path: Path, capsys: Capture
    ) -> None:
        path = system.write(tmp_path / "a\x1b[0m", "jobs = 2\n")
        assert "\x1b" not in self.printed(capsys, "--config", str(path))


class TestShowForAPath:
    @pytest.fixture
    def top(self, system: FakeSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Give a library with one interpreter, which may be anybody's."""

        def access(**given: Any) -> Access:
            return Access(**(given | {"trust": CallerTrust(), "is_restricted": False}))

        monkeypatch.setattr(verbs, "Access", access)
        system.write(tmp_path / "library" / "a.py")
        answer = identity() | {"library": [f"{tmp_path}/library"], "site": [], "environment": ""}
        python = pretend(tmp_path / "python3.99", answer)
        system.policy(f"interpreters = {python}\nsystem-tree = {tmp_path}/tree\n")
        return tmp_path

    def test_it_is_said_what_becomes_of_it_for_each_interpreter(
        self, top: Path, capsys: Capture
    ) -> None:
        path = f"{top}/library/a.py"
        assert TestShow.printed(capsys, "--for", path).splitlines() == [
            path,
            f"  {FOLDER}  compiled: it is below the root {top}/library",
            f"  {'':<{len(FOLDER)}}    {top}/tree/{FOLDER}{top}/library/a.{TAG}.pyc",
        ]

    @pytest.mark.parametrize(
        ("user", "kept"),
        [("0", "keeps its own in /var/cache/pycache-sys/root/"), (str(NOBODY), "keeps none")],
    )
    def test_without_an_entry_the_users_own_is_named(
        self, top: Path, capsys: Capture, user: str, kept: str
    ) -> None:
        out = TestShow.printed(capsys, "--for", f"{top}/elsewhere/b.py", "--user", user)
        first, second, third = out.splitlines()
        assert first == f"{top}/elsewhere/b.py (does not exist)"
        assert second.startswith(f"  {FOLDER}  on request: ")
        assert kept in third

    def test_json_has_it_beside_the_settings(self, top: Path, capsys: Capture) -> None:
        path = f"{top}/library/a.py"
        found = TestShow.shown(capsys, "--for", path)
        assert found["settings"]["system-tree"]["value"] == f"{top}/tree"
        assert found["for"]["path"] == path
        (place,) = found["for"]["interpreters"]
        assert place["interpreter"] == FOLDER
        assert place["verdict"] == "compiled"
        assert TestShow.shown(capsys)["for"] is None

    def test_a_path_is_found_from_the_working_directory(
        self, top: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(top / "library")
        assert TestShow.shown(capsys, "--for", "a.py")["for"]["path"] == f"{top}/library/a.py"

    def test_one_interpreter_can_be_asked_for(self, top: Path, capsys: Capture) -> None:
        path = f"{top}/library/a.py"
        version = FOLDER.removesuffix("t")
        mine = TestShow.shown(capsys, "--for", path, "--python", version)["for"]["interpreters"]
        assert len(mine) == (version == FOLDER)
        assert TestShow.shown(capsys, "--for", path, "--python", "3.2")["for"]["interpreters"] == []
        out = TestShow.printed(capsys, "--for", path, "--python", "3.2")
        assert out == f"{path}\n  no interpreter was found\n"


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["check", "a", "b"], ["show", "x"]])
def test_a_usage_error_is_status_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["policy", *arguments])
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err

"""The checks of ``doctor`` on policy and interpreters, and the run of them all."""

import os
import stat
from pathlib import Path

import pytest

from doctor_scenes import ADA, PYTHON, check, delivery, one, plan, scene, unhooked
from pycache_sys.core.errors import PycacheSysError, UsageError
from pycache_sys.core.findings import Check, Diagnosis, Level
from pycache_sys.core.model import Job, Reason
from pycache_sys.core.report import InterpreterNote
from pycache_sys.doctor import hooks, run, settings
from pycache_sys.doctor.scene import Request, Scene
from pycache_sys.policy.model import Policy
from pycache_sys.policy.parse import parse
from pycache_sys.system.machine.variables import Said
from pycache_sys.system.users.homes import Look, Place
from pycache_sys.system.users.search import Venv

# the policy


def test_errors_and_warnings_are_counted() -> None:
    policy, problems = parse([("/etc/x.conf", "jobs = a\njobs = b\njobz = 1\n")], lambda *_: None)
    errors, warning = check(settings.policy, scene(examined=(policy, problems)))
    assert errors.text.startswith("the policy has 2 errors; ")
    assert [place.partition(": ")[0] for place in errors.places] == [
        "/etc/x.conf:1",
        "/etc/x.conf:2",
    ]
    assert (warning.level, warning.text) == (Level.ADVICE, "the policy has 1 warning")
    assert errors.commands == warning.commands == ("pycache-sys policy check",)
    assert check(settings.policy, scene()) == []


def test_commands_name_the_same_policy() -> None:
    place = scene()
    place.request = Request(config="/a b")
    assert place.command("rebuild", "--force") == "pycache-sys rebuild --config '/a b' --force"
    assert place.policy_check() == "pycache-sys policy check '/a b'"


def test_a_hook_that_is_off_has_its_line() -> None:
    found = one(settings.disabled, scene("\nenabled = no\n"))
    assert (found.level, found.places) == (Level.ADVICE, ("/etc/x.conf:2",))
    assert check(settings.disabled, scene("enabled = no\n[python 3.13]\nenabled = yes\n")) == []
    assert check(hooks.hook_missing, scene("enabled = no\n", deliveries=[unhooked()])) == []


@pytest.mark.parametrize(("text", "words"), [("off", "build nothing"), ("deferred", "service")])
def test_triggers_matter_where_something_is_missing(text: str, words: str) -> None:
    place = scene(f"triggers = {text}\n")
    assert check(settings.triggers, place) == []
    place.survey.found.append(plan(jobs=[Job("/a.py", 1, b"\0", 0)]))
    found = one(settings.triggers, place)
    assert words in found.text
    assert found.commands == ("pycache-sys rebuild",)
    for other in (scene("triggers = now\n"), scene(f"triggers = {text}\n", top_is_usable=False)):
        other.survey.found.append(plan(jobs=[Job("/a.py", 1, b"\0", 0)]))
        assert check(settings.triggers, other) == []


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "system_files", list)
    monkeypatch.setattr(settings, "files_of", lambda _: [])
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)


def test_variables_are_named_by_file_and_line(
    nothing_set: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Look(Place("/home/ada", ADA), said=[Said("/home/ada/.profile", 3, settings.PREFIX)] * 2)
    found = one(settings.prefix_set, scene(looks=[look]))
    assert (found.level, found.places) == (Level.ADVICE, ("/home/ada/.profile:3",))
    found = one(settings.prefix_set, scene("explicit-prefix = exclusive\n", looks=[look]))
    assert found.level is Level.PROBLEM
    assert "explicit-prefix = exclusive" in found.text
    assert check(settings.prefix_set, scene("explicit-prefix = ignore\n", looks=[look])) == []
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = one(settings.prefix_set, scene(is_root=False))
    assert found.places == ("the environment of this command",)


# interpreters


def note(reason: Reason, detail: str = "why") -> InterpreterNote:
    return InterpreterNote(path="/usr/bin/python3.9", refusal=(reason, detail))


@pytest.mark.parametrize("reason", [Reason.EXCLUDED, Reason.TOO_OLD, Reason.NO_CACHE_TAG])
def test_interpreters_that_are_left_out_on_purpose(reason: Reason) -> None:
    place = scene()
    place.survey.report.interpreters.append(note(reason))
    assert check(hooks.interpreter, place) == []


def test_interpreters_that_cannot_be_used() -> None:
    place = scene()
    place.survey.report.interpreters += [note(Reason.WRONG_OWNER), note(Reason.BROKEN)]
    first, second = check(hooks.interpreter, place)
    assert first.text == "nothing is compiled for this interpreter: why"
    assert "chown root" in first.hint
    assert "chown root" not in second.hint
    place = scene()
    place.survey.report.interpreters = [note(Reason.NO_ANSWER)]
    assert check(hooks.interpreter, place) == []
    assert place.result.unchecked[0].detail == "/usr/bin/python3.9: why"
    place.survey.report.interpreters = []
    assert "no Python interpreter was found" in one(hooks.interpreter, place).text


def test_all_interpreters_without_the_hook_are_one_finding() -> None:
    deliveries = [unhooked(), unhooked(path="/usr/bin/python 3.9"), unhooked(failure="it is off")]
    place = scene(deliveries=deliveries)
    found = one(hooks.hook_missing, place)
    assert found.commands == (
        "pycache-sys enable --python /usr/bin/python3.13 --python '/usr/bin/python 3.9'",
    )
    assert place.result.unchecked[0].detail == "/usr/bin/python3.13: it is off"


def test_a_hook_that_is_there_and_does_nothing() -> None:
    found = one(hooks.hook_missing, scene(deliveries=[unhooked(files=["/x/pycache-sys.pth"])]))
    assert "in spite of" in found.text
    assert (found.places, found.commands) == (("/x/pycache-sys.pth",), ())


def test_who_makes_the_bytecode_that_is_loaded_before_the_hook() -> None:
    bare = delivery(without_bytecode=["/b.py", "/a b.py"])
    found = one(hooks.bootstrap, scene(deliveries=[bare]))
    assert found.commands == ("/usr/bin/python3.13 -B -I -S -m py_compile '/a b.py' /b.py",)
    own = delivery(without_bytecode=["/b.py"], files=[f"{PYTHON.site[0]}/pycache-sys.pth"])
    found = one(hooks.bootstrap, scene(deliveries=[own]))
    assert found.commands == ("pycache-sys enable --python /usr/bin/python3.13",)
    assert check(hooks.bootstrap, scene()) == []


@pytest.mark.parametrize(
    ("venv", "counts"),
    [
        (Venv("/env", "/usr/bin", "3.13"), True),
        (Venv("/env", "/usr/bin", ""), True),
        (Venv("/env", "/usr/bin", "3.12"), False),
        (Venv("/env", "/opt/bin", "3.13"), False),
    ],
)
def test_whose_environments_are_meant(venv: Venv, counts: bool) -> None:
    look = Look(Place("/home/ada", ADA))
    look.searched.venvs.append(venv)
    found = check(hooks.hook_venvs, scene(looks=[look]))
    assert [one.places for one in found] == ([("/env",)] if counts else [])
    for other in (unhooked(), delivery(reaches_venvs=True)):
        assert check(hooks.hook_venvs, scene(looks=[look], deliveries=[other])) == []


# the run


class Watcher:
    """Counts."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0

    def began(self, words: str, total: int) -> None:
        assert words
        self.total = total

    def advanced(self) -> None:
        self.done += 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (PycacheSysError("it is off"), "it is off"),
    ],
)
def test_a_check_that_fails_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    made = []

    def fail(_: Scene) -> None:
        raise error

    monkeypatch.setattr(
        run, "CHECKS", {Check.DISK: fail, Check.TREE: lambda _: made.append("tree")}
    )
    result, watcher = Diagnosis(), Watcher()
    run.examine(Request(), result, watcher)
    assert made == ["tree"]
    assert [tuple(one) for one in result.unchecked] == [(Check.DISK, words)]
    assert watcher.total == watcher.done == 2
    assert bool(result.for_root) is (os.geteuid() != 0)


def test_a_mistake_of_the_command_line_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Scene) -> None:
        raise UsageError("there is none")

    monkeypatch.setattr(run, "CHECKS", {Check.DISK: fail})
    with pytest.raises(UsageError):
        run.examine(Request(), Diagnosis(), Watcher())


def test_a_named_directory_is_its_owners(tmp_path: Path) -> None:
    place = Scene(Request(paths=[str(tmp_path), "/there/is/none"]), Diagnosis())
    vars(place)["examined"] = (Policy(), [])
    (found,) = [one for one in place._places() if one.path == str(tmp_path)]
    assert found.login.uid == tmp_path.stat().st_uid
    assert not found.is_home
    assert [one.detail for one in place.result.unchecked] == [
        "/there/is/none: there is no such directory"
    ]
    assert stat.S_ISDIR(tmp_path.stat().st_mode)

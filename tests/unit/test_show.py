"""What ``policy show`` finds out: where caches are, and what becomes of a file."""

import os
from pathlib import Path

import pytest

from fake_system import ADA
from interpreters.builder import FOLDER, TAG, identity, pretend
from pycache_sys.policy.keys import KEYS, USER_CACHE
from pycache_sys.policy.model import Policy, Subject
from pycache_sys.policy.parse import parse
from pycache_sys.show import (
    JSON_VERSION,
    Place,
    User,
    cache_of,
    origin,
    places_of,
    settings_as_json,
)
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.trust import CallerTrust

USER = User(name="ada", uid=ADA, gids=(50,), environ={"HOME": "/home/ada"})
ACCESS = Access(trust=CallerTrust(), account=None, mounts=Mounts(), is_restricted=False)
WHO = identity()


def policy_of(*texts: str) -> Policy:
    files = [(f"/{number}.conf", text) for number, text in enumerate(texts, 1)]
    policy, problems = parse(files, lambda _kind, _name: ADA)
    assert problems == []
    return policy


def test_an_origin_is_a_place_and_for_whom() -> None:
    settings = policy_of("enabled = no\n[user ada]\nenabled = yes\n").settings
    assert [origin(setting) for setting in settings] == ["/1.conf:1", "/1.conf:3 [user ada]"]


def test_each_key_has_its_text_and_its_origins() -> None:
    view = policy_of("roots += /srv/a\n", "[user ada]\nuser-cache = off\n\n").view(Subject(uid=ADA))
    found = settings_as_json(view)
    assert list(found) == list(KEYS)
    assert found["jobs"] == {"value": "auto", "from": []}
    assert found["roots"] == {
        "value": "auto /srv/a",
        "from": [{"file": "/1.conf", "line": 1, "section": None}],
    }
    assert found["user-cache"] == {
        "value": "off",
        "from": [{"file": "/2.conf", "line": 2, "section": "[user ada]"}],
    }
    assert JSON_VERSION == 1


class TestCaches:
    @pytest.mark.parametrize(
        ("text", "uid", "environ", "expected"),
        [
            ("", ADA, {"HOME": "/h"}, ("/h/.cache/pycache-sys", "user-cache")),
            ("", 0, {"HOME": "/h"}, ("/var/cache/pycache-sys/root", "root-cache")),
            ("", 5, {}, ("", "service-cache")),
            ("", 5, {"CACHE_DIRECTORY": "/d"}, ("/d/pycache-sys", "service-cache")),
            ("service-uids = none\n", 5, {"HOME": "/h"}, ("/h/.cache/pycache-sys", "user-cache")),
            ("user-cache = off\n", ADA, {"HOME": "/h"}, ("", "user-cache")),
            ("user-cache = /tmp/{uid}\n", ADA, {}, (f"/tmp/{ADA}", "user-cache")),
        ],
    )
    def test_root_services_and_users_have_their_own(
        self, text: str, uid: int, environ: dict[str, str], expected: tuple[str, str]
    ) -> None:
        user = User(name="x", uid=uid, gids=(), environ=environ)
        assert cache_of(policy_of(text).view(), user) == expected

    def test_sections_have_a_say(self) -> None:
        policy = policy_of("[user ada]\nuser-cache = /srv/ada\n")
        assert cache_of(policy.view(Subject(uid=ADA)), USER) == ("/srv/ada", "user-cache")
        assert policy.view()[USER_CACHE] == "{user_cache_dir}"


class Machine:
    """A folder with one interpreter, its library, and an application."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in ("lib/a.py", "lib/tests/b.py", "app/c.py", "own/d.py", "other/e.py"):
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        answer = WHO | {"library": [str(top / "lib")], "site": [], "environment": ""}
        self.python = pretend(top / "python3.99", answer)

    def place(self, name: str, text: str = "", tree: Path | str = "/tree") -> Place:
        policy = policy_of(f"interpreters = {self.python}\nsystem-tree = {tree}\n{text}")
        (place,) = places_of(str(self.top / name), policy, ACCESS, USER)
        assert place.folder == FOLDER
        return place


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class TestPlaces:
    def test_what_is_below_a_root_is_compiled(self, machine: Machine) -> None:
        place = machine.place("lib/a.py")
        assert (place.verdict, place.detail) == (
            "compiled",
            f"it is below the root {machine.top}/lib",
        )
        assert place.entries == (f"/tree/{FOLDER}{machine.top}/lib/a.{TAG}.pyc",)
        assert place.cache == f"/home/ada/.cache/pycache-sys/{FOLDER}{machine.top}/lib/a.{TAG}.pyc"

    def test_at_each_level(self, machine: Machine) -> None:
        entries = machine.place("lib/a.py", "optimize = 0 2\n").entries
        assert [entry.removeprefix(f"/tree/{FOLDER}{machine.top}/lib/") for entry in entries] == [
            f"a.{TAG}.pyc",
            f"a.{TAG}.opt-2.pyc",
        ]

    def test_a_directory_has_one(self, machine: Machine) -> None:
        place = machine.place("lib/tests")
        assert place.verdict == "compiled"
        assert place.entries == (f"/tree/{FOLDER}{machine.top}/lib/tests",)

    def test_what_is_below_no_root_is_compiled_on_request(self, machine: Machine) -> None:
        place = machine.place("app/c.py")
        assert place.verdict == "on request"
        assert place.detail == (
            f"it is below no root; to compile it: pycache-sys rebuild {machine.top}/app/c.py"
        )
        assert place.entries == ()
        assert place.cache.startswith("/home/ada/.cache/")

    def test_what_was_compiled_on_request_is_kept_fresh(self, machine: Machine) -> None:
        tree = machine.top / "tree"
        entry = Path(f"{tree}/{FOLDER}{machine.top}/app/c.{TAG}.pyc")
        assert machine.place("app/c.py", tree=tree).verdict == "on request"
        entry.parent.mkdir(parents=True)
        entry.touch()
        place = machine.place("app/c.py", tree=tree)
        assert (place.verdict, place.detail) == (
            "compiled",
            "on request, and kept fresh since then",
        )
        assert place.entries == (str(entry),)

    def test_the_policys_roots_are_roots(self, machine: Machine) -> None:
        place = machine.place("app/c.py", f"roots += {machine.top}/app\n")
        assert (place.verdict, place.detail) == (
            "compiled",
            f"it is below the root {machine.top}/app",
        )

    def test_what_is_excluded_is_told_with_the_pattern(self, machine: Machine) -> None:
        place = machine.place("lib/tests/b.py", "exclude = /**/tests\n")
        assert (place.verdict, place.detail) == ("excluded", "the policy excludes /**/tests")
        assert place.entries == ()

    def test_a_section_has_its_own_terms(self, machine: Machine) -> None:
        text = f"[root {machine.top}/app]\noptimize = 1\n"
        place = machine.place("app/c.py", text)
        assert place.detail == f"it is below the root {machine.top}/app"
        assert place.entries == (f"/tree/{FOLDER}{machine.top}/app/c.{TAG}.opt-1.pyc",)
        assert machine.place("lib/a.py", text).entries[0].endswith(f"/a.{TAG}.pyc")

    def test_a_directory_above_a_section_is_the_rests(self, machine: Machine) -> None:
        text = f"roots += {machine.top}\n[root {machine.top}/app]\noptimize = 1\n"
        assert machine.place("", text).detail == f"it is below the root {machine.top}"

    def test_a_section_may_be_for_other_interpreters(self, machine: Machine) -> None:
        place = machine.place("app/c.py", f"[root {machine.top}/app]\ninterpreters = 3.5\n")
        assert (place.verdict, place.detail) == (
            "excluded",
            "the policy has it for other interpreters",
        )

    def test_a_source_that_is_not_trusted_is_not_compiled(self, machine: Machine) -> None:
        text = f"[root {machine.top}/own]\nowner = {os.geteuid() + 1}\n"
        place = machine.place("own/d.py", text)
        assert place.verdict == "not compiled"
        assert machine.place("own", text).verdict == "not compiled"

    def test_what_is_no_file_is_not_compiled(self, machine: Machine) -> None:
        os.mkfifo(machine.top / "lib" / "fifo.py")
        place = machine.place("lib/fifo.py")
        assert (place.verdict, place.detail) == ("not compiled", "a FIFO")

    def test_what_is_not_there_yet_is_judged_by_its_name(self, machine: Machine) -> None:
        assert machine.place("lib/nothing.py").verdict == "compiled"
        assert machine.place("lib/nothing/x.py").verdict == "compiled"

    @pytest.mark.parametrize("name", ["lib/data.txt", "lib/__pycache__/a.py", "lib/.py"])
    def test_what_has_no_place_in_a_tree_is_not_compiled(self, machine: Machine, name: str) -> None:
        place = machine.place(name)
        assert (place.verdict, place.detail) == (
            "not compiled",
            "its bytecode has no place of its own in a tree",
        )
        assert (place.entries, place.cache) == ((), "")

    def test_a_user_without_a_cache_keeps_none(self, machine: Machine) -> None:
        assert machine.place("lib/a.py", "user-cache = off\n").cache == ""

    @pytest.mark.parametrize(
        ("name", "detail"),
        [
            (
                "lib/site-packages/x.py",
                "it is among packages that this interpreter does not search",
            ),
            ("lib/test/badsyntax_1.py", "test data of the standard library"),
            ("lib/out/c.py", "a symbolic link on the way leads out of {}/lib"),
        ],
    )
    def test_what_a_walk_passes_by_is_not_compiled(
        self, machine: Machine, name: str, detail: str
    ) -> None:
        (machine.top / "lib" / "out").symlink_to("../app")
        place = machine.place(name)
        assert (place.verdict, place.detail) == ("not compiled", detail.format(machine.top))

    def test_another_interpreters_library_is_not_for_this_one(self, machine: Machine) -> None:
        other = machine.top / "python3.98"
        answer = WHO | {
            "version": [3, 98, 0], "binary": str(other), "library": [str(machine.top / "other")],
            "site": [], "environment": "",
        }  # fmt: skip
        pretend(other, answer)
        policy = policy_of(f"interpreters = {machine.python} {other}\n")
        found = places_of(str(machine.top / "other/e.py"), policy, ACCESS, USER)
        assert {place.folder: place.verdict for place in found} == {
            FOLDER: "not compiled",
            "3.98": "compiled",
        }
        assert found[0].detail == "it lies in a directory of another interpreter"

    def test_without_an_interpreter_there_is_nothing_to_say(self, machine: Machine) -> None:
        policy = policy_of("interpreters = /no/such/python\n")
        assert places_of(str(machine.top / "lib/a.py"), policy, ACCESS, USER) == []

    def test_it_is_written_as_json(self) -> None:
        place = Place(folder="3.11", verdict="compiled", detail="why", entries=("/a", "/b"))
        assert place.as_json() == {
            "interpreter": "3.11",
            "verdict": "compiled",
            "detail": "why",
            "entries": ["/a", "/b"],
            "cache": None,
        }
        assert Place(folder="", verdict="", detail="", cache="/c").as_json()["cache"] == "/c"

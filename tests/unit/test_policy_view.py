"""What holds for somebody: the most specific section wins, at a tie the later."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_system import ADA
from pycache_sys.core.model import Interpreter
from pycache_sys.policy.keys import (
    ENABLED,
    EXCLUDE,
    INTERPRETERS,
    INVALIDATION,
    KEYS,
    OPTIMIZE,
    ROOTS,
    TIME_LIMIT,
    USER_CACHE,
)
from pycache_sys.policy.model import EVERYBODY, Policy, Section, Subject, View, subject_of
from pycache_sys.policy.parse import parse

PYTHON = ("cpython", (3, 12, 4))
ACCOUNTS = {("user", "ada"): ADA, ("group", "staff"): 50}


def policy_of(*texts: str) -> Policy:
    files = [(f"/{number}.conf", text) for number, text in enumerate(texts, 1)]
    policy, problems = parse(files, lambda kind, name: ACCOUNTS.get((kind, name)))
    assert problems == []
    return policy


def view_of(text: str, subject: Subject = EVERYBODY) -> View:
    return policy_of(text).view(subject)


def lines(view: View, key: str) -> list[int]:
    return [setting.at.line for setting in view.settings(KEYS[key])]


def test_without_a_policy_the_defaults_hold_and_come_from_nowhere() -> None:
    view = Policy().view()
    for key in KEYS.values():
        assert view[key] == key.parse(key.default)
        assert view.settings(key) == ()
        assert view.text(key) == key.default


def test_a_value_knows_its_statement() -> None:
    view = view_of("enabled = yes\nuser-cache = /tmp/{uid}/\n")
    assert view[USER_CACHE] == "/tmp/{uid}"
    assert view.text(USER_CACHE) == "/tmp/{uid}/"
    assert lines(view, "user-cache") == [2]


SECTIONS = {
    "": EVERYBODY,
    "[python >=3.8]": Subject(python=PYTHON),
    "[python 3.12]": Subject(python=PYTHON),
    "[group staff]": Subject(uid=1, gids=(50,)),
    "[user ada]": Subject(uid=ADA),
}
ALL = Subject(python=PYTHON, uid=ADA, gids=(50,))


@pytest.mark.parametrize("order", [list(SECTIONS)[1:], list(reversed(SECTIONS))[:-1]])
@pytest.mark.parametrize("number", range(1, 5))
def test_the_most_specific_section_wins_in_any_order(order: Sequence[str], number: int) -> None:
    wanted = list(SECTIONS)[: number + 1]
    text = "user-cache = /tmp/0/{uid}\n" + "".join(
        f"{section}\nuser-cache = /tmp/{list(SECTIONS).index(section)}/{{uid}}\n"
        for section in order
        if section in wanted
    )
    assert view_of(text, ALL)[USER_CACHE] == f"/tmp/{number}/{{uid}}"


@pytest.mark.parametrize("section", list(SECTIONS)[1:])
def test_a_section_holds_for_its_own_only(section: str) -> None:
    text = f"{section}\nenabled = no\n"
    assert view_of(text, SECTIONS[section])[ENABLED] is False
    others = [Subject(python=("pypy", (3, 7, 0)), uid=7, gids=(8,)), EVERYBODY, Subject(root="/x")]
    assert all(view_of(text, other)[ENABLED] is True for other in others)


def test_at_a_tie_the_later_wins_across_files() -> None:
    policy = policy_of("[user ada]\nenabled = no\n[user 4711]\nenabled = yes\n", "enabled = no\n")
    assert policy.view(Subject(uid=ADA))[ENABLED] is True
    assert policy.view(Subject(uid=1))[ENABLED] is False


def test_a_group_counts_only_for_somebody() -> None:
    assert view_of("[group staff]\nenabled = no\n", Subject(gids=(50,)))[ENABLED] is True


class TestRoots:
    TEXT = (
        "invalidation = timestamp\n"
        "[root /srv/app]\ninvalidation = checked-hash\n"
        "[python 3.12]\ninvalidation = unchecked-hash\n"
        "[root /srv]\ninvalidation = auto\n"
    )

    @pytest.mark.parametrize(
        ("root", "expected"),
        [
            ("/srv/app", "checked-hash"),
            ("/srv/app/lib", "checked-hash"),
            ("/srv/application", "auto"),
            ("/srv", "auto"),
            ("/opt", "unchecked-hash"),
            (None, "unchecked-hash"),
        ],
    )
    def test_the_deeper_one_wins_and_any_over_an_interpreters(
        self, root: str | None, expected: str
    ) -> None:
        view = view_of(self.TEXT, Subject(python=PYTHON, root=root))
        assert view[INVALIDATION] == expected

    def test_they_are_listed(self) -> None:
        assert policy_of(self.TEXT).roots == ("/srv/app", "/srv")

    def test_an_interpreter_is_a_subject(self) -> None:
        interpreter = Interpreter(
            path="/usr/bin/python3.12", binary="/usr/bin/python3.12", version=PYTHON[1],
            implementation=PYTHON[0], cache_tag="cpython-312", magic=b"\0\0\r\n", directory="3.12",
            environment="", library=("/usr/lib/python3.12",), site=(),
        )  # fmt: skip
        assert subject_of(interpreter, "/srv") == Subject(python=PYTHON, root="/srv")
        assert policy_of(self.TEXT).view(subject_of(interpreter))[INVALIDATION] == "unchecked-hash"


class TestLists:
    def test_narrower_sections_add_in_their_order(self) -> None:
        sections = {"root /srv/app": "/c", "root /srv": "/b", "python 3.12": "/a"}
        text = "".join(f"[{section}]\nexclude += {path}\n" for section, path in sections.items())
        view = view_of(text, Subject(python=PYTHON, root="/srv/app"))
        assert view[EXCLUDE] == ("/a", "/b", "/c")
        assert lines(view, "exclude") == [6, 4, 2]
        assert view.text(EXCLUDE) == "/a /b /c"

    def test_the_default_is_the_first_where_nothing_replaces_it(self) -> None:
        view = policy_of("roots += /srv\n", "roots += /opt/x\n").view()
        assert view[ROOTS] == ("auto", "/srv", "/opt/x")
        assert view.text(ROOTS) == "auto /srv /opt/x"

    def test_what_is_replaced_is_no_origin(self) -> None:
        view = policy_of("roots = /a\nroots = /b\n", "roots = /c\nroots += /d\n").view()
        assert view.text(ROOTS) == "/c /d"
        assert [setting.at.file for setting in view.settings(ROOTS)] == ["/2.conf", "/2.conf"]

    def test_an_empty_list_is_written_as_nothing(self) -> None:
        view = view_of("interpreters =\n")
        assert view[INTERPRETERS] == ()
        assert view.text(INTERPRETERS) == ""
        assert lines(view, "interpreters") == [1]

    def test_nothing_is_in_a_list_twice(self) -> None:
        assert view_of("optimize += 1 0\n")[OPTIMIZE] == (0, 1)


def test_a_section_is_written_as_in_the_file() -> None:
    assert str(Section("user", "ada")) == "[user ada]"
    assert str(Section()) == ""


@given(st.permutations([f"[python {spec}]\ntime-limit = {number}s" for number, spec in
                        enumerate(("3.12", ">=3.8", "cpython", "3.11", "pypy"), 1)]))  # fmt: skip
def test_the_order_of_sections_counts_only_at_a_tie(parts: list[str]) -> None:
    value = view_of("time-limit = 9s\n" + "\n".join(parts), Subject(python=PYTHON))[TIME_LIMIT]
    assert value == 1

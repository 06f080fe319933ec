"""What cannot hold together is told, at the statement that would have to go."""

import pytest

from pycache_sys.policy.parse import parse

FILE = "/f.conf"


def said(*texts: str) -> list[tuple[str, int, str, str, str]]:
    """List the contradictions as (file, line, part, message, hint)."""
    files = [(f"/{number}.conf", text) for number, text in enumerate(texts, 1)]
    _, problems = parse(files, lambda _kind, _name: 5)
    assert not any(problem.is_warning for problem in problems)
    return [
        (
            problem.at.file,
            problem.at.line,
            problem.source[problem.at.column - 1 :][: problem.length],
            problem.message,
            problem.hint,
        )
        for problem in problems
    ]


@pytest.mark.parametrize(
    "text",
    [
        "system-tree = /srv/tree\nimage-tree = /srv/image\n",
        "system-tree = /usr/lib/pycache\nimage-tree = off\n",
        "user-cache = off\nservice-cache = off\nroot-cache = off\n",
        "root-cache = /var/cache/root-python\n",
        "user-cache = /tmp/{user}\nservice-cache = {cache_directory}\n",
        "[user ada]\nuser-cache = /srv/adas\n",
        "[user 5]\nservice-cache = /srv/fives\n",
        "export-prefix = yes\n",
        "user-cache = off\nexport-prefix = no\n",
        "user-cache = off\n[user ada]\nuser-cache = auto\nexport-prefix = yes\n",
        "roots = auto /srv/app\nexclude = /srv/app/tests\n",
        "roots = /srv/app\nexclude = /srv/app/**\n",
        "[root /srv/app]\nowner = ada\nmax-files = 5\nmax-bytes = 1M\n",
        "[root /usr/share/app]\nexclude = /usr/share/app/tests\n",
        "[python 3.12]\nexclude = /srv/app\n[root /srv/app]\n",
    ],
)
def test_what_holds_together_is_no_contradiction(text: str) -> None:
    assert said(text) == []


def test_they_are_looked_for_only_where_all_is_understood() -> None:
    text = "user-cache = /shared\n"
    assert len(said(text)) == 1
    assert [problem[3] for problem in said(text + "jobs = x\n")] == [
        "'x' is not a number from 1 up"
    ]


class TestTrees:
    @pytest.mark.parametrize(
        ("text", "line", "part"),
        [
            ("system-tree = /srv/t\nimage-tree = /srv/t", 2, "/srv/t"),
            ("image-tree = /srv/t/image # x\nsystem-tree = /srv/t", 1, "/srv/t/image # x"),
            ("system-tree = /usr/lib/pycache/system", 1, "/usr/lib/pycache/system"),
            ("image-tree = /var/cache", 1, "/var/cache"),
        ],
    )
    def test_each_has_a_directory_of_its_own(self, text: str, line: int, part: str) -> None:
        ((file, number, found, message, hint),) = said(text)
        assert (file, number, found) == ("/1.conf", line, part)
        assert message.startswith("the trees /")
        assert hint == "each needs a directory of its own"

    def test_a_tree_that_does_not_hold_any_more_overlaps_with_none(self) -> None:
        assert said("image-tree = /var/cache/python\n", "image-tree = off\n") == []


class TestCaches:
    @pytest.mark.parametrize("key", ["user-cache", "root-cache", "service-cache"])
    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/var/cache/python/{uid}",
             "/var/cache/python/{uid} overlaps with the system-tree /var/cache/python"),
            ("/usr/lib/pycache/{user}",
             "/usr/lib/pycache/{user} overlaps with the image-tree /usr/lib/pycache"),
        ],
    )  # fmt: skip
    def test_none_is_in_a_tree(self, key: str, path: str, message: str) -> None:
        assert said(f"{key} = {path}") == [
            ("/1.conf", 1, path, message, "only root writes that; choose a directory elsewhere")
        ]

    def test_no_tree_is_in_one(self) -> None:
        found = said("root-cache = /srv/cache\nsystem-tree = /srv/cache/tree\n")
        assert [problem[1:3] for problem in found] == [(1, "/srv/cache")]

    @pytest.mark.parametrize("key", ["user-cache", "service-cache"])
    @pytest.mark.parametrize(
        "section", ["", "[user ada eve]\n", "[group staff]\n", "[python 3.12]\n"]
    )
    def test_none_is_everybodys(self, key: str, section: str) -> None:
        assert said(f"{section}{key} = /srv/shared\n") == [
            ("/1.conf", 1 + bool(section), "/srv/shared",
             "every user would have the same /srv/shared", "add /{uid} to it")
        ]  # fmt: skip


class TestExport:
    def test_without_a_cache_there_is_nothing_to_export(self) -> None:
        assert said("user-cache = off\n", "# x\nexport-prefix = yes\n") == [
            ("/2.conf", 2, "yes", "there is no user-cache that could be exported: it is off",
             "switched off in /1.conf:1")
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "line", "off"),
        [
            ("user-cache = off\n[user ada]\nexport-prefix = yes\n", 3, 1),
            ("export-prefix = yes\n[user ada]\nuser-cache = off\n", 1, 3),
            ("[group staff]\nuser-cache = off\nexport-prefix = yes\n", 3, 2),
        ],
    )
    def test_so_it_is_for_some_only(self, text: str, line: int, off: int) -> None:
        ((file, number, _, _, hint),) = said(text)
        assert (file, number, hint) == ("/1.conf", line, f"switched off in /1.conf:{off}")

    def test_one_section_has_nothing_to_do_with_another(self) -> None:
        assert said("[user ada]\nuser-cache = off\n[user eve]\nexport-prefix = yes\n") == []

    def test_it_is_told_once(self) -> None:
        text = "user-cache = off\nexport-prefix = yes\n[user ada]\nenabled = no\n[root /srv/a]\n"
        assert len(said(text)) == 1


class TestRoots:
    @pytest.mark.parametrize(
        ("text", "line", "part", "message"),
        [
            ("roots = auto /var/cache/python/3.12", 1, "auto /var/cache/python/3.12",
             "/var/cache/python/3.12 lies in the system-tree /var/cache/python"),
            ("roots = /usr/lib/pycache", 1, "/usr/lib/pycache",
             "/usr/lib/pycache lies in the image-tree /usr/lib/pycache"),
            ("\n [root /var/cache/python]", 2, "[root /var/cache/python]",
             "/var/cache/python lies in the system-tree /var/cache/python"),
        ],
    )  # fmt: skip
    def test_none_is_in_a_tree(self, text: str, line: int, part: str, message: str) -> None:
        assert said(text) == [("/1.conf", line, part, message, "bytecode has no bytecode")]

    @pytest.mark.parametrize(
        "text",
        [
            "exclude = /srv\nroots = /srv/app\n",
            "exclude = /srv\n[root /srv/app]\n",
            "[root /srv/app]\nexclude = /srv\n",
        ],
    )
    def test_none_is_excluded_as_a_whole(self, text: str) -> None:
        ((_, line, _, message, hint),) = said(text)
        assert "app" in text.splitlines()[line - 1]
        assert message == "/srv/app is excluded as a whole, by /srv"
        assert hint == "leave out the one or the other"

    def test_one_may_lie_beside_what_is_excluded(self) -> None:
        assert said("exclude = /srv/other /srv/app/tests\nroots = /srv/app\n") == []

    def test_a_sections_own_list_of_exclusions_takes_one_back(self) -> None:
        assert said("exclude = /srv\n[root /srv/app]\nexclude =\n") == []

    @pytest.mark.parametrize(
        "root", ["/usr", "/etc", "/var", "/home", "/usr/lib/app", "/etc/app", "/usr/local"]
    )
    def test_the_system_itself_stays_roots(self, root: str) -> None:
        assert said(f"[root {root}]\nowner = ada\n") == [
            ("/1.conf", 2, "ada", f"{root} holds the system itself: it stays root's",
             "name the directory of one application")
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "root", ["/srv/app", "/home/ada/app", "/var/lib/app", "/usr/local/app"]
    )
    def test_an_application_may_be_somebody_elses(self, root: str) -> None:
        assert said(f"[root {root}]\nowner = ada\n") == []

    @pytest.mark.parametrize("line", ["max-files = 5", "max-bytes = 1M"])
    def test_limits_are_for_roots_that_have_another_owner(self, line: str) -> None:
        key, _, value = line.partition(" = ")
        assert said(f"[root /srv/app]\n{line}\n") == [
            ("/1.conf", 2, value, f"'{key}' is for a root that has another owner",
             "add owner = …, or leave it out")
        ]  # fmt: skip

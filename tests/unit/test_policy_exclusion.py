"""What is left out: by the policy's patterns, and by what Debian's packages ask for."""

import fnmatch
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pycache_sys.core.model import Interpreter, Reason
from pycache_sys.policy.exclusion import (
    Exemption,
    Pattern,
    excluder,
    parse_exemption,
)
from pycache_sys.system.sources import Walk
from pycache_sys.system.trust import CallerTrust
from strategies import components

CPYTHON = Interpreter(
    path="/usr/bin/python3.11", binary="/usr/bin/python3.11", version=(3, 11, 2),
    implementation="cpython", cache_tag="cpython-311", magic=b"\xa7\r\r\n", directory="3.11",
    environment="", library=("/usr/lib/python3.11",), site=(),
)  # fmt: skip
PYPY = CPYTHON._replace(implementation="pypy")


def matches(pattern: str, path: str) -> bool:
    return Pattern(pattern).covers(path)


class TestPattern:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/srv/app", "/srv/app"),
            ("/srv/app", "/srv/app/a/b.py"),
            ("/srv/app/", "/srv/app"),
            ("/srv/*", "/srv/app"),
            ("/srv/*", "/srv/.hidden/x.py"),
            ("/srv/*/tests", "/srv/app/tests/a.py"),
            ("/srv/a*p", "/srv/ap"),
            ("/srv/a?p", "/srv/a\np"),
            ("/srv/[ab]c", "/srv/bc"),
            ("/srv/[a-c]", "/srv/b"),
            ("/srv/[!a-c]", "/srv/d"),
            ("/srv/[]]", "/srv/]"),
            ("/srv/[!]a]b", "/srv/xb"),
            ("/srv/[a-]", "/srv/-"),
            ("/srv/[^a]", "/srv/^"),
            ("/srv/[a", "/srv/[a"),
            ("/srv/[]", "/srv/[]"),
            ("/srv/[!]", "/srv/[!]"),
            ("/srv/a[", "/srv/a["),
            ("/srv/[\\w]", "/srv/\\"),
            ("/srv/a.b+(c)", "/srv/a.b+(c)"),
            ("/srv/**/tests", "/srv/tests"),
            ("/srv/**/tests", "/srv/a/b/tests/c.py"),
            ("/srv/**/test_*.py", "/srv/app/test_a.py"),
            ("/**/tests", "/tests"),
            ("/srv/**/a/**/b/c", "/srv/a/b/a/b/c/d"),
            ("/srv/**/a/b", "/srv/a/a/b"),
            ("/srv/*/**", "/srv/a/b"),
            ("/srv/**", "/srv/a"),
            ("/srv/**", "/srv/a/b.py"),
            ("/srv/**/**", "/srv/a"),
            ("/**", "/a"),
            ("/", "/a/b.py"),
        ],
    )
    def test_they_match(self, pattern: str, path: str) -> None:
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/srv/app", "/srv/application"),
            ("/srv/app", "/srv"),
            ("/srv/app", "/opt/srv/app"),
            ("/srv/app", "/srv/app\n"),
            ("/srv/*", "/srv"),
            ("/srv/*/tests", "/srv/tests"),
            ("/srv/*/tests", "/srv/a/b/tests"),
            ("/srv/a*p", "/srv/a/p"),
            ("/srv/a?p", "/srv/ap"),
            ("/srv/a?p", "/srv/a/p"),
            ("/srv/[ab]c", "/srv/cc"),
            ("/srv/[!a-c]", "/srv/a"),
            ("/srv/[!]a]b", "/srv/]b"),
            ("/srv/[!]a]b", "/srv/ab"),
            ("/srv/a[!b]c", "/srv/a/c"),
            ("/srv/a[.-0]c", "/srv/a/c"),
            ("/srv/[\\w]", "/srv/a"),
            ("/srv/a.b", "/srv/aXb"),
            ("/srv/**/tests", "/srv/a/my_tests"),
            ("/srv/**", "/srv"),
            ("/srv/app", "/SRV/app"),
            ("/srv/[z-a]", "/srv/b"),
            ("/srv/**/a/**/b/c", "/srv/a/b/a/c"),
            ("/srv/*/**", "/srv/a"),
            ("/**/a/**", "/b/a"),
        ],
    )
    def test_and_do_not_match(self, pattern: str, path: str) -> None:
        assert not matches(pattern, path)

    def test_the_first_that_matches_is_named(self) -> None:
        judge = excluder(["/a", "/srv/*", "/srv/app"], (), CPYTHON)
        assert judge is not None
        assert judge("/srv/app/x") == judge("/srv/app/") == "the policy excludes /srv/*"
        assert judge("/b") == ""

    @given(components, components)
    def test_a_name_without_magic_matches_itself_and_what_is_below_it(
        self, name: str, below: str
    ) -> None:
        if not set(name) & set("*?["):
            assert matches(f"/srv/{name}", f"/srv/{name}")
            assert matches(f"/srv/{name}", f"/srv/{name}/{below}")
            assert matches(f"/srv/{name}", f"/srv/{below}") is (name == below)

    names = st.text("ab-!]^", min_size=1, max_size=4)

    def test_many_stars_take_no_time(self) -> None:
        pattern = "/srv" + "/**/a*" * 30 + "/b"
        assert not matches(pattern, "/srv" + "/aaaaaaaa" * 200)

    @given(st.text("ab[]!-*?^\\&|", max_size=8), names)
    @example("[!]a]b", "xb")
    @example("[]-a]", "^")
    @example("[a--]", "a")
    def test_within_a_name_they_mean_what_they_mean_in_a_shell(
        self, pattern: str, name: str
    ) -> None:
        if pattern.strip(".") in ("", "**") or "**" in pattern:
            return
        found = matches(f"/srv/{pattern}", f"/srv/{name}")
        assert found is fnmatch.fnmatchcase(name, pattern)


class TestDebiansLines:
    """As ``filter_files`` of py3compile(1) understands them."""

    @pytest.mark.parametrize(
        ("line", "excluded", "kept"),
        [
            ("dir|-|/usr/lib/a|", ["/usr/lib/a/b.py", "/usr/lib/a/b/c.py"],
             ["/usr/lib/a.py", "/usr/lib/ab/c.py", "/usr/lib/b.py"]),
            ("dir|-|/usr/lib/a/", ["/usr/lib/a/b.py"], ["/usr/lib/ab.py"]),
            ("dir|-|/usr/lib/a|never", ["/usr/lib/a/b.py"], []),
            ("file|-|/usr/lib/a/b.py|", ["/usr/lib/a/b.py"],
             ["/usr/lib/a/b.py.py", "/usr/lib/a/c.py"]),
            ("file|-|/usr/lib/a/b.py", ["/usr/lib/a/b.py"], []),
            ("re|-|/usr/lib/a|.*/tests/.*", ["/usr/lib/a/tests/b.py", "/usr/lib/a/c/tests/b.py"],
             ["/usr/lib/a/b.py", "/usr/lib/tests/b.py"]),
            ("re|-|/usr/lib/a|bad", ["/usr/lib/a/bad.py", "/usr/lib/a/bad/b.py"],
             ["/usr/lib/a/c/bad.py"]),
            ("re|-|/usr/lib/a|a|b", ["/usr/lib/a/a.py", "/usr/lib/a/b.py"], ["/usr/lib/a/c.py"]),
            ("re|-|/usr/lib/a|/usr/lib/a/b", ["/usr/lib/a/b.py"], ["/usr/lib/a/a.py"]),
            ("re|-|/usr/lib/a|", ["/usr/lib/a/b.py"], ["/usr/lib/b.py"]),
            ("re|-|/usr/lib/a", ["/usr/lib/a/b.py"], ["/usr/lib/b.py"]),
        ],
    )  # fmt: skip
    def test_they_cover_what_py3compile_leaves_out(
        self, line: str, excluded: list[str], kept: list[str]
    ) -> None:
        exemption = parse_exemption(line, "/bcep/x:1")
        assert exemption is not None
        assert [path for path in excluded + kept if exemption.covers(path)] == excluded

    @pytest.mark.parametrize(
        ("text", "inside", "outside"),
        [
            ("", [(2, 7), (3, 11), (4, 0)], []),
            ("-", [(2, 7), (3, 11)], []),
            ("3.11", [(3, 11)], [(3, 10), (3, 12), (3, 1)]),
            ("3.5-", [(3, 5), (3, 12), (4, 0)], [(3, 4)]),
            ("-3.5", [(2, 7), (3, 4)], [(3, 5), (3, 6)]),
            ("3.5-3.9", [(3, 5), (3, 8)], [(3, 4), (3, 9)]),
            ("3.5-4.0", [(3, 5), (3, 13)], [(4, 0)]),
            ("3.9-3.9", [(3, 9)], [(3, 8), (3, 10)]),
        ],
    )
    def test_versions_are_those_of_the_range_without_its_end(
        self, text: str, inside: list[tuple[int, int]], outside: list[tuple[int, int]]
    ) -> None:
        exemption = parse_exemption(f"dir|{text}|/usr/lib/a|", "")
        assert exemption is not None
        fits = [v for v in inside + outside if exemption.lowest <= v < exemption.highest]
        assert fits == inside

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "# dir|-|/usr/lib/a|",
            "dir|-",
            "tree|-|/usr/lib/a|",
            "dir|-|usr/lib/a|",
            "dir|-||",
            "dir|three|/usr/lib/a|",
            "dir|3|/usr/lib/a|",
            "dir|3.9-3.5|/usr/lib/a|",
            "dir|-3.5-3.9|/usr/lib/a|",
            "re|-|/usr/lib/a|(",
        ],
    )
    def test_other_lines_say_nothing(self, line: str) -> None:
        assert parse_exemption(line, "") is None

    @given(st.text(st.sampled_from("re|dirfile-3.59/usr(*[# "), max_size=30), components)
    def test_any_line_is_read_or_not(self, line: str, name: str) -> None:
        exemption = parse_exemption(line, "/x:1")
        if exemption is not None:
            assert exemption.at == "/x:1"
            assert not exemption.covers(f"/elsewhere/{name}") or exemption.directory == "/"


class TestJudging:
    @staticmethod
    def exemption(line: str = "dir|3.11|/usr/lib/a|") -> Exemption:
        found = parse_exemption(line, "/bcep/x:7")
        assert found is not None
        return found

    def test_where_nothing_is_excluded_nobody_is_asked(self) -> None:
        assert excluder([], [], CPYTHON) is None
        assert excluder([], [self.exemption("dir|3.12|/usr/lib/a|")], CPYTHON) is None

    def test_it_is_said_who_excludes_it(self) -> None:
        judge = excluder(["/srv/**"], [self.exemption()], CPYTHON)
        assert judge is not None
        assert judge("/srv/a.py") == "the policy excludes /srv/**"
        assert judge("/usr/lib/a/b.py") == "a package excludes it in /bcep/x:7"
        assert judge("/usr/lib/b.py") == ""

    def test_the_policy_alone_can_exclude(self) -> None:
        judge = excluder(["/srv"], [], PYPY)
        assert judge is not None
        assert judge("/usr/lib/a/b.py") == ""

    @pytest.mark.parametrize("interpreter", [CPYTHON, PYPY])
    def test_debians_lines_are_for_pypy_too(self, interpreter: Interpreter) -> None:
        judge = excluder([], [self.exemption("dir|-|/usr/lib/a|")], interpreter)
        assert judge is not None
        assert judge("/usr/lib/a/b.py")

    def test_debians_expressions_are_for_files_and_not_for_directories(
        self, tmp_path: Path
    ) -> None:
        for name in ("tests/a.py", "tests/sub/tests", "my_tests/a.py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        judge = excluder([], [self.exemption(f"re|-|{tmp_path}|.*tests$")], CPYTHON)
        found = list(Walk([str(tmp_path)], CallerTrust(), lambda _: (), excluded=judge))
        assert sorted(f"{one.path}/{name}" for one in found for name in one.files) == [
            f"{tmp_path}/my_tests/a.py",
            f"{tmp_path}/tests/a.py",
        ]

    def test_what_a_walk_leaves_out_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "tests").mkdir()
        (tmp_path / "a.py").touch()
        judge = excluder([f"{tmp_path}/tests", "/**/a.py"], [], CPYTHON)
        found = list(Walk([str(tmp_path)], CallerTrust(), lambda _: (), excluded=judge))
        skips = sorted((skip.source, skip.reason) for one in found for skip in one.skips)
        assert skips == [
            (f"{tmp_path}/a.py", Reason.EXCLUDED),
            (f"{tmp_path}/tests", Reason.EXCLUDED),
        ]

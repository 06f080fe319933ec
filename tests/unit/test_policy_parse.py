"""A policy is read to its end, and everything that is wrong is named where it stands."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_system import ADA
from pycache_sys.policy.keys import EXCLUDE, KEYS, OPTIMIZE, OWNER, ROOTS
from pycache_sys.policy.model import Policy, Section, Subject
from pycache_sys.policy.parse import parse
from pycache_sys.policy.problems import Location, PolicyError, Problem
from pycache_sys_runtime import policy as runtime
from strategies import policy_texts

ACCOUNTS = {("user", "ada"): ADA, ("user", "root"): 0, ("group", "staff"): 50}
FILE = "/etc/pycacheprefix.conf"
PLAIN = "before all sections or [python …]"


def resolve(kind: str, name: str) -> int | None:
    return ACCOUNTS.get((kind, name))


def read(*texts: str) -> tuple[Policy, list[Problem]]:
    """Read files, the lowest precedence first."""
    files = [(FILE if number == 1 else f"/{number}.conf", text) for number, text in
             enumerate(texts, 1)]  # fmt: skip
    return parse(files, resolve)


def good(*texts: str) -> Policy:
    policy, problems = read(*texts)
    assert problems == []
    return policy


def said(*texts: str) -> list[tuple[str, int, int, str, str, str, str]]:
    """List the problems as (file, line, column, part, message, hint, severity)."""
    _, problems = read(*texts)
    return [
        (
            problem.at.file,
            problem.at.line,
            problem.at.column,
            problem.source[problem.at.column - 1 :][: problem.length],
            problem.message,
            problem.hint,
            "warning" if problem.is_warning else "error",
        )
        for problem in problems
    ]


class TestStatements:
    def test_an_empty_policy_says_nothing(self) -> None:
        assert good("") == Policy(files=(FILE,))
        assert good("# only\n\n  # comments\n").settings == ()

    def test_each_statement_is_kept_with_its_place(self) -> None:
        policy = good("enabled = no\n\n[python >=3.12]\n  export-prefix = yes\n", "roots = /srv\n")
        first, second, third = policy.settings
        assert (first.key.name, first.value, first.text) == ("enabled", False, "no")
        assert first.at == Location(file=FILE, line=1, column=11)
        assert first.section == Section()
        assert second.section == Section("python", ">=3.12")
        assert second.at == Location(file=FILE, line=4, column=19)
        assert third.at == Location(file="/2.conf", line=1, column=9)
        assert all(setting.replaces for setting in policy.settings)

    def test_sections_are_kept_once_with_their_first_place(self) -> None:
        policy = good("[python  3.12]\n[user ada]\nenabled = no\n[python 3.12]\nenabled = no\n")
        assert dict(policy.sections) == {
            Section("python", "3.12"): Location(file=FILE, line=1, column=1),
            Section("user", "ada"): Location(file=FILE, line=2, column=1),
        }

    def test_files_are_listed_in_their_order(self) -> None:
        assert good("", "").files == (FILE, "/2.conf")

    def test_names_are_given_their_numbers(self) -> None:
        policy, _ = read("[user ada]\n[group staff 7]\n[user 4711 ghost]\n")
        assert policy.ids == {"user ada": ADA, "group staff": 50}

    def test_a_roots_section_is_one_however_its_path_is_written(self) -> None:
        policy = good(
            "[root /srv/app/]\nexclude = /srv/app/a\n[root /srv/app]\nexclude = /srv/app/b\n"
        )
        assert policy.roots == ("/srv/app",)
        assert policy.view(Subject(root="/srv/app"))[EXCLUDE] == ("/srv/app/a", "/srv/app/b")

    @pytest.mark.parametrize(("text", "uid"), [("ada", ADA), ("root", 0), ("5", 5)])
    def test_an_owner_is_an_account_or_a_number(self, text: str, uid: int) -> None:
        policy = good(f"[root /srv/app]\nowner = {text}\n")
        assert policy.view(Subject(root="/srv/app"))[OWNER] == uid
        assert policy.settings[0].text == text


class TestLists:
    def test_a_key_that_is_repeated_goes_on(self) -> None:
        policy = good("exclude = /a /b\nexclude = /c\nexclude += /d\n")
        assert policy.view()[EXCLUDE] == ("/a", "/b", "/c", "/d")

    def test_a_higher_file_replaces_the_list(self) -> None:
        assert good("exclude = /a\nexclude = /b\n", "exclude = /c\n").view()[EXCLUDE] == ("/c",)

    def test_unless_it_adds(self) -> None:
        assert good("exclude = /a\n", "exclude += /b /a\n").view()[EXCLUDE] == ("/a", "/b")

    def test_it_adds_to_the_default_too(self) -> None:
        assert good("roots += /srv\n").view()[ROOTS] == ("auto", "/srv")
        assert good("optimize += 2\n").view()[OPTIMIZE] == (0, 2)

    def test_nothing_takes_back_what_lower_files_say(self) -> None:
        assert good("exclude = /a\n", "exclude =\n").view()[EXCLUDE] == ()
        assert good("exclude = /a\n", "exclude =\nexclude = /b\n").view()[EXCLUDE] == ("/b",)

    def test_nothing_adds_nothing(self) -> None:
        assert good("exclude = /a\n", "exclude +=\n").view()[EXCLUDE] == ("/a",)

    def test_a_narrower_section_replaces_or_adds(self) -> None:
        policy = good("exclude = /a\n[root /x]\nexclude += /b\n[root /y]\nexclude = /c\n")
        assert policy.view(Subject(root="/x"))[EXCLUDE] == ("/a", "/b")
        assert policy.view(Subject(root="/y"))[EXCLUDE] == ("/c",)


class TestErrors:
    """Each with its place, the part that is to blame, and what to do."""

    @pytest.mark.parametrize(
        ("line", "column", "part", "message", "hint"),
        [
            ("invalidation = hashed", 16, "hashed", "unknown invalidation 'hashed'",
             "did you mean 'checked-hash'?"),
            ("  optimize =  0 9 # x", 17, "9", "unknown optimization level '9'",
             "the levels are 0, 1, 2"),
            ("\troots\t=\t/a\tb", 13, "b", "'b' is a relative path", "a path starts at /"),
            ('roots = /a "b c', 12, '"b c', "a quote is not closed", ""),
            ('roots = /a "b c"', 13, "b c", "'b c' is a relative path", "a path starts at /"),
            ("enabled = a = b", 11, "a = b", "'a = b' is neither yes nor no", ""),
            ("user-cache = {runtime}/x", 14, "{runtime}", "unknown placeholder '{runtime}'",
             "did you mean '{runtime_dir}'?"),
            ("enabled =", 10, "", "'enabled' has no value", "the default is yes"),
            ("enabled = # no", 10, " ", "'enabled' has no value", "the default is yes"),
            ("  enabled += no", 3, "enabled", "'enabled' is no list: += does not fit it", ""),
            ("jobs", 1, "jobs", "neither a section, nor key = value",
             "a list goes on in another line with its key again"),
            (" a\x07 = b ", 2, "a\x07 = b", "an unprintable character",
             "write text in UTF-8 without control characters"),
            ("[user ada", 1, "[user ada", "a section is empty, or not closed", "like [user ada]"),
            ("[]", 1, "[]", "a section is empty, or not closed", "like [user ada]"),
            ("[python]", 1, "[", "which python?", "like [python >=3.12]"),
            (" [ user ]", 2, "[", "which user?", "like [user ada]"),
            ("[group]", 1, "[", "which group?", "like [group staff]"),
            ("[root]", 1, "[", "which root?", "like [root /srv/app]"),
            ("[python three]", 9, "three", "'three' is not a version specifier",
             "like 3.12, >=3.11,<3.14, pypy, cpython<3.13"),
            ("[root srv]", 7, "srv", "'srv' is a relative path", "a path starts at /"),
            ("[root /]", 7, "/", "'/' is no root: all of the system would be compiled", ""),
            ("[root /srv/*]", 7, "/srv/*", "a section is for one root",
             "name it exactly; patterns belong to the key 'roots'"),
            ("owner = ada", 1, "owner",
             "'owner' cannot stand outside of a section, but [root …]", ""),
            ("max-files = 5", 1, "max-files",
             "'max-files' cannot stand outside of a section, but [root …]", ""),
        ],
    )  # fmt: skip
    def test_of_one_line(self, line: str, column: int, part: str, message: str, hint: str) -> None:
        assert said("# first\n" + line) == [(FILE, 2, column, part, message, hint, "error")]

    @pytest.mark.parametrize(
        ("section", "line", "part", "message"),
        [
            ("user ada", "system-tree = /x", "system-tree",
             "'system-tree' holds for the whole system: it stands before all sections"),
            ("python 3.12", " jobs = 2", "jobs",
             "'jobs' holds for the whole system: it stands before all sections"),
            ("root /srv/app", "enabled = no", "enabled",
             f"'enabled' cannot stand in [root /srv/app], but {PLAIN} or [user …] or [group …]"),
            ("user ada", "exclude = /x", "exclude",
             f"'exclude' cannot stand in [user ada], but {PLAIN} or [root …]"),
            ("python 3.12", "owner = ada", "owner",
             "'owner' cannot stand in [python 3.12], but [root …]"),
        ],
    )  # fmt: skip
    def test_of_a_key_in_the_wrong_section(
        self, section: str, line: str, part: str, message: str
    ) -> None:
        column = line.index(part) + 1
        assert said(f"[{section}]\n{line}\n") == [(FILE, 2, column, part, message, "", "error")]

    def test_a_key_that_is_set_twice_would_win_silently(self) -> None:
        text = (
            "enabled = no\n\n enabled = yes\n[user ada]\nenabled = no\n[user ada]\nenabled = no\n"
        )
        assert said(text) == [
            (FILE, 3, 2, "enabled", "'enabled' is set twice, first in line 1", "keep one", "error"),
            (FILE, 7, 1, "enabled", "'enabled' is set twice, first in line 5", "keep one", "error"),
        ]

    def test_not_so_in_another_file_or_section(self) -> None:
        good("enabled = no\n[user ada]\nenabled = yes\n[user 5]\nenabled = no\n", "enabled = yes\n")

    def test_all_are_told_in_the_order_of_the_files(self) -> None:
        places = [
            (file, line)
            for file, line, *_ in said("jobs = x\n\nenabled = x\n", "a\n", "b\n[\n[os]\n")
        ]
        assert places == [(FILE, 1), (FILE, 3), ("/2.conf", 1), ("/3.conf", 1), ("/3.conf", 2),
                          ("/3.conf", 3)]  # fmt: skip

    def test_what_is_understood_is_kept(self) -> None:
        policy, problems = read("enabled = no\njobs = many\nexport-prefix = yes\n")
        assert [setting.key.name for setting in policy.settings] == ["enabled", "export-prefix"]
        assert len(problems) == 1

    def test_below_a_section_that_is_wrong_nothing_is_told_or_counts(self) -> None:
        policy, problems = read("[python three]\nenabled = maybe\nexport-prefix = yes\n")
        assert [problem.at.line for problem in problems] == [1]
        assert policy.settings == ()
        assert policy.sections == {}

    def test_after_it_all_goes_on(self) -> None:
        policy, _ = read("[user\nenabled = no\n[user ada]\nenabled = no\n", "enabled = yes\n")
        assert [setting.at.line for setting in policy.settings] == [4, 1]

    def test_an_owner_who_is_not_here_is_named(self) -> None:
        assert said("[root /srv/app]\nowner = ghost\n") == [
            (FILE, 2, 9, "ghost", "there is no user 'ghost' here", "a uid will do too", "error")
        ]


class TestWarnings:
    @pytest.mark.parametrize(
        ("line", "column", "part", "message", "hint"),
        [
            (" enabeld = no", 2, "enabeld", "unknown key 'enabeld': it does not count",
             "did you mean 'enabled'?"),
            ("xyz += 1", 1, "xyz", "unknown key 'xyz': it does not count", ""),
            ("= 1", 1, "=", "unknown key '': it does not count", ""),
            (" [rooot /srv]", 3, "rooot", "unknown section 'rooot /srv': it does not count",
             "did you mean 'root'?"),
            ("[os linux]", 2, "os", "unknown section 'os linux': it does not count",
             "there are python, user, group, root"),
            ("[  os linux]", 4, "os", "unknown section 'os linux': it does not count",
             "there are python, user, group, root"),
            ("[user ghost]", 7, "ghost",
             "there is no user 'ghost' here: this section is for nobody", "a number will do too"),
            ("[group staff  ghost]", 15, "ghost",
             "there is no group 'ghost' here: this section is for nobody", "a number will do too"),
            ('[user "1000"]', 7, '"1000"',
             "there is no user '\"1000\"' here: this section is for nobody",
             "a number will do too"),
        ],
    )  # fmt: skip
    def test_what_another_version_may_know_is_named_with_the_nearest_name(
        self, line: str, column: int, part: str, message: str, hint: str
    ) -> None:
        assert said("# first\n" + line) == [(FILE, 2, column, part, message, hint, "warning")]

    def test_all_the_same_the_rest_counts(self) -> None:
        policy, _ = read("enabeld = no\nenabled = no\n[os linux]\nenabled = yes\n")
        assert [setting.at.line for setting in policy.settings] == [2]

    def test_what_stands_in_an_unknown_section_is_not_told(self) -> None:
        assert len(said("[os linux]\nenabled = maybe\nxyz = 1\n")) == 1


class TestDrawing:
    def test_an_error_is_drawn_with_a_caret_below_it(self) -> None:
        (problem,) = read("enabled = no\ninvalidation = hashed\n")[1]
        assert str(problem) == (
            "/etc/pycacheprefix.conf:2:16: unknown invalidation 'hashed'\n"
            "  invalidation = hashed\n"
            "                 ^^^^^^  did you mean 'checked-hash'?"
        )

    def test_a_warning_says_so_and_without_a_hint_nothing_follows_the_caret(self) -> None:
        problem = Problem(
            at=Location(file="/f", line=3, column=2), message="odd", source="\tx\x07y",
            is_warning=True,
        )  # fmt: skip
        assert str(problem) == "/f:3:2: warning: odd\n   x?y\n   ^"

    @pytest.mark.parametrize(("hint", "drawn"), [("mend", "/f: odd\n  mend"), ("", "/f: odd")])
    def test_a_file_as_a_whole_has_no_line(self, hint: str, drawn: str) -> None:
        assert str(Problem(at=Location(file="/f"), message="odd", hint=hint)) == drawn

    def test_places_are_written_as_compilers_do(self) -> None:
        assert str(Location(file="/f", line=3, column=9)) == "/f:3"
        assert str(Location(file="/f")) == "/f"

    @pytest.mark.parametrize(("text", "count"), [("jobs = x", "1 error;"), ("a\nb", "2 errors;")])
    def test_all_of_them_are_one_error_of_the_run(self, text: str, count: str) -> None:
        problems = read(f"{text}\nxyz = 1\n")[1]
        error = PolicyError(problems)
        assert f"has {count}" in str(error)
        assert error.details == tuple(map(str, problems))
        assert error.exit_status == 3


files = st.lists(policy_texts, min_size=1, max_size=3)


@given(st.one_of(files, st.lists(st.text(), min_size=1, max_size=2)))
def test_any_text_is_read_and_every_problem_lies_inside_its_file(texts: list[str]) -> None:
    policy, problems = read(*texts)
    by_name = dict(zip(policy.files, texts, strict=True))
    for problem in problems:
        lines = by_name[problem.at.file].split("\n")
        assert 1 <= problem.at.line <= len(lines)
        line = lines[problem.at.line - 1]
        assert problem.source == line
        assert 1 <= problem.at.column <= len(line) + 1
        assert problem.length >= 1
        assert problem.at.column + problem.length <= max(len(line) + 1, problem.at.column + 1)
        assert problem.message
        assert len(str(problem).split("\n")) == 3
    for at in (*(setting.at for setting in policy.settings), *policy.sections.values()):
        assert 1 <= at.line <= by_name[at.file].count("\n") + 1


@given(files)
def test_reading_is_repeatable(texts: list[str]) -> None:
    first, second = read(*texts), read(*texts)
    assert first[1] == second[1]
    assert first[0].settings == second[0].settings


# the hook and the builder agree

sections = st.sampled_from(
    ["python >=3.12", "python 3.12", "python pypy", "python  cpython<3.13", "python 3.11",
     "user ada", "user 4711 7", "user ghost", "group staff", "group 50", "group 7 ghost",
     "os linux", "user eve ada", 'user "ada"', "python >=3.8,!=3.11.*"]
)  # fmt: skip
VALUES: Mapping[str, tuple[str, ...]] = {
    "enabled": ("yes", "no", "on", "0"),
    "system-tree": ("/srv/tree", "/srv/other/"),
    "image-tree": ("off", "/srv/image"),
    "user-cache": ("auto", "off", "{runtime_dir}/x", "/tmp/{uid}", "{user_cache_dir}/"),
    "root-cache": ("auto", "off", "/srv/cache"),
    "service-cache": ("auto", "off", "/var/tmp/{user}"),
    "service-uids": ("1-999", "none", "4711", "1-10 20-30"),
    "read-beside-source": ("true", "false"),
    "explicit-prefix": ("layer", "exclusive", "ignore"),
    "export-prefix": ("no", "off", "0"),
    "cache-max-age": ("1d",),
    "enabeld": ("no",),
}
SPELLINGS = ("{} = {}", "{}={}", "\t{}\t=\t{}", "  {} =  {}  # why", "{} = {}\r", "{} = {} ")


@st.composite
def good_files(draw: st.DrawFn) -> list[str]:
    """Draw files without an error: no key twice, and each where it may stand."""
    texts = []
    for _ in range(draw(st.integers(1, 3))):
        lines = []
        places = ["", *draw(st.lists(sections, max_size=3, unique_by=lambda s: tuple(s.split())))]
        for place in places:
            lines += [f"[{place}]"] * bool(place)
            wanted = st.lists(st.sampled_from(sorted(VALUES)), max_size=4, unique=True)
            for key in draw(wanted):
                if not place or key not in KEYS or place.split()[0] in KEYS[key].sections:
                    value = draw(st.sampled_from(VALUES[key]))
                    lines.append(draw(st.sampled_from(SPELLINGS)).format(key, value))
        if draw(st.booleans()):
            lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["", "# x", " "])))
        texts.append("\n".join(lines))
    return texts


pythons = st.tuples(
    st.sampled_from(["cpython", "pypy"]),
    st.sampled_from([(3, 8, 0), (3, 11, 2), (3, 12, 4), (3, 13, 0)]),
)
users = st.sampled_from([0, 7, 20, 1000, ADA])
groups = st.lists(st.sampled_from([7, 50, 51]), max_size=2).map(tuple)


def assert_agreed(
    texts: list[str],
    python: tuple[str, tuple[int, int, int]],
    uid: int,
    gids: tuple[int, ...],
) -> bool:
    """See that both say the same, where the builder has no error; tell whether it had none."""
    policy, problems = read(*texts)
    if any(not problem.is_warning for problem in problems):
        return False
    statements = [one for text in texts for one in runtime.scan(text)]
    found = runtime.settings(statements, *python, uid, lambda: gids, lambda: policy.ids)
    view = policy.view(Subject(python=python, uid=uid, gids=gids))
    assert {name: view[KEYS[name]] for name in runtime.DEFAULTS} == found
    return True


@given(good_files(), pythons, users, groups)
def test_start_up_and_the_builder_agree(
    texts: list[str], python: tuple[str, tuple[int, int, int]], uid: int, gids: tuple[int, ...]
) -> None:
    assert assert_agreed(texts, python, uid, gids)


@given(st.one_of(files, good_files()), files, pythons, users, groups)
def test_they_agree_on_anything_that_has_no_error(
    good: list[str],
    bad: list[str],
    python: tuple[str, tuple[int, int, int]],
    uid: int,
    gids: tuple[int, ...],
) -> None:
    if not assert_agreed([*good, *bad], python, uid, gids):
        assert_agreed(good, python, uid, gids)


@pytest.mark.parametrize("text", [
    "[]\nenabled = no\n",
    "[ ]\nenabled = no\n",
    "[os linux]\nenabled = no\n",
    '[user "ada"]\nenabled = no\n',
    "[user  ada]\nenabled = no\n",
    "[user ghost]\nenabled = no\n",
    "[group staff]\nenabled = no\n[user ada]\nenabled = yes\n",
])  # fmt: skip
def test_they_agree_where_it_is_easily_missed(text: str) -> None:
    has_error = not assert_agreed([text], ("cpython", (3, 12, 4)), ADA, (50,))
    assert has_error is text.startswith(("[]", "[ ]"))

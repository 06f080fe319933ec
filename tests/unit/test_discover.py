"""Which interpreters take part, and which sources are whose, by the policy."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from interpreters.builder import identity, pretend
from pycache_sys.core.errors import UsageError
from pycache_sys.core.model import Interpreter, Invalidation, Reason
from pycache_sys.core.report import InterpreterNote
from pycache_sys.core.specifiers import parse_specifier
from pycache_sys.discover import (
    Target,
    Terms,
    make_targets,
    name_paths,
    name_sources,
    select_interpreters,
)
from pycache_sys.policy.model import Policy
from pycache_sys.policy.parse import parse
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons import interpreters as found
from pycache_sys.system.trust import CallerTrust

OLD = Interpreter(
    path="/usr/bin/python3.11", binary="/usr/bin/python3.11", version=(3, 11, 2),
    implementation="cpython", cache_tag="cpython-311", magic=b"\xa7\r\r\n", directory="3.11",
    environment="", library=("/usr/lib/python3.11",), site=("/usr/lib/python3/dist-packages",),
)  # fmt: skip
NEW = OLD._replace(
    path="/usr/bin/python3.13", binary="/usr/bin/python3.13", version=(3, 13, 0),
    cache_tag="cpython-313", directory="3.13", library=("/usr/lib/python3.13",),
)  # fmt: skip
PYPY = OLD._replace(
    path="/usr/bin/pypy3.11", binary="/usr/bin/pypy3.11", implementation="pypy",
    cache_tag="pypy311", directory="pypy3.11", library=("/usr/lib/pypy3.11",), site=(),
)  # fmt: skip
WHO = identity()
ACCESS = Access(trust=CallerTrust(), account=None, mounts=Mounts(), is_restricted=False)


def policy_of(text: str = "") -> Policy:
    policy, problems = parse([("/f.conf", text)], lambda _kind, _name: 1000)
    assert problems == []
    return policy


def targets_of(
    text: str = "", *interpreters: Interpreter, with_roots: bool = True
) -> dict[tuple[str, str], Target]:
    """Make targets, by folder and section."""
    notes = [InterpreterNote(path=one.path, interpreter=one) for one in interpreters or (OLD, NEW)]
    found = make_targets(notes, policy_of(text), with_roots=with_roots)
    named = {(target.interpreter.directory, target.section): target for target in found}
    assert len(named) == len(found)
    return named


class TestShares:
    def test_without_sections_a_target_has_all_of_it(self) -> None:
        assert Target(interpreter=OLD).share_of("/srv/app/a.py") == "/srv/app/a.py"

    def test_what_is_anothers_is_not_its(self) -> None:
        target = Target(interpreter=OLD, elsewhere=frozenset({"/srv/app"}))
        assert target.share_of("/srv/app") is None
        assert target.share_of("/srv/app/a.py") is None
        assert target.share_of("/srv/application/a.py") == "/srv/application/a.py"
        assert target.share_of("/srv") == "/srv"

    @pytest.mark.parametrize(
        ("path", "share"),
        [
            ("/srv/app", "/srv/app"),
            ("/srv/app/a.py", "/srv/app/a.py"),
            ("/srv", "/srv/app"),
            ("/", "/srv/app"),
            ("/srv/application", None),
            ("/opt", None),
            ("/srv/app/deeper/a.py", None),
        ],
    )
    def test_a_sections_target_has_what_is_below_it(self, path: str, share: str | None) -> None:
        deeper = frozenset({"/srv/app/deeper"})
        target = Target(interpreter=OLD, section="/srv/app", elsewhere=deeper)
        assert target.share_of(path) == share

    @pytest.mark.parametrize("path", ["/srv/app", "/srv/app/a/b.py", "/srv"])
    def test_where_sources_are_counted_it_is_the_whole_root(self, path: str) -> None:
        target = Target(interpreter=OLD, section="/srv/app", terms=Terms(owner=1000))
        assert target.share_of(path) == "/srv/app"
        assert target.share_of("/opt") is None


class TestTargets:
    def test_each_folder_has_its_interpreters_own_roots(self) -> None:
        targets = targets_of()
        assert list(targets) == [("3.11", ""), ("3.13", "")]
        assert targets["3.11", ""].roots == (
            "/usr/lib/python3.11",
            "/usr/lib/python3/dist-packages",
        )
        assert targets["3.13", ""].roots == (
            "/usr/lib/python3.13",
            "/usr/lib/python3/dist-packages",
        )
        assert targets["3.11", ""].terms == Terms()

    def test_what_cannot_be_used_has_none(self) -> None:
        refused = InterpreterNote(path="/x", interpreter=OLD, refusal=(Reason.EXCLUDED, ""))
        broken = InterpreterNote(path="/y", refusal=(Reason.BROKEN, ""))
        assert make_targets([refused, broken], policy_of()) == []

    def test_two_interpreters_of_one_kind_share_a_folder(self) -> None:
        other = OLD._replace(path="/opt/bin/python3.11", library=("/opt/lib/python3.11",), site=())
        (target,) = targets_of("", OLD, other).values()
        assert target.interpreter is OLD
        assert "/opt/lib/python3.11" in target.roots

    def test_two_of_different_kinds_do_not(self) -> None:
        notes = [
            InterpreterNote(path=one.path, interpreter=one)
            for one in (OLD, OLD._replace(path="/x", magic=b"\0\0\r\n"))
        ]
        (target,) = make_targets(notes, policy_of())
        assert target.interpreter is OLD
        assert notes[1].refusal is not None
        assert notes[1].refusal[0] is Reason.CONFLICT

    def test_the_policys_roots_are_added_or_replace_them(self) -> None:
        added = targets_of("roots += /srv/app\n", OLD)["3.11", ""]
        assert added.roots == (*OLD.library, *OLD.site, "/srv/app")
        assert targets_of("roots = /srv/app\n", OLD)["3.11", ""].roots == ("/srv/app",)
        assert targets_of("roots =\n", OLD)["3.11", ""].roots == ()

    def test_what_lies_in_anothers_library_is_the_others(self) -> None:
        targets = targets_of("roots = /usr/lib/python3.11/x /srv/app\n")
        assert targets["3.11", ""].roots == ("/usr/lib/python3.11/x", "/srv/app")
        assert targets["3.13", ""].roots == ("/srv/app",)

    def test_patterns_are_looked_up(self, tmp_path: Path) -> None:
        for name in ("b/lib", "a/lib", "c"):
            (tmp_path / name).mkdir(parents=True)
        target = targets_of(f"roots = {tmp_path}/*/lib {tmp_path}/nothing/*\n", OLD)["3.11", ""]
        assert target.roots == (f"{tmp_path}/a/lib", f"{tmp_path}/b/lib")

    def test_terms_are_the_policys_for_the_interpreter(self) -> None:
        text = (
            "optimize = 2 0\n[python cpython3.11]\ninvalidation = checked-hash\n"
            "[python pypy]\noptimize = 1\nexclude = /srv\n"
        )
        targets = targets_of(text, OLD, PYPY)
        assert targets["3.11", ""].terms == Terms(
            levels=(0, 2), invalidation=Invalidation.CHECKED_HASH
        )
        terms = targets["pypy3.11", ""].terms
        assert (terms.levels, terms.invalidation) == ((1,), Invalidation.AUTO)
        assert terms.excluded is not None
        assert terms.excluded("/srv/a.py") == "the policy excludes /srv"

    def test_without_roots_the_policys_do_not_count(self) -> None:
        text = "roots = /srv/app\noptimize = 1\n[root /srv/x]\noptimize = 2\n"
        targets = targets_of(text, OLD, with_roots=False)
        assert list(targets) == [("3.11", "")]
        target = targets["3.11", ""]
        assert target.roots == (*OLD.library, *OLD.site)
        assert target.elsewhere == frozenset()
        assert target.terms.levels == (1,)


class TestSections:
    TEXT = (
        "roots = auto /srv\noptimize = 0\n"
        "[root /srv/app]\nowner = 1000\noptimize = 1\nmax-bytes = 1M\n"
        "[root /srv/app/plugins]\nexclude = /srv/app/plugins/x\n"
        "[root /usr/lib/python3.11/app]\n"
    )

    def test_each_is_a_target_of_its_own_for_each_interpreter_that_it_is_for(self) -> None:
        assert set(targets_of(self.TEXT)) == {
            ("3.11", ""),
            ("3.11", "/srv/app"),
            ("3.11", "/srv/app/plugins"),
            ("3.11", "/usr/lib/python3.11/app"),
            ("3.13", ""),
            ("3.13", "/srv/app"),
            ("3.13", "/srv/app/plugins"),
        }

    def test_no_source_is_two_targets(self) -> None:
        targets = [t for key, t in targets_of(self.TEXT).items() if key[0] == "3.11"]
        for place in (
            "/srv",
            "/srv/app",
            "/srv/app/plugins",
            *OLD.library,
            f"{OLD.library[0]}/app",
        ):
            assert len([1 for target in targets if target.share_of(f"{place}/a.py")]) == 1

    def test_its_terms_are_its_own(self) -> None:
        targets = targets_of(self.TEXT)
        terms = targets["3.11", "/srv/app"].terms
        assert (terms.owner, terms.levels) == (1000, (1,))
        assert (terms.max_files, terms.max_bytes) == (10000, 1 << 20)
        plain = targets["3.11", ""].terms
        assert (plain.owner, plain.max_files, plain.max_bytes) == (0, None, None)

    def test_a_root_inside_another_inherits_its_terms(self) -> None:
        terms = targets_of(self.TEXT)["3.11", "/srv/app/plugins"].terms
        assert (terms.owner, terms.levels) == (1000, (1,))

    def test_the_root_of_a_section_is_no_others(self) -> None:
        targets = targets_of("roots = /srv/app /opt/x\n[root /srv/app]\noptimize = 1\n", OLD)
        assert targets["3.11", ""].roots == ("/opt/x",)
        assert targets["3.11", "/srv/app"].roots == ("/srv/app",)

    def test_those_who_are_not_wanted_there_exclude_all_of_it(self) -> None:
        targets = targets_of("[root /srv/app]\ninterpreters = >=3.12\n")
        assert targets["3.13", "/srv/app"].terms.excluded is None
        excluded = targets["3.11", "/srv/app"].terms.excluded
        assert excluded is not None
        assert excluded("/srv/app/a.py") == "the policy has it for other interpreters"

    def test_an_interpreter_is_wanted_by_its_path_too(self, tmp_path: Path) -> None:
        link = tmp_path / "python"
        link.symlink_to(NEW.path)
        targets = targets_of(f"[root /srv/app]\ninterpreters = {link}\n")
        assert targets["3.11", "/srv/app"].terms.excluded is not None
        assert targets["3.13", "/srv/app"].terms.excluded is None

    def test_named_paths_are_divided_among_them(self, tmp_path: Path) -> None:
        for name in ("app/a.py", "other/b.py"):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).touch()
        targets = targets_of(f"[root {tmp_path}/app]\nowner = 1000\n[root {tmp_path}/other]\n", OLD)
        assert name_paths(list(targets.values()), [str(tmp_path / "app/a.py")], Mounts()) == []
        assert targets["3.11", ""].listed == {}
        assert targets["3.11", f"{tmp_path}/app"].roots == (f"{tmp_path}/app",)
        assert targets["3.11", f"{tmp_path}/other"].roots == ()
        assert name_paths(list(targets.values()), [str(tmp_path)], Mounts()) == []
        assert targets["3.11", ""].roots == (str(tmp_path),)
        assert targets["3.11", f"{tmp_path}/other"].roots == (f"{tmp_path}/other",)

    def test_so_are_a_packages_sources(self) -> None:
        targets = targets_of("[root /srv/app]\noptimize = 1\n[root /opt/x]\nowner = 1000\n", OLD)
        name_sources(list(targets.values()), ["/srv/app/a.py", "/srv/b.py", "/opt/x/c.py"])
        assert targets["3.11", ""].listed == {"/srv": ["b.py"]}
        assert targets["3.11", "/srv/app"].listed == {"/srv/app": ["a.py"]}
        assert targets["3.11", "/opt/x"].listed == {}
        assert "/opt/x" in targets["3.11", "/opt/x"].roots


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory that is searched, with interpreters 3.98, 3.99 and a pypy3.11 in it."""
    monkeypatch.setattr(found, "SEARCHED", (str(tmp_path),))
    for name, version, implementation in (
        ("python3.98", [3, 98, 0], "cpython"),
        ("python3.99", [3, 99, 0], "cpython"),
        ("pypy3.11", [3, 11, 0], "pypy"),
    ):
        library = tmp_path / "lib" / name
        library.mkdir(parents=True)
        path = tmp_path / name
        answer = WHO | {
            "version": version, "implementation": implementation, "binary": str(path),
            "library": [str(library)], "site": [], "libraries": [], "environment": "",
        }  # fmt: skip
        pretend(path, answer)
    return tmp_path


class TestWhoTakesPart:
    @staticmethod
    def chosen(
        text: str, paths: Sequence[str] = (), specifiers: Sequence[str] = ()
    ) -> tuple[set[str], set[str]]:
        """Return the names of those who take part, and of those that the policy leaves out."""
        admits = [parse_specifier(one).admits for one in specifiers]
        notes = select_interpreters(paths, admits, ACCESS, policy_of(text))
        used = {os.path.basename(note.path) for note in notes if note.refusal is None}
        left = {os.path.basename(note.path) for note in notes if note.refusal is not None}
        assert all(note.refusal[0] is Reason.EXCLUDED for note in notes if note.refusal)
        return used, left

    @pytest.mark.usefixtures("programs")
    def test_without_a_policy_all_that_are_found(self) -> None:
        assert self.chosen("") == ({"python3.98", "python3.99", "pypy3.11"}, set())

    @pytest.mark.parametrize(
        ("wanted", "used"),
        [
            ("auto", {"python3.98", "python3.99", "pypy3.11"}),
            ("3.99", {"python3.99"}),
            (">=3.98", {"python3.98", "python3.99"}),
            ("pypy 3.98", {"python3.98", "pypy3.11"}),
            ("", set()),
        ],
    )
    @pytest.mark.usefixtures("programs")
    def test_the_policy_leaves_some_out(self, wanted: str, used: set[str]) -> None:
        everyone = {"python3.98", "python3.99", "pypy3.11"}
        assert self.chosen(f"interpreters = {wanted}\n") == (used, everyone - used)

    def test_beside_one_that_is_named_by_path_the_others_are_left_out(self, programs: Path) -> None:
        other = programs / "lib" / "python3.97"
        pretend(other, WHO | {"version": [3, 97, 0], "binary": str(other), "environment": ""})
        everyone = {"python3.98", "python3.99", "pypy3.11"}
        assert self.chosen(f"interpreters = {other}\n") == ({"python3.97"}, everyone)
        assert self.chosen(f"interpreters = {other} pypy\n") == (
            {"python3.97", "pypy3.11"},
            {"python3.98", "python3.99"},
        )

    def test_the_command_line_overrides_the_policy(self, programs: Path) -> None:
        text = "interpreters = pypy\n"
        assert self.chosen(text, [str(programs / "python3.98")]) == ({"python3.98"}, set())
        assert self.chosen(text, [], ["3.99"]) == ({"python3.99"}, set())

    @pytest.mark.usefixtures("programs")
    def test_a_version_that_nobody_has_is_an_error(self) -> None:
        with pytest.raises(UsageError, match="no interpreter has a version") as caught:
            self.chosen("", [], ["3.5"])
        assert "3.98" in caught.value.hint

    def test_one_that_does_not_answer_stays_told(self, programs: Path) -> None:
        pretend(programs / "python3.97", "nonsense")
        notes = select_interpreters((), (), ACCESS, policy_of("interpreters = 3.99\n"))
        reasons = {os.path.basename(n.path): n.refusal and n.refusal[0] for n in notes}
        assert reasons["python3.97"] is Reason.BROKEN
        assert reasons["python3.98"] is Reason.EXCLUDED
        assert reasons["python3.99"] is None

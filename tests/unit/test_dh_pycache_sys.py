"""The helper of the debhelper add-on: versions, directories, exclusions, and what it writes."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core.model import Interpreter
from pycache_sys.policy.exclusion import Pattern
from pycache_sys.policy.files import REGISTRY, problems_of_text
from pycache_sys.policy.keys import EXCLUDE, INTERPRETERS, ROOT
from pycache_sys.policy.model import Policy, subject_of
from pycache_sys.policy.parse import Parser
from pycache_sys_runtime.pythons import match_python

DEBIAN = Path(__file__).parents[2] / "debian"
MANUAL = DEBIAN / "dh_pycache_sys.1"
PAGE = Path(__file__).parents[2] / "docs" / "debhelper.md"
PLUGIN = DEBIAN / "debputy" / "pycache-sys.json"
MULTIARCH = "x86_64-linux-gnu"
NAMES = ("gizmo", "gizmo-data", "python3-gizmo")
MINORS = range(7, 17)


def load() -> ModuleType:
    """Load the program, which has no suffix, and leave no bytecode beside it."""
    module = ModuleType("dh_pycache_sys")
    sys.modules[module.__name__] = module  # its values look their module up
    path = DEBIAN / "dh_pycache_sys"
    exec(compile(path.read_text(), path, "exec"), module.__dict__)  # noqa: S102 - our own program
    return module


helper = load()


def policy_of(text: str) -> Policy:
    """Read a file as packages' files are read; nothing in it may be wrong."""
    parser = Parser(lambda *_: None, {key.name: key for key in (INTERPRETERS, EXCLUDE)}, (ROOT,))
    parser.read(f"{REGISTRY}/gizmo.conf", text)
    assert parser.problems == []
    assert list(problems_of_text("", text)) == []
    return parser.policy(())


def admitted(words: str) -> list[int]:
    """List the minor versions of Python 3 that a policy's words let in; all for none."""
    return [
        minor
        for minor in MINORS
        if not words
        or any(match_python(word, "cpython", (3, minor, 4)) > 0 for word in words.split())
    ]


class TestVersions:
    @pytest.mark.parametrize(
        ("field", "words"),
        [
            ("", ""),
            ("-", ""),
            (">= 3.9", ">=3.9"),
            (">=3.9", ">=3.9"),
            (">= 3.9, << 3.13", ">=3.9,<3.13"),
            (">=3.9,<<3.13", ">=3.9,<3.13"),
            ("<< 3.13, >= 3.9", ">=3.9,<3.13"),
            (">= 3.9,\n << 3.13", ">=3.9,<3.13"),
            (">= 3.9,", ">=3.9"),
            ("<< 3.13", "<3.13"),
            ("<= 3.12", "<3.13"),
            (">> 3.9", ">=3.10"),
            (">= 3.9, >= 3.11", ">=3.11"),
            ("<< 3.12, << 3.14", "<3.12"),
            (">= 3.9.2", ">=3.9"),
            ("<< 4", "<4"),
            (">= 3", ">=3"),
            (">= 3.9, << 4.0", ">=3.9,<4.0"),
            ("3.11", "3.11"),
            ("= 3.11", "3.11"),
            ("3.11.2", "3.11"),
            ("3.10, 3.9", "3.9 3.10"),
            ("3.11, 3.13", "3.11 3.13"),
            ("3", "3"),
            ("3.11-", ">=3.11"),
            ("-3.12", "<3.12"),
            ("3.9-3.12", ">=3.9,<3.12"),
            ("3.9 - 3.12", ">=3.9,<3.12"),
            ("3.9-4.0", ">=3.9,<4.0"),
            ("3.11-3.11", "3.11"),
        ],
    )
    def test_a_field_becomes_the_policys_words(self, field: str, words: str) -> None:
        assert helper.interpreters(field) == words
        if words:
            found = policy_of(f"[root /usr/share/gizmo]\ninterpreters = {words}\n")
            assert found.settings[-1].value == tuple(words.split())

    @pytest.mark.parametrize(
        "field",
        [
            "all",
            "current",
            "> 3.9",
            "< 3.9",
            ">= 3.9 << 3.13",
            ">= 3.x",
            "3.9, >= 3.11",
            "3.12-3.9",
            "-3.9-3.12",
            ">= 3.13, << 3.9",
            ">= 3.9, << 3.9",
            "3.9--3.12",
            "~3.9",
            "3.9; rm",
            "3.123456",
        ],
    )
    def test_what_is_not_understood_is_said(self, field: str) -> None:
        with pytest.raises(ValueError, match=r"is neither|has two|has both|no version is in"):
            helper.interpreters(field)

    @given(st.sampled_from(MINORS), st.sampled_from(MINORS))
    def test_a_range_has_its_first_version_and_not_its_last(self, low: int, high: int) -> None:
        if low < high:
            for field in (f">= 3.{low}, << 3.{high}", f"3.{low}-3.{high}"):
                assert admitted(helper.interpreters(field)) == list(range(low, high))

    @given(st.lists(st.sampled_from(MINORS), min_size=1, unique=True))
    def test_a_list_has_its_versions_and_no_other(self, minors: list[int]) -> None:
        field = ", ".join(f"3.{minor}" for minor in minors)
        assert admitted(helper.interpreters(field)) == sorted(minors)

    @given(st.text(alphabet="0123456789.,-<>= \t\nx", max_size=20))
    def test_the_policy_understands_whatever_becomes_of_a_field(self, field: str) -> None:
        try:
            words = helper.interpreters(field)
        except ValueError:
            return
        if words:
            policy_of(f"[root /usr/share/gizmo]\ninterpreters = {words}\n")


class TestControl:
    @pytest.mark.parametrize(
        ("control", "value"),
        [
            ("Source: gizmo\nX-Python3-Version: >= 3.9\n", ">= 3.9"),
            ("Source: gizmo\nx-python3-VERSION:>=3.9\n", ">=3.9"),
            ("\n# a comment\n\nSource: gizmo\nX-Python3-Version: 3.9-\n", "3.9-"),
            ("X-Python3-Version: >= 3.9,\n# why\n << 3.13\nSource: gizmo\n", ">= 3.9, << 3.13"),
            ("X-Python3-Version:\n >= 3.9,\n << 3.13\n", " >= 3.9, << 3.13"),
            ("Source: gizmo\n\nPackage: gizmo\nX-Python3-Version: 3.9\n", ""),
            ("Source: gizmo\nDescription: x\n X-Python3-Version: 3.9\n", ""),
            ("", ""),
        ],
    )
    def test_the_field_of_the_source_counts(self, control: str, value: str) -> None:
        assert helper.source_field(control, "X-Python3-Version") == value


def chosen(*sources: str, scripts: Sequence[str] = (), multiarch: str = MULTIARCH) -> list[str]:
    """Choose the directories for these sources."""
    found: list[str] = helper.private_directories(sources, set(scripts), NAMES, multiarch)
    return found


class TestDirectories:
    @pytest.mark.parametrize(
        "directory",
        [
            "/usr/share/gizmo",
            "/usr/share/gizmo-data",
            "/usr/share/games/gizmo",
            "/usr/lib/gizmo",
            "/usr/lib/games/gizmo",
            f"/usr/lib/{MULTIARCH}/gizmo",
            "/usr/libexec/gizmo",
            "/usr/games/gizmo",
        ],
    )
    @pytest.mark.parametrize("source", ["a.py", "deep/down/a.py", "examples/a.py"])
    def test_one_with_the_name_of_a_package_counts_as_a_whole(
        self, directory: str, source: str
    ) -> None:
        path = f"{directory}/{source}"
        assert chosen(path) == [directory]
        assert chosen(path, scripts=[path]) == [directory]

    @pytest.mark.parametrize(
        ("sources", "directory"),
        [
            (["a.py"], "/usr/lib/gedit"),
            (["plugins/a.py"], "/usr/lib/gedit/plugins"),
            (["plugins/a/x.py", "plugins/b/y.py"], "/usr/lib/gedit/plugins"),
            (["plugins/a/x.py", "plugins/ab/y.py"], "/usr/lib/gedit/plugins"),
            (["plugins/a.py", "data/b.py"], "/usr/lib/gedit"),
        ],
    )
    def test_of_one_with_another_name_counts_what_holds_all_modules(
        self, sources: list[str], directory: str
    ) -> None:
        assert chosen(*(f"/usr/lib/gedit/{source}" for source in sources)) == [directory]

    def test_programs_alone_do_not_make_a_directory_of_another_name_count(self) -> None:
        program, module = "/usr/lib/git-core/git-p4.py", "/usr/lib/git-core/more/p4.py"
        assert chosen(program, scripts=[program]) == []
        assert chosen(program, module, scripts=[program]) == ["/usr/lib/git-core/more"]

    @pytest.mark.parametrize(
        "path",
        [
            "/usr/lib/python3/dist-packages/gizmo/a.py",
            "/usr/lib/python3.13/gizmo.py",
            "/usr/lib/python3.13t/gizmo.py",
            "/usr/lib/python2.7/dist-packages/gizmo.py",
            "/usr/lib/pypy3/dist-packages/gizmo.py",
            "/usr/lib/pypy3.11/gizmo.py",
            "/usr/local/lib/python3.13/dist-packages/gizmo.py",
            "/usr/local/share/gizmo/a.py",
            "/opt/gizmo/a.py",
            "/etc/gizmo/a.py",
            "/var/lib/gizmo/a.py",
            "/srv/gizmo/a.py",
            "/usr/src/gizmo/a.py",
            "/usr/include/gizmo/a.py",
            "/usr/bin/gizmo.py",
            "/usr/share/gizmo.py",
            "/usr/lib/gizmo.py",
            f"/usr/lib/{MULTIARCH}/gizmo.py",
            "/usr/games/gizmo.py",
            "/usr/share/doc/gizmo/examples/a.py",
            "/usr/share/bug/gizmo/a.py",
            "/usr/share/man/gizmo/a.py",
            "/usr/lib/debug/usr/lib/libgizmo.so-gdb.py",
            "/usr/share/gdb/auto-load/usr/lib/libgizmo.so-gdb.py",
            "/gizmo/a.py",
            "/a.py",
        ],
    )
    def test_others_are_not_private_directories_of_packages(self, path: str) -> None:
        assert chosen(path) == []

    def test_without_the_name_of_the_architecture_its_directory_is_like_any_other(self) -> None:
        path = f"/usr/lib/{MULTIARCH}/gizmo/a.py"
        assert chosen(path, multiarch="") == [f"/usr/lib/{MULTIARCH}/gizmo"]
        assert chosen(path) == [f"/usr/lib/{MULTIARCH}/gizmo"]

    def test_they_are_sorted_and_each_stands_once(self) -> None:
        sources = [
            f"{top}/{name}.py" for top in ("/usr/share/gizmo", "/usr/lib/gizmo") for name in "ba"
        ]
        assert (
            chosen(*sources) == chosen(*reversed(sources)) == ["/usr/lib/gizmo", "/usr/share/gizmo"]
        )

    @pytest.mark.parametrize(
        ("text", "directory"),
        [
            ("/usr/share/foo", "/usr/share/foo"),
            ("usr/share/foo/", "/usr/share/foo"),
            ("//usr//share/./foo", "/usr/share/foo"),
            ("/usr/share/bar/../foo", "/usr/share/foo"),
            ("/opt/foo", "/opt/foo"),
            ("/srv/foo", "/srv/foo"),
            ("/usr/lib/python3-foo", "/usr/lib/python3-foo"),
            ("/usr/share/python3", "/usr/share/python3"),
        ],
    )
    def test_one_that_is_named_may_be_anywhere(self, text: str, directory: str) -> None:
        assert helper.named_directory(text, MULTIARCH) == directory

    @pytest.mark.parametrize(
        "text",
        [
            *("/", "", ".", "..", "usr", "/usr/", "/usr/share", "/usr/lib", "/usr/lib/games"),
            *("/usr/games", "/usr/libexec", "/usr/local", "/opt", "/etc", "/var", "/srv"),
            *(f"/usr/lib/{MULTIARCH}", "/usr/lib/python3", "/usr/lib/python3.13"),
            *("/usr/lib/python3/dist-packages/foo", "/usr/lib/pypy3/dist-packages"),
            "/usr/local/lib/python3.13/dist-packages",
        ],
    )
    def test_what_belongs_to_others_too_is_refused(self, text: str) -> None:
        with pytest.raises(helper.RequestError, match=r"for many packages|searched by interp"):
            helper.named_directory(text, MULTIARCH)


class TestExclusions:
    SOURCES = (
        "/usr/share/gizmo/a.py",
        "/usr/share/gizmo/templates/b.py",
        "/usr/share/gizmo/templates/deep/c.py",
        "/usr/share/gizmo/x/templates.py",
        "/usr/share/gizmo/x/y/d_tmpl.py",
    )

    @pytest.mark.parametrize(
        ("items", "excluded"),
        [
            ([], []),
            (["nothing"], []),
            (["templates"], ["/usr/share/gizmo/templates", "/usr/share/gizmo/x/templates.py"]),
            (["templates/"], ["/usr/share/gizmo/templates"]),
            (["/templates/"], ["/usr/share/gizmo/templates"]),
            (["/usr/share/gizmo/templates"], ["/usr/share/gizmo/templates"]),
            (["gizmo/temp"], ["/usr/share/gizmo/templates"]),
            (["deep"], ["/usr/share/gizmo/templates/deep"]),
            (["deep", "templates/"], ["/usr/share/gizmo/templates"]),
            (["x/y"], ["/usr/share/gizmo/x/y"]),
            (["_tmpl.py"], ["/usr/share/gizmo/x/y/d_tmpl.py"]),
            (["a.py"], ["/usr/share/gizmo/a.py"]),
            ([".*"], []),
        ],
    )
    def test_an_item_takes_away_what_it_is_part_of(
        self, items: list[str], excluded: list[str]
    ) -> None:
        assert helper.exclusions("/usr/share/gizmo", self.SOURCES, items) == excluded

    @pytest.mark.parametrize("item", ["gizmo", "/", "usr/share", "/usr/share/gizmo/", ".", "s"])
    def test_an_item_can_take_away_all(self, item: str) -> None:
        whole = item != "."
        found = helper.exclusions("/usr/share/gizmo", self.SOURCES, [item])
        assert (found is None) == whole
        if not whole:
            assert found == sorted(self.SOURCES)

    @given(
        st.lists(st.lists(st.sampled_from(["a", "b", "ab", "c*", "d e"]), min_size=1, max_size=3)),
        st.text(alphabet="abc*d e/.py", min_size=1, max_size=5),
    )
    def test_the_policy_excludes_just_the_sources_that_debhelper_would(
        self, names: list[list[str]], item: str
    ) -> None:
        top = "/usr/share/gizmo"
        sources = [f"{top}/{'/'.join(parts)}.py" for parts in names]
        excluded = helper.exclusions(top, sources, [item])
        if excluded is None:
            assert item in f"{top}/"
            return
        policy = policy_of(helper.section(top, "", excluded))
        patterns = [Pattern(text) for setting in policy.settings for text in setting.value]
        covered = [path for path in sources if any(p.covers(path) for p in patterns)]
        assert covered == [path for path in sources if item in path]


class TestFile:
    def test_a_directory_becomes_a_section_of_the_policy(self) -> None:
        text = helper.section(
            "/usr/share/gizmo", ">=3.9,<3.13", ["/usr/share/gizmo/a b", "/usr/x[1]"]
        )
        assert text == (
            "[root /usr/share/gizmo]\n"
            "interpreters = >=3.9,<3.13\n"
            'exclude += "/usr/share/gizmo/a b"\n'
            "exclude += /usr/x[[]1]\n"
        )
        policy = policy_of(text)
        view = policy.view(subject_of(INTERPRETER, "/usr/share/gizmo"))
        assert policy.roots == ("/usr/share/gizmo",)
        assert view[INTERPRETERS] == (">=3.9,<3.13",)
        assert view[EXCLUDE] == ("/usr/share/gizmo/a b", "/usr/x[[]1]")

    def test_a_section_alone_registers_its_directory(self) -> None:
        assert policy_of(helper.section("/usr/share/my gizmo", "", [])).roots == (
            "/usr/share/my gizmo",
        )

    @pytest.mark.parametrize(
        "name", ["a*", "a?", "[a]", "a  b", "a ", "a #b", 'a"b', "a\nb", "\udcff"]
    )
    def test_a_name_that_the_format_cannot_hold_is_refused(self, name: str) -> None:
        with pytest.raises(helper.RequestError, match="cannot be registered"):
            helper.section(f"/usr/share/{name}", "", [])

    @given(
        st.text(
            st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"),
            min_size=1,
            max_size=6,
        )
    )
    def test_whatever_is_not_refused_is_read_back(self, name: str) -> None:
        directory = f"/usr/share/{name}"
        try:
            text = helper.section(directory, "", [])
        except helper.RequestError:
            return
        if os.path.normpath(directory) == directory:
            assert policy_of(text).roots == (directory,)


INTERPRETER = Interpreter(
    path="/usr/bin/python3.11",
    binary="/usr/bin/python3.11",
    version=(3, 11, 2),
    implementation="cpython",
    cache_tag="cpython-311",
    magic=b"\xa7\r\r\n",
    directory="3.11",
    environment="",
    library=(),
    site=(),
)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a source package with one binary package; return where that is built."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/control").write_text("Source: gizmo\nX-Python3-Version: >= 3.9\n")
    place(
        tmp_path / "debian/gizmo", {"usr/share/gizmo/a.py": "", "DEBIAN/usr/share/gizmo/b.py": ""}
    )
    return tmp_path / "debian/gizmo"


def place(top: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)


def run(
    monkeypatch: pytest.MonkeyPatch, *, file: str = "", qualifier: str = "", **request: Any
) -> int:
    """Run the program as if debhelper had read such a command line."""
    package = helper.Package(name="gizmo", build="debian/gizmo", file=file, qualifier=qualifier)
    asked = helper.Request(packages=[package], names=NAMES, multiarch=MULTIARCH, **request)
    monkeypatch.setattr(helper, "ask", lambda _arguments: asked)
    status: int = helper.main([])
    return status


CONF = f"{REGISTRY}/gizmo.conf".lstrip("/")
REGISTERED = "# Written by dh_pycache_sys(1).\n[root /usr/share/gizmo]\ninterpreters = >=3.9\n"


class TestRun:
    def test_it_writes_what_it_finds(self, build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert run(monkeypatch) == 0
        assert (build / CONF).read_text() == REGISTERED
        assert (build / CONF).stat().st_mode & 0o7777 == 0o644

    def test_a_package_of_several_architectures_has_a_file_for_each(
        self, build: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for qualifier in (":amd64", ":arm64"):
            assert run(monkeypatch, qualifier=qualifier) == 0
            name = CONF.replace("gizmo.conf", f"gizmo{qualifier}.conf")
            assert (build / name).read_text() == REGISTERED

    def test_a_second_run_comes_to_the_same(
        self, build: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert [run(monkeypatch), run(monkeypatch)] == [0, 0]
        assert (build / CONF).read_text() == REGISTERED

    def test_a_package_without_private_sources_gets_no_file(
        self, build: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        shutil.rmtree(build)
        assert run(monkeypatch) == 0
        place(build, {"usr/bin/gizmo": "", "usr/share/doc/gizmo/a.py": ""})
        assert run(monkeypatch) == 0
        assert not (build / CONF).parent.parent.exists()
        assert capfd.readouterr() == ("", "")

    def test_without_acting_it_shows_what_it_would_write(
        self, build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(monkeypatch, flags=["no-act"]) == 0
        assert not (build / CONF).exists()
        shown = capsys.readouterr().out
        assert f"debian/gizmo/{CONF}\n" in shown
        assert "    [root /usr/share/gizmo]\n" in shown

    def test_directories_that_are_named_replace_those_that_are_found(
        self, build: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place(build, {"opt/gizmo/b.py": "", "opt/gizmos/c.py": ""})
        assert run(monkeypatch, directories=["opt/gizmo/", "/opt/gizmo"]) == 0
        assert policy_of((build / CONF).read_text()).roots == ("/opt/gizmo",)

    def test_a_directory_that_no_package_has_is_said(
        self, build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(monkeypatch, directories=["/usr/share/gizmo", "/usr/share/none"]) == 0
        assert policy_of((build / CONF).read_text()).roots == ("/usr/share/gizmo",)
        assert "no Python source in /usr/share/none of gizmo" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["gizmo.conf", "other.conf"])
    def test_a_package_that_brings_a_file_keeps_it(
        self,
        name: str,
        build: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        own = f"{REGISTRY}/{name}".lstrip("/")
        place(build, {own: "[root /usr/share/gizmo/own]\n"})
        assert run(monkeypatch) == 0
        assert os.listdir((build / own).parent) == [name]
        assert (build / own).read_text() == "[root /usr/share/gizmo/own]\n"
        assert f"{own} is there already, and is kept" in capsys.readouterr().out

    def test_what_the_maintainer_wrote_is_installed_as_it_is(
        self, build: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = "# mine\n[root /usr/share/gizmo/a]\n"
        place(build.parent, {"gizmo.pycache-sys": text})
        for _ in range(2):
            assert run(monkeypatch, file="debian/gizmo.pycache-sys") == 0
            assert (build / CONF).read_text() == text

    def test_a_field_that_is_not_understood_sets_no_limit(
        self, build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place(build.parent, {"control": "Source: gizmo\nX-Python3-Version: all\n"})
        assert run(monkeypatch) == 0
        assert "interpreters" not in (build / CONF).read_text()
        assert "X-Python3-Version: 'all' is neither" in capsys.readouterr().err

    def test_a_directory_that_is_excluded_as_a_whole_is_not_registered(
        self, build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(monkeypatch, exclude=["share/gizmo"]) == 0
        assert not (build / CONF).exists()
        assert "/usr/share/gizmo is excluded" in capsys.readouterr().out
        assert run(monkeypatch, exclude=["share/gizmo"], flags=["quiet"]) == 0
        assert capsys.readouterr().out == ""

    def test_a_strange_name_stops_only_who_asked_for_it(
        self, build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place(build, {"usr/share/gizmo[1]/a.py": ""})
        assert run(monkeypatch) == 0
        assert (build / CONF).read_text() == REGISTERED
        assert "warning: gizmo: '/usr/share/gizmo[1]' cannot be" in capsys.readouterr().err
        assert run(monkeypatch, directories=["/usr/share/gizmo[1]"]) == 2
        assert "error: '/usr/share/gizmo[1]' cannot be" in capsys.readouterr().err

    def test_links_are_sources_and_bytecode_is_none(
        self, build: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (build / "usr/lib/gizmo").mkdir(parents=True)
        (build / "usr/lib/gizmo/b.py").symlink_to("/usr/share/gizmo/a.py")
        (build / "usr/libexec").mkdir()
        (build / "usr/libexec/gizmo").symlink_to("/usr/share/gizmo")
        place(build, {"usr/games/gizmo/__pycache__/c.py": ""})
        assert run(monkeypatch) == 0
        assert policy_of((build / CONF).read_text()).roots == ("/usr/lib/gizmo", "/usr/share/gizmo")

    def test_a_file_that_cannot_be_read_is_named(
        self, build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (build.parent / "control").unlink()
        assert run(monkeypatch) == 2
        assert "error: debian/control: No such file" in capsys.readouterr().err

    def test_what_debhelper_answers_is_understood(self) -> None:
        answers = [
            ("flags", "", "no-act", ""),
            ("multiarch", MULTIARCH),
            ("names", "gizmo", "gizmo-data"),
            ("directories",),
            ("exclude", "a b", ""),
            ("package", "gizmo", "debian/gizmo", "debian/gizmo.pycache-sys", ":amd64"),
        ]
        request = helper.request_from("".join("\0".join(one) + "\x1e" for one in answers))
        assert "no-act" in request.flags
        assert (request.multiarch, request.names) == (MULTIARCH, ["gizmo", "gizmo-data"])
        assert (request.directories, request.exclude) == ([], ["a b"])
        (package,) = request.packages
        assert (package.name, package.build) == ("gizmo", "debian/gizmo")
        assert (package.file, package.qualifier) == ("debian/gizmo.pycache-sys", ":amd64")
        assert helper.request_from("").packages == []

    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help_needs_no_source_package(
        self, option: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert helper.main([option]) == 0
        assert "dh_pycache_sys(1)" in capsys.readouterr().out


class TestTexts:
    def test_the_program_and_debputy_agree_with_the_command_on_the_registry(self) -> None:
        (provided,) = json.loads(PLUGIN.read_text())["packager-provided-files"]
        assert f"/{helper.REGISTRY}" == REGISTRY
        assert provided["installed-path"] == REGISTRY + "/{name}.conf"
        assert f"pkgfile({provided['stem']})" in (DEBIAN / "dh_pycache_sys").read_text()

    @pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
    def test_the_manual_is_portable(self) -> None:
        command = ["mandoc", "-Tlint", "-W", "warning", MANUAL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")

    @pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
    def test_the_manual_formats_without_a_warning(self) -> None:
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MANUAL],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("page", [MANUAL, PAGE], ids=lambda page: page.name)
    def test_it_says_where_directories_are_looked_for_and_what_is_left_out(
        self, page: Path
    ) -> None:
        text = page.read_text().replace("\\-", "-")
        parents = [f"/{parent}" for parent in (*helper.LIBRARIES, *helper.SHARED)]
        assert [parent for parent in parents if parent not in text] == []
        if page is MANUAL:
            assert [top for top in helper.LEFT_OUT if top not in text] == []

    @pytest.mark.parametrize("page", [MANUAL, PAGE], ids=lambda page: page.name)
    def test_its_examples_of_registered_directories_are_right(self, page: Path) -> None:
        text = page.read_text().replace("\\-", "-")
        blocks = re.findall(
            r"^\.EX\n(.*?)^\.EE$|^```ini\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
        )
        files = [block for found in blocks for block in found if "[root" in block]
        assert files
        for file in files:
            assert policy_of(file).roots

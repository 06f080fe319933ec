"""Debian's rules for what is compiled, the programs' arguments, and their word to the wrapper."""

import os
import re
import sys
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.cli import drop_in, py3clean, py3compile
from pycache_sys.core import debian
from pycache_sys.core.debian import Range, Supported
from pycache_sys.core.errors import PycacheSysError

DIST = "/usr/lib/python3/dist-packages"
VERSIONS = st.tuples(st.just(3), st.integers(0, 40))


class TestRanges:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", Range()),
            ("-", Range()),
            ("3.11", Range((3, 11), (3, 11))),
            ("3.11-", Range((3, 11), None)),
            ("-3.13", Range(None, (3, 13))),
            ("3.11-3.13", Range((3, 11), (3, 13))),
            ("3.11-3.11", Range((3, 11), (3, 11))),
            ("3.9-4.0", Range((3, 9), (4, 0))),
            ("3.11 and more", Range((3, 11), (3, 11))),
        ],
    )
    def test_debians_are_read(self, text: str, expected: Range) -> None:
        assert debian.parse_range(text) == expected

    @pytest.mark.parametrize("text", [">=3.9", "current", "3", "3.13-3.11", "all", "--3.9"])
    def test_others_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="version range is invalid"):
            debian.parse_range(text)

    @given(VERSIONS, VERSIONS, VERSIONS)
    def test_the_end_is_not_in_it_unless_it_is_the_start(
        self, low: tuple[int, int], high: tuple[int, int], version: tuple[int, int]
    ) -> None:
        expected = version == low if low == high else low <= version < high
        assert Range(low, high).covers(version) == expected
        assert Range(low, None).covers(version) == (version >= low)
        assert Range(None, high).covers(version) == (version < high)
        assert Range().covers(version)


class TestSupported:
    TEXT = """\
[DEFAULT]
# the default python3 version
default-version = python3.13

supported-versions = python3.12, python3.13,python3.14
"""

    def test_the_release_says_which(self) -> None:
        found = debian.parse_supported(self.TEXT, {})
        assert found == Supported(((3, 12), (3, 13), (3, 14)), (3, 13))

    def test_the_environment_goes_before_it(self) -> None:
        environment = {"DEBPYTHON3_SUPPORTED": "3.9,3.10", "DEBPYTHON3_DEFAULT": "3.10"}
        found = debian.parse_supported(self.TEXT, environment)
        assert found == Supported(((3, 9), (3, 10)), (3, 10))

    @pytest.mark.parametrize("text", ["", "nonsense", "supported-versions = x, python3"])
    def test_nothing_is_known_of_what_says_nothing(self, text: str) -> None:
        assert debian.parse_supported(text, {}) == Supported()

    @pytest.mark.parametrize(
        ("versions", "preferred"),
        [
            ([(3, 12), (3, 13), (3, 14)], (3, 13)),
            ([(3, 12), (3, 14), (3, 15)], (3, 14)),
            ([(3, 11), (3, 12)], (3, 12)),
            ([(3, 9)], (3, 9)),
        ],
    )
    def test_private_modules_are_for_the_default_or_the_next_best(
        self, versions: list[tuple[int, int]], preferred: tuple[int, int]
    ) -> None:
        assert Supported((), (3, 13)).preferred(versions) == preferred
        assert Supported().preferred([(3, 9), (3, 10)]) == (3, 9)


class TestChoice:
    def test_public_modules_are_for_all_versions_or_for_their_own(self) -> None:
        own = "/usr/lib/python3.12/dist-packages/a.py"
        sources = [
            f"{DIST}/a.py",
            own,
            "/usr/lib/python3.2/site-packages/old.py",
            "/usr/share/gizmo/a.py",
            "/usr/lib/python3x/dist-packages/a.py",
            "/usr/lib/python3/dist-packages-more/a.py",
        ]
        chosen = debian.for_public(sources, [(3, 12), (3, 13)])
        assert chosen == {
            f"{DIST}/a.py": frozenset({(3, 12), (3, 13)}),
            own: frozenset({(3, 12)}),
        }

    def test_other_sources_are_for_all_versions(self) -> None:
        sources = ["/srv/a.py", "/usr/lib/python3.12/dist-packages/a.py"]
        assert debian.for_all(sources, [(3, 13)]) == {"/srv/a.py": frozenset({(3, 13)})}

    def test_what_is_below_is_told_by_directories(self) -> None:
        sources = ["/srv/a.py", "/srv/a/b.py", "/srv/ab/c.py"]
        assert debian.below(sources, "/srv/a") == ["/srv/a/b.py"]
        assert debian.below(sources, "/srv/a/") == ["/srv/a/b.py"]
        assert debian.below(sources, "/srv/a.py") == ["/srv/a.py"]
        assert debian.below(sources, "/") == sources

    def test_patterns_match_the_path_or_what_of_it_is_below(self) -> None:
        sources = ["/srv/a/tests/b.py", "/srv/a/c.py", "/srv/ab/tests/d.py"]
        for pattern in ("tests/", "/srv/a/tests", ".*tests"):
            left = debian.without(sources, [re.compile(pattern)], "/srv/a")
            assert left == ["/srv/a/c.py", "/srv/ab/tests/d.py"]
        assert debian.without(sources, [re.compile("ests")], "/srv/a/") == sources
        assert debian.without(sources, [], "/") == sources


class TestNamesOfBytecode:
    @pytest.mark.parametrize(
        ("name", "tag", "expected"),
        [
            ("a.cpython-311.pyc", "", True),
            ("a.cpython-311.opt-1.pyc", "", True),
            ("a.cpython-313t.pyc", "", True),
            ("a.pypy311.pyc", "", True),
            ("a.pypy3-72.pyc", "", True),
            ("a.cpython-311.pyc", "cpython-311", True),
            ("a.cpython-3110.pyc", "cpython-311", False),
            ("a.cpython-311.pyc", "cpython-31", False),
            ("a.pypy311.pyc", "pypy", True),
            ("a.cpython-311.pyc", "pypy", False),
            ("a.b.cpython-311.pyc", "", False),
            ("b.cpython-311.pyc", "", False),
            ("a.pyc", "", False),
            ("a.txt", "", False),
            ("a.cpython-311.pyc.1", "", False),
            ("a.something.pyc", "", False),
        ],
    )
    def test_only_a_sources_own_counts(self, name: str, tag: str, expected: bool) -> None:
        assert debian.bytecode_of(name, {"a"}, tag) == expected

    def test_stems_may_have_dots(self) -> None:
        assert debian.bytecode_of("a.b.cpython-311.pyc", {"a.b"}, "")


class Wrapper:
    """Stands where the sh script does: calls a program, and hears what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.said = b""

    def call(self, prepare: drop_in.Prepare, *arguments: str) -> int:
        reading, writing = os.pipe()
        self._monkeypatch.setattr(sys, "argv", ["-c", "py3compile", *arguments])
        try:
            status = drop_in.run(prepare, writing)
        finally:
            os.close(writing)
            self.said = os.read(reading, 100)
            os.close(reading)
        return int(status)


@pytest.fixture
def wrapper(monkeypatch: pytest.MonkeyPatch) -> Wrapper:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("DPKG_MAINTSCRIPT_PACKAGE", raising=False)
    return Wrapper(monkeypatch)


def acting(act: Callable[[], int]) -> drop_in.Prepare:
    return lambda _program, _arguments: act


def failing(error: BaseException) -> drop_in.Prepare:
    def act() -> int:
        raise error

    return acting(act)


class TestTheWord:
    def test_it_says_that_it_started_and_what_it_decided(self, wrapper: Wrapper) -> None:
        assert wrapper.call(acting(lambda: 1)) == 1
        assert wrapper.said == b"started 1"

    def test_it_says_nothing_to_leave_a_call_to_debians_own(self, wrapper: Wrapper) -> None:
        def prepare(_program: str, _arguments: Sequence[str]) -> Callable[[], int]:
            raise drop_in.LeftToDebianError

        assert wrapper.call(prepare) == 0
        assert wrapper.said == b""

    def test_it_says_nothing_where_it_is_not_root(
        self, wrapper: Wrapper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert wrapper.call(acting(lambda: 1)) == 0
        assert wrapper.said == b""

    def test_a_fault_of_its_own_is_not_hidden(self, wrapper: Wrapper) -> None:
        with pytest.raises(ZeroDivisionError):
            wrapper.call(failing(ZeroDivisionError()))
        assert wrapper.said == b"started"

    def test_calls_that_are_not_understood_have_a_status(self, wrapper: Wrapper) -> None:
        def prepare(_program: str, _arguments: Sequence[str]) -> Callable[[], int]:
            raise SystemExit(2)

        assert wrapper.call(prepare) == 2
        assert wrapper.said == b"started 2"

    @pytest.mark.parametrize(
        ("error", "by_hand", "in_a_script"),
        [
            (PycacheSysError("no", hint="try"), 1, 0),
            (OSError(28, "No space left on device"), 1, 0),
            (BrokenPipeError(), 1, 0),
            (drop_in.CallError("no", 3), 3, 3),
            (KeyboardInterrupt(), 130, 130),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    def test_in_a_maintainer_script_a_cache_is_no_reason_to_fail(
        self,
        wrapper: Wrapper,
        monkeypatch: pytest.MonkeyPatch,
        error: BaseException,
        by_hand: int,
        in_a_script: int,
    ) -> None:
        monkeypatch.setattr(os, "dup2", lambda *_: None)  # the tests' own output stays
        assert wrapper.call(failing(error)) == by_hand
        monkeypatch.setenv("DPKG_MAINTSCRIPT_PACKAGE", "gizmo")
        assert wrapper.call(failing(error)) == in_a_script
        assert wrapper.said == b"started %d" % in_a_script
        assert wrapper.call(acting(lambda: 1)) == 0

    def test_what_went_wrong_is_said(
        self, wrapper: Wrapper, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wrapper.call(failing(PycacheSysError("no", hint="try")))
        assert capsys.readouterr().err == "py3compile: no\n  try\n"


class TestArguments:
    @pytest.mark.parametrize(
        ("program", "arguments", "status"),
        [
            ("py3compile", [], 1),
            ("py3compile", ["-X", "a", "-p", "gizmo"], 2),
            ("py3compile", ["-X", "(", "/srv"], 2),
            ("py3compile", ["-V", ">=3.9", "/srv"], 2),
            ("py3compile", ["-E"], 2),
            ("py3compile", ["--help"], 0),
            ("py3compile", ["--version"], 0),
            ("pypy3compile", [], 2),
            ("pypy3compile", ["-q", "-v", "/srv"], 2),
            ("pypy3compile", ["-V", "x", "/srv"], 2),
            ("pypy3compile", ["-X", "(", "/srv"], 2),
            ("py3clean", [], 1),
            ("py3clean", ["-V", "x", "/srv"], 1),
            ("py3clean", ["-f"], 2),
            ("pypy3clean", [], 2),
            ("pypy3clean", ["-q", "-v", "/srv"], 2),
            ("pypy3clean", ["--version", "x", "/srv"], 2),
        ],
        ids=str,
    )
    def test_statuses_are_debians(self, program: str, arguments: list[str], status: int) -> None:
        module = py3clean if program.endswith("clean") else py3compile
        with pytest.raises(SystemExit) as ending:
            module._prepare(program, arguments)
        assert ending.value.code in ({status, None} if status == 0 else {status})

    def test_options_may_follow_arguments(self) -> None:
        for arguments in (
            ["-p", "gizmo", "/usr/share/gizmo", "-V", "-3.13"],
            ["/usr/share/gizmo", "-X", "-a", "-qfO"],
        ):
            assert callable(py3compile._prepare("py3compile", arguments))
        for arguments in (["/srv", "-V", "3.11"], ["-V", "-3.1", "-p", "gizmo"]):
            assert callable(py3clean._prepare("py3clean", arguments))
        for program in ("pypy3compile", "pypy3clean"):
            module = py3clean if program.endswith("clean") else py3compile
            assert callable(module._prepare(program, ["-p", "a", "-p", "b:amd64", "/srv"]))

    def test_another_place_of_exclusions_is_left_to_debians_own(self) -> None:
        for place in ("/usr/share/python3/bcep", "/usr/share/python3/bcep/"):
            py3compile._prepare("pypy3compile", ["--bcep-path", place, "/srv"])
        with pytest.raises(drop_in.LeftToDebianError):
            py3compile._prepare("pypy3compile", ["--bcep-path", "/srv/bcep", "/srv"])

    @pytest.mark.parametrize(
        ("text", "tag"), [("7.3", "pypy"), ("8.0.1", "pypy"), ("7.2", "pypy3-72")]
    )
    def test_versions_of_pypy_have_tags(self, text: str, tag: str) -> None:
        assert py3clean._pypy_tag(text) == tag

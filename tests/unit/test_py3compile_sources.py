"""Which sources a call names, and what cleaning them takes away beside them."""

from pathlib import Path

import pytest

from pycache_sys import py3clean
from pycache_sys import py3compile as use_case
from pycache_sys.core.report import Report
from pycache_sys.named_sources import NoSuchPackageError, sources_in, sources_of
from pycache_sys.packagers import dpkg
from pycache_sys.policy import load


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in ("a.py", "sub/b.py", "sub/__pycache__/c.py", "data.txt", "x.pyw"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.py").symlink_to("a.py")
    (tmp_path / "elsewhere").symlink_to("sub")
    return tmp_path


def test_a_place_is_a_directory_or_a_source(sources: Path) -> None:
    top = str(sources)
    assert sorted(sources_in(top)) == [
        f"{top}/a.py",
        f"{top}/link.py",
        f"{top}/sub/b.py",
    ]
    assert sources_in(f"{top}/a.py") == [f"{top}/a.py"]
    assert sources_in(f"{top}/data.txt") == []
    assert sources_in(f"{top}/nothing") == []


def test_relative_places_are_made_absolute(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sources)
    assert sources_in("sub/") == [f"{sources}/sub/b.py"]


def test_a_package_that_dpkg_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpkg, "files_of", lambda _: None)
    with pytest.raises(NoSuchPackageError, match="cannot get content of gizmo"):
        sources_of("gizmo")
    with pytest.raises(NoSuchPackageError):
        py3clean.choose(py3clean.Wanted(packages=["gizmo"]))


@pytest.mark.parametrize(
    ("text", "admitted"),
    [
        ("", {(3, 11), (3, 13)}),
        ("interpreters = >=3.12\n", {(3, 13)}),
        ("interpreters = pypy\n", set()),
        ("interpreters = /usr/bin/python3.11 3.13\n", {(3, 11), (3, 13)}),
    ],
)
def test_the_policy_may_leave_out_a_version(
    tmp_path: Path, text: str, admitted: set[tuple[int, int]]
) -> None:
    file = tmp_path / "policy.conf"
    file.write_text(text)
    file.chmod(0o644)
    policy = load.load(str(file))
    versions = [(3, 11), (3, 13)]
    found = {v for v in versions if use_case._admits(policy, use_case._program(v), v)}
    assert found == admitted


def test_bytecode_stays_where_others_have_a_say(sources: Path) -> None:
    sources.chmod(0o777)
    folder = sources / "__pycache__"
    folder.mkdir()
    (folder / "a.cpython-311.pyc").touch()
    chosen = py3clean.Sources({str(sources): {"a.py"}})
    report = Report(tree="/nowhere")
    py3clean.clean_beside(chosen, py3clean.ALL, report)
    assert [(one.source, one.detail) for one in report.failures] == [
        (str(folder), "not removed: not root's alone")
    ]
    assert (folder / "a.cpython-311.pyc").exists()


def test_no_tree_nothing_to_do(tmp_path: Path) -> None:
    chosen = py3clean.Sources({"/srv": {"a.py"}})
    report = Report(tree=str(tmp_path / "nothing"))
    py3clean.clean_tree(chosen, "", report, wait_seconds=0.0, waiting=print)
    assert report.removed == 0

"""What each option of ``rebuild`` does."""

from pathlib import Path

import pytest

from interpreters.builder import FOLDER, TAG, Builder, identity, pretend, pycs, snapshot


@pytest.fixture
def python(builder: Builder) -> str:
    """Make an interpreter whose only library is the folder of sources: all of it is little."""
    builder.sources.mkdir()
    answer = identity() | {"library": [str(builder.sources)], "site": [], "environment": ""}
    return pretend(builder.folder / "python3.99", answer)


def test_force_compiles_what_is_fresh(builder: Builder) -> None:
    source = builder.write("a.py")
    builder.build()
    before = builder.cached(source).stat().st_ino
    assert builder.build("--force").summary == (1, 0, 0)
    assert builder.cached(source).stat().st_ino != before


def test_a_dry_run_says_what_the_run_does_and_changes_nothing(builder: Builder) -> None:
    gone = builder.write("gone.py")
    fresh = builder.write("fresh.py")
    changed = builder.write("changed.py")
    builder.build()
    gone.unlink()
    changed.write_text("x = 12\n")
    new = builder.write("new\n.py")
    for path in (gone, fresh, changed):
        assert builder.cached(path).exists()
    before = snapshot(builder.folder)
    promised = builder.build("--prune", "--dry-run")
    said = builder.build("--prune", "--dry-run", machine=False).stdout
    assert snapshot(builder.folder) == before
    done = builder.build("--prune")
    assert promised.summary == done.summary == (2, 1, 1)
    assert promised.report["dry_run"]
    assert not done.report["dry_run"]
    lines = [line for line in said.splitlines() if line.startswith(("compile", "remove"))]
    assert lines == [
        f"compile {FOLDER} {changed}",
        f"compile {FOLDER} {new.parent}/new\\n.py",
        f"remove  {builder.cached(gone)}",
    ]


def test_a_dry_run_of_a_tree_that_is_not_there_makes_none(builder: Builder) -> None:
    builder.write("a.py")
    assert builder.build("--dry-run").summary == (1, 0, 0)
    assert not builder.tree.exists()


@pytest.mark.parametrize(
    ("options", "whole", "pruned"),
    [
        ((), True, True),
        (("--no-prune",), True, False),
        ((), False, False),
        (("--prune",), False, True),
    ],
)
def test_what_has_no_source_is_pruned_if_that_is_meant(
    builder: Builder, python: str, options: tuple[str, ...], whole: bool, pruned: bool
) -> None:
    sources = [builder.write("kept.py"), builder.write("p/gone.py")]
    paths = [] if whole else [builder.sources]
    assert builder.rebuild("--python", python, *paths).summary == (2, 0, 0)
    sources[1].unlink()
    run = builder.rebuild("--python", python, *options, *paths)
    assert run.summary == (0, 1, int(pruned))
    assert builder.cached(sources[1]).exists() is not pruned
    assert builder.cached(sources[1]).parent.exists() is not pruned
    assert builder.cached(sources[0]).exists()


def test_a_whole_run_keeps_what_was_built_on_request_until_its_source_is_gone(
    builder: Builder, python: str
) -> None:
    elsewhere = builder.folder / "elsewhere"
    elsewhere.mkdir()
    source = elsewhere / "a.py"
    source.write_text("x = 1\n")
    builder.rebuild("--python", python, elsewhere)
    assert builder.rebuild("--python", python).summary == (0, 1, 0)
    source.write_text("x = 12\n")
    assert builder.rebuild("--python", python).summary == (1, 0, 0)
    source.unlink()
    assert builder.rebuild("--python", python).summary == (0, 0, 1)
    assert pycs(builder.tree) == set()


def test_what_is_not_ours_is_left_and_reported(builder: Builder, python: str) -> None:
    source = builder.write("a.py")
    builder.rebuild("--python", python)
    top = builder.tree / FOLDER
    folder = builder.cached(source).parent
    foreign = [
        top / "note",
        top / f"b.{TAG}.pyc",
        top / "other" / "note",
        folder / "b.pyc",
        folder / f"b.{TAG}x.pyc",
        folder / f"b.{TAG}.opt-9.pyc",
        folder / "b.py",
        folder / "deeper" / "b.cpython-27.pyc",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not ours")
    before = snapshot(builder.tree)
    run = builder.rebuild("--python", python, "--prune", "--force")
    assert run.summary == (1, 0, 0)
    after = snapshot(builder.tree)
    assert all(after[str(path)] == before[str(path)] for path in foreign)
    assert {(left["path"], left["reason"]) for left in run.report["left"]} == {
        (str(path), "foreign") for path in foreign
    }


def test_what_a_killed_run_left_half_made_is_removed(builder: Builder) -> None:
    source = builder.write("a.py")
    builder.build()
    half = builder.cached(source).with_name(".pycache-sys-0123456789abcdef.tmp")
    half.write_bytes(b"half")
    assert builder.build().summary == (0, 1, 1)
    assert not half.exists()


def test_the_tree_is_tagged_for_backups(builder: Builder) -> None:
    builder.write("a.py")
    builder.build()
    tag = builder.tree / "CACHEDIR.TAG"
    assert tag.read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert tag.stat().st_mode & 0o777 == 0o644


def test_levels_are_added_and_kept_true(builder: Builder) -> None:
    source = builder.write("a.py", "assert True\n")
    assert builder.build("--optimize", "0").summary == (1, 0, 0)
    assert builder.build("--optimize", "2,1").summary == (1, 0, 0)
    assert builder.build("--optimize", "0,1,2").summary == (0, 1, 0)
    source.write_text("assert False\n")
    assert builder.build().summary == (1, 0, 2)
    assert pycs(builder.tree) == {str(builder.cached(source))}


def test_a_specifier_that_nobody_answers_to_is_a_usage_error_with_a_way_out(
    builder: Builder,
) -> None:
    run = builder.rebuild("--python", "==3.0.*", machine=False)
    assert (run.status, run.stdout) == (2, "")
    assert "--python" in run.stderr
    assert "name another by its path" in run.stderr
    assert builder.rebuild("--python", "==3.0.*", "--best-effort").status == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--optimize", "3"),
        ("--optimize", ""),
        ("--optimize", "a"),
        ("-j", "0"),
        ("-j", "-1"),
        ("--invalidation", "hash"),
        ("--python", "three"),
        ("--no-such-option",),
        ("-q", "-v"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(builder: Builder, options: tuple[str, ...]) -> None:
    run = builder.rebuild(*options)
    assert (run.status, run.stdout) == (2, "")
    assert run.stderr
    assert not builder.tree.exists()


def test_an_unknown_package_is_a_usage_error(builder: Builder) -> None:
    run = builder.rebuild("--package", "no-such-package-anywhere")
    assert run.status == 2
    assert "no-such-package-anywhere" in run.stderr


def test_modes_follow_the_sources_in_a_callers_own_tree(builder: Builder) -> None:
    private = builder.write("private/a.py")
    private.chmod(0o600)
    private.parent.chmod(0o700)
    builder.build()
    assert builder.cached(private).stat().st_mode & 0o777 == 0o600
    assert builder.cached(private).parent.stat().st_mode & 0o777 == 0o700


def test_a_source_folder_is_left_as_it_was(builder: Builder) -> None:
    builder.write("a.py")
    builder.write("sourceless.pyc", b"bytes")
    builder.write(f"__pycache__/gone.{TAG}.pyc", b"bytes")
    before = snapshot(builder.sources)
    assert builder.build("--prune", "--force").counts["compiled"] == 1
    assert snapshot(builder.sources) == before


def test_the_tree_may_stand_among_the_sources(builder: Builder) -> None:
    builder.write("a.py")
    tree = builder.sources / "tree"
    assert builder.build("--tree", tree).summary == (1, 0, 0)
    assert builder.build("--tree", tree, "--prune").summary == (0, 1, 0)
    assert len(pycs(tree)) == 1


def test_a_tree_is_named_relative_to_where_one_is(builder: Builder) -> None:
    builder.write("a.py")
    run = builder.rebuild("--tree", "here", "sources", cwd=builder.folder)
    assert run.summary == (1, 0, 0)
    assert run.report["tree"] == str(builder.folder / "here")
    assert len(pycs(Path(run.report["tree"]))) == 1

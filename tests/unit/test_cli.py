"""The parser, and what errors become."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pycache_sys import __version__
from pycache_sys.cli import main
from pycache_sys.cli.arguments import INVALIDATIONS, build_parser
from pycache_sys.core.model import Invalidation


@pytest.mark.parametrize(
    ("text", "levels"), [("0", (0,)), ("2,0", (0, 2)), ("0,1,2", (0, 1, 2)), ("1,1", (1,))]
)
def test_levels_are_sorted_and_once(text: str, levels: tuple[int, ...]) -> None:
    assert build_parser().parse_args(["rebuild", "--optimize", text]).optimize == levels


def test_defaults_are_the_whole_system() -> None:
    namespace = build_parser().parse_args(["rebuild"])
    assert (namespace.paths, namespace.package, namespace.python) == ([], [], [])
    assert (namespace.tree, namespace.prune, namespace.optimize) == (None, None, None)


@pytest.mark.parametrize(("option", "expected"), [("--prune", True), ("--no-prune", False)])
def test_prune_is_said_either_way(option: str, expected: bool) -> None:
    assert build_parser().parse_args(["rebuild", option]).prune is expected


def test_a_parser_for_one_verb_is_the_same_to_it() -> None:
    def usages(parser: argparse.ArgumentParser) -> dict[str, str]:
        (verbs,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        return {name: one.format_help() for name, one in verbs.choices.items()}

    everything = usages(build_parser())
    assert len(everything) >= 6
    for verb, text in everything.items():
        assert usages(build_parser(verb)) == {verb: text}


def test_jobs_have_a_ceiling() -> None:
    assert build_parser().parse_args(["rebuild", "-j", "999999"]).jobs == 4 * (os.cpu_count() or 1)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"pycache-sys {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["no-such-verb"], ["rebuild", "--optimize", "9"]])
def test_a_usage_error_is_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_an_expected_error_has_its_hint_below(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rebuild", "--python", "three", "--tree", "/nothing"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("pycache-sys: --python 'three'")
    assert second.startswith("  ")
    assert "3.12" in second
    assert main(["rebuild", "--python", "three", "--tree", "/nothing", "--best-effort"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{first}; {second.strip()}"


def test_help_names_every_option_that_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["rebuild", "--help"])
    said = capsys.readouterr().out
    for option in ("--package", "--python", "--optimize", "--invalidation", "--force", "--jobs",
                   "--prune", "--no-prune", "--tree", "--dry-run", "--best-effort", "--json",
                   "--quiet", "--verbose", "--no-wait", "--from-stdin", "--null",
                   "--if-changed"):  # fmt: skip
        assert option in said


def test_the_names_of_invalidations_are_those_of_the_model() -> None:
    assert tuple(Invalidation) == INVALIDATIONS


def test_help_is_as_wide_as_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = []
    for columns in ("100", "160"):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit):
            main(["rebuild", "--help"])
        widths.append(max(map(len, capsys.readouterr().out.splitlines())))
    assert 80 < widths[0] <= 100 < 120 < widths[1] <= 160


def test_an_unchanged_boot_loads_next_to_nothing() -> None:
    """Reading the command line and comparing the stamp: each module costs every boot.

    From 3.14 on argparse loads some of them itself, at each option, to have it in colours.
    """
    script = (
        "import argparse, sys\n"
        "if sys.version_info >= (3, 14): argparse.ArgumentParser().add_argument('-x')\n"
        "before = set(sys.modules)\n"
        "sys.argv = ['pycache-sys', 'rebuild', '--if-changed', '--quiet']\n"
        "from pycache_sys.system import stamp; stamp.is_current = lambda: True\n"
        "from pycache_sys.cli import main; main(); print(*{*sys.modules} - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"typing", "dataclasses", "shutil", "json", "subprocess", "pycache_sys.core.model"}
    loaded = done.stdout.split()
    assert "pycache_sys.system.stamp" in loaded
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize(("options", "is_built"), [(["--best-effort"], False), ([], True)])
def test_triggers_can_be_off_for_package_managers_alone(
    options: list[str],
    is_built: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy = tmp_path / "policy.conf"
    policy.write_text("triggers = off\n")
    source = tmp_path / "mod.py"
    source.write_text("x = 1\n")
    tree = tmp_path / "tree"
    command = ["rebuild", "--config", str(policy), "--tree", str(tree), *options]
    assert main([*command, "--python", sys.executable, str(source)]) == 0
    assert bool(list(tree.rglob("mod.*.pyc"))) is is_built
    captured = capsys.readouterr()
    assert bool(captured.out) is is_built
    assert captured.err == ""


def test_a_package_manager_gets_one_line_also_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "mod.py"
    source.write_text("x = 1\n")
    command = ["rebuild", "--best-effort", "--tree", str(tmp_path / "tree")]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main([*command, "--python", sys.executable, str(source)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("pycache-sys: compiled 1, ")
    assert captured.out.count("\n") == 1


@pytest.mark.parametrize("verb", ["rebuild", "prune"])
def test_a_transactional_update_is_left_to_the_boot(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSACTIONAL_UPDATE", "true")
    tree = tmp_path / "tree"
    assert main([verb, "--best-effort", "--tree", str(tree), "--python", sys.executable]) == 0
    assert not tree.exists()
    assert capsys.readouterr() == (
        "pycache-sys: this is a transactional update: the tree is built when it starts\n",
        "",
    )


def test_without_systemd_nothing_is_deferred(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.conf").write_text("triggers = deferred\n")
    (tmp_path / "mod.py").touch()
    command = ["rebuild", "--best-effort", "--config", str(tmp_path / "policy.conf")]
    command += ["--tree", str(tmp_path / "tree"), "--python", sys.executable]
    assert main([*command, str(tmp_path / "mod.py")]) == 0
    assert capsys.readouterr().out.startswith("pycache-sys: compiled 1, ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--from-stdin", "/srv"], "--from-stdin cannot"),
        (["--from-stdin", "-p", "foo"], "--from-stdin cannot"),
        (["-0"], "-0 says"),
        (["--if-changed", "/srv"], "--if-changed is"),
        (["--if-changed", "--tree", "/srv"], "--if-changed is"),
        (["--if-changed", "--python", "3.12"], "--if-changed is"),
        (["--if-changed", "--config", "/dev/null"], "--if-changed is"),
    ],
)
def test_options_that_contradict_each_other(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rebuild", *arguments]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"pycache-sys: {word}")
    assert second.startswith("  ")

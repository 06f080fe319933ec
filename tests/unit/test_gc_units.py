"""The units that have a user's cache tidied: systemd understands them, and the command theirs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pycache_sys.cli.arguments import build_parser

TOP = Path(__file__).parents[2] / "systemd"
UNITS = ("pycache-sys-gc.service", "pycache-sys-gc.timer")
PROGRAM = "/usr/bin/pycache-sys"


def settings(unit: str) -> dict[str, str]:
    lines = (TOP / "user" / unit).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line[:1].isalpha())


def test_what_is_called_is_the_verb() -> None:
    program, *arguments = settings("pycache-sys-gc.service")["ExecStart"].split()
    assert program == PROGRAM
    namespace = build_parser().parse_args(arguments)
    assert (arguments[0], namespace.quiet, namespace.all_users) == ("gc", True, False)


def test_what_was_missed_is_made_up_for_and_not_by_all_at_once() -> None:
    timer = settings("pycache-sys-gc.timer")
    assert timer["Persistent"] == "yes"
    assert timer["RandomizedDelaySec"] != "0"


def test_the_preset_enables_the_timer() -> None:
    preset = (TOP / "user-preset" / "90-pycache-sys.preset").read_text()
    assert preset == "enable pycache-sys-gc.timer\n"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_has_nothing_to_say_of_them(tmp_path: Path) -> None:
    for unit in UNITS:
        # the command may not be installed here
        text = (TOP / "user" / unit).read_text().replace(PROGRAM, "/bin/sh")
        (tmp_path / unit).write_text(text)
    assert verify(tmp_path) == (0, "")
    (tmp_path / UNITS[1]).write_text("[Timer]\nOnCalendar=never\n")
    status, complaint = verify(tmp_path)
    assert status != 0
    assert "never" in complaint


def verify(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *(folder / unit for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
    )
    return done.returncode, done.stdout + done.stderr

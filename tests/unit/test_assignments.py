"""Lines that set the variables which decide where bytecode goes, and lines that only look so."""

import pytest

from pycache_sys.core.assignments import DONT_WRITE, LONGEST_LINE, PREFIX, assignments

SETTING = [
    b"PYTHONPYCACHEPREFIX=/tmp",
    b"  export PYTHONPYCACHEPREFIX=~/.cache/x",
    b"export A=b PYTHONPYCACHEPREFIX='/a b'",
    b'declare -x PYTHONPYCACHEPREFIX="/x"',
    b"true && PYTHONPYCACHEPREFIX=/x; export PYTHONPYCACHEPREFIX",
    b"(PYTHONPYCACHEPREFIX=/x)",
    b"PYTHONPYCACHEPREFIX DEFAULT=@{HOME}/x",
    b"PYTHONPYCACHEPREFIX\tOVERRIDE=/x",
    b"Environment=PYTHONPYCACHEPREFIX=/x",
    b'Environment="A=b" "PYTHONPYCACHEPREFIX=/x"',
    b"DefaultEnvironment=A=b PYTHONPYCACHEPREFIX=/x",
    b"setenv PYTHONPYCACHEPREFIX /x",
    b"set -gx PYTHONPYCACHEPREFIX /x",
    b"PYTHONPYCACHEPREFIX=/x # why",
    b"\xff PYTHONPYCACHEPREFIX=/x",
    b"PYTHONPYCACHEPREFIX=$HOME/x",
]
NOT_SETTING = [
    b"# PYTHONPYCACHEPREFIX=/tmp",
    b"  #export PYTHONPYCACHEPREFIX=/tmp",
    b"; PYTHONPYCACHEPREFIX=/tmp",
    b"true # PYTHONPYCACHEPREFIX=/tmp",
    b"unset PYTHONPYCACHEPREFIX",
    b"export PYTHONPYCACHEPREFIX",
    b"PYTHONPYCACHEPREFIX=",
    b"PYTHONPYCACHEPREFIX=''",
    b'export PYTHONPYCACHEPREFIX=""; true',
    b'echo "$PYTHONPYCACHEPREFIX"',
    b"MY_PYTHONPYCACHEPREFIX=/x",
    b"PYTHONPYCACHEPREFIXES=/x",
    b"UnsetEnvironment=PYTHONPYCACHEPREFIX",
    b"x" * LONGEST_LINE + b" PYTHONPYCACHEPREFIX=/x",
]


@pytest.mark.parametrize("line", SETTING)
def test_lines_that_set_it(line: bytes) -> None:
    assert list(assignments(b"\n" + line + b"\n")) == [(PREFIX, 2)]


@pytest.mark.parametrize("line", NOT_SETTING)
def test_lines_that_do_not(line: bytes) -> None:
    assert list(assignments(line)) == []


def test_each_variable_counts_once_a_line() -> None:
    text = b"PYTHONDONTWRITEBYTECODE=1 PYTHONPYCACHEPREFIX=/x PYTHONDONTWRITEBYTECODE=1"
    assert list(assignments(text + b"\n\n" + text)) == [
        (DONT_WRITE, 1),
        (PREFIX, 1),
        (DONT_WRITE, 3),
        (PREFIX, 3),
    ]

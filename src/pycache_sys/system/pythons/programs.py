"""The programs that run under other interpreters, as files or as texts."""

import os

import pycache_sys

CHECK = "check.py"
COMPILE = "compile.py"
EXPLAIN_LAYERS = "explain_layers.py"
EXPLAIN = "explain.py"
IDENTIFY = "identify.py"
_FOLDER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(pycache_sys.__file__))),
    "pycache_sys_worker",
)
_texts: dict[str, str] = {}


def text(name: str) -> str:
    """Return a program's text: for who cannot read our folder."""
    kept = _texts.get(name)
    if kept is not None:
        return kept
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as program:
        return program.read()


def arguments(name: str) -> list[str]:
    """Say how an interpreter is told to run a program: by its path, or where that is not there."""
    return ["-c", _texts[name]] if _texts else [os.path.join(_FOLDER, name)]


def keep_texts() -> None:
    """Read the programs, for the time when our folder cannot be reached any more."""
    _texts.update({name: text(name) for name in (COMPILE, EXPLAIN_LAYERS, EXPLAIN, IDENTIFY)})
    _texts[CHECK] = f"COMPILE_TEXT = {_texts[COMPILE]!r}\n{text(CHECK)}"

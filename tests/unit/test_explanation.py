"""What an interpreter answers is of the one form that is allowed, or it is not believed."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interpreters.builder import WORKER
from pycache_sys.core.explanation import (
    Culprit,
    File,
    Hooked,
    Kind,
    Layer,
    Place,
    Why,
    Writing,
    parse_answer,
)

FILE = [0o100644, 1, 2, 3, 4, 5]


def given() -> dict[str, Any]:
    """Give an answer with all that there can be in it."""
    culprit = ["/srv", *FILE]
    return {
        "version": [3, 11, 2],
        "magic": "a70d0d0a",
        "uid": 1001,
        "hook": "",
        "prefix": "",
        "modules": [
            {
                "asked": "app",
                "kind": "source",
                "path": "/srv/app.py",
                "loader": "SourceFileLoader",
                "detail": "",
                "locations": ["/srv"],
                "served": "own cache",
                "file": "/cache/app.pyc",
                "failure": "",
                "source": FILE,
                "at_start": True,
                "layers": [
                    {
                        "layer": "system tree",
                        "path": "/tree/app.pyc",
                        "why": "stale",
                        "file": FILE,
                        "header": "a70d0d0a",
                        "culprit": culprit,
                        "above": FILE,
                    }
                ],
                "write": {"path": "/cache/app.pyc", "why": "", "by": "hash", "culprit": None},
            }
        ],
    }


def output(answer: object) -> bytes:
    return f"noise\n\n<<<pycache-sys explain\n{answer!a}\n\npycache-sys explain>>>\n".encode()


def test_an_answer_is_read() -> None:
    answer = parse_answer(output(given()), ["app"])
    assert answer is not None
    (module,) = answer.modules
    file = File(mode=0o100644, uid=1, gid=2, size=3, mtime=4, ctime=5)
    assert (answer.version, answer.magic, answer.hook) == ((3, 11, 2), b"\xa7\r\r\n", Hooked.ON)
    assert (module.kind, module.served, module.is_loaded) == (Kind.SOURCE, Place.OWN, True)
    assert module.source == file
    assert module.is_at_start
    assert module.layers == (
        Layer(
            place=Place.SYSTEM,
            path="/tree/app.pyc",
            why=Why.STALE,
            file=file,
            header=b"\xa7\r\r\n",
            culprit=Culprit(path="/srv", file=file),
            above=file,
        ),
    )
    assert module.writing == Writing(path="/cache/app.pyc", why=Why.NOTHING, by="hash")


def _spoil(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(answer: Any) -> None:
        for key in keys[:-1]:
            answer = answer[key]
        answer[keys[-1]] = value

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        _spoil("version", value=[3, 11]),
        _spoil("version", value=[3, 11, True]),
        _spoil("version", value="3.11.2"),
        _spoil("magic", value="no"),
        _spoil("uid", value=1 << 64),
        _spoil("uid", value=None),
        _spoil("hook", value="perhaps"),
        _spoil("prefix", value=None),
        _spoil("modules", value=[]),
        _spoil("modules", value={}),
        _spoil("modules", 0, "asked", value="other"),
        _spoil("modules", 0, "kind", value="sauce"),
        _spoil("modules", 0, value={}),
        _spoil("modules", 0, "source", value=[1, 2, 3]),
        _spoil("modules", 0, "source", value=["1"] * 6),
        _spoil("modules", 0, "layers", 0, "why", value="because"),
        _spoil("modules", 0, "layers", 0, "culprit", value=[7, *FILE]),
        _spoil("modules", 0, "write", value={}),
    ],
)
def test_what_is_not_of_that_form_is_no_answer(spoil: Callable[[dict[str, Any]], None]) -> None:
    answer = given()
    assert parse_answer(output(answer), ["app"]) is not None
    spoil(answer)
    assert parse_answer(output(answer), ["app"]) is None


@pytest.mark.parametrize(
    "printed", [b"", b"\n<<<pycache-sys explain\n{}", output("x" * 9)[:-3], b"{}", output([1])]
)
def test_what_is_not_between_the_fences_is_no_answer(printed: bytes) -> None:
    assert parse_answer(printed, []) is None


def words_of(program: Path) -> set[str]:
    """Collect the words that a program assigns to names in capitals."""
    found: set[str] = set()
    for node in ast.parse(program.read_text()).body:
        if isinstance(node, ast.Assign):
            values = [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
            found.update(value for value in values if isinstance(value, str))
    return found


def test_the_program_has_these_words() -> None:
    said = words_of(WORKER / "explain_layers.py")
    said |= {"gone", ""}
    assert {str(why) for why in Why} <= said
    assert {str(place) for place in Place} <= said
    text = (WORKER / "explain.py").read_text() + (WORKER / "explain_layers.py").read_text()
    assert [kind for kind in (*Kind, *Hooked) if f'"{kind}"' not in text] == []

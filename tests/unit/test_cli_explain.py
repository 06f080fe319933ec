"""The verb ``explain``: its screens, its JSON, its exit statuses."""

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from own_prefix import OwnPrefix, make_prefix
from pycache_sys.cli import main
from pycache_sys.cli.explain import Line, folded, lines_of
from pycache_sys.core import why
from pycache_sys.core.delivery import PTH_NAME, Undo, pth_file
from pycache_sys.core.explanation import (
    Answer,
    Culprit,
    File,
    Hooked,
    Kind,
    Layer,
    Module,
    Place,
    Why,
    Writing,
)
from pycache_sys.explain import JSON_VERSION, Explained

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "explain.md").read_text()
SECOND = 10**9
NOON = 1_700_000_000
MAGIC = b"\xa7\r\r\n"
SOURCE = File(mode=0o100644, uid=0, gid=0, size=80, mtime=NOON * SECOND, ctime=NOON * SECOND)
HEADER = MAGIC + bytes(4) + (NOON - 3).to_bytes(4, "little") + (80).to_bytes(4, "little")
ADAS = "/home/ada/.cache/pycache-sys/3.11"
TREE = "/var/cache/python/3.11"
LIBRARY = "/usr/lib/python3/dist-packages"


def who(uid: int) -> str:
    return {0: "root", 1000: "ada (uid 1000)"}.get(uid, f"uid {uid}")


def absent(place: Place, why: Why = Why.ABSENT) -> Layer:
    return Layer(place=place, path=f"/somewhere/{place}", why=why)


APP = Module(
    asked="app",
    kind=Kind.SOURCE,
    path="/home/ada/proj/app.py",
    loader="SourceFileLoader",
    served=Place.OWN,
    file=f"{ADAS}/home/ada/proj/app.cpython-311.pyc",
    source=SOURCE,
    layers=(
        absent(Place.IMAGE, Why.NO_FOLDER),
        absent(Place.SYSTEM, Why.NO_DIRECTORY),
        absent(Place.BESIDE, Why.NO_DIRECTORY),
        Layer(
            place=Place.OWN,
            path=f"{ADAS}/home/ada/proj/app.cpython-311.pyc",
            why=Why.NOTHING,
            file=replace(SOURCE, uid=1000, mode=0o100600),
        ),
    ),
    writing=Writing(path="", why=Why.SERVED),
)
PARTS = Module(
    asked="gizmo.parts",
    kind=Kind.SOURCE,
    path=f"{LIBRARY}/gizmo/parts.py",
    loader="SourceFileLoader",
    served=Place.COMPILED,
    source=SOURCE,
    layers=(
        absent(Place.IMAGE, Why.NO_FOLDER),
        Layer(
            place=Place.SYSTEM,
            path=f"{TREE}{LIBRARY}/gizmo/parts.cpython-311.pyc",
            why=Why.STALE,
            file=SOURCE,
            header=HEADER,
        ),
        absent(Place.BESIDE, Why.NO_DIRECTORY),
        absent(Place.OWN),
    ),
    writing=Writing(
        path=f"{ADAS}{LIBRARY}/gizmo/parts.cpython-311.pyc", why=Why.NOTHING, by="hash"
    ),
)
ANSWER = Answer(
    version=(3, 11, 2),
    magic=MAGIC,
    uid=1000,
    hook=Hooked.ON,
    prefix="",
    modules=(APP, PARTS),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> OwnPrefix:
    """Give an interpreter of our own, with the hook."""
    before = os.umask(0o022)
    try:
        made = make_prefix(tmp_path_factory.mktemp("home"))
        site = made.site_of(made.venv())
        (site / PTH_NAME).write_bytes(pth_file(str(made.startup), Undo()))
        (site / "gizmo.py").write_text("size = 1\n")
    finally:
        os.umask(before)
    return made


@pytest.fixture
def python(home: OwnPrefix) -> str:
    return f"{home.folder}/venv/bin/python"


def screen(answer: Answer, width: int, *, is_verbose: bool = False) -> list[str]:
    lines = lines_of("/usr/bin/python3.11", answer, who, is_verbose=is_verbose)
    return [text for line in lines for text in folded(line, width)]


def example() -> str:
    found = re.search(r"\n\n```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class TestScreens:
    def test_it_is_the_one_of_the_page(self) -> None:
        assert "\n".join(screen(ANSWER, 80)) + "\n" == example()

    @pytest.mark.parametrize("width", [80, 200])
    def test_nothing_but_paths_is_wider_than_80(self, width: int) -> None:
        for answer in (ANSWER, everything()):
            for text in screen(answer, width, is_verbose=True):
                assert len(text) <= 80 or text.startswith("    /"), text

    @pytest.mark.parametrize("width", [80, 200])
    def test_no_reason_needs_a_second_line(self, width: int) -> None:
        lines = list(lines_of("/usr/bin/python3.11", everything(), who))
        labelled = [line for line in lines if line.label.strip()]
        assert len(labelled) > 20
        assert [line.words for line in labelled if len(folded(line, width)) > 1] == []

    def test_what_is_too_long_goes_on_below_its_beginning(self) -> None:
        line = Line("  own cache", "it belongs to somebody " * 4)
        text = folded(line, 60)
        assert len(text) > 1
        assert max(map(len, text)) <= 60
        assert {len(one) - len(one.lstrip()) for one in text[1:]} == {21}

    def test_no_byte_reaches_the_terminal_raw(self) -> None:
        module = replace(APP, path="/tmp/\x1b[31m\n\udcff.py", failure="E: \x1b]0;x\x07")
        text = screen(replace(ANSWER, modules=(module,)), 80)
        assert all(line.isprintable() for line in text)

    def test_verbose_has_owners_modes_and_all_paths(self) -> None:
        text = screen(ANSWER, 80, is_verbose=True)
        assert "    ada (uid 1000), mode 0600, 80 bytes" in text
        assert "    /somewhere/image tree" in text

    @pytest.mark.parametrize(
        ("module", "expected"),
        [
            (Module(asked="x", kind=Kind.MISSING, detail="no"), "x: not found: no"),
            (Module(asked="x", kind=Kind.MISSING, failure="E: no"), "x: not found: E: no"),
            (
                Module(asked="x", kind=Kind.OTHER, loader="Odd"),
                "x: loaded by Odd, where the hook has no part in it",
            ),
            (
                Module(asked="x", kind=Kind.SOURCELESS, path="/x.pyc"),
                "x: sourceless: loaded as it is, never deleted",
            ),
            (
                replace(APP, kind=Kind.SUBCLASS, loader="Odd", served=Place.BESIDE),
                "app: loaded from beside the source, by Odd, which the hook leaves alone",
            ),
            (
                replace(APP, kind=Kind.SUBCLASS, loader="Odd", served=Place.NOT_KNOWN),
                "app: loaded in a way of its own, by Odd, which the hook leaves alone",
            ),
            (replace(APP, served=Place.PREFIX), "app: loaded from the pycache_prefix"),
            (replace(APP, served=Place.IMAGE), "app: loaded from the image tree"),
        ],
    )
    def test_headlines(self, module: Module, expected: str) -> None:
        assert screen(replace(ANSWER, modules=(module,)), 80)[3] == expected

    def test_every_kind_has_one(self) -> None:
        for kind in Kind:
            text = screen(replace(ANSWER, modules=(Module(asked="x", kind=kind),)), 80)
            assert text[3].startswith("x: ")

    def test_why_an_import_fails(self) -> None:
        module = replace(PARTS, failure="SyntaxError: invalid syntax")
        text = screen(replace(ANSWER, modules=(module,)), 80)
        assert text[3] == "gizmo.parts: cannot be loaded"
        assert text[4] == "  an import raises   SyntaxError: invalid syntax"

    def test_what_a_start_loads_already(self) -> None:
        line = "  at start           loaded already, perhaps before the hook"
        module = replace(PARTS, is_at_start=True)
        assert line in screen(replace(ANSWER, modules=(module,)), 80)
        assert line not in screen(ANSWER, 80)

    def test_a_path_is_shown_once(self) -> None:
        module = replace(PARTS, asked=PARTS.path)
        text = screen(replace(ANSWER, modules=(module,)), 80)
        assert text[3] == "parts.py: compiled from its source"
        assert [line for line in text if PARTS.path in line] == [f"    {PARTS.path}"]


def everything() -> Answer:
    """Give an answer in which every layer has every reason."""
    short = replace(SOURCE, size=12, mode=0o100666, uid=1001)
    culprit = Culprit(path="/srv/cache", file=replace(short, mode=0o040777))
    headers = [b"", HEADER, MAGIC + b"\x03" + HEADER[5:], b"\xa6" + HEADER[1:]]
    layers = [
        Layer(place=place, path=f"/somewhere/{place}", why=why, file=short, header=header, **more)
        for place in Place
        if place
        for why in Why
        if why not in (Why.SERVED, Why.FAILS, Why.OTHER_LOADER)
        if why not in (Why.NO_WRITES, Why.SCRIPT, Why.DENIED)
        for header in headers
        for more in ({}, {"culprit": culprit}, {"culprit": culprit, "above": SOURCE})
    ]
    modules = [replace(PARTS, layers=tuple(layers), served=place) for place in Place]
    modules += [replace(PARTS, writing=Writing(path="/x", why=why, culprit=culprit)) for why in Why]
    return replace(ANSWER, modules=tuple(modules))


class TestCommand:
    def test_plain_words(self, python: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["explain", "gizmo", "sys", "--python", python]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        lines = said.out.splitlines()
        assert lines[0].startswith(f"{python} (")
        assert lines[1] == "the hook is on"
        assert lines[3] == "gizmo: compiled from its source"
        assert lines[-1] == "sys: built into the interpreter; no file is loaded"
        assert lines[5:9] == [
            "  image tree         absent: there is no such tree for this version",
            *(line for line in lines[6:7] if line.startswith("  system tree        absent")),
            "  beside the source  absent: there is no __pycache__",
            "  own cache          absent",
        ]

    def test_statuses(self, python: str, capsys: pytest.CaptureFixture[str]) -> None:
        named = ["--python", python]
        assert main(["explain", "gizmo", *named]) == 0
        assert main(["explain", "gizmo", "nothing", *named]) == 1
        assert "nothing: not found: there is no module nothing" in capsys.readouterr().out
        assert main(["explain", "gizmo", *named, "--python", "/none/python3"]) == 1
        said = capsys.readouterr()
        assert said.err == "pycache-sys: /none/python3: there is no such file\n"
        assert "gizmo: compiled" in said.out
        assert main(["explain", "gizmo", *named, "--user", "no such user"]) == 2
        assert "there is no user 'no such user'" in capsys.readouterr().err
        with pytest.raises(SystemExit) as exit_:
            main(["explain"])
        assert exit_.value.code == 2

    def test_a_user_who_is_the_caller(
        self, python: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["explain", "gizmo", "--user", str(os.getuid()), "--python", python]) == 0
        assert capsys.readouterr().err == ""

    def test_json(self, python: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["explain", "--json", "gizmo", "--python", python]) == 0
        answer = json.loads(capsys.readouterr().out)
        (found,) = answer["interpreters"]
        assert (answer["version"], found["path"], found["hook"]) == (JSON_VERSION, python, True)
        assert keys(answer) == keys(json_example(len(found["modules"][0]["layers"])))

    @pytest.mark.skipif(not os.path.exists("/dev/ptmx"), reason="there are no terminals here")
    @pytest.mark.parametrize("columns", [80, 200])
    @pytest.mark.parametrize("colour", [True, False])
    def test_a_terminal(self, python: str, columns: int, colour: bool) -> None:
        pytest.importorskip("rich")
        command = ["explain", "gizmo", "nothing", "--python", python]
        plain = start(command, {})
        shown = start(command, {} if colour else {"NO_COLOR": "1"}, columns)
        assert ("\x1b[" in shown) is colour
        assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == plain
        assert "\x1b" not in plain


def start(arguments: list[str], variables: dict[str, str], columns: int = 0) -> str:
    """Run the command in a pipe, or on a terminal of so many columns; return what is shown."""
    variables = {"PATH": "/usr/bin:/bin", "TERM": "xterm-256color", **variables}
    command = [sys.executable, "-B", "-m", "pycache_sys", *arguments]
    if not columns:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
        assert (done.returncode, done.stderr) == (1, "")
        return done.stdout
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=variables)
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait() == 1
    return shown.decode().replace("\r\n", "\n")


class TestPage:
    def test_the_json_example_is_what_is_printed(self) -> None:
        module = replace(PARTS, layers=PARTS.layers[1:2])
        explained = Explained(
            path="/usr/bin/python3.11", folder="3.11", answer=replace(ANSWER, modules=(module,))
        )
        printed = {"version": JSON_VERSION, "interpreters": [explained.as_json(who)]}
        assert printed == json_example(1)

    def test_an_interpreter_that_was_not_asked_has_the_same_keys(self) -> None:
        failed = Explained(path="/none", failure="there is no such file").as_json(who)
        assert list(failed) == list(json_example(1)["interpreters"][0])
        assert {key for key, value in failed.items() if value} == {"path", "failure"}

    def test_the_words_of_the_table_are_said(self) -> None:
        section = PAGE.partition("\n## What it says of a layer\n")[2].partition("\n## ")[0]
        cells = re.findall(r"^\| ([a-z][^|]+) \|", section, re.MULTILINE)[1:]
        said = Path(why.__file__).read_text()
        assert len(cells) > 10
        assert [cell for cell in cells if re.split("[:,]| [0-9]", cell)[0] not in said] == []
        for cell in cells:
            words = re.findall(r"[a-z]{5,}", cell.partition(":")[2])
            assert [word for word in words if word not in said] == []

    def test_every_key_is_explained(self) -> None:
        answer = json_example(1)
        (found,) = answer["interpreters"]
        (module,) = found["modules"]
        section = PAGE.partition("\n## JSON\n")[2]
        tables = [
            re.findall(r"`(\w+)`", cell)
            for cell in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
        ]
        explained = [word for row in tables for word in row]
        assert explained == [*answer, *found, *module]

    def test_every_word_that_stays_is_named(self) -> None:
        section = PAGE.partition("\n## JSON\n")[2]
        named = set(re.findall(r"`([^`\n]+)`", section.rpartition("```")[2]))
        assert {str(word) for word in (*Why, *Place, *Kind) if word} <= named


def json_example(layers: int) -> Any:
    """Read the example, with as many layers as that."""
    found = re.search(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    answer = json.loads(found[1])
    (module,) = answer["interpreters"][0]["modules"]
    module["layers"] *= layers
    return answer


def keys(value: Any) -> Any:
    """Reduce a JSON value to its keys, in their order."""
    match value:
        case dict():
            return [(key, keys(inner)) for key, inner in value.items()]
        case list():
            return [keys(inner) for inner in value]
        case _:
            return None

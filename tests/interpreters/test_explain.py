"""``explain`` against reality: what it says is what the interpreter opens, and what it writes."""

import ast
import json
import os
import random
import re
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from interpreters.builder import Run, snapshot
from interpreters.conftest import Found
from interpreters.hooked import (
    CACHE,
    FEW,
    OWN,
    PLACE,
    TREE,
    Hooked,
    Machine,
    build,
    files_below,
    no_tree,
    policy,
    say,
    start,
    write,
)

pytest_plugins = ["interpreters.matrix_fixtures"]

IMAGE = Path("/usr/lib/pycache")
ADA = 4100
STRANGER = 4200
ADAS_HOME = PLACE / "ada"
LAYERS = ("image tree", "system tree", "beside the source", "own cache")
FLAT = [f"m{number:03}" for number in range(300)]
PACKAGES = {
    f"p{number}": [f"p{number}", *(f"p{number}.s{below:02}" for below in range(19))]
    for number in range(10)
}
NAMES = [*FLAT, *(name for names in PACKAGES.values() for name in names)]
"""500 modules, the packages before what is in them."""

MARKS = "open(__file__ + '.mark', 'w').close()\n"
WATCH = """
import sys, importlib
opened = []
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, str) and path.endswith((".py", ".pyc")) and not flags & 0o101:
            opened.append(path)
sys.addaudithook(watch)
found = {}
for name in sys.argv[1:]:
    del opened[:]
    importlib.import_module(name)
    found[name] = [path for path in opened if "/pycache_sys_runtime/" not in path]
print(ascii(found))
"""


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """A folder where a hooked interpreter is started, and the command that explains it."""

    venv: Hooked
    program: Path
    folder: Path

    def run(self, *arguments: str, **variables: str) -> Run:
        """Run ``explain`` as root does."""
        command = ("-B", "-m", "pycache_sys", "explain", "--python", str(self.venv.python))
        variables = {"PYTHONPATH": str(PLACE / "product"), **variables}
        return start(str(self.program), *command, *arguments, cwd=self.folder, **variables)

    def answer(self, *arguments: str, status: int = 0, **variables: str) -> dict[str, Any]:
        """Return what it says of the one interpreter."""
        run = self.run("--json", *arguments, **variables)
        assert (run.status, run.stderr) == (status, ""), run.stdout + run.stderr
        (found,) = json.loads(run.stdout)["interpreters"]
        assert found["failure"] is None
        return dict(found)

    def module(self, name: str = "app", *arguments: str, **options: Any) -> dict[str, Any]:
        """Return what it says of one module."""
        (module,) = self.answer(name, *arguments, **options)["modules"]
        return dict(module)

    def layer(self, name: str, asked: str = "app", **options: Any) -> dict[str, Any]:
        """Return what it says of one layer of a module."""
        layers = {one["layer"]: one for one in self.module(asked, **options)["layers"]}
        return dict(layers[name])

    def cached(self, layer: str, name: str = "app") -> Path:
        """Name a module's bytecode in a layer."""
        source = self.source(name)
        file = f"{source.stem}.{self.tag}.pyc"
        if layer == "beside the source":
            return source.parent / "__pycache__" / file
        top = {"image tree": IMAGE, "system tree": TREE, "own cache": OWN}[layer]
        return Path(f"{top}/{self.venv.folder}{source.parent}", file)

    @property
    def tag(self) -> str:
        version = self.venv.found.version
        return f"{self.venv.found.implementation}-{version[0]}{version[1]}"

    def source(self, name: str = "app") -> Path:
        """Name a module's source."""
        path = self.folder / name.replace(".", "/")
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    def fill(self, *names: str) -> None:
        """Let every layer have good bytecode of modules."""
        with no_tree():
            imports = f"import {', '.join(names)}"
            assert self.venv.run("-c", imports, cwd=self.folder).status == 0
        say(str(self.venv.python), "-m", "compileall", "-q", str(self.folder))
        build(self.folder, [self.venv])
        image = IMAGE / self.venv.folder
        shutil.copytree(f"{TREE}/{self.venv.folder}{self.folder}", f"{image}{self.folder}")


def explainer(machine: Machine, venv: Hooked, files: Mapping[str, str | bytes]) -> Explainer:
    folder = PLACE / "explain"
    folder.mkdir()
    write(folder, files)
    return Explainer(venv=venv, program=machine.programs[FEW[0]], folder=folder)


@pytest.fixture
def place(machine: Machine, inside: None) -> Iterator[None]:
    """Forget what a test has made; there is an account besides root."""
    accounts = Path("/etc/passwd").read_text()
    Path("/etc/passwd").write_text(f"{accounts}ada:x:{ADA}:{ADA}::{ADAS_HOME}:/bin/sh\n")
    ADAS_HOME.mkdir(mode=0o700)
    os.chown(ADAS_HOME, ADA, ADA)
    yield
    Path("/etc/passwd").write_text(accounts)
    for path in (PLACE / "explain", IMAGE, ADAS_HOME):
        shutil.rmtree(path, ignore_errors=True)
    for path in TREE.glob(f"*{PLACE}/explain"):
        shutil.rmtree(path)


@pytest.fixture
def app(machine: Machine, place: None, interpreter: Found) -> Explainer:
    """Give one module, for each interpreter."""
    return explainer(machine, machine.venv(interpreter), {"app.py": "answer = 42\n"})


@pytest.fixture
def first(machine: Machine, place: None) -> Explainer:
    """Give one module, for the first interpreter."""
    return explainer(machine, machine.venv(FEW[0]), {"app.py": "answer = 42\n"})


# 500 modules


def spoil(path: Path, how: str) -> None:
    """Make of good bytecode what a hook must not load."""
    content = path.read_bytes()
    match how:
        case "good":
            return
        case "absent":
            path.unlink()
            return
        case "stale":
            content = content[:8] + bytes(4) + content[12:]
        case "short":
            content = content[:12]
        case "cut":
            content = content[:-7]
        case "version":
            content = b"\x01\x02" + content[2:]
        case "strange":
            os.chown(path, STRANGER, STRANGER)
            return
    path.write_bytes(content)


@pytest.mark.parametrize("which", FEW, ids=str)
def test_of_500_modules_it_names_what_is_opened_and_what_is_written(
    machine: Machine, place: None, which: Found
) -> None:
    files = {f"{name}.py": f"name = {name!r}\n" for name in FLAT}
    for package, (_, *below) in PACKAGES.items():
        files[f"{package}/__init__.py"] = MARKS
        files |= {f"{name.replace('.', '/')}.py": f"name = {name!r}\n" for name in below}
    here = explainer(machine, machine.venv(which), files)
    here.fill(*NAMES)
    for mark in here.folder.rglob("*.mark"):
        mark.unlink()
    dice = random.Random(500)  # noqa: S311 - the same at each run
    ways = ["good", "good", "absent", "absent", "stale", "short", "cut", "version"]
    for name in NAMES:
        for layer in LAYERS:
            more = ["strange"] if layer in LAYERS[2:] else []
            spoil(here.cached(layer, name), dice.choice(ways + more))
        if dice.random() < 0.05:
            os.utime(here.source(name))

    before = snapshot(here.folder, TREE, IMAGE, CACHE)
    modules = {one["asked"]: one for one in here.answer(*NAMES)["modules"]}
    assert snapshot(here.folder, TREE, IMAGE, CACHE) == before
    assert not list(here.folder.rglob("*.mark"))

    kept = files_below(CACHE)
    old = {path: path.stat().st_ino for path in kept}
    run = start(str(here.venv.python), "-c", WATCH, *NAMES, cwd=here.folder)
    assert run.status == 0, run.stderr
    assert len(list(here.folder.rglob("*.mark"))) == len(PACKAGES)
    opened = ast.literal_eval(run.stdout)
    assert {name: said_opened(module) for name, module in modules.items()} == opened
    served = [module["layer"] for module in modules.values()]
    assert all(served.count(layer) >= 5 for layer in (*LAYERS, "compiled"))
    written = {path for path in files_below(CACHE) if old.get(path) != path.stat().st_ino}
    said = {Path(one["write"]["path"]) for one in modules.values() if one["write"]["path"]}
    assert written == said
    assert len(said) == served.count("compiled")


def said_opened(module: dict[str, Any]) -> list[str]:
    """List the files that an import opens, by what is said of the layers."""
    found = []
    for layer in module["layers"]:
        if layer["why"] not in ("absent", "no directory"):
            found.append(layer["path"])
        if layer["path"] == module["file"]:
            return found
    return [*found, module["path"]]


# each layer, each reason


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_serves_where_those_before_it_do_not(app: Explainer, layer: str) -> None:
    app.fill("app")
    at = LAYERS.index(layer)
    for before in LAYERS[:at]:
        app.cached(before).unlink()
    module = app.module()
    assert (module["kind"], module["layer"], module["loaded"]) == ("source", layer, True)
    assert module["file"] == str(app.cached(layer))
    assert [one["layer"] for one in module["layers"]] == list(LAYERS)
    assert [one["why"] for one in module["layers"]] == ["absent"] * at + [None] * (4 - at)
    assert module["write"]["detail"] == "nothing: there is good bytecode"
    after = [one["detail"] for one in module["layers"][at + 1 :]]
    assert after == [f"good, but the {layer} comes first"] * (3 - at)


def test_without_bytecode_it_is_compiled_and_kept(app: Explainer) -> None:
    module = app.module()
    assert (module["layer"], module["file"]) == ("compiled", None)
    whys = ["no folder", "no directory", "no directory", "absent"]
    found = [one["why"] for one in module["layers"]]
    assert found[0] == whys[0]
    assert found[1] in ("no folder", "no directory")
    assert found[2:] == whys[2:]
    assert module["write"]["path"] == str(app.cached("own cache"))
    assert module["write"]["detail"] == "this file, matched by size and time"
    assert files_below(CACHE) == set()
    assert app.venv.run("-c", "import app", cwd=app.folder).status == 0
    assert files_below(CACHE) == {app.cached("own cache")}


def _older(source: Path, cached: Path, layer: str) -> str:
    status = source.stat()
    os.utime(source, (status.st_mtime + 30,) * 2)
    return "stale: the source is 30 s newer"


def _newer(source: Path, cached: Path, layer: str) -> str:
    status = source.stat()
    os.utime(source, (status.st_mtime - 7200,) * 2)
    return "stale: the source is 2 h older"


def _grown(source: Path, cached: Path, layer: str) -> str:
    status = source.stat()
    source.write_text("answer = 4242\n")
    os.utime(source, (status.st_mtime,) * 2)
    return "stale: the source has 14 bytes, the one compiled had 12"


def _replaced(source: Path, cached: Path, layer: str) -> str:
    if layer == "beside the source":
        return "serves it"  # stock Python does not look at this either
    status = source.stat()
    os.utime(source, (status.st_mtime,) * 2)
    return "stale: the source was changed less than 1 s after it"


def _short(source: Path, cached: Path, layer: str) -> str:
    spoil(cached, "short")
    return "damaged: the file ends after 12 bytes"


def _empty(source: Path, cached: Path, layer: str) -> str:
    cached.write_bytes(b"")
    return "damaged: the file is empty"


def _cut(source: Path, cached: Path, layer: str) -> str:
    spoil(cached, "cut")
    return "damaged: what follows the header is no code, or not all of it"


def _flags(source: Path, cached: Path, layer: str) -> str:
    content = cached.read_bytes()
    cached.write_bytes(content[:4] + b"\x08\0\0\0" + content[8:])
    return "damaged: it has flags that no Python writes (0x8)"


def _magic(source: Path, cached: Path, layer: str) -> str:
    content = cached.read_bytes()
    own = int.from_bytes(content[:2], "little")
    cached.write_bytes(b"\x01\x02" + content[2:])
    return f"of another version: magic number 513, this Python has {own}"


def _text(source: Path, cached: Path, layer: str) -> str:
    cached.write_bytes(b"this is no bytecode at all\n")
    return "damaged: it does not begin as bytecode does"


def _folder(source: Path, cached: Path, layer: str) -> str:
    cached.unlink()
    cached.mkdir()
    return "ignored: it is a directory"


def _fifo(source: Path, cached: Path, layer: str) -> str:
    cached.unlink()
    os.mkfifo(cached)
    return "ignored: it is a FIFO"


def _hash(source: Path, cached: Path, layer: str) -> str:
    code = (
        "import sys, py_compile; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True, "
        "invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)"
    )
    cached.unlink()
    say(str(PLACE / "venvs/0/bin/python"), "-c", code, str(source), str(cached))
    source.write_text("answer = 43\n")
    return "stale: its hash is not that of the source"


ANYWHERE = (
    _older,
    _newer,
    _grown,
    _replaced,
    _short,
    _empty,
    _cut,
    _flags,
    _magic,
    _text,
    _folder,
    _fifo,
    _hash,
)


@pytest.mark.parametrize("layer", LAYERS)
def test_each_reason_in_each_layer(machine: Machine, place: None, layer: str) -> None:
    names = [spoils.__name__[1:] for spoils in ANYWHERE]
    files = {f"{name}.py": "answer = 42\n" for name in names}
    here = explainer(machine, machine.venv(FEW[0]), files)
    here.fill(*names)
    for other in LAYERS[: LAYERS.index(layer)]:
        for name in names:
            here.cached(other, name).unlink()
    time.sleep(0.05)  # a later tick of the file system's clock
    expected = [
        (spoils(here.source(name), here.cached(layer, name), layer), str(here.cached(layer, name)))
        for name, spoils in zip(names, ANYWHERE, strict=True)
    ]
    modules = here.answer(*names)["modules"]
    layers = [next(one for one in m["layers"] if one["layer"] == layer) for m in modules]
    assert [(one["detail"], one["path"]) for one in layers] == expected
    run = here.venv.run("-c", f"import {', '.join(names)}", cwd=here.folder)
    for name, found in zip(names, layers, strict=True):
        (line,) = re.findall(rf"^pycache-sys: {name}: (.*)$", run.stderr, re.MULTILINE)
        assert (found["why"] or f"{found['path']}") in line


def test_an_old_source_of_nobody_here_is_not_known_by_its_time(first: Explainer) -> None:
    first.fill("app")
    for layer in LAYERS[:3]:
        first.cached(layer).unlink()
    os.chown(first.source(), STRANGER, STRANGER)
    os.utime(first.cached("own cache"))
    found = first.layer("own cache")
    assert found["detail"] == f"stale: it has no hash, and the source is of uid {STRANGER}"
    assert first.module()["write"]["detail"] == "this file, matched with the source by its hash"


def test_hands_of_a_file(first: Explainer) -> None:
    first.fill("app")
    for layer in LAYERS[:2]:
        first.cached(layer).unlink()
    for layer in LAYERS[2:]:
        os.chown(first.cached(layer), ADA, ADA)
    module = first.module()
    details = {one["layer"]: one["detail"] for one in module["layers"]}
    assert module["layer"] == "compiled"
    who = f"ada (uid {ADA})"
    assert details["beside the source"] == f"ignored: it is ada's (uid {ADA}), the source is not"
    assert details["own cache"] == f"ignored: it belongs to {who}, not to root"
    for layer in LAYERS[2:]:
        os.chown(first.cached(layer), 0, 0)
        first.cached(layer).chmod(0o666)
    details = {one["layer"]: one["detail"] for one in first.module()["layers"]}
    assert details["beside the source"] == "ignored: everybody can write it, but not the source"
    assert details["own cache"] == "ignored: everybody can write it (mode 0666)"


def test_hands_of_a_whole_layer(first: Explainer) -> None:
    first.fill("app")
    above = first.cached("beside the source").parent
    OWN.chmod(0o777)
    above.chmod(0o777)
    IMAGE.chmod(0o775)
    with policy(f"system-tree = {ADAS_HOME}/tree\n"):
        (ADAS_HOME / "tree" / first.venv.folder).mkdir(parents=True)
        module = first.module()
    OWN.chmod(0o700)
    layers = {one["layer"]: (one["why"], one["detail"], one["culprit"]) for one in module["layers"]}
    hands = "in wrong hands"
    assert layers == {
        "image tree": (hands, "ignored: its group can write it (mode 0775)", str(IMAGE)),
        "system tree": (
            hands,
            f"ignored: it belongs to ada (uid {ADA}), not to root",
            str(ADAS_HOME),
        ),
        "beside the source": (
            hands,
            "ignored: everybody can write it, but not the folder above",
            str(above),
        ),
        "own cache": (hands, "ignored: everybody can write it (mode 0777)", str(OWN)),
    }
    assert module["write"]["detail"] == "nothing: everybody can write it (mode 0777)"
    assert (module["layer"], module["write"]["path"]) == ("compiled", None)


def test_what_a_policy_turns_off(first: Explainer) -> None:
    first.fill("app")
    first.cached("system tree").unlink()
    with policy("image-tree = off\nread-beside-source = no\nroot-cache = off\n"):
        module = first.module()
    off = "off: the policy says so"
    assert [one["detail"] for one in module["layers"]] == [off, "absent", off, off]
    assert module["write"]["detail"] == "nothing: the policy says that there is no own cache"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PYTHONDONTWRITEBYTECODE": "1"}, "nothing: PYTHONDONTWRITEBYTECODE is set"),
        ({"DPKG_MAINTSCRIPT_PACKAGE": "gizmo"}, "nothing: a package's maintainer script runs"),
    ],
)
def test_why_nothing_would_be_written(app: Explainer, variables: dict[str, str], says: str) -> None:
    module = app.module(**variables)
    assert (module["layer"], module["write"]["detail"]) == ("compiled", says)
    app.venv.run("-c", "import app", cwd=app.folder, **variables)
    assert files_below(CACHE) == set()


def test_a_source_that_does_not_compile(app: Explainer) -> None:
    app.source().write_text("answer =\n")
    module = app.module(status=1)
    assert module["failure"].startswith("SyntaxError: ")
    assert (module["loaded"], module["layer"]) == (False, "compiled")
    assert module["write"]["detail"] == "nothing: the source does not compile"


# without the hook


def test_where_the_hook_is_off_stock_python_is_explained(app: Explainer) -> None:
    off = app.answer("app", PYCACHE_SYS="off")
    assert (off["hook"], off["hook_detail"]) == (False, "the hook is off: PYCACHE_SYS=off is set")
    with policy("enabled = no\n"):
        by_policy = app.answer("app")
    assert by_policy["hook_detail"] == "the hook is off: the policy says 'enabled = no'"
    with app.venv.without_hook():
        without = app.answer("app")
    assert without["hook_detail"] == "no hook: nothing brings it (pycache-sys enable does)"
    beside = app.cached("beside the source")
    for found in (off, by_policy, without):
        (module,) = found["modules"]
        assert [one["layer"] for one in module["layers"]] == ["beside the source"]
        assert module["layer"] == "compiled"
        assert module["write"]["path"] == str(beside)
    app.venv.run("-c", "import app", cwd=app.folder, switch="off")
    assert app.module(PYCACHE_SYS="off")["file"] == str(beside)
    spoil(beside, "stale")
    assert app.layer("beside the source", PYCACHE_SYS="off")["why"] == "stale"
    assert app.answer("app")["hook"] is True


def test_stock_python_stops_at_damaged_bytecode(app: Explainer) -> None:
    app.venv.run("-c", "import app", cwd=app.folder, switch="off")
    spoil(app.cached("beside the source"), "cut")
    assert app.venv.run("-c", "import app", cwd=app.folder, switch="off").status == 1
    module = app.module(PYCACHE_SYS="off", status=1)
    assert module["failure"].startswith(("EOFError: ", "ValueError: ", "TypeError: "))
    (layer,) = module["layers"]
    assert (layer["why"], module["loaded"]) == ("damaged", False)


def test_a_hook_of_another_version_is_not_asked(first: Explainer) -> None:
    line = "import colorsys, _frozen_importlib_external as e; "
    line += "setattr(e.SourceFileLoader.get_code, 'pycache_sys', 1)\n"
    other = first.venv.site / "zz.pth"
    other.write_text(line)
    found = first.answer("app")
    other.unlink()
    (module,) = found["modules"]
    assert "another version" in found["hook_detail"]
    assert (module["layer"], module["layers"], module["write"]) == (None, [], None)


# other users


def test_another_user_has_another_cache_and_no_more_rights(first: Explainer) -> None:
    os.chown(first.source(), ADA, ADA)
    cache = ADAS_HOME / ".cache/pycache-sys"
    found = first.answer("app", "--user", "ada")
    (module,) = found["modules"]
    assert found["uid"] == ADA
    assert Path(module["write"]["path"]).is_relative_to(cache)
    assert not cache.exists()
    secret = first.folder / "secret.py"
    secret.write_text("word = 1\n")
    secret.chmod(0o600)
    failure = first.module("secret", "--user", "ada", status=1)["failure"]
    assert failure.startswith("PermissionError: ")
    assert first.module("secret")["failure"] is None


def test_a_service_without_a_cache_directory_has_none(first: Explainer) -> None:
    with policy(f"service-uids = {ADA}\n"):
        module = first.module("app", "--user", str(ADA))
    layers = {one["layer"]: one["detail"] for one in module["layers"]}
    assert layers["own cache"] == "none: CACHE_DIRECTORY is not set for this service"
    assert module["write"]["detail"] == "nothing: there is no own cache"


def test_a_home_that_cannot_be_written(first: Explainer) -> None:
    os.chown(ADAS_HOME, 0, 0)
    ADAS_HOME.chmod(0o755)
    module = first.module("app", "--user", "ada")
    detail = f"nothing: ada (uid {ADA}) cannot write this directory"
    assert (module["write"]["detail"], module["write"]["culprit"]) == (detail, str(ADAS_HOME))


# all kinds of modules


def test_kinds(app: Explainer) -> None:
    write(
        app.folder,
        {"alone.py": "a = 1\n", "space/inner.py": MARKS, "package/__init__.py": MARKS},
    )
    write(app.folder, {"package/below.py": MARKS})
    code = "import py_compile; py_compile.compile('alone.py', 'alone.pyc', doraise=True)"
    app.venv.run("-c", code, cwd=app.folder, switch="off")
    (app.folder / "alone.py").unlink()
    names = ["sys", "alone", "space", "space.inner", "package.below", "_json", "./app.py", "app.py"]
    modules = {one["asked"]: one for one in app.answer(*names)["modules"]}
    assert [one["kind"] for one in modules.values()] == [
        "built-in",
        "sourceless",
        "namespace",
        "source",
        "source",
        modules["_json"]["kind"],
        "source",
    ]
    assert modules["_json"]["kind"] in ("extension", "built-in")
    assert modules["space"]["locations"] == [str(app.folder / "space")]
    assert modules["alone"]["file"] == str(app.folder / "alone.pyc")
    assert modules[str(app.source())]["path"] == str(app.source())
    missing = app.answer("package.nothing", "app.none", "nothing", "/no.py", status=1)["modules"]
    assert [one["failure"] for one in missing] == [
        "there is no module package.nothing",
        "app is not a package",
        "there is no module nothing",
        "there is no such file",
    ]
    assert not list(app.folder.rglob("*.mark"))


def test_a_loader_of_another_class_is_left_to_stock_python(first: Explainer) -> None:
    marks = first.venv.site / "marking.pth"
    (first.venv.site / "marking.py").write_text(
        "import sys\n"
        "from importlib.machinery import FileFinder, SourceFileLoader\n"
        "class Marking(SourceFileLoader):\n"
        "    def source_to_code(self, data, path, **more):\n"
        "        open(path + '.mark', 'w').close()\n"
        "        return super().source_to_code(data, path, **more)\n"
        "sys.path_hooks.insert(0, FileFinder.path_hook((Marking, ['.py'])))\n"
    )
    marks.write_text("import marking\n")
    module = first.module()
    marks.unlink()
    assert (module["kind"], module["loader"], module["layer"]) == (
        "subclass",
        "Marking",
        "compiled",
    )
    assert [one["layer"] for one in module["layers"]] == ["beside the source"]
    assert module["write"]["path"] == str(first.cached("beside the source"))
    assert not list(first.folder.rglob("*.mark"))


def test_in_a_sticky_directory_somebody_else_may_have_planted_it(first: Explainer) -> None:
    first.fill("app")
    for layer in LAYERS[:2]:
        first.cached(layer).unlink()
    first.folder.chmod(0o1777)
    above = first.cached("beside the source").parent
    os.chown(above, ADA, ADA)
    found = first.layer("beside the source")
    detail = f"ignored: it is ada's (uid {ADA}), in a directory open to all"
    assert (found["detail"], found["culprit"]) == (detail, str(above))


def test_loaders_that_the_hook_has_no_part_in(first: Explainer) -> None:
    names = {"zipped": "zip", "odd": "other loader", "zipimport": "frozen", "sys": "built-in"}
    with zipfile.ZipFile(first.venv.site / "lib.zip", "w") as archive:
        archive.writestr("zipped.py", "1 / 0\n")
    (first.venv.site / "oddly.py").write_text(
        "import sys\n"
        "from importlib.machinery import ModuleSpec\n"
        "class Odd:\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return ModuleSpec(name, cls()) if name == 'odd' else None\n"
        "sys.meta_path.append(Odd)\n"
    )
    line = first.venv.site / "odd.pth"
    line.write_text("lib.zip\nimport oddly\n")
    modules = first.answer(*names)["modules"]
    line.unlink()
    assert {one["asked"]: one["kind"] for one in modules} == names
    assert modules[0]["file"] == str(first.venv.site / "lib.zip")
    assert modules[1]["loader"] == "Odd"
    assert {one["layer"] for one in modules} == {None}


def test_what_a_start_loads_before_the_hook_is_marked(app: Explainer) -> None:
    modules = app.answer("encodings", "encodings.aliases", "app", "colorsys")["modules"]
    assert [one["at_start"] for one in modules] == [True, True, False, False]
    with app.venv.without_hook():
        (stock,) = app.answer("encodings")["modules"]
    assert (stock["at_start"], stock["layer"]) == (False, "beside the source")


def test_an_exported_cache_is_the_own_cache(app: Explainer) -> None:
    app.fill("app")
    for layer in LAYERS[:3]:
        app.cached(layer).unlink()
    with policy("export-prefix = yes\n"):
        found = app.answer("app")
    (module,) = found["modules"]
    assert (module["layer"], found["pycache_prefix"]) == ("own cache", None)
    assert module["file"] == str(app.cached("own cache"))


def test_a_prefix_takes_what_no_tree_has(app: Explainer) -> None:
    """Root's own variable does not count: it names code. So this is somebody else's start."""
    prefix = ADAS_HOME / "prefix"
    become = ("/usr/bin/setpriv", f"--reuid={ADA}", f"--regid={ADA}", "--clear-groups")
    variables = {"PYTHONPATH": str(PLACE / "product"), "PYTHONPYCACHEPREFIX": str(prefix)}
    named = ("--python", str(app.venv.python), "--json", "app")

    def explained() -> tuple[dict[str, Any], dict[str, Any]]:
        command = (*become, str(app.program), "-B", "-m", "pycache_sys", "explain", *named)
        run = start(*command, cwd=app.folder, **variables, HOME=str(ADAS_HOME))
        assert run.status == 0, run.stderr
        (found,) = json.loads(run.stdout)["interpreters"]
        assert found["pycache_prefix"] == str(prefix)
        (module,) = found["modules"]
        return module, {one["layer"]: one["detail"] for one in module["layers"]}

    module, layers = explained()
    written = f"{prefix}{app.folder}/app.{app.tag}.pyc"
    assert (module["layer"], module["write"]["path"]) == ("compiled", written)
    assert list(layers) == ["image tree", "system tree", "prefix", "beside the source", "own cache"]
    assert layers["own cache"] == "not asked: there is an explicit pycache_prefix"
    assert not prefix.exists()
    start(*become, str(app.venv.python), "-c", "import app", cwd=app.folder, **variables)
    module, layers = explained()
    assert (module["layer"], module["file"]) == ("prefix", written)
    build(app.folder, [app.venv])
    module, layers = explained()
    assert (module["layer"], layers["prefix"]) == (
        "system tree",
        "good, but the system tree comes first",
    )
    with policy("explicit-prefix = exclusive\n"):
        module, layers = explained()
    assert (module["layer"], list(layers)) == ("prefix", ["prefix"])
    with policy("explicit-prefix = ignore\n"):
        module, layers = explained()
    assert (module["layer"], list(layers)) == ("system tree", list(LAYERS))
    ADAS_HOME.chmod(0o500)
    app.cached("system tree").unlink()
    shutil.rmtree(prefix)
    module, _ = explained()
    detail = f"nothing: ada (uid {ADA}) cannot write this directory"
    assert (module["write"]["detail"], module["write"]["culprit"]) == (detail, str(ADAS_HOME))

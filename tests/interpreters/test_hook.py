"""The start-up hook under every real interpreter: what it reads and writes, and what stays stock's.

Children get the hook from a ``sitecustomize``. They start with ``-B`` and take it back with the
hook in place, so that no start ever writes to the interpreter's own library.
"""

import ast
import marshal
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import pycache_sys_runtime
from interpreters.builder import Builder, Run, environment, pycs, say, snapshot
from interpreters.conftest import Found, find
from pycache_sys_runtime.trust import only_root_changes

USABLE = [one for one in find() if one.version >= (3, 8)]
FEW = list(
    dict.fromkeys(
        [USABLE[0], *sorted(USABLE, key=lambda one: one.version)[:: len(USABLE) - 1 or 1]]
    )
)
"""The running interpreter, the oldest and the newest: for what is slow."""

HOOK = """
import sys
sys.path.insert(0, {runtime!r})
from pycache_sys_runtime import startup
need = startup._need
def need_with_policy(stock, name):
    hook = need(stock, name)
    settle = hook.settle
    hook.settle = lambda values: settle(dict(values, **{policy!r}))
    hook.read_settings = lambda: hook.settle(hook.BUILT_IN)
    return hook
startup._need = need_with_policy
startup.MAIN_FILES, startup.DROP_IN_DIRECTORIES = {files!r}, ()
startup.start()
sys.path.pop(0)
"""
WRITES = "import sys; sys.dont_write_bytecode = False\n"
PROBE = (
    f"import sys; sys.path.insert(0, {os.path.dirname(pycache_sys_runtime.__path__[0])!r})\n"
    "from pycache_sys_runtime.layout import running_version_directory\n"
    "print(sys.implementation.cache_tag, running_version_directory())"
)
TREE, BESIDE, OWN, COMPILED = "tree", "beside the source", "own cache", "compiled"


@cache
def names(python: str) -> list[str]:
    """Return an interpreter's cache tag, and the name of its folder."""
    return say(python, PROBE).split()


@dataclass(frozen=True, kw_only=True)
class Place:
    """One folder with sources, a tree and an own cache; the interpreter that runs the hook."""

    folder: Path
    python: str
    runtime: Path

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def own(self) -> Path:
        return self.folder / "own"

    def write(self, name: str, text: str = "x = 1\n") -> Path:
        return Builder(folder=self.folder).write(name, text)

    def build(self) -> None:
        """Make the tree with the real builder; skip where root does not own the way to it."""
        if not only_root_changes(str(self.folder)):
            pytest.skip("a tree that the policy names is read where only root can change it")
        assert Builder(folder=self.folder, python=self.python).build().status == 0

    def cached(self, layer: str, name: str, optimization: str = "") -> Path:
        """Name a source's bytecode in a layer."""
        tag, folder = names(self.python)
        source = self.sources / name
        mark = f".opt-{optimization}" if optimization else ""
        below = {
            TREE: f"{self.folder}/tree/{folder}{source.parent}",
            BESIDE: f"{source.parent}/__pycache__",
            OWN: f"{self.own}/{folder}{source.parent}",
        }[layer]
        return Path(below, f"{source.stem}.{tag}{mark}.pyc")

    def run(
        self,
        *arguments: str,
        hook: bool = True,
        writes: bool = True,
        start: tuple[str, ...] = ("-B",),
        policy: dict[str, object] | None = None,
        **variables: str,
    ) -> Run:
        """Run a child, with the hook or without, that writes bytecode or does not."""
        own = str(self.own)
        values = {"root-cache": own, "user-cache": own, "service-cache": own, "image-tree": ""}
        values |= {"system-tree": str(self.folder / "tree"), **(policy or {})}  # type: ignore[dict-item]
        files = ("/",) if policy else ()  # what is there counts as one, and is read at the start
        prelude = HOOK.format(runtime=str(self.runtime), policy=values, files=files)
        home = self.folder / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        done = subprocess.run(
            [self.python, *start, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=home,
            env=environment(
                HOME=str(home),
                PYTHONPATH=f"{self.runtime / 'delivery'}:{self.sources}",
                PRELUDE=prelude * hook + WRITES * writes,
                **variables,
            ),
        )
        return Run(status=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def layers(self, *modules: str, **options: str) -> dict[str, str]:
        """Import modules in a child, and say which layer served each."""
        run = self.run("-c", "import " + ", ".join(modules), PYCACHE_SYS="trace", **options)  # type: ignore[arg-type]
        assert run.status == 0, run.stderr
        return served(run)

    def assert_clean(self) -> None:
        """Nothing beside a source, and nothing half-written in the own cache."""
        assert not list(self.sources.rglob("__pycache__"))
        assert not list(self.own.rglob("*.tmp"))


def served(run: Run) -> dict[str, str]:
    """Read the trace: the layer of each module.

    Not the hook's own, nor what 3.13 loads for ``-c``.
    """
    others = "(?!pycache_sys_runtime|linecache)"
    line = rf"^pycache-sys: {others}([^:]+): ({TREE}|{BESIDE}|{OWN}|{COMPILED})"
    return dict(re.findall(line, run.stderr, re.MULTILINE))


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the runtime to where stock Python may keep its bytecode, with what delivers it."""
    top = tmp_path_factory.mktemp("runtime")
    original = Path(pycache_sys_runtime.__path__[0])
    shutil.copytree(original, top / original.name, ignore=shutil.ignore_patterns("__pycache__"))
    delivery = top / "delivery"
    delivery.mkdir()
    (delivery / "sitecustomize.py").write_text("import os\nexec(os.environ['PRELUDE'])\n")
    return top


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that, for root, nobody else can change."""
    if os.geteuid():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="pycache-sys-", dir=os.path.expanduser("~")) as path:
        yield Path(path)


@pytest.fixture
def place(interpreter: Found, folder: Path, runtime: Path) -> Place:
    """Give a place for each interpreter of the machine."""
    return Place(folder=folder, python=interpreter.path, runtime=runtime)


@pytest.fixture(params=FEW, ids=str)
def chosen(request: pytest.FixtureRequest, folder: Path, runtime: Path) -> Place:
    """Give a place for the running interpreter, the oldest and the newest."""
    return Place(folder=folder, python=request.param.path, runtime=runtime)


# what is read, and what is written


def test_start_loads_the_package_and_its_start_alone(place: Place) -> None:
    program = (
        f"import sys; before = set(sys.modules); sys.path.insert(0, {str(place.runtime)!r})\n"
        "from pycache_sys_runtime.startup import start; start(); sys.path.pop(0)\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = say(place.python, program).split()
    assert loaded == ["pycache_sys_runtime", "pycache_sys_runtime.startup"]


def test_a_bare_start_does_not_load_the_layers(place: Place) -> None:
    program = "import sys; print(*[name for name in sys.modules if 'pycache_sys' in name])"
    done = place.run("-c", program)
    assert done.stdout.split() == ["pycache_sys_runtime", "pycache_sys_runtime.startup"]


def test_what_python_loads_for_each_command_is_a_reason_only_where_it_matters(place: Place) -> None:
    """``linecache``, from 3.13 on."""
    program = (
        "import sys\n"
        "print('linecache' in sys.modules, 'pycache_sys_runtime.loader' in sys.modules)\n"
        "print(sys.dont_write_bytecode, sys.pycache_prefix)"
    )
    prefix = str(place.folder / "prefix")
    first, *others = (
        place.run("-c", program),
        place.run("-v", "-c", program),
        place.run("-X", f"pycache_prefix={prefix}", "-c", program),
        place.run("-c", program, PYCACHE_SYS="trace"),
        place.run("-c", program, policy={"read-beside-source": False}),
    )
    version = say(place.python, "import sys; print(sys.version_info[:2])").strip()
    is_loaded, has_layers = first.stdout.split()[:2]
    assert is_loaded == str(ast.literal_eval(version) >= (3, 13))
    assert (has_layers, first.stdout.split()[2:]) == ("False", ["False", "None"])
    assert [run.stdout.split()[:2] for run in others] == [[is_loaded, is_loaded]] * len(others)
    assert others[1].stdout.split()[2:] == ["False", prefix]


def test_the_first_run_writes_the_own_cache_and_the_second_reads_it(place: Place) -> None:
    for name in ("a.py", "pkg/__init__.py", "pkg/b.py", "space/c.py"):
        place.write(name)
    modules = ("a", "pkg.b", "space.c")
    before = snapshot(place.sources)
    assert place.layers(*modules) == dict.fromkeys(("a", "pkg", "pkg.b", "space.c"), COMPILED)
    written = snapshot(place.own)
    for path, (mode, *_) in written.items():
        assert isinstance(mode, int)
        assert stat.S_IMODE(mode) == (0o600 if path.endswith(".pyc") else 0o700), path
    assert stat.S_IMODE(place.own.stat().st_mode) == 0o700
    assert {str(place.cached(OWN, "pkg/b.py")), str(place.cached(OWN, "space/c.py"))} < set(written)
    assert place.layers(*modules) == dict.fromkeys(("a", "pkg", "pkg.b", "space.c"), OWN)
    assert snapshot(place.own) == written
    assert snapshot(place.sources) == before
    place.assert_clean()


def test_a_built_tree_is_read_and_nothing_is_written(place: Place) -> None:
    for name in ("a.py", "pkg/__init__.py", "pkg/b.py"):
        place.write(name)
    place.build()
    before = snapshot(place.sources, place.folder / "tree")
    assert place.layers("a", "pkg.b") == dict.fromkeys(("a", "pkg", "pkg.b"), TREE)
    assert snapshot(place.sources, place.folder / "tree") == before
    assert not place.own.exists()


def test_bytecode_beside_the_source_is_read(place: Place) -> None:
    source = place.write("a.py")
    say(place.python, f"import py_compile; py_compile.compile({str(source)!r})")
    before = snapshot(place.sources)
    assert place.layers("a") == {"a": BESIDE}
    assert snapshot(place.sources) == before
    assert not place.own.exists()


def damage(valid: bytes, path: Path, kind: str) -> None:
    """Put something at a path that is no bytecode of its source."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "short": valid[:10],
                "header": valid[:16],
                "truncated": valid[:-7],
                "garbage": valid[:16] + b"\xff\x00garbage" * 9,
                "number": valid[:16] + marshal.dumps(1),
                "magic": b"\0\0\r\n" + valid[4:],
                "flags": valid[:4] + b"\x04\0\0\0" + valid[8:],
                "stale": valid[:12] + b"\0\1\0\0" + valid[16:],
            }[kind]
        )
        path.chmod(0o600)


KINDS = (
    *("empty", "short", "header", "truncated", "garbage", "number", "magic", "flags", "stale"),
    *("directory", "fifo"),
)


@pytest.mark.parametrize("layer", [TREE, BESIDE, OWN])
def test_damaged_entries_are_passed_by_and_the_own_cache_heals(place: Place, layer: str) -> None:
    modules = [f"m_{kind}" for kind in KINDS]
    for name in modules:
        place.write(name + ".py", f"print({name!r})\n")
    if layer is TREE:
        place.build()
    else:
        place.layers(*modules)
    for kind, name in zip(KINDS, modules, strict=True):
        valid = place.cached(OWN if layer is BESIDE else layer, name + ".py").read_bytes()
        damage(valid, place.cached(layer, name + ".py"), kind)
    if layer is BESIDE:
        shutil.rmtree(place.own)
    run = place.run("-c", "import " + ", ".join(modules), PYCACHE_SYS="trace")
    assert run.stdout.split() == modules
    assert served(run) == dict.fromkeys(modules, COMPILED)
    healed = place.layers(*modules)
    assert set(healed.values()) == {OWN}
    assert not list(place.own.rglob("*.tmp"))


def test_a_source_of_another_size_is_compiled_again(place: Place) -> None:
    place.write("a.py", "print(1)\n")
    assert [place.layers("a")["a"] for _ in range(2)] == [COMPILED, OWN]
    place.write("a.py", "print(12345)\n")
    run = place.run("-c", "import a", PYCACHE_SYS="trace")
    assert (run.stdout, served(run)) == ("12345\n", {"a": COMPILED})
    assert place.layers("a") == {"a": OWN}


def test_a_source_changed_behind_its_size_and_time_is_not_taken_from_the_tree(place: Place) -> None:
    source = place.write("a.py", "print('old')\n")
    place.build()
    assert place.layers("a") == {"a": TREE}
    status = source.stat()
    time.sleep(0.02)  # the file system's clock ticks
    source.write_text("print('new')\n")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.stat().st_size == status.st_size
    for expected in (COMPILED, OWN):
        run = place.run("-c", "import a", PYCACHE_SYS="trace")
        assert (run.stdout, served(run)) == ("new\n", {"a": expected})


def test_the_modules_of_the_hook_itself_are_stocks(chosen: Place) -> None:
    chosen.write("a.py")
    run = chosen.run("-c", "import a", PYCACHE_SYS="trace")
    assert "pycache_sys_runtime" not in run.stderr
    assert not list(chosen.own.rglob("*pycache_sys_runtime*"))


def test_a_relative_source_is_another_one_in_another_directory(chosen: Place) -> None:
    for folder in ("one", "two"):
        os.utime(chosen.write(f"{folder}/a.py", f"print({folder!r})\n"), (1_700_000_000,) * 2)
    program = (
        "import os, sys; from importlib.machinery import SourceFileLoader\n"
        "for folder in ('one', 'two'):\n"
        "    os.chdir(os.path.join(sys.argv[1], folder))\n"
        "    exec(SourceFileLoader('a', 'a.py').get_code('a'))"
    )
    for _ in range(2):
        assert chosen.run("-c", program, str(chosen.sources)).stdout == "one\ntwo\n"


# as it is delivered: by its path, under a name of its own

ONCE = """
import sys
from importlib.machinery import SourceFileLoader
name, startup, opened = "_pycache_sys.startup", sys.argv[1], []
def bring():
    loader = SourceFileLoader(name, startup)
    exec(loader.get_code(name), {"__name__": name, "__file__": startup})
def ours():
    return sorted(one for one in sys.modules if one.partition(".")[0] == "_pycache_sys")
def note(event, arguments):
    if event == "open" and str(arguments[0]).startswith(startup[:-len("startup.py")]):
        opened.append(arguments[0].rpartition("/pycache_sys_runtime/")[2])
before = sys.dont_write_bytecode, sys.pycache_prefix
bring()
first = SourceFileLoader.get_code
sys.addaudithook(note)
bring()
print(ours(), opened, SourceFileLoader.get_code is first, first.pycache_sys)
sys.path.insert(0, sys.argv[2])
import a
print(a.x, *ours())
print(*opened)
print((sys.dont_write_bytecode, sys.pycache_prefix) == before)
print(hasattr(SourceFileLoader.get_code, "pycache_sys"))
"""


@pytest.fixture
def private(place: Place) -> str:
    """Give the start-up of a copy to which the whole system is in a folder."""
    package = place.folder / "private" / "pycache_sys_runtime"
    shutil.copytree(
        place.runtime / package.name, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("startup.py", "hook.py"):
        text = (package / name).read_text()
        moved = re.sub(r'"/(?=(?:etc|run|usr|var)\b)', f'"{place.folder}/system/', text)
        assert moved != text
        (package / name).write_text(moved)
    say(place.python, f"import compileall; compileall.compile_dir({str(package)!r}, quiet=1)")
    place.write("a.py")
    return str(package / "startup.py")


FIRST = ["hook", "modules", "startup"]
NEEDED = ["caches", "hook", "layout", "loader", "modules", "own", "startup", "trust"]


def start_privately(place: Place, startup: str, *options: str, **variables: str) -> list[str]:
    """Start behind the private hook, and say what was printed; nothing of ours is written."""
    before = snapshot(Path(startup).parent)
    done = subprocess.run(
        [place.python, "-B", "-S", *options, "-c", ONCE, startup, str(place.sources)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(HOME=str(place.folder), **variables),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert snapshot(Path(startup).parent) == before
    return done.stdout.splitlines()


@pytest.mark.parametrize("prefix", ["", "prefix"])
def test_nothing_is_loaded_before_the_first_module_and_then_from_beside_it(
    place: Place, private: str, prefix: str
) -> None:
    """Also with an explicit prefix: what is there is not for our own modules."""
    options = ("-X", f"pycache_prefix={place.folder}/{prefix}") if prefix else ()
    said = start_privately(place, private, *options)
    tag = names(place.python)[0]
    needed = ["hook", "layout", "loader", "modules", "startup"] if prefix else NEEDED
    assert said[0] == "[] [] True None"
    assert said[1].split() == ["1", "_pycache_sys", *(f"_pycache_sys.{name}" for name in needed)]
    read = {f"__pycache__/{name}.{tag}.pyc" for name in needed if name != "startup"}
    assert set(said[2].split()) == read
    assert said[3:] == ["True", "True"]
    assert not (place.folder / "prefix").exists()


def test_the_first_module_looks_at_the_switch(place: Place, private: str) -> None:
    said = start_privately(place, private, PYCACHE_SYS="off")
    assert said[0] == "[] [] True None"
    assert said[1].split() == ["1", "_pycache_sys", *(f"_pycache_sys.{name}" for name in FIRST)]
    assert said[3:] == ["True", "False"]


@pytest.mark.parametrize("name", ["modules", "hook"])
def test_damaged_bytecode_of_ours_is_compiled_anew(place: Place, private: str, name: str) -> None:
    entry = Path(private).parent / "__pycache__" / f"{name}.{names(place.python)[0]}.pyc"
    valid = entry.read_bytes()
    for kind in KINDS[:9]:
        damage(valid, entry, kind)
        said = start_privately(place, private)
        assert said[1].split() == ["1", "_pycache_sys", *(f"_pycache_sys.{one}" for one in NEEDED)]
        assert said[3:] == ["True", "True"]


@pytest.mark.parametrize("text", [None, "", "def (:\n", "raise RuntimeError\n"])
@pytest.mark.parametrize("name", ["modules", "hook"])
def test_without_one_of_ours_python_is_stock(
    place: Place, private: str, name: str, text: str | None
) -> None:
    path = Path(private).parent / f"{name}.py"
    path.unlink()
    if text is not None:
        path.write_text(text)
    said = start_privately(place, private)
    assert said[0] == "[] [] True None"
    assert said[1].split()[0] == "1"
    assert said[3:] == ["True", "False"]


# options and variables


@pytest.mark.parametrize("option", ["-B", ""])
def test_who_wants_no_bytecode_gets_none(place: Place, option: str) -> None:
    place.write("a.py", "print(1)\n")
    start = (option,) if option else ()
    for _ in range(2):
        run = place.run(
            *("-c", "import a"),
            start=start,
            writes=False,
            PYCACHE_SYS="trace",
            PYTHONDONTWRITEBYTECODE="" if option else "1",
        )
        assert served(run) == {"a": COMPILED}
    assert not place.own.exists()
    place.assert_clean()


def test_each_level_of_optimization_has_its_own_names(place: Place) -> None:
    place.write("a.py", "def f():\n    'words'\n    assert False\n    return 1\n")
    program = "import a; print(a.f.__doc__, a.f() if sys.flags.optimize else '')"
    for option, level, said in (("-O", "1", "words 1"), ("-OO", "2", "None 1")):
        for expected in (COMPILED, OWN):
            run = place.run(option, "-c", "import sys;" + program, PYCACHE_SYS="trace")
            assert (run.stdout.strip(), served(run)["a"]) == (said, expected)
        assert place.cached(OWN, "a.py", level).exists()
    assert not place.cached(OWN, "a.py").exists()
    place.assert_clean()


@pytest.mark.parametrize(
    ("checked", "option", "said"),
    [
        *[("CHECKED", "default", "new"), ("CHECKED", "never", "old"), ("CHECKED", "always", "new")],
        *[("UNCHECKED", "default", "old"), ("UNCHECKED", "always", "new")],
    ],
)
def test_bytecode_with_a_hash_is_checked_as_stock_does(
    chosen: Place, checked: str, option: str, said: str
) -> None:
    source = chosen.write("a.py", "print('old')\n")
    mode = f"py_compile.PycInvalidationMode.{checked}_HASH"
    program = f"import py_compile; py_compile.compile({str(source)!r}, invalidation_mode={mode})"
    say(chosen.python, program)
    source.write_text("print('new')\n")
    command = ("--check-hash-based-pycs", option, "-c", "import a")
    assert chosen.run(*command).stdout == said + "\n"
    assert chosen.run(*command, hook=False, writes=False).stdout == said + "\n"


@pytest.mark.parametrize("explicit", ["layer", "exclusive", "ignore"])
def test_an_explicit_prefix(place: Place, explicit: str) -> None:
    place.write("a.py")
    place.write("pkg/__init__.py")
    found = []
    for hook in (False, True):
        prefix = place.folder / "prefix"
        command = ("-X", f"pycache_prefix={prefix}", "-c", "import a, pkg")
        for _ in range(2):
            assert place.run(*command, hook=hook, policy={"explicit-prefix": explicit}).status == 0
        below = prefix / str(place.sources)[1:]
        found.append({path: Path(path).read_bytes() for path in pycs(below)})
        shutil.rmtree(prefix, ignore_errors=True)
    assert len(found[0]) == 2
    assert found[1] == ({} if explicit == "ignore" else found[0])
    assert place.cached(OWN, "a.py").exists() == (explicit == "ignore")
    place.assert_clean()


def test_a_tree_is_read_before_an_explicit_prefix_unless_that_is_exclusive(chosen: Place) -> None:
    chosen.write("a.py")
    chosen.build()
    prefix = chosen.folder / "prefix"
    command = ("-X", f"pycache_prefix={prefix}", "-c", "import a")
    assert served(chosen.run(*command, PYCACHE_SYS="trace")) == {"a": TREE}
    assert not prefix.exists() or not pycs(prefix / str(chosen.sources)[1:])
    policy: dict[str, object] = {"explicit-prefix": "exclusive"}
    assert served(chosen.run(*command, policy=policy, PYCACHE_SYS="trace")) == {}
    assert len(pycs(prefix / str(chosen.sources)[1:])) == 1


# as stock


def test_verbose_says_what_stock_says(place: Place) -> None:
    place.write("pkg/__init__.py")
    place.write("pkg/b.py")
    folder = names(place.python)[1]
    stock = place.folder / "stock" / folder
    options = ("-v", "-c", "import pkg.b")
    said = []
    for hook, prefix in ((True, place.own / folder), (False, stock)):
        more = () if hook else ("-X", f"pycache_prefix={stock}")
        for _ in range(2):
            run = place.run(*more, *options, hook=hook)
            text = re.sub(r"0x[0-9A-Fa-f]+", "0x", run.stderr.replace(str(prefix), "PREFIX"))
            lines = [
                line for line in text.splitlines() if str(place.sources) in line or "'pkg" in line
            ]
            said.append(lines)
    assert said[0] == said[2]
    assert said[1] == said[3]
    assert any(line.startswith("# created 'PREFIX") for line in said[0])
    assert any(" matches " in line for line in said[1])


AUDITED = """
import re, sys, tokenize
events, is_on = [], False
def hook(event, arguments):
    if is_on:
        events.append(event + re.sub("0x[0-9a-f]+", "", repr(arguments)))
sys.addaudithook(hook)
import first  # the hook's own modules are loaded by now
is_on = True
import audited
is_on = False
print(*events, sep="\\n")
"""


def test_audit_hooks_see_what_stock_shows_them(place: Place) -> None:
    for name in ("first.py", "audited.py"):
        source = place.write(name)
        say(place.python, f"import py_compile; py_compile.compile({str(source)!r})")
    program = f"import sys; sys.path.insert(0, {str(place.sources)!r})\n" + AUDITED
    hooked, stock = place.run("-c", program), place.run("-c", program, hook=False)
    assert "audited.cpython" in stock.stdout or "audited.pypy" in stock.stdout
    assert hooked.stdout == stock.stdout


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import no_such_module\n", "ModuleNotFoundError"),
        ("from sys import no_such_name\n", "ImportError"),
        ("def f(:\n    pass\n", "SyntaxError"),
        ("x = '\0'\n", "Error"),
        ("# coding: no-such\n", "SyntaxError"),
        ("def f():\n    return 1 / 0\nf()\n", "ZeroDivisionError"),
    ],
)
def test_tracebacks_are_stocks(place: Place, text: str, error: str) -> None:
    place.write("outer.py", "import inner\n")
    place.write("inner.py", text)
    stock = place.run("-c", "import outer", hook=False, writes=False)
    assert error in stock.stderr.splitlines()[-1]
    for _ in range(2):
        run = place.run("-c", "import outer")
        assert (run.status, run.stderr) == (stock.status, stock.stderr)
    place.assert_clean()


WAYS = """
import importlib.machinery, importlib.resources, importlib.util
import inspect, linecache, os, pkgutil, runpy, sys
top = sys.argv[1]
def say(*values): print(*map(ascii, values))
import pkg, pkg.sub, space.inner
say(pkg.__file__, pkg.__cached__, pkg.__spec__.cached, pkg.__path__, list(space.__path__))
code = pkg.sub.f.__code__
say(code.co_filename, [getattr(one, 'co_filename', '') for one in code.co_consts])
say(inspect.getsource(pkg.sub.f), inspect.getsource(pkg.sub))
say(linecache.getline(pkg.sub.__file__, 2))
say([one.name for one in pkgutil.walk_packages([top])])
say(pkgutil.get_data('pkg', 'data.txt'))
files = getattr(importlib.resources, 'files', None)
read = getattr(importlib.resources, 'read_text', None)
say((files('pkg') / 'data.txt').read_text() if files else read('pkg', 'data.txt'))
say(runpy.run_path(top + '/script.py')['answer'], runpy.run_module('pkg.sub')['f']())
for path in (top + '/script.py', top + '/pkg/../script.py', os.path.relpath(top) + '/script.py'):
    spec = importlib.util.spec_from_file_location('named', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    say(module.answer, module.__cached__, spec.loader.get_code('named').co_filename)
loader = importlib.machinery.SourceFileLoader('tool', top + '/tool')
spec = importlib.util.spec_from_loader('tool', loader)
module = importlib.util.module_from_spec(spec)
loader.exec_module(module)
say(module.answer, loader.get_code('tool').co_filename)
for name, wrong in (('other', top + '/script.py'), ('gone', top + '/gone.py'), ('gone', top)):
    try:
        say(importlib.machinery.SourceFileLoader('gone', wrong).get_code(name).co_names)
    except Exception as error:
        say(type(error).__name__, str(error))
sys.path.insert(0, top + '/archive.zip')
import zipped
say(zipped.__file__, zipped.answer, type(zipped.__loader__).__name__)
"""


def test_every_way_to_a_module_gives_what_stock_gives(place: Place) -> None:
    place.write("pkg/__init__.py", "answer = 1\n")
    place.write("pkg/__main__.py", "import sys\nprint(sys.argv[1:], __file__, __spec__.name)\n")
    place.write("pkg/sub.py", "def f():\n    def g():\n        return 7\n    return g()\n")
    place.write("pkg/data.txt", "data")
    place.write("space/inner.py")
    place.write("script.py", "answer = __name__, __file__\n")
    place.write("tool", "answer = 3\n")
    with zipfile.ZipFile(place.sources / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", "answer = 2\n")
    before = snapshot(place.sources)
    commands = (
        ("-c", WAYS, str(place.sources)),
        ("-m", "pkg", "argument"),
        (str(place.sources / "pkg"), "argument"),
        (str(place.sources / "script.py"),),
    )
    for command in commands:
        stock = place.run(*command, hook=False, writes=False)
        assert command[1:] == () or stock.stdout
        assert stock.status == 0
        for _ in range(2):
            assert place.run(*command) == stock
    assert snapshot(place.sources) == before
    assert place.cached(OWN, "pkg/sub.py").exists()


CACHED = """
import importlib.machinery as machinery, importlib.util, os, sys
top, options = sys.argv[1], sys.argv[2:]
import first
if "prefix" in options:
    sys.pycache_prefix = top + "/prefix"
class Spec:
    submodule_search_locations, parent, cached, _initializing = None, "", "/own.pyc", False
    _uninitialized_submodules = []
    def __init__(self, name, loader, origin):
        self.name, self.loader, self.origin = name, loader, origin
class Loader(machinery.SourceFileLoader):
    pass
def say(spec):
    try:
        module = importlib.util.module_from_spec(spec)
        print(ascii((spec.origin, getattr(module, "__cached__", None), spec.cached)))
    except Exception as error:
        print(type(error).__name__, error)
names = "a.py", "a.b.py", ".py", "..py", "a.pyw", "a", "a.pyc", "a.cpython-311.py", "\u00fc.py"
folders = top + "/", top + "//", top + "//x/", top + "/x//", "", "/", "//", "./", "x/../"
for folder in (*folders, os.path.relpath(top) + "/"):
    for name in names:
        path = folder + name
        for loader in (machinery.SourceFileLoader, Loader, machinery.SourcelessFileLoader):
            say(importlib.util.spec_from_file_location("m", path, loader=loader("m", path)))
        say(importlib.util.spec_from_file_location("m", path))
path = top + "/a.py"
loader = machinery.SourceFileLoader("m", path)
for kind in (machinery.ModuleSpec, Spec):
    for origin in (path, None, top, 7, b"/a/b.py"):
        for has_location in (True, False):
            spec = kind("m", loader, origin=origin)
            spec.has_location = has_location
            say(spec)
spec = importlib.util.spec_from_file_location("m", path)
spec.cached = "/elsewhere.pyc"
say(spec)
"""


@pytest.mark.parametrize("options", [(), ("prefix",)])
@pytest.mark.parametrize("level", ["", "-O", "-OO"])
def test_modules_say_where_their_bytecode_would_be_as_with_stock(
    place: Place, level: str, options: tuple[str, ...]
) -> None:
    place.write("first.py")
    start = ("-B", level) if level else ("-B",)
    command = ("-c", CACHED, str(place.sources), *options)
    stock = place.run(*command, hook=False, writes=False, start=start)
    assert stock.status == 0, stock.stderr
    assert ("/prefix/" in stock.stdout) is bool(options)
    assert place.run(*command, start=start) == stock


def test_a_method_that_somebody_puts_around_the_first_one_stays(place: Place) -> None:
    place.write("a.py")
    place.write("b.py")
    program = """
from _frozen_importlib_external import SourceFileLoader  # no module comes from a file here
inner, seen = SourceFileLoader.get_code, []
def get_code(self, name):
    seen.append(name)
    return inner(self, name)
SourceFileLoader.get_code = get_code
import a, b
assert SourceFileLoader.get_code is get_code
print([name for name in seen if name in "ab"])
"""
    for layer in (COMPILED, OWN):
        run = place.run("-c", program, PYCACHE_SYS="trace")
        assert run.stdout == "['a', 'b']\n", run.stderr
        assert served(run) == {"a": layer, "b": layer}
    place.assert_clean()


def test_the_compilers_of_the_library_are_stock(place: Place) -> None:
    place.write("a.py")
    place.write("pkg/b.py")
    one = f"import py_compile; print(py_compile.compile({str(place.sources / 'a.py')!r}))"
    for command in (("-c", one), ("-m", "compileall", "-q", str(place.sources))):
        found = []
        for hook in (False, True):
            run = place.run(*command, hook=hook, writes=False)
            assert run.status == 0, run.stderr
            files = {path: Path(path).read_bytes() for path in pycs(place.sources)}
            found.append((run.stdout, run.stderr, files))
            for path in place.sources.rglob("__pycache__"):
                shutil.rmtree(path)
        assert found[0] == found[1]
        assert found[0][2]
        assert not list(place.own.rglob("a.*"))


# children and threads

CHILDREN = """
import multiprocessing, sys
def work(name):
    return __import__(name).x
if __name__ == '__main__':
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(pool.map(work, ['a', 'b', 'a', 'b'], 1))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_of_multiprocessing_have_the_hook(chosen: Place, method: str) -> None:
    script = chosen.write("main.py", CHILDREN)
    chosen.write("a.py")
    chosen.write("b.py")
    cold, warm = (chosen.run(str(script), method, PYCACHE_SYS="trace") for _ in range(2))
    assert cold.stdout == warm.stdout == "[1, 1, 1, 1]\n", cold.stderr
    assert served(warm)["a"] == served(warm)["b"] == OWN
    chosen.assert_clean()


def test_a_fork_goes_on_with_the_hook(place: Place) -> None:
    place.write("a.py", "print('a', flush=True)\n")
    place.write("b.py", "print('b', flush=True)\n")
    program = "import a, os\nif not os.fork():\n    import b\n    os._exit(0)\nos.wait()\nimport b"
    for expected in (COMPILED, OWN):
        run = place.run("-c", program, PYCACHE_SYS="trace")
        assert run.stdout.split() == ["a", "b", "b"]
        assert served(run)["a"] == expected
        assert run.stderr.count("pycache-sys: b:") == 2
    place.assert_clean()


def test_threads_and_processes_that_import_the_same_at_once(chosen: Place) -> None:
    for number in range(30):
        chosen.write(f"pkg/m{number}.py", f"x = {number}\n")
    program = (
        "import importlib, threading\nfound = []\n"
        "gate = threading.Barrier(8)\n"
        "def work():\n    gate.wait()\n"
        "    found.append(sum(importlib.import_module('pkg.m%d' % n).x for n in range(30)))\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[t.start() for t in threads], [t.join() for t in threads]\nprint(found == [435] * 8)"
    )
    fork = "import os\npids = [os.fork() for _ in range(2)]\n"
    forked = f"{fork}{program}\nif 0 not in pids: os.wait(), os.wait()\n"
    for _ in range(2):
        run = chosen.run("-c", forked)
        assert run.stdout.split() == ["True"] * 4, run.stderr
        assert run.stderr == ""
    assert len(pycs(chosen.own / names(chosen.python)[1] / str(chosen.sources)[1:])) == 30
    chosen.assert_clean()

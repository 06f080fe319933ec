"""Bytecode that has no source is sacred: it imports, byte for byte the same, after any rebuild."""

from pathlib import Path

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES, Interpreter, Suite
from distro.debs import build_deb, install_deb
from distro.import_trace import evaluate, prefix_of, prefix_options
from distro.product import rebuild_all
from distro.snapshots import Stamp, stamp

MTIME = 1_704_067_200
COMPILE = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)"
IMPORT = """
import sourceless_module, sourceless_package, sourceless_package.inner, widowed
print(sourceless_module.NAME, sourceless_package.NAME, sourceless_package.inner.NAME, widowed.NAME)
"""
NAMES = "sourceless_module sourceless_package inner widowed"


def pyc_of(chroot: Chroot, interpreter: Interpreter, name: str) -> bytes:
    """Compile a module that holds its own name, and leave nothing behind."""
    source, compiled = (chroot.path(f"/srv/{name}{suffix}") for suffix in (".py", ".pyc"))
    source.write_text(f"NAME = {name!r}\n")
    chroot.run(interpreter.command, "-c", COMPILE, f"/srv/{name}.py", f"/srv/{name}.pyc")
    data = compiled.read_bytes()
    source.unlink()
    compiled.unlink()
    return data


def install_sourceless(chroot: Chroot, interpreter: Interpreter) -> list[Path]:
    """Install a package with modules in every sourceless form; return its pyc files."""
    contents = {
        "sourceless_module.pyc": pyc_of(chroot, interpreter, "sourceless_module"),
        "sourceless_package/__init__.pyc": pyc_of(chroot, interpreter, "sourceless_package"),
        "sourceless_package/inner.pyc": pyc_of(chroot, interpreter, "inner"),
        "widowed.pyc": pyc_of(chroot, interpreter, "widowed"),
        f"__pycache__/forgotten.{interpreter.cache_tag}.pyc": pyc_of(
            chroot, interpreter, "forgotten"
        ),
    }
    placed = {f"{DIST_PACKAGES}/{name}": data for name, data in contents.items()}
    source = {f"{DIST_PACKAGES}/widowed.py": b"NAME = 'from source'\n"}
    archive = build_deb(chroot, "pycache-sourceless", "1", placed | source, MTIME)
    install_deb(chroot, archive)
    return [chroot.path(name) for name in placed]


def state(paths: list[Path]) -> list[tuple[bytes, Stamp]]:
    """Record every byte and every stamp."""
    return [(path.read_bytes(), stamp(path)) for path in paths]


def imported(chroot: Chroot, interpreter: Interpreter) -> set[str]:
    """Import the package without and with the tree; return what was printed."""
    return {
        evaluate(chroot, interpreter, IMPORT),
        evaluate(chroot, interpreter, IMPORT, *prefix_options(interpreter)),
    }


def test_sourceless_modules_survive_force_and_prune(suite: Suite, chroot: Chroot) -> None:
    interpreter = default_interpreter(suite)
    paths = install_sourceless(chroot, interpreter)
    rebuild_all(chroot)
    widow = f"{prefix_of(interpreter)}{DIST_PACKAGES}/widowed.*.pyc"
    assert entries_like(chroot, widow), "the source was there"
    chroot.path(f"{DIST_PACKAGES}/widowed.py").unlink()
    before = state(paths)
    assert imported(chroot, interpreter) == {NAMES}
    run = rebuild_all(chroot, "--force", "--prune")
    assert run.removed == len(suite.interpreters)
    assert not entries_like(chroot, widow), "an entry whose source is gone is pruned"
    assert imported(chroot, interpreter) == {NAMES}
    assert state(paths) == before


def place_strays(chroot: Chroot, interpreter: Interpreter, *names: str) -> list[str]:
    """Put files that no rule of the builder's names into the tree."""
    strays = [f"{prefix_of(interpreter)}{DIST_PACKAGES}/idna/{name}" for name in names]
    for stray in strays:
        path = chroot.path(stray)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not ours")
    return strays


def assert_left_alone(chroot: Chroot, strays: list[str]) -> None:
    """Check that a rebuild leaves files in the tree as they are, and says so."""
    paths = [chroot.path(stray) for stray in strays]
    before = state(paths)
    run = rebuild_all(chroot, "--prune")
    assert run.removed == 0
    assert {left["path"] for left in run.report["left"]} == set(strays)
    assert state(paths) == before


def test_what_is_not_ours_stays_in_the_tree(suite: Suite, chroot: Chroot) -> None:
    names = ("stray.pyc", "stray.cpython-27.pyc", "notes.txt")
    assert_left_alone(chroot, place_strays(chroot, default_interpreter(suite), *names))


def test_a_pycache_directory_in_the_tree_is_not_ours(suite: Suite, chroot: Chroot) -> None:
    interpreter = default_interpreter(suite)
    name = f"__pycache__/core.{interpreter.cache_tag}.pyc"
    assert_left_alone(chroot, place_strays(chroot, interpreter, name))


def default_interpreter(suite: Suite) -> Interpreter:
    """Return the interpreter that the suite's python3 is."""
    return suite.interpreters[0]


def entries_like(chroot: Chroot, pattern: str) -> list[Path]:
    """List the chroot's files that match a pattern."""
    return list(chroot.root.glob(pattern.lstrip("/")))

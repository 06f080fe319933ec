"""A stock interpreter with the tree as its prefix compiles nothing and writes nothing."""

import pytest

from distro.chroots import NOBODY, Chroot
from distro.debian import DIST_PACKAGES, Interpreter, Suite
from distro.import_trace import ImportTrace, evaluate, prefix_of, prefix_options, trace_imports
from distro.product import TREE, Rebuilt, rebuild_all
from distro.snapshots import Snapshot, bytecode_beside_sources, differences, files, snapshot

LIST_CACHE_PATHS = """
import importlib.util, os, sys
for top in sys.argv[1:]:
    for parent, directories, names in os.walk(top):
        for name in names:
            if name.endswith(".py"):
                source = os.path.join(parent, name)
                print(source, importlib.util.cache_from_source(source), sep="\\t")
"""
COMPILES = "import sys; compile(open(sys.argv[1], 'rb').read(), sys.argv[1], 'exec')"


def bytecode_state(chroot: Chroot) -> tuple[Snapshot, Snapshot]:
    """Record the tree and everything that stock Python writes beside sources."""
    return snapshot(chroot.path(TREE)), bytecode_beside_sources(chroot.root)


def misplaced(trace: ImportTrace, interpreter: Interpreter) -> dict[str, str | None]:
    """Name the loaded sources whose bytecode did not come from the tree, with where it did."""
    exempt = {f"{interpreter.library}/{name}" for name in interpreter.bootstrap}
    return {
        source: trace.matched.get(source)
        for source in (trace.sources | trace.matched.keys()) - exempt
        if not is_its_place(trace.matched.get(source), source, prefix_of(interpreter))
    }


def is_its_place(pyc: str | None, source: str, prefix: str) -> bool:
    """Say whether a pyc lies below the prefix just as its source does below the root."""
    if pyc is None:
        return False
    folder, _, name = pyc.rpartition("/")
    source_folder, _, source_name = source.rpartition("/")
    return folder == prefix + source_folder and name.startswith(source_name.removesuffix("py"))


def test_rebuild_uses_every_interpreter(suite: Suite, rebuilt: Rebuilt) -> None:
    expected = {interpreter.directory for interpreter in suite.interpreters}
    assert rebuilt.first.used_directories == expected
    assert not [i for i in rebuilt.first.report["interpreters"] if i["status"] != "used"]


def test_every_source_on_the_search_path_is_in_the_tree(
    suite: Suite, rebuilt: Rebuilt, chroot: Chroot
) -> None:
    for interpreter in suite.interpreters:
        listed = chroot.run(
            interpreter.command,
            *prefix_options(interpreter),
            *("-B", "-c", LIST_CACHE_PATHS, interpreter.library, DIST_PACKAGES),
        )
        pairs = dict(line.split("\t") for line in listed.splitlines())
        absent = {source for source, pyc in pairs.items() if not chroot.path(pyc).exists()}
        assert len(pairs) > 1000
        assert absent == rebuilt.first.without_bytecode & pairs.keys()
        in_tree = files(snapshot(chroot.path(prefix_of(interpreter))))
        assert {f"{prefix_of(interpreter)}/{name}" for name in in_tree} <= set(pairs.values())


def test_what_fails_is_what_an_interpreter_refuses(
    suite: Suite, rebuilt: Rebuilt, chroot: Chroot
) -> None:
    for failure in rebuilt.first.failures:
        assert failure.reason == "syntax", failure
        assert any(
            "SyntaxError" in chroot.attempt(i.command, "-B", "-c", COMPILES, failure.source).stderr
            for i in suite.interpreters
        ), failure


@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
def test_fifty_modules_load_from_the_tree(suite: Suite, chroot: Chroot, user: int) -> None:
    before = bytecode_state(chroot)
    for interpreter in suite.interpreters:
        assert len(interpreter.modules) >= 50
        trace = trace_imports(chroot, interpreter, interpreter.modules, user=user)
        assert len(trace.sources) > len(interpreter.modules)
        assert f"{interpreter.library}/encodings/utf_8.py" in trace.sources
        assert misplaced(trace, interpreter) == {}
        assert trace.compiled == []
        assert trace.writes == []
    tree, beside = bytecode_state(chroot)
    assert differences(before[0], tree) == set()
    assert differences(before[1], beside) == set()


def test_without_a_tree_the_same_imports_compile_and_write(
    suite: Suite, bare_chroot: Chroot
) -> None:
    """Prove that the traces above can tell the difference."""
    for interpreter in suite.interpreters:
        trace = trace_imports(bare_chroot, interpreter, ["json", "attr"])
        assert f"{interpreter.library}/json/__init__.py" in trace.compiled
        assert f"{DIST_PACKAGES}/attr/__init__.py" in misplaced(trace, interpreter)
        assert trace.writes


def test_second_rebuild_finds_everything_fresh(rebuilt: Rebuilt, chroot: Chroot) -> None:
    before = snapshot(chroot.path(TREE))
    second = rebuild_all(chroot)
    assert (second.compiled, second.removed) == (0, 0)
    assert second.count("fresh") == rebuilt.first.compiled
    assert differences(before, snapshot(chroot.path(TREE))) == set()


def test_losing_the_tree_costs_time_only(suite: Suite, chroot: Chroot) -> None:
    first = suite.interpreters[0]
    program = "import jinja2; print(jinja2.Template('{{ 6 * 7 }}').render())"
    chroot.run("rm", "-rf", TREE)
    assert evaluate(chroot, first, program, *prefix_options(first)) == "42"
    again = rebuild_all(chroot, "-p", "python3-jinja2", "--python", first.command)
    assert again.compiled > 0

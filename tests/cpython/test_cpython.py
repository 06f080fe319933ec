"""CPython's own tests of its import system come out the same with the hook as without it.

As root, with pyenv's CPython 3.11 and 3.13, whose tests are installed with them:

    .venv/bin/python -m pytest tests/cpython                               # some 20 minutes
    .venv/bin/python -m pytest tests/cpython -k 'not fork and not spawn'   # 4 to 6 minutes

The second, for CI, is without the tests of multiprocessing's three methods, which mostly wait
(``main_handling`` uses all three, too). A version that is not there is skipped.

Both run at the same time, on two copies of the interpreter in memory, as a user who is not root and
with a system tree for the copy's library. Each test's outcome is compared. ``differences.toml``
lists the tests that are meant to differ, why, and what they say then; any other difference fails,
and so does an entry of the list that does not differ. What differs unexpectedly is run twice more,
and does not count if it comes out alike both times.
"""

from collections.abc import Callable
from os import walk

import pytest

from cpython.comparison import Comparison, compare, read_list
from cpython.copies import TREE, Pair, hooks_environments, is_hooked

VERSIONS = ("3.11", "3.13")
MODULES = (
    "test_importlib",
    "test_import",
    "test_pkgutil",
    "test_runpy",
    "test_site",
    "test_compileall",
    "test_py_compile",
    "test_zipimport",
    "test_venv",
    "test_cmd_line_script",
    "test_multiprocessing_main_handling",
    "test_multiprocessing_fork",
    "test_multiprocessing_forkserver",
    "test_multiprocessing_spawn",
)


@pytest.mark.parametrize("version", VERSIONS)
def test_one_copy_has_the_hook_and_reads_the_tree(
    version: str, pair_of: Callable[[str], Pair]
) -> None:
    pair = pair_of(version)
    trace = {"PYCACHE_SYS": "trace"}
    said = pair.on.say("-c", "import test.support", environment=trace)
    assert f"pycache-sys: test.support: tree {TREE}/{version}/" in said
    for options in ((), ("-I",), ("-E",)):
        assert is_hooked(pair.on, *options)
        assert not is_hooked(pair.off, *options)
    assert hooks_environments(pair.on)
    assert not hooks_environments(pair.off)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_test_comes_out_the_same(
    version: str,
    module: str,
    pair_of: Callable[[str], Pair],
    tell: Callable[[Pair, str, Comparison], None],
) -> None:
    pair = pair_of(version)
    result = compare(lambda: pair.run(module), read_list(version, module))
    tell(pair, module, result)
    assert result.tests > 10
    assert not result.found, "\n".join(map(str, result.found))
    assert not result.stale, "listed, but the same with the hook"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_they_imported_was_kept_in_the_users_own_cache(
    version: str, pair_of: Callable[[str], Pair]
) -> None:
    pair = pair_of(version)
    pair.on.say("-c", "import os, sys; os.chdir('/srv'); sys.path[0] = ''; import collector")
    kept = [name for _, _, names in walk(pair.on.own_cache) for name in names]
    assert "collector.cpython-" + version.replace(".", "") + ".pyc" in kept
    assert all(name.endswith(".pyc") for name in kept), "something is left unfinished"
    assert not pair.off.own_cache.exists()

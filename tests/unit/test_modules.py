"""What loads the modules of the package: from where they stand, once, and nothing is written."""

import ast
import importlib
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pycache_sys_runtime import modules, startup
from pycache_sys_runtime.startup import FROZEN
from siblings import BAD, SIBLING, TESTED, Siblings, compiled, private_modules

BEGUN = {"modules", "startup"}
"""What is there before any other module is needed."""
ALWAYS = [TESTED, *sorted(f"{TESTED}.{name}" for name in BEGUN)]


@pytest.fixture
def unbegun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Siblings]:
    """Give a package of which nothing is loaded."""
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    made = Siblings(tmp_path)
    made.write("sibling", SIBLING)
    yield made
    for name in private_modules():
        del sys.modules[name]


@pytest.fixture
def siblings(unbegun: Siblings) -> Siblings:
    """Give a package as start-up leaves it."""
    unbegun.begin()
    return unbegun


class TestBegin:
    def test_it_makes_the_package_and_what_is_executed_already(self, unbegun: Siblings) -> None:
        before = dict(sys.modules)
        unbegun.begin()
        assert {name: sys.modules[name] for name in before} == before
        assert sorted(set(sys.modules) - set(before)) == ALWAYS
        package, here = sys.modules[TESTED], str(unbegun.folder)
        spec = package.__spec__
        assert spec is not None
        assert list(package.__path__) == list(spec.submodule_search_locations or ()) == [here]
        assert package.__file__ == f"{here}/__init__.py"
        for name, space in (("startup", unbegun.startup), ("modules", unbegun.space)):
            module = sys.modules[f"{TESTED}.{name}"]
            assert isinstance(module, ModuleType)
            assert (module.__name__, module.__file__) == (f"{TESTED}.{name}", f"{here}/{name}.py")
            functions = {key: one for key, one in space.items() if callable(one)}
            assert {key: getattr(module, key) for key in functions} == functions

    def test_what_others_go_by_appears_last(self, unbegun: Siblings) -> None:
        unbegun.begin()
        package, first, last = [name for name in sys.modules if name.partition(".")[0] == TESTED]
        assert (package, first, last) == (TESTED, f"{TESTED}.startup", f"{TESTED}.modules")

    def test_whoever_sees_it_can_load_everything(
        self, unbegun: Siblings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Threads that import for the first time at once look for the last of the names alone."""
        found: list[str] = []

        class Watched(dict[str, ModuleType]):
            def setdefault(self, name: str, module: ModuleType) -> ModuleType:  # type: ignore[override]
                super().setdefault(name, module)
                if f"{TESTED}.modules" in self:
                    found.append(self[f"{TESTED}.modules"].need("sibling").answer)
                return self[name]

        monkeypatch.setattr(sys, "modules", Watched(sys.modules))
        unbegun.begin()
        assert found == ["source"]

    def test_the_first_of_two_stays(self, unbegun: Siblings) -> None:
        unbegun.begin()
        module = unbegun.need()
        before = {name: sys.modules[name] for name in private_modules()}
        second = Siblings(unbegun.folder)
        second.begin()
        assert {name: sys.modules[name] for name in private_modules()} == before
        assert second.need() is module


class TestNeed:
    def test_what_a_module_imports_from_here_is_known(self) -> None:
        found = {}
        for path in Path(modules.__file__).parent.glob("*.py"):
            names = set()
            for one in ast.parse(path.read_text("utf-8")).body:
                if isinstance(one, ast.ImportFrom) and one.level:
                    names |= {one.module} if one.module else {alias.name for alias in one.names}
            if names - BEGUN:
                found[path.stem] = names - BEGUN
        assert {name: set(others) for name, others in modules._IMPORTED_BY.items()} == found

    def test_start_up_and_what_loads_the_others_need_none(self) -> None:
        for name in BEGUN:
            body = ast.parse((Path(modules.__file__).parent / f"{name}.py").read_text("utf-8")).body
            assert not [one for one in body if isinstance(one, ast.ImportFrom) and one.level]

    def test_a_sibling_is_loaded_under_the_packages_own_name(self, siblings: Siblings) -> None:
        before = dict(sys.modules)
        module = siblings.need()
        assert module.answer == "source"
        assert private_modules() == sorted([*ALWAYS, f"{TESTED}.sibling"])
        assert {name: sys.modules[name] for name in before} == before
        assert set(sys.modules) - set(before) == {f"{TESTED}.sibling"}
        assert sys.modules["pycache_sys_runtime.startup"] is startup
        assert sys.modules["pycache_sys_runtime.modules"] is modules

    def test_what_a_sibling_imports_is_loaded_before_it(
        self, siblings: Siblings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(siblings.space["_IMPORTED_BY"], "sibling", ("cousin",))
        siblings.write("cousin", "x = 1\n")
        siblings.write("sibling", f"import sys\nbefore = '{TESTED}.cousin' in sys.modules\n")
        assert siblings.need().before

    def test_it_is_what_an_import_would_make(self, siblings: Siblings) -> None:
        module = siblings.need()
        path = f"{siblings.folder}/sibling.py"
        assert (module.__name__, module.__file__) == (f"{TESTED}.sibling", path)
        spec = module.__spec__
        assert spec is not None
        assert (spec.name, spec.origin, spec.parent) == (f"{TESTED}.sibling", path, TESTED)
        assert spec.loader is module.__loader__
        assert type(spec.loader) is importlib.machinery.SourceFileLoader
        assert (spec.loader.name, spec.loader.path) == (f"{TESTED}.sibling", path)
        package = sys.modules[TESTED]
        assert package.sibling is module
        assert list(package.__path__) == [str(siblings.folder)]
        assert importlib.import_module(f"{TESTED}.sibling") is module

    def test_it_is_loaded_once(self, siblings: Siblings) -> None:
        path = siblings.write("sibling", "from .startup import start\n")
        module = siblings.need()
        path.unlink()
        assert siblings.need() is module

    def test_siblings_know_each_other_by_relative_names(self, siblings: Siblings) -> None:
        siblings.write("second", "from . import sibling\nfrom .modules import need\n")
        first = siblings.need()
        second = siblings.need("second")
        assert second.sibling is first
        assert second.need is siblings.space["need"]

    def test_what_it_executes_is_hidden(self, siblings: Siblings) -> None:
        siblings.write("sibling", "def outer():\n    def inner(): pass\n    return inner\n")
        outer = siblings.need().outer
        assert outer.__code__.co_filename == FROZEN
        assert outer().__code__.co_filename == FROZEN

    def test_bytecode_is_hidden_too(self, siblings: Siblings) -> None:
        siblings.put(siblings.pyc(compiled("def outer():\n    return lambda: 1\n")))
        outer = siblings.need().outer
        assert outer.__code__.co_filename == FROZEN
        assert outer().__code__.co_filename == FROZEN

    def test_it_counts_when_all_of_it_is_there(self, siblings: Siblings) -> None:
        siblings.write("sibling", "import sys\nseen = __name__ in sys.modules\n")
        module = siblings.need()
        assert module.seen is False
        assert sys.modules[f"{TESTED}.sibling"] is module

    @pytest.mark.parametrize(
        ("text", "error"),
        [("answer = 1\n1 / 0\n", ZeroDivisionError), ("no python\n", SyntaxError), (None, OSError)],
    )
    def test_what_fails_half_way_does_not_count(
        self, siblings: Siblings, text: str | None, error: type[Exception]
    ) -> None:
        path = siblings.write("sibling", text or "")
        if text is None:
            path.unlink()
        with pytest.raises(error):
            siblings.need()
        assert private_modules() == ALWAYS
        assert not hasattr(sys.modules[TESTED], "sibling")
        siblings.write("sibling", SIBLING)
        assert siblings.need().answer == "source"

    def test_whoever_comes_in_the_middle_gets_all_of_it(self, siblings: Siblings) -> None:
        """As a signal's handler does, or another thread."""
        calls: list[int] = []
        sys.modules[f"{TESTED}.startup"].__dict__["calls"] = calls
        siblings.write(
            "sibling",
            "from .modules import need\nfrom .startup import calls\n"
            "calls.append(1)\n"
            "other = need('sibling') if len(calls) == 1 else None\n"
            "answer = 'source'\n",
        )
        module = siblings.need()
        assert (module.answer, module.other.answer) == ("source", "source")
        assert module.other is not module
        assert siblings.need() is module
        assert len(calls) == 2

    def test_threads_that_load_it_at_once_all_get_it(self, siblings: Siblings) -> None:
        gate = sys.modules[f"{TESTED}.startup"].__dict__["gate"] = threading.Barrier(2)
        siblings.write("sibling", "from .startup import gate\ngate.wait(10)\nanswer = 'source'\n")
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.append(siblings.need().answer)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["source"] * 2
        assert not gate.broken

    def test_bytecode_beside_it_is_read(self, siblings: Siblings) -> None:
        siblings.put()
        assert siblings.need().answer == "bytecode"

    @pytest.mark.parametrize("kind", BAD)
    def test_bad_bytecode_is_passed_over(self, siblings: Siblings, kind: str) -> None:
        siblings.put(BAD[kind](siblings.pyc()))
        before = siblings.files()
        assert siblings.need().answer == "source"
        assert siblings.files() == before

    @pytest.mark.parametrize("is_link", [False, True])
    def test_what_is_no_file_is_passed_over(self, siblings: Siblings, is_link: bool) -> None:
        entry = siblings.put()
        entry.unlink()
        if is_link:
            entry.symlink_to(entry.name)
        else:
            entry.mkdir()
        assert siblings.need().answer == "source"

    def test_an_explicit_prefix_is_not_for_it(
        self, siblings: Siblings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        siblings.put()
        (tmp_path / "prefix").mkdir()
        monkeypatch.setattr(sys, "pycache_prefix", f"{tmp_path}/prefix")
        siblings.write("second", SIBLING)
        assert siblings.need().answer == "bytecode"
        assert siblings.need("second").answer == "source"
        assert list((tmp_path / "prefix").iterdir()) == []

    def test_without_bytecode_it_is_compiled_and_nothing_is_written(
        self, siblings: Siblings
    ) -> None:
        before = siblings.files()
        assert siblings.need().answer == "source"
        assert siblings.files() == before

    @pytest.mark.parametrize(
        ("flags", "digest"), [(3, importlib.util.source_hash(SIBLING.encode())), (1, bytes(8))]
    )
    def test_bytecode_that_goes_by_a_hash_is_read(
        self, siblings: Siblings, flags: int, digest: bytes
    ) -> None:
        valid = siblings.pyc()
        siblings.put(valid[:4] + flags.to_bytes(4, "little") + digest + valid[16:])
        assert siblings.need().answer == "bytecode"

    @pytest.mark.parametrize(("level", "mark"), [(0, ""), (1, "1"), (2, "2")])
    def test_each_optimization_has_its_own_bytecode(
        self, siblings: Siblings, monkeypatch: pytest.MonkeyPatch, level: int, mark: str
    ) -> None:
        for other in {"", "1", "2"} - {mark}:
            siblings.put(level=other)
        path = f"{siblings.folder}/sibling.py"
        loader = importlib.machinery.SourceFileLoader("sibling", path)

        class Flags:
            optimize = level

        monkeypatch.setattr(sys, "flags", Flags)
        read = siblings.space["_read"]
        assert read(loader) is None
        siblings.put(level=mark)
        space: dict[str, str] = {}
        exec(read(loader), space)  # noqa: S102 - a module is loaded to be executed
        assert space["answer"] == "bytecode"

"""``migrate``: what it removes it can put back, whatever there is; ledgers and manifests."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fake_system import OwnersOs
from interpreters.builder import TAG, identity, pretend
from pycache_sys import build_request
from pycache_sys import rebuild as rebuilding
from pycache_sys.cli import main
from pycache_sys.cli.migrate import WORDS
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.in_place import Beside, Cleared, Left
from pycache_sys.core.plan import Order, Plan
from pycache_sys.core.report import Report
from pycache_sys.discover import Target
from pycache_sys.in_place.act import act
from pycache_sys.in_place.task import Scene, Task, is_wanted
from pycache_sys.packagers import manifests
from pycache_sys.policy.model import Policy
from pycache_sys.policy.parse import parse
from pycache_sys.system import in_place, ledger, sources, trust
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons.workers import Limits, Pool
from pycache_sys.system.tree import Tree
from strategies import source_names

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: each example starts processes."""
WHO = identity()


class RootsOs(OwnersOs):
    """``os``, to which every file is root's alone, also by its name in a directory."""

    def stat(self, path: Any, **options: Any) -> os.stat_result:
        status = os.stat(path, **options)
        fields = {n: getattr(status, n) for n in ("st_blocks", "st_mtime_ns", "st_ctime_ns")}
        return os.stat_result((*status[:4], 0, 0, *status[6:10]), fields)

    def fstat(self, descriptor: int) -> os.stat_result:
        return self._of_root(os.fstat(descriptor))

    def lstat(self, path: Any) -> os.stat_result:
        return self._of_root(os.lstat(path))

    def fchown(self, descriptor: int, uid: int, gid: int) -> None:
        """Leave it to whoever runs the tests."""

    def _of_root(self, status: os.stat_result) -> os.stat_result:
        names = ("st_blocks", "st_atime_ns", "st_mtime_ns", "st_ctime_ns", "st_mtime")
        fields = {name: getattr(status, name) for name in names}
        mode = status.st_mode & ~0o022
        return os.stat_result((mode, *status[1:4], 0, 0, *status[6:10]), fields)


@pytest.fixture(autouse=True)
def _roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file be root's."""
    fake = RootsOs()
    for module in (in_place, ledger, sources, trust):
        monkeypatch.setattr(module, "os", fake)


@dataclass
class Silent:
    """Watches nothing."""

    plans: list[Plan] = field(default_factory=list)

    def waiting(self, message: str) -> None:
        raise AssertionError(message)

    def planned(self, plan: Plan, interpreter: str) -> None:  # noqa: ARG002 - a port
        self.plans.append(plan)

    def advanced(self) -> None:
        pass


@dataclass(frozen=True)
class Place:
    """A folder with sources, a tree, and an interpreter whose library the sources are."""

    top: Path

    @property
    def sources(self) -> Path:
        return self.top / "sources"

    @property
    def folder(self) -> Path:
        return self.sources / "__pycache__"

    def build(self) -> Report:
        """Build the tree."""
        report = Report(tree=str(self.top / "tree"))
        python = str(self.top / "python3.99")
        request = build_request.Request(tree=report.tree, python_paths=[python], jobs=1)
        rebuilding.rebuild(request, report, Silent())
        return report

    def act(self, *, dry_run: bool = False, **options: Any) -> Cleared:
        """Build the tree, and do what a task says, with a policy that wants it."""
        report = self.build()
        report.dry_run = dry_run
        order = self.order(report)
        access = Access(
            trust=trust.CallerTrust(), account=None, mounts=Mounts(), is_restricted=False
        )
        tree = Tree(report.tree, is_system=False)
        task = Task(is_asked=True, force=True, ledger=str(self.top / "ledger"), **options)
        scene = Scene(
            policy=Policy(),
            tree=tree,
            access=access,
            order=lambda _target: order,
            pool=self.pool,
            report=report,
        )
        try:
            act(task, scene)
        finally:
            tree.close()
        assert [one for one in report.failures if one.reason == "write"] == []
        assert report.in_place is not None
        return report.in_place

    def order(self, report: Report) -> Order:
        (found,) = [note.interpreter for note in report.interpreters]
        assert found is not None
        return Order(
            tree=report.tree,
            directory=found.directory,
            cache_tag=found.cache_tag,
            magic=found.magic,
            owner=os.geteuid(),
            world_readable=False,
            granularity=Tree(report.tree, is_system=False).granularity(),
        )

    def pool(self, target: Target) -> Pool:
        return Pool(target.interpreter, size=1, account=None, limits=Limits())


@pytest.fixture
def place() -> Iterator[Place]:
    with made() as one:
        yield one


class made:  # noqa: N801 - used like a function
    """Make a place, and take it away."""

    def __enter__(self) -> Place:
        self._folder = tempfile.TemporaryDirectory()
        place = Place(Path(os.path.realpath(self._folder.name)))
        place.top.chmod(0o755)
        place.folder.mkdir(parents=True)
        answer = WHO | {"library": [str(place.sources)], "site": [], "environment": ""}
        pretend(place.top / "python3.99", answer)
        return place

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


CONTENTS = st.sampled_from([b"x = 1\n", b"print 'x'\n", b"", b"assert True\n"])
MTIMES = st.sampled_from([0, 1_600_000_000_999_999_999, None])
plain = st.sampled_from(["a", "b", "a.b", "a b", "\u00e4"])
beside_names = st.one_of(
    st.builds(
        "{}.{}{}.pyc".format,
        plain,
        st.sampled_from([TAG, "cpython-27", f"{TAG}-pytest-8.2"]),
        st.sampled_from(["", ".opt-1", ".opt-2"]),
    ),
    st.builds("{}.pyc".format, plain),
    st.sampled_from(["notes.txt", ".pyc"]),
)


@settings(phases=PHASES, max_examples=12)
@given(
    written=st.dictionaries(
        st.one_of(st.builds("{}.py".format, plain), source_names),
        st.tuples(CONTENTS, MTIMES),
        max_size=6,
    ),
    beside=st.frozensets(beside_names, max_size=8),
)
def test_what_goes_can_be_made_again_and_comes_back(
    written: dict[str, tuple[bytes, int | None]], beside: frozenset[str]
) -> None:
    with made() as place:
        for name, (content, mtime) in written.items():
            path = place.sources / name
            path.write_bytes(content)
            if mtime is not None:
                os.utime(path, ns=(mtime, mtime))
        possible = {
            os.path.basename(cache_from_source(name, optimization="")): name
            for name in written
            if name.endswith(".py") and name != ".py"
        }
        present = beside | {one for n, one in enumerate(sorted(possible)) if n % 2 == 0}
        for name in present:
            (place.folder / name).write_bytes(b"bytecode")
        result = place.act()
        left = set(os.listdir(place.folder)) if place.folder.exists() else set()
        gone = present - left
        assert result.removed == len(gone)
        assert gone <= possible.keys()
        assert place.folder.exists() is bool(left)
        failed = {outcome.source for outcome in place.build().failures}
        for name in gone:
            assert f"{place.sources}/{possible[name]}" not in failed
            (entry,) = (place.top / "tree").rglob(name.replace("[", "[[]"))
            assert entry.stat().st_size > 16
        # nothing stays that could have gone: all that compiles is in the tree
        for name in (present & possible.keys()) - gone:
            assert f"{place.sources}/{possible[name]}" in failed
        back = place.act(undo=True)
        assert back.restored == len(gone)
        if present:
            assert set(os.listdir(place.folder)) == present
        assert not (place.top / "ledger").exists()


def test_a_dry_run_says_and_changes_nothing(place: Place) -> None:
    (place.sources / "a.py").write_text("x = 1\n")
    bytecode = place.folder / f"a.{TAG}.pyc"
    bytecode.write_bytes(b"old")
    said = place.act(dry_run=True)
    assert (said.removals, said.removed, said.directories) == ([str(bytecode)], 1, 1)
    assert bytecode.read_bytes() == b"old"
    assert not (place.top / "ledger").exists()
    assert place.act().removed == 1
    assert place.act(undo=True, dry_run=True).removals == [str(bytecode)]
    assert not bytecode.exists()
    assert place.act(undo=True).restored == 1
    assert bytecode.stat().st_size > 16


def test_an_empty_directory_goes(place: Place) -> None:
    result = place.act()
    assert (result.removed, result.directories) == (0, 1)
    assert not place.folder.exists()


def test_the_policy_says_where() -> None:
    def read(text: str) -> bool:
        return is_wanted(parse([("/etc/pycacheprefix.conf", text)], lambda *_: None)[0])

    assert read("in-place = remove\n")
    assert read("[root /srv/app]\nin-place = remove\n")
    assert not read("in-place = keep\n")


RECORD = Beside(0o644, 0, 50, 1_700_000_000_123_456_789)


class TestLedger:
    def test_reads_what_it_wrote(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state" / "in-place")
        records = {
            "/usr/lib/new\nline": (
                RECORD._replace(mode=0o755),
                {"a\udcff.cpython-311.pyc": RECORD},
            ),
            "/usr/lib/a": (RECORD, {"b.pyc": RECORD, "\u00e4.pyc": RECORD}),
        }
        ledger.write(records, path)
        assert ledger.read(path) == records
        assert os.listdir(tmp_path / "state") == ["in-place"]

    def test_without_records_it_goes(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state" / "in-place")
        ledger.write({"/usr/lib/a": (RECORD, {"b.pyc": RECORD})}, path)
        ledger.write({}, path)
        assert not (tmp_path / "state").exists()
        ledger.write({}, path)
        assert ledger.read(path) == {}

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]\n",
            '{"pycache-sys in-place": 1}\n[1]\n',
            '{"pycache-sys in-place": 9}\n',
            "\xff",
        ],
    )
    def test_a_damaged_one_is_an_error(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "in-place"
        path.write_text(text, encoding="latin-1")
        with pytest.raises(PycacheSysError, match="in-place") as caught:
            ledger.read(str(path))
        assert "migrate --undo PATH" in caught.value.hint


class TestManifests:
    @pytest.fixture(autouse=True)
    def _only_conda(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Ask no package manager of the machine."""
        monkeypatch.setattr(manifests.query, "DPKG_DATABASE", str(tmp_path / "none"))
        monkeypatch.setattr(manifests, "_RPM_DATABASES", (str(tmp_path / "rpm"),))
        monkeypatch.setattr(manifests, "_PATH", str(tmp_path))

    def test_condas_files_count_below_its_prefix(self, tmp_path: Path) -> None:
        meta = tmp_path / "env" / "conda-meta"
        meta.mkdir(parents=True)
        files = ["lib/a.py", "lib/__pycache__/a.cpython-311.pyc"]
        (meta / "a-1-0.json").write_text(json.dumps({"files": files}))
        (meta / "history").write_text("no JSON")
        named = manifests.named_bytecode([str(tmp_path / "env" / "lib" / "deep")])
        assert named == {f"{tmp_path}/env/lib/__pycache__/a.cpython-311.pyc"}

    def test_a_directory_is_known_by_each_of_its_names(self, tmp_path: Path) -> None:
        top = Path(os.path.realpath(tmp_path))
        (top / "env/conda-meta").mkdir(parents=True)
        (top / "env/lib").mkdir()
        (top / "env/lib64").symlink_to("lib")
        manifest = {"files": ["lib64/__pycache__/a.cpython-311.pyc"]}
        (top / "env/conda-meta/a-1-0.json").write_text(json.dumps(manifest))
        (top / "alias").symlink_to("env/lib")
        named = manifests.named_bytecode([f"{top}/alias"])
        places = ("env/lib", "env/lib64", "alias")
        assert named == {f"{top}/{one}/__pycache__/a.cpython-311.pyc" for one in places}

    def test_one_that_cannot_be_read_stops_all(self, tmp_path: Path) -> None:
        (tmp_path / "conda-meta").mkdir()
        (tmp_path / "conda-meta" / "a-1-0.json").write_text("[]")
        with pytest.raises(PycacheSysError, match=r"a-1-0\.json"):
            manifests.named_bytecode([str(tmp_path / "lib")])

    def test_a_database_without_its_program_stops_all(self, tmp_path: Path) -> None:
        (tmp_path / "rpm").mkdir()
        assert manifests.named_bytecode([]) == frozenset()
        (tmp_path / "rpm" / "rpmdb.sqlite").write_bytes(b"")
        with pytest.raises(PycacheSysError, match="rpm"):
            manifests.named_bytecode([])


def test_who_is_not_root_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["migrate", "--config", "/dev/null"]) == 5
    assert "run it as root, or with --dry-run" in capsys.readouterr().err


PAGE = (Path(__file__).parents[2] / "docs/migrate.md").read_text()


def test_every_reason_is_explained_and_has_words() -> None:
    explained = re.findall(r"^\| `([a-z-]+)` \|", PAGE.partition("## JSON")[0], re.MULTILINE)
    assert sorted(explained) == sorted(Left)
    assert WORDS.keys() == set(Left)


def test_the_example_of_json_has_just_the_keys_of_an_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    options = ["--dry-run", "--json", "--python", sys.executable, "--config", "/dev/null"]
    main(["migrate", *options, "/nowhere"])
    answer = json.loads(capsys.readouterr().out)
    assert json.loads(example).keys() == answer.keys()
    explained = re.findall(
        r"`([a-z_]+)`", " ".join(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE))
    )
    assert answer.keys() - {"version", "dry_run", "undo"} <= set(explained)

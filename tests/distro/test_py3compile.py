"""The programs in the place of py3compile and py3clean, beside Debian's own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from distro.chroots import Chroot, Image
from distro.debian import DIST_PACKAGES, REINSTALLED, SUITES, UPGRADED, Suite
from distro.debs import install_deb, listed_sources, remove_packages
from distro.drop_in import (
    OWN,
    PACKAGE,
    PLACES,
    PROGRAMS,
    SOURCE,
    Compiled,
    beside,
    dpkg,
    in_tree,
    make_deb,
    make_drop_in,
    make_module_deb,
    pycache_directories,
    run,
)
from distro.layers import scratch_folder
from distro.product import COMMAND, TREE, site_of

pytest_plugins = ["distro.drop_in_fixtures"]

TRIXIE = SUITES[1]
LIBRARY = "libexec/pycache-sys"
CALLS = (
    ("-p", "gizmo"),
    ("-p", "gizmo:all"),
    ("-p", "gizmo:nonsense"),
    ("--package=gizmo",),
    ("-q", "-p", "gizmo"),
    ("-p", "gizmo", "-V", "3.0-"),
    ("-p", "gizmo", "-V", "-"),
    ("-p", "gizmo", "-V", "-3.2"),
    ("-p", "gizmo", "-V", "3.3-9.9"),
    ("-p", "gizmo", "-V", "DEFAULT"),
    ("-p", "gizmo", "-V", "NEWEST"),
    ("-p", "gizmo", "-V", "9.9-"),
    ("-p", "gizmo", "-V", "9.9"),
    ("-p", "gizmo", "-V", ">=3.2"),
    ("-p", "gizmo", "-V", "current"),
    ("-p", "gizmo", "-V", "3.9-3.2"),
    ("-p", "gizmo", "-O"),
    ("-p", "gizmo", "-f"),
    ("-p", "gizmo", f"{OWN}/"),
    ("-p", "gizmo", f"{OWN}/plugins/"),
    ("-p", "gizmo", f"{OWN}/main.py"),
    ("-p", "gizmo", f"{OWN}/", "/etc/gizmo/"),
    ("-p", "gizmo", f"{OWN}/", "-V", "3.0-"),
    ("-p", "gizmo", f"{OWN}/", "-V", "NEWEST"),
    ("-p", "gizmo", f"{OWN}/", "-X", ".*skipped.*"),
    ("-p", "gizmo", f"{OWN}/", "-X", "plugins/s", "-X", "main"),
    ("-p", "gizmo", f"{OWN}/", "--exclude=/usr/share/gizmo/plugins"),
    ("-p", "gizmo", f"{DIST_PACKAGES}/gizmo"),
    ("-p", "gizmo", "/nowhere"),
    ("-p", "gizmo", "-X", "main"),
    ("-p", "gizmo", f"{OWN}/", "-X", "("),
    ("-p", "no-such-package"),
    ("-p", "no-such-package", OWN),
    (OWN,),
    (f"{OWN}/",),
    (f"{OWN}/main.py",),
    (f"{OWN}/data.txt",),
    (OWN, "/etc/gizmo"),
    (OWN, "-X", "plugins"),
    (OWN, "-V", "NEWEST"),
    (OWN, "-V", "9.9"),
    (f"{DIST_PACKAGES}/gizmo",),
    ("-V", "3.0-", f"{DIST_PACKAGES}/gizmo"),
    ("-O", OWN),
    ("/nowhere",),
    (),
    ("-V", "3.0-"),
    ("-p",),
    ("--nonsense",),
    ("--help",),
)
PYPY_CALLS = (
    ("-p", "gizmo"),
    ("-p", "gizmo", "-p", UPGRADED),
    ("-p", "gizmo", OWN),
    ("-p", "gizmo", OWN, "-X", ".*skipped"),
    ("-p", "gizmo", "-V", "3.0-"),
    ("-p", "gizmo", "-V", "-3.2"),
    ("-p", "gizmo", "-V", "9.9"),
    ("-p", "gizmo", "-O"),
    ("-p", "gizmo", "-q", "-v"),
    ("-p", "gizmo", "--bcep-path", "/nowhere"),
    ("-p", "no-such-package"),
    (OWN, "/etc/gizmo"),
    (f"{OWN}/main.py",),
    ("/nowhere",),
    (),
)


@pytest.fixture
def machine(dropped_in: Image) -> Iterator[Chroot]:
    """Give a private copy of a chroot that has the drop-in, and no tree."""
    with scratch_folder() as folder, dropped_in.running(folder) as copy:
        yield copy


@pytest.fixture(scope="session")
def shared(dropped_in: Image) -> Iterator[Chroot]:
    """Give one copy to all calls that are compared: each finds nothing compiled of the package."""
    with scratch_folder() as folder, dropped_in.running(folder) as copy:
        yield copy


def forget(chroot: Chroot) -> None:
    """Delete the tree, and what stands beside the package's sources."""
    shutil.rmtree(chroot.path(TREE), ignore_errors=True)
    for top in PLACES:
        for folder in pycache_directories(chroot, top):
            shutil.rmtree(folder)


def outcomes(chroot: Chroot, program: str, call: tuple[str, ...]) -> list[tuple[int, Compiled]]:
    """Make the same call to Debian's own and to ours: exit status, what was compiled."""
    forget(chroot)
    theirs = run(chroot, f"{program}.distrib", *call)
    compiled = beside(chroot, *PLACES)
    forget(chroot)
    ours = run(chroot, program, *call)
    assert beside(chroot, *PLACES) == frozenset()
    assert "Traceback" not in ours.stderr
    assert "cannot start" not in ours.stderr
    return [(theirs.returncode, compiled), (ours.returncode, in_tree(chroot))]


class TestBesideDebians:
    @pytest.mark.parametrize("call", CALLS, ids=" ".join)
    def test_the_same_sources_are_compiled_with_the_same_status(
        self, shared: Chroot, suite: Suite, call: tuple[str, ...]
    ) -> None:
        versions = [i.directory for i in suite.interpreters if not i.directory.startswith("pypy")]
        words = {"DEFAULT": versions[0], "NEWEST": versions[-1]}
        call = tuple(words.get(word, word) for word in call)
        theirs, ours = outcomes(shared, "py3compile", call)
        assert ours == theirs

    @pytest.mark.parametrize("call", PYPY_CALLS, ids=" ".join)
    @pytest.mark.parametrize("suite", [TRIXIE], ids=["trixie"], indirect=True, scope="session")
    def test_so_it_is_for_pypy(self, shared: Chroot, call: tuple[str, ...]) -> None:
        if "--bcep-path" in call:  # nobody calls it so: that is left to Debian's own
            forget(shared)
            done = run(shared, "pypy3compile", *call)
            assert (done.returncode, in_tree(shared)) == (0, frozenset())
            assert beside(shared, *PLACES)
            return
        theirs, ours = outcomes(shared, "pypy3compile", call)
        mine = frozenset(one for one in ours[1] if "gizmo" in one[0])
        assert (ours[0], mine) == theirs

    def test_a_directory_is_not_what_begins_like_it(self, shared: Chroot) -> None:
        theirs, ours = outcomes(shared, "py3compile", ("-p", "gizmo", OWN))
        extra = {one for one in theirs[1] if "/gizmo-extra/" in one[0]}
        assert extra, "Debian's compares text"
        assert ours == (theirs[0], theirs[1] - extra)

    def test_the_supported_versions_can_be_named(self, shared: Chroot) -> None:
        forget(shared)
        done = run(shared, "py3compile", "-p", "gizmo", DEBPYTHON3_SUPPORTED="3.2")
        assert done.returncode == 3
        assert in_tree(shared) == frozenset()

    def test_a_package_of_one_architecture_is_known_by_both_names(self, shared: Chroot) -> None:
        architecture = shared.run("dpkg", "--print-architecture").strip()
        for name in ("python3-yaml", f"python3-yaml:{architecture}"):
            forget(shared)
            assert run(shared, "py3compile", "-p", name).returncode == 0
            assert any(one[0] == f"{DIST_PACKAGES}/yaml/nodes.py" for one in in_tree(shared))


def archive_of(chroot: Chroot, name: str) -> str:
    """Find the archive of the version that is installed."""
    version = chroot.run("dpkg-query", "--show", "--showformat=${Version}", name)
    (found,) = chroot.path("/srv/archives").glob(f"{name}_{version.replace(':', '%3a')}_*.deb")
    return f"/srv/archives/{found.name}"


class TestRealPackages:
    def test_they_come_and_go_without_a_trace(self, machine: Chroot) -> None:
        names = (UPGRADED, REINSTALLED)
        archives = [archive_of(machine, name) for name in names]
        remove_packages(machine, *names)
        before = pycache_directories(machine, "/usr")
        for name, archive in zip(names, archives, strict=True):
            install_deb(machine, archive, "--no-install-recommends")
            sources = {s for s in listed_sources(machine, name) if s.startswith(DIST_PACKAGES)}
            assert sources
            assert sources <= {source for source, _, _ in in_tree(machine)}
        assert pycache_directories(machine, "/usr") <= before
        remove_packages(machine, *names)
        assert pycache_directories(machine, "/usr") <= before
        assert not {s for s, _, _ in in_tree(machine) if "/idna/" in s or "/requests/" in s}
        for name in ("idna", "requests"):
            assert not machine.path(f"{DIST_PACKAGES}/{name}").exists()

    def test_an_upgrade_replaces_what_was_compiled(self, machine: Chroot) -> None:
        path = f"{DIST_PACKAGES}/late/a.py"
        for version, text in (("1", b"value = 1\n"), ("2", b"value = 2\n")):
            archive = make_module_deb(machine, "late", version, {path: text})
            dpkg(machine, "-i", archive)
            value = machine.run(
                "sh",
                "-c",
                f"python3 -B -X pycache_prefix={TREE}/$(python3 -c "
                "'import sys; print(\"%d.%d\" % sys.version_info[:2])') -v -c "
                "'import late.a; print(late.a.value)' 2>/dev/null",
            )
            assert value == f"{version}\n"


class TestClean:
    def test_bytecode_beside_the_sources_goes_and_nothing_else(self, machine: Chroot) -> None:
        gizmo = machine.path(f"{DIST_PACKAGES}/gizmo")
        assert run(machine, "py3compile.distrib", "-p", "gizmo").returncode == 0
        assert run(machine, "py3compile", "-p", "gizmo").returncode == 0
        tag = next(gizmo.glob("__pycache__/one.*.pyc")).name.split(".")[1]
        strange = {
            "__pycache__/gone." + tag + ".pyc": b"no source",
            "__pycache__/one.other." + tag + ".pyc": b"another's",
            "__pycache__/one.txt": b"no bytecode",
            "one.pyc": b"untagged",
            "compiled.pyc": b"sourceless",
        }
        for name, data in strange.items():
            (gizmo / name).write_bytes(data)
        done = run(machine, "py3clean", "-p", "gizmo")
        assert (done.returncode, done.stderr) == (0, "")
        assert in_tree(machine) == frozenset()
        assert {n: (gizmo / n).read_bytes() for n in strange} == strange
        assert sorted(path.name for path in (gizmo / "__pycache__").iterdir()) == sorted(
            Path(name).name for name in strange if "/" in name
        )
        assert not (gizmo / "sub/__pycache__").exists()

    def test_what_a_package_ships_stays(self, machine: Chroot) -> None:
        shipped = f"{DIST_PACKAGES}/ships/__pycache__/a.cpython-311.pyc"
        contents = {f"{DIST_PACKAGES}/ships/a.py": SOURCE, shipped: b"shipped"}
        dpkg(machine, "-i", make_deb(machine, "ships", "1", contents, {}))
        for call in (("-p", "ships"), (f"{DIST_PACKAGES}/ships",)):
            assert run(machine, "py3clean", *call).returncode == 0
            assert machine.path(shipped).read_bytes() == b"shipped"
        assert machine.run("dpkg", "--verify", "ships") == ""

    def test_one_version_alone(self, machine: Chroot, suite: Suite) -> None:
        for program in ("py3compile", "py3compile.distrib"):
            assert run(machine, program, "-p", "gizmo").returncode == 0
        if suite.name == "trixie":
            run(machine, "pypy3compile", "-p", "gizmo")
        tree, places = in_tree(machine), beside(machine, *PLACES)
        version = next(i.directory for i in suite.interpreters)
        assert run(machine, "py3clean", "-V", "3.2", "-p", "gizmo").returncode == 0
        assert (in_tree(machine), beside(machine, *PLACES)) == (tree, places)
        assert run(machine, "py3clean", "-V", version, DIST_PACKAGES).returncode == 0
        assert in_tree(machine) == {one for one in tree if one[1] != version}
        assert beside(machine, *PLACES) == {one for one in places if one[1] != version}

    @pytest.mark.parametrize(
        ("call", "status"),
        [((), 1), (("-p", "no-such-package"), 1), (("/nowhere",), 0), (("--nonsense",), 2)],
        ids=str,
    )
    def test_statuses(self, shared: Chroot, call: tuple[str, ...], status: int) -> None:
        for program in ("py3clean.distrib", "py3clean"):
            assert run(shared, program, *call).returncode == status

    def test_of_a_package_and_a_place_what_is_both(self, machine: Chroot) -> None:
        for place in (f"{OWN}/", "/usr/share/gizmo-extra/"):
            run(machine, "py3compile", "-p", "gizmo", place)
        assert run(machine, "py3clean", "-p", "gizmo", OWN).returncode == 0
        assert {s for s, _, _ in in_tree(machine)} == {"/usr/share/gizmo-extra/five.py"}

    def test_the_tree_is_cleaned_where_another_has_a_say_beside(self, machine: Chroot) -> None:
        own = machine.path(OWN)
        assert run(machine, "py3compile", OWN).returncode == 0
        (own / "__pycache__").symlink_to("/etc")
        assert run(machine, "py3clean", OWN).returncode == 0
        assert in_tree(machine) == frozenset()
        assert machine.path("/etc/passwd").exists()


@pytest.mark.parametrize("suite", [TRIXIE], ids=["trixie"], indirect=True, scope="session")
class TestPyPy:
    def test_what_it_loads_before_the_hook_stays_beside(self, machine: Chroot) -> None:
        library = "/usr/lib/pypy3.11"
        assert run(machine, "pypy3clean", library).returncode == 0
        assert not pycache_directories(machine, library)
        done = run(machine, "pypy3compile", "-q", "-p", "pypy3", "-p", "pypy3-lib")
        assert done.returncode == 0
        kept = {source for source, _, _ in beside(machine, library)}
        assert {f"{library}/codecs.py", f"{library}/encodings/__init__.py"} <= kept
        assert len(kept) < 20
        assert len({source for source, _, _ in in_tree(machine)}) > 1000
        assert run(machine, "pypy3clean", library).returncode == 0
        assert not pycache_directories(machine, library)

    def test_cpythons_bytecode_is_not_its_affair(self, machine: Chroot) -> None:
        for program in ("py3compile", "pypy3compile", "py3compile.distrib", "pypy3compile.distrib"):
            assert run(machine, program, "-p", "gizmo").returncode == 0
        tree, places = in_tree(machine), beside(machine, *PLACES)
        assert run(machine, "pypy3clean", "-p", "gizmo").returncode == 0
        assert in_tree(machine) == {one for one in tree if not one[1].startswith("pypy")}
        assert beside(machine, *PLACES) == {one for one in places if not one[1].startswith("pypy")}
        for call, status in (((), 2), (("-p", "no-such-package"), 1), (("--version", "x"), 2)):
            for program in ("pypy3clean.distrib", "pypy3clean"):
                assert run(machine, program, *call).returncode == status


def test_the_hook_itself_keeps_its_bytecode_beside(machine: Chroot) -> None:
    own = site_of("pycache_sys_runtime")
    for folder in pycache_directories(machine, own):
        shutil.rmtree(folder)
    assert run(machine, "py3compile", own).returncode == 0
    names = {Path(source).name for source, _, _ in beside(machine, own)}
    assert {"startup.py", "loader.py", "layout.py"} <= names


class TestThePackage:
    def originals(self, chroot: Chroot) -> dict[str, bytes]:
        paths = (chroot.path(f"/usr/bin/{program}") for program in PROGRAMS)
        return {str(path): path.read_bytes() for path in paths if path.exists()}

    def test_it_comes_and_goes_without_a_trace(self, bare_chroot: Chroot) -> None:
        before = self.originals(bare_chroot)
        verified = bare_chroot.run("dpkg", "--verify", "python3-minimal")
        archives = [make_drop_in(bare_chroot, version) for version in ("1", "2")]
        for archive in (*archives, archives[1], archives[0]):
            dpkg(bare_chroot, "-i", archive)
            diverted = bare_chroot.run("dpkg-divert", "--list").splitlines()
            assert len([line for line in diverted if line.endswith(f" by {PACKAGE}")]) == 4
            for path, data in before.items():
                assert Path(f"{path}.distrib").read_bytes() == data
                assert os.readlink(path) == f"../{LIBRARY}/py3compile.sh"
        dpkg(bare_chroot, "--purge", PACKAGE)
        assert self.originals(bare_chroot) == before
        assert PACKAGE not in bare_chroot.run("dpkg-divert", "--list")
        assert not list(bare_chroot.path("/usr/bin").glob("*.distrib"))
        assert not bare_chroot.path(f"/usr/{LIBRARY}").exists()
        assert bare_chroot.run("dpkg", "--verify", "python3-minimal") == verified

    def test_an_installation_that_breaks_off_is_undone(self, bare_chroot: Chroot) -> None:
        before = self.originals(bare_chroot)
        archive = make_drop_in(bare_chroot, preinst="exit 1")
        assert bare_chroot.attempt("dpkg", "-i", archive).returncode != 0
        assert self.originals(bare_chroot) == before
        assert PACKAGE not in bare_chroot.run("dpkg-divert", "--list")

    def test_an_upgrade_that_breaks_off_changes_nothing(self, machine: Chroot) -> None:
        archive = make_drop_in(machine, "2", preinst="exit 1")
        assert machine.attempt("dpkg", "-i", archive).returncode != 0
        assert run(machine, "py3compile", "-p", "gizmo").returncode == 0
        assert in_tree(machine)
        assert machine.run("dpkg-divert", "--list").count(f" by {PACKAGE}\n") == 4

    def test_somebody_elses_diversion_stays(self, bare_chroot: Chroot) -> None:
        bare_chroot.run("dpkg-divert", "--local", "--rename", "--add", "/usr/bin/py3clean")
        assert bare_chroot.attempt("dpkg", "-i", make_drop_in(bare_chroot)).returncode != 0
        assert bare_chroot.run("dpkg-divert", "--listpackage", "/usr/bin/py3clean") == "LOCAL\n"
        assert PACKAGE not in bare_chroot.run("dpkg-divert", "--list")
        assert bare_chroot.path("/usr/bin/py3compile").exists()

    def test_programs_that_come_later_land_beside(self, machine: Chroot) -> None:
        contents = {
            "/usr/bin/py3compile": b"#!/bin/sh\necho new\n",
            "/usr/bin/pypy3clean": b"#!/bin/sh\necho new\n",
        }
        archive = make_deb(machine, "later", "1", contents, {})
        dpkg(machine, "--force-overwrite", "-i", archive)
        for path in contents:
            assert os.path.islink(machine.path(path))
            assert machine.run(f"{path}.distrib") == "new\n"

    def test_in_another_root_it_is_that_ones(self, bare_chroot: Chroot) -> None:
        root = bare_chroot.path("/srv/root")
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin/py3compile").write_text("other")
        (root / "var/lib/dpkg").mkdir(parents=True)
        scripts = {
            name: (Path(__file__).parents[2] / f"debian/{PACKAGE}.{name}").read_text()
            for name in ("preinst", "postrm")
        }
        before = self.originals(bare_chroot)
        for (name, text), argument in zip(scripts.items(), ("install", "remove"), strict=True):
            script = bare_chroot.path(f"/srv/{name}")
            script.write_text(text)
            for _ in range(2):  # twice is as good as once
                done = run(bare_chroot, "sh", f"/srv/{name}", argument, DPKG_ROOT="/srv/root")
                assert (done.returncode, done.stderr) == (0, "")
            diverted = root / "usr/bin/py3compile.distrib"
            assert diverted.exists() == (name == "preinst")
            assert self.originals(bare_chroot) == before
        assert (root / "usr/bin/py3compile").read_text() == "other"


def test_rebuild_keeps_what_was_compiled(machine: Chroot) -> None:
    assert run(machine, "py3compile", "-p", "gizmo").returncode == 0
    assert run(machine, "py3compile", "-p", "gizmo", f"{OWN}/").returncode == 0
    compiled = in_tree(machine)
    # all of the system would be compiled besides, which shows no more and takes a minute
    policy = f"roots = {DIST_PACKAGES}/gizmo {DIST_PACKAGES}/idna\n"
    machine.path("/etc/pycacheprefix.conf").write_text(policy)
    assert run(machine, COMMAND, "rebuild", "-q").returncode == 0
    assert {source for source, _, _ in in_tree(machine) - compiled} >= {
        f"{DIST_PACKAGES}/idna/core.py"
    }
    assert compiled <= in_tree(machine)

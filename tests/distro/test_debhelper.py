"""The debhelper add-on: real source packages, built, installed, compiled and removed.

The add-on's own package is built first, from its paragraph of debian/control and its files, and
is installed as any build dependency. Then each example is built as its maintainer would.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from distro.chroots import Chroot, Image
from distro.conftest import REPOSITORY
from distro.debian import SUITES, Suite
from distro.debs import install_deb, listed_files, remove_packages
from distro.layers import INSTALL, NO_SERVICES, installable, layer_on, scratch_folder
from distro.packaging import Packaged
from distro.product import COMMAND, TREE, install, rebuild

pytest_plugins = ["distro.packaging_fixtures"]

BOOKWORM, TRIXIE, SID = SUITES
TOOLS = ("build-essential", "debhelper", "dh-python")
EXAMPLES = REPOSITORY / "tests" / "distro" / "examples"
WITH_DEBPUTY = ("contraption", "doodad", "doohickey")
REGISTRY = "/usr/share/pycache-sys/roots.d"
WORK = "/srv/build"
MEDIUM = "/srv/examples"
MARK = "# Written by dh_pycache_sys(1).\n"

ADD_ON = "dh-pycache-sys"
ADD_ON_FILES = (
    "debian/dh_pycache_sys",
    "debian/dh_pycache_sys.1",
    f"debian/{ADD_ON}.install",
    f"debian/{ADD_ON}.manpages",
    "debian/debputy/pycache-sys.json",
    "debian/pycache_sys.pm",
    "docs/debhelper.md",
)
SOURCE_PARAGRAPH = """\
Source: pycache-sys
Section: python
Priority: optional
Maintainer: Nobody <nobody@example.org>
Build-Depends: debhelper-compat (= 13), dh-sequence-python3
Rules-Requires-Root: no

"""
CHANGELOG = """\
pycache-sys (1.0) unstable; urgency=medium

  * Made for a test.

 -- Nobody <nobody@example.org>  Sat, 21 Nov 2026 12:00:00 +0000
"""
RULES = "#!/usr/bin/make -f\n%:\n\tdh $@\n"


@dataclass(frozen=True, slots=True)
class Built:
    """A suite's chroot with the add-on, in which the examples were built."""

    suite: Suite
    image: Image
    logs: Mapping[str, str]
    archives: Path

    @property
    def examples(self) -> tuple[str, ...]:
        """Name the examples that can be built in this suite."""
        return examples_of(self.suite)


def examples_of(suite: Suite) -> tuple[str, ...]:
    """Name the examples that the suite has the tools for: bookworm has no debputy."""
    names = sorted(path.name for path in EXAMPLES.iterdir())
    return tuple(name for name in names if suite is not BOOKWORM or name not in WITH_DEBPUTY)


def with_tools(suite: Suite, base: Image) -> Image:
    """Return the suite's chroot with what builds packages, from the cache or made now."""
    tools = (*TOOLS, *(() if suite is BOOKWORM else ("dh-debputy",)))
    install = f"{INSTALL} {' '.join(tools)}"
    return layer_on(base, f"debhelper-{suite.name}", (), NO_SERVICES, install)


@pytest.fixture(scope="session")
def built(
    suite: Suite, base: Image, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    """Build and install the add-on, then build the examples."""
    archives = tmp_path_factory.mktemp("archives")
    with installable(suite):
        tools = with_tools(suite, base)
    with scratch_folder() as folder:
        with tools.running(folder) as chroot:
            install(wheel, chroot)
            install_add_on(chroot)
            shutil.copytree(EXAMPLES, chroot.path(f"{WORK}/examples"))
            logs = {name: build(chroot, f"{WORK}/examples/{name}") for name in examples_of(suite)}
            for archive in chroot.path(f"{WORK}/examples").glob("*.deb"):
                shutil.copy(archive, archives)
        yield Built(suite, tools.topped_by(folder), logs, archives)


@pytest.fixture
def builder(built: Built) -> Iterator[Chroot]:
    """Give a private copy of the chroot in which the examples were built."""
    with scratch_folder() as folder, built.image.running(folder) as copy:
        yield copy


@pytest.fixture
def machine(built: Built, chroot: Chroot) -> Chroot:
    """Give a copy of a machine that has pycache-sys, a complete tree, and the examples' packages.

    The tools that have built them are not there.
    """
    shutil.copytree(built.archives, chroot.path(MEDIUM))
    return chroot


def install_example(machine: Chroot, *packages: str) -> None:
    """Install packages of examples with the machine's own apt."""
    for package in packages:
        install_deb(machine, archive_of(machine, package, MEDIUM))


def install_add_on(chroot: Chroot) -> None:
    """Build the package dh-pycache-sys, and install it.

    What it may need of pycache-sys is there, but not as a package, so dpkg is told not to mind.
    """
    top = chroot.path(f"{WORK}/add-on/pycache-sys")
    for name in ADD_ON_FILES:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, top / name)
    (paragraph,) = (
        text
        for text in (REPOSITORY / "debian/control").read_text().split("\n\n")
        if f"Package: {ADD_ON}\n" in text
    )
    (top / "debian/control").write_text(f"{SOURCE_PARAGRAPH}{paragraph.rstrip()}\n")
    (top / "debian/changelog").write_text(CHANGELOG)
    (top / "debian/rules").write_text(RULES)
    (top / "debian/rules").chmod(0o755)
    (top / "debian/source").mkdir()
    (top / "debian/source/format").write_text("3.0 (native)\n")
    build(chroot, f"{WORK}/add-on/pycache-sys")
    archive = f"{WORK}/add-on/{ADD_ON}_1.0_all.deb"
    chroot.run("dpkg", "--install", archive)
    provided = chroot.run("dpkg-query", "--show", "--showformat=${Provides}", ADD_ON)
    assert set(provided.split(", ")) == {"dh-sequence-pycache-sys", "debputy-plugin-pycache-sys"}


def build(chroot: Chroot, directory: str) -> str:
    """Build a source package's binary packages beside it, as on a build server."""
    command = f"cd {directory} && exec dpkg-buildpackage --unsigned-changes --build=binary 2>&1"
    done = chroot.attempt("sh", "-c", command)
    assert done.returncode == 0, f"{directory}:\n{done.stdout[-4000:]}"
    return done.stdout


def archive_of(chroot: Chroot, package: str, directory: str = f"{WORK}/examples") -> str:
    """Find a package that was built."""
    (found,) = chroot.path(directory).glob(f"{package}_*.deb")
    return f"{directory}/{found.name}"


def registered(chroot: Chroot, package: str, qualifier: str = "") -> str | None:
    """Read the file that a built package registers its directories with; None for none."""
    archive = archive_of(chroot, package)
    listing = chroot.run("sh", "-c", f"dpkg-deb --fsys-tarfile {archive} | tar -tv")
    name = f".{REGISTRY}/{package}{qualifier}.conf"
    lines = [line for line in listing.splitlines() if ".conf" in line]
    if not lines:
        assert REGISTRY not in listing
        return None
    (line,) = lines
    assert line.startswith("-rw-r--r-- root/root ")
    assert line.endswith(f" {name}")
    return chroot.run("sh", "-c", f"dpkg-deb --fsys-tarfile {archive} | tar -xO {name}")


def scripts(chroot: Chroot, package: str) -> str:
    """Read a built package's control files, maintainer scripts and triggers included."""
    archive = archive_of(chroot, package)
    inside = "--exclude ./control --exclude ./md5sums"
    return chroot.run("sh", "-c", f"dpkg-deb --ctrl-tarfile {archive} | tar -xO {inside}")


def entries(chroot: Chroot, source: str) -> set[str]:
    """Name the tree's folders that have a source's bytecode."""
    stem = source.removesuffix(".py")
    return {
        path.relative_to(chroot.path(TREE)).parts[0]
        for path in chroot.path(TREE).glob(f"*{stem}.*.pyc")
    }


def folders(suite: Suite) -> set[str]:
    """Name the tree's folders of all the suite's interpreters."""
    return {one.directory for one in suite.interpreters}


class TestPackages:
    def test_the_add_on_is_found_by_the_name_of_its_sequence(self, builder: Chroot) -> None:
        provided = builder.run("dpkg-query", "--show", "--showformat", "${Provides}", ADD_ON)
        assert "dh-sequence-pycache-sys" in provided
        files = set(listed_files(builder, ADD_ON))
        assert "/usr/bin/dh_pycache_sys" in files
        assert "/usr/share/perl5/Debian/Debhelper/Sequence/pycache_sys.pm" in files
        assert "/usr/share/debputy/debputy/plugins/pycache-sys.json" in files

    def test_private_directories_are_registered(self, built: Built, builder: Chroot) -> None:
        multiarch = builder.run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
        assert registered(builder, "gizmo") == f"{MARK}[root /usr/share/gizmo]\n"
        assert "warning" not in built.logs["gizmo"]
        # this one is Multi-Arch: same, and its directory is not the same for each architecture
        qualifier = ":" + builder.run("dpkg-architecture", "-qDEB_HOST_ARCH").strip()
        found = registered(builder, "gizmo-plugins", qualifier)
        assert found == f"{MARK}[root /usr/lib/{multiarch}/gizmo]\n"

    def test_a_package_without_any_gets_no_file(self, builder: Chroot) -> None:
        assert registered(builder, "gizmo-doc") is None

    def test_the_versions_of_the_source_count(self, builder: Chroot) -> None:
        assert registered(builder, "gadget") == (
            f"{MARK}[root /usr/share/gadget]\ninterpreters = >=3.11,<3.15\n"
        )

    def test_an_override_names_directories_and_exclusions(self, builder: Chroot) -> None:
        assert registered(builder, "widget") == (
            f"{MARK}[root /srv/widget/modules]\n"
            "\n"
            "[root /usr/share/widget]\n"
            "exclude += /usr/share/widget/templates\n"
        )

    def test_the_maintainers_own_file_is_installed(self, builder: Chroot) -> None:
        written = (EXAMPLES / "widget/debian/widget-extra.pycache-sys").read_text()
        assert registered(builder, "widget-extra") == written

    def test_nothing_is_in_maintainer_scripts(self, builder: Chroot) -> None:
        for archive in builder.path(f"{WORK}/examples").glob("*.deb"):
            assert not re.search("pycache.sys", scripts(builder, archive.name.partition("_")[0]))

    def test_the_policys_reader_has_no_complaint(self, builder: Chroot) -> None:
        checked = 0
        for archive in builder.path(f"{WORK}/examples").glob("*_all.deb"):
            text = registered(builder, archive.name.partition("_")[0])
            if text is not None:
                builder.path("/srv/registered.conf").write_text(text)
                builder.run(COMMAND, "policy", "check", "--strict", "/srv/registered.conf")
                checked += 1
        assert checked >= 4

    def test_a_second_build_is_the_same_to_the_byte(self, built: Built, builder: Chroot) -> None:
        builder.run("mkdir", f"{WORK}/again")
        for name in built.examples:
            shutil.copytree(EXAMPLES / name, builder.path(f"{WORK}/again/{name}"))
            build(builder, f"{WORK}/again/{name}")
        first = {p.name: p.read_bytes() for p in builder.path(f"{WORK}/examples").glob("*.deb")}
        again = {p.name: p.read_bytes() for p in builder.path(f"{WORK}/again").glob("*.deb")}
        assert first.keys() == again.keys()
        assert [name for name in first if first[name] != again[name]] == []


@pytest.mark.parametrize("suite", [TRIXIE, SID], ids=lambda suite: suite.name, indirect=True)
class TestDebputy:
    def test_its_last_step_alone_changes_nothing(self, builder: Chroot) -> None:
        assert registered(builder, "doodad") == f"{MARK}[root /usr/share/doodad]\n"

    def test_what_the_build_system_installs_is_found(self, builder: Chroot) -> None:
        assert registered(builder, "doohickey") == f"{MARK}[root /usr/share/doohickey]\n"

    @pytest.mark.parametrize("package", ["doohickey-tools", "contraption"])
    def test_for_what_it_installs_there_is_the_maintainers_file(
        self, package: str, builder: Chroot
    ) -> None:
        assert registered(builder, package) == f"[root /usr/share/{package}]\n"

    def test_they_are_compiled(self, suite: Suite, machine: Chroot) -> None:
        install_example(machine, "doodad", "doohickey", "doohickey-tools", "contraption")
        rebuild(machine)
        for source in ("doodad/core", "doohickey/core", "doohickey-tools/saw", "contraption/core"):
            assert entries(machine, f"/usr/share/{source}.py") == folders(suite)


class TestInstalled:
    def test_modules_are_compiled_and_go_with_their_package(
        self, suite: Suite, machine: Chroot
    ) -> None:
        source = "/usr/share/gizmo/parts/__init__.py"
        install_example(machine, "gizmo")
        rebuild(machine)
        assert entries(machine, source) == folders(suite)
        remove_packages(machine, "gizmo")
        rebuild(machine)
        assert entries(machine, source) == set()
        assert list(machine.path(TREE).glob("*/usr/share/gizmo")) == []

    def test_they_are_compiled_for_the_versions_of_their_package_only(
        self, suite: Suite, machine: Chroot
    ) -> None:
        install_example(machine, "gadget")
        rebuild(machine)
        wanted = folders(suite) - {"3.15"}
        assert wanted
        assert entries(machine, "/usr/share/gadget/core.py") == wanted

    def test_what_is_excluded_is_not_compiled(self, suite: Suite, machine: Chroot) -> None:
        install_example(machine, "widget", "widget-extra")
        run = rebuild(machine)
        assert [one for one in run.failures if "/widget/" in one.source] == []
        for source in ("/usr/share/widget/core.py", "/srv/widget/modules/late.py"):
            assert entries(machine, source) == folders(suite)
        assert entries(machine, "/usr/share/widget/extra/more.py") == folders(suite)
        assert entries(machine, "/usr/share/widget/extra/old/less.py") == set()
        assert entries(machine, "/usr/share/widget/templates/new.py") == set()

    def test_dh_python3_compiles_beside_the_source_unless_it_is_told_not_to(
        self, machine: Chroot
    ) -> None:
        install_example(machine, "gizmo", "widget")
        assert list(machine.path("/usr/share/gizmo/__pycache__").glob("core.*.pyc"))
        assert list(machine.path("/usr/share/widget").rglob("*.pyc")) == []


class TestWithThePackage:
    def test_the_same_run_of_apt_compiles_and_removes(
        self, suite: Suite, built: Built, packaged: Packaged
    ) -> None:
        with scratch_folder() as folder, packaged.image.running(folder) as machine:
            shutil.copytree(built.archives, machine.path(MEDIUM))
            install_example(machine, "gizmo")
            assert entries(machine, "/usr/share/gizmo/core.py") == folders(suite)
            remove_packages(machine, "gizmo")
            assert list(machine.path(TREE).glob("*/usr/share/gizmo")) == []


REMAINING = """\
DH_INTERNAL_OVERRIDE=dh_pycache_sys dh_pycache_sys -pgizmo
rm -r debian/gizmo/usr/share/pycache-sys
dh_pycache_sys --remaining-packages
"""


class TestOptions:
    """The helper on its own, in the source package of gizmo, which was built but not cleaned."""

    HERE = f"{WORK}/examples/gizmo"

    def written(self, chroot: Chroot, script: str) -> set[str]:
        """Run a script in the source package; name the packages that have a file afterwards."""
        start = "rm -rf debian/*/usr/share/pycache-sys debian/*.debhelper.log"
        chroot.run("sh", "-c", f"set -e; cd {self.HERE}; {start}; {script}")
        found = chroot.path(self.HERE).glob(f"debian/*{REGISTRY}/*.conf")
        return {path.stem.partition(":")[0] for path in found}

    @pytest.mark.parametrize(
        ("command", "packages"),
        [
            ("dh_pycache_sys", {"gizmo", "gizmo-plugins"}),
            ("dh_pycache_sys -i", {"gizmo"}),
            ("dh_pycache_sys -a", {"gizmo-plugins"}),
            ("dh_pycache_sys -pgizmo", {"gizmo"}),
            ("dh_pycache_sys --package=gizmo-plugins", {"gizmo-plugins"}),
            ("dh_pycache_sys -N gizmo", {"gizmo-plugins"}),
            ("dh_pycache_sys -pgizmo-doc", set()),
            ("dh_pycache_sys --no-act", set()),
            ("DH_NO_ACT=1 dh_pycache_sys", set()),
            ("DH_OPTIONS=-Ngizmo dh_pycache_sys", {"gizmo-plugins"}),
            ("dh_pycache_sys /usr/share/gizmo", {"gizmo"}),
            ("dh_pycache_sys usr/share/gizmo/parts", {"gizmo"}),
            ("dh_pycache_sys -O--unknown -O-pgizmo", {"gizmo"}),
            ("dh_pycache_sys -X sparks.py -X usr/share/gizmo", {"gizmo-plugins"}),
            ("DH_ALWAYS_EXCLUDE=share/gizmo:none dh_pycache_sys", {"gizmo-plugins"}),
            ("DEB_HOST_MULTIARCH=other dh_pycache_sys", {"gizmo", "gizmo-plugins"}),
            (REMAINING, {"gizmo-plugins"}),
        ],
    )
    def test_debhelpers_options_and_environment_count(
        self, command: str, packages: set[str], builder: Chroot
    ) -> None:
        assert self.written(builder, command) == packages

    def test_verbose_shows_what_is_written(self, builder: Chroot) -> None:
        quiet = builder.run("sh", "-c", f"cd {self.HERE} && dh_pycache_sys")
        shown = builder.run("sh", "-c", f"cd {self.HERE} && DH_VERBOSE=1 dh_pycache_sys -pgizmo")
        assert quiet == ""
        assert f"debian/gizmo{REGISTRY}/gizmo.conf\n" in shown
        assert "    [root /usr/share/gizmo]\n" in shown

    @pytest.mark.parametrize(
        "arguments", ["--nonsense", "-pnobody", "/usr/lib/python3/dist-packages", "/usr/share"]
    )
    def test_what_cannot_be_stops_the_build(self, arguments: str, builder: Chroot) -> None:
        done = builder.attempt("sh", "-c", f"cd {self.HERE} && dh_pycache_sys {arguments}")
        assert done.returncode != 0
        assert "dh_pycache_sys: " in done.stderr
        assert "Traceback" not in done.stderr

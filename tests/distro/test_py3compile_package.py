"""The packages as they are built: the drop-in beside the command and the library."""

from pathlib import Path

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES, REINSTALLED, UPGRADED
from distro.debs import listed_sources
from distro.drop_in import PACKAGE, PROGRAMS, beside, in_tree, pycache_directories
from distro.packaging import archives_of
from distro.product import site_of

pytest_plugins = ["distro.packaging_fixtures"]


def apt(chroot: Chroot, *arguments: str) -> str:
    """Run the chroot's apt, offline, and return all that it printed."""
    done = chroot.attempt("apt-get", "--yes", "--no-install-recommends", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def originals(chroot: Chroot) -> dict[str, bytes]:
    """Read the programs that are to come back."""
    paths = (chroot.path(f"/usr/bin/{program}") for program in PROGRAMS)
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def kept_archive(chroot: Chroot, name: str) -> str:
    """Find the archive of the version that is installed."""
    version = chroot.run("dpkg-query", "--show", "--showformat=${Version}", name)
    (found,) = chroot.path("/srv/archives").glob(f"{name}_{version.replace(':', '%3a')}_*.deb")
    return f"/srv/archives/{found.name}"


def test_packages_come_and_go_and_no_pycache_appears(machine: Chroot) -> None:
    archives = [kept_archive(machine, name) for name in (UPGRADED, REINSTALLED)]
    apt(machine, "install", *archives_of(machine, PACKAGE))
    said = apt(machine, "remove", UPGRADED, REINSTALLED)
    before = pycache_directories(machine, "/usr")
    said += apt(machine, "install", *archives)
    assert pycache_directories(machine, "/usr") <= before
    sources = {
        source
        for name in (UPGRADED, REINSTALLED)
        for source in listed_sources(machine, name)
        if source.startswith(DIST_PACKAGES)
    }
    assert sources <= {source for source, _, _ in in_tree(machine)}
    said += apt(machine, "purge", UPGRADED, REINSTALLED)
    assert not sources & {source for source, _, _ in in_tree(machine)}
    assert pycache_directories(machine, "/usr") <= before
    for word in ("py3compile: ", "py3clean: ", "cannot start", "not empty"):
        assert word not in said


def test_debians_own_come_back(before: Chroot) -> None:
    first = originals(before)
    before.path("/etc/pycacheprefix.conf").write_text("triggers = off\n")  # no tree is needed here
    all_three = ("python3-pycache-sys", "pycache-sys", PACKAGE)
    apt(before, "install", *(path for name in all_three for path in archives_of(before, name)))
    assert set(originals(before)) == set(PROGRAMS)
    changed = before.run("dpkg", "--verify", PACKAGE).splitlines()
    assert [line for line in changed if "/usr/share/doc/" not in line] == []
    apt(before, "purge", PACKAGE)
    assert originals(before) == first
    assert PACKAGE not in before.run("dpkg-divert", "--list")
    assert not list(before.path("/usr/bin").glob("*.distrib"))
    assert not before.path("/usr/libexec/pycache-sys").exists()


def test_it_goes_with_what_it_needs(machine: Chroot) -> None:
    first = originals(machine)
    apt(machine, "install", *archives_of(machine, PACKAGE))
    apt(machine, "purge", "python3-pycache-sys")
    assert originals(machine) == first
    assert PACKAGE not in machine.run("dpkg-divert", "--list")
    assert not machine.path(site_of("pycache_sys")).exists()
    assert not machine.path(site_of("pycache_sys_runtime")).exists()


def test_the_hook_is_quick_also_after_its_own_upgrade(machine: Chroot) -> None:
    apt(machine, "install", *archives_of(machine, PACKAGE))
    names = ("python3-pycache-sys", "pycache-sys", PACKAGE)
    apt(machine, "install", "--reinstall", *(p for n in names for p in archives_of(machine, n)))
    kept = {Path(source).name for source, _, _ in beside(machine, site_of("pycache_sys_runtime"))}
    assert {"startup.py", "loader.py"} <= kept
    assert machine.run("py3compile", "-v", "-p", UPGRADED).count("compiled ") == 1

"""What goes wrong in the place of py3compile: with sources, with the cache, and with Python."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from distro.chroots import ENVIRONMENT, NOBODY, Chroot, Image
from distro.debian import DIST_PACKAGES
from distro.drop_in import (
    BROKEN,
    OWN,
    PLACES,
    PROGRAMS,
    SOURCE,
    beside,
    dpkg,
    in_tree,
    make_deb,
    make_module_deb,
    pycache_directories,
    run,
)
from distro.layers import scratch_folder
from distro.product import TREE, site_of

pytest_plugins = ["distro.drop_in_fixtures"]


@pytest.fixture
def machine(dropped_in: Image) -> Iterator[Chroot]:
    """Give a private copy of a chroot that has the drop-in, and no tree."""
    with scratch_folder() as folder, dropped_in.running(folder) as copy:
        yield copy


class TestBadInput:
    BAD: Mapping[str, bytes] = {
        f"{DIST_PACKAGES}/bad/{name}": data
        for name, data in {
            "a.py": BROKEN,
            "b.py": SOURCE,
            "c.py": b"\0",
            "d.py": b"# coding: nonsense\n",
            "e.py": SOURCE,
        }.items()
    }

    def test_a_bad_source_stops_no_other_and_no_installation(self, machine: Chroot) -> None:
        said = dpkg(machine, "-i", make_module_deb(machine, "bad", "1", self.BAD))
        assert f"{DIST_PACKAGES}/bad/a.py: syntax error" in said
        compiled = {Path(source).name for source, _, _ in in_tree(machine)}
        assert compiled == {"b.py", "e.py"}
        by_hand = run(machine, "py3compile", "-p", "bad")
        assert by_hand.returncode == run(machine, "py3compile.distrib", "-p", "bad").returncode == 1

    @pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "xx_XX.ISO-8859-1"])
    def test_names_may_be_any_bytes_in_any_locale(self, machine: Chroot, locale: str) -> None:
        name = os.fsdecode(b"caf\xe9.py")
        contents = {
            f"{DIST_PACKAGES}/odd/{name}": SOURCE,
            f"{DIST_PACKAGES}/odd/caf\u00e9.py": SOURCE,
            f"{DIST_PACKAGES}/odd/a b.py": SOURCE,
            f"{DIST_PACKAGES}/odd/bad_{name}": BROKEN,
        }
        dpkg(machine, "-i", make_deb(machine, "odd", "1", contents, {}))
        done = run(machine, "py3compile", "-p", "odd", LC_ALL=locale)
        assert done.returncode == 1
        assert "syntax error" in done.stderr
        assert {Path(s).name for s, _, _ in in_tree(machine)} == {name, "caf\u00e9.py", "a b.py"}
        assert run(machine, "py3clean", "-p", "odd", LC_ALL=locale).returncode == 0
        assert in_tree(machine) == frozenset()

    def test_thousands_of_sources(self, machine: Chroot) -> None:
        contents = {f"{DIST_PACKAGES}/many/m{n}.py": SOURCE for n in range(3000)}
        dpkg(machine, "-i", make_module_deb(machine, "many", "1", contents))
        versions = {version for _, version, _ in in_tree(machine)}
        assert len(in_tree(machine)) == 3000 * len(versions)
        assert not pycache_directories(machine, f"{DIST_PACKAGES}/many")
        dpkg(machine, "-r", "many")
        assert in_tree(machine) == frozenset()
        assert not machine.path(f"{DIST_PACKAGES}/many").exists()

    def test_sources_that_are_not_roots_do_not_feed_the_tree(self, machine: Chroot) -> None:
        os.chown(machine.path(f"{OWN}/main.py"), NOBODY, NOBODY)
        done = run(machine, "py3compile", "-v", "-p", "gizmo", f"{OWN}/")
        assert done.returncode == 0
        assert "main.py: not owned by root" in done.stderr
        assert f"{OWN}/main.py" not in {source for source, _, _ in in_tree(machine)}
        assert f"{OWN}/plugins/three.py" in {source for source, _, _ in in_tree(machine)}


@contextmanager
def mounted(chroot: Chroot, options: str) -> Iterator[None]:
    """Mount a small file system on the tree."""
    top = chroot.path(TREE)
    top.mkdir(mode=0o755, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", top], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", top], check=True)


class TestTransactions:
    """What goes wrong with a cache stops no run of dpkg."""

    MODULES: Mapping[str, bytes] = {
        f"{DIST_PACKAGES}/late/m{n}.py": b"text = '''%s'''\n" % (b"x" * 20_000) for n in range(20)
    }

    def install_and_remove(self, machine: Chroot) -> str:
        said = dpkg(machine, "-i", make_module_deb(machine, "late", "1", self.MODULES))
        assert "late" in machine.run("dpkg-query", "--show", "-f", "${Package} ${Status}", "late")
        assert not beside(machine, f"{DIST_PACKAGES}/late")
        return said + dpkg(machine, "-r", "late")

    def test_a_full_disk(self, machine: Chroot) -> None:
        with mounted(machine, "mode=755,size=64k"):
            assert "No space left" in self.install_and_remove(machine)
            done = run(machine, "py3compile", "-p", "python3-idna")
            assert done.returncode == 1

    def test_a_read_only_cache(self, machine: Chroot) -> None:
        with mounted(machine, "mode=755,ro"):
            assert "Read-only" in self.install_and_remove(machine)
            assert run(machine, "py3compile", "-p", "gizmo").returncode == 1

    def test_a_policy_with_errors(self, machine: Chroot) -> None:
        policy = machine.path("/etc/pycacheprefix.conf")
        policy.write_text("invalidation = hashed\n")
        assert "unknown invalidation" in self.install_and_remove(machine)
        assert run(machine, "py3compile", "-p", "gizmo").returncode == 1

    def test_a_tree_that_is_not_safe(self, machine: Chroot) -> None:
        machine.path(TREE).mkdir(mode=0o777)
        machine.path(TREE).chmod(0o777)
        assert "writable by others" in self.install_and_remove(machine)

    def test_another_run_holds_the_lock(self, machine: Chroot) -> None:
        program = (
            "import fcntl, os, sys\n"
            "os.makedirs('/run/pycache-sys', exist_ok=True)\n"
            "file = open('/run/pycache-sys/lock', 'w', opener=lambda p, f: os.open(p, f, 0o600))\n"
            "fcntl.flock(file, fcntl.LOCK_EX)\n"
            "print('held', flush=True)\n"
            "sys.stdin.read()\n"
        )
        with subprocess.Popen(
            machine.command("/usr/bin/python3", "-c", program),
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            assert "holds the lock" in self.install_and_remove(machine)
            holder.communicate()

    @pytest.mark.parametrize(
        "fault", ["os.kill(os.getpid(), 9)", "raise RuntimeError", "os._exit(0)"]
    )
    def test_the_program_dies_in_the_middle(self, machine: Chroot, fault: str) -> None:
        module = machine.path(f"{site_of('pycache_sys')}/py3compile.py")
        text = module.read_text().replace(
            "    report = Report(", f"    {fault}\n    report = Report("
        )
        module.write_text(text)
        assert "did not live to the end" in self.install_and_remove(machine)
        by_hand = run(machine, "py3compile", "-p", "gizmo")
        assert by_hand.returncode == (0 if "_exit" in fault else 137 if "kill" in fault else 1)

    def test_a_wrong_call_keeps_its_status(self, machine: Chroot) -> None:
        for call, status in (((), 1), (("--nonsense",), 2), (("-V", "9.9", "-p", "gizmo"), 3)):
            done = run(machine, "py3compile", *call, DPKG_MAINTSCRIPT_PACKAGE="gizmo")
            assert done.returncode == status

    def test_another_root_is_left_alone(self, machine: Chroot) -> None:
        for program in PROGRAMS:
            done = run(machine, program, "-p", "gizmo", DPKG_ROOT="/srv/root")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert in_tree(machine) == frozenset()
        assert beside(machine, *PLACES) == frozenset()

    def test_closed_descriptors(self, machine: Chroot) -> None:
        done = run(machine, "sh", "-c", "py3compile -p gizmo <&- >&- 2>&-")
        assert done.returncode == 0
        assert in_tree(machine)


class TestDebiansOwn:
    """Debian's own program runs where ours can't start."""

    def expect_debians(self, machine: Chroot) -> None:
        contents = {f"{DIST_PACKAGES}/other/a.py": SOURCE}
        said = dpkg(machine, "-i", make_module_deb(machine, "other", "1", contents))
        assert "py3compile: pycache-sys cannot start: " in said
        assert "Traceback" not in said
        assert in_tree(machine) == frozenset()
        assert beside(machine, f"{DIST_PACKAGES}/other")
        dpkg(machine, "-r", "other")
        assert not machine.path(f"{DIST_PACKAGES}/other").exists()

    def test_the_library_is_missing(self, machine: Chroot) -> None:
        shutil.rmtree(machine.path(site_of("pycache_sys")))
        self.expect_debians(machine)

    def test_a_part_of_it_is_missing(self, machine: Chroot) -> None:
        shutil.rmtree(machine.path(site_of("pycache_sys_runtime")))
        self.expect_debians(machine)

    def test_a_module_is_half_written(self, machine: Chroot) -> None:
        module = machine.path(f"{site_of('pycache_sys')}/core/model.py")
        module.write_text(module.read_text()[:1000] + "\n(")
        self.expect_debians(machine)

    def test_what_it_depends_on_is_missing(self, machine: Chroot) -> None:
        dpkg(machine, "--force-depends", "-r", "python3-packaging", "python3-platformdirs")
        contents = {f"{DIST_PACKAGES}/other/a.py": SOURCE}
        dpkg(machine, "-i", make_module_deb(machine, "other", "1", contents))
        assert in_tree(machine) or beside(machine, f"{DIST_PACKAGES}/other")

    def test_python_itself_does_not_run(self, machine: Chroot) -> None:
        python = machine.path("/usr/bin/python3")
        python.unlink()
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
        contents = {f"{DIST_PACKAGES}/other/a.py": SOURCE}
        said = dpkg(machine, "-i", make_module_deb(machine, "other", "1", contents))
        assert "/usr/bin/python3 cannot be run" in said
        dpkg(machine, "-r", "other")
        assert run(machine, "py3compile", "-p", "gizmo").returncode == 1

    def test_debians_own_failure_is_not_hidden(self, machine: Chroot) -> None:
        shutil.rmtree(machine.path(site_of("pycache_sys")))
        contents = {f"{DIST_PACKAGES}/other/a.py": BROKEN}
        archive = make_module_deb(machine, "other", "1", contents)
        assert machine.attempt("dpkg", "-i", archive).returncode != 0

    def test_nobody_but_root_is_served_by_ours(self, machine: Chroot) -> None:
        home = machine.path("/srv/home")
        home.mkdir()
        (home / "mine.py").write_bytes(SOURCE)
        for path in (home, home / "mine.py"):
            os.chown(path, NOBODY, NOBODY)
        done = run(machine, "py3compile", "/srv/home", user=NOBODY)
        assert (done.returncode, done.stderr) == (0, "")
        assert {source for source, _, _ in beside(machine, "/srv/home")} == {"/srv/home/mine.py"}
        assert run(machine, "py3clean", "/srv/home", user=NOBODY).returncode == 0
        assert not pycache_directories(machine, "/srv/home")

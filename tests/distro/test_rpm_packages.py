"""The RPM packages: what installing brings, what removal leaves, and macros for others."""

import json
from collections.abc import Mapping

import pytest

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.packaging import tree_files
from distro.product import ACCOUNT, COMMAND, TREE, rebuild
from distro.rpm_life import rpm, summaries
from distro.rpm_machines import (
    OURS,
    PRIVATE,
    RPMS,
    Installed,
    archive,
    build_spec,
    ours,
    own_version,
)
from distro.snapshots import snapshot

pytest_plugins = ["distro.rpm_fixtures"]

REGISTERED = "/usr/share/pycache-sys/roots.d/gizmo.conf"
LEFT = ": not made by pycache-sys, left in place"
KEPT_BY_OTHERS = ("var/lib/rpm", "var/log", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow")
KEPT_BY_ACCOUNTS = ("etc/.pwd.lock", "etc/subuid", "etc/subgid", "var/lib/dpkg", "tmp", "var/tmp")
MACROS = f"{RPMS}/pycache-sys-rpm-macros-{own_version()}-1.noarch.rpm"
NO_BYTECOMPILE = f"{RPMS}/pycache-sys-no-bytecompile-{own_version()}-1.noarch.rpm"

DISTRIBUTIONS = ("/usr/lib/rpm/debian/macros", "/usr/lib/rpm/vendor/macros")
"""Read after all other macros of /usr/lib, as Fedora's /usr/lib/rpm/redhat/macros: 4.18, later."""
AS_FEDORA = """\
%__brp_python_bytecompile /usr/bin/python3 -m compileall -q -s %{buildroot} -p / %{buildroot}/usr
%__os_install_post %{?__brp_python_bytecompile}
"""
"""A build policy that compiles, as Fedora's; Debian's rpm has none."""

GIZMO = """\
{head}
Name: gizmo2
Version: 1
Release: 1
Summary: a package made for a test
License: MIT
BuildArch: noarch
%description
A package made for a test.
%install
mkdir -p %{{buildroot}}/usr/share/gizmo2/plug %{{buildroot}}/usr/lib/gizmo2
echo 'A = 1' > %{{buildroot}}/usr/share/gizmo2/a.py
echo 'B = 1' > %{{buildroot}}/usr/lib/gizmo2/b.py
{install}
%files
/usr/share/gizmo2
/usr/lib/gizmo2
{files}
"""


def state(chroot: Chroot) -> Mapping[str, tuple[object, ...]]:
    """Record what is on the system, but for what rpm and useradd keep of every package."""
    everything = snapshot(chroot.root, without=frozenset({"proc", "sys", "dev"}))
    others = (*KEPT_BY_OTHERS, *KEPT_BY_ACCOUNTS)
    return {
        path: (stamp.mode, stamp.owner, stamp.size if not path.endswith(".pyc") else 0)
        for path, stamp in everything.items()
        if not path.startswith(others)
    }


def test_one_line_says_what_was_built(rpm_installed: Installed) -> None:
    lines = rpm_installed.output.splitlines()
    assert summaries(rpm_installed.output) == lines
    assert len(lines) == 1


def test_every_file_is_as_rpm_has_it_and_the_tree_is_complete(
    rpm_machine: Chroot, suite: Suite
) -> None:
    assert rpm(rpm_machine, "--verify", *OURS) == ""
    counts = rebuild(rpm_machine, "--dry-run").report["counts"]
    assert counts["compiled"] == counts["removed"] == 0 < counts["fresh"]
    status = rpm_machine.path(TREE).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o755)
    shown = json.loads(rpm_machine.run(COMMAND, "enable", "--show", "--json"))["interpreters"]
    assert {one["directory"] for one in shown} == {one.directory for one in suite.interpreters}
    assert all(one["hooked"] for one in shown), shown
    run = rebuild(rpm_machine, "--force", f"{DIST_PACKAGES}/idna")
    assert run.report["workers_detail"].startswith(ACCOUNT)


def test_the_hook_has_its_own_bytecode(rpm_machine: Chroot, suite: Suite) -> None:
    program = "import pycache_sys_runtime.loader as m; print(m.__spec__.cached, m.__cached__)"
    python = suite.interpreters[0]
    done = rpm_machine.attempt(python.command, "-v", "-c", program)
    source = f"{DIST_PACKAGES}/pycache_sys_runtime/startup.py"
    assert f"code object from '{source}'" not in done.stderr
    assert "startup" in done.stderr


@pytest.mark.parametrize("is_migrated", [False, True])
def test_the_system_is_as_before(bare_machine: Chroot, *, is_migrated: bool) -> None:
    earlier = state(bare_machine)
    rpm(bare_machine, "--install", *ours())
    during = state(bare_machine)
    assert len(during.keys() - earlier.keys()) > 1000
    if is_migrated:
        bare_machine.run(COMMAND, "migrate", "--quiet")
        gone = earlier.keys() - state(bare_machine).keys()
        assert len(gone) > 500
        assert all(name.endswith((".pyc", "/__pycache__")) for name in gone)

    said = rpm(bare_machine, "--erase", *OURS)

    assert said == ""
    later = state(bare_machine)
    assert {p: s for p, s in later.items() if earlier.get(p) != s} == {}
    assert earlier.keys() - later.keys() == set()


def test_what_has_no_name_of_ours_stays_and_is_named(rpm_machine: Chroot, suite: Suite) -> None:
    foreign = rpm_machine.path(f"{TREE}/{suite.interpreters[0].directory}/usr/lib/foreign.pyc")
    foreign.write_bytes(b"nobody has its source")
    said = rpm(rpm_machine, "--erase", *OURS)
    assert said.count(LEFT) == 1
    assert foreign.read_bytes() == b"nobody has its source"
    assert [path for path in rpm_machine.path(TREE).rglob("*") if not path.is_dir()] == [foreign]


@pytest.mark.parametrize("trouble", ["gone", "broken"])
def test_removal_needs_no_python(rpm_machine: Chroot, trouble: str) -> None:
    program = rpm_machine.path("/usr/bin/python3")
    program.unlink()
    if trouble == "broken":
        program.write_text("#!/bin/sh\nexit 127\n")
        program.chmod(0o755)
    rpm(rpm_machine, "--erase", *OURS)
    assert not rpm_machine.path(TREE).exists()


def test_bytecode_that_a_package_names_is_never_removed(rpm_machine: Chroot) -> None:
    rpm_machine.path("/etc/pycacheprefix.conf").write_text("in-place = remove\n")
    rpm(rpm_machine, "--install", archive("django", "5.2.8"))
    listed = rpm(rpm_machine, "--query", "--list", "django")
    assert listed.count(".pyc") > 500
    assert rpm(rpm_machine, "--verify", "django") == ""


def test_the_macro_registers_a_private_directory(rpm_machine: Chroot) -> None:
    rpm(rpm_machine, "--install", archive("gizmo", "0.13.4"))
    text = rpm_machine.path(REGISTERED).read_text()
    assert text == f"[root {PRIVATE}]\ninterpreters = >=3.9\n"
    assert [name for name in tree_files(rpm_machine) if f"{PRIVATE}/bottle." in name]
    rpm_machine.run(COMMAND, "policy", "check")


def built_files(chroot: Chroot, text: str) -> list[str]:
    """Build a package and list its files."""
    build_spec(chroot, text)
    return rpm(
        chroot, "--query", "--list", "-p", "/srv/build/RPMS/noarch/gizmo2-1-1.noarch.rpm"
    ).split()


def test_the_macros_of_a_build(bare_machine: Chroot) -> None:
    rpm(bare_machine, "--install", "--nodeps", MACROS)
    for name in DISTRIBUTIONS:
        bare_machine.path(name).parent.mkdir(exist_ok=True)
        with bare_machine.path(name).open("a") as file:
            file.write(AS_FEDORA)

    both = "%pycache_sys_root /usr/share/gizmo2\n%pycache_sys_root /usr/lib/gizmo2 >=3.9,<3.13"
    plain = GIZMO.format(head="", install=both, files="%pycache_sys_files")
    files = built_files(bare_machine, plain)
    assert len([name for name in files if name.endswith(".pyc")]) == 2, files
    assert "/usr/share/pycache-sys/roots.d/gizmo2.conf" in files
    rpm(bare_machine, "--install", *ours(), "/srv/build/RPMS/noarch/gizmo2-1-1.noarch.rpm")
    text = bare_machine.path("/usr/share/pycache-sys/roots.d/gizmo2.conf").read_text()
    assert text == (
        "[root /usr/share/gizmo2]\n[root /usr/lib/gizmo2]\ninterpreters = >=3.9,<3.13\n"
    )

    one = GIZMO.format(head="%pycache_sys_no_bytecompile", install="", files="")
    assert not [name for name in built_files(bare_machine, one) if "pyc" in name]

    rpm(bare_machine, "--install", NO_BYTECOMPILE)
    without = GIZMO.format(head="", install="", files="")
    assert not [name for name in built_files(bare_machine, without) if "pyc" in name]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("%pycache_sys_root usr/share/gizmo2", "'usr/share/gizmo2' is no absolute path"),
        ("%pycache_sys_root /usr/share/gizmo3", "there is no /usr/share/gizmo3 in the build root"),
    ],
)
def test_a_wrong_directory_ends_the_build(bare_machine: Chroot, call: str, complaint: str) -> None:
    rpm(bare_machine, "--install", "--nodeps", MACROS)
    text = GIZMO.format(head="", install=call, files="%pycache_sys_files")
    bare_machine.path("/srv/one.spec").write_text(text)
    done = bare_machine.attempt(
        "rpmbuild", "--nodeps", "--define", "_topdir /srv/build", "-bb", "/srv/one.spec"
    )
    assert done.returncode != 0
    assert f"%pycache_sys_root: {complaint}" in done.stdout + done.stderr

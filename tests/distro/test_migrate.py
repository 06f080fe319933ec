"""``migrate`` on Debian: what goes, what stays, and that ``--undo`` gives it back."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from distro.chroots import ARCHIVES, ENVIRONMENT, Chroot
from distro.debian import DIST_PACKAGES, REINSTALLED, Suite
from distro.debs import build_deb, install_deb, listed_sources
from distro.import_trace import evaluate, prefix_options
from distro.product import COMMAND, TREE, rebuild_all
from distro.snapshots import Snapshot, bytecode_beside_sources, differences, files
from distro.test_sourceless import NAMES, imported, install_sourceless, state

LEDGER = "/var/lib/pycache-sys/in-place"
POLICY = "/etc/pycacheprefix.conf"
RUNTIME = f"{DIST_PACKAGES}/pycache_sys_runtime/__pycache__/"
NOBODY = 65534
MTIME = 1_704_067_200
RPM_SPEC = f"""\
%global __os_install_post %{{nil}}
Name: pycache-shipping-rpm
Version: 1
Release: 1
Summary: a package made for a test
License: MIT
BuildArch: noarch

%description
A package that ships its bytecode, as Fedora's do.

%install
mkdir -p %{{buildroot}}{DIST_PACKAGES}/pycache_shipping
echo 'ANSWER = 1' > %{{buildroot}}{DIST_PACKAGES}/pycache_shipping/__init__.py
python3 -m compileall -q -s %{{buildroot}} %{{buildroot}}{DIST_PACKAGES}/pycache_shipping

%files
{DIST_PACKAGES}/pycache_shipping
"""


def migrate(chroot: Chroot, *arguments: str, status: int = 0) -> Mapping[str, Any]:
    """Run ``migrate --json`` and return what it says."""
    done = chroot.attempt(COMMAND, "migrate", "--json", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, done.stderr + done.stdout[-2000:]
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def is_hooked(chroot: Chroot) -> None:
    """Bring the hook to all interpreters."""
    chroot.run(COMMAND, "enable")


def managed(chroot: Chroot, suite: Suite) -> Snapshot:
    """Record the bytecode beside the sources that are managed."""
    roots = [DIST_PACKAGES, "/usr/local/lib", *(one.library for one in suite.interpreters)]
    found = bytecode_beside_sources(chroot.root)
    inside = tuple(f"{root.strip('/')}/" for root in roots)
    return {path: stamp for path, stamp in found.items() if path.startswith(inside)}


def essence(taken: Snapshot) -> dict[str, object]:
    """Take out of a snapshot what has to come back; a directory's time is when a name changed."""
    return {
        path: (one.mode, one.owner, one.mtime if path.endswith(".pyc") else 0)
        for path, one in taken.items()
    }


def verified(chroot: Chroot) -> str:
    """Let dpkg say what is not as it came."""
    return chroot.attempt("dpkg", "--verify").stdout


def compiled_at_start(chroot: Chroot, command: str, *options: str) -> set[str]:
    """Name the sources that a start of nothing compiles."""
    done = chroot.attempt(command, "-v", *options, "-c", "pass")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("# code object from ")]
    return {line.split(" ", 4)[4].strip("'") for line in lines if line.rstrip("'").endswith(".py")}


def test_everything_the_tree_serves_goes_and_comes_back(suite: Suite, chroot: Chroot) -> None:
    is_hooked(chroot)
    before, dpkg = managed(chroot, suite), verified(chroot)
    starts = {one.command: compiled_at_start(chroot, one.command) for one in suite.interpreters}
    modules = "import json, requests, django, yaml; print(json.dumps([requests.__name__]))"

    said = migrate(chroot, "--dry-run")
    assert differences(before, managed(chroot, suite)) == set()
    done = migrate(chroot)
    assert (done["removed"], done["bytes"]) == (said["removed"], said["bytes"])
    assert done["removed"] > 2000
    assert set(said["files"]) == {
        f"/{path}" for path in files(before) - files(managed(chroot, suite))
    }
    left = files(managed(chroot, suite))
    assert len(left) == sum(done["left"].values()) < 60
    assert all(chroot.path(path).exists() for path in before if path in left)
    assert not [
        p for p in chroot.root.glob("usr/lib/python3*/**/__pycache__") if not any(p.iterdir())
    ]
    assert verified(chroot) == dpkg
    assert not list(chroot.root.glob("var/lib/rpm/*")), "to ask rpm is not to make a database"

    untouched = managed(chroot, suite)
    for one in suite.interpreters:
        assert compiled_at_start(chroot, one.command) == starts[one.command]
        assert evaluate(chroot, one, modules) == '["requests"]'
        assert evaluate(chroot, one, modules, *prefix_options(one)) == '["requests"]'
    assert differences(untouched, managed(chroot, suite)) == set()
    assert rebuild_all(chroot).compiled == 0
    assert migrate(chroot)["removed"] == 0

    back = migrate(chroot, "--undo")
    assert (back["restored"], back["missing"]) == (done["removed"], [])
    assert essence(managed(chroot, suite)) == essence(before)
    assert not chroot.path(LEDGER).parent.exists()
    chroot.run(COMMAND, "disable")
    for one in suite.interpreters:
        stock = chroot.run(one.command, "-B", "-v", "-c", "pass")
        assert stock == ""
        trace = chroot.attempt(one.command, "-B", "-v", "-c", modules).stderr
        ours = [line for line in trace.splitlines() if line.endswith(("json/__init__.py'",))]
        assert not [line for line in ours if line.startswith("# code object from")], ours
    assert verified(chroot) == dpkg


def test_without_the_hook_nothing_goes(suite: Suite, chroot: Chroot) -> None:
    before = managed(chroot, suite)
    done = migrate(chroot, status=1)
    assert done["removed"] == 0
    assert len(done["refused"]) == len(suite.interpreters)
    assert differences(before, managed(chroot, suite)) == set()
    chroot.path(POLICY).write_text("in-place = remove\n")
    assert rebuild_all(chroot).report["in_place"]["removed"] == 0
    assert differences(before, managed(chroot, suite)) == set()
    hint = chroot.attempt(COMMAND, "migrate").stderr
    assert "pycache-sys enable" in hint
    assert migrate(chroot, "--force")["removed"] > 2000


def test_one_interpreter_with_the_hook(suite: Suite, chroot: Chroot) -> None:
    """What the others read stays."""
    first, *others = suite.interpreters
    chroot.run(COMMAND, "enable", "--python", first.command)
    done = migrate(chroot, status=1 if others else 0)
    assert [one["path"] for one in done["refused"]] == [one.command for one in others]
    tags = {path.rpartition("/")[2].split(".")[1] for path in files(managed(chroot, suite))}
    assert {one.cache_tag for one in others} <= tags
    assert not chroot.path(f"{first.library}/json/__pycache__").exists()


def test_an_ordinary_user_is_told(suite: Suite, chroot: Chroot) -> None:
    done = chroot.attempt(COMMAND, "migrate", user=NOBODY)
    assert done.returncode == 5
    assert "run it as root" in done.stderr


def test_a_package_brings_it_back_and_the_policy_takes_it_away(
    suite: Suite, chroot: Chroot
) -> None:
    is_hooked(chroot)
    chroot.path(POLICY).write_text("in-place = remove\n")
    assert rebuild_all(chroot).report["in_place"]["removed"] > 2000
    dpkg = verified(chroot)
    (archive,) = chroot.root.glob(f"{ARCHIVES.strip('/')}/{REINSTALLED}_*.deb")
    install_deb(chroot, f"{ARCHIVES}/{archive.name}", "--reinstall")
    sources = listed_sources(chroot, REINSTALLED)
    folder = chroot.path(f"{DIST_PACKAGES}/requests/__pycache__")
    assert folder.is_dir()
    run = rebuild_all(chroot)
    assert run.report["in_place"]["removed"] >= len(sources)
    assert not folder.exists()
    assert verified(chroot) == dpkg
    again = rebuild_all(chroot)
    assert again.report["in_place"]["removed"] == 0
    done = chroot.attempt(COMMAND, "migrate", "--undo", f"{DIST_PACKAGES}/requests")
    assert done.returncode == 0, done.stderr
    assert "in-place = remove" in done.stderr
    assert folder.is_dir()
    assert not chroot.path(f"{DIST_PACKAGES}/yaml/__pycache__").exists()


def test_a_section_keeps_its_root(suite: Suite, chroot: Chroot) -> None:
    is_hooked(chroot)
    kept = f"{DIST_PACKAGES}/yaml"
    chroot.path(POLICY).write_text(f"in-place = remove\n[root {kept}]\nin-place = keep\n")
    rebuild_all(chroot)
    assert chroot.path(f"{kept}/__pycache__").exists()
    assert not chroot.path(f"{DIST_PACKAGES}/requests/__pycache__").exists()
    migrate(chroot)
    assert chroot.path(f"{kept}/__pycache__").exists()
    assert migrate(chroot, kept)["removed"] > 0
    assert not chroot.path(f"{kept}/__pycache__").exists()
    chroot.path(POLICY).write_text(f"[root {DIST_PACKAGES}/idna]\nin-place = remove\n")
    rebuild_all(chroot)
    assert not chroot.path(f"{DIST_PACKAGES}/idna/__pycache__").exists()
    assert chroot.path(f"{DIST_PACKAGES}/jinja2/__pycache__").exists() is False  # from before
    assert migrate(chroot, "--undo")["missing"] == []
    rebuild_all(chroot)
    assert not chroot.path(f"{DIST_PACKAGES}/idna/__pycache__").exists()
    assert chroot.path(f"{DIST_PACKAGES}/jinja2/__pycache__").exists()


def test_paths_and_packages(suite: Suite, chroot: Chroot) -> None:
    is_hooked(chroot)
    before = managed(chroot, suite)
    migrate(chroot, f"{DIST_PACKAGES}/yaml/nodes.py", "-p", "python3-idna")
    gone = files(before) - files(managed(chroot, suite))
    assert {path.split("/__pycache__/")[0] for path in gone} == {
        f"{DIST_PACKAGES[1:]}/yaml",
        f"{DIST_PACKAGES[1:]}/idna",
    }
    assert {path.rpartition("/")[2].split(".")[0] for path in gone if "/yaml/" in path} == {"nodes"}
    chroot.path("/srv/other").mkdir()
    chroot.path("/srv/other/mine.py").write_text("")
    outside = migrate(chroot, "/srv/other", status=1)
    assert [one["path"] for one in outside["refused"]] == ["/srv/other"]


def test_sourceless_and_foreign_files_survive(suite: Suite, chroot: Chroot) -> None:
    interpreter = suite.interpreters[0]
    is_hooked(chroot)
    paths = install_sourceless(chroot, interpreter)
    chroot.path(f"{DIST_PACKAGES}/widowed.py").unlink()
    folder = chroot.path(f"{DIST_PACKAGES}/idna/__pycache__")
    tag = interpreter.cache_tag
    for name in (f"core.{tag}-pytest-8.2.pyc", "core.cpython-27.pyc", "core.pyc", "notes.txt"):
        (folder / name).write_bytes(b"kept")
        paths.append(folder / name)
    before = state(paths)
    done = migrate(chroot)
    assert state(paths) == before
    assert imported(chroot, interpreter) == {NAMES}
    assert {name: done["left"][name] for name in ("foreign", "no-interpreter")} == {
        "foreign": 3,
        "no-interpreter": 1,
    }
    assert done["left"]["sourceless"] >= 1
    migrate(chroot, "--undo")
    assert state(paths) == before


def test_what_manifests_name_stays(suite: Suite, chroot: Chroot) -> None:
    """An rpm and a deb that ship bytecode, and a prefix of conda's that is a root."""
    tag = suite.interpreters[0].cache_tag
    is_hooked(chroot)
    chroot.path("/srv/shipping.spec").write_text(RPM_SPEC)
    chroot.run("rpmbuild", "-bb", "--define", "_topdir /srv/rpm", "/srv/shipping.spec")
    (built,) = chroot.root.glob("srv/rpm/RPMS/noarch/*.rpm")
    inside = f"/srv/rpm/RPMS/noarch/{built.name}"
    chroot.run("rpm", "--install", "--nodeps", "--nosignature", inside)
    shipped = f"{DIST_PACKAGES}/pycache_deb"
    contents = {
        f"{shipped}/__init__.py": b"",
        f"{shipped}/__pycache__/__init__.{tag}.pyc": b"from the deb",
    }
    install_deb(chroot, build_deb(chroot, "pycache-shipping", "1", contents, MTIME))
    conda = chroot.path("/opt/conda")
    (conda / "conda-meta").mkdir(parents=True)
    (conda / "lib/gizmo/__pycache__").mkdir(parents=True)
    for name in ("named", "other"):
        (conda / f"lib/gizmo/{name}.py").write_text("")
        (conda / f"lib/gizmo/__pycache__/{name}.{tag}.pyc").write_bytes(b"bytecode")
    manifest = {"files": ["lib/gizmo/named.py", f"lib/gizmo/__pycache__/named.{tag}.pyc"]}
    (conda / "conda-meta/gizmo-1-0.json").write_text(json.dumps(manifest))
    chroot.path(POLICY).write_text("roots += /opt/conda/lib\n")

    dpkg, rpm = verified(chroot), chroot.attempt("rpm", "--verify", "pycache-shipping-rpm").stdout
    done = migrate(chroot)
    assert done["removed"] > 2000
    assert done["left"]["manifest"] >= 3
    assert list(chroot.root.glob(f"{DIST_PACKAGES[1:]}/pycache_shipping/__pycache__/*.pyc"))
    assert {path.name for path in (conda / "lib/gizmo/__pycache__").iterdir()} == {
        f"named.{tag}.pyc"
    }
    assert (verified(chroot), rpm) == (
        dpkg,
        chroot.attempt("rpm", "--verify", "pycache-shipping-rpm").stdout,
    )
    assert "missing" not in rpm
    (conda / "conda-meta/gizmo-1-0.json").write_text("{")
    failed = chroot.attempt(COMMAND, "migrate")
    assert failed.returncode == 5
    assert "gizmo-1-0.json" in failed.stderr


def test_the_tree_and_the_ledger_may_be_lost(suite: Suite, chroot: Chroot) -> None:
    is_hooked(chroot)
    before = managed(chroot, suite)
    migrate(chroot)
    chroot.run("rm", "-rf", TREE)
    assert migrate(chroot, "--undo")["missing"] == []
    assert essence(managed(chroot, suite)) == essence(before)

    migrate(chroot)
    chroot.path(LEDGER).unlink()
    assert migrate(chroot, "--undo")["restored"] == 0
    folder = f"{DIST_PACKAGES}/requests"
    assert migrate(chroot, "--undo", folder)["restored"] > 0
    inside = f"{folder[1:]}/__pycache__/"
    assert {path for path in files(managed(chroot, suite)) if path.startswith(inside)} == {
        path for path in files(before) if path.startswith(inside)
    }


def test_other_levels_come_back_and_changed_sources_fit(suite: Suite, chroot: Chroot) -> None:
    interpreter = suite.interpreters[0]
    is_hooked(chroot)
    folder = f"{DIST_PACKAGES}/idna"
    chroot.run(interpreter.command, "-O", "-m", "compileall", "-q", folder)
    assert migrate(chroot, folder)["left"]["not-in-tree"] > 0
    rebuild_all(chroot, "--optimize", "0,1", folder)
    migrate(chroot, folder)
    level = chroot.path(f"{folder}/__pycache__/core.{interpreter.cache_tag}.opt-1.pyc")
    assert not level.parent.exists()
    chroot.run("rm", "-rf", TREE)
    source = chroot.path(f"{folder}/core.py")
    source.write_text(source.read_text() + "CHANGED = 1\n")
    chroot.path(f"{folder}/codec.py").unlink()
    assert migrate(chroot, "--undo")["missing"] == []
    assert level.exists()
    assert not list(level.parent.glob("codec.*"))
    chroot.run(COMMAND, "disable")
    program = "import idna.core; print(idna.core.CHANGED)"
    for flags in ((), ("-O",)):
        done = chroot.attempt(interpreter.command, "-B", "-v", *flags, "-c", program)
        assert done.stdout == "1\n"
        assert f"matches {folder}/core.py" in done.stderr


@pytest.mark.parametrize("verb", [("migrate",), ("migrate", "--undo")], ids=["migrate", "undo"])
def test_killed_at_any_moment_nothing_is_lost(
    suite: Suite, chroot: Chroot, verb: tuple[str, ...]
) -> None:
    is_hooked(chroot)
    before = managed(chroot, suite)
    is_undo = len(verb) > 1
    if is_undo:
        migrate(chroot)
    at_rest = files(managed(chroot, suite))
    watched = [chroot.path(path) for path in sorted(files(before))[::50]]
    reached = []
    for number in (1, len(watched) // 3, len(watched) // 2):
        process = subprocess.Popen(
            chroot.command(COMMAND, *verb), env=ENVIRONMENT, stdout=subprocess.DEVNULL
        )
        while process.poll() is None:
            if sum(path.exists() is is_undo for path in watched) >= number:
                process.send_signal(signal.SIGKILL)
                process.wait()
        reached.append(len(at_rest ^ files(managed(chroot, suite))))
        assert rebuild_all(chroot, "--dry-run").compiled == 0
    assert reached == sorted(reached)
    assert 0 < reached[0] < len(files(before)) - 60
    migrate(chroot)
    assert migrate(chroot, "--undo")["missing"] == []
    assert essence(managed(chroot, suite)) == essence(before)
    assert not list(chroot.root.glob("usr/lib/python3*/**/.pycache-sys-*"))


def test_a_read_only_system_is_said_once(suite: Suite, chroot: Chroot) -> None:
    is_hooked(chroot)
    usr = chroot.path("/usr")
    before = managed(chroot, suite)
    subprocess.run(["mount", "--bind", usr, usr], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", usr], check=True)
        done = chroot.attempt(COMMAND, "migrate")
        assert done.returncode == 1
        assert done.stderr.count("Read-only file system") == 1
        assert "removed 0 files" in done.stdout
    finally:
        subprocess.run(["umount", usr], check=True)
    assert differences(before, managed(chroot, suite)) == set()
    assert not chroot.path(LEDGER).exists()


def test_a_full_disk_keeps_everything(suite: Suite, chroot: Chroot) -> None:
    """Without the ledger nothing goes; without room nothing comes back, and it is still listed."""
    is_hooked(chroot)
    state_directory = chroot.path("/var/lib/pycache-sys")
    state_directory.mkdir()
    before = managed(chroot, suite)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", state_directory], check=True
    )
    try:
        done = chroot.attempt(COMMAND, "migrate")
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert os.listdir(state_directory) == []
    finally:
        subprocess.run(["umount", state_directory], check=True)
    assert differences(before, managed(chroot, suite)) == set()


def test_two_at_a_time_take_turns(suite: Suite, chroot: Chroot) -> None:
    is_hooked(chroot)
    before = managed(chroot, suite)
    commands = [(COMMAND, "migrate"), (COMMAND, "rebuild", "--force"), (COMMAND, "migrate")]
    running = [
        subprocess.Popen(chroot.command(*command), env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        for command in commands
    ]
    assert [process.wait(300) for process in running] == [0, running[1].returncode, 0]
    assert running[1].returncode in (0, 1)  # some sources compile under no interpreter
    assert migrate(chroot, "--undo")["missing"] == []
    assert essence(managed(chroot, suite)) == essence(before)


def test_venvs_with_the_block_keep_what_they_load_first(suite: Suite, chroot: Chroot) -> None:
    interpreter = suite.interpreters[0]
    is_hooked(chroot)
    chroot.run(COMMAND, "enable", "--venvs", "--python", interpreter.command)
    chroot.run(interpreter.command, "-m", "venv", "--without-pip", "/srv/venv")
    starts = compiled_at_start(chroot, "/srv/venv/bin/python", "-B")
    migrate(chroot)
    assert compiled_at_start(chroot, "/srv/venv/bin/python", "-B") == starts
    kept = Path(f"{interpreter.library}/__pycache__/sitecustomize.{interpreter.cache_tag}.pyc")
    assert chroot.path(str(kept)).exists()

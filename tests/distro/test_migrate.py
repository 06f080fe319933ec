"""``migrate`` on Debian: what goes, what stays, and that ``--undo`` gives it back."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from distro.chroots import ARCHIVES, ENVIRONMENT, Chroot, Image
from distro.debian import DIST_PACKAGES, REINSTALLED, Suite
from distro.debs import build_deb, install_deb, listed_sources
from distro.import_trace import evaluate, prefix_options
from distro.layers import scratch_folder
from distro.product import COMMAND, TREE, Rebuilt, rebuild_all
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


@pytest.fixture(scope="session")
def enabled(rebuilt: Rebuilt) -> Iterator[Image]:
    """Bring the hook to all interpreters of a machine whose tree is complete."""
    with scratch_folder() as folder:
        with rebuilt.image.running(folder) as chroot:
            chroot.run(COMMAND, "enable")
        yield rebuilt.image.topped_by(folder)


@pytest.fixture
def hooked(enabled: Image) -> Iterator[Chroot]:
    """Give a private copy of it."""
    with scratch_folder() as folder, enabled.running(folder) as copy:
        yield copy


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


def test_everything_the_tree_serves_goes_and_comes_back(suite: Suite, hooked: Chroot) -> None:
    before, dpkg = managed(hooked, suite), verified(hooked)
    starts = {one.command: compiled_at_start(hooked, one.command) for one in suite.interpreters}
    modules = "import json, requests, django, yaml; print(json.dumps([requests.__name__]))"

    said = migrate(hooked, "--dry-run")
    assert differences(before, managed(hooked, suite)) == set()
    done = migrate(hooked)
    assert (done["removed"], done["bytes"]) == (said["removed"], said["bytes"])
    assert done["removed"] > 2000
    assert set(said["files"]) == {
        f"/{path}" for path in files(before) - files(managed(hooked, suite))
    }
    left = files(managed(hooked, suite))
    assert len(left) == sum(done["left"].values()) < 60
    assert all(hooked.path(path).exists() for path in before if path in left)
    assert not [
        p for p in hooked.root.glob("usr/lib/python3*/**/__pycache__") if not any(p.iterdir())
    ]
    assert verified(hooked) == dpkg
    assert not list(hooked.root.glob("var/lib/rpm/*")), "to ask rpm is not to make a database"

    untouched = managed(hooked, suite)
    for one in suite.interpreters:
        assert compiled_at_start(hooked, one.command) == starts[one.command]
        assert evaluate(hooked, one, modules) == '["requests"]'
        assert evaluate(hooked, one, modules, *prefix_options(one)) == '["requests"]'
    assert differences(untouched, managed(hooked, suite)) == set()
    assert rebuild_all(hooked).compiled == 0
    assert migrate(hooked)["removed"] == 0

    back = migrate(hooked, "--undo")
    assert (back["restored"], back["missing"]) == (done["removed"], [])
    assert essence(managed(hooked, suite)) == essence(before)
    assert not hooked.path(LEDGER).parent.exists()
    hooked.run(COMMAND, "disable")
    for one in suite.interpreters:
        stock = hooked.run(one.command, "-B", "-v", "-c", "pass")
        assert stock == ""
        trace = hooked.attempt(one.command, "-B", "-v", "-c", modules).stderr
        ours = [line for line in trace.splitlines() if line.endswith(("json/__init__.py'",))]
        assert not [line for line in ours if line.startswith("# code object from")], ours
    assert verified(hooked) == dpkg


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
    suite: Suite, hooked: Chroot
) -> None:
    hooked.path(POLICY).write_text("in-place = remove\n")
    assert rebuild_all(hooked).report["in_place"]["removed"] > 2000
    dpkg = verified(hooked)
    (archive,) = hooked.root.glob(f"{ARCHIVES.strip('/')}/{REINSTALLED}_*.deb")
    install_deb(hooked, f"{ARCHIVES}/{archive.name}", "--reinstall")
    sources = listed_sources(hooked, REINSTALLED)
    folder = hooked.path(f"{DIST_PACKAGES}/requests/__pycache__")
    assert folder.is_dir()
    run = rebuild_all(hooked)
    assert run.report["in_place"]["removed"] >= len(sources)
    assert not folder.exists()
    assert verified(hooked) == dpkg
    again = rebuild_all(hooked)
    assert again.report["in_place"]["removed"] == 0
    done = hooked.attempt(COMMAND, "migrate", "--undo", f"{DIST_PACKAGES}/requests")
    assert done.returncode == 0, done.stderr
    assert "in-place = remove" in done.stderr
    assert folder.is_dir()
    assert not hooked.path(f"{DIST_PACKAGES}/yaml/__pycache__").exists()


def test_a_section_keeps_its_root(suite: Suite, hooked: Chroot) -> None:
    kept = f"{DIST_PACKAGES}/yaml"
    hooked.path(POLICY).write_text(f"in-place = remove\n[root {kept}]\nin-place = keep\n")
    rebuild_all(hooked)
    assert hooked.path(f"{kept}/__pycache__").exists()
    assert not hooked.path(f"{DIST_PACKAGES}/requests/__pycache__").exists()
    migrate(hooked)
    assert hooked.path(f"{kept}/__pycache__").exists()
    assert migrate(hooked, kept)["removed"] > 0
    assert not hooked.path(f"{kept}/__pycache__").exists()
    hooked.path(POLICY).write_text(f"[root {DIST_PACKAGES}/idna]\nin-place = remove\n")
    rebuild_all(hooked)
    assert not hooked.path(f"{DIST_PACKAGES}/idna/__pycache__").exists()
    assert hooked.path(f"{DIST_PACKAGES}/jinja2/__pycache__").exists() is False  # from before
    assert migrate(hooked, "--undo")["missing"] == []
    rebuild_all(hooked)
    assert not hooked.path(f"{DIST_PACKAGES}/idna/__pycache__").exists()
    assert hooked.path(f"{DIST_PACKAGES}/jinja2/__pycache__").exists()


def test_paths_and_packages(suite: Suite, hooked: Chroot) -> None:
    before = managed(hooked, suite)
    migrate(hooked, f"{DIST_PACKAGES}/yaml/nodes.py", "-p", "python3-idna")
    gone = files(before) - files(managed(hooked, suite))
    assert {path.split("/__pycache__/")[0] for path in gone} == {
        f"{DIST_PACKAGES[1:]}/yaml",
        f"{DIST_PACKAGES[1:]}/idna",
    }
    assert {path.rpartition("/")[2].split(".")[0] for path in gone if "/yaml/" in path} == {"nodes"}
    hooked.path("/srv/other").mkdir()
    hooked.path("/srv/other/mine.py").write_text("")
    outside = migrate(hooked, "/srv/other", status=1)
    assert [one["path"] for one in outside["refused"]] == ["/srv/other"]


def test_sourceless_and_foreign_files_survive(suite: Suite, hooked: Chroot) -> None:
    interpreter = suite.interpreters[0]
    paths = install_sourceless(hooked, interpreter)
    hooked.path(f"{DIST_PACKAGES}/widowed.py").unlink()
    folder = hooked.path(f"{DIST_PACKAGES}/idna/__pycache__")
    tag = interpreter.cache_tag
    for name in (f"core.{tag}-pytest-8.2.pyc", "core.cpython-27.pyc", "core.pyc", "notes.txt"):
        (folder / name).write_bytes(b"kept")
        paths.append(folder / name)
    before = state(paths)
    done = migrate(hooked)
    assert state(paths) == before
    assert imported(hooked, interpreter) == {NAMES}
    assert {name: done["left"][name] for name in ("foreign", "no-interpreter")} == {
        "foreign": 3,
        "no-interpreter": 1,
    }
    assert done["left"]["sourceless"] >= 1
    migrate(hooked, "--undo")
    assert state(paths) == before


def test_what_manifests_name_stays(suite: Suite, hooked: Chroot) -> None:
    """An rpm and a deb that ship bytecode, and a prefix of conda's that is a root."""
    tag = suite.interpreters[0].cache_tag
    hooked.path("/srv/shipping.spec").write_text(RPM_SPEC)
    hooked.run("rpmbuild", "-bb", "--define", "_topdir /srv/rpm", "/srv/shipping.spec")
    (built,) = hooked.root.glob("srv/rpm/RPMS/noarch/*.rpm")
    inside = f"/srv/rpm/RPMS/noarch/{built.name}"
    hooked.run("rpm", "--install", "--nodeps", "--nosignature", inside)
    shipped = f"{DIST_PACKAGES}/pycache_deb"
    contents = {
        f"{shipped}/__init__.py": b"",
        f"{shipped}/__pycache__/__init__.{tag}.pyc": b"from the deb",
    }
    install_deb(hooked, build_deb(hooked, "pycache-shipping", "1", contents, MTIME))
    conda = hooked.path("/opt/conda")
    (conda / "conda-meta").mkdir(parents=True)
    (conda / "lib/gizmo/__pycache__").mkdir(parents=True)
    for name in ("named", "other"):
        (conda / f"lib/gizmo/{name}.py").write_text("")
        (conda / f"lib/gizmo/__pycache__/{name}.{tag}.pyc").write_bytes(b"bytecode")
    manifest = {"files": ["lib/gizmo/named.py", f"lib/gizmo/__pycache__/named.{tag}.pyc"]}
    (conda / "conda-meta/gizmo-1-0.json").write_text(json.dumps(manifest))
    hooked.path(POLICY).write_text("roots += /opt/conda/lib\n")

    dpkg, rpm = verified(hooked), hooked.attempt("rpm", "--verify", "pycache-shipping-rpm").stdout
    done = migrate(hooked)
    assert done["removed"] > 2000
    assert done["left"]["manifest"] >= 3
    assert list(hooked.root.glob(f"{DIST_PACKAGES[1:]}/pycache_shipping/__pycache__/*.pyc"))
    assert {path.name for path in (conda / "lib/gizmo/__pycache__").iterdir()} == {
        f"named.{tag}.pyc"
    }
    assert (verified(hooked), rpm) == (
        dpkg,
        hooked.attempt("rpm", "--verify", "pycache-shipping-rpm").stdout,
    )
    assert "missing" not in rpm
    (conda / "conda-meta/gizmo-1-0.json").write_text("{")
    failed = hooked.attempt(COMMAND, "migrate")
    assert failed.returncode == 5
    assert "gizmo-1-0.json" in failed.stderr


def test_the_tree_and_the_ledger_may_be_lost(suite: Suite, hooked: Chroot) -> None:
    library = suite.interpreters[0].library
    folder = f"{DIST_PACKAGES}/requests"
    places = (folder, f"{DIST_PACKAGES}/idna", f"{library}/json", f"{library}/email")
    hooked.path(POLICY).write_text(f"roots = {' '.join(places)}\n")
    before = managed(hooked, suite)
    assert migrate(hooked)["removed"] > 50
    hooked.run("rm", "-rf", TREE)
    assert migrate(hooked, "--undo")["missing"] == []
    assert essence(managed(hooked, suite)) == essence(before)

    migrate(hooked)
    hooked.path(LEDGER).unlink()
    assert migrate(hooked, "--undo")["restored"] == 0
    assert migrate(hooked, "--undo", folder)["restored"] > 0
    inside = f"{folder[1:]}/__pycache__/"
    assert {path for path in files(managed(hooked, suite)) if path.startswith(inside)} == {
        path for path in files(before) if path.startswith(inside)
    }


def test_other_levels_come_back_and_changed_sources_fit(suite: Suite, hooked: Chroot) -> None:
    interpreter = suite.interpreters[0]
    folder = f"{DIST_PACKAGES}/idna"
    hooked.run(interpreter.command, "-O", "-m", "compileall", "-q", folder)
    assert migrate(hooked, folder)["left"]["not-in-tree"] > 0
    rebuild_all(hooked, "--optimize", "0,1", folder)
    migrate(hooked, folder)
    level = hooked.path(f"{folder}/__pycache__/core.{interpreter.cache_tag}.opt-1.pyc")
    assert not level.parent.exists()
    hooked.run("rm", "-rf", TREE)
    source = hooked.path(f"{folder}/core.py")
    source.write_text(source.read_text() + "CHANGED = 1\n")
    hooked.path(f"{folder}/codec.py").unlink()
    assert migrate(hooked, "--undo", folder)["missing"] == []
    assert level.exists()
    assert not list(level.parent.glob("codec.*"))
    hooked.run(COMMAND, "disable")
    program = "import idna.core; print(idna.core.CHANGED)"
    for flags in ((), ("-O",)):
        done = hooked.attempt(interpreter.command, "-B", "-v", *flags, "-c", program)
        assert done.stdout == "1\n"
        assert f"matches {folder}/core.py" in done.stderr


@pytest.mark.parametrize("verb", [("migrate",), ("migrate", "--undo")], ids=["migrate", "undo"])
def test_killed_at_any_moment_nothing_is_lost(
    suite: Suite, hooked: Chroot, verb: tuple[str, ...]
) -> None:
    before = managed(hooked, suite)
    is_undo = len(verb) > 1
    if is_undo:
        migrate(hooked)
    at_rest = files(managed(hooked, suite))
    moving = files(before) - at_rest if is_undo else files(before)
    watched = [hooked.path(path) for path in sorted(moving)[::50]]
    reached = []
    for number in (1, len(watched) // 3, len(watched) // 2):
        process = subprocess.Popen(
            hooked.command(COMMAND, *verb), env=ENVIRONMENT, stdout=subprocess.DEVNULL
        )
        while process.poll() is None:
            if sum(path.exists() is is_undo for path in watched) >= number:
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(0.002)  # to look all the time would slow it down
        reached.append(len(at_rest ^ files(managed(hooked, suite))))
        assert rebuild_all(hooked, "--dry-run").compiled == 0
    assert reached == sorted(reached)
    assert 0 < reached[0] < len(files(before)) - 60
    migrate(hooked)
    assert migrate(hooked, "--undo")["missing"] == []
    assert essence(managed(hooked, suite)) == essence(before)
    assert not list(hooked.root.glob("usr/lib/python3*/**/.pycache-sys-*"))


def test_a_read_only_system_is_said_once(suite: Suite, hooked: Chroot) -> None:
    usr = hooked.path("/usr")
    before = managed(hooked, suite)
    subprocess.run(["mount", "--bind", usr, usr], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", usr], check=True)
        done = hooked.attempt(COMMAND, "migrate")
        assert done.returncode == 1
        assert done.stderr.count("Read-only file system") == 1
        assert "removed 0 files" in done.stdout
    finally:
        subprocess.run(["umount", usr], check=True)
    assert differences(before, managed(hooked, suite)) == set()
    assert not hooked.path(LEDGER).exists()


def test_a_full_disk_keeps_everything(suite: Suite, hooked: Chroot) -> None:
    """Without the ledger nothing goes; without room nothing comes back, and it is still listed."""
    state_directory = hooked.path("/var/lib/pycache-sys")
    state_directory.mkdir()
    before = managed(hooked, suite)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", state_directory], check=True
    )
    try:
        done = hooked.attempt(COMMAND, "migrate")
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert os.listdir(state_directory) == []
    finally:
        subprocess.run(["umount", state_directory], check=True)
    assert differences(before, managed(hooked, suite)) == set()


def test_two_at_a_time_take_turns(suite: Suite, hooked: Chroot) -> None:
    before = managed(hooked, suite)
    rebuild = (COMMAND, "rebuild", "--force", f"{DIST_PACKAGES}/django")
    commands = [(COMMAND, "migrate"), rebuild, (COMMAND, "migrate")]
    running = [
        subprocess.Popen(hooked.command(*command), env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        for command in commands
    ]
    assert [process.wait(300) for process in running] == [0, running[1].returncode, 0]
    assert running[1].returncode in (0, 1)  # some sources compile under no interpreter
    assert migrate(hooked, "--undo")["missing"] == []
    assert essence(managed(hooked, suite)) == essence(before)


def test_venvs_with_the_block_keep_what_they_load_first(suite: Suite, hooked: Chroot) -> None:
    interpreter = suite.interpreters[0]
    hooked.run(COMMAND, "enable", "--venvs", "--python", interpreter.command)
    hooked.run(interpreter.command, "-m", "venv", "--without-pip", "/srv/venv")
    starts = compiled_at_start(hooked, "/srv/venv/bin/python", "-B")
    migrate(hooked)
    assert compiled_at_start(hooked, "/srv/venv/bin/python", "-B") == starts
    kept = Path(f"{interpreter.library}/__pycache__/sitecustomize.{interpreter.cache_tag}.pyc")
    assert hooked.path(str(kept)).exists()

"""``doctor`` on Debian: each defect is found, the printed command mends it, then all is well."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from distro.chroots import Chroot, Image
from distro.conftest import scratch_folder
from distro.debian import DIST_PACKAGES, PACKAGES, SUITES
from distro.debs import place
from distro.machines import HOME, USER, add_user
from distro.packaging import install_packages
from distro.product import COMMAND, TREE
from pycache_sys.doctor.storage import LEAST_BYTES
from pycache_sys.system.machine.labels import ENFORCE

pytest_plugins = ["distro.packaging_fixtures"]

TRIXIE = next(suite for suite in SUITES if suite.name == "trixie")
pytestmark = pytest.mark.parametrize("suite", [TRIXIE], ids=["trixie"], indirect=True)

PYTHON = "/usr/bin/python3.13"
LIBRARY = "/usr/lib/python3.13"
KEPT = (
    "passwd",
    "python3",
    "python3-packaging",
    "python3-platformdirs",
    "python3-jinja2",
    "python3-requests",
    "rpm",
)
POLICY = "/etc/pycacheprefix.conf"
CHECKOUT = "/srv/checkout"
FINE = "nothing is wrong\n"
OLD_MAGIC = (3425).to_bytes(2, "little") + b"\r\n"
"""Python 3.9's."""
LONG_AGO = 86_400

Seen = Mapping[str, Any]


@pytest.fixture(scope="module")
def well(unpackaged: Image) -> Iterator[Image]:
    """Give a machine with few packages, so that a rebuild takes seconds, and nothing wrong."""
    superfluous = [name for name in (*PACKAGES, "pypy3", "pypy3-lib") if name not in KEPT]
    with scratch_folder() as folder:
        with unpackaged.running(folder) as chroot:
            chroot.run("apt-get", "--yes", "purge", *superfluous)
            install_packages(chroot)
            add_user(chroot)
            chroot.run(COMMAND, "migrate", "--quiet")
        yield unpackaged.topped_by(folder)


@pytest.fixture
def machine(well: Image) -> Iterator[Chroot]:
    """Give a private copy of it."""
    with scratch_folder() as folder, well.running(folder) as copy:
        yield copy


def doctor(chroot: Chroot, *arguments: str, user: int = 0, **variables: str) -> Seen:
    """Run ``doctor --json`` and return what it says, also by check."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    words = ["env", *settings, COMMAND, "doctor", "--json", *arguments]
    done = chroot.attempt(*words, user=user)
    assert done.stderr == ""
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if answer["counts"]["problems"] else 0)
    return {**answer, "found": {one["check"]: one for one in answer["findings"]}}


def mend(chroot: Chroot, finding: Mapping[str, Any]) -> None:
    """Run the commands of a finding as a shell takes them."""
    for line in finding["commands"]:
        chroot.run("sh", "-c", line)


def is_well(chroot: Chroot, *arguments: str) -> bool:
    """Tell whether there is nothing more to be said."""
    done = chroot.attempt(COMMAND, "doctor", *arguments)
    return (done.returncode, done.stdout, done.stderr) == (0, FINE, "")


def write(chroot: Chroot, path: str, content: str | bytes = "", owner: int = 0) -> None:
    """Write a file of somebody's, with what is missing above it."""
    target = chroot.path(path)
    missing = [above for above in target.parents if not above.exists()]
    place(target, content.encode() if isinstance(content, str) else content)
    for made in (target, *missing):
        os.chown(made, owner, owner)


def test_of_a_healthy_system_nothing_is_said(machine: Chroot) -> None:
    assert is_well(machine)
    done = machine.attempt(COMMAND, "doctor", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    report = doctor(machine)
    assert (report["findings"], report["unchecked"], report["for_root"]) == ([], [], [])
    done = machine.attempt(COMMAND, "doctor", user=USER)
    assert (done.returncode, done.stdout) == (0, FINE)
    assert done.stderr == "pycache-sys: run it as root for the homes of other users\n"


def test_nothing_is_changed(machine: Chroot) -> None:
    """Neither by root nor by a user, whatever is wrong."""
    write(machine, POLICY, "jobz = 3\n")
    write(machine, f"{HOME}/a.py", "x = 1\n", USER)
    machine.run(PYTHON, "-S", "-m", "compileall", "-q", HOME, f"{DIST_PACKAGES}/jinja2")
    machine.path(f"{LIBRARY}/json/tool.py").touch()
    upper = machine.root.parent / "upper"
    before = changed(upper)
    for user in (0, USER):
        assert machine.attempt(COMMAND, "doctor", user=user).returncode == 1
    assert changed(upper) == before


def changed(upper: Path) -> dict[str, tuple[int, int, int]]:
    """Record what a copy has that its image has not."""
    found = {}
    for path in upper.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_size, status.st_ctime_ns)
    return found


class Defect(NamedTuple):
    """One thing that is prepared: the check that finds it, and where.

    ``by_hand`` does what is said to do where no command can.
    """

    check: str
    prepare: Callable[[Chroot], None]
    places: tuple[str, ...]
    level: str = "problem"
    by_hand: Callable[[Chroot], None] | None = None


def _take_hook_away(chroot: Chroot) -> None:
    chroot.path(f"{DIST_PACKAGES}/pycache-sys.pth").unlink()


def _take_account_away(chroot: Chroot) -> None:
    chroot.run("userdel", "_pycache-sys")


def _leave_roots_bytecode(chroot: Chroot) -> None:
    """As ``sudo`` does; a directory of root's and all below it stay root's."""
    chroot.path(HOME).chmod(0o700)
    write(chroot, f"{HOME}/work/a.py", "x = 1\n", USER)
    write(chroot, f"{HOME}/a b'c/b.py", "x = 1\n", USER)
    write(chroot, f"{HOME}/mine/c.py", "x = 1\n", USER)
    write(chroot, f"{HOME}/mine/__pycache__/other.cpython-313.pyc", b"", USER)
    write(chroot, f"{HOME}/roots/d.py", "x = 1\n", 0)
    os.chown(chroot.path(f"{HOME}/roots"), 0, 0)
    chroot.run(PYTHON, "-S", "-m", "compileall", "-q", HOME)


def _orphan(chroot: Chroot) -> None:
    """Leave what is of Python 3.9, which was removed while this program was not there."""
    for name in ("os", "json/tool"):
        path = f"{TREE}/3.9/usr/lib/python3.9/{name}.cpython-39.pyc"
        write(chroot, path, OLD_MAGIC + bytes(16))


def _change_a_source(chroot: Chroot) -> None:
    path = chroot.path(f"{LIBRARY}/json/tool.py")
    path.write_text(path.read_text() + "\n")


def _make_venvs(chroot: Chroot) -> None:
    make = (PYTHON, "-m", "venv", "--without-pip")
    chroot.run(*make, f"{HOME}/env", user=USER)
    chroot.run(*make, "/opt/service/env")
    # the hook reaches the one by the system's packages, the other by its own site directory
    chroot.run(*make, "--system-site-packages", f"{HOME}/env2", user=USER)
    chroot.run(*make, "/opt/service/env3")
    chroot.run(COMMAND, "enable", "--python", "/opt/service/env3/bin/python3")


def _duplicate(chroot: Chroot) -> None:
    chroot.run(
        PYTHON, "-S", "-m", "compileall", "-q", f"{DIST_PACKAGES}/jinja2", f"{LIBRARY}/email"
    )


def _bring_sourceless(chroot: Chroot) -> None:
    write(chroot, f"{DIST_PACKAGES}/vendor/old.pyc", OLD_MAGIC + bytes(12) + b"\xe3")
    chroot.run(PYTHON, "-c", "import py_compile; py_compile.compile('/usr/lib/python3.13/this.py', "
               f"'{DIST_PACKAGES}/vendor/good.pyc')")  # fmt: skip
    shutil.copy(
        chroot.path(f"{DIST_PACKAGES}/vendor/old.pyc"),
        chroot.path(f"{DIST_PACKAGES}/vendor/unused.pyc"),
    )
    write(chroot, f"{DIST_PACKAGES}/vendor/unused.py", "")
    chroot.run(COMMAND, "rebuild", "--quiet", f"{DIST_PACKAGES}/vendor")


def _bring_it_for_this_python(chroot: Chroot) -> None:
    folder = chroot.path(f"{DIST_PACKAGES}/vendor")
    shutil.copy(folder / "good.pyc", folder / "old.pyc")


def _set_prefix(chroot: Chroot) -> None:
    write(chroot, "/etc/environment", "A=b\n# PYTHONPYCACHEPREFIX=/no\nPYTHONPYCACHEPREFIX=/tmp\n")
    write(chroot, f"{HOME}/.bashrc", "\nexport PYTHONPYCACHEPREFIX=~/x\n", USER)
    write(
        chroot,
        "/etc/systemd/system/tool.service.d/a.conf",
        '[Service]\nEnvironment=A=b "PYTHONPYCACHEPREFIX=/x"\n',
    )


def _unset_prefix(chroot: Chroot) -> None:
    for path in (
        "/etc/environment",
        f"{HOME}/.bashrc",
        "/etc/systemd/system/tool.service.d/a.conf",
    ):
        chroot.run("sed", "-i", "/PYTHONPYCACHEPREFIX/d", path)


def _flatten(chroot: Chroot) -> None:
    os.utime(chroot.path(f"{LIBRARY}/this.py"), (LONG_AGO, LONG_AGO))
    chroot.run(COMMAND, "rebuild", "--quiet")


def _say_that_it_never_changes(chroot: Chroot) -> None:
    write(chroot, POLICY, "invalidation = unchecked-hash\n")
    chroot.run(COMMAND, "rebuild", "--quiet")


def _write_policy(text: str) -> Callable[[Chroot], None]:
    return lambda chroot: write(chroot, POLICY, text)


def _drop_policy(chroot: Chroot) -> None:
    chroot.path(POLICY).unlink()


def _remove_tree(chroot: Chroot) -> None:
    shutil.rmtree(chroot.path(TREE))


def _give_tree_away(chroot: Chroot) -> None:
    os.chown(chroot.path(TREE), USER, USER)
    chroot.path(TREE).chmod(0o777)


def _defer(text: str) -> Callable[[Chroot], None]:
    def defer(chroot: Chroot) -> None:
        write(chroot, POLICY, text)
        _change_a_source(chroot)

    return defer


def _fill_at_the_last_run(chroot: Chroot) -> None:
    """Run where there is no room, and then there is."""
    with memory(chroot, TREE, "size=400k,mode=755"):
        done = chroot.attempt(COMMAND, "rebuild")
        assert "No space left on device" in done.stderr


GROUPS: Mapping[str, tuple[Defect, ...]] = {
    "what was taken away": (
        Defect("hook-missing", _take_hook_away, (PYTHON,)),
        Defect("account", _take_account_away, ()),
        Defect("orphaned", _orphan, (f"{TREE}/3.9",)),
        Defect("tree", _change_a_source, (f"{LIBRARY}/json/tool.py",)),
        Defect("last-run", _fill_at_the_last_run, ()),
    ),
    "what was left behind": (
        Defect(
            "root-owned",
            _leave_roots_bytecode,
            (
                f"{HOME}/a b'c/__pycache__",
                f"{HOME}/mine/__pycache__/c.cpython-313.pyc",
                f"{HOME}/work/__pycache__",
            ),
        ),
        Defect("hook-venvs", _make_venvs, (f"{HOME}/env", "/opt/service/env"), "advice"),
        Defect("duplicates", _duplicate, (LIBRARY, DIST_PACKAGES), "advice"),
    ),
    "what no command mends": (
        Defect(
            "sourceless-magic",
            _bring_sourceless,
            (f"{DIST_PACKAGES}/vendor/old.pyc",),
            by_hand=_bring_it_for_this_python,
        ),
        Defect(
            "prefix-set",
            _set_prefix,
            (
                "/etc/environment:3",
                "/etc/systemd/system/tool.service.d/a.conf:2",
                f"{HOME}/.bashrc:2",
            ),
            "advice",
            _unset_prefix,
        ),
        Defect(
            "flattened",
            _flatten,
            (f"{LIBRARY}/this.py",),
            "advice",
            _say_that_it_never_changes,
        ),
    ),
    "a hook that is off": (
        Defect(
            "disabled", _write_policy("enabled = no\n"), (f"{POLICY}:1",), "advice", _drop_policy
        ),
    ),
    "no tree": (Defect("tree", _remove_tree, ()),),
    "a tree of somebody else's": (Defect("tree", _give_tree_away, ()),),
    "package managers' calls that are off": (
        Defect("tree", _defer("triggers = off\n"), (f"{LIBRARY}/json/tool.py",)),
        Defect("triggers", lambda _: None, (f"{POLICY}:1",), "advice"),
    ),
    "a service that does not come": (
        Defect("tree", _defer("triggers = deferred\n"), (f"{LIBRARY}/json/tool.py",)),
        Defect("triggers", lambda _: None, (f"{POLICY}:1",), "advice"),
    ),
}


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_wrong_is_found_and_mended(machine: Chroot, group: str) -> None:
    """Several things at once, each with its check alone; and when all is done, nothing is left."""
    defects = GROUPS[group]
    for defect in defects:
        defect.prepare(machine)
    seen = doctor(machine)
    assert sorted((one["check"], one["level"]) for one in seen["findings"]) == sorted(
        (defect.check, defect.level) for defect in defects
    )
    found = seen["found"]
    for defect in defects:
        finding = found[defect.check]
        if defect.places:
            assert tuple(sorted(finding["places"])) == tuple(sorted(defect.places))
        assert finding["commands"] or (finding["hint"] and defect.by_hand)
    for defect in defects:
        mend(machine, found[defect.check])
        if defect.by_hand is not None:
            defect.by_hand(machine)
    if not {"hook-missing", "disabled"}.isdisjoint(found):  # without it, Python writes beside
        machine.run(COMMAND, "migrate", "--quiet")
    assert is_well(machine), doctor(machine)["findings"]


def test_what_is_loaded_before_the_hook_gets_its_bytecode(machine: Chroot) -> None:
    """Root's own start of the same Python would write it, so this one may not."""
    sources = [f"{DIST_PACKAGES}/pycache_sys_runtime/hook.py", f"{LIBRARY}/encodings/aliases.py"]
    quietly = (PYTHON, "-B", COMMAND, "doctor", "--json")
    for by_package in (True, False):
        if not by_package:
            _take_hook_away(machine)
            machine.run(COMMAND, "enable")
            machine.run(COMMAND, "migrate", "--quiet")  # this Python had no hook meanwhile
        cached = [beside(source) for source in sources]
        for path in cached:
            machine.path(path).unlink()
        done = machine.attempt(*quietly)
        assert not any(machine.path(path).exists() for path in cached)
        (finding,) = json.loads(done.stdout)["findings"]
        assert (done.returncode, finding["check"]) == (1, "bootstrap")
        assert finding["places"] == sorted(sources)
        assert finding["commands"][0].startswith(PYTHON if by_package else "pycache-sys enable")
        mend(machine, finding)
        assert all(machine.path(path).exists() for path in cached)
        assert json.loads(machine.run(*quietly))["findings"] == []


def beside(source: str) -> str:
    """Say where Python's own bytecode of a source is."""
    directory, _, name = source.rpartition("/")
    return f"{directory}/__pycache__/{name[:-3]}.cpython-313.pyc"


def test_an_error_of_the_policy_comes_first(machine: Chroot) -> None:
    """The command shows it with its line, and fails; the warning is another finding."""
    write(machine, POLICY, "jobs = many\njobz = 3\n")
    done = machine.attempt(COMMAND, "doctor")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("problem: the policy has 1 error;")
    assert lines[1].startswith(f"    {POLICY}:1: ")
    assert any(line.startswith("advice: the policy has 1 warning ") for line in lines)
    (command,) = {line.removeprefix("  mend: ") for line in lines if line.startswith("  mend: ")}
    shown = machine.attempt("sh", "-c", command)
    assert shown.returncode == 3
    assert f"{POLICY}:1:8: " in shown.stderr
    write(machine, POLICY, "jobs = 2\n")
    assert is_well(machine)


def test_a_policy_that_others_may_write(machine: Chroot) -> None:
    write(machine, POLICY, "jobs = 2\n")
    machine.path(POLICY).chmod(0o666)
    (finding,) = doctor(machine)["findings"]
    assert (finding["check"], finding["level"]) == ("policy", "problem")
    machine.path(POLICY).chmod(0o644)
    assert is_well(machine)


def test_an_interpreter_that_others_may_change(machine: Chroot) -> None:
    shutil.copy(machine.path(PYTHON), machine.path("/usr/local/bin/python3.13"))
    machine.path("/usr/local/bin/python3.13").chmod(0o777)
    found = machine.attempt(COMMAND, "doctor")
    assert "[interpreter]\n    /usr/local/bin/python3.13\n" in found.stdout
    assert "Traceback" not in found.stderr
    machine.path("/usr/local/bin/python3.13").unlink()
    assert is_well(machine)


def test_a_checkout_that_is_named(machine: Chroot) -> None:
    """Also one with a strange name, of an account that does not exist."""
    top = f"{CHECKOUT}/a\nb"
    write(machine, f"{top}/p/a.py", "x = 1\n", 4711)
    machine.run(PYTHON, "-S", "-m", "compileall", "-q", top)
    assert is_well(machine)
    finding = doctor(machine, top)["found"]["root-owned"]
    assert finding["places"] == [f"{top}/p/__pycache__"]
    assert "\n" not in finding["commands"][0]
    mend(machine, finding)
    status = machine.path(f"{top}/p/__pycache__").stat()
    assert (status.st_uid, status.st_gid) == (4711, 4711)
    assert is_well(machine, top)


def test_bytecode_of_an_interpreter_that_is_gone_whose_sources_are_not(machine: Chroot) -> None:
    """``prune`` leaves it, for a program that embeds Python might read it."""
    path = f"{TREE}/3.9{DIST_PACKAGES}/jinja2/utils.cpython-39.pyc"
    write(machine, path, OLD_MAGIC + bytes(16))
    machine.run(COMMAND, "prune")
    assert machine.path(path).exists()
    finding = doctor(machine)["found"]["orphaned"]
    assert (finding["level"], finding["places"]) == ("advice", [f"{TREE}/3.9"])
    foreign = f"{TREE}/3.9/notes.txt"
    write(machine, foreign)
    assert doctor(machine)["found"]["orphaned"]["commands"] == []
    machine.path(foreign).unlink()
    mend(machine, finding)
    assert not machine.path(f"{TREE}/3.9").exists()
    assert is_well(machine)


def test_a_prefix_that_shuts_the_trees_out_is_a_problem(machine: Chroot) -> None:
    write(machine, POLICY, "explicit-prefix = exclusive\n")
    assert is_well(machine)
    found = doctor(machine, PYTHONPYCACHEPREFIX="/tmp/x", PYTHONDONTWRITEBYTECODE="1")["findings"]
    assert [one["level"] for one in found] == ["problem", "advice"]
    assert all(one["places"] == ["the environment of this command"] for one in found)
    write(machine, POLICY, "explicit-prefix = ignore\n")
    assert doctor(machine, PYTHONPYCACHEPREFIX="/tmp/x")["findings"] == []


def test_a_user_is_told_of_the_own_home_only(machine: Chroot) -> None:
    machine.run("useradd", "--create-home", "bob")
    for home, owner in ((HOME, USER), ("/home/bob", 1001)):
        write(machine, f"{home}/p/a.py", "x = 1\n", owner)
        write(machine, f"{home}/.profile", "export PYTHONDONTWRITEBYTECODE=1\n", owner)
        machine.path(home).chmod(0o755)
    machine.run(PYTHON, "-S", "-m", "compileall", "-q", "/home")
    answer = json.loads(machine.attempt(COMMAND, "doctor", "--json", user=USER).stdout)
    found = {one["check"]: one["places"] for one in answer["findings"]}
    assert found == {
        "root-owned": [f"{HOME}/p/__pycache__"],
        "prefix-set": [f"{HOME}/.profile:1"],
    }
    assert answer["for_root"] == ["the homes of other users"]
    done = machine.attempt(COMMAND, "doctor")
    assert done.stdout.count("[root-owned]") == 2
    for command in re.findall("  mend: (.*)", done.stdout):
        machine.run("sh", "-c", command)
    machine.run("sh", "-c", "rm /home/*/.profile")
    assert is_well(machine)


# the disk: real memory in the place of one


@contextmanager
def memory(chroot: Chroot, path: str, options: str) -> Iterator[Path]:
    """Put a file system in memory over a directory, with what was in it if there is room."""
    target = chroot.path(path)
    aside = target.with_name(f"{target.name}.aside")
    subprocess.run(["cp", "-a", target, aside], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", target], check=True)
    try:
        with suppress(subprocess.CalledProcessError):
            subprocess.run(
                ["cp", "-a", f"{aside}/.", target], check="size=400k" not in options,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        yield target
    finally:
        subprocess.run(["umount", target], check=True)
        shutil.rmtree(aside)


def test_a_disk_that_is_nearly_full(machine: Chroot) -> None:
    """The cache of root's is on the same one, with much that has lost its source."""
    with memory(machine, "/var/cache", "size=256m,mode=755"):
        assert is_well(machine)
        rubbish = f"/var/cache/pycache-sys/root/3.13{DIST_PACKAGES}/jinja2/gone.cpython-313.pyc"
        write(machine, rubbish, bytes(1 << 20))
        for above in machine.path(rubbish).parents:
            if above.name == "pycache-sys":
                break
            above.chmod(0o700)
        room = os.statvfs(machine.path("/var/cache"))
        free = room.f_bavail * room.f_frsize
        machine.path(rubbish).write_bytes(bytes(free - LEAST_BYTES // 2))
        finding = doctor(machine)["found"]["disk"]
        assert finding["places"] == ["/var/cache"]
        assert re.search("3[123] MiB free, 64 MiB wanted", finding["text"])
        mend(machine, finding)
        assert is_well(machine)


def test_a_disk_without_inodes(machine: Chroot) -> None:
    with memory(machine, "/var/cache/python", "size=256m,mode=755,nr_inodes=4000") as place:
        assert is_well(machine)
        room = os.statvfs(place)
        fillers = [place / f"file{n}" for n in range(room.f_favail - 500)]
        for filler in fillers:
            filler.touch()
        (finding,) = doctor(machine)["findings"]
        assert (finding["check"], finding["commands"]) == ("disk", [])
        assert "500 inodes free, 1000 wanted" in finding["text"]
        for filler in fillers:
            filler.unlink()
        assert is_well(machine)


def test_a_disk_that_takes_no_changes(machine: Chroot) -> None:
    """It is fine as long as nothing is to be done."""
    with memory(machine, "/var/cache", "size=256m,mode=755") as place:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        assert is_well(machine)
        _change_a_source(machine)
        found = doctor(machine)["found"]
        assert set(found) == {"tree", "disk"}
        mend(machine, found["disk"])
        mend(machine, found["tree"])
        assert is_well(machine)


def test_a_run_that_is_at_work_is_waited_for(machine: Chroot) -> None:
    """What is missing then is no problem yet."""
    _change_a_source(machine)
    with memory(machine, "/run", "mode=755"):
        machine.path("/run/pycache-sys").mkdir(0o700, exist_ok=True)
        words = ("flock", "/run/pycache-sys/lock", COMMAND, "doctor")
        done = machine.attempt(*words)
        assert (done.returncode, done.stdout) == (0, FINE)
        assert done.stderr.startswith("pycache-sys: tree: could not be checked: process ")
        assert machine.attempt(COMMAND, "doctor").returncode == 1


def test_labels_that_keep_confined_services_out(machine: Chroot) -> None:
    """What SELinux shows is laid out; the labels are real, and read as they are."""
    name, label = "security.selinux", "system_u:object_r:{}:s0"
    write(machine, ENFORCE, "1")
    state = "/var/cache/pycache-sys"
    with memory(machine, TREE, "mode=755") as tree, memory(machine, state, "mode=755") as beside:
        finding = doctor(machine)["found"]["selinux"]
        assert {TREE, f"{TREE}/3.13", state} <= set(finding["places"])
        assert finding["commands"] == [
            "semodule -i pycache_sys.pp",
            f"restorecon -RF {TREE} {state}",
        ]
        write(
            machine,
            "/etc/selinux/default/contexts/files/file_contexts",
            f"{TREE}(/.*)?\t{label.format('lib_t')}\n",
        )
        write(machine, "/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=default\n")
        for path in (tree, *tree.rglob("*"), beside, *beside.rglob("*")):
            os.setxattr(path, name, label.format("lib_t").encode() + b"\0")
        assert is_well(machine)
        os.setxattr(tree / "3.13", name, label.format("var_t").encode())
        finding = doctor(machine)["found"]["selinux"]
        assert finding["places"] == [f"{TREE}/3.13"]
        assert finding["commands"] == [f"restorecon -RF {TREE}"]

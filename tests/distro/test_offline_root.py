"""``rebuild --root``: a system's tree is built from outside of it, and no way leads out."""

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distro.chroots import NOBODY, Chroot, Image
from distro.debian import DIST_PACKAGES, SUITES, Suite
from distro.import_trace import trace_imports
from distro.layers import scratch_folder
from distro.product import COMMAND, TREE, Run, rebuild_all
from distro.snapshots import snapshot

IMAGE_TREE = "/usr/lib/pycache"
OURS = (sys.executable, "-m", "pycache_sys")
E_MACHINE = 18
"""Where an ELF file names its architecture."""
OTHER_ARCHITECTURE = struct.pack("<H", 243)
CHECKED_HASH = 3
HEADER_SIZE = 16
COMPARE = """
import marshal
for line in open("/tmp/pairs"):
    number, path = line.split()
    one, other = [marshal.loads(open(f, "rb").read()[16:]) for f in ("/tmp/" + number, path)]
    if one != other:
        print(path)
"""
Stored = tuple[int, int, int, bytes]
"""A file's mode, owner, time and bytes."""


def from_outside(
    root: Path, *arguments: str, verb: str = "rebuild", before: tuple[str, ...] = ()
) -> Run:
    """Work on a root as an image builder does."""
    command = [*before, *OURS, verb, "--json", "--root", str(root), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", timeout=600
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def contents(chroot: Chroot, tree: str = TREE) -> dict[str, Stored]:
    """Read each file below a tree."""
    found = {}
    top = chroot.path(tree)
    for path in top.rglob("*"):
        if path.is_file() and path.name != "CACHEDIR.TAG":
            status = path.stat()
            stamps = status.st_mode, status.st_uid, status.st_mtime_ns
            found[str(path.relative_to(top))] = (*stamps, path.read_bytes())
    return found


def make_bare(chroot: Chroot) -> None:
    """Take away what an offline root does not have: ``/proc`` and devices."""
    subprocess.run(["umount", chroot.root / "proc"], check=True)
    for name in ("dev", "run"):
        subprocess.run(["find", chroot.path(name), "-mindepth", "1", "-delete"], check=True)
    assert not any(list(chroot.path(name).iterdir()) for name in ("proc", "dev", "run"))


@pytest.fixture
def bare(base: Image) -> Iterator[Chroot]:
    """Give the root of a system without pycache-sys, at rest."""
    with scratch_folder() as folder, base.running(folder) as chroot:
        make_bare(chroot)
        yield chroot


@pytest.fixture(scope="module")
def one_library(suite: Suite) -> tuple[str, ...]:
    """Choose sources of one interpreter: tests of the whole are enough in one place."""
    return (f"{suite.interpreters[0].library}/json", f"{DIST_PACKAGES}/requests")


def differing_code(
    chroot: Chroot, suite: Suite, made: dict[str, Stored], wanted: dict[str, Stored]
) -> list[str]:
    """List files with other code: how a compiler shares constants depends on what it did before."""
    different = [path for path in made if made[path][3] != wanted[path][3]]
    for number, path in enumerate(different):
        chroot.path(f"/tmp/{number}").write_bytes(made[path][3])
    found = []
    for interpreter in suite.interpreters:
        mark = f"{interpreter.directory}/"
        pairs = [f"{n} {TREE}/{p}" for n, p in enumerate(different) if p.startswith(mark)]
        chroot.path("/tmp/pairs").write_text("\n".join(pairs))
        found += chroot.run(interpreter.command, "-c", COMPARE).splitlines()
    return found


def test_it_is_what_the_root_itself_would_make(
    suite: Suite, bare: Chroot, bare_chroot: Chroot
) -> None:
    outside = from_outside(bare.root)
    inside = rebuild_all(bare_chroot, "--invalidation", "checked-hash")
    assert outside.status == inside.status, outside.stderr
    assert outside.used_directories == inside.used_directories
    made, wanted = contents(bare), contents(bare_chroot)
    ours = {path for path in wanted if "/pycache_sys" in path}  # is installed in one of them
    assert made.keys() == wanted.keys() - ours
    assert len(made) > 1000
    stamps = [{path: (*f[:3], f[3][:HEADER_SIZE]) for path, f in t.items()} for t in (made, wanted)]
    assert {path for path in made if stamps[0][path] != stamps[1][path]} == set()
    assert not differing_code(bare_chroot, suite, made, wanted)
    assert {data[4] for *_, data in made.values()} == {CHECKED_HASH}
    assert list(bare.path("/run").iterdir()) == []
    assert not bare.path("/var/cache/pycache-sys").exists()
    again = from_outside(bare.root)
    assert (again.compiled, again.removed) == (0, 0)
    assert again.count("fresh") == outside.compiled


def test_the_tree_of_an_image_is_read_where_usr_and_var_are_read_only(
    suite: Suite, bare_chroot: Chroot
) -> None:
    bare_chroot.run(COMMAND, "enable")
    built = from_outside(bare_chroot.root, "--tree", IMAGE_TREE)
    assert built.compiled > 1000
    assert list(bare_chroot.path(TREE).glob("*/*")) == []
    for directory in ("usr", "var"):
        place = bare_chroot.path(directory)
        subprocess.run(["mount", "--bind", place, place], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
    for interpreter in suite.interpreters:
        names = list(interpreter.modules[:40])
        program = f"import importlib; [importlib.import_module(n) for n in {names!r}]"
        done = bare_chroot.attempt(
            *("env", "PYCACHE_SYS=trace", interpreter.command, "-c", program), user=NOBODY
        )
        assert done.returncode == 0, done.stderr
        served = re.findall(r"^pycache-sys: (\S+): (\S+) (/\S+)", done.stderr, re.MULTILINE)
        assert len(served) >= len(names)
        elsewhere = [
            line for line in served if not line[2].startswith(f"{IMAGE_TREE}/")
            and "pycache_sys_runtime" not in line[2]
        ]  # fmt: skip
        assert elsewhere == []


def test_what_the_image_serves_is_not_built_again(suite: Suite, bare_chroot: Chroot) -> None:
    changed, added = f"{DIST_PACKAGES}/idna/core.py", f"{DIST_PACKAGES}/layered.py"
    built = from_outside(bare_chroot.root, "--tree", IMAGE_TREE)
    first = rebuild_all(bare_chroot)
    assert (first.compiled, first.count("fresh")) == (0, built.compiled)
    assert not list(bare_chroot.path(TREE).rglob("*.pyc"))
    path = bare_chroot.path(changed)
    before = path.stat()
    path.write_text(path.read_text().replace("def ", "def\t", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    bare_chroot.path(added).write_text("ANSWER = 42\n")
    second = rebuild_all(bare_chroot)
    assert second.compiled == 2 * len(suite.interpreters)
    made = {path.name.partition(".")[0] for path in bare_chroot.path(TREE).rglob("*.pyc")}
    assert made == {"core", "layered"}
    again = rebuild_all(bare_chroot)
    assert (again.compiled, again.removed) == (0, 0)


def test_a_stock_interpreter_reads_it(suite: Suite, bare: Chroot) -> None:
    from_outside(bare.root, suite.interpreters[0].library)
    trace = trace_imports(bare, suite.interpreters[0], ["json", "argparse", "zipfile"])
    assert f"{suite.interpreters[0].library}/json/__init__.py" in trace.matched
    assert trace.compiled == []


@pytest.mark.parametrize("link", ["/var/cache/python", "/var/cache", "/run", "/etc"])
def test_a_link_stays_inside(
    bare: Chroot, one_library: tuple[str, ...], tmp_path: Path, link: str
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "pycacheprefix.conf").write_text("enabled = perhaps\n")
    target = bare.path(link)
    subprocess.run(["rm", "-rf", target], check=True)
    target.symlink_to(outer)
    before = snapshot(outer)
    inside = bare.path(str(outer))
    inside.mkdir(parents=True)
    bare.path("/tmp").chmod(0o755)  # a tree below a place for all is refused
    run = from_outside(bare.root, *one_library)
    assert snapshot(outer) == before
    if link == "/var/cache/python":
        assert run.status == 5
        assert "is a symbolic link" in run.stderr
    elif link == "/etc":  # Debian's interpreters have a part of theirs there
        assert run.status in (0, 1), run.stderr
    else:
        assert run.status == 0, run.stderr
        assert run.compiled > 10


def test_policy_and_accounts_are_those_of_the_root(suite: Suite, bare: Chroot) -> None:
    source = bare.path("/srv/app/mine.py")
    source.parent.mkdir(mode=0o755, parents=True)
    source.write_text("ANSWER = 42\n")
    for path in (source.parent, source):
        os.chown(path, 4711, 4711)
    bare.path("/etc/pycacheprefix.conf").write_text(
        "[root /srv/app]\nowner = pycache-owner\n[user pycache-owner]\nenabled = no\n"
    )
    with bare.path("/etc/passwd").open("a") as file:
        file.write("pycache-owner:x:4711:4712::/:/bin/false\n")
        file.write("_pycache-sys:x:4713:4714::/:/bin/false\n")
    run = from_outside(bare.root, "/srv/app")
    assert run.status == 0, run.stderr
    assert run.compiled == len(run.used_directories) == len(suite.interpreters)
    assert run.report["workers_detail"] == "_pycache-sys (uid 4713)"
    ids = bare.path("/var/cache/pycache-sys/ids").read_text()
    assert "user pycache-owner = 4711\n" in ids


def test_nothing_of_the_root_is_run_in_our_process(
    bare: Chroot, one_library: tuple[str, ...], tmp_path: Path
) -> None:
    """Neither a module nor a library of the name service; not even opened."""
    log = tmp_path / "trace"
    bare.path("/etc/nsswitch.conf").write_text("passwd: systemd\ngroup: systemd\n")
    bare.path("/etc/pycacheprefix.conf").write_text("optimze = 2\nroots += /srv/*\n")
    strace = ("strace", "-ff", "-e", "trace=open,openat,chroot,execve", "-o", str(log))
    assert from_outside(bare.root, "-p", "nothing", *one_library, before=strace).status == 2
    assert from_outside(bare.root, *one_library, before=strace).status == 0
    checked = 0
    for part in tmp_path.glob("trace.*"):
        inside = False
        for line in part.read_text().splitlines():
            inside = inside or "chroot(" in line
            if "execve(" in line:
                inside = False  # a program of the root: it may load what it likes
            if inside:
                checked += 1
                assert not re.search(r'\.(?:so[.\d]*|py)"', line), f"{part.name}: {line}"
    assert checked > 10


@pytest.mark.parametrize("suite", SUITES[:1], ids=lambda suite: suite.name, indirect=True)
class TestAnotherArchitecture:
    """Debian 12 is also what these tests run on, so there is an interpreter to stand in."""

    def turn(self, chroot: Chroot, suite: Suite) -> None:
        """Give the interpreters another architecture, as far as the kernel looks."""
        for interpreter in suite.interpreters:
            path = chroot.path(interpreter.command)
            program = bytearray(path.read_bytes())
            program[E_MACHINE : E_MACHINE + 2] = OTHER_ARCHITECTURE
            path.write_bytes(program)
            assert chroot.attempt(interpreter.command, "-c", "pass").returncode != 0

    def test_one_of_ours_compiles(self, suite: Suite, bare: Chroot, bare_chroot: Chroot) -> None:
        for chroot in (bare, bare_chroot):
            source = chroot.path("/usr/lib/python3/dist-packages/japanese.py")
            source.write_bytes("# coding: euc-jp\nWORD = '日本'\n".encode("euc-jp"))
            os.utime(source, (1_700_000_000, 1_700_000_000))
        self.turn(bare, suite)
        wanted = rebuild_all(bare_chroot, "--invalidation", "checked-hash", DIST_PACKAGES)
        made = from_outside(bare.root, DIST_PACKAGES)
        assert made.status == wanted.status, made.stderr
        assert made.used_directories == wanted.used_directories
        ours = contents(bare)
        theirs = {p: f for p, f in contents(bare_chroot).items() if "/pycache_sys" not in p}
        assert ours == theirs
        assert any("japanese" in path for path in ours)

    @pytest.mark.parametrize("fault", ["magic", "no evidence", "no library", "no such version"])
    def test_without_the_same_magic_number_it_is_refused(
        self, suite: Suite, bare: Chroot, fault: str
    ) -> None:
        (interpreter,) = suite.interpreters
        self.turn(bare, suite)
        library = bare.path(interpreter.library)
        command = bare.path(interpreter.command)
        for path in library.rglob("*.pyc"):
            path.unlink()
        match fault:
            case "magic":
                source = library / "importlib/_bootstrap_external.py"
                text = source.read_text()
                source.write_text(re.sub(r"(MAGIC_NUMBER = \()\d+", r"\g<1>1234", text))
                expected = "another magic number"
            case "no evidence":
                (library / "importlib/_bootstrap_external.py").write_text("")
                expected = "nothing in /usr/lib/python3.11 shows its magic number"
            case "no library":
                subprocess.run(["mv", library, library.with_name("moved")], check=True)
                expected = "no standard library"
            case _:
                subprocess.run(["mv", library, library.with_name("python3.99")], check=True)
                command.rename(command.with_name("python3.99"))
                expected = "this system has no Python 3.99"
        run = from_outside(bare.root)
        assert run.status == 1
        (note,) = run.report["interpreters"]
        assert (note["status"], note["reason"]) == ("skipped", "broken")
        assert expected in note["detail"]
        assert not list(bare.path(TREE).rglob("*.pyc"))


class TestRefusals:
    def test_who_may_not_enter_is_told_how_to(self, bare: Chroot) -> None:
        run = from_outside(bare.root, before=("setpriv", "--bounding-set=-sys_chroot", "--"))
        assert run.status == 5
        assert "unshare --map-auto --map-root-user" in run.stderr

    @pytest.mark.parametrize(("owner", "mode"), [(1234, 0o755), (0, 0o777), (0, 0o775)])
    def test_a_root_that_others_can_change(self, bare: Chroot, owner: int, mode: int) -> None:
        os.chown(bare.root, owner, 0)
        bare.root.chmod(mode)
        run = from_outside(bare.root)
        assert run.status == 5
        assert "others than root can change it" in run.stderr
        assert not bare.path(TREE).exists()

    @pytest.mark.parametrize("path", ["/no/such/root", "/etc/passwd"])
    def test_what_is_no_directory(self, suite: Suite, path: str) -> None:  # noqa: ARG002 - once
        assert from_outside(Path(path)).status == 2

    def test_a_root_without_python(self, suite: Suite, tmp_path: Path) -> None:  # noqa: ARG002
        (tmp_path / "root/var/cache").mkdir(mode=0o755, parents=True)
        run = from_outside(tmp_path / "root")
        assert run.status == 1
        assert run.report["interpreters"] == []


def test_a_user_namespace_with_one_uid_will_do(bare: Chroot, one_library: tuple[str, ...]) -> None:
    namespace = ("unshare", "--user", "--map-root-user", "--")
    run = from_outside(bare.root, *one_library, before=namespace)
    assert run.status == 0, run.stderr
    assert run.compiled > 10
    assert run.report["workers_detail"] == "there are no other accounts here"


def test_prune_works_on_a_root_too(bare: Chroot, one_library: tuple[str, ...]) -> None:
    from_outside(bare.root, *one_library)
    gone = bare.path(f"{one_library[0]}/tool.py")
    gone.unlink()
    run = from_outside(bare.root, verb="prune")
    assert (run.status, run.compiled) == (0, 0)
    assert run.removed >= 1
    assert not list(bare.path(TREE).rglob("json/tool.*.pyc"))

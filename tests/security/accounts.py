"""Two accounts and root on a private machine whose Python has the hook, and bytecode to plant.

Whatever is planted is good bytecode of its source, but says another word. So every test can show
both: that it is not loaded, and that it is as soon as the one thing is right that was wrong.
"""

import functools
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwnam
from typing import Any

from security.machine import ENVIRONMENT, TAG, TARGET, VERSION
from security.namespace import BIND, mounted

PYTHON = Path("/opt/env/bin/python")
MODULES = Path("/opt/modules")
TREE = Path("/var/cache/python")
IMAGE = Path("/usr/lib/pycache")
ROOTS_CACHE = Path("/var/cache/pycache-sys/root")
SHARED = Path("/tmp")
"""A directory of root's where everybody may write."""
PROJECT = "project"
"""A group that both accounts are in."""
GOOD, EVIL = "good", "evil"
COMPILED, BESIDE, OWN, FROM_TREE = "compiled", "beside the source", "own cache", "tree"
SOURCE = f"print({GOOD!r})\n"
SECONDS = 60.0
OVERLAID = ("usr", "etc", "opt")

_MARSHAL = "import _imp, importlib.util, marshal, sys; out = sys.stdout.buffer\n"
_BYTECODE = _MARSHAL + (
    "out.write(importlib.util.MAGIC_NUMBER)\n"
    "out.write(marshal.dumps(compile('print(%r)' % sys.argv[1], 'planted', 'exec')))"
)
_ENABLE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
    "from pycache_sys.cli import main; sys.exit(main())"
)
_WRITE = (
    "import os, sys\nos.umask(0o022)\npath = sys.argv[1]\n"
    "os.makedirs(os.path.dirname(path), exist_ok=True)\n"
    "open(path, 'wb').write(sys.stdin.buffer.read())"
)


@dataclass(frozen=True, slots=True)
class Run:
    """What a process said, and where its modules came from."""

    status: int
    stdout: str
    stderr: str

    @property
    def said(self) -> list[str]:
        return self.stdout.split()

    def layer(self, module: str) -> str:
        """Name the layer that served a module."""
        names = "|".join((FROM_TREE, BESIDE, OWN, COMPILED))
        found = re.search(rf"^pycache-sys: {module}: ({names})", self.stderr, re.MULTILINE)
        assert found, self.stderr
        return found[1]


@dataclass(frozen=True, slots=True)
class Account:
    """A user, as whom programs run."""

    name: str
    uid: int
    gid: int
    home: Path
    groups: tuple[int, ...] = ()

    @property
    def own(self) -> Path:
        """Say where this user's cache is when the environment says nothing else."""
        return self.home / ".cache" / "pycache-sys" if self.uid else ROOTS_CACHE

    def run(
        self,
        *command: str | Path,
        environment: Mapping[str, str | Path] | None = None,
        umask: int = 0o022,
        data: bytes = b"",
        **options: Any,
    ) -> Run:
        """Run a command with this user's ids, and an environment as after a login."""
        variables: dict[str, str | Path] = {**ENVIRONMENT, "HOME": self.home, "USER": self.name}
        variables |= environment or {}
        done = subprocess.run(
            list(map(str, command)),
            env={name: str(value) for name, value in variables.items()},
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            umask=umask,
            input=data,
            capture_output=True,
            check=False,
            timeout=SECONDS,
            **{"cwd": "/", **options},
        )
        out, err = (text.decode(errors="backslashreplace") for text in (done.stdout, done.stderr))
        return Run(done.returncode, out, err)

    def python(self, program: str, *arguments: str | Path, **options: Any) -> Run:
        """Run a program in the Python that has the hook."""
        run = self.run(PYTHON, "-c", program, *arguments, **options)
        assert run.status == 0, run.stderr
        return run

    def imports(
        self,
        *sources: Path,
        environment: Mapping[str, str | Path] | None = None,
        before: str = "",
        **options: Any,
    ) -> Run:
        """Import modules by their files; trace the layers."""
        return self.python(
            f"{before}\nimport sys\n"
            "for path in sys.argv[1:]:\n"
            "    sys.path.insert(0, path.rpartition('/')[0])\n"
            "    __import__(path.rpartition('/')[2][:-3])\n",
            *sources,
            environment={"PYCACHE_SYS": "trace", **(environment or {})},
            **options,
        )

    def write(self, path: Path, content: str | bytes = SOURCE) -> Path:
        """Write a file, with what is missing above it, as this user: what they may not, fails."""
        data = content.encode() if isinstance(content, str) else content
        done = self.run(TARGET, "-IS", "-c", _WRITE, path, data=data)
        assert done.status == 0, done.stderr
        return path

    def owns(self, top: Path, *, spare: Path | None = None) -> None:
        """Be given a directory with all that is in it but one part, and a link itself."""
        for path in (top, *(top.rglob("*") if not top.is_symlink() else ())):
            if spare is None or not path.is_relative_to(spare):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class World:
    """The private machine."""

    mallory: Account
    ada: Account
    root: Account
    project: int

    def names(self, uid: int) -> str:
        """Name a uid's account."""
        return {self.mallory.uid: "mallory", self.ada.uid: "ada", 0: "root"}[uid]


def entry(top: Path, source: Path, mark: str = "") -> Path:
    """Say where a source's bytecode is in a tree or a cache."""
    return top / VERSION / str(source.parent).lstrip("/") / f"{source.stem}.{TAG}{mark}.pyc"


def beside(source: Path) -> Path:
    """Say where a source's bytecode is beside it."""
    return source.parent / "__pycache__" / f"{source.stem}.{TAG}.pyc"


@functools.cache
def bytecode(word: str) -> tuple[bytes, bytes]:
    """Compile a program that says one word: the magic number, and the code."""
    done = subprocess.run(
        [TARGET, "-IS", "-c", _BYTECODE, word], capture_output=True, check=True, cwd="/"
    )
    return done.stdout[:4], done.stdout[4:]


def pyc(source: Path | None = None, word: str = EVIL) -> bytes:
    """Make bytecode that says a word: for the stamps of a source, or never to be checked."""
    magic, code = bytecode(word)
    if source is None:
        return magic + (1).to_bytes(4, "little") + bytes(8) + code
    status = source.stat()
    stamps = (0, int(status.st_mtime), status.st_size)
    return magic + b"".join(number.to_bytes(4, "little") for number in stamps) + code


def put(path: Path, content: bytes | None = None, *, owner: Account, mode: int = 0o644) -> Path:
    """Put a file where its owner might not be able to, with what is missing above it."""
    missing = [above for above in (path, *path.parents) if not above.exists()]
    for above in reversed(missing[1:]):
        above.mkdir()
        above.chmod(0o755 if mode & 0o044 else 0o700)
        os.chown(above, owner.uid, owner.gid)
    path.write_bytes(pyc() if content is None else content)
    path.chmod(mode)
    os.chown(path, owner.uid, owner.gid)
    return path


Seen = dict[str, tuple[int, int, int, bytes]]


def look(*tops: Path) -> Seen:
    """Record owners, modes and contents of all that stands somewhere."""
    seen = {}
    for top in tops:
        for path in (top, *sorted(top.rglob("*"))):
            status = path.lstat()
            content = b""
            if stat.S_ISREG(status.st_mode) and status.st_size < 1_000_000:
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.fsencode(os.readlink(path))
            seen[str(path)] = (status.st_uid, status.st_gid, status.st_mode, content)
    return seen


def owned(account: Account, *tops: Path) -> list[str]:
    """List what belongs to somebody below some directories."""
    return [path for path, (uid, *_) in look(*tops).items() if uid == account.uid]


def writable_by_others(*tops: Path) -> list[str]:
    """List what others may write."""
    return [
        path
        for path, (_, _, mode, _) in look(*tops).items()
        if mode & 0o022 and not stat.S_ISLNK(mode)
    ]


def fails_until(
    victim: Account,
    source: Path,
    corrected: Callable[[], object],
    *,
    untouched: Sequence[Path] = (),
    **options: Any,
) -> Run:
    """See that what is planted is not loaded, and is once a thing is corrected."""
    before = look(*untouched)
    run = victim.imports(source, **options)
    assert run.said == [GOOD], run.stderr
    assert look(*untouched) == before
    corrected()
    control = victim.imports(source, **options)
    assert control.said == [EVIL], control.stderr
    return run


# the machine


def _unpack_sudo(folder: Path) -> None:
    """Fetch the distribution's sudo where the machine has none: this one is thrown away."""
    if Path("/usr/bin/sudo").exists():
        return
    folder.mkdir(mode=0o755)
    fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "sudo"]
    done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"these tests need sudo: install it\n{done.stderr}"
    (package,) = folder.glob("sudo_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "files"], check=True)
    for part in ("usr", "etc"):  # /lib is a link here, and a directory there
        shutil.copytree(folder / "files" / part, f"/{part}", dirs_exist_ok=True)
    shutil.copy2("/etc/pam.d/su", "/etc/pam.d/sudo")  # root's way in needs no password


def _overlay(place: str, lower: str, layer: Path) -> tuple[str, str, str, int, str]:
    for part in ("upper", "work"):
        (layer / part).mkdir(parents=True)
        (layer / part).chmod(0o755)
    options = f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work"
    return ("overlay", f"/{place}", "overlay", 0, options)


def prepare(folder: Path, command: Path) -> None:
    """Make the layers of the machine once: accounts, sudo, an environment with the hook."""
    folder.mkdir()
    with ExitStack() as stack:
        for place in OVERLAID:
            stack.enter_context(mounted(*_overlay(place, f"/{place}", folder / place)))
        stack.enter_context(mounted("tmpfs", "/var/cache", "tmpfs", options="mode=755"))
        _unpack_sudo(folder / "sudo")
        for call in (
            ["groupadd", PROJECT],
            ["useradd", "--no-create-home", "--groups", PROJECT, "mallory"],
            ["useradd", "--no-create-home", "--groups", PROJECT, "ada"],
            [TARGET, "-m", "venv", "--without-pip", PYTHON.parents[1]],
        ):
            done = subprocess.run(call, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (call, done.stderr)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(command.parent / "modules", MODULES, ignore=ignored)
        run = [TARGET, "-IS", "-c", _ENABLE, MODULES, "enable", "--python", PYTHON]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _kept() -> list[Path]:
    """Name what this process itself needs of the ``/tmp`` that is about to be hidden."""
    needed = [*map(Path, sys.path), Path(sys.prefix), Path(__file__).parents[2]]
    found = {Path("/tmp", path.parts[2]) for path in needed if path.parts[1:2] == ("tmp",)}
    return sorted(path for path in found if path.is_dir())


@contextmanager
def world(command: Path, scratch: Path) -> Iterator[World]:
    """Make the machine, with everything that could be written gone at the end.

    Its layers are made once, beside the installed command, and vanish with that.
    """
    prepared = command.with_name("layers")
    if not prepared.exists():
        prepare(prepared, command)
    with ExitStack() as stack:
        memory = scratch / "memory"
        memory.mkdir()
        stack.enter_context(mounted("tmpfs", str(memory), "tmpfs", options="mode=755"))
        for place in OVERLAID:
            lower = f"{prepared}/{place}/upper:/{place}"
            stack.enter_context(mounted(*_overlay(place, lower, memory / place)))
        for place in ("/home", "/var/cache", "/run"):
            stack.enter_context(mounted("tmpfs", place, "tmpfs", options="mode=755"))
        kept = _kept()
        for number, path in enumerate(kept):
            aside = Path(f"/run/kept/{number}")
            aside.mkdir(parents=True)
            stack.enter_context(mounted(str(path), str(aside), flags=BIND))
        stack.enter_context(mounted("tmpfs", "/tmp", "tmpfs", options="mode=1777"))
        for number, path in enumerate(kept):
            path.mkdir()
            stack.enter_context(mounted(f"/run/kept/{number}", str(path), flags=BIND))
        yield _accounts()


def _accounts() -> World:
    from grp import getgrnam

    project = getgrnam(PROJECT).gr_gid
    people = []
    for name in ("mallory", "ada"):
        known = getpwnam(name)
        person = Account(name, known.pw_uid, known.pw_gid, Path(known.pw_dir), (project,))
        person.home.mkdir()
        person.home.chmod(0o755)
        person.owns(person.home)
        people.append(person)
    mallory, ada = people
    return World(mallory, ada, root=Account("root", 0, 0, Path("/root")), project=project)

"""An interpreter of our own, in a folder: a copy whose library a test may write to.

The machine's interpreters are left alone: what ``enable`` does to one it does to the copy.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from interpreters.builder import environment
from pycache_sys.core.model import Interpreter
from pycache_sys.discover import select_interpreters
from pycache_sys.policy.model import Policy
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.trust import CallerTrust
from pycache_sys_runtime import startup

_VERSION = "{}.{}".format(*sys.version_info)
_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "config-*", "dist-packages", "ensurepip", "idlelib", "lib-dynload", "lib2to3",
    "pydoc_data", "site-packages", "sitecustomize.py", "test", "tests", "tkinter", "turtledemo",
    "_pyrepl", "xml", "unittest", "asyncio", "distutils", "sqlite3", "curses", "EXTERNALLY-MANAGED",
)  # fmt: skip


@dataclass(frozen=True)
class OwnPrefix:
    """The folder with the copy, the virtual environments made from it, and the hook's package."""

    folder: Path

    @property
    def python(self) -> str:
        """The copied program."""
        return str(self.folder / "prefix" / "bin" / f"python{_VERSION}")

    @property
    def library(self) -> Path:
        """Its standard library."""
        standard = Path(sysconfig.get_path("stdlib"))
        return self.folder / "prefix" / standard.relative_to(sys.base_prefix)

    @property
    def site(self) -> Path:
        """Its own site directory: Debian's interpreters have it below ``local``."""
        ask = "import site; print(site.getsitepackages()[0])"
        command = [self.python, "-B", "-I", "-c", ask]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment()
        )
        return Path(done.stdout.strip())

    @property
    def startup(self) -> Path:
        """The start-up file of a copy of the hook's package."""
        return self.folder / "pycache_sys_runtime" / "startup.py"

    def venv(self, *options: str, name: str = "venv") -> str:
        """Make a virtual environment, and name its interpreter."""
        where = self.folder / name
        subprocess.run(
            [self.python, "-B", "-I", "-m", "venv", "--without-pip", *options, str(where)],
            check=True,
            capture_output=True,
            env=environment(),
        )
        return str(where / "bin" / "python")

    def site_of(self, python: str) -> Path:
        """Name the site directory of one of its virtual environments."""
        return Path(python).parent.parent / "lib" / f"python{_VERSION}" / "site-packages"

    def clean(self) -> None:
        """Take away bytecode, and what brings the hook."""
        for cache in self.folder.rglob("__pycache__"):
            shutil.rmtree(cache)
        (self.library / "sitecustomize.py").unlink(missing_ok=True)
        for name in ("site-packages", "dist-packages"):
            for path in self.folder.glob(f"*/**/lib*/*/{name}/*"):
                path.unlink()


def make_prefix(folder: Path) -> OwnPrefix:
    """Copy the running interpreter, with what a start or ``venv`` needs, and the hook."""
    made = OwnPrefix(folder)
    standard = Path(sysconfig.get_path("stdlib"))
    Path(made.python).parent.mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), made.python)
    shutil.copytree(standard, made.library, ignore=_LEFT_OUT)
    shutil.copytree(
        Path(startup.__file__).parent,
        made.startup.parent,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for path in (made.startup.parent, *made.startup.parent.iterdir()):
        path.chmod(path.stat().st_mode & ~0o022)  # a checkout may be its group's, too
    text = made.startup.read_text(encoding="utf-8")
    for place in ("/etc", "/run", "/usr/lib"):  # this machine's policy is another matter
        text = text.replace(f'"{place}/pycacheprefix', f'"{folder}{place}/pycacheprefix')
    made.startup.write_text(text, encoding="utf-8")
    dynamic = Path(sysconfig.get_config_var("DESTSHARED") or standard / "lib-dynload")
    link = made.folder / "prefix" / sys.platlibdir / f"python{_VERSION}" / "lib-dynload"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(dynamic)
    return made


def describe(python: str) -> Interpreter:
    """Ask an interpreter who it is."""
    access = Access(trust=CallerTrust(), account=None, mounts=Mounts(), is_restricted=False)
    (note,) = select_interpreters([python], (), access, Policy())
    assert note.interpreter is not None, note.refusal
    return note.interpreter

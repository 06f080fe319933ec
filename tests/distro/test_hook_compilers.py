"""Who compiles on purpose gets what he got before, byte for byte, and nothing of it is ours."""

import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Mapping

import pytest

from distro.chroots import ARCHIVES, Chroot
from distro.debian import DIST_PACKAGES, REINSTALLED
from distro.debs import build_deb, install_deb
from distro.hook_starts import place, start, upper, written
from distro.machines import BOOKWORM, HOME, PYTHONS, TRIXIE, USER, Machines, Python, every_python
from distro.product import COMMAND

pytest_plugins = ["distro.hook_fixtures"]

CLAMPED = 1_704_067_200
SOURCES = {
    "/srv/code/one.py": "import json\n\n\ndef one(a, b=('x', 1)):\n    return a, b, 'text'\n",
    "/srv/code/pack/__init__.py": "from . import two\n",
    "/srv/code/pack/two.py": '"""Docstring."""\nassert True\nTWO = {"a": 1, "b": [1, 2, 3]}\n',
    "/srv/code/pack/broken.py": "def (:\n",
}
WHEEL = "/srv/sample-1.0-py3-none-any.whl"
OWN_CACHES = (f"{HOME}/.cache/", "/var/cache/pycache-sys/")

PIP_PYTHONS = [python for python in PYTHONS if python.folder in ("3.13", "3.15", "pypy3.11")]

Compiled = Mapping[str, bytes]


def sample_wheel() -> bytes:
    """Make a wheel with a module, a package, data and a script."""
    contents = {
        "sample_single.py": SOURCES["/srv/code/one.py"],
        "sample/__init__.py": "from . import two\n",
        "sample/two.py": SOURCES["/srv/code/pack/two.py"],
        "sample/data.txt": "data\n",
        "sample-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n",
        "sample-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "sample-1.0.dist-info/entry_points.txt": "[console_scripts]\nsample=sample_single:one\n",
    }
    lines = []
    for name, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{name},sha256={digest.decode()},{len(text)}")
    record = "sample-1.0.dist-info/RECORD"
    contents[record] = "\n".join([*lines, f"{record},,", ""])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in contents.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def results(chroot: Chroot, *, below: str) -> Compiled:
    """Read everything that was written below a directory.

    A header's time is not compared, for pip gives files the time of their installation; nor is
    PyPy's code, which has the members of a set in any order.
    """
    found = {}
    for path in written(chroot):
        if not path.startswith(below):
            continue
        real = upper(chroot) / path[1:]
        content = os.readlink(real).encode() if real.is_symlink() else real.read_bytes()
        is_stamped = path.endswith(".pyc") and content[4:8] == bytes(4)
        if is_stamped:
            content = content[:8] + content[12:]
        found[path] = content[:12] if path.endswith(".pypy311.pyc") else content
    return found


def in_own_caches(chroot: Chroot) -> set[str]:
    """Name what the hook has kept, by the place of the source."""
    return {path for path in written(chroot) if path.startswith(OWN_CACHES)}


def both(machines: Machines, python: Python, act: Callable[[Chroot], Compiled]) -> Compiled:
    """Do the same without the hook and with it: the results must be the same."""
    with machines.running(python.suite, hooked=False) as chroot:
        expected = act(chroot)
        assert in_own_caches(chroot) == set()
    with machines.running(python.suite, hooked=True) as chroot:
        found = act(chroot)
        assert found.keys() == expected.keys()
        assert {path for path in found if found[path] != expected[path]} == set()
    return expected


def place_sources(chroot: Chroot, owner: int) -> None:
    """Write the sources, all with one time."""
    place(chroot, SOURCES, owner=owner)
    for name in SOURCES:
        os.utime(chroot.path(name), (CLAMPED, CLAMPED))


@every_python
@pytest.mark.parametrize("user", [0, USER], ids=["root", "user"])
@pytest.mark.parametrize(
    ("command", "number"),
    [
        (("-m", "py_compile", "/srv/code/one.py", "/srv/code/pack/two.py"), 2),
        (("-m", "compileall", "-q", "-x", "broken", "/srv/code"), 3),
        (("-m", "compileall", "-q", "-o", "0", "-o", "1", "-o", "2", "/srv/code"), 9),
        (("-m", "compileall", "-q", "--invalidation-mode=checked-hash", "/srv/code"), 3),
        (("-c", "import py_compile as p; p.compile('/srv/code/one.py', cfile='/srv/code/x')"), 1),
    ],
    ids=["py_compile", "compileall", "levels", "checked-hash", "compile"],
)
def test_the_standard_librarys(
    machines: Machines, python: Python, user: int, command: tuple[str, ...], number: int
) -> None:
    def act(chroot: Chroot) -> Compiled:
        place_sources(chroot, user)
        done = start(chroot, python.command, *command, user=user)
        assert (done.status == 0) is ("-x" in command or command[1] != "compileall")
        assert not [path for path in in_own_caches(chroot) if "/srv/code/" in path]
        found = results(chroot, below="/srv/code")
        return {path: found[path] for path in found.keys() - SOURCES.keys()}

    assert len(both(machines, python, act)) == number


@pytest.mark.parametrize("python", PIP_PYTHONS, ids=str)
def test_pip(machines: Machines, python: Python) -> None:
    """In a virtual environment, with the hook in it: install, RECORD, uninstall."""
    venv = "/srv/work/venv"

    def act(chroot: Chroot) -> Compiled:
        chroot.path(WHEEL).write_bytes(sample_wheel())
        chroot.run("mkdir", "--mode=1777", "/srv/work")
        (pip,) = chroot.path("/usr/share/python-wheels").glob("pip-*.whl")
        pip_command = f"/usr/share/python-wheels/{pip.name}/pip"
        if start(chroot, python.command, "-c", "import json").served:
            chroot.run(COMMAND, "enable", "--venvs", "--python", python.command)
        start(chroot, python.command, "-m", "venv", "--without-pip", venv).quiet  # noqa: B018
        before = results(chroot, below=venv)

        inside = (f"{venv}/bin/python", pip_command)
        options = ("--quiet", "--disable-pip-version-check")
        done = start(chroot, *inside, "install", *options, "--no-index", "--no-deps", WHEEL)
        assert (done.status, done.stderr) == (0, "")
        installed = results(chroot, below=venv)
        (record,) = (path for path in installed if path.endswith("/RECORD"))
        site = record.removesuffix("/sample-1.0.dist-info/RECORD")
        lines = installed[record].decode().splitlines()
        listed = {os.path.normpath(f"{site}/{line.split(',')[0]}") for line in lines}
        assert listed == installed.keys() - before.keys()
        assert sum(path.endswith(".pyc") for path in listed) == 3
        used = start(chroot, f"{venv}/bin/python", "-c", "import sample, sample_single")
        assert used.quiet == ""
        assert results(chroot, below=venv) == installed

        done = start(chroot, *inside, "uninstall", *options, "--yes", "sample")
        assert (done.status, done.stderr) == (0, "")
        assert results(chroot, below=venv) == before
        assert not [path for path in in_own_caches(chroot) if "sample" in path]
        return installed

    assert len(both(machines, python, act)) > 10


@pytest.mark.parametrize(
    ("python", "tools"),
    [
        (next(p for p in PYTHONS if p.suite is BOOKWORM), "py3"),
        (next(p for p in PYTHONS if p.suite is TRIXIE and not p.is_pypy), "py3"),
        (next(p for p in PYTHONS if p.is_pypy), "pypy3"),
    ],
    ids=["bookworm-py3", "trixie-py3", "trixie-pypy3"],
)
@pytest.mark.parametrize("maintscript", [True, False], ids=["maintscript", "by-hand"])
def test_debians(machines: Machines, python: Python, tools: str, maintscript: bool) -> None:
    """``py3compile`` and ``py3clean`` of a package, as its scripts call them and by hand."""
    folder = f"{DIST_PACKAGES}/pycache_sample"
    names = {f"{folder}/{name}.py": SOURCES["/srv/code/one.py"] for name in ("__init__", "two")}
    variables = {"DPKG_MAINTSCRIPT_PACKAGE": "pycache-sample"} if maintscript else {}

    def act(chroot: Chroot) -> Compiled:
        contents = {path: text.encode() for path, text in names.items()}
        install_deb(chroot, build_deb(chroot, "pycache-sample", "1", contents, CLAMPED))
        already = results(chroot, below=folder)
        options = ("-p", "pycache-sample")
        done = start(chroot, f"{tools}compile", *options, user=0, **variables)
        assert (done.status, done.stderr) == (0, "")
        compiled = results(chroot, below=folder)
        assert len(compiled.keys() - already.keys()) == 2
        program = "import pycache_sample.two as two; print(two.one(1))"
        assert start(chroot, python.command, "-c", program).stdout == "(1, ('x', 1), 'text')\n"
        assert results(chroot, below=folder) == compiled

        done = start(chroot, f"{tools}clean", *options, user=0, **variables)
        assert (done.status, done.stderr) == (0, "")
        assert results(chroot, below=folder) == already
        kept = in_own_caches(chroot)
        assert not [path for path in kept if "pycache_sample" in path]
        if maintscript:
            assert not [path for path in kept if path.startswith("/var/cache")]
        return compiled

    assert both(machines, python, act)


@pytest.mark.parametrize(
    "python", [p for p in PYTHONS if p.folder in ("3.11", "3.13", "3.14")], ids=str
)
def test_reinstalling_a_package(machines: Machines, python: Python) -> None:
    """Its own scripts compile it; root's own cache gets nothing from them."""

    def act(chroot: Chroot) -> Compiled:
        (archive,) = chroot.path(ARCHIVES).glob(f"{REINSTALLED}_*")
        install_deb(chroot, f"{ARCHIVES}/{archive.name}", "--reinstall")
        assert in_own_caches(chroot) == set()
        return results(chroot, below=f"{DIST_PACKAGES}/requests")

    found = both(machines, python, act)
    assert sum(path.endswith(".pyc") for path in found) > 10

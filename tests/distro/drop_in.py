"""The programs in the place of Debian's: their package, and what is compiled by whom."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from distro.chroots import ENVIRONMENT, Chroot
from distro.debian import DIST_PACKAGES
from distro.debs import clamp, place
from distro.product import TREE

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "pycache-sys-py3compile"
PROGRAMS = ("py3clean", "py3compile", "pypy3clean", "pypy3compile")
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
CONTROL = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: Nobody <nobody@example.org>
Description: a package made for a test
"""
POSTINST = """\
#!/bin/sh
set -e
if command -v py3compile >/dev/null 2>&1; then
    py3compile -p {name} {arguments}
fi
if command -v pypy3compile >/dev/null 2>&1; then
    pypy3compile -p {name} {arguments} || true
fi
"""
PRERM = """\
#!/bin/sh
set -e
if command -v py3clean >/dev/null 2>&1; then
    py3clean -p {name}
fi
"""
SOURCE = b"value = 1\n"
BROKEN = b"def broken(:\n"
OWN = "/usr/share/gizmo"
PLACES = (
    "/usr/lib/python3/dist-packages/gizmo",
    "/usr/lib/python3.2",
    OWN,
    "/usr/share/gizmo-extra",
    "/etc/gizmo",
)
GIZMO = {
    f"{DIST_PACKAGES}/gizmo/__init__.py": SOURCE,
    f"{DIST_PACKAGES}/gizmo/one.py": SOURCE,
    f"{DIST_PACKAGES}/gizmo/sub/two.py": SOURCE,
    f"{DIST_PACKAGES}/gizmo/sub/excluded.py": SOURCE,
    f"{DIST_PACKAGES}/gizmo/not_this.py": SOURCE,
    "/usr/lib/python3.2/dist-packages/gizmo_old.py": SOURCE,
    f"{OWN}/main.py": SOURCE,
    f"{OWN}/data.txt": SOURCE,
    f"{OWN}/plugins/three.py": SOURCE,
    f"{OWN}/plugins/skipped.py": SOURCE,
    f"{OWN}/old/four.py": SOURCE,
    "/usr/share/gizmo-extra/five.py": SOURCE,
    "/etc/gizmo/settings.py": SOURCE,
    "/usr/share/python3/bcep/gizmo": (
        b"# left out\n"
        b"re|-|/usr/lib/python3/dist-packages/gizmo|.*/excluded.py\n"
        b"file|3.0-|/usr/lib/python3/dist-packages/gizmo/not_this.py\n"
        b"dir|-9.9|/usr/share/gizmo/old\n"
        b"dir|-3.0|/usr/share/gizmo/plugins\n"
    ),
}
"""A package with public, private and excluded modules."""

Compiled = frozenset[tuple[str, str, str]]
"""What is compiled: source, version (``3.11``, ``pypy3.11``), optimization."""


def make_deb(
    chroot: Chroot,
    name: str,
    version: str,
    contents: Mapping[str, bytes],
    scripts: Mapping[str, str],
    *,
    architecture: str = "all",
    links: Mapping[str, str] | None = None,
) -> str:
    """Build a package with maintainer scripts; return where the chroot sees it."""
    inside = f"/srv/{name}_{version}.deb"
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)
        (top / "DEBIAN").mkdir(mode=0o755)
        (top / "DEBIAN/control").write_text(
            CONTROL.format(name=name, version=version, architecture=architecture)
        )
        for script, text in scripts.items():
            (top / "DEBIAN" / script).write_text(text)
            (top / "DEBIAN" / script).chmod(0o755)
        for path, data in contents.items():
            place(top / path.lstrip("/"), data)
            if data.startswith(b"#!"):
                (top / path.lstrip("/")).chmod(0o755)
        clamp(top, 1_700_000_000)
        for path, target in (links or {}).items():
            link = top / path.lstrip("/")
            link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            link.symlink_to(target)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", folder, chroot.path(inside)],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return inside


def make_module_deb(
    chroot: Chroot,
    name: str,
    version: str,
    contents: Mapping[str, bytes],
    *,
    arguments: str = "",
    architecture: str = "all",
) -> str:
    """Build a package of modules, with the maintainer scripts that Debian's tools give it."""
    scripts = {
        "postinst": POSTINST.format(name=name, arguments=arguments),
        "prerm": PRERM.format(name=name),
    }
    return make_deb(chroot, name, version, contents, scripts, architecture=architecture)


def make_drop_in(chroot: Chroot, version: str = "1", preinst: str = "") -> str:
    """Build the drop-in's package as ``debian/`` describes it; ``preinst`` is added at the end."""
    debian = REPOSITORY / "debian"
    contents = {}
    for line in (debian / f"{PACKAGE}.install").read_text().splitlines():
        source, directory = line.split()
        contents[f"/{directory}/{Path(source).name}"] = (REPOSITORY / source).read_bytes()
    links = {}
    for line in (debian / f"{PACKAGE}.links").read_text().splitlines():
        target, link = line.split()
        links[f"/{link}"] = os.path.relpath(f"/{target}", os.path.dirname(f"/{link}"))
    scripts = {
        script: (debian / f"{PACKAGE}.{script}").read_text().replace("#DEBHELPER#", preinst)
        for script in SCRIPTS
        if (debian / f"{PACKAGE}.{script}").exists()
    }
    return make_deb(chroot, PACKAGE, version, contents, scripts, links=links)


def dpkg(chroot: Chroot, *arguments: str) -> str:
    """Run dpkg, which has to succeed, and return all it says."""
    done = chroot.attempt("dpkg", *arguments)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def in_tree(chroot: Chroot) -> Compiled:
    """Say what the tree has."""
    top = chroot.path(TREE)
    found = set()
    for path in top.rglob("*.pyc"):
        folder, *parents = path.relative_to(top).parts[:-1]
        stem, version, level = _parse(path.name)
        assert version == folder, path
        found.add(("/" + "/".join([*parents, stem + ".py"]), version, level))
    return frozenset(found)


def beside(chroot: Chroot, *places: str) -> Compiled:
    """Say what stands in the ``__pycache__`` directories below some places."""
    found = set()
    for top in places:
        for path in chroot.path(top).rglob("__pycache__/*.pyc"):
            stem, version, level = _parse(path.name)
            directory = path.parent.parent.relative_to(chroot.root)
            found.add((f"/{directory}/{stem}.py", version, level))
    return frozenset(found)


def pycache_directories(chroot: Chroot, top: str) -> set[Path]:
    """List the ``__pycache__`` directories below a place."""
    return set(chroot.path(top).rglob("__pycache__"))


def _parse(name: str) -> tuple[str, str, str]:
    """Divide ``foo.cpython-311.opt-1.pyc``: stem, version, optimization."""
    stem, _, level = name.removesuffix(".pyc").partition(".opt-")
    stem, _, tag = stem.rpartition(".")
    digits = tag.removeprefix("cpython-").removeprefix("pypy")
    version = f"{digits[0]}.{digits[1:]}"
    return stem, f"pypy{version}" if tag.startswith("pypy") else version, level


def run(
    chroot: Chroot, *command: str, user: int = 0, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program with more variables in its environment."""
    return subprocess.run(
        chroot.command(*command, user=user),
        env=ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=300,
        check=False,
    )

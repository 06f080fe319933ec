"""``enable`` and ``disable`` on Debian: what they bring, and that they leave nothing behind."""

import json
import os
import shutil

import pytest

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES
from distro.hook_starts import MATCHED, OWN, TREE_LAYER, in_tree, place, start, unlike, written
from distro.machines import HOME, PYTHONS, SUITES, USER, Machines, Python, every_python
from distro.product import COMMAND
from distro.snapshots import stamp

pytest_plugins = ["distro.hook_fixtures"]

every_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
MODULES = ("json", "json.decoder", "argparse", "idna", "urllib.request", "jinja2")
ROOTS_OWN = "/var/cache/pycache-sys/root"
RUNTIME_BYTECODE = f"{DIST_PACKAGES}/pycache_sys_runtime/__pycache__/"
"""Compiled once for every interpreter, and kept: the hook's own."""


def site_file(python: Python) -> str:
    """Say where Debian's interpreters look for what the administrator adds."""
    name = f"pypy{python.folder[4:]}" if python.is_pypy else f"python{python.folder}"
    return f"/usr/local/lib/{name}/dist-packages/pycache-sys.pth"


def states(chroot: Chroot, *arguments: str) -> dict[str, dict[str, object]]:
    """Ask ``enable --show`` for every interpreter."""
    answer = json.loads(chroot.run(COMMAND, "enable", "--show", "--json", *arguments))
    return {one["directory"]: one for one in answer["interpreters"]}


@every_python
@pytest.mark.parametrize("user", [USER, 0], ids=["user", "root"])
def test_distribution_modules_load_from_the_tree(hooked: Chroot, python: Python, user: int) -> None:
    """The rest is kept in the user's own cache; the second time it is read from there."""
    place(hooked, {"/srv/app/mine.py": "ANSWER = 42\n"})
    already = written(hooked)
    program = f"import sys; sys.path.append('/srv/app'); import {', '.join(MODULES)}, mine"
    top = ROOTS_OWN if user == 0 else f"{HOME}/.cache/pycache-sys"
    own = python.own("/srv/app/mine.py", top=top)

    first = start(hooked, python.command, "-c", program, user=user)
    assert first.quiet == ""
    assert first.layers(*MODULES) == dict.fromkeys(MODULES, TREE_LAYER)
    assert all(in_tree(python.folder, first.served[name].path) for name in MODULES)
    assert {n for n, served in first.served.items() if served.layer != TREE_LAYER} == {"mine"}
    assert written(hooked) - already == {own}

    second = start(hooked, python.command, "-c", program, user=user)
    assert second.quiet == ""
    assert second.served["mine"][:2] == (OWN, own)
    assert second.only(TREE_LAYER) == first.only(TREE_LAYER)
    assert written(hooked) - already == {own}


@every_suite
def test_enable_and_disable_give_back_everything(machines: Machines, suite: object) -> None:
    pythons = [python for python in PYTHONS if python.suite is suite]
    with (
        machines.running(pythons[0].suite, hooked=False) as chroot,
        machines.running(pythons[0].suite, hooked=False) as pristine,
    ):
        chroot.run(COMMAND, "enable")
        enabled = written(chroot)
        assert {site_file(python) for python in pythons} <= enabled
        shown = states(chroot)
        assert {name for name, one in shown.items() if one["hooked"]} == {
            python.folder for python in pythons
        }
        for python in pythons:
            assert shown[python.folder]["files"] == [site_file(python)]
            assert shown[python.folder]["venvs"] is False
            assert shown[python.folder]["without_bytecode"] == []
            assert start(chroot, python.command, "-c", "import json").only(TREE_LAYER)
        stamps = {path: stamp(chroot.path(path)) for path in enabled}
        chroot.run(COMMAND, "enable")
        assert {path: stamp(chroot.path(path)) for path in enabled} == stamps
        assert written(chroot) == enabled

        chroot.run(COMMAND, "disable")
        assert not any(one["hooked"] or one["files"] for one in states(chroot).values())
        left = unlike(chroot, pristine)
        assert {path for path in left if not path.startswith(RUNTIME_BYTECODE)} == set()
        for python in pythons:
            assert not start(chroot, python.command, "-c", "import json").served


@every_python
def test_one_interpreter_alone(stock: Chroot, pristine: Chroot, python: Python) -> None:
    stock.run(COMMAND, "enable", "--python", python.command)
    assert {name for name, one in states(stock).items() if one["hooked"]} == {python.folder}
    stock.run(COMMAND, "disable", "--python", python.command)
    left = unlike(stock, pristine)
    assert {path for path in left if not path.startswith(RUNTIME_BYTECODE)} == set()


def test_an_ordinary_user_enables_nothing(machines: Machines) -> None:
    python = PYTHONS[0]
    with machines.running(python.suite, hooked=False) as chroot:
        done = start(chroot, COMMAND, "enable", trace=False)
        assert done.status == 5
        assert "run it as root" in done.stderr
        assert "Traceback" not in done.stderr
        assert written(chroot) == set()


# virtual environments: by the sitecustomize that is the administrator's own file


def customize_file(python: Python) -> str:
    """Name the file behind the standard library's ``sitecustomize.py``: on Debian a conffile."""
    if python.is_pypy:  # Debian's has none
        return f"{python.interpreter.library}/sitecustomize.py"
    return f"/etc/python{python.folder}/sitecustomize.py"


def verified(chroot: Chroot, python: Python) -> set[str]:
    """Let dpkg say which files of an interpreter's packages are not as they came."""
    owned = [f"{python.interpreter.library}/{name}" for name in ("os.py", "json/__init__.py")]
    named = chroot.run("dpkg", "-S", *owned, *([] if python.is_pypy else [customize_file(python)]))
    packages = {line.split(":")[0] for line in named.splitlines()}
    return set(chroot.attempt("dpkg", "--verify", *packages).stdout.splitlines())


@every_python
def test_venvs_by_the_administrators_sitecustomize(
    stock: Chroot, pristine: Chroot, python: Python
) -> None:
    """The conffile of another package: what it says still runs, and it is given back."""
    path = customize_file(python)
    before = b"" if python.is_pypy else stock.path(path).read_bytes()
    clean = verified(stock, python)
    stock.run(COMMAND, "enable", "--venvs", "--python", python.command)

    link = stock.path(f"{python.interpreter.library}/sitecustomize.py")
    assert link.is_symlink() is not python.is_pypy
    assert stock.path(path).read_bytes().startswith(before)
    changed = {tuple(line.split()[1:]) for line in verified(stock, python) - clean}
    assert changed == (set() if python.is_pypy else {("c", path)})
    assert states(stock)[python.folder]["venvs"] is True

    # Debian's own lines look for a module, and call it; without them ours hides another file
    text = "print('runs')\n" if python.is_pypy else "def install():\n    print('runs')\n"
    name = "sitecustomize.py" if python.is_pypy else "apport_python_hook.py"
    place(stock, {f"{DIST_PACKAGES}/{name}": text})
    done = start(stock, python.command, "-c", "import json")
    assert done.quiet == "runs\n"
    assert done.layers("json") == {"json": TREE_LAYER}
    stock.path(f"{DIST_PACKAGES}/{name}").unlink()
    shutil.rmtree(stock.path(f"{HOME}/.cache"), ignore_errors=True)

    stock.run(COMMAND, "disable", "--python", python.command)
    assert verified(stock, python) == clean
    left = {path for path in unlike(stock, pristine) if not path.startswith(RUNTIME_BYTECODE)}
    assert left == set()


@pytest.mark.parametrize("ending", ["", "\n"], ids=["no-newline", "newline"])
def test_what_the_administrator_wrote_there_stays(machines: Machines, ending: str) -> None:
    """Also what stands below the block by the time it is taken out."""
    python = PYTHONS[0]
    with machines.running(python.suite, hooked=False) as chroot:
        path = chroot.path(customize_file(python))
        text = f"import sys\nsys.first = 1{ending}"
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        path.chmod(0o640)
        os.chown(path, 0, USER)
        before = stamp(path)
        chroot.run(COMMAND, "enable", "--venvs")
        with path.open("a") as file:
            file.write("sys.last = 2\n")
        program = "import sys, json; print(sys.first, sys.last)"
        done = start(chroot, python.command, "-c", program)
        assert done.quiet == "1 2\n"
        assert done.layers("json") == {"json": TREE_LAYER}
        path.write_text(path.read_text().removesuffix("sys.last = 2\n"))
        chroot.run(COMMAND, "disable")
        assert path.read_text() == text
        after = stamp(path)
        assert (after.mode, after.owner, after.mtime) == (before.mode, before.owner, before.mtime)


@every_python
@pytest.mark.parametrize("options", [(), ("--system-site-packages",)], ids=["bare", "system-site"])
def test_a_venv_has_the_hook(stock: Chroot, python: Python, options: tuple[str, ...]) -> None:
    stock.run(COMMAND, "enable", "--venvs", "--python", python.command)
    stock.run("mkdir", "--mode=1777", "/srv/work")
    venv = start(stock, python.command, "-m", "venv", "--without-pip", *options, "/srv/work/venv")
    assert venv.quiet == ""
    before = written(stock)
    inside = f"{python.command} /srv/work/venv/bin/python"
    program = "import json, sys; print(sys.prefix)"
    first, *isolated = [
        start(stock, inside.split()[1], *flags, "-c", program) for flags in ((), ("-I", "-v"))
    ]
    assert first.quiet == "/srv/work/venv\n"
    assert first.layers("json", "json.decoder") == {
        "json": TREE_LAYER,
        "json.decoder": TREE_LAYER,
    }
    matched = {source: pyc for pyc, source in MATCHED.findall(isolated[0].stderr)}
    json = f"{python.interpreter.library}/json/__init__.py"
    assert in_tree(python.folder, matched[json])
    assert written(stock) == before

    if options:
        assert start(stock, inside.split()[1], "-c", "import idna").layers("idna") == {
            "idna": TREE_LAYER
        }
    stock.run(COMMAND, "disable", "--python", python.command)
    assert not start(stock, inside.split()[1], "-c", "import json").served

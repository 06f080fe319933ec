"""Every way to deliver the hook, and that none says a word when our package is gone or broken."""

from collections.abc import Callable, Mapping

import pytest

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES
from distro.hook_starts import TREE_LAYER, start, unlike, written
from distro.machines import PYTHONS, USER, Machines, Python
from distro.product import COMMAND

pytest_plugins = ["distro.hook_fixtures"]

RUNTIME = f"{DIST_PACKAGES}/pycache_sys_runtime"
STAGES = ("modules", "hook", "loader")
"""What a start loads of us after the start-up, in this order."""
STARTUP = f"{RUNTIME}/startup.py"
(PYTHON_3_15,) = (python for python in PYTHONS if python.folder == "3.15")
PROGRAM = "import json, sys; sys.path.append('/srv'); import mine; print(mine.ANSWER)"
START_FILES = """
import json
from pycache_sys.core.delivery import Undo, start_files
files = start_files({!r}, Undo())
print(json.dumps({{name: content.decode() for name, content in files.items()}}))
"""


def site_directory(python: Python) -> str:
    """Say where an interpreter looks for what the administrator adds."""
    name = f"pypy{python.folder[4:]}" if python.is_pypy else f"python{python.folder}"
    return f"/usr/local/lib/{name}/dist-packages"


def by_pth(chroot: Chroot, python: Python) -> None:
    """Deliver as ``enable`` does."""
    chroot.run(COMMAND, "enable", "--python", python.command)


def by_sitecustomize(chroot: Chroot, python: Python) -> None:
    """Deliver as ``enable --venvs`` does."""
    chroot.run(COMMAND, "enable", "--venvs", "--python", python.command)


def by_start_file(chroot: Chroot, python: Python) -> None:
    """Deliver as it will be from 3.18 on, by a file that 3.15 reads already (PEP 829)."""
    import json

    listed = chroot.run("/usr/bin/python3", "-c", START_FILES.format(STARTUP))
    directory = site_directory(python)
    for name, content in json.loads(listed).items():
        chroot.path(f"{directory}/{name}").write_text(content)
        chroot.path(f"{directory}/{name}").chmod(0o644)
    chroot.run(python.command, "-m", "compileall", "-q", directory, RUNTIME)


Damage = Callable[[Chroot], None]

DELIVERIES: Mapping[str, Callable[[Chroot, Python], None]] = {
    "pth": by_pth,
    "sitecustomize": by_sitecustomize,
    "start": by_start_file,
}
ways = [
    pytest.param(python, way, id=f"{python}-{way}")
    for python in PYTHONS
    for way in DELIVERIES
    if way != "start" or python is PYTHON_3_15
]


def test_a_start_file_brings_the_hook(machines: Machines) -> None:
    python = PYTHON_3_15
    with machines.running(python.suite, hooked=False) as chroot:
        by_start_file(chroot, python)
        before = written(chroot)
        for user in (USER, 0):
            done = start(chroot, python.command, "-c", "import json, idna", user=user)
            assert done.quiet == ""
            assert done.layers("json", "idna") == dict.fromkeys(["json", "idna"], TREE_LAYER)
        assert start(chroot, python.command, "-S", "-c", "import json").served == {}
        assert written(chroot) == before
        other = next(one for one in PYTHONS if one.folder == "3.14")
        assert start(chroot, other.command, "-c", "import json").quiet == ""
        assert start(chroot, other.command, "-c", "import json").served == {}


def test_enable_by_a_start_file_is_undone(machines: Machines) -> None:
    """As from 3.18 on, with the version at which that begins set down to 3.15."""
    python = PYTHON_3_15
    program = (
        "import sys; from pycache_sys.core import delivery; delivery.NO_IMPORT_LINES = (3, 15); "
        "from pycache_sys.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ("--python", python.command)
    with (
        machines.running(python.suite, hooked=False) as chroot,
        machines.running(python.suite, hooked=False) as pristine,
    ):
        chroot.run("/usr/bin/python3", "-B", "-c", program, "enable", *arguments)
        enabled = written(chroot)
        assert f"{site_directory(python)}/pycache-sys.start" in enabled
        for user in (USER, 0):
            done = start(chroot, python.command, "-c", "import json", user=user)
            assert done.quiet == ""
            assert done.layers("json") == {"json": TREE_LAYER}
        assert written(chroot) == enabled
        chroot.run("/usr/bin/python3", "-B", "-c", program, "disable", *arguments)
        left = {path for path in unlike(chroot, pristine) if not path.startswith(RUNTIME)}
        assert left == set()


def remove(chroot: Chroot) -> None:
    chroot.run("rm", "-r", RUNTIME)


def remove_all_but_startup(chroot: Chroot) -> None:
    chroot.run("sh", "-c", f"cd {RUNTIME} && rm -r __pycache__ && mv startup.py .. && rm *.py")
    chroot.run("mv", f"{DIST_PACKAGES}/startup.py", STARTUP)


def lock(chroot: Chroot) -> None:
    chroot.path(RUNTIME).chmod(0o700)


def lock_files(chroot: Chroot) -> None:
    chroot.run("chmod", "-R", "go=", *(f"{RUNTIME}/{name}.py" for name in ("startup", *STAGES)))


def make_empty(chroot: Chroot) -> None:
    chroot.path(STARTUP).write_text("")


def break_syntax(chroot: Chroot) -> None:
    chroot.path(f"{RUNTIME}/loader.py").write_text("def (:\n")
    chroot.path(STARTUP).write_bytes(chroot.path(STARTUP).read_bytes() + b"\ndef (:\n")


def in_each_stage(damage: Callable[[Chroot, str], None]) -> Mapping[str, Damage]:
    """Make a kind of damage for each of the modules that come after the start-up."""

    def one(name: str) -> Damage:
        return lambda chroot: damage(chroot, f"{RUNTIME}/{name}.py")

    return {f"{damage.__name__}_{name}": one(name) for name in STAGES}


def remove_file(chroot: Chroot, path: str) -> None:
    chroot.path(path).unlink()


def make_file_empty(chroot: Chroot, path: str) -> None:
    chroot.path(path).write_text("")


def raise_in_file(chroot: Chroot, path: str) -> None:
    chroot.path(path).write_text("raise RuntimeError('broken')\n")


def break_syntax_of_file(chroot: Chroot, path: str) -> None:
    chroot.path(path).write_text("def (:\n")


def make_directory(chroot: Chroot, path: str) -> None:
    chroot.path(path).unlink()
    chroot.path(path).mkdir()


def make_garbage(chroot: Chroot) -> None:
    chroot.path(STARTUP).write_bytes(b"\xff\x00\xfe" * 1000)


def truncate_bytecode(chroot: Chroot) -> None:
    for path in chroot.path(f"{RUNTIME}/__pycache__").iterdir():
        path.write_bytes(path.read_bytes()[:200])


def empty_bytecode(chroot: Chroot) -> None:
    for path in chroot.path(f"{RUNTIME}/__pycache__").iterdir():
        path.write_bytes(b"")


DAMAGES: Mapping[str, Damage] = {
    **{
        damage.__name__: damage
        for damage in (
            *(remove, remove_all_but_startup, lock, lock_files, make_empty, break_syntax),
            *(make_garbage, truncate_bytecode, empty_bytecode),
        )
    },
    **in_each_stage(remove_file),
    **in_each_stage(make_file_empty),
    **in_each_stage(raise_in_file),
    **in_each_stage(break_syntax_of_file),
    **in_each_stage(make_directory),
}


@pytest.mark.parametrize(("python", "way"), ways)
def test_every_start_is_silent_whatever_became_of_us(
    machines: Machines, python: Python, way: str
) -> None:
    silent = {}
    with machines.running(python.suite, hooked=False) as chroot:
        chroot.path("/srv/mine.py").write_text("ANSWER = 42\n")
        DELIVERIES[way](chroot, python)
        assert start(chroot, python.command, "-c", PROGRAM).layers("json") == {"json": TREE_LAYER}
        chroot.run("cp", "-a", RUNTIME, "/root/runtime")
        for name, damage in DAMAGES.items():
            damage(chroot)
            for user in (USER, 0):
                done = start(chroot, python.command, "-c", PROGRAM, user=user)
                silent[name, user] = (done.status, done.stdout, done.stderr)
            chroot.run("rm", "-rf", RUNTIME)
            chroot.run("cp", "-a", "/root/runtime", RUNTIME)
        assert start(chroot, python.command, "-c", PROGRAM).layers("json") == {"json": TREE_LAYER}
    assert silent == dict.fromkeys(silent, (0, "42\n", ""))

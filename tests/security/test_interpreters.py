"""By which interpreter: one that only root can change, whatever it says of itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from security.hostile import (
    HOSTILE_ENCODINGS,
    fenced,
    honest_answer,
    liar,
    parrot,
    tattler,
    with_libraries,
)
from security.machine import (
    ACCOUNT_ID,
    HOME,
    LIBRARY,
    MALLORY,
    TARGET,
    TREE,
    VERSION,
    Machine,
    copy_interpreter,
    entries,
    entry,
    give,
    invalid,
    make_directory,
    marks,
    write,
)
from security.posix_acl import grant

PREFIX = Path("/opt/python")
BINARY = PREFIX / "bin" / TARGET.name
TRANSIENT = set(range(61_184, 65_520)) - {ACCOUNT_ID}
STANDARD_LIBRARY = PREFIX / "lib" / f"python{VERSION}"

PROGRAM_ATTACKS: dict[str, tuple[Callable[[], None], str]] = {
    "of-a-user": (lambda: give(BINARY), "wrong-owner"),
    "writable-by-group": (lambda: BINARY.chmod(0o775), "writable-by-others"),
    "writable-by-others": (lambda: BINARY.chmod(0o757), "writable-by-others"),
    "with-acl": (lambda: grant(BINARY, MALLORY, permissions=7), "writable-by-others"),
    "directory-of-a-user": (lambda: give(BINARY.parent), "wrong-owner"),
    "directory-writable": (lambda: BINARY.parent.chmod(0o777), "writable-by-others"),
    "ancestor-of-a-user": (lambda: give(PREFIX), "wrong-owner"),
    "ancestor-writable": (lambda: PREFIX.chmod(0o775), "writable-by-others"),
}


@pytest.mark.parametrize("attack", PROGRAM_ATTACKS)
def test_a_program_that_others_control_never_runs(box: Machine, attack: str) -> None:
    do, reason = PROGRAM_ATTACKS[attack]
    write(LIBRARY / "module.py")
    tattler(BINARY)
    do()
    run = box.rebuild(LIBRARY, python=BINARY)
    assert marks() == set()
    assert run.status == 1
    assert run.interpreter(BINARY)["status"] == "skipped"
    assert run.interpreter(BINARY)["reason"] == reason
    assert entries() == set()


def test_the_tattler_tattles(box: Machine) -> None:
    """Were the program root's alone, it would run: as nobody that anybody else is."""
    tattler(BINARY)
    box.rebuild(LIBRARY, python=BINARY)
    (mark,) = marks()
    assert int(mark.removeprefix("ran-as-")) in TRANSIENT


@pytest.mark.parametrize("place", ["/usr/bin", "/usr/local/bin"])
def test_a_users_program_among_those_found_never_runs(bare_box: Machine, place: str) -> None:
    found = Path("/usr/local/bin/python3.99")
    theirs = tattler(HOME / "python3.99")
    give(theirs)
    make_directory(found.parent)
    if place == "/usr/bin":  # reached through a link that is root's
        found.symlink_to(theirs)
    else:
        shutil.copy(theirs, found)
        give(found)
    write(LIBRARY / "module.py")
    run = bare_box.rebuild(LIBRARY, python=None)
    assert marks() == set()
    assert run.interpreter(found)["reason"] == "wrong-owner"
    assert entry(LIBRARY / "module.py").exists()


def move_the_library_to_a_user() -> None:
    theirs = HOME / "library"
    shutil.copytree(STANDARD_LIBRARY, theirs)
    shutil.rmtree(STANDARD_LIBRARY)
    give(theirs)
    STANDARD_LIBRARY.symlink_to(theirs)


LIBRARY_ATTACKS: dict[str, Callable[[], None]] = {
    "library": lambda: give(STANDARD_LIBRARY),
    "library-writable": lambda: STANDARD_LIBRARY.chmod(0o775),
    "library-elsewhere": move_the_library_to_a_user,
    "lib-directory": lambda: give(STANDARD_LIBRARY.parent),
    "encodings-directory": lambda: give(STANDARD_LIBRARY / "encodings"),
    "encodings-module": lambda: give(STANDARD_LIBRARY / "encodings" / "__init__.py"),
    "os-module": lambda: give(STANDARD_LIBRARY / "os.py"),
}


@pytest.mark.parametrize("attack", LIBRARY_ATTACKS)
def test_a_standard_library_that_others_control(box: Machine, attack: str) -> None:
    copy_interpreter(PREFIX)
    LIBRARY_ATTACKS[attack]()
    write(LIBRARY / "module.py")
    run = box.rebuild(LIBRARY, python=BINARY)
    assert run.interpreter(BINARY)["status"] == "skipped"
    assert run.interpreter(BINARY)["reason"] in {"wrong-owner", "writable-by-others"}
    assert entries() == set()


def plant_hostile_library(box: Machine) -> None:
    """Let a user write the standard library of root's program: it lies when it is asked."""
    copy_interpreter(PREFIX)
    answer = fenced({**honest_answer(box), "libraries": []}).encode()
    start_up = STANDARD_LIBRARY / "encodings" / "__init__.py"
    start_up.write_text(HOSTILE_ENCODINGS.format(answer=answer))
    for path in (start_up, start_up.parent, STANDARD_LIBRARY):
        give(path)


@pytest.mark.parametrize("fixture", ["box", "bare_box"])
def test_a_users_standard_library_never_runs_as_root(
    request: pytest.FixtureRequest, fixture: str
) -> None:
    box: Machine = request.getfixturevalue(fixture)
    plant_hostile_library(box)
    write(LIBRARY / "module.py")
    run = box.rebuild(LIBRARY, python=BINARY)
    assert "ran-as-0" not in marks()
    assert run.interpreter(BINARY)["status"] == "skipped"
    assert entries() == set()


def test_a_users_pyvenv_cfg_does_not_choose_what_runs(bare_box: Machine) -> None:
    """A root-owned virtual environment whose configuration a user may write."""
    plant_hostile_library(bare_box)
    environment = Path("/opt/environment")
    python = environment / "bin" / TARGET.name
    make_directory(python.parent)
    shutil.copy(BINARY, python)
    theirs = HOME / "prefix" / "bin"
    shutil.copytree(PREFIX, theirs.parent)
    config = write(environment / "pyvenv.cfg", f"home = {theirs}\n")
    give(config)
    write(LIBRARY / "module.py")
    run = bare_box.rebuild(LIBRARY, python=python)
    assert marks() == set()
    assert run.interpreter(python)["status"] == "skipped"
    assert entries() == set()


def test_a_users_libpython_is_refused(box: Machine) -> None:
    """Any library named so will do: what counts is that the kernel mapped it."""
    library = PREFIX / "lib" / f"libpython{VERSION}.so.1.0"
    make_directory(library.parent)
    shutil.copy(next(Path("/lib").glob("*-linux-gnu*/libm.so.6")), library)
    give(library)
    text = f'#!/bin/sh\nLD_PRELOAD={library} exec {TARGET} "$@"\n'
    write(BINARY, text, mode=0o755)
    write(LIBRARY / "module.py")
    run = box.rebuild(LIBRARY, python=BINARY)
    assert run.interpreter(BINARY)["reason"] == "wrong-owner"
    assert str(library) in run.interpreter(BINARY)["detail"]
    assert entries() == set()


LIES: dict[str, dict[str, object]] = {
    "version-path": {"version": ["../../etc", 11, 2]},
    "version-text": {"version": "../../etc"},
    "version-negative": {"version": [-3, 11, 2]},
    "version-bool": {"version": [True, True, True]},
    "implementation": {"implementation": "../../etc"},
    "implementation-unknown": {"implementation": "cpython/../.."},
    "tag-path": {"cache_tag": "../../../etc/victim"},
    "tag-slash": {"cache_tag": "a/b"},
    "magic": {"magic": "00"},
    "library-relative": {"library": ["opt/victim"]},
    "library-dots": {"library": ["/usr/../srv/victim"]},
    "library-elsewhere": {"library": ["/srv/victim"]},
    "library-nowhere": {"library": ["/usr/lib/nowhere"]},
    "library-of-another": {"library": ["/usr/lib/python3"]},
    "library-of-a-user": {"library": ["/home/mallory/library"]},
    "binary-relative": {"binary": "python3"},
    "binary-missing": {"binary": None},
    "binary-nowhere": {"binary": "/usr/bin/nowhere"},
    "nul": {"library": ["/usr/lib\0/python3"]},
    "surrogate-library": {"library": [f"/usr/lib/python{VERSION}", "/usr/lib/\ud800"]},
    "surrogate-binary": {"binary": "/usr/bin/\ud800"},
}
NONSENSE = {
    "unhashable": "{[]: 1}",
    "set-of-sets": "{{1}}",
    "parentheses": "(" * 50_000,
    "signs": "-" * 50_000 + "1",
    "list": "[3, 11]",
    "empty": "{}",
    "digits": "{'version': [3, 11, " + "9" * 10_000 + "]}",
    "code": "{'version': __import__('os').mkdir('/opt/marks/evaluated')}",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_not_believed(box: Machine, lie: str) -> None:
    program = liar(box, PREFIX / "bin" / "liar", **LIES[lie])
    write(LIBRARY / "module.py")
    etc = sorted(Path("/etc").iterdir())
    run = box.rebuild(LIBRARY, python=program)
    assert run.interpreter(program)["status"] == "skipped"
    assert run.interpreter(program)["detail"]
    assert entries() == set()
    assert {p.name for p in TREE.iterdir()} <= {"CACHEDIR.TAG"}
    assert sorted(Path("/etc").iterdir()) == etc
    assert sorted(p.name for p in Path("/var/cache").iterdir()) == ["python"]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_an_outcome(box: Machine, nonsense: str) -> None:
    program = parrot(PREFIX / "bin" / "parrot", fenced(NONSENSE[nonsense]))
    sound = write(LIBRARY / "module.py")
    run = box.rebuild(LIBRARY, "--python", program)
    assert run.interpreter(program)["reason"] == "broken"
    assert marks() == set()
    assert entries() == {entry(sound)}


@pytest.mark.parametrize("lie", ["binary-nowhere", "surrogate-library", "surrogate-binary"])
def test_a_lie_to_a_caller_with_a_tree_of_his_own_is_an_outcome(box: Machine, lie: str) -> None:
    program = liar(box, PREFIX / "bin" / "liar", **LIES[lie])
    sound = write(LIBRARY / "module.py")
    tree = Path("/opt/tree")
    run = box.rebuild(LIBRARY, "--tree", tree, "--python", program)
    assert entry(sound, tree).exists()
    assert run.interpreter(program)["status"] in {"used", "skipped"}


@pytest.mark.parametrize("claimed", ["/home/victim", "/usr/../home/victim", "/opt/../home/victim"])
def test_directories_outside_of_the_managed_roots_are_not_looked_at(
    box: Machine, claimed: str
) -> None:
    victim = write(Path("/home/victim/module.py"))
    program = with_libraries(box, PREFIX / "bin" / "liar", library=LIBRARY, site=[claimed])
    sound = LIBRARY / "os.py"
    run = box.rebuild(python=program)
    assert run.interpreter(program)["status"] == "used", run.stdout
    assert entries() == {entry(sound)}
    assert not entry(victim).exists()
    assert invalid() == []


def test_an_endless_answer_and_a_hanging_program_end(box: Machine) -> None:
    endless = write(PREFIX / "bin" / "endless", "#!/bin/sh\nexec yes 11111111\n", mode=0o755)
    hanging = write(PREFIX / "bin" / "hanging", "#!/bin/sh\nexec sleep 1000\n", mode=0o755)
    write(LIBRARY / "module.py")
    run = box.rebuild(LIBRARY, "--python", str(endless), "--python", str(hanging))
    assert run.interpreter(endless)["status"] == "skipped"
    assert run.interpreter(hanging)["reason"] == "no-answer"
    assert entry(LIBRARY / "module.py").exists()

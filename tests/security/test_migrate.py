"""``migrate`` between users: what others have a say in is neither removed nor written."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pycache_sys.system import in_place
from security.machine import ENVIRONMENT, LIBRARY, TAG, TARGET, Machine, give, make_directory, write
from security.namespace import mounted

LEDGER = Path("/var/lib/pycache-sys/in-place")
POLICY = Path("/opt/policy.conf")
VICTIM = Path("/opt/victim")
SECONDS = 100.0

Migrate = Callable[..., tuple[int, Mapping[str, Any], str]]


@pytest.fixture
def migrate(bare_box: Machine, scratch: Path) -> Iterator[Migrate]:
    """Run ``migrate`` for one root, on a machine whose ``/usr`` and ``/var/lib`` are copies."""
    layers = []
    for place in ("/usr", "/var/lib"):
        layer = scratch / place.strip("/").replace("/", "-")
        for part in ("upper", "work"):
            (layer / part).mkdir(parents=True)
            (layer / part).chmod(0o755)
        options = f"lowerdir={place},upperdir={layer}/upper,workdir={layer}/work"
        layers.append(mounted("overlay", place, "overlay", options=options))
    write(POLICY, f"roots = {LIBRARY}\n")

    def run(*arguments: str | Path) -> tuple[int, Mapping[str, Any], str]:
        options = ["--json", "--force", "--python", str(TARGET), "--config", str(POLICY)]
        done = subprocess.run(
            [str(bare_box.command), "migrate", *options, *map(str, arguments)],
            env=ENVIRONMENT,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr

    with layers[0], layers[1]:
        yield run


def module(name: str, text: str = "ANSWER = 42\n") -> tuple[Path, Path]:
    """Write a source and the bytecode beside it; return both."""
    source = write(LIBRARY / name, text)
    compile_beside(source)
    return source, beside(source)


def beside(source: Path) -> Path:
    """Say where a source's bytecode is beside it."""
    return source.parent / "__pycache__" / f"{source.stem}.{TAG}.pyc"


def compile_beside(source: Path) -> None:
    """Let the interpreter compile a source in place."""
    command = [TARGET, "-I", "-S", "-m", "py_compile", source]
    subprocess.run(command, env=ENVIRONMENT, cwd="/", check=True)


def test_what_is_roots_alone_goes_and_comes_back(migrate: Migrate) -> None:
    """The control of all the others."""
    source, bytecode = module("good/one.py")
    before = bytecode.stat()
    status, done, _ = migrate()
    assert (status, done["removed"], done["directories"]) == (0, 1, 1)
    assert not bytecode.parent.exists()
    assert migrate("--undo")[1]["restored"] == 1
    after = bytecode.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert source.exists()


def other_owner(_: Path, bytecode: Path) -> None:
    give(bytecode)


def writable_file(_: Path, bytecode: Path) -> None:
    bytecode.chmod(0o666)


def other_pycache(_: Path, bytecode: Path) -> None:
    give(bytecode.parent)


def open_pycache(_: Path, bytecode: Path) -> None:
    bytecode.parent.chmod(0o1777)


def other_directory(source: Path, _: Path) -> None:
    give(source.parent)


def other_source(source: Path, _: Path) -> None:
    give(source)


def linked_pycache(_: Path, bytecode: Path) -> None:
    VICTIM.mkdir()
    bytecode.parent.rename(VICTIM / "pycache")
    bytecode.parent.symlink_to(VICTIM / "pycache")


def linked_file(_: Path, bytecode: Path) -> None:
    VICTIM.mkdir()
    bytecode.rename(VICTIM / "file.pyc")
    bytecode.symlink_to(VICTIM / "file.pyc")


HOSTILE = [
    other_owner,
    writable_file,
    other_pycache,
    open_pycache,
    other_directory,
    other_source,
    linked_pycache,
    linked_file,
]


@pytest.mark.parametrize("spoil", HOSTILE, ids=lambda spoil: spoil.__name__)
def test_what_others_have_a_say_in_stays(
    migrate: Migrate, spoil: Callable[[Path, Path], None]
) -> None:
    source, bytecode = module("spoiled/one.py")
    _, good = module("good/two.py")
    spoil(source, bytecode)
    content = bytecode.read_bytes()
    status, done, _ = migrate()
    assert (status, done["removed"]) == (0, 1)
    assert not good.exists()
    assert bytecode.read_bytes() == content
    assert sum(done["left"].values()) == 1


@pytest.mark.parametrize(
    "spoil", [other_directory, linked_pycache, other_pycache], ids=lambda spoil: spoil.__name__
)
def test_nothing_is_put_where_others_have_a_say(
    migrate: Migrate, spoil: Callable[[Path, Path], None]
) -> None:
    source, bytecode = module("spoiled/one.py")
    migrate()
    make_directory(bytecode.parent)
    spoil(source, bytecode)
    status, done, _ = migrate("--undo")
    assert status == 1
    assert done["restored"] == 0
    assert not bytecode.exists()
    assert not list(VICTIM.rglob("*.pyc"))
    assert LEDGER.exists()


def test_a_hard_link_is_one_name_less(migrate: Migrate) -> None:
    _, bytecode = module("good/one.py")
    VICTIM.mkdir()
    (VICTIM / "same.pyc").hardlink_to(bytecode)
    content = bytecode.read_bytes()
    assert migrate()[1]["bytes"] == 0
    assert not bytecode.exists()
    assert (VICTIM / "same.pyc").read_bytes() == content


def test_a_directory_exchanged_after_the_look_is_not_entered(migrate: Migrate) -> None:
    """What the plan names is opened anew, through no link, and judged anew."""
    source, bytecode = module("good/one.py")
    sources = frozenset({source.name})
    assert bytecode.name in in_place.look(str(source.parent), sources).files
    linked_pycache(source, bytecode)
    kept = VICTIM / "pycache" / bytecode.name
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        in_place.remove(str(source.parent), [bytecode.name], may_go=True)
    assert kept.exists()
    bytecode.parent.unlink()
    make_directory(bytecode.parent)
    give(bytecode.parent)
    bytecode.write_bytes(b"mallory's")
    with pytest.raises(in_place.NotRootsError):
        in_place.remove(str(source.parent), [bytecode.name], may_go=True)
    assert bytecode.read_bytes() == b"mallory's"


def test_a_race_of_renames_leads_nowhere(migrate: Migrate) -> None:
    """Mallory exchanges directories of hers, below the root, for links to root's, all the time."""
    VICTIM.mkdir()
    victim = write(VICTIM / "package" / "one.py")
    compile_beside(victim)
    playground = make_directory(LIBRARY / "playground")
    real = make_directory(playground / "real")
    write(real / "one.py")
    compile_beside(real / "one.py")
    for path in (playground, real, *real.rglob("*")):
        give(path)
    name, aside = playground / "package", playground / "aside"
    real.rename(name)
    (playground / "link").symlink_to(VICTIM / "package")
    ending = threading.Event()
    turns = 0

    def exchange() -> None:
        nonlocal turns
        while not ending.is_set():
            name.rename(aside)
            os.rename(playground / "link", name)
            os.rename(name, playground / "link")
            aside.rename(name)
            turns += 1

    racing = threading.Thread(target=exchange)
    racing.start()
    try:
        for _ in range(8):
            _, done, _ = migrate()
            assert done["removed"] == 0
    finally:
        ending.set()
        racing.join()
    assert turns > 100
    assert beside(victim).exists()
    assert beside(name / "one.py").exists()


def spoil_owner() -> None:
    give(LEDGER)


def spoil_mode() -> None:
    LEDGER.chmod(0o666)


def spoil_link() -> None:
    LEDGER.rename(LEDGER.with_name("elsewhere"))
    LEDGER.symlink_to(LEDGER.with_name("elsewhere"))


def spoil_content() -> None:
    LEDGER.write_text('{"pycache-sys in-place": 1}\n["/opt", 3]\n')


def spoil_version() -> None:
    LEDGER.write_text('{"pycache-sys in-place": 2}\n')


def spoil_all() -> None:
    LEDGER.write_text("")


@pytest.mark.parametrize(
    "spoil",
    [spoil_owner, spoil_mode, spoil_link, spoil_content, spoil_version, spoil_all],
    ids=lambda spoil: spoil.__name__,
)
def test_a_ledger_in_other_hands_is_not_believed(
    migrate: Migrate, spoil: Callable[[], None]
) -> None:
    module("good/one.py")
    migrate()
    _, other = module("good/two.py")
    spoil()
    for arguments in ((), ("--undo",)):
        status, _, stderr = migrate(*arguments)
        assert status == 5
        assert str(LEDGER) in stderr
        assert "move" in stderr
    assert other.exists()


def test_a_ledger_gives_no_rights(migrate: Migrate) -> None:
    """It names files that are not managed, names with slashes, and modes that let others write."""
    source, bytecode = module("good/one.py")
    migrate()
    outside = write(VICTIM / "one.py")
    name = bytecode.name
    lines = [
        '{"pycache-sys in-place": 1}',
        json.dumps([str(VICTIM), [0o777, 0, 0], {name: [0o666, 0, 0]}]),
        json.dumps(
            [
                str(source.parent),
                [0o777, 0, 0],
                {name: [0o6666, 0, 0], f"../../{name}": [0o644, 0, 0]},
            ]
        ),
    ]
    LEDGER.write_text("\n".join(lines) + "\n")
    status, done, _ = migrate("--undo")
    assert (status, done["restored"]) == (1, 1)
    assert not beside(outside).parent.exists()
    assert bytecode.stat().st_mode & 0o7777 == 0o644
    assert bytecode.parent.stat().st_mode & 0o7777 == 0o755


def test_a_full_disk_takes_nothing_back_and_keeps_the_list(migrate: Migrate) -> None:
    make_directory(LIBRARY / "small")
    with mounted("tmpfs", str(LIBRARY / "small"), "tmpfs", options="size=128k,mode=755"):
        text = "".join(f"V{number} = 'word {number}'\n" for number in range(400))
        _, bytecode = module("small/one.py", text)
        assert migrate()[1]["removed"] == 1
        filler = LIBRARY / "small/filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        status, done, _ = migrate("--undo")
        assert (status, done["restored"]) == (1, 0)
        assert done["rebuild"]["failures"][0]["reason"] == "write"
        assert not list((LIBRARY / "small").rglob("*.pyc"))
        assert not list((LIBRARY / "small").rglob("*.tmp"))
        filler.unlink()
        assert migrate("--undo")[1]["restored"] == 1
        assert bytecode.stat().st_size > 4096
        assert not LEDGER.exists()

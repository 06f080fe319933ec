"""Damaged entries in each layer, for a user and for root: the right code runs, and caches heal."""

import marshal
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from security.accounts import (
    BESIDE,
    COMPILED,
    EVIL,
    FROM_TREE,
    GOOD,
    IMAGE,
    OWN,
    SHARED,
    SOURCE,
    TREE,
    Account,
    World,
    beside,
    entry,
    look,
    put,
    pyc,
    world,
)
from security.namespace import BIND, NOSUID_NODEV, READ_ONLY, REMOUNT, mount, mounted

LIBRARY = Path("/opt/library")
WHERE = ("image", "system", "beside", "own")
DAMAGE = (
    *("empty", "byte", "short", "header", "truncated", "garbage", "number", "none", "text"),
    *("magic", "flags", "other-flags", "high-flags", "size", "time", "unreadable"),
    *("directory", "full-directory", "fifo", "device", "loop", "dangling"),
)
ODD = (*DAMAGE[DAMAGE.index("directory") :], "huge")


@pytest.fixture
def people(command: Path, own_mounts: None, scratch: Path) -> Iterator[World]:
    """Give a machine with two accounts and root."""
    with world(command, scratch) as place:
        yield place


def damaged(source: Path, kind: str) -> bytes:
    """Spoil bytecode that would say the wrong word."""
    valid = pyc(source)
    return {
        "empty": b"",
        "byte": valid[:1],
        "short": valid[:15],
        "header": valid[:16],
        "truncated": valid[:-7],
        "garbage": valid[:16] + bytes(range(255, 0, -1)),
        "number": valid[:16] + marshal.dumps(1),
        "none": valid[:16] + marshal.dumps(None),
        "text": valid[:16] + marshal.dumps("print('evil')"),
        "magic": b"\0\0\r\n" + valid[4:],
        "flags": valid[:4] + b"\x04\0\0\0" + valid[8:],
        "other-flags": valid[:4] + b"\x02\0\0\0" + valid[8:12] + b"\0\0\0\0" + valid[16:],
        "high-flags": valid[:4] + b"\0\0\0\x80" + valid[8:],
        "size": valid[:12] + b"\0\1\0\0" + valid[16:],
        "time": valid[:8] + b"\0\1\0\0" + valid[12:],
        "unreadable": pyc(source, GOOD),
    }[kind]


def spoil(path: Path, source: Path, kind: str, owner: Account) -> None:
    """Put something at an entry's place."""
    put(path, damaged(source, kind) if kind not in ODD else b"", owner=owner)
    if kind == "unreadable":
        path.chmod(0)
    if kind in ODD:
        path.unlink()
    if kind in ("directory", "full-directory"):
        path.mkdir()
        if kind == "full-directory":
            (path / "file").touch()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, 0o020644, os.makedev(1, 5))
    elif kind == "huge":
        path.write_bytes(pyc(source)[:16])
        os.truncate(path, 1 << 40)
    elif kind in ODD:
        path.symlink_to(path.name if kind == "loop" else "nothing")
    owner.owns(path)


def place_of(where: str, source: Path, who: Account) -> Path:
    """Say where a layer has a source's bytecode."""
    return {
        "image": entry(IMAGE, source),
        "system": entry(TREE, source),
        "beside": beside(source),
        "own": entry(who.own, source),
    }[where]


def sources(root: Account, kinds: tuple[str, ...] = DAMAGE) -> dict[str, Path]:
    """Write a source of root's for each kind of damage."""
    names = {kind: f"m_{kind.replace('-', '_')}.py" for kind in kinds}
    return {kind: put(LIBRARY / name, SOURCE.encode(), owner=root) for kind, name in names.items()}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", ["ada", "root"])
def test_a_damaged_entry_costs_time(people: World, name: str, where: str) -> None:
    who: Account = getattr(people, name)
    owner = who if where == "own" else people.root
    library = sources(people.root)
    for kind, source in library.items():
        spoil(place_of(where, source, who), source, kind, owner)
    tops = [path for path in (LIBRARY, TREE, IMAGE) if path.exists()]
    before = look(*tops)
    first = who.imports(*library.values())
    again = who.imports(*library.values())
    assert look(*tops) == before
    for kind, source in library.items():
        if name == "root" and kind == "unreadable":
            continue  # there is nothing that root does not read
        assert first.layer(source.stem) == COMPILED, kind
        # only what is no empty directory stays in the way of the own cache
        stays = where == "own" and kind == "full-directory"
        assert again.layer(source.stem) == (COMPILED if stays else OWN), kind
    assert first.said == again.said == [GOOD] * len(library)
    assert not list(who.own.rglob("*.tmp"))
    # what is not damaged is loaded from there
    for source in library.values():
        place = place_of(where, source, who)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        put(place, pyc() if where == "own" else pyc(source), owner=owner)
    control = who.imports(*library.values())
    assert control.said == [EVIL] * len(library)
    layer = {"beside": BESIDE, "own": OWN}.get(where, FROM_TREE)
    assert {control.layer(source.stem) for source in library.values()} == {layer}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", ["ada", "root"])
def test_an_entry_that_no_memory_holds(people: World, name: str, where: str) -> None:
    """A disk's error may leave one; it has the right stamps."""
    who: Account = getattr(people, name)
    (source,) = sources(people.root, ("huge",)).values()
    spoil(place_of(where, source, who), source, "huge", who if where == "own" else people.root)
    for layer in (COMPILED, OWN):
        run = who.imports(source)
        assert (run.said, run.layer(source.stem)) == ([GOOD], layer)


@pytest.mark.parametrize("name", ["ada", "root"])
def test_every_layer_damaged_at_once(people: World, name: str) -> None:
    who: Account = getattr(people, name)
    library = sources(people.root)
    kinds = list(library)
    for number, source in enumerate(library.values()):
        for step, where in enumerate(WHERE):
            kind = kinds[(number + 5 * step) % len(kinds)]
            if kind in ("unreadable", "full-directory"):
                kind = "truncated"
            owner = who if where == "own" else people.root
            spoil(place_of(where, source, who), source, kind, owner)
    for layer in (COMPILED, OWN):
        run = who.imports(*library.values())
        assert run.said == [GOOD] * len(library)
        assert {run.layer(source.stem) for source in library.values()} == {layer}


@pytest.mark.parametrize("name", ["ada", "root"])
def test_an_image_that_is_read_only(people: World, name: str) -> None:
    """Its tree is mounted, as an image's is: damaged entries in it are passed by."""
    who: Account = getattr(people, name)
    library = sources(people.root, ("truncated", "empty", "fifo"))
    good = put(LIBRARY / "whole.py", SOURCE.encode(), owner=people.root)
    staging = SHARED / "image"
    staging.mkdir()
    for kind, source in library.items():
        spoil(entry(staging, source), source, kind, people.root)
    put(entry(staging, good), pyc(), owner=people.root)
    IMAGE.mkdir()
    with mounted(str(staging), str(IMAGE), flags=BIND):
        mount("none", str(IMAGE), flags=BIND | REMOUNT | READ_ONLY | NOSUID_NODEV)
        for layer in (COMPILED, OWN):
            run = who.imports(good, *library.values())
            assert run.said == [EVIL, *[GOOD] * len(library)]
            assert run.layer("whole") == FROM_TREE
            assert {run.layer(source.stem) for source in library.values()} == {layer}


@pytest.mark.parametrize("place", [TREE, IMAGE], ids=str)
@pytest.mark.parametrize("kind", ["file", "fifo", "loop", "0700"])
def test_a_tree_that_is_none(people: World, place: Path, kind: str) -> None:
    """Its top, its folder and its folders below are something else, or closed."""
    source = put(LIBRARY / "module.py", SOURCE.encode(), owner=people.root)
    planted = entry(place, source)
    for spoilt in (place, planted.parents[2], planted.parent):
        put(planted, pyc(), owner=people.root)
        if kind == "0700":
            spoilt.chmod(0o700)
        else:
            shutil.rmtree(spoilt)
            spoilt.touch()
            if kind != "file":
                spoilt.unlink()
                os.mkfifo(spoilt) if kind == "fifo" else spoilt.symlink_to(spoilt.name)
        assert people.ada.imports(source).said == [GOOD]
        assert people.root.imports(source).said == [EVIL if kind == "0700" else GOOD]
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    put(planted, pyc(), owner=people.root)
    assert people.ada.imports(source).said == people.root.imports(source).said == [EVIL]

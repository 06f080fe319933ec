"""A root that is not root's: compiled because a section says so, apart, and within limits."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from security.machine import (
    HOME,
    LIBRARY,
    MALLORY,
    TREE,
    Machine,
    entries,
    entry,
    give,
    invalid,
    make_directory,
    slow_source,
    write,
)
from security.policies import EVE, ROOTS, build, built, lay, settle
from security.posix_acl import grant
from security.processes import workers

APP = Path("/opt/app")
MODULE = APP / "package" / "module.py"
SECTION = f"{ROOTS}[root {APP}]\nowner = mallory\n"
SYSTEMS = LIBRARY / "systems.py"


def theirs(path: Path, text: str = "ANSWER = 42\n", *, uid: int = MALLORY) -> Path:
    """Write a source of a user's in the application, with its directories."""
    missing = [above for above in path.parents if not above.exists()]
    write(path, text)
    for made in (path, *missing):
        give(made, uid)
    return path


@pytest.fixture
def app(ruled: Machine) -> Machine:
    """Give a machine with an application that is a user's, and a library that is root's."""
    write(SYSTEMS)
    theirs(MODULE)
    return ruled


@pytest.mark.parametrize("owner", ["mallory", str(MALLORY)])
def test_an_owners_root_is_compiled_as_long_as_the_section_is_there(
    app: Machine, owner: str
) -> None:
    lay(ROOTS.replace("\n", f" {APP}\n"))
    assert build(app).reason(APP) == "wrong-owner"
    assert built() == {SYSTEMS}
    lay(f"{ROOTS}[root {APP}]\nowner = {owner}\n")
    settle(app, {SYSTEMS, MODULE})
    status = os.stat(entry(MODULE))
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o644)
    assert build(app, MODULE).count("fresh") == 1
    lay(ROOTS)
    settle(app, {SYSTEMS})
    assert build(app, MODULE).reason(MODULE) == "wrong-owner"
    assert built() == {SYSTEMS}


@pytest.mark.parametrize("how", ["everything", "path", "package-directory"])
def test_another_owner_means_the_first_ones_files_go(app: Machine, how: str) -> None:
    lay(SECTION)
    settle(app, {SYSTEMS, MODULE})
    lay(SECTION.replace("mallory", "eve"))
    named = {"everything": [], "path": [MODULE], "package-directory": [MODULE.parent]}[how]
    assert build(app, *named).status == 0
    assert built() == {SYSTEMS}


def test_roots_files_are_welcome_in_it(app: Machine) -> None:
    mine = write(APP / "vendor" / "mine.py")
    lay(SECTION)
    settle(app, {SYSTEMS, MODULE, mine})


def test_the_section_is_for_no_other_directory(app: Machine) -> None:
    neighbour = theirs(Path("/opt/app2/module.py"))
    in_library = theirs(LIBRARY / "module.py")
    lay(f"roots = {LIBRARY} /opt/app2\n[root {APP}]\nowner = mallory\n")
    run = settle(app, {SYSTEMS, MODULE})
    assert run.reason(neighbour.parent) == "wrong-owner"
    assert run.reason(in_library) == "wrong-owner"
    assert build(app, neighbour, in_library, APP).status == 0
    assert built() == {SYSTEMS, MODULE}


def test_a_section_without_an_owner_trusts_root_alone(app: Machine) -> None:
    lay(f"{ROOTS}[root {APP}]\noptimize = 0\n")
    run = settle(app, {SYSTEMS})
    assert run.reason(APP) == "wrong-owner"


def test_whoever_owns_the_way_to_it_is_no_owner(app: Machine) -> None:
    inner = theirs(HOME / "app" / "module.py", uid=EVE)
    lay(f"{ROOTS}[root {inner.parent}]\nowner = eve\n")
    settle(app, {SYSTEMS})


def test_a_section_inside_has_the_owner_too(app: Machine) -> None:
    """What the deeper section leaves open the other says: also whose it is."""
    inner = theirs(APP / "vendor" / "inner.py")
    lay(f"{SECTION}[root {inner.parent}]\nexclude = {APP}/nothing\n")
    settle(app, {SYSTEMS, MODULE, inner})


# what others have in it

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "of-a-third": (lambda: give(MODULE, EVE), "wrong-owner"),
    "writable-by-group": (lambda: MODULE.chmod(0o664), "writable-by-others"),
    "writable-by-others": (lambda: MODULE.chmod(0o646), "writable-by-others"),
    "with-acl": (lambda: grant(MODULE, EVE, permissions=6), "writable-by-others"),
    "private": (lambda: MODULE.chmod(0o600), "not-readable-by-all"),
    "directory-of-a-third": (lambda: give(MODULE.parent, EVE), "wrong-owner"),
    "directory-writable": (lambda: MODULE.parent.chmod(0o775), "writable-by-others"),
    "directory-private": (lambda: MODULE.parent.chmod(0o700), "not-readable-by-all"),
    "link-to-a-thirds": (lambda: linked(theirs(HOME / "x.py", uid=EVE)), "wrong-owner"),
    "link-to-own-elsewhere": (lambda: linked(theirs(HOME / "x.py")), "wrong-owner"),
    "link-through-a-thirds-directory": (
        lambda: linked(theirs(theirs(APP / "eves" / "x.py", uid=EVE), uid=MALLORY)),
        "wrong-owner",
    ),
    "link-of-a-third": (lambda: give(linked(write(APP / "x.txt")), EVE), "wrong-owner"),
    "link-to-a-secret": (lambda: linked(Path("/etc/shadow")), "not-readable-by-all"),
    "link-to-a-device": (lambda: linked(Path("/dev/zero")), "not-regular"),
    "hard-link-to-a-thirds": (lambda: linked(theirs(HOME / "x", uid=EVE), hard=True), ""),
}


def linked(target: Path, *, hard: bool = False) -> Path:
    """Put a link of the owner's in the module's place."""
    MODULE.unlink()
    if hard:
        MODULE.write_text("")
        MODULE.chmod(0o644)
        give(MODULE, EVE)
    else:
        MODULE.symlink_to(target)
        give(MODULE)
    return MODULE


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_third_could_have_written_feeds_nothing(app: Machine, case: str) -> None:
    do, reason = REFUSED[case]
    lay(SECTION)
    assert build(app).status == 0
    assert built() == {SYSTEMS, MODULE}
    do()
    run = build(app)
    assert run.status == 0
    assert {run.reason(MODULE), run.reason(MODULE.parent)} - {None} == {reason or "wrong-owner"}
    assert MODULE not in built()
    assert build(app, MODULE).status == 0
    assert MODULE not in built()


@pytest.mark.parametrize("of", [EVE, MALLORY, 0])
def test_a_link_to_a_directory_elsewhere_feeds_nothing(app: Machine, of: int) -> None:
    outside = HOME / "outside"
    for name in ("__init__", "module"):
        theirs(outside / f"{name}.py", uid=of)
    alias = APP / "alias"
    alias.symlink_to(outside)
    give(alias)
    lay(SECTION)
    run = settle(app, {SYSTEMS, MODULE})
    assert run.reason(alias) == "outside-roots"
    assert build(app, alias / "module.py", alias).status == 0
    assert built() == {SYSTEMS, MODULE}


def test_the_root_itself_is_no_link_of_the_owners(app: Machine) -> None:
    link = Path("/opt/link")
    link.symlink_to(theirs(HOME / "real" / "module.py").parent)
    give(link)
    lay(f"{ROOTS}[root {link}]\nowner = mallory\n")
    assert build(app).status in {0, 3}
    assert built() <= {SYSTEMS}


# workers


def seen_workers(box: Machine) -> list[set[int]]:
    """Rebuild with one worker at a time; say who was there, moment by moment."""
    process = box.start("-j1", "--force", python=None)
    seen: list[set[int]] = []
    while process.poll() is None:
        now = set(workers(process.pid))
        if now and (not seen or seen[-1] != now):
            seen.append(now)
    assert box.finish(process).status == 0
    return seen


def test_an_owners_sources_have_workers_of_their_own(app: Machine) -> None:
    slow_source(LIBRARY / "slow.py", lines=10_000)
    give(slow_source(APP / "slow.py", lines=10_000))
    write(APP / "mine.py")
    lay(SECTION)
    apart = seen_workers(app)
    assert len(apart) == 2
    assert apart[0].isdisjoint(apart[1])
    lay(ROOTS)
    assert len(seen_workers(app)) == 1


# limits


def limited(what: str) -> None:
    """Write the section with a limit."""
    lay(f"{SECTION}{what}\n")


def owned() -> set[Path]:
    """Name the application's sources that have bytecode."""
    return {path for path in built() if path.is_relative_to(APP)}


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_the_number_of_files_is_limited_in_every_run(app: Machine, jobs: str) -> None:
    for number in range(9):
        theirs(APP / f"part{number % 3}" / f"m{number}.py")
    limited("max-files = 4")
    run = build(app, jobs)
    assert run.status == 0
    first = owned()
    assert len(first) == 4
    assert [skip["reason"] for skip in run.report["skips"]] == ["over-limit"] * 6
    again = build(app, jobs)
    assert (again.count("compiled"), again.count("removed"), owned()) == (0, 0, first)
    for place in (
        APP,
        APP / "part0",
        APP / "part1",
        APP / "part2",
        MODULE,
        APP / "part2" / "m2.py",
    ):
        assert build(app, jobs, place).status == 0
        assert len(owned()) == 4, place
    theirs(APP / "part3" / "new.py")
    theirs(APP / "a.py")
    build(app, jobs)
    assert len(owned()) == 4
    for source in list(owned())[:3]:
        source.unlink()
    build(app, jobs)
    assert len(owned()) == 4
    limited("max-files = 2")
    build(app, jobs, MODULE)
    assert len(owned()) == 2
    limited("max-files = 100")
    build(app, jobs)
    assert len(owned()) == 9
    assert SYSTEMS in built()
    assert invalid() == []


def test_a_wide_root_is_limited_too(app: Machine) -> None:
    """Where the survey is divided among processes, each would count for itself."""
    for number in range(150):
        theirs(APP / f"part{number}" / "m.py")
    limited("max-files = 100")
    assert build(app, "-j2").status == 0
    assert len(owned()) == 100


def test_the_number_of_bytes_is_limited_in_every_run(app: Machine) -> None:
    for number in range(6):
        theirs(APP / f"m{number}.py", "#" * 999 + "\n")
    limited("max-bytes = 3K")
    for _ in range(2):
        assert build(app).status == 0
        assert sum(path.stat().st_size for path in owned()) <= 3 << 10
        assert len(owned()) in {3, 4}
    assert build(app, APP / "m5.py").status == 0
    assert sum(path.stat().st_size for path in owned()) <= 3 << 10
    large = theirs(APP / "large.py", "#" * 5000 + "\n")
    run = build(app)
    assert run.reason(large) == "over-limit"
    limited("max-bytes = none")
    build(app)
    assert len(owned()) == 8


def test_bytecode_counts_as_bytes(app: Machine) -> None:
    """A few bytes of source can be as much bytecode as somebody likes."""
    text = "".join(f"v{n} = b'{n:04}' * 1000\n" for n in range(2000))
    theirs(APP / "large.py", text)
    limited("max-bytes = 1M")
    assert build(app).status in {0, 1}
    made = sum(path.stat().st_size for path in entries() if "/opt/app/" in str(path))
    assert made <= 1 << 20, f"{made} bytes from {len(text)}"


def test_entries_of_a_root_that_has_become_too_large_stay_within_the_limit(app: Machine) -> None:
    lay(SECTION)
    for number in range(20):
        theirs(APP / f"m{number}.py")
    assert build(app).status == 0
    assert len(owned()) == 21
    limited("max-files = 5")
    run = build(app)
    assert run.count("removed") == 16
    assert len(owned()) == 5
    assert (TREE / "CACHEDIR.TAG").exists()


def test_limits_are_an_owners_alone(app: Machine) -> None:
    lay(f"{ROOTS}[root {APP}]\nmax-files = 4\n")
    run = build(app)
    assert run.status == 3
    assert "max-files" in run.stderr
    lay(f"{ROOTS}[root {make_directory(APP)}]\nowner = root\n")
    settle(app, {SYSTEMS})

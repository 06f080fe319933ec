"""The builder obeys the policy: what it says is what stands in the tree, run after run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from distro.snapshots import stamp
from security.hostile import with_libraries
from security.machine import (
    HOME,
    LIBRARY,
    MALLORY,
    TAG,
    TARGET,
    TREE,
    VERSION,
    Machine,
    entry,
    give,
    invalid,
    make_directory,
    slow_source,
    write,
)
from security.policies import (
    BCEP,
    IDS,
    POLICY,
    REGISTRY,
    ROOTS,
    STAFF,
    build,
    built,
    lay,
    policy,
    second_interpreter,
    settle,
    start_up,
)
from security.processes import until, workers

OTHER = Path("/opt/other")
A, B = LIBRARY / "a.py", LIBRARY / "b.py"
DEEP = LIBRARY / "package" / "tests" / "deep.py"
FAR = OTHER / "far.py"
CHECKED, UNCHECKED, TIMESTAMP = 3, 1, 0


def sources(*paths: Path) -> set[Path]:
    """Write sources, and name them."""
    return {write(path) for path in paths}


def opt(source: Path, level: int) -> Path:
    """Say where a source's optimized bytecode belongs."""
    made = entry(source)
    return made.with_name(f"{source.stem}.{TAG}.opt-{level}.pyc")


# roots

ROOT_POLICIES = {
    "path": (f"roots = {LIBRARY}", {A, B, DEEP}),
    "paths": (f"roots = {LIBRARY}/package {OTHER}", {DEEP, FAR}),
    "glob": ("roots = /opt/[lo]*r*", {A, B, DEEP, FAR}),
    "glob-of-one": ("roots = /opt/lib*/pack?ge", {DEEP}),
    "added": (f"roots = {OTHER}\nroots += {LIBRARY}/package", {DEEP, FAR}),
    "repeated": (f"roots = {OTHER}\nroots = {LIBRARY}/package", {DEEP, FAR}),
    "within-another": (f"roots = {LIBRARY} {LIBRARY}/package", {A, B, DEEP}),
    "missing": (f"roots = {OTHER} /opt/nowhere /opt/no*where", {FAR}),
    "quoted": (f'roots = "{OTHER}"', {FAR}),
    "sections-alone": (f"roots =\n[root {OTHER}]", {FAR}),
}


@pytest.mark.parametrize("case", ROOT_POLICIES)
def test_roots_are_what_is_built(ruled: Machine, case: str) -> None:
    text, expected = ROOT_POLICIES[case]
    sources(A, B, DEEP, FAR)
    lay(text)
    settle(ruled, expected)


def test_auto_is_the_interpreters_own(ruled: Machine) -> None:
    python = with_libraries(ruled, Path("/opt/python/bin/own"), library=LIBRARY)
    sources(FAR)
    own = LIBRARY / "os.py"
    choice = f"interpreters = {python}\n"
    for roots, expected in {
        "auto": {own},
        f"auto {OTHER}": {own, FAR},
    }.items():
        lay(f"{choice}roots = {roots}\n")
        settle(ruled, expected)
    write(LIBRARY / "late.py")
    lay(f"{choice}roots = {OTHER}\n")
    assert LIBRARY / "late.py" not in built()
    assert build(ruled).count("compiled") == 0, "auto is left out"


# sections for a root

IN_SECTION: dict[str, tuple[str, Callable[[], bool]]] = {
    "exclude": (f"exclude = {OTHER}/far.py", lambda: built() == {A}),
    "exclude-of-its-own-only": (f"exclude = {LIBRARY}", lambda: built() == {A, FAR}),
    "optimize": (
        "optimize = 0 2",
        lambda: opt(FAR, 2).exists() and entry(FAR).exists() and not opt(A, 2).exists(),
    ),
    "optimize-other": ("optimize = 1", lambda: opt(FAR, 1).exists() and not opt(A, 1).exists()),
    "checked": (
        "invalidation = checked-hash",
        lambda: (flags(FAR), flags(A)) == (CHECKED, TIMESTAMP),
    ),
    "unchecked": (
        "invalidation = unchecked-hash",
        lambda: (flags(FAR), flags(A)) == (UNCHECKED, TIMESTAMP),
    ),
    "interpreters-specifier": (f"interpreters = {VERSION}", lambda: built() == {A, FAR}),
    "interpreters-path": (f"interpreters = {TARGET}", lambda: built() == {A, FAR}),
    "interpreters-other": ("interpreters = <3.3", lambda: built() == {A}),
    "interpreters-other-path": ("interpreters = /usr/bin/python3.2", lambda: built() == {A}),
    "interpreters-implementation": ("interpreters = pypy", lambda: built() == {A}),
}


def flags(source: Path) -> int:
    """Return how an entry is matched with its source."""
    return entry(source).read_bytes()[4]


@pytest.mark.parametrize("case", IN_SECTION)
def test_a_section_holds_for_its_root_alone(ruled: Machine, case: str) -> None:
    text, holds = IN_SECTION[case]
    sources(A, FAR)
    lay(f"roots = {LIBRARY} {OTHER}\n")
    assert build(ruled).status == 0
    lay(f"{ROOTS}[root {OTHER}]\n{text}\n")
    assert build(ruled).status == 0
    assert holds(), sorted(TREE.rglob("*.pyc"))
    assert invalid() == []
    again = build(ruled)
    assert (again.count("compiled"), again.count("removed")) == (0, 0)


def test_a_section_holds_for_what_is_named_too(ruled: Machine) -> None:
    sources(A, FAR)
    lay(f"{ROOTS}[root {OTHER}]\noptimize = 2\nexclude = {OTHER}/no.py\n")
    write(OTHER / "no.py")
    assert build(ruled, OTHER, A).status == 0
    assert opt(FAR, 2).exists()
    assert built() == {A}
    far, no = write(OTHER / "sub" / "far.py"), OTHER / "no.py"
    assert build(ruled, far, no, "/opt/other/sub").reason(no) == "excluded"
    assert opt(far, 2).exists()
    assert not opt(no, 2).exists()


def test_the_deeper_section_counts(ruled: Machine) -> None:
    sources(A, B, DEEP)
    top = f"[root {LIBRARY}]\noptimize = 0 1\n"
    lay(f"roots =\n{top}[root {LIBRARY}/package]\nexclude = /opt/nothing\n")
    settle(ruled, {A, B, DEEP})
    assert opt(A, 1).exists()
    assert opt(DEEP, 1).exists(), "what the deeper one leaves open the other says"
    lay(f"roots =\n{top}[root {LIBRARY}/package]\nexclude = {LIBRARY}/**/deep.py\n")
    settle(ruled, {A, B})
    assert not opt(DEEP, 1).exists()


# exclude

EXCLUDES = {
    "file": (f"{LIBRARY}/a.py", {B, DEEP}),
    "directory": (f"{LIBRARY}/package", {A, B}),
    "directory-with-slash": (f"{LIBRARY}/package/", {A, B}),
    "star": (f"{LIBRARY}/*.py", {DEEP}),
    "question-mark": (f"{LIBRARY}/?.py", {DEEP}),
    "class": (f"{LIBRARY}/[!a].py", {A, DEEP}),
    "any-depth": (f"{LIBRARY}/**/tests", {A, B}),
    "any-depth-from-the-top": ("/**/deep.py", {A, B}),
    "all-below": (f"{LIBRARY}/package/**", {A, B}),
    "two": (f"{A} {LIBRARY}/package", {B}),
    "not-a-prefix-of-a-name": (f"{LIBRARY}/pack", {A, B, DEEP}),
    "nothing": ("", {A, B, DEEP}),
}


@pytest.mark.parametrize("case", EXCLUDES)
def test_what_is_excluded_goes_and_stays_away(ruled: Machine, case: str) -> None:
    pattern, expected = EXCLUDES[case]
    everything = sources(A, B, DEEP)
    lay(ROOTS)
    settle(ruled, everything)
    lay(f"{ROOTS}exclude = {pattern}\n")
    run = settle(ruled, expected)
    assert run.count("removed") == len(everything - expected)
    assert run.count("compiled") == 0


@pytest.mark.parametrize(
    "named", [LIBRARY, A, LIBRARY / "package", LIBRARY / "package" / "tests", DEEP]
)
def test_what_is_excluded_is_not_built_on_request(ruled: Machine, named: Path) -> None:
    sources(A, B, DEEP)
    lay(ROOTS)
    assert build(ruled).status == 0
    lay(f"{ROOTS}exclude = {A} {LIBRARY}/package\n")
    assert build(ruled, named).status == 0
    gone = {path for path in (A, DEEP) if path.is_relative_to(named)}
    assert built() == {A, B, DEEP} - gone, "and what was there goes"
    entry(A).unlink(missing_ok=True)
    entry(DEEP).unlink(missing_ok=True)
    assert build(ruled, named).status == 0
    assert built() <= {B}


def test_what_is_excluded_is_not_built_for_a_package(ruled: Machine) -> None:
    debpython = Path("/usr/share/python3/debpython")
    if not debpython.is_dir():
        pytest.skip("no package of Debian's to name")
    lay(ROOTS)
    assert build(ruled, "-p", "python3-minimal").status == 0
    everything = built()
    excluded = debpython / "files.py"
    assert {excluded, debpython / "version.py"} <= everything
    lay(f"{ROOTS}exclude = {excluded}\n")
    assert build(ruled, "-p", "python3-minimal").status == 0
    assert built() == everything - {excluded}
    assert build(ruled, "-p", "python3-minimal").status == 0
    assert built() == everything - {excluded}


def test_what_nobody_can_look_at_or_own_is_not_taken_for_excluded(ruled: Machine) -> None:
    """Names that are not ours stay, below an excluded directory too."""
    sources(A, DEEP)
    lay(ROOTS)
    assert build(ruled).status == 0
    foreign = write(entry(DEEP).parent / "foreign.txt")
    lay(f"{ROOTS}exclude = {LIBRARY}/package\n")
    settle(ruled, {A})
    assert foreign.exists()


# sections for interpreters


@pytest.mark.parametrize(
    ("section", "holds"),
    [
        ("python", None),
        (f"python {VERSION}", True),
        (f"python >={VERSION}", True),
        ("python cpython>=3.3,<4", True),
        ("python <3.3", False),
        ("python pypy", False),
    ],
)
def test_a_section_for_interpreters(ruled: Machine, section: str, holds: bool | None) -> None:
    sources(A, B)
    lay(f"{ROOTS}[{section}]\noptimize = 0 2\nexclude = {B}\ninvalidation = checked-hash\n")
    run = build(ruled)
    if holds is None:
        assert (run.status, built()) == (3, set())
        return
    assert run.status == 0
    assert opt(A, 2).exists() is holds
    assert built() == ({A} if holds else {A, B})
    assert flags(A) == (CHECKED if holds else TIMESTAMP)
    again = build(ruled)
    assert (again.count("compiled"), again.count("removed")) == (0, 0)


@pytest.mark.parametrize("how", ["specifier", "path", "neither"])
def test_an_interpreter_left_out_loses_its_folder_and_no_more(ruled: Machine, how: str) -> None:
    with second_interpreter() as found:
        if found is None:
            pytest.skip("this machine has one version of Python only")
        path, version = found
        sources(A, DEEP)
        lay(ROOTS)
        run = build(ruled)
        assert run.status == 0, run.stdout
        folder = TREE / version
        assert len([*folder.rglob("*.pyc")]) == 2
        legacy = write(folder / str(LIBRARY).lstrip("/") / "legacy.pyc")
        foreign = write(folder / "notes.txt")
        choice = {"specifier": f"=={VERSION}.*", "path": str(TARGET), "neither": "auto"}[how]
        lay(f"{ROOTS}interpreters = {choice}\n")
        run = settle(ruled, {A, DEEP})
        left = {legacy, foreign}
        if how == "neither":
            left |= set(folder.rglob("*.cpython-*.pyc"))
            assert len(left) == 4
        assert {path for path in folder.rglob("*") if path.is_file()} == left
        lay(ROOTS)
        assert build(ruled).status == 0
        assert len([*folder.rglob("*.cpython-*.pyc")]) == 2
        assert path.exists()


@pytest.mark.parametrize("how", ["specifier", "path"])
def test_a_root_for_one_interpreter_of_two(ruled: Machine, how: str) -> None:
    with second_interpreter() as found:
        if found is None:
            pytest.skip("this machine has one version of Python only")
        path, version = found
        sources(A, FAR)
        lay(f"roots = {LIBRARY} {OTHER}\n")
        assert build(ruled).status == 0
        choice = f"=={version}.*" if how == "specifier" else path
        lay(f"{ROOTS}[root {OTHER}]\ninterpreters = {choice}\n")
        settle(ruled, {A})
        made = {p.name.partition(".")[0] for p in (TREE / version).rglob("*.pyc")}
        assert made == {"a", "far"}


def test_a_root_for_an_interpreter_of_its_own(ruled: Machine) -> None:
    """One that is found nowhere but where the section says."""
    python = with_libraries(ruled, Path("/opt/python/bin/own"), library=Path("/opt/python/own"))
    sources(A, FAR)
    lay(f"interpreters = auto {python}\nroots = {OTHER}\n[root {LIBRARY}]\ninterpreters = {python}")
    run = build(ruled)
    assert run.interpreter(python)["status"] == "used"
    assert run.status == 0
    assert FAR in built()


# the tree, and the workers


def test_the_tree_stands_where_the_policy_says(ruled: Machine) -> None:
    sources(A, B)
    lay(ROOTS)
    settle(ruled, {A, B})
    tree = Path("/opt/store/bytecode")
    make_directory(tree.parent)
    lay(f"{ROOTS}system-tree = {tree}\n")
    theirs = write(LIBRARY / "theirs.py")
    give(theirs)
    run = settle(ruled, {A, B}, tree=tree)
    assert run.report["tree"] == str(tree)
    assert run.report["workers"] == "account"
    assert run.reason(theirs) == "wrong-owner", "it has the system tree's rules"
    assert {(s.st_uid, s.st_mode & 0o7777) for s in map(os.stat, tree.rglob("*.pyc"))} == {
        (0, 0o644)
    }
    assert start_up(ruled, uid=MALLORY).values["system-tree"] == str(tree)
    assert built() == {A, B}, "nobody has touched the other"
    assert build(ruled, "--tree", tree).count("fresh") == 2
    refused = ruled.rebuild_as(MALLORY, python=None)
    assert refused.status == 5
    assert str(tree) in refused.stderr


@pytest.mark.parametrize(("said", "asked", "number"), [("1", "", 1), ("2", "", 2), ("1", "2", 2)])
def test_jobs(ruled: Machine, said: str, asked: str, number: int) -> None:
    for n in range(3):
        slow_source(LIBRARY.joinpath(*("directory" * 25,) * 3) / f"slow{n}.py", lines=20_000)
    lay(f"{ROOTS}jobs = {said}\n")
    process = ruled.start(*([f"-j{asked}"] if asked else []), python=None)
    most = 0
    while process.poll() is None and most < number:
        most = max(most, len(workers(process.pid)))
    for _ in range(20):
        most = max(most, len(workers(process.pid)))
    assert ruled.finish(process).status == 0
    assert most == number


def test_a_file_that_takes_too_long(ruled: Machine) -> None:
    slow = slow_source(LIBRARY / "slow.py", lines=200_000)
    sources(A)
    lay(f"{ROOTS}[python >=3]\ntime-limit = 1s\n")
    run = build(ruled)
    assert (run.status, run.reason(slow)) == (1, "time-limit")
    assert built() == {A}


def test_a_file_that_takes_too_much(ruled: Machine) -> None:
    large = slow_source(LIBRARY / "large.py", lines=50_000)
    sources(A)
    lay(f"{ROOTS}memory-limit = 100M\n")
    run = build(ruled)
    assert (run.status, run.reason(large)) == (1, "memory-limit")
    assert built() == {A}
    large.write_text("SMALL = True\n")
    lay(f"{ROOTS}memory-limit = none\n")
    settle(ruled, {A, large})


# the command line has the last word


def test_options_override_the_policy(ruled: Machine) -> None:
    sources(A)
    lay(f"{ROOTS}optimize = 2\ninvalidation = checked-hash\ninterpreters = <3.3\n")
    arguments = ("--optimize", "0,1", "--invalidation", "unchecked-hash", "--python")
    for chosen in (VERSION, str(TARGET)):
        assert build(ruled, *arguments, chosen).status == 0
        assert built() == {A}
        assert opt(A, 1).exists()
        assert not opt(A, 2).exists()
        assert flags(A) == UNCHECKED
    run = build(ruled)
    assert run.status == 1, "no interpreter is left"
    assert list(TREE.rglob("*.pyc")) == []


def test_a_callers_tree_has_no_part_in_the_systems_roots(ruled: Machine) -> None:
    sources(A, FAR)
    mine = write(HOME / "project" / "mine.py")
    give(mine)
    tree = Path("/opt/tree")
    python = with_libraries(ruled, Path("/opt/python/bin/own"), library=OTHER)
    lay(f"{ROOTS}interpreters = {python}\n[root {HOME}]\nowner = {MALLORY}\n")
    assert build(ruled, "--tree", tree).status == 0
    assert built(tree) == {OTHER / "os.py", FAR}
    assert build(ruled, "--tree", tree, mine, A).status == 0
    assert built(tree) == {OTHER / "os.py", FAR, mine, A}, "what is named is meant"
    assert not TREE.exists()


def test_a_callers_tree_obeys_the_rest(ruled: Machine) -> None:
    sources(A, B)
    lay(f"exclude = {B}\noptimize = 0 1\n")
    tree = Path("/opt/tree")
    assert build(ruled, "--tree", tree, LIBRARY, "--python", TARGET).status == 0
    assert built(tree) == {A}
    assert len(list(tree.rglob("a.*.pyc"))) == 2


def test_another_file_takes_the_place_of_all(ruled: Machine, tmp_path: Path) -> None:
    sources(A, FAR)
    lay(f"roots = {OTHER}\nsystem-tree = /opt/elsewhere\n")
    lay("optimize = 2\n", POLICY.with_name("pycacheprefix.conf.d") / "10-more.conf")
    mine = lay(ROOTS, Path("/opt/mine.conf"))
    assert build(ruled, "--config", mine).status == 0
    assert built() == {A}
    assert not Path("/opt/elsewhere").exists()
    shown = policy(ruled, "show", "--json", "--config", mine).report
    assert shown["files"] == [str(mine)]


def test_no_file_means_the_defaults(ruled: Machine) -> None:
    lay("nonsense\n")
    sources(A)
    assert build(ruled).status == 3
    assert build(ruled, "--config", "/dev/null", A).status == 0
    assert built() == {A}
    settings = policy(ruled, "show", "--json", "--config", "/dev/null").report["settings"]
    assert {origin for key in settings.values() for origin in key["from"]} == set()


def test_an_empty_file_means_the_defaults(ruled: Machine) -> None:
    lay("")
    sources(A)
    assert build(ruled, A).status == 0
    assert policy(ruled, "check").status == 0
    assert start_up(ruled).values["enabled"] is True


# what packages register


def test_packages_register_their_directories(ruled: Machine) -> None:
    sources(A, B, FAR, OTHER / "data.py")
    lay("roots =\n")
    lay(f"[root {LIBRARY}]\n", REGISTRY / "library.conf")
    lay(
        f"[root {OTHER}]\ninterpreters = >={VERSION}\nexclude = {OTHER}/data.py\n",
        REGISTRY / "other.conf",
    )
    lay("[root /opt/none]\n", REGISTRY / "not-a-conf.txt")
    settle(ruled, {A, B, FAR})
    lay(f"[root {OTHER}]\ninterpreters = <3.3\n", REGISTRY / "other.conf")
    settle(ruled, {A, B})


def test_the_policy_goes_before_what_packages_say(ruled: Machine) -> None:
    sources(FAR, OTHER / "data.py")
    lay(f"[root {OTHER}]\nexclude = {FAR}\n", REGISTRY / "other.conf")
    lay(f"roots =\n[root {OTHER}]\nexclude = {OTHER}/data.py\n")
    settle(ruled, {FAR})
    lay(f"roots =\nexclude = {OTHER}/data.py\n")
    settle(ruled, set())


def fifo(path: Path) -> None:
    """Leave something that never answers."""
    os.mkfifo(make_directory(path.parent) / path.name)


BROKEN: dict[str, Callable[[Path], None]] = {
    "nonsense": lambda path: void(lay("nonsense\n", path)),
    "bad-bytes": lambda path: void(lay(b"[root /opt/\xff]\n", path)),
    "relative": lambda path: void(lay("[root other]\n", path)),
    "owner": lambda path: void(lay(f"[root /opt/third]\nowner = {MALLORY}\n", path)),
    "other-key": lambda path: void(lay("system-tree = /opt/tree\n", path)),
    "unknown-key": lambda path: void(lay("[root /opt/third]\ncolour = red\n", path)),
    "users": lambda path: give(lay(f"[root {OTHER}]\n", path)),
    "writable": lambda path: lay(f"[root {OTHER}]\n", path).chmod(0o666),
    "link-to-a-users": lambda path: path.symlink_to(lay(f"[root {OTHER}]\n", HOME / "theirs.conf")),
    "fifo": fifo,
    "directory": lambda path: void(make_directory(path)),
    "dangling": lambda path: path.symlink_to("/opt/nowhere.conf"),
    "long": lambda path: void(lay("#" * 100_000, path)),
}


def void(_: object) -> None:
    """Forget a value."""


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_registration_is_a_warning(ruled: Machine, case: str) -> None:
    sources(A, FAR)
    lay("roots =\n")
    lay(f"[root {LIBRARY}]\n", REGISTRY / "library.conf")
    bad = REGISTRY / "bad.conf"
    BROKEN[case](bad)
    settle(ruled, {A})
    checked = policy(ruled, "check", "--json")
    assert (checked.status, checked.report["errors"]) == (0, 0)
    assert {p["file"] for p in checked.report["problems"]} == {str(bad)}
    assert {p["severity"] for p in checked.report["problems"]} == {"warning"}


def test_warnings_are_told_of(ruled: Machine) -> None:
    sources(A)
    lay(f"{ROOTS}colour = red\n")
    status, said = ruled.complain(LIBRARY)
    assert status == 0
    assert "policy check" in said
    assert built() == {A}


def test_a_directory_of_registrations_that_others_may_write(ruled: Machine) -> None:
    sources(A)
    lay("roots =\n")
    lay(f"[root {LIBRARY}]\n", REGISTRY / "library.conf")
    REGISTRY.chmod(0o777)
    settle(ruled, set())
    assert str(REGISTRY) in policy(ruled, "check").stderr


# what Debian's packages ask to be left out

BCEP_LINES = {
    f"re|-|{LIBRARY}|.*/tests/.*": {A, B},
    f"re|3.0-|{LIBRARY}/|b\\.py$": {A, DEEP},
    f"dir|-|{LIBRARY}/package": {A, B},
    f"dir|-4.0|{LIBRARY}/package/": {A, B},
    f"file|3.0-4.0|{A}": {B, DEEP},
    f"file|3.0-{VERSION}|{A}": {A, B, DEEP},
    f"file|{VERSION}|{A}": {B, DEEP},
    f"file|-3.3|{A}": {A, B, DEEP},
    f"dir|2.7|{LIBRARY}": {A, B, DEEP},
    f"# file|-|{A}": {A, B, DEEP},
    f"nonsense\nfile|-|{A}\nre|-|{LIBRARY}|(": {B, DEEP},
}


@pytest.mark.parametrize("line", BCEP_LINES)
def test_what_debians_packages_leave_out(ruled: Machine, line: str) -> None:
    everything = sources(A, B, DEEP)
    lay(ROOTS)
    bcep = lay(f"{line}\n", BCEP / "package")
    assert build(ruled).status == 0
    assert built() == BCEP_LINES[line]
    bcep.unlink()
    settle(ruled, everything)


def test_what_a_package_leaves_out_later_goes(ruled: Machine) -> None:
    sources(A, B)
    lay(ROOTS)
    settle(ruled, {A, B})
    lay(f"file|-|{A}\n", BCEP / "package")
    settle(ruled, {B})


@pytest.mark.parametrize("case", ["users", "writable", "fifo", "directory", "dangling"])
def test_exceptions_that_are_not_debians_are_no_exceptions(ruled: Machine, case: str) -> None:
    sources(A, B)
    lay(ROOTS)
    lay(f"file|-|{B}\n", BCEP / "sound")
    BROKEN[case](BCEP / "bad")
    settle(ruled, {A})
    assert policy(ruled, "check").status == 0
    assert str(BCEP / "bad") in policy(ruled, "check").stderr


# names

WITH_NAMES = f"""{ROOTS}
[user mallory 7]
enabled = no
[group staffers]
export-prefix = yes
[user nobody-of-this-name]
enabled = no
"""


def test_names_are_written_down_as_numbers(ruled: Machine) -> None:
    write(A)
    lay(WITH_NAMES)
    previous = os.umask(0o077)
    try:
        run = build(ruled)
    finally:
        os.umask(previous)
    assert run.status == 0, "an unknown name is a warning"
    expected = {"user mallory": MALLORY, "group staffers": STAFF}
    status = os.stat(IDS)
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o644)
    assert os.stat(IDS.parent).st_mode & 0o7777 == 0o755
    assert {path.name for path in IDS.parent.iterdir()} == {"ids", "stamp", "last-run.json"}
    assert start_up(ruled).ids == expected
    theirs = start_up(ruled, uid=MALLORY, gids=[STAFF])
    assert theirs.ids == expected
    assert (theirs.values["enabled"], theirs.values["export-prefix"]) == (False, True)
    mine = start_up(ruled).values
    assert (mine["enabled"], mine["export-prefix"]) == (True, False)


def test_the_numbers_are_kept_true_and_not_touched_otherwise(ruled: Machine) -> None:
    write(A)
    lay(WITH_NAMES)
    assert build(ruled).status == 0
    before = stamp(IDS)
    assert build(ruled).status == 0
    assert build(ruled, A).status == 0
    assert stamp(IDS) == before
    lay(f"{ROOTS}[user eve]\nenabled = no\n")
    assert build(ruled, "--dry-run").status == 0
    assert stamp(IDS) == before
    assert build(ruled).status == 0
    assert set(start_up(ruled).ids) == {"user eve"}
    lay(ROOTS)
    assert build(ruled).status == 0
    assert start_up(ruled).ids == {}


@pytest.mark.parametrize("other", ["/dev/null", "/opt/other.conf"])
def test_the_numbers_are_those_of_the_systems_policy(ruled: Machine, other: str) -> None:
    """Start-up reads that one, whatever a single run was given."""
    write(A)
    lay(WITH_NAMES)
    assert build(ruled).status == 0
    before = start_up(ruled).ids
    lay("[user eve]\nenabled = no\n", Path("/opt/other.conf"))
    assert build(ruled, "--config", other, A).status == 0
    assert start_up(ruled).ids == before


@pytest.mark.parametrize("case", ["users", "writable", "fifo", "directory-of-a-user", "link"])
def test_numbers_that_others_could_write_are_written_anew(ruled: Machine, case: str) -> None:
    write(A)
    lay(WITH_NAMES)
    forged = "user mallory = 0\n"
    match case:
        case "fifo":
            fifo(IDS)
        case "link":
            make_directory(IDS.parent)
            IDS.symlink_to(lay(forged, HOME / "ids"))
        case "directory-of-a-user":
            give(lay(forged, IDS).parent)
        case _:
            BROKEN[case](lay(forged, IDS))
            if case == "users":
                give(lay(forged, IDS))
    assert start_up(ruled).ids == {}
    assert build(ruled).status == 0
    if case != "directory-of-a-user":
        assert start_up(ruled).ids["user mallory"] == MALLORY
    else:
        assert start_up(ruled).ids == {}, "it is still theirs"
    assert not (HOME / "ids").exists() or (HOME / "ids").read_text() == forged


# in between


def test_each_change_of_the_policy_ends_in_the_right_tree(ruled: Machine) -> None:
    sources(A, B, DEEP, FAR)
    both = f"roots = {LIBRARY} {OTHER}\n"
    for text, expected in (
        (both, {A, B, DEEP, FAR}),
        (f"{both}exclude = /**/tests\n", {A, B, FAR}),
        (f"{both}[root {LIBRARY}]\ninvalidation = checked-hash\n", {A, B, DEEP, FAR}),
        (f"{both}[root {LIBRARY}]\nexclude = {B}\n[root {OTHER}]\ninterpreters = pypy", {A, DEEP}),
        (f"{both}[python {VERSION}]\nexclude = {A}\n", {B, DEEP, FAR}),
        (f"{both}exclude = {LIBRARY}/*.py\nexclude += {OTHER}/**\n", {DEEP}),
        (both, {A, B, DEEP, FAR}),
    ):
        lay(text)
        settle(ruled, expected)


def test_a_root_that_is_named_no_more_is_kept_true(ruled: Machine) -> None:
    """What was built once stays until its source goes; ``exclude`` is what takes it out."""
    sources(A, FAR)
    lay(f"roots = {LIBRARY} {OTHER}\n")
    settle(ruled, {A, FAR})
    lay(ROOTS)
    settle(ruled, {A, FAR})
    write(FAR, "CHANGED = True\n")
    settle(ruled, {A, FAR})
    write(OTHER / "late.py")
    settle(ruled, {A, FAR})
    FAR.unlink()
    settle(ruled, {A})


def test_a_dry_run_says_what_a_policy_would_do(ruled: Machine) -> None:
    sources(A, B)
    lay(ROOTS)
    settle(ruled, {A, B})
    lay(f"{ROOTS}exclude = {B}\n")
    run = build(ruled, "--dry-run")
    assert (run.count("compiled"), run.count("removed")) == (0, 1)
    assert built() == {A, B}


def test_no_worker_is_left(ruled: Machine) -> None:
    sources(A, FAR)
    lay(f"{ROOTS}[root {OTHER}]\noptimize = 0 1 2\n")
    process = ruled.start(python=None)
    run = ruled.finish(process)
    assert run.status == 0
    assert until(lambda: not workers(process.pid))

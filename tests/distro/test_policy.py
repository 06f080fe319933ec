"""The policy on whole systems: what ``policy show`` says of a file is what a rebuild does."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distro.chroots import NOBODY, Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.product import COMMAND, TREE, rebuild, rebuild_all
from distro.snapshots import differences, snapshot

POLICY = "/etc/pycacheprefix.conf"
DROP_IN = "/etc/pycacheprefix.conf.d/50-local.conf"
BCEP = "/usr/share/python3/bcep/python3-sample"
REGISTRATION = "/usr/share/pycache-sys/roots.d/sample.conf"
APP = "/srv/app"
SHARED = "/usr/share/sample"
NUMBER = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What ``policy show --for`` says of a file, for one interpreter."""

    interpreter: str
    compiled: bool
    detail: str
    entries: tuple[str, ...]


def place(chroot: Chroot, path: str, text: str = "ANSWER = 42\n", *, owner: int = 0) -> str:
    """Write a file, as root's or as somebody's."""
    target = chroot.path(path)
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(0o644)
    if owner:
        chroot.run("chown", f"{owner}:{owner}", path)
    return path


def lay_policy(suite: Suite, chroot: Chroot) -> None:
    """Write a policy of several files, with most of what a builder has to obey in it."""
    chosen = suite.interpreters[0]
    place(
        chroot,
        POLICY,
        f"roots += {APP} /opt/vendor-*/lib\n"
        f"exclude = {DIST_PACKAGES}/markdown {DIST_PACKAGES}/*/tests {chosen.library}/idlelib\n"
        f"interpreters = {chosen.directory}\n"
        f"[python {chosen.directory}]\n"
        "optimize = 0 2\n"
        f"[root {APP}/owned]\n"
        f"owner = {NOBODY}\n",
    )
    place(chroot, DROP_IN, f"exclude += {DIST_PACKAGES}/jinja2/sandbox.py /**/left_out.py\n")
    place(chroot, BCEP, f"re|-|{DIST_PACKAGES}/click|.*/_win.*\\.py\ndir|-3.0|{APP}\n")
    place(chroot, REGISTRATION, f"[root {SHARED}]\nexclude = {SHARED}/data\n")


def odd_files(suite: Suite, chroot: Chroot) -> Iterator[str]:
    """Make files of which more is to be said than that they are below a root."""
    library = suite.interpreters[0].library
    for path in (
        f"{APP}/main.py",
        f"{APP}/deep/er/left_out.py",
        "/opt/vendor-one/lib/module.py",
        "/opt/vendor-one/other/module.py",
        f"{SHARED}/module.py",
        f"{SHARED}/data/module.py",
        "/srv/nowhere/module.py",
        f"{library}/site-packages/module.py",
        f"{library}/test/badsyntax_sample.py",
        f"{library}/__pycache__/module.py",
        f"{suite.interpreters[-1].library}/sample_of_last.py",
    ):
        yield place(chroot, path)
    for path in (f"{APP}/nobodys.py", f"{APP}/owned/nobodys.py"):
        yield place(chroot, path, owner=NOBODY)
    chroot.run("chown", f"{NOBODY}:{NOBODY}", f"{APP}/owned")
    yield place(chroot, f"{APP}/owned/thirds.py", owner=NOBODY - 1)
    private = place(chroot, f"{APP}/private.py")
    chroot.path(private).chmod(0o600)
    yield private
    writable = place(chroot, f"{APP}/writable/module.py")
    chroot.path(f"{APP}/writable").chmod(0o777)
    yield writable
    place(chroot, f"{APP}/package/__init__.py")
    for alias, target in {"alias": "package", "outside": f"{DIST_PACKAGES}/idna"}.items():
        chroot.path(f"{APP}/{alias}").symlink_to(target)
        yield f"{APP}/{alias}/__init__.py"
    chroot.path(f"{APP}/dangling.py").symlink_to("nowhere.py")
    yield f"{APP}/dangling.py"
    yield from (
        f"{DIST_PACKAGES}/{name}.py"
        for name in ("markdown/core", "jinja2/sandbox", "click/_winconsole")
    )


def some_files(suite: Suite, chroot: Chroot, number: int) -> list[str]:
    """Choose files of the installed packages, evenly over all there are."""
    tops = {*(interpreter.library for interpreter in suite.interpreters), DIST_PACKAGES}
    found = sorted(path for top in tops for path in chroot.path(top).rglob("*.py"))
    inside = [f"/{path.relative_to(chroot.root)}" for path in found if path.is_file()]
    return inside[:: max(1, len(inside) // number)][:number]


def show(chroot: Chroot, path: str) -> list[Verdict]:
    """Ask what becomes of a file."""
    shown: dict[str, Any] = json.loads(
        chroot.run(COMMAND, "policy", "show", "--json", "--for", path)
    )
    return [
        Verdict(
            interpreter=place["interpreter"],
            compiled=place["verdict"] == "compiled",
            detail=place["detail"],
            entries=tuple(place["entries"]),
        )
        for place in shown["for"]["interpreters"]
    ]


def entries_of(chroot: Chroot, source: str, interpreter: str) -> set[str]:
    """List what the tree has of a source for an interpreter."""
    directory, _, name = source.rpartition("/")
    found = chroot.path(f"{TREE}/{interpreter}{directory}").glob(f"{Path(name).stem}.*.pyc")
    return {f"/{path.relative_to(chroot.root)}" for path in found}


def test_what_is_shown_is_what_happens(suite: Suite, chroot: Chroot) -> None:
    lay_policy(suite, chroot)
    odd = list(odd_files(suite, chroot))
    files = odd + some_files(suite, chroot, NUMBER - len(odd))
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts = dict(zip(files, pool.map(lambda path: show(chroot, path), files), strict=True))
    rebuild_all(chroot)

    chosen = suite.interpreters[0].directory
    wrong = []
    for path, said in verdicts.items():
        for verdict in said:
            made = entries_of(chroot, path, verdict.interpreter)
            if made != set(verdict.entries) or bool(made) != verdict.compiled:
                wrong.append(f"{path}: {verdict.detail}; but there is {made or 'nothing'}")
        assert {verdict.interpreter for verdict in said} <= {chosen}
    assert not wrong, "\n".join(wrong)
    outcomes = [verdict.compiled for said in verdicts.values() for verdict in said]
    assert len(verdicts) == NUMBER
    assert min(outcomes.count(True), outcomes.count(False)) >= 8


def test_a_policy_is_obeyed_on_a_whole_system(suite: Suite, chroot: Chroot) -> None:
    chosen, *others = suite.interpreters
    for other in others:
        assert any(chroot.path(f"{TREE}/{other.directory}").rglob("*.pyc"))
    lay_policy(suite, chroot)
    list(odd_files(suite, chroot))
    run = rebuild_all(chroot)
    assert run.used_directories == {chosen.directory}
    for other in others:
        assert not any(chroot.path(f"{TREE}/{other.directory}").rglob("*.pyc"))
    prefix = f"{TREE}/{chosen.directory}"
    for gone in ("markdown", "jinja2/sandbox.*", "click/_winconsole.*"):
        found = list(chroot.path(f"{prefix}{DIST_PACKAGES}").glob(gone))
        assert not [path for path in found if path.is_file() or any(path.rglob("*.pyc"))]
    for there in (
        f"{APP}/main",
        f"{APP}/owned/nobodys",
        f"{SHARED}/module",
        f"{DIST_PACKAGES}/yaml/reader",
    ):
        for level in ("", ".opt-2"):
            assert chroot.path(f"{prefix}{there}.{chosen.cache_tag}{level}.pyc").exists()
    again = rebuild_all(chroot)
    assert (again.compiled, again.removed) == (0, 0)
    chroot.path(POLICY).unlink()
    chroot.path(DROP_IN).unlink()
    back = rebuild_all(chroot)
    assert back.used_directories == {i.directory for i in suite.interpreters}
    assert (rebuild_all(chroot).compiled, rebuild_all(chroot).removed) == (0, 0)


@pytest.mark.parametrize("how", ["nonsense", "nobodys"])
def test_a_policy_that_does_not_count_stops_everything(chroot: Chroot, how: str) -> None:
    place(chroot, POLICY, "nonsense\n" if how == "nonsense" else "jobs = 1\n")
    if how == "nobodys":
        chroot.run("chown", f"{NOBODY}:{NOBODY}", POLICY)
    place(chroot, f"{DIST_PACKAGES}/late.py")
    before = snapshot(chroot.path(TREE))
    run = rebuild(chroot)
    assert run.status == 3
    assert POLICY in run.stderr
    assert rebuild(chroot, "--best-effort").status == 0
    assert differences(before, snapshot(chroot.path(TREE))) == set()
    assert chroot.attempt(COMMAND, "policy", "check").returncode == 3

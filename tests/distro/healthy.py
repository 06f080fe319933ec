"""A healthy machine, small enough to be looked at often, and what the verbs say of it."""

import json
import re
from typing import NamedTuple

import pytest

from distro.chroots import Chroot
from distro.debian import PACKAGES, SUITES, Suite
from distro.defects import Found, Loaded, Wrong
from distro.machines import HOME, USER
from distro.product import COMMAND

TRIXIE = next(suite for suite in SUITES if suite.name == "trixie")
on_trixie = pytest.mark.parametrize("suite", [TRIXIE], ids=["trixie"], indirect=True)

KEPT = ("passwd", "python3", "python3-packaging", "python3-platformdirs", "python3-requests", "rpm")
POLICY = "/etc/pycacheprefix.conf.d/10-machine.conf"
POLICY_TEXT = "in-place = remove\n"
_DURATION = re.compile(r"less than 1 s|\d+ (?:s|min|h|days)\b")


def superfluous(suite: Suite) -> list[str]:
    """Name the packages that this machine does without."""
    return [name for name in (*PACKAGES, *suite.extra_packages) if name not in KEPT]


class Verified(NamedTuple):
    """What ``verify`` says: the exit status, and all that it names."""

    status: int
    wrong: frozenset[Wrong]
    left: frozenset[str]
    others: tuple[str, ...] = ()
    """What cannot be looked at or compiled."""


def verified(chroot: Chroot, *options: str, user: int = 0) -> Verified:
    """Run ``verify --json``."""
    done = chroot.attempt(COMMAND, "verify", "--json", *options, user=user)
    assert "Traceback" not in done.stderr, done.stderr
    answer = json.loads(done.stdout or "{}")
    return Verified(
        done.returncode,
        frozenset(
            Wrong(one["kind"], one["path"], tuple(one["marks"]))
            for one in answer.get("defects", ())
        ),
        frozenset(one["path"] for one in answer.get("left", ())),
        tuple(
            f"{one['source']}: {one['detail']}"
            for one in (*answer.get("failures", ()), *answer.get("uncompilable", ()))
        ),
    )


def explained(chroot: Chroot, module: str, *options: str) -> Loaded:
    """Run ``explain --json`` as an ordinary user, and check that the exit status agrees."""
    words = ("env", f"HOME={HOME}", COMMAND, "explain", "--json", *options, module)
    done = chroot.attempt(*words, user=USER)
    assert done.stderr == ""
    (interpreter,) = json.loads(done.stdout)["interpreters"]
    (found,) = interpreter["modules"]
    assert done.returncode == (0 if found["loaded"] else 1)
    assert found["loaded"] is not bool(found["failure"])
    layers = {one["layer"]: one for one in found["layers"]}
    system = layers.get("system tree", {"detail": "", "culprit": None})
    write = found["write"] or {"path": None, "why": "-"}
    if write["path"]:
        assert write["path"].startswith(f"{HOME}/.cache/pycache-sys/")
    why = {place: one["why"] or "serves" for place, one in layers.items()}
    return Loaded(
        layer=found["layer"] or "",
        image=why.get("image tree", "-"),
        system=why.get("system tree", "-"),
        words=_DURATION.sub("…", system["detail"]),
        culprit=system["culprit"] or "",
        beside=why.get("beside the source", "-"),
        own=why.get("own cache", "-"),
        written=write["why"] or "own cache",
        hook=interpreter["hook"],
        kind=found["kind"],
        failure=found["failure"] or "",
    )


class Diagnosed(NamedTuple):
    """What ``doctor`` says: the exit status, and all that it names."""

    status: int
    found: tuple[Found, ...]
    unchecked: tuple[str, ...] = ()


def diagnosed(chroot: Chroot) -> Diagnosed:
    """Run ``doctor --json``."""
    done = chroot.attempt(COMMAND, "doctor", "--json")
    assert "Traceback" not in done.stderr, done.stderr
    answer = json.loads(done.stdout)
    for one in answer["findings"]:
        assert one["text"]
        assert one["commands"] or one["hint"], one
    return Diagnosed(
        done.returncode,
        tuple(
            Found(one["check"], one["level"], tuple(one["commands"]), tuple(one["places"]))
            for one in answer["findings"]
        ),
        tuple(f"{one['check']}: {one['detail']}" for one in answer["unchecked"]),
    )

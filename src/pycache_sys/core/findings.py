"""Findings: what ``doctor`` can find wrong with a machine, and the report of it. No I/O."""

import os
import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from pycache_sys.core.errors import ExitStatus

JSON_VERSION = 1
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_.,+=:@-")


class Level(StrEnum):
    """How bad it is: ``advice`` is what may well be meant so."""

    PROBLEM = "problem"
    ADVICE = "advice"


class Check(StrEnum):
    """What is looked at. The names stay the same in later versions."""

    POLICY = "policy"
    DISABLED = "disabled"
    ACCOUNT = "account"
    INTERPRETER = "interpreter"
    HOOK_MISSING = "hook-missing"
    BOOTSTRAP = "bootstrap"
    TREE = "tree"
    LAST_RUN = "last-run"
    TRIGGERS = "triggers"
    ORPHANED = "orphaned"
    DISK = "disk"
    SELINUX = "selinux"
    SOURCELESS_MAGIC = "sourceless-magic"
    FLATTENED = "flattened"
    DUPLICATES = "duplicates"
    ROOT_OWNED = "root-owned"
    HOOK_VENVS = "hook-venvs"
    PREFIX_SET = "prefix-set"


class Finding(NamedTuple):
    """One thing that is wrong, in a plain sentence without its full stop.

    ``places`` are paths, or what else names a place, in the order in which they are shown.
    ``commands`` mend it, as they stand; ``hint`` says what to do where none can, or besides.
    """

    check: Check
    level: Level
    text: str
    places: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "check": self.check.value,
            "level": self.level.value,
            "text": self.text,
            "places": list(self.places),
            "commands": list(self.commands),
            "hint": self.hint or None,
        }


class Unchecked(NamedTuple):
    """A check, or a part of one, that could not be done, and why."""

    check: Check
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {"check": self.check.value, "detail": self.detail}


@dataclass(slots=True, kw_only=True)
class Diagnosis:
    """What was found, filled while it goes on."""

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    for_root: list[str] = field(default_factory=list)
    """What only root could have looked at."""
    seconds: float = 0.0

    def add(self, *findings: Finding) -> None:
        """Take findings in."""
        self.findings.extend(findings)

    def cannot(self, check: Check, detail: str) -> None:
        """Take down that something could not be looked at; once if it is said again."""
        note = Unchecked(check, detail)
        if note not in self.unchecked:
            self.unchecked.append(note)

    def of(self, level: Level) -> list[Finding]:
        """List the findings of a level, in the order of the checks."""
        return [finding for finding in self.findings if finding.level is level]

    @property
    def exit_status(self) -> ExitStatus:
        """Say whether there are problems."""
        return ExitStatus.SOME_FAILED if self.of(Level.PROBLEM) else ExitStatus.DONE

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        problems, advice = self.of(Level.PROBLEM), self.of(Level.ADVICE)
        return {
            "version": JSON_VERSION,
            "counts": {"problems": len(problems), "advice": len(advice)},
            "findings": [finding.as_json() for finding in (*problems, *advice)],
            "unchecked": [note.as_json() for note in self.unchecked],
            "for_root": list(self.for_root),
            "seconds": round(self.seconds, 3),
        }


def command(*words: str) -> str:
    """Write a command line that any POSIX shell takes apart into these words again.

    All of it can be printed: other bytes are written as ``printf`` reads them.
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    try:
        word.encode()
    except UnicodeEncodeError:
        return _printed(word)
    # the shell drops newlines at the end of what a command prints: none of our words has one there
    return shlex.quote(word) if word.isprintable() else _printed(word)


def _printed(word: str) -> str:
    text = "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in os.fsencode(word))
    return f"\"$(printf '{text}')\""

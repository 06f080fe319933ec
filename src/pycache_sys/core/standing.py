"""How everything stands: what ``status`` has found out, and what to do about it. No I/O."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.last_run import LastRun
from pycache_sys.core.model import Interpreter, Outcome, Reason
from pycache_sys.core.report import InterpreterNote, used_in

JSON_VERSION = 1


class Use(StrEnum):
    """Who uses a folder of the tree."""

    USED = "used"
    LEFT_OUT = "left-out"
    """The policy leaves its interpreter out."""
    NOT_INSTALLED = "not-installed"


class Hook(StrEnum):
    """Whether a start of an interpreter has the hook."""

    ON = "on"
    OFF = "off"
    POLICY = "off-by-policy"


class Space(NamedTuple):
    """How many files there are and what they take up, in bytes: each once, whatever its names."""

    files: int = 0
    apparent: int = 0
    disk: int = 0

    def __add__(self, other: object) -> "Space":
        """Add up what are different files."""
        if not isinstance(other, Space):
            return NotImplemented
        return Space(
            self.files + other.files, self.apparent + other.apparent, self.disk + other.disk
        )


@dataclass(slots=True, kw_only=True)
class Folder:
    """One interpreter's part of the tree; all but ``stray``, ``foreign`` and ``space`` are sources.

    Sources that are not compiled on purpose are counted in ``skips``, by reason.
    """

    directory: str
    use: Use = Use.USED
    versions: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    fresh: int = 0
    stale: int = 0
    missing: int = 0
    uncompilable: int = 0
    """No bytecode could be made of them, as the last run has found."""
    skips: Counter[Reason] = field(default_factory=Counter)
    stray: int = 0
    """Files that the next run removes."""
    foreign: int = 0
    """Files that ``pycache-sys`` would not have named so."""
    space: Space = Space()  # noqa: RUF009 - a tuple

    @property
    def sources(self) -> int:
        """Count the sources that should have bytecode."""
        return self.fresh + self.stale + self.missing + self.uncompilable

    @property
    def skipped(self) -> int:
        """Count what is not compiled on purpose."""
        return self.skips.total()

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "directory": self.directory,
            "use": self.use.value,
            "counts": {
                "sources": self.sources,
                "fresh": self.fresh,
                "stale": self.stale,
                "missing": self.missing,
                "uncompilable": self.uncompilable,
                "skipped": self.skipped,
                "stray": self.stray,
                "foreign": self.foreign,
                "files": self.space.files,
            },
            "skips": {reason.value: number for reason, number in self.skips.most_common()},
            "bytes": {"apparent": self.space.apparent, "disk": self.space.disk},
        }


class Hooked(NamedTuple):
    """What is known of one interpreter's hook; ``failure`` says why nothing is."""

    path: str
    directory: str
    hook: Hook | None = None
    venvs: bool = False
    files: tuple[str, ...] = ()
    """What brings it, or would."""
    without_bytecode: int = 0
    """Files that each start compiles, for nothing keeps their bytecode."""
    failure: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "state": self.hook.value if self.hook else None,
            "venvs": self.venvs,
            "files": list(self.files),
            "without_bytecode": self.without_bytecode,
            "failure": self.failure or None,
        }


class Cache(NamedTuple):
    """A user's own cache, in bytes on disk; of one that is ``refused`` nothing is known."""

    user: str
    uid: int
    path: str
    files: int = 0
    size: int = 0
    removable: int = 0
    """Files that ``gc`` would remove."""
    freed: int = 0
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        is_known = not self.refused
        return {
            "user": self.user,
            "uid": self.uid,
            "path": self.path,
            "files": self.files if is_known else None,
            "bytes": self.size if is_known else None,
            "removable": self.removable if is_known else None,
            "removable_bytes": self.freed if is_known else None,
            "refused": self.refused or None,
        }


class Share(NamedTuple):
    """What the bytecode of one package's sources takes up; no name: of no package."""

    package: str
    space: Space

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "package": self.package or None,
            "files": self.space.files,
            "bytes": {"apparent": self.space.apparent, "disk": self.space.disk},
        }


@dataclass(slots=True, kw_only=True)
class Standing:
    """All that was found out, filled while it goes on; None for what was not asked, or is unknown.

    ``is_system`` tells whether it is the tree that interpreters read. ``trouble`` says why nothing
    in a tree that is there counts.
    """

    tree: str
    is_system: bool = True
    is_there: bool = False
    trouble: str = ""
    notes: Sequence[InterpreterNote] = ()
    folders: list[Folder] = field(default_factory=list)
    hooks: list[Hooked] = field(default_factory=list)
    last_run: LastRun | None = None
    caches: list[Cache] | None = None
    packages: list[Share] | None = None
    failures: list[Outcome] = field(default_factory=list)
    """What could not be looked at as a whole."""
    seconds: float = 0.0

    @property
    def used(self) -> list[Interpreter]:
        """List the interpreters that could be looked at."""
        return used_in(self.notes)

    @property
    def is_up(self) -> bool:
        """Tell whether there is a tree that counts, and an interpreter to ask."""
        return self.is_there and not self.trouble and bool(self.used)

    @property
    def exit_status(self) -> ExitStatus:
        """Say whether the state could be told: what it is, is no failure."""
        return ExitStatus.DONE if self.is_up else ExitStatus.SOME_FAILED

    @property
    def space(self) -> Space:
        """Add up the folders."""
        return sum((folder.space for folder in self.folders), Space())

    def hooks_of(self, directory: str) -> list[Hooked]:
        """List what is known of the interpreters that share a folder."""
        return [hooked for hooked in self.hooks if hooked.directory == directory]

    def advice(self) -> str:
        """Say in one line what is to be done first; nothing where all is well."""
        if self.trouble:
            return f"nothing in this tree counts: {self.trouble}; see: {self._command('verify')}"
        if not self.is_there:
            return f"there is no tree yet: run '{self._command('rebuild')}'"
        if not self.used:
            return "no interpreter could be looked at; name one with --python PATH"
        return self._advice_for_sources() or self._advice_for_hooks() or self._advice_for_caches()

    def _advice_for_sources(self) -> str:
        missing = sum(folder.missing for folder in self.folders)
        stale = sum(folder.stale for folder in self.folders)
        stray = sum(folder.stray for folder in self.folders)
        wrong = []
        if missing:
            wrong.append(f"{_number(missing, 'source has', 'sources have')} no bytecode yet")
        if stale:
            wrong.append(f"{_number(stale, 'source has', 'sources have')} stale bytecode")
        if stray:
            wrong.append(f"{_number(stray, 'file is', 'files are')} of no use any more")
        if not wrong:
            return ""
        return f"{', '.join(wrong)}: run '{self._command('rebuild')}'"

    def _advice_for_hooks(self) -> str:
        off = [hooked.path for hooked in self.hooks if hooked.hook is Hook.OFF]
        slow = [hooked.path for hooked in self.hooks if hooked.without_bytecode]
        if not self.is_system or not (off or slow):
            return ""
        if off:
            name = off[0] if len(off) == 1 else f"{len(off)} interpreters"
            return f"{name} without the hook: run 'pycache-sys enable'"
        return "the hook is compiled at every start: run 'pycache-sys enable'"

    def _advice_for_caches(self) -> str:
        refused = [cache for cache in self.caches or () if cache.refused]
        if not refused:
            return ""
        return f"{_number(len(refused), 'cache', 'caches')} not looked into: see 'pycache-sys gc'"

    def _command(self, verb: str) -> str:
        return f"pycache-sys {verb}" if self.is_system else f"pycache-sys {verb} --tree {self.tree}"

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        hooks = {hooked.path: hooked.as_json() for hooked in self.hooks}
        return {
            "version": JSON_VERSION,
            "tree": self.tree,
            "exists": self.is_there,
            "trouble": self.trouble or None,
            "interpreters": [
                note.as_json() | {"hook": hooks.get(note.path)} for note in self.notes
            ],
            "folders": [folder.as_json() for folder in self.folders],
            "last_run": self.last_run.as_json() if self.last_run else None,
            "caches": _listed(self.caches),
            "packages": _listed(self.packages),
            "failures": [
                {"source": o.source, "reason": o.reason.value, "detail": o.detail}
                for o in sorted(self.failures)
            ],
            "advice": self.advice() or None,
            "seconds": round(self.seconds, 3),
        }


def _listed(found: Sequence[Cache | Share] | None) -> list[dict[str, Any]] | None:
    return None if found is None else [one.as_json() for one in found]


def _number(number: int, one: str, several: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {several}"

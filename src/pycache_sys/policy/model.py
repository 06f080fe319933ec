"""The policy as values: statements that were understood, and what they come to for somebody."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast

from pycache_sys.core.model import Interpreter
from pycache_sys.core.select import is_below
from pycache_sys.policy.exclusion import Exemption
from pycache_sys.policy.keys import GROUP, PYTHON, ROOT, USER, Key
from pycache_sys.policy.problems import Location, Problem
from pycache_sys_runtime import policy as runtime

T = TypeVar("T")

_ROOT_RANK = runtime.USER + 1


class Section(NamedTuple):
    """Whom statements are for; ``kind`` is empty for everybody."""

    kind: str = ""
    argument: str = ""

    def __str__(self) -> str:
        """Write it as in the file, empty for everybody."""
        return f"[{self.kind} {self.argument}]" if self.kind else ""


class Setting(NamedTuple):
    """One statement; ``replaces`` is False where it adds to what lower layers and lines say."""

    key: Key[Any]
    value: Any
    text: str
    section: Section
    at: Location
    replaces: bool = True


class Subject(NamedTuple):
    """For whom the policy is asked; None where a section of that kind is not to count."""

    python: tuple[str, tuple[int, int, int]] | None = None
    uid: int | None = None
    gids: tuple[int, ...] = ()
    root: str | None = None


EVERYBODY = Subject()


def subject_of(interpreter: Interpreter, root: str | None = None) -> Subject:
    """Ask for an interpreter, and for a root of its sources."""
    return Subject(python=(interpreter.implementation, interpreter.version), root=root)


class View:
    """What holds for a subject."""

    def __init__(
        self, values: Mapping[str, Any], settings: Mapping[str, tuple[Setting, ...]]
    ) -> None:
        self._values = values
        self._settings = settings

    def __getitem__(self, key: Key[T]) -> T:
        """Return the effective value."""
        if key.name in self._values:
            return cast("T", self._values[key.name])
        return key.parse(key.default)

    def settings(self, key: Key[Any]) -> tuple[Setting, ...]:
        """Say which statements the value comes from; none for the default."""
        return self._settings.get(key.name, ())

    def text(self, key: Key[Any]) -> str:
        """Write the value as a policy would."""
        settings = self.settings(key)
        texts = [setting.text for setting in settings]
        if not settings or not settings[0].replaces:
            texts.insert(0, key.default)
        return " ".join(text for text in texts if text)


class Policy(NamedTuple):
    """All that was read, lowest precedence first. ``files`` are those that count."""

    settings: tuple[Setting, ...] = ()
    sections: Mapping[Section, Location] = MappingProxyType({})
    """The sections there are, also those without a statement, and where each is first."""
    files: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
    ids: Mapping[str, int] = MappingProxyType({})
    """The numbers of the names in it: ``user ada``, ``group staff``."""
    is_systems: bool = False
    """Whether it is the one that start-up reads, and not a file given for one run."""
    exemptions: tuple[Exemption, ...] = ()
    """What Debian's packages ask to be left out."""

    @property
    def roots(self) -> tuple[str, ...]:
        """List the roots that have a section."""
        return tuple(section.argument for section in self.sections if section.kind == ROOT)

    def view(self, subject: Subject = EVERYBODY) -> View:
        """Say what holds for a subject: the most specific section wins, at a tie the later.

        Sections rank as ``pycache_sys_runtime.policy`` has it; those for a root come last, the
        deeper root after the other.
        """
        ranks = {section: self._rank(section, subject) for section in self.sections}
        ranks[Section()] = runtime.EVERYWHERE
        counting = [setting for setting in self.settings if ranks[setting.section] >= 0]
        counting.sort(key=lambda setting: ranks[setting.section])  # stable: the later stays later
        found: dict[str, Any] = {}
        origins: dict[str, list[Setting]] = {}
        for setting in counting:
            name = setting.key.name
            if setting.replaces:
                found[name] = dict.fromkeys(setting.value) if setting.key.is_list else setting.value
                origins[name] = [setting]
            else:
                if name not in found:
                    found[name] = dict.fromkeys(setting.key.parse(setting.key.default))
                found[name].update(dict.fromkeys(setting.value))
                origins.setdefault(name, []).append(setting)
        values = {n: tuple(v) if isinstance(v, dict) else v for n, v in found.items()}
        return View(values, {name: tuple(settings) for name, settings in origins.items()})

    def _rank(self, section: Section, subject: Subject) -> int:
        match section.kind:
            case kind if kind == ROOT:
                if subject.root is None or not is_below(subject.root, section.argument):
                    return -1
                return _ROOT_RANK + section.argument.count("/")
            case kind if kind == PYTHON and subject.python is None:
                return -1
            case kind if kind in (USER, GROUP) and subject.uid is None:
                return -1
            case _:
                return self._rank_as_start_up(section, subject)

    def _rank_as_start_up(self, section: Section, subject: Subject) -> int:
        implementation, version = subject.python or ("", (0, 0, 0))
        return runtime.rank(
            f"{section.kind} {section.argument}",
            implementation,
            version,
            -1 if subject.uid is None else subject.uid,
            lambda: subject.gids,
            lambda: self.ids,
        )


Resolve = Callable[[str, str], int | None]
"""Finds the number of a user's or group's name: (kind, name)."""

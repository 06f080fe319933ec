"""Make a policy of the statements in its files, and collect everything that is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pycache_sys.policy import values
from pycache_sys.policy.contradictions import contradictions
from pycache_sys.policy.keys import GROUP, KEYS, OPTIMIZE, OWNER, PYTHON, ROOT, SECTIONS, USER, Key
from pycache_sys.policy.model import Policy, Resolve, Section, Setting
from pycache_sys.policy.problems import Location, Problem, Rejected, nearest
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime.pythons import match_python

Files = Sequence[tuple[str, str]]
"""(path, text) of each file that counts, lowest precedence first."""

_SYNTAX = {
    runtime.UNCLOSED: ("a section is empty, or not closed", "like [user ada]"),
    runtime.NO_VALUE: (
        "neither a section, nor key = value",
        "a list goes on in another line with its key again",
    ),
    runtime.UNPRINTABLE: (
        "an unprintable character",
        "write text in UTF-8 without control characters",
    ),
}


def parse(files: Files, resolve: Resolve) -> tuple[Policy, list[Problem]]:
    """Read all files; returns what was understood, and all problems, in the order of the files."""
    parser = Parser(resolve, KEYS, SECTIONS)
    for path, text in files:
        parser.read(path, text)
    policy = parser.policy(path for path, _ in files)
    lines = {path: text.split("\n") for path, text in files}
    problems = parser.problems
    if all(problem.is_warning for problem in problems):
        problems += contradictions(policy, lines)
    return policy, problems


class Parser:
    """Collects settings and problems over several files."""

    def __init__(
        self, resolve: Resolve, keys: Mapping[str, Key[Any]], sections: Sequence[str]
    ) -> None:
        self.problems: list[Problem] = []
        self._resolve = resolve
        self._keys = keys
        self._kinds = sections
        self._settings: list[Setting] = []
        self._sections: dict[Section, Location] = {}
        self._ids: dict[str, int] = {}
        self._lines: list[str] = []
        self._understood: dict[str | None, Section | None] = {}
        self._first: dict[tuple[Section, str], Location] = {}

    def read(self, path: str, text: str) -> None:
        """Read one file's statements."""
        self._lines = text.split("\n")
        self._understood = {"": Section()}
        self._first = {}
        for file, line, column, section, key, operator, value in runtime.scan(text, path):
            at = Location(file=file, line=line, column=column)
            if operator in _SYNTAX:
                message, hint = _SYNTAX[operator]
                self._complain(at, message, hint, length=len(value))
            elif not operator:
                self._understood[section] = self._read_section(at, section or "")
            elif (known := self._understood.get(section)) is not None:
                self._read_setting(at, known, key, operator, value)

    def policy(self, files: Iterable[str]) -> Policy:
        """Return what was understood so far."""
        return Policy(
            settings=tuple(self._settings),
            sections=dict(self._sections),
            files=tuple(files),
            ids=dict(self._ids),
        )

    # sections

    def _read_section(self, at: Location, text: str) -> Section | None:
        """Read a section's line; None where what follows it cannot count."""
        kind, _, argument = text.partition(" ")
        line = self._lines[at.line - 1]
        if kind not in self._kinds:
            place = at._replace(column=line.find(kind, at.column) + 1 or at.column)
            hint = nearest(kind, self._kinds) or f"there are {', '.join(self._kinds)}"
            self._complain(
                place,
                f"unknown section {text!r}: it does not count",
                hint,
                length=len(kind),
                is_warning=True,
            )
            return None
        start = line.find(argument, line.find(kind) + len(kind)) + 1 if argument else 0
        place = Location(file=at.file, line=at.line, column=max(start, at.column))
        try:
            section = Section(kind, self._read_argument(place, kind, argument))
        except Rejected as rejected:
            self._reject(place, rejected, len(argument))
            return None
        self._sections.setdefault(section, at)
        return section

    def _read_argument(self, at: Location, kind: str, argument: str) -> str:
        if not argument:
            examples = {PYTHON: ">=3.12", USER: "ada", GROUP: "staff", ROOT: "/srv/app"}
            raise Rejected(f"which {kind}?", hint=f"like [{kind} {examples[kind]}]")
        if kind == ROOT:
            return values.section_root(argument)
        if kind == PYTHON:
            if match_python(argument, "", (0, 0, 0)) == -2:
                raise Rejected(
                    f"{argument!r} is not a version specifier",
                    hint="like 3.12, >=3.11,<3.14, pypy, cpython<3.13",
                )
            return argument
        for name in argument.split():  # a name cannot be in quotes: start-up knows none
            self._read_name(at, kind, name)
        return argument

    def _read_name(self, at: Location, kind: str, name: str) -> None:
        """Find the number of a user or group, which start-up cannot ask for."""
        if runtime.parse_id(name) is not None:
            return
        number = self._resolve(kind, name)
        if number is not None:
            self._ids[f"{kind} {name}"] = number
            return
        found = self._lines[at.line - 1].find(name, at.column - 1) + 1
        self._complain(
            at._replace(column=found or at.column),
            f"there is no {kind} {name!r} here: this section is for nobody",
            "a number will do too",
            length=len(name),
            is_warning=True,
        )

    # settings

    def _read_setting(
        self, at: Location, section: Section, name: str, operator: str, value: str
    ) -> None:
        key = self._keys.get(name)
        if key is None:
            self._complain_about_key(
                at, name, f"unknown key '{name}': it does not count", is_warning=True
            )
            return
        if section.kind not in key.sections and (section.kind or not key.is_plain):
            self._complain_about_key(at, name, _misplaced(key, section))
            return
        replaces = self._judge_repetition(at, key, section, operator)
        if replaces is None:
            return
        if not value:
            if not key.is_list or key is OPTIMIZE:
                self._complain(at, f"'{name}' has no value", f"the default is {key.default}")
                return
            added = operator == "+="
            self._settings.append(
                Setting(key=key, value=(), text="", section=section, at=at, replaces=not added)
            )
            return
        meant = value
        if key is OWNER and (number := self._resolve(USER, value)) is not None:
            meant = str(number)
        try:
            parsed = key.parse(meant)
        except Rejected as rejected:
            self._reject(at, rejected, len(value))
            return
        self._settings.append(
            Setting(key=key, value=parsed, text=value, section=section, at=at, replaces=replaces)
        )

    def _judge_repetition(
        self, at: Location, key: Key[Any], section: Section, operator: str
    ) -> bool | None:
        """Tell whether a statement replaces what was said before; None where it is one too many."""
        if operator == "+=" and not key.is_list:
            self._complain_about_key(at, key.name, f"'{key.name}' is no list: += does not fit it")
            return None
        before = self._first.setdefault((section, key.name), at)
        if before is at:
            return operator == "="
        if key.is_list:
            return False
        self._complain_about_key(
            at, key.name, f"'{key.name}' is set twice, first in line {before.line}", "keep one"
        )
        return None

    # problems

    def _complain_about_key(
        self, at: Location, name: str, message: str, hint: str = "", *, is_warning: bool = False
    ) -> None:
        line = self._lines[at.line - 1]
        column = len(line) - len(line.lstrip(" \t\r")) + 1
        place = Location(file=at.file, line=at.line, column=column)
        hint = hint or nearest(name, self._keys) if is_warning else hint
        self._complain(place, message, hint, length=len(name), is_warning=is_warning)

    def _reject(self, at: Location, rejected: Rejected, length: int) -> None:
        place = Location(file=at.file, line=at.line, column=at.column + rejected.start)
        self._complain(place, str(rejected), rejected.hint, length=rejected.length or length)

    def _complain(
        self,
        at: Location,
        message: str,
        hint: str = "",
        *,
        length: int = 1,
        is_warning: bool = False,
    ) -> None:
        source = self._lines[at.line - 1]
        room = max(1, len(source) - at.column + 1)
        self.problems.append(
            Problem(
                at=at,
                message=message,
                hint=hint,
                source=source,
                length=min(max(1, length), room),
                is_warning=is_warning,
            )
        )


def _misplaced(key: Key[Any], section: Section) -> str:
    places = [f"[{kind} …]" for kind in SECTIONS if kind in key.sections]
    if not places:
        return f"'{key.name}' holds for the whole system: it stands before all sections"
    if key.is_plain:
        places.insert(0, "before all sections")
    where = f"in {section}" if section.kind else "outside of a section"
    return f"'{key.name}' cannot stand {where}, but {' or '.join(places)}"

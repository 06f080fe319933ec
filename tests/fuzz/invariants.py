"""What holds for every policy, however broken: nothing raises or hangs, every problem has a place.

``check`` takes any bytes. They are up to three files of different precedence, with ``MARK``
between them, so that layers are reached too. Nothing is asked of the system: accounts are made up.
"""

import re
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pwd import struct_passwd

from pycache_sys.policy.exclusion import Pattern, parse_exemption
from pycache_sys.policy.files import problems_of_text
from pycache_sys.policy.keys import (
    EXCLUDE,
    GROUP,
    INTERPRETERS,
    KEYS,
    ROOT,
    ROOT_CACHE,
    SERVICE_CACHE,
    USER,
    USER_CACHE,
)
from pycache_sys.policy.model import EVERYBODY, Policy, Subject
from pycache_sys.policy.parse import Parser, parse
from pycache_sys.policy.problems import Problem
from pycache_sys_runtime import caches
from pycache_sys_runtime import policy as runtime

MARK = b"\n%%%\n"
"""What divides an input into files."""
PATHS = (
    "/usr/lib/pycacheprefix.conf",
    "/etc/pycacheprefix.conf",
    "/etc/pycacheprefix.conf.d/50-site.conf",
)
"""Where the files stand, the lowest precedence first."""
SECONDS = 1.0
"""What a step may take for ``runtime.SIZE_LIMIT`` bytes, of the processor's time."""
STRETCHED = 4096
"""One in so many inputs is also repeated up to the limit: that is slow."""

NUMBERS = {
    (USER, "root"): 0,
    (USER, "ada"): 1000,
    (USER, "zoé"): 1001,
    (GROUP, "root"): 0,
    (GROUP, "staff"): 50,
    (GROUP, "wheel"): 10,
}
SUBJECTS = (
    Subject(python=("cpython", (3, 11, 2)), uid=0, gids=(0,), root="/usr/lib/python3"),
    Subject(python=("cpython", (3, 13, 0)), uid=1000, gids=(1000, 50), root="/srv/app/lib"),
    Subject(python=("pypy", (3, 10, 16)), uid=33, gids=(33,)),
    Subject(python=("cpython", (3, 8, 20)), uid=(1 << 32) - 2, gids=()),
)
ENVIRONMENTS: tuple[Mapping[str, str], ...] = (
    {},
    {
        "HOME": "/home/ada",
        "XDG_CACHE_HOME": "/scratch/ada",
        "XDG_RUNTIME_DIR": "/run/user/1000",
        "CACHE_DIRECTORY": "/var/cache/one:/var/cache/two",
    },
    {"HOME": "", "XDG_CACHE_HOME": ".", "XDG_RUNTIME_DIR": "~", "CACHE_DIRECTORY": ":/x"},
)
FILES = (
    "/",
    "/usr/lib/python3/dist-packages/a.py",
    "/srv/app/tests/zo\u00e9/\udcff\n.py",
    "/a" * 1000,
    "/" + "a" * 255,
    "//",
    "",
)
"""Paths that patterns are matched with."""

_OTHER = re.compile(r"(?<=[ =]/)|(?<=\[user )|(?<=\[group )")

Files = Sequence[tuple[str, str]]


class BrokenLawError(Exception):
    """Something does not hold for an input."""


def check(data: bytes, *, stretch: bool | None = None) -> None:
    """Raise for an input for which something does not hold.

    With ``stretch`` the input is repeated up to the limit too, to see what takes too long; by
    default a few inputs are.
    """
    parts = data.split(MARK, len(PATHS) - 1)
    texts = [part.decode("utf-8", "surrogateescape") for part in parts]
    files = list(zip(PATHS, texts, strict=False))
    fingerprint = zlib.crc32(data)
    with _accounts():
        _check_files(files)
        if stretch or (stretch is None and fingerprint % STRETCHED == 0):
            _check_files([(path, _repeat(text)) for path, text in files])
            _check_files([(path, _lengthen(text)) for path, text in files])


def _check_files(files: Files) -> None:
    statements = []
    for path, text in files:
        with _soon("scan", files):
            found = runtime.scan(text, path)
        _check_statements(found, text.split("\n"))
        statements += found
        with _soon("problems_of_text", files):
            problems = list(problems_of_text(path, text))
        _check_problems(problems, files)
    with _soon("parse", files):
        policy, problems = parse(files, _resolve)
    _check_problems(problems, files)
    _check_registry(files)
    accepted = all(problem.is_warning for problem in problems)
    for subject in SUBJECTS:
        with _soon("settings", files):
            found_values = _start_up(statements, subject, policy.ids)
        _check_values(found_values, subject)
        if accepted:
            _check_agreement(policy, subject, found_values)
    if accepted:
        _check_policy(policy)
        if not problems:
            _check_names(policy)


# start-up


def _start_up(
    statements: "Sequence[runtime.Statement]", subject: Subject, ids: Mapping[str, int]
) -> dict[str, object]:
    implementation, version = subject.python or ("", (0, 0, 0))
    uid = 0 if subject.uid is None else subject.uid
    return runtime.settings(
        statements, implementation, version, uid, lambda: subject.gids, lambda: ids
    )


def _check_statements(statements: "Sequence[runtime.Statement]", lines: Sequence[str]) -> None:
    last = 0
    for _, number, column, _, key, operator, value in statements:
        _hold(last < number <= len(lines), f"line {number} comes after {last}")
        line, last = lines[number - 1], number
        _hold(1 <= column <= len(line) + 1, f"column {column} in {line[:99]!r}")
        if operator in ("=", "+="):
            _hold(
                line.startswith(value, column - 1),
                f"{value[:99]!r} not at {column} of {line[:99]!r}",
            )
            _hold(key in line, f"{key[:99]!r} not in {line[:99]!r}")


def _check_values(values: Mapping[str, object], subject: Subject) -> None:
    _hold(set(values) == set(runtime.DEFAULTS), f"keys {sorted(values)}")
    _hold(None not in values.values(), f"no value: {values}")
    key = caches.cache_key(values, subject.uid or 0)
    _hold(key in runtime.CACHES, f"cache {key!r}")
    for name in runtime.CACHES:
        template = values[name]
        if not isinstance(template, str):
            raise BrokenLawError(f"{name} is {template!r}")
        _check_template(template, subject.uid or 0)


@lru_cache(maxsize=1024)
def _check_template(template: str, uid: int) -> None:
    """See that a cache's path becomes absolute, with nothing left to be replaced in it."""
    if not template:
        return
    for environ in ENVIRONMENTS:
        path = caches.expand(template, uid, environ)
        if path is None:
            continue
        _hold(path.startswith("/"), f"{template!r} became {path!r}")
        _hold("{" not in path and "}" not in path, f"{template!r} became {path!r}")
        parts = path[1:].split("/")
        _hold(not {"", ".", ".."}.intersection(parts), f"{template!r} became {path!r}")


# the builder


def _check_problems(problems: Sequence[Problem], files: Files) -> None:
    lines = {path: text.split("\n") for path, text in files}
    with _soon("str(problem)", files):
        for problem in problems:
            _check_problem(problem, lines[problem.at.file])


def _check_problem(problem: Problem, lines: Sequence[str]) -> None:
    number, column = problem.at.line, problem.at.column
    _hold(1 <= number <= len(lines), f"line {number} of {len(lines)}: {problem.message!r}")
    line = lines[number - 1]
    _hold(1 <= column <= len(line) + 1, f"column {column} of {line[:99]!r}: {problem.message!r}")
    _hold(
        problem.length >= 1 and column - 1 + problem.length <= max(len(line), column),
        f"{problem.length} from column {column} of {line[:99]!r}: {problem.message!r}",
    )
    drawn = str(problem)
    _hold(drawn.count("\n") == 2, f"not three lines: {drawn[:999]!r}")
    shown = drawn.replace("\n", "").replace("\t", "")
    _hold(shown.isprintable(), f"not for a terminal: {drawn[:999]!r}")


def _check_registry(files: Files) -> None:
    """Read the files as if packages had put them there."""
    parser = Parser(_resolve, {key.name: key for key in (INTERPRETERS, EXCLUDE)}, (ROOT,))
    for path, text in files:
        parser.read(path, text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what re says of a package's expression
            for line in text.splitlines():
                if "|" in line:
                    parse_exemption(line, path)
    _check_problems(parser.problems, files)


def _check_agreement(policy: Policy, subject: Subject, found: Mapping[str, object]) -> None:
    view = policy.view(subject)
    for name in runtime.DEFAULTS:
        _hold(
            view[KEYS[name]] == found[name],
            f"{name} for {subject}: {view[KEYS[name]]!r} for the builder, "
            f"{found[name]!r} at start-up",
        )


def _check_policy(policy: Policy) -> None:
    for subject in (EVERYBODY, *SUBJECTS, *(Subject(root=root) for root in policy.roots[:3])):
        view = policy.view(subject)
        for key in KEYS.values():
            view[key]
            view.text(key)
    for setting in policy.settings:
        if setting.key is EXCLUDE:
            _check_patterns(setting.value)
        elif setting.key in (USER_CACHE, ROOT_CACHE, SERVICE_CACHE):
            _check_template(setting.value, 1000)


def _check_names(policy: Policy) -> None:
    """See that start-up knows whom a section is for, where the builder says nothing."""
    for section in policy.sections:
        if section.kind in (USER, GROUP):
            for name in section.argument.split():
                known = runtime.parse_id(name) is not None
                _hold(
                    known or f"{section.kind} {name}" in policy.ids,
                    f"start-up does not know {name!r} of {section}",
                )


def _check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns[:50]:
        compiled = Pattern(pattern)
        for path in chain(_like(pattern), FILES):
            started = time.process_time()
            found = compiled.covers(path.rstrip("/"))
            taken = time.process_time() - started
            _hold(taken < SECONDS / 10, f"{pattern!r}: {taken:.2f} s for {path!r}")
            if found and "**" not in pattern:
                _hold(
                    path.rstrip("/").count("/") >= pattern.rstrip("/").count("/"),
                    f"{pattern!r} takes {path!r}, which has fewer names",
                )


def _like(pattern: str) -> Iterator[str]:
    """Make paths that are near to what a pattern matches, longer ones later."""
    plain = pattern.replace("**", "a/b").replace("?", "a")
    yield plain.replace("*", "")[:4000]
    yield plain.replace("*", "aa")[:4000] + "/"
    yield re.sub(r"\[[^]]*\]", "/", plain)[:4000]
    if pattern.count("*") < 2:
        return
    names = [name.replace("*", "") or "a" for name in pattern.split("/")[1:]]
    below = "/".join(dict.fromkeys(name for name in names if name != "a")) or "a"
    size = 8
    while size < 4000:
        if size <= 255:
            yield "".join(f"/{(name * size)[:size]}!" for name in names[:15])
        yield (f"/{below}" * size)[:size] + "/!"
        yield "/a" * (size // 2)
        size += size // 4


# help


def _resolve(kind: str, name: str) -> int | None:
    return NUMBERS.get((kind, name))


def _account(uid: int) -> struct_passwd | None:
    if uid not in (0, 33, 1000):
        return None
    return struct_passwd((f"u{uid}", "x", uid, uid, "", f"/home/u{uid}", "/bin/sh"))


@contextmanager
def _accounts() -> Iterator[None]:
    """Keep the system's accounts out of it."""
    real = caches._account
    caches._account = _account
    try:
        yield
    finally:
        caches._account = real


@contextmanager
def _soon(what: str, files: Files) -> Iterator[None]:
    """See that a step takes no longer than it may for so much text."""
    size = sum(len(text) for _, text in files)
    started = time.process_time()
    yield
    taken = time.process_time() - started
    allowed = SECONDS * max(1.0, size / runtime.SIZE_LIMIT)
    _hold(taken <= allowed, f"{what}: {taken:.2f} s for {size} characters")


def _repeat(text: str) -> str:
    """Repeat a text up to the limit, each time with other sections and paths in it."""
    times = runtime.SIZE_LIMIT // (len(text) + 3)
    copies = [_OTHER.sub(str(number), text) for number in range(1, min(times, 20000))]
    return "\n".join([text, *copies])[: runtime.SIZE_LIMIT]


def _lengthen(text: str) -> str:
    """Repeat the value in the longest line up to the limit."""
    lines = text.split("\n")
    at = max(range(len(lines)), key=lambda number: len(lines[number]))
    key, equals, value = lines[at].partition("=")
    piece = f" {value or key}"
    room = runtime.SIZE_LIMIT - len(text)
    if equals:
        lines[at] += (piece * (room // len(piece) + 1))[: max(room, 0)]
    return "\n".join(lines)


def _hold(law: bool, otherwise: str) -> None:
    if not law:
        raise BrokenLawError(otherwise[:2000])

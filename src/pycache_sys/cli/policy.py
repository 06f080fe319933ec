"""The verbs ``policy check`` and ``policy show``."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from pycache_sys.cli.render import print_json, printable
from pycache_sys.core.errors import ExitStatus, UsageError
from pycache_sys.policy import keys
from pycache_sys.policy.examine import examine_policy
from pycache_sys.policy.load import load
from pycache_sys.policy.model import Policy, Subject, View
from pycache_sys.policy.problems import Problem
from pycache_sys.show import (
    JSON_VERSION,
    Place,
    User,
    cache_of,
    origin,
    places_of,
    settings_as_json,
)
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.trust import RootTrust
from pycache_sys_runtime.policy import DIRECTORIES, FILE_NAME, parse_id


def check(namespace: argparse.Namespace) -> int:
    """Run ``policy check`` and return its exit status."""
    policy, problems = examine_policy(namespace.file)
    errors = [p for p in problems if namespace.strict or not p.is_warning]
    if namespace.json:
        print_json(
            {
                "version": JSON_VERSION,
                "files": list(policy.files),
                "errors": len(errors),
                "warnings": len(problems) - len(errors),
                "problems": [_problem_as_json(problem) for problem in problems],
            }
        )
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
        print(_verdict(policy, problems, errors))
    return ExitStatus.POLICY if errors else ExitStatus.DONE


def show(namespace: argparse.Namespace) -> int:
    """Run ``policy show`` and return its exit status."""
    policy = load(namespace.config)
    user = _user(namespace.user)
    python = _python(namespace.python) if namespace.python else None
    view = policy.view(Subject(python=python, uid=user.uid, gids=user.gids))
    cache, key = cache_of(view, user)
    places = None
    if namespace.path is not None:
        access = Access(trust=RootTrust(), account=None, mounts=Mounts(), is_restricted=True)
        places = places_of(os.path.abspath(namespace.path), policy, access, user)
        if python is not None:
            places = [place for place in places if place.folder == _folder(python)]
    if namespace.json:
        print_json(
            {
                "version": JSON_VERSION,
                "files": list(policy.files),
                "user": {"name": user.name, "uid": user.uid, "cache": cache or None},
                "python": _folder(python) if python else None,
                "settings": settings_as_json(view),
                "for": None
                if places is None
                else {
                    "path": os.path.abspath(namespace.path),
                    "interpreters": [place.as_json() for place in places],
                },
            }
        )
    elif places is not None:
        _print_places(os.path.abspath(namespace.path), places, user)
    else:
        _print_settings(policy, view, user, cache, key)
    return ExitStatus.DONE


def _verdict(policy: Policy, problems: Sequence[Problem], errors: Sequence[Problem]) -> str:
    warnings = len(problems) - len(errors)
    if not policy.files and not problems:
        return f"no policy file: the defaults hold (looked for {FILE_NAME} in {_directories()})"
    names = ", ".join(printable(name) for name in policy.files) or "no file counts"
    return f"{names}: {_number(len(errors), 'error')}, {_number(warnings, 'warning')}"


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _directories() -> str:
    return f"{', '.join(DIRECTORIES[:-1])} and {DIRECTORIES[-1]}"


def _problem_as_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.at.file,
        "line": problem.at.line or None,
        "column": problem.at.column or None,
        "length": problem.length,
        "severity": "warning" if problem.is_warning else "error",
        "message": problem.message,
        "hint": problem.hint or None,
    }


def _print_settings(policy: Policy, view: View, user: User, cache: str, key: str) -> None:
    files = ", ".join(map(printable, policy.files))
    off = "" if view[keys.ENABLED] else "; but the hook is off"
    print(f"Policy: {files or f'no file in {_directories()}; these are the defaults'}")
    print(
        f"User: {printable(user.name)} (uid {user.uid}), whose cache is {_cache(cache, key)}{off}\n"
    )
    rows = [
        (name, view.text(found) or "none", ", ".join(map(origin, view.settings(found))))
        for name, found in keys.KEYS.items()
        if found.is_plain
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, text, origins in rows:
        shown = f"{name:<{widths[0]}}  {printable(text):<{min(widths[1], 40)}}"
        print(f"{shown}  {printable(origins) or 'default'}")
    applied = {setting for _, found in keys.KEYS.items() for setting in view.settings(found)}
    for section, at in policy.sections.items():
        settings = [s for s in policy.settings if s.section == section and s not in applied]
        if settings or section.kind == keys.ROOT:
            print(f"\n{printable(str(section))}  ({printable(str(at))})")
        for setting in settings:
            print(f"  {setting.key.name:<{widths[0]}}  {printable(setting.text)}")


def _cache(cache: str, key: str) -> str:
    return f"{printable(cache)} ({key})" if cache else f"none ({key})"


def _print_places(path: str, places: Sequence[Place], user: User) -> None:
    print(printable(path) + ("" if os.path.lexists(path) else " (does not exist)"))
    width = max((len(place.folder) for place in places), default=0)
    for place in places:
        print(f"  {place.folder:<{width}}  {place.verdict}: {printable(place.detail)}")
        for entry in place.entries:
            print(f"  {'':<{width}}    {printable(entry)}")
        if not place.entries:
            kept = f"keeps its own in {printable(place.cache)}" if place.cache else "keeps none"
            print(f"  {'':<{width}}    {printable(user.name)} {kept}")
    if not places:
        print("  no interpreter was found")


def _user(text: str | None) -> User:
    """Find out about the user who is asked for; None for the caller."""
    import pwd  # noqa: PLC0415 - this verb only

    if text is None:
        uid = os.geteuid()
        environ = dict(os.environ) if uid else {}
        gids = (os.getegid(), *os.getgroups())
        return User(name=_name(uid), uid=uid, gids=gids, environ=environ)
    number = parse_id(text)
    try:
        found = pwd.getpwnam(text) if number is None else pwd.getpwuid(number)
    except KeyError:
        if number is None:
            raise UsageError(f"there is no user {text!r}", hint="a uid will do too") from None
        return User(name=text, uid=number, gids=(), environ={})
    gids = tuple(os.getgrouplist(found.pw_name, found.pw_gid))
    return User(name=found.pw_name, uid=found.pw_uid, gids=gids, environ={})


def _name(uid: int) -> str:
    import pwd  # noqa: PLC0415 - this verb only

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _python(text: str) -> tuple[str, tuple[int, int, int]]:
    """Read which version is meant: ``3.12``, ``3.12.4``, ``pypy3.11``."""
    implementation = "pypy" if text.startswith("pypy") else "cpython"
    parts = text.removeprefix("pypy").removeprefix("cpython").removeprefix("python").split(".")
    if not (2 <= len(parts) <= 3 and all(re.fullmatch("[0-9]{1,4}", part) for part in parts)):
        raise UsageError(
            f"--python {text!r} is not one version", hint="like 3.12, 3.12.4 or pypy3.11"
        )
    numbers = [int(part) for part in parts]
    return implementation, (numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 0)


def _folder(python: tuple[str, tuple[int, int, int]]) -> str:
    from pycache_sys_runtime.layout import version_directory  # noqa: PLC0415 - here only

    return version_directory(python[0], python[1][0], python[1][1])

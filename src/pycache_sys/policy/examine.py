"""Read the policy, parse it, and look at what it names on this system."""

import os
from collections.abc import Mapping
from typing import Any

from pycache_sys.core.errors import UsageError
from pycache_sys.core.model import Reason, Refusal
from pycache_sys.policy.files import Reader
from pycache_sys.policy.keys import (
    EXCLUDE,
    IMAGE_TREE,
    INTERPRETERS,
    OWNER,
    ROOT,
    ROOT_CACHE,
    ROOTS,
    SYSTEM_TREE,
    Key,
)
from pycache_sys.policy.model import Policy, Setting
from pycache_sys.policy.parse import Parser, parse
from pycache_sys.policy.problems import Location, Problem
from pycache_sys.policy.values import AUTO
from pycache_sys.system.trust import OwnFileTrust, RootTrust
from pycache_sys.system.users.accounts import find_id

_REGISTERED = {
    key.name: Key(
        key.name, key.default, key.parse, key.sections, is_list=key.is_list, is_plain=False
    )
    for key in (INTERPRETERS, EXCLUDE)
}


def examine_policy(config: str | None = None) -> tuple[Policy, list[Problem]]:
    """Load a policy with all its problems, registrations of packages included.

    ``config`` may be the caller's own file.
    """
    reader = Reader(RootTrust() if config is None else OwnFileTrust())
    if config is None:
        files = reader.system()
    else:
        path = os.path.abspath(config)
        text = "" if path == os.devnull else reader.read(path)
        if text is None:
            raise UsageError(f"there is no policy file {config}", hint="name a file that exists")
        files = [(path, text)]
    policy, problems = parse(files, resolve)
    problems = reader.problems + problems
    lines = {path: text.split("\n") for path, text in files}
    if all(problem.is_warning for problem in problems):
        problems += _ways(policy, lines)
    policy, warnings = _add_packages(policy)
    problems += warnings
    problems.sort(key=lambda problem: problem.is_warning)
    warnings = [problem for problem in problems if problem.is_warning]
    return policy._replace(warnings=tuple(warnings), is_systems=config is None), problems


def resolve(kind: str, name: str) -> int | None:
    """Ask the system for the number of a user's or group's name."""
    found = find_id(kind, name)
    return None if found is None else found[0]


def _add_packages(policy: Policy) -> tuple[Policy, list[Problem]]:
    """Put below the policy what packages ask for; their mistakes are warnings."""
    reader = Reader(RootTrust())
    parser = Parser(resolve, _REGISTERED, (ROOT,))
    for path, text in reader.registry():
        parser.read(path, text)
    registered = parser.policy(())
    policy = policy._replace(
        settings=(*map(_humble, registered.settings), *policy.settings),
        sections={**registered.sections, **policy.sections},
        exemptions=reader.exemptions(),
    )
    return policy, [p._replace(is_warning=True) for p in (*reader.problems, *parser.problems)]


def _humble(setting: Setting) -> Setting:
    """Let a package add to what the administrator excludes, and never replace it."""
    return setting._replace(replaces=setting.replaces and setting.key.name != EXCLUDE.name)


def _ways(policy: Policy, lines: Mapping[str, list[str]]) -> list[Problem]:
    """See that nobody but root has a say in where the trees and the roots are."""
    found = []
    for path, at, key in _places(policy):
        refusal = _judge_way(path, key)
        if refusal is not None:
            source = lines[at.file][at.line - 1]
            start = source.find(path, at.column - 1) + 1 or at.column
            found.append(
                Problem(
                    at=at._replace(column=start),
                    message=f"on the way to {path}: {refusal.detail}",
                    hint="every directory and link on the way must be root's alone",
                    source=source,
                    length=min(len(path), len(source) - start + 1),
                )
            )
    return found


def _places(policy: Policy) -> list[tuple[str, Location, Key[Any]]]:
    """List the paths that are to be root's, and what they are for."""
    places: list[tuple[str, Location, Key[Any]]] = []
    for setting in policy.settings:
        if setting.key in (SYSTEM_TREE, IMAGE_TREE, ROOT_CACHE) and setting.value[:1] == "/":
            places.append((setting.value, setting.at, setting.key))
        elif setting.key is ROOTS:
            places += [(root, setting.at, ROOTS) for root in setting.value if root != AUTO]
    owned = {setting.section for setting in policy.settings if setting.key is OWNER}
    places += [
        (section.argument, at, ROOTS)
        for section, at in policy.sections.items()
        if section.kind == ROOT and section not in owned
    ]
    return places


def _judge_way(path: str, key: Key[Any]) -> Refusal | None:
    """Judge a path as far as it exists: where a cache of root's is, and where links lead to.

    The directories above a root of sources are judged when it is compiled.
    """
    existing = path
    while existing != "/" and not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    names = existing.strip("/").split("/")
    has_link = any(os.path.islink("/" + "/".join(names[:end])) for end in range(1, len(names) + 1))
    if key is ROOTS and not has_link:
        return None
    refusal = RootTrust().directory(existing)
    private = refusal is not None and refusal.reason is Reason.NOT_READABLE_BY_ALL
    return None if private and key is ROOT_CACHE else refusal

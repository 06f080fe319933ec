"""The use case ``policy show``: what the policy comes to, for a user, an interpreter, a file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pycache_sys.core.model import Interpreter, Refusal
from pycache_sys.core.select import broken_test_data, is_below, serves
from pycache_sys.discover import Target, make_targets, select_interpreters
from pycache_sys.policy import keys
from pycache_sys.policy.model import Policy, Setting, Subject, View
from pycache_sys.system.access import Access
from pycache_sys.system.sources import examine, is_gone
from pycache_sys.system.trust import OwnerTrust, Trust
from pycache_sys_runtime import caches, layout
from pycache_sys_runtime import policy as runtime

JSON_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who runs Python; ``environ`` is theirs, as far as it is known."""

    name: str
    uid: int
    gids: tuple[int, ...]
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What becomes of one path for one interpreter: its bytecode's places, and why, or why not."""

    folder: str
    verdict: str
    detail: str
    entries: tuple[str, ...] = ()
    cache: str = ""
    """Where the user's own bytecode of it would be kept, if it is not in the system tree."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {
            "interpreter": self.folder,
            "verdict": self.verdict,
            "detail": self.detail,
            "entries": list(self.entries),
            "cache": self.cache or None,
        }


def origin(setting: Setting) -> str:
    """Say where a statement stands, and for whom."""
    return f"{setting.at} {setting.section}".rstrip()


def settings_as_json(view: View) -> dict[str, Any]:
    """Return each key's text and origins, as documented."""
    return {
        name: {
            "value": view.text(key),
            "from": [
                {
                    "file": setting.at.file,
                    "line": setting.at.line,
                    "section": str(setting.section) or None,
                }
                for setting in view.settings(key)
            ],
        }
        for name, key in keys.KEYS.items()
    }


def cache_of(view: View, user: User) -> tuple[str, str]:
    """Say where a user's cache is, and by which key; "" where there is none."""
    values = {name: view[keys.KEYS[name]] for name in runtime.CACHES}
    values[keys.SERVICE_UIDS.name] = view[keys.SERVICE_UIDS]
    name = caches.cache_key(values, user.uid)
    template = values[name]
    return (caches.expand(template, user.uid, user.environ) or "" if template else ""), name


def places_of(path: str, policy: Policy, access: Access, user: User) -> list[Place]:
    """Say for each interpreter what becomes of a source, or of the sources in a directory."""
    notes = select_interpreters((), (), access, policy)
    targets = make_targets(notes, policy)
    everyone = [target.interpreter for target in targets if not target.section]
    return [
        _place(path, target, everyone, policy, access, user)
        for target in targets
        if target.share_of(path) is not None and _is_nearest(path, target)
    ]


def _is_nearest(path: str, target: Target) -> bool:
    return not target.section or is_below(path, target.section)


def _place(
    path: str,
    target: Target,
    everyone: Sequence[Interpreter],
    policy: Policy,
    access: Access,
    user: User,
) -> Place:
    interpreter = target.interpreter
    python = (interpreter.implementation, interpreter.version)
    view = policy.view(Subject(python=python, uid=user.uid, gids=user.gids, root=path))
    prefix = f"{view[keys.SYSTEM_TREE]}/{interpreter.directory}"
    cache, _ = cache_of(view, user)
    entries = _entries(path, prefix, interpreter.cache_tag, target.terms.levels)
    verdict, detail = _judge(path, target, everyone, _trust(target, access))
    if verdict == "on request" and entries and os.path.exists(entries[0]):
        verdict, detail = "compiled", "on request, and kept fresh since then"
    if verdict != "compiled":
        entries = ()
    elif not entries:
        verdict, detail = "not compiled", "its bytecode has no place of its own in a tree"
    below = f"{cache}/{interpreter.directory}" if cache else ""
    kept = _entries(path, below, interpreter.cache_tag, (0,)) if below else ()
    return Place(
        folder=interpreter.directory,
        verdict=verdict,
        detail=detail,
        entries=entries,
        cache=kept[0] if kept else "",
    )


def _judge(
    path: str, target: Target, everyone: Sequence[Interpreter], trust: Trust
) -> tuple[str, str]:
    """Say whether runs for everything compile a path, and by which root."""
    if not serves(path, target.interpreter, everyone):
        return "not compiled", "it lies in a directory of another interpreter"
    place = f"{path}/" if os.path.isdir(path) else path
    why = target.terms.excluded(place) if target.terms.excluded is not None else ""
    if why:
        return "excluded", why
    roots = [root for root in target.roots if is_below(path, root)]
    refusal = _refusal(path, trust)
    if refusal is not None:
        return "not compiled", refusal.detail
    if not roots:
        return "on request", f"it is below no root; to compile it: pycache-sys rebuild {path}"
    root = max(roots, key=len)
    why = _passed_by(path, root, target)
    if why:
        return "not compiled", why
    limits = ""
    if target.terms.owner:
        limits = f", within its max-files {target.terms.max_files} and max-bytes"
    return "compiled", f"it is below the root {root}{limits}"


def _passed_by(path: str, root: str, target: Target) -> str:
    """Say why a walk over a root does not come by a path below it."""
    if path == root:
        return ""
    directory, _, name = path.rpartition("/")
    if any(is_below(path, other) for other in target.apart):
        return "it is among packages that this interpreter does not search"
    broken = broken_test_data(directory, target.interpreter.library)
    if broken and name.startswith(broken):
        return "test data of the standard library"
    if not is_below(os.path.realpath(directory), os.path.realpath(root)):
        return f"a symbolic link on the way leads out of {root}"
    return ""


def _refusal(path: str, trust: Trust) -> Refusal | None:
    if is_gone(path):
        return None
    if os.path.isdir(path):
        return trust.directory(path)
    refusal = trust.directory(os.path.dirname(path))
    found = examine(path, trust) if refusal is None else refusal
    return found if isinstance(found, Refusal) else None


def _trust(target: Target, access: Access) -> Trust:
    terms = target.terms
    return OwnerTrust(terms.owner, terms.owned) if terms.owner else access.trust


def _entries(path: str, prefix: str, tag: str, levels: Sequence[int]) -> tuple[str, ...]:
    """Name the cache files of a source, or the directory for those of a directory."""
    if os.path.isdir(path):
        found = [layout.cache_directory(path, prefix)]
    else:
        found = [layout.cache_path(path, prefix, tag, str(level or "")) for level in levels]
    return tuple(entry for entry in found if entry is not None)

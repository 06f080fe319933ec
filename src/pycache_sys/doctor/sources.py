"""What stands in the interpreters' own directories: duplicates, and files that are odd."""

import os
from contextlib import suppress

from pycache_sys.core.findings import Check, Finding, Level
from pycache_sys.core.magic import version_of
from pycache_sys.core.model import Interpreter, Invalidation
from pycache_sys.core.pyc import FLATTENED_BEFORE
from pycache_sys.doctor.directories import Directory
from pycache_sys.doctor.scene import Scene
from pycache_sys.policy import keys
from pycache_sys.policy.model import subject_of
from pycache_sys.system.inventory import read_beginning

LEAST_DUPLICATES = 1 << 20
"""Less than so many bytes beside the sources are not worth a word."""
_MAGIC_LENGTH = 4


def duplicates(scene: Scene) -> None:
    """Count the bytecode beside sources that the tree serves as well."""
    beside = scene.survey.beside
    if not scene.top_is_usable or beside.space < LEAST_DUPLICATES:
        return
    files = "1 file" if beside.removed == 1 else f"{beside.removed} files"
    number: dict[str, int] = {}
    for root in scene.libraries:
        found = sum(path.startswith(f"{root}/") for path in beside.removals)
        if found:
            number[root] = found
    scene.result.add(
        Finding(
            Check.DUPLICATES,
            Level.ADVICE,
            f"{files} of bytecode beside the sources ({beside.space / (1 << 20):.1f} MiB) "
            f"{'is' if beside.removed == 1 else 'are'} in the tree as well",
            places=tuple(number),
            commands=(scene.command("migrate"),),
            hint="package managers bring it back with each package, unless the policy says "
            "'in-place = remove'",
        )
    )


def sourceless_magic(scene: Scene) -> None:
    """Find modules without a source that none of their interpreters can import."""
    wanted: dict[str, list[str]] = {}
    for directory in scene.directories:
        magics = {one.magic for one in _searching(scene, directory.path)}
        for name in sorted(directory.files):
            if name.endswith(".pyc") and _is_sourceless(name[:-4], directory):
                path = f"{directory.path}/{name}"
                magic = read_beginning(path, _MAGIC_LENGTH)
                if magic is not None and magic not in magics:
                    wanted.setdefault(version_of(magic), []).append(path)
    for version, paths in sorted(wanted.items()):
        modules = "this module has" if len(paths) == 1 else f"these {len(paths)} modules have"
        whose = f"Python {version}" if version else "another Python"
        install = f"install python{version}, or get" if version else "get"
        what = "the module" if len(paths) == 1 else "the modules"
        scene.result.add(
            Finding(
                Check.SOURCELESS_MAGIC,
                Level.PROBLEM,
                f"{modules} no source, and bytecode for {whose} that no installed interpreter "
                "which looks there can import",
                places=tuple(sorted(paths)),
                hint=f"{install} {what} for an installed Python from the vendor",
            )
        )


def _is_sourceless(stem: str, directory: Directory) -> bool:
    """Tell whether an import would load the bytecode: nothing of that name goes before it."""
    if "." in stem or stem in directory.directories or f"{stem}.py" in directory.files:
        return False
    return not any(name.startswith(f"{stem}.") and name.endswith(".so") for name in directory.files)


def flattened(scene: Scene) -> None:
    """Count the sources whose times say nothing, where that costs time at each import."""
    found: list[str] = []
    for directory in scene.directories:
        if not any(_hashes(scene, one) for one in _searching(scene, directory.path)):
            continue
        for name in directory.files:
            path = f"{directory.path}/{name}"
            with suppress(OSError):
                if name.endswith(".py") and os.stat(path).st_mtime < FLATTENED_BEFORE:
                    found.append(path)
    if found:
        whose = "1 source says" if len(found) == 1 else f"{len(found)} sources say"
        scene.result.add(
            Finding(
                Check.FLATTENED,
                Level.ADVICE,
                f"{whose} to be from before 1980-01-02, as images have it: their bytecode is "
                "matched by a hash of the source, which costs an import about 7 % of its time",
                places=tuple(sorted(found)),
                hint="nothing has to be done; only where these files never change after the tree "
                "is built, 'invalidation = unchecked-hash' in the policy saves that time",
            )
        )


def _hashes(scene: Scene, interpreter: Interpreter) -> bool:
    view = scene.policy.view(subject_of(interpreter))
    return view[keys.INVALIDATION] is Invalidation.AUTO


def _searching(scene: Scene, path: str) -> list[Interpreter]:
    """List the interpreters that find modules in a directory."""
    return [
        one
        for root, pythons in scene.libraries.items()
        if path == root or path.startswith(f"{root}/")
        for one in pythons
    ]

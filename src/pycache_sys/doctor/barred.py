"""Directories of the tree in wrong hands, closed to others, or with something in their place.

No rebuild writes there, so it mends nothing below them: they come first.
"""

import os
import stat

from pycache_sys.core.entries import is_folder_of_ours
from pycache_sys.core.findings import Check, Finding, Level, command
from pycache_sys.core.model import Job
from pycache_sys.core.plan import Order, cache_names, entry_paths
from pycache_sys.doctor.scene import Scene
from pycache_sys.system.inventory import take_inventory

_WRITABLE_BY_OTHERS = 0o022
_READ_AND_SEARCH = 0o555


def barred(scene: Scene) -> dict[str, Finding]:
    """Find them, by path below the tree's top, each with what mends it."""
    found: dict[str, Finding] = {}

    def enters(path: str, status: os.stat_result) -> bool:
        if not path:
            return True
        if not is_folder_of_ours(path.partition("/")[0]):
            return False
        finding = _judge(scene, path, status)
        if finding is not None:
            found[path] = finding
        return finding is None

    inventory = take_inventory(scene.tree, [""], enters)
    directories, files = _wanted(scene)
    for place in directories & inventory.files.keys():
        found[place] = _in_the_way(scene, place, inventory.files[place])
    for place in files & inventory.directories.keys():
        found[place] = _no_file(scene, place)
    return found


def is_barred(job: Job, order: Order, places: dict[str, Finding]) -> bool:
    """Tell whether a source's bytecode is one of these places, or below one."""
    paths = entry_paths(job.source, order)
    return any(f"{path}/".startswith(f"{place}/") for path in paths for place in places)


def _wanted(scene: Scene) -> tuple[set[str], set[str]]:
    """List the directories that a rebuild would write in, with those above, and the files."""
    directories: set[str] = set()
    files: set[str] = set()
    for plan, _ in scene.survey.found:
        for job in plan.jobs:
            files.update(entry_paths(job.source, plan.order))
            place = cache_names(job.source, plan.order)[0]
            while place and place not in directories:
                directories.add(place)
                place = place.rpartition("/")[0]
    return directories, files


def _judge(scene: Scene, path: str, status: os.stat_result) -> Finding | None:
    """Say what is wrong with a directory, if anything is."""
    full, mode = f"{scene.tree}/{path}", stat.S_IMODE(status.st_mode)
    opening = command("chmod", "0755", full)
    if status.st_uid != 0 or mode & _WRITABLE_BY_OTHERS:
        sources = f"/{path.partition('/')[2]}"
        below = [sources] if sources != "/" and os.path.isdir(sources) else []
        return Finding(
            Check.TREE,
            Level.PROBLEM,
            f"{full} belongs to uid {status.st_uid} with mode {mode:04o}: who can write there can "
            "run code as everybody who loads it, and no rebuild writes there",
            places=(full,),
            commands=(
                command("chown", "root:root", full),
                opening,
                scene.command("rebuild", "--force", *below),
            ),
        )
    if mode & _READ_AND_SEARCH != _READ_AND_SEARCH:
        return Finding(
            Check.TREE,
            Level.PROBLEM,
            f"{full} has mode {mode:04o}, so not everybody can read what is in it",
            places=(full,),
            commands=(opening,),
        )
    return None


def _in_the_way(scene: Scene, path: str, status: os.stat_result) -> Finding:
    """Say that something stands where a directory should."""
    is_link = stat.S_ISLNK(status.st_mode)
    kind = "a symbolic link" if is_link else "no directory"
    words = f"{kind}, where a rebuild needs a directory"
    return _stands_there(scene, path, words, "rm" if is_link else "")


def _no_file(scene: Scene, path: str) -> Finding:
    """Say that a directory stands where bytecode should."""
    is_empty = not os.listdir(f"{scene.tree}/{path}")
    words = "a directory, where a rebuild writes a file"
    return _stands_there(scene, path, words, "rmdir" if is_empty else "")


def _stands_there(scene: Scene, path: str, words: str, remover: str) -> Finding:
    """Say what stands in the place of something else, and remove it if nothing is lost by that."""
    full = f"{scene.tree}/{path}"
    return Finding(
        Check.TREE,
        Level.PROBLEM,
        f"{full} is {words}",
        places=(full,),
        commands=(command(remover, full), scene.command("rebuild")) if remover else (),
        hint="" if remover else "move it away, then call 'pycache-sys rebuild'",
    )

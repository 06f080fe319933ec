"""Directories of the tree in wrong hands, closed to others, or with something in their place.

No rebuild writes there, so it mends nothing below them: they come first.
"""

import os
import stat

from pycache_sys.core.entries import is_folder_of_ours
from pycache_sys.core.findings import Check, Finding, Level, command
from pycache_sys.core.model import Job
from pycache_sys.core.plan import Order
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
    for place in _wanted(scene):
        status = inventory.files.get(place)
        if status is not None:
            found[place] = _in_the_way(scene, place, status)
    return found


def place_of(job: Job, order: Order) -> str:
    """Say in which directory a source's bytecode stands, below the tree's top."""
    return f"{order.directory}{job.source.rpartition('/')[0]}"


def is_below(path: str, places: dict[str, Finding]) -> bool:
    """Tell whether a path below the tree's top is one of these places, or below one."""
    return any(f"{path}/".startswith(f"{place}/") for place in places)


def _wanted(scene: Scene) -> set[str]:
    """List the directories that a rebuild would write in, and those above them."""
    wanted: set[str] = set()
    for plan, _ in scene.survey.found:
        for job in plan.jobs:
            place = place_of(job, plan.order)
            while place and place not in wanted:
                wanted.add(place)
                place = place.rpartition("/")[0]
    return wanted


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
    full = f"{scene.tree}/{path}"
    is_link = stat.S_ISLNK(status.st_mode)
    kind = "a symbolic link" if is_link else "no directory"
    return Finding(
        Check.TREE,
        Level.PROBLEM,
        f"{full} is {kind}, where a rebuild needs a directory",
        places=(full,),
        commands=(command("rm", full), scene.command("rebuild")) if is_link else (),
        hint="" if is_link else "move it away, then call 'pycache-sys rebuild'",
    )

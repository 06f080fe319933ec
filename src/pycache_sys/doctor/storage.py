"""The file system that the tree is on: space, and the labels of SELinux."""

import os

from pycache_sys.core.findings import Check, Finding, Level, command
from pycache_sys.doctor.scene import Scene
from pycache_sys.policy import keys
from pycache_sys.system.machine import labels
from pycache_sys.system.machine.volume import Volume, volume_of

LEAST_BYTES = 64 << 20
LEAST_INODES = 1000
BYTES_OF_BYTECODE = 1.2
"""For each byte of source, as measured on a Debian's libraries."""
_STATE = "/var/cache/pycache-sys"
_MOST_NAMED = 50


def disk(scene: Scene) -> None:
    """See that a rebuild would have room."""
    if scene.mounts.silent([scene.tree]):
        scene.result.cannot(Check.DISK, f"{scene.tree}: its file system does not answer")
        return
    volume = volume_of(scene.tree)
    survey = scene.survey
    wants_writing = survey.missing or any(plan.removals for plan, _ in survey.found)
    if volume.is_read_only and (wants_writing or not scene.top_is_usable):
        scene.result.add(
            Finding(
                Check.DISK,
                Level.PROBLEM,
                f"the tree {scene.tree} is on a file system that is read-only, and is not up to "
                "date",
                places=(volume.point,),
                commands=(command("mount", "-o", "remount,rw", volume.point),),
                hint="if it is meant to be read-only, build the tree where it is made; if the "
                "system has made it so, its log says why",
            )
        )
    if volume.is_read_only:
        return
    least = max(LEAST_BYTES, int(survey.missing_bytes * BYTES_OF_BYTECODE))
    short = []
    if volume.free < least:
        short.append(f"{_mebibytes(volume.free)} MiB free, {_mebibytes(least)} MiB wanted")
    if volume.inodes is not None and volume.inodes < LEAST_INODES:
        short.append(f"{volume.inodes} inodes free, {LEAST_INODES} wanted")
    if short:
        tidying = _tidying(scene, volume)
        scene.result.add(
            Finding(
                Check.DISK,
                Level.PROBLEM,
                f"the file system of the tree {scene.tree} is nearly full: {'; '.join(short)}",
                places=(volume.point,),
                commands=tidying,
                hint=_freeing(tidying, volume),
            )
        )


def _freeing(tidying: tuple[str, ...], volume: Volume) -> str:
    if tidying:
        return f"if this is not enough, free some space on {volume.point}"
    return f"free some space on {volume.point}"


def _mebibytes(number: int) -> int:
    return number >> 20


def _tidying(scene: Scene, volume: Volume) -> tuple[str, ...]:
    """Name what frees space, if users' caches are on the same file system."""
    root = scene.view[keys.ROOT_CACHE]
    places = [look.place.path for look in scene.looks if look.place.is_home]
    places.append(root if root.startswith("/") else f"{_STATE}/root")
    for place in places:
        try:
            if not scene.mounts.silent([place]) and os.stat(place).st_dev == volume.device:
                return (scene.command("gc", "--all-users"),)
        except OSError:
            continue
    return ()


def selinux(scene: Scene) -> None:
    """See that everybody may read the tree, where files have labels."""
    if not labels.is_on():
        return
    wrong: dict[str, list[str]] = {}
    for top in (scene.tree, _STATE):
        if scene.mounts.silent([top]) or not os.path.isdir(top):
            continue
        off = [path for path in labels.sample(top) if labels.type_of(path) != labels.TYPE]
        if off:
            wrong[top] = off
    if not wrong:
        return
    restoring = command("restorecon", "-RF", *wrong)
    loading = command("semodule", "-i", "pycache_sys.pp")
    has_rule = labels.has_rule()
    scene.result.add(
        Finding(
            Check.SELINUX,
            Level.PROBLEM,
            "SELinux is on, and here is another label than that of the sources in /usr/lib "
            f"({labels.TYPE}): confined services cannot read it",
            places=tuple(path for found in wrong.values() for path in found[:_MOST_NAMED]),
            commands=(restoring,) if has_rule else (loading, restoring),
            hint=""
            if has_rule
            else "the module is in selinux/ of pycache-sys: 'make' it as its "
            "page docs/selinux.md says, and call this where it is",
        )
    )

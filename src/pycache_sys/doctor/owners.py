"""What root has left in the directories of users."""

import os

from pycache_sys.core.findings import Check, Finding, Level, command
from pycache_sys.doctor.scene import Scene
from pycache_sys.system.users.as_user import Login
from pycache_sys.system.users.homes import Look


def root_owned(scene: Scene) -> None:
    """Find bytecode of root's in directories of users, who cannot replace or remove it."""
    for look in scene.looks:
        path = look.place.path
        if look.failure:
            scene.result.cannot(Check.ROOT_OWNED, f"{path}: {look.failure}")
            continue
        if not look.searched.is_whole:
            scene.result.cannot(Check.ROOT_OWNED, f"not all of {path} was looked at: it is large")
        if look.searched.number:
            scene.result.add(_finding(look))


def _finding(look: Look) -> Finding:
    number = max(look.searched.number, len(look.searched.root_owned))
    what = "a place with bytecode" if number == 1 else f"{number} places with bytecode"
    return Finding(
        Check.ROOT_OWNED,
        Level.PROBLEM,
        f"{look.place.path} has {what} that root owns, in directories of "
        f"{look.place.login.name}, who can neither replace nor remove it",
        places=tuple(sorted(look.searched.root_owned)),
        commands=(chown(look.place.path, look.place.login),),
    )


def chown(top: str, owner: Login) -> str:
    r"""Write the command that gives root's bytecode below a directory to its user.

    The user may put links in the place of directories all the while. So it is ``find`` that goes
    there, by ``-execdir``, and no path below the top is in the command. Below other directories of
    root's nothing is changed.
    """
    whose = f"{owner.uid}:{owner.gid}"
    entered = f"{command('find', os.path.normpath(top))} -xdev"
    others = "-type d -user root ! -name __pycache__ -prune"
    bytecode = (
        r"-user root \( -type d -name __pycache__ -o "
        r"-type f -links 1 -path '*/__pycache__/*.pyc' \)"
    )
    given = f"chown --no-dereference --from=root {whose} {{}} +"
    return f"{entered} {others} -o {bytecode} -execdir {given}"

"""What is wrong with the tree as a whole, and with the account that its workers run as."""

import os
import shutil
import stat

from pycache_sys.core.entries import is_folder_of_ours, is_named_by_us
from pycache_sys.core.findings import Check, Finding, Level, command
from pycache_sys.core.model import Reason
from pycache_sys.core.tidying import python_of
from pycache_sys.doctor.barred import barred, is_barred
from pycache_sys.doctor.scene import Scene
from pycache_sys.system import at_work
from pycache_sys.system import last_run as last
from pycache_sys.system.inventory import take_inventory
from pycache_sys.system.machine.presence import Presence
from pycache_sys.system.trust import RootTrust
from pycache_sys.system.users.privileges import ACCOUNT, worker_account

SYSUSERS_NAME = "pycache-sys.conf"
_SYSUSERS = (
    "/etc/sysusers.d",
    "/run/sysusers.d",
    "/usr/local/lib/sysusers.d",
    "/usr/lib/sysusers.d",
)
_COMMENT = "Python bytecode compiler"


def account(scene: Scene) -> None:
    """See that root need not compile as root."""
    if worker_account() is not None:
        return
    is_file = any(os.path.exists(f"{place}/{SYSUSERS_NAME}") for place in _SYSUSERS)
    if is_file and shutil.which("systemd-sysusers"):
        making = command("systemd-sysusers", SYSUSERS_NAME)
    else:
        making = command(
            *("useradd", "--system", "--no-create-home", "--home-dir", "/"),
            *("--shell", "/usr/sbin/nologin", "--comment", _COMMENT, ACCOUNT),
        )
    scene.result.add(
        Finding(
            Check.ACCOUNT,
            Level.PROBLEM,
            f"there is no account {ACCOUNT}, so when root builds the tree, sources are read and "
            "compiled as root",
            commands=(making,),
        )
    )


def tree(scene: Scene) -> None:
    """See that the tree is there, is root's, and is up to date."""
    if not scene.top_is_usable:
        scene.result.add(_unusable(scene))
        return
    survey = scene.survey
    process = at_work.holder()
    if process is not None:
        scene.result.cannot(
            Check.TREE, f"process {process} is bringing the tree up to date just now"
        )
        return
    closed = barred(scene)
    scene.result.add(*(closed[path] for path in sorted(closed)))
    orphans = {id(plan) for plan, label in survey.found if label == plan.order.directory}
    stray = [
        f"{scene.tree}/{path}"
        for plan, _ in survey.found
        if id(plan) not in orphans
        for path in plan.removals
    ]
    jobs = [(job, plan.order) for plan, _ in survey.found for job in plan.jobs]
    within = [job for job, order in jobs if not is_barred(job, order, closed)]
    missing = max(0, survey.missing - (len(jobs) - len(within)))
    if not (missing or stray):
        return
    parts = []
    if missing:
        whose = "source has" if missing == 1 else "sources have"
        parts.append(f"{missing} {whose} no bytecode there that is up to date")
    if stray:
        whose = "file of it has" if len(stray) == 1 else "files of it have"
        parts.append(f"{len(stray)} {whose} no source any more, or one that is not compiled")
    places = sorted({job.source for job in within})
    scene.result.add(
        Finding(
            Check.TREE,
            Level.PROBLEM,
            f"the tree {scene.tree} is not up to date: {'; '.join(parts)}",
            places=(*(places if missing else ()), *sorted(stray)),
            commands=(scene.command("rebuild"),),
        )
    )


def _unusable(scene: Scene) -> Finding:
    """Say why nothing in the tree counts."""
    path = scene.tree
    refusal = RootTrust().directory(os.path.dirname(path))
    if refusal is not None and refusal.reason is not Reason.VANISHED:
        return Finding(
            Check.TREE,
            Level.PROBLEM,
            f"the tree {path} is in no safe place, so nothing in it is read: {refusal.detail}",
            hint="every directory on the way to it must be root's, and writable by root alone",
        )
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return Finding(
            Check.TREE,
            Level.PROBLEM,
            f"there is no tree {path} yet",
            commands=(scene.command("rebuild"),),
        )
    if not stat.S_ISDIR(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no directory"
        return Finding(
            Check.TREE,
            Level.PROBLEM,
            f"the tree {path} is {kind}, so nothing in it is read",
            hint="move it away, then call 'pycache-sys rebuild'; to keep the tree elsewhere, name "
            "the place as 'system-tree' in the policy",
        )
    return Finding(
        Check.TREE,
        Level.PROBLEM,
        f"the tree {path} belongs to uid {status.st_uid} with mode "
        f"{stat.S_IMODE(status.st_mode):04o}, so nothing in it is read: it must be root's, "
        "writable by root alone, and open to all",
        commands=(
            command("chown", "root:root", path),
            command("chmod", "0755", path),
            scene.command("rebuild", "--force"),
        ),
    )


def last_run(scene: Scene) -> None:
    """Say that the last run for everything came to no good end."""
    run = last.read()
    if run is None:
        return
    is_failure = run.counts["failed"] and not run.counts["compiled"] + run.counts["fresh"]
    if not (run.stopped or is_failure):
        return
    why = f"was stopped: {run.stopped}" if run.stopped else "failed for every source"
    scene.result.add(
        Finding(
            Check.LAST_RUN,
            Level.PROBLEM,
            f"the last run that was to bring the tree up to date {why}",
            places=tuple(dict.fromkeys(f"{o.source}: {o.detail}" for o in run.failures)),
            commands=(scene.command("rebuild"),),
        )
    )


def orphaned(scene: Scene) -> None:
    """Find the folders of interpreters that are gone."""
    if not scene.top_is_usable:
        return
    presence = Presence(scene.mounts)
    for plan, label in scene.survey.found:
        folder = plan.order.directory
        if label != folder:
            continue  # it has an interpreter, or the policy leaves that out
        if plan.removals:
            files = "1 file" if len(plan.removals) == 1 else f"{len(plan.removals)} files"
            scene.result.add(
                Finding(
                    Check.ORPHANED,
                    Level.PROBLEM,
                    f"the tree has {files} for Python {folder}, which is not installed",
                    places=(plan.order.prefix,),
                    commands=(scene.command("prune"),),
                )
            )
            continue
        python = python_of(folder)
        if plan.left and python is not None and not presence.has_interpreter(python):
            scene.result.add(_useless(scene, folder))


def _useless(scene: Scene, folder: str) -> Finding:
    """Say that nobody can load what ``prune`` leaves, for its sources are there."""
    top = f"{scene.tree}/{folder}"
    inventory = take_inventory(scene.tree, [folder], lambda _path, status: status.st_uid == 0)
    foreign = [path for path in inventory.files if not is_named_by_us(path)]
    is_ours = is_folder_of_ours(folder) and not foreign and not inventory.unreadable
    return Finding(
        Check.ORPHANED,
        Level.ADVICE,
        f"the tree has bytecode for Python {folder}, which is not installed; its sources are "
        "there, so it is not removed unasked",
        places=(top,),
        commands=(command("rm", "-r", top),) if is_ours else (),
        hint="" if is_ours else "it has files that are not of pycache-sys: look at them first",
    )

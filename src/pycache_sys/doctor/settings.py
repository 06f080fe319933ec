"""What the policy and the environment say: errors, a hook that is off, a prefix from elsewhere."""

import os
import pwd

from pycache_sys.core.assignments import DONT_WRITE, PREFIX
from pycache_sys.core.findings import Check, Finding, Level
from pycache_sys.doctor.scene import Scene
from pycache_sys.policy import keys
from pycache_sys.policy.problems import Problem
from pycache_sys.system.machine.deferral import SERVICE
from pycache_sys.system.machine.variables import Said, files_of, said_in, system_files

_EXCLUSIVE, _IGNORE = "exclusive", "ignore"
_NOW, _OFF = "now", "off"
_OWN = "the environment of this command"
_EFFECTS = {
    PREFIX: f"{PREFIX} is set, so programs that get it keep their bytecode there, and not in "
    "the user's cache",
    DONT_WRITE: f"{DONT_WRITE} is set, so programs that get it keep no bytecode: what is in no "
    "tree is compiled at every start",
}
_HINTS = {
    PREFIX: "take these lines out, and name the place as 'user-cache' in the policy",
    DONT_WRITE: "take these lines out; with the hook, nothing is written beside sources anyway",
}


def policy(scene: Scene) -> None:
    """Count the errors and warnings of the policy's files."""
    _, problems = scene.examined
    for level, is_warning in ((Level.PROBLEM, False), (Level.ADVICE, True)):
        found = [problem for problem in problems if problem.is_warning is is_warning]
        if not found:
            continue
        noun = "warning" if is_warning else "error"
        number = f"{len(found)} {noun}" if len(found) == 1 else f"{len(found)} {noun}s"
        text = f"the policy has {number}"
        if not is_warning:
            text += "; the lines in question do not count, and nothing is built until it is mended"
        scene.result.add(
            Finding(
                Check.POLICY,
                level,
                text,
                places=tuple(map(_place, found)),
                commands=(scene.policy_check(),),
                hint="it shows each line with what is wrong in it; correct these files",
            )
        )


def _place(problem: Problem) -> str:
    return f"{problem.at}: {problem.message}"


def disabled(scene: Scene) -> None:
    """Say which lines switch the hook off."""
    lines = {
        str(setting.at): None
        for interpreter in scene.survey.used
        for setting in scene.view_for(interpreter).settings(keys.ENABLED)
        if not scene.view_for(interpreter)[keys.ENABLED]
    }
    if lines:
        scene.result.add(
            Finding(
                Check.DISABLED,
                Level.ADVICE,
                "the policy switches the hook off, so neither the tree nor users' caches are read",
                places=tuple(lines),
                hint="take 'enabled = no' out, if it has served its purpose",
            )
        )


def triggers(scene: Scene) -> None:
    """Say why the tree is not up to date, where the policy leaves that to somebody else."""
    said = scene.view[keys.TRIGGERS]
    if said == _NOW or not scene.top_is_usable or not scene.survey.missing:
        return
    if said == _OFF:
        text = "package managers' calls build nothing, so sources wait for bytecode"
        hint = "say 'triggers = now' in the policy to have it done after each change of packages"
    else:
        text = f"package managers leave the tree to {SERVICE}, which has not brought it up to date"
        hint = f"where systemd runs, 'systemctl status {SERVICE}' says what became of it"
    scene.result.add(
        Finding(
            Check.TRIGGERS,
            Level.ADVICE,
            text,
            places=tuple(str(setting.at) for setting in scene.view.settings(keys.TRIGGERS)),
            commands=(scene.command("rebuild"),),
            hint=hint,
        )
    )


def prefix_set(scene: Scene) -> None:
    """Look for what sets Python's own variables, in the system's files and the users'."""
    said = [Said(_OWN, 0, name) for name in (PREFIX, DONT_WRITE) if os.environ.get(name)]
    said += said_in(path for path in system_files() if not scene.mounts.silent([path]))
    said += said_in(files_of(home)) if (home := _own_home(scene)) else ()
    for look in scene.looks:
        said += look.said
    meaning = scene.view[keys.EXPLICIT_PREFIX]
    for variable in (PREFIX, DONT_WRITE):
        found = dict.fromkeys(_words(one) for one in said if one.variable == variable)
        if not found or (variable == PREFIX and meaning == _IGNORE):
            continue
        is_bad = variable == PREFIX and meaning == _EXCLUSIVE
        text = _EFFECTS[variable]
        if is_bad:
            text += "; and by 'explicit-prefix = exclusive' in the policy they read no tree"
        scene.result.add(
            Finding(
                Check.PREFIX_SET,
                Level.PROBLEM if is_bad else Level.ADVICE,
                text,
                places=tuple(found),
                hint=_HINTS[variable],
            )
        )


def _words(said: Said) -> str:
    return f"{said.path}:{said.line}" if said.line else said.path


def _own_home(scene: Scene) -> str:
    """Name root's home, which is none of those that are looked into."""
    if not scene.is_root:
        return ""
    home = pwd.getpwuid(0).pw_dir
    return "" if scene.mounts.silent([home]) else home

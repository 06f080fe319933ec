"""Whether interpreters can be used, have the hook, and start quickly with it."""

import os
from collections.abc import Iterable

from pycache_sys.core.findings import Check, Finding, Level, command
from pycache_sys.core.model import Interpreter, Reason
from pycache_sys.doctor.scene import Scene
from pycache_sys.enable import Delivery
from pycache_sys.policy import keys
from pycache_sys.system.users.search import Venv

_NO_MATTER = (Reason.EXCLUDED, Reason.TOO_OLD, Reason.NO_CACHE_TAG)
_TRUST = (Reason.WRONG_OWNER, Reason.WRITABLE_BY_OTHERS)


def interpreter(scene: Scene) -> None:
    """Name the interpreters that nothing is compiled for, though they are there."""
    for note in scene.survey.report.interpreters:
        if note.refusal is None or note.refusal[0] in _NO_MATTER:
            continue
        reason, detail = note.refusal
        if reason is Reason.NO_ANSWER:
            scene.result.cannot(Check.INTERPRETER, f"{note.path}: {detail}")
            continue
        hint = "mend or remove it"
        if reason in _TRUST:
            hint = "chown root and chmod go-w what is named, if it can still be relied upon"
        scene.result.add(
            Finding(
                Check.INTERPRETER,
                Level.PROBLEM,
                f"nothing is compiled for this interpreter: {detail}",
                places=(note.path,),
                hint=f"{hint}; or leave it out of 'interpreters' in the policy",
            )
        )
    if not scene.survey.report.interpreters:
        scene.result.add(
            Finding(
                Check.INTERPRETER,
                Level.PROBLEM,
                "no Python interpreter was found in /usr/bin and /usr/local/bin",
                hint="install one there, or name it with 'interpreters' in the policy",
            )
        )


def hook_missing(scene: Scene) -> None:
    """Name the interpreters that start without the hook."""
    without: list[Delivery] = []
    in_spite: list[Delivery] = []
    for one in scene.deliveries:
        if one.failure:
            scene.result.cannot(Check.HOOK_MISSING, f"{one.path}: {one.failure}")
        elif not one.is_hooked and _is_enabled(scene, one):
            (in_spite if one.files else without).append(one)
    if without:
        scene.result.add(
            Finding(
                Check.HOOK_MISSING,
                Level.PROBLEM,
                f"{_these(len(without))} the start-up hook, so the tree is not read",
                places=tuple(one.path for one in without),
                commands=(scene.command("enable", *_pythons(one.path for one in without)),),
            )
        )
    for one in in_spite:
        scene.result.add(
            Finding(
                Check.HOOK_MISSING,
                Level.PROBLEM,
                f"{one.path} starts without the hook, in spite of the files that bring it",
                places=tuple(one.files),
                hint="they name a file of pycache-sys that is not there, or that somebody else "
                "could change: install pycache-sys again, then call 'pycache-sys enable'",
            )
        )


def _these(number: int) -> str:
    return "this interpreter lacks" if number == 1 else "these interpreters lack"


def _is_enabled(scene: Scene, one: Delivery) -> bool:
    found = scene.interpreter_at(one.path)
    return found is None or scene.view_for(found)[keys.ENABLED]


def _pythons(paths: Iterable[str]) -> list[str]:
    return [word for path in paths for word in ("--python", path)]


def bootstrap(scene: Scene) -> None:
    """Name what is compiled at every start, because nothing keeps its bytecode."""
    for one in scene.deliveries:
        if not one.without_bytecode:
            continue
        scene.result.add(
            Finding(
                Check.BOOTSTRAP,
                Level.PROBLEM,
                f"{one.path} compiles at every start what it loads before the hook, for there is "
                "no bytecode of it beside the source",
                places=tuple(sorted(one.without_bytecode)),
                commands=(_making(scene, one),),
            )
        )


def _making(scene: Scene, one: Delivery) -> str:
    """Write the command that makes this bytecode: ours where ``enable`` has brought the hook.

    What a package has brought ``enable`` leaves alone. Then Python's own compiler does it, without
    the hook and whatever the environment says. With ``-B`` it leaves nothing of its own modules.
    """
    found = scene.interpreter_at(one.path)
    own = f"{found.site[0]}/" if found and found.site else ""
    if own and any(path.startswith(own) for path in one.files):
        return scene.command("enable", "--python", one.path)
    return command(one.path, "-B", "-I", "-S", "-m", "py_compile", *sorted(one.without_bytecode))


def hook_venvs(scene: Scene) -> None:
    """Say whose virtual environments the hook does not reach."""
    venvs: list[Venv] = [venv for look in scene.looks for venv in look.searched.venvs]
    for one in scene.deliveries:
        found = scene.interpreter_at(one.path)
        if found is None or not one.is_hooked or one.reaches_venvs or found.environment:
            continue
        made = sorted({venv.path for venv in venvs if _is_made_from(venv, found)})
        if made:
            scene.result.add(
                Finding(
                    Check.HOOK_VENVS,
                    Level.ADVICE,
                    f"the hook of {one.path} does not reach virtual environments made from it, "
                    f"and there {'is one' if len(made) == 1 else f'are {len(made)}'}",
                    places=tuple(made),
                    commands=(scene.command("enable", "--venvs", "--python", one.path),),
                )
            )


def _is_made_from(venv: Venv, interpreter: Interpreter) -> bool:
    """Compare what an environment says of its base; nothing of it is looked at."""
    programs = (interpreter.path, interpreter.binary)
    is_here = venv.home in {os.path.dirname(path) for path in programs}
    major, minor, _ = interpreter.version
    return is_here and venv.version in ("", f"{major}.{minor}")

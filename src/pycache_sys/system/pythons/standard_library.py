"""What an interpreter loads before it can be asked anything: root's, or no answer means a thing.

A program of root's may load a standard library of somebody else's, which then lies in its name. So
its library is looked for the way the interpreter does, without running it, and checked: its own
word has to agree with what is found.
"""

import os
from collections.abc import Iterator

from pycache_sys.core.model import Interpreter, Reason, Refusal
from pycache_sys.system.trust import Trust, refusal_of

_LANDMARK = "os.py"
_LOADED_AT_START = ("", "collections", "encodings", "importlib", "lib-dynload")


def judge_configuration(program: str, trust: Trust) -> Refusal | None:
    """Judge the files beside a program that say where its library is; call before it runs."""
    for path in {program, os.path.realpath(program)}:
        directory = os.path.dirname(path)
        for name in (
            f"{directory}/pyvenv.cfg",
            f"{os.path.dirname(directory)}/pyvenv.cfg",
            f"{directory}/pybuilddir.txt",
            f"{path}._pth",
        ):
            refusal = _judge_file(name, trust) if os.path.lexists(name) else None
            if refusal is not None:
                return refusal
    return None


def judge_nearby(program: str, trust: Trust) -> Refusal | None:
    """Judge every library that a program may load as its own; call before it runs."""
    from glob import escape, glob  # noqa: PLC0415 - a rebuild does not need it

    starts = {program, os.path.realpath(program)}
    starts |= {f"{_home(os.path.dirname(os.path.dirname(path)))}/python" for path in starts}
    for start in starts:
        directory = os.path.dirname(start)
        while directory not in ("", "/"):
            directory = os.path.dirname(directory)
            for library in glob(f"{escape(directory)}/lib*/*/{_LANDMARK}"):
                for part in _LOADED_AT_START:
                    path = os.path.normpath(f"{os.path.dirname(library)}/{part}")
                    refusal = judge_files_in(path, trust) or judge_files_in(
                        f"{path}/__pycache__", trust
                    )
                    if refusal is not None:
                        return refusal
    return None


def judge_library(interpreter: Interpreter, trust: Trust) -> Refusal | None:
    """Judge the library that an interpreter claims, and whether it is the one it would load."""
    claimed = interpreter.library[0]
    found = next(_candidates(interpreter), "")
    if not found or os.path.realpath(found) != os.path.realpath(claimed):
        return Refusal(
            Reason.BROKEN,
            f"it says that its library is {claimed}, but its program has {found or 'none'}",
        )
    for part in _LOADED_AT_START:
        for directory in (f"{claimed}/{part}", f"{claimed}/{part}/__pycache__"):
            refusal = judge_files_in(os.path.normpath(directory), trust)
            if refusal is not None:
                return refusal
    return None


def _candidates(interpreter: Interpreter) -> Iterator[str]:
    """Yield the libraries that stand where the interpreter looks for its own, nearest first."""
    major, minor, _ = interpreter.version
    version = f"{major}.{minor}"
    names = [
        f"{lib}/{name}"
        for lib in ("lib", "lib64", "lib32")
        for name in (f"python{version}", f"python{version}t", f"pypy{version}")
    ]
    names.append("lib-python/3")
    starts = [os.path.dirname(os.path.realpath(interpreter.path))]
    if interpreter.environment:
        starts.insert(0, os.path.realpath(_home(interpreter.environment)))
    for start in starts:
        directory = start
        while directory not in ("", "/"):
            directory = os.path.dirname(directory)
            for name in names:
                library = os.path.join(directory, name)
                if os.path.exists(f"{library}/{_LANDMARK}"):
                    yield library


def _home(environment: str) -> str:
    """Read where a virtual environment's base program is; empty where that is not said."""
    try:
        with open(f"{environment}/pyvenv.cfg", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                key, _, value = line.partition("=")
                if key.strip().lower() == "home":
                    return value.strip()
    except OSError:
        pass
    return ""


def judge_files_in(directory: str, trust: Trust) -> Refusal | None:
    """Judge a directory, if it is there, and what can be imported from it."""
    if not os.path.isdir(directory):
        return None
    refusal = trust.directory(directory)
    if refusal is not None:
        return refusal
    try:
        names = os.listdir(directory)
    except OSError as error:
        return refusal_of(error)
    for name in names:
        if name.endswith((".py", ".pyc", ".so")):
            refusal = _judge_file(f"{directory}/{name}", trust)
            if refusal is not None:
                return refusal
    return None


def _judge_file(path: str, trust: Trust) -> Refusal | None:
    if os.path.islink(path):
        return trust.link(path)
    try:
        status = os.lstat(path)
    except OSError as error:
        return refusal_of(error)
    return trust.file(path, status)

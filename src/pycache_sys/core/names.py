"""How interpreters are named: their programs, their folders in a tree, their cache tags."""

SEARCHED = ("/usr/bin", "/usr/local/bin")
"""Where interpreters are looked for."""


def is_interpreter_name(name: str) -> bool:
    """Tell whether a program is named like one: ``python3.N``, ``python3.Nt``, ``pypy3*``."""
    if name == "pypy3":
        return True
    for start in ("python3.", "pypy3."):
        if name.startswith(start):
            return name[len(start) :].removesuffix("t").isdecimal()
    return False


def folder_of(program: str) -> str:
    """Name the folder that a program named like an interpreter would have in a tree."""
    return program.removeprefix("python")


def tag_of(folder: str) -> str | None:
    """Derive the cache tag from the folder of an interpreter that is gone: 3.9, 3.13t, pypy3.9."""
    version = folder.removeprefix("pypy")
    major, dot, minor = version.removesuffix("t").partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        return None
    return ("cpython-" if version == folder else "pypy") + major + minor

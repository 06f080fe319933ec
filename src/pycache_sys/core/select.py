"""Choose: which interpreters, which roots, which files. Pure functions on names."""

from collections.abc import Iterable, Sequence
from os.path import dirname, normpath

from pycache_sys.core.model import Interpreter

MANAGED_ROOTS = ("/usr", "/opt")
"""Where distributions install; what an interpreter says of its directories is cut down to these."""


def is_below(path: str, root: str) -> bool:
    """Tell whether a path is a root or below it, by components and not by text."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def outermost(roots: Iterable[str]) -> tuple[str, ...]:
    """Drop the roots that lie below another, keep the order of the others."""
    unique = list(dict.fromkeys(normpath(root) for root in roots))
    return tuple(
        root
        for root in unique
        if not any(other != root and is_below(root, other) for other in unique)
    )


def unsearched(searched: Sequence[str]) -> frozenset[str]:
    """Name the package directories inside a library that are not searched.

    A virtual environment's interpreter has its base's library, and often not its packages.
    """
    inside = {f"{root}/{name}" for root in searched for name in ("site-packages", "dist-packages")}
    return frozenset(inside - set(searched))


def managed(directories: Iterable[str], roots: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide what an interpreter says of its directories: (below a managed root, elsewhere)."""
    inside: list[str] = []
    outside: list[str] = []
    for directory in directories:
        fits = normpath(directory) == directory and any(is_below(directory, r) for r in roots)
        (inside if fits else outside).append(directory)
    return inside, outside


def managed_roots(named: Iterable[str]) -> tuple[str, ...]:
    """Add to the managed roots the prefixes of interpreters that were named by path."""
    prefixes = (dirname(dirname(path)) for path in named)
    return (*MANAGED_ROOTS, *(prefix for prefix in prefixes if prefix.strip("/")))


def broken_test_data(directory: str, libraries: Sequence[str]) -> tuple[str, ...]:
    """Say how the names of files begin that are not meant to compile: nowhere but in a library.

    What CPython's own Makefile keeps from compileall: bad_coding, badsyntax, lib2to3's data.
    """
    if "/test" not in directory or not any(is_below(directory, own) for own in libraries):
        return ()
    if "lib2to3/" in directory and "/data" in directory:
        return ("",)
    return ("bad_coding", "badsyntax")


def serves(source: str, interpreter: Interpreter, interpreters: Iterable[Interpreter]) -> bool:
    """Tell whether an interpreter compiles a source that was named by a package or by itself.

    What lies in the directories of some interpreters is theirs alone (``/usr/lib/python3.12`` is
    nothing to 3.13); everything else is for every interpreter chosen.
    """
    owners = [
        other
        for other in interpreters
        if any(is_below(source, root) for root in (*other.library, *other.site))
    ]
    return not owners or interpreter in owners


def publishes(source: str) -> bool:
    """Tell whether a package's source is one that is imported: not documentation, not a script."""
    return source.endswith(".py") and not any(
        is_below(source, place) for place in ("/usr/share/doc", "/etc", "/usr/bin", "/usr/sbin")
    )

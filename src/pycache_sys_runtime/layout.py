"""Map a source file to its cache file and back: the single truth for builder and hook.

A tree holds, for the source ``/usr/lib/python3/dist-packages/foo.py``, the file
``PREFIX/usr/lib/python3/dist-packages/foo.cpython-311.pyc``: what ``sys.pycache_prefix`` makes of
the names of PEP 3147 and PEP 488, so that an interpreter without our hook can read the tree.

Where stock Python's mapping depends on the working directory, leaves the prefix, raises, or gives
two sources one name, there is no cache file and the answer is None:

- a relative path, and a source directly below ``/`` (stock maps ``/foo.py`` by the working
  directory and raises IndexError for ``//foo.py``),
- a path with a ``..`` component (``/../x/foo.py`` would leave the prefix),
- a name that does not end in ``.py`` (``foo.py`` and ``foo.pyw`` would share one), the name
  ``.py`` itself (it would share ``py.py``'s),
- a NUL byte,
- a ``__pycache__`` component: what stands in such a folder is somebody else's.

PEP 3147: https://peps.python.org/pep-3147/  PEP 488: https://peps.python.org/pep-0488/
"""

import sys

SOURCE_SUFFIX = ".py"
BYTECODE_SUFFIX = ".pyc"
OPTIMIZATION_MARK = ".opt-"


def version_directory(implementation, major, minor, free_threaded=False):  # noqa: FBT002 - a flag of the interpreter, named by its caller
    # type: (str, int, int, bool) -> str
    """Name an interpreter's folder below a tree: ``3.11``, ``3.13t``, ``pypy3.11``.

    A free-threaded CPython shares magic number and cache tag with the default build, so the folder
    keeps them apart.
    """
    prefix = "" if implementation == "cpython" else implementation
    return "%s%d.%d%s" % (prefix, major, minor, "t" if free_threaded else "")


def running_version_directory():
    # type: () -> str
    """Name the running interpreter's folder below a tree."""
    major, minor = sys.version_info[:2]
    is_free_threaded = "t" in getattr(sys, "abiflags", "")
    return version_directory(sys.implementation.name, major, minor, is_free_threaded)


def cache_name(source_name, tag, optimization=""):
    # type: (str, str, str) -> str | None
    """Name the bytecode of a source: ``foo.py`` gives ``foo.cpython-311.opt-1.pyc``.

    ``optimization`` is "" for level 0, else the level as PEP 488 writes it. None where stock's
    name would be ambiguous.
    """
    base = source_name[:-3]
    if not base or source_name[-3:] != SOURCE_SUFFIX:
        return None
    if optimization:
        return base + "." + tag + OPTIMIZATION_MARK + optimization + BYTECODE_SUFFIX
    return base + "." + tag + BYTECODE_SUFFIX


def source_name(cache_name, tag):
    # type: (str, str) -> tuple[str, str] | None
    """Name the source and the optimization of a cache file: the inverse of ``cache_name``.

    None for every name that ``cache_name`` does not give for this tag, so a file that somebody
    else put there is never taken for ours.
    """
    if cache_name[-4:] != BYTECODE_SUFFIX:
        return None
    stem = cache_name[:-4]
    end = "." + tag
    optimization = ""
    if not stem.endswith(end):
        stem, mark, optimization = stem.rpartition(OPTIMIZATION_MARK)
        if not mark or not optimization.isalnum() or not stem.endswith(end):
            return None
    base = stem[: -len(end)]
    if not base:
        return None
    return base + SOURCE_SUFFIX, optimization


def cache_directory(source_directory, prefix):
    # type: (str, str) -> str | None
    """Map a directory of sources to the directory of their bytecode below ``prefix``."""
    inner = source_directory.strip("/")
    if (
        source_directory[:1] != "/"
        or not inner
        or "\0" in source_directory
        or "/../" in source_directory + "/"
        or "/__pycache__/" in source_directory + "/"
    ):
        return None
    return prefix.rstrip("/") + "/" + inner


def cache_path(source, prefix, tag, optimization=""):
    # type: (str, str, str, str) -> str | None
    """Map an absolute source path to its cache file below ``prefix``.

    The same text as ``importlib.util.cache_from_source`` under ``sys.pycache_prefix`` gives, or
    None where that is not a safe, unambiguous name (see the module's docstring).
    """
    directory, _, name = source.rpartition("/")
    if "\0" in name:
        return None
    below = cache_directory(directory, prefix)
    cached = cache_name(name, tag, optimization)
    if below is None or cached is None:
        return None
    return below + "/" + cached


def source_path(cache, prefix, tag):
    # type: (str, str, str) -> tuple[str, str] | None
    """Map a cache file below ``prefix`` back to its source path and optimization."""
    top = prefix.rstrip("/") + "/"
    if not cache.startswith(top):
        return None
    directory, _, name = cache[len(top) :].rpartition("/")
    if cache_directory("/" + directory, prefix) is None:
        return None
    named = source_name(name, tag)
    if named is None:
        return None
    return "/" + directory + "/" + named[0], named[1]

"""Say who the interpreter is that runs this file.

Protocol: executed as ``PYTHON -I -S -B identify.py``; one dictionary of literals, in ASCII, on
standard output between the two fences below (for ``ast.literal_eval``: a ``json`` would cost as
much as all the rest); nothing else is meant for the reader. Exit status 0, also when the
interpreter is too old: then it holds ``version`` alone. In paths a byte that is not UTF-8 stands
as a lone surrogate (PEP 383).

This file parses and runs on every Python since 2.7, so that the version gate can answer. Nothing
of the interpreter's site directories is executed: ``site`` is imported for its functions, its
``main`` never runs, and no ``.pth`` file is read.
"""

import sys

if sys.version_info < (3,):
    ascii = repr  # noqa: A001 - what it is called there

FENCE_OPEN = "<<<pycache-sys identify"
FENCE_CLOSE = "pycache-sys identify>>>"
OLDEST = (3, 8)


def site_directories(prefixes):
    """Ask the interpreter's own ``site`` for its directories: distributions patch it."""
    import site  # noqa: PLC0415 - Debian's and Fedora's layouts live in this module

    return site.getsitepackages(prefixes)


def virtual_environment():
    """Find the environment this executable belongs to as ``site`` does: (prefix, sees system)."""
    import os  # noqa: PLC0415 - after the version gate

    here = os.path.dirname(os.path.abspath(sys.executable))
    for prefix in (os.path.dirname(here), here):
        config = os.path.join(prefix, "pyvenv.cfg")
        try:
            with open(config, encoding="utf-8", errors="surrogateescape") as lines:
                settings = dict(
                    [part.strip().lower() for part in line.split("=", 1)]
                    for line in lines
                    if "=" in line
                )
        except OSError:
            continue
        return prefix, settings.get("include-system-site-packages", "true") == "true"
    return None, True


def libraries():
    """List the shared objects that hold the interpreter itself, as the kernel mapped them."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            paths = {line.split(None, 5)[-1].rstrip("\n") for line in maps if "/lib" in line}
    except OSError:
        return []
    return sorted(p for p in paths if p.rpartition("/")[2].startswith(("libpython", "libpypy")))


def directories():
    """List what an import of this interpreter searches: (library, site, environment's prefix)."""
    import os  # noqa: PLC0415 - after the version gate

    library = [p for p in sys.path if p.startswith("/") and not p.endswith(".zip")]
    environment, sees_system = virtual_environment()
    base = [sys.base_prefix, sys.base_exec_prefix]
    if environment is None:
        return library, site_directories(base), ""
    own = os.path.join(environment, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    if sys.implementation.name == "pypy":
        own = own.replace("/python", "/pypy")
    return library, [own] + (site_directories(base) if sees_system else []), environment


def describe():
    """Collect everything the builder wants to know."""
    import os  # noqa: PLC0415 - after the version gate
    from importlib._bootstrap_external import MAGIC_NUMBER  # noqa: PLC0415 - loaded already

    library, site, environment = directories()
    return {
        "version": list(sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "cache_tag": sys.implementation.cache_tag,
        "magic": MAGIC_NUMBER.hex(),
        "free_threaded": "t" in getattr(sys, "abiflags", ""),
        "executable": sys.executable,
        "binary": os.path.realpath(sys.executable),
        "environment": environment,
        "library": library,
        "site": site,
        "libraries": libraries(),
    }


def main():
    """Print the description between the fences."""
    answer = {"version": list(sys.version_info[:3])}
    if sys.version_info >= OLDEST:
        answer = describe()
    sys.stdout.write("\n%s\n%s\n%s\n" % (FENCE_OPEN, ascii(answer), FENCE_CLOSE))


if __name__ == "__main__":
    main()

"""Say what this interpreter would load for some modules, and why, without executing any of them.

Protocol: executed as ``PYTHON -B -c TEXT DIRECTORY ASKED…``, the text being that of
``explain_layers.py`` and this one, by a start like any other in ``/``, with ``site`` and so with
the hook. ``DIRECTORY`` is where the caller stands, ``ASKED`` are dotted names of modules, or
absolute paths of files. One dictionary of literals, in ASCII, on standard output between the two
fences below; nothing else is meant for the reader. Exit status 0. In paths a byte that is not UTF-8
stands as a lone surrogate (PEP 383).

The finders are asked as by an import, package after package; no package is executed. What is
loaded is what the loader's own ``get_code`` loads, here and now. Of the hook its own functions are
called for each layer, also for those that come after the one that serves. Nothing is imported that
is not loaded, and nothing is written: ``-B`` has seen to that before this starts.

In the answer ``layers`` and ``write`` have a word each in ``why``: "" where a layer serves, or
where something would be written, else the hook's word or one of those in ``explain_layers.py``.
"""

import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader, SourcelessFileLoader

TYPE_CHECKING = False  # as in typing, which is not loaded
if TYPE_CHECKING:
    from pycache_sys_worker.explain_layers import (  # noqa: TC004 - its text stands before this
        Hook,
        absolute,
        explain_source,
        explicit_prefix,
        posix_stat,
        text,
        words,
    )

FENCE_OPEN = "<<<pycache-sys explain"
FENCE_CLOSE = "pycache-sys explain>>>"


# finding


def find(full, path):
    """Ask the finders for a module, as an import does."""
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        spec = None if find_spec is None else find_spec(full, path)
        if spec is not None:
            return spec
    return None


def find_module(name):
    """Find a module below its packages, none of which is executed; (spec, what went wrong)."""
    path, full, spec = None, "", None
    parts = name.split(".")
    for number, part in enumerate(parts):
        full = full + "." + part if full else part
        spec = find(full, path)
        if spec is None:
            return already_loaded(name), "there is no module " + full
        if number + 1 < len(parts):
            path = getattr(sys.modules.get(full), "__path__", spec.submodule_search_locations)
            if path is None:
                return already_loaded(name), full + " is not a package"
    return spec, ""


def already_loaded(name):
    """Return the spec of what a start has loaded by another name, as os.path is."""
    return getattr(sys.modules.get(name), "__spec__", None)


def explain(asked, hook, loaded):
    """Explain one module or file; ``loaded`` are the modules that a start has loaded."""
    answer = {
        "asked": asked,
        "kind": "missing",
        "path": "",
        "loader": "",
        "detail": "",
        "locations": [],
        "served": "",
        "file": "",
        "failure": "",
        "source": None,
        "at_start": False,
        "layers": [],
        "write": None,
    }
    try:
        if asked[:1] == "/":
            explain_path(asked, answer, hook)
        else:
            explain_module(asked, answer, hook)
    except Exception as error:
        answer["failure"] = words(error)
    if answer["kind"] == "source" and hook.layers is not None:
        answer["at_start"] = asked in loaded
    return answer


def explain_path(path, answer, hook):
    """Take a file for the source of a module."""
    if posix_stat(path) is None:
        answer["detail"] = "there is no such file"
        return
    if os.path.isdir(path):
        path += "/__init__.py"
    answer["path"] = path
    name = path.rpartition("/")[2].rpartition(".")[0]
    if path[-3:] == ".py":
        if posix_stat(path) is None:
            answer["detail"] = "a directory without __init__.py"
            return
        explain_source(SourceFileLoader(name, path), name, answer, hook)
    elif path[-4:] == ".pyc":
        explain_sourceless(SourcelessFileLoader(name, path), name, answer)
    else:
        answer["detail"] = "a file of this name is no source of a module"


def explain_module(name, answer, hook):
    """Find a module, and say what its loader does."""
    spec, why = find_module(name)
    if spec is None:
        answer["detail"] = why
        return
    loader = spec.loader
    kind = getattr(loader, "__name__", type(loader).__name__)
    answer["loader"] = kind
    answer["path"] = text(spec.origin) if spec.has_location else ""
    if isinstance(loader, SourceFileLoader):
        explain_source(loader, loader.name, answer, hook)
    elif isinstance(loader, SourcelessFileLoader):
        explain_sourceless(loader, loader.name, answer)
    elif loader is None or kind in ("NamespaceLoader", "_NamespaceLoader"):
        answer["kind"] = "namespace"
        answer["locations"] = [text(place) for place in spec.submodule_search_locations or ()]
    else:
        answer["kind"] = {
            "BuiltinImporter": "built-in",
            "FrozenImporter": "frozen",
            "ExtensionFileLoader": "extension",
            "zipimporter": "zip",
        }.get(kind, "other loader")
        if answer["kind"] == "zip":
            answer["file"] = text(loader.archive)


def explain_sourceless(loader, name, answer):
    """Load a module that is bytecode alone."""
    answer["kind"] = "sourceless"
    answer["path"] = answer["file"] = absolute(loader.path)
    try:
        loader.get_code(name)
    except Exception as error:
        answer["failure"] = words(error)


def main():
    """Print the answer between the fences."""
    directory, asked = sys.argv[1], sys.argv[2:]
    try:
        os.chdir(directory)
    except OSError:
        sys.path[:] = [path for path in sys.path if path]
    loaded = set(sys.modules)
    hook = Hook()
    modules = [explain(one, hook, loaded) for one in asked]
    answer = {
        "version": list(sys.version_info[:3]),
        "magic": MAGIC_NUMBER.hex(),
        "uid": os.geteuid(),
        "hook": hook.why,
        "prefix": explicit_prefix(hook),
        "modules": modules,
    }
    sys.stdout.write("\n%s\n%s\n%s\n" % (FENCE_OPEN, ascii(answer), FENCE_CLOSE))


if __name__ == "__main__":
    main()

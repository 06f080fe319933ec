"""Interpreters of an entered root that cannot run here: of another architecture, say.

One of this system's compiles in their stead, if it has the same magic number. What they are is
read from their files: bytecode that came with them or that they wrote names the magic number, and
so does importlib's source up to Python 3.13.
"""

import os
import re

from pycache_sys.core.model import Interpreter, Reason, Refusal
from pycache_sys.core.names import folder_of

_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_SITES = (
    "{library}/site-packages",
    "/usr/lib64/python{version}/site-packages",
    "/usr/lib/python{version}/site-packages",
    "/usr/lib/python3/dist-packages",
    "/usr/local/lib/python{version}/dist-packages",
    "/usr/local/lib/python{version}/site-packages",
)
_EVIDENCE = ("encodings/__pycache__/__init__", "encodings/__pycache__/utf_8", "__pycache__/os")
_IMPORTLIB = "importlib/_bootstrap_external.py"
_MAGIC = re.compile(
    rb"^MAGIC_NUMBER = \((\d+)\)\.to_bytes\(2, 'little'\) \+ b'\\r\\n'", re.MULTILINE
)
_LONGEST_SOURCE = 1 << 20


def describe(path: str, ours: list[Interpreter]) -> Interpreter | Refusal:
    """Describe such an interpreter by the one of ours that stands in for it."""
    folder = folder_of(os.path.basename(path))
    library = next((f"{top}/python{folder}" for top in _LIBRARIES if _is_library(top, folder)), "")
    if not library:
        return Refusal(Reason.BROKEN, "it cannot run here, and has no standard library")
    fitting = [one for one in ours if one.directory == folder]
    if not fitting:
        return Refusal(
            Reason.BROKEN, f"it cannot run here, and this system has no Python {folder} to compile"
        )
    magic = _magic(library, fitting[0].cache_tag)
    if magic is None:
        return Refusal(
            Reason.BROKEN, f"it cannot run here, and nothing in {library} shows its magic number"
        )
    if magic != fitting[0].magic:
        return Refusal(
            Reason.BROKEN,
            f"it cannot run here, and {fitting[0].path} of this system has another magic number",
        )
    sites = dict.fromkeys(site.format(library=library, version=folder) for site in _SITES)
    return fitting[0]._replace(
        path=path,
        binary=os.path.realpath(path),
        library=(library, f"{library}/lib-dynload"),
        site=tuple(site for site in sites if os.path.isdir(site)),
        shared_objects=(),
        stand_in=fitting[0].path,
    )


def _is_library(top: str, folder: str) -> bool:
    return os.path.isfile(f"{top}/python{folder}/os.py")


def _magic(library: str, cache_tag: str) -> bytes | None:
    """Read the magic number from what the interpreter has left."""
    for start in _EVIDENCE:
        try:
            with open(f"{library}/{start}.{cache_tag}.pyc", "rb") as file:
                return file.read(4)
        except OSError:
            continue
    try:
        with open(f"{library}/{_IMPORTLIB}", "rb") as file:
            found = _MAGIC.search(file.read(_LONGEST_SOURCE))
    except OSError:
        return None
    return int(found[1]).to_bytes(2, "little") + b"\r\n" if found else None

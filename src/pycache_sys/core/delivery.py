"""How the start-up hook reaches an interpreter: what the files say that bring it.

Three ways, each a few lines that execute ``pycache_sys_runtime/startup.py`` by its path, and that
say nothing when it is not there:

- a line in a ``.pth`` file of a site directory: every start but with ``-S``, not the virtual
  environments. ``site`` runs such lines up to Python 3.17.
- a ``.start`` file (PEP 829) and the module that it names: the same from 3.18 on.
- a block in the ``sitecustomize`` of the standard library's directory: virtual environments, too.
  What the file said before stays; where there was none, the block runs the one that it hides.

https://docs.python.org/3/library/site.html  PEP 829: https://peps.python.org/pep-0829/
"""

import re
from ast import literal_eval
from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

from pycache_sys_runtime.startup import PRIVATE

PTH_NAME = "pycache-sys.pth"
START_NAME = "pycache-sys.start"
START_MODULE = f"{PRIVATE}_start"
SITECUSTOMIZE = "sitecustomize.py"
NO_IMPORT_LINES = (3, 18)
"""From this version on ``site`` runs no line of a ``.pth`` file."""

_OPEN = b"# >>> pycache-sys: "
_CLOSE = b"# <<< pycache-sys\n"
_PURPOSE = "the start-up hook; `pycache-sys disable` takes this out"
_UNDO = b"# undo: "
_BLOCK = re.compile(
    rb"(?:^|(?<=\n))# >>> pycache-sys: (?P<head>[^\n]*)"
    rb"(?:(?!\n# >>> pycache-sys: ).)*?\n# <<< pycache-sys\n",
    re.DOTALL,
)
"""What was opened and never closed is somebody else's."""
_LARGEST_MTIME = 1 << 63
_NEWLINE = "after a line that had no end"
_WHOLE = "in a file of its own, put lines of yours above"
_MODULE = f"{PRIVATE}.startup"


class Undo(NamedTuple):
    """What to undo besides: bytecode that was made beside sources, a file's mtime before.

    The mtime is in nanoseconds, and comes back with what ``checksum`` (a CRC-32) fits.
    """

    made: tuple[str, ...] = ()
    mtime: int | None = None
    checksum: int = 0

    def mtime_for(self, content: bytes) -> int | None:
        """Say what mtime a file had before, if this is what it said; else it is another now."""
        return self.mtime if crc32(content) == self.checksum else None


def site_files(startup: str, version: tuple[int, ...], undo: Undo) -> Mapping[str, bytes]:
    """Give the files for a site directory, by name; the first of them is what makes it work."""
    if version < NO_IMPORT_LINES:
        return {PTH_NAME: pth_file(startup, undo)}
    return start_files(startup, undo)


def pth_file(startup: str, undo: Undo) -> bytes:
    """Write the ``.pth`` file: one line, for each costs a compilation at every start."""
    # the name is short because site compiles this line at each start of the interpreter
    statement = _statement("e", startup)
    text = f"try:{statement}\nexcept Exception:pass"
    line = f"import _frozen_importlib_external as e; exec({text!a})"
    return f"# {_PURPOSE}\n".encode() + _write_undo(undo) + f"{line}\n".encode()


def start_files(startup: str, undo: Undo) -> Mapping[str, bytes]:
    """Write the ``.start`` file, which only names a function, and the module with it."""
    module = (
        f'"""{_PURPOSE}"""\n\n\ndef start():\n    try:\n'
        "        import _frozen_importlib_external as external\n\n"
        f"        {_statement('external', startup)}\n"
        "    except Exception:\n        pass\n"
    )
    return {
        START_NAME: f"# {_PURPOSE}\n".encode()
        + _write_undo(undo)
        + f"{START_MODULE}:start\n".encode(),
        f"{START_MODULE}.py": module.encode(),
    }


def is_site_file(content: bytes) -> bool:
    """Tell whether a file in a site directory is one of these."""
    return _PURPOSE.encode() in content and PRIVATE.encode() in content


def read_undo(content: bytes) -> Undo:
    """Read what is to be undone with a file or a block; nothing where it does not say."""
    _, _, rest = content.partition(_UNDO)
    try:
        made, mtime, checksum = literal_eval(rest.partition(b"\n")[0].decode())
        undo = Undo(tuple(map(str, made)), mtime if mtime is None else int(mtime), int(checksum))
    except (ValueError, TypeError, SyntaxError, OverflowError, RecursionError, MemoryError):
        return Undo()
    return undo if abs(undo.mtime or 0) <= _LARGEST_MTIME else Undo()


def _write_undo(undo: Undo) -> bytes:
    return _UNDO + ascii(tuple(undo)).encode() + b"\n" if undo != Undo() else b""


def add_block(content: bytes | None, startup: str, undo: Undo) -> bytes:
    """Put the block at the end of a ``sitecustomize``; None for a file that does not exist.

    A block that is there already is replaced, where it stands.
    """
    external = '__import__("_frozen_importlib_external")'
    body = f"try:\n    {_statement(external, startup)}\nexcept Exception:\n    pass\n"
    if content is None:
        return _block(_WHOLE, body + _RUN_NEXT, undo)
    found = _BLOCK.search(content)
    if found is not None:
        where = _where(found)
        block = _block(where, body + _RUN_NEXT if where == _WHOLE else body, undo)
        return content[: found.start()] + block + content[found.end() :]
    if content and not content.endswith(b"\n"):
        return content + b"\n" + _block(_NEWLINE, body, undo)
    return content + _block("", body, undo)


def remove_block(content: bytes) -> bytes | None:
    """Take the block out, and give what the file said before; None where there was no file."""
    found = _BLOCK.search(content)
    if found is None:
        return content
    before, after = content[: found.start()], content[found.end() :]
    where = _where(found)
    if where == _WHOLE and not before + after:
        return None
    return before.removesuffix(b"\n") if where == _NEWLINE and not after else before + after


def block_in(content: bytes) -> bytes | None:
    """Find the block in a ``sitecustomize``."""
    found = _BLOCK.search(content)
    return found.group() if found else None


def _where(block: re.Match[bytes]) -> str:
    head = block["head"]
    return next((where for where in (_WHOLE, _NEWLINE) if head.endswith(where.encode())), "")


def _block(where: str, body: str, undo: Undo) -> bytes:
    head = f"{_PURPOSE}; {where}" if where else _PURPOSE
    return _OPEN + head.encode() + b"\n" + _write_undo(undo) + body.encode() + _CLOSE


def _statement(external: str, startup: str) -> str:
    """Execute the start-up, which itself does nothing where it is in place.

    ``external`` names importlib's own module. Each word that stands here is compiled at every
    start where this is in a ``.pth`` file.
    """
    name, path = ascii(_MODULE), ascii(startup)
    return (
        f"exec({external}.SourceFileLoader({name},{path}).get_code({name}),"
        f"{{'__name__':{name},'__file__':{path}}})"
    )


_RUN_NEXT = '''

def _next():
    """Run the sitecustomize that this file hides, as if this one were not there."""
    import sys
    from _frozen_importlib_external import PathFinder

    name = __name__
    here = __file__.rpartition("/")[0]
    rest = sys.path[sys.path.index(here) + 1 :] if here in sys.path else []
    finders = sys.meta_path
    for finder in finders[finders.index(PathFinder) :] if PathFinder in finders else ():
        find = getattr(finder, "find_spec", None)
        spec = find and find(name, rest if finder is PathFinder else None)
        if spec and spec.loader and spec.origin != __file__:
            from _frozen_importlib import module_from_spec

            module = sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(module)
            return
    raise ModuleNotFoundError("No module named %r" % name, name=name)


if __name__ == "sitecustomize":
    _next()
'''

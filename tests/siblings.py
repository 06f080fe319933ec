"""A package in a folder whose modules are loaded as the hook loads its own; and their bytecode."""

import importlib.machinery
import importlib.util
import marshal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pycache_sys_runtime import modules, startup

TESTED = "_tested_siblings"
"""What the package is called whose modules are executed here."""
SIBLING = "answer = 'source'\n"


def pyc(source: Path, body: bytes) -> bytes:
    """Make bytecode for a source, with its size and time."""
    found = source.stat()
    stamps = (int(found.st_mtime), found.st_size)
    header = b"".join(number.to_bytes(4, "little") for number in (0, *stamps))
    return importlib.util.MAGIC_NUMBER + header + body


def compiled(text: str) -> bytes:
    """Compile a text to the body of its bytecode."""
    return marshal.dumps(compile(text, "elsewhere.py", "exec"))


def put_beside(source: Path, content: bytes, level: str = "") -> Path:
    """Put bytecode beside a source."""
    path = Path(importlib.util.cache_from_source(str(source), optimization=level))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def _more(number: bytes, by: int) -> bytes:
    return (int.from_bytes(number, "little") + by).to_bytes(4, "little")


BAD: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "short": lambda valid: valid[:10],
    "header": lambda valid: valid[:16],
    "truncated": lambda valid: valid[:-9],
    "garbage": lambda valid: valid[:16] + b"\xff\x00garbage" * 9,
    "no code": lambda valid: valid[:16] + marshal.dumps(["no", "code"]),
    "magic": lambda valid: b"\x01\x02\r\n" + valid[4:],
    "flags": lambda valid: valid[:4] + b"\x04\0\0\0" + valid[8:],
    "hash": lambda valid: valid[:4] + b"\x03\0\0\0" + bytes(8) + valid[16:],
    "time": lambda valid: valid[:8] + _more(valid[8:12], -1) + valid[12:],
    "size": lambda valid: valid[:12] + _more(valid[12:16], 1) + valid[16:],
}
"""Ways in which good bytecode gets bad."""


def execute(path: str, name: str) -> dict[str, Any]:
    """Execute one of this package's files as the one that stands at a path, under a name."""
    original = modules.__file__ if name.endswith(".modules") else startup.__file__
    code = importlib.machinery.SourceFileLoader(name, original).get_code(name)
    space = {"__name__": name, "__file__": path}
    exec(code, space)  # noqa: S102 - it is how it is delivered
    return space


def private_modules() -> list[str]:
    """List what is loaded of the package."""
    return sorted(name for name in sys.modules if name.partition(".")[0] == TESTED)


@dataclass
class Siblings:
    """The package, its start-up, and what loads its modules."""

    folder: Path
    startup: dict[str, Any] = field(init=False)
    space: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.startup = execute(f"{self.folder}/startup.py", f"{TESTED}.startup")
        self.space = execute(f"{self.folder}/modules.py", f"{TESTED}.modules")

    def begin(self) -> None:
        """Do what start-up does before the first module is needed."""
        self.space["begin"](self.startup)

    def need(self, name: str = "sibling") -> ModuleType:
        """Load a module of the package."""
        module = self.space["need"](name)
        assert isinstance(module, ModuleType)
        return module

    def write(self, name: str, text: str) -> Path:
        """Write a module's source."""
        path = self.folder / f"{name}.py"
        path.write_text(text)
        return path

    def pyc(self, body: bytes = compiled("answer = 'bytecode'\n")) -> bytes:
        """Make bytecode for the sibling."""
        return pyc(self.folder / "sibling.py", body)

    def put(self, content: bytes | None = None, level: str = "") -> Path:
        """Put bytecode beside the sibling, by default good."""
        content = self.pyc() if content is None else content
        return put_beside(self.folder / "sibling.py", content, level)

    def files(self) -> dict[str, bytes | None]:
        """Read all that is in the folder."""
        return {
            str(path): path.read_bytes() if path.is_file() else None
            for path in self.folder.rglob("*")
        }

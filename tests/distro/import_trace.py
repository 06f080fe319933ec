"""Watch a stock interpreter import modules, through what it says under ``-v``."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from distro.chroots import Chroot
from distro.debian import Interpreter
from distro.product import TREE

PROGRAM = """
import importlib, json, sys

for name in sys.argv[1:]:
    importlib.import_module(name)
specs = {name: getattr(module, "__spec__", None) for name, module in list(sys.modules.items())}
print(json.dumps({name: getattr(spec, "origin", None) for name, spec in specs.items()}))
"""

IMPORTED = re.compile(r"^import '(.+)' # <\S+\.SourceFileLoader object", re.MULTILINE)
"""A module that was made from a source's spec and never executed has no such line."""
MATCHED = re.compile(r"^# (/.+\.pyc) matches (/.+)$", re.MULTILINE)
COMPILED = re.compile(r"^# code object from (/.+)$", re.MULTILINE)
"""A pyc's path stands in quotes there, a source's does not."""
WROTE = re.compile(r"^# (?:created|wrote|could not create) .+$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTrace:
    """What a run of imports did: sources loaded, pyc by source, sources compiled, writes."""

    sources: frozenset[str]
    matched: dict[str, str]
    compiled: list[str]
    writes: list[str]


def trace_imports(
    chroot: Chroot, interpreter: Interpreter, modules: Sequence[str], *, user: int = 0
) -> ImportTrace:
    """Import modules with the tree as the interpreter's own prefix."""
    done = chroot.attempt(
        interpreter.command, *prefix_options(interpreter), "-v", "-c", PROGRAM, *modules, user=user
    )
    assert done.returncode == 0, done.stderr[-2000:]
    origins = json.loads(done.stdout)
    return ImportTrace(
        sources=frozenset(origins[n] for n in IMPORTED.findall(done.stderr) if origins.get(n)),
        matched={source: pyc for pyc, source in MATCHED.findall(done.stderr)},
        compiled=COMPILED.findall(done.stderr),
        writes=WROTE.findall(done.stderr),
    )


def prefix_options(interpreter: Interpreter) -> tuple[str, str]:
    """Return the options with which a stock interpreter reads its folder of the tree."""
    return "-X", f"pycache_prefix={prefix_of(interpreter)}"


def prefix_of(interpreter: Interpreter) -> str:
    """Return an interpreter's folder of the tree."""
    return f"{TREE}/{interpreter.directory}"


def evaluate(chroot: Chroot, interpreter: Interpreter, program: str, *options: str) -> str:
    """Run a program in an interpreter that writes no bytecode; return what it prints."""
    return chroot.run(interpreter.command, "-B", *options, "-c", program).strip()

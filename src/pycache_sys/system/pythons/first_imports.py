"""What a start of an interpreter loads without the hook, because it is loaded before it."""

import os
import re
import subprocess
from ast import literal_eval
from collections.abc import Collection
from typing import NamedTuple

from pycache_sys.core.delivery import SITECUSTOMIZE, START_MODULE, block_in
from pycache_sys.core.environment import environment
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.model import Interpreter
from pycache_sys.system.pythons.bootstrap import loaded_before_hooks
from pycache_sys.system.site_files import read_file
from pycache_sys.system.users.privileges import Account, confined, nobody_else
from pycache_sys_runtime.startup import MARK

_SECONDS = 30
_CODE = (
    "import sys; from _frozen_importlib_external import SourceFileLoader as L; "
    f"print(); print(hasattr(L.get_code, {MARK!r})); "
    "print(ascii({n: s.origin for n, s in "
    "[(n, getattr(m, '__spec__', None)) for n, m in list(sys.modules.items())] if s}))"
)
_TRACED = re.compile(r"^pycache-sys: (\S+): ", re.MULTILINE)


class FirstImports(NamedTuple):
    """Whether a start has the hook, and the sources that are loaded without it."""

    is_hooked: bool
    sources: Collection[str]


def observe(interpreter: Interpreter) -> FirstImports:
    """Start an interpreter as everybody does, and see what its hook did not load.

    What it imports may be anybody's, as it may in any start; so root starts it as nobody in
    particular.
    Besides what is loaded before the site directories are looked at, that is what other ``.pth``
    files import before the hook's own line, and what brings the hook.
    """
    bringing = [f"{path}/{START_MODULE}.py" for path in interpreter.site]
    bringing += [file for file in _customizations(interpreter) if _brings_hook(file)]
    try:
        done = _start(interpreter, nobody_else(None) if os.geteuid() == 0 else None)
        *_, hooked, loaded = done.stdout.splitlines()
        origins = literal_eval(loaded)
        served = set(_TRACED.findall(done.stderr))
        found = {str(origin) for name, origin in origins.items() if name not in served}
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, AttributeError):
        return FirstImports(is_hooked=False, sources=frozenset())
    sources = found.union(bringing, loaded_before_hooks(interpreter))
    return FirstImports(is_hooked=hooked == "True", sources=sources)


def _start(interpreter: Interpreter, account: Account | None) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            [interpreter.path, "-s", "-B", "-c", _CODE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env=environment(os.environ, is_root=os.geteuid() == 0) | {"PYCACHE_SYS": "trace"},
            timeout=_SECONDS,
            check=True,
            text=True,
            preexec_fn=confined(None, account),
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise
    except subprocess.SubprocessError:
        if account is None:
            raise
        # no setuid here, as in a user namespace with one uid: there root is nobody special
        return _start(interpreter, None)


def _customizations(interpreter: Interpreter) -> list[str]:
    return [f"{path}/{SITECUSTOMIZE}" for path in interpreter.library]


def _brings_hook(path: str) -> bool:
    """Tell whether a ``sitecustomize`` has the block: a virtual environment loads it unhooked."""
    try:
        return block_in(read_file(path) or b"") is not None
    except PycacheSysError:
        return True

"""Interpreters that are not what they say."""

import subprocess
from ast import literal_eval
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from security.machine import (
    ENVIRONMENT,
    MARKS,
    TARGET,
    VERSION,
    Machine,
    make_directory,
    write,
)

HOSTILE_ENCODINGS = f"""\
import posix
try:
    posix.mkdir("{MARKS}/ran-as-%d" % posix.getuid())
except OSError:
    pass
posix.write(1, {{answer!r}})
posix._exit(0)
"""


def honest_answer(box: Machine) -> dict[str, Any]:
    """Return what the real interpreter says of itself."""
    program = box.command.parent / "modules/pycache_sys_worker/identify.py"
    done = subprocess.run(
        [str(TARGET), "-I", "-S", "-B", str(program)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = literal_eval(done.stdout.strip().splitlines()[1])
    return answer


def fenced(answer: Mapping[str, Any] | str) -> str:
    """Write an answer as identify.py does; text goes as it is."""
    fences = "\n<<<pycache-sys identify\n", "\npycache-sys identify>>>\n"
    return (answer if isinstance(answer, str) else ascii(dict(answer))).join(fences)


def liar(box: Machine, path: Path, **lies: Any) -> Path:
    """Write a root-owned program that answers at once, with lies among the truth."""
    make_directory(path.parent)
    answer = fenced({**honest_answer(box), **lies})
    return parrot(path, answer)


def parrot(path: Path, answer: str) -> Path:
    """Write a root-owned program that answers with a text."""
    return write(path, f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n", mode=0o755)


def tattler(path: Path) -> Path:
    """Write a program that leaves a mark with the uid that it ran as."""
    text = f'#!/bin/sh\nmkdir "{MARKS}/ran-as-$(id -u)"\nexec {TARGET} "$@"\n'
    return write(path, text, mode=0o755)


def with_libraries(box: Machine, path: Path, *, library: Path, site: Sequence[str] = ()) -> Path:
    """Write a root-owned interpreter that works, and claims other directories for its own."""
    write(library / "os.py")
    own = make_directory(path.parents[1] / "lib") / f"python{VERSION}"
    own.symlink_to(library)  # where a program in this place looks for its library
    answer = {**honest_answer(box), "library": [str(library)], "site": list(site)}
    text = f"""\
#!/bin/sh
case "$*" in
*" -c "*) cat <<'END'
{fenced(answer)}
END
;;
*) exec {TARGET} "$@" ;;
esac
"""
    return write(path, text, mode=0o755)

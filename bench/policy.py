"""Measure what a start-up of Python pays for the policy.

Each state of the policy is read by new processes, in turns: what counts is the first call, as
start-up makes it, with everything cold but the file system's cache. Needs root, for only root's
files count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
clock = time.perf_counter
start = clock()
from pycache_sys_runtime import policy
imported = clock()
version = tuple(sys.version_info[:3])
mains = tuple(top + "/pycacheprefix.conf" for top in sys.argv[2:])
drop_ins = tuple(path + ".d" for path in mains)
before = clock()
policy.load("cpython", version, mains, drop_ins)
first = clock() - before
again = []
for _ in range(300):
    before = clock()
    policy.load("cpython", version, mains, drop_ins)
    again.append(clock() - before)
print(first * 1e6, sorted(again)[150] * 1e6, (imported - start) * 1e6)
"""
FIVE = """\
user-cache = /run/user/{uid}/pycache-sys
export-prefix = no
explicit-prefix = exclusive
read-beside-source = yes
image-tree = off
"""
TARGET = 60.0
"""Microseconds for no file and for five keys."""
ROUNDS = 41
DEFAULT_PYTHONS = ("3.8", "3.13")


def states(folder: Path) -> dict[str, Path]:
    """Write a system's ``etc``, ``run`` and ``usr/lib`` for each state of the policy."""
    hundred = "".join(
        f"[user {4000 + number}]\nenabled = yes\nuser-cache = /srv/cache/{number}\n"
        for number in range(50)
    )
    shipped = (SOURCE.parent / "conf" / "pycacheprefix.conf").read_text("utf-8")
    files = {
        "no file": {},
        "all defaults, as comments": {"usr/lib/pycacheprefix.conf": shipped},
        "5 keys": {"etc/pycacheprefix.conf": FIVE},
        "100 keys in 50 sections": {"etc/pycacheprefix.conf": hundred},
        "5 drop-ins with a key each": {
            f"etc/pycacheprefix.conf.d/{number}0.conf": f"{line}\n"
            for number, line in enumerate(FIVE.splitlines())
        },
    }
    found = {}
    for name, contents in files.items():
        top = folder / name.replace(" ", "-")
        for path in ("etc", "run", "usr/lib"):
            (top / path).mkdir(parents=True)
        for path, text in contents.items():
            (top / path).parent.mkdir(exist_ok=True)
            (top / path).write_text(text, "utf-8")
        found[name] = top
    return found


def find_python(version: str) -> str | None:
    """Find an interpreter by its version: on the path, or among pyenv's."""
    homes = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(homes.glob(f"{version}.*/bin/python{version}"))
    candidates = [*map(str, found), f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"]
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def sample(python: str, top: Path) -> list[float]:
    """Run one new process: microseconds of the first call, of a later one, and of the import."""
    directories = [str(top / name) for name in ("etc", "run", "usr/lib")]
    done = subprocess.run(
        [python, "-I", "-c", CHILD, str(SOURCE), *directories],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.defpath},
    )
    return [float(text) for text in done.stdout.split()]


def main() -> int:
    """Measure, print the table, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", metavar="VERSION", help="3.8, 3.13 by default")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("only root's policy files count: run this as root", file=sys.stderr)
        return 2
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        tops = states(Path(folder))
        for version in options.python or DEFAULT_PYTHONS:
            python = find_python(version)
            if python is None:
                print(f"Python {version}: not found here")
                continue
            samples: dict[str, list[list[float]]] = {name: [] for name in tops}
            for _ in range(options.rounds):
                for name, top in tops.items():
                    samples[name].append(sample(python, top))
            print(f"Python {version}, microseconds{'':<8}first call  (quartiles)   later calls")
            for name, rows in samples.items():
                first, later, _ = (sorted(column) for column in zip(*rows, strict=True))
                middle = statistics.median(first)
                low, high = first[len(first) // 4], first[3 * len(first) // 4]
                verdict = ""
                if name in ("no file", "5 keys"):
                    verdict = f"  {'pass' if middle < TARGET else 'MISSED'}: < {TARGET:.0f}"
                    missed |= middle >= TARGET
                print(
                    f"  {name:<28}{middle:>10.1f}  ({low:.1f}-{high:.1f})"
                    f"{statistics.median(later):>12.1f}{verdict}"
                )
            imports = [row[2] for rows in samples.values() for row in rows]
            print(f"  {'(import of the module)':<28}{statistics.median(imports):>10.1f}\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

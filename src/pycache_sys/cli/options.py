"""Options that several verbs have, and how their arguments are read."""

import argparse
import os

_LEVELS = (0, 1, 2)


def add_tree(group: "argparse._ActionsContainer", words: str) -> None:
    """Add which tree."""
    group.add_argument("--tree", metavar="DIR", help=words)


def add_dry_run(group: "argparse._ActionsContainer") -> None:
    """Add that nothing is done."""
    group.add_argument(
        "-n", "--dry-run", action="store_true", help="say what would be done, do nothing"
    )


def add_json(group: "argparse._ActionsContainer") -> None:
    """Add that a program reads it."""
    group.add_argument("--json", action="store_true", help="print the result as JSON")


def add_loudness(
    group: "argparse._ActionsContainer", *, quiet: str = "print failures only", verbose: str
) -> None:
    """Add how much is said."""
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help=quiet)
    loudness.add_argument("-v", "--verbose", action="store_true", help=verbose)


def add_run(group: "argparse._ActionsContainer") -> None:
    """Add how a run goes about its work."""
    add_dry_run(group)
    group.add_argument(
        "--no-wait", action="store_true", help="exit with status 4 if another run holds the lock"
    )
    group.add_argument(
        "--best-effort",
        action="store_true",
        help="for package managers: exit with status 0 whatever happens, wait 10 s at most, print "
        "one line, and do what the policy's key 'triggers' says",
    )
    add_json(group)
    add_loudness(group, verbose="name every file left out")


def add_sources(group: "argparse._ActionsContainer") -> None:
    """Add whose sources, and for which interpreters."""
    group.add_argument(
        "paths", nargs="*", metavar="PATH", help="a directory or source (default: everything)"
    )
    group.add_argument(
        "-p", "--package", action="append", default=[], help="the sources of an installed package"
    )
    add_python(group)


def add_python(group: "argparse._ActionsContainer") -> None:
    """Add which interpreters."""
    group.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="SPEC|PATH",
        help="interpreters by version ('3.12', '>=3.11', 'pypy3.11') or by path "
        "(default: the policy's, all in /usr/bin and /usr/local/bin)",
    )


def add_root(group: "argparse._ActionsContainer") -> None:
    """Add which system."""
    group.add_argument(
        "--root",
        metavar="DIR",
        help="work in the system whose root is DIR: every path, also of --tree, is one in there",
    )


def add_config(group: "argparse._ActionsContainer") -> None:
    """Add by which policy."""
    group.add_argument(
        "--config",
        metavar="FILE",
        help="take FILE as the only policy file, instead of /etc/pycacheprefix.conf and the others",
    )


def read_levels(text: str) -> tuple[int, ...]:
    """Read a list of optimization levels."""
    try:
        levels = sorted({int(part) for part in text.split(",")})
    except ValueError:
        levels = []
    if not levels or any(level not in _LEVELS for level in levels):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of levels like 0,1,2")
    return tuple(levels)


def read_age(text: str) -> int:
    """Read the argument of ``--older-than``."""
    from pycache_sys.cli import gc  # noqa: PLC0415 - the parser alone stays quick

    return gc.read_age(text)


def read_size(text: str) -> int:
    """Read the argument of ``--max-size``."""
    from pycache_sys.cli import gc  # noqa: PLC0415 - as above

    return gc.read_size(text)


def read_jobs(text: str) -> int:
    """Read a number of worker processes, and keep it sensible."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes")
    return min(int(text), 4 * (os.cpu_count() or 1))

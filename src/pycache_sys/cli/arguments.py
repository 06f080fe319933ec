"""The parser: one place for every verb's options."""

import argparse
import os

from pycache_sys import __version__
from pycache_sys.core.model import Invalidation

_LEVELS = (0, 1, 2)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; each verb's ``run`` is imported when it is called."""
    parser = argparse.ArgumentParser(
        prog="pycache-sys",
        description="Keep precompiled Python bytecode under /var/cache/python, where the FHS puts "
        "regenerable data.",
        epilog="The manual is pycache-sys(8).",
    )
    parser.add_argument("--version", action="version", version=f"pycache-sys {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_rebuild(verbs)
    return parser


def _add_rebuild(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "rebuild",
        help="compile what is not fresh, remove what has no source",
        description="Compile every source of the installed interpreters (or of the given PATHs "
        "and packages) that has no fresh bytecode in the tree.",
    )
    verb.set_defaults(run=_run_rebuild)
    what = verb.add_argument_group("what")
    what.add_argument(
        "paths", nargs="*", metavar="PATH", help="a directory or source (default: everything)"
    )
    what.add_argument(
        "-p", "--package", action="append", default=[], help="the sources of an installed package"
    )
    what.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="SPEC|PATH",
        help="interpreters by version ('3.12', '>=3.11', 'pypy3.11') or by path "
        "(default: all in /usr/bin and /usr/local/bin)",
    )
    how = verb.add_argument_group("how")
    how.add_argument(
        "--optimize",
        type=_levels,
        default=(0,),
        metavar="LEVELS",
        help="optimization levels, like 0,1,2 (default: 0)",
    )
    how.add_argument(
        "--invalidation",
        type=Invalidation,
        choices=list(Invalidation),
        default=Invalidation.AUTO,
        help="how bytecode is matched with its source (default: auto, that is timestamp, and "
        "checked-hash where mtimes say nothing)",
    )
    how.add_argument("-f", "--force", action="store_true", help="compile also what is fresh")
    how.add_argument(
        "-j", "--jobs", type=_positive, metavar="N", help="worker processes (default: one a core)"
    )
    how.add_argument(
        "--prune",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="remove bytecode whose source is gone (default: yes, unless PATHs or packages are "
        "given)",
    )
    where = verb.add_argument_group("where")
    where.add_argument(
        "--tree",
        metavar="DIR",
        help="build a tree of your own in DIR instead of /var/cache/python",
    )
    run = verb.add_argument_group("this run")
    run.add_argument(
        "-n", "--dry-run", action="store_true", help="say what would be done, do nothing"
    )
    run.add_argument(
        "--no-wait", action="store_true", help="exit with status 4 if another run holds the lock"
    )
    run.add_argument(
        "--best-effort",
        action="store_true",
        help="for package managers: exit with status 0 whatever happens, wait 10 s at most",
    )
    run.add_argument("--json", action="store_true", help="print the report as JSON")
    loudness = run.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="print failures only")
    loudness.add_argument("-v", "--verbose", action="store_true", help="name every file left out")


def _run_rebuild(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import rebuild  # noqa: PLC0415 - the parser alone stays quick

    return rebuild.run(namespace)


def _levels(text: str) -> tuple[int, ...]:
    try:
        levels = sorted({int(part) for part in text.split(",")})
    except ValueError:
        levels = []
    if not levels or any(level not in _LEVELS for level in levels):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of levels like 0,1,2")
    return tuple(levels)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes")
    return min(int(text), 4 * (os.cpu_count() or 1))

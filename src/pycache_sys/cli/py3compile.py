"""The programs ``py3compile`` and ``pypy3compile``, with the options of Debian's."""

import optparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pycache_sys import __version__
from pycache_sys.cli import drop_in
from pycache_sys.cli.render import Progress, print_report
from pycache_sys.core.debian import Range, parse_range
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.core.report import Report
from pycache_sys.named_sources import NoSuchPackageError
from pycache_sys.policy import BCEP
from pycache_sys.py3compile import (
    NoSuchVersionError,
    Run,
    Wanted,
    compile_for_cpython,
    compile_for_pypy,
)

_USAGE = "%prog [-V [X.Y][-][A.B]] DIR_OR_FILE [-X REGEXPR]\n       %prog -p PACKAGE"
_NO_VERSION = 3


def main() -> int:
    """Run the program that the command line names first."""
    return drop_in.run(_prepare)


def _prepare(program: str, arguments: Sequence[str]) -> Callable[[], int]:
    if program == "pypy3compile":
        return _prepare_pypy(arguments)
    options, places = _parser().parse_args(list(arguments))
    if options.regexpr and not places:
        raise SystemExit(_refuse_patterns())
    if not options.package and not places:
        _parser().print_usage()
        raise SystemExit(1)
    wanted = Wanted(
        packages=[options.package] if options.package else [],
        places=places,
        versions=options.vrange or Range(),
        patterns=options.regexpr or [],
        optimized=options.optimize,
        force=options.force,
    )
    verbose = options.verbose or os.environ.get("PYCOMPILE_DEBUG") == "1"
    return lambda: _run(program, wanted, compile_for_cpython, verbose=verbose)


def _run(
    program: str, wanted: Wanted, compile_for: Callable[[Wanted, Run], Report], *, verbose: bool
) -> int:
    """Compile, and say what failed."""
    policy, _ = drop_in.load_policy()
    with Progress(quiet=True, list_plan=False) as progress:
        run = Run(
            policy=policy,
            wait_seconds=drop_in.wait_seconds(),
            observer=progress,
            warn=lambda text: print(f"{program}: {text}", file=sys.stderr),
        )
        try:
            report = compile_for(wanted, run)
        except NoSuchVersionError as error:
            raise _fault(error, _NO_VERSION) from error
        except NoSuchPackageError as error:
            raise _fault(error, 1) from error
    if report.interpreters:
        print_report(report, quiet=not verbose, verbose=verbose)
        return int(report.exit_status != 0)
    return 0


def _fault(error: PycacheSysError, status: int) -> drop_in.CallError:
    return drop_in.CallError(str(error), status, hint=error.hint)


def _refuse_patterns() -> int:
    message = (
        "--exclude option works with private directories only, please use "
        "/usr/share/python3/bcep to specify public modules to skip"
    )
    try:
        _parser().error(message)
    except SystemExit as ending:
        return int(str(ending.code))


class _Option(optparse.Option):
    """Options with a range of versions, or with a regular expression."""

    TYPES = (*optparse.Option.TYPES, "version_range", "regexpr")
    TYPE_CHECKER = optparse.Option.TYPE_CHECKER | {
        "version_range": lambda _option, _name, value: _range(value),
        "regexpr": lambda _option, _name, value: _pattern(value),
    }


def _range(text: str) -> Range:
    try:
        return parse_range(text)
    except ValueError as error:
        raise optparse.OptionValueError(str(error)) from error


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise optparse.OptionValueError("regular expression is not valid") from error


def _parser() -> optparse.OptionParser:
    """Build a parser that takes options and arguments in any order, as Debian's does."""
    parser = optparse.OptionParser(
        _USAGE,
        prog="py3compile",
        version=f"%prog (pycache-sys {__version__})",
        option_class=_Option,
        description="Compile Python sources into /var/cache/python. The manual is py3compile(1), "
        "and docs/py3compile.md of pycache-sys.",
    )
    add: Callable[..., Any] = parser.add_option
    add("-v", "--verbose", action="store_true", dest="verbose", help="say what was done")
    add(
        "-q", "--quiet", action="store_false", dest="verbose", default=False,
        help="say what failed only (default)",
    )  # fmt: skip
    add(
        "-f", "--force", action="store_true", default=False,
        help="compile also what is fresh; with -p, this is always so",
    )  # fmt: skip
    add(
        "-O", action="store_true", dest="optimize", default=False,
        help="compile for python3 -O, instead of the levels that the policy names",
    )  # fmt: skip
    add("-p", "--package", help="compile the modules of this Debian package")
    add(
        "-V", type="version_range", dest="vrange", metavar="VRANGE",
        help="versions of Python: '3.11' (that one), '3.11-' (and later), '3.11-3.13' (3.11 and "
        "3.12), '-4.0' (earlier ones)",
    )  # fmt: skip
    add(
        "-X", "--exclude", action="append", dest="regexpr", type="regexpr", metavar="REGEXPR",
        help="leave out what matches, below the directories that are named (may be repeated)",
    )  # fmt: skip
    return parser


def _prepare_pypy(arguments: Sequence[str]) -> Callable[[], int]:
    import argparse  # noqa: PLC0415 - the other program has optparse, as Debian's have

    def pattern(text: str) -> re.Pattern[str]:
        try:
            return _pattern(text)
        except optparse.OptionValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser = argparse.ArgumentParser(
        prog="pypy3compile", description="Compile Python sources for PyPy into /var/cache/python."
    )
    parser.add_argument(
        "-p", "--package", metavar="PACKAGE", action="append", default=[],
        help="compile the modules of this Debian package (may be repeated)",
    )  # fmt: skip
    parser.add_argument("directory", nargs="*", help="a directory or source to compile")
    parser.add_argument(
        "-X", "--exclude", metavar="REGEXPR", action="append", default=[], type=pattern,
        help="leave out what matches (may be repeated)",
    )  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true", help="say what was done")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of what failed")
    parser.add_argument(
        "-V", metavar="VRANGE", dest="vrange", type=parse_range, default=Range(),
        help="compile only if PyPy's version of Python is in this range",
    )  # fmt: skip
    parser.add_argument("-O", action="store_true", dest="pyo", help=argparse.SUPPRESS)
    parser.add_argument("--bcep-path", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not (options.package or options.directory):
        parser.error("Either a package or a directory must be specified")
    if options.quiet and options.verbose:
        parser.error("--quiet and --verbose cannot both be specified")
    if options.bcep_path.rstrip("/") not in ("", BCEP):
        raise drop_in.LeftToDebianError
    wanted = Wanted(
        packages=options.package,
        places=options.directory,
        versions=options.vrange,
        patterns=options.exclude,
    )

    def act() -> int:
        if options.pyo:
            print("-O is ignored in pypy3compile", file=sys.stderr)
        _run("pypy3compile", wanted, compile_for_pypy, verbose=options.verbose)
        return 0  # Debian's is content with what compiles, too

    return act

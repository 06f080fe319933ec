"""The programs ``py3clean`` and ``pypy3clean``, with the options of Debian's."""

import optparse
import os
import sys
from collections.abc import Callable, Sequence

from pycache_sys import __version__
from pycache_sys.cli import drop_in
from pycache_sys.cli.render import printable
from pycache_sys.core.debian import parse_version
from pycache_sys.core.errors import PycacheSysError
from pycache_sys.named_sources import NoSuchPackageError
from pycache_sys.py3clean import ALL, PYPY, Wanted, choose, clean_beside, clean_tree, tag_for


def main() -> int:
    """Run the program that the command line names first."""
    return drop_in.run(_prepare)


def _prepare(program: str, arguments: Sequence[str]) -> Callable[[], int]:
    if program == "pypy3clean":
        return _prepare_pypy(arguments)
    parser = optparse.OptionParser(
        "%prog [-V VERSION] [-p PACKAGE] [DIR_OR_FILE]",
        prog="py3clean",
        version=f"%prog (pycache-sys {__version__})",
        description="Remove the bytecode of Python sources, from /var/cache/python and from the "
        "__pycache__ beside them.",
    )
    parser.add_option("-v", "--verbose", action="store_true", help="say what was done")
    parser.add_option(
        "-q", "--quiet", action="store_false", dest="verbose", default=False,
        help="say what failed only (default)",
    )  # fmt: skip
    parser.add_option("-p", "--package", help="remove the bytecode of this Debian package")
    parser.add_option(
        "-V", dest="version", help="remove the bytecode of this version of Python only"
    )
    options, places = parser.parse_args(list(arguments))
    if not options.package and not places:
        parser.print_usage()
        raise SystemExit(1)
    tag = ALL
    if options.version:
        try:
            tag = tag_for(parse_version(options.version.lstrip("-")))
        except ValueError:
            print(f"py3clean: {options.version!r} is not a version like 3.11", file=sys.stderr)
            raise SystemExit(1) from None
    wanted = Wanted(packages=[options.package] if options.package else [], places=places, tag=tag)
    verbose = options.verbose or os.environ.get("PYCLEAN_DEBUG") == "1"
    return lambda: _run(program, wanted, verbose=verbose)


def _prepare_pypy(arguments: Sequence[str]) -> Callable[[], int]:
    import argparse  # noqa: PLC0415 - the other program has optparse, as Debian's have

    def tag(text: str) -> str:
        try:
            return _pypy_tag(text)
        except ValueError:
            raise argparse.ArgumentTypeError("Version must be MAJOR.MINOR") from None

    parser = argparse.ArgumentParser(
        prog="pypy3clean",
        description="Remove the bytecode that PyPy has of Python sources, from /var/cache/python "
        "and from the __pycache__ beside them.",
    )
    parser.add_argument(
        "-p", "--package", metavar="PACKAGE", action="append", default=[],
        help="remove the bytecode of this Debian package (may be repeated)",
    )  # fmt: skip
    parser.add_argument("directory", nargs="*", help="a directory or source to clean")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what was done")
    parser.add_argument("-q", "--quiet", action="store_true", help="say what failed only (default)")
    parser.add_argument(
        "--version", metavar="VERSION", dest="tag", type=tag,
        help="remove what this version of PyPy has left",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if not (options.package or options.directory):
        parser.error("Either a package or a directory must be specified")
    if options.quiet and options.verbose:
        parser.error("--quiet and --verbose cannot both be specified")
    wanted = Wanted(packages=options.package, places=options.directory, tag=options.tag or PYPY)
    return lambda: _run("pypy3clean", wanted, verbose=options.verbose)


def _pypy_tag(text: str) -> str:
    """Name the tag of a version of PyPy; from 7.3 on, tags name the version of Python."""
    version = parse_version(text)
    return f"pypy3-{version[0]}{version[1]}" if version < (7, 3) else PYPY


def _run(program: str, wanted: Wanted, *, verbose: bool) -> int:
    """Remove, and say what could not be removed; that alone is no failure, as with Debian's."""
    try:
        chosen = choose(wanted)
    except NoSuchPackageError as error:
        raise drop_in.CallError(str(error), 1, hint=error.hint) from error
    _, report = drop_in.load_policy()
    clean_beside(chosen, wanted.tag, report)
    try:
        clean_tree(
            chosen,
            wanted.tag,
            report,
            wait_seconds=drop_in.wait_seconds(),
            waiting=lambda text: print(f"{program}: {text}", file=sys.stderr),
        )
    except PycacheSysError as error:
        # pycache-sys takes out later what has no source any more
        print(f"{program}: {error}", file=sys.stderr)
    for outcome in report.failures:
        print(f"{program}: {printable(outcome.source)}: {outcome.detail}", file=sys.stderr)
    if verbose:
        print(f"{program}: removed files: {report.removed}", file=sys.stderr)
    return 0

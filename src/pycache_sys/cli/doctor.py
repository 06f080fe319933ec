"""The verb ``doctor``."""

import argparse
import sys
import textwrap
from collections.abc import Iterator

from pycache_sys.cli.columns import has_colour, text_width
from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import Progress, print_json, printable
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.findings import Diagnosis, Finding, Level
from pycache_sys.doctor.run import examine
from pycache_sys.doctor.scene import Request

LISTED = 5
"""So many places of a finding are shown without ``-v``."""
NOTHING = "nothing is wrong"
_STYLES = {Level.PROBLEM: "bold red", Level.ADVICE: "yellow"}
_INDENT = "  "
_PLACE = "    "
_MEND = "  mend: "


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    paths, specifiers = parse_pythons(namespace.python)
    request = Request(
        config=namespace.config,
        python_paths=paths,
        python_specifiers=specifiers,
        paths=namespace.paths,
    )
    result = Diagnosis()
    interrupted = False
    with Progress(quiet=namespace.quiet or namespace.json, list_plan=False) as progress:
        try:
            examine(request, result, progress)
        except KeyboardInterrupt:
            interrupted = True
    if namespace.json:
        print_json(result.as_json())
    else:
        _print(result, quiet=namespace.quiet, verbose=namespace.verbose, partial=interrupted)
    if interrupted:
        print("pycache-sys: interrupted; the rest was not looked at", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    return result.exit_status


def _print(result: Diagnosis, *, quiet: bool, verbose: bool, partial: bool) -> None:
    """Print the findings on stdout, problems first, and on stderr what was not looked at."""
    shown = [] if quiet else result.of(Level.ADVICE)
    paragraphs = [*result.of(Level.PROBLEM), *shown]
    show = _shower()
    for number, finding in enumerate(paragraphs):
        if number:
            print()
        show(finding, verbose=verbose)
    if not (paragraphs or quiet or partial):
        print(NOTHING)
    sys.stdout.flush()
    for note in result.unchecked:
        print(
            f"pycache-sys: {note.check}: could not be checked: {printable(note.detail)}",
            file=sys.stderr,
        )
    if result.for_root and not quiet:
        what = " and ".join(result.for_root)
        print(f"pycache-sys: run it as root for {what}", file=sys.stderr)


def lines_of(finding: Finding, *, verbose: bool, width: int | None = None) -> Iterator[str]:
    """Lay a finding out; sentences are folded at a width, places and commands never are."""
    yield from _folded(f"{finding.level}: {printable(finding.text)} [{finding.check}]", "", width)
    places = finding.places if verbose else finding.places[:LISTED]
    for place in places:
        yield f"{_PLACE}{printable(place)}"
    left = len(finding.places) - len(places)
    if left:
        yield f"{_PLACE}and {left} more (-v names them)"
    for command in finding.commands:
        yield f"{_MEND}{command}"
    if finding.hint:
        label = "note" if finding.commands else "to do"
        yield from _folded(f"{label}: {printable(finding.hint)}", _INDENT, width)


def _folded(text: str, indent: str, width: int | None) -> list[str]:
    if width is None:
        return [f"{indent}{text}"]
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}{_INDENT}",
        break_long_words=False,
        break_on_hyphens=False,
    )


# the screen


class _Plain:
    """Prints findings as text: in a pipe unfolded, a sentence a line."""

    def __init__(self, width: int | None) -> None:
        self._width = width

    def __call__(self, finding: Finding, *, verbose: bool) -> None:
        for line in lines_of(finding, verbose=verbose, width=self._width):
            print(line)


class _Coloured:
    """Prints findings with rich."""

    def __init__(self, width: int) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where a terminal is shown something

        self._width = width
        self._console = Console(highlight=False, markup=False, emoji=False)

    def __call__(self, finding: Finding, *, verbose: bool) -> None:
        from rich.text import Text  # noqa: PLC0415 - as above

        for number, line in enumerate(lines_of(finding, verbose=verbose, width=self._width)):
            text = Text(line)
            if not number:
                text.stylize(_STYLES[finding.level], 0, len(finding.level))
            elif line.startswith(_MEND):
                text.stylize("bold", len(_MEND))
            self._console.print(text, soft_wrap=True)


def _shower() -> _Plain | _Coloured:
    if not sys.stdout.isatty():
        return _Plain(None)
    width = text_width()
    if not has_colour():
        return _Plain(width)
    try:
        return _Coloured(width)
    except ImportError:
        return _Plain(width)

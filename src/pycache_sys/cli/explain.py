"""The verb ``explain``."""

import argparse
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pycache_sys.cli.columns import has_colour, text_width
from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import print_json, printable
from pycache_sys.core.errors import ExitStatus
from pycache_sys.core.explanation import Answer, Hooked, Kind, Layer, Module, Place, Why
from pycache_sys.core.why import HOOK_WORDS, Who, Words, layer_reason, writing_reason
from pycache_sys.explain import JSON_VERSION, Explained, Request, explain
from pycache_sys.policy.examine import examine_policy
from pycache_sys.system.pythons import programs
from pycache_sys.system.users.persons import become, find_person, name_of

_LABEL = 19
_PATH = "    "
_GOOD, _BAD, _DOUBT, _TITLE = "green", "red", "yellow", "bold"
_KINDS = {
    Kind.EXTENSION: "an extension module; there is no bytecode of it",
    Kind.BUILT_IN: "built into the interpreter; no file is loaded",
    Kind.FROZEN: "frozen into the interpreter; no file is loaded",
    Kind.NAMESPACE: "a namespace package of these directories; no file is loaded",
    Kind.ZIP: "loaded from a zip file, where the hook has no part in it",
    Kind.SOURCELESS: "sourceless: loaded as it is, never deleted",
}


class Line(NamedTuple):
    """A line of the screen: a label, words, and the style of the words on a terminal."""

    label: str
    words: str
    style: str = ""


def run(namespace: argparse.Namespace) -> int:
    """Run the verb and return its exit status."""
    paths, specifiers = parse_pythons(namespace.python)
    policy, _ = examine_policy()  # with errors in it the hook goes on, too
    directory = os.getcwd()
    environ = dict(os.environ)
    if namespace.user is not None:
        person = find_person(namespace.user)
        if person.uid != os.geteuid():
            programs.keep_texts()  # not every user can read our folder
            become(person)
            environ = dict(person.environ())
    request = Request(
        asked=namespace.modules,
        python_paths=[os.path.join(directory, path) for path in paths],
        python_specifiers=specifiers,
        policy=policy,
        environ=environ,
        directory=directory,
    )
    results = explain(request)
    if namespace.json:
        found = [result.as_json(name_of) for result in results]
        print_json({"version": JSON_VERSION, "interpreters": found})
    else:
        _print(results, is_verbose=namespace.verbose)
    is_fine = bool(results) and all(result.is_loaded for result in results)
    return ExitStatus.DONE if is_fine else ExitStatus.SOME_FAILED


def _print(results: Sequence[Explained], *, is_verbose: bool) -> None:
    show = _shower()
    for number, result in enumerate(results):
        if number:
            show([Line("", "")])
        if result.answer is None:
            sys.stdout.flush()
            print(
                f"pycache-sys: {printable(result.path)}: {printable(result.failure)}",
                file=sys.stderr,
            )
            if result.hint:
                print(f"  {result.hint}", file=sys.stderr)
            continue
        show(lines_of(result.path, result.answer, name_of, is_verbose=is_verbose))
    if not results:
        show(
            [Line("", "no interpreter in /usr/bin or /usr/local/bin; name one with --python PATH")]
        )


def lines_of(python: str, answer: Answer, who: Who, *, is_verbose: bool = False) -> Iterator[Line]:
    """Lay out what one interpreter says."""
    version = ".".join(map(str, answer.version))
    yield Line("", f"{python} ({version}), run by {who(answer.uid)}")
    yield Line("", HOOK_WORDS[answer.hook], "" if answer.hook is Hooked.ON else _DOUBT)
    if answer.prefix:
        yield Line("", f"pycache_prefix is {answer.prefix}")
    for module in answer.modules:
        yield Line("", "")
        yield from _module(module, answer, who, is_verbose=is_verbose)


def _module(module: Module, answer: Answer, who: Who, *, is_verbose: bool) -> Iterator[Line]:
    name = os.path.basename(module.asked)
    yield Line("", f"{name}: {_headline(module)}", _TITLE if module.is_loaded else _BAD)
    if module.failure and module.kind is not Kind.MISSING:
        yield Line("  an import raises", module.failure, _BAD)
    for place in module.locations:
        yield Line(_PATH, place)
    if not module.layers:
        for path in dict.fromkeys(filter(None, (module.file, module.path))):
            yield Line(_PATH, path)
        return
    if module.file:
        yield Line(_PATH, module.file)
        yield Line("", "  which was compiled from")
    yield Line(_PATH, module.path)
    if module.is_at_start:
        yield Line("  at start", "loaded already, perhaps before the hook", _DOUBT)
    for layer in module.layers:
        yield from _layer(layer, module, answer, who, is_verbose=is_verbose)
    if module.writing is not None:
        yield from _written("  would be written", writing_reason(module.writing, answer, who))


def _layer(
    layer: Layer, module: Module, answer: Answer, who: Who, *, is_verbose: bool
) -> Iterator[Line]:
    words = layer_reason(layer, module, answer, who)
    yield Line(f"  {layer.place}", words.text, _style(layer, module))
    path = words.path or layer.path if is_verbose else words.path
    if path and path != module.file:
        yield Line(_PATH, path)
    if is_verbose and layer.file is not None:
        mode = f"mode {layer.file.mode & 0o7777:04o}"
        yield Line(_PATH, f"{who(layer.file.uid)}, {mode}, {layer.file.size} bytes")


def _written(label: str, words: Words) -> Iterator[Line]:
    yield Line(label, words.text)
    if words.path:
        yield Line(_PATH, words.path)


def _headline(module: Module) -> str:
    """Say in a few words what becomes of a module."""
    if module.kind is Kind.MISSING:
        return f"not found: {module.detail or module.failure}"
    if module.failure:
        return "cannot be loaded"
    if module.kind is Kind.OTHER:
        return f"loaded by {module.loader}, where the hook has no part in it"
    if module.kind not in (Kind.SOURCE, Kind.SUBCLASS):
        return _KINDS[module.kind]
    by = ""
    if module.kind is Kind.SUBCLASS:
        by = f", by {module.loader}, which the hook leaves alone"
    match module.served:
        case Place.COMPILED:
            return f"compiled from its source{by}"
        case Place.NOT_KNOWN:
            return f"loaded in a way of its own{by}"
        case Place.PREFIX:
            return f"loaded from the pycache_prefix{by}"
        case Place.BESIDE:
            return f"loaded from beside the source{by}"
        case _:
            return f"loaded from the {module.served}{by}"


def _style(layer: Layer, module: Module) -> str:
    match layer.why:
        case Why.NOTHING:
            return _GOOD if layer.path == module.file else ""
        case Why.HANDS | Why.NO_FILE | Why.DAMAGED:
            return _BAD
        case Why.STALE | Why.OTHER_VERSION:
            return _DOUBT
        case _:
            return ""


# the screen


class _Plain:
    """Prints lines as text: in a pipe, with NO_COLOR, and where rich is not installed."""

    def __call__(self, lines: "Sequence[Line] | Iterator[Line]") -> None:
        width = text_width()
        for line in lines:
            for text in folded(line, width):
                print(text)


class _Coloured:
    """Prints lines with rich."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where a terminal is shown something

        self._console = Console(highlight=False, markup=False, emoji=False)

    def __call__(self, lines: "Sequence[Line] | Iterator[Line]") -> None:
        from rich.text import Text  # noqa: PLC0415 - as above

        width = text_width()
        for line in lines:
            for number, text in enumerate(folded(line, width)):
                shown = Text(text)
                if line.style:
                    label = _LABEL + 2 if line.label.strip() and not number else 0
                    shown.stylize(line.style, label)
                self._console.print(shown, soft_wrap=True)


def folded(line: Line, width: int) -> list[str]:
    """Lay a line out; words too long for the screen go on below their beginning, paths do not."""
    if not line.label.strip():
        return [f"{line.label}{printable(line.words)}"]
    label = f"{line.label:<{_LABEL + 2}}"
    parts = textwrap.wrap(
        printable(line.words), width - len(label), break_long_words=False, break_on_hyphens=False
    )
    first, *rest = parts or [""]
    return [f"{label}{first}", *(" " * len(label) + part for part in rest)]


def _shower() -> _Plain | _Coloured:
    if not has_colour():
        return _Plain()
    try:
        return _Coloured()
    except ImportError:
        return _Plain()

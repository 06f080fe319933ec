"""The verbs ``enable`` and ``disable``."""

import argparse
import sys
from collections.abc import Callable

from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.cli.render import print_json, printable
from pycache_sys.core.errors import ExitStatus
from pycache_sys.enable import JSON_VERSION, Delivery, Request, disable, enable, show
from pycache_sys.policy.load import load


def run_enable(namespace: argparse.Namespace) -> int:
    """Run ``enable`` and return its exit status."""
    return _run(namespace, enable, _enabled)


def run_disable(namespace: argparse.Namespace) -> int:
    """Run ``disable`` and return its exit status."""
    return _run(namespace, disable, _disabled)


def run_show(namespace: argparse.Namespace) -> int:
    """Run ``enable --show`` and return its exit status."""
    return _run(namespace, show, _state)


def _run(
    namespace: argparse.Namespace,
    act: Callable[[Request], list[Delivery]],
    describe: Callable[[Delivery], str],
) -> int:
    paths, specifiers = parse_pythons(namespace.python)
    request = Request(
        python_paths=paths,
        python_specifiers=specifiers,
        policy=load(namespace.config),
        venvs=namespace.venvs,
    )
    results = act(request)
    if namespace.json:
        print_json({"version": JSON_VERSION, "interpreters": [one.as_json() for one in results]})
    else:
        for result in results:
            _print(result, describe)
        if not results:
            print("no interpreter in /usr/bin or /usr/local/bin; name one with --python PATH")
    return ExitStatus.SYSTEM if any(one.failure for one in results) else ExitStatus.DONE


def _print(result: Delivery, describe: Callable[[Delivery], str]) -> None:
    name = printable(result.path)
    sys.stdout.flush()
    if result.failure:
        print(f"pycache-sys: {name}: {printable(result.failure)}", file=sys.stderr)
        if result.hint:
            print(f"  {printable(result.hint)}", file=sys.stderr)
        return
    print(f"{name}: {describe(result)}")
    for note in result.notes:
        print(f"  {printable(note)}")


def _enabled(result: Delivery) -> str:
    where = printable(", ".join(result.files))
    if not result.is_hooked:
        verb = "written to" if result.changed else "already in"
        return (
            f"{verb} {where}, but a start does not have the hook: see 'enabled' in the policy "
            "(pycache-sys policy show)"
        )
    verb = "enabled" if result.changed else "enabled already"
    return f"{verb}, by {where}"


def _disabled(result: Delivery) -> str:
    if result.is_hooked:
        return f"still enabled, by {printable(', '.join(result.files)) or 'something else'}"
    return f"{'disabled' if result.changed else 'not enabled'}"


def _state(result: Delivery) -> str:
    if not result.files:
        return "enabled, by something else" if result.is_hooked else "off"
    if not result.is_hooked:
        return f"off, in spite of {printable(', '.join(result.files))}"
    reach = ", with virtual environments" if result.reaches_venvs else ""
    state = f"on{reach}, by {printable(', '.join(result.files))}"
    if result.without_bytecode:
        count = len(result.without_bytecode)
        files = "1 file is" if count == 1 else f"{count} files are"
        state += f"; {files} compiled at every start, enable it again to mend that"
    return state

"""The parser: one place for every verb's options."""

import argparse
from functools import partial

from pycache_sys import __version__
from pycache_sys.cli.options import (
    add_config,
    add_dry_run,
    add_json,
    add_loudness,
    add_python,
    add_root,
    add_run,
    add_sources,
    add_tree,
    read_age,
    read_jobs,
    read_levels,
    read_size,
)

INVALIDATIONS = ("auto", "timestamp", "checked-hash", "unchecked-hash")
"""The names of ``core.model.Invalidation``, which is not loaded to read a command line."""

TYPE_CHECKING = False  # as in typing, which an unchanged boot need not load
if TYPE_CHECKING:
    from typing import Any


class _Parser(argparse.ArgumentParser):
    """Asks how wide the terminal is when it prints help, and not for each option it is given."""

    def __init__(self, **settings: "Any") -> None:
        super().__init__(**settings, formatter_class=partial(argparse.HelpFormatter, width=80))

    def format_help(self) -> str:
        self.formatter_class = argparse.HelpFormatter
        return super().format_help()

    def format_usage(self) -> str:
        self.formatter_class = argparse.HelpFormatter
        return super().format_usage()


def build_parser(verb: str = "") -> argparse.ArgumentParser:
    """Build the parser, or if ``verb`` names one only what it needs: most of a start is for this.

    Each verb's ``run`` is imported when it is called.
    """
    parser: argparse.ArgumentParser = _Parser(
        prog="pycache-sys",
        description="Keep precompiled Python bytecode under /var/cache/python, where the FHS puts "
        "regenerable data.",
        epilog="The manual is pycache-sys(8).",
    )
    parser.add_argument("--version", action="version", version=f"pycache-sys {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    additions = {
        "rebuild": _add_rebuild,
        "prune": _add_prune,
        "verify": _add_verify,
        "status": _add_status,
        "purge": _add_purge,
        "explain": _add_explain,
        "doctor": _add_doctor,
        "policy": _add_policy,
        "enable": _add_enable,
        "disable": _add_disable,
        "migrate": _add_migrate,
        "gc": _add_gc,
    }
    for add in [additions[verb]] if verb in additions else additions.values():
        add(verbs)
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
    add_sources(what)
    what.add_argument(
        "--from-stdin",
        action="store_true",
        help="everything, and compile the sources that standard input lists, a path a line, "
        "whatever their stamps say",
    )
    what.add_argument(
        "-0", "--null", action="store_true", help="paths on standard input end with NUL"
    )
    how = verb.add_argument_group("how")
    how.add_argument(
        "--optimize",
        type=read_levels,
        metavar="LEVELS",
        help="optimization levels, like 0,1,2 (default: the policy's, 0)",
    )
    how.add_argument(
        "--invalidation",
        choices=INVALIDATIONS,
        help="how bytecode is matched with its source (default: the policy's, auto: timestamp, "
        "and checked-hash where mtimes say nothing)",
    )
    how.add_argument("-f", "--force", action="store_true", help="compile also what is fresh")
    how.add_argument(
        "-j",
        "--jobs",
        type=read_jobs,
        metavar="N",
        help="worker processes (default: the policy's, one a core)",
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
        help="build a tree of your own in DIR instead of /var/cache/python; /usr/lib/pycache is "
        "the one of an image",
    )
    add_root(where)
    add_config(where)
    run = verb.add_argument_group("this run")
    run.add_argument(
        "--if-changed",
        action="store_true",
        help="do nothing if interpreters, deployment and policy are those of the last run",
    )
    add_run(run)


def _add_prune(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "prune",
        help="remove bytecode that has no source, compile nothing",
        description="Remove the tree's bytecode whose source is gone or may not be compiled any "
        "more, and folders of interpreters that are gone. What was not made by us stays.",
    )
    verb.set_defaults(run=_run_prune)
    add_python(verb)
    add_tree(verb, "prune a tree of your own in DIR, not /var/cache/python")
    add_root(verb)
    add_config(verb)
    add_run(verb)


def _add_verify(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "verify",
        help="say what is wrong with the tree, change nothing",
        description="Look at every file of the tree (or at those of the given PATHs), load its "
        "bytecode, and print a line for whatever is wrong. The exit status is 1 then.",
    )
    verb.set_defaults(run=_run_verify, best_effort=False)
    verb.add_argument(
        "paths", nargs="*", metavar="PATH", help="a directory or source (default: everything)"
    )
    verb.add_argument(
        "--deep", action="store_true", help="compile each source, too, and compare the code"
    )
    add_python(verb)
    add_tree(verb, "look at a tree of your own in DIR, not /var/cache/python")
    add_root(verb)
    add_config(verb)
    add_json(verb)
    add_loudness(verb, verbose="name every file left out, and say the counts")


def _add_status(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "status",
        help="say how the tree, the hook and the caches stand, change nothing",
        description="Say for each interpreter how many sources have fresh bytecode in the tree, "
        "what the last run did, whether the start-up hook is on, and how large your own cache is.",
    )
    verb.set_defaults(run=_run_status, best_effort=False)
    verb.add_argument(
        "--by-package", action="store_true", help="also list the packages that use the space"
    )
    verb.add_argument(
        "--all-users", action="store_true", help="the cache of each user, looked at as that user"
    )
    add_python(verb)
    add_tree(verb, "look at a tree of your own in DIR, not /var/cache/python")
    add_root(verb)
    add_config(verb)
    output = verb.add_mutually_exclusive_group()
    output.add_argument(
        "--format",
        choices=("table", "json", "prometheus"),
        default="table",
        help="print a table for people (the default), JSON, or metrics for node_exporter",
    )
    output.add_argument(
        "--json",
        action="store_const",
        const="json",
        dest="format",
        help="print it as JSON",
    )
    add_loudness(
        verb,
        quiet="print what is to be done, and nothing else",
        verbose="name everything, with dates and reasons",
    )


def _add_purge(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "purge",
        help="remove the whole tree",
        description="Remove all bytecode from the tree, and the tree if nothing else is in it. "
        "What has a name that pycache-sys would not give stays, and is named.",
    )
    verb.set_defaults(run=_run_purge)
    add_tree(verb, "remove a tree of your own in DIR, not /var/cache/python")
    add_root(verb)
    add_config(verb)
    add_run(verb)


def _add_explain(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "explain",
        help="say which file an import would load, and why no other",
        description="Say for modules which file would be loaded and from which layer, why each "
        "other layer does not serve, and what would be written where. Nothing is executed.",
    )
    verb.set_defaults(run=_run_explain, best_effort=False)
    verb.add_argument(
        "modules", nargs="+", metavar="MODULE|PATH", help="a module like json.decoder, or a source"
    )
    add_python(verb)
    verb.add_argument("--user", metavar="NAME|UID", help="as this user (default: you)")
    add_json(verb)
    verb.add_argument(
        "-v", "--verbose", action="store_true", help="also paths, owners and modes of each layer"
    )


def _add_doctor(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "doctor",
        help="say what is wrong with this machine, and the command that mends it",
        description="Look at the policy, the tree, the interpreters and the homes of users, and "
        "say what is wrong, with the command that mends it. Nothing is changed. The exit status "
        "is 1 if there are problems.",
    )
    verb.set_defaults(run=_run_doctor, best_effort=False)
    verb.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a further directory to look into, such as a checkout",
    )
    add_python(verb)
    add_config(verb)
    add_json(verb)
    add_loudness(verb, quiet="print problems only", verbose="name every place")


def _add_policy(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    policy = verbs.add_parser(
        "policy",
        help="check the administrator's policy, or show what it comes to",
        description="Check /etc/pycacheprefix.conf and its drop-ins, or show what they come to.",
    )
    below = policy.add_subparsers(metavar="VERB", required=True)
    check = below.add_parser(
        "check",
        help="list every error, with its place",
        description="List all errors and warnings of the policy, or of FILE alone. The exit "
        "status is 3 if there are errors.",
    )
    check.set_defaults(run=_run_policy_check, best_effort=False)
    check.add_argument("file", nargs="?", metavar="FILE", help="a policy file to check alone")
    check.add_argument("--strict", action="store_true", help="count warnings as errors")
    add_json(check)
    show = below.add_parser(
        "show",
        help="show what holds, and which line says so",
        description="Show the value of every key with the file and line it comes from.",
    )
    show.set_defaults(run=_run_policy_show, best_effort=False)
    show.add_argument("--user", metavar="NAME|UID", help="what holds for a user (default: you)")
    show.add_argument(
        "--python", metavar="VERSION", help="what holds for an interpreter, like 3.12 or pypy3.11"
    )
    show.add_argument(
        "--for",
        dest="path",
        metavar="PATH",
        help="say what becomes of a source or directory, for each interpreter",
    )
    add_config(show)
    add_json(show)


def _add_enable(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    enable = verbs.add_parser(
        "enable",
        help="bring the start-up hook to interpreters",
        description="Let interpreters load bytecode from the tree and keep that of other modules "
        "in each user's own cache. What is in place already is left alone.",
    )
    enable.set_defaults(run=_run_enable, best_effort=False)
    enable.add_argument(
        "--show", action="store_true", help="change nothing, say which interpreters have the hook"
    )
    _add_hook(enable, "reach virtual environments, too: by sitecustomize in the standard library")


def _add_disable(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    disable = verbs.add_parser(
        "disable",
        help="take the start-up hook away from interpreters",
        description="Take away what enable has brought, to the byte.",
    )
    disable.set_defaults(run=_run_disable, best_effort=False)
    _add_hook(disable, "take away only what reaches virtual environments")


def _add_hook(verb: argparse.ArgumentParser, venvs: str) -> None:
    add_python(verb)
    verb.add_argument("--venvs", action="store_true", help=venvs)
    add_config(verb)
    add_json(verb)


def _add_migrate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "migrate",
        help="remove the bytecode beside sources that the tree serves, or put it back",
        description="Build the tree, then remove the bytecode in __pycache__ that it serves as "
        "well, and that can be made again.",
    )
    verb.set_defaults(run=_run_migrate, best_effort=False)
    add_sources(verb)
    verb.add_argument("--undo", action="store_true", help="put back what was removed")
    verb.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="also for interpreters without the hook, which then compile at every start",
    )
    add_dry_run(verb)
    add_config(verb)
    add_json(verb)
    add_loudness(verb, verbose="name every file left")


def _add_gc(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "gc",
        help="tidy your own cache, or as root that of each user",
        description="Remove from your own cache what has lost its source, what was not used for "
        "long, and what is too much. What the start-up hook did not put there stays.",
    )
    verb.set_defaults(run=_run_gc, best_effort=False)
    verb.add_argument(
        "--all-users", action="store_true", help="tidy the cache of each user, as that user"
    )
    verb.add_argument(
        "--older-than",
        type=read_age,
        metavar="AGE",
        help="remove what was not used for so long, like 12h or 30d (default: the policy's, 90d)",
    )
    verb.add_argument(
        "--max-size",
        type=read_size,
        metavar="SIZE",
        help="leave no more than this, like 200M, the last used (default: the policy's, 1G)",
    )
    add_dry_run(verb)
    add_config(verb)
    add_json(verb)
    add_loudness(verb, verbose="name every file")


def _run_explain(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import explain  # noqa: PLC0415 - the parser alone stays quick

    return explain.run(namespace)


def _run_doctor(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import doctor  # noqa: PLC0415 - the parser alone stays quick

    return doctor.run(namespace)


def _run_policy_check(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import policy  # noqa: PLC0415 - the parser alone stays quick

    return policy.check(namespace)


def _run_policy_show(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import policy  # noqa: PLC0415 - as above

    return policy.show(namespace)


def _run_enable(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import enable  # noqa: PLC0415 - as above

    return enable.run_show(namespace) if namespace.show else enable.run_enable(namespace)


def _run_disable(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import enable  # noqa: PLC0415 - as above

    return enable.run_disable(namespace)


def _run_migrate(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import migrate  # noqa: PLC0415 - as above

    return migrate.run(namespace)


def _run_gc(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import gc  # noqa: PLC0415 - as above

    return gc.run(namespace)


def _run_rebuild(namespace: argparse.Namespace) -> int:
    if namespace.if_changed:
        from pycache_sys.cli import unchanged  # noqa: PLC0415 - as above

        if unchanged.is_unchanged(namespace):
            return 0
    from pycache_sys.cli import rebuild  # noqa: PLC0415 - the parser alone stays quick

    return rebuild.run(namespace)


def _run_prune(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import prune  # noqa: PLC0415 - as above

    return prune.run(namespace)


def _run_verify(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import verify  # noqa: PLC0415 - as above

    return verify.run(namespace)


def _run_status(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import status  # noqa: PLC0415 - as above

    return status.run(namespace)


def _run_purge(namespace: argparse.Namespace) -> int:
    from pycache_sys.cli import purge  # noqa: PLC0415 - as above

    return purge.run(namespace)

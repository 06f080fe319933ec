"""Write what bash, zsh or fish needs to complete ``pycache-sys``, from the parser itself.

Usage: PYTHONPATH=src python3 completions/generate.py bash|zsh|fish
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from pycache_sys.cli.arguments import build_parser

COMMAND = "pycache-sys"
KINDS = {"DIR": "directory", "FILE": "file", "PATH": "file", "SPEC|PATH": "file"}
"""What stands for a value in the usage, and what such a value is."""
KINDS_BY_NAME = {"package": "package", "user": "user"}
PACKAGES = (
    "dpkg-query -W -f '${Package}\\n' 2>/dev/null || rpm -qa --queryformat '%{NAME}\\n' 2>/dev/null"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option, or with no names what stands without one; ``kind`` "" takes no value."""

    names: tuple[str, ...]
    help: str
    kind: str
    words: tuple[str, ...] = ()
    is_repeatable: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb with the verbs above it, or the program itself with none."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    positional: Option | None
    below: tuple["Verb", ...]

    def walk(self) -> Iterator["Verb"]:
        """Give this verb, and all below it."""
        yield self
        for verb in self.below:
            yield from verb.walk()

    @property
    def name(self) -> str:
        """Name the verb as a part of a shell function's name."""
        return "_".join(("_pycache_sys", *self.path))


def verb_of(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), text: str = "") -> Verb:
    """Read a parser; argparse has no public way to list what was added to it."""
    options: list[Option] = []
    positional: Option | None = None
    below: list[Verb] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            for name, inner in action.choices.items():
                below.append(verb_of(inner, (*path, name), helps.get(name, "")))
        elif action.help is argparse.SUPPRESS:
            continue
        elif action.option_strings:
            options.append(option_of(action))
        else:
            positional = option_of(action)
    return Verb(
        path=path, help=text, options=tuple(options), positional=positional, below=tuple(below)
    )


def option_of(action: argparse.Action) -> Option:
    """Read one option or positional argument."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    kind = ""
    if action.nargs != 0:
        kind = KINDS.get(metavar) or KINDS_BY_NAME.get(action.dest) or "text"
    return Option(
        names=tuple(action.option_strings),
        help=(action.help or "").replace("%%", "%"),
        kind="words" if action.choices else kind,
        words=tuple(map(str, action.choices or ())),
        is_repeatable=isinstance(action, argparse._AppendAction),
        ends=action.dest in ("help", "version"),
    )


# bash


def bash(program: Verb) -> str:
    """Write a completion for bash."""
    lines = [
        f"# bash completion for {COMMAND}, made from its parser",
        "",
        "_pycache_sys_values() {",
        "    case $1 in",
        '        file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;',
        "        directory)",
        '            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;',
        '        user) mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;',
        "        package)",
        f'            mapfile -t COMPREPLY < <(compgen -W "$({PACKAGES})" -- "$word")',
        "            ;;",
        '        *) mapfile -t COMPREPLY < <(compgen -W "$2" -- "$word") ;;',
        "    esac",
        "}",
        "",
        "_pycache_sys() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' i",
        "    COMPREPLY=()",
        "    if [[ $word == = ]]; then",
        "        word=",
        "    elif [[ $before == = ]]; then",
        "        before=${COMP_WORDS[COMP_CWORD - 2]}",
        "    fi",
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        "        case $verb:${COMP_WORDS[i]} in",
    ]
    for verb in program.walk():
        if verb.path:
            *above, name = verb.path
            lines.append(f"            '{' '.join(above)}':{name}) verb='{' '.join(verb.path)}' ;;")
    lines += ["        esac", "    done", "    case $verb:$before in"]
    for verb in program.walk():
        for option in verb.options:
            if option.kind:
                names = " | ".join(f"'{' '.join(verb.path)}':{name}" for name in option.names)
                values = f"_pycache_sys_values {option.kind} '{' '.join(option.words)}'"
                lines.append(f"        {names}) {values}; return ;;")
    lines += ["    esac", "    case $verb:$word in"]
    for verb in program.walk():
        names = " ".join(name for option in verb.options for name in option.names)
        path = " ".join(verb.path)
        lines.append(f"        '{path}':-*) _pycache_sys_values words '{names}' ;;")
        if verb.below:
            words = " ".join(one.path[-1] for one in verb.below)
            lines.append(f"        '{path}':*) _pycache_sys_values words '{words}' ;;")
        elif verb.positional:
            kind = verb.positional.kind
            words = " ".join(verb.positional.words)
            lines.append(f"        '{path}':*) _pycache_sys_values {kind} '{words}' ;;")
    lines += ["    esac", "}", "", f"complete -F _pycache_sys {COMMAND}", ""]
    return "\n".join(lines)


# zsh

ZSH_ACTIONS = {
    "directory": "_directories",
    "file": "_files",
    "package": "_pycache_sys_packages",
    "user": "_users",
    "text": " ",
}


def zsh(program: Verb) -> str:
    """Write a completion for zsh."""
    lines = [
        f"#compdef {COMMAND}",
        "# made from the program's parser",
        "",
        "_pycache_sys_packages() {",
        f'    local -a packages=(${{(f)"$({PACKAGES})"}})',
        "    compadd -a packages",
        "}",
    ]
    for verb in program.walk():
        lines += ["", f"{verb.name}() {{", "    local curcontext=$curcontext state line"]
        lines += ["    typeset -A opt_args", "    _arguments -C -s \\"]
        specs = [spec for option in verb.options for spec in zsh_specs(option)]
        if verb.below:
            specs += ["'1: :->verb'", "'*:: :->rest'"]
        elif verb.positional:
            specs.append(
                quoted(f"*:{zsh_text(verb.positional)}:{zsh_action(verb.positional)}", "'")
            )
        lines += [f"        {spec} \\" for spec in specs[:-1]] + [f"        {specs[-1]}"]
        if verb.below:
            described = " ".join(quoted(f"{one.path[-1]}:{one.help}", "'") for one in verb.below)
            lines += [
                "    case $state in",
                "    verb)",
                f"        local -a verbs=({described})",
                "        _describe -t verbs verb verbs",
                "        ;;",
                "    rest)",
                "        case $line[1] in",
                *(f"        {one.path[-1]}) {one.name} ;;" for one in verb.below),
                "        esac",
                "        ;;",
                "    esac",
            ]
        lines.append("}")
    lines += ["", '_pycache_sys "$@"', ""]
    return "\n".join(lines)


def zsh_specs(option: Option) -> Iterator[str]:
    """Write an option as ``_arguments`` wants it, one for each name."""
    others = "- *" if option.ends else " ".join(option.names)
    first = "*" if option.is_repeatable else f"({others})"
    text = zsh_text(option)
    for name in option.names:
        value, sign = "", ""
        if option.kind:
            value = f":{option.names[-1].lstrip('-')}:{zsh_action(option)}"
            sign = "=" if name.startswith("--") else "+"
        yield quoted(f"{first}{name}{sign}[{text}]{value}", "'")


def zsh_text(option: Option) -> str:
    """Quote what is said of an option from ``_arguments``, which divides by colons."""
    return option.help.replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")


def zsh_action(option: Option) -> str:
    """Say how a value is completed."""
    return ZSH_ACTIONS.get(option.kind) or f"({' '.join(option.words)})"


def quoted(text: str, mark: str) -> str:
    """Quote for bash and zsh."""
    return mark + text.replace(mark, f"{mark}\\{mark}{mark}") + mark


# fish

FISH_VALUES = {
    "directory": "-x -a '(__fish_complete_directories)'",
    "file": "-r -F",
    "package": "-x -a '(__pycache_sys_packages)'",
    "user": "-x -a '(__fish_complete_users)'",
    "text": "-x",
    "": "",
}


def fish(program: Verb) -> str:
    """Write a completion for fish."""
    lines = [
        f"# fish completion for {COMMAND}, made from its parser",
        "",
        "function __pycache_sys_packages",
        "    " + PACKAGES.replace(" || ", "; or "),
        "end",
        "",
        "# Tell whether the words so far name this verb, and none below it.",
        "function __pycache_sys_at",
        "    set -l words (commandline -opc)[2..-1]",
        "    set -l named (string match -v -- '-*' $words)",
        "    set -l count (count $argv)",
        '    test $count -eq 0; or test "$named[1..$count]" = "$argv"',
        "end",
        "",
        f"complete -c {COMMAND} -f",
    ]
    for verb in program.walk():
        at = f"complete -c {COMMAND} -n '__pycache_sys_at {' '.join(verb.path)}'"
        if not verb.path:
            at = f"complete -c {COMMAND} -n '__fish_use_subcommand'"
        elif verb.below:
            inner = " ".join(one.path[-1] for one in verb.below)
            at = at[:-1] + f"; and not __fish_seen_subcommand_from {inner}'"
        lines += [f"{at} -a {one.path[-1]} -d {fish_quoted(one.help)}" for one in verb.below]
        for option in verb.options:
            flags = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in option.names
            )
            values = FISH_VALUES.get(option.kind, f"-x -a '{' '.join(option.words)}'")
            lines.append(f"{at} {flags} {values} -d {fish_quoted(option.help)}".replace("  ", " "))
        if verb.positional and verb.positional.kind == "file":
            lines.append(f"{at} -F")
    return "\n".join([*lines, ""])


def fish_quoted(text: str) -> str:
    """Quote for fish."""
    return "'" + text.replace("\\", r"\\").replace("'", r"\'") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SHELLS:
        sys.exit(__doc__)
    sys.stdout.write(SHELLS[sys.argv[1]](verb_of(build_parser())))

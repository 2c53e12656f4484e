"""`digits completion`: a script that lets a shell complete the commands, made from the parser itself."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class _Command:
    """What may follow a command: its options, and the values of those that have a closed set."""

    name: str
    help: str
    options: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]
    words: Sequence[str]


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for one of `SHELLS`; the shell evaluates it when it starts."""
    commands = [_describe(name, help_, command) for name, help_, command in _subcommands(parser)]
    if shell == "fish":
        return _fish(commands)
    preamble = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"
    return (preamble if shell == "zsh" else "") + _bash(commands)


def _subcommands(parser: argparse.ArgumentParser) -> list[tuple[str, str, argparse.ArgumentParser]]:
    [action] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return [(name, helps.get(name, ""), command) for name, command in action.choices.items()]


def _describe(name: str, help_: str, parser: argparse.ArgumentParser) -> _Command:
    options, choices, words = {}, {}, list[str]()
    for action in parser._actions:
        values = [str(value) for value in action.choices or ()]
        if not action.option_strings:
            words += values
            continue
        option = action.option_strings[-1]
        options[option] = (action.help or "").replace("%%", "%")
        if values:
            choices[option] = values
    return _Command(name, help_, options, choices, words)


# Works in bash and, through its bashcompinit, in zsh.
_BASH = """_digits_of() {{
    local word=$1 each
    shift
    for each in "$@"; do
        case $each in "$word"*) COMPREPLY+=("$each");; esac
    done
}}
_digits() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        _digits_of "$word" {names}
        return
    fi
    case "${{COMP_WORDS[1]}} $before" in
{choices}
    esac
    case "${{COMP_WORDS[1]}} $word" in
{options}
    esac
}}
complete -o default -F _digits digits
"""


def _bash(commands: Sequence[_Command]) -> str:
    def case(pattern: str, words: Sequence[str]) -> str:
        return f"""    {pattern}) _digits_of "$word" {" ".join(words)}; return;;"""

    choices = [
        case(f'"{command.name} {option}"', values) for command in commands for option, values in command.choices.items()
    ]
    options = [case(f'"{command.name} -"*', list(command.options)) for command in commands]
    words = [case(f'"{command.name} "*', command.words) for command in commands if command.words]
    return _BASH.format(
        names=" ".join(command.name for command in commands),
        choices="\n".join(choices),
        options="\n".join(options + words),
    )


def _fish(commands: Sequence[_Command]) -> str:
    def quote(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = []
    for command in commands:
        lines.append(f"complete -c digits -n __fish_use_subcommand -f -a {command.name} -d {quote(command.help)}")
        here = f"complete -c digits -n '__fish_seen_subcommand_from {command.name}'"
        if command.words:
            lines.append(f"{here} -f -a {quote(' '.join(command.words))}")
        for option, help_ in command.options.items():
            values = command.choices.get(option)
            values_of = f" -x -a {quote(' '.join(values))}" if values else ""
            lines.append(f"{here} -l {option.removeprefix('--')}{values_of} -d {quote(help_)}")
    return "\n".join(lines) + "\n"

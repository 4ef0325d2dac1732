"""Texts made from the declarations: version, end of the help, man page, table of the documentation."""

from __future__ import annotations

from codec.container.bitstream import VERSION
from codec.errors import EXIT_CODES
from codec.tool.options import COMMANDS, ENVIRONMENT, EXAMPLES, OPTIONS, PRINTED, PROGRAM, SUMMARY, Command
from codec.version import number


def version() -> str:
    """Return the line that ``irc --version`` prints."""
    return f"{PROGRAM} {number()}, file format {VERSION}"


def epilog() -> str:
    """Return what ``irc --help`` ends with: examples and exit codes."""
    lines = ["examples:", *(f"  {line:<46}{text}".rstrip() for line, text in EXAMPLES)]
    lines += ["", f"{PROGRAM} COMMAND --help lists a command's options.", "", "exit status:"]
    return "\n".join([*lines, *(f"  {entry.code}  {entry.meaning}" for entry in EXIT_CODES)])


def synopses(command: Command) -> list[str]:
    """The ways to call a command, a line each."""
    shapes = {None: "{}", "?": "[{}]", "+": "{}...", "*": "[{}...]"}
    names = " ".join(shapes[nargs].format(name) for name, nargs, _ in command.arguments)
    options = ["[options]"] if any(command.name in option.commands for option in OPTIONS) else []
    return [" ".join([PROGRAM, command.name, *options, form]).strip() for form in command.forms or (names,)]


def man_page() -> str:
    """Return the man page, in roff."""

    def roff(text: str) -> str:
        return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")

    def items(pairs: list[tuple[str, str]]) -> list[str]:
        return [line for name, text in pairs for line in (".TP", f".B {roff(name)}", roff(text) + ".")]

    lines = [f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM}"', ".SH NAME"]
    lines += [f"{PROGRAM} \\- {roff(SUMMARY)}", ".SH SYNOPSIS", ".nf"]
    lines += [roff(line) for command in COMMANDS for line in synopses(command)]
    lines += [".fi", ".SH COMMANDS", *items([(command.name, command.help) for command in COMMANDS])]
    lines += [".SH OPTIONS", *items([(option.shown, option.full_help) for option in PRINTED])]
    lines += items([(option.shown, f"{', '.join(option.commands)}: {option.full_help}") for option in OPTIONS])
    lines += [".SH EXIT STATUS", *items([(str(entry.code), entry.meaning) for entry in EXIT_CODES])]
    return "\n".join([*lines, ".SH ENVIRONMENT", *items(list(ENVIRONMENT))])


def options_table() -> str:
    """Return commands and options as a Markdown table for the documentation."""
    lines = ["| option | commands | meaning |", "|---|---|---|"]
    for option in (*OPTIONS, *PRINTED):
        shown = option.shown.replace("|", "\\|")
        lines.append(f"| `{shown}` | {', '.join(option.commands)} | {option.full_help} |")
    return "\n".join(lines)

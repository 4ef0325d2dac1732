"""The command ``irc``: its parser and its entry point.

Commands and options are declared in options.py and carried out in commands.py.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from codec.batch import callables
from codec.errors import UsageError, exit_code
from codec.tool import bar, batches, commands, console, integrate, looking, manual, output
from codec.tool.options import COMMANDS, OPTIONS, PRINTED, PROGRAM, STREAM, SUMMARY, Option

#: what the options of the program itself print, by the last of their flags
TEXTS = {"--version": manual.version, "--man": manual.man_page}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report a usage error in one line, without the usage text."""
        console.say(f"{self.prog}: {output.one_line(message)} ({self.prog} --help shows the usage)")
        raise SystemExit(exit_code("usage"))

    def _print_message(self, message: str, file: object = None) -> None:
        """Print a help text; argparse itself says nothing where that fails."""
        console.tell(message.rstrip("\n"))


def _options_first(args: Sequence[str]) -> list[str]:
    """The arguments of a command with its options before its files: argparse takes them in no other order.

    >>> _options_first(["a.png", "--quality", "30", "b.irc", "-f"])
    ['--quality', '30', '-f', '--', 'a.png', 'b.irc']
    """
    valued = {flag for option in OPTIONS if option.default is not False for flag in option.flags}
    options: list[str] = []
    files: list[str] = []
    left = iter(args)
    for arg in left:
        if arg == "--":
            files += left
        elif arg == STREAM or not arg.startswith("-"):
            files.append(arg)
        else:
            options.append(arg)
            # of several letters behind one dash the first with a value takes the rest, or else the next argument
            letters = [] if arg.startswith("--") else [n for n in range(1, len(arg)) if f"-{arg[n]}" in valued]
            if arg in valued or letters[:1] == [len(arg) - 1]:
                options += [value for value in [next(left, None)] if value is not None]
    return [*options, "--", *files] if files else options


class _CommandParser(_Parser):
    """A parser of one command, whose options may stand anywhere."""

    def parse_known_args(  # type: ignore[override]  # its overloads are for namespaces of other types
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        known, rest = super().parse_known_args(_options_first(args), namespace)
        if rest:  # found by the parser of all commands, this would send the user to the wrong help
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        if wrong := batches.arrange(known):
            self.error(wrong)
        return known, rest


class _Print(argparse.Action):
    """An option that prints a text made on demand and ends the program."""

    def __init__(self, text: Callable[[], str], **options: Any) -> None:
        super().__init__(nargs=0, default=argparse.SUPPRESS, **options)
        self.text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        console.tell(self.text())
        parser.exit(0)


def _add_options(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    groups: dict[str, Any] = {"": parser}
    for option in options:
        if option.group not in groups:
            groups[option.group] = parser.add_mutually_exclusive_group()
        settings: dict[str, Any] = {"help": option.full_help.replace("%", "%%")}
        if option.default is False:
            settings.update(action="store_true")
        else:
            settings.update(default=option.default, type=option.type)
            settings.update(metavar=option.metavar or None, choices=option.choices or None)
        groups[option.group].add_argument(*option.flags, **settings)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser from the declared commands and options."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(PROGRAM, description=SUMMARY, epilog=manual.epilog(), formatter_class=raw, allow_abbrev=False)
    for option in PRINTED:
        parser.add_argument(*option.flags, action=_Print, text=TEXTS[option.flags[-1]], help=option.help)
    parsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands", parser_class=_CommandParser
    )

    def show_help(args: argparse.Namespace, status: output.Status) -> None:
        if args.COMMAND is None:
            parser.print_help()
        elif args.COMMAND in parsers.choices:
            parsers.choices[args.COMMAND].print_help()
        else:
            known = ", ".join(parsers.choices)
            raise UsageError(f"there is no command {args.COMMAND!r}; the commands are {known}")

    run: dict[str, Callable[[argparse.Namespace, output.Status], None]] = {
        **commands.RUN,
        **looking.RUN,
        "help": show_help,
        "integrate": lambda args, status: integrate.integrate(args, status, parser),
    }
    for command in COMMANDS:
        usage = ("\n" + 7 * " ").join(manual.synopses(command))
        sub = parsers.add_parser(
            command.name, usage=usage, help=command.help, description=command.help, allow_abbrev=False
        )
        sub.set_defaults(command=command.name, run=run[command.name], batch=False, quiet=False)
        for name, nargs, text in command.arguments:
            sub.add_argument(name, nargs=nargs, help=text)
        _add_options(sub, [option for option in OPTIONS if command.name in option.commands])
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run ``irc`` with `argv` and return its exit status."""
    status = output.Status()
    try:
        with console.terminating(), warnings.catch_warnings(), console.guard(status.fail):
            if not sys.warnoptions:  # libraries' warnings mean nothing to a user
                warnings.simplefilter("ignore")
            args = build_parser().parse_args(argv)
            status.quiet = bar.quiet = args.quiet
            (batches.run if args.batch else args.run)(args, status)
    except KeyboardInterrupt:
        status.fail(128 + signal.SIGINT, "interrupted")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else exit_code("ok")
    return status.code


def entry() -> NoReturn:
    """The program: `main`, then an exit at once. To take the interpreter and torch apart takes half a second; files are
    closed, and what else would happen at exit is nothing that a user waits for.
    """
    console.open_streams()
    callables.process_is_ours = True
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # a full disk, a closed stream: there is nowhere to say so
        code = code or exit_code("failure")
    os._exit(code)


if __name__ == "__main__":
    entry()

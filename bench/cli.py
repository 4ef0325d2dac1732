"""``irc-bench``: measure codecs on a folder of images, compare and draw their curves."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from bench.commands import bdrate, generations, plot, rd, report, rescale, speed
from bench.commands.common import EXIT_INCOMPLETE, say
from bench.errors import BenchError, NotComparable

__all__ = ["main"]

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 if something did not work, 2 if it was asked wrongly."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="irc-bench", description="Measure codecs, compare and draw.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (rd, bdrate, generations, speed, rescale, plot, report):
        command.add(commands)
    args = parser.parse_args(arguments)
    args.command_line = shlex.join(["irc-bench", *arguments])
    try:
        return int(args.run(args))
    except NotComparable as error:
        say(f"irc-bench: {error}")
        return EXIT_INCOMPLETE
    except BenchError as error:
        say(f"irc-bench: {error}")
        return EXIT_USAGE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"irc-bench: {where}{error.strerror or error}")
        return EXIT_INCOMPLETE
    except KeyboardInterrupt:
        say("irc-bench: interrupted; what was measured is kept")
        return EXIT_INTERRUPTED

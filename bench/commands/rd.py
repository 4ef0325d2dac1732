"""``irc-bench rd``: rate and distortion of codecs on a folder."""

import argparse
from typing import Any

from bench.commands.common import add_measuring, conclude, open_asked, say, settings_by_codec
from bench.peers.codecs import DEFAULT
from bench.runs.rd import measure

__all__ = ["add"]


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("rd", help="measure rate and distortion of codecs on a folder")
    add_measuring(parser, "all that are installed, save for variants")
    parser.add_argument("--no-ms-ssim", action="store_true", help="leave out MS-SSIM, which is slow")
    parser.add_argument("--no-ssimulacra2", action="store_true", help="leave out SSIMULACRA2, which is slow")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, and say what was measured and what was not."""
    settings = settings_by_codec(args.settings, args.codecs or list(DEFAULT))
    codecs, missing, asked_missing = open_asked(args.codecs, DEFAULT)
    outcome = measure(
        args.folder,
        codecs,
        args.out,
        settings=settings,
        missing=missing,
        with_ms_ssim=not args.no_ms_ssim,
        with_ssimulacra2=not args.no_ssimulacra2,
        jobs=args.jobs,
        command=args.command_line,
        report=say,
    )
    say(f"{args.out}: {outcome.measured} measured, {outcome.kept} kept")
    return conclude(outcome, asked_missing)

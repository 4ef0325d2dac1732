"""``irc-bench rd``: rate and distortion of codecs on a folder."""

import argparse
from typing import Any

from bench.commands.common import add_measuring, conclude, open_asked, say, settings_by_codec
from bench.errors import BenchError
from bench.peers.codecs import CODECS, DEFAULT
from bench.peers.programs import ProgramCodec, external
from bench.runs.folder import Run
from bench.runs.rd import measure

__all__ = ["add"]


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("rd", help="measure rate and distortion of codecs on a folder")
    add_measuring(parser, "all that are installed, save for variants")
    parser.add_argument("--no-ms-ssim", action="store_true", help="leave out MS-SSIM, which is slow")
    parser.add_argument("--no-ssimulacra2", action="store_true", help="leave out SSIMULACRA2, which is slow")
    parser.add_argument(
        "--external", nargs=2, action="append", default=[], metavar=("NAME=ENCODE", "DECODE"),
        help="another codec by two commands, 'NAME=enc {in} {out} {q}' 'dec {in} {out}'; can be given again",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, and say what was measured and what was not."""
    others = [_external(*pair) for pair in args.external]
    # asked for others alone, others alone are measured
    asked = args.codecs or ([] if others else list(DEFAULT))
    settings = settings_by_codec(args.settings, [*asked, *(codec.name for codec in others)])
    for codec in others:
        if codec.name in CODECS:
            raise BenchError(f"--external {codec.name}: there is a codec of that name")
        if codec.name not in settings:
            raise BenchError(f"--external {codec.name}: --settings {codec.name}=... must say at which settings")
    codecs, missing, asked_missing = open_asked(args.codecs, DEFAULT) if asked else ([], {}, False)
    run = Run(args.folder, args.out, [*codecs, *others], missing, args.jobs, args.command_line, say)
    outcome = measure(run, settings, with_ms_ssim=not args.no_ms_ssim, with_ssimulacra2=not args.no_ssimulacra2)
    say(f"{args.out}: {outcome.measured} measured, {outcome.kept} kept")
    return conclude(outcome, asked_missing)


def _external(start: str, decoder: str) -> ProgramCodec:
    name, _, encoder = start.partition("=")
    return external(name, encoder, decoder)

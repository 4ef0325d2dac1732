"""``irc-bench report``: one HTML page of everything that was measured."""

import argparse
from pathlib import Path
from typing import Any

from bench.commands.common import add_published, conclude, count, names, open_asked, say
from bench.figures.report import collect, make_pictures, page
from bench.runs.folder import Outcome
from bench.runs.pool import cores
from codec import atomic

__all__ = ["add"]

DEFAULT = ("irc", "jpeg", "webp", "avif", "hevc")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("report", help="make a web page of results")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="results of rd, generations and speed")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="HTML page to write")
    parser.add_argument("--title", default="irc and its peers")
    parser.add_argument("--anchor", metavar="KEY", help="anchor of the BD-rates (default: that of bdrate)")
    add_published(parser)
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder of images to compare side by side")
    parser.add_argument("--max-pictures", type=count, default=3, metavar="N", help="its first N images (default: 3)")
    parser.add_argument(
        "--codecs", type=names, metavar="NAME,...", help=f"codecs of the pictures (default: {','.join(DEFAULT)})"
    )
    parser.add_argument("--bpp", type=float, default=0.4, help="bits per pixel of the pictures (default: 0.4)")
    parser.add_argument("--jobs", type=count, default=cores(), metavar="N", help="processes for the pictures")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    outcome, asked_missing = Outcome(), False
    data = collect(args.files, args.published, args.anchor)
    if args.pictures:
        codecs, _, asked_missing = open_asked(args.codecs, DEFAULT)
        data["pictures"] = make_pictures(args.pictures, codecs, args.bpp, args.max_pictures, args.jobs, outcome, say)
    atomic.write(args.out, page(data, args.title).encode())
    say(f"{args.out}: {args.out.stat().st_size:,} bytes")
    return conclude(outcome, asked_missing)

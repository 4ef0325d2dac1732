"""``irc-bench plot``: curves, or generation loss, as PNG or SVG."""

import argparse
from pathlib import Path
from typing import Any

from bench.commands.common import add_published
from bench.curves import find_curve, load_measured, load_published

__all__ = ["add"]


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("plot", help="draw curves as PNG or SVG")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="result of rd")
    parser.add_argument("--out", type=Path, required=True, help="a .png or .svg file")
    parser.add_argument("--title", default="")
    parser.add_argument("--max-bpp", type=float, metavar="BPP", help="leave out higher rates")
    add_published(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw."""
    # matplotlib is slow to import, and nothing else needs it
    from bench.plot import draw

    published = load_published()
    curves = load_measured(args.files)
    curves += [find_curve(f"published:{key}", published, []) for key in args.published]
    draw(curves, args.out, title=args.title, max_bpp=args.max_bpp)
    return 0

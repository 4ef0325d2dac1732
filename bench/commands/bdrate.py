"""``irc-bench bdrate``: a table of BD-rates against an anchor."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.commands.common import EXIT_INCOMPLETE, add_published, say
from bench.errors import NotComparable
from bench.metrics.bdrate import BAND, bd_rate
from bench.metrics.curves import find_curve, load_measured, load_published, other_images

__all__ = ["add"]


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("bdrate", help="print BD-rates against an anchor")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="result of rd")
    parser.add_argument(
        "--anchor", default="bpg444", metavar="KEY",
        help="a published key or the name of a measured curve (default: bpg444)",
    )  # fmt: skip
    parser.add_argument(
        "--band", nargs=2, type=float, default=BAND, metavar=("LOW", "HIGH"),
        help=f"PSNR band in dB (default: {BAND[0]:g} {BAND[1]:g})",
    )  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    add_published(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 if a curve was refused."""
    published, measured = load_published(), load_measured(args.files)
    anchor = find_curve(args.anchor, published, measured)
    # without anything to compare, the published curves are the table
    chosen = args.published or ([] if measured else list(published))
    curves = measured + [find_curve(f"published:{key}", published, []) for key in chosen]
    band = (args.band[0], args.band[1])
    whose = "published" if anchor.published else "measured"
    print(f"BD-rate in % against {anchor.key} ({whose}), PSNR over RGB; minus is better")
    if args.markdown:
        print()
    _print_row(("codec", f"{band[0]:g}-{band[1]:g} dB", "common range"), args.markdown)
    if args.markdown:
        print("|---|---|---|")
    refused = False
    for curve in curves:
        cells, reasons = [], []
        for part in (band, None):
            try:
                rate = bd_rate(anchor.bpp, anchor.psnr, curve.bpp, curve.psnr, part)
            except NotComparable as error:
                cells.append("-")
                reasons.append(str(error))
            else:
                cells.append(f"{rate.percent:+.2f} ({rate.low:.2f}-{rate.high:.2f} dB)")
        name = f"{curve.key} (published)" if curve.published else curve.key
        _print_row((name, *cells), args.markdown)
        if reasons:
            refused = True
            say(f"{curve.key}: refused: {'; '.join(dict.fromkeys(reasons))}")
        if other_images(anchor, curve):
            say(f"{curve.key}: beware: its {len(curve.images)} images are not the {len(anchor.images)} of {anchor.key}")
    return EXIT_INCOMPLETE if refused else 0


def _print_row(cells: Sequence[str], markdown: bool) -> None:
    print(f"| {' | '.join(cells)} |" if markdown else f"{cells[0]:32}  {cells[1]:>25}  {cells[2]:>25}".rstrip())

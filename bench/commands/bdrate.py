"""``irc-bench bdrate``: a table of BD-rates against one anchor or several."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.commands.common import EXIT_INCOMPLETE, add_metric, add_published, published_curves, say
from bench.errors import NotComparable
from bench.metrics.bdrate import bd_rate
from bench.metrics.curves import Curve, default_anchor, find_curve, load_measured, load_published, other_images
from bench.metrics.measures import MEASURES, PSNR_BAND, Measure

__all__ = ["add"]

Band = tuple[float, float] | None


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("bdrate", help="print BD-rates against an anchor")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="result of rd")
    parser.add_argument(
        "--anchor", action="append", metavar="KEY",
        help="name of a measured curve or else a published key (published:KEY for the published one of two); given "
        "again, a column each (default: bpg444, or a measured curve where images are not Kodak's)",
    )  # fmt: skip
    parser.add_argument(
        "--band", nargs=2, type=float, metavar=("LOW", "HIGH"),
        help="interval of the metric (default: {:g} {:g} for psnr, else all that both curves cover)".format(*PSNR_BAND),
    )  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    add_metric(parser)
    add_published(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 if a curve was refused."""
    measure = MEASURES[args.metric]
    known = load_published() if measure.name == "psnr" else {}
    measured = load_measured(args.files, measure)
    asked = args.anchor or [default_anchor(measured, measure)]
    anchors = [find_curve(key, known, measured) for key in asked]
    # without anything to compare, the published curves are the table
    curves = measured + published_curves(args.published or ([] if measured else known), measure)
    band: Band = (args.band[0], args.band[1]) if args.band else measure.band
    columns = [(anchor, band) for anchor in anchors]
    if len(anchors) == 1 and band is not None:
        columns.append((anchors[0], None))
    against = " and ".join(f"{anchor.key} ({anchor.whose})" for anchor in anchors)
    print(f"BD-rate in % against {against}, {measure.label}; minus is better")
    if args.markdown:
        print()
    interval = f"{band[0]:g}-{band[1]:g} {measure.unit}".strip() if band else "common range"
    if len(anchors) == 1:
        headings = [interval, *["common range"][: len(columns) - 1]]
    else:
        headings = [f"against {anchor.key} ({anchor.whose})" for anchor in anchors]
    _print_row(["codec", *headings], args.markdown)
    if args.markdown:
        print("|" + "---|" * (1 + len(columns)))
    refused = [_print_curve(curve, columns, measure, args.markdown) for curve in curves]
    return EXIT_INCOMPLETE if any(refused) else 0


def _print_curve(curve: Curve, columns: Sequence[tuple[Curve, Band]], measure: Measure, markdown: bool) -> bool:
    """Print the row of a curve; return whether a cell of it was refused."""
    cells, reasons = [], []
    for anchor, part in columns:
        try:
            rate = bd_rate(anchor.bpp, anchor.quality, curve.bpp, curve.quality, part)
        except NotComparable as error:
            cells.append("-")
            reasons.append(str(error))
        else:
            cells.append(f"{rate.percent:+.2f} (" + f"{rate.low:.2f}-{rate.high:.2f} {measure.unit}".strip() + ")")
    _print_row([f"{curve.key} (published)" if curve.published else curve.key, *cells], markdown)
    if reasons:
        say(f"{curve.key}: refused: {'; '.join(dict.fromkeys(reasons))}")
    for anchor in dict.fromkeys(anchor for anchor, _ in columns):
        if other_images(anchor, curve):
            say(f"{curve.key}: beware: its {len(curve.images)} images are not the {len(anchor.images)} of {anchor.key}")
    return bool(reasons)


def _print_row(cells: Sequence[str], markdown: bool) -> None:
    if markdown:
        print(f"| {' | '.join(cells)} |")
    else:
        print((f"{cells[0]:32}" + "".join(f"  {cell:>25}" for cell in cells[1:])).rstrip())

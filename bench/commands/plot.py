"""``irc-bench plot``: curves, generation loss, or speed, as PNG or SVG."""

import argparse
from pathlib import Path
from typing import Any

from bench.commands.common import add_metric, add_published, published_curves
from bench.errors import BenchError
from bench.metrics.curves import load_json, load_kind, load_measured
from bench.metrics.measures import MEASURES
from bench.runs.generations import load_generations

__all__ = ["add"]


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("plot", help="draw curves, generations or speed as PNG or SVG")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="results of rd, of generations or of speed")
    parser.add_argument("--out", type=Path, required=True, help="a .png or .svg file")
    parser.add_argument("--title", default="")
    parser.add_argument("--max-bpp", type=float, metavar="BPP", help="leave out higher rates")
    add_metric(parser)
    add_published(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw."""
    # matplotlib is slow to import, and nothing else needs it
    from bench.figures.plot import draw
    from bench.figures.plot_generations import draw_generations
    from bench.figures.plot_speed import draw_speed

    kinds = {load_kind(path) for path in args.files}
    if len(kinds) > 1 or (args.published and kinds - {"rd"}):
        raise BenchError("curves, generations and speed are drawn apart")
    if kinds == {"generations"}:
        draw_generations([load_generations(path) for path in args.files], args.out, title=args.title)
        return 0
    if kinds == {"speed"}:
        draw_speed([load_json(path) for path in args.files], args.out, title=args.title)
        return 0
    measure = MEASURES[args.metric]
    curves = load_measured(args.files, measure) + published_curves(args.published, measure)
    draw(curves, args.out, measure=measure, title=args.title, max_bpp=args.max_bpp)
    return 0

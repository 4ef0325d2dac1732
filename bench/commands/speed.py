"""``irc-bench speed``: times and memory, codecs side by side."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.commands.common import conclude, count, names, open_asked, say, settings_by_codec
from bench.errors import BenchError
from bench.peers.codecs import CODECS
from bench.runs.folder import Run
from bench.runs.limits import physical_memory
from bench.runs.pool import cores
from bench.runs.speed import KINDS, SpeedPlan, measure_speed
from bench.runs.workers import CLOCKS

__all__ = ["add"]

DEFAULT = (
    "irc",
    "jpeg",
    "avif",
    "hevc",
    "bmshj2018-hyperprior-untrained",
    "mbt2018-mean-untrained",
    "cheng2020-anchor-untrained",
)


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("speed", help="time codecs side by side, over sizes and threads")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of photos, to make pictures of every size of")
    parser.add_argument(
        "--codecs", type=names, metavar="NAME,...", help=f"from {', '.join(CODECS)} (default: {','.join(DEFAULT)})"
    )
    parser.add_argument(
        "--settings", action="append", default=[], metavar="NAME=S",
        help="the setting of a codec (default: its own that is nearest to --bpp); can be given again",
    )  # fmt: skip
    parser.add_argument("--bpp", type=float, default=0.8, help="bits per pixel to choose settings by (default: 0.8)")
    parser.add_argument(
        "--sizes", type=_numbers, default=[0.1, 0.4, 1, 4, 12, 24], metavar="MP,...",
        help="megapixels (default: 0.1,0.4,1,4,12,24)",
    )  # fmt: skip
    threads = [n for n in (1, 2) if n <= cores()]
    parser.add_argument(
        "--threads", type=_numbers, default=threads, metavar="N,...", help="threads (default: 1,2, as far as there are)"
    )
    parser.add_argument("--repeats", type=count, default=5, metavar="N", help="timed runs of each (default: 5)")
    parser.add_argument(
        "--limit", type=float, default=60, metavar="S", help="give a codec up beyond S seconds a call (default: 60)"
    )
    parser.add_argument(
        "--budget", type=float, default=60, metavar="S",
        help="repeat a codec less often when it has spent S seconds on a size (default: 60)",
    )  # fmt: skip
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall",
        help="processor: the seconds of all threads, for a machine that does other work beside (default: wall)",
    )  # fmt: skip
    parser.add_argument(
        "--memory", type=float, default=round(0.6 * physical_memory() / 1e9, 1), metavar="GB",
        help="give a codec up beyond this memory (default: 60 %% of what there is)",
    )  # fmt: skip
    parser.add_argument("--no-processes", action="store_true", help="leave out whole processes, and memory with them")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, and print a table; what took too long or too much is in it and no error."""
    if args.out.exists():
        raise BenchError(f"{args.out} is there already: write to another file")
    if any(size <= 0 for size in args.sizes) or any(n < 1 or n % 1 for n in args.threads):
        raise BenchError("sizes and threads must be positive, threads whole")
    if max(args.threads) > cores():
        raise BenchError(f"--threads {max(args.threads):g}: this process may use {cores()} processors")
    asked = settings_by_codec(args.settings, args.codecs or list(DEFAULT))
    if several := [name for name, values in asked.items() if len(values) > 1]:
        raise BenchError(f"--settings {several[0]}: one setting of a codec is timed")
    codecs, missing, asked_missing = open_asked(args.codecs, DEFAULT)
    plan = SpeedPlan(
        settings={name: values[0] for name, values in asked.items()},
        megapixels=args.sizes,
        threads=[int(n) for n in args.threads],
        repeats=args.repeats,
        bpp=args.bpp,
        limit=args.limit,
        memory=int(args.memory * 1e9),
        budget=args.budget,
        clock=args.clock,
        processes=not args.no_processes,
    )
    run = Run(args.folder, args.out, codecs, missing, command=args.command_line, report=say)
    document, outcome = measure_speed(run, plan)
    _print(document)
    return conclude(outcome, asked_missing)


def _print(document: Mapping[str, Any]) -> None:
    clock = "" if document["clock"] == "wall" else f"{document['clock']} "
    print(f"{clock}seconds: median (smallest-largest); memory: peak above that of a tiny picture, bytes a pixel")
    print(f"{'codec':32} {'threads':>7} {'MP':>5} {'bpp':>5} " + " ".join(f"{kind:>22}" for kind in KINDS) + "  memory")
    for row in document["rows"]:
        start = f"{row['codec']:32} {row['threads']:7} {row['megapixels']:5g}"
        if "note" in row:
            print(f"{start}  {row['note']}")
            continue
        cells = " ".join(f"{_spread(row.get(kind, ())):>22}" for kind in KINDS)
        keys = [f"bytes_per_pixel_{kind}" for kind in ("encode", "decode")]
        memory = "/".join(f"{row[key]:.0f}" for key in keys if key in row)
        print(f"{start} {row['bpp']:5.2f} {cells}  {memory or '-'}")


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    return f"{median(seconds):.3f} ({min(seconds):.3f}-{max(seconds):.3f})"


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers") from None

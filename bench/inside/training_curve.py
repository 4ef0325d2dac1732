"""Loss over steps, and what held-out photos gain, of training runs.

    python -m bench.inside.training_curve run/log.jsonl more/log.jsonl --out training.svg

A panel for the loss (mean of ten reports) and one for the held-out photos: BD-rate against the run's first evaluation.
Runs follow each other on the axis of steps in the order that they are given in; losses of runs that train different
parts are not comparable.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.errors import BenchError
from bench.figures.plot import dress, figure_for, style
from bench.inside.program import parser as program
from bench.metrics.bdrate import bd_rate

SMOOTH = 10  #: reports


class Run(NamedTuple):
    """Of one run: steps and losses of its reports, steps and BD-rates (per cent) of its evaluations."""

    steps: list[int]
    losses: list[float]
    evaluated: list[int]
    gains: list[float]


def read_log(path: Path) -> Run:
    """A `log.jsonl` of codec.training.train; BenchError where it has no report or is none."""
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        reports = [row for row in rows if "loss" in row]
        curves = [(row["step"], *zip(*((p["bpp"], p["psnr"]) for p in row["valid"]))) for row in rows if "valid" in row]
        if not reports:
            raise BenchError(f"{path}: no report of a loss")
        gains = [bd_rate(*curves[0][1:], *curve[1:]).percent for curve in curves]
        return Run([r["step"] for r in reports], [float(r["loss"]) for r in reports], [c[0] for c in curves], gains)
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path}: not a log of training ({error})") from error


def smooth(values: list[float]) -> np.ndarray:
    """Mean of the last ten, of fewer at the start."""
    sums = np.cumsum([0.0, *values])
    last = np.arange(1, len(sums))
    first = np.maximum(0, last - SMOOTH)
    return (sums[last] - sums[first]) / (last - first)


def draw(runs: list[Run], labels: list[str], out: Path) -> None:
    """Both panels into a PNG or SVG file."""
    with figure_for(out, (9, 6)) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        start = 0
        for index, (run, label) in enumerate(zip(runs, labels)):
            colour, marker = style(index)
            above.plot([start + s for s in run.steps], smooth(run.losses), color=colour, linewidth=2, label=label)
            below.plot([start + s for s in run.evaluated], run.gains, color=colour, marker=marker, linewidth=2)
            start += max(run.steps[-1], *run.evaluated[-1:])
        above.set_ylabel("loss (each run its own)")
        below.set_ylabel("BD-rate, held out (%)")
        below.set_xlabel("steps")
        above.legend(frameon=False)
        dress(above, "")
        dress(below, "")


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.training_curve", __doc__)
    parser.add_argument("logs", type=Path, nargs="+", metavar="LOG", help="log.jsonl of a run")
    parser.add_argument("--labels", nargs="+", help="one for each log (default: its folder)")
    parser.add_argument("--out", type=Path, required=True, help="PNG or SVG")
    a = parser.parse_args(argv)
    labels = a.labels or [path.resolve().parent.name for path in a.logs]
    if len(labels) != len(a.logs):
        parser.error("there must be a label for each log")
    try:
        draw([read_log(path) for path in a.logs], labels, a.out)
    except BenchError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Generation loss as PNG or SVG: what many generations cost beyond the first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.figures.plot import dress, figure_for, label_ends, style
from bench.metrics.generation_loss import losses, name, panels

__all__ = ["draw_generations"]


def draw_generations(documents: Sequence[Mapping[str, Any]], out: Path, *, title: str = "") -> None:
    """Draw results of `irc-bench generations` into a file, a panel for each schedule, each line labelled."""
    shown = panels(documents)
    if not shown:
        raise BenchError("there is no series to draw")
    with figure_for(out, (9, 3.6 * len(shown))) as figure:
        if title:
            figure.suptitle(title)
        all_axes = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
        for axes, group in zip(all_axes, shown, strict=True):
            lines = [losses(series) for series in group]
            for index, points in enumerate(lines):
                colour, _ = style(index)
                axes.plot(*zip(*points, strict=True), color=colour, linewidth=2.0)
            axes.set_ylabel("PSNR gained or lost (dB)")
            dress(axes, "")
        all_axes[-1].set_xlabel("generation")
        for axes, group in zip(all_axes, shown, strict=True):
            ends = [(float(x), y) for x, y in (losses(series)[-1] for series in group)]
            label_ends(figure, axes, ends, [name(series) for series in group])

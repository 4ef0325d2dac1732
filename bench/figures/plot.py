"""Rate-distortion curves as PNG or SVG: measured ones solid, published ones dashed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.metrics.curves import Curve
from bench.metrics.measures import MEASURES, Measure

__all__ = ["COLOURS", "FORMATS", "draw", "dress", "figure_for", "label_ends", "spread", "style"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers; yellow is too faint on white."""

FORMATS = (".png", ".svg")

_MARKERS = ("o", "s", "^", "D", "v")
_LABEL_POINTS = 9.0


def draw(
    curves: Sequence[Curve],
    out: Path,
    *,
    measure: Measure = MEASURES["psnr"],
    title: str = "",
    max_bpp: float | None = None,
) -> None:
    """Draw curves of a measure into a file, each labelled at its end.

    With `max_bpp`, points of a higher rate are left out. Published curves are dashed, hollow
    and say that they are published.
    """
    shown = [(curve, _points(curve, max_bpp)) for curve in curves]
    for curve, points in shown:
        if not points:
            raise BenchError(f"{curve.key} has no point to draw")
    if not shown:
        raise BenchError("there is no curve to draw")

    with figure_for(out) as figure:
        axes = figure.add_subplot()
        for index, (curve, points) in enumerate(shown):
            colour, marker = style(index)
            axes.plot(
                [bpp for bpp, _ in points],
                [quality for _, quality in points],
                color=colour,
                linestyle="--" if curve.published else "-",
                linewidth=1.3 if curve.published else 2.0,
                marker=marker,
                markersize=4,
                markerfacecolor="white" if curve.published else colour,
            )
        axes.set_xlabel("bits per pixel")
        axes.set_ylabel(measure.axis)
        dress(axes, title)
        labels = [f"{curve.label} (published)" if curve.published else curve.label for curve, _ in shown]
        label_ends(figure, axes, [points[-1] for _, points in shown], labels)


@contextmanager
def figure_for(out: Path, size: tuple[float, float] = (9, 6)) -> Iterator[Figure]:
    """Give a figure to draw into, and write it to `out` at the end; `BenchError` for a format that is none."""
    if out.suffix.lower() not in FORMATS:
        raise BenchError(f"{out}: a plot is written as {' or '.join(FORMATS)}")
    # text stays text in an SVG, and the same curves make the same file
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "irc-bench"}):
        figure = Figure(figsize=size, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        yield figure
        svg = out.suffix.lower() == ".svg"
        canvas.print_figure(
            out, format="svg" if svg else "png", dpi=150, bbox_inches="tight", metadata={"Date": None} if svg else None
        )


def dress(axes: Any, title: str) -> None:
    """Give axes their grid, title and no frame."""
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title)


def label_ends(
    figure: Figure,
    axes: Any,
    ends: Sequence[tuple[float, float]],
    labels: Sequence[str],
    colours: Sequence[str] | None = None,
) -> None:
    """Write a label beside the end of each line, apart from each other, in the line's colour (default: in order)."""
    figure.draw_without_rendering()  # fixes the limits that the labels are placed by
    # in fractions of the axes' height, which logarithmic axes have, too
    places = axes.transAxes.inverted().transform(axes.transData.transform(ends))
    gap = 1.25 * _LABEL_POINTS * figure.dpi / 72 / axes.get_window_extent().height
    heights = spread([height for _, height in places], gap)
    colours = colours or [style(index)[0] for index in range(len(ends))]
    for label, end, height, colour in zip(labels, ends, heights, colours, strict=True):
        axes.annotate(
            label,
            xy=end,
            xytext=(1.01, height),
            textcoords="axes fraction",
            color=colour,
            fontsize=_LABEL_POINTS,
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "linestyle": ":"},
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart until each is at least `gap` from the next, keeping their order."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    # labels that push each other share a block, which is centred on what it labels
    blocks: list[tuple[list[int], float]] = []
    for index in order:
        members, centre = [index], heights[index]
        while blocks:
            below, below_centre = blocks[-1]
            room = gap * (len(below) + len(members)) / 2
            if centre - below_centre >= room:
                break
            members = below + members
            centre = sum(heights[member] for member in members) / len(members)
            blocks.pop()
        blocks.append((members, centre))
    result = [0.0] * len(heights)
    for members, centre in blocks:
        for place, member in enumerate(members):
            result[member] = centre + gap * (place - (len(members) - 1) / 2)
    return result


def _points(curve: Curve, max_bpp: float | None) -> list[tuple[float, float]]:
    points = zip(curve.bpp, curve.quality, strict=True)
    return [point for point in points if max_bpp is None or point[0] <= max_bpp]


def style(index: int) -> tuple[str, str]:
    """Return a colour and a marker; the marker changes when the colours come round again."""
    return COLOURS[index % len(COLOURS)], _MARKERS[index // len(COLOURS) % len(_MARKERS)]

"""Speed as PNG or SVG: how time and memory grow with the picture."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.errors import BenchError
from bench.figures.plot import dress, figure_for, label_ends, style

__all__ = ["draw_speed"]

Points = list[tuple[float, float]]


def draw_speed(documents: Sequence[Mapping[str, Any]], out: Path, *, title: str = "") -> None:
    """Draw results of `irc-bench speed`: seconds to encode and to decode, and memory, against the picture's size.

    Where there are several numbers of threads, those of the smallest are drawn. `BenchError` for several clocks.
    """
    clocks = {document.get("clock", "wall") for document in documents}
    rows = [row for document in documents for row in document["rows"] if "note" not in row]
    if not rows:
        raise BenchError("no codec was timed")
    if len(clocks) > 1:
        raise BenchError("times by the wall's clock and by the processor's are drawn apart")
    seconds = "seconds" if clocks == {"wall"} else "processor seconds"
    threads = min(row["threads"] for row in rows)
    rows = [row for row in rows if row["threads"] == threads]
    codecs = list(dict.fromkeys(row["codec"] for row in rows))
    panels = [panel for panel in _panels(rows, codecs, seconds) if any(panel[1].values())]
    with figure_for(out, (9, 3.8 * len(panels))) as figure:
        figure.suptitle(title or f"{threads} thread{'s' if threads > 1 else ''}")
        all_axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (label, lines) in zip(all_axes, panels, strict=True):
            for index, codec in enumerate(codecs):
                colour, marker = style(index)
                x, y = zip(*lines[codec], strict=True) if lines[codec] else ((), ())
                axes.plot(x, y, color=colour, linewidth=2.0, marker=marker, markersize=4)
            axes.set(xscale="log", yscale="log", ylabel=label)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter("{x:g}")
            dress(axes, "")
        all_axes[-1].set_xlabel("megapixels")
        for axes, (_, lines) in zip(all_axes, panels, strict=True):
            drawn = [(index, codec) for index, codec in enumerate(codecs) if lines[codec]]
            label_ends(
                figure, axes, [lines[codec][-1] for _, codec in drawn], [codec for _, codec in drawn],
                [style(index)[0] for index, _ in drawn],
            )  # fmt: skip


def _panels(
    rows: Sequence[Mapping[str, Any]], codecs: Sequence[str], seconds: str
) -> Iterator[tuple[str, dict[str, Points]]]:
    """Yield each panel's label and its lines by codec; a line may be empty."""
    for kind in ("encode", "decode"):
        times = [(row, median(row[kind])) for row in rows]
        yield f"{kind}, {seconds}", {codec: _line(times, codec) for codec in codecs}
    memory = [(row, _memory(row)) for row in rows]
    yield "memory, megabytes a megapixel", {codec: _line(memory, codec) for codec in codecs}


def _line(values: Sequence[tuple[Mapping[str, Any], float]], codec: str) -> Points:
    points = [(row["width"] * row["height"] / 1e6, value) for row, value in values if row["codec"] == codec]
    return sorted(point for point in points if point[1] > 0)  # what logarithms are taken of


def _memory(row: Mapping[str, Any]) -> float:
    return float(max(row.get(f"bytes_per_pixel_{kind}", 0) for kind in ("encode", "decode")))

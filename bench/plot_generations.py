"""Generation loss as PNG or SVG: what many generations cost beyond the first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.plot import dress, figure_for, label_ends, style

__all__ = ["draw_generations", "losses", "panels"]

Series = Mapping[str, Any]


def losses(series: Series) -> list[tuple[int, float]]:
    """Return, for each generation, its mean PSNR against the original less that of the first at its setting, in dB."""
    first: dict[float, float] = {}
    points = []
    for mean in series["means"]:
        if mean["psnr_original"] is None:  # lossless on an image: no mean
            continue
        start = first.setdefault(mean["setting"], mean["psnr_original"])
        points.append((mean["generation"], mean["psnr_original"] - start))
    return points


def panels(documents: Sequence[Mapping[str, Any]]) -> list[list[Series]]:
    """Return the series that belong side by side: the first schedule of every codec, the second, ..."""
    by_codec: dict[str, list[Series]] = {}
    for document in documents:
        for series in document["series"]:
            if losses(series):
                by_codec.setdefault(series["codec"], []).append(series)
    count = max(map(len, by_codec.values()), default=0)
    return [[found[index] for found in by_codec.values() if index < len(found)] for index in range(count)]


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
            axes.set_ylabel("PSNR since generation 1 (dB)")
            dress(axes, "")
        all_axes[-1].set_xlabel("generation")
        for axes, group in zip(all_axes, shown, strict=True):
            ends = [(float(x), y) for x, y in (losses(series)[-1] for series in group)]
            label_ends(figure, axes, ends, [name(series) for series in group])


def name(series: Series) -> str:
    """Return a series' codec and settings, and the PSNR that it starts from."""
    settings = "/".join(f"{setting:g}" for setting in series["schedule"])
    return f"{series['codec']} {settings} ({series['means'][0]['psnr_original']:.1f} dB)"

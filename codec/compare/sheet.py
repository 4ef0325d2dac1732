"""The sheet of `irc compare`: one picture with original, T = 0, T = 1, difference, and of each band a map and a
histogram of z.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from codec.compare.comparison import GAIN, Comparison, difference, z_map
from codec.compare.lost import BINS, Band

__all__ = ["comparison_sheet", "histogram"]

LARGEST_PART = 512, 512  #: height and width that a sheet shows at once, unless another part is asked for
SMALLEST_PANEL = 256  #: pixels of a panel's width: smaller pictures are enlarged by a whole number
COLUMNS = 4  #: panels side by side
GAP, LINE = 12, 18  #: pixels between panels, and of a line of text
FINER = 3  #: times as large as they are shown, histograms are drawn, so that their lines are smooth
BLUE, GREY, PALE = (0, 114, 178), (110, 110, 110), (222, 222, 222)


def comparison_sheet(found: Comparison, name: str, region: Sequence[int] | None = None) -> bytes:
    """The sheet as PNG; name: what to call the picture; region: the part (x, y, width, height) to show."""
    part = found.part(region, LARGEST_PART)
    cut = slice(part.top, part.bottom), slice(part.left, part.right)
    times = -(-SMALLEST_PANEL // part.width)
    width, height = part.width * times, part.height * times
    likely, drawn = found.decoded
    panels = [
        (["original", name], found.original),
        (_scored(found, 0), likely),
        (_scored(found, 1), drawn),
        ([f"T = 0 less the original, {GAIN} times"], difference(found.original, likely)),
    ]
    map_width = (width - GAP) // 2
    map_height = max(1, round(map_width * part.height / part.width))
    head, band_head = 4 * LINE + 4, 4 * LINE + 4
    rows = -(-len(found.bands) // COLUMNS)
    size = (COLUMNS * (width + GAP) + GAP, 2 * GAP + head + height + LINE + rows * (band_head + map_height + GAP))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)

    def write(x: int, y: int, lines: Sequence[str], room: int = width) -> None:
        for i, line in enumerate(lines):
            pen.text((x, y + i * LINE), _fitted(line, font, room), "black", font)

    for column, (lines, pixels) in enumerate(panels):
        left = GAP + column * (width + GAP)
        write(left, GAP, lines)
        shown = Image.fromarray(np.ascontiguousarray(pixels[cut]))
        sheet.paste(shown.resize((width, height), Image.Resampling.NEAREST), (left, GAP + head))
    top = 2 * GAP + head + height
    title = "z, what was lost, by band: a map (grey 0, black -4, white 4), its histogram, the normal density"
    write(GAP, top, [title], size[0])
    for number, band in enumerate(found.bands):
        left = GAP + number % COLUMNS * (width + GAP)
        y = top + LINE + number // COLUMNS * (band_head + map_height + GAP) + 4
        write(left, y, _described(band))
        shown = Image.fromarray(z_map(band, part)).convert("RGB")
        sheet.paste(shown.resize((map_width, map_height), Image.Resampling.NEAREST), (left, y + band_head - 4))
        sheet.paste(histogram(band, (map_width, map_height)), (left + map_width + GAP, y + band_head - 4))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", icc_profile=found.icc)
    return buffer.getvalue()


def _fitted(line: str, font: Any, room: int) -> str:
    """The line, or as much of its beginning as has room, in pixels, with an ellipsis."""
    if font.getlength(line) <= room:
        return line
    while line and font.getlength(line + "…") > room:
        line = line[:-1]
    return line + "…"


def _scored(found: Comparison, number: int) -> list[str]:
    size = f"{found.size} bytes, {found.bpp:.3f} bpp"
    return [f"T = {number}, quality {found.quality:g}", size, *found.scores[number].text().rsplit(", ", 1)]


def _described(band: Band) -> list[str]:
    return [
        f"{band.name}, {'dropped' if band.dropped else 'kept'}",
        f"mean {band.mean:+.2f}, deviation {band.deviation:.2f}",
        f"correlated {band.correlation:.2f} with what is kept,",
        f"{band.neighbours:+.2f} with neighbours",
    ]


def histogram(band: Band, size: tuple[int, int]) -> Image.Image:
    """A histogram of z (a line) before the normal density (an area), from -4 to 4, of (width, height) pixels."""
    width, height = size[0] * FINER, size[1] * FINER
    bottom = height - 1
    centres = (BINS[1:] + BINS[:-1]) / 2
    normal, found = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi), band.histogram
    highest = 1.05 * max(normal.max(), found.max())

    def points(values: np.ndarray) -> list[tuple[float, float]]:
        across = (centres - BINS[0]) / (BINS[-1] - BINS[0]) * width
        return list(zip(across.tolist(), (bottom * (1 - values / highest)).tolist()))

    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    pen.polygon([(0, bottom), *points(normal), (width, bottom)], fill=PALE)
    for value in range(-4, 5):
        x = (value - BINS[0]) / (BINS[-1] - BINS[0]) * (width - 1)
        pen.line([(x, bottom), (x, bottom - 6 * FINER)], fill=GREY, width=FINER)
    pen.line([(0, bottom), (width, bottom)], fill=GREY, width=FINER)
    pen.line(points(found), fill=BLUE, width=2 * FINER, joint="curve")
    return image.resize(size, Image.Resampling.LANCZOS)

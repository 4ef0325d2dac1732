"""A picture beside what its .irc file gives: figures at T = 0 and T = 1, z by band, and the part that is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from codec import api
from codec.coding.progress import Progress
from codec.coding.tiles import Reader
from codec.compare.lost import Band, groups, whitened
from codec.container import bitstream
from codec.container.grid import UNITS, Box, Layout
from codec.metrics.distortion import Image8, ms_ssim, psnr, ssimulacra2
from codec.pictures import formats
from codec.pictures.formats import Pixels
from codec.pictures.hidden import filled
from codec.pictures.metadata import Picture

__all__ = ["TEMPERATURES", "Comparison", "Scores", "compare", "difference", "z_map"]

TEMPERATURES = (0, 1)
GAIN = 4  #: of differences that are shown
Z_GAIN = 32  #: levels of grey to 1 of z


class Scores(NamedTuple):
    """What a decoded picture scores against the original, over RGB of 8 bits."""

    psnr: float  #: dB; infinite where they are the same
    ms_ssim: float | None  #: 0..1; None below 161 pixels a side
    ssimulacra2: float | None  #: at most 100; None below 8 pixels a side

    def text(self) -> str:
        """In one line, what there is of them."""
        parts = [f"PSNR {self.psnr:.2f} dB"]
        parts += [f"MS-SSIM {self.ms_ssim:.4f}"] if self.ms_ssim is not None else []
        parts += [f"SSIMULACRA2 {self.ssimulacra2:.1f}"] if self.ssimulacra2 is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Comparison:
    """A picture, its file, and what is made of it at each of `TEMPERATURES`."""

    original: Image8
    decoded: tuple[Image8, ...]
    scores: tuple[Scores, ...]
    bands: list[Band]
    size: int  #: bytes of the file
    quality: float
    seed: int  #: that T = 1 was drawn with: the file's
    icc: bytes | None  #: the colour profile of all of them, where there is one for RGB
    notes: list[str]  #: what was left out of the comparison, a line each

    @property
    def bpp(self) -> float:
        """Bits of the file a pixel."""
        return 8 * self.size / (self.original.shape[0] * self.original.shape[1])

    def facts(self) -> dict[str, Any]:
        """All figures, as JSON takes them: a PSNR of None is that of equal pictures."""
        return {
            "width": self.original.shape[1],
            "height": self.original.shape[0],
            "bytes": self.size,
            "bpp": round(self.bpp, 6),
            "quality": self.quality,
            "seed": self.seed,
            "scores": [
                {"temperature": t, **scores._asdict(), "psnr": scores.psnr if math.isfinite(scores.psnr) else None}
                for t, scores in zip(TEMPERATURES, self.scores)
            ],
            "bands": [
                {
                    "band": band.name,
                    "dropped": band.dropped,
                    "channels": len(band.z),
                    "mean": band.mean,
                    "deviation": band.deviation,
                    "correlation": band.correlation,
                    "neighbours": band.neighbours,
                }
                for band in self.bands
            ],
        }

    def part(self, region: Sequence[int] | None, most: tuple[int, int]) -> Box:
        """The part to show: a region (x, y, width, height; InputError where it is outside), or the middle, of at most
        (height, width).
        """
        height, width = self.original.shape[:2]
        if region is not None:
            x, y, w, h = region
            return Layout(height, width).region((x, y, w, h))
        h, w = (min(n, limit) for n, limit in zip((height, width), most))
        top, left = (height - h) // 2, (width - w) // 2
        return Box(top, left, top + h, left + w)


def compare(
    picture: Picture,
    data: bytes,
    *,
    max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Comparison:
    """Compare a picture, as `codec.pictures.reading.load` gives it, with the .irc file that was made of it.

    Colours are compared as they are coded, in the picture's own colour space, at 8 bits; alpha is left out, since it
    loses nothing. Raises InputError where the sizes differ, DamagedError, WeightsError.
    """
    colour, alpha = formats.split(picture.pixels)
    reader = Reader.of(data, max_pixels, device)
    colour = filled(colour, alpha)  # as it is coded
    found = whitened(colour, reader)
    original = _rgb(colour)
    decoded = []
    for temperature in TEMPERATURES:
        pixels = api.decode(
            data, array=True, temperature=temperature, max_pixels=max_pixels, device=device, progress=progress
        )
        decoded.append(_rgb(formats.split(pixels)[0]))
    scores = [Scores(psnr(original, x), ms_ssim(original, x), ssimulacra2(original, x)) for x in decoded]
    notes = []
    if alpha is not None:
        notes.append("alpha, which loses nothing, is not compared, nor what it hides")
    if reader.file.extras.get(bitstream.ICC) != picture.chunks().get(bitstream.ICC):
        notes.append("the file's colour profile is not the picture's; samples were compared as they are")
    return Comparison(
        original,
        tuple(decoded),
        tuple(scores),
        [Band.of(found, group) for group in groups(found.dropped)],
        len(data),
        reader.file.header.quality,
        reader.file.header.seed,
        picture.icc if picture.icc and picture.icc[16:20] == b"RGB " else None,
        notes,
    )


def _rgb(colour: Pixels) -> Image8:
    """Samples H,W or H,W,3 as RGB of 8 bits."""
    eight = cast(Image8, formats.to_depth(colour, 8))
    return np.ascontiguousarray(eight if eight.ndim == 3 else np.broadcast_to(eight[..., None], (*eight.shape, 3)))


def difference(original: Image8, decoded: Image8) -> Image8:
    """What a decoded picture has more (brighter) or less (darker) than the original, `GAIN` times, around grey."""
    return (128 + GAIN * (decoded.astype(np.int32) - original)).clip(0, 255).astype(np.uint8)


def z_map(band: Band, part: Box) -> NDArray[np.uint8]:
    """z of a part of the picture as grey, h,w: 0 in the middle, -4 black, 4 white.

    The channels of the band are added and divided by the root of their number: if z is white, so is that.
    """
    unit = UNITS[band.level]
    cut = band.z[:, part.top // unit : -(-part.bottom // unit), part.left // unit : -(-part.right // unit)]
    one = cut.sum(0) / math.sqrt(len(cut))
    return (128 + Z_GAIN * one).clip(0, 255).round().astype(np.uint8)

"""Rescaling measured: folders of photos down, perhaps through a lossy codec, and up again."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.metrics.rescaling import mean_square, resized, ssim_y
from bench.peers.codecs import open_codec
from bench.runs.images import list_images, read_image
from codec.metrics.distortion import Image8

__all__ = ["DIRECT", "METHODS", "Mean", "Row", "Through", "decibels", "measure", "means", "spread", "whole"]


@dataclass(frozen=True)
class Through:
    """The codec that the small picture goes through; no name: it is stored without loss."""

    name: str = ""
    setting: float = 0.0

    def __str__(self) -> str:
        return f"{self.name}={self.setting:g}" if self.name else ""

    def __call__(self, small: Image8) -> tuple[Image8, int]:
        """Return what comes back, and the bytes between; none are counted without a codec."""
        if not self.name:
            return small, 0
        codec = open_codec(self.name)
        data = codec.encode(small, self.setting)
        return codec.decode(data), codec.count(data) if hasattr(codec, "count") else len(data)


@dataclass(frozen=True)
class Row:
    """One photo by one method; errors are mean squares of 0..255, of luma without the border, or over RGB."""

    set: str
    image: str
    method: str
    scale: int
    through: str
    psnr_y: float
    psnr_rgb: float
    ssim_y: float | None
    small_y: float | None  #: PSNR-Y of the small picture against the bicubic reduction; None: they are the same
    small_rgb: float | None
    bpp: float  #: bits of the small picture's file to a pixel of the photo; 0 where none was made


@dataclass(frozen=True)
class Mean:
    """Means over a set."""

    set: str
    method: str
    scale: int
    through: str
    images: int
    psnr_y: float
    psnr_rgb: float
    ssim_y: float | None
    small_y: float | None
    small_rgb: float | None
    bpp: float


Method = tuple[Callable[[Image8, int], Image8], Callable[[Image8, int, float, int], Image8]]


def _irc_down(image: Image8, scale: int) -> Image8:
    from codec.rescale.photos import down

    return down(image, scale)[0]


def _irc_up(small: Image8, scale: int, temperature: float, seed: int) -> Image8:
    from codec.rescale.photos import up

    return up(small, scale=scale, temperature=temperature, seed=seed).pixels.astype(np.uint8)


def _bicubic_down(image: Image8, scale: int) -> Image8:
    return resized(image, [n // scale for n in image.shape[:2]])


def _bicubic_up(small: Image8, scale: int, temperature: float, seed: int) -> Image8:
    return resized(small, [n * scale for n in small.shape[:2]])


def _lanczos_up(small: Image8, scale: int, temperature: float, seed: int) -> Image8:
    return resized(small, [n * scale for n in small.shape[:2]], "LANCZOS")


def _same(image: Image8, scale: int, temperature: float = 0.0, seed: int = 0) -> Image8:
    return image


METHODS: dict[str, Method] = {
    "irc": (_irc_down, _irc_up),
    "bicubic": (_bicubic_down, _bicubic_up),
    "lanczos": (_bicubic_down, _lanczos_up),
}
DIRECT = "direct"  #: the photo itself goes through the codec, at its size


def decibels(square: float) -> float:
    """Return the PSNR of a mean square of 0..255."""
    return 10 * math.log10(255**2 / square) if square else math.inf


def whole(image: Image8, scale: int) -> Image8:
    """Return the upper left part whose sides are multiples of the scale, as the papers do."""
    height, width = (n // scale * scale for n in image.shape[:2])
    return np.ascontiguousarray(image[:height, :width])


def measure(
    folder: Path, method: str, scale: int, through: Through = Through(), temperature: float = 0.0, seed: int = 0
) -> Iterable[Row]:
    """Yield a row a photo of a folder."""
    down, up = (_same, _same) if method == DIRECT else METHODS[method]
    for path in list_images(folder):
        photo = whole(read_image(path), scale)
        small = down(photo, scale)
        plain = _bicubic_down(photo, scale)
        received, size = through(small)
        back = up(received, scale, temperature, seed)
        yield Row(
            folder.name,
            path.name,
            method,
            scale,
            str(through),
            decibels(mean_square(photo, back, scale, True)),
            decibels(mean_square(photo, back, scale, False)),
            ssim_y(photo, back, scale),
            decibels(mean_square(plain, small, 0, True)) if method == "irc" else None,
            decibels(mean_square(plain, small, 0, False)) if method == "irc" else None,
            8 * size / (photo.shape[0] * photo.shape[1]),
        )


def means(rows: Sequence[Row]) -> list[Mean]:
    """Return the mean of each set, method, scale and codec between, in order of appearance."""
    groups: dict[tuple[str, str, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.set, row.method, row.scale, row.through), []).append(row)
    found = []
    for key, members in groups.items():
        columns = {
            name: _mean([asdict(member)[name] for member in members])
            for name in ("psnr_y", "psnr_rgb", "ssim_y", "small_y", "small_rgb", "bpp")
        }
        found.append(Mean(*key, images=len(members), **columns))  # type: ignore[arg-type]  # psnr and bpp are never None
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None where one is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def spread(folder: Path, scale: int, draws: int) -> tuple[float, float]:
    """Return mean and standard deviation of the set's PSNR-Y over draws at temperature 1."""
    values = [
        float(np.mean([row.psnr_y for row in measure(folder, "irc", scale, temperature=1.0, seed=seed)]))
        for seed in range(draws)
    ]
    return float(np.mean(values)), float(np.std(values))

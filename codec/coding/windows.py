"""The float networks over a picture of any size: window by window, in bounded memory.

Analysis gives the bands of a tile, synthesis the pixels of a block (codec/container/grid.py says which those are). Both
run on a window with a margin of what really lies around, so that no seam is seen where pieces meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from codec.coding import draw
from codec.coding.ahead import Ahead, Workers
from codec.coding.grain import Grain, Sums
from codec.container.grid import LEVELS, UNITS, Box, Layout
from codec.network.session import Session
from codec.pictures.formats import Pixels
from entropy.config import BANDS
from entropy.latent import Latent
from entropy.quantisation import Quantisation


@dataclass(frozen=True)
class View:
    """What is to be made of a picture's integers."""

    quality: int | Quantisation  #: the one that they were coded at, in the header's units
    temperature: float = 0.0  #: 0: the most likely picture; above: what was lost is drawn
    seed: int = 0  #: of the draw
    region: Box | None = None  #: in pixels of the whole picture; None: all of it
    scale: int = 1  #: sides are divided by it
    grain: Grain | None = None  #: the picture's own, where its file has it
    draw: int = draw.VERSION  #: version of the draw, which the file names


def bands(session: Session, pixels: Pixels, tile: Box) -> list[Tensor]:
    """The bands (1,C,h,w float32, coarse to fine) of a tile of a picture (H,W or H,W,3 samples)."""
    picture = Layout(*pixels.shape[:2])
    out: list[Tensor] = []
    for block in Layout(tile.height, tile.width).blocks():
        block = Box(block.top + tile.top, block.left + tile.left, block.bottom + tile.top, block.right + tile.left)
        window = picture.window(block)
        # a window that reaches into the padding is cut at the picture's edge and padded as the picture is
        inner = session.bands(pixels[window.top : window.bottom, window.left : window.right])
        if window == tile:
            return inner
        out = out or [b.new_empty(1, b.shape[1], tile.height // u, tile.width // u) for b, u in zip(inner, UNITS)]
        for whole, part, unit in zip(out, inner, UNITS):
            whole[:, :, *block.within(tile, unit)] = part[:, :, *block.within(window, unit)]
    return out


def compact(latent: Latent) -> Latent:
    """The same integers in 16 bits where they fit: pictures of 100 megapixels hold many at a time."""

    def small(a: NDArray[np.int32]) -> NDArray[np.int32]:
        fits = not a.size or (a.min() >= -32768 and a.max() <= 32767)
        return a.astype(np.int16) if fits else a

    return Latent(small(latent.side), [small(a) for a in latent.k])


def coefficients(
    layout: Layout, load: Callable[[int], Latent], region: Box, scale: int, workers: Workers
) -> Iterator[tuple[Box, Box, list[NDArray[np.float32]]]]:
    """Of each block that a region meets, at 1/scale: the block, its window, and the window's integers (C,h,w a level).

    load(number) gives the latent of a tile; each is asked for once.
    """
    blocks = layout.blocks(scale, region)
    windows = [layout.window(block) for block in blocks]
    steps = [layout.touching(window) for window in windows]
    for block, window, latents in zip(blocks, windows, Ahead(load, steps, workers)):
        k = []
        for level in range(LEVELS[scale]):
            unit = UNITS[level]
            whole = np.empty((BANDS[level], window.height // unit, window.width // unit), np.float32)
            for number, latent in latents.items():
                tile = layout.tiles[number]
                here = tile.meet(window)
                if here is None:
                    raise ValueError(f"tile {number} is not in the window {window}")
                whole[:, *here.within(window, unit)] = latent.k[level][:, *here.within(tile, unit)]
            k.append(whole)
        yield block, window, k


def pictures(
    session: Session, layout: Layout, load: Callable[[int], Latent], view: View, workers: Workers
) -> Iterator[tuple[Box, Tensor]]:
    """Pixels of what a view shows of a picture, block by block.

    load(number) gives the latent of a tile. Yields a box in coordinates of the picture at 1/scale and its pixels, 3,h,w
    float in 0..255, not rounded, not clipped.
    """
    region, scale, t = view.region or layout.picture, view.scale, view.temperature
    grain = None if view.grain is None else view.grain.at(t, session.device)
    for block, window, k in coefficients(layout, load, region, scale, workers):
        z = [draw.draw(view.seed, i, window, view.draw) * np.float32(t) for i in range(len(k))] if t > 0 else None
        x = session.render(k, view.quality, z, scale, grain)[0]
        here = block.reduced(scale).meet(region.reduced(scale))
        if here is not None:
            yield here, x[:, *here.within(window.reduced(scale))]


class Errors(NamedTuple):
    """What rounding took from a block of a picture, C,h,w a level."""

    block: Box
    k: list[NDArray[np.float32]]  #: the integers that are kept
    error: list[Tensor]  #: how far each coefficient is from the most likely one, as `Codec.errors` has it
    deviation: list[Tensor]  #: what the head says of the size of that


def errors(
    session: Session,
    pixels: Pixels,
    layout: Layout,
    load: Callable[[int], Latent],
    quality: int | Quantisation,
    workers: Workers,
) -> Iterator[Errors]:
    """What rounding took from a picture (H,W or H,W,3 samples), block by block, given its latents."""
    for block, window, k in coefficients(layout, load, layout.picture, 1, workers):
        bands = session.bands(pixels[window.top : window.bottom, window.left : window.right])
        pairs = session.errors(bands, k, quality)
        cuts = [block.within(window, unit) for unit in UNITS]
        yield Errors(
            block,
            [a[:, *cut] for a, cut in zip(k, cuts)],
            [error[0][:, *cut] for (error, _), cut in zip(pairs, cuts)],
            [deviation[0][:, *cut] for (_, deviation), cut in zip(pairs, cuts)],
        )


def measure(
    session: Session,
    pixels: Pixels,
    layout: Layout,
    load: Callable[[int], Latent],
    quality: int | Quantisation,
    workers: Workers,
) -> Iterator[Sums]:
    """What the grain of a picture is, given its latents: sums that grow with every block."""
    sums = Sums()
    for part in errors(session, pixels, layout, load, quality, workers):
        for level, (error, deviation) in enumerate(zip(part.error, part.deviation)):
            sums.add(level, error, deviation.log())
        yield sums

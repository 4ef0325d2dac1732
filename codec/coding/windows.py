"""The float networks over a picture of any size: window by window, in bounded memory.

Analysis gives the bands of a tile, synthesis the pixels of a block (codec/container/grid.py says which those are). Both
run on a window with a margin of what really lies around, so that no seam is seen where pieces meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.coding import draw
from codec.coding.grain import Noise, Sums
from codec.container import grid
from codec.container.grid import Box
from codec.pictures.formats import Pixels
from entropy.config import BANDS
from entropy.integer import Latent

if TYPE_CHECKING:
    from codec.api import _Session

UNITS = (16, 8, 4, 2)  #: pixels a coefficient of each level stands for, a side
LEVELS = {1: 4, 2: 3, 4: 2, 8: 1, 16: 1}  #: levels that a picture at 1/scale needs
T = TypeVar("T")


def bands(session: _Session, pixels: Pixels, tile: Box) -> list[Tensor]:
    """The bands (1,C,h,w float32, coarse to fine) of a tile of a picture (H,W or H,W,3 samples)."""
    height, width = pixels.shape[:2]
    out: list[Tensor] = []
    for block in grid.blocks(tile.height, tile.width):
        block = Box(block.top + tile.top, block.left + tile.left, block.bottom + tile.top, block.right + tile.left)
        window = grid.window(block, height, width)
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


class Ahead(Generic[T]):
    """Walks over steps that need numbered items, makes each item once and drops it after its last use.

    With several workers, threads make the items that come next, a bounded number of them at a time.
    """

    def __init__(self, make: Callable[[int], T], steps: Sequence[Sequence[int]], workers: int):
        self.make, self.steps, self.workers = make, steps, workers
        self.order = list(dict.fromkeys(itertools.chain.from_iterable(steps)))
        self.last = {item: n for n, need in enumerate(steps) for item in need}

    def __iter__(self) -> Iterator[dict[int, T]]:
        if self.workers < 2 or len(self.order) < 2:
            yield from self._walk(self.make)
            return
        count = min(self.workers, len(self.order))
        # torch's threads are shared out among the workers: each with all of them would be slower than one alone
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(max(1, threads // count),))
        torch.set_num_threads(max(1, threads // 2))  # whoever takes the items works beside them
        futures: dict[int, Future[T]] = {}
        left = iter(self.order)

        def take(item: int) -> T:
            while item not in futures or len(futures) < 2 * self.workers:
                following = next(left, None)
                if following is None:
                    break
                futures[following] = pool.submit(self.make, following)
            return futures.pop(item).result()

        try:
            yield from self._walk(take)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)  # the share has become the default of new threads

    def _walk(self, take: Callable[[int], T]) -> Iterator[dict[int, T]]:
        held: dict[int, T] = {}
        for n, need in enumerate(self.steps):
            for item in need:
                if item not in held:
                    held[item] = take(item)
            yield {item: held[item] for item in need}
            for item in [item for item in held if self.last[item] == n]:
                del held[item]


def coefficients(
    height: int, width: int, tile_size: int, load: Callable[[int], Latent], region: Box, scale: int, workers: int
) -> Iterator[tuple[Box, Box, list[NDArray[np.float32]]]]:
    """Of each block that a region meets, at 1/scale: the block, its window, and the window's integers (C,h,w a level).

    load(number) gives the latent of a tile; each is asked for once.
    """
    tiles = grid.tiles(height, width, tile_size)
    blocks = [b for b in grid.blocks(height, width, scale) if b.meet(region)]
    windows = [grid.window(b, height, width) for b in blocks]
    steps = [grid.touching(w, height, width, tile_size) for w in windows]
    for block, window, latents in zip(blocks, windows, Ahead(load, steps, workers)):
        k = []
        for level in range(LEVELS[scale]):
            unit = UNITS[level]
            whole = np.empty((BANDS[level], window.height // unit, window.width // unit), np.float32)
            for number, latent in latents.items():
                here = tiles[number].meet(window)
                assert here is not None
                whole[:, *here.within(window, unit)] = latent.k[level][:, *here.within(tiles[number], unit)]
            k.append(whole)
        yield block, window, k


def pictures(
    session: _Session,
    height: int,
    width: int,
    tile_size: int,
    load: Callable[[int], Latent],
    quality: int,
    temperature: float,
    seed: int,
    region: Box | None = None,
    scale: int = 1,
    workers: int = 1,
    noise: Noise | None = None,
    version: int = draw.VERSION,
) -> Iterator[tuple[Box, Tensor]]:
    """Pixels of a picture (or of a region of it) block by block, at 1/scale.

    load(number) gives the latent of a tile; noise: of the picture, where the file has it; version: of the draw. Yields
    a box in coordinates of the picture at 1/scale and its pixels, 3,h,w float in 0..255, not rounded, not clipped.
    """
    region = region or Box(0, 0, height, width)
    wanted = Box(region.top // scale, region.left // scale, -(-region.bottom // scale), -(-region.right // scale))
    own = noise.at(temperature, session.device) if noise else None
    for block, window, k in coefficients(height, width, tile_size, load, region, scale, workers):
        z = None
        if temperature > 0:
            z = [draw.draw(seed, i, window, version) * np.float32(temperature) for i in range(len(k))]
        x = session.render(k, quality, z, scale, own)[0]
        small = Box(*(v // scale for v in window))
        here = Box(*(v // scale for v in block)).meet(wanted)
        if here is not None:
            yield here, x[:, *here.within(small)]


def measure(
    session: _Session, pixels: Pixels, tile_size: int, load: Callable[[int], Latent], quality: int, workers: int
) -> Iterator[Sums]:
    """What the noise of a picture is, given its latents: sums that grow with every block."""
    height, width = pixels.shape[:2]
    sums = Sums()
    for block, window, k in coefficients(height, width, tile_size, load, Box(0, 0, height, width), 1, workers):
        bands = session.bands(pixels[window.top : window.bottom, window.left : window.right])
        for level, (error, deviation) in enumerate(session.errors(bands, k, quality)):
            here = block.within(window, UNITS[level])
            sums.add(level, error[0][:, *here], deviation[0][:, *here].log())
        yield sums


def default_workers() -> int:
    """Threads that code tiles: as many as torch uses, but no more than 4, since each takes 200 MB."""
    return min(4, torch.get_num_threads())

"""A whole picture through a rescaling network, window by window, in bounded memory.

A window is computed with a margin of the network's reach around it, so that where windows meet nothing is seen; a
picture of 100 megapixels takes little more than its own samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.container.grid import Box
from codec.pictures import formats
from codec.pictures.formats import Pixels
from codec.rescale import search
from codec.rescale.network import DETAIL, Rescaler

SIDE = 1024  #: pixels of the photo, a side, that a window is for
Draw = Callable[
    [int, Box, int], NDArray[np.float32]
]  #: (level, box, pixels a value stands for) -> C,h,w standard normal


def _windows(height: int, width: int, scale: int, reach: int, side: int) -> Iterator[tuple[Box, Box]]:
    """Blocks of a photo whose sides are multiples of `scale`, row by row, each with the window that it depends on."""
    margin = -(-reach // scale) * scale
    for top in range(0, height, side):
        for left in range(0, width, side):
            block = Box(top, left, min(top + side, height), min(left + side, width))
            window = Box(
                max(0, block.top - margin),
                max(0, block.left - margin),
                min(height, block.bottom + margin),
                min(width, block.right + margin),
            )
            yield block, window


def _device(network: Rescaler) -> torch.device:
    return network.deviation.device


@torch.no_grad()
def reduced(network: Rescaler, colour: Pixels, effort: int = 0) -> NDArray[np.uint8]:
    """Samples H,W or H,W,3 of 8 or 16 bits -> the small picture, h,w,3, sides divided by the scale and rounded up.

    effort, 0 to 9: how long a better small picture is searched for.
    """
    scale = network.shape.scale
    padding = [(0, -n % scale) for n in colour.shape[:2]] + [(0, 0)] * (colour.ndim - 2)
    padded: NDArray[Any] = np.pad(colour, padding, "edge")
    height, width = padded.shape[:2]
    out = np.empty((height // scale, width // scale, 3), np.uint8)
    for block, window in _windows(height, width, scale, network.reach, search.SIDE if effort else SIDE):
        x = formats.planes(padded[window.top : window.bottom, window.left : window.right])[None].to(_device(network))
        x = x.contiguous(memory_format=torch.channels_last) / 255
        small, _ = network(x)
        if effort:
            small = search.searched(network, x, small, search.STEPS[effort])
        inner = small[0][:, *block.within(window, scale)] * 255
        out[block.within(Box(0, 0, height, width), scale)] = formats.samples(inner, False, 8)
    return out


@torch.no_grad()
def enlarged(
    network: Rescaler, small: NDArray[np.uint8], size: tuple[int, int], mode: int, draw: Draw | None = None
) -> Pixels:
    """A small picture h,w,3 -> samples of a mode (codec/pictures/formats.py) and of size (height, width).

    size: at most `scale` times that of the small picture, and less by less than the scale. draw: gives the z to take;
    None: the most likely one. ValueError where the sizes do not belong together.
    """
    scale = network.shape.scale
    height, width = (n * scale for n in small.shape[:2])
    if not all(0 <= whole - asked < scale for whole, asked in zip((height, width), size, strict=True)):
        raise ValueError(f"a picture of {size[1]} x {size[0]} does not become {small.shape[1]} x {small.shape[0]}")
    grey, depth = formats.is_grey(mode), formats.depth_of(mode)
    shape = size if grey else (*size, 3)
    out: Pixels = np.empty(shape, np.uint8) if depth == 8 else np.empty(shape, np.uint16)
    for block, window in _windows(height, width, scale, network.reach, SIDE):
        cut = window.within(Box(0, 0, height, width), scale)
        y = formats.planes(small[cut])[None].to(_device(network)).contiguous(memory_format=torch.channels_last) / 255
        x = network.inverse(y, None if draw is None else _details(network, window, draw))[0]
        here = Box(block.top, block.left, min(block.bottom, size[0]), min(block.right, size[1]))
        out[here.within(Box(0, 0, height, width))] = formats.samples(x[:, *here.within(window)] * 255, grey, depth)
    return out


def _details(network: Rescaler, window: Box, draw: Draw) -> list[Tensor]:
    """z of a window, finest halving first: drawn, times what it deviates by."""
    details = []
    for level in range(len(network.halvings)):
        unit = 2 ** (level + 1)
        e = torch.from_numpy(draw(level, window, unit)).to(_device(network))
        if e.shape[0] != DETAIL:
            raise ValueError(f"a draw of {e.shape[0]} channels, not {DETAIL}")
        details.append((e * network.deviation[level][:, None, None])[None])
    return details

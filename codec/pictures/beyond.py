"""Room beyond black and white: flat areas at the end of the range are coded a little past it.

Rounding in a codec moves a pure white by a level or two, and where noise is drawn it shows. But a decoder clips to
0..255, so a white that is coded brighter than white comes out pure. In the middle of areas where a channel is 255 (or
0) it is therefore coded as 261 (or -6), rising over the outer pixels of the area, where the difference is clipped, too.

>>> import torch
>>> int(beyond(torch.full((1, 40, 40), 255.0)).max()), int(beyond(torch.full((1, 40, 40), 254.0)).max())
(261, 254)
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

LEVELS = 6.0  #: past the end, of 255
REACH = 8  #: pixels from the edge of an area at which it begins, and over which it rises


def beyond(x: Tensor) -> Tensor:
    """C,H,W in 0..255 -> the same, past the ends in areas of at least 17 x 17 pixels there (in place)."""
    for end, step in ((255.0, LEVELS), (0.0, -LEVELS)):
        there = x == end
        if not there.any():
            continue
        inside = -_windows(-there.to(x.dtype), F.max_pool2d)
        if inside.any():
            x += step * _windows(inside, F.avg_pool2d)
    return x


def _windows(x: Tensor, pool: Callable[..., Tensor]) -> Tensor:
    """Of each place the pool of the 17 x 17 places around it, those beyond the border being like the nearest there."""
    side = 2 * REACH + 1
    for kernel, margins in (((side, 1), (0, 0, REACH, REACH)), ((1, side), (REACH, REACH, 0, 0))):
        x = pool(F.pad(x[None], margins, mode="replicate")[0], kernel, stride=1)
    return x

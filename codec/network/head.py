"""The head: what the decoder knows of the lost information, given what was kept; the learned dequantiser.

Given k it is an affine map of what was dropped, so keeping z inverts exactly (IRN, arXiv 2005.05650, section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import BANDS, CHANNELS, Config
from entropy.layers import Convolution, Modules, Pointwise
from entropy.levels import by_level
from entropy.strips import residual

MOST = 0.49  #: of an offset, in steps: beyond 1/2 another integer is nearer


class Block(nn.Module):
    """x + mlp(depthwise 3x3(x)), N,C,H,W."""

    def __init__(self, width: int):
        super().__init__()
        self.spread = Convolution(width, width, 3, padding=1, groups=width)
        self.widen = Pointwise(width, 2 * width)
        self.narrow = Pointwise(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Without gradients in the memory of x."""
        return residual(x, self._mix, self.spread)

    def _mix(self, spread: Tensor, x: Tensor) -> Tensor:
        hidden = F.relu(self.widen(spread), inplace=True)
        # in place: fresh memory of this size costs as much as the arithmetic
        return self.narrow(hidden).add_(x) if torch.is_grad_enabled() else x.add_(self.narrow(hidden))


class Lost(NamedTuple):
    """What the head says of the lost information of one level, N,C,H,W each."""

    #: d, in steps, at most MOST: the point inside the quantisation bin of a coded coefficient; of a dropped one unused
    offset: Tensor
    #: m, in channel deviations: the most likely value of a dropped coefficient; of a coded one unused
    mean: Tensor
    #: log s: of a dropped coefficient around m, s in channel deviations; of a coded one around k + d, in the unit of
    #: `Codec.bin_deviation`
    log_scale: Tensor


class Head(nn.Module):
    """Coarse to fine, k of a level and the coarser level's features -> what was lost there (IRN, arXiv 2005.05650,
    section 3.3; latent residual prediction, arXiv 2007.08739, section 3.3).

        k4 -> first -> blocks -> x4 -> last -> d, m, log s at 1/16
                                  |
                                finer
                                  v
        k3 -> first ----------> + -> blocks -> x3 -> last -> d, m, log s at 1/8,  and so on to 1/2

    k: integers of a level, as asinh(k) and in channel deviations
    x: features, N,width,H,W; blocks: residual blocks (`Block`); finer: 1x1 convolution and pixel shuffle
    d, m, s: see `Lost`
    `quality`, `log_scale`: by knots, what a quality adds to the first features and to log s
    """

    def __init__(self, config: Config):
        super().__init__()
        n = config.head
        self.first = Modules[Convolution](Convolution(2 * c, w, 3, padding=1) for c, w in zip(BANDS, n))
        self.block = Modules[nn.Sequential](nn.Sequential(*(Block(w) for _ in range(config.head_blocks))) for w in n)
        self.finer = Modules[Pointwise](Pointwise(n[i], 4 * n[i + 1]) for i in range(3))
        self.last = Modules[Pointwise](Pointwise(w, 2 * c) for c, w in zip(BANDS, n))
        for layer in self.last:
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)
        self.quality = nn.Parameter(torch.zeros(config.knots, n[0]))
        self.log_scale = nn.Parameter(torch.zeros(config.knots, CHANNELS))

    def forward(
        self, ks: list[Tensor], relative: list[Tensor], at: Callable[[Tensor], Tensor], scales: bool = True
    ) -> list[Lost]:
        """ks: rounded coefficients in steps, N,C,H,W, of the first 1 to 4 levels; relative: the same in channel
        deviations; at: interpolates tables (knots,C) to N,C. Without `scales` (nothing is drawn) log_scale is empty.
        """
        out: list[Lost] = []
        x = ks[0]
        level_scale = by_level(at(self.log_scale))
        for i in range(len(ks)):  # fewer than 4 levels in a preview
            first = self.first[i](torch.cat((torch.asinh(ks[i]), relative[i].clamp(-8, 8)), 1))
            x = self.finer[i - 1].up(x, first) if i else first.add_(at(self.quality)[:, :, None, None])
            x = self.block[i](F.relu(x, inplace=True))
            y = F.relu(x, inplace=i == 3)
            if scales:
                value, log_scale = self.last[i](y).float().chunk(2, 1)
                log_scale = (log_scale + level_scale[i]).clamp(-6, 3)
            else:
                value, log_scale = self.last[i].first(y, BANDS[i]), y.new_empty(0)
            out.append(Lost(MOST * torch.tanh(value), value, log_scale))
        return out

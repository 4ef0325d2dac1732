"""The head: what the decoder knows of the lost information, given what was kept.

From the coefficients k it says, for each coefficient, d (the point inside the quantisation bin) where it
was coded, m (a Gaussian's mean) where it was dropped, and log s, the deviation around the one or the other. Given
k it is an affine map of what was dropped, so keeping z inverts exactly (IRN, arXiv 2005.05650, section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import BANDS, CHANNELS, Config
from entropy.layers import Pointwise
from entropy.strips import residual

MOST = 0.49  #: of an offset, in steps: beyond 1/2 another integer is nearer


class Block(nn.Module):
    """x + mlp(depthwise 3x3(x))."""

    def __init__(self, width: int):
        super().__init__()
        self.spread = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.widen = Pointwise(width, 2 * width)
        self.narrow = Pointwise(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return residual(x, self._mix, self.spread)

    def _mix(self, spread: Tensor, x: Tensor) -> Tensor:
        hidden = F.relu(self.widen(spread), inplace=True)
        # in place: fresh memory of this size costs as much as the arithmetic
        return self.narrow(hidden).add_(x) if torch.is_grad_enabled() else x.add_(self.narrow(hidden))


class Lost(NamedTuple):
    """Of one level, N,C,H,W each: offset in steps (at most MOST); mean and log deviation, in deviations (of coded
    coefficients see `Codec.bin_deviation`)."""

    offset: Tensor
    mean: Tensor
    log_scale: Tensor


class Head(nn.Module):
    """Coarse to fine: k of a level and the coarser level's features -> offset, mean, log scale."""

    def __init__(self, config: Config):
        super().__init__()
        n = config.head
        self.first = nn.ModuleList(nn.Conv2d(2 * c, w, 3, padding=1) for c, w in zip(BANDS, n))
        self.block = nn.ModuleList(nn.Sequential(*(Block(w) for _ in range(config.head_blocks))) for w in n)
        self.finer = nn.ModuleList(Pointwise(n[i], 4 * n[i + 1]) for i in range(3))
        self.last = nn.ModuleList(Pointwise(w, 2 * c) for c, w in zip(BANDS, n))
        for layer in self.last:
            nn.init.normal_(layer.weight, std=1e-3)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.quality = nn.Parameter(torch.zeros(config.knots, n[0]))
        self.log_scale = nn.Parameter(torch.zeros(config.knots, CHANNELS))

    def forward(
        self, ks: list[Tensor], relative: list[Tensor], at: Callable[[Tensor], Tensor], scales: bool = True
    ) -> list[Lost]:
        """ks: coefficients; relative: the same in deviations; at: interpolates tables (knots,C) to N,C. Without
        `scales` (nothing is drawn) log_scale is empty."""
        out: list[Lost] = []
        x = ks[0]
        level_scale = at(self.log_scale)[:, :, None, None].split(BANDS, 1)
        for i in range(len(ks)):  # fewer than 4 levels in a preview
            first = self.first[i](torch.cat((torch.asinh(ks[i]), relative[i].clamp(-8, 8)), 1))
            x = self.finer[i - 1].up(x, first) if i else first.add_(at(self.quality)[:, :, None, None])  # type: ignore[operator]
            x = self.block[i](F.relu(x, inplace=True))
            y = F.relu(x, inplace=i == 3)
            if scales:
                value, log_scale = self.last[i](y).float().chunk(2, 1)
                log_scale = (log_scale + level_scale[i]).clamp(-6, 3)
            else:
                value, log_scale = self.last[i].first(y, BANDS[i]), y.new_empty(0)  # type: ignore[operator]
            out.append(Lost(MOST * torch.tanh(value), value, log_scale))
        return out

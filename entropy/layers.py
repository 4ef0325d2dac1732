"""The one kind of layer the probability model is made of, in floating point.

A layer is a convolution, an optional addend, a clamp. That is little enough for the same graph to
run in exact integers (entropy/integer.py): activations are clamped to the range that the integer
grid covers, in training too.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.strips import cell_order, up

LIMIT = 1023 / 64  #: largest magnitude of an activation


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """1x1 convolution as a product of matrices: torch's own copies its input where there is one thread and few images,
    which took as long as the arithmetic."""
    n, c, h, w = x.shape
    y = torch.addmm(bias, x.permute(0, 2, 3, 1).reshape(-1, c), weight.flatten(1).t())
    return y.view(n, h, w, -1).permute(0, 3, 1, 2)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x, self.out_channels)

    def first(self, x: Tensor, count: int) -> Tensor:
        """Only the first `count` channels."""
        assert self.bias is not None
        return pointwise(x, self.weight[:count], self.bias[:count])

    def up(self, x: Tensor, onto: Tensor) -> Tensor:
        """onto + pixel_shuffle(self(x), 2), in place."""
        assert self.bias is not None
        weight, bias = cell_order(self.weight), cell_order(self.bias)
        return up(x, lambda x: pointwise(x, weight, bias), onto)


def conv(x: Tensor, weight: Tensor, bias: Tensor, groups: int, phase: tuple[int, int] | None) -> Tensor:
    """'Same' convolution with zero padding; or, of an x that has its margin of zeros, only at one phase of the 2x2 cells."""
    if weight.shape[-1] == 1 and groups == 1 and phase is None:
        return pointwise(x, weight, bias)
    pad = weight.shape[-1] // 2
    if phase is None:
        return F.conv2d(x, weight, bias, padding=pad, groups=groups)
    return F.conv2d(x[:, :, phase[0] :, phase[1] :], weight, bias, stride=2, groups=groups)


class Layer(nn.Module):
    """clamp(conv(x) + addend): N,C,H,W -> N,C',H,W; where a phase is given, N,C,H+m,W+m with a margin of m = size - 1
    in all -> N,C',H/2,W/2; where `up`, shuffled to N,C'/4,2H,2W."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        size: int = 1,
        groups: int = 1,
        signed: bool = False,
        std: float | None = None,
        limit_in: float = LIMIT,
        limit: float = LIMIT,
        scale_in: int = 64,
        scale_out: int = 64,
        up: bool = False,
    ):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels_in, channels_out, size, groups=groups)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        if std is not None:
            nn.init.normal_(self.conv.weight, std=std)
        self.limit_in, self.limit, self.low = limit_in, limit, -limit if signed else 0.0
        self.scale_in, self.scale_out = scale_in, scale_out

    def forward(self, x: Tensor, addend: Tensor | None = None, phase: tuple[int, int] | None = None) -> Tensor:
        assert self.conv.bias is not None
        y = conv(x, self.conv.weight, self.conv.bias, self.conv.groups, phase)
        if addend is not None:
            y = y + addend
        y = F.hardtanh(y, self.low, self.limit)  # clamp's gradient costs three kernels, this one's costs one
        return F.pixel_shuffle(y, 2) if self.up else y

"""The one kind of layer the probability model is made of, in floating point.

A layer is a convolution, an optional addend, a clamp. That is little enough for the same graph to
run in exact integers (entropy/integer.py): activations are clamped to the range that the integer
grid covers, in training too.
"""
from __future__ import annotations

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

LIMIT = 1023 / 64  #: largest magnitude of an activation


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, phase: tuple[int, int] | None) -> Tensor:
    """'Same' convolution with zero padding, at all positions or only at one phase of the 2x2 cells."""
    pad = weight.shape[-1] // 2
    if phase is None:
        return F.conv2d(x, weight, bias, padding=pad, groups=groups)
    x = F.pad(x, (pad, pad, pad, pad))[:, :, phase[0]:, phase[1]:]
    return F.conv2d(x, weight, bias, stride=2, groups=groups)


class Layer(nn.Module):
    """clamp(conv(x) + addend): N,C,H,W -> N,C',H,W, or N,C',H/2,W/2 where a phase is given."""

    def __init__(self, channels_in: int, channels_out: int, size: int = 1, groups: int = 1, signed: bool = False,
                 std: float | None = None, limit_in: float = LIMIT, limit: float = LIMIT,
                 scale_in: int = 64, scale_out: int = 64):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, size, groups=groups)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        if std is not None:
            nn.init.normal_(self.conv.weight, std=std)
        self.limit_in, self.limit, self.low = limit_in, limit, -limit if signed else 0.0
        self.scale_in, self.scale_out = scale_in, scale_out

    def forward(self, x: Tensor, addend: Tensor | None = None, phase: tuple[int, int] | None = None) -> Tensor:
        y = conv(x, self.conv.weight, self.conv.bias, self.conv.groups, phase)
        if addend is not None:
            y = y + addend
        return F.hardtanh(y, self.low, self.limit)  # clamp's gradient costs three kernels, this one's costs one

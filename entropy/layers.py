"""The one kind of layer the probability model is made of, in floating point.

A layer is a convolution, an optional addend, a clamp. That is little enough for the same graph to
run in exact integers (entropy/integer.py): activations are clamped to the range that the integer
grid covers, in training too.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

LIMIT = 1023 / 64  #: largest magnitude of an activation
STRIP = 4096       #: positions a thread that are worked on at a time: what lies between two layers then stays in the cache


def strips(x: Tensor) -> range:
    """First rows of the strips of x (N,C,H,W); the step is their height."""
    return range(0, x.shape[2], max(1, STRIP * torch.get_num_threads() // (len(x) * x.shape[3])))


def residual(x: Tensor, mix: Callable[[Tensor, Tensor], Tensor], spread: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """mix(spread(x), x), N,C,H,W, where spread is a 3x3 'same' convolution (None: the identity), and mix, which may write
    to its second argument, treats each position by itself. Without gradients x becomes the result, a few rows at a time."""
    if torch.is_grad_enabled():
        return mix(spread(x) if spread else x, x)
    tops = strips(x)
    before = x[:, :, :0]  # the row above a strip, as it was
    for top in tops:
        here = x[:, :, top:top + tops.step]
        if spread is None:
            wide = here
        else:
            above = x[:, :, top - before.shape[2]:top]
            done = above.clone()
            above.copy_(before)
            wide = spread(x[:, :, top - before.shape[2]:top + tops.step + 1])[:, :, before.shape[2]:][:, :, :here.shape[2]]
            above.copy_(done)
            before = here[:, :, -1:].clone()
        out = mix(wide, here)
        if out is not here:
            here.copy_(out)
    return x


def up(x: Tensor, f: Callable[[Tensor], Tensor], onto: Tensor | None = None) -> Tensor:
    """pixel_shuffle(f(x), 2), added to N,C',2H,2W `onto` (which is overwritten) where that is given, where f: N,C,H,W -> N,4C',H,W treats each position by itself and gives its channels in
    `cell_order`: where channels are innermost in memory, whole rows of them are moved. Without gradients a few rows at a
    time."""
    n, _, h, w = x.shape
    if torch.is_grad_enabled():
        y = _cells(f(x)).reshape(n, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)
        return y if onto is None else onto.add_(y)
    out, tops = x.new_empty(0), strips(x)
    if onto is not None:
        onto = onto.contiguous(memory_format=torch.channels_last)
        out = onto.permute(0, 2, 3, 1).view(n, h, 2, w, 2, -1)
    for top in tops:
        y = _cells(f(x[:, :, top:top + tops.step]))
        if onto is not None:
            out[:, top:top + tops.step] += y
            continue
        out = out if top else x.new_empty(n, h, 2, w, 2, y.shape[-1])
        out[:, top:top + tops.step] = y
    return out.view(n, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)


def _cells(y: Tensor) -> Tensor:
    """N,4C,H,W in `cell_order` -> N,H,2,W,2,C."""
    n, c, h, w = y.shape
    return y.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, c // 4).transpose(2, 3)


def cell_order(a: Tensor, dim: int = 0) -> Tensor:
    """What `pixel_shuffle` takes, along `dim`, with the positions of a 2x2 cell outside the channels."""
    return a.unflatten(dim, (-1, 4)).transpose(dim, dim + 1).flatten(dim, dim + 1)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """1x1 convolution as a product of matrices: torch's own copies its input where there is one thread and few images,
    which took as long as the arithmetic."""
    n, c, h, w = x.shape
    x, weight = x.permute(0, 2, 3, 1).reshape(-1, c), weight.flatten(1).t()
    y = torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)
    return y.view(n, h, w, -1).permute(0, 3, 1, 2)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(x, self.weight, self.bias)

    def first(self, x: Tensor, count: int) -> Tensor:
        """Only the first `count` channels."""
        assert self.bias is not None
        return pointwise(x, self.weight[:count], self.bias[:count])

    def up(self, x: Tensor, onto: Tensor) -> Tensor:
        """onto + pixel_shuffle(self(x), 2), in place."""
        assert self.bias is not None
        weight, bias = cell_order(self.weight), cell_order(self.bias)
        return up(x, lambda x: pointwise(x, weight, bias), onto)


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, phase: tuple[int, int] | None) -> Tensor:
    """'Same' convolution with zero padding; or, of an x that has its margin of zeros, only at one phase of the 2x2 cells."""
    if weight.shape[-1] == 1 and groups == 1 and phase is None:
        return pointwise(x, weight, bias)
    pad = weight.shape[-1] // 2
    if phase is None:
        return F.conv2d(x, weight, bias, padding=pad, groups=groups)
    return F.conv2d(x[:, :, phase[0]:, phase[1]:], weight, bias, stride=2, groups=groups)


class Layer(nn.Module):
    """clamp(conv(x) + addend): N,C,H,W -> N,C',H,W; where a phase is given, N,C,H+m,W+m with a margin of m = size - 1
    in all -> N,C',H/2,W/2; where `up`, shuffled to N,C'/4,2H,2W."""

    def __init__(self, channels_in: int, channels_out: int, size: int = 1, groups: int = 1, signed: bool = False,
                 std: float | None = None, limit_in: float = LIMIT, limit: float = LIMIT,
                 scale_in: int = 64, scale_out: int = 64, up: bool = False):
        super().__init__()
        self.up = up
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
        y = F.hardtanh(y, self.low, self.limit)  # clamp's gradient costs three kernels, this one's costs one
        return F.pixel_shuffle(y, 2) if self.up else y

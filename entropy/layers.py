"""The one kind of layer the probability model is made of: its shape, and its form in floating point.

A layer is a convolution, an optional addend, a clamp. That is little enough for the same graph to
run in exact integers (entropy/exact_layer.py): activations are clamped to the range that the integer
grid covers, in training too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast, overload

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.strips import cell_order, up

LIMIT = 1023 / 64  #: largest magnitude of an activation

M = TypeVar("M", bound=nn.Module)


class Modules(nn.ModuleList, Generic[M]):
    """A list of modules that keeps their type: torch's own gives back plain modules."""

    @overload
    def __getitem__(self, idx: slice) -> Modules[M]: ...

    @overload
    def __getitem__(self, idx: int) -> M: ...

    def __getitem__(self, idx: int | slice) -> Any:
        return super().__getitem__(idx)

    def __iter__(self) -> Iterator[M]:
        return cast(Iterator[M], super().__iter__())


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """1x1 convolution as a product of matrices, N,C,H,W -> N,C',H,W: torch's own copies its input where there is one
    thread and few images, which took as long as the arithmetic.
    """
    n, c, h, w = x.shape
    y = torch.addmm(bias, x.permute(0, 2, 3, 1).reshape(-1, c), weight.flatten(1).t())
    return y.view(n, h, w, -1).permute(0, 3, 1, 2)


class Convolution(nn.Conv2d):
    """A convolution that has a bias, and says so in its type."""

    bias: nn.Parameter


class Pointwise(Convolution):
    """A 1x1 convolution."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C',H,W."""
        return self.first(x, self.out_channels)

    def first(self, x: Tensor, count: int) -> Tensor:
        """Only the first `count` channels of the result."""
        return pointwise(x, self.weight[:count], self.bias[:count])

    def up(self, x: Tensor, onto: Tensor) -> Tensor:
        """onto + pixel_shuffle(self(x), 2), in place."""
        weight, bias = cell_order(self.weight), cell_order(self.bias)
        return up(x, lambda x: pointwise(x, weight, bias), onto)


def conv(x: Tensor, weight: Tensor, bias: Tensor, groups: int, phase: tuple[int, int] | None) -> Tensor:
    """'Same' convolution with zero padding; or, of an x that has its margin of zeros, only at one phase of the 2x2
    cells.
    """
    if weight.shape[-1] == 1 and groups == 1 and phase is None:
        return pointwise(x, weight, bias)
    pad = weight.shape[-1] // 2
    if phase is None:
        return F.conv2d(x, weight, bias, padding=pad, groups=groups)
    return F.conv2d(x[:, :, phase[0] :, phase[1] :], weight, bias, stride=2, groups=groups)


@dataclass(frozen=True)
class Shape:
    """What a layer maps to what, in floating point and in integers alike."""

    channels_in: int
    channels_out: int
    size: int = 1  #: side of the kernel
    groups: int = 1
    signed: bool = False  #: whether results may be negative; if not, the clamp is a ReLU, too
    std: float | None = None  #: of the weights before training; None: as torch draws them
    limit_in: float = LIMIT  #: largest magnitude of an input
    limit: float = LIMIT  #: largest magnitude of a result
    scale_in: int = 64  #: integers that an input of 1 is
    scale_out: int = 64  #: integers that a result of 1 is
    up: bool = False  #: whether the result is shuffled to twice the size: N,4C,H,W -> N,C,2H,2W


class AnyLayer(nn.Module):
    """A layer of the graph, in either arithmetic: clamp(conv(x) + addend).

    N,C,H,W -> N,C',H,W. Where a phase (row, column of the 2x2 cell) is given, N,C,H+m,W+m with a margin of
    m = size - 1 in all -> N,C',H/2,W/2. Where `up`, the result is shuffled to N,C'/4,2H,2W.
    """

    low: float  #: what results are clamped to, at least
    limit: float  #: and at most

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor, addend: Tensor | None = None, phase: tuple[int, int] | None = None) -> Tensor:
        """addend: of the convolution's shape, or one that broadcasts to it."""
        raise NotImplementedError


class Layer(AnyLayer):
    """In floating point, for training."""

    def __init__(self, shape: Shape):
        super().__init__(shape)
        self.conv = Convolution(shape.channels_in, shape.channels_out, shape.size, groups=shape.groups)
        nn.init.zeros_(self.conv.bias)
        if shape.std is not None:
            nn.init.normal_(self.conv.weight, std=shape.std)
        self.limit, self.low = shape.limit, -shape.limit if shape.signed else 0.0

    def forward(self, x: Tensor, addend: Tensor | None = None, phase: tuple[int, int] | None = None) -> Tensor:
        """As `AnyLayer`."""
        y = conv(x, self.conv.weight, self.conv.bias, self.conv.groups, phase)
        if addend is not None:
            y = y + addend
        y = F.hardtanh(y, self.low, self.limit)  # clamp's gradient costs three kernels, this one's costs one
        return F.pixel_shuffle(y, 2) if self.shape.up else y

"""A layer of the probability model in exact integers.

Integers are held in float32 tensors and every partial sum stays below 2^24 (checked from the weights' L1 norms
when a layer is made), so any order of summation, thread count or instruction set gives the same bits. A layer's
requantisation is a power of two and a floor, exact in float32 too; what a trained multiplier would do there is
folded into the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from entropy.layers import AnyLayer, Layer, Shape, conv
from entropy.strips import cell_order, up

EXACT = 1 << 24  #: float32 holds every integer below


class NotExact(ValueError):
    """A layer whose partial sums could leave the range in which float32 is exact."""


class IntegerLayer(AnyLayer):
    """clamp(floor((conv(x) + bias) / 2^shift) + addend), in integers. An addend of the result's size is overwritten."""

    weight: Tensor  #: C',C/groups,size,size
    bias: Tensor  #: C'
    shift: Tensor  #: C', 0..20

    def __init__(self, shape: Shape):
        """A layer whose numbers are to be loaded."""
        super().__init__(shape)
        self.limit_in, self.limit = round(shape.limit_in * shape.scale_in), round(shape.limit * shape.scale_out)
        self.low = -self.limit if shape.signed else 0
        c = shape.channels_out
        self.register_buffer("weight", torch.zeros(c, shape.channels_in // shape.groups, shape.size, shape.size))
        self.register_buffer("bias", torch.zeros(c))
        self.register_buffer("shift", torch.zeros(c))

    @classmethod
    def of(cls, layer: Layer) -> IntegerLayer:
        """The rounded form of a trained layer."""
        shape, conv = layer.shape, layer.conv
        out = cls(shape)
        weight = conv.weight.detach().double() * shape.scale_out / shape.scale_in
        bias = conv.bias.detach().double() * shape.scale_out + 0.5
        largest = weight.abs().sum((1, 2, 3)) * out.limit_in + bias.abs()
        shift = torch.floor(torch.log2((EXACT - 1) / largest)).clamp(0, 20)
        for _ in range(2):  # rounding the weights can take a sum over the edge: then one bit less
            scale = torch.exp2(shift)
            integer = torch.round(weight * scale[:, None, None, None])
            offset = torch.round(bias * scale)
            bound = integer.abs().sum((1, 2, 3)) * out.limit_in + offset.abs()
            shift = torch.where(bound >= EXACT, shift - 1, shift)
        out.weight, out.bias, out.shift = integer.float(), offset.float(), torch.log2(scale).float()
        out.prepare()
        return out

    def check(self) -> None:
        """Raise NotExact unless all sums stay below 2^24 (also for weights read from a file)."""
        w, b, s = self.weight.double(), self.bias.double(), self.shift
        whole = all(bool((t == t.round()).all()) for t in (w, b, s))
        bound = w.abs().sum((1, 2, 3)) * self.limit_in + b.abs()
        if not whole or not bool((bound < EXACT).all()) or not bool(((s >= 0) & (s <= 20)).all()):
            raise NotExact("integer layer: sums are not bounded by 2^24")

    def prepare(self) -> None:
        """What follows from weights and shifts, anew where those were loaded."""
        # scaling by a power of two is exact, before the sum as after it
        scale = torch.exp2(-self.shift)
        numbers = self.weight * scale[:, None, None, None], self.bias * scale
        taps, self.start = map(cell_order, numbers) if self.shape.up else numbers
        self.taps = taps.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor, addend: Tensor | None = None, phase: tuple[int, int] | None = None) -> Tensor:
        """As `AnyLayer`; everything whole numbers in float32, channels innermost in memory."""
        if self.shape.up:
            in_cells = None if addend is None else cell_order(addend, 1)
            return up(x, lambda x: self._values(x, in_cells, None))
        return self._values(x, addend, phase)

    def _values(self, x: Tensor, addend: Tensor | None, phase: tuple[int, int] | None) -> Tensor:
        y = conv(x, self.taps, self.start, self.shape.groups, phase).floor_()
        if addend is not None:
            y = addend.add_(y) if addend.shape == y.shape else y.add_(addend)
        return y.clamp_(self.low, self.limit)

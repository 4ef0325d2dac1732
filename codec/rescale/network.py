"""The invertible network of rescaling: a photo <-> a small picture and the detail that it lost.

>>> import torch
>>> f = Rescaler(Shape(scale=2, width=(8,), pairs=(1,)))
>>> x = torch.rand(1, 3, 16, 12)
>>> small, detail = f.forward(x)
>>> [tuple(d.shape[1:]) for d in (small, *detail)]
[(3, 8, 6), (9, 8, 6)]
>>> bool((f.inverse(small, detail) - x).abs().max() < 1e-5)
True
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.network.blocks import Composition, Coupling, Transform
from entropy.layers import Convolution, Modules

LOW, DETAIL = 3, 9  #: channels of the small picture, and of the detail of one halving
LARGEST_COUNT = 1024  #: of a shape's counts: bounds what is allocated before a file is believed
MIDDLE = 0.5  #: of the range of samples: networks see them around zero
SLOPE = 0.2  #: of the leaky rectifiers, below zero
DETAIL_UNIT = 4.0  #: details are some four times smaller than low bands: networks see them times this


@dataclass(frozen=True)
class Shape:
    """What a weights file says of its network. One entry a halving, finest first; widths in channels."""

    scale: int = 2  #: of the reduction, a side
    width: tuple[int, ...] = (48,)  #: channels of each predictor
    pairs: tuple[int, ...] = (4,)  #: pairs of couplings
    depth: int = 1  #: residual convolutions of each predictor

    def __post_init__(self) -> None:
        """ValueError unless a network can be made of it: weights files are not trusted."""
        count = {2: 1, 4: 2}.get(self.scale)
        if count is None:
            raise ValueError(f"a rescaling network's scale is 2 or 4, not {str(self.scale)[:40]}")
        for name, values in (("width", self.width), ("pairs", self.pairs), ("depth", (self.depth,) * count)):
            if len(values) != count or not all(type(n) is int and 1 <= n <= LARGEST_COUNT for n in values):
                raise ValueError(f"{name} of a rescaling network cannot be {str(values)[:40]}")

    @classmethod
    def of(cls, given: dict[str, object]) -> Shape:
        """From what JSON gives; ValueError or TypeError where that is no shape."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})  # type: ignore[arg-type]  # __post_init__ looks at the values


class Haar(Transform):
    """One level of the Haar wavelet: N,3,H,W (even) -> N,12,H/2,W/2: detail (horizontal, vertical, diagonal, of 3
    channels each), then the low band, which is the mean of each 2x2 cell.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Photo to bands."""
        a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
        return torch.cat((a - b + c - d, a + b - c - d, a - b - c + d, a + b + c + d), 1) / 4

    def inverse(self, y: Tensor) -> Tensor:
        """Bands to photo."""
        h, v, d, low = y.chunk(4, 1)
        even = torch.stack((low + h + v + d, low - h + v - d), -1).flatten(-2)
        odd = torch.stack((low + h - v - d, low - h - v + d), -1).flatten(-2)
        return torch.stack((even, odd), -2).flatten(-3, -2)


class Predictor(nn.Module):
    """conv3x3, `depth` residual conv3x3, conv3x3, leaky rectifiers between; zero at the start."""

    def __init__(self, channels: tuple[int, int], width: int, depth: int, unit: float = 1.0):
        """channels: in and out; unit: what the input is multiplied by."""
        super().__init__()
        self.unit = unit
        self.first = Convolution(channels[0], width, 3, padding=1)
        self.body = Modules[Convolution](Convolution(width, width, 3, padding=1) for _ in range(depth))
        self.last = Convolution(width, channels[1], 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C',H,W float32, in units of the details."""
        x = F.leaky_relu(self.first(x * self.unit), SLOPE)
        for layer in self.body:
            x = x + F.leaky_relu(layer(x), SLOPE)
        return self.last(x).float() / DETAIL_UNIT


def halving(width: int, pairs: int, depth: int) -> Composition:
    """Haar, then pairs of additive couplings: low += f(detail), detail += g(low)."""
    couplings = (
        Coupling(DETAIL, Predictor((DETAIL, LOW), width, depth, DETAIL_UNIT), Predictor((LOW, DETAIL), width, depth))
        for _ in range(pairs)
    )
    return Composition(Haar(), *couplings)


class Rescaler(nn.Module):
    """Invertible rescaling (IRN, arXiv 2005.05650, section 3.2), with additive couplings only.

        x --Haar--> low, detail --couplings--> y, z          (x4: y once more, with a z of its own)
                                               |
                                     round(255 y) is the small picture; z is dropped
        x^ <--the same backwards-- y, T e,     e ~ N(0, deviation^2)

    x: photo, N,3,H,W in 0..1, sides multiples of the scale; y: N,3,H/s,W/s, near the bicubic reduction of x;
    z: what is not stored, N,9,... a halving, finest first;
    T: temperature, 0 for the most likely photo; deviation: by channel, so strong that what is
    drawn has the energy of what is missing of training photos at T = 0. z itself is larger: the couplings were trained
    to do without it, not to whiten it.
    """

    deviation: Tensor

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.halvings = Modules[Composition](
            halving(w, p, shape.depth) for w, p in zip(shape.width, shape.pairs, strict=True)
        )
        self.register_buffer("deviation", torch.zeros(len(shape.width), DETAIL))

    @property
    def reach(self) -> int:
        """Pixels of the photo, a multiple of the scale, beyond which nothing depends on a pixel, either way."""
        layers = self.shape.depth + 2
        return self.shape.scale * sum(2 * pairs * layers for pairs in self.shape.pairs)

    @property
    def multiplications(self) -> float:
        """Multiply-accumulates a pixel of the photo, each way: convolutions use each weight once a small pixel."""
        kernels = [[p.numel() for p in part.parameters() if p.ndim == 4] for part in self.halvings]
        return sum(sum(counts) / 4**level for level, counts in enumerate(kernels, start=1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Photo -> small picture, not rounded, and the details."""
        details, x = [], x - MIDDLE
        for part in self.halvings:
            y = part(x)
            details.append(y[:, :DETAIL])
            x = y[:, DETAIL:]
        return x + MIDDLE, details

    def inverse(self, small: Tensor, details: Sequence[Tensor] | None = None) -> Tensor:
        """Small picture and details (None: the most likely ones, which are zero) -> photo."""
        small = small - MIDDLE
        for i, part in reversed(list(enumerate(self.halvings))):
            detail = details[i] if details is not None else small.new_zeros(len(small), DETAIL, *small.shape[2:])
            small = part.inverse(torch.cat((detail, small), 1))
        return small + MIDDLE

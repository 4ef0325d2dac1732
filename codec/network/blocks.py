"""Invertible building blocks: every transform has `forward` and `inverse`, and nothing else.

>>> import torch
>>> wave = Wavelet(3)
>>> x = torch.randn(1, 3, 8, 8)
>>> torch.allclose(wave.inverse(wave.forward(x)), x, atol=1e-5)
True
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.layers import Convolution, Modules

# CDF 9/7 lifting steps (Daubechies and Sweldens 1998, section 7.7), low pass gain sqrt(2).
ALPHA, BETA, GAMMA, DELTA = -1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971
KAPPA = 1.149604398860241


class Transform(nn.Module):
    """An invertible map of N,C,H,W tensors: `inverse(forward(x))` is x to float rounding (1e-4 of full scale)."""

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> what the transform makes of it."""
        raise NotImplementedError

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""
        raise NotImplementedError


class Composition(Transform):
    """Transforms one after the other; the inverse runs them backwards."""

    def __init__(self, *parts: Transform):
        super().__init__()
        self.parts = Modules[Transform](parts)

    def forward(self, x: Tensor) -> Tensor:
        """All parts in turn."""
        for part in self.parts:
            x = part(x)
        return x

    def inverse(self, y: Tensor) -> Tensor:
        """The inverses in reverse order."""
        for part in reversed(list(self.parts)):
            y = part.inverse(y)
        return y


class Colour(Transform):
    """An orthonormal rotation of the 3 colour channels; `rotation` holds the new axes as rows."""

    rotation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rotation", torch.eye(3))

    def forward(self, x: Tensor) -> Tensor:
        """N,3,H,W -> along the new axes."""
        return self._rotated(x, self.rotation)

    def inverse(self, y: Tensor) -> Tensor:
        """Back to the old axes."""
        return self._rotated(y, self.rotation.t())

    @staticmethod
    def _rotated(x: Tensor, rotation: Tensor) -> Tensor:
        # not a convolution: its sums depend on the number of threads, and a coefficient near a boundary on its sums
        a, b, c = (v.reshape(1, 3, 1, 1) for v in rotation.unbind(1))
        return a * x[:, 0:1] + b * x[:, 1:2] + c * x[:, 2:3]


def _with_before(x: Tensor, dim: int) -> Tensor:
    """Each sample plus the one before it; the first counts twice."""
    n = x.shape[dim]
    if torch.is_grad_enabled():
        return x + torch.cat((x.narrow(dim, 0, 1), x.narrow(dim, 0, n - 1)), dim)
    out = torch.empty_like(x)
    torch.add(x.narrow(dim, 0, 1), x.narrow(dim, 0, 1), out=out.narrow(dim, 0, 1))
    torch.add(x.narrow(dim, 1, n - 1), x.narrow(dim, 0, n - 1), out=out.narrow(dim, 1, n - 1))
    return out


def _with_after(x: Tensor, dim: int) -> Tensor:
    """Each sample plus the one after it; the last counts twice."""
    n = x.shape[dim]
    if torch.is_grad_enabled():
        return x + torch.cat((x.narrow(dim, 1, n - 1), x.narrow(dim, n - 1, 1)), dim)
    out = torch.empty_like(x)
    torch.add(x.narrow(dim, 0, n - 1), x.narrow(dim, 1, n - 1), out=out.narrow(dim, 0, n - 1))
    torch.add(x.narrow(dim, n - 1, 1), x.narrow(dim, n - 1, 1), out=out.narrow(dim, n - 1, 1))
    return out


def _add(x: Tensor, factor: float, y: Tensor) -> Tensor:
    """x + factor * y, each rounded; without gradients in the memory of y."""
    if torch.is_grad_enabled():
        return x + factor * y
    return torch.add(x, y.mul_(factor), out=y)


def _lift(even: Tensor, odd: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    odd = _add(odd, ALPHA, _with_after(even, dim))
    even = _add(even, BETA, _with_before(odd, dim))
    odd = _add(odd, GAMMA, _with_after(even, dim))
    even = _add(even, DELTA, _with_before(odd, dim))
    return even * KAPPA, odd / KAPPA


def _unlift(low: Tensor, high: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    even, odd = low / KAPPA, high * KAPPA
    even = _add(even, -DELTA, _with_before(odd, dim))
    odd = _add(odd, -GAMMA, _with_after(even, dim))
    even = _add(even, -BETA, _with_before(odd, dim))
    odd = _add(odd, -ALPHA, _with_after(even, dim))
    return even, odd


class Wavelet(Transform):
    """One 2-D level of the CDF 9/7 wavelet on the first 3 of C channels, space-to-depth of the rest.

    N,C,H,W -> N,4C,H/2,W/2 (H, W even); first the low band, then horizontal, vertical and diagonal
    detail of 3 channels each, then what was space-to-depth'd. Edges are replicated in each lifting step.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,4C,H/2,W/2."""
        low, high = _lift(x[:, :3, :, 0::2], x[:, :3, :, 1::2], 3)
        both = torch.cat((low, high), 1)
        low, high = _lift(both[:, :, 0::2], both[:, :, 1::2], 2)
        bands = [low[:, :3], low[:, 3:], high]
        if self.channels > 3:
            bands.append(F.pixel_unshuffle(x[:, 3:], 2))
        return torch.cat(bands, 1)

    def inverse(self, y: Tensor) -> Tensor:
        """N,4C,H/2,W/2 -> N,C,H,W."""
        even, odd = _unlift(y[:, :6], y[:, 6:12], 2)
        both = torch.stack((even, odd), 3).flatten(2, 3)
        even, odd = _unlift(both[:, :3], both[:, 3:], 3)
        x = torch.stack((even, odd), 4).flatten(3, 4)
        return torch.cat((x, F.pixel_shuffle(y[:, 12:], 2)), 1) if self.channels > 3 else x


class Split(Transform):
    """Channel order: even channels first, then the odd ones, so that a coupling mixes neighbours."""

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> the same, reordered."""
        return torch.cat((x[:, 0::2], x[:, 1::2]), 1)

    def inverse(self, y: Tensor) -> Tensor:
        """The order of before."""
        half = y.shape[1] // 2
        return torch.stack((y[:, :half], y[:, half:]), 2).flatten(1, 2)


class Reversed(Transform):
    """Another transform with its two directions exchanged."""

    def __init__(self, part: Transform):
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        """The part's inverse."""
        return self.part.inverse(x)

    def inverse(self, y: Tensor) -> Tensor:
        """The part itself."""
        return self.part(y)


class Predictor(nn.Module):
    """conv3x3 - ReLU - conv3x3, zero at the start; input and output in units of the channels' deviations.

    Unscaled, bands that differ by a factor of 100 make training slow and unstable.
    """

    scale_in: Tensor
    scale_out: Tensor

    def __init__(self, channels_in: int, hidden: int, channels_out: int):
        super().__init__()
        self.first = Convolution(channels_in, hidden, 3, padding=1)
        self.last = Convolution(hidden, channels_out, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("scale_in", torch.ones(channels_in))
        self.register_buffer("scale_out", torch.ones(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C',H,W float32."""
        weight = self.first.weight / self.scale_in[None, :, None, None]
        x = F.relu(F.conv2d(x, weight, self.first.bias, padding=1))
        weight = self.last.weight * self.scale_out[:, None, None, None]
        bias = self.last.bias * self.scale_out
        return F.conv2d(x, weight, bias, padding=1).float()


class Coupling(Transform):
    """Two additive halves, b += f(a), a += g(b) (NICE, arXiv 1410.8516, section 3.2): volume preserving.

    a, b: the first and the second half of the channels; f, g: predictors
    """

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.cut = channels // 2
        self.f = Predictor(self.cut, hidden, channels - self.cut)
        self.g = Predictor(channels - self.cut, hidden, self.cut)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W -> N,C,H,W."""
        a, b = x[:, : self.cut], x[:, self.cut :]
        b = b + self.f(a)
        a = a + self.g(b)
        return torch.cat((a, b), 1)

    def inverse(self, y: Tensor) -> Tensor:
        """The same predictions of the same inputs, subtracted in reverse order."""
        a, b = y[:, : self.cut], y[:, self.cut :]
        a = a - self.g(b)
        b = b - self.f(a)
        return torch.cat((a, b), 1)

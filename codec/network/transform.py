"""The invertible network f: pixels <-> wavelet-like bands of four levels.

>>> import torch
>>> from entropy.config import Config
>>> f = Analysis(Config())
>>> x = torch.randn(1, 3, 64, 32)
>>> bands = f.forward(x)
>>> [tuple(b.shape[1:]) for b in bands]
[(12, 4, 2), (9, 8, 4), (9, 16, 8), (9, 32, 16)]
>>> bool((f.inverse(bands) - x).abs().max() < 1e-4)
True
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from codec.network.blocks import Colour, Composition, Coupling, Predictor, Reversed, Split, Transform, Wavelet
from entropy.config import Config


def unpack(u: Tensor) -> list[Tensor]:
    """N,768,h,w -> the bands at 1/16 (12 channels, low band first), 1/8, 1/4 and 1/2 (9 each)."""
    bands, rest = [u[:, :12]], u[:, 12:]
    for _ in range(3):
        rest = F.pixel_shuffle(rest, 2)
        bands.append(rest[:, :9])
        rest = rest[:, 9:]
    return bands


def pack(bands: list[Tensor]) -> Tensor:
    """The inverse of `unpack`."""
    rest = F.pixel_unshuffle(bands[3], 2)
    for band in (bands[2], bands[1]):
        rest = F.pixel_unshuffle(torch.cat((band, rest), 1), 2)
    return torch.cat((bands[0], rest), 1)


def _half(x: Tensor, scale: int, dim: int) -> Tensor:
    """Move a low band along `dim` by (1 - 1/scale)/2 of its sample, with a Lanczos filter of 6 taps.

    Its samples lie on the first pixel of each cell of `scale` pixels, those of a picture in the middle of it.
    """
    at = torch.arange(-2, 4, dtype=torch.float64) - (1 - 1 / scale) / 2
    taps = torch.sinc(at) * torch.sinc(at / 3)
    n = x.shape[dim]
    here = torch.arange(n, device=x.device)
    out = torch.zeros_like(x)
    for i, tap in enumerate((taps / taps.sum()).tolist()):
        out += tap * x.index_select(dim, (here + (i - 2)).clamp(0, n - 1))
    return out


class Analysis(nn.Module):
    """Colour rotation, four 9/7 levels, additive couplings at 1/4 and 1/8 (after IRN, arXiv 2005.05650).

        x -> colour -> 9/7 -> 9/7 -> couplings (48 ch, 1/4) -> 9/7 -> couplings (192 ch, 1/8) -> 9/7 -> bands

    x: pixels N,3,H,W in units of (value - 127.5) / 64; sides are multiples of 16
    colour: rotation to principal axes; 9/7: one level of the CDF 9/7 wavelet
    bands: coefficients N,C,h,w at 1/16 (12 channels, low band first), 1/8, 1/4 and 1/2 (9 each)

    A stage whose width in the configuration is 0 has no couplings. `couplings = False` leaves out those that there are
    (they start as the identity), which is what the first phase of training does.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.colour = Colour()
        self.fine = Composition(Wavelet(3), Wavelet(12))
        self.quarter = self._stage(48, config.hidden_quarter)
        self.middle = Wavelet(48)
        self.eighth = self._stage(192, config.hidden_eighth)
        self.coarse = Wavelet(192)
        self.couplings = True

    @staticmethod
    def _stage(channels: int, hidden: int) -> Composition:
        if not hidden:
            return Composition()
        return Composition(
            Coupling.halves(channels, hidden), Split(), Coupling.halves(channels, hidden), Reversed(Split())
        )

    def parts(self) -> list[Transform]:
        """The transforms in forward order."""
        quarter, eighth = ([s] if self.couplings and len(s.parts) else [] for s in (self.quarter, self.eighth))
        return [self.colour, self.fine, *quarter, self.middle, *eighth, self.coarse]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pixels -> bands, coarse to fine."""
        for part in self.parts():
            x = part(x)
        return unpack(x)

    def inverse(self, bands: list[Tensor]) -> Tensor:
        """All four bands -> pixels."""
        y = pack(bands)
        for part in reversed(self.parts()):
            y = part.inverse(y)
        return y

    def reduced(self, bands: list[Tensor], scale: int) -> Tensor:
        """The picture at 1/scale (2, 4, 8 or 16) from the levels down to that size: bands, coarse to fine -> N,3,h,w.

        The low band of a level is the picture in small. Couplings are not undone, since they need the levels that
        are left out; they predict detail and hardly touch the low band (trained ones: 53 dB between with and without).
        """
        wave = Wavelet(3)
        low = bands[0][:, :3] if scale == 16 else wave.inverse(bands[0])
        for band in bands[1:]:
            low = wave.inverse(torch.cat((low, band), 1))
        return self.colour.inverse(_half(_half(low, scale, 2), scale, 3)) / scale

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Set the colour axes (PCA) and the couplings' scales from training crops x (N,3,H,W)."""
        pixels = x.permute(0, 2, 3, 1).reshape(-1, 3).double()
        axes = torch.linalg.eigh(pixels.t() @ pixels / len(pixels))[1].flip(1).t().float()
        # a sign that does not depend on the eigensolver: the largest entry of an axis is positive
        sign = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
        self.colour.rotation.copy_(axes * sign)
        x = self.fine(self.colour(x))
        for stage, wave in ((self.quarter, self.middle), (self.eighth, self.coarse)):
            for part in stage.parts:
                if isinstance(part, Coupling):
                    deviation = x.std((0, 2, 3)).clamp(min=0.02)
                    a, b = deviation[: part.cut], deviation[part.cut :]
                    for predictor, (of, to) in ((part.f, (a, b)), (part.g, (b, a))):
                        if isinstance(predictor, Predictor):
                            predictor.scale_in.copy_(of)
                            predictor.scale_out.copy_(to)
                x = part(x)
            x = wave(x)

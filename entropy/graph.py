"""The graph of the probability model, written once for floating point and for integers.

Hyperprior (Balle et al. 2018, arXiv 1802.01436) and band-wise context, coarse to fine. A level is
coded in 8 steps: the four positions of each 2x2 cell in turn, at each first luma, then chroma. The side
latent comes first and in the same way, one half of its channels before the other.

    side latent (1/32) -> hyper synthesis -> P4 -> level 1/16 -> P3 -> level 1/8 -> P2 -> 1/4 -> P1 -> 1/2

    a level:   P -> trunk -> T;  for phase p:  c = T_p + e_p + conv3x3(known k);  c = c + mlp(c)
               luma: out(c);  chroma: out(c + conv1x1(luma k))      (side latent: T depends on the quality alone)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import BANDS, PHASES, Config, chroma, luma
from entropy.layers import Layer
from entropy.strips import residual

OUT = 256  #: outputs (mean, log2 of the scale) come in units of 1/256
LARGEST = 4095  #: magnitude to which a coefficient is clamped where a network or predictor reads it


MakeLayer = Callable[..., Any]  #: takes what `Layer` takes


class Context(nn.Module):
    """What known values say of those at the next phase: two groups of channels, `width` features."""

    def __init__(self, groups: tuple[list[int], list[int]], width: int, layer: MakeLayer = Layer):
        super().__init__()
        self.low: nn.ModuleList | None = None
        self.first, self.second = groups
        channels = len(self.first) + len(self.second)
        #: channels of the features of the first group
        self.of_first = [*self.first, *(c + channels for c in self.first)]
        out = lambda n: layer(width, 2 * n, signed=True, std=1e-3, limit=4095 / OUT, scale_out=OUT)  # noqa: E731
        self.context = layer(2 * channels, width, 3)
        self.mix_widen = layer(width, 2 * width)
        self.mix_narrow = layer(2 * width, width, std=0.02)
        self.from_first = layer(2 * len(self.first), width)
        self.out_first = out(len(self.first))
        self.out_second = out(len(self.second))
        self.phase = nn.Parameter(torch.randn(4, width) * 0.1)

    def at_phase(self, step: int, trunk: Tensor, known: Tensor) -> Tensor:
        """Features at a phase: N,width,H/2,W/2. `known`: features of k, zero where not coded yet, with a margin of 1 of zeros."""
        i, j = PHASES[step]
        own = trunk[:, :, i::2, j::2] + self.phase[step][None, :, None, None]
        c = self.context(known, own, PHASES[step]) if step else own.clamp(0, self.context.limit)
        return residual(c, lambda c, same: self.mix_narrow(self.mix_widen(c), same))

    def linear(self, step: int, known: Tensor) -> Tensor | None:
        """Prediction of the 3 low-band channels at a phase from their known values (N,3,H,W)."""
        if self.low is None or step == 0:
            return None
        return self.low[step - 1](F.pad(known, (2, 2, 2, 2)), None, PHASES[step])


class Level(Context):
    """The layers of one level: `band` channels, luma first."""

    def __init__(self, band: int, width: int, low_band: bool, layer: MakeLayer = Layer):
        super().__init__((luma(band), chroma(band)), width, layer)
        self.spread = layer(width, width, 3, groups=width, signed=True)
        self.widen = layer(width, 2 * width)
        self.narrow = layer(2 * width, width, std=0.02)
        # the low band's values reach hundreds: a linear predictor over known values, beside the network
        self.low = (
            nn.ModuleList(
                layer(3, 3, 5, signed=True, std=0.0, limit_in=LARGEST, limit=LARGEST, scale_in=1, scale_out=8)
                for _ in PHASES[1:]
            )
            if low_band
            else None
        )

    def trunk(self, parent: Tensor) -> Tensor:
        """Parent features -> T, both N,width,H,W."""
        return residual(parent, lambda x, parent: self.narrow(self.widen(x), parent), self.spread)


class Graph(nn.Module):
    """All layers of the probability model, made by `layer`; `k` of every level comes as features (see `features`)."""

    def __init__(self, config: Config, layer: MakeLayer = Layer):
        super().__init__()
        n = config.prior
        self.config = config
        half = config.side // 2
        groups = list(range(half)), list(range(half, config.side))
        self.side = Context(groups, config.side_prior, layer) if config.side_prior else None
        self.hyper_first = layer(config.side, n[0], 3)
        self.hyper_last = layer(n[0], 4 * n[0], up=True)
        self.levels = nn.ModuleList(Level(band, width, i == 0, layer) for i, (band, width) in enumerate(zip(BANDS, n)))
        self.finer = nn.ModuleList(layer(n[i] + 2 * BANDS[i], 4 * n[i + 1], up=True) for i in range(3))
        # what a quality adds to the input of hyper synthesis' last layer and of each finer level; T of the side latent
        self.quality = nn.ParameterList(
            nn.Parameter(torch.zeros(config.knots, width))
            for width in (n[0], 4 * n[1], 4 * n[2], 4 * n[3], config.side_prior)
            if width
        )

    def hyper(self, side: Tensor, quality: Tensor) -> Tensor:
        """Features of the side latent (N,side,h,w) -> P4 (N,width,2h,2w)."""
        return self.hyper_last(self.hyper_first(side, quality))

    def down(self, level: int, trunk: Tensor, k: Tensor, quality: Tensor) -> Tensor:
        """Trunk and features of k of a level -> parent features of the next finer one."""
        return self.finer[level](torch.cat((trunk, k), 1), quality)


def signed_and_magnitude(feature: Tensor) -> Tensor:
    """asinh(k) and its magnitude: a linear layer cannot make one from the other."""
    return torch.cat((feature, feature.abs()), 1)

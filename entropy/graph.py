"""The graph of the probability model, written once for floating point and for integers.

What is coded in which order is the walk over this graph (entropy/walk.py); its two users are entropy/prior.py, in
floating point, and entropy/integer.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import BANDS, PHASES, Config, chroma, luma
from entropy.layers import AnyLayer, Layer, Modules, Shape
from entropy.strips import residual

OUT = 256  #: outputs (mean, log2 of the scale) come in units of 1/256
LARGEST = 4095  #: magnitude to which a coefficient is clamped where a network or predictor reads it

MakeLayer = Callable[[Shape], AnyLayer]


class Context(nn.Module):
    """Context model of two groups of channels: what known values say of those at the next phase, by `width` features.

    Autoregressive over the 4 phases of each 2x2 cell and over the 2 groups, in parallel over all cells (a checkerboard
    with more colours: He et al., arXiv 2103.15306, section 3.2; groups of channels: arXiv 2007.08739, section 3.2).

        c = T_p + e_p + conv3x3(known k);  c = c + mlp(c)
        first group: out(c);  second group: out(c + conv1x1(k of the first))

    T: trunk, features of what was known before these channels, N,width,H,W; T_p: at phase p
    e_p: learned features of a phase
    k: the integers, as features: asinh(k) and its magnitude, zero where not coded yet
    out: mean and log2 of the scale of each channel of a group
    """

    def __init__(self, groups: tuple[list[int], list[int]], width: int, make: MakeLayer = Layer):
        super().__init__()
        #: of the low band: one predictor for each phase but the first
        self.low: Modules[AnyLayer] | None = None
        self.first, self.second = groups
        channels = len(self.first) + len(self.second)
        #: channels of the features of the first group
        self.of_first = [*self.first, *(c + channels for c in self.first)]
        out = lambda n: make(Shape(width, 2 * n, signed=True, std=1e-3, limit=4095 / OUT, scale_out=OUT))  # noqa: E731
        self.context = make(Shape(2 * channels, width, 3))
        self.mix_widen = make(Shape(width, 2 * width))
        self.mix_narrow = make(Shape(2 * width, width, std=0.02))
        self.from_first = make(Shape(2 * len(self.first), width))
        self.out_first = out(len(self.first))
        self.out_second = out(len(self.second))
        self.phase = nn.Parameter(torch.randn(4, width) * 0.1)

    def at_phase(self, step: int, trunk: Tensor, known: Tensor) -> Tensor:
        """Features at a phase: N,width,H/2,W/2. known: features of k, zero where not coded yet, with a margin of 1 of
        zeros: N,2C,H+2,W+2.
        """
        i, j = PHASES[step]
        own = trunk[:, :, i::2, j::2] + self.phase[step][None, :, None, None]
        c = self.context(known, own, PHASES[step]) if step else own.clamp(0, self.context.limit)
        return residual(c, lambda c, same: self.mix_narrow(self.mix_widen(c), same))

    def linear(self, step: int, known: Tensor) -> Tensor | None:
        """Prediction of the 3 low-band channels at a phase, N,3,H/2,W/2, from their known values (N,3,H,W); None where
        there is none: at other levels, and at the first phase.
        """
        if self.low is None or step == 0:
            return None
        return self.low[step - 1](F.pad(known, (2, 2, 2, 2)), None, PHASES[step])


class Level(Context):
    """The layers of one level: `band` channels, luma first."""

    def __init__(self, band: int, width: int, low_band: bool, make: MakeLayer = Layer):
        super().__init__((luma(band), chroma(band)), width, make)
        self.spread = make(Shape(width, width, 3, groups=width, signed=True))
        self.widen = make(Shape(width, 2 * width))
        self.narrow = make(Shape(2 * width, width, std=0.02))
        if low_band:
            # its values reach hundreds: a linear predictor over known values, beside the network
            shape = Shape(3, 3, 5, signed=True, std=0.0, limit_in=LARGEST, limit=LARGEST, scale_in=1, scale_out=8)
            self.low = Modules[AnyLayer](make(shape) for _ in PHASES[1:])

    def trunk(self, parent: Tensor) -> Tensor:
        """Parent features -> T, both N,width,H,W; without gradients in the memory of the parent."""
        return residual(parent, lambda x, parent: self.narrow(self.widen(x), parent), self.spread)


class Graph(nn.Module):
    """Mean-scale hyperprior (Balle et al. 2018, arXiv 1802.01436; Minnen et al. 2018, arXiv 1809.02736) with a context
    model inside each band, coarse to fine. All its layers; `make` says in which arithmetic.

        side latent (1/32) -> hyper synthesis -> P4 -> level 1/16 -> P3 -> level 1/8 -> P2 -> 1/4 -> P1 -> 1/2

        a level:   P -> trunk -> T;  steps as in `Context`;  T and k -> finer -> P of the next level

    side latent: hyper-latent, coded first, one half of its channels before the other; its T is by the quality alone
    P: parent features, N,width,H,W; T: trunk
    k: the level's integers, as features
    `quality`: by knots, what a quality adds to the input of hyper synthesis' last layer and of each finer level, and T
    of the side latent
    """

    def __init__(self, config: Config, make: MakeLayer = Layer):
        super().__init__()
        n = config.prior
        self.config = config
        half = config.side // 2
        groups = list(range(half)), list(range(half, config.side))
        self.side = Context(groups, config.side_prior, make)
        self.hyper_first = make(Shape(config.side, n[0], 3))
        self.hyper_last = make(Shape(n[0], 4 * n[0], up=True))
        self.levels = Modules[Level](Level(band, width, i == 0, make) for i, (band, width) in enumerate(zip(BANDS, n)))
        self.finer = Modules[AnyLayer](make(Shape(n[i] + 2 * BANDS[i], 4 * n[i + 1], up=True)) for i in range(3))
        self.quality = nn.ParameterList(
            nn.Parameter(torch.zeros(config.knots, width))
            for width in (n[0], 4 * n[1], 4 * n[2], 4 * n[3], config.side_prior)
        )

    def hyper(self, side: Tensor, quality: Tensor) -> Tensor:
        """Hyper synthesis: asinh of the side latent (N,side,h,w) -> P4 (N,width,2h,2w)."""
        return self.hyper_last(self.hyper_first(side, quality))

    def down(self, level: int, trunk: Tensor, k: Tensor, quality: Tensor) -> Tensor:
        """Trunk and features of k of a level -> parent features of the next finer one."""
        return self.finer[level](torch.cat((trunk, k), 1), quality)


def signed_and_magnitude(feature: Tensor) -> Tensor:
    """asinh(k) and its magnitude, N,C,H,W -> N,2C,H,W: a linear layer cannot make one from the other."""
    return torch.cat((feature, feature.abs()), 1)

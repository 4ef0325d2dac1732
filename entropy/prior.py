"""The probability model in floating point: what training minimises. Coding uses entropy/integer.py."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import BANDS, PHASES, Config
from entropy.graph import Graph, Level, signed_and_magnitude

LOGISTIC = 1.8138  #: pi / sqrt(3): deviation over scale of a logistic
FLOOR = 0.08       #: smallest deviation the likelihood sees, in steps
LOG_LIMIT = (-6.0, 9.0)


def bits(k: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """-log2 of a logistic's mass over k +- 1/2, with a gradient in the tail too (no clamp on the mass)."""
    distance, rate = (k - mean).abs(), LOGISTIC / deviation
    return -torch.log2(torch.sigmoid((0.5 - distance) * rate) - torch.sigmoid((-0.5 - distance) * rate) + 1e-9)


Interpolate = Callable[[Tensor], Tensor]


class Step(NamedTuple):
    """Of one step of the walk: which coefficients, and what is said of them, N,C,h,w."""

    level: int
    group: list[int]
    y: int
    x: int
    mean: Tensor
    deviation: Tensor

    def of(self, levels: list[Tensor]) -> Tensor:
        """These coefficients, out of all levels."""
        return levels[self.level][:, self.group, self.y::2, self.x::2]


class Prior(nn.Module):
    """Mean-scale hyperprior with band-wise context (see entropy/graph.py), trained through its bits.

    The scale's logarithm is what the network says plus log2(channel deviation x gain); the mean is what it
    says times a channel's `mean_gain`, plus a linear prediction for the low band.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.graph = Graph(config)
        self.side_mean = nn.Parameter(torch.zeros(config.side))
        self.side_scale = nn.Parameter(torch.full((config.side,), -2.0))  # nearly free until it is worth bits

    def side_deviation(self) -> Tensor:
        return F.softplus(self.side_scale) + FLOOR

    def side_bits(self, side: Tensor) -> Tensor:
        """Bits an image of a (noisy or rounded) side latent N,side,h,w."""
        shape = (1, -1, 1, 1)
        return bits(side, self.side_mean.view(shape), self.side_deviation().view(shape)).sum((1, 2, 3))

    def forward(self, side: Tensor, ks: list[Tensor], noisy: list[Tensor], log_own: list[Tensor],
                mean_gain: list[Tensor], coded: list[Tensor], at: Interpolate) -> Tensor:
        """Bits an image of all levels.

        side: rounded side latent; ks: rounded coefficients; noisy: those whose likelihood is taken;
        log_own, mean_gain, coded: N,C,1,1 of each level: log2 of deviation x gain, mean gain, 0 or 1.
        """
        total = torch.zeros(len(side), device=side.device)
        features = [signed_and_magnitude(torch.asinh(k)) for k in ks]
        for step in self._steps(side, ks, features.__getitem__, log_own, mean_gain, at):
            cost = bits(step.of(noisy), step.mean, step.deviation) * coded[step.level][:, step.group]
            total = total + cost.sum((1, 2, 3))
        return total

    @torch.no_grad()
    def rounded(self, side: Tensor, y: list[Tensor], weight: list[Tensor], log_own: list[Tensor],
                mean_gain: list[Tensor], coded: list[Tensor], at: Interpolate) -> list[Tensor]:
        """Coefficients (in steps), each rounded to the nearest integer or to the next one toward zero as the walk comes
        by, as the encoder does (entropy/rounding.py); weight: N,C,1,1 a level, bits that a squared step is worth."""
        ks = [torch.zeros_like(a) for a in y]

        def features(level: int) -> Tensor:
            return signed_and_magnitude(torch.asinh(ks[level]))
        for step in self._steps(side, ks, features, log_own, mean_gain, at):
            wanted = step.of(y)
            near = wanted.round()
            toward = near - near.sign()
            saved = bits(near, step.mean, step.deviation) - bits(toward, step.mean, step.deviation)
            worse = weight[step.level][:, step.group] * ((wanted - toward) ** 2 - (wanted - near) ** 2)
            ks[step.level][:, step.group, step.y::2, step.x::2] = \
                torch.where(worse < saved, toward, near) * coded[step.level][:, step.group]
        return ks

    def _steps(self, side: Tensor, ks: list[Tensor], features: Callable[[int], Tensor], log_own: list[Tensor],
               mean_gain: list[Tensor], at: Interpolate) -> Iterator[Step]:
        """The walk: what is said of each group of channels at each phase of each level. A step reads of `ks` and of
        `features` (of ks of a level) only what earlier steps are about."""
        graph = self.graph
        bias = [at(b)[:, :, None, None] for b in graph.quality]
        parent = graph.hyper(torch.asinh(side), bias[0])
        for i, level in enumerate(cast(list[Level], graph.levels)):
            trunk = level.trunk(parent)
            mask = torch.zeros_like(ks[i][:1, :1])
            for number, (y, x) in enumerate(PHASES):
                c = level.at_phase(number, trunk, features(i) * mask)
                linear = level.linear(number, ks[i][:, :3] * mask)
                for group, out in ((level.luma, level.out_luma), (level.chroma, level.out_chroma)):
                    if group is level.chroma:
                        lum = [*level.luma, *(m + BANDS[i] for m in level.luma)]
                        c = level.from_luma(features(i)[:, lum, y::2, x::2], c)
                    mean, log_scale = out(c).float().chunk(2, 1)
                    mean = mean * mean_gain[i][:, group]
                    if linear is not None:
                        low = [m for m in group if m < 3]
                        mean = torch.cat((mean[:, :len(low)] + linear[:, low], mean[:, len(low):]), 1)
                    log_scale = (log_scale + log_own[i][:, group]).clamp(*LOG_LIMIT)
                    yield Step(i, group, y, x, mean, torch.sqrt(FLOOR ** 2 + torch.exp2(2 * log_scale)))
                mask = mask.clone()
                mask[:, :, y::2, x::2] = 1
            if i < 3:
                parent = graph.down(i, trunk, features(i), bias[i + 1])

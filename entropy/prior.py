"""The probability model in floating point: what training minimises. Coding uses entropy/integer.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import Config
from entropy.graph import Graph, signed_and_magnitude
from entropy.tables import FLOOR, LOG2_SMALLEST, LOGISTIC
from entropy.walk import Step, level_steps, side_steps

LOG_LIMIT = (-6.0, 9.0)
SKIPPED = LOG2_SMALLEST + 0.25  #: log2 deviation below which the coder skips

Interpolate = Callable[[Tensor], Tensor]  #: a table of knots x C -> N x C, at the qualities of a batch


def bits(k: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """-log2 of a logistic's mass over k +- 1/2, with a gradient in the tail too (no clamp on the mass)."""
    distance, rate = (k - mean).abs(), LOGISTIC / deviation
    return -torch.log2(torch.sigmoid((0.5 - distance) * rate) - torch.sigmoid((-0.5 - distance) * rate) + 1e-9)


def deviation(log_scale: Tensor) -> Tensor:
    """Steps, of log2 of the scale."""
    return torch.sqrt(FLOOR**2 + torch.exp2(2 * log_scale.clamp(*LOG_LIMIT)))


class AtQuality(NamedTuple):
    """What the probability model is told of the qualities of a batch; lists hold N,C,1,1 of each level."""

    log_own: list[Tensor]  #: log2(channel deviation x gain): the scale before the network has its say
    mean_gain: list[Tensor]  #: steps that a mean of 1 is
    coded: list[Tensor]  #: 1 where a band is coded, 0 where it is dropped
    at: Interpolate
    #: of the three finer levels, as `Quantisation.level_qualities` has it; empty: `at`
    at_level: tuple[Interpolate, ...] = ()


class Hidden:
    """Integers that are all there beforehand, shown to the walk phase by phase.

    The methods that the walk calls are those of `walk.Known`.
    """

    def __init__(self, k: Tensor):
        """k: N,C,H,W."""
        self.mask = torch.zeros_like(k[:1, :1])
        self.become(k)

    def become(self, k: Tensor) -> None:
        """Other values; those that the walk has been shown must not change."""
        self.k, self.features = k, signed_and_magnitude(torch.asinh(k))

    def codes(self, group: list[int]) -> bool:
        """Every group: gradients are wanted of all."""
        return True

    def around(self) -> Tensor:
        """Features of what is known, with a margin of 1."""
        return F.pad(self.features * self.mask, (1, 1, 1, 1))

    def here(self, channels: list[int], y: int, x: int) -> Tensor:
        """Features of channels at one position of each 2x2 cell."""
        return self.features[:, channels, y::2, x::2]

    def low(self) -> Tensor:
        """What is known of the three low-band channels."""
        return self.k[:, :3] * self.mask

    def all(self) -> Tensor:
        """Features of everything, for the next level."""
        return self.features

    def finished(self, y: int, x: int) -> None:
        """From here on that position is known."""
        self.mask = self.mask.clone()  # the gradient of earlier steps needs the earlier one
        self.mask[:, :, y::2, x::2] = 1


class Prior(nn.Module):
    """Mean-scale hyperprior (arXiv 1802.01436, 1809.02736) with context inside each band, trained through its bits.

        side, k -> walk over the graph (entropy/walk.py) -> m, l of each step -> mu, sigma -> bits of k

        sigma^2 = floor^2 + 4^(l + log2(deviation x gain));   mu = m x mean_gain, + linear prediction for the low band

    side: side latent (hyper-latent), rounded; k: rounded coefficients, of each level
    m, l: mean and log2 of the scale as the network has them
    mu, sigma: mean and deviation of the logistic whose mass over k +- 1/2 is the probability of k, in steps
    deviation, gain: of the band channel, over training photos and 1 / step at the quality
    Of the side latent mu and sigma are m and 2^l (with the floor).
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.graph = Graph(config)

    def _bias(self, at: Interpolate, at_level: tuple[Interpolate, ...] = ()) -> list[Tensor]:
        each = (at, *(at_level or (at,) * 3), at)
        return [one(table)[:, :, None, None] for one, table in zip(each, self.graph.quality)]

    def _level_steps(self, side: Tensor, ks: list[Tensor], given: AtQuality) -> tuple[list[Hidden], Iterator[Step]]:
        known = [Hidden(k) for k in ks]
        bias = self._bias(given.at, given.at_level)
        return known, level_steps(self.graph, bias, torch.asinh(side), known.__getitem__)

    def side_bits(self, side: Tensor, noisy: Tensor, at: Interpolate, skipped: bool = False) -> Tensor:
        """Bits an image of a (noisy or rounded) side latent N,side,h,w; side: rounded; skipped: as in `forward`."""
        total = torch.zeros(len(side), dtype=torch.float32, device=side.device)
        for step in side_steps(self.graph, self._bias(at), Hidden(side)):
            mean, log_scale = step.out.float().chunk(2, 1)
            cost = bits(step.of(noisy), mean, deviation(log_scale))
            if skipped:
                cost = cost * (log_scale >= SKIPPED)
            total = total + cost.sum((1, 2, 3))
        return total

    def forward(
        self, side: Tensor, ks: list[Tensor], noisy: list[Tensor], given: AtQuality, skipped: bool = False
    ) -> Tensor:
        """Bits an image of all levels.

        side: rounded side latent; ks: rounded coefficients; noisy: those whose likelihood is taken.
        skipped: symbols of the lowest scale cost nothing, since they are not coded (entropy/tables.py).
        """
        total = torch.zeros(len(side), dtype=torch.float32, device=side.device)
        for step in self._level_steps(side, ks, given)[1]:
            mean, scale = self._scaled(step, given)
            cost = bits(step.of(noisy[step.level]), mean, scale) * given.coded[step.level][:, step.group]
            if skipped:
                cost = cost * (scale >= deviation(scale.new_tensor(SKIPPED)))
            total = total + cost.sum((1, 2, 3))
        return total

    @torch.no_grad()
    def rounded(self, side: Tensor, y: list[Tensor], weight: list[Tensor], given: AtQuality) -> list[Tensor]:
        """Coefficients (in steps), each rounded to the nearest integer or to the next one toward zero as the walk comes
        by, as the encoder does (entropy/rounding.py); weight: N,C,1,1 a level, bits that a squared step is worth.
        """
        known, steps = self._level_steps(side, [torch.zeros_like(a) for a in y], given)
        for step in steps:
            mean, scale = self._scaled(step, given)
            wanted = step.of(y[step.level])
            near = wanted.round()
            toward = near - near.sign()
            saved = bits(near, mean, scale) - bits(toward, mean, scale)
            worse = weight[step.level][:, step.group] * ((wanted - toward) ** 2 - (wanted - near) ** 2)
            k = known[step.level].k
            k[:, step.group, step.y :: 2, step.x :: 2] = (
                torch.where(worse < saved, toward, near) * given.coded[step.level][:, step.group]
            )
            known[step.level].become(k)
        return [level.k for level in known]

    @staticmethod
    def _scaled(step: Step, given: AtQuality) -> tuple[Tensor, Tensor]:
        """Mean and deviation in steps, N,n,h,w, of what the network says of a step of a level."""
        mean, log_scale = step.out.float().chunk(2, 1)
        mean = mean * given.mean_gain[step.level][:, step.group]
        if step.linear is not None:
            low = [m for m in step.group if m < 3]
            mean = torch.cat((mean[:, : len(low)] + step.linear[:, low], mean[:, len(low) :]), 1)
        return mean, deviation(log_scale + given.log_own[step.level][:, step.group])

"""The probability model in floating point: what training minimises. Coding uses entropy/integer.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import PHASES, Config
from entropy.graph import Context, Graph, Level, signed_and_magnitude
from entropy.tables import LOG2_SMALLEST

LOGISTIC = 1.8138  #: pi / sqrt(3): deviation over scale of a logistic
FLOOR = 0.08  #: smallest deviation the likelihood sees, in steps
LOG_LIMIT = (-6.0, 9.0)
SKIPPED = LOG2_SMALLEST + 0.25  #: log2 deviation below which the coder skips


def bits(k: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """-log2 of a logistic's mass over k +- 1/2, with a gradient in the tail too (no clamp on the mass)."""
    distance, rate = (k - mean).abs(), LOGISTIC / deviation
    return -torch.log2(torch.sigmoid((0.5 - distance) * rate) - torch.sigmoid((-0.5 - distance) * rate) + 1e-9)


Interpolate = Callable[[Tensor], Tensor]


class Said(NamedTuple):
    """Of a group of channels at a phase of a level: what its network says of mean and log2 of the scale, and the linear
    prediction of the first three channels."""

    group: list[int]
    y: int
    x: int
    mean: Tensor
    log_scale: Tensor
    linear: Tensor | None


def said(context: Context, trunk: Tensor, k: Tensor, features: Callable[[], Tensor]) -> Iterator[Said]:
    """The steps of a level (or of the side latent); each reads of `k` and of `features` (of k) only what earlier ones are
    about."""
    mask = torch.zeros_like(k[:1, :1])
    for number, (y, x) in enumerate(PHASES):
        if y >= k.shape[2] or x >= k.shape[3]:  # a side latent may be a single row or column
            continue
        c = context.at_phase(number, trunk, F.pad(features() * mask, (1, 1, 1, 1)))
        linear = context.linear(number, k[:, :3] * mask)
        for group, out in ((context.first, context.out_first), (context.second, context.out_second)):
            if group is context.second:
                c = context.from_first(features()[:, context.of_first, y::2, x::2], c)
            mean, log_scale = out(c).float().chunk(2, 1)
            yield Said(group, y, x, mean, log_scale, linear)
        mask = mask.clone()
        mask[:, :, y::2, x::2] = 1


def deviation(log_scale: Tensor) -> Tensor:
    """Steps, of log2 of the scale."""
    return torch.sqrt(FLOOR**2 + torch.exp2(2 * log_scale.clamp(*LOG_LIMIT)))


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
        return levels[self.level][:, self.group, self.y :: 2, self.x :: 2]


class Prior(nn.Module):
    """Mean-scale hyperprior with band-wise context (see entropy/graph.py), trained through its bits.

    The scale's logarithm is what the network says plus log2(channel deviation x gain); the mean is what it
    says times a channel's `mean_gain`, plus a linear prediction for the low band. Of the side latent it is what the
    network says.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.graph = Graph(config)
        if self.graph.side is None:
            raise ValueError("a probability model without one of the side latent can only code")

    def side_bits(self, side: Tensor, noisy: Tensor, at: Interpolate, skipped: bool = False) -> Tensor:
        """Bits an image of a (noisy or rounded) side latent N,side,h,w; side: rounded; skipped: as in `forward`."""
        total = torch.zeros(len(side), device=side.device)
        features = signed_and_magnitude(torch.asinh(side))
        trunk = at(self.graph.quality[4])[:, :, None, None].expand(-1, -1, *side.shape[2:])
        for s in said(cast(Context, self.graph.side), trunk, side, lambda: features):
            cost = bits(noisy[:, s.group, s.y :: 2, s.x :: 2], s.mean, deviation(s.log_scale))
            if skipped:
                cost = cost * (s.log_scale >= SKIPPED)
            total = total + cost.sum((1, 2, 3))
        return total

    def forward(
        self,
        side: Tensor,
        ks: list[Tensor],
        noisy: list[Tensor],
        log_own: list[Tensor],
        mean_gain: list[Tensor],
        coded: list[Tensor],
        at: Interpolate,
        skipped: bool = False,
    ) -> Tensor:
        """Bits an image of all levels.

        side: rounded side latent; ks: rounded coefficients; noisy: those whose likelihood is taken;
        log_own, mean_gain, coded: N,C,1,1 of each level: log2 of deviation x gain, mean gain, 0 or 1.
        skipped: symbols of the lowest scale cost nothing, since they are not coded (entropy/tables.py).
        """
        total = torch.zeros(len(side), device=side.device)
        features = [signed_and_magnitude(torch.asinh(k)) for k in ks]
        for step in self._steps(side, ks, features.__getitem__, log_own, mean_gain, at):
            cost = bits(step.of(noisy), step.mean, step.deviation) * coded[step.level][:, step.group]
            if skipped:
                cost = cost * (step.deviation >= deviation(step.deviation.new_tensor(SKIPPED)))
            total = total + cost.sum((1, 2, 3))
        return total

    @torch.no_grad()
    def rounded(
        self,
        side: Tensor,
        y: list[Tensor],
        weight: list[Tensor],
        log_own: list[Tensor],
        mean_gain: list[Tensor],
        coded: list[Tensor],
        at: Interpolate,
    ) -> list[Tensor]:
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
            ks[step.level][:, step.group, step.y :: 2, step.x :: 2] = (
                torch.where(worse < saved, toward, near) * coded[step.level][:, step.group]
            )
        return ks

    def _steps(
        self,
        side: Tensor,
        ks: list[Tensor],
        features: Callable[[int], Tensor],
        log_own: list[Tensor],
        mean_gain: list[Tensor],
        at: Interpolate,
    ) -> Iterator[Step]:
        """The walk: what is said of each group of channels at each phase of each level. A step reads of `ks` and of
        `features` (of ks of a level) only what earlier steps are about."""
        graph = self.graph
        bias = [at(b)[:, :, None, None] for b in list(graph.quality)[:4]]
        parent = graph.hyper(torch.asinh(side), bias[0])
        for i, level in enumerate(cast(list[Level], graph.levels)):
            trunk = level.trunk(parent)
            for s in said(level, trunk, ks[i], lambda i=i: features(i)):  # type: ignore[misc]
                mean = s.mean * mean_gain[i][:, s.group]
                if s.linear is not None:
                    low = [m for m in s.group if m < 3]
                    mean = torch.cat((mean[:, : len(low)] + s.linear[:, low], mean[:, len(low) :]), 1)
                yield Step(i, s.group, s.y, s.x, mean, deviation(s.log_scale + log_own[i][:, s.group]))
            if i < 3:
                parent = graph.down(i, trunk, features(i), bias[i + 1])

"""The probability model in floating point: what training minimises. Coding uses entropy/integer.py."""
from __future__ import annotations

from typing import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from entropy.config import BANDS, PHASES, Config
from entropy.graph import Graph, signed_and_magnitude

LOGISTIC = 1.8138  #: pi / sqrt(3): deviation over scale of a logistic
FLOOR = 0.08       #: smallest deviation the likelihood sees, in steps
LOG_LIMIT = (-6.0, 9.0)


def bits(k: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """-log2 of a logistic's mass over k +- 1/2, with a gradient in the tail too (no clamp on the mass)."""
    distance, rate = (k - mean).abs(), LOGISTIC / deviation
    return -torch.log2(torch.sigmoid((0.5 - distance) * rate) - torch.sigmoid((-0.5 - distance) * rate) + 1e-9)


Interpolate = Callable[[Tensor], Tensor]


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
        graph, total = self.graph, torch.zeros(len(side), device=side.device)
        features = [signed_and_magnitude(torch.asinh(k)) for k in ks]
        bias = [at(b)[:, :, None, None] for b in graph.quality]
        parent = graph.hyper(torch.asinh(side), bias[0])
        for i, level in enumerate(graph.levels):
            trunk = level.trunk(parent)  # type: ignore[operator]
            mask = torch.zeros_like(ks[i][:1, :1])
            n = len(level.luma)  # type: ignore[arg-type]
            for step, (y, x) in enumerate(PHASES):
                known = features[i] * mask
                c = level.at_phase(step, trunk, known)  # type: ignore[operator]
                here = features[i][:, :, y::2, x::2]
                lum = [*level.luma, *(m + BANDS[i] for m in level.luma)]  # type: ignore[union-attr]
                a = level.out_luma(c).float()  # type: ignore[operator]
                b = level.out_chroma(level.from_luma(here[:, lum], c)).float()  # type: ignore[operator]
                order = level.luma + level.chroma  # type: ignore[operator]
                m = len(level.chroma)  # type: ignore[arg-type]
                mean = torch.cat((a[:, :n], b[:, :m]), 1) * mean_gain[i][:, order]
                linear = level.linear(step, ks[i][:, :3] * mask)  # type: ignore[operator]
                if linear is not None:
                    extra = torch.cat((linear[:, :1], torch.zeros_like(mean[:, 1:n]),
                                       linear[:, 1:], torch.zeros_like(mean[:, n + 2:])), 1)
                    mean = mean + extra
                log_scale = torch.cat((a[:, n:], b[:, m:]), 1) + log_own[i][:, order]
                deviation = torch.sqrt(FLOOR ** 2 + torch.exp2(2 * log_scale.clamp(*LOG_LIMIT)))
                cost = bits(noisy[i][:, order, y::2, x::2], mean, deviation) * coded[i][:, order]
                total = total + cost.sum((1, 2, 3))
                mask = mask.clone()
                mask[:, :, y::2, x::2] = 1
            if i < 3:
                parent = graph.down(i, trunk, features[i], bias[i + 1])
        return total

"""The integer model in floating point again, for gradients: what an encoder needs to search.

A weights file holds only the integers. Their floors are left out here, so bits are estimates, within about 1 % of
the coded ones.
"""
from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from entropy.graph import Graph, Level
from entropy.integer import IntegerLayer, IntegerPrior
from entropy.layers import Layer
from entropy.prior import FLOOR, LOGISTIC, Prior
from entropy.tables import TOTAL, Tables


def _layer(given: IntegerLayer, out: Layer) -> None:
    """In place: the layer whose rounded form `given` is."""
    scale = torch.exp2(-given.shift)
    out.conv.weight.copy_(given.weight * scale[:, None, None, None] * (out.scale_in / out.scale_out))
    assert out.conv.bias is not None
    out.conv.bias.copy_((given.bias * scale - 0.5) / out.scale_out)  # the half that made a floor round


def _layers(given: nn.Module, out: nn.Module) -> None:
    for name, child in out.named_children():
        if isinstance(child, Layer):
            _layer(cast(IntegerLayer, getattr(given, name)), child)
        else:
            _layers(cast(nn.Module, getattr(given, name)), child)


def _logistics(tables: Tables) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the logistic that each table holds, from its distribution function on both sides of zero."""
    means, deviations = [], []
    for start, end in zip(tables.start, tables.start[1:]):
        share = tables.frequencies[start + 1:end].astype(np.float64) / TOTAL
        zero = len(share) // 2
        below, upto = (np.clip(share[:n].sum(), 1e-7, 1 - 1e-7) for n in (zero, zero + 1))
        low, high = (float(np.log(p / (1 - p))) for p in (below, upto))
        means.append(0.5 - high / (high - low))
        deviations.append(LOGISTIC / (high - low))
    return torch.tensor(means), torch.tensor(deviations)


@torch.no_grad()
def soft(given: IntegerPrior) -> Prior:
    """The model that `IntegerPrior.from_prior` was made of, but for rounding; frozen."""
    out = Prior(given.config)
    graph = cast(Graph, given.graph)
    _layers(graph, out.graph)
    for level, integer in zip(out.graph.levels, graph.levels):
        cast(Level, level).phase.copy_(cast(Level, integer).phase / 64)
    for table, whole in zip(out.graph.quality, graph.quality):
        table.copy_(whole / (64 * 256))
    mean, deviation = _logistics(given.side_tables)
    out.side_mean.copy_(mean + torch.from_numpy(given.side_mean))
    out.side_scale.copy_(torch.log(torch.expm1((deviation - FLOOR).clamp(min=1e-3))))
    return out.requires_grad_(False).eval()

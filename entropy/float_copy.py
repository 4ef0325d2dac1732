"""The integer model in floating point again, for gradients: what an encoder needs to search.

A weights file holds only the integers. Their floors are left out here, so bits are estimates, within about 1 % of
the coded ones.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from entropy.graph import Context, Graph
from entropy.integer import IntegerLayer, IntegerPrior
from entropy.layers import Layer
from entropy.prior import Prior


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


@torch.no_grad()
def soft(given: IntegerPrior) -> Prior:
    """The model that `IntegerPrior.from_prior` was made of, but for rounding; frozen."""
    out = Prior(given.config)
    graph = cast(Graph, given.graph)
    _layers(graph, out.graph)
    for level, integer in zip((out.graph.side, *out.graph.levels), (graph.side, *graph.levels), strict=True):
        cast(Context, level).phase.copy_(cast(Context, integer).phase / 64)
    for table, whole in zip(out.graph.quality, graph.quality):
        table.copy_(whole / (64 * 256))
    return out.requires_grad_(False).eval()

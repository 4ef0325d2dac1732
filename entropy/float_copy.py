"""The integer model in floating point again, for gradients: what an encoder needs to search.

A weights file holds only the integers. Their floors are left out here, so bits are estimates, within about 1 % of
the coded ones.
"""

from __future__ import annotations

import torch

from entropy.blank import Blank
from entropy.exact_layer import IntegerLayer
from entropy.integer import IntegerPrior
from entropy.layers import Layer
from entropy.prior import Prior


def _layer(given: IntegerLayer, out: Layer) -> None:
    """In place: the layer whose rounded form `given` is."""
    scale, shape = torch.exp2(-given.shift), out.shape
    out.conv.weight.copy_(given.weight * scale[:, None, None, None] * (shape.scale_in / shape.scale_out))
    out.conv.bias.copy_((given.bias * scale - 0.5) / shape.scale_out)  # the half that made a floor round


@torch.no_grad()
def float_copy(given: IntegerPrior) -> Prior:
    """The model that `IntegerPrior.from_prior` was made of, but for rounding; frozen."""
    with Blank():
        out = Prior(given.config)
    out = out.float()
    layers = {name: layer for name, layer in out.graph.named_modules() if isinstance(layer, Layer)}
    integers = {name: layer for name, layer in given.graph.named_modules() if isinstance(layer, IntegerLayer)}
    for name, layer in layers.items():
        _layer(integers[name], layer)
    for level, whole in zip((out.graph.side, *out.graph.levels), (given.graph.side, *given.graph.levels), strict=True):
        level.phase.copy_(whole.phase / 64)
    for table, whole_table in zip(out.graph.quality, given.graph.quality):
        table.copy_(whole_table / (64 * 256))
    return out.requires_grad_(False).eval()

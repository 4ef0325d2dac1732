"""Networks that treat each position by itself, a few rows at a time and in place.

Memory costs as much as arithmetic: what lies between two layers is kept small enough to stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STRIP = 4096  #: positions per strip and thread; keeps intermediates in L2 cache


def strips(x: Tensor) -> range:
    """First rows of the strips of x (N,C,H,W); the step is their height."""
    return range(0, x.shape[2], max(1, STRIP * torch.get_num_threads() // (len(x) * x.shape[3])))


def residual(
    x: Tensor, mix: Callable[[Tensor, Tensor], Tensor], spread: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """mix(spread(x), x), N,C,H,W, where spread is a 3x3 'same' convolution (None: the identity), and mix, which may
    write to its second argument, treats each position by itself. Without gradients x itself becomes the result, strip
    by strip.
    """
    if torch.is_grad_enabled():
        return mix(spread(x) if spread else x, x)
    tops = strips(x)
    before = x[:, :, :0]  # the row above a strip, as it was
    for top in tops:
        here = x[:, :, top : top + tops.step]
        if spread is None:
            wide = here
        else:
            above = x[:, :, top - before.shape[2] : top]
            done = above.clone()
            above.copy_(before)
            wide = spread(x[:, :, top - before.shape[2] : top + tops.step + 1])[:, :, before.shape[2] :][
                :, :, : here.shape[2]
            ]
            above.copy_(done)
            before = here[:, :, -1:].clone()
        out = mix(wide, here)
        if out is not here:
            here.copy_(out)
    return x


def up(x: Tensor, f: Callable[[Tensor], Tensor], onto: Tensor | None = None) -> Tensor:
    """pixel_shuffle(f(x), 2), added to N,C',2H,2W `onto` (which is overwritten) where that is given. f: N,C,H,W ->
    N,4C',H,W treats each position by itself and gives its channels in `cell_order`: where channels are innermost in
    memory, whole rows of them are moved. Without gradients a few rows at a time.
    """
    n, _, h, w = x.shape
    if torch.is_grad_enabled():
        y = _cells(f(x)).reshape(n, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)
        return y if onto is None else onto.add_(y)
    out, tops = x.new_empty(0), strips(x)
    if onto is not None:
        onto = onto.contiguous(memory_format=torch.channels_last)
        out = onto.permute(0, 2, 3, 1).view(n, h, 2, w, 2, -1)
    for top in tops:
        y = _cells(f(x[:, :, top : top + tops.step]))
        if onto is not None:
            out[:, top : top + tops.step] += y
            continue
        out = out if top else x.new_empty(n, h, 2, w, 2, y.shape[-1])
        out[:, top : top + tops.step] = y
    return out.view(n, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)


def _cells(y: Tensor) -> Tensor:
    """N,4C,H,W in `cell_order` -> N,H,2,W,2,C."""
    n, c, h, w = y.shape
    return y.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, c // 4).transpose(2, 3)


def cell_order(a: Tensor, dim: int = 0) -> Tensor:
    """What `pixel_shuffle` takes, along `dim`, with the positions of a 2x2 cell outside the channels."""
    return a.unflatten(dim, (-1, 4)).transpose(dim, dim + 1).flatten(dim, dim + 1)

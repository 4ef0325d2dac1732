"""What rescaling is to be good at, of which training and the search at use time take the gradient.

>>> a, b = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1)
>>> [round(float(square(d)), 4) for d in (a - b, luma(a - b))]
[0.01, 0.0074]
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.rescale.network import Rescaler

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  #: of BT.601, as MATLAB's rgb2ycbcr has it: 219 levels


class Errors(NamedTuple):
    """Of each photo of a batch, N each: mean squared errors of full scale."""

    luma: Tensor
    colour: Tensor
    small: Tensor


def luma(x: Tensor) -> Tensor:
    """N,3,H,W in 0..1 -> N,1,H,W, without its offset."""
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def bicubic(x: Tensor, scale: int) -> Tensor:
    """Reduced as Pillow and MATLAB do: bicubic, over an area."""
    return F.interpolate(x, scale_factor=1 / scale, mode="bicubic", antialias=True)


def stored(small: Tensor) -> Tensor:
    """Rounded to 8 bits and clipped, with the gradient of the identity."""
    return small + ((small.clamp(0, 1) * 255).round() / 255 - small).detach()


def square(difference: Tensor) -> Tensor:
    """N,C,H,W -> N means of squares."""
    return difference.float().square().mean((1, 2, 3))


def errors(network: Rescaler, x: Tensor, small: Tensor, plain: Tensor) -> Errors:
    """Photos N,3,H,W in 0..1 and their small pictures N,3,h,w, stored and made large again, z dropped; plain: their
    bicubic reductions.
    """
    back = network.inverse(stored(small))
    return Errors(square(luma(back - x)), square(back - x), square(small - plain))


def objective(found: Errors, colour: float, guidance: float, floor: float) -> Tensor:
    """The mean over photos of log errors, which is what a mean of PSNRs is, and the small pictures' error as it is:
    where a small picture looks wrong, nothing that another photo gains makes up for it.

    colour: weight of the error over RGB beside that of luma; guidance: of the small picture's; floor: added to errors
    before their logarithm.
    """
    logs = torch.log(found.luma + floor) + colour * torch.log(found.colour + floor)
    return (logs + guidance * found.small).mean()

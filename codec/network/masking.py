"""Visual masking: an error is seen less where a photo is busy, and more where it is smooth.

So a squared error counts, in rounding by cost, by the activity around it to the power of -0.2: rav1e and x264 weigh
their decisions in the same way by a local variance (rav1e's pull request 2974 to the power of -1/3; x264's adaptive
quantisation). A decoder knows nothing of it.

>>> import torch
>>> bands = [torch.zeros(1, c, 4 << i, 6 << i) for i, c in enumerate((12, 9, 9, 9))]
>>> [tuple(weights.shape) for weights in masks(bands)], float(masks(bands)[0].max())
([(4, 6), (8, 12), (16, 24), (32, 48)], 1.0)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from entropy.config import luma

POWER = -0.2
LEAST = 2 / 64  #: activity, in the transform's units, below which an area is as smooth as can be: two levels
MOST = 3.0  #: a weight lies between 1 / MOST and MOST, before all are scaled to a mean of 1


def masks(bands: list[Tensor]) -> list[Tensor]:
    """Bands 1,C,h,w, coarse to fine -> weights of squared errors of each level, h,w, of a mean of about 1.

    Activity is the energy of luma's details at 1/8, 1/4 and 1/2 in each 8 x 8 pixels.
    """
    energy = bands[1].new_zeros(bands[1].shape[2:])
    for level, band in enumerate(bands[1:]):
        squared = band[:, luma(band.shape[1])].pow(2).sum(1, keepdim=True)
        cell = 2**level
        energy = energy + F.avg_pool2d(squared, cell)[0, 0] * (cell * cell / 64)
    weight = (energy + LEAST**2) ** POWER
    weight = (weight / weight.log().mean().exp()).clamp(1 / MOST, MOST)
    eighth = (weight / weight.mean())[None, None]
    finer = [eighth[0, 0].repeat_interleave(n, 0).repeat_interleave(n, 1) for n in (1, 2, 4)]
    return [F.avg_pool2d(eighth, 2)[0, 0], *finer]

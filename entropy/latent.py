"""The latent of a picture: the integers that a file holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CLIP = 32767  #: coefficients and side values are clipped to this by the encoder


class Latent(NamedTuple):
    """What a file holds: side latent (side,h,w) and the coefficients of the four levels (C,h,w), coarse to fine, all
    int32. On the way into `IntegerPrior.encode` coefficients may be float32: not rounded yet.
    """

    side: np.ndarray
    k: list[np.ndarray]

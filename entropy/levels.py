"""Numbers of the 39 band channels, cut into those of the four levels, coarse to fine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from entropy.config import BANDS


def by_level(values: Tensor) -> list[Tensor]:
    """N,39 -> N,C,1,1 of each level: what is multiplied with its bands."""
    return list(values[:, :, None, None].split(BANDS, 1))


def arrays_by_level(values: NDArray[Any]) -> list[NDArray[Any]]:
    """39 or 39,... -> C or C,... of each level."""
    return np.split(values, np.cumsum(BANDS)[:-1])

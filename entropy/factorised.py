"""The side latent as weights of format 1 have it: one table a channel, no context. Files made with them decode for ever."""

from __future__ import annotations

import numpy as np

from entropy.coder import Coder, Models
from entropy.tables import Tables

LARGEST_MEAN = 32767


class Factorised:
    """Codes a side latent of C channels; table c is that of channel c, for the residual to mean c."""

    def __init__(self, tables: Tables, mean: np.ndarray):
        """mean: C integers. ValueError where these do not belong together."""
        tables.check()
        if mean.shape != (len(tables.start) - 1,):
            raise ValueError("tables of the side latent of the wrong number")
        if np.abs(mean.astype(np.int64)).max() > LARGEST_MEAN:
            raise ValueError("means of the side latent beyond the range of its values")
        self.models, self.mean = Models(tables), mean.astype(np.int32)

    def code(self, coder: Coder, shape: tuple[int, ...], given: np.ndarray | None) -> np.ndarray:
        """shape: C,h,w. The values, int32: those given, or what the coder reads."""
        count = shape[1] * shape[2]
        ids, base = np.repeat(np.arange(shape[0]), count), np.repeat(self.mean, count)
        values = coder.code(self.models, ids, None if given is None else given.reshape(-1) - base) + base
        return values.reshape(shape).astype(np.int32)

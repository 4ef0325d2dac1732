"""Rounding by rate and distortion, one coefficient at a time.

Rate-distortion optimised quantisation (RDOQ). An entropy-coded scalar quantiser is best when a boundary lies not in the
middle between two values but where the bits of the dearer one are worth the error of the cheaper one (Sullivan,
"Efficient scalar quantization of exponential and Laplacian random variables", 1996). Here the bits are those of the
coder's own table, known when the walk comes by.
"""

from __future__ import annotations

import numpy as np

from entropy.tables import TOTAL, Tables

ESCAPE_BITS = 40.0  #: about what a value outside its table costs


class Rounding:
    """Rounds coefficients to the nearest integer or to the next one toward zero."""

    def __init__(self, tables: Tables):
        self.start, self.reach = tables.start[:-1], tables.reach
        self.bits = (np.log2(TOTAL) - np.log2(tables.frequencies)).astype(np.float32)

    def cost(self, ids: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """Bits of n residuals (value less base) under n tables, float32."""
        reach = self.reach[ids]
        inside = np.abs(residuals) <= reach
        return np.where(inside, self.bits[self.start[ids] + np.where(inside, residuals + reach + 1, 0)], ESCAPE_BITS)

    def __call__(self, y: np.ndarray, base: np.ndarray, ids: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """n coefficients in steps, the integer parts of their means, tables, and bits that a squared step is worth ->
        n int32.
        """
        k = np.rint(y).astype(np.int32)
        at = np.flatnonzero(k)  # zero stays zero
        y, near = y[at], k[at]
        toward = near - np.sign(near)
        ids, base = ids[at], base[at]
        saved = self.cost(ids, near - base) - self.cost(ids, toward - base)
        worse = weight[at] * ((y - toward) ** 2 - (y - near) ** 2)
        k[at] = np.where(worse < saved, toward, near)
        return k

"""Integer tables of the coder, made once at export; they are weights, and no decoder ever makes them again.

A table is a logistic of one deviation around one fraction of the mean, as frequencies that sum to 2^20, over
the residuals -R..R with an escape symbol in front.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TOTAL = 1 << 20
SCALES = 47  #: scale indices; 0 is never coded (the symbol is zero)
LOG2_SMALLEST = -3.5  #: log2 of the lower edge of scale index 0; an index is a quarter of an octave
LOGISTIC = 1.8138  #: pi / sqrt(3): deviation over scale of a logistic
FLOOR = 0.08  #: smallest deviation that the likelihood sees, in steps
EIGHTHS = 8  #: means are known to an eighth of a step


class Tables(NamedTuple):
    """All tables in one: table i is frequencies[start[i]:start[i + 1]], escape first, then -R..R."""

    frequencies: np.ndarray  #: uint32
    start: np.ndarray  #: int32, one more than there are tables
    first: np.ndarray  #: int32 per scale index: its first table
    fractions: np.ndarray  #: int32 per scale index: how many fractions of the mean it tells apart (1, 2, 4, 8)

    @property
    def reach(self) -> np.ndarray:
        """R of each table."""
        return (np.diff(self.start) - 2) // 2

    def check(self) -> None:
        """ValueError unless these are whole tables that sum to TOTAL, and each scale's are there."""
        lengths = np.diff(self.start)
        if (
            len(lengths) == 0
            or self.start[0] != 0
            or self.start[-1] != len(self.frequencies)
            or (lengths < 4).any()
            or (lengths % 2).any()
            or (self.frequencies < 1).any()
            or (np.add.reduceat(self.frequencies.astype(np.int64), self.start[:-1]) != TOTAL).any()
        ):
            raise ValueError("tables are not whole")
        if (
            len(self.first) != len(self.fractions)
            or (self.first < 0).any()
            or not np.isin(self.fractions, (1, 2, 4, 8)).all()
            or (self.first + self.fractions > len(lengths)).any()
        ):
            raise ValueError("tables of a scale are missing")


def logistic(deviation: float, offset: float) -> np.ndarray:
    """Frequencies (uint32, 2 R + 2 of them) of one table: a logistic of this deviation (steps) for a residual around
    `offset` (-1/2..1/2 steps).
    """
    rate = LOGISTIC / deviation
    # beyond R less than 2^-15 of the mass on each side: an escape costs some 30 bits
    reach = max(1, int(np.ceil(10.4 / rate)))
    edges = np.arange(-reach, reach + 2) - 0.5 - offset
    # 1 / (1 + e^-x) by tanh: no overflow
    mass = np.diff(0.5 + 0.5 * np.tanh(0.5 * edges * rate))
    weights = np.concatenate(([max(1 - mass.sum(), 2.0**-18)], mass))
    frequencies: NDArray[np.int64] = np.maximum(1, np.floor(weights / weights.sum() * (TOTAL - len(weights)))).astype(
        np.int64
    )
    frequencies[1 + np.argmax(mass)] += TOTAL - frequencies.sum()
    return frequencies.astype(np.uint32)


def join(tables: list[np.ndarray], first: list[int], fractions: list[int]) -> Tables:
    """Tables (uint32 frequencies) one after the other; first, fractions: of each scale index, as in `Tables`."""
    start = np.cumsum([0, *map(len, tables)])
    return Tables(
        np.concatenate(tables), start.astype(np.int32), np.array(first, np.int32), np.array(fractions, np.int32)
    )


def logistic_tables() -> Tables:
    """The tables of all values: finer fractions of the mean where the scale is small."""
    tables: list[np.ndarray] = []
    first, fractions = [0], [1]
    for index in range(1, SCALES):
        deviation = float(np.hypot(FLOOR, 2.0 ** (LOG2_SMALLEST + (index + 0.5) / 4)))
        count = 8 if deviation < 1 else 4 if deviation < 4 else 2 if deviation < 16 else 1
        first.append(len(tables))
        fractions.append(count)
        width = EIGHTHS // count
        tables += [logistic(deviation, (i * width + (width - 1) / 2) / EIGHTHS - 0.5) for i in range(count)]
    return join(tables, first, fractions)

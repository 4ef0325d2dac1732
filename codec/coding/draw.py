"""z, the standard normal noise that stands in for what was lost: which number each coefficient draws.

Where a file is decoded at a temperature above 0, the lost part of every coefficient is drawn. What is drawn depends on
the seed and on where the coefficient lies in the picture, never on the tiles or on the part that is decoded. A file
names the version of the draw that it was made for (chunk `drAw`), so that it gives the same picture for ever;
docs/format.md specifies both versions.

    >>> draw(7, 0, Box(0, 0, 32, 32), 1).shape
    (12, 2, 2)
"""

from __future__ import annotations

import functools
import statistics

import numpy as np
from numpy.typing import NDArray

from codec.container.grid import Box
from codec.errors import InputError
from entropy.config import BANDS

VERSION = 1  #: of the draw, in files written now
CELL = 512  #: pixels a side that version 0 draws at once
STEP = 0x9E3779B97F4A7C15  #: from word to word of a row, odd and near 2^64 divided by the golden ratio
SLAB = 1 << 14  #: words made at once, so that they stay in the processor's L2 cache
LANES = 4  #: coefficients that share a word of 64 bits, 16 bits each


def check(version: int) -> None:
    """InputError where a file names a version of the draw that is newer than this decoder."""
    if version > VERSION:
        raise InputError(
            f"the file's noise is drawn by version {version}, this irc knows up to {VERSION}: "
            "a newer irc is needed, or a temperature of 0"
        )


def draw(seed: int, level: int, window: Box, version: int) -> NDArray[np.float32]:
    """z of a level (0: the coarsest) in a window (pixels, multiples of 32): C,h,w standard normal.

    Each coefficient draws the same number whatever the window. Raises InputError where the version is not known,
    ValueError where the seed is negative or (version 1) above 65535.
    """
    check(version)
    return _from_counters(seed, level, window) if version else _from_numpy(seed, level, window)


def _from_numpy(seed: int, level: int, window: Box) -> NDArray[np.float32]:
    """Version 0, of files that name none: numpy's ziggurat over its PCG64, anew for each cell of 512 x 512 pixels.

    Numpy keeps the bits of PCG64 but does not promise what `Generator.standard_normal` makes of them: if a release
    changes it, the golden values in tests/test_draw.py say so, and what it does today has to be written out here.
    """
    unit, channels = 16 >> level, BANDS[level]
    out = np.empty((channels, window.height // unit, window.width // unit), np.float32)
    for row in range(window.top // CELL, -(-window.bottom // CELL)):
        for column in range(window.left // CELL, -(-window.right // CELL)):
            cell = Box(row * CELL, column * CELL, (row + 1) * CELL, (column + 1) * CELL)
            random = np.random.Generator(np.random.PCG64([seed, level, row, column]))
            drawn = random.standard_normal((channels, CELL // unit, CELL // unit), np.float32)
            if here := cell.meet(window):
                out[:, *here.within(window, unit)] = drawn[:, *here.within(cell, unit)]
    return out


def _from_counters(seed: int, level: int, window: Box) -> NDArray[np.float32]:
    """Version 1: bits by SplitMix64 from the place of a coefficient, made normal by a table."""
    if not 0 <= seed <= 65535:
        raise ValueError(f"seed must be in 0..65535, not {seed}")
    unit, channels, table = 16 >> level, BANDS[level], quantiles()
    left, right = window.left // unit, window.right // unit
    rows = np.arange(window.top // unit, window.bottom // unit, dtype=np.uint64)
    words = np.arange(left // LANES + 1, -(-right // LANES) + 1, dtype=np.uint64) * np.uint64(STEP)
    lanes = slice(left % LANES, left % LANES + right - left)
    slab = max(1, SLAB // len(words))
    out = np.empty((channels, len(rows), right - left), np.float32)
    for channel in range(channels):
        keys = mixed(rows | np.uint64(seed << 38 | level << 36 | channel << 32))
        for at in range(0, len(rows), slab):
            bits = mixed(keys[at : at + slab, None] + words).astype("<u8", copy=False).view("<u2")
            # indices of 16 bits are never out of range: "clip" spares take a copy of its output
            np.take(table, bits[:, lanes], out=out[channel, at : at + slab], mode="clip")
    return out


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64, in place: each bit of what goes in decides over every bit of what comes out.

    Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators (OOPSLA 2014), `mix64variant13`.
    """
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)
    return x


@functools.cache
def quantiles() -> NDArray[np.float32]:
    """65536 float32: entry i is the standard normal's quantile of (i + 1/2) / 2^16, rounded to a multiple of 2^-20.

    None of them lies nearer than 10^-11 to the middle between two multiples and `inv_cdf` errs by less than 10^-14, so
    every machine makes the same table.
    """
    inverse = statistics.NormalDist().inv_cdf
    upper = np.array([round(inverse((2 * i + 1) / 2**17) * 2**20) for i in range(2**15, 2**16)], np.float32)
    return np.concatenate((-upper[::-1], upper)) * np.float32(2.0**-20)

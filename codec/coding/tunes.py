"""What a file is tuned for, and what that makes of its steps.

>>> TUNES["psnr"].steps(75 * 256, smooth=False) is None, len(TUNES["visual"].steps(75 * 256, smooth=False).offsets)
(True, 39)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.container import steps
from codec.container.bitstream import QUALITY_UNIT
from codec.container.steps import Steps
from codec.pictures.formats import Pixels
from entropy.config import BANDS

#: What `visual` adds to the steps, in sixteenths of an octave, chosen on held-out photos (docs/experiments.md).
#: Columns: luma of the low band and of the details at 1/16, 1/8, 1/4, 1/2, then chroma of the same.
VISUAL = {
    0: (4, 4, 2, -1, -9, 0, 0, -2, -5, -12),
    20: (4, 4, 2, -1, -9, 0, 0, -2, -5, -12),
    40: (5, 5, 3, 0, -8, 1, 1, -1, -4, -11),
    60: (6, 6, 4, 1, -7, 2, 2, 0, -3, -10),
    80: (7, 7, 5, 2, -6, 3, 3, 1, -2, -9),
    90: (4, 4, 3, 1, -2, 2, 2, 1, -1, -4),
    100: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
}
#: What a smooth picture has at least, whatever it is tuned for, in the same columns: steps of the low band show as
#: spots in gradients, and where an edge cuts a gradient off the coarse details matter. Neither costs much there.
SMOOTH = {
    0: (33, 26, 26, 0, 0, 33, 26, 26, 0, 0),
    20: (27, 22, 22, 0, 0, 27, 22, 22, 0, 0),
    40: (15, 12, 12, 0, 0, 15, 12, 12, 0, 0),
    60: (9, 7, 7, 0, 0, 9, 7, 7, 0, 0),
    100: (9, 7, 7, 0, 0, 9, 7, 7, 0, 0),
}
CURVED = 6  #: levels of curvature; noise of one level has 4 at most, and rounding adds to it
FEW = 0.005  #: share of samples that may have more


def _at(quality: int, table: Mapping[int, tuple[int, ...]]) -> list[int]:
    """A row of a table at a quality (in 1/256), interpolated and rounded."""
    columns = np.array([*table.values()], float).T
    return [round(float(np.interp(quality / QUALITY_UNIT, [*table], column))) for column in columns]


@dataclass(frozen=True)
class Tune:
    """One of the things that a file may be tuned for."""

    number: int  #: in the file
    masked: bool = False  #: whether errors count by what the eye sees of them

    def steps(self, quality: int, smooth: bool) -> Steps | None:
        """What a file of a quality (in 1/256) says of its steps, None where they are those of the weights; smooth:
        whether the picture is.
        """
        row = _at(quality, VISUAL) if self.masked else [0] * 10
        if smooth:
            row = [max(pair) for pair in zip(row, _at(quality, SMOOTH))]
        if not any(row):
            return None
        offsets = []
        for level, count in enumerate(BANDS):
            for channel in range(count):
                # the first three channels of the coarsest level are the low band
                column = level + 1 if level or channel >= 3 else 0
                offsets.append(row[column + 5 * (channel % 3 > 0)])
        return Steps(self.number, tuple(offsets))


TUNES = {name: Tune(number, name == "visual") for number, name in enumerate(steps.TUNES)}


def is_smooth(colour: Pixels) -> bool:
    """Whether a picture (H,W or H,W,3) is flat or a gradient, but for noise of one level and a few edges."""
    few = FEW * colour.size
    curved = 0
    for axis in (0, 1):
        # a few rows at a time: most pictures are found out at once
        for top in range(0, colour.shape[0], 64):
            part: NDArray[np.int32] = colour[top : top + 66 if axis == 0 else top + 64].astype(np.int32)
            bend = np.abs(np.diff(part, 2, axis))
            curved += int((bend > CURVED * (257 if colour.dtype == np.uint16 else 1)).sum())
            if curved > few:
                return False
    return True

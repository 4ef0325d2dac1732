"""The quality that meets a target, in few passes over the picture.

>>> sizes = lambda quality: 1000 * 2 ** (quality / 5000)
>>> search(sizes, 5000, True, "size")
11609
>>> sizes(11609) <= 5000, sizes(11610) <= 5000
(True, False)
"""

from __future__ import annotations

import math
from collections.abc import Callable

from codec.container.bitstream import QUALITY_STEPS
from codec.errors import TargetError

SIZE_SLOPE = 3.5 / QUALITY_STEPS  #: what a step adds to the logarithm of the size, about
PSNR_SLOPE = 20 / QUALITY_STEPS  #: and to the PSNR, in dB
SCORE_SLOPE = 60 / QUALITY_STEPS  #: and to SSIMULACRA2
PASSES = 9  #: as a rule; halving alone takes 16
PATIENCE = 10  #: passes after which what is left is halved, whatever the curve is like
LARGEST = 120.0  #: dB; a picture that comes back unchanged has an infinite PSNR


def search(measure: Callable[[int], float], target: float, at_most: bool, what: str, slope: float | None = None) -> int:
    """A quality, in the header's units, whose measure is at most the target while the next one's is not; or one whose
    measure reaches it while that of the one before does not.

    That is the highest, or the lowest, where the measure grows with every step, as sizes (whose logarithm is nearly
    linear in the quality) and PSNRs do but for a few bytes. slope: what a step adds, about (None: as a size or a PSNR).
    TargetError names the nearest value that can be had.
    """

    def distance(value: float) -> float:
        return math.log(value / max(target, 1e-9)) if at_most else min(value, LARGEST) - target

    slope = slope or (SIZE_SLOPE if at_most else PSNR_SLOPE)
    low, high = -1, QUALITY_STEPS + 1  # `low` is short of the target, `high` beyond it; neither has been measured yet
    at_low = at_high = math.nan
    quality, passes, repeated, before = QUALITY_STEPS // 2, 0, 0, 0
    while high - low > 1:
        value = measure(quality)
        passes += 1
        side = 1 if (value > target if at_most else value >= target) else -1
        repeated, before = repeated + 1 if side == before else 0, side
        if side < 0:
            low, at_low = quality, distance(value)
        else:
            high, at_high = quality, distance(value)
        if at_most and high == 0:
            raise TargetError(f"{what} {target:g} cannot be reached: the least is {value:g}", value)
        if not at_most and low == QUALITY_STEPS:
            raise TargetError(f"{what} {target:g} cannot be reached: the most is {value:g}", value)
        if passes >= PATIENCE:
            quality = (low + high) // 2
        else:
            short = min(at_high - slope * (high - low), -1e-9) if low < 0 else at_low
            beyond = max(at_low + slope * (high - low), 1e-9) if high > QUALITY_STEPS else at_high
            # Regula falsi: the zero of the straight line through both ends. It overshoots by 4^n after n steps on one
            # side, so that both ends move.
            quality = round(low + (high - low) * short / (short - beyond)) - side * 4**repeated
        quality = min(max(quality, low + 1, 0), high - 1, QUALITY_STEPS)
    return low if at_most else high

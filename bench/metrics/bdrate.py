"""BD-rate: the mean change of rate at equal quality, by PCHIP of log-rate over a measure of quality."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from bench.errors import NotComparable

__all__ = ["MIN_POINTS", "BdRate", "bd_rate"]

MIN_POINTS = 4


class BdRate(NamedTuple):
    """A BD-rate in per cent (minus is better) and the interval of quality that it is over."""

    percent: float
    low: float
    high: float


def bd_rate(
    anchor_bpp: Sequence[float],
    anchor_quality: Sequence[float],
    test_bpp: Sequence[float],
    test_quality: Sequence[float],
    band: tuple[float, float] | None = None,
) -> BdRate:
    """Return by how many per cent the test curve needs more rate than the anchor.

    Quality is PSNR in dB, or another measure that grows with quality. The mean is over the range that both curves
    cover; with `band`, over the part of the band that both cover. Raises `NotComparable` for a curve of
    fewer than four points, for points that make no curve, and where nothing is covered by both.
    """
    anchor_log, anchor_at = _prepare("the anchor", anchor_bpp, anchor_quality)
    test_log, test_at = _prepare("the curve", test_bpp, test_quality)
    low = max(anchor_at[0], test_at[0])
    high = min(anchor_at[-1], test_at[-1])
    if band is not None:
        if not band[0] < band[1]:
            raise NotComparable(f"the band {band[0]:g}-{band[1]:g} is empty")
        low, high = max(low, band[0]), min(high, band[1])
    if not low < high:
        where = "" if band is None else f" in {band[0]:g}-{band[1]:g}"
        raise NotComparable(f"no quality is covered by both curves{where}")
    difference = (
        PchipInterpolator(test_at, test_log).integrate(low, high)
        - PchipInterpolator(anchor_at, anchor_log).integrate(low, high)
    ) / (high - low)
    return BdRate(float(100 * np.expm1(difference)), float(low), float(high))


def _prepare(
    which: str, bpp: Sequence[float], values: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log-rates and qualities, sorted by quality."""
    rate, quality = np.asarray(bpp, np.float64), np.asarray(values, np.float64)
    if rate.ndim != 1 or rate.shape != quality.shape:
        raise NotComparable(f"{which} has {rate.size} rates and {quality.size} qualities")
    if rate.size < MIN_POINTS:
        raise NotComparable(f"{which} has {rate.size} points, {MIN_POINTS} are needed")
    if not (np.isfinite(rate).all() and np.isfinite(quality).all() and (rate > 0).all()):
        raise NotComparable(f"{which} has a rate or a quality that is not a positive finite number")
    order = np.argsort(quality, kind="stable")
    rate, quality = rate[order], quality[order]
    if (np.diff(quality) <= 0).any():
        raise NotComparable(f"{which} has two points of the same quality")
    return np.log(rate), quality

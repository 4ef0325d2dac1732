"""BD-rate: the mean change of rate at equal quality, by PCHIP of log-rate over PSNR."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from bench.errors import NotComparable

__all__ = ["BAND", "MIN_POINTS", "BdRate", "bd_rate"]

BAND = (29.5, 36.5)
"""The PSNR band, in dB, that nearly every published Kodak curve covers."""

MIN_POINTS = 4


class BdRate(NamedTuple):
    """A BD-rate in per cent (minus is better) and the PSNR interval that it is over."""

    percent: float
    low: float
    high: float


def bd_rate(
    anchor_bpp: Sequence[float],
    anchor_psnr: Sequence[float],
    test_bpp: Sequence[float],
    test_psnr: Sequence[float],
    band: tuple[float, float] | None = None,
) -> BdRate:
    """Return by how many per cent the test curve needs more rate than the anchor.

    The mean is over the PSNR range that both curves cover; with `band`, over the part of the
    band that both cover. Raises `NotComparable` for a curve of fewer than four points, for
    points that make no curve, and where nothing is covered by both.
    """
    anchor_log, anchor_quality = _prepare("the anchor", anchor_bpp, anchor_psnr)
    test_log, test_quality = _prepare("the curve", test_bpp, test_psnr)
    low = max(anchor_quality[0], test_quality[0])
    high = min(anchor_quality[-1], test_quality[-1])
    if band is not None:
        if not band[0] < band[1]:
            raise NotComparable(f"the band {band[0]:g}-{band[1]:g} dB is empty")
        low, high = max(low, band[0]), min(high, band[1])
    if not low < high:
        where = "" if band is None else f" in {band[0]:g}-{band[1]:g} dB"
        raise NotComparable(f"no PSNR is covered by both curves{where}")
    difference = (
        PchipInterpolator(test_quality, test_log).integrate(low, high)
        - PchipInterpolator(anchor_quality, anchor_log).integrate(low, high)
    ) / (high - low)
    return BdRate(float(100 * np.expm1(difference)), float(low), float(high))


def _prepare(
    which: str, bpp: Sequence[float], psnr: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log-rates and qualities, sorted by quality."""
    rate, quality = np.asarray(bpp, np.float64), np.asarray(psnr, np.float64)
    if rate.ndim != 1 or rate.shape != quality.shape:
        raise NotComparable(f"{which} has {rate.size} rates and {quality.size} qualities")
    if rate.size < MIN_POINTS:
        raise NotComparable(f"{which} has {rate.size} points, {MIN_POINTS} are needed")
    if not (np.isfinite(rate).all() and np.isfinite(quality).all() and (rate > 0).all()):
        raise NotComparable(f"{which} has a rate or a PSNR that is not a positive finite number")
    order = np.argsort(quality, kind="stable")
    rate, quality = rate[order], quality[order]
    if (np.diff(quality) <= 0).any():
        raise NotComparable(f"{which} has two points of the same PSNR")
    return np.log(rate), quality

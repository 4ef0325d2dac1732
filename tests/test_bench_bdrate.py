"""BD-rate on curves whose answer is known, and on the published ones."""

import math

import pytest

pytest.importorskip("scipy")

from bench.errors import BenchError, NotComparable
from bench.metrics.bdrate import bd_rate
from bench.metrics.curves import find_curve, load_published
from bench.metrics.measures import PSNR_BAND

BPP = [0.1, 0.2, 0.4, 0.8, 1.6]
PSNR = [27.0, 30.0, 33.5, 36.0, 39.0]


def test_rates_scaled_by_a_factor():
    result = bd_rate(BPP, PSNR, [0.8 * rate for rate in BPP], PSNR)
    assert result.percent == pytest.approx(-20)
    assert (result.low, result.high) == (27.0, 39.0)


def test_order_of_points_is_no_matter():
    assert bd_rate(BPP, PSNR, BPP[::-1], PSNR[::-1]).percent == pytest.approx(0, abs=1e-9)


def test_exponential_curve_shifted_in_quality():
    # log-rate linear in PSNR: half a decibel less is a constant factor of rate
    rates = [math.exp(0.2 * quality) for quality in PSNR]
    result = bd_rate(rates, PSNR, rates, [quality - 0.5 for quality in PSNR], PSNR_BAND)
    assert result.percent == pytest.approx(100 * (math.exp(0.1) - 1))
    assert (result.low, result.high) == PSNR_BAND


@pytest.mark.parametrize(
    ("bpp", "psnr", "why"),
    [
        (BPP[:3], PSNR[:3], "3 points"),
        (BPP, [quality + 20 for quality in PSNR], "no quality is covered"),
        (BPP, PSNR[:4], "5 rates and 4"),
        ([0.0, *BPP[1:]], PSNR, "positive finite"),
        (BPP, [*PSNR[:4], math.inf], "positive finite"),
        (BPP, [*PSNR[:4], PSNR[0]], "same quality"),
    ],
)
def test_refusals(bpp, psnr, why):
    with pytest.raises(NotComparable, match=why):
        bd_rate(BPP, PSNR, bpp, psnr)


def test_band_outside_or_empty_is_refused():
    with pytest.raises(NotComparable, match="in 50-60"):
        bd_rate(BPP, PSNR, BPP, PSNR, (50, 60))
    with pytest.raises(NotComparable, match="is empty"):
        bd_rate(BPP, PSNR, BPP, PSNR, (36, 30))


@pytest.mark.parametrize(
    ("key", "in_band", "common"),
    [
        ("webp", 45.9, 44.2),
        ("jpeg", 129.4, 143.0),
        ("vtm", -21.4, -18.0),
        ("bpg444", 0.0, 0.0),
        ("bpg444-tfc", -1.8, -1.3),
        ("bmshj2018-hyperprior", 4.1, 3.9),
        ("tcm-small", -26.3, -25.7),
    ],
)
def test_published_curves(key, in_band, common):
    published = load_published()
    anchor, curve = published["bpg444"], published[key]
    for band, expected in ((PSNR_BAND, in_band), (None, common)):
        result = bd_rate(anchor.bpp, anchor.quality, curve.bpp, curve.quality, band)
        assert round(result.percent, 1) == expected


def test_every_published_curve_names_its_source():
    published = load_published()
    assert len(published) == 49
    assert all(curve.source and curve.published for curve in published.values())


def test_unknown_curve():
    with pytest.raises(BenchError, match="no curve is called 'measured:vtm'"):
        find_curve("measured:vtm", load_published(), [])

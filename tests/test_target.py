"""Searching a quality for a size or a PSNR: the same answer as trying them all, in few passes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import codec
from codec.coding import quality_search, windows
from codec.container.bitstream import QUALITY_STEPS
from codec.errors import InputError, TargetError
from codec.metrics.ssimulacra2 import ssimulacra2
from codec.pictures.hidden import filled

PHOTO = np.array(Image.open(Path(__file__).parent.parent / "examples/photo.jpg"))[200:264, 300:396]


def curve(seed: int, noise: float) -> Callable[[int], float]:
    """Sizes by quality as photos have them: bent, with a jump where a band joins, and not quite monotone."""
    rng = random.Random(seed)
    start, slope, bend = rng.uniform(7, 10), rng.uniform(2.8, 4.2), rng.uniform(-0.4, 0.4)
    jumps = [(rng.randrange(QUALITY_STEPS), rng.uniform(0, 0.01)) for _ in range(12)]

    def size(quality: int) -> float:
        x = quality / QUALITY_STEPS
        log_size = start + slope * (x + bend * x * (1 - x)) + sum(by for at, by in jumps if quality >= at)
        return int(math.exp(log_size) + random.Random(seed * 30000 + quality).gauss(0, noise))

    return size


class Counted:
    def __init__(self, measure: Callable[[int], float]) -> None:
        self.measure, self.seen = measure, list[int]()

    def __call__(self, quality: int) -> float:
        assert 0 <= quality <= QUALITY_STEPS
        self.seen.append(quality)
        return self.measure(quality)


@pytest.mark.parametrize("noise", [0, 30])
def test_sizes(noise: float) -> None:
    rng, passes = random.Random(1), []
    for seed in range(150):
        size = curve(seed, noise)
        wanted = size(rng.randrange(10, QUALITY_STEPS - 10)) + rng.choice((-1, 0, 0, 1))
        measure = Counted(size)
        found = quality_search.search(measure, wanted, True, "size")
        assert size(found) <= wanted < size(found + 1)
        if not noise:  # the only such quality is the highest that fits
            assert all(size(q) > wanted for q in range(found + 1, min(found + 200, QUALITY_STEPS)))
        assert len(set(measure.seen)) == len(measure.seen)
        passes.append(len(measure.seen))
    assert sum(passes) / len(passes) < quality_search.PASSES
    assert max(passes) <= quality_search.PATIENCE + 15


@pytest.mark.parametrize("wanted", [0.0, 20.0, 25.0, 33.3, 44.9, 45.5, 48.0])
def test_psnr(wanted: float) -> None:
    def psnr(quality: int) -> float:  # plateaus, and in the end the picture itself
        return 25 + quality // 50 * 0.04 if quality < 25500 else math.inf

    measure = Counted(psnr)
    found = quality_search.search(measure, wanted, False, "PSNR")
    assert found == next(q for q in range(QUALITY_STEPS + 1) if psnr(q) >= wanted)
    assert len(measure.seen) <= quality_search.PATIENCE + 15


@pytest.mark.parametrize(
    ("wanted", "found"), [(1e9, QUALITY_STEPS), (100, 0), (103, 0), (104, 1), (103 + 3e9, QUALITY_STEPS)]
)
def test_ends(wanted: float, found: int) -> None:
    assert quality_search.search(lambda q: 100 + 4 * q, wanted, True, "size") == found


@pytest.mark.parametrize("wanted", [-5, 0, 99])
def test_no_quality_is_small_enough(wanted: float) -> None:
    with pytest.raises(TargetError, match=f"size {wanted} cannot be reached: the least is 100") as error:
        quality_search.search(lambda q: 100 + q, wanted, True, "size")
    assert error.value.nearest == 100


def test_no_quality_is_good_enough() -> None:
    with pytest.raises(TargetError, match="PSNR 46 cannot be reached: the most is 45"):
        quality_search.search(lambda q: 25 + 20 * q / QUALITY_STEPS, 46, False, "PSNR")


@pytest.mark.parametrize("measure", [
    lambda q: 1000.0, lambda q: 1000.0 if q < 7 else 2000.0, lambda q: 1.0 if q < 25600 else 1e12,
    lambda q: 1000.0 + (q > 12800), lambda q: 500 + 2.0 ** (q / 800)])  # fmt: skip
def test_curves_of_other_shapes(measure: Callable[[int], float]) -> None:
    counted = Counted(measure)
    found = quality_search.search(counted, 1000, True, "size")
    assert measure(found) <= 1000 and (found == QUALITY_STEPS or measure(found + 1) > 1000)
    assert len(counted.seen) <= quality_search.PATIENCE + 15


@pytest.mark.parametrize("options", [{"size": 1800}, {"bpp": 1.5}, {"psnr": 36.0}], ids=str)
def test_the_transform_of_a_picture_of_one_tile_runs_once(
    options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[object] = []
    original = windows.bands
    monkeypatch.setattr(windows, "bands", lambda *given: runs.append(given) or original(*given))
    data = codec.encode(PHOTO, **options)
    assert len(runs) == 1
    quality = codec.info(data)["quality"]
    assert codec.encode(PHOTO, quality) == data
    beside = codec.encode(PHOTO, quality + (-1 if "psnr" in options else 1) / 256)
    if "psnr" in options:
        error = [(codec.decode(d, array=True).astype(float) - PHOTO) ** 2 for d in (beside, data)]
        assert error[0].mean() > 255**2 / 10**3.6 >= error[1].mean()
    else:
        limit = options.get("size", 1.5 * 64 * 96 / 8)
        assert len(data) <= limit < len(beside)


@pytest.mark.parametrize("shape", ["RGB", "grey", "16 bits", "alpha"])
def test_ssimulacra2(shape: str) -> None:
    """The lowest quality whose decoded picture reaches it, by the metric that the bench uses, in 8 bits."""
    photo = PHOTO if shape != "grey" else PHOTO[..., 1]
    if shape == "16 bits":
        photo = photo.astype(np.uint16) * 257
    if shape == "alpha":
        photo = np.dstack([photo, np.where(np.arange(96) < 20, 0, 255)[None].repeat(64, 0)]).astype(np.uint8)

    def score(found: bytes) -> float:
        out = codec.decode(found, array=True)
        if shape == "alpha":
            out = np.where(out[..., 3:] > 0, out, filled(PHOTO, out[..., 3])[..., [0, 1, 2, 2]])
        pair = (filled(PHOTO, photo[..., 3]) if shape == "alpha" else PHOTO, out[..., :3])
        return ssimulacra2(*((np.dstack([a] * 3) for a in (photo, out)) if shape == "grey" else pair))

    wanted = score(codec.encode(photo, 50)) - 0.01
    data = codec.encode(photo, ssimulacra2=wanted)
    quality = codec.info(data)["quality"]
    assert quality <= 50 and score(data) >= wanted > score(codec.encode(photo, quality - 1 / 256))


def test_ssimulacra2_out_of_reach() -> None:
    with pytest.raises(TargetError, match="SSIMULACRA2 100 cannot be reached"):
        codec.encode(PHOTO, ssimulacra2=100)
    with pytest.raises(InputError, match="at least 8 pixels a side"):
        codec.encode(PHOTO[:7], ssimulacra2=50)

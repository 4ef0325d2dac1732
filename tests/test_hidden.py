"""Colour under alpha 0: filled before coding, so that it costs nothing and bleeds nowhere."""

from __future__ import annotations

import numpy as np
import pytest

import codec
from codec.pictures import formats
from codec.pictures.formats import Pixels
from codec.pictures.hidden import filled


def badge(under: str, dtype: type = np.uint8) -> Pixels:
    """A smooth disc with a soft rim on transparency, 160 x 160, with noise or a flat colour under alpha 0."""
    y, x = np.mgrid[:160, :160]
    radius = np.hypot(y - 80, x - 80)
    colour = np.stack([200 - x // 2, 60 + y // 2, np.full_like(x, 40)], 2)
    alpha = np.clip((60 - radius) * 64, 0, 255)
    noise = np.random.default_rng(3).integers(0, 256, colour.shape)
    hidden = noise if under == "noise" else np.zeros_like(colour)
    pixels = np.dstack([np.where(alpha[..., None] > 0, colour, hidden), alpha])
    return (pixels * (257 if dtype == np.uint16 else 1)).astype(dtype)


def test_what_is_seen_stays() -> None:
    pixels = badge("noise")
    colour, alpha = pixels[..., :3], pixels[..., 3]
    out = filled(colour, alpha)
    assert np.array_equal(out[alpha > 0], colour[alpha > 0])
    # the same whatever was hidden, and within the range of what is seen
    assert np.array_equal(out, filled(badge("black")[..., :3], alpha))
    seen = colour[alpha > 0].reshape(-1, 3)
    assert (out >= seen.min(0)).all() and (out <= seen.max(0)).all()
    # smooth, across the rim too
    assert np.abs(np.diff(out.astype(int), axis=0)).max() <= 24


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (5, 6), (33, 31, 3)])
def test_odd_sizes(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    colour = random.integers(0, 256, shape, dtype=np.uint8)
    alpha = (random.random(shape[:2]) < 0.3).astype(np.uint8)
    alpha[0, 0] = 1
    out = filled(colour, alpha)
    assert out.shape == shape and np.array_equal(out[alpha > 0], colour[alpha > 0])


def test_nothing_hidden_and_nothing_seen() -> None:
    colour = badge("noise")[..., :3]
    assert filled(colour, None) is colour
    assert filled(colour, np.ones(colour.shape[:2], np.uint8)) is colour
    assert not filled(colour, np.zeros(colour.shape[:2], np.uint8)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_it_costs_nothing(dtype: type) -> None:
    """As many bytes as the same picture with any other colour there, and a tenth of what the noise took."""
    noisy, black = (codec.encode(badge(under, dtype), 75) for under in ("noise", "black"))
    assert noisy == black
    colour, alpha = formats.split(badge("noise", dtype))
    assert alpha is not None
    assert len(noisy) < len(codec.encode(filled(colour, alpha), 75)) + len(formats.pack_alpha(alpha)) + 100 < 4500
    assert len(codec.encode(np.ascontiguousarray(colour), 75)) > 20_000


def test_no_fringes_at_low_quality() -> None:
    pixels = badge("noise")
    out = codec.decode(codec.encode(pixels, 10), array=True)
    seen = pixels[..., 3] > 0
    assert np.array_equal(out[..., 3], pixels[..., 3])
    assert np.abs(out[..., :3].astype(int) - pixels[..., :3])[seen].max() <= 10


def test_generations_and_psnr() -> None:
    """A decoded picture encodes to its own file, although what is hidden is filled anew; a PSNR is of what is seen."""
    pixels = badge("noise")
    pixels[..., :3] ^= np.random.default_rng(1).integers(0, 8, pixels.shape[:2] + (1,), dtype=np.uint8)
    data = codec.encode(pixels, 40, stable=True)
    assert codec.encode(codec.decode(data, array=True), 40) == data
    out = codec.decode(codec.encode(pixels, psnr=38), array=True)
    error = (out[..., :3].astype(float) - pixels[..., :3])[pixels[..., 3] > 0]
    assert 38 <= 10 * np.log10(255**2 / (error**2).mean()) < 38.1

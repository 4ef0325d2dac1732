"""What a file is tuned for, and pictures that are flat or smooth."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from roundtrip import noise_photo

import codec
from codec.coding.tunes import TUNES, is_smooth
from codec.container import bitstream
from codec.metrics.ssimulacra2 import ssimulacra2
from codec.network.masking import masks
from codec.network.session import open_session
from codec.pictures.beyond import beyond
from codec.pictures.formats import Pixels
from codec.tool.cli import main

Y, X = np.mgrid[:128, :192]


def gradient(noise: int = 0) -> Pixels:
    """A saturated blue sky, with noise of some levels or without."""
    sky = np.stack([60 + 48 * Y / 127, 110 + 65 * Y / 127, 190 + 43 * Y / 127], 2)
    grain = np.random.default_rng(0).integers(-noise, noise + 1, sky.shape)
    return (sky + grain).round().astype(np.uint8)


def solid(*colour: int) -> Pixels:
    return np.full((96, 128, 3), colour, np.uint8)


def product() -> Pixels:
    """Something round on white."""
    there = np.hypot(Y - 64, X - 70) < 30
    shade = np.stack([150 + X // 4, 60 + Y // 2, np.full_like(X, 40)], 2)
    return np.where(there[..., None], shade, 255).astype(np.uint8)


def worst(pixels: Pixels, quality: float, temperature: float = 0, tune: str = "psnr") -> np.ndarray:
    """The largest error of each pixel."""
    data = codec.encode(pixels, quality, temperature=temperature, tune=tune)
    return np.abs(codec.decode(data, array=True).astype(int) - pixels).reshape(*pixels.shape[:2], -1).max(2)


# --- tunes -------------------------------------------------------------------------------------------


def test_psnr_has_no_steps_of_its_own() -> None:
    photo = noise_photo(64, 64, 1)
    data = codec.encode(photo, 60, tune="psnr")
    assert data[8] == 1 and bitstream.read(data).steps is None
    assert bitstream.describe(bitstream.read(data))["tune"] == "psnr"


def test_visual_is_ahead_where_it_counts() -> None:
    """More of SSIMULACRA2 for fewer bytes, less of PSNR. At the same quality the score is much the same."""
    photo = np.asarray(Image.open(Path(__file__).parent.parent / "examples" / "photo.jpg"))[:256, :256]

    def measured(tune: str, quality: float) -> tuple[int, float, float]:
        data = codec.encode(photo, quality, tune=tune)
        out = codec.decode(data, array=True)
        return len(data), ssimulacra2(photo, out), float(((out.astype(float) - photo) ** 2).mean())

    size, score, error = measured("psnr", 55)
    smaller, seen, worse = measured("visual", 55)
    assert smaller < 0.95 * size and abs(seen - score) < 2.5 and worse > error


def test_a_file_says_its_tune(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "a.png", tmp_path / "a.irc"
    Image.fromarray(noise_photo(40, 50)).save(source)
    assert main(["encode", str(source), "--tune", "visual", "--json"]) == 0
    assert main(["verify", str(target)]) == 0
    assert main(["info", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["tune"] == "visual"
    assert main(["info", str(target)]) == 0
    assert "tune         visual" in capsys.readouterr().out
    assert main(["encode", str(source), "-f", "--tune", "ssim"]) == 2


def test_values_of_the_option() -> None:
    photo = noise_photo(32, 32)
    with pytest.raises(ValueError, match="tune must be one of psnr, visual, not iq"):
        codec.encode(photo, tune="iq")
    with pytest.raises(TypeError, match="tune must be one of psnr, visual, not 1"):
        codec.encode(photo, tune=1)  # type: ignore[arg-type]
    codec.register()
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "IRC", quality=50, tune="visual")
    assert stream.getvalue() == codec.encode(photo, 50, tune="visual")


@pytest.mark.parametrize("quality", [25, 60])
def test_generations(quality: int) -> None:
    """A settled file stays the same, tuned for the eye too."""
    data = codec.encode(noise_photo(96, 128, 4), quality, tune="visual", stable=True)
    for _ in range(3):
        assert codec.encode(codec.decode(data, array=True), quality, tune="visual") == data


def test_tiles_targets_temperature_and_effort() -> None:
    photo = noise_photo(96, 128, 5)
    tiled = codec.encode(photo, 50, tune="visual", tile=64, temperature=1)
    codec.verify(tiled)
    assert np.array_equal(
        codec.decode(tiled, region=(20, 30, 60, 50), array=True), codec.decode(tiled, array=True)[30:80, 20:80]
    )
    assert len(codec.encode(photo, size=5000, tune="visual")) <= 5000
    plain, searched = (codec.encode(photo, 30, tune="visual", effort=effort) for effort in (0, 2))
    codec.verify(searched)
    assert searched != plain and abs(len(searched) / len(plain) - 1) < 0.2
    # what is lost of a tile is filled as ever
    damaged = bytearray(tiled)
    damaged[-100] ^= 1
    notes: list[str] = []
    assert codec.decode(bytes(damaged), salvage=True, notes=notes).size == (128, 96) and "1 of 4 tiles" in notes[0]


def test_steps_grow_with_the_quality() -> None:
    """No quality is coarser than the one before it in any band, so that searches by quality find their way."""
    from entropy.quantisation import SAME

    for tune in TUNES.values():
        for smooth in (False, True):
            before = None
            for quality in range(0, 25601, 256):
                found = tune.steps(quality, smooth)
                now = np.array(found.offsets if found else (0,) * 39) + quality / SAME
                assert before is None or (now >= before - 0.8).all()
                before = now


# --- masking -----------------------------------------------------------------------------------------


def test_smooth_areas_are_spared() -> None:
    photo = noise_photo(128, 128, 2)
    photo[:, :64] = 120
    found = masks(open_session().bands(photo))
    assert [m.shape for m in found] == [(8 << i, 8 << i) for i in range(4)]
    for mask in found:
        side = mask.shape[1] // 2
        assert mask[:, : side - side // 4].min() > mask[:, side + side // 4 :].max()
        assert abs(float(mask.mean()) - 1) < 0.02 and mask.max() / mask.min() <= 9.01


# --- flat and smooth pictures --------------------------------------------------------------------------


@pytest.mark.parametrize("tune", TUNES)
def test_gradients_stay_smooth(tune: str) -> None:
    for noise in (0, 1):
        assert is_smooth(gradient(noise))
        for quality in (10, 30):
            assert worst(gradient(noise), quality, tune=tune).max() < 8 + 2 * noise
    out = codec.decode(codec.encode(gradient(), 10, tune=tune), array=True).astype(int)
    assert np.abs(np.diff(out, axis=1)).max() <= 3  # no spots along rows, which are constant


@pytest.mark.parametrize("colour", [(200, 30, 90), (128, 128, 128), (255, 0, 0), (10, 20, 240)])
def test_solid_colours(colour: tuple[int, ...]) -> None:
    assert is_smooth(solid(*colour))
    assert worst(solid(*colour), 10).max() < 8
    assert worst(solid(*colour), 50).max() <= 2


def test_which_pictures_are_smooth() -> None:
    grey = (X % 256).astype(np.uint16) * 257
    assert is_smooth(grey) and is_smooth(solid(1, 2, 3)[:1, :1])
    assert not is_smooth(noise_photo(64, 64)) and not is_smooth(product())


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_pure_white_and_black_stay_pure(quality: int, temperature: float) -> None:
    for colour in ((255, 255, 255), (0, 0, 0)):
        assert not worst(solid(*colour), quality, temperature).any()
    far = np.hypot(Y - 64, X - 70) > 46
    assert not worst(product(), quality, temperature)[far].any()


def test_beyond_the_ends() -> None:
    x = torch.full((3, 60, 80), 255.0)
    x[1], x[2, :, :40] = 0, 250
    x[0, 30, 40] = 254
    out = beyond(x.clone())
    assert torch.equal(out.clamp(0, 255), x)  # nothing that is not clipped
    assert (out[1] == -6).all() and out[2, :, 60:].min() == 261 and out[0, 30, 40] == 254 and out[0].max() == 261

"""The grain of a picture: measured, kept in the file, drawn again."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from roundtrip import noise_photo

import codec
from bench.inside.whiteness import main, measure
from codec.coding.grain import Sums, size, unpack
from codec.coding.tiles import Reader
from codec.compare.lost import whitened
from codec.container import bitstream
from codec.errors import DamagedError
from entropy.config import BANDS, CHANNELS

CODED = np.arange(CHANNELS) < 36  # the last three channels are dropped


@pytest.fixture(scope="module")
def grainy() -> np.ndarray:
    """A photo with coloured grain, such as training photos do not have."""
    photo = noise_photo(256, 320, 3).astype(float)
    return np.clip(photo + np.random.default_rng(1).normal(0, 4, photo.shape), 0, 255).round().astype(np.uint8)


def without_noise(data: bytes) -> bytes:
    file = bitstream.read(data)
    return bitstream.write(file.header, list(file.tiles), {}, file.checksums)


def test_bytes_of_a_file_mean_what_the_format_says() -> None:
    payload = bytes([128] * 30 + [144] * 6 + [112, 128, 255]) + bytes([0, 0, 64, 192, 0xC0, 176])
    own = unpack(payload, CODED)
    assert own.scale.tolist() == pytest.approx([1] * 30 + [2] * 6 + [0.5, 1, 2 ** (127 / 16)])
    assert own.mean.tolist() == [0] * 36 + [0, 0.5, -0.5]
    assert own.floor.tolist() == pytest.approx([0] * 36 + [0, 1, 0.5])
    for wrong in (payload[:-1], payload + b"\0", b""):
        with pytest.raises(DamagedError, match="noIS"):
            unpack(wrong, CODED)
    assert size(CODED) == len(payload) == 45


@pytest.mark.parametrize(("mean", "scale", "floor"), [(0, 1, 0), (0.2, 0.6, 0.3), (-0.4, 1.8, 0.05), (0, 0.01, 0.5)])
def test_what_is_measured_makes_z_white(mean: float, scale: float, floor: float) -> None:
    random = torch.Generator().manual_seed(2)
    log_scale = torch.empty(9, 100, 120).uniform_(-3, 1, generator=random)
    sums = Sums()
    spread = torch.hypot(scale * log_scale.exp(), torch.tensor(floor))
    error = mean + spread * torch.randn(9, 100, 120, generator=random)
    sums.add(0, torch.zeros(12, 100, 120), torch.zeros(12, 100, 120))
    for part in (slice(0, 30), slice(30, 100)):
        sums.add(3, error[:, part], log_scale[:, part])
    payload = sums.payload(CODED)
    assert payload is not None
    own = unpack(payload, CODED)
    for channel in range(36, 39):
        z = (error[channel - 30] - float(own.mean[channel])) / torch.hypot(
            float(own.scale[channel]) * log_scale[channel - 30].exp(), torch.tensor(float(own.floor[channel]))
        )
        assert abs(z.mean().item()) < 0.03 and z.std().item() == pytest.approx(1, abs=0.04)
        assert own.mean[channel] == pytest.approx(mean, abs=0.03)
        assert own.floor[channel] == pytest.approx(floor, rel=0.1, abs=0.03)


def test_a_small_picture_is_not_measured() -> None:
    assert bitstream.NOISE not in bitstream.read(codec.encode(noise_photo(96, 96), 20, temperature=1)).extras


@pytest.mark.parametrize("quality", [5, 25, 60, 95])
def test_a_file_that_is_to_be_drawn_makes_z_white(grainy: np.ndarray, quality: int) -> None:
    plain, own = ([], [])
    for out, without in ((plain, True), (own, False)):
        reader = Reader.of(codec.encode(grainy, quality, temperature=1))
        z, _, dropped = whitened(grainy, reader, own=not without)
        for level, lost in itertools.product(range(4), (True, False)):
            out.extend((level, z[level][c]) for c in np.flatnonzero(dropped[level] == lost))
    fine = [(before, after) for (level, before), (_, after) in zip(plain, own) if level > 1]
    assert all(after.std() == pytest.approx(1, abs=0.05) for _, after in fine)
    assert max(abs(np.log(before.std())) for before, _ in fine) > 0.1  # and would not be by itself


def test_only_what_is_drawn_has_noise(grainy: np.ndarray) -> None:
    plain, stable, drawn = (
        codec.encode(grainy, 20, **options)
        for options in ({}, {"temperature": 1, "stable": True}, {"temperature": 1, "seed": 5})
    )
    assert [bitstream.NOISE in bitstream.read(data).extras for data in (plain, stable, drawn)] == [False, False, True]
    assert bitstream.read(plain).tiles == bitstream.read(drawn).tiles
    assert np.array_equal(codec.decode(plain, array=True), codec.decode(drawn, temperature=0, array=True))
    sample = codec.decode(drawn, array=True)
    assert not np.array_equal(sample, codec.decode(without_noise(drawn), array=True))
    assert np.array_equal(codec.decode(drawn, region=(64, 30, 100, 90), array=True), sample[30:120, 64:164])
    again = codec.encode(
        grainy, 20, temperature=1, seed=5, extras=bitstream.read(codec.encode(grainy[::-1], 20, temperature=1)).extras
    )
    assert again == drawn  # noise of another file is no extra


def test_drawn_grain_is_as_strong_as_it_was(grainy: np.ndarray) -> None:
    def grain(pixels: np.ndarray) -> float:
        """Energy of the finest diagonal differences of colour."""
        colour = pixels[..., 0].astype(float) - pixels[..., 2]
        return float(((colour[1:, 1:] - colour[1:, :-1] - colour[:-1, 1:] + colour[:-1, :-1]) ** 2).mean())

    drawn = codec.encode(grainy, 30, temperature=1)
    assert grain(codec.decode(drawn, array=True)) == pytest.approx(grain(grainy), rel=0.4)
    assert grain(codec.decode(without_noise(drawn), array=True)) < 0.5 * grain(grainy)
    assert grain(codec.decode(drawn, temperature=0, array=True)) < 0.2 * grain(grainy)


def test_tiles_are_measured_together(grainy: np.ndarray) -> None:
    one, several = (bitstream.read(codec.encode(grainy, 20, temperature=1, tile=tile)) for tile in (0, 96))
    assert len(several.tiles) == 12
    a, b = (np.frombuffer(file.extras[bitstream.NOISE], np.uint8).astype(int) for file in (one, several))
    assert (
        np.abs(a[21:CHANNELS] - b[21:CHANNELS]).max() <= 3
    )  # side latents and contexts end at tiles, so k differs a little


def test_targets_count_it(grainy: np.ndarray) -> None:
    data = codec.encode(grainy, size=9000, temperature=1)
    file = bitstream.read(data)
    assert 8900 < len(data) <= 9000 and bitstream.NOISE in file.extras
    assert data == codec.encode(grainy, file.header.quality, temperature=1)


@pytest.mark.parametrize("payload", [b"", bytes(38), bytes(300)])
def test_noise_of_a_wrong_length_is_damage(grainy: np.ndarray, payload: bytes) -> None:
    file = bitstream.read(codec.encode(grainy, 20, temperature=1))
    data = bitstream.write(file.header, list(file.tiles), {bitstream.NOISE: payload})
    for call in (codec.verify, codec.decode):
        with pytest.raises(DamagedError, match="noIS"):
            call(data)
    notes: list[str] = []
    whole = codec.decode(data, salvage=True, notes=notes, array=True)
    assert np.array_equal(whole, codec.decode(without_noise(data), array=True)) and "noIS" in notes[0]


@pytest.mark.parametrize("code", [0, 255])
def test_the_largest_and_smallest_noise_decodes(grainy: np.ndarray, code: int) -> None:
    file = bitstream.read(codec.encode(grainy, 20, temperature=1))
    payload = bytes([code]) * len(file.extras[bitstream.NOISE])
    header = dataclasses.replace(file.header, temperature_code=128)
    data = bitstream.write(header, list(file.tiles), {bitstream.NOISE: payload})
    assert codec.decode(data, array=True).shape == grainy.shape


def test_bench_lost(grainy: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(grainy).save(tmp_path / "photo.png")
    rows = measure(tmp_path, [20])
    assert {row.group for row in rows} == {
        *(f"{level} {kind} kept" for level in ("1/16", "1/8", "1/4", "1/2") for kind in ("luma", "chroma")),
        "1/2 chroma dropped",
    }
    (dropped,) = (row for row in rows if row.group.endswith("dropped"))
    assert abs(dropped.mean) < 0.05 and dropped.deviation == pytest.approx(1, abs=0.1) and dropped.correlation < 0.1
    assert main([str(tmp_path), "--qualities", "20", "--plain", "--out", str(tmp_path / "lost.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (plain,) = (line.split() for line in lines if "dropped" in line)
    assert abs(float(plain[-2]) - 1) > abs(dropped.deviation - 1)
    with Image.open(tmp_path / "lost.png") as figure:
        assert figure.width > 300 and figure.height > 1000
    assert len(lines) == 1 + len(rows) and sum(BANDS) == CHANNELS

"""The noise that is drawn: the same numbers for ever, whatever the window, and as white as they should be."""

from __future__ import annotations

import dataclasses
import math
import statistics
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from roundtrip import noise_photo

import codec
from codec.coding import draw
from codec.container import bitstream
from codec.container.grid import Box
from codec.errors import DamagedError, InputError
from codec.tool import output
from entropy.config import BANDS

DATA = Path(__file__).parent / "data"
VERSIONS = (0, 1)
WINDOW = Box(480, 992, 608, 1120)  #: of 128 x 128 pixels, in four cells of 512
#: of each version, seed 3, of each level of WINDOW: the first value, the last, and the CRC-32 of all (little-endian)
GOLDEN: dict[int, list[tuple[float, float, int]]] = {
    0: [
        (-1.2611745595932007, 1.0875694751739502, 4199334239),
        (2.7696096897125244, 0.3068636357784271, 2504922933),
        (-0.19308242201805115, -0.06871958822011948, 2420892102),
        (-0.5864498615264893, 1.5561386346817017, 1261546690),
    ],
    1: [
        (-0.7468490600585938, -0.3994941711425781, 3767947301),
        (-0.5997228622436523, -0.2134075164794922, 534427898),
        (-0.7240915298461914, 0.5864067077636719, 670060781),
        (-1.3457269668579102, -1.2977256774902344, 3738271189),
    ],
}


# --- the numbers ---------------------------------------------------------------------------


def summary(z: np.ndarray) -> tuple[float, float, int]:
    return float(z.flat[0]), float(z.flat[-1]), zlib.crc32(z.astype("<f4").tobytes())


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_numbers(version: int) -> None:
    """Files decode for ever: these values never change."""
    found = [draw.draw(3, level, WINDOW, version) for level in range(4)]
    assert all(z.dtype == np.float32 for z in found)
    assert [summary(z) for z in found] == GOLDEN[version]


def specified(seed: int, level: int, channel: int, y: int, x: int) -> float:
    """Version 1 of one coefficient, as docs/format.md has it, in Python's integers."""

    def mix(v: int) -> int:
        v = (v ^ v >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        v = (v ^ v >> 27) * 0x94D049BB133111EB % 2**64
        return v ^ v >> 31

    key = mix(seed * 2**38 + level * 2**36 + channel * 2**32 + y)
    word = mix((key + (x // 4 + 1) * 0x9E3779B97F4A7C15) % 2**64)
    i = word >> 16 * (x % 4) & 0xFFFF
    return round(statistics.NormalDist().inv_cdf((i + 0.5) / 2**16) * 2**20) / 2**20


@pytest.mark.parametrize("seed", [0, 1, 65535])
@pytest.mark.parametrize("window", [WINDOW, Box(0, 0, 32, 32), Box(2**30, 2**31 - 64, 2**30 + 32, 2**31)])
def test_version_1_is_what_is_specified(seed: int, window: Box) -> None:
    for level in range(4):
        unit = 16 >> level
        z = draw.draw(seed, level, window, 1)
        assert z.shape == (BANDS[level], window.height // unit, window.width // unit)
        for c, y, x in np.random.default_rng(level).integers(0, z.shape, (40, 3)).tolist():
            assert z[c, y, x] == specified(seed, level, c, window.top // unit + y, window.left // unit + x)


def test_the_example_of_the_format() -> None:
    z = draw.draw(3, 3, Box(480, 992, 512, 1024), 1)[0, 0, 0]
    text = " ".join((DATA.parent.parent / "docs" / "format.md").read_text().split())
    assert f"Seed 3, level 3 (1/2), channel 0, y = 240, x = 496: e = {float(z)} (q = {int(z * 2**20)})." in text
    assert f"{zlib.crc32((draw.quantiles() * 2**20).astype('<i4').tobytes()):X}" in text


def test_table_of_quantiles() -> None:
    """It is the same on every machine: no entry is near to being rounded otherwise."""
    table = draw.quantiles()
    assert table.dtype == np.float32 and zlib.crc32((table * 2**20).astype("<i4").tobytes()) == 0x2BE1242E
    exact = np.array([statistics.NormalDist().inv_cdf((i + 0.5) / 2**16) * 2**20 for i in range(2**16)])
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-11 * 2**20
    assert np.array_equal(table, -table[::-1]) and (np.diff(table) > 0).all()


@pytest.mark.parametrize("version", VERSIONS)
def test_draw_does_not_depend_on_the_window(version: int) -> None:
    whole = Box(0, 0, 1056, 640)
    for level in range(4):
        unit = 16 >> level
        z = draw.draw(7, level, whole, version)
        for part in (Box(0, 0, 32, 32), Box(480, 320, 1056, 640), Box(1024, 512, 1056, 544)):
            assert np.array_equal(draw.draw(7, level, part, version), z[:, *part.within(whole, unit)])
        assert abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02
        # no cell repeats another
        assert not np.array_equal(z[:, : 512 // unit, : 128 // unit], z[:, 512 // unit : 1024 // unit, : 128 // unit])
    assert not np.array_equal(draw.draw(8, 0, whole, version), draw.draw(7, 0, whole, version))


def test_wrong_arguments() -> None:
    for seed, version in ((-1, 0), (-1, 1), (65536, 1)):
        with pytest.raises(ValueError):
            draw.draw(seed, 0, WINDOW, version)
    with pytest.raises(InputError, match="version 2"):
        draw.draw(0, 0, WINDOW, 2)


# --- what they are like ------------------------------------------------------------------------


def lags() -> Iterator[tuple[int, int]]:
    """Rows and columns between neighbours: beside each other, along words of four, and diagonally."""
    for x in (1, 2, 3, 4, 5, 8, 16, 64):
        yield 0, x
        yield x, 0
        yield x, x
        yield x, -x


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", [0, 40000])
def test_it_is_normal(version: int, seed: int) -> None:
    z = draw.draw(seed, 3, Box(0, 0, 1024, 1024), version).astype(np.float64)
    n = z.size  # 2.4 million; bounds are five deviations of each estimate
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 5 * math.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / n)
    for edge in (0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 3.5, 4.0):
        expected = n * 2 * statistics.NormalDist().cdf(-edge)
        assert abs((np.abs(z) > edge).sum() - expected) < 5 * math.sqrt(expected) + 1
        above = n * statistics.NormalDist().cdf(-edge)
        assert abs((z > edge).sum() - above) < 5 * math.sqrt(above) + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_white(version: int) -> None:
    """Neighbours in any direction, channels, levels, seeds and cells have nothing to do with each other."""
    z = draw.draw(11, 3, Box(0, 0, 1024, 1024), version).astype(np.float64)
    _, height, width = z.shape

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        return float((a * b).mean() * math.sqrt(a.size))  # in its own deviations

    for value in (z, np.abs(z) - np.abs(z).mean()):
        for y, x in lags():
            there = value[:, y:, max(x, 0) : width + min(x, 0)]
            here = value[:, : height - y, max(-x, 0) : width + min(-x, 0)]
            assert abs(correlation(here, there)) < 5, (y, x)
        for c in range(1, len(z)):
            assert abs(correlation(value[c], value[c - 1])) < 5
    for other in (
        draw.draw(12, 3, Box(0, 0, 1024, 1024), version),
        draw.draw(11 + 2**15, 3, Box(0, 0, 1024, 1024), version),
        draw.draw(11, 3, Box(0, 1024, 1024, 2048), version),
        draw.draw(11, 3, Box(1024, 0, 2048, 1024), version),
        np.tile(draw.draw(11, 2, Box(0, 0, 1024, 1024), version), (1, 2, 2)),
    ):
        assert abs(correlation(z, other)) < 5


# --- files -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn() -> bytes:
    return codec.encode(noise_photo(96, 128, 3), 20, temperature=1, seed=5)


def renamed(data: bytes, payload: bytes | None, temperature: int | None = None) -> bytes:
    """The file with another version of the draw (None: with none) and another temperature in 1/64."""
    file = bitstream.read(data)
    extras = {k: v for k, v in file.extras.items() if k != bitstream.DRAW}
    header = file.header
    if temperature is not None:
        header = dataclasses.replace(header, temperature_code=temperature)
    return bitstream.write(
        header, list(file.tiles), extras if payload is None else extras | {bitstream.DRAW: payload}, file.checksums
    )


def test_files_that_draw_name_the_version(drawn: bytes) -> None:
    photo = noise_photo(96, 128, 3)
    assert bitstream.read(drawn).extras[bitstream.DRAW] == b"\1" and bitstream.read(drawn).draw == 1
    plain = codec.encode(photo, 20, seed=5, extras={bitstream.DRAW: b"\1"})  # of another file
    assert bitstream.DRAW not in bitstream.read(plain).extras and bitstream.read(plain).draw == 0
    stable = codec.encode(photo, 20, temperature=1, seed=5, stable=True)
    assert bitstream.read(stable).draw == 1
    assert codec.encode(photo, 20, temperature=0.001) == codec.encode(photo, 20)


def test_each_version_is_drawn_as_the_file_names_it(drawn: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = (codec.decode(data, array=True) for data in (drawn, renamed(drawn, None)))
    assert np.array_equal(codec.decode(renamed(drawn, b"\0"), array=True), old) and not np.array_equal(new, old)
    # a file of temperature 0 that is drawn nevertheless: by version 0 unless it names one
    for payload, expected in ((None, old), (b"\0", old), (b"\1", new)):
        assert np.array_equal(codec.decode(renamed(drawn, payload, 0), temperature=1, array=True), expected)
    # and the numbers are those of that version
    seen: list[int] = []
    original = draw.draw

    def spied(seed: int, level: int, window: Box, version: int) -> np.ndarray:
        seen.append(version)
        return original(seed, level, window, 1 - version)

    monkeypatch.setattr(draw, "draw", spied)
    assert np.array_equal(codec.decode(drawn, array=True), old) and set(seen) == {1}
    assert np.array_equal(codec.decode(renamed(drawn, None), array=True), new) and set(seen) == {0, 1}


def test_a_newer_version_is_refused_only_where_it_is_needed(drawn: bytes) -> None:
    newer = renamed(drawn, b"\2")
    for call in (codec.verify, codec.decode):
        with pytest.raises(InputError, match="newer irc is needed"):
            call(newer)
    mode = codec.decode(drawn, temperature=0, array=True)
    assert np.array_equal(codec.decode(newer, temperature=0, array=True), mode)
    plain = renamed(drawn, b"\2", 0)
    codec.verify(plain)
    assert np.array_equal(codec.decode(plain, array=True), mode)


@pytest.mark.parametrize("payload", [b"", b"\1\0"])
def test_a_wrong_length_is_damage(drawn: bytes, payload: bytes) -> None:
    data = renamed(drawn, payload)
    for call in (codec.verify, codec.decode, bitstream.read):
        with pytest.raises(DamagedError, match="drAw"):
            call(data)
    notes: list[str] = []
    whole = codec.decode(data, salvage=True, notes=notes, array=True)
    assert np.array_equal(whole, codec.decode(renamed(drawn, None), array=True)) and "drAw" in notes[0]


def test_info_shows_it(drawn: bytes) -> None:
    file = bitstream.read(drawn)
    assert bitstream.describe(file)["draw_version"] == 1 and "draw_version 1\n" in output.info_text(file, set())
    old = bitstream.read(renamed(drawn, None))
    assert "draw_version" not in bitstream.describe(old) and "draw_version" not in output.info_text(old, set())

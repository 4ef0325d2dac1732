"""TIFF in every layout: low bytes are noise of their own, so that nothing else can pass for them."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiff_files import tiff

from codec.errors import InputError
from codec.pictures import formats, reading

SAMPLES = np.random.default_rng(9).integers(0, 65536, (37, 53, 5), np.uint16)
LAYOUTS = [
    (order, compression, planar, predictor, tile)
    for order, compression, planar, predictor, tile in itertools.product(
        "<>", (1, 8, 32773), (False, True), (False, True), (None, (16, 32))
    )
    if compression == 8 or not predictor
]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_layout(channels: int) -> None:
    deep = SAMPLES[..., :channels].squeeze()
    for pixels, (order, compression, planar, predictor, tile) in itertools.product(
        (deep, deep.astype(np.uint8)), LAYOUTS
    ):
        data = tiff(pixels, order=order, compression=compression, planar=planar, predictor=predictor, tile=tile)
        picture = reading.load(io.BytesIO(data))
        assert picture.pixels.dtype == pixels.dtype and picture.notes == []
        assert np.array_equal(picture.pixels, pixels), (order, compression, planar, predictor, tile)


def test_the_case_of_the_issue() -> None:
    """Planar, Deflate: the low byte was the high byte again."""
    pixels = SAMPLES[..., :3].copy()
    pixels[5, 7] = 47428, 37628, 20128
    assert len({47428 >> 8 == 47428 & 255, False}) == 1
    picture = reading.load(io.BytesIO(tiff(pixels, compression=8, planar=True)))
    assert picture.pixels[5, 7].tolist() == [47428, 37628, 20128]


@pytest.mark.parametrize("order", "<>")
def test_lzw(order: str) -> None:
    """Strips that Pillow has packed, of bytes that are the samples'."""
    pixels = SAMPLES[:4, :, :3]
    stream = io.BytesIO()
    rows = pixels.astype(order + "u2").view(np.uint8).reshape(4, -1)
    Image.fromarray(rows).save(stream, "TIFF", compression="tiff_lzw")
    stream.seek(0)
    with Image.open(stream) as image:
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        (at,), (size,) = tags[273], tags[279]
    packed = stream.getvalue()[at : at + size]
    data = bytearray(tiff(pixels, order=order, compression=1, planar=False))
    plain = pixels.astype(order + "u2").tobytes()
    assert bytes(data[8 : 8 + len(plain)]) == plain and len(packed) <= len(plain) * 2
    data = bytearray(tiff(pixels, order=order, t259=5, t273=(len(data),), t279=(len(packed),)))
    data += bytes(len(tiff(pixels, order=order)) - len(data)) + packed
    assert np.array_equal(reading.load(io.BytesIO(bytes(data))).pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    for pixels in (SAMPLES[..., :3], (SAMPLES[..., :3] >> 8).astype(np.uint8)):
        picture = reading.load(io.BytesIO(tiff(pixels, compression=8, t274=orientation)))
        assert np.array_equal(picture.pixels, formats.turned(pixels, orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", exif=exif)
    stream.seek(0)
    assert np.array_equal(reading.load(stream).pixels, formats.turned(pixels, orientation))


@pytest.mark.parametrize("order", "<>")
def test_white_is_zero(order: str) -> None:
    grey, alpha = SAMPLES[..., 0], SAMPLES[..., 1]
    assert np.array_equal(reading.load(io.BytesIO(tiff(grey, order=order, photometric=0))).pixels, 65535 - grey)
    picture = reading.load(io.BytesIO(tiff(SAMPLES[..., :2], order=order, photometric=0)))
    assert np.array_equal(picture.pixels, np.dstack([65535 - grey, alpha]))


def test_an_open_image() -> None:
    """The low bytes are asked from the file, and the image can be used as before."""
    stream = io.BytesIO(tiff(SAMPLES[..., :3], compression=8, planar=True))
    with Image.open(stream) as image:
        assert np.array_equal(reading.of_image(image).pixels, SAMPLES[..., :3])
        assert image.mode == "RGB" and image.getpixel((0, 0)) is not None


def test_larger_than_pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three channels side by side are three times as many samples as there are pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 37 * 53)
    data = tiff(SAMPLES[..., :3], compression=8)
    assert np.array_equal(reading.load(io.BytesIO(data), 10**6).pixels, SAMPLES[..., :3])
    assert Image.MAX_IMAGE_PIXELS == 37 * 53


@pytest.mark.parametrize(
    "tags",
    [
        {"photometric": 5},
        {"t266": 2},
        {"t339": (2, 2, 2, 2)},
        {"t317": 3},
        {"t259": 7},
        {"t317": 2, "compression": 32773},
    ],
)
def test_refused(tags: dict[str, object]) -> None:
    with pytest.raises(InputError):
        reading.load(io.BytesIO(tiff(SAMPLES[..., :4], **tags)))  # type: ignore[arg-type]


def test_damaged() -> None:
    whole = tiff(SAMPLES[..., :3], compression=8, planar=True)
    for place in range(8, len(whole), 499):
        data = bytearray(whole)
        data[place] ^= 0xFF
        try:
            reading.load(io.BytesIO(bytes(data)))
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "scale, low, said", [(4096, 0, True), (16384, 0, True), (65536, 0, False), (2000, 29000, True)]
)
def test_a_small_part_of_the_range_is_said(scale: int, low: int, said: bool) -> None:
    """12 bits in 16, and thermal cameras."""
    pixels = (SAMPLES[..., :3].astype(int) * scale // 65536 + low).astype(np.uint16)
    notes = reading.load(io.BytesIO(tiff(pixels))).notes
    assert bool(notes) == said and all("65535; qualities are meant for the whole range" in note for note in notes)

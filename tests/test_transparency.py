"""Transparency as the file means it, whatever units it is in."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tiff_files import tiff

from codec.pictures import reading, sixteen_bits
from codec.pictures.transparency import DIVIDED_NOTE, KEY_NOTE

RANDOM = np.random.default_rng(8)


def png(values: np.ndarray, depth: int, colour: int, **chunks: bytes) -> io.BytesIO:
    """A PNG of any depth; values: H,W or H,W,3 in the file's units."""
    rows = values.reshape(len(values), -1)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        packed = [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, colour, 0, 0, 0)
    parts = {"IHDR": head, **chunks, "IDAT": zlib.compress(b"".join(b"\0" + row for row in packed)), "IEND": b""}
    data = b"".join(sixteen_bits._chunk(kind.encode(), payload) for kind, payload in parts.items())
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_with_a_key(depth: int) -> None:
    """The key is in file units; Pillow does not scale it."""
    largest = (1 << depth) - 1
    values = RANDOM.integers(0, largest + 1, (48, 64))
    key = int(values[3, 5])
    for stated in (key, key | (1 << depth & 0xFFFF)):  # bits beyond the depth do not count
        picture = reading.load(png(values, depth, 0, tRNS=struct.pack(">H", stated)))
        full = 65535 if depth == 16 else 255
        assert np.array_equal(picture.pixels[..., 0], values * (full // largest))
        assert np.array_equal(picture.pixels[..., 1], np.where(values == key, 0, full))
        assert KEY_NOTE in picture.notes and "opaque" not in " ".join(picture.notes)


def test_shares_of_the_issue() -> None:
    """25 % and 6.25 % of the pixels are transparent."""
    for depth, share in ((2, 0.25), (4, 0.0625)):
        values = np.arange(48 * 64).reshape(48, 64) % (1 << depth)
        picture = reading.load(png(values, depth, 0, tRNS=struct.pack(">H", 1)))
        assert (picture.pixels[..., 1] == 0).mean() == share


@pytest.mark.parametrize("depth", [8, 16])
def test_rgb_with_a_key(depth: int) -> None:
    values = RANDOM.integers(0, 1 << depth, (9, 7, 3))
    values[4:6, 2:5] = values[0, 0]
    data = png(values, depth, 2, tRNS=struct.pack(">3H", *values[0, 0]))
    expected = np.where((values == values[0, 0]).all(2), 0, (1 << depth) - 1)
    picture = reading.load(data)
    assert np.array_equal(picture.pixels, np.dstack([values, expected]))
    data.seek(0)
    with Image.open(data) as image:
        assert np.array_equal(reading.of_image(image).pixels, picture.pixels)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_with_alpha(depth: int) -> None:
    count = 1 << depth
    values = RANDOM.integers(0, count, (12, 16))
    palette = RANDOM.integers(0, 256, (count, 3), np.uint8)
    for alpha in (np.r_[0, np.full(count - 1, 255)], RANDOM.integers(0, 256, max(1, count - 1))):
        alpha = alpha.astype(np.uint8)
        picture = reading.load(png(values, depth, 3, PLTE=palette.tobytes(), tRNS=alpha.tobytes()))
        whole = np.r_[alpha, np.full(count - len(alpha), 255)].astype(np.uint8)
        assert np.array_equal(picture.pixels, np.dstack([palette[values], whole[values]]))


def test_gif() -> None:
    image = Image.fromarray(RANDOM.integers(0, 4, (8, 9), np.uint8))
    image.putpalette(bytes(range(0, 120, 10)))
    stream = io.BytesIO()
    image.save(stream, "GIF", transparency=2)
    stream.seek(0)
    picture = reading.load(stream)
    assert np.array_equal(picture.pixels[..., 3] == 0, np.asarray(image) == 2)
    assert np.array_equal(picture.pixels[..., :3], np.asarray(image.convert("RGB")))


def test_webp_and_tga() -> None:
    pixels = RANDOM.integers(0, 256, (8, 9, 4), np.uint8)
    for kind, options in (("WEBP", {"lossless": True, "exact": True}), ("TGA", {})):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind, **options)
        stream.seek(0)
        assert np.array_equal(reading.load(stream).pixels, pixels)


def icon(bits: int, colours: np.ndarray, mask: np.ndarray, palette: bytes = b"") -> io.BytesIO:
    """An icon of one bitmap: colours bottom up, then the mask that says what is transparent."""
    height, width = mask.shape

    def rows(values: np.ndarray) -> bytes:
        return b"".join(row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in values[::-1])

    if bits < 8:
        spread = (colours[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        colours = np.packbits(spread.reshape(height, -1).astype(np.uint8), axis=1)
    body = palette + rows(colours) + rows(np.packbits(mask, axis=1))
    head = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, bits, 0, 0, 0, 0, len(palette) // 4, 0)
    entry = struct.pack("<BBBBHHII", width, height, 0, 0, 1, bits, len(head) + len(body), 22)
    return io.BytesIO(struct.pack("<HHH", 0, 1, 1) + entry + head + body)


def test_icons() -> None:
    """Of 4, 8 and 24 bits transparency is in the mask, of 32 bits in the fourth channel."""
    mask = RANDOM.integers(0, 2, (16, 16), np.uint8)
    for bits in (4, 8):
        values = RANDOM.integers(0, 1 << bits, (16, 16), np.uint8)
        palette = RANDOM.integers(0, 256, (1 << bits, 4), np.uint8)
        picture = reading.load(icon(bits, values, mask, palette.tobytes()))
        assert np.array_equal(picture.pixels, np.dstack([palette[values][..., [2, 1, 0]], 255 - 255 * mask]))
    pixels = RANDOM.integers(0, 256, (16, 16, 3), np.uint8)
    picture = reading.load(icon(24, pixels.reshape(16, -1), mask))
    assert np.array_equal(picture.pixels, np.dstack([pixels[..., ::-1], 255 - 255 * mask]))
    pixels = RANDOM.integers(0, 256, (16, 16, 4), np.uint8)
    picture = reading.load(icon(32, pixels.reshape(16, -1), 0 * mask))
    assert np.array_equal(picture.pixels, pixels[..., [2, 1, 0, 3]])


UNKNOWN = "an extra channel that the file does not say to be alpha was left out"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
def test_extra_samples_of_tiff(colours: int, dtype: type) -> None:
    """0: unknown, left out with a note; 1: premultiplied; 2: alpha; no tag: taken as alpha."""
    largest = np.iinfo(dtype).max
    pixels = RANDOM.integers(0, largest + 1, (9, 11, colours + 1), dtype)
    pixels[2:4, 2:4, -1] = 0
    alone = pixels[..., :-1].squeeze()
    picture = reading.load(io.BytesIO(tiff(pixels, extra=(0,))))
    assert np.array_equal(picture.pixels, alone) and picture.notes == [UNKNOWN]
    picture = reading.load(io.BytesIO(tiff(pixels, extra=(2,))))
    assert np.array_equal(picture.pixels, pixels) and picture.notes == []
    multiplied = pixels.copy()
    alpha = pixels[..., -1:].astype(float) / largest
    multiplied[..., :-1] = np.round(pixels[..., :-1] * alpha)
    picture = reading.load(io.BytesIO(tiff(multiplied, extra=(1,))))
    assert picture.notes == [DIVIDED_NOTE] and np.array_equal(picture.pixels[..., -1], pixels[..., -1])
    seen = np.broadcast_to(alpha > 0.25, alone.shape if colours == 3 else (9, 11, 1))
    off = np.abs(picture.pixels[..., :-1].astype(float) - pixels[..., :-1])[seen]
    assert off.max() <= 3  # a quarter of the steps are left, and Pillow rounds 8 bits down
    if colours == 3:
        picture = reading.load(io.BytesIO(tiff(pixels, extra=())))
        assert np.array_equal(picture.pixels, pixels) and "taken as alpha" in picture.notes[0]


def test_unknown_channels_in_planes() -> None:
    """Of 8 bits Pillow does not open them."""
    pixels = RANDOM.integers(0, 256, (9, 11, 4), np.uint8)
    for data in (pixels, pixels.astype(np.uint16) * 251):
        picture = reading.load(io.BytesIO(tiff(data, planar=True, extra=(0,))))
        assert np.array_equal(picture.pixels, data[..., :3]) and picture.notes == [UNKNOWN]


def test_several_extra_samples_of_tiff() -> None:
    pixels = RANDOM.integers(0, 256, (9, 11, 5), np.uint8)
    for data in (pixels, pixels.astype(np.uint16) * 251):
        picture = reading.load(io.BytesIO(tiff(data, extra=(2, 0))))
        assert np.array_equal(picture.pixels, data[..., :4]) and picture.notes == [UNKNOWN]
        picture = reading.load(io.BytesIO(tiff(data, extra=(0, 0))))
        assert np.array_equal(picture.pixels, data[..., :3])
        assert picture.notes == ["2 extra channels that the file does not say to be alpha was left out"]


def test_premultiplied_jpeg_2000() -> None:
    pixels = RANDOM.integers(0, 256, (32, 32, 4), np.uint8)
    pixels[..., 3] = 128
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG2000")
    data = stream.getvalue()
    at = data.index(b"cdef") + 4
    kinds = bytearray(data[at : at + 2 + 24])
    kinds[2 + 18 + 2 : 2 + 18 + 4] = b"\0\2"
    picture = reading.load(io.BytesIO(data[:at] + bytes(kinds) + data[at + 26 :]))
    assert DIVIDED_NOTE in picture.notes
    expected = np.minimum(255, (pixels[..., :3].astype(int) * 255 + 64) // 128)
    assert np.array_equal(picture.pixels[..., :3], expected)


def test_tga_says_how_alpha_is_meant() -> None:
    """Attributes type of the extension: 0 none, 3 alpha, 4 premultiplied."""
    pixels = RANDOM.integers(0, 100, (8, 9, 4), np.uint8)
    pixels[..., 3] = 100
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TGA")
    plain = stream.getvalue()[:-26] if stream.getvalue().endswith(b"TRUEVISION-XFILE.\0") else stream.getvalue()

    def tga(kind: int, gamma: tuple[int, int] = (0, 0)) -> io.BytesIO:
        extension = bytearray(495)
        extension[:2], extension[478:482], extension[494] = b"\xef\1", struct.pack("<HH", *gamma), kind
        return io.BytesIO(plain + extension + struct.pack("<II", len(plain), 0) + b"TRUEVISION-XFILE.\0")

    assert np.array_equal(reading.load(tga(3)).pixels, pixels)
    assert reading.load(tga(0)).pixels.shape == (8, 9, 3)
    picture = reading.load(tga(4))
    expected = np.minimum(255, (pixels[..., :3].astype(int) * 255 + 50) // 100)
    assert np.array_equal(picture.pixels[..., :3], expected) and picture.notes == [DIVIDED_NOTE]
    assert reading.load(tga(3, (18, 10))).notes == ["the gamma of 1.8 that the file states is not kept"]

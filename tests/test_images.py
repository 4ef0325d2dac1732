"""Reading and writing ordinary pictures, and refusing what is not supported."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from codec import images
from codec.errors import InputError


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


RGB = noise(5, 7, 3)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    stream.seek(0)
    return stream


def png(width: int, height: int, depth: int, colour: int, raw: bytes) -> io.BytesIO:
    """Make a PNG of a kind that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".ppm", ""])
def test_lossless_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    images.save(images.Picture(RGB), path)
    picture = images.load(path)
    assert np.array_equal(picture.pixels, RGB)
    assert picture.pixels.dtype == np.uint8
    assert picture.notes == []


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_metadata_round_trip(suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    raw = exif.tobytes().removeprefix(b"Exif\0\0")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = images.Picture(RGB, raw, icc, b"<x:xmpmeta/>")
    stream = io.BytesIO()
    images.save(picture, stream, "x" + suffix)
    stream.seek(0)
    back = images.load(stream)
    assert (back.exif, back.icc, back.xmp) == (raw, icc, b"<x:xmpmeta/>")


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "kept"
    picture = images.load(encoded(Image.fromarray(RGB), exif=exif))
    assert np.array_equal(picture.pixels, np.rot90(RGB, -1))
    assert picture.exif is not None
    left = Image.Exif()
    left.load(picture.exif)
    assert 0x0112 not in left
    assert left[0x010E] == "kept"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_picture() -> None:
    picture = images.load(encoded(Image.fromarray(RGB), exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert np.array_equal(picture.pixels, RGB)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (Image.fromarray(noise(4, 6)), "grey"),
        (Image.fromarray(RGB).quantize(8), "palette"),
        (Image.fromarray(noise(4, 6)).convert("1"), "1-bit"),
    ],
)
def test_other_modes_become_rgb(image: Image.Image, word: str) -> None:
    picture = images.load(encoded(image))
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert word in picture.notes[0]


def test_opaque_alpha_is_dropped() -> None:
    image = Image.fromarray(RGB)
    image.putalpha(255)
    picture = images.load(encoded(image))
    assert np.array_equal(picture.pixels, RGB)
    assert "alpha" in picture.notes[0]


def test_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    picture = images.load(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]
    assert "first of 2" in picture.notes[0]


def test_cmyk_goes_through_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def convert(image: Image.Image, *_: object, **__: object) -> Image.Image:
        calls.append(image.mode)
        return image.convert("RGB")

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    # Any profile that parses will do, the conversion itself is LittleCMS's.
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(RGB).convert("CMYK")
    picture = images.load(encoded(image, "TIFF", icc_profile=icc))
    assert calls == ["CMYK"]
    assert picture.icc is None
    assert "profile" in picture.notes[0]


def transparent() -> io.BytesIO:
    image = Image.fromarray(RGB)
    image.putalpha(200)
    return encoded(image)


def palette_transparent() -> io.BytesIO:
    return encoded(Image.fromarray(RGB).quantize(8), transparency=0)


def truncated() -> io.BytesIO:
    return io.BytesIO(encoded(Image.fromarray(noise(64, 64, 3))).read()[:3000])


def bomb() -> io.BytesIO:
    return png(60000, 60000, 8, 2, b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
REFUSED = {
    "alpha": (transparent, "flatten"),
    "palette alpha": (palette_transparent, "flatten"),
    "16-bit grey": (lambda: encoded(Image.fromarray(noise(4, 4).astype(np.uint16))), "8 bits"),
    "16-bit RGB": (lambda: png(1, 1, 16, 2, bytes(7)), "8 bits"),
    "16-bit PPM": (lambda: io.BytesIO(b"P6 1 1 65535\n" + bytes(6)), "8 bits"),
    "float": (lambda: encoded(Image.new("F", (2, 2)), "TIFF"), "8 bits"),
    "CMYK": (lambda: encoded(Image.new("CMYK", (2, 2)), "JPEG"), "RGB first"),
    "empty": (io.BytesIO, "empty"),
    "text": (lambda: io.BytesIO(b"hello"), "not an image"),
    "EPS": (lambda: io.BytesIO(EPS), "not an image"),
    "truncated": (truncated, "read"),
    "no data": (lambda: png(4, 4, 8, 2, b""), "read"),
    "too large": (bomb, "--max-pixels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        images.load(make())
    assert "\n" not in str(caught.value)


def test_every_truncation_of_a_jpeg() -> None:
    data = encoded(Image.fromarray(noise(16, 16, 3)), "JPEG").read()
    for length in range(0, len(data) - 40, 7):
        with pytest.raises(InputError):
            images.load(io.BytesIO(data[:length]))


def test_limit() -> None:
    stream = encoded(Image.fromarray(RGB))
    assert images.load(stream, 35).pixels.shape == (5, 7, 3)
    stream.seek(0)
    with pytest.raises(InputError, match="7 x 5"):
        images.load(stream, 34)


def test_pillows_limit_is_restored() -> None:
    before = Image.MAX_IMAGE_PIXELS
    for limit in (35, 10**12, None):
        assert images.load(encoded(Image.fromarray(RGB)), limit).pixels.shape == (5, 7, 3)
        assert before == Image.MAX_IMAGE_PIXELS


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        images.load(tmp_path / "missing.png")
    with pytest.raises(InputError, match="directory"):
        images.load(tmp_path)
    with pytest.raises(InputError, match=r"\.xyz"):
        images.save(images.Picture(RGB), tmp_path / "a.xyz")

"""Everything that a picture states is kept, converted with a note, or dropped with a note."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features

from codec.errors import InputError
from codec.pictures import code_points, jxl_head, layout, parts, reading, sixteen_bits
from codec.pictures.account import Account
from codec.pictures.metadata import Picture

PIXELS = np.random.default_rng(2).integers(0, 256, (24, 32, 3), dtype=np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif() -> Image.Exif:
    data = Image.Exif()
    data[0x010E], data[0x0112] = "words", 6
    return data


def saved(kind: str) -> bytes:
    """A file of this format that states as much as Pillow writes into it."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a title")
    text.add_itxt("XML:com.adobe.xmp", "<x/>")
    options: dict[str, dict[str, Any]] = {
        "PNG": {"exif": exif(), "icc_profile": PROFILE, "pnginfo": text, "dpi": (300, 300)},
        "JPEG": {"exif": exif(), "icc_profile": PROFILE, "xmp": b"<x/>", "comment": b"words", "dpi": (300, 300)},
        "WEBP": {"exif": exif(), "icc_profile": PROFILE, "xmp": b"<x/>"},
        "AVIF": {"exif": exif(), "icc_profile": PROFILE, "xmp": b"<x/>"},
        "TIFF": {"exif": exif(), "icc_profile": PROFILE, "dpi": (300, 300)},
        "GIF": {"comment": b"words", "transparency": 3},
        "BMP": {"dpi": (300, 300)},
        "TGA": {"id_section": b"words"},
        "JPEG2000": {"comment": b"words"},
    }
    modes = {"GIF": "P", "PCX": "P"}
    stream = io.BytesIO()
    Image.fromarray(PIXELS).convert(modes.get(kind, "RGB")).save(stream, kind, **options.get(kind, {}))
    return stream.getvalue()


FORMATS = [kind for kind in reading.READ_FORMATS if kind != "AVIF" or features.check("avif")]


@pytest.mark.parametrize("kind", FORMATS)
def test_everything_stated_has_a_fate(kind: str) -> None:
    """Keys of Pillow's info, parts of the file, tags: each is in the account, and what is not kept is noted."""
    data = saved(kind)
    picture = reading.load(io.BytesIO(data))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        stated = layout.names_of(image, parts.of_file(io.BytesIO(data), image.format))
    account = picture.account
    assert [name for name in stated if account.fate_of(name) is None] == []
    said = " ".join(picture.notes)
    for item in account.items:
        if item.fate == "converted":
            assert item.note
        if item.fate == "dropped":
            assert item.note in said and (item.note or all(name in said for name in item.names))


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_future_pillow_finds_is_noticed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = reading.opened

    def newer(*args: object, **options: object) -> Image.Image:
        image = opened(*args, **options)  # type: ignore[arg-type]
        image.info["gain_map"] = b"something new"
        return image

    data = saved(kind)
    before = reading.load(io.BytesIO(data)).notes
    monkeypatch.setattr(reading, "opened", newer)
    assert [n for n in reading.load(io.BytesIO(data)).notes if n not in before and "gain_map" in n]


def test_an_open_image_is_the_file() -> None:
    for kind in FORMATS:
        data = saved(kind)
        expected = reading.load(io.BytesIO(data))
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
            found = reading.of_image(image)
            assert image.size == size or kind == "TIFF"  # Pillow turns TIFF itself
        assert np.array_equal(found.pixels, expected.pixels)
        assert (found.icc, found.exif, found.xmp) == (expected.icc, expected.exif, expected.xmp)
        assert [note for note in expected.notes if note not in found.notes and "of 2" not in note] == []


def test_an_image_that_was_made() -> None:
    image = Image.fromarray(PIXELS)
    image.info |= {"icc_profile": PROFILE, "exif": exif().tobytes(), "xmp": b"<x/>"}
    picture = reading.of_image(image)
    assert np.array_equal(picture.pixels, np.rot90(PIXELS, -1))
    assert (picture.icc, picture.xmp) == (PROFILE, b"<x/>")
    assert image.info["exif"] == exif().tobytes() and image.size == (32, 24)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_parts_of_a_png() -> None:
    data = saved("PNG")
    data = data[:33] + chunk(b"prVt", b"words") + data[33:] + b"more after the end"
    found = parts.of_file(io.BytesIO(data), "PNG")
    assert found.names[:2] == ["IHDR", "prVt"] and found.names[-1] == "IEND" and found.trailing == 18
    assert found.first("prVt") == b"words" and found.first("IDAT") == b""
    notes = reading.load(io.BytesIO(data)).notes
    assert "18 bytes after the end of the picture are not kept" in notes
    assert any("not kept" in note and "prVt" in note for note in notes)


def test_parts_of_a_jpeg() -> None:
    data = saved("JPEG")
    data = data[:2] + b"\xff\xeb\0\x08HDR\0xx" + data[2:] + b"video"
    found = parts.of_file(io.BytesIO(data), "JPEG")
    assert found.names == ["APP11 HDR", "APP0 JFIF", "APP1 Exif", "APP1 XMP", "APP2 ICC", "COM"]
    assert found.first("COM") == b"words" and found.trailing == 5
    assert any("APP11 HDR" in note for note in reading.load(io.BytesIO(data)).notes)


def test_parts_of_cut_files_end() -> None:
    for kind in FORMATS:
        data = saved(kind)
        for length in range(0, len(data), max(1, len(data) // 40)):
            parts.of_file(io.BytesIO(data[:length]), kind)


def test_the_last_word_holds() -> None:
    account = Account()
    account.keep("colour", "gamma")
    account.drop("colour", "the gamma is not kept", "gamma")
    assert account.fate_of("gamma") == "dropped" and account.fate_of("exif") is None
    with pytest.raises(ValueError):
        account.convert("colour", "", "gamma")
    assert Picture(PIXELS).notes == []


def test_what_follows_a_ppm() -> None:
    """Comments, and pictures after the first."""
    one = b"P6\n# by hand\n2 1\n255\n" + bytes(6)
    picture = reading.load(io.BytesIO(one + one))
    assert picture.notes == [f"{len(one)} bytes after the end of the picture are not kept"]
    assert picture.texts == b"Comment\0\0\0 by hand\0"
    for data in (b"P5 2 1 65535\n" + bytes(4), b"P4 9 2\n" + bytes(4), b"P5 2 1 15\n" + bytes(2)):
        assert parts.of_file(io.BytesIO(data), "PPM").trailing == 0
        assert parts.of_file(io.BytesIO(data + b"xy"), "PPM").trailing == 2


def test_sgi_of_16_bits_is_said() -> None:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "SGI", bpc=2)
    stream.seek(0)
    assert "16 bits a sample were read as 8" in reading.load(stream).notes


def test_fourth_bytes_of_a_bmp() -> None:
    """Windows calls them reserved; some programs keep alpha there."""
    pixels = np.dstack([PIXELS, PIXELS[..., :1]])
    for data, said in ((pixels, True), (np.dstack([PIXELS, np.zeros_like(PIXELS[..., :1])]), False)):
        stream = io.BytesIO()
        Image.fromarray(data).save(stream, "BMP")
        stream.seek(0)
        picture = reading.load(stream)
        assert np.array_equal(picture.pixels, PIXELS)
        assert any("fourth byte" in note for note in picture.notes) == said


def test_padding_is_no_data() -> None:
    """Cameras fill files up with zeros, editors end them with a line end."""
    for kind in ("JPEG", "PNG", "GIF"):
        data = saved(kind)
        for padding in (bytes(4096), b"\r\n"):
            assert parts.of_file(io.BytesIO(data + padding), kind).trailing == 0
        assert parts.of_file(io.BytesIO(data + bytes(9) + b"x"), kind).trailing == 10


def test_an_image_that_is_loaded_already(tmp_path: Path) -> None:
    """What Pillow does not tell is asked from the file by its name: colour, and that low bytes are gone."""
    path = tmp_path / "x.png"
    deep = PIXELS.astype(np.uint16) * 251
    data = sixteen_bits.png(deep)
    path.write_bytes(data[:33] + chunk(b"cICP", b"\x0c\x0d\0\1") + data[33:])
    with Image.open(path) as image:
        image.load()
        picture = reading.of_image(image)
        assert picture.icc == code_points.DISPLAY_P3.profile() and np.array_equal(picture.pixels, deep >> 8)
        assert "16 bits a sample were read as 8" in picture.notes
        path.write_bytes(data[:33] + chunk(b"cICP", b"\x09\x10\0\1") + data[33:])
        with pytest.raises(InputError, match="PQ"):
            reading.of_image(image)
        path.unlink()
        assert reading.of_image(image).icc is None
    assert reading.of_image(image.copy()).icc is None


@pytest.mark.parametrize(
    "head, bits",
    [
        ("ff0a47402408040100e1254b", 8),
        ("ff0a47f00350b40808040100", 16),
        ("ff0a58897605088a1b010802", 8),
        ("ff0a588976057e80a2450802", 16),
        ("ff0a588976057e128a160101", 16),
        ("ff0a588976053980a2450802", 32),
        ("ff0a", 0),
        ("ff0b588976053980", 0),
    ],
)
def test_depth_of_jpeg_xl(head: str, bits: int) -> None:
    """Starts of files that libjxl has written of 8, 16 and 32 bits, small and not, with and without loss."""
    data = bytes.fromhex(head)
    assert jxl_head.of_bytes(data).bits == bits
    box = struct.pack(">I4s", 8 + len(data), b"jxlc") + data
    for file in (data, b"\0\0\0\x0cJXL \r\n\x87\n" + box):
        found = parts.of_file(io.BytesIO(file), "JXL")
        assert jxl_head.of_bytes(found.first("JXL head") or b"").bits == bits


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_images_opened_by_name(channels: int, tmp_path: Path) -> None:
    """Pillow closes such a file as soon as it has loaded the image, before the low bytes are read."""
    deep = np.random.default_rng(6).integers(0, 65536, (9, 11, channels), np.uint16).squeeze()
    path = tmp_path / "x.png"
    path.write_bytes(sixteen_bits.png(deep))
    with Image.open(path) as image:
        assert np.array_equal(reading.of_image(image).pixels, deep)

"""What files of other programs (tests/layouts_programs.py) have shown: each finding by a small file of its own."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from codec.errors import InputError
from codec.pictures import exif, jxl_head, reading
from codec.pictures.metadata import Picture

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 3), np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
#: two frames of 4 x 2, (200, 100, 50) and (20, 10, 250), by cjxl 0.7.0
ANIMATION = (
    "ff0a08704100161497040808a002000048004b188b15c2494362bd80040041feb80a15000808a04200004c004b188b15c209635cf8f90212000c75"
    "8e1e0100"
)
#: 4 x 1 RGB of 16 bits by opj_compress 2.5.0: (30000, 40000, 50000) twice, or first 65535 three times; then
#: (1000, 2000, 65000), (65400, 300, 700)
_HEAD = (
    "ff4fff51002f000000000004000000010000000000000000000000040000000100000000000000000003{}ff52000c00000001010004040001"
    "ff5c00044080ff640025000143726561746564206279204f70656e4a5045472076657273696f6e20322e352e30"
)
_SIZES = "0f01010f01010f0101"
GREY_FIRST = (
    "ff90000a0000000000350001ff93c7fe0c100df5138ac1782a85dff890480d559ddf1af7d410bfdff890500f4f28856257c36c2497ffd9"
)
WHITE_FIRST = "ff90000a0000000000310001ff93cffc302004b485d1aa1c655fdff890380d563136fa3964dff890400f4fe7d2952c8c1fffd9"


def saved(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, **options)
    return stream.getvalue()


def read(data: bytes) -> Picture:
    return reading.load(io.BytesIO(data))


def turned_exif(tag: int = 0x0112) -> bytes:
    """EXIF data of one entry, orientation 6; tag: under another number."""
    return b"Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHHI", tag, 3, 1, 6, 0, 0)


def test_jpeg_xl_is_turned_by_its_codestream() -> None:
    """Its EXIF data do not count: whoever sets the orientation in a box does not turn the picture."""
    pytest.importorskip("pillow_jxl")
    picture = read(saved("JXL", lossless=True, exif=turned_exif(), use_container=True))
    assert np.array_equal(picture.pixels, PIXELS)
    assert picture.notes == ["EXIF states orientation 6, the file's own is 1, which holds"]
    assert picture.exif and exif.orientation(picture.exif) == 1  # or the next reader would turn it


def test_an_animation_in_jpeg_xl_is_said() -> None:
    pytest.importorskip("pillow_jxl")
    data = bytes.fromhex(ANIMATION)
    assert jxl_head.of_bytes(data) == jxl_head.Head(8, 1, True)
    picture = read(data)
    assert (picture.pixels == (20, 10, 250)).all()
    assert any("only the last frame" in note for note in picture.notes)


def test_xmp_in_a_box_of_jpeg_xl() -> None:
    pytest.importorskip("pillow_jxl")
    data = saved("JXL", lossless=True, exif=turned_exif(0x0213), use_container=True)
    picture = read(data + struct.pack(">I4s", 8 + len(XMP), b"xml ") + XMP)
    assert picture.xmp == XMP and picture.notes == []


def test_avifs_own_orientation_holds() -> None:
    data = saved("AVIF", exif=turned_exif(0x0213)).replace(struct.pack(">HH", 0x0213, 3), struct.pack(">HH", 0x0112, 3))
    picture = read(data)
    assert picture.pixels.shape == PIXELS.shape
    assert picture.notes == ["EXIF states orientation 6, the file's own is 1, which holds"]
    assert picture.exif and exif.orientation(picture.exif) == 1


def test_white_in_a_deep_jpeg_2000_is_not_black() -> None:
    """Pillow rounds 16 bits to 8 without a limit: 65535 becomes 0."""
    head = _HEAD.format(_SIZES)
    picture = read(bytes.fromhex(head + GREY_FIRST))
    assert picture.pixels[0].tolist() == [[117, 156, 195]] * 2 + [[4, 8, 254], [255, 1, 3]]
    assert picture.notes == ["16 bits a sample were read as 8"]
    with pytest.raises(InputError, match="brightest samples for black"):
        read(bytes.fromhex(head + WHITE_FIRST))
    subsampled = head.replace(_SIZES, "0f01010f02010f0201")  # taken as YCbCr, where it cannot be told
    with pytest.raises(InputError):
        read(bytes.fromhex(subsampled + GREY_FIRST))


@pytest.mark.parametrize("mask", [0x8000, 0])
def test_alpha_of_a_bmp_of_16_bits(mask: int) -> None:
    words = np.arange(32, dtype="<u2").reshape(4, 8) * 33 | mask
    head = struct.pack("<IiiHHIIiiII", 108, 8, 4, 1, 16, 3, 64, 0, 0, 0, 0)
    head += struct.pack("<4I", 0x7C00, 0x3E0, 0x1F, mask) + b"BGRs" + bytes(48)
    file = b"BM" + struct.pack("<IHHI", 14 + 108 + 64, 0, 0, 14 + 108) + head + words.tobytes()
    notes = read(file).notes
    assert any("alpha of a BMP of 16 bits" in note for note in notes) == bool(mask)


def test_srgbs_primaries_in_a_tiff_are_srgb() -> None:
    """ImageMagick writes them into every TIFF, and no function beside them."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, values in ((318, (3127, 3290)), (319, (6400, 3300, 3000, 6000, 1500, 600))):
        tags.tagtype[tag] = 5
        tags[tag] = tuple(TiffImagePlugin.IFDRational(value, 10000) for value in values)
    picture = read(saved("TIFF", tiffinfo=tags))
    assert picture.icc is None and picture.notes == []


def test_what_a_fax_says_of_its_lines_is_no_metadata() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (326, 327, 328):
        tags[tag] = 0
    assert read(saved("TIFF", tiffinfo=tags)).notes == []


def test_heic_with_a_profile_has_nothing_to_note() -> None:
    """Every photo of a phone has one."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    from codec.pictures.icc import ADOBE_RGB

    picture = read(saved("HEIF", icc_profile=ADOBE_RGB.profile()))
    assert picture.icc == ADOBE_RGB.profile() and picture.notes == []


def test_a_text_of_png_named_comment_is_kept_once() -> None:
    from PIL import PngImagePlugin

    texts = PngImagePlugin.PngInfo()
    texts.add_text("comment", "words")
    found = read(saved("PNG", pnginfo=texts)).texts
    assert found and found.count(b"words") == 1

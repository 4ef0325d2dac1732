"""Colour that a file states without an ICC profile: kept as a small profile, or refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from codec.container import bitstream, profile_name
from codec.errors import InputError
from codec.pictures import code_points, icc, parts, reading, sixteen_bits
from codec.tool import output

RED = (200, 60, 60)
FLAT = np.full((16, 16, 3), RED, np.uint8)
P3_CHUNK = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
ADOBE_CHUNK = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
SRGB_CHUNK = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def gamma(power: float) -> bytes:
    return struct.pack(">I", round(100000 / power))


def png(pixels: np.ndarray, **chunks: bytes) -> io.BytesIO:
    """A PNG with these chunks behind its header."""
    data = sixteen_bits.png(pixels) if pixels.dtype == np.uint16 else saved(Image.fromarray(pixels))
    extra = b"".join(sixteen_bits._chunk(kind.encode(), payload) for kind, payload in chunks.items())
    return io.BytesIO(data[:33] + extra + data[33:])


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def in_srgb(profile: bytes, pixel: tuple[int, ...] = RED) -> tuple[int, ...]:
    """What a colour management system of another hand makes of a pixel."""
    grey = len(pixel) == 1
    out = ImageCms.profileToProfile(
        Image.new("L" if grey else "RGB", (1, 1), pixel if not grey else pixel[0]),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    assert out is not None
    pixel = out.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def expected(space: str, power: float | None, pixel: tuple[int, ...] = RED) -> np.ndarray:
    """The same from published matrices to XYZ of D65 (Lindbloom, W3C's CSS Color 4)."""
    to_xyz = {
        "sRGB": [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]],
        "P3": [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]],
        "Adobe": [[0.5766690, 0.1855582, 0.1882286], [0.2973450, 0.6273636, 0.0752915], [0.0270314, 0.0706889, 0.9913375]],
        "2020": [[0.6369580, 0.1446169, 0.1688810], [0.2627002, 0.6779981, 0.0593017], [0.0, 0.0280727, 1.0609851]],
    }  # fmt: skip
    v = np.array(pixel) / 255
    light = v**power if power else np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    light = np.linalg.solve(np.array(to_xyz["sRGB"]), np.array(to_xyz[space]) @ light).clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_p3_by_its_chromaticities() -> None:
    """The right value of the issue: P3 (200, 60, 60) is sRGB (217, 42, 52)."""
    for chunks in ({"gAMA": gamma(2.2), "cHRM": P3_CHUNK}, {"cHRM": P3_CHUNK}, {"cICP": b"\x0c\x0d\0\1"}):
        picture = reading.load(png(FLAT, **chunks))
        assert picture.icc is not None and np.array_equal(picture.pixels, FLAT)
        assert in_srgb(picture.icc) == (217, 42, 52)
        assert picture.notes == ["the colour that the file states was kept as an ICC profile: Display P3"]
        assert profile_name.in_words(picture.icc, False) == "Display P3"


@pytest.mark.parametrize("power", [1.0, 1.8, 2.6])
@pytest.mark.parametrize("space", ["sRGB", "P3", "Adobe"])
def test_chromaticities_and_gamma(space: str, power: float) -> None:
    points = {"sRGB": SRGB_CHUNK, "P3": P3_CHUNK, "Adobe": ADOBE_CHUNK}[space]
    picture = reading.load(png(FLAT, gAMA=gamma(power), cHRM=points))
    assert picture.icc is not None
    assert np.abs(np.array(in_srgb(picture.icc)) - expected(space, round(1e5) / round(1e5 / power))).max() <= 1.01


def test_what_is_srgb_needs_no_profile() -> None:
    for chunks in (
        {"sRGB": b"\0", "gAMA": gamma(2.2), "cHRM": SRGB_CHUNK},
        {"sRGB": b"\0", "gAMA": gamma(1.0)},
        {"gAMA": gamma(2.2), "cHRM": SRGB_CHUNK},
        {"gAMA": gamma(2.2)},
        {"cHRM": SRGB_CHUNK},
        {"cICP": b"\1\x0d\0\1"},
        {"cICP": b"\2\2\0\1"},
    ):
        picture = reading.load(png(FLAT, **chunks))
        assert picture.icc is None and picture.notes == []


def test_grey() -> None:
    """A curve alone; primaries say nothing of grey."""
    grey = FLAT[..., 0]
    assert reading.load(png(grey, cHRM=P3_CHUNK)).icc is None
    for pixels in (grey, grey.astype(np.uint16) * 257):
        picture = reading.load(png(pixels, gAMA=gamma(1.0)))
        assert picture.icc is not None and picture.icc[16:20] == b"GRAY" and np.array_equal(picture.pixels, pixels)
        assert abs(in_srgb(picture.icc, (60,))[0] - expected("sRGB", 1.0, (60, 60, 60))[0]) <= 1
        assert profile_name.in_words(picture.icc, True) == "BT.709 primaries, linear light"


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("transfer", [16, 18, 9])
def test_high_range_is_refused(depth: int, transfer: int) -> None:
    pixels = FLAT if depth == 8 else FLAT.astype(np.uint16) * 257
    with pytest.raises(InputError, match="convert the image to sRGB or Display P3 first"):
        reading.load(png(pixels, cICP=bytes([9, transfer, 0, 1])))


def test_narrow_range_is_refused() -> None:
    with pytest.raises(InputError, match="full range first"):
        reading.load(png(FLAT, cICP=b"\1\1\0\0"))


def test_a_profile_comes_before_other_words() -> None:
    own = icc.ADOBE_RGB.profile()
    data = saved(Image.fromarray(FLAT), icc_profile=own)
    chunk = sixteen_bits._chunk(b"cICP", b"\x09\x10\0\1")
    picture = reading.load(io.BytesIO(data[:33] + chunk + data[33:]))
    assert picture.icc == own and picture.notes == [
        "the file also says PQ or HLG (cICP), which is not kept: its profile is"
    ]


@pytest.mark.parametrize(
    "chunks",
    [
        {"cHRM": bytes(32)},
        {"cHRM": struct.pack(">8I", 31270, 32900, 60000, 30000, 60000, 30000, 60000, 30000)},
        {"gAMA": struct.pack(">I", 1)},
        {"cICP": b"\x63\x0d\0\1"},
    ],
)
def test_colour_that_cannot_be(chunks: dict[str, bytes]) -> None:
    picture = reading.load(png(FLAT, **chunks))
    assert picture.icc is None and "taken as sRGB" in picture.notes[0]


def test_text_named_like_colour_is_text() -> None:
    """PNG's text lands in Pillow's info under any keyword."""
    texts = {b"gamma": b"2", b"srgb": b"x", b"chromaticity": b"x", b"icc_profile": b"x", b"transparency": b"x"}
    chunks = b"".join(sixteen_bits._chunk(b"tEXt", key + b"\0" + value) for key, value in texts.items())
    data = saved(Image.fromarray(FLAT))
    picture = reading.load(io.BytesIO(data[:33] + chunks + data[33:]))
    assert np.array_equal(picture.pixels, FLAT) and picture.icc is None


@pytest.mark.parametrize("primaries, transfer", [(12, 13), (9, 14), (9, 8), (1, 4)])
def test_nclx(primaries: int, transfer: int) -> None:
    """AVIF's colour of the picture itself, not of its alpha."""
    data = bytearray(saved(Image.fromarray(np.dstack([FLAT, FLAT[..., :1]])), "AVIF", quality=90))
    at = data.index(b"nclx")
    data[at + 4 : at + 8] = struct.pack(">HH", primaries, transfer)
    picture = reading.load(io.BytesIO(data))
    space = code_points.space_of(primaries, transfer)
    assert space is not None and picture.icc == space.profile()
    for transfer in (16, 18):
        data[at + 6 : at + 8] = struct.pack(">H", transfer)
        with pytest.raises(InputError, match="first"):
            reading.load(io.BytesIO(data))


def test_code_points() -> None:
    space = code_points.space_of(9, 13)
    assert space is not None
    assert np.abs(np.array(in_srgb(space.profile())) - expected("2020", None)).max() <= 1.01
    video = code_points.space_of(1, 1)
    assert video is not None and not video.alike(icc.SRGB)
    light = ((200 / 255 + 0.0993) / 1.0993) ** (1 / 0.45)
    assert abs(in_srgb(video.profile(True), (200,))[0] - 255 * (1.055 * light ** (1 / 2.4) - 0.055)) <= 1
    assert code_points.space_of(3, 13) is None and code_points.space_of(1, 99) is None


def exif(**values: object) -> bytes:
    data = Image.Exif()
    own = data.get_ifd(0x8769)
    own[0xA001] = values["kind"]
    if "interop" in values:
        own[0xA005] = {1: values["interop"]}
    return data.tobytes()


def test_exif() -> None:
    image = Image.fromarray(FLAT)
    for kind, options in (("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True})):
        for values in ({"kind": 2}, {"kind": 0xFFFF, "interop": "R03"}):
            picture = reading.load(io.BytesIO(saved(image, kind, exif=exif(**values), **options)))
            assert picture.icc == icc.ADOBE_RGB.profile()
        assert reading.load(io.BytesIO(saved(image, kind, exif=exif(kind=1), **options))).icc is None
        picture = reading.load(io.BytesIO(saved(image, kind, exif=exif(kind=0xFFFF), **options)))
        assert picture.icc is None and "nothing says what it is: taken as sRGB" in picture.notes[0]
    # sRGB's chunk is PNG's own word
    assert reading.load(io.BytesIO(saved_with_srgb(exif(kind=2)))).icc is None
    assert np.abs(np.array(in_srgb(icc.ADOBE_RGB.profile())) - expected("Adobe", 563 / 256)).max() <= 1.01


def saved_with_srgb(data: bytes) -> bytes:
    file = saved(Image.fromarray(FLAT), exif=data)
    return file[:33] + sixteen_bits._chunk(b"sRGB", b"\0") + file[33:]


def test_tiff() -> None:
    tags = {318: (0.3127, 0.329), 319: (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)}
    table = tuple(round(65535 * (i / 255) ** 1.8) for i in range(256))
    for more, power in (({}, 2.2), ({301: table * 3}, 1.8), ({301: table}, 1.8)):
        picture = reading.load(io.BytesIO(saved(Image.fromarray(FLAT), "TIFF", tiffinfo=ifd(tags | more))))
        assert picture.icc is not None
        assert np.abs(np.array(in_srgb(picture.icc)) - expected("Adobe", power)).max() <= 1.01


def ifd(tags: dict[int, tuple[float, ...]]) -> object:
    from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

    out = ImageFileDirectory_v2()
    for tag, values in tags.items():
        out.tagtype[tag] = 3 if tag == 301 else 5
        out[tag] = values if tag == 301 else tuple(IFDRational(round(v * 10000), 10000) for v in values)
    return out


def test_bmp() -> None:
    """Headers of version 4 and 5: endpoints and gamma, and an embedded profile."""
    plain = saved(Image.fromarray(FLAT), "BMP")
    pixels = plain[54:]
    matrix = np.array(icc.ADOBE_RGB.points)
    scale = np.array([0.2973, 0.6274, 0.0753]) / matrix[1:, 1]
    ends = [round(v * s * (1 << 30)) for (x, y), s in zip(matrix[1:], scale) for v in (x, y, 1 - x - y)]

    def bmp(kind: bytes, profile: bytes = b"") -> bytes:
        size = 124 if profile else 108
        head = struct.pack("<I", size) + plain[18:54] + bytes(16) + kind[::-1]
        head += struct.pack("<9i3I", *ends, *[round(563 / 256 * 65536)] * 3)
        if profile:
            head += struct.pack("<IIII", 4, size + len(pixels), len(profile), 0)
        return (
            b"BM"
            + struct.pack("<IHHI", 14 + size + len(pixels) + len(profile), 0, 0, 14 + size)
            + head
            + pixels
            + profile
        )

    picture = reading.load(io.BytesIO(bmp(bytes(4))))
    assert picture.icc is not None and np.array_equal(picture.pixels, FLAT)
    assert np.abs(np.array(in_srgb(picture.icc)) - expected("Adobe", 563 / 256)).max() <= 1.01
    assert reading.load(io.BytesIO(bmp(b"sRGB"))).icc is None
    own = icc.ADOBE_RGB.profile()
    assert reading.load(io.BytesIO(bmp(b"MBED", own))).icc == own
    assert "elsewhere" in reading.load(io.BytesIO(bmp(b"LINK"))).notes[0]


def test_jpeg_2000() -> None:
    data = saved(Image.fromarray(FLAT), "JPEG2000")
    own = icc.ADOBE_RGB.profile()
    at = data.index(b"colr") - 4
    size = struct.unpack(">I", data[at : at + 4])[0]
    box = struct.pack(">I4s3s", 11 + len(own), b"colr", b"\2\0\0") + own
    head = data.index(b"jp2h") - 4
    grown = struct.pack(">I", struct.unpack(">I", data[head : head + 4])[0] + len(box) - size)
    changed = data[:head] + grown + data[head + 4 : at] + box + data[at + size :]
    assert reading.load(io.BytesIO(changed)).icc == own
    with pytest.raises(InputError, match="RGB first"):
        reading.load(io.BytesIO(data[: at + 11] + struct.pack(">I", 21) + data[at + 15 :]))


def test_gif_with_a_profile() -> None:
    data = saved(Image.fromarray(FLAT).quantize(4), "GIF")
    own = icc.ADOBE_RGB.profile()
    blocks = b"".join(bytes([len(own[i : i + 255])]) + own[i : i + 255] for i in range(0, len(own), 255))
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    data = data[:at] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + data[at:]
    assert parts.of_file(io.BytesIO(data), "GIF").first("extension ICCRGBG1012") == own
    assert reading.load(io.BytesIO(data)).icc == own


def test_profiles_are_whole() -> None:
    """LittleCMS reads what is in them; the same numbers give the same bytes."""
    for space in (icc.SRGB, icc.ADOBE_RGB, code_points.DISPLAY_P3):
        for grey in (False, True):
            data = space.profile(grey)
            assert data == space.profile(grey) and len(data) == struct.unpack(">I", data[:4])[0] < 700
            profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
            assert profile.profile.profile_description == space.name == profile_name.in_words(data, grey)
            assert profile.profile.xcolor_space.strip() == ("GRAY" if grey else "RGB")
    # sRGB's matrix under D50, as Lindbloom has it
    lindbloom = [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
    assert np.abs(np.array(icc.SRGB.matrix()) - lindbloom).max() < 5e-4


def test_info_names_the_colour() -> None:
    header = bitstream.Header.of(width=3, height=2, quality=75.0)
    for extras, name in (
        ({}, "sRGB, as nothing else is stated"),
        ({bitstream.ICC: icc.ADOBE_RGB.profile()}, "Adobe RGB (1998), compatible"),
        ({bitstream.ICC: b"noise"}, "a profile without a name"),
    ):
        file = bitstream.read(bitstream.write(header, [b"payload"], extras))
        assert bitstream.describe(file)["colour"] == name
        assert f"colour       {name}" in output.info_text(file, set()).splitlines()


def test_names() -> None:
    """Of profiles of version 2 and 4, and of those that are damaged."""
    v2 = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert "sRGB" in profile_name.in_words(v2, False)
    for cut in range(0, len(v2), 37):
        assert isinstance(profile_name.in_words(v2[:cut] + b"\xff" * 8, False), str)
    old = bytearray(132 + 12) + b"desc" + bytes(4) + struct.pack(">I", 9) + b"Old\nname\0"
    old[128:144] = struct.pack(">I4sII", 1, b"desc", 144, len(old) - 144)
    assert profile_name.in_words(bytes(old), False) == "Old name"


def test_adobes_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says of three channels that they are RGB, of four that they are amounts of paper rather than ink."""
    data = saved(Image.fromarray(FLAT), "JPEG", quality=95, keep_rgb=True)
    assert b"Adobe" in data and np.abs(reading.load(io.BytesIO(data)).pixels.astype(int) - RED).max() <= 2
    seen = []

    def convert(image: Image.Image, *_: object, **__: object) -> Image.Image:
        seen.append(image.getpixel((0, 0)))
        return image.convert("RGB")

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)  # LittleCMS needs a profile for CMYK
    ink = Image.new("CMYK", (16, 16), (10, 80, 200, 40))
    data = saved(ink, "JPEG", quality=98, icc_profile=icc.SRGB.profile())
    at = data.index(b"Adobe") - 4
    without = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
    assert "ink" not in " ".join(reading.load(io.BytesIO(data)).notes)
    assert (
        "CMYK without Adobe's marker: its samples were taken as amounts of ink"
        in reading.load(io.BytesIO(without)).notes
    )
    assert np.abs(np.array(seen[0]) - (10, 80, 200, 40)).max() <= 2
    assert np.abs(np.array(seen[1]) - (245, 175, 55, 215)).max() <= 2  # the same bytes, as they are


def test_nclx_of_heif() -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = bytearray(saved(Image.fromarray(noise_of(64)), "HEIF", quality=90))
    at = data.index(b"nclx")
    data[at + 4 : at + 8] = struct.pack(">HH", 12, 13)
    assert reading.load(io.BytesIO(data)).icc == code_points.DISPLAY_P3.profile()
    data[at + 4 : at + 8] = struct.pack(">HH", 9, 18)
    with pytest.raises(InputError, match="HLG"):
        reading.load(io.BytesIO(data))


def noise_of(side: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (side, side, 3), np.uint8)


def test_damaged_profiles_are_said() -> None:
    """Pillow hands out none: of a JPEG that lacks a part of it, of a PNG whose bytes do not unpack."""
    own = icc.ADOBE_RGB.profile() + bytes(70000)
    data = saved(Image.fromarray(FLAT), "JPEG", icc_profile=own)
    at = data.index(b"ICC_PROFILE") - 4
    cut = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
    for file in (
        io.BytesIO(cut),
        png(FLAT, iCCP=b"name\0\0not packed"),
        png(FLAT, iCCP=b"name\0\0not packed", gAMA=gamma(1)),
    ):
        picture = reading.load(file)
        assert picture.notes[0] == "the colour profile is damaged and was dropped"
    assert picture.icc is not None and profile_name.in_words(picture.icc, False) == "BT.709 primaries, linear light"

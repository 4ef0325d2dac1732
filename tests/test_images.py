"""Reading and writing ordinary pictures, and refusing what is not supported."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from codec.errors import InputError
from codec.pictures import formats, parts, reading, sixteen_bits, writing
from codec.pictures.metadata import Picture


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
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".ppm", ""])
def test_lossless_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    with open(path, "wb") as stream:
        writing.save(Picture(RGB), stream, path)
    picture = reading.load(path)
    assert np.array_equal(picture.pixels, RGB)
    assert picture.pixels.dtype == np.uint8
    assert picture.notes == []


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_metadata_round_trip(suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    raw = exif.tobytes().removeprefix(b"Exif\0\0")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Picture(RGB, raw, icc, b"<x:xmpmeta/>")
    stream = io.BytesIO()
    writing.save(picture, stream, "x" + suffix)
    stream.seek(0)
    back = reading.load(stream)
    assert (back.exif, back.icc, back.xmp) == (raw, icc, b"<x:xmpmeta/>")


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "kept"
    picture = reading.load(encoded(Image.fromarray(RGB), exif=exif))
    assert np.array_equal(picture.pixels, np.rot90(RGB, -1))
    assert picture.exif is not None
    left = Image.Exif()
    left.load(picture.exif)
    assert left[0x0112] == 1
    assert left[0x010E] == "kept"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_picture() -> None:
    picture = reading.load(encoded(Image.fromarray(RGB), exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert np.array_equal(picture.pixels, RGB)


KINDS = {
    "grey": (noise(4, 6), "L", ""),
    "grey and alpha": (noise(4, 6, 2), "LA", ""),
    "RGB": (RGB, "RGB", ""),
    "RGBA": (noise(4, 6, 4), "RGBA", ""),
    "1-bit": (noise(4, 6) > 127, "L", "1-bit image stored as 8-bit grey"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds(case: str) -> None:
    """What a file holds is what is loaded, said where it was converted."""
    pixels, mode, note = KINDS[case]
    image = Image.fromarray(pixels)
    picture = reading.load(encoded(image))
    assert np.array_equal(picture.pixels, np.asarray(image.convert(mode)))
    assert picture.notes == ([note] if note else [])


def test_palette() -> None:
    image = Image.fromarray(RGB).quantize(8)
    picture = reading.load(encoded(image))
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.notes == ["palette image stored as RGB"]
    picture = reading.load(encoded(image, transparency=int(np.asarray(image)[0, 0])))
    assert picture.pixels.shape == (5, 7, 4) and picture.pixels[0, 0, 3] == 0
    assert np.array_equal(picture.pixels[..., :3], np.asarray(image.convert("RGB")))
    assert picture.notes == ["palette image stored as RGB"]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_transparent_colour(mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    key = image.getpixel((2, 1))
    picture = reading.load(encoded(image, transparency=key))
    colour, alpha = formats.split(picture.pixels)
    assert np.array_equal(colour, np.asarray(image))
    assert alpha is not None and alpha[1, 2] == 0 and (alpha == 255).sum() == 34
    assert "transparent colour" in picture.notes[0]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_opaque_alpha_is_dropped(mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    picture = reading.load(encoded(image))
    assert np.array_equal(picture.pixels, np.asarray(image.convert(mode[:-1])))
    assert picture.notes == ["an alpha channel that is opaque everywhere was dropped"]


# --- 16 bits ---------------------------------------------------------------------------------

DEEP = np.random.default_rng(3).integers(0, 65536, (70, 9, 4), dtype=np.uint16)
DEEP_KINDS = {"grey": DEEP[..., 0], "grey and alpha": DEEP[..., :2], "RGB": DEEP[..., :3], "RGBA": DEEP}


@pytest.mark.parametrize("case", DEEP_KINDS)
def test_16_bits(case: str) -> None:
    pixels = DEEP_KINDS[case]
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc = icc[:16] + (b"GRAY" if "grey" in case else b"RGB ") + icc[20:]
    exif = Image.Exif()
    exif[0x010E] = "words"
    raw = exif.tobytes().removeprefix(b"Exif\0\0")
    stream = io.BytesIO()
    assert writing.save(Picture(pixels, raw, icc, b"<x/>"), stream) == []
    stream.seek(0)
    back = reading.load(stream)
    assert back.pixels.dtype == np.uint16 and np.array_equal(back.pixels, pixels)
    assert (back.exif, back.icc, back.xmp, back.notes) == (raw, icc, b"<x/>", [])
    with Image.open(stream) as image:
        image.verify()  # every CRC


@pytest.mark.parametrize("filter_type", range(5))
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_png_with_every_filter(filter_type: int, channels: int) -> None:
    """The low bytes come out right whatever the rows were predicted from."""
    colour = {2: 4, 3: 2, 4: 6}[channels]
    raw = DEEP[..., :channels].astype(">u2").reshape(70, -1).view(np.uint8).astype(int)
    left = np.pad(raw, ((0, 0), (2 * channels, 0)))[:, : raw.shape[1]]
    up = np.pad(raw, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(left, ((1, 0), (0, 0)))[:-1]
    distance = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
    paeth = np.where(
        (distance[0] <= distance[1]) & (distance[0] <= distance[2]),
        left,
        np.where(distance[1] <= distance[2], up, corner),
    )
    rows = (raw - (0, left, up, (left + up) // 2, paeth)[filter_type]).astype(np.uint8)
    data = b"".join(bytes([filter_type]) + row.tobytes() for row in rows)
    assert np.array_equal(reading.load(png(9, 70, 16, colour, data)).pixels, DEEP[..., :channels])


def tiff(samples: np.ndarray, order: str, **tags: int) -> io.BytesIO:
    """An uncompressed TIFF of one strip."""
    channels = samples.shape[2] if samples.ndim == 3 else 1
    data = samples.astype(order + samples.dtype.str[1:]).tobytes()
    values = {
        256: samples.shape[1],
        257: samples.shape[0],
        259: 1,
        262: 2 if channels > 1 else 1,
        277: channels,
        278: samples.shape[0],
        279: len(data),
    } | {int(k[1:]): v for k, v in tags.items()}
    if channels == 4:
        values.setdefault(338, 2)
    count = len(values) + 2
    bits_at = 8 + 2 + 12 * count + 4
    entries = {t: (4, 1, v) if t in (279,) else (3, 1, v) for t, v in values.items()}
    entries[258] = (3, channels, bits_at if channels > 2 else 8 * samples.itemsize)
    entries[273] = (4, 1, bits_at + 2 * channels)
    out = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, count)
    for tag, (kind, n, value) in sorted(entries.items()):
        short = kind == 3 and n == 1
        out += struct.pack(order + "HHI" + ("HH" if short else "I"), tag, kind, n, value, *([0] if short else []))
    out += struct.pack(order + "I", 0) + struct.pack(f"{order}{channels}H", *[8 * samples.itemsize] * channels)
    return io.BytesIO(out + data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("case", ["grey", "RGB", "RGBA"])
def test_16_bit_tiff(order: str, case: str) -> None:
    assert np.array_equal(reading.load(tiff(DEEP_KINDS[case], order)).pixels, DEEP_KINDS[case])


def test_16_bit_tiff_from_white_to_black() -> None:
    assert np.array_equal(reading.load(tiff(DEEP[..., 0], "<", t262=0)).pixels, 65535 - DEEP[..., 0])


def test_16_bit_ppm() -> None:
    for pixels in (DEEP[..., 0], DEEP[..., :3]):
        stream = io.BytesIO()
        writing.save(Picture(pixels), stream, "x.ppm")
        stream.seek(0)
        assert np.array_equal(reading.load(stream).pixels, pixels)


def test_16_bits_with_orientation_and_transparent_colour() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes().removeprefix(b"Exif\0\0")
    picture = reading.load(io.BytesIO(sixteen_bits.png(DEEP[..., :3], exif=raw)))
    assert np.array_equal(picture.pixels, np.rot90(DEEP[..., :3], -1))
    for channels in (1, 3):
        pixels = DEEP[..., :channels].squeeze()
        data = sixteen_bits.png(pixels)
        key = sixteen_bits._chunk(b"tRNS", np.array(pixels[3, 4], ">u2").tobytes())
        picture = reading.load(io.BytesIO(data[:33] + key + data[33:]))
        colour, alpha = formats.split(picture.pixels)
        assert np.array_equal(colour, pixels) and alpha is not None
        assert alpha[3, 4] == 0 and alpha.min() == 0 and (alpha == 65535).mean() > 0.99
        assert "transparent colour" in picture.notes[0]


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_more_bits_than_pillow_reads_are_said(bits: int) -> None:
    for kind, mark, at, values in (
        ("AVIF", b"av1C", 6, {8: 0, 10: 0x40, 12: 0x60}),
        ("JPEG2000", b"\xff\x4f\xff\x51", 42, {8: 7, 10: 9, 12: 11}),
    ):
        stream = encoded(Image.fromarray(noise(32, 32, 3)), kind)
        data = bytearray(stream.getvalue())
        data[data.index(mark) + at] = values[bits] | (data[data.index(mark) + at] & 0x1F if kind == "AVIF" else 0)
        with Image.open(stream) as image:
            assert sixteen_bits.cut_to_8(image, parts.of_file(io.BytesIO(data), kind)) == (bits if bits > 8 else 0)


def test_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    picture = reading.load(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
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
    picture = reading.load(encoded(image, "TIFF", icc_profile=icc))
    assert calls == ["CMYK"]
    assert picture.icc is None
    assert "profile" in picture.notes[0]


def test_profiles_fit_the_pixels() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.fromarray(noise(4, 6))
    picture = reading.load(encoded(grey, icc_profile=icc))
    assert np.array_equal(picture.pixels, np.asarray(grey.convert("RGB"))) and picture.icc == icc
    assert picture.notes == ["grey image stored as RGB, since its colour profile is for RGB"]
    for_grey = icc[:16] + b"GRAY" + icc[20:]
    picture = reading.load(encoded(grey, icc_profile=for_grey))
    assert picture.pixels.ndim == 2 and picture.icc == for_grey and picture.notes == []
    picture = reading.load(encoded(Image.fromarray(RGB), icc_profile=for_grey))
    assert picture.icc is None and "not for RGB was dropped" in picture.notes[0]


def test_tiff_keeps_what_it_says() -> None:
    exif = Image.Exif()
    exif[0x010E] = "words"
    exif[0x0112] = 8
    exif.get_ifd(0x8769)[0x9003] = "2026:11:24 12:00:00"
    picture = reading.load(encoded(Image.fromarray(RGB), "TIFF", exif=exif.tobytes()))
    assert np.array_equal(picture.pixels, np.rot90(RGB))
    left = Image.Exif()
    left.load(picture.exif or b"")
    assert dict(left).keys() == {0x010E, 0x8769}
    assert left[0x010E] == "words" and left.get_ifd(0x8769)[0x9003] == "2026:11:24 12:00:00"
    stream = io.BytesIO()
    picture.xmp = b"<x/>"
    writing.save(picture, stream, "x.tif")
    back = reading.load(stream) if not stream.seek(0) else None
    assert back is not None and back.xmp == b"<x/>" and b"2026:11:24 12:00:00" in (back.exif or b"")


def test_what_the_format_has_no_room_for() -> None:
    picture = Picture(RGB, exif=b"MM\0*\0\0\0\x08\0\0", xmp=b"<x/>")
    assert writing.save(picture, io.BytesIO(), "x.bmp") == ["BMP files have no room for EXIF, XMP, which were left out"]
    icc = Picture(noise(4, 6), icc=bytes(16) + b"GRAY")
    assert "left out" in writing.save(icc, io.BytesIO(), "x.webp")[0]
    for name, pixels in (
        ("x.jpg", noise(4, 6, 4)),
        ("x.ppm", noise(4, 6, 2)),
        ("x.webp", DEEP[..., 0]),
        ("x.tif", DEEP[..., :3]),
        ("x.ppm", DEEP),
    ):
        with pytest.raises(InputError, match="take"):
            writing.save(Picture(pixels), io.BytesIO(), name)


def test_metadata_that_a_format_cannot_take() -> None:
    """The picture is written without it, and that is said."""

    def notes(suffix: str, **metadata: bytes) -> list[str]:
        stream = io.BytesIO()
        out = writing.save(Picture(RGB, **metadata), stream, "x" + suffix)
        stream.seek(0)
        assert suffix == ".jpg" or np.array_equal(reading.load(stream).pixels, RGB)
        return out

    noise_of_bytes = np.random.default_rng(1).bytes(300)
    assert notes(".tif", exif=noise_of_bytes, xmp=b"<x/>") == ["the EXIF data is damaged and was left out"]
    assert notes(".jpg", exif=bytes(70_000)) == [
        "EXIF data of 70000 bytes is too large for JPEG files and was left out"
    ]
    assert notes(".jpg", xmp=bytes(65_505)) == ["XMP data of 65505 bytes is too large for JPEG files and was left out"]
    assert notes(".jpg", icc=bytes(17_000_000))[0].startswith("ICC data")
    assert notes(".jpg", exif=bytes(65_527), xmp=bytes(65_504), icc=bytes(70_000)) == []


def test_layout_in_exif_is_not_that_of_a_tiff() -> None:
    """Cameras write ImageWidth and the like there; in a TIFF they would describe its own pixels."""
    exif = Image.Exif()
    exif[256], exif[257], exif[259], exif[278], exif[270] = 1, 1, 7, 1, "words"
    stream = io.BytesIO()
    assert writing.save(Picture(RGB, exif.tobytes().removeprefix(b"Exif\0\0")), stream, "x.tif") == []
    stream.seek(0)
    back = reading.load(stream)
    assert np.array_equal(back.pixels, RGB)
    left = Image.Exif()
    left.load(back.exif or b"")
    assert left[270] == "words"


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_lossless_with_alpha(suffix: str, channels: int) -> None:
    pixels = noise(5, 7, channels).squeeze()
    stream = io.BytesIO()
    writing.save(Picture(pixels), stream, "x" + suffix)
    stream.seek(0)
    back = reading.load(stream).pixels
    if back.shape != pixels.shape:  # formats without grey
        pixels = np.asarray(Image.fromarray(pixels).convert("RGBA" if channels == 2 else "RGB"))
    assert np.array_equal(back, pixels)


def truncated() -> io.BytesIO:
    return io.BytesIO(encoded(Image.fromarray(noise(64, 64, 3))).read()[:3000])


def bomb() -> io.BytesIO:
    return png(60000, 60000, 8, 2, b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
REFUSED = {
    "10-bit PPM": (lambda: io.BytesIO(b"P6 1 1 1023\n" + bytes(6)), "8 or 16 bits first"),
    "truncated 16-bit PPM": (lambda: io.BytesIO(b"P6 2 1 65535\n" + bytes(11)), "truncated"),
    "text 16-bit PPM": (lambda: io.BytesIO(b"P3 1 1 65535\n 1 2 3\n"), "8 or 16 bits first"),
    "32-bit": (lambda: encoded(Image.new("I", (2, 2)), "TIFF"), "8 or 16 bits first"),
    "signed": (lambda: tiff(DEEP[..., 0], "<", t339=2), "8 or 16 bits first"),
    "float": (lambda: encoded(Image.new("F", (2, 2)), "TIFF"), "8 or 16 bits first"),
    "truncated 16-bit RGB": (lambda: png(1, 1, 16, 2, bytes(2)), "read"),
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
        reading.load(make())
    assert "\n" not in str(caught.value)


def test_every_truncation_of_a_jpeg() -> None:
    data = encoded(Image.fromarray(noise(16, 16, 3)), "JPEG").read()
    for length in range(0, len(data) - 40, 7):
        with pytest.raises(InputError):
            reading.load(io.BytesIO(data[:length]))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_without_its_end_marker(mode: str, progressive: bool) -> None:
    """It is decoded, with a note, where nothing but the marker is missing; not where a scan or a byte is."""
    pixels = np.kron(noise(9, 12, 3), np.ones((7, 7, 1), np.uint8))
    data = encoded(Image.fromarray(pixels).convert(mode), "JPEG", progressive=progressive, quality=85).getvalue()
    right = reading.load(io.BytesIO(data))
    for cut in (2, 1):
        picture = reading.load(io.BytesIO(data[:-cut]))
        assert np.array_equal(picture.pixels, right.pixels)
        assert picture.notes == [*right.notes, "the file lacks its end marker; all of the picture is there"]
    scans = [n for n in range(len(data)) if data[n : n + 2] == b"\xff\xda"]
    assert len(scans) > 3 or not progressive
    for length in (*range(4, len(data) // 3, 5), len(data) - 9, *scans[1:]):
        with pytest.raises(InputError, match="cannot be read|empty|not an image"):
            reading.load(io.BytesIO(data[:length]))


def test_an_end_marker_was_lost() -> None:
    data = Path(__file__).with_name("data").joinpath("no_eoi.jpg").read_bytes()
    whole = reading.load(io.BytesIO(data + b"\xff\xd9"))
    assert np.array_equal(reading.load(io.BytesIO(data)).pixels, whole.pixels) and whole.notes == []


def test_limit() -> None:
    stream = encoded(Image.fromarray(RGB))
    assert reading.load(stream, 35).pixels.shape == (5, 7, 3)
    stream.seek(0)
    with pytest.raises(InputError, match="7 x 5"):
        reading.load(stream, 34)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "JPEG2000"])
def test_pillows_limit_is_another(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to the process: nothing of ours looks at it, and nothing changes it, in whatever threads."""
    data = encoded(Image.fromarray(RGB), kind).getvalue()
    seen: list[int | None] = []

    class Watched(type(Image)):  # type: ignore[misc]
        def __setattr__(self, name: str, value: object) -> None:
            if name == "MAX_IMAGE_PIXELS":
                seen.append(value)  # type: ignore[arg-type]
            super().__setattr__(name, value)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 34 if kind == "GIF" else 3)
    monkeypatch.setattr(Image, "__class__", Watched)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for limit in (35, 10**12, None):
            with ThreadPoolExecutor(4) as pool:
                shapes = set(pool.map(lambda _: reading.load(io.BytesIO(data), limit).pixels.shape, range(8)))  # noqa: B023
            assert shapes == {(5, 7, 3)}
    assert seen == []
    with pytest.raises(InputError, match="7 x 5"):
        reading.load(io.BytesIO(data), 34)


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        reading.load(tmp_path / "missing.png")
    with pytest.raises(InputError, match="directory"):
        reading.load(tmp_path)
    with pytest.raises(InputError, match=r"\.xyz"):
        writing.save(Picture(RGB), io.BytesIO(), tmp_path / "a.xyz")

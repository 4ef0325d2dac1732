"""Metadata are kept byte for byte, but for what turning the picture changes; what is not kept is said."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import codec
from codec.pictures import exif, photoshop, reading, resolution, texts, tiff_tags, writing, xmp
from codec.pictures.metadata import Picture
from codec.pictures.texts import Text

DATA = Path(__file__).parent / "data"
RGB = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
SMOOTH = np.dstack([np.add.outer(np.arange(48) * a, np.arange(64) * b) for a, b in ((1, 2), (2, 1), (0, 3))])
PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'


def file_of(kind: str = "PNG", pixels: np.ndarray = RGB, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def load(data: bytes) -> Picture:
    return reading.load(io.BytesIO(data))


def through(picture: Picture, suffix: str) -> tuple[Picture, list[str]]:
    """The picture written in a format and read again, and what was said of the writing."""
    stream = io.BytesIO()
    notes = writing.save(picture, stream, "x" + suffix)
    return load(stream.getvalue()), notes


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def with_segments(*segments: bytes) -> bytes:
    data = file_of("JPEG", quality=90)
    return data[:20] + b"".join(segments) + data[20:]  # behind the start and JFIF's header


def with_chunks(*chunks: bytes, late: bool = False) -> bytes:
    data = file_of()
    place = len(data) - 12 if late else 33
    return data[:place] + b"".join(chunks) + data[place:]


# --- EXIF ------------------------------------------------------------------------------------------


def source_exif() -> bytes:
    """1616 bytes as a camera writes them: a maker's note, an unknown type, a thumbnail; orientation 6."""
    with Image.open(DATA / "exif_le_6.jpg") as image:
        data: bytes = image.info["exif"]
    return data.removeprefix(exif.PREFIX)


def check_turned(before: bytes, after: bytes) -> None:
    """Nothing differs but the orientations, the two sizes and the thumbnail."""
    orientation = struct.pack("<HHI", 0x0112, 3, 1)
    sizes = [before.index(struct.pack("<HHI", tag, 4, 1)) + 8 for tag in exif.PIXEL_SIZE]
    thumbnail = before.index(b"\xff\xd8\xff")
    length = before.index(struct.pack("<HHI", exif.THUMBNAIL_LENGTH, 4, 1)) + 8
    expected = bytearray(before[:thumbnail])
    for entry in (before.index(orientation), before.rindex(orientation)):  # of the picture, of the thumbnail
        expected[entry + 8] = 1
    a, b = sizes
    expected[a : a + 4], expected[b : b + 4] = expected[b : b + 4], expected[a : a + 4]
    expected[length : length + 4] = struct.pack("<I", len(after) - thumbnail)
    assert after[:thumbnail] == bytes(expected)
    with Image.open(io.BytesIO(before[thumbnail:])) as old, Image.open(io.BytesIO(after[thumbnail:])) as new:
        assert new.size == old.size[::-1]
        turned = np.asarray(old.transpose(Image.Transpose.ROTATE_270).convert("L"), float)
        assert abs(turned - np.asarray(new.convert("L"), float)).mean() < 4


@pytest.mark.parametrize("name", ["exif_le_6.jpg", "rawprofile_exif.png"])
def test_exif_byte_for_byte(name: str) -> None:
    before = source_exif()
    picture = reading.load(DATA / name)
    assert picture.pixels.shape == (64, 48, 3) and picture.exif is not None
    check_turned(before, picture.exif)
    assert "the thumbnail in the EXIF data was turned with the picture" in picture.notes
    for suffix in (".jpg", ".png", ".webp"):
        back, notes = through(picture, suffix)
        assert back.exif == picture.exif and back.pixels.shape == (64, 48, 3) and notes == []


def test_upright_exif_is_not_touched() -> None:
    data = bytearray(source_exif())
    data[data.index(struct.pack("<HHI", 0x0112, 3, 1)) + 8] = 1
    for kind in ("JPEG", "PNG", "WEBP"):
        picture = load(file_of(kind, exif=exif.PREFIX + bytes(data)))
        assert picture.exif == data and picture.pixels.shape == RGB.shape


@pytest.mark.parametrize("value", range(1, 9))
def test_each_orientation(value: int) -> None:
    data = bytearray(source_exif())
    data[data.index(struct.pack("<HHI", 0x0112, 3, 1)) + 8] = value
    picture = load(file_of(exif=bytes(data)))
    image = Image.fromarray(RGB)
    right = image.transpose(exif.METHODS[value]) if value > 1 else image
    assert np.array_equal(picture.pixels, np.asarray(right))
    assert picture.exif is not None and exif.orientation(picture.exif) == 1
    sizes = [struct.unpack_from("<I", picture.exif, picture.exif.index(struct.pack("<HHI", tag, 4, 1)) + 8)[0]
             for tag in exif.PIXEL_SIZE]  # fmt: skip
    assert sizes == ([48, 64] if value > 4 else [64, 48])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_chunks_in_any_order(first: bool, late: bool) -> None:
    """eXIf holds where there is a raw profile, too, before or behind it, before or behind the pixels."""
    data = source_exif()
    other = b"II*\0" + bytes(10)
    both = [chunk(b"eXIf", data), chunk(*texts.of_profile("exif", exif.PREFIX + other))]
    picture = load(with_chunks(*(both if first else both[::-1]), late=late))
    check_turned(data, picture.exif or b"")
    assert picture.pixels.shape == (64, 48, 3)


@pytest.mark.parametrize("late", [False, True])
def test_raw_profiles(late: bool) -> None:
    packet = PACKET % 6
    picture = load(with_chunks(chunk(*texts.of_profile("xmp", packet)), late=late))
    assert picture.xmp == PACKET % 1 and picture.pixels.shape == (64, 48, 3)
    data = source_exif()
    picture = load(with_chunks(chunk(*texts.of_profile("APP1", exif.PREFIX + data)), late=late))
    check_turned(data, picture.exif or b"")
    records = b"\x1c\x02\x78\0\x05hello"
    for name, profile in (("iptc", records), ("8bim", photoshop.of_iptc(records))):
        picture = load(with_chunks(chunk(*texts.of_profile(name, profile)), late=late))
        assert picture.photoshop == photoshop.of_iptc(records)


def test_a_thumbnail_that_cannot_be_turned_is_dropped() -> None:
    data = source_exif()
    start = data.index(b"\xff\xd8\xff")
    spoilt = data[:start] + b"\0" * 20 + data[start + 20 :] + b"behind it"
    after, notes = exif.turned(spoilt)
    assert notes == ["the thumbnail in the EXIF data, which is not turned as the picture is, was dropped"]
    assert after[start:] == bytes(len(data) - start) + b"behind it" and len(after) == len(spoilt)
    assert exif.turned(after, 6)[1] == []  # no thumbnail is left


def test_damaged_exif_stays_what_it_is() -> None:
    for data in (b"II*\0\xff\xff\xff\xff", b"noise", source_exif()[:40]):
        picture = load(file_of(exif=data))
        assert picture.exif == data and np.array_equal(picture.pixels, RGB)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_turned_by_its_properties() -> None:
    """There Pillow writes EXIF data anew, since orientation is a property of the file."""
    known = Image.Exif()
    known[0x0112] = 6
    known.get_ifd(0x8769)[0x927C] = b"a maker's note"
    data = file_of("AVIF", exif=known.tobytes(), quality=90)
    with Image.open(io.BytesIO(data)) as image:
        anew = image.info["exif"]
    picture = load(data)
    assert picture.pixels.shape == (64, 48, 3) and picture.exif is not None
    assert picture.exif in data and picture.exif != exif.without_prefix(anew)


def test_tags_of_tiff() -> None:
    """Types and values of a TIFF's own tags are those of the file, in either byte order, there and back."""
    for order in "<>":
        number = struct.pack(order + "I", 7)
        note = tiff_tags.Directory(order, [tiff_tags.Tag(37500, 7, b"a maker's note")])
        tags = tiff_tags.Directory(
            order, [tiff_tags.Tag(270, 2, b"words\0"), tiff_tags.Tag(33550, 4, number), tiff_tags.Tag(34665, 4, note)]
        )
        picture = load(tiff_tags.added(file_of("TIFF"), tags))
        assert picture.exif and picture.notes == []
        found = tiff_tags.of_exif(picture.exif)
        assert found == tags.in_order("<")
        back, notes = through(picture, ".tif")
        assert back.exif == picture.exif and notes == []


def test_exif_in_a_tiff_says_what_it_lacks() -> None:
    picture = reading.load(DATA / "exif_le_6.jpg")
    back, notes = through(picture, ".tif")
    assert notes == ["of the EXIF data the thumbnail, and what has no known type, was left out"]
    old, new = (tiff_tags.of_exif(p.exif or b"") for p in (picture, back))
    assert old is not None and new is not None
    assert new.tags == old.without([274]).tags
    assert np.array_equal(back.pixels, picture.pixels)


# --- XMP -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("by_exif", [0, 1, 6])
def test_orientation_by_xmp(kind: str, by_exif: int) -> None:
    known = Image.Exif()
    if by_exif:
        known[0x0112] = by_exif
    pixels = SMOOTH.astype(np.uint8)
    data = file_of(
        kind, pixels, **({} if kind == "PNG" else {"xmp": PACKET % 8}), **({"exif": known} if by_exif else {})
    )
    if kind == "PNG":
        data = data[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET % 8) + data[33:]
    elif kind == "TIFF":
        tags = [tiff_tags.Tag(700, 1, PACKET % 8)]
        tags += [tiff_tags.Tag(274, 3, struct.pack("<H", by_exif))] if by_exif else []
        data = tiff_tags.added(file_of(kind, pixels), tiff_tags.Directory("<", tags))
    picture = load(data)
    right = {0: np.rot90(pixels, 1), 1: pixels, 6: np.rot90(pixels, -1)}[by_exif]
    assert picture.pixels.shape == right.shape and abs(picture.pixels.astype(int) - right).mean() < 4
    assert picture.xmp == PACKET % 1
    note = f"EXIF states orientation {by_exif}, XMP 8" if by_exif else "turned as XMP states (orientation 8)"
    assert any(note in said for said in picture.notes), picture.notes


def test_utf_16() -> None:
    """Recoded, which is said; what is no text at all is dropped."""
    picture = reading.load(DATA / "xmp_utf16.webp")
    with Image.open(DATA / "xmp_utf16.webp") as image:
        text = image.info["xmp"].decode("utf-16")
    assert picture.xmp == text.encode() and picture.notes == ["the XMP data was recoded in UTF-8"]
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        assert through(picture, suffix)[0].xmp == picture.xmp
    older = Picture(RGB, xmp=text.encode("utf-16"))  # as encoders before November 2026 kept it
    back, notes = through(older, ".png")
    assert back.xmp == picture.xmp and notes == ["the XMP data was recoded in UTF-8"]
    picture = load(file_of("WEBP", xmp=b"\xfe\xdc\x80 noise"))
    assert picture.xmp is None and picture.notes == ["the XMP data is no text and was dropped"]


EXTENDED = b"0123456789ABCDEF0123456789ABCDEF"
POINTING = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
    b'xmpNote:HasExtendedXMP="' + EXTENDED + b'" dc:title="t"/></x:xmpmeta>'
)
REST = bytes(range(32, 127)) * 1000


def extended(*parts: bytes) -> bytes:
    return with_segments(segment(0xE1, xmp.JPEG_PREFIX + POINTING), *(segment(0xE1, part) for part in parts))


def test_extended_xmp() -> None:
    parts = xmp.segments(EXTENDED, REST)
    assert len(parts) == 2
    for order in (parts, parts[::-1]):
        picture = load(extended(*order))
        assert (picture.xmp, picture.xmp_extension) == (POINTING, REST) and picture.notes == []
        back, notes = through(picture, ".jpg")
        assert (back.xmp, back.xmp_extension) == (POINTING, REST) and notes == []
        for suffix in (".png", ".webp", ".tif"):
            back, notes = through(picture, suffix)
            assert back.xmp == POINTING.replace(b' xmpNote:HasExtendedXMP="' + EXTENDED + b'"', b"")
            assert "no room for extended XMP" in notes[0]


def test_extended_xmp_that_is_not_whole() -> None:
    for parts in ([], xmp.segments(EXTENDED, REST)[:1], xmp.segments(EXTENDED[::-1], REST)):
        picture = load(extended(*parts))
        assert picture.xmp_extension is None and b"HasExtendedXMP" not in (picture.xmp or b"HasExtendedXMP")
        assert "extended XMP, of which parts are missing, was dropped" in picture.notes
    other = with_segments(
        segment(0xE1, xmp.JPEG_PREFIX + PACKET % 1), segment(0xE1, xmp.segments(EXTENDED, REST[:9])[0])
    )
    assert "extended XMP that nothing points to was dropped" in load(other).notes


# --- IPTC, texts, resolution -----------------------------------------------------------------------

RECORDS = b"\x1c\x02\x78\0\x05hello\x1c\x02\x19\0\x03key"


def resources() -> bytes:
    thumbnail = b"8BIM" + struct.pack(">HHI", 0x040C, 0, 3) + b"jpg\0"
    return photoshop.of_iptc(RECORDS) + thumbnail + b"8BIM" + struct.pack(">H", 0x0425) + b"\x03abc" + bytes(4)


def test_iptc() -> None:
    data = segment(0xED, photoshop.JPEG_PREFIX + resources())
    picture = load(with_segments(data))
    assert picture.photoshop == resources() and picture.notes == []
    for suffix in (".jpg", ".png", ".tif"):
        back, notes = through(picture, suffix)
        assert back.photoshop == resources() and notes == []
    with Image.open(io.BytesIO(with_segments(data))) as image:
        assert image.info["photoshop"][photoshop.IPTC] == RECORDS  # Pillow agrees
    assert through(picture, ".webp")[1] == ["WEBP files have no room for IPTC, which was left out"]
    turned = load(with_segments(segment(0xE1, exif.PREFIX + source_exif()), data))
    assert [number for number, _ in photoshop.resources(turned.photoshop or b"")] == [photoshop.IPTC, 0x0425]
    assert "the thumbnail in Photoshop's resources, which is not turned, was dropped" in turned.notes
    long = Picture(RGB, photoshop=photoshop.of_iptc(RECORDS + bytes(200_000)))
    assert through(long, ".jpg")[0].photoshop == long.photoshop
    assert load(file_of("TIFF", tiffinfo={33723: RECORDS})).photoshop == photoshop.of_iptc(RECORDS)


TEXTS = [
    Text("Title", "Bären"),
    Text("Comment", "漢字", "ja", "コメント"),
    Text("Author", "x" * 5000),
    Text("Author", "another"),
]


def test_texts() -> None:
    picture = load(with_chunks(*(chunk(*texts.to_png(text)) for text in TEXTS)))
    assert texts.unpack(picture.texts or b"") == TEXTS and picture.notes == []
    back, notes = through(picture, ".png")
    assert back.texts == picture.texts and notes == []
    back, notes = through(picture, ".jpg")
    assert texts.unpack(back.texts or b"") == [Text("Comment", "漢字")]
    assert notes == ["JPEG files have no room for texts (Title, Author), which were left out"]
    for suffix in (".tif", ".webp", ".bmp"):
        kind = {".tif": "TIFF", ".webp": "WEBP", ".bmp": "BMP"}[suffix]
        assert through(picture, suffix)[1] == [
            f"{kind} files have no room for texts (Title, Comment, Author), which were left out"
        ]
    deep = Picture(
        RGB.astype(np.uint16) * 257, texts=picture.texts, xmp=b"<x/>", resolution=resolution.of_dpi((300, 300))
    )
    assert through(deep, ".png")[0].chunks() == deep.chunks() | {"phYs": struct.pack(">IIB", 11811, 11811, 1)}
    with Image.open(io.BytesIO(with_chunks(*(chunk(*texts.to_png(text)) for text in TEXTS)))) as image:
        image.load()
        assert image.info["Comment"] == "漢字" and image.info["Comment"].lang == "ja"  # Pillow agrees


def test_comments() -> None:
    for kind in ("JPEG", "GIF", "JPEG2000"):
        picture = load(file_of(kind, comment="größer".encode()))
        assert texts.unpack(picture.texts or b"") == [Text("Comment", "größer")]
    two = load(with_segments(segment(0xFE, b"one"), segment(0xFE, b"Gr\xf6\xdfe")))
    assert texts.unpack(two.texts or b"") == [Text("Comment", "one"), Text("Comment", "Größe")]
    assert two.notes == ["a comment that is not UTF-8 was taken for Latin-1"]
    back, notes = through(two, ".jpg")
    assert back.texts == two.texts and notes == []


def test_damaged_texts() -> None:
    picture = load(with_chunks(chunk(b"iTXt", b"Title\0\1\0\0\0no zlib"), chunk(b"tEXt", b"Author\0me"), late=True))
    assert texts.unpack(picture.texts or b"") == [Text("Author", "me")]
    assert "a text that is damaged was dropped" in picture.notes
    assert texts.unpack(b"noise") == [] and texts.profile("no\nprofile\n00") is None


@pytest.mark.parametrize(
    ("jfif", "suffix", "expected"),
    [
        ((1, 300, 150), ".jpg", (300, 150, resolution.INCH)),
        ((1, 300, 150), ".bmp", (11811, 5906, resolution.METRE)),
        ((1, 72, 72), ".png", (2835, 2835, resolution.METRE)),
        ((2, 118, 118), ".png", (11800, 11800, resolution.METRE)),
        ((2, 118, 118), ".jpg", (11800, 11800, resolution.METRE)),
        ((0, 2, 1), ".png", (2, 1, resolution.NONE)),
        ((0, 2, 1), ".jpg", (2, 1, resolution.NONE)),
    ],
)
def test_resolution(jfif: tuple[int, int, int], suffix: str, expected: tuple[int, int, int]) -> None:
    data = bytearray(file_of("JPEG"))
    data[13:18] = struct.pack(">BHH", *jfif)
    picture = load(bytes(data))
    back, notes = through(picture, suffix)
    assert back.resolution is not None and resolution.unpack(back.resolution) == expected and notes == []


def test_resolution_where_there_is_no_room() -> None:
    picture = load(with_chunks(chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))))
    back, notes = through(picture, ".jpg")
    assert notes == ["the resolution of 2835 x 2835 pixels a metre was rounded to 72 x 72 dpi, as JPEG files have it"]
    assert resolution.unpack(back.resolution or b"") == (72, 72, resolution.INCH)
    assert "no room for the resolution of 2835 x 2835 pixels a metre" in through(picture, ".webp")[1][0]
    tags = tiff_tags.of_exif(through(picture, ".tif")[0].exif or b"")
    assert tags is not None and tags.value(282) == struct.pack("<II", 2835, 100) and tags.number(296) == 3
    assert load(file_of("JPEG")).resolution is None  # 1 x 1 without a unit states nothing


def test_what_goes_into_a_file_comes_back() -> None:
    picture = reading.load(DATA / "exif_le_6.jpg")
    picture.texts, picture.photoshop = texts.pack(TEXTS), resources()
    other = Picture(picture.pixels)
    other.take_chunks(picture.chunks())
    assert other.chunks() == picture.chunks() and len(other.chunks()) == 4
    other.strip()
    assert other.chunks().keys() == {"icCP"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_an_images_owner_takes_out_stays_out(kind: str, tmp_path: Path) -> None:
    """Of an image that is loaded the file is asked for what Pillow does not tell, but not for what was taken out."""
    known = Image.Exif()
    known[0x010E] = "private"
    data = file_of(kind, exif=known, comment=b"private", **({} if kind == "PNG" else {"xmp": b"<x>private</x>"}))
    if kind == "PNG":
        data = (
            data[:33]
            + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x>private</x>")
            + chunk(b"tEXt", b"Comment\0private")
            + data[33:]
        )
    elif kind == "JPEG":
        data = (
            data[:20]
            + segment(0xED, photoshop.JPEG_PREFIX + photoshop.of_iptc(b"\x1c\x02\x78\0\x07private"))
            + data[20:]
        )
    path = tmp_path / "photo"
    path.write_bytes(data)
    with Image.open(path) as image:
        image.load()
        assert b"".join(reading.of_image(image).chunks().values()).count(b"private") >= 2
        for key in ("exif", "xmp", "XML:com.adobe.xmp", "comment", "Comment", "photoshop"):
            image.info.pop(key, None)
        assert b"private" not in b"".join(reading.of_image(image).chunks().values())


def test_damaged_at_random() -> None:
    """Whatever the bytes, what is not damaged is found, and nothing else is raised or takes long."""
    random = np.random.default_rng(7)
    for source in (source_exif(), resources(), POINTING):
        for _ in range(150):
            data = bytearray(source)
            for at in random.integers(0, len(data), 4):
                data[at] = random.choice([0, 1, 255, int(random.integers(256))])
            spoilt = bytes(data[: int(random.integers(8, len(data) + 1))])
            upright, _ = exif.turned(spoilt, 6)
            assert exif.orientation(upright) in (None, 1) or exif.orientation(spoilt) is None
            if (tags := tiff_tags.of_exif(spoilt)) is not None:
                assert tiff_tags.of_exif(tags.stream()) is not None
            assert b"".join(part for _, part in photoshop.resources(spoilt)) in spoilt
            xmp.upright(xmp.without_pointer(xmp.in_utf8(spoilt) or b""))
            texts.unpack(spoilt)


def test_a_thumbnail_that_lies_on_its_directory() -> None:
    data = bytearray(source_exif())
    place = data.index(struct.pack("<HHI", exif.THUMBNAIL, 4, 1)) + 8
    struct.pack_into("<I", data, place, 8)  # on the first directory
    upright, notes = exif.turned(bytes(data))
    assert exif.orientation(upright) == 1 and len(notes) == 1 and "dropped" in notes[0]
    assert exif.turned(source_exif()[:11], 6) == (source_exif()[:11], [])


def test_saved_by_pillow() -> None:
    """Resolution and comment go in and come back by Pillow's names, as EXIF, profile and XMP do."""
    codec.register()
    stream = io.BytesIO()
    Image.fromarray(RGB[:16, :16]).save(stream, "IRC", quality=30, dpi=(300, 150), comment="größer")
    with Image.open(stream) as image:
        assert image.info["dpi"] == (300, 150) and image.info["comment"].decode() == "größer"
        again = io.BytesIO()
        image.save(again, "PNG", dpi=image.info["dpi"])
    assert load(again.getvalue()).resolution == struct.pack(">IIB", 11811, 5906, 1)

"""Nothing is altered silently: structured mutants of picture files, and what longer runs of them have found."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

import containers  # noqa: E402
import donors  # noqa: E402
import judge  # noqa: E402
import silent  # noqa: E402
from containers import Part  # noqa: E402

from codec.errors import InputError  # noqa: E402
from codec.pictures import reading, resolution, writing  # noqa: E402
from codec.pictures.metadata import Picture  # noqa: E402

MUTANTS, THROUGH_MODEL_OF = 400, 50
PIXELS = np.random.default_rng(3).integers(0, 256, (9, 11, 3), np.uint8)


@pytest.fixture(scope="module")
def pool() -> list[tuple[str, bytes]]:
    return donors.seeds(silent.photo())


def test_mutants(pool: list[tuple[str, bytes]]) -> None:
    """Of each mutant nothing is altered without a note; few enough are refused, and others, for this to say something."""
    random, outcome = np.random.default_rng(20), Counter[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(MUTANTS):
            data, what, through, kind = silent.case(random, pool, THROUGH_MODEL_OF)
            try:
                outcome[judge.judge(data, through, kind)] += 1
            except Exception as error:
                raise AssertionError(what) from error
    assert min(outcome.values()) > MUTANTS // 12 and len(outcome) == 3


def test_seeds_come_apart_and_together(pool: list[tuple[str, bytes]]) -> None:
    for name, data in pool:
        file = containers.taken_apart(data)
        assert file is not None and judge.judge(data, False) in ("same", "noted"), name
        assert not judge.differences(judge.view(data), judge.view(file.bytes())), name  # type: ignore[arg-type]


def test_the_judge_sees(pool: list[tuple[str, bytes]]) -> None:
    """What it would say if this or that got lost."""
    random = np.random.default_rng(1)
    info = donors.exif(random, "<")
    image = silent.photo()
    image.putalpha(Image.linear_gradient("L").resize(image.size))

    def saved(image: Image.Image, **options: object) -> judge.View:
        stream = io.BytesIO()
        image.save(stream, "PNG", **options)
        found = judge.view(stream.getvalue())
        assert found is not None
        return found

    whole = {"exif": info, "icc_profile": donors.P3, "dpi": (300, 300)}
    before = saved(image, **whole)
    assert judge.differences(before, saved(image, **whole)) == {}
    for lacking, aspect in (("exif", "EXIF"), ("icc_profile", "profile"), ("dpi", "resolution")):
        given = {key: value for key, value in whole.items() if key != lacking}
        if lacking == "dpi":
            given["exif"] = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"
        assert aspect in judge.differences(before, saved(image, **given))
    opaque = image.convert("RGB")
    assert "alpha" in judge.differences(before, saved(opaque, **whole))
    darker = Image.fromarray(np.dstack([np.asarray(opaque) // 2, np.asarray(image)[..., 3]]))
    assert "pixels" in judge.differences(before, saved(darker, **whole))
    assert "pixels" in judge.differences(before, saved(darker, **whole), judge.LOSSY)
    assert "size" in judge.differences(before, saved(image.resize((9, 9)), **whole))
    assert "grey" in judge.differences(saved(image.convert("LA")), saved(image))


def png(*chunks: Part, pixels: np.ndarray = PIXELS) -> Picture:
    """What is read of a PNG file with these chunks."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    file = containers.taken_apart(stream.getvalue())
    assert file is not None
    file.lists[0][1:1] = chunks
    return reading.load(io.BytesIO(file.bytes()))


def tiff(*tags: tuple[int, int, bytes]) -> Picture:
    """What is read of a TIFF file with these tags besides."""
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "TIFF")
    file = containers.taken_apart(stream.getvalue())
    assert file is not None
    file.lists[0] += [containers.tag("<", *tag) for tag in tags]
    return reading.load(io.BytesIO(file.bytes()))


def test_a_chunk_that_is_there_twice() -> None:
    random = np.random.default_rng(1)
    one, other = donors.exif(random), donors.exif(random)
    twice = [struct.pack(">IIB", n, n, 1) for n in (11811, 2835)]
    said = "the file has 2 different parts {}, of which one is used"
    assert said.format("eXIf") in png(Part(b"eXIf", one), Part(b"eXIf", other)).notes
    assert said.format("pHYs") in png(*(Part(b"pHYs", data) for data in twice)).notes
    assert png(*[Part(b"pHYs", twice[0])] * 2).notes == []
    assert said.format("tag 270") in tiff((270, 2, b"one\0"), (270, 2, b"two\0")).notes


def test_a_raw_profile_beside_a_chunk() -> None:
    """The chunk holds; that the profile says something else is said."""
    random = np.random.default_rng(1)
    one, other = donors.exif(random), donors.exif(random)

    def profile(data: bytes) -> Part:
        text = b"\nexif\n%8d\n%s\n" % (len(data), data.hex().encode())
        return Part(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))

    assert png(Part(b"eXIf", one), profile(one)).notes == png(Part(b"eXIf", one)).notes
    picture = png(Part(b"eXIf", one), profile(other))
    assert any("not kept: Raw profile type exif" in note for note in picture.notes)
    assert png(profile(one)).exif == png(Part(b"eXIf", one)).exif == picture.exif


def test_a_text_called_exif_does_not_hide_the_exif_data() -> None:
    data = b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\3\0\0\0ab\0\0\0\0\0\0"
    picture = png(Part(b"eXIf", data), Part(b"tEXt", b"exif\0words"))
    assert picture.exif == data and picture.texts == b"exif\0\0\0words\0"


def test_xmp_in_a_text_of_latin_1() -> None:
    """PNG has a chunk of UTF-8 for it; some programs take the other two."""
    packet = "<x:xmpmeta xmlns:x='adobe:ns:meta/' a='\u00e9\u4e00'/>".encode()
    for part in (
        Part(b"tEXt", b"XML:com.adobe.xmp\0" + packet),
        Part(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(packet)),
    ):
        picture = png(part)
        assert (picture.xmp, picture.texts, picture.notes) == (packet, None, [])


def test_an_empty_comment_does_not_hide_the_others() -> None:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "JPEG")
    file = containers.taken_apart(stream.getvalue())
    assert file is not None
    file.lists[0] += [Part(b"\xfe", b"words"), Part(b"\xfe", b"")]
    assert reading.load(io.BytesIO(file.bytes())).texts == b"Comment\0\0\0words\0"


def test_samples_in_the_header_are_refused() -> None:
    """A TIFF's strips may lie anywhere; where 16 bits are read, the header's place is needed."""
    file = containers.taken_apart(donors.tiff_of(PIXELS.astype(np.uint16)))
    assert file is not None
    file.lists[0] = [part._replace(data=bytes(4)) if part.kind[:2] == b"\1\x11" else part for part in file.lists[0]]
    with pytest.raises(InputError, match="header"):
        reading.load(io.BytesIO(file.bytes()))


def test_what_is_damaged_is_said() -> None:
    assert "a text that is damaged was dropped" in png(Part(b"tEXt", b"\0words")).notes
    assert "a resolution that is damaged was dropped" in png(Part(b"pHYs", struct.pack(">IIB", 9, 9, 5))).notes
    assert png(Part(b"pHYs", struct.pack(">IIB", 1, 1, 0))).notes == []


def test_tags_of_part_of_a_colour_space() -> None:
    """White alone, a curve that is none; white of D65 and no more says what holds anyway."""
    said = "tags that state part of a colour space are not kept: taken as sRGB"
    assert said in tiff((318, 5, struct.pack("<4I", 3457, 10000, 3585, 10000))).notes
    assert said in tiff((301, 4, struct.pack("<I", 5))).notes
    assert said not in tiff((318, 5, struct.pack("<4I", 3127, 10000, 3290, 10000))).notes


def test_samples_of_black_and_white() -> None:
    """ReferenceBlackWhite of an RGB picture: Pillow and libtiff take no notice."""

    def stated(*numbers: int) -> tuple[int, int, bytes]:
        return 532, 5, b"".join(struct.pack("<II", number, 1) for number in numbers)

    said = "the samples that stand for black and white are not kept: taken as 0 and the largest"
    assert said in tiff(stated(16, 235, 16, 235, 16, 235)).notes
    assert said not in tiff(stated(0, 255, 0, 255, 0, 255)).notes


def test_resolution_of_a_tiff_is_the_pictures() -> None:
    """EXIF data may state another one than the file that they are in."""
    info = Image.Exif()
    info[282], info[283], info[296] = 72.0, 72.0, 2
    for stated, said in ((300, True), (72, False)):
        picture = Picture(PIXELS, exif=info.tobytes()[6:], resolution=resolution.of_dpi((stated, stated)))
        stream = io.BytesIO()
        notes = writing.save(picture, stream, "x.tif")
        assert any("another resolution" in note for note in notes) == said
        with Image.open(stream) as image:
            assert image.info["dpi"] == (stated, stated)


def test_a_resolution_that_jpeg_has_no_numbers_for() -> None:
    picture = Picture(PIXELS, resolution=struct.pack(">IIB", 11811, 1 << 24, resolution.METRE))
    notes = writing.save(picture, io.BytesIO(), "x.jpg")
    assert notes == [
        "JPEG files have no room for the resolution of 11811 x 16777216 pixels a metre, which was left out"
    ]


def test_longest_side_of_a_format() -> None:
    wide = Picture(np.zeros((1, 16384), np.uint8))
    with pytest.raises(InputError, match="WEBP files have at most 16383 pixels in a row or column"):
        writing.save(wide, io.BytesIO(), "x.webp")
    with pytest.raises(InputError, match="JPEG"):
        writing.save(Picture(np.zeros((65501, 1), np.uint8)), io.BytesIO(), "x.jpg")
    writing.save(Picture(np.zeros((16383, 1), np.uint8)), io.BytesIO(), "x.webp")
    writing.save(Picture(np.zeros((65500, 1), np.uint8)), io.BytesIO(), "x.jpg")
    writing.save(wide, io.BytesIO(), "x.tif")

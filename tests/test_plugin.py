"""Pillow opens and saves .irc files."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import codec
from codec import api
from codec.container import bitstream


@pytest.fixture(autouse=True)
def registered() -> None:
    codec.register()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_open_and_save(mode: str, photo: np.ndarray, tmp_path: Path) -> None:
    image = Image.fromarray(np.dstack([photo, photo[..., 0]])).convert(mode)
    exif = Image.Exif()
    exif[0x010E] = "words"
    path, profile = tmp_path / "a.irc", bytes(16) + (b"GRAY" if mode < "M" else b"RGB ") + bytes(108)
    image.save(path, quality=50, exif=exif, icc_profile=profile, xmp=b"<x/>")
    data = path.read_bytes()
    with Image.open(path) as back:
        assert (back.format, back.mode, back.size, back.info["quality"]) == ("IRC", mode, image.size, 50)
        assert back.getexif()[0x010E] == "words" and back.info["icc_profile"] == profile and back.info["xmp"] == b"<x/>"
        assert np.array_equal(np.asarray(back), codec.decode(data, array=True))
        assert back.convert("RGB").getpixel((3, 4)) == Image.fromarray(codec.decode(data, array=True)).convert(
            "RGB"
        ).getpixel((3, 4))


def test_the_header_alone_is_read_at_first(photo: np.ndarray, tmp_path: Path) -> None:
    """Opening does not import torch, nor look at weights."""
    path = tmp_path / "a.irc"
    path.write_bytes(codec.encode(photo, 20))
    program = (
        "import codec, sys; from PIL import Image; codec.register(); "
        "assert Image.open(sys.argv[1]).size == (128, 96); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, cwd=Path(__file__).parent.parent, timeout=60)


def test_what_is_damaged_or_too_large(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(photo, 20)
    for broken in (data[:-1], data[:60] + b"\0\0" + data[62:], bitstream.MAGIC):
        with pytest.raises(OSError):
            Image.open(io.BytesIO(broken))
    file = bitstream.read(data)
    wrong = bitstream.write(file.header, [bytes(len(file.tiles[0]))])
    image = Image.open(io.BytesIO(wrong))
    with pytest.raises(OSError, match="checksum|damaged"):
        image.load()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    with pytest.raises(OSError, match="convert the image"):
        Image.new("CMYK", (4, 4)).save(io.BytesIO(), "IRC")


def test_limits_are_pillows(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limit holds before pixels are decoded, for what padding makes of a thin picture, too, and no other does."""
    data = codec.encode(photo[:, :4], 20)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 4)
    monkeypatch.setattr(bitstream, "DEFAULT_MAX_PIXELS", 100)
    assert Image.open(io.BytesIO(data)).convert("RGB").size == (4, 96)
    thin = bitstream.write(bitstream.Header.of(1, 1 << 20, 50), [b""])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1 << 20)
    with pytest.raises(Image.DecompressionBombError, match="padded"):
        Image.open(io.BytesIO(thin))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert Image.open(io.BytesIO(thin)).size == (1, 1 << 20)


def test_draft_and_thumbnail(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = codec.encode(np.dstack([photo, photo[..., 0]]), 60, tile=64), []
    decode = api.decode
    monkeypatch.setattr(api, "decode", lambda *a, **k: asked.append(k["scale"]) or decode(*a, **k))
    image = Image.open(io.BytesIO(data))
    assert image.draft(None, (32, 20)) == ("RGBA", (0, 0, 32, 24)) and image.size == (32, 24)
    assert np.array_equal(np.asarray(image), decode(data, array=True, scale=4)) and asked == [4]
    assert image.draft("L", (8, 8)) is None and image.size == (32, 24)
    for size, scale in ((16, 8), (17, 4), (40, 2), (67, 2), (68, 1), (500, 1)):
        whole, small = Image.fromarray(photo), Image.open(io.BytesIO(codec.encode(photo, 90)))
        whole.thumbnail((size, size))
        small.thumbnail((size, size))
        small.load()
        assert small.size == whole.size and asked.pop() == scale
        difference = np.asarray(small).astype(float) - np.asarray(whole)
        assert np.abs(difference).mean() < 6, (size, np.abs(difference).mean())
    image = Image.open(io.BytesIO(data))
    image.thumbnail((16, 16), reducing_gap=None)
    image.load()
    assert image.size == (16, 12) and asked.pop() == 1


def test_opened_images_say_how_they_are_drawn(photo: np.ndarray) -> None:
    image = Image.open(io.BytesIO(codec.encode(photo, 33.5, temperature=0.75, seed=11)))
    assert {key: image.info[key] for key in ("quality", "temperature", "seed")} == {
        "quality": 33.5,
        "temperature": 0.75,
        "seed": 11,
    }
    assert np.array_equal(
        np.asarray(image), np.asarray(codec.decode(codec.encode(photo, 33.5, temperature=0.75, seed=11)))
    )


def test_saved_as_the_command_converts(photo: np.ndarray) -> None:
    """Modes that .irc files do not have, orientation, and metadata that is given or taken away."""
    image = Image.fromarray(photo[:32, :48])
    for mode in ("P", "1", "La", "RGBa", "YCbCr"):
        stream, given = io.BytesIO(), image.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, "RGB")).convert(mode)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given.save(stream, "IRC", quality=20)
            assert stream.getvalue() == codec.encode(given, 20)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["xmp"] = b"<x/>"
    for options, size in (
        ({"exif": exif}, (32, 48)),
        ({"exif": exif.tobytes(), "xmp": None}, (32, 48)),
        ({}, (48, 32)),
    ):
        stream = io.BytesIO()
        image.save(stream, "IRC", quality=20, **options)
        back = Image.open(stream)
        assert back.size == size and back.info.get("xmp") == (None if "xmp" in options else b"<x/>")
        assert image.info == {"xmp": b"<x/>"}


def test_save_takes_what_encode_takes(photo: np.ndarray) -> None:
    stream, options = io.BytesIO(), {"bpp": 1.5, "temperature": np.float32(0.5), "seed": 3, "tile": 64, "device": "cpu"}
    Image.fromarray(photo).save(stream, "IRC", **options)
    assert stream.getvalue() == codec.encode(photo, **options)
    for other in ({"title": "words"}, {"optimize": True}, {"tuning": "eye"}, {"append_images": ()}):
        with pytest.raises(TypeError, match=f"{next(iter(other))}.*effort"):
            Image.fromarray(photo).save(io.BytesIO(), "IRC", **other)
    with pytest.raises(ValueError, match="effort goes with a quality"):
        Image.fromarray(photo).save(io.BytesIO(), "IRC", effort=3, size=1000)
    with pytest.raises(TypeError, match="stable must be True or False"):
        Image.fromarray(photo).save(io.BytesIO(), "IRC", stable="no")

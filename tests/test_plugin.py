"""Pillow opens and saves .irc files."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import codec
from codec.container import bitstream


@pytest.fixture(autouse=True)
def registered() -> None:
    codec.register()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_open_and_save(mode: str, photo: np.ndarray, tmp_path: Path) -> None:
    image = Image.fromarray(np.dstack([photo, photo[..., 0]])).convert(mode)
    exif = Image.Exif()
    exif[0x010E] = "words"
    path = tmp_path / "a.irc"
    image.save(path, quality=50, exif=exif, icc_profile=b"profile", xmp=b"<x/>")
    data = path.read_bytes()
    with Image.open(path) as back:
        assert (back.format, back.mode, back.size, back.info["quality"]) == ("IRC", mode, image.size, 50)
        assert (
            back.getexif()[0x010E] == "words" and back.info["icc_profile"] == b"profile" and back.info["xmp"] == b"<x/>"
        )
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


def test_save_takes_what_encode_takes(photo: np.ndarray) -> None:
    stream, options = io.BytesIO(), {"bpp": 1.5, "temperature": np.float32(0.5), "seed": 3, "tile": 64, "device": "cpu"}
    Image.fromarray(photo).save(stream, "IRC", comment="another plugin's", **options)
    assert stream.getvalue() == codec.encode(photo, **options)
    with pytest.raises(TypeError, match="stable must be True or False"):
        Image.fromarray(photo).save(io.BytesIO(), "IRC", stable="no")

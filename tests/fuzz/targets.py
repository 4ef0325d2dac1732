"""What the fuzzers call, and what must hold for any bytes: an answer or an error of ours, soon, in bounded memory.

Shared by the seeded test of the suite (tests/test_fuzz.py), the long run (run.py) and the coverage-guided one (guided.py).
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import codec
from codec.coding import grain
from codec.container import bitstream
from codec.errors import IrcError
from codec.network import registry, weights
from codec.network.session import Session, open_session
from codec.pictures import formats, reading, sixteen_bits

FOLDER = Path(__file__).parent
DATA = FOLDER.parent / "data"
MAX_PIXELS = 20_000


def decode(data: bytes) -> None:
    """An .irc file, to pixels of either depth, with everything that reads it."""
    try:
        info = codec.info(data)
        assert info["width"] * info["height"] > 0
    except IrcError:
        pass
    try:
        salvaged = codec.decode(
            data, array=True, salvage=True, notes=[], scale=2 ** (len(data) % 5), max_pixels=MAX_PIXELS
        )
        assert salvaged.size
    except IrcError:
        pass
    codec.verify(data, max_pixels=MAX_PIXELS)
    out = codec.decode(data, array=True, depth=8 + 8 * (len(data) % 2), max_pixels=MAX_PIXELS)
    height, width = out.shape[:2]
    assert 0 < height * width <= MAX_PIXELS
    part = codec.decode(
        data, array=True, depth=8 * out.itemsize, region=(width // 2, height // 3, 1, 1), max_pixels=MAX_PIXELS
    )
    assert np.array_equal(part[0, 0], out[height // 3, width // 2])


def load_picture(data: bytes) -> None:
    """A picture of another format."""
    picture = reading.load(io.BytesIO(data), MAX_PIXELS)
    assert picture.pixels.dtype in (np.uint8, np.uint16)
    assert picture.pixels.shape[0] * picture.pixels.shape[1] <= MAX_PIXELS


@torch.no_grad()
def load_weights(data: bytes) -> None:
    """A weights file; what is taken for one must then code and decode, to whatever."""
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(data)
        file.flush()
        session = Session(weights.read(Path(file.name)), torch.device("cpu"))
    picture = np.arange(32 * 64 * 3, dtype=np.uint8).reshape(32, 64, 3)
    for quality in (0, 20000):
        stream, held = session.prior.encode(session.quantise(session.bands(picture), quality), quality)
        again = session.prior.decode(stream, quality, 32, 64)
        assert all(np.array_equal(a, b) for a, b in zip(again.k, held.k)), "not what was encoded"


TARGETS: dict[str, Callable[[bytes], None]] = {"irc": decode, "picture": load_picture, "weights": load_weights}


def accepts(target: Callable[[bytes], None], data: bytes) -> bool:
    """Whether the target takes the bytes; any exception other than ours is a finding, and goes on up."""
    try:
        target(data)
    except IrcError as error:
        assert str(error) and "\n" not in str(error), f"not one line: {error!r}"
        return False
    return True


def repaired(data: bytes) -> bytes:
    """The file with the right CRC in each chunk, as far as its chunks can be followed."""
    out, at = bytearray(data), len(bitstream.MAGIC) + 1
    while at + bitstream.CHUNK_OVERHEAD <= len(out):
        (size,) = struct.unpack_from(">I", out, at + 4)
        end = at + 8 + size
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[at : at + 4] + out[at + 8 : end]))
        at = end + 4
    return bytes(out)


def seeds() -> dict[str, list[bytes]]:
    """Valid inputs of each target: the golden files and variants, small pictures of many formats, the test weights."""
    os.environ["IRC_WEIGHTS"] = str(DATA)
    of_released = {f"golden-{one.id}" for one in registry.released()}  # whose networks take their time
    golden = [path.read_bytes() for path in sorted(DATA.glob("golden-*.irc")) if path.stem not in of_released]
    files = [*golden, (DATA / "tiles.irc").read_bytes()]
    for data in golden[:1]:
        file = bitstream.read(data)
        alpha = np.arange(file.header.pixels, dtype=np.uint16).reshape(file.header.height, -1)
        extras = {
            "eXIF": b"MM\0*\0\0\0\x08\0\0",
            "icCP": bytes(40),
            "xmPP": b"<x/>",
            bitstream.ALPHA: formats.pack_alpha(alpha),
            "exTR": b"unknown",
        }
        files.append(bitstream.write(file.header, list(file.tiles), extras))
    name = bitstream.read_header(golden[0]).weights
    ramp = np.arange(70 * 90 * 3, dtype=np.uint8).reshape(70, 90, 3)
    file = bitstream.read(codec.encode(ramp, 9000 / 256, tile=32, temperature=0.5, seed=3, weights=name))
    own = {bitstream.NOISE: bytes(range(grain.size(open_session(name).prior.coded(9000))))}
    files.append(bitstream.write(file.header, file.tiles, own, file.checksums))
    random = np.random.default_rng(0)
    colour = random.integers(0, 256, (24, 31, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = [
        sixteen_bits.png(random.integers(0, 65536, shape, np.uint16))
        for shape in ((9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4))
    ]
    for kind, mode, options in (
        ("PNG", "RGB", {"exif": exif}),
        ("PNG", "P", {"transparency": 3}),
        ("JPEG", "RGB", {"exif": exif}),
        ("JPEG", "CMYK", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
        ("TIFF", "L", {}),
        ("PPM", "RGB", {}),
        ("TGA", "RGBA", {}),
        ("PCX", "L", {}),
        ("ICO", "RGBA", {}),
        ("QOI", "RGB", {}),
        ("SGI", "RGB", {}),
        ("JPEG2000", "RGB", {}),
        ("DDS", "RGBA", {}),
    ):
        stream = io.BytesIO()
        Image.fromarray(colour).convert(mode).save(stream, kind, **options)
        pictures.append(stream.getvalue())
    return {
        "irc": files,
        "picture": pictures,
        "weights": [path.read_bytes() for path in DATA.glob("irc-*.safetensors")],
    }


INTERESTING = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\1",
    b"\1\0",
    b"NaN",
    b"-1",
    b"DATA",
    b"TILE",
    b"HEAD",
    b"alPH",
)


def mutant(random: np.random.Generator, pool: list[bytes], repair: bool) -> bytes:
    """A seed with one to eight mutations; half of those of .irc files get right CRCs again, to reach what lies behind."""
    data = bytearray(pool[random.integers(len(pool))])
    for _ in range(1 + int(random.integers(8)) * int(random.integers(2))):
        # early bytes are headers, where more depends on each
        size = max(1, len(data))
        at = int(random.integers(size)) if random.random() < 0.5 else int(size ** random.random()) - 1
        what = random.integers(8)
        if what == 0 and data:
            data[at] ^= 1 << int(random.integers(8))
        elif what == 1 and data:
            data[at] = int(random.integers(256))
        elif what == 2:
            value = INTERESTING[random.integers(len(INTERESTING))]
            data[at : at + len(value)] = value
        elif what == 3:
            data[at:at] = random.bytes(int(random.integers(1, 20)))
        elif what == 4:
            del data[at : at + int(random.integers(1, 40))]
        elif what == 5:
            del data[at:]
        elif what == 6:  # a piece of it once more
            start = int(random.integers(size))
            data[at:at] = data[start : start + int(random.integers(1, 64))]
        else:  # the rest of another
            other = pool[random.integers(len(pool))]
            data[at:] = other[int(random.integers(max(1, len(other)))) :]
    return repaired(bytes(data)) if repair and random.random() < 0.5 else bytes(data)

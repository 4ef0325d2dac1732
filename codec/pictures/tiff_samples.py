"""TIFF of 16 bits a sample, or of 8 in planes: every layout of strips and tiles, in either byte order.

Pillow reads grey in all of them, and other kinds wrongly in some or not at all. So a file is read as grey: a new
directory is put behind its bytes that describes the same strips or tiles as those of a grey picture, as many times as
wide as there are channels, or one for each plane. What is left is done here: horizontal prediction, whose step is the
number of channels, "white is zero", and alpha.
"""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from codec.errors import InputError
from codec.pictures import opening
from codec.pictures.account import Account
from codec.pictures.transparency import divided, extra_of_tiff

Samples = NDArray[Any]  # of uint8 or uint16
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR, _PREDICTOR = (
    256,
    257,
    258,
    259,
    262,
    277,
    284,
    317,
)
_STRIPS, _ROWS, _STRIP_BYTES, _FILL_ORDER, _FORMAT = 273, 278, 279, 266, 339
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  #: of files; those with a plus are BigTIFF
#: none, LZW, Deflate (two numbers), PackBits, LZMA, Zstandard: those that keep bytes as they are
_COMPRESSIONS = (1, 5, 8, 32946, 32773, 34925, 50000)
#: of these, the ones that horizontal prediction goes with
_PREDICTED = (5, 8, 32946, 34925, 50000)
_COLOURS = {0: 1, 1: 1, 2: 3}  #: photometric interpretation -> channels of colour


def takes(image: Image.Image) -> bool:
    """Whether an open image is a TIFF of the kind that is read here rather than by Pillow."""
    if isinstance(image, _Opened):
        return True
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    tags = image.tag_v2
    bits = set(_several(tags.get(_BITS, 1)))
    in_planes = tags.get(_PLANAR, 1) == 2 and tags.get(_SAMPLES, 1) > 1
    plain = tags.get(_PHOTOMETRIC) in _COLOURS and tags.get(_COMPRESSION, 1) in _COMPRESSIONS
    return bits == {16} or (bits == {8} and plain and (in_planes or _odd(tags)))


def _odd(tags: Any) -> bool:
    """Whether samples are predicted and packed by PackBits, of which programs do not agree what it is."""
    return bool(tags.get(_PREDICTOR, 1) == 2 and tags.get(_COMPRESSION) == 32773)


class _Opened(opening.Tiff):
    """A TIFF that Pillow knows no mode for: its tags are there, its pixels are read by `read` alone."""

    def _setup(self) -> None:
        try:
            super()._setup()
        except (SyntaxError, IndexError):  # the latter of unknown channels in planes
            bits = set(_several(self.tag_v2.get(_BITS, 1)))
            if len(bits) != 1 or not bits <= {8, 16} or self.tag_v2.get(_PHOTOMETRIC) not in _COLOURS:
                raise
            self._mode, self.tile = "RGBA", []


def opened(stream: BinaryIO) -> ImageFile.ImageFile | None:
    """The TIFF that the stream is, where it is of 8 or 16 bits and of a kind that Pillow does not open."""
    stream.seek(0)
    if stream.read(4) not in SIGNATURES:
        return None
    stream.seek(0)
    try:
        return _Opened(stream)
    except SyntaxError:
        return None


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def read(image: ImageFile.ImageFile, data: bytes, account: Account) -> Samples:
    """H,W (grey), H,W,2 (grey, alpha), H,W,3 or H,W,4 uint8 or uint16 of a TIFF, not turned by its orientation.

    data: the bytes of the file. InputError for layouts that are not taken.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    photometric, count = tags.get(_PHOTOMETRIC), tags.get(_SAMPLES, 1)
    refused = InputError("TIFF samples of this kind are not supported; convert it to PNG or TIFF of 8 or 16 bits first")
    if photometric not in _COLOURS or tags.get(_FILL_ORDER, 1) != 1 or not 1 <= count <= 64:
        raise refused
    compression, predictor = tags.get(_COMPRESSION, 1), tags.get(_PREDICTOR, 1)
    if compression not in _COMPRESSIONS or predictor not in (1, 2) or _odd(tags):
        raise refused
    if set(_several(tags.get(_FORMAT, 1))) != {1} or count < _COLOURS[photometric]:
        raise refused
    extra = extra_of_tiff(tags, account)
    taken = _COLOURS[photometric] + extra.alpha
    if tags.get(_PLANAR, 1) == 2 and count > 1:
        samples = np.dstack([_plane(data, tags, plane, count) for plane in range(taken)])
    else:
        samples = _chunky(data, tags, count)[..., :taken]
    if photometric == 0:  # white is zero
        samples[..., 0] = ~samples[..., 0]
    if extra.premultiplied:
        samples = divided(samples, account)
    return np.ascontiguousarray(samples[..., 0] if taken == 1 else samples)


def _chunky(data: bytes, tags: Any, count: int) -> Samples:
    """H,W,C of a file whose channels lie side by side."""
    offsets, sizes = _segments(tags)
    grey = _as_grey(data, tags, count, offsets, sizes)
    return _unpredicted(grey.reshape(tags[_HEIGHT], tags[_WIDTH], count), tags)


def _plane(data: bytes, tags: Any, plane: int, count: int) -> Samples:
    """H,W of one channel of a file that holds them one after the other."""
    offsets, sizes = _segments(tags)
    each = len(offsets) // count
    part = slice(plane * each, (plane + 1) * each)
    grey = _as_grey(data, tags, 1, offsets[part], sizes[part])
    return _unpredicted(grey[..., None], tags)[..., 0]


def _segments(tags: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where strips or tiles lie, and their lengths in bytes."""
    names = (_TILES, _TILE_BYTES) if _TILES in tags else (_STRIPS, _STRIP_BYTES)
    offsets, sizes = (_several(tags[name]) for name in names)
    return offsets, sizes


def _as_grey(data: bytes, tags: Any, count: int, offsets: tuple[int, ...], sizes: tuple[int, ...]) -> Samples:
    """The samples as H,W*count, not predicted back."""
    if min(offsets) < 8:
        raise InputError("the image cannot be read: samples lie in the header of the file")
    width, height = tags[_WIDTH] * count, tags[_HEIGHT]
    entries: dict[int, tuple[int, ...]] = {
        _WIDTH: (width,), _HEIGHT: (height,), _BITS: _several(tags[_BITS])[:1], _PHOTOMETRIC: (1,), _SAMPLES: (1,),
        _COMPRESSION: (tags.get(_COMPRESSION, 1),),
    }  # fmt: skip
    if _TILES in tags:
        entries |= {_TILE_WIDTH: (tags[_TILE_WIDTH] * count,), _TILE_HEIGHT: (tags[_TILE_HEIGHT],)}
        entries |= {_TILES: offsets, _TILE_BYTES: sizes}
    else:
        entries |= {_STRIPS: offsets, _STRIP_BYTES: sizes, _ROWS: (min(tags.get(_ROWS, height), height),)}
    file = io.BytesIO(_with_directory(data, "<" if tags.prefix == b"II" else ">", entries))
    with opening.opened(file, ["TIFF"]) as grey:
        return np.asarray(grey).astype(np.uint8 if grey.mode == "L" else np.uint16)


def _with_directory(data: bytes, order: str, entries: dict[int, tuple[int, ...]]) -> bytes:
    """The file with another directory, behind its bytes; all values as 32-bit integers."""
    start = len(data) + len(data) % 2
    values = start + 2 + 12 * len(entries) + 4  # those with more than one value lie behind the directory
    table, rest = struct.pack(order + "H", len(entries)), b""
    for tag, numbers in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        table += struct.pack(order + "HHI", tag, 4, len(numbers))
        table += packed if len(numbers) == 1 else struct.pack(order + "I", values + len(rest))
        rest += packed if len(numbers) > 1 else b""
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, start)
    return b"".join((head, data[8:], bytes(len(data) % 2), table, bytes(4), rest))


def _unpredicted(samples: Samples, tags: Any) -> Samples:
    """The samples themselves, where each is stored as its difference to the pixel before it in its row or tile."""
    if tags.get(_PREDICTOR, 1) != 2 or tags.get(_COMPRESSION, 1) not in _PREDICTED:
        return samples
    step = tags[_TILE_WIDTH] if _TILES in tags else samples.shape[1]
    for left in range(0, samples.shape[1], step):
        part = samples[:, left : left + step]
        np.cumsum(part, axis=1, dtype=part.dtype, out=part)
    return samples

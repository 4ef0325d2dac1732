r"""EXIF data, byte for byte: nothing moves, and only what turning the picture changes is written over.

EXIF data are a TIFF stream: a header, directories of entries of 12 bytes, and values that lie anywhere, at offsets from
the start of the stream. Makers' notes hold offsets of their own, so a stream that is taken apart and written anew has
lost them. Sources: TIFF 6.0, EXIF 2.32 (CIPA DC-008).

    >>> exif = b"II*\0" + bytes([8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6]) + bytes(7)
    >>> orientation(exif), orientation(turned(exif)[0])
    (6, 1)
"""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from typing import NamedTuple

from PIL import Image, JpegImagePlugin

PREFIX = b"Exif\x00\x00"  #: before EXIF data in a JPEG, and as Pillow hands them out
ORIENTATION = 0x0112
EXIF_DIRECTORY = 0x8769
PIXEL_SIZE = (0xA002, 0xA003)  #: width and height of the picture that the EXIF data belong to
THUMBNAIL, THUMBNAIL_LENGTH = 0x0201, 0x0202
#: orientation -> what makes the picture upright; 1 is upright
METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  #: orientations that swap width and height
_INTEGERS = {1: "B", 3: "H", 4: "I"}  #: types of TIFF that hold one unsigned number within the entry
_LARGEST_THUMBNAIL = 1 << 22  #: pixels; they have 20,000
_TURNED = "the thumbnail in the EXIF data was turned with the picture"
_DROPPED = "the thumbnail in the EXIF data, which is not turned as the picture is, was dropped"


class _Entry(NamedTuple):
    """An entry of a directory: where it lies, and what it says."""

    at: int
    tag: int
    type: int
    values: int


class _Stream:
    """A TIFF stream that can be written over. struct.error or ValueError where it is damaged."""

    def __init__(self, data: bytes):
        self.data = bytearray(data)
        self.order = {b"II": "<", b"MM": ">"}[bytes(data[:2])] if data[:2] in (b"II", b"MM") else ""
        if not self.order or self.unpack("H", 2)[0] != 42:
            raise ValueError("not a TIFF stream")

    def unpack(self, code: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + code, self.data, at)

    def pack(self, code: str, at: int, *values: int) -> None:
        struct.pack_into(self.order + code, self.data, at, *values)

    def directory(self, pointer: int) -> tuple[list[_Entry], int]:
        """The entries of the directory that a u32 at `pointer` points to, and where the pointer to the next one is."""
        (at,) = self.unpack("I", pointer)
        if not at:
            return [], 0
        (count,) = self.unpack("H", at)
        end = at + 2 + 12 * count
        if end > len(self.data):
            raise ValueError("a directory goes beyond the end")
        return [_Entry(n, *self.unpack("HHI", n)) for n in range(at + 2, end, 12)], end

    def number(self, entry: _Entry) -> int | None:
        """The value of an entry of one unsigned number, None where it is something else."""
        code = _INTEGERS.get(entry.type)
        return self.unpack(code, entry.at + 8)[0] if code and entry.values == 1 else None

    def set_number(self, entry: _Entry, value: int) -> None:
        self.pack(_INTEGERS[entry.type], entry.at + 8, value)

    def zero(self, start: int, end: int) -> None:
        """Write zeros; at the end of the stream, cut it off."""
        self.data[start:end] = bytes(end - start) if end < len(self.data) else b""


def without_prefix(data: bytes) -> bytes:
    """EXIF data as a TIFF stream, without what JPEG has before it."""
    return data.removeprefix(PREFIX)


def orientation(exif: bytes) -> int | None:
    """The orientation, 1 to 8, that EXIF data state; None where they state none that there is, or are damaged."""
    try:
        stream = _Stream(exif)
        found = [stream.number(entry) for entry in stream.directory(4)[0] if entry.tag == ORIENTATION]
    except (struct.error, ValueError):
        return None
    return found[0] if found and found[0] in (1, *METHODS) else None


def turned(exif: bytes, applied: int | None = None) -> tuple[bytes, list[str]]:
    """EXIF data of a picture that has been made upright, and notes on what became of the thumbnail.

    applied: the orientation that was applied, None for that of the data. Its value becomes 1, PixelXDimension and
    PixelYDimension change places where width and height have, the thumbnail is turned as the picture was, or dropped.
    All other bytes stay what and where they are. Damaged data are left as they are.
    """
    applied = orientation(exif) if applied is None else applied
    if applied not in METHODS and orientation(exif) in (None, 1):
        return exif, []
    try:
        stream = _Stream(exif)
        entries, following = stream.directory(4)
    except (struct.error, ValueError):
        return exif, []
    for entry in entries:
        if entry.tag == ORIENTATION and stream.number(entry) is not None:
            stream.set_number(entry, 1)
        elif entry.tag == EXIF_DIRECTORY and applied in SIDEWAYS:
            with suppress(struct.error, ValueError):  # of a damaged directory nothing is changed
                _swap_size(stream, entry.at + 8)
    if (
        applied not in METHODS or not following or following + 4 > len(stream.data)
    ):  # some writers leave the pointer out where it is the last
        return bytes(stream.data), []
    before = bytes(stream.data)
    try:
        notes = _turn_thumbnail(stream, following, applied)
    except (struct.error, ValueError):  # it is damaged, or lies where the directories do
        stream.data[:] = before
        stream.pack("I", following, 0)
        notes = [_DROPPED]
    return bytes(stream.data), notes


def _swap_size(stream: _Stream, pointer: int) -> None:
    """Let the entries of width and height change their values; type and count are a part of these."""
    places = {entry.tag: entry.at + 2 for entry in stream.directory(pointer)[0] if entry.tag in PIXEL_SIZE}
    if len(places) == 2:
        a, b = places.values()
        stream.data[a : a + 10], stream.data[b : b + 10] = stream.data[b : b + 10], stream.data[a : a + 10]


def _turn_thumbnail(stream: _Stream, pointer: int, applied: int) -> list[str]:
    """Turn the thumbnail where it lies, or unlink its directory and wipe it out; says which."""
    entries, _ = stream.directory(pointer)
    if not entries:
        return []
    tags = {entry.tag: entry for entry in entries}
    start, length = (stream.number(tags[tag]) if tag in tags else None for tag in (THUMBNAIL, THUMBNAIL_LENGTH))
    own = tags.get(ORIENTATION)
    asked = stream.number(own) if own else applied
    if asked == 1:
        return []
    if start and length and start + length <= len(stream.data):
        if start < pointer + 4 or (start < entries[-1].at + 16 and start + length > entries[0].at - 2):
            raise ValueError("the thumbnail lies on the directories")
        last = start + length == len(stream.data)
        new = _turned_jpeg(bytes(stream.data[start : start + length]), asked or applied, None if last else length)
        if new is not None:
            stream.zero(start + len(new), start + length)
            stream.data[start : start + len(new)] = new
            stream.set_number(tags[THUMBNAIL_LENGTH], len(new))
            if own and asked:
                stream.set_number(own, 1)
            return [_TURNED]
        stream.zero(start, start + length)
    stream.pack("I", pointer, 0)
    return [_DROPPED]


def _turned_jpeg(data: bytes, applied: int, room: int | None) -> bytes | None:
    """A JPEG made upright, with the same tables; None where it cannot be read or needs more than `room` bytes."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if image.width * image.height > _LARGEST_THUMBNAIL or image.mode not in ("L", "RGB"):
                return None
            upright = image.transpose(METHODS[applied]) if applied in METHODS else image
            whole = image.mode == "L" or JpegImagePlugin.get_sampling(image) == 0
            out = io.BytesIO()
            tables = getattr(image, "quantization", None)
            upright.save(out, "JPEG", qtables=tables, subsampling=0 if whole else 2, optimize=True)
            if room is not None and out.tell() > room:
                out = io.BytesIO()
                upright.save(out, "JPEG", quality=50, subsampling=2, optimize=True)
    except MemoryError:
        raise
    except Exception:  # Pillow raises almost anything on damaged files
        return None
    return out.getvalue() if room is None or out.tell() <= room else None

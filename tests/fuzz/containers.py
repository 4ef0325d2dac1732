"""Picture files taken apart into the parts that their containers are made of, and put together again with right sizes and CRCs.

Each format has a function that hands out the lists of parts that a mutation may change, and one that makes a file of
them. What lies behind the parts (samples) is carried along as it is.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple


class Part(NamedTuple):
    """A chunk, segment, box or tag.

    kind: its type as the file has it; of a tag of a TIFF stream number, type and count, packed in the stream's order.
    """

    kind: bytes
    data: bytes


@dataclass
class File:
    """A file that is taken apart. lists: of parts, one within another where boxes are; rest: what belongs to no part."""

    form: str
    lists: list[list[Part]]
    rest: bytes = b""
    mend: bool = True
    places: list[int] = field(default_factory=list)

    def bytes(self) -> bytes:
        """The file, put together."""
        return _JOINS[self.form](self)


def taken_apart(data: bytes) -> File | None:
    """The parts of a file; None for formats that are not known here."""
    for start, offset, split in _SPLITS:
        if data[offset : offset + len(start)] == start:
            return split(data)
    return None


# --- PNG -------------------------------------------------------------------------------------------

_PNG = b"\x89PNG\r\n\x1a\n"


def _split_png(data: bytes) -> File:
    parts, at = [], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return File("png", [parts])


def _join_png(file: File) -> bytes:
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in file.lists[0]
    )


# --- JPEG ------------------------------------------------------------------------------------------


def _split_jpeg(data: bytes) -> File:
    """The segments before the first scan; the rest starts with it."""
    parts, at = [], 2
    while data[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, at + 2)
        parts.append(Part(data[at + 1 : at + 2], data[at + 4 : at + 2 + size]))
        at += 2 + size
    return File("jpeg", [parts], data[at:])


def _join_jpeg(file: File) -> bytes:
    listed = b"".join(
        b"\xff" + kind + struct.pack(">H", len(data[:65533]) + 2) + data[:65533] for kind, data in file.lists[0]
    )
    return b"\xff\xd8" + listed + file.rest


# --- WebP ------------------------------------------------------------------------------------------


def _split_riff(data: bytes) -> File:
    parts, at = [], 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        parts.append(Part(data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return File("riff", [parts])


def _join_riff(file: File) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in file.lists[0]
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


# --- AVIF, HEIF ------------------------------------------------------------------------------------


def _boxes(data: bytes) -> list[Part]:
    parts, at = [], 0
    while at + 8 <= len(data):
        size = struct.unpack_from(">I", data, at)[0] or len(data) - at
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += max(8, size)
    return parts


def _joined(parts: list[Part]) -> bytes:
    return b"".join(struct.pack(">I", 8 + len(data)) + kind + data for kind, data in parts)


def _index(parts: list[Part], kind: bytes) -> int:
    return next((n for n, part in enumerate(parts) if part.kind == kind), -1)


def _split_boxes(data: bytes) -> File:
    """Three lists: the boxes of the file, those in `meta`, and the properties in `ipco`; rest: version and flags."""
    top = _boxes(data)
    whole = top[_index(top, b"meta")].data
    meta = _boxes(whole[4:])
    properties = _boxes(_boxes(meta[_index(meta, b"iprp")].data)[0].data)
    return File("boxes", [top, meta, properties], whole[:4], places=[_start_of_samples(top)])


def _start_of_samples(top: list[Part]) -> int:
    at = _index(top, b"mdat")
    return len(_joined(top[:at])) + 8 if at >= 0 else 0


def _join_boxes(file: File) -> bytes:
    """The offsets in `iloc` are moved by as much as the samples are."""
    top, meta, properties = (list(parts) for parts in file.lists)
    where = _index(meta, b"iprp")
    if where >= 0:
        within = _boxes(meta[where].data)
        within[:1] = [Part(b"ipco", _joined(properties))]
        meta[where] = Part(b"iprp", _joined(within))
    place = _index(top, b"meta")
    if place >= 0:
        for _ in range(2):  # the sizes do not change with the offsets
            top[place] = Part(b"meta", file.rest + _joined(meta))
            moved = _start_of_samples(top) - file.places[0]
            located = _index(meta, b"iloc")
            if not moved or located < 0:
                break
            meta[located] = Part(b"iloc", _moved(meta[located].data, moved))
            file.places[0] += moved
    return _joined(top)


def _moved(iloc: bytes, by: int) -> bytes:
    """The box `iloc` (ISO/IEC 14496-12) of version 0 with offsets and lengths of 4 bytes, its offsets moved."""
    out = bytearray(iloc)
    if len(out) < 8 or out[0] or out[4] != 0x44 or out[5]:
        return iloc
    at = 8
    for _ in range(struct.unpack_from(">H", out, 6)[0]):
        if at + 6 > len(out):
            break
        extents = struct.unpack_from(">H", out, at + 4)[0]
        at += 6
        for _ in range(extents):
            if at + 8 > len(out):
                return bytes(out)
            struct.pack_into(">I", out, at, max(0, struct.unpack_from(">I", out, at)[0] + by) & 0xFFFFFFFF)
            at += 8
    return bytes(out)


# --- TIFF, EXIF ------------------------------------------------------------------------------------

UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_POINTERS = (34665, 34853, 40965)
_SAMPLES = (273, 324, 330, *_POINTERS)  #: tags whose values say where something lies that is not theirs


def order_of(stream: bytes) -> str:
    """The order of bytes of a TIFF stream, as struct knows it."""
    return "<" if stream[:2] == b"II" else ">"


def tag(order: str, number: int, kind: int, data: bytes) -> Part:
    """A tag of a TIFF stream with the count that its value has."""
    return Part(struct.pack(order + "HHI", number, kind, len(data) // UNITS.get(kind, 1)), data)


def number_of(part: Part, order: str) -> int:
    """The number of a tag."""
    return int(struct.unpack_from(order + "H", part.kind)[0])


def _directory(data: bytearray, order: str, pointer: int) -> list[Part]:
    """The tags of the directory that a pointer leads to; their values, and the directory, are wiped out."""
    (at,) = struct.unpack_from(order + "I", data, pointer)
    (count,) = struct.unpack_from(order + "H", data, at)
    parts = []
    for place in range(at + 2, at + 2 + 12 * count, 12):
        number, kind, values = struct.unpack_from(order + "HHI", data, place)
        size = values * UNITS.get(kind, 1)
        value = bytes(data[place + 8 : place + 8 + min(size, 4)])
        if size > 4:
            (where,) = struct.unpack_from(order + "I", data, place + 8)
            value = bytes(data[where : where + size])
            data[where : where + len(value)] = bytes(len(value))
        parts.append(Part(bytes(data[place : place + 8]), value))
    return parts


def _split_tiff(data: bytes) -> File:
    """Two lists: the tags of the first directory and of EXIF's, if there is one; rest: the stream without them."""
    out, order = bytearray(data), order_of(data)
    place = struct.unpack_from(order + "I", out, 4)[0]
    following = bytes(out[place + 2 + 12 * struct.unpack_from(order + "H", out, place)[0] :][:4]).ljust(4, b"\0")
    first = _directory(out, order, 4)
    lists = [first]
    for part in first:
        if number_of(part, order) == _POINTERS[0] and len(part.data) == 4:
            out += bytes(len(out) % 2)
            holder = bytearray(out) + part.data
            lists.append(_directory(holder, order, len(out)))
            out = holder[: len(out)]
    return File("tiff", lists, bytes(out) + following)


def _join_tiff(file: File) -> bytes:
    """New directories behind the stream, that of EXIF last, with the first one's pointer to it set right."""
    out, following = bytearray(file.rest[:-4]), file.rest[-4:]
    order = order_of(file.rest)
    lists = [list(parts) for parts in file.lists]
    if file.mend:
        lists = [sorted(parts, key=lambda part: number_of(part, order)) for parts in lists]
    if len(lists) > 1:
        place = _put(out, lists[1], order, bytes(4))
        lists[0] = [
            part._replace(data=struct.pack(order + "I", place)) if number_of(part, order) == _POINTERS[0] else part
            for part in lists[0]
        ]
    struct.pack_into(order + "I", out, 4, _put(out, lists[0], order, following))
    return bytes(out)


def _put(out: bytearray, parts: list[Part], order: str, following: bytes) -> int:
    entries = b""
    for part in parts:
        value = part.data
        if len(value) > 4:
            out += bytes(len(out) % 2)
            place = len(out)
            out += value
            value = struct.pack(order + "I", place)
        entries += part.kind + value.ljust(4, b"\0")
    out += bytes(len(out) % 2)
    place = len(out)
    out += struct.pack(order + "H", len(parts)) + entries + following
    return place


_SPLITS = (
    (_PNG, 0, _split_png),
    (b"\xff\xd8\xff", 0, _split_jpeg),
    (b"WEBP", 8, _split_riff),
    (b"ftyp", 4, _split_boxes),
    (b"II*\0", 0, _split_tiff),
    (b"MM\0*", 0, _split_tiff),
)
_JOINS = {"png": _join_png, "jpeg": _join_jpeg, "riff": _join_riff, "boxes": _join_boxes, "tiff": _join_tiff}

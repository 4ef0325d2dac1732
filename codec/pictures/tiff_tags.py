r"""Directories of TIFF tags: what a TIFF file says of the picture as EXIF data, and EXIF data as tags of a TIFF file.

Values are kept as they are, byte for byte, of whatever type; only their places change, and the order of bytes where the
two streams differ in it. Source: TIFF 6.0; BigTIFF is read, too.

    >>> tags = Directory("<", [Tag(270, 2, b"words\0")])
    >>> read(io.BytesIO(tags.stream())) == tags
    True
"""

from __future__ import annotations

import io
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

#: bytes of one number, by type; of a rational number those of numerator and denominator
_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS = {5: 2, 10: 2}  #: in a value, where there is more than one
_WITHIN = {34665: (40965,), 34853: ()}  #: tags that point to directories, and those within these
LARGEST_VALUES = 64 << 20  #: bytes of a directory and those within; what is beyond is left out
_MOST_TAGS = 4096


class Tag(NamedTuple):
    """A tag: its number and type, and its value as bytes in the stream's order, or the directory that it points to."""

    number: int
    type: int
    value: bytes | Directory


@dataclass
class Directory:
    """Tags of a stream.

    order: of its bytes, "<" or ">"; others: whether there is more, which is not among them: tags of unknown types or
    damaged ones, further directories such as a thumbnail's.
    """

    order: str
    tags: list[Tag]
    others: bool = False

    def picked(self, numbers: Collection[int]) -> Directory:
        """Those of these numbers."""
        return Directory(self.order, [tag for tag in self.tags if tag.number in numbers])

    def without(self, numbers: Collection[int]) -> Directory:
        """All but those of these numbers."""
        return Directory(self.order, [tag for tag in self.tags if tag.number not in numbers])

    def value(self, number: int) -> bytes | None:
        """The bytes of a tag's value."""
        return next((tag.value for tag in self.tags if tag.number == number and isinstance(tag.value, bytes)), None)

    def in_order(self, order: str) -> Directory:
        """The same with the bytes of numbers in another order."""
        if order == self.order:
            return self
        return Directory(order, [tag._replace(value=_in_order(tag, order)) for tag in self.tags])

    def number(self, number: int) -> int | None:
        """A tag's value that is one unsigned number of 16 or 32 bits."""
        tag = next((tag for tag in self.tags if tag.number == number), None)
        if tag is None or not isinstance(tag.value, bytes) or (tag.type, len(tag.value)) not in ((3, 2), (4, 4)):
            return None
        return int.from_bytes(tag.value, "little" if self.order == "<" else "big")

    def stream(self) -> bytes:
        """A TIFF stream, such as EXIF data are, with these tags."""
        return _header(self.order, 8) + self._at(8)

    def _at(self, start: int, copied: dict[int, bytes] | None = None) -> bytes:
        """The directory with its values, to lie at `start` of a stream; copied: entries to take over as they are."""
        entries = dict(copied or {})
        place = start + 2 + 12 * len({*entries, *(tag.number for tag in self.tags)}) + 4
        values = b""
        for number, kind, value in self.tags:
            if isinstance(value, Directory):
                values += b"\0" * (place % 2)
                place += place % 2
                payload, count, kind = struct.pack(self.order + "I", place), 1, 4
                below = value._at(place)
                values, place = values + below, place + len(below)
            else:
                payload, count = value, len(value) // (_UNITS[kind] * _NUMBERS.get(kind, 1))
            if len(payload) > 4:
                values += b"\0" * (place % 2) + payload
                at = place + place % 2
                place = at + len(payload)
                payload = struct.pack(self.order + "I", at)
            entries[number] = struct.pack(self.order + "HHI", number, kind, count) + payload.ljust(4, b"\0")
        listed = b"".join(entry for _, entry in sorted(entries.items()))
        return struct.pack(self.order + "H", len(entries)) + listed + bytes(4) + values


def _in_order(tag: Tag, order: str) -> bytes | Directory:
    if isinstance(tag.value, Directory):
        return tag.value.in_order(order)
    unit = _UNITS[tag.type]
    return b"".join(tag.value[at : at + unit][::-1] for at in range(0, len(tag.value), unit)) if unit > 1 else tag.value


def _header(order: str, first: int) -> bytes:
    return struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, first)


# --- reading ---------------------------------------------------------------------------------------


def read(stream: BinaryIO) -> Directory | None:
    """The first directory of a TIFF stream, without tags of unknown types; None where there is none.

    Directories of EXIF, GPS and interoperability are read with it, none that the file links in some other way.
    """
    try:
        stream.seek(0)
        head = stream.read(16)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        (version,) = struct.unpack_from(order + "H", head, 2)
        big = {42: False, 43: True}[version]
        (first,) = struct.unpack_from(order + "Q", head, 8) if big else struct.unpack_from(order + "I", head, 4)
        return _directory(stream, order, first, big, (*_WITHIN,))
    except (KeyError, struct.error, ValueError, OverflowError):
        return None


def of_exif(exif: bytes) -> Directory | None:
    """The tags of EXIF data; None where they are damaged."""
    return read(io.BytesIO(exif))


def _directory(stream: BinaryIO, order: str, at: int, big: bool, pointers: Collection[int]) -> Directory:
    stream.seek(at)
    size, code = (20, "HHQ") if big else (12, "HHI")
    (count,) = struct.unpack(order + "Q" if big else order + "H", stream.read(8 if big else 2))
    if count > _MOST_TAGS:
        raise ValueError("too many tags")
    entries = stream.read(size * count)
    following = stream.read(8 if big else 4)
    found, others, room = [], following.strip(b"\0") != b"", LARGEST_VALUES
    for n in range(count):
        number, kind, values = struct.unpack_from(order + code, entries, size * n)
        field = entries[size * n + struct.calcsize(order + code) : size * (n + 1)]
        length = values * _UNITS.get(kind, 0) * _NUMBERS.get(kind, 1)
        pointer = struct.unpack(order + ("Q" if big else "I"), field)[0]
        if number in pointers and kind in (3, 4, 13, 16, 18):
            below = _directory(stream, order, pointer, big, _WITHIN.get(number, ()))
            found.append(Tag(number, 4, below))
            others |= below.others
        elif 0 < length <= room:
            room -= length
            value = field[:length]
            if length > len(field):
                stream.seek(pointer)
                value = stream.read(length)
            if len(value) == length and kind < 16:
                found.append(Tag(number, kind, value))
                continue
            others = True
        else:
            others = True
    return Directory(order, found, others)


# --- writing ---------------------------------------------------------------------------------------


def added(file: bytes, tags: Directory) -> bytes:
    """A TIFF file (not BigTIFF) with these tags in its first directory, in the place of any of the same numbers.

    The new directory lies at the file's end.
    """
    order = "<" if file[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", file, 4)
    (count,) = struct.unpack_from(order + "H", file, at)
    entries = [file[n : n + 12] for n in range(at + 2, at + 2 + 12 * count, 12)]
    copied = {struct.unpack_from(order + "H", entry)[0]: entry for entry in entries}
    padded = file + b"\0" * (len(file) % 2)
    return _header(order, len(padded)) + padded[8:] + tags.in_order(order)._at(len(padded), copied)

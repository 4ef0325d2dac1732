r"""Photoshop's image resources, the form in which JPEG, TIFF and PNG files hold IPTC records.

A resource: the signature "8BIM", u16 its number, a name (u8 length, padded to an even number of bytes), u32 length,
data (padded, too). Number 0x0404 is IPTC. Source: Adobe Photoshop File Formats Specification.

    >>> resources(of_iptc(b"\x1c\x02\x78\0\x02hi"))
    [(1028, b'8BIM\x04\x04\x00\x00\x00\x00\x00\x07\x1c\x02x\x00\x02hi\x00')]
"""

from __future__ import annotations

import struct

JPEG_PREFIX = b"Photoshop 3.0\0"
JPEG_ROOM = 65_533 - len(JPEG_PREFIX)  #: bytes in a segment
IPTC = 0x0404
_THUMBNAILS = (0x0409, 0x040C)
_RECORD = b"\x1c"  #: what IPTC records start with


def of_iptc(records: bytes) -> bytes:
    """A resource that holds IPTC records."""
    return b"8BIM" + struct.pack(">HHI", IPTC, 0, len(records)) + records + b"\0" * (len(records) % 2)


def of_profile(data: bytes) -> bytes | None:
    """The resources that a profile holds: resources, with or without JPEG's prefix, or IPTC records; else None."""
    data = data.removeprefix(JPEG_PREFIX)
    if data.startswith(_RECORD):
        return of_iptc(data)
    return data if data.startswith(b"8BIM") else None


def resources(data: bytes) -> list[tuple[int, bytes]]:
    """Number and bytes of each resource, as far as they are whole."""
    found, at = [], 0
    while at + 7 <= len(data) and data[at : at + 4].isalnum():
        (number,) = struct.unpack_from(">H", data, at + 4)
        place = at + 6 + (1 + data[at + 6] + 1) // 2 * 2
        if place + 4 > len(data):
            break
        (size,) = struct.unpack_from(">I", data, place)
        if place + 4 + size > len(data):
            break
        end = place + 4 + size + size % 2
        found.append((number, data[at:end]))
        at = end
    return found


def without_thumbnails(data: bytes) -> bytes:
    """The resources without pictures of the picture, which are not turned when it is."""
    listed = resources(data)
    if not any(number in _THUMBNAILS for number, _ in listed):
        return data
    return b"".join(resource for number, resource in listed if number not in _THUMBNAILS)


def segments(data: bytes) -> list[bytes]:
    """The payloads of JPEG's APP13 segments that hold resources."""
    return [JPEG_PREFIX + data[at : at + JPEG_ROOM] for at in range(0, len(data), JPEG_ROOM)]

"""XMP packets: how their text is coded, the orientation they state, and the part that JPEG files keep elsewhere.

Packets are kept byte for byte; what has to change is written over. Source: XMP specification, parts 1, 3.

    >>> packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    >>> orientation(packet), orientation(upright(packet))
    (6, 1)
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

JPEG_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
EXTENSION_HEAD = struct.Struct(">32sII")  #: id, length of the whole, offset of the part
LARGEST_EXTENSION = 64 << 20  #: bytes
# Repetitions are bounded, so that no packet takes quadratic time.
_ORIENTATION = re.compile(
    rb"(tiff:Orientation\s*=\s*[\"']\s*|<tiff:Orientation[^>]{0,200}>\s{0,20})([1-8])(?=\s*[\"'<])"
)
_POINTER = re.compile(
    rb"\s?\bxmpNote:HasExtendedXMP\s*=\s*([\"'])\s*(?P<a>[0-9A-Fa-f]{32})\s*\1"
    rb"|<xmpNote:HasExtendedXMP[^>]{0,200}>\s{0,20}(?P<b>[0-9A-Fa-f]{32})\s*</xmpNote:HasExtendedXMP>"
)
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
    (b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"),
)  # fmt: skip


def in_utf8(packet: bytes) -> bytes | None:
    """The packet itself where it is UTF-8; one in UTF-16 or UTF-32, recoded; None where it is no text."""
    coding = next((coding for mark, coding in _MARKS if packet.startswith(mark)), "utf-8")
    try:
        text = packet.decode(coding)
    except UnicodeDecodeError:
        return None
    return packet if coding == "utf-8" else text.encode()


def orientation(packet: bytes) -> int | None:
    """The orientation, 1 to 8, that a packet in UTF-8 states; None where it states none."""
    found = _ORIENTATION.search(packet)
    return int(found[2]) if found else None


def upright(packet: bytes) -> bytes:
    """The packet of a picture that was turned: it states 1 where it stated another orientation, in the same place."""
    return _ORIENTATION.sub(rb"\g<1>1", packet)


# --- extended XMP, what is beyond the 64 kB of a JPEG segment --------------------------------------


def extension_id(packet: bytes) -> bytes | None:
    """The id, 32 hex digits, of the extension that a packet points to."""
    found = _POINTER.search(packet)
    return (found["a"] or found["b"]) if found else None


def without_pointer(packet: bytes) -> bytes:
    """The packet without what points to an extension."""
    return _POINTER.sub(b"", packet)


def extension(id: bytes, segments: Sequence[bytes]) -> bytes | None:
    """The extension of this id, joined; None where a part of it is missing.

    segments: of a JPEG file, with their prefix, in any order.
    """
    parts: dict[int, bytes] = {}
    length = None
    for segment in segments:
        head = segment.removeprefix(EXTENSION_PREFIX)
        if len(head) < EXTENSION_HEAD.size:
            continue
        name, whole, offset = EXTENSION_HEAD.unpack_from(head)
        if name.upper() == id.upper():
            length = whole
            parts[offset] = head[EXTENSION_HEAD.size :]
    joined = bytearray()
    for offset, part in sorted(parts.items()):
        if offset != len(joined):
            return None
        joined += part
    return bytes(joined) if length == len(joined) <= LARGEST_EXTENSION else None


def segments(id: bytes, extension: bytes, room: int = 65_000) -> list[bytes]:
    """The payloads of JPEG's APP1 segments that hold an extension."""
    return [
        EXTENSION_PREFIX + EXTENSION_HEAD.pack(id, len(extension), at) + extension[at : at + room]
        for at in range(0, len(extension), room)
    ]

"""What a small picture says of itself, so that enlarging it needs no options.

The mark is one line of JSON, an attribute of the XMP packet, which PNG and WebP hold. It names the scale, the photo's
size, the weights and a CRC-32 of the small picture's samples; where that differs, the picture was changed since, and
what it remembers is not to be trusted.

    >>> mark = Mark(scale=2, width=7, height=5, depth=8, grey=False, weights="0123abcd", checksum=9)
    >>> Mark.parse(str(mark)) == mark, mark.small
    (True, (4, 3))
    >>> Mark.find(mark.in_xmp(None)) == mark
    True
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
import zlib
from dataclasses import dataclass

from codec.errors import InputError

VERSION = 1
SCALES = (2, 4)
LARGEST_SIDE = 2**31 - 1
_ATTRIBUTE = re.compile(rb"\birc:rescale=([\"'])(.*?)\1", re.DOTALL)
_EMPTY = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b"</rdf:RDF></x:xmpmeta>"
)
_DESCRIPTION = re.compile(
    rb"<rdf:Description rdf:about=\"\" xmlns:irc=\"urn:irc\" irc:rescale=([\"']).*?\1/>", re.DOTALL
)


@dataclass(frozen=True)
class Mark:
    """The mark of a small picture; sizes in pixels of the photo."""

    scale: int
    width: int
    height: int
    depth: int  #: bits a sample of the photo, 8 or 16
    grey: bool  #: whether the photo was grey; the small picture is RGB all the same
    weights: str  #: id of the network, 8 hex digits
    checksum: int  #: CRC-32 of the small picture's RGB samples

    def __str__(self) -> str:
        return json.dumps({"version": VERSION, **dataclasses.asdict(self)}, separators=(",", ":"))

    @property
    def small(self) -> tuple[int, int]:
        """Width and height that the small picture must have."""
        return -(-self.width // self.scale), -(-self.height // self.scale)

    @classmethod
    def parse(cls, text: str) -> Mark:
        """The mark that a text says; InputError where it is none, or one of a later version."""
        try:
            given = json.loads(text)
            version = given.pop("version")
            mark = cls(**given)
        except (ValueError, TypeError, LookupError, AttributeError):
            raise InputError("its mark of irc downscale is damaged") from None
        if version != VERSION:
            raise InputError(
                f"its mark of irc downscale is of version {str(version)[:20]}, which this irc does not know"
            )
        sides = all(type(n) is int and 1 <= n <= LARGEST_SIDE for n in (mark.width, mark.height))
        whole = type(mark.checksum) is int and type(mark.grey) is bool and isinstance(mark.weights, str)
        if mark.scale not in SCALES or mark.depth not in (8, 16) or not sides or not whole:
            raise InputError("its mark of irc downscale has values that no irc writes")
        if not re.fullmatch("[0-9a-f]{8}", mark.weights):
            raise InputError("its mark of irc downscale names no weights")
        return mark

    @classmethod
    def find(cls, packet: bytes | None) -> Mark | None:
        """The mark in an XMP packet; None where there is none; InputError where it is damaged."""
        found = _ATTRIBUTE.search(packet or b"")
        return cls.parse(html.unescape(found[2].decode("utf-8", "replace"))) if found else None

    def in_xmp(self, packet: bytes | None) -> bytes:
        """An XMP packet (UTF-8) with the mark: that of the photo, or a new one where it has none to put it into."""
        packet = packet if packet and b"</rdf:RDF>" in packet else _EMPTY
        value = html.escape(str(self)).encode()
        mark = b'<rdf:Description rdf:about="" xmlns:irc="urn:irc" irc:rescale="' + value + b'"/>'
        head, end, tail = without(packet).rpartition(b"</rdf:RDF>")
        return head + mark + end + tail


def without(packet: bytes) -> bytes:
    """An XMP packet without the mark."""
    return _DESCRIPTION.sub(b"", packet)


def checksum(samples: bytes) -> int:
    """CRC-32 of the RGB samples of a small picture, row by row."""
    return zlib.crc32(samples)

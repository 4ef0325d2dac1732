"""JPEG files without their end marker, and how to tell whether all of the picture is there.

The decoder takes any bytes behind the end for the rest of the picture. So it is given several: where all pixels were
there, none of them makes a difference.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from codec.errors import InputError
from codec.pictures.opening import opened

NOTE = "the file lacks its end marker; all of the picture is there"
LARGEST = 1 << 30  #: bytes of a file
_END = b"\xff\xd9"
_START_OF_SCAN, _FRAMES = 0xDA, (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_COEFFICIENTS = 64


def with_end(stream: BinaryIO) -> BinaryIO:
    """The same file with an end marker; InputError where something of the picture is missing, too."""
    stream.seek(0)
    data = stream.read(LARGEST + 1).rstrip(b"\xff")
    cut = InputError("the image cannot be read: the file is truncated")
    if len(data) > LARGEST or not _every_scan(data):
        raise cut
    whole = data + _END
    seen = _pixels(whole)
    for seed in (b"1", b"2"):
        if not np.array_equal(_pixels(data + _noise(seed) + _END), seen):
            raise cut
    return io.BytesIO(whole)


def _pixels(data: bytes) -> np.ndarray:
    with opened(io.BytesIO(data), ["JPEG"]) as image:
        return np.asarray(image)


def _noise(seed: bytes) -> bytes:
    """Bytes that go on as coded samples might, without a marker."""
    return b"".join(hashlib.sha512(seed + bytes([n])).digest() for n in range(64)).replace(b"\xff", b"\xfe")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with what their segments hold; coded samples are passed over."""
    at = 2
    while found := _MARKER.search(data, at):
        at = found.end()
        marker = found[1][0]
        if marker in (0x01, 0xD8):  # they stand alone
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        yield marker, data[at + 2 : at + length]
        at += length


def _every_scan(data: bytes) -> bool:
    """Whether the scans that begin in the file give every coefficient of every component to its last bit.

    In progressive files the pixels do not show it: each scan refines all of them.
    """
    missing: dict[int, set[int]] = {}
    for marker, payload in _segments(data):
        if marker in _FRAMES:
            missing = {number: set(range(_COEFFICIENTS)) for number in payload[6::3]}
        elif marker == _START_OF_SCAN and payload:
            components = payload[1 : 1 + 2 * payload[0] : 2]
            first, last, bits = (payload[1 + 2 * payload[0] :] + bytes(3))[:3]
            for number in components if not bits & 15 else b"":
                missing.get(number, set()).difference_update(range(first, last + 1))
    return bool(missing) and not any(missing.values())

"""How many pixels lie on a length, as files state it: the payload of a `phYs` chunk, 9 bytes.

u32 pixels per unit horizontally, u32 vertically, u8 unit: 0 none (what is stated is the shape of a pixel), 1 a metre,
2 an inch. But for the inch this is PNG's chunk pHYs.

    >>> of_jfif(bytes([1]) + struct.pack(">HH", 300, 300)).hex()
    '0000012c0000012c02'
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

NONE, METRE, INCH = range(3)
_INCH = 0.0254  #: metres
_LAYOUT = struct.Struct(">IIB")
_UNITS = {NONE: "", METRE: " pixels a metre", INCH: " dpi"}


def of_jfif(density: bytes) -> bytes | None:
    """Of the density in JPEG's JFIF header, 5 bytes: u8 unit (1 inch, 2 cm), two u16; None where it states nothing."""
    if len(density) < 5:
        return None
    unit, x, y = struct.unpack_from(">BHH", density)
    return _packed(*{1: (x, y, INCH), 2: (100 * x, 100 * y, METRE)}.get(unit, (x, y, NONE)))


def of_png(payload: bytes) -> bytes | None:
    """Of PNG's chunk pHYs; None where it states nothing or is damaged."""
    return _packed(*_LAYOUT.unpack(payload)) if len(payload) == _LAYOUT.size and payload[8] <= METRE else None


def of_dpi(dpi: Sequence[float]) -> bytes | None:
    """Of what Pillow calls "dpi", the pixels an inch; None where it states nothing."""
    if not all(0 < value < 2**32 for value in dpi):  # of fractions by zero, Pillow makes numbers that are none
        return None
    if all(abs(value - round(value)) < 1e-6 for value in dpi):
        return _packed(round(dpi[0]), round(dpi[1]), INCH)
    return _packed(round(dpi[0] / _INCH), round(dpi[1] / _INCH), METRE)


def _packed(x: int, y: int, unit: int) -> bytes | None:
    square = unit == NONE and x == y
    return None if square or not (0 < x < 2**32 and 0 < y < 2**32) else _LAYOUT.pack(x, y, unit)


def unpack(payload: bytes) -> tuple[int, int, int] | None:
    """Horizontal, vertical, unit; None where the payload is none of these."""
    if len(payload) != _LAYOUT.size or payload[8] > INCH:
        return None
    x, y, unit = _LAYOUT.unpack(payload)
    return x, y, unit


def to_png(payload: bytes) -> bytes | None:
    """The payload of PNG's chunk pHYs; None where there is nothing to say."""
    found = unpack(payload)
    if found is None:
        return None
    x, y, unit = found
    return _LAYOUT.pack(round(x / _INCH), round(y / _INCH), METRE) if unit == INCH else payload


def dpi(payload: bytes) -> tuple[float, float] | None:
    """Pixels an inch; None where only the shape of a pixel is stated."""
    found = unpack(payload)
    if found is None or found[2] == NONE:
        return None
    scale = 1.0 if found[2] == INCH else _INCH
    return found[0] * scale, found[1] * scale


def to_jfif(payload: bytes) -> tuple[bytes, str] | None:
    """The density in JPEG's JFIF header, 5 bytes, and a note where it is rounded; None where there is no room."""
    found = unpack(payload)
    if found is None:
        return None
    x, y, unit = found
    if unit == METRE and x % 100 == y % 100 == 0:
        code, values, note = 2, (x // 100, y // 100), ""
    elif unit == METRE:
        code, values = 1, (round(x * _INCH), round(y * _INCH))
        note = f"the resolution of {words(payload)} was rounded to {values[0]} x {values[1]} dpi, as JPEG files have it"
    else:
        code, values, note = (1 if unit == INCH else 0), (x, y), ""
    if not all(0 < value < 65536 for value in values):
        return None
    return struct.pack(">BHH", code, *values), note


def alike(payload: bytes, tiff: tuple[tuple[int, int], tuple[int, int], int] | None) -> bool:
    """Whether TIFF's XResolution, YResolution and ResolutionUnit say the same, but for rounding."""
    stated = dpi(payload)
    if tiff is None or stated is None or not all(part for _, part in tiff[:2]):
        return False
    scale = {2: 1.0, 3: 100 * _INCH}.get(tiff[2], 0.0)
    return all(abs(n / part * scale - own) <= 0.005 * own for (n, part), own in zip(tiff[:2], stated))


def to_tiff(payload: bytes) -> tuple[tuple[int, int], tuple[int, int], int]:
    """TIFF's XResolution and YResolution as fractions, and its ResolutionUnit: 1 none, 2 inch, 3 cm."""
    x, y, unit = unpack(payload) or (1, 1, NONE)
    parts = 100 if unit == METRE else 1
    return (x, parts), (y, parts), {NONE: 1, INCH: 2, METRE: 3}[unit]


def words(payload: bytes) -> str:
    """The resolution as a message says it."""
    found = unpack(payload)
    return f"{found[0]} x {found[1]}{_UNITS[found[2]]}" if found else "?"

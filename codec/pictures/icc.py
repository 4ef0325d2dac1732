"""ICC profiles of a matrix and a curve, made of what a file says in numbers.

Source of the layout: ICC.1:2022 (profile version 4.4), https://www.color.org/specification/ICC.1-2022-05.pdf. The same
numbers give the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

Matrix = tuple[tuple[float, float, float], ...]
Point = tuple[float, float]  #: CIE 1931 chromaticity x, y
D50 = (0.9642, 1.0, 0.8249)  #: X, Y, Z of the connection space's white
D65: Point = (0.3127, 0.329)
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_DATE = (2026, 1, 1, 0, 0, 0)  #: of every profile that is made here
ALIKE = 0.001  #: chromaticities that differ by less are the same, since files round them


@dataclass(frozen=True)
class Curve:
    """From samples of 0..1 to linear light of 0..1.

    power: the exponent; linear: a, b, c, d where it is (a x + b)^power from d on and c x below; table: linear light of
    evenly spaced samples, in 1/65535, instead of both.
    """

    power: float = 1.0
    linear: tuple[float, float, float, float] | None = None
    table: tuple[int, ...] = ()

    def packed(self) -> bytes:
        """The curve as an element of a profile."""
        if self.table:
            return b"curv" + struct.pack(f">II{len(self.table)}H", 0, len(self.table), *self.table)
        numbers = (self.power, *(self.linear or ()))
        kind = 3 if self.linear else 0
        return b"para" + struct.pack(">IHH", 0, kind, 0) + b"".join(map(_fixed, numbers))

    def alike(self, other: Curve) -> bool:
        """Whether both are the same but for rounding."""
        if self.table or other.table or (self.linear is None) != (other.linear is None):
            return self == other
        numbers = zip((self.power, *(self.linear or ())), (other.power, *(other.linear or ())))
        return all(abs(a - b) < 0.005 for a, b in numbers)


SRGB_CURVE = Curve(2.4, (1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
#: inverse of the camera's curve of BT.709, BT.601 and BT.2020, as H.273 defines it
VIDEO_CURVE = Curve(1 / 0.45, (1 / 1.0993, 0.0993 / 1.0993, 1 / 4.5, 0.0812))


@dataclass(frozen=True)
class Space:
    """A colour space of three primaries.

    points: the chromaticities of white, red, green and blue; curves: one for all three channels, or one each.
    """

    name: str
    points: tuple[Point, ...]
    curves: tuple[Curve, ...]

    @property
    def white(self) -> tuple[float, float, float]:
        """X, Y, Z of white, whose Y is 1."""
        x, y = self.points[0]
        return x / y, 1.0, (1 - x - y) / y

    def near(self, other: Space) -> bool:
        """Whether white and primaries are the same but for rounding."""
        return all(abs(a - b) <= ALIKE for p, q in zip(self.points, other.points) for a, b in zip(p, q))

    def alike(self, other: Space, grey: bool = False) -> bool:
        """Whether both are the same but for their names and rounding; grey: for samples that have no primaries."""
        return (grey or self.near(other)) and all(a.alike(b) for a, b in zip(self.curves * 3, other.curves * 3))

    def matrix(self) -> Matrix:
        """From linear red, green, blue to X, Y, Z of the connection space; ValueError where there is none."""
        if self.points[0][1] <= 0:
            raise ValueError("a white point without luminance")
        primaries = _transposed(tuple((x, y, 1 - x - y) for x, y in self.points[1:]))
        scale = _times(_inverse(primaries), self.white)
        if min(scale) <= 0:
            raise ValueError("primaries that do not enclose the white point")
        scaled = tuple((row[0] * scale[0], row[1] * scale[1], row[2] * scale[2]) for row in primaries)
        return _product(_adaptation(self.white), scaled)

    def profile(self, grey: bool = False) -> bytes:
        """The ICC profile, version 4, some 500 bytes; grey: of the curve alone, for grey samples.

        ValueError where primaries and white point are not those of a colour space.
        """
        matrix = self.matrix()
        tags = {b"desc": _words(self.name), b"cprt": _words("CC0"), b"wtpt": _xyz(D50)}
        curves = (self.curves * 3)[:3]
        if grey:
            tags[b"kTRC"] = curves[1].packed()
        else:
            tags[b"chad"] = b"sf32" + bytes(4) + b"".join(_fixed(n) for row in _adaptation(self.white) for n in row)
            tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _transposed(matrix))}
            tags |= {name: curve.packed() for name, curve in zip((b"rTRC", b"gTRC", b"bTRC"), curves)}
        return _profile(b"GRAY" if grey else b"RGB ", tags)


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Header, table of tags and elements; elements that are the same are stored once."""
    start, places, body = 128 + 4 + 12 * len(tags), {}, b""
    table = struct.pack(">I", len(tags))
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", places[data], len(data))
    head = struct.pack(">I4sI", start + len(body), b"", 0x04400000) + b"mntr" + space + b"XYZ "
    head += struct.pack(">6H", *_DATE) + b"acsp" + bytes(28) + b"".join(map(_fixed, D50))
    return head.ljust(128, b"\0") + table + body


def _fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def _xyz(numbers: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, numbers))


def _words(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(data), 28) + data


def _transposed(m: Matrix) -> Matrix:
    return tuple(zip(*m))


def _times(m: Matrix, v: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (sum(a * b for a, b in zip(row, v)) for row in m)
    return x, y, z


def _product(a: Matrix, b: Matrix) -> Matrix:
    return _transposed(tuple(_times(a, column) for column in _transposed(b)))


def _inverse(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    minors = ((e * i - f * h, c * h - b * i, b * f - c * e), (f * g - d * i, a * i - c * g, c * d - a * f),
              (d * h - e * g, b * g - a * h, a * e - b * d))  # fmt: skip
    determinant = a * minors[0][0] + b * minors[1][0] + c * minors[2][0]
    if abs(determinant) < 1e-9:
        raise ValueError("primaries on one line")
    return tuple((p / determinant, q / determinant, r / determinant) for p, q, r in minors)


def _adaptation(white: Sequence[float]) -> Matrix:
    """Bradford's matrix from colours under this white to the same under D50."""
    there, here = _times(_BRADFORD, D50), _times(_BRADFORD, white)
    gains = tuple(tuple(there[i] / here[i] if i == j else 0.0 for j in range(3)) for i in range(3))
    return _product(_inverse(_BRADFORD), _product(gains, _BRADFORD))  # type: ignore[arg-type]


SRGB = Space("sRGB", (D65, (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), (SRGB_CURVE,))
ADOBE_RGB = Space("Adobe RGB (1998), compatible", (D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), (Curve(563 / 256),))

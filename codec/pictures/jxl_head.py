"""What the head of a JPEG XL codestream says, which its Pillow plugin does not tell.

Source: ISO/IEC 18181-1:2024, annex D (image header).
"""

from __future__ import annotations

from dataclasses import dataclass

_SIZES = ((9, 1), (13, 1), (18, 1), (30, 1))  #: bits of a side, and what is added


class _Bits:
    """Bits of bytes, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number; EOFError behind the end."""
        if count > self.left:
            raise EOFError
        out, self.value, self.left = self.value & (1 << count) - 1, self.value >> count, self.left - count
        return out

    def choose(self, *options: tuple[int, int]) -> int:
        """A number in one of four ways, each of so many bits and an offset."""
        count, offset = options[self.take(2)]
        return self.take(count) + offset


def _skip_size(bits: _Bits) -> None:
    small = bits.take(1)

    def side() -> int:
        return bits.take(5) if small else bits.choose(*_SIZES)

    side()
    if not bits.take(3):  # else the width is a ratio of the height
        side()


@dataclass(frozen=True)
class Head:
    """Bits a sample, 0 where the codestream does not say; orientation as EXIF counts; whether there may be frames."""

    bits: int = 0
    orientation: int = 1
    animated: bool = False


def of_bytes(head: bytes) -> Head:
    """What a codestream that starts with these bytes says.

    >>> of_bytes(bytes.fromhex("ff0a588976053980a245")), of_bytes(bytes.fromhex("ff0a58897605088a1b01")).bits
    (Head(bits=32, orientation=1, animated=False), 8)
    """
    if not head.startswith(b"\xff\x0a"):
        return Head()
    bits = _Bits(head[2:])
    orientation, animated = 1, False
    try:
        _skip_size(bits)
        if bits.take(1):  # all as it usually is
            return Head(8)
        if bits.take(1):  # fields that are rarely there
            orientation = bits.take(3) + 1
            if bits.take(1):
                _skip_size(bits)
            if bits.take(1):  # a preview
                return Head(0, orientation)
            if animated := bool(bits.take(1)):  # ticks a second, as a fraction; loops; time codes
                bits.choose((0, 100), (0, 1000), (10, 1), (30, 1))
                bits.choose((0, 1), (0, 1001), (8, 1), (10, 1))
                bits.choose((0, 0), (3, 0), (16, 0), (32, 0))
                bits.take(1)
        if bits.take(1):  # floating point
            return Head(bits.choose((0, 32), (0, 16), (0, 24), (6, 1)), orientation, animated)
        return Head(bits.choose((0, 8), (0, 10), (0, 12), (6, 1)), orientation, animated)
    except EOFError:
        return Head(0, orientation, animated)

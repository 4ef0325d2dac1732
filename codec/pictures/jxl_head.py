"""What the head of a JPEG XL codestream says of its samples, which its Pillow plugin does not tell.

Source: ISO/IEC 18181-1:2024, annex D (image header).
"""

from __future__ import annotations

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


def bits_of(head: bytes) -> int:
    """Bits a sample of a codestream that starts with these bytes; 0 where they do not say.

    >>> bits_of(bytes.fromhex("ff0a588976053980a245")), bits_of(bytes.fromhex("ff0a58897605088a1b01"))
    (32, 8)
    """
    if not head.startswith(b"\xff\x0a"):
        return 0
    bits = _Bits(head[2:])
    try:
        _skip_size(bits)
        if bits.take(1):  # all as it usually is
            return 8
        if bits.take(1):  # fields that are rarely there
            bits.take(3)  # orientation
            if bits.take(1):
                _skip_size(bits)
            if bits.take(1):  # a preview
                return 0
            if bits.take(1):  # animation: ticks a second, as a fraction; loops; time codes
                bits.choose((0, 100), (0, 1000), (10, 1), (30, 1))
                bits.choose((0, 1), (0, 1001), (8, 1), (10, 1))
                bits.choose((0, 0), (3, 0), (16, 0), (32, 0))
                bits.take(1)
        if bits.take(1):  # floating point
            return bits.choose((0, 32), (0, 16), (0, 24), (6, 1))
        return bits.choose((0, 8), (0, 10), (0, 12), (6, 1))
    except EOFError:
        return 0

"""Where things lie in a picture: tiles, the windows that the transform runs over, regions.

    >>> tiles(70, 100, 64)[1]
    Box(top=0, left=64, bottom=64, right=128)
    >>> window(Box(512, 0, 1536, 512), 2048, 512)
    Box(top=416, left=0, bottom=1632, right=512)

Coordinates are pixels of the picture padded to multiples of 32. *Tiles* are coded independently of each other.
*Blocks* are the pieces in which pixels are made; each is computed on its window, the block and a margin of real
neighbours around it, and cropped. Blocks do not depend on the tiles, so neither do pixels.
"""

from __future__ import annotations

from typing import NamedTuple

from codec.errors import InputError
from entropy.config import MULTIPLE

BLOCK = 1024
#: Pixels around a block. What pixels see of a latent reaches 246 pixels (head of two blocks 90, couplings at 1/8
#: and 1/4 64 and 32, wavelets 60; a coupling stage at 1/2 would add 16), but falls off fast: with 96 the difference
#: is below 0.01 of 255 even with couplings of the signal's own size, with 64 it is 1 there (tests/test_grid.py).
MARGIN = 96
AUTO_TILE, AUTO_PIXELS = 1024, 1 << 22  #: the tiles that a picture gets unasked, and from which size on
SCALES = (1, 2, 4, 8, 16)  #: at which a picture can be decoded


class Box(NamedTuple):
    """A rectangle of pixels; bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def meet(self, other: Box) -> Box | None:
        """The part that both have, None where there is none."""
        box = Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )
        return box if box.height > 0 and box.width > 0 else None

    def within(self, other: Box, unit: int = 1) -> tuple[slice, slice]:
        """Rows and columns of this box in an array that shows `other` at 1/unit."""
        return (
            slice((self.top - other.top) // unit, (self.bottom - other.top) // unit),
            slice((self.left - other.left) // unit, (self.right - other.left) // unit),
        )

    def __str__(self) -> str:
        return f"x {self.left}..{self.right - 1}, y {self.top}..{self.bottom - 1}"


def padded(length: int) -> int:
    """Rounded up to a multiple of 32."""
    return length + -length % MULTIPLE


def _boxes(rows: list[int], columns: list[int]) -> list[Box]:
    return [
        Box(top, left, bottom, right)
        for top, bottom in zip(rows, rows[1:])
        for left, right in zip(columns, columns[1:])
    ]


def tiles(height: int, width: int, side: int) -> list[Box]:
    """The tiles of a picture of height x width pixels, row by row; side 0: one tile."""

    def cuts(length: int) -> list[int]:
        return [*range(0, length, side or length), length]

    return _boxes(cuts(padded(height)), cuts(padded(width)))


def touching(window: Box, height: int, width: int, side: int) -> list[int]:
    """Numbers of the tiles of `tiles(height, width, side)` that a box meets."""
    if not side:
        return [0]
    columns = -(-padded(width) // side)
    return [
        row * columns + column
        for row in range(window.top // side, -(-window.bottom // side))
        for column in range(window.left // side, -(-window.right // side))
    ]


def blocks(height: int, width: int, scale: int = 1) -> list[Box]:
    """The blocks of a picture decoded at 1/scale, row by row: 1024 a side in what is decoded.

    Where there are several, the first cut is at half a block, so that the window of a block, margin included, touches
    2 x 2 tiles of 1024 instead of 3 x 3.
    """
    side = BLOCK * scale

    def cuts(length: int) -> list[int]:
        return [0, *range(side // 2, length, side), length] if length > side else [0, length]

    return _boxes(cuts(padded(height)), cuts(padded(width)))


def window(block: Box, height: int, width: int) -> Box:
    """A block with its margin, as far as the picture reaches."""
    return Box(
        max(0, block.top - MARGIN),
        max(0, block.left - MARGIN),
        min(padded(height), block.bottom + MARGIN),
        min(padded(width), block.right + MARGIN),
    )


def automatic(height: int, width: int) -> int:
    """The tile size that a picture gets where none is asked for: one tile up to 4 megapixels, 1024 beyond."""
    return AUTO_TILE if height * width > AUTO_PIXELS else 0


def region_box(region: tuple[int, int, int, int], height: int, width: int) -> Box:
    """A region (x, y, width, height) in a picture; InputError where it is empty or reaches outside."""
    x, y, w, h = region
    if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise InputError(f"the region {x},{y},{w},{h} is not inside the picture of {width} x {height} pixels")
    return Box(y, x, y + h, x + w)

"""Where things lie in a picture: tiles, the windows that the transform runs over, regions.

    >>> Layout(70, 100, tile_size=64).tiles[1]
    Box(top=0, left=64, bottom=64, right=128)
    >>> Layout(2048, 512).window(Box(512, 0, 1536, 512))
    Box(top=416, left=0, bottom=1632, right=512)

Coordinates are pixels of the picture padded to multiples of 32. *Tiles* are coded independently of each other.
*Blocks* are the pieces in which pixels are made; each is computed on its window, the block and a margin of real
neighbours around it, and cropped. Blocks do not depend on the tiles, so neither do pixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

from codec.errors import InputError
from entropy.config import MULTIPLE

BLOCK = 1024
#: Pixels around a block. What pixels see of a latent reaches 246 pixels (head of two blocks 90, couplings at 1/8
#: and 1/4 64 and 32, wavelets 60; a coupling stage at 1/2 would add 16), but falls off fast: with 96 the difference
#: is below 0.01 of 255 even with couplings of the signal's own size, with 64 it is 1 there (tests/test_grid.py).
MARGIN = 96
AUTO_TILE, AUTO_PIXELS = 1024, 1 << 22  #: the tiles that a picture gets unasked, and from which size on
UNITS = (16, 8, 4, 2)  #: pixels a side that a coefficient of each level stands for, coarse to fine
LEVELS = {1: 4, 2: 3, 4: 2, 8: 1, 16: 1}  #: levels that a picture decoded at 1/scale needs
SCALES = tuple(LEVELS)  #: at which a picture can be decoded


class Box(NamedTuple):
    """A rectangle of pixels; bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
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

    def reduced(self, scale: int) -> Box:
        """The same rectangle in the picture at 1/scale; what it meets of a pixel there belongs to it."""
        return Box(self.top // scale, self.left // scale, -(-self.bottom // scale), -(-self.right // scale))

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


@dataclass(frozen=True)
class Layout:
    """The parts of a picture of height x width pixels that is coded in tiles of `tile_size` a side (0: one tile)."""

    height: int
    width: int
    tile_size: int = 0

    @classmethod
    def automatic(cls, height: int, width: int) -> Layout:
        """With the tiles that a picture gets where none are asked for: one up to 4 megapixels, of 1024 beyond."""
        return cls(height, width, AUTO_TILE if height * width > AUTO_PIXELS else 0)

    @property
    def picture(self) -> Box:
        """All pixels, those of the padding left out."""
        return Box(0, 0, self.height, self.width)

    @property
    def padded(self) -> Box:
        """All pixels, those of the padding too."""
        return Box(0, 0, padded(self.height), padded(self.width))

    @functools.cached_property
    def tiles(self) -> list[Box]:
        """The tiles, row by row."""

        def cuts(length: int) -> list[int]:
            return [*range(0, length, self.tile_size or length), length]

        return _boxes(cuts(self.padded.height), cuts(self.padded.width))

    def touching(self, box: Box) -> list[int]:
        """The numbers of the tiles that a box meets."""
        side = self.tile_size
        if not side:
            return [0]
        columns = -(-self.padded.width // side)
        return [
            row * columns + column
            for row in range(box.top // side, -(-box.bottom // side))
            for column in range(box.left // side, -(-box.right // side))
        ]

    def blocks(self, scale: int = 1, region: Box | None = None) -> list[Box]:
        """The blocks of the picture decoded at 1/scale, row by row: 1024 a side in what is decoded. With a region:
        those that it meets.

        Where there are several, the first cut is at half a block, so that the window of a block, margin included,
        touches 2 x 2 tiles of 1024 instead of 3 x 3.
        """
        side = BLOCK * scale

        def cuts(length: int) -> list[int]:
            return [0, *range(side // 2, length, side), length] if length > side else [0, length]

        every = _boxes(cuts(self.padded.height), cuts(self.padded.width))
        return [b for b in every if region is None or b.meet(region)]

    def window(self, block: Box) -> Box:
        """A block with its margin, as far as the picture reaches."""
        wide = Box(block.top - MARGIN, block.left - MARGIN, block.bottom + MARGIN, block.right + MARGIN)
        here = self.padded.meet(wide)
        if here is None:
            raise ValueError(f"{block} is outside the picture of {self.width} x {self.height} pixels")
        return here

    def region(self, region: tuple[int, int, int, int] | None) -> Box:
        """A region (x, y, width, height) as a box, None: all; InputError where it is empty or reaches outside."""
        if region is None:
            return self.picture
        x, y, w, h = region
        if min(x, y) < 0 or min(w, h) < 1 or x + w > self.width or y + h > self.height:
            raise InputError(
                f"the region {x},{y},{w},{h} is not inside the picture of {self.width} x {self.height} pixels"
            )
        return Box(y, x, y + h, x + w)

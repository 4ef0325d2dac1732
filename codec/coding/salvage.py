"""A damaged file decoded: its whole tiles, and something smooth in place of the others.

Only coefficients of the low band are made up, from those of whole tiles around; the usual decoder makes pixels of them,
and at a temperature above 0 draws detail over them, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.coding.grain import Grain
from codec.coding.tiles import Reader
from codec.container import bitstream
from codec.container.damaged import Found
from codec.container.grid import UNITS, Box
from codec.errors import DamagedError
from codec.network.session import Session
from codec.pictures.formats import Pixels
from entropy.config import BANDS
from entropy.latent import Latent

LOW = 3  #: channels of the low band, the first of the coarsest level


class Salvager(Reader):
    """A reader that fills the tiles that are lost or do not decode; `lost` holds their numbers, `dropped` the types of
    lost chunks.
    """

    def __init__(self, session: Session, found: Found):
        super().__init__(session, found.file)
        self.lost, self.dropped = found.lost, found.dropped

    def tile(self, number: int, levels: int = 4) -> Latent:
        """A tile of the file, or something smooth between its neighbours in its place."""
        if number not in self.lost:
            try:
                return super().tile(number, levels)
            except DamagedError:
                self.lost.add(number)
        tile = self.layout.tiles[number]
        k = [np.zeros((c, tile.height // u, tile.width // u), np.int32) for c, u in zip(BANDS[:levels], UNITS)]
        k[0][:LOW] = self._between(number, *k[0].shape[1:])
        return Latent(np.zeros(0, np.int32), k)

    def _edge(self, number: int, row: int | slice, column: int | slice) -> NDArray[np.int32] | None:
        """The low band along an edge of a tile, or None where that tile is lost too."""
        if number in self.lost:
            return None
        try:
            return super().tile(number, 1).k[0][:LOW, row, column]
        except DamagedError:
            return None

    def _between(self, number: int, height: int, width: int) -> NDArray[np.int32]:
        """The low band in place of a tile: the mean of its four neighbours' edges, weighted by nearness; grey alone."""
        rows, columns = self.file.header.grid
        row, column = divmod(number, columns)
        y, x = np.mgrid[:height, :width]
        every = slice(None)
        up, left, down, right = row > 0, column > 0, row + 1 < rows, column + 1 < columns
        total, weights = np.zeros((LOW, height, width)), np.full((height, width), 1e-9)
        for there, next_to, at, distance in (
            (up, number - columns, (-1, every), y + 1),
            (down, number + columns, (0, every), height - y),
            (left, number - 1, (every, -1), x + 1),
            (right, number + 1, (every, 0), width - x),
        ):
            edge = self._edge(next_to, *at) if there else None
            if edge is not None:
                # a row lies along the tile's width, a column along its height
                total += (edge[:, None, :] if isinstance(at[0], int) else edge[:, :, None]) / distance
                weights += 1 / distance
        return np.round(total / weights).astype(np.int32)

    def alpha(self) -> Pixels | None:
        """Alpha, or None where there is none or it does not decode."""
        try:
            return super().alpha()
        except DamagedError:
            self.dropped.append(bitstream.ALPHA)
            return None

    def grain(self) -> Grain | None:
        """The picture's own grain, or None where what the file says of it is damaged."""
        try:
            return super().grain()
        except DamagedError:
            self.dropped.append(bitstream.NOISE)
            return None

    def note(self, region: Box) -> str | None:
        """One line that says which part of a region is lost, None where nothing is."""
        lost = [(n, part) for n in sorted(self.lost) if (part := self.layout.tiles[n].meet(region))]
        chunks = f"lost and left out: chunk {', '.join(self.dropped[:8])}" if self.dropped else None
        if not lost:
            return chunks
        named = "; ".join(f"{self.name(n)}, {part}" for n, part in lost[:8])
        more = f"; and {len(lost) - 8} more" if len(lost) > 8 else ""
        count = f"{len(lost)} of {len(self.layout.tiles)} tiles"
        tiles = f"{count} are lost and were filled from around them: {named}{more}"
        return f"{tiles}; {chunks}" if chunks else tiles

"""Tiles coded and decoded: each has a side latent, a context and a stream of its own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from codec.coding import windows
from codec.coding.grain import Noise, unpack
from codec.container import bitstream, grid
from codec.errors import DamagedError
from codec.pictures import formats
from codec.pictures.formats import Pixels
from entropy.coder import CorruptStream
from entropy.integer import Report
from entropy.latent import Latent

if TYPE_CHECKING:
    from codec.api import _Session

KEEP = 256 << 20  #: bytes of bands that are kept when a picture is coded several times; others are computed again


def checksum(latent: Latent) -> int:
    """CRC-32 over side latent and coefficients, little-endian int32, coarse to fine."""
    value = 0
    for array in (latent.side, *latent.k):
        value = zlib.crc32(np.ascontiguousarray(array, "<i4").data, value)
    return value


def combined(checksums: list[int] | tuple[int, ...]) -> int:
    """HEAD's checksum: that of the only tile, or the CRC-32 over those of all tiles as big-endian u32."""
    return checksums[0] if len(checksums) == 1 else zlib.crc32(struct.pack(f">{len(checksums)}I", *checksums))


class Coded(NamedTuple):
    """A coded tile: its stream, the latent that the stream holds, and that latent's checksum."""

    stream: bytes
    latent: Latent
    checksum: int


class Source:
    """A picture (H,W or H,W,3 samples) whose tiles can be coded; keep: whether at several qualities; effort: 0..9, how
    long to search for a better latent."""

    def __init__(
        self, session: _Session, pixels: Pixels, tile_size: int, workers: int, keep: bool = False, effort: int = 0
    ):
        self.session, self.pixels, self.tile_size, self.workers = session, pixels, tile_size, workers
        self.keep, self.effort = KEEP if keep else 0, effort
        height, width = pixels.shape[:2]
        self.tiles = grid.tiles(height, width, tile_size)
        self._kept: dict[int, list[Tensor]] = {}
        self.report: Report | None = None  #: of what is done within a tile

    def _bands(self, number: int) -> list[Tensor]:
        found = self._kept.get(number)
        if found is None:
            tile = self.tiles[number]
            found = windows.bands(self.session, self.pixels, tile)
            if (len(self._kept) + 1) * tile.height * tile.width * 12 <= self.keep:
                self._kept[number] = found
        return found

    def tile(self, number: int, quality: int) -> Coded:
        """Code one tile."""
        stream, held = self.session.code(self._bands(number), quality, self.effort, self.report)
        return Coded(stream, windows.compact(held), checksum(held))

    def code(self, quality: int) -> Iterator[Coded]:
        """Code all tiles, row by row."""
        steps = [[i] for i in range(len(self.tiles))]
        for n, done in enumerate(windows.Ahead(lambda i: self.tile(i, quality), steps, self.workers)):
            yield done[n]


class Reader:
    """The tiles of a parsed file."""

    def __init__(self, session: _Session, file: bitstream.File):
        self.session, self.file, h = session, file, file.header
        self.tiles = grid.tiles(h.height, h.width, h.tile_size)
        self.report: Report | None = None  #: of what is done within a tile

    def alpha(self, payload: bytes) -> Pixels:
        """Decode the alpha channel; DamagedError."""
        return formats.unpack_alpha(payload, self.file.header.width, self.file.header.height)

    def noise(self) -> Noise | None:
        """The noise of the picture, where the file has it; DamagedError."""
        payload = self.file.extras.get(bitstream.NOISE)
        return None if payload is None else unpack(payload, self.session.prior.coded(self.file.header.quality_code))

    def name(self, number: int) -> str:
        """What messages call a tile; nothing for the only one."""
        return bitstream.tile_name(number, self.file.header.grid[1]) if len(self.tiles) > 1 else ""

    def tile(self, number: int, levels: int = 4) -> Latent:
        """Decode one tile; DamagedError, naming it. With fewer levels than 4 its checksum cannot be compared."""
        where = f"{name}: " if (name := self.name(number)) else ""
        tile = self.tiles[number]
        try:
            latent = self.session.prior.decode(
                self.file.tiles[number], self.file.header.quality_code, tile.height, tile.width, levels, self.report
            )
        except CorruptStream as error:
            raise DamagedError(f"{where}{error}") from error
        known = self.file.checksums  # none where a damaged index held them
        if levels == 4 and known and checksum(latent) != known[number]:
            raise DamagedError(f"{where}the decoded latent is not the one that was encoded (checksum differs)")
        return windows.compact(latent)


def check(file: bitstream.File) -> None:
    """Raise DamagedError unless tile size and checksums of a parsed file go together."""
    check_tile_size(file.header)
    if combined(file.checksums) != file.header.checksum:
        raise DamagedError("the checksum of the header is not that of the tiles")


def check_tile_size(header: bitstream.Header) -> None:
    """Raise DamagedError where tiles would not end where side latents do."""
    if header.tile_size % grid.MULTIPLE:
        raise DamagedError(f"the tile size {header.tile_size} is not a multiple of {grid.MULTIPLE}")


def join(parts: list[Latent], tiles: list[grid.Box]) -> Latent:
    """The latents of all tiles as one of the whole picture, in int32."""
    whole = tiles[-1]
    picture = grid.Box(0, 0, whole.bottom, whole.right)

    def put(arrays: list[NDArray[np.int32]], unit: int) -> NDArray[np.int32]:
        out = np.zeros((arrays[0].shape[0], picture.height // unit, picture.width // unit), np.int32)
        for array, tile in zip(arrays, tiles):
            out[:, *tile.within(picture, unit)] = array
        return out

    return Latent(
        put([p.side for p in parts], grid.MULTIPLE),
        [put([p.k[i] for p in parts], unit) for i, unit in enumerate(windows.UNITS)],
    )

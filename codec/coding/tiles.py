"""Tiles encoded and decoded: each has a side latent, a context and a stream of its own."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from codec.coding import windows
from codec.coding.ahead import Ahead, Workers
from codec.coding.grain import Grain, unpack
from codec.container import bitstream, damaged
from codec.container.grid import UNITS, Layout
from codec.errors import DamagedError
from codec.network.session import Refiner, Session, open_session
from codec.pictures import formats
from codec.pictures.formats import Pixels
from entropy.coder import CorruptStream
from entropy.config import MULTIPLE
from entropy.integer import Report
from entropy.latent import Latent
from entropy.quantisation import Quantisation

KEEP = 256 << 20  #: bytes of bands that are kept when a picture is encoded several times; others are computed again


def checksum(latent: Latent) -> int:
    """CRC-32 over side latent and coefficients, little-endian int32, coarse to fine."""
    value = 0
    for array in (latent.side, *latent.k):
        value = zlib.crc32(np.ascontiguousarray(array, "<i4").data, value)
    return value


class EncodedTile(NamedTuple):
    """The stream of a tile, the latent that the stream holds, and that latent's checksum."""

    stream: bytes
    latent: Latent
    checksum: int


@dataclass
class Source:
    """A picture whose tiles can be encoded."""

    session: Session
    pixels: Pixels  #: H,W or H,W,3 samples
    layout: Layout
    workers: Workers
    progress: Report | None = None  #: told what share of a tile has been done since the last call
    refiner: Refiner | None = None  #: searches for a better latent of each tile
    keep: bool = False  #: whether tiles will be encoded again at other qualities
    #: the same with colour under alpha 0 as it was given, where that was filled: a picture that was decoded from a file
    #: of this quality is known by it
    unfilled: Pixels | None = None
    masked: bool = False  #: whether errors count by what the eye sees of them
    _kept: dict[int, list[Tensor]] = field(init=False, default_factory=dict)

    def _bands(self, number: int, quality: int | Quantisation) -> list[Tensor]:
        tile = self.layout.tiles[number]
        if self.unfilled is not None:
            given = windows.bands(self.session, self.unfilled, tile)
            if self.session.recognises(*self.session.scaled(given, quality)):
                return given
        found = self._kept.get(number)
        if found is None:
            found = windows.bands(self.session, self.pixels, tile)
            if self.keep and (len(self._kept) + 1) * tile.height * tile.width * 12 <= KEEP:
                self._kept[number] = found
        return found

    def tile(self, number: int, quality: int | Quantisation) -> EncodedTile:
        """Encode one tile."""
        bands = self._bands(number, quality)
        stream, latent = self.session.encode(bands, quality, self.refiner, self.progress, self.masked)
        return EncodedTile(stream, windows.compact(latent), checksum(latent))

    def encode(self, quality: int | Quantisation) -> Iterator[EncodedTile]:
        """Encode all tiles, row by row."""
        steps = [[i] for i in range(len(self.layout.tiles))]
        for n, made in enumerate(Ahead(lambda i: self.tile(i, quality), steps, self.workers)):
            yield made[n]


class Reader:
    """The tiles of a parsed file."""

    def __init__(self, session: Session, file: bitstream.File):
        self.session, self.file = session, file
        self.layout = Layout(file.header.height, file.header.width, file.header.tile_size)
        self.progress: Report | None = None  #: told what share of a tile has been done since the last call

    @classmethod
    def of(cls, data: bytes, max_pixels: int | None = None, device: str = "cpu") -> Reader:
        """Of the bytes of a file; InputError, DamagedError, WeightsError."""
        file = bitstream.read(data, max_pixels)
        damaged.check(file)
        return cls(open_session(file.header.weights, device), file)

    def alpha(self) -> Pixels | None:
        """The alpha channel, where the file has one; DamagedError."""
        payload, header = self.file.extras.get(bitstream.ALPHA), self.file.header
        return None if payload is None else formats.unpack_alpha(payload, header.width, header.height)

    def grain(self) -> Grain | None:
        """The grain of the picture, where the file has it; DamagedError."""
        payload = self.file.extras.get(bitstream.NOISE)
        return None if payload is None else unpack(payload, self.session.prior.coded(self.file.quantisation))

    def name(self, number: int) -> str:
        """What messages call a tile; nothing for the only one."""
        return bitstream.tile_name(number, self.file.header.grid[1]) if len(self.layout.tiles) > 1 else ""

    def tile(self, number: int, levels: int = 4) -> Latent:
        """Decode one tile; DamagedError, naming it. With fewer levels than 4 its checksum cannot be compared."""
        where = f"{name}: " if (name := self.name(number)) else ""
        tile = self.layout.tiles[number]
        try:
            latent = self.session.prior.decode(
                self.file.tiles[number], self.file.quantisation, tile.height, tile.width, levels, self.progress
            )
        except CorruptStream as error:
            raise DamagedError(f"{where}{error}") from error
        known = self.file.checksums  # none where a damaged index held them
        if levels == 4 and known and checksum(latent) != known[number]:
            raise DamagedError(f"{where}the decoded latent is not the one that was encoded (checksum differs)")
        return windows.compact(latent)

    def latent(self) -> Latent:
        """The integers of the whole picture, in int32: the side latent and four levels, tiles put together."""
        parts = [self.tile(i) for i in range(len(self.layout.tiles))]
        picture = self.layout.padded

        def put(arrays: list[NDArray[np.int32]], unit: int) -> NDArray[np.int32]:
            out = np.zeros((arrays[0].shape[0], picture.height // unit, picture.width // unit), np.int32)
            for array, tile in zip(arrays, self.layout.tiles):
                out[:, *tile.within(picture, unit)] = array
            return out

        return Latent(
            put([p.side for p in parts], MULTIPLE), [put([p.k[i] for p in parts], unit) for i, unit in enumerate(UNITS)]
        )

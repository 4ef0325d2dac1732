"""What can be had from a damaged file: its whole tiles, and something smooth in place of the others."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.coding.grain import Noise
from codec.coding.tiles import Reader, check_tile_size
from codec.coding.windows import UNITS
from codec.container import bitstream, grid
from codec.container.bitstream import CHUNK_OVERHEAD, Chunk, File
from codec.errors import DamagedError
from codec.pictures.formats import Pixels
from entropy.config import BANDS
from entropy.integer import Latent

LOW = 3  #: low-band channels, the first of the coarsest level
TRIES = 64  #: places at which something may look like a tile index


def _chunks(data: bytes, offset: int) -> Iterator[tuple[Chunk, bytes | None]]:
    """Chunks from `offset` on, as far as lengths lead; None for a payload whose CRC or end is wrong."""
    while offset + CHUNK_OVERHEAD <= len(data):
        size = struct.unpack_from(">I", data, offset + 4)[0]
        name = data[offset : offset + 4].decode("latin-1")
        yield Chunk(name, offset, size), bitstream.payload_at(data, offset, name)
        offset += size + CHUNK_OVERHEAD


class Found(NamedTuple):
    """A file as far as it is whole; numbers of the tiles that are not (their payloads: empty), types of lost chunks."""

    file: File
    lost: set[int]
    dropped: list[str]


def read_damaged(data: bytes, max_pixels: int | None) -> Found:
    """What is whole of a file.

    Raises what `bitstream.read` raises where nothing can be salvaged: the header is damaged, or no tile is whole.
    """
    try:
        file = bitstream.read(data, max_pixels)
        check_tile_size(file.header)
        return Found(file, set(), [])
    except DamagedError as error:
        reason = error
    header = bitstream.read_header(data, max_pixels)
    check_tile_size(header)
    count = header.grid[0] * header.grid[1]
    if count == 1:
        return _one_tile(data, header, reason)
    if count > len(data) // CHUNK_OVERHEAD:
        raise reason
    # The index says where each tile lies even where lengths between are damaged; its own type and length give it away.
    mark = b"TILE" + struct.pack(">I", 8 * count)
    at, tries = data.find(mark), 0
    while at >= 0 and bitstream.payload_at(data, at, "TILE") is None and (later := data.find(mark, at + 1)) >= 0:
        at, tries = later, tries + 1
        if tries > TRIES:  # each costs a CRC over the index: a file full of marks would take hours
            raise reason
    if at < 0:
        raise reason
    index = bitstream.payload_at(data, at, "TILE")
    extras, dropped = _beside(data, at)
    start = at + CHUNK_OVERHEAD + 8 * count
    found: dict[int, bytes] = {}
    checksums: list[int] = []
    if index is None:  # then tiles are known up to the first that is damaged
        for number, (chunk, payload) in zip(range(count), _chunks(data, start)):
            if chunk.type != "DATA" or payload is None:
                break
            found[number] = payload
    else:
        for number, (size, checksum) in enumerate(struct.iter_unpack(">II", index)):
            checksums.append(checksum)
            payload = bitstream.payload_at(data, start, "DATA")
            if payload is not None and len(payload) == size:
                found[number] = payload
            start += size + CHUNK_OVERHEAD
    if not found:
        raise reason
    tiles = tuple(found.get(i, b"") for i in range(count))
    return Found(File(header, tiles, extras, (), len(data), tuple(checksums)), set(range(count)) - set(found), dropped)


def _one_tile(data: bytes, header: bitstream.Header, reason: DamagedError) -> Found:
    """The only tile, where what is damaged is beside it."""
    for chunk, payload in _chunks(data, bitstream.HEAD_END):
        if chunk.type == "DATA" and payload is not None:
            at, tile = chunk.offset, payload
            break
    else:  # a length that leads astray; but the tile ends the file
        at = data.find(b"DATA")
        while at >= 0 and data[at + 4 : at + 8] != struct.pack(">I", max(0, len(data) - at - CHUNK_OVERHEAD)):
            at = data.find(b"DATA", at + 1)
        found = bitstream.payload_at(data, at, "DATA") if at >= 0 else None
        if found is None:
            raise reason
        tile = found
    extras, dropped = _beside(data, at)
    return Found(File(header, (tile,), extras, (), len(data), (header.checksum,)), set(), dropped)


def _beside(data: bytes, end: int) -> tuple[dict[str, bytes], list[str]]:
    """Ancillary chunks up to an offset, and the types of those that are damaged or too many."""
    extras: dict[str, bytes] = {}
    dropped: list[str] = []
    for chunk, payload in _chunks(data[:end], bitstream.HEAD_END):
        kind = chunk.type
        if (
            payload is None
            or not kind[0].islower()
            or len(extras) == bitstream.MAX_ANCILLARY
            or (kind != bitstream.ALPHA and len(payload) > bitstream.MAX_METADATA)
            or (kind == bitstream.DRAW and len(payload) != 1)
        ):
            dropped.append(kind if kind.isascii() and kind.isalpha() else "?")
        else:
            extras[kind] = payload
    return extras, dropped


class Salvager:
    """A reader that fills the tiles that are lost or do not decode; `lost` holds their numbers."""

    def __init__(self, reader: Reader, found: Found):
        self.reader, self.lost, self.dropped = reader, found.lost, found.dropped

    def tile(self, number: int, levels: int = 4) -> Latent:
        """A tile of the file, or something smooth between its neighbours in its place."""
        if number not in self.lost:
            try:
                return self.reader.tile(number, levels)
            except DamagedError:
                self.lost.add(number)
        tile = self.reader.tiles[number]
        k = [np.zeros((c, tile.height // u, tile.width // u), np.int32) for c, u in zip(BANDS[:levels], UNITS)]
        k[0][:LOW] = self._between(number, *k[0].shape[1:])
        return Latent(np.zeros(0, np.int32), k)

    def _edge(self, number: int, row: int | slice, column: int | slice) -> NDArray[np.int32] | None:
        """The low band along an edge of a tile, or None where that tile is lost too."""
        if number in self.lost:
            return None
        try:
            return self.reader.tile(number, 1).k[0][:LOW, row, column]
        except DamagedError:
            return None

    def _between(self, number: int, height: int, width: int) -> NDArray[np.int32]:
        """The low band in place of a tile: the mean of its four neighbours' edges, weighted by nearness; grey alone."""
        rows, columns = self.reader.file.header.grid
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

    def alpha(self, payload: bytes) -> Pixels | None:
        """Alpha, or None where it does not decode."""
        try:
            return self.reader.alpha(payload)
        except DamagedError:
            self.dropped.append(bitstream.ALPHA)
            return None

    def noise(self) -> Noise | None:
        """The picture's noise, or None where it is damaged."""
        try:
            return self.reader.noise()
        except DamagedError:
            self.dropped.append(bitstream.NOISE)
            return None

    def report(self, region: grid.Box) -> str | None:
        """One line that says which part of a region is lost, None where nothing is."""
        lost = [(n, part) for n in sorted(self.lost) if (part := self.reader.tiles[n].meet(region))]
        chunks = f"lost and left out: chunk {', '.join(self.dropped[:8])}" if self.dropped else None
        if not lost:
            return chunks
        named = "; ".join(f"{self.reader.name(n)}, {part}" for n, part in lost[:8])
        more = f"; and {len(lost) - 8} more" if len(lost) > 8 else ""
        count = f"{len(lost)} of {len(self.reader.tiles)} tiles"
        tiles = f"{count} are lost and were filled from around them: {named}{more}"
        return f"{tiles}; {chunks}" if chunks else tiles

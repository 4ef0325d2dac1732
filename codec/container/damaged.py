"""What is whole of a file, looked for in its bytes alone; and whether what is whole goes together.

The coefficients of lost tiles are made up by codec/coding/salvage.py.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from codec.container import bitstream
from codec.container.bitstream import CHUNK_OVERHEAD, Chunk, File
from codec.container.signature import PLAIN
from codec.container.steps import Steps, unpack
from codec.errors import DamagedError
from entropy.config import MULTIPLE

TRIES = 64  #: places at which something may look like a tile index


def combined(checksums: Sequence[int]) -> int:
    """HEAD's checksum: that of the only tile, or the CRC-32 over those of all tiles as big-endian u32."""
    return checksums[0] if len(checksums) == 1 else zlib.crc32(struct.pack(f">{len(checksums)}I", *checksums))


def check(file: File) -> None:
    """Raise DamagedError unless tile size and checksums of a parsed file go together."""
    _check_tile_size(file.header)
    if combined(file.checksums) != file.header.checksum:
        raise DamagedError("the checksum of the header is not that of the tiles")


def _check_tile_size(header: bitstream.Header) -> None:
    """Raise DamagedError where tiles would not end where side latents do."""
    if header.tile_size % MULTIPLE:
        raise DamagedError(f"the tile size {header.tile_size} is not a multiple of {MULTIPLE}")


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


def outline(data: bytes) -> File:
    """What the header of a file says, and the chunks up to the first that is damaged; without tiles and payloads.

    DamagedError or InputError where the header is not whole.
    """
    header = bitstream.read_header(data)
    whole = []
    for chunk, payload in _chunks(data, len(bitstream.MAGIC) + 1):
        if payload is None:
            break
        whole.append(chunk)
    return File(header, (), {}, tuple(whole), len(data), ())


def read_damaged(data: bytes, max_pixels: int | None) -> Found:
    """What is whole of a file.

    Raises what `bitstream.read` raises where nothing can be salvaged: the header is damaged, or no tile is whole.
    """
    try:
        file = bitstream.read(data, max_pixels)
        _check_tile_size(file.header)
        return Found(file, set(), [])
    except DamagedError as error:
        reason = error
    header = bitstream.read_header(data, max_pixels)
    _check_tile_size(header)
    steps = _steps(data)
    count = header.grid[0] * header.grid[1]
    if count == 1:
        return _one_tile(data, header, steps, reason)
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
    file = File(header, tiles, extras, (), len(data), tuple(checksums), steps)
    return Found(file, set(range(count)) - set(found), dropped)


def _steps(data: bytes) -> Steps | None:
    """What the file's beginning says of its steps, None where they are those of the weights; DamagedError where that is
    lost.
    """
    if data[len(bitstream.MAGIC)] == PLAIN:
        return None
    payload = bitstream.payload_at(data, bitstream.HEAD_END, "STEP")
    if payload is None:
        raise DamagedError(f"chunk STEP at offset {bitstream.HEAD_END} is missing or damaged")
    return unpack(payload)


def _one_tile(data: bytes, header: bitstream.Header, steps: Steps | None, reason: DamagedError) -> Found:
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
    return Found(File(header, (tile,), extras, (), len(data), (header.checksum,), steps), set(), dropped)


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

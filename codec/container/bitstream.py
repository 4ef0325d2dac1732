"""The .irc container: a signature, a version, and chunks like those of PNG.

This module knows nothing of pixels or networks and needs only the standard
library, so that ``irc info`` answers at once. The header's fields are declared
once, in :class:`Header`; writer, reader, ``irc info`` and the table in
docs/format.md (``python -m codec.container.bitstream`` prints it) come from there.

    >>> header = Header.of(width=3, height=2, quality=75.0)
    >>> file = read(write(header, [b"payload"]))
    >>> file.header == header, file.tiles
    (True, (b'payload',))
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from codec.container.fields import header_field
from codec.container.profile_name import in_words
from codec.container.signature import MAGIC as MAGIC  # both are known by this module's name, too
from codec.container.signature import PLAIN, check_signature, check_version
from codec.container.signature import VERSION as VERSION
from codec.container.steps import Steps, name, pack, unpack
from codec.errors import DamagedError, InputError
from entropy.quantisation import Quantisation

DEFAULT_MAX_PIXELS = 100_000_000
CHUNK_OVERHEAD = 12  # type, length and CRC
QUALITY_UNIT = 256  # a file counts its quality in 1/256
QUALITY_STEPS = 100 * QUALITY_UNIT  # the highest quality in these units
DEEP_MODES = (2, 3)  # of 16 bits a sample
MAX_ANCILLARY = 64  # chunks; a hostile file could hold millions of empty ones
MAX_METADATA = 64 << 20  # bytes of an ancillary chunk other than alpha

ALPHA, NOISE, DRAW, EXIF, ICC, XMP = "alPH", "noIS", "drAw", "eXIF", "icCP", "xmPP"
XMP_EXTENSION, PHOTOSHOP, TEXTS, RESOLUTION = "xmPX", "psIR", "teXt", "phYs"
CRITICAL_CHUNKS = {
    "HEAD": "the header; exactly one, the first chunk",
    "STEP": "what a file of version 2 adds to the steps of its weights, see below; right after HEAD, exactly one in "
    "version 2, none in version 1",
    "TILE": "of each tile, row by row: u32 length of its DATA payload, u32 checksum of its latent; "
    "exactly when there are several tiles",
    "DATA": "the coded latents of one tile; one a tile, row by row; the last one ends the file",
}
ANCILLARY_CHUNKS = {
    ALPHA: "alpha, lossless: a PNG stream, see below",
    NOISE: "what the picture's own noise is like, for a decoder that draws it, see below",
    DRAW: "how noise is drawn: u8, the version of the draw; 0 in a file without the chunk, see below",
    EXIF: "EXIF metadata, a TIFF stream (without the 'Exif' prefix of JPEG)",
    ICC: "ICC colour profile of the decoded pixels",
    XMP: "XMP packet, UTF-8",
    XMP_EXTENSION: "extended XMP, what xmpNote:HasExtendedXMP in `xmPP` points to",
    PHOTOSHOP: "Photoshop's image resources, IPTC among them, see below",
    TEXTS: "comments and other texts, see below",
    RESOLUTION: "resolution: u32 pixels per unit horizontally, u32 vertically, u8 unit: 0 none, 1 metre, 2 inch",
}


def in_steps(quality: float) -> int:
    """A quality of 0..100 in the header's units, the nearest one."""
    return round(quality * QUALITY_UNIT)


@dataclass(frozen=True)
class Header:
    """The HEAD chunk: everything about a picture except its coded latents.

    The declaration below is the format: order, struct code, range and meaning.
    Values out of range raise ValueError.
    """

    width: int = header_field("I", (1, 2**31 - 1), "width in pixels", default=1)
    height: int = header_field("I", (1, 2**31 - 1), "height in pixels", default=1)
    mode: int = header_field(
        "B",
        (0, 3),
        "kind of pixels: 0 grey, 1 RGB, 2 grey of 16 bits, 3 RGB of 16 bits",
        default=1,
        names=("grey", "RGB", "grey, 16 bits", "RGB, 16 bits"),
    )
    quality_code: int = header_field(
        "H",
        (0, QUALITY_STEPS),
        "quality in units of 1/256",
        default=75 * QUALITY_UNIT,
        label="quality",
        scale=QUALITY_UNIT,
    )
    temperature_code: int = header_field(
        "B", (0, 128), "sampling temperature in units of 1/64", default=0, label="temperature", scale=64
    )
    seed: int = header_field("H", (0, 65535), "seed of the sampling", default=0)
    tile_size: int = header_field(
        "H", (0, 65535), "side of a tile in pixels, a multiple of 32; 0: the picture is one tile", default=0
    )
    weights: bytes = header_field("4s", None, "id of the weights: see [Weights](#weights)", default=bytes(4))
    checksum: int = header_field("I", (0, 2**32 - 1), "checksum of the decoded latents", default=0, as_hex=True)

    def __post_init__(self) -> None:
        for spec in FIELDS:
            problem = spec.check(getattr(self, spec.name))
            if problem:
                raise ValueError(problem)

    @classmethod
    def of(cls, width: int, height: int, quality: float, *, temperature: float = 0.0, **exact: Any) -> Header:
        """Make a header; quality and temperature are rounded to the grid, the other fields are given as they are.

        >>> Header.of(768, 512, 33.3, seed=4).quality
        33.30078125
        """
        return cls(width, height, quality_code=in_steps(quality), temperature_code=round(temperature * 64), **exact)

    @property
    def quality(self) -> float:
        """Quality, 0 to 100."""
        return self.quality_code / QUALITY_UNIT

    @property
    def temperature(self) -> float:
        """Sampling temperature, 0 to 2."""
        return self.temperature_code / 64

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        if not self.tile_size:
            return 1, 1
        return -(-self.height // self.tile_size), -(-self.width // self.tile_size)


FIELDS = tuple(
    dataclasses.replace(spec, name=f.name, label=spec.label or f.name)
    for f in fields(Header)
    for spec in [f.metadata["spec"]]
)
_ENTRY = struct.Struct(">II")  # length and checksum of a tile
_HEAD = struct.Struct(">" + "".join(spec.code for spec in FIELDS))
HEAD_END = len(MAGIC) + 1 + CHUNK_OVERHEAD + _HEAD.size


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies: its type, the offset of its first byte, its payload's length."""

    type: str
    offset: int
    size: int


@dataclass(frozen=True)
class File:
    """A parsed .irc file."""

    header: Header
    tiles: tuple[bytes, ...]
    extras: dict[str, bytes]
    chunks: tuple[Chunk, ...]
    size: int
    checksums: tuple[int, ...]  # of each tile's latent
    steps: Steps | None = None  # None where they are those of the weights

    @property
    def version(self) -> int:
        """Format version, the lowest that has what the file has."""
        return version_of(self.steps)

    @property
    def quantisation(self) -> Quantisation:
        """Quality and steps, as networks and probability model take them."""
        return Quantisation(self.header.quality_code, self.steps.offsets if self.steps else ())

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel."""
        return 8 * self.size / self.header.pixels

    @property
    def draw(self) -> int:
        """Version of the draw that the file names, 0 where it names none."""
        return self.extras.get(DRAW, b"\0")[0]


def version_of(steps: Steps | None) -> int:
    """Format version of a file with these steps of its own, or with none."""
    return PLAIN if steps is None else VERSION


def is_critical(kind: str) -> bool:
    """Say whether a reader that does not know chunk `kind` must refuse the file."""
    return kind[0].isupper()


def is_safe_to_copy(kind: str) -> bool:
    """Say whether an editor that does not know `kind` may keep it when pixels change."""
    return kind[3].islower()


def _is_type(kind: bytes) -> bool:
    # The third letter is reserved, as in PNG: always a capital.
    return len(kind) == 4 and kind.isalpha() and kind[2:3].isupper()


def _chunk(kind: str, payload: bytes) -> bytes:
    if len(payload) >= 2**32:
        raise ValueError(f"chunk {kind} has {len(payload)} bytes, more than a u32 can say")
    name = kind.encode("ascii")
    crc = zlib.crc32(payload, zlib.crc32(name))
    return b"".join((name, struct.pack(">I", len(payload)), payload, struct.pack(">I", crc)))


def tile_name(number: int, columns: int) -> str:
    """Return how messages call a tile, rows and columns counted from 0."""
    return f"tile {number} (row {number // columns}, column {number % columns})"


def write(
    header: Header,
    tiles: Sequence[bytes],
    extras: Mapping[str, bytes] | None = None,
    checksums: Sequence[int] | None = None,
    steps: Steps | None = None,
) -> bytes:
    """Return the bytes of an .irc file.

    `tiles` holds one payload a tile, row by row; `extras` maps the types of
    ancillary chunks to their payloads; `checksums` holds that of each tile's latent
    (zeros by default) and is written only where there are several tiles, since the
    only one's is the header's; `steps` makes it a file of version 2. ValueError where these do not fit.
    """
    rows, columns = header.grid
    if len(tiles) != rows * columns:
        raise ValueError(f"{len(tiles)} tiles for a grid of {rows} x {columns}")
    checksums = [0] * len(tiles) if checksums is None else checksums
    if len(checksums) != len(tiles):
        raise ValueError(f"{len(checksums)} checksums for {len(tiles)} tiles")
    for kind, payload in (extras or {}).items():
        if not _is_type(kind.encode("ascii", "replace")) or is_critical(kind):
            raise ValueError(f"{kind!r} is not the type of an ancillary chunk")
        if kind != ALPHA and len(payload) > MAX_METADATA:
            raise ValueError(f"chunk {kind} has {len(payload)} bytes, more than {MAX_METADATA}")
    if len(extras or {}) > MAX_ANCILLARY:
        raise ValueError(f"more than {MAX_ANCILLARY} ancillary chunks")
    parts = [MAGIC, bytes([version_of(steps)])]
    parts.append(_chunk("HEAD", _HEAD.pack(*(getattr(header, f.name) for f in FIELDS))))
    if steps is not None:
        parts.append(_chunk("STEP", pack(steps)))
    # Everything else comes before DATA: the last tile ends the file, so a file that
    # was cut off is always short of a tile and needs no end marker to be found out.
    parts.extend(_chunk(kind, payload) for kind, payload in (extras or {}).items())
    if len(tiles) > 1:
        entries = zip(map(len, tiles), checksums)
        parts.append(_chunk("TILE", b"".join(_ENTRY.pack(*entry) for entry in entries)))
    parts.extend(_chunk("DATA", tile) for tile in tiles)
    return b"".join(parts)


def _iterate(data: bytes) -> Iterator[tuple[Chunk, bytes]]:
    """Yield chunks with their payloads, each with its CRC checked."""
    check_signature(data)
    check_version(data)
    offset = len(MAGIC) + 1
    while offset < len(data):
        if len(data) - offset < 8:
            raise DamagedError(f"chunk at offset {offset}: the file is truncated")
        raw = bytes(data[offset : offset + 4])
        name = raw.decode("ascii") if raw.isalpha() else repr(raw)[2:-1]
        (size,) = struct.unpack_from(">I", data, offset + 4)
        if size + CHUNK_OVERHEAD > len(data) - offset:
            raise DamagedError(
                f"chunk {name} at offset {offset}: the file is truncated "
                f"({size + CHUNK_OVERHEAD} bytes announced, {len(data) - offset} present)"
            )
        payload = bytes(data[offset + 8 : offset + 8 + size])
        (crc,) = struct.unpack_from(">I", data, offset + 8 + size)
        if crc != zlib.crc32(payload, zlib.crc32(raw)):
            raise DamagedError(f"chunk {name} at offset {offset}: the CRC does not match")
        if not _is_type(raw):
            raise DamagedError(f"chunk {name} at offset {offset}: not a chunk type")
        yield Chunk(name, offset, size), payload
        offset += size + CHUNK_OVERHEAD


def payload_at(data: bytes, offset: int, kind: str) -> bytes | None:
    """Return the payload of a whole chunk of type `kind` at `offset`, None where there is none."""
    raw = data[offset : offset + 4]
    if offset + CHUNK_OVERHEAD > len(data) or raw != kind.encode("latin-1"):
        return None
    (size,) = struct.unpack_from(">I", data, offset + 4)
    end = offset + 8 + size
    if end + 4 > len(data):
        return None
    (crc,) = struct.unpack_from(">I", data, end)
    payload = bytes(data[offset + 8 : end])
    return payload if crc == zlib.crc32(payload, zlib.crc32(raw)) else None


def _parse_head(chunks: Iterator[tuple[Chunk, bytes]], max_pixels: int | None) -> tuple[Header, Chunk]:
    first = next(chunks, None)
    if first is None:
        raise DamagedError(f"chunk HEAD at offset {len(MAGIC) + 1}: the file is truncated")
    chunk, payload = first
    if chunk.type != "HEAD":
        raise DamagedError(f"chunk {chunk.type} at offset {chunk.offset}: HEAD is not first")
    if len(payload) != _HEAD.size:
        raise DamagedError(f"chunk HEAD at offset {chunk.offset}: {len(payload)} bytes instead of {_HEAD.size}")
    try:
        header = Header(*_HEAD.unpack(payload))
    except ValueError as error:
        raise DamagedError(f"chunk HEAD at offset {chunk.offset}: {error}") from None
    check_pixels(header.width, header.height, max_pixels)
    return header, chunk


def check_pixels(width: int, height: int, max_pixels: int | None) -> None:
    """Raise InputError where a picture has more than `max_pixels` pixels, or is so thin that padding makes it so.

    Sides are padded to multiples of 32: a line of 100 million pixels would take as much as 32 of them. Thin
    pictures may grow to twice the limit, or to a megapixel.
    """
    if max_pixels is None:
        return
    if width * height > max_pixels:
        raise InputError(
            f"{width} x {height} pixels is more than the limit of {max_pixels} pixels (--max-pixels raises it)"
        )
    padded = (width + -width % 32) * (height + -height % 32)
    if padded > max(2 * max_pixels, 1 << 20):
        raise InputError(
            f"{width} x {height} pixels, padded to multiples of 32, is more than twice the limit "
            f"of {max_pixels} pixels (--max-pixels raises it)"
        )


def read_header(data: bytes, max_pixels: int | None = None) -> Header:
    """Return the header; `data` may be the file's first bytes only."""
    return _parse_head(_iterate(data), max_pixels)[0]


def read(data: bytes, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> File:
    """Parse and check a whole .irc file.

    Raises InputError where this is no .irc file, needs a newer version or has
    more than `max_pixels` pixels (None: no limit), and DamagedError, naming chunk
    and offset, where the bytes are not those of a complete file.
    """
    stream = _iterate(data)
    header, head = _parse_head(stream, max_pixels)
    rows, columns = header.grid
    count = rows * columns
    chunks: list[Chunk] = [head]
    steps: Steps | None = None
    if data[len(MAGIC)] != PLAIN:
        chunk, payload = next(stream, (None, b""))
        if chunk is None or chunk.type != "STEP":
            raise DamagedError(f"chunk at offset {HEAD_END}: STEP is missing")
        steps = unpack(payload)
        chunks.append(chunk)
    extras: dict[str, bytes] = {}
    tiles: list[bytes] = []
    index: tuple[tuple[int, int], ...] | None = None
    for chunk, payload in _naming_tile(stream, tiles, count, columns):
        where = f"chunk {chunk.type} at offset {chunk.offset}"
        if chunk.type == "DATA":
            if count > 1 and index is None:
                raise DamagedError(f"{where}: the tile index is missing")
            if index is not None and index[len(tiles)][0] != chunk.size:
                raise DamagedError(f"{where}: its length is not that of the tile index")
            tiles.append(payload)
        elif chunk.type == "TILE":
            if index is not None or count == 1:
                raise DamagedError(f"{where}: an index that should not be there")
            # A grid can ask for billions of tiles; nothing is made for them before
            # the file has shown that it is long enough to hold them.
            if len(payload) != _ENTRY.size * count:
                raise DamagedError(f"{where}: {len(payload)} bytes for {count} tiles")
            index = tuple(_ENTRY.iter_unpack(payload))
        elif is_critical(chunk.type):
            raise DamagedError(f"{where}: a critical chunk of unknown type or in a wrong place")
        elif chunk.type in extras or tiles:
            raise DamagedError(f"{where}: a second one, or one after the first tile")
        elif len(extras) == MAX_ANCILLARY:
            raise DamagedError(f"{where}: more than {MAX_ANCILLARY} ancillary chunks")
        elif chunk.type != ALPHA and chunk.size > MAX_METADATA:
            raise DamagedError(f"{where}: more than {MAX_METADATA} bytes")
        elif chunk.type == DRAW and chunk.size != 1:
            raise DamagedError(f"{where}: {chunk.size} bytes, not 1")
        else:
            extras[chunk.type] = payload
        chunks.append(chunk)
        if len(tiles) == count and chunk.offset + chunk.size + CHUNK_OVERHEAD < len(data):
            end = chunk.offset + chunk.size + CHUNK_OVERHEAD
            raise DamagedError(f"{where}: {len(data) - end} bytes follow the end of the file at offset {end}")
    if len(tiles) < count:
        raise DamagedError(
            f"chunk DATA at offset {len(data)}: the file is truncated ({len(tiles)} of {count} tiles present)"
        )
    checksums = tuple(c for _, c in index) if index is not None else (header.checksum,)
    return File(header, tuple(tiles), extras, tuple(chunks), len(data), checksums, steps)


def _naming_tile(
    stream: Iterator[tuple[Chunk, bytes]], tiles: list[bytes], count: int, columns: int
) -> Iterator[tuple[Chunk, bytes]]:
    """Pass chunks on; where one after the tile index is damaged, say which tile that is."""
    indexed = False
    while True:
        try:
            chunk, payload = next(stream)
        except StopIteration:
            return
        except DamagedError as error:
            if indexed and len(tiles) < count:
                raise DamagedError(f"{tile_name(len(tiles), columns)}: {error}") from None
            raise
        yield chunk, payload
        indexed |= chunk.type == "TILE"


def describe(file: File) -> dict[str, object]:
    """Return what ``irc info`` reports, ready for JSON."""
    report: dict[str, object] = {"version": file.version}
    for spec in FIELDS:
        report[spec.label] = spec.show(getattr(file.header, spec.name))
        if spec.name == "quality_code":
            report["tune"] = name(file.steps.tune if file.steps else 0)
    report["tiles"] = list(file.header.grid)
    report["colour"] = in_words(file.extras.get(ICC), grey=file.header.mode % 2 == 0)
    report["bytes"] = file.size
    report["bpp"] = round(file.bpp, 6)
    if DRAW in file.extras:
        report["draw_version"] = file.draw
    report["chunks"] = [dataclasses.asdict(chunk) for chunk in file.chunks]
    return report


def markdown_table() -> str:
    """Return the table of HEAD's fields for docs/format.md."""
    lines = ["| offset | type | name | range | meaning |", "|---|---|---|---|---|"]
    offset = 0
    for spec in FIELDS:
        span = "any" if spec.low is None else f"{spec.low}..{spec.high}"
        lines.append(f"| {offset} | {spec.type_name} | {spec.name} | {span} | {spec.meaning} |")
        offset += spec.size
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown_table())

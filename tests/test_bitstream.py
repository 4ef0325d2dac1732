"""The container: round trips, and every way in which a file can be damaged."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import pytest

from codec.container import bitstream
from codec.container.bitstream import FIELDS, MAGIC, Header, read, read_header, write
from codec.errors import DamagedError, InputError

HEADER = Header.of(640, 480, 33.25, temperature=0.5, seed=7, weights=b"\x01\x02\x03\x04", checksum=0xDEADBEEF)
TILED = Header.of(100, 70, 50, tile_size=64)
PLAIN = write(HEADER, [b"some payload"])
FORMAT = (Path(__file__).parent.parent / "docs" / "format.md").read_text("utf-8")


def chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack(">I", len(payload)) + payload + struct.pack(">I", zlib.crc32(kind + payload))


def head(**values: int) -> bytes:
    """Make a file of one tile whose header fields need not be in range."""
    fields = {spec.name: getattr(HEADER, spec.name) for spec in FIELDS} | values
    code = ">" + "".join(spec.code for spec in FIELDS)
    return MAGIC + b"\x01" + chunk(b"HEAD", struct.pack(code, *fields.values()))


def test_round_trip() -> None:
    extras = {"eXIF": b"e" * 10, "icCP": b"", "zzZz": b"unknown"}
    data = write(HEADER, [b"payload"], extras)
    file = read(data)
    assert (file.header, file.tiles, file.extras) == (HEADER, (b"payload",), extras)
    assert file.size == len(data)
    assert [c.type for c in file.chunks] == ["HEAD", "eXIF", "icCP", "zzZz", "DATA"]
    for c in file.chunks:
        assert data[c.offset : c.offset + 4].decode() == c.type
    assert write(file.header, list(file.tiles), file.extras) == data


def test_tiles() -> None:
    tiles = [b"a", b"", b"ccc", b"dd"]
    assert TILED.grid == (2, 2)
    data = write(TILED, tiles)
    assert read(data).tiles == tuple(tiles)
    with pytest.raises(ValueError, match="grid"):
        write(TILED, tiles[:3])


def test_overhead() -> None:
    assert len(write(HEADER, [b""])) < 64


def test_real_values() -> None:
    assert (HEADER.quality, HEADER.temperature, HEADER.pixels) == (33.25, 0.5, 640 * 480)
    assert read_header(PLAIN[:64]) == HEADER


@pytest.mark.parametrize("kind", ["DATA", "XYZZ", "abc", "abcd", "ab1D", "äbCd"])
def test_extras_must_be_ancillary(kind: str) -> None:
    with pytest.raises(ValueError, match="ancillary"):
        write(HEADER, [b""], {kind: b""})


@pytest.mark.parametrize("spec", [s for s in FIELDS if s.high is not None], ids=lambda s: s.name)
def test_range_of_each_field(spec: bitstream.FieldSpec) -> None:
    limit = 2 ** (8 * spec.size) - 1
    for value in (spec.low - 1, spec.high + 1):
        with pytest.raises(ValueError, match=spec.name):
            Header(**{spec.name: value})
        if 0 <= value <= limit:
            with pytest.raises(DamagedError, match=f"HEAD at offset 9: {spec.name}"):
                read(head(**{spec.name: value}) + chunk(b"DATA", b""))


def test_weights_must_be_four_bytes() -> None:
    with pytest.raises(ValueError, match="weights"):
        Header(weights=b"abc")


def test_every_truncation_is_found() -> None:
    for data in (PLAIN, write(TILED, [b"a", b"b", b"c", b"d"], {"eXIF": b"x"})):
        for length in range(1, len(data)):
            with pytest.raises(DamagedError, match="truncated"):
                read(data[:length])


def test_every_flipped_bit_is_found() -> None:
    data = write(TILED, [b"a", b"b", b"c", b"d"], {"eXIF": b"x"})
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises((DamagedError, InputError)) as caught:
                read(bytes(changed))
            # Only signature and version can make it look like another kind of file.
            assert position <= len(MAGIC) or caught.type is DamagedError


START = head()
GRID = head(width=100, height=70, tile_size=64)
DATA = chunk(b"DATA", b"x")
INDEX = chunk(b"TILE", struct.pack(">8I", 1, 0, 1, 0, 1, 0, 1, 0))
BAD = {
    "trailing bytes": (PLAIN + b"\0", "1 bytes follow the end"),
    "two files": (PLAIN + PLAIN, "follow the end"),
    "trailing tile": (START + DATA + DATA, "follow the end"),
    "no tile": (START, "0 of 1 tiles"),
    "no header": (MAGIC + b"\x01" + DATA, "DATA at offset 9: HEAD is not first"),
    "nothing": (MAGIC + b"\x01", "HEAD at offset 9"),
    "no version": (MAGIC, "version at offset 8"),
    "version 0": (MAGIC + b"\0" + START[9:] + DATA, "version"),
    "short header": (MAGIC + b"\x01" + chunk(b"HEAD", b"1234") + DATA, "4 bytes instead of 24"),
    "second header": (START + START[9:] + DATA, "HEAD at offset 45"),
    "unknown critical chunk": (START + chunk(b"NEWX", b"") + DATA, "NEWX at offset 45"),
    "chunk type": (START + chunk(b"a\n C", b"") + DATA, r"a\\n C at offset 45: not a chunk type"),
    "reserved letter": (START + chunk(b"abcd", b"") + DATA, "not a chunk type"),
    "twice": (START + 2 * chunk(b"eXIF", b"") + DATA, "eXIF at offset 57"),
    "index of one tile": (START + INDEX + DATA, "should not be there"),
    "no index": (GRID + 4 * DATA, "tile index is missing"),
    "two indices": (GRID + 2 * INDEX + 4 * DATA, "should not be there"),
    "short index": (GRID + chunk(b"TILE", b"1234") + 4 * DATA, "4 bytes for 4 tiles"),
    "wrong index": (GRID + INDEX + chunk(b"DATA", b"xx") + 3 * DATA, "not that of the tile index"),
    "missing tile": (GRID + INDEX + 3 * DATA, "3 of 4 tiles"),
    "late extra": (GRID + INDEX + DATA + chunk(b"eXIF", b"") + 3 * DATA, "after the first tile"),
    "huge length": (START + b"DATA\xff\xff\xff\xff" + bytes(40), "truncated"),
    "line ends to LF": (PLAIN.replace(b"\r\n", b"\n"), "text mode"),
    "line ends to CR LF": (PLAIN.replace(b"\n", b"\r\n"), "text mode"),
    "7 bits": (bytes(b & 127 for b in PLAIN), "text mode"),
    "recoded as UTF-8": (PLAIN.decode("latin-1").encode(), "text mode"),
    "replaced": (PLAIN.decode("utf-8", "replace").encode(), "text mode"),
    "changed signature": (MAGIC[:5] + b"x" + PLAIN[6:], "signature"),
}


@pytest.mark.parametrize("case", BAD)
def test_damage_is_named(case: str) -> None:
    data, message = BAD[case]
    with pytest.raises(DamagedError, match=message):
        read(data)


def test_crc_is_named() -> None:
    with pytest.raises(DamagedError, match="DATA at offset 45: the CRC"):
        read(PLAIN[:-1] + bytes([PLAIN[-1] ^ 1]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "not an .irc file"),
        (b"hello", "not an .irc file"),
        (MAGIC + b"\x03", "a newer irc is needed"),
    ],
)
def test_other_files(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read(data)


def test_pixel_limit_comes_first() -> None:
    huge = head(width=2**31 - 1, height=2**31 - 1, tile_size=1)
    with pytest.raises(InputError, match="--max-pixels"):
        read(huge)
    with pytest.raises(DamagedError, match="0 of"):
        read(huge, max_pixels=None)
    assert read(PLAIN, max_pixels=640 * 480).header == HEADER
    with pytest.raises(InputError, match="640 x 480"):
        read(PLAIN, max_pixels=640 * 480 - 1)


def test_thin_pictures_count_as_padded() -> None:
    """A line of 100 million pixels would take 32 times as much as its pixels."""
    for width, height, limit, good in (
        (1, 6_000_000, 10**8, True),
        (1, 6_300_000, 10**8, False),
        (10**8, 1, 10**8, False),
        (10_000, 10_000, 10**8, True),
        (3, 3, 9, True),
        (10**8, 1, None, True),
    ):
        if good:
            bitstream.check_pixels(width, height, limit)
        else:
            with pytest.raises(InputError, match="padded to multiples of 32, is more than twice the limit"):
                bitstream.check_pixels(width, height, limit)


def test_report() -> None:
    file = read(PLAIN)
    report = bitstream.describe(file)
    assert report["quality"] == 33.25
    assert report["weights"] == "01020304"
    assert report["checksum"] == "deadbeef"
    assert report["mode"] == "RGB"
    assert set(report) >= {spec.label for spec in FIELDS}


def test_documentation() -> None:
    assert bitstream.markdown_table() in FORMAT
    for kind, meaning in (bitstream.CRITICAL_CHUNKS | bitstream.ANCILLARY_CHUNKS).items():
        assert f"| `{kind}` | {meaning} |" in FORMAT, f"docs/format.md has no row that says so of {kind}"


def test_documented_example() -> None:
    block = FORMAT.split("## Example")[1].split("```")[1]
    rows = [re.match(r"((?:[0-9A-F]{2} )+) *\S", row) for row in block.strip().splitlines()]
    data = b"".join(bytes.fromhex(row[1]) for row in rows if row)
    assert data == write(Header.of(3, 2, 75), [b"AB"])

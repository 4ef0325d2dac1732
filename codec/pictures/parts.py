"""The parts that picture files are made of: PNG chunks, JPEG segments, RIFF chunks, ISOBMFF boxes.

Pillow tells much of what they say, but not all. What is listed here is the whole of a file, so that nothing in it goes
unseen (`codec.pictures.account`). Nothing is decoded; payloads are handed out as they are, those of pixels left empty.
Files that are damaged are listed as far as they go: whether they are pictures at all is for Pillow to say.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageFile

from codec.pictures import tiff_tags
from codec.pictures.tiff_tags import Directory

MOST_PARTS = 10_000  #: of a file; what is beyond is not looked at
MOST_BYTES = 64 << 20  #: of a payload; a longer one is handed out empty
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_JPEG_STRINGS = {
    0xE0: {b"JFIF\0": "JFIF", b"JFXX\0": "JFXX"},
    0xE1: {b"Exif\0": "Exif", b"http://ns.adobe.com/xap/1.0/\0": "XMP",
           b"http://ns.adobe.com/xmp/extension/\0": "XMP extension"},
    0xE2: {b"ICC_PROFILE\0": "ICC", b"MPF\0": "MPF", b"FPXR\0": "FPXR"},
    0xED: {b"Photoshop 3.0\0": "Photoshop"},
    0xEE: {b"Adobe": "Adobe"},
}  # fmt: skip
_JPEG_2000_SEGMENTS = {
    0x51: "SIZ", 0x52: "COD", 0x53: "COC", 0x5C: "QCD", 0x5D: "QCC", 0x5E: "RGN", 0x5F: "POC", 0x64: "COM",
}  # fmt: skip
_BOXES = {b"meta", b"iprp", b"ipco", b"jp2h", b"res "}  #: those that hold others which say something of the picture
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"  #: between the numbers of a PPM's header
_PPM_HEADER = re.compile(rb"P([56])" + 3 * (_GAP + rb"(\d{1,9})") + rb"\s")
_PBM_HEADER = re.compile(rb"P(4)" + 2 * (_GAP + rb"(\d{1,9})") + rb"()\s")
_PIXELS = {"IDAT", "fdAT", "VP8 ", "VP8L", "ALPH", "ANMF", "mdat", "idat", "jp2c"}


@dataclass(frozen=True)
class Part:
    """A part of a file.

    name: the type of the chunk or box (``property colr`` where it describes an item of a HEIF or AVIF file), or a
    JPEG's marker with the string that the payload starts with (``APP1 Exif``, ``COM``); data: its payload, without
    lengths and CRC; offset: of the payload, in bytes from the file's start.
    """

    name: str
    data: bytes
    offset: int


@dataclass(frozen=True)
class Parts:
    """The parts of a file in their order, and the bytes that follow the picture's end; of a TIFF file its tags."""

    parts: tuple[Part, ...] = ()
    trailing: int = 0
    tags: Directory | None = None  #: of a TIFF file
    ended: bool = True  #: whether the end of a JPEG file has been seen

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    def first(self, name: str) -> bytes | None:
        """The payload of the first part of this name."""
        return next((part.data for part in self.parts if part.name == name), None)

    def all(self, name: str) -> list[bytes]:
        """The payloads of all parts of this name."""
        return [part.data for part in self.parts if part.name == name]

    def of_primary(self, name: str, start: bytes = b"") -> bytes | None:
        """The payload of this property of the picture itself; AVIF's and HEIF's thumbnails have properties, too.

        start: what the payload starts with; several properties may have one name.
        """
        properties = [part for part in self.parts if part.name.startswith("property ")]
        for number in _properties(self.first("pitm") or b"", self.first("ipma") or b""):
            part = properties[number - 1] if 0 < number <= len(properties) else None
            if part and part.name == f"property {name}" and part.data.startswith(start):
                return part.data
        return None

    @property
    def names(self) -> list[str]:
        """The names, each once, in their order."""
        return list(dict.fromkeys(part.name for part in self.parts))


def of_file(stream: BinaryIO, kind: str | None) -> Parts:
    """The parts of a file of Pillow's format `kind`; none for formats that are not taken apart here.

    The stream's position is what it was before.
    """
    walk = _WALKS.get(kind or "")
    place = stream.tell()
    try:
        if kind == "TIFF":
            return Parts(tags=tiff_tags.read(stream))
        if walk is None:
            return Parts()
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        found = [*itertools.islice(walk(stream, size), MOST_PARTS)]
        end = found[-1][1] if found else 0
        ended = walk is not _jpeg or end > 0 or len(found) == MOST_PARTS
        return Parts(
            tuple(part for part, _ in found if part.name), _beyond(stream, end, size) if end else 0, ended=ended
        )
    finally:
        stream.seek(place)


# Each walk yields parts with the offset at which the picture ends, 0 where its end has not been seen.
_Walk = Callable[[BinaryIO, int], Iterator[tuple[Part, int]]]


def _payload(stream: BinaryIO, name: str, size: int) -> bytes:
    """The payload that starts here, left empty for pixels and where it is too long; the stream stands behind it."""
    if name in _PIXELS or size > MOST_BYTES:
        stream.seek(size, io.SEEK_CUR)
        return b""
    return stream.read(size)


def of_loaded(image: Image.Image) -> Parts:
    """The parts of the file that an image was opened from and decoded; none where it is not there any more."""
    name = getattr(image, "filename", None)
    if not isinstance(image, ImageFile.ImageFile) or not name:
        return Parts()
    try:
        with open(name, "rb") as stream, Image.open(stream, formats=[image.format or ""]) as again:
            return of_file(stream, image.format) if again.size == image.size or image.format == "TIFF" else Parts()
    except (OSError, ValueError, SyntaxError):  # gone, or another file since
        return Parts()


def _beyond(stream: BinaryIO, end: int, size: int) -> int:
    """The bytes from `end` on, 0 where they are only zeros or white space, as cameras and editors pad files with."""
    stream.seek(end)
    while block := stream.read(1 << 20):
        if block.strip(b"\0\t\n\r "):
            return size - end
    return 0


def _text(kind: bytes) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in kind.decode("latin-1"))


def _png(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    stream.seek(8)
    pixels = False
    while len(head := stream.read(8)) == 8:
        length, name, offset = int.from_bytes(head[:4], "big"), _text(head[4:]), stream.tell()
        data = _payload(stream, name, length)
        stream.seek(4, io.SEEK_CUR)
        if name == "IDAT" and pixels:  # the pixels of a file may lie in any number of them
            continue
        pixels |= name == "IDAT"
        yield Part(name, data, offset), stream.tell() if name == "IEND" else 0
        if name == "IEND":
            return


def _riff(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    end = 8 + int.from_bytes(stream.read(12)[4:8], "little")
    while stream.tell() + 8 <= min(end, size):
        head = stream.read(8)
        length, name, offset = int.from_bytes(head[4:], "little"), _text(head[:4]), stream.tell()
        data = _payload(stream, name, length)
        stream.seek(length & 1, io.SEEK_CUR)
        yield Part(name, data, offset), end + (end & 1)


def _jpeg_name(marker: int, data: bytes) -> str:
    if marker == 0xFE:
        return "COM"
    if not 0xE0 <= marker <= 0xEF:
        return ""
    name = f"APP{marker - 0xE0}"
    for start, what in _JPEG_STRINGS.get(marker, {}).items():
        if data.startswith(start):
            return f"{name} {what}"
    text = data[:24].partition(b"\0")[0]
    return f"{name} {text.decode()}" if text and text.isascii() and text.decode().isprintable() else name


def _jpeg(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    stream.seek(2)
    while (head := stream.read(2)) and head[0] == 0xFF:
        while len(head) == 2 and head[1] == 0xFF:  # fill bytes
            head = head[1:] + stream.read(1)
        if len(head) < 2:
            return
        if head[1] == 0xD9:
            yield Part("", b"", stream.tell()), stream.tell()
            return
        if head[1] == 0x01 or 0xD0 <= head[1] <= 0xD8:
            continue
        length, offset = int.from_bytes(stream.read(2), "big"), stream.tell()
        data = stream.read(max(0, length - 2))
        yield Part(_jpeg_name(head[1], data), data, offset), 0
        if head[1] == 0xDA:
            _skip_scan(stream)


def _skip_scan(stream: BinaryIO) -> None:
    """Go to the marker that follows coded samples, or to the end."""
    place = stream.tell()
    while block := stream.read(1 << 20):
        if found := _JPEG_MARKER.search(block):
            stream.seek(place + found.start())
            return
        last = block[-1:] == b"\xff" and len(block) > 1  # a marker may lie across two blocks
        place += len(block) - last
        stream.seek(place)


def _jpeg_2000(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    """The boxes of a file, and the segments before the tiles of its codestream, which may also be all that there is."""
    start = stream.read(4)
    stream.seek(0)
    places = [2] if start == b"\xff\x4f\xff\x51" else []
    if not places:
        for part, end in _boxes(stream, size):
            yield part, end
            places += [part.offset + 2] if part.name == "jp2c" else []
    for place in places[:1]:
        stream.seek(place)
        while len(head := stream.read(4)) == 4 and head[0] == 0xFF and head[1] not in (0x90, 0xD9):
            offset = stream.tell()
            data = stream.read(max(0, int.from_bytes(head[2:], "big") - 2))
            yield Part(_JPEG_2000_SEGMENTS.get(head[1], f"segment {head[1]:02X}"), data, offset), 0


def _boxes(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    yield from ((part, 0) for part in _boxes_within(stream, size, 0))


def _boxes_within(stream: BinaryIO, end: int, depth: int, prefix: str = "") -> Iterator[Part]:
    while stream.tell() + 8 <= end:
        start = stream.tell()
        head = stream.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if length == 1:
            length = int.from_bytes(stream.read(8), "big")
        stop = end if length == 0 else min(start + length, end)
        offset = stream.tell()
        if stop < offset:
            return
        if kind in _BOXES and depth < 4:
            stream.seek(4 if kind == b"meta" else 0, io.SEEK_CUR)  # "meta" has a version and flags
            yield from _boxes_within(stream, stop, depth + 1, "property " if kind == b"ipco" else "")
        else:
            name = _text(kind)
            yield Part(prefix + name, _payload(stream, name, stop - offset), offset)
        stream.seek(stop)


def _properties(primary: bytes, associations: bytes) -> Iterator[int]:
    """The numbers, from 1, of the properties of the primary item (boxes pitm and ipma of ISO/IEC 23008-12)."""
    if len(primary) < 6 or len(associations) < 8:
        return
    item = int.from_bytes(primary[4:], "big")
    version, wide = associations[0], associations[3] & 1
    at, width = 8, 2 if version < 1 else 4
    for _ in range(int.from_bytes(associations[4:8], "big")):
        if at + width >= len(associations):
            return
        found = int.from_bytes(associations[at : at + width], "big") == item
        count, at = associations[at + width], at + width + 1
        for _ in range(count):
            size = 2 if wide else 1
            number = int.from_bytes(associations[at : at + size], "big") & (0x7FFF if wide else 0x7F)
            at += size
            if found:
                yield number


def _gif(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    head = stream.read(13)
    if len(head) == 13 and head[10] & 0x80:
        stream.seek(3 << (head[10] & 7) + 1, io.SEEK_CUR)
    while kind := stream.read(1):
        offset = stream.tell()
        if kind == b"\x3b":
            yield Part("", b"", offset), offset
            return
        if kind == b"\x2c":
            image = stream.read(9)
            if len(image) == 9 and image[8] & 0x80:
                stream.seek(3 << (image[8] & 7) + 1, io.SEEK_CUR)
            stream.seek(1, io.SEEK_CUR)
            for _ in _gif_blocks(stream):
                pass
        elif kind == b"\x21":
            label = stream.read(1)
            blocks = _gif_blocks(stream)
            name = "comment" if label == b"\xfe" else f"extension {label.hex().upper()}"
            if label == b"\xff":
                name = f"extension {_text(next(blocks, b''))}"
            data = b"".join(blocks)
            yield Part("" if label == b"\xf9" else name, data, offset), 0
        else:
            return


def _gif_blocks(stream: BinaryIO) -> Iterator[bytes]:
    while (length := stream.read(1)) and length != b"\0":
        yield stream.read(length[0])


def _bmp(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    """Of a header of version 4 or 5, the fields that describe colour, and an embedded profile."""
    file = 14 if stream.read(2) == b"BM" else 0
    stream.seek(file)
    header = stream.read(124)
    length = int.from_bytes(header[:4], "little")
    if length >= 108 and len(header) >= 108:
        yield Part("BMP colour space", header[56:108], file + 56), 0
    if length >= 124 and header[56:60] == b"DEBM":  # MBED
        start, count = (int.from_bytes(header[at : at + 4], "little") for at in (112, 116))
        stream.seek(file + start)
        yield Part("BMP profile", _payload(stream, "BMP profile", count), file + start), 0
    if length >= 56 and header[14:20] == b"\x10\0\3\0\0\0" and any(header[52:54]):
        yield Part("BMP alpha of 16 bits", header[52:56], file + 52), 0
    if header[14:20] == b"\x20\0\0\0\0\0" and file:  # 32 bits a pixel, three of the bytes with a meaning
        stream.seek(10)
        start = int.from_bytes(stream.read(4), "little")
        stream.seek(start)
        pixels = 4 * int.from_bytes(header[4:8], "little") * abs(int.from_bytes(header[8:12], "little", signed=True))
        yield Part("BMP fourth bytes", stream.read(min(pixels, size))[3::4], start), 0


def _qoi(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    yield Part("QOI colour space", stream.read(14)[13:14], 13), 0


def _tga(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    """Of the extension of version 2: how alpha is meant, gamma and words."""
    stream.seek(max(0, size - 26))
    foot = stream.read(26)
    at = int.from_bytes(foot[:4], "little")
    if foot[8:24] != b"TRUEVISION-XFILE" or not at:
        return
    stream.seek(at)
    extension = stream.read(495)
    if len(extension) == 495:
        yield Part("TGA alpha", extension[494:], at + 494), 0
        yield Part("TGA gamma", extension[478:482], at + 478), 0
        for name, start, end in (
            ("author", 2, 43),
            ("comment", 43, 367),
            ("job name", 379, 420),
            ("software", 426, 467),
        ):
            if words := extension[start:end].rstrip(b"\0 "):
                yield Part(name, words, at + start), 0


def _jxl(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    """The start of the codestream, alone or in its box, and the boxes of metadata."""
    if stream.read(2) == b"\xff\x0a":
        stream.seek(0)
        yield Part("JXL head", stream.read(64), 0), 0
        return
    stream.seek(0)
    codestream = None
    for part in _boxes_within(stream, size, 0):
        if part.name in ("jxlc", "jxlp") and codestream is None:
            place = stream.tell()
            stream.seek(codestream := part.offset + (4 if part.name == "jxlp" else 0))
            yield Part("JXL head", stream.read(64), codestream), 0
            stream.seek(place)
        elif part.name in ("Exif", "xml ", "brob", "jumb", "jhgm"):
            yield part, 0


def _sgi(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    head = stream.read(104)
    yield Part("SGI header", head[:12], 0), 0
    if head[24:].strip(b"\0"):  # the name field, which programs fill with zeros where they know of none
        yield Part("image name", head[24:].partition(b"\0")[0], 24), 0


def _ppm(stream: BinaryIO, size: int) -> Iterator[tuple[Part, int]]:
    """Comments of the header, and where the samples of a binary file end; another picture may follow."""
    head = stream.read(1 << 16)
    found = _PPM_HEADER.match(head) or _PBM_HEADER.match(head)
    if not found:
        return
    for comment in re.finditer(rb"#([^\n\r]*)", found[0]):
        yield Part("comment", comment[1], comment.start(1)), 0
    width, height, largest = (int(number or 1) for number in found.groups()[1:])
    row = {b"4": (width + 7) // 8, b"5": width, b"6": 3 * width}[found[1]] * (2 if largest > 255 else 1)
    yield Part("", b"", 0), found.end() + row * height


_WALKS: dict[str, _Walk] = {
    "SGI": _sgi,
    "TGA": _tga,
    "PPM": _ppm,
    "GIF": _gif,
    "BMP": _bmp,
    "DIB": _bmp,
    "QOI": _qoi,
    "PNG": _png,
    "JPEG": _jpeg,
    "MPO": _jpeg,
    "WEBP": _riff,
    "AVIF": _boxes,
    "HEIF": _boxes,
    "JXL": _jxl,
    "JPEG2000": _jpeg_2000,
}

"""Metadata put where each format has room for it, and what is said of the rest.

>>> import numpy as np
>>> placed = Placed.of(Picture(np.zeros((1, 1), np.uint8), exif=b"II", photoshop=b"8BIM"), "WEBP")
>>> placed.exif, placed.notes
(b'II', ['WEBP files have no room for IPTC, which was left out'])
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from codec.pictures import photoshop, resolution, xmp
from codec.pictures.exif import PREFIX as EXIF_PREFIX
from codec.pictures.layout import LAYOUT
from codec.pictures.metadata import CHUNKS, Picture
from codec.pictures.texts import COMMENT, Text, of_profile, to_png, unpack
from codec.pictures.tiff_tags import Directory, Tag, added, of_exif

#: of each format that is written, the metadata that it holds
_ROOM = {
    "PNG": ("exif", "icc", "xmp", "photoshop", "texts", "resolution"),
    "JPEG": ("exif", "icc", "xmp", "xmp_extension", "photoshop", "texts", "resolution"),
    "TIFF": ("exif", "icc", "xmp", "photoshop", "resolution"),
    "WEBP": ("exif", "icc", "xmp"),
    "BMP": ("resolution",),
    "PPM": (),
}
_NAMES = {"exif": "EXIF", "icc": "ICC", "xmp": "XMP", "xmp_extension": "extended XMP", "photoshop": "IPTC"}
_SEGMENT = 65_533  #: bytes in a segment of a JPEG
_JPEG_ICC = _SEGMENT - 14
#: bytes that JPEG's segments hold: one for EXIF, for XMP and for a comment, 255 for a profile and for resources
_JPEG_ROOM = {
    "exif": _SEGMENT - len(EXIF_PREFIX),
    "icc": 255 * _JPEG_ICC,
    "xmp": _SEGMENT - len(xmp.JPEG_PREFIX),
    "photoshop": 255 * photoshop.JPEG_ROOM,
}
_PNG_HEAD = 33  #: bytes of signature and IHDR
#: tags of EXIF data that a TIFF file has of its own: its layout, orientation, resources, IPTC, XMP, profile
_TIFFS_OWN = {
    int(name.removeprefix("tag ")) for name in LAYOUT["TIFF"] if name.startswith("tag ")
} | {274, 338, 700, 33723, 34377, 34675}  # fmt: skip
_RESOLUTION_TAGS = (282, 283, 296)


@dataclass
class Placed:
    """The metadata for which a format has room, as `Picture` has it; notes: what was left out, a line each."""

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    photoshop: bytes | None = None
    texts: list[Text] = field(default_factory=list)
    resolution: bytes | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, picture: Picture, kind: str) -> Placed:
        """What a file of this kind, as Pillow calls it, holds of a picture's metadata."""
        placed = cls(
            **{name: getattr(picture, name) for name in CHUNKS if name != "texts"}, texts=unpack(picture.texts or b"")
        )
        grey = picture.pixels.ndim == 2 or picture.pixels.shape[2] == 2
        if placed.icc and grey and kind == "WEBP":
            placed.icc = None
            placed.notes.append("the colour profile is for grey, which WEBP files do not have, and was left out")
        lacking = [name for name in CHUNKS if getattr(placed, name) and name not in _ROOM[kind]]
        if lacking:
            words = ", ".join(placed._called(name) for name in lacking)
            placed.notes.append(f"{kind} files have no room for {words}, which {_were(len(lacking), lacking)} left out")
        for name in lacking:
            setattr(placed, name, [] if name == "texts" else None)
        if kind == "JPEG":
            placed._fit_jpeg()
        if placed.xmp and kind in ("PNG", "JPEG") and (packet := xmp.in_utf8(placed.xmp)) != placed.xmp:
            placed.xmp = packet
            what = "is no text and was left out" if packet is None else "was recoded in UTF-8"
            placed.notes.append(f"the XMP data {what}")
        if placed.xmp and picture.xmp_extension and not placed.xmp_extension:
            placed.xmp = xmp.without_pointer(placed.xmp)
        return placed

    def _called(self, name: str) -> str:
        if name == "texts":
            return f"texts ({', '.join(dict.fromkeys(text.keyword for text in self.texts))})"
        if name == "resolution":
            return f"the resolution of {resolution.words(self.resolution or b'')}"
        return _NAMES[name]

    def _fit_jpeg(self) -> None:
        for name, room in _JPEG_ROOM.items():
            size = len(getattr(self, name) or b"")
            if size > room:
                self.notes.append(f"{_NAMES[name]} data of {size} bytes is too large for JPEG files and was left out")
                setattr(self, name, None)
        if self.xmp is None:
            self.xmp_extension = None
        comments = [t for t in self.texts if t.keyword == COMMENT and len(t.text.encode()) <= _SEGMENT]
        if others := [text.keyword for text in self.texts if text not in comments]:
            names = ", ".join(dict.fromkeys(others))
            self.notes.append(f"JPEG files have no room for texts ({names}), which were left out")
        self.texts = comments


def _were(count: int, names: list[str]) -> str:
    return "was" if count == 1 and names != ["texts"] else "were"


# --- PNG -------------------------------------------------------------------------------------------


def in_png(file: bytes, placed: Placed) -> bytes:
    """A PNG file with what Pillow does not write: XMP, texts, resources, resolution."""
    chunks = []
    if placed.resolution and (payload := resolution.to_png(placed.resolution)):
        chunks.append((b"pHYs", payload))
    if placed.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + placed.xmp))
    chunks += [to_png(text) for text in placed.texts]
    if placed.photoshop:
        chunks.append(of_profile("8bim", placed.photoshop))
    listed = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return file[:_PNG_HEAD] + listed + file[_PNG_HEAD:] if listed else file


# --- JPEG ------------------------------------------------------------------------------------------


def _jpeg_segments(placed: Placed) -> bytes:
    """Segments of a JPEG file with all but EXIF."""
    found: list[tuple[int, bytes]] = []
    if placed.xmp:
        found.append((0xE1, xmp.JPEG_PREFIX + placed.xmp))
        id = xmp.extension_id(placed.xmp)
        if id and placed.xmp_extension:
            found += [(0xE1, data) for data in xmp.segments(id, placed.xmp_extension)]
    parts = [placed.icc[at : at + _JPEG_ICC] for at in range(0, len(placed.icc), _JPEG_ICC)] if placed.icc else []
    found += [(0xE2, b"ICC_PROFILE\0" + bytes([n, len(parts)]) + part) for n, part in enumerate(parts, 1)]
    found += [(0xED, data) for data in photoshop.segments(placed.photoshop or b"")]
    found += [(0xFE, text.text.encode()) for text in placed.texts]
    return b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in found)


def in_jpeg(file: bytes, placed: Placed) -> bytes:
    """A JPEG file that Pillow has written, with all other metadata.

    Pillow's encoder has no room for large ones, and knows of no resolution but in pixels an inch.
    """
    place = 20  # behind the start and JFIF's header
    if file[place : place + 2] == b"\xff\xe1":  # EXIF comes first
        place += 2 + struct.unpack_from(">H", file, place + 2)[0]
    head = bytearray(file[:place])
    density, note = resolution.to_jfif(placed.resolution or b"") or (b"", "")
    if density:
        head[13:18] = density
    elif placed.resolution:
        note = (
            f"JPEG files have no room for the resolution of {resolution.words(placed.resolution)}, which was left out"
        )
    if note:
        placed.notes.append(note)
    return bytes(head) + _jpeg_segments(placed) + file[place:]


# --- TIFF ------------------------------------------------------------------------------------------


def _resolution_of(tags: Directory) -> tuple[tuple[int, int], tuple[int, int], int] | None:
    """XResolution, YResolution and ResolutionUnit, None where one of the two is missing."""
    values = [tags.value(number) for number in _RESOLUTION_TAGS[:2]]
    if any(value is None or len(value) != 8 for value in values):
        return None
    x, y = (struct.unpack(tags.order + "II", value or b"") for value in values)
    return x, y, tags.number(_RESOLUTION_TAGS[2]) or 2


def in_tiff(file: bytes, placed: Placed) -> bytes:
    """A TIFF file with EXIF data, XMP, resources and resolution as tags; says where the EXIF data are damaged."""
    tags = Directory("<", [])
    if placed.exif:
        found = of_exif(placed.exif)
        if found is None:
            placed.notes.append("the EXIF data is damaged and was left out")
        else:
            tags = found.without(_TIFFS_OWN)
            if found.others:
                placed.notes.append("of the EXIF data the thumbnail, and what has no known type, was left out")
    known = {tag.number for tag in tags.tags}
    if placed.xmp:
        tags.tags.append(Tag(700, 1, placed.xmp))
    if placed.photoshop:
        tags.tags.append(Tag(34377, 1, placed.photoshop))
    if placed.resolution and not resolution.alike(placed.resolution, _resolution_of(tags)):
        if known & {*_RESOLUTION_TAGS}:
            tags = tags.without(_RESOLUTION_TAGS)
            placed.notes.append("the EXIF data states another resolution than the picture, which was left out")
        x, y, unit = resolution.to_tiff(placed.resolution)
        for number, kind, code, values in ((282, 5, "II", x), (283, 5, "II", y), (296, 3, "H", (unit,))):
            tags.tags.append(Tag(number, kind, struct.pack(tags.order + code, *values)))
    return added(file, tags) if tags.tags else file

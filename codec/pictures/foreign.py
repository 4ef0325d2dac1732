"""Files that Pillow alone does not read: HEIC and JPEG XL, for which there are packages, and camera raws.

A camera raw holds what a sensor saw, and beside it a small JPEG for the camera's display. Programs that read it as a
TIFF find that one; coding it would keep a thumbnail of what somebody believes to be their photo.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from codec.errors import InputError

HEAD = 4096  #: bytes of a file that are looked at


@dataclass(frozen=True)
class Reader:
    """A package that teaches Pillow a format.

    format: Pillow's name of it; shown: what people call it; package: as pip knows it; module: to be imported;
    register: what of the module to call, empty where the import does it.
    """

    format: str
    shown: str
    package: str
    module: str
    register: str = ""

    def ready(self) -> str:
        """Make Pillow read the format, and return Pillow's name of it; InputError where the package is missing."""
        try:
            module = importlib.import_module(self.module)
        except ImportError:
            raise InputError(
                f"{self.shown} is read by the package {self.package}: pip install {self.package}"
            ) from None
        if self.register and self.format not in Image.OPEN:
            getattr(module, self.register)()
        return self.format


#: of their files
SUFFIXES = frozenset((".heic", ".heif", ".jxl"))
HEIF = Reader("HEIF", "HEIC (HEIF)", "pillow-heif", "pillow_heif", "register_heif_opener")
JPEG_XL = Reader("JXL", "JPEG XL", "pillow-jxl-plugin", "pillow_jxl")
_JPEG_XL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
#: brands of ISOBMFF files whose pictures are HEVC; Pillow itself reads those of AV1
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}


def brands(head: bytes) -> list[bytes]:
    """The brands that an ISOBMFF file names itself by, its own first; empty for other files."""
    if head[4:8] != b"ftyp":
        return []
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def reader_of(head: bytes) -> Reader | None:
    """Who reads a file that starts like this, None where Pillow does, if anybody."""
    if head.startswith(_JPEG_XL_STARTS):
        return JPEG_XL
    named = set(brands(head))
    return HEIF if named & _HEIC_BRANDS and not named & _AVIF_BRANDS else None


# --- camera raws ---------------------------------------------------------------------

#: what the names of raws end in, and whose they are
RAW_SUFFIXES = {
    ".dng": "DNG", ".nef": "Nikon", ".nrw": "Nikon", ".cr2": "Canon", ".cr3": "Canon", ".crw": "Canon",
    ".arw": "Sony", ".srf": "Sony", ".sr2": "Sony", ".orf": "Olympus", ".rw2": "Panasonic", ".raf": "Fujifilm",
    ".pef": "Pentax", ".srw": "Samsung", ".x3f": "Sigma", ".3fr": "Hasselblad", ".fff": "Hasselblad",
    ".iiq": "Phase One", ".rwl": "Leica", ".mrw": "Minolta", ".kdc": "Kodak", ".dcr": "Kodak", ".erf": "Epson",
    ".mef": "Mamiya", ".mos": "Leaf",
}  # fmt: skip
#: how raws of other than TIFF's layout start
_RAW_STARTS = {
    b"FUJIFILMCCD-RAW": "Fujifilm", b"IIU\0": "Panasonic", b"IIRO": "Olympus", b"IIRS": "Olympus", b"MMOR": "Olympus",
    b"FOVb": "Sigma", b"\0MRM": "Minolta", b"II\x1a\0\0\0HEAPCCDR": "Canon",
}  # fmt: skip
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_DNG_VERSION, _SUB_IFDS, _PHOTOMETRIC, _COMPRESSION, _MAKE = 50706, 330, 262, 259, 271
_CFA_TAGS = (33421, 33422, 50710)  #: of the pattern of colours on a sensor
_SENSOR = (32803, 34892)  #: photometric interpretations: a mosaic of colours, and linear raw
_RAW_COMPRESSIONS = (
    32767,
    32769,
    32770,
    34713,
    65000,
    65535,
)  #: Sony's, Epson's, Samsung's, Nikon's, Kodak's, Pentax's
_MOST_DIRECTORIES = 16


@contextmanager
def _at_start(stream: BinaryIO) -> Iterator[None]:
    """Inside, a stream stands at its start, and afterwards where it stood."""
    place = stream.tell()
    stream.seek(0)
    try:
        yield
    finally:
        stream.seek(place)


def head_of(stream: BinaryIO) -> bytes:
    """The first bytes of a file."""
    with _at_start(stream):
        return stream.read(HEAD)


def raw_of(stream: BinaryIO, head: bytes, name: str | os.PathLike[str] | None = None) -> str:
    """Whose camera raw this is, by what the file says or, where that is TIFF or nothing known, by its name's suffix;
    empty where it is none.
    """
    for start, maker in _RAW_STARTS.items():
        if head.startswith(start):
            return maker
    if head[8:10] == b"CR" and head.startswith(_TIFF_STARTS):
        return "Canon"
    if brands(head)[:1] == [b"crx "]:
        return "Canon"
    if head.startswith(_TIFF_STARTS):
        with _at_start(stream):
            found = _in_tags(stream, head)
        return found or by_name(name)
    return ""


def raw_of_image(image: Image.Image) -> str:
    """Whose camera raw an image is that Pillow has opened; empty where it is none, or its file is closed already."""
    if image.format != "TIFF":
        return ""
    stream, name = getattr(image, "fp", None), getattr(image, "filename", None)
    if stream is not None and stream.seekable():
        return raw_of(stream, head_of(stream), name)
    return "DNG" if _DNG_VERSION in getattr(image, "tag_v2", {}) else by_name(name)


def by_name(name: str | os.PathLike[str] | None) -> str:
    """Whose camera raw has a name like this; empty where none has."""
    return RAW_SUFFIXES.get(PurePath(name).suffix.lower(), "") if name else ""


def refusal(maker: str) -> InputError:
    """The error that refuses a raw."""
    return InputError(f"a camera raw ({maker}) is not a picture yet: develop it first, to TIFF, PNG or JPEG")


def _in_tags(stream: BinaryIO, head: bytes) -> str:
    """Whose raw the directories of a TIFF file describe; empty where none does or they cannot be read."""
    try:
        left, maker = [TiffImagePlugin.ImageFileDirectory_v2(head[:8]).next], ""
        for _ in range(_MOST_DIRECTORIES):
            if not left:
                break
            directory = TiffImagePlugin.ImageFileDirectory_v2(head[:8])
            stream.seek(left.pop(0))
            directory.load(stream)
            maker = maker or str(directory.get(_MAKE, "")).strip("\0 ")
            if _DNG_VERSION in directory:
                return "DNG"
            compression = directory.get(_COMPRESSION)
            if (
                directory.get(_PHOTOMETRIC) in _SENSOR
                or compression in _RAW_COMPRESSIONS
                or any(tag in directory for tag in _CFA_TAGS)
            ):
                return maker or "what a sensor saw"
            below = directory.get(_SUB_IFDS, ())
            left += [below] if isinstance(below, int) else list(below)
            left += [directory.next] if directory.next else []
    except MemoryError:
        raise
    except Exception:  # Pillow raises almost anything on damaged directories; the reader will say what is wrong
        return ""
    return ""

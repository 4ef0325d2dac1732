"""What picture files state of how they are written, which says nothing of the picture: a table for each format."""

from __future__ import annotations

import itertools

from PIL import Image

from codec.pictures.account import Account
from codec.pictures.parts import Parts

#: Pillow's format -> the keys of `Image.info` and the parts of the file (`codec.pictures.parts`) that only say how the
#: file is written, or when it was, or belong to frames other than the first
LAYOUT: dict[str, tuple[str, ...]] = {
    "PNG": ("IHDR", "PLTE", "IDAT", "IEND", "interlace", "hIST", "sPLT", "sBIT", "tIME", "iDOT", "CgBI", "acTL", "fcTL",
            "fdAT", "bbox", "loop", "duration", "disposal", "blend", "default_image", "bKGD",
            "tEXt", "zTXt", "iTXt"),  # text is in `info` by its keyword
    "JPEG": ("APP0 JFIF", "APP0 JFXX", "jfif", "jfif_version", "adobe", "adobe_transform", "APP14 Adobe", "progressive",
             "progression", "APP2 MPF", "mp", "mpoffset", "COM"),
    "WEBP": ("VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF", "loop", "background", "timestamp", "duration"),
    "AVIF": ("ftyp", "hdlr", "pitm", "iloc", "iinf", "iref", "ipma", "idat", "grpl", "moov", "mdat", "free", "dinf",
             "property ispe", "property pixi", "property av1C", "property hvcC", "property auxC", "property a1op",
             "property a1lx", "property lsel", "timestamp", "duration"),
    "TIFF": ("compression", *(f"tag {tag}" for tag in (
        254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 284, 288, 289, 292, 293, 297, 317,
        320, 322, 323, 324, 325, 326, 327, 328, 330, 332, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520,
        521, 529, 530, 531, 532))),
    "BMP": ("compression",),
    "GIF": ("version", "background", "duration", "loop", "extension", "extension NETSCAPE2.0", "extension ANIMEXTS1.0"),
    "PPM": (),
    "TGA": ("compression", "orientation", "TGA alpha"),
    "JPEG2000": ("jP  ", "ftyp", "ihdr", "bpcc", "pclr", "cmap", "jp2c", "colr", "cdef", "SIZ", "COD", "COC", "QCD",
                 "QCC", "RGN", "POC", "COM", "segment 55", "segment 57", "segment 50"),
    "QOI": (),
    "ICO": ("sizes",),
    "PCX": (),
    "SGI": ("SGI header",),
    "DDS": (),
}  # fmt: skip
#: what decoded .irc files say of themselves
LAYOUT["IRC"] = ("quality", "temperature", "seed")
LAYOUT |= {"MPO": LAYOUT["JPEG"], "DIB": LAYOUT["BMP"]}
LAYOUT["HEIF"] = (
    *LAYOUT["AVIF"],
    "primary",
    "bit_depth",
    "chroma",
    "tiling",
    "mimetype",
    "original_orientation",
    "icc_profile_type",
    "thumbnails",
    "property clap",
)  # the cut to an odd size is applied
#: Pillow's format -> parts that a file has once; which of several holds is up to the program that reads it
ONCE: dict[str, tuple[str, ...]] = {
    "PNG": ("iCCP", "eXIf", "pHYs", "gAMA", "cHRM", "sRGB", "cICP", "tRNS", "PLTE"),
    "JPEG": ("APP0 JFIF", "APP14 Adobe"),
    "WEBP": ("ICCP", "EXIF", "XMP "),
}
ONCE["MPO"] = ONCE["JPEG"]
_BLACK_AND_WHITE, _PHOTOMETRIC, _YCBCR = 532, 262, 6
_NOTHING: tuple[object, ...] = ([], {}, "", b"")  #: values of keys that are there whether there is something or not


def names_of(image: Image.Image, stated: Parts) -> list[str]:
    """The names of everything that is stated: keys of Pillow's info, parts of the file, tags of a TIFF."""
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    stated_there = (str(key) for key, value in image.info.items() if value is not None and value not in _NOTHING)
    return [*stated_there, *stated.names, *(f"tag {tag}" for tag in tags)]


def _whole_range(values: object) -> bool:
    """Whether the tag ReferenceBlackWhite says what holds without it: from 0 to the largest sample."""
    numbers = values if isinstance(values, tuple) else (values,)
    return not any(numbers[::2]) and all(number in (255, 65535) for number in numbers[1::2])


def say_doubled(image: Image.Image, stated: Parts, account: Account) -> None:
    """Say where a file states the same thing twice, and differently."""
    found = [(name, stated.all(name)) for name in ONCE.get(image.format or "", ())]
    if stated.tags is not None:
        numbers = {tag.number for tag in stated.tags.tags}
        found = [(f"tag {n}", [t.value for t in stated.tags.tags if t.number == n]) for n in sorted(numbers)]  # type: ignore[misc]
    for name, values in found:
        if any(value != values[0] for value in values):
            account.drop("metadata", f"the file has {len(values)} different parts {name}, of which one is used")


def pass_over(image: Image.Image, account: Account) -> None:
    """Claim for the account what only says how the file is written.

    An image that Pillow has made of another one keeps the other's `info`, but not its format.
    """
    kinds = LAYOUT.values() if image.format is None else [LAYOUT.get(image.format, ())]
    account.pass_over(*itertools.chain.from_iterable(kinds))
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    if _BLACK_AND_WHITE in tags and tags.get(_PHOTOMETRIC) != _YCBCR and not _whole_range(tags[_BLACK_AND_WHITE]):
        account.drop("samples", "the samples that stand for black and white are not kept: taken as 0 and the largest")
    if image.format == "JXL":
        found = [box for box, key in (("Exif", "exif"), ("xml ", "xmp")) if image.info.get(key)]
        account.pass_over("JXL head", *found, *(["brob"] if found else []))

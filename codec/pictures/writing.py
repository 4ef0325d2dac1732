"""Pictures to ordinary image files: by way of Pillow, and of 16 bits a sample by our own hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin

from codec.errors import InputError
from codec.pictures import sixteen_bits
from codec.pictures.metadata import EXIF_PREFIX, Picture, tiff_exif

# Suffix -> format and the options it is saved with. JPEG is the one that loses anything.
WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 4}),  # 3 % more bytes than with 6, in half the time
    ".webp": ("WEBP", {"lossless": True, "exact": True}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".bmp": ("BMP", {}),
    ".ppm": ("PPM", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0, "optimize": True}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0, "optimize": True}),
}
_NO_ALPHA = ("PPM", "BMP", "JPEG")
_WITH_METADATA = ("PNG", "WEBP", "TIFF", "JPEG")
_DEEP_FORMATS = ("PNG", "PPM")
# Bytes that JPEG's segments hold: one for EXIF and XMP, 255 for a profile.
_JPEG_ROOM = {"EXIF": 65533 - len(EXIF_PREFIX), "ICC": 255 * (65533 - 14), "XMP": 65533 - 29}


def write_format(name: str | os.PathLike[str] | None) -> tuple[str, dict[str, Any]]:
    """Return Pillow's format and options for an output name; PNG without a name or suffix."""
    suffix = Path(name).suffix.lower() if name is not None else ""
    if suffix and suffix not in WRITE_FORMATS:
        known = ", ".join(WRITE_FORMATS)
        raise InputError(f"cannot write {suffix} images; the suffixes known are {known}")
    return WRITE_FORMATS[suffix or ".png"]


def check_target(name: str | os.PathLike[str] | None, depth: int, alpha: bool) -> None:
    """Raise InputError where the format of `name`'s suffix has no room for these samples or for alpha."""
    kind, _ = write_format(name)
    if depth == 16 and kind not in _DEEP_FORMATS:
        raise InputError(f"{kind} files cannot be written with 16 bits a sample; take .png or .ppm")
    if alpha and kind in _NO_ALPHA:
        others = "take .png" if depth == 16 else "take .png, .webp or .tif"
        raise InputError(f"{kind} files have no alpha channel; {others}")


def save(
    picture: Picture, target: BinaryIO, name: str | os.PathLike[str] | None = None, jpeg_quality: int | None = None
) -> list[str]:
    """Write a picture to a binary stream, in the format of `name`'s suffix, or as PNG.

    jpeg_quality: 1 to 100, where that is JPEG. Returns what was left out for want of room in the format, a line each.
    InputError where the format cannot hold the pixels.
    """
    kind, options = write_format(name)
    if kind == "JPEG" and jpeg_quality is not None:
        options = options | {"quality": jpeg_quality}
    pixels = picture.pixels
    depth, channels = 8 * pixels.itemsize, pixels.shape[2] if pixels.ndim == 3 else 1
    check_target(name, depth, channels % 2 == 0)
    kept, notes = _kept(picture, kind, grey=channels < 3)
    if depth == 16:
        deep_png = kind == "PNG"
        target.write(
            sixteen_bits.png(pixels, kept["ICC"], kept["EXIF"], kept["XMP"]) if deep_png else sixteen_bits.ppm(pixels)
        )
        return notes
    image = Image.fromarray(pixels)
    if image.mode == "LA" and kind in ("WEBP", "BMP"):
        image = image.convert("RGBA")
    image.save(target, format=kind, **_options(kind, options, kept, notes))
    return notes


def _kept(picture: Picture, kind: str, grey: bool) -> tuple[dict[str, bytes | None], list[str]]:
    """The metadata that a format has room for, and what is said of the rest."""
    kept, notes = {"EXIF": picture.exif, "ICC": picture.icc, "XMP": picture.xmp}, []
    if kept["ICC"] and grey and kind == "WEBP":
        kept["ICC"] = None
        notes.append("the colour profile is for grey, which WEBP files do not have, and was left out")
    if kind not in _WITH_METADATA and any(kept.values()):
        notes.append(f"{kind} files hold no metadata: {', '.join(k for k, v in kept.items() if v)} left out")
        kept = dict.fromkeys(kept)
    for what, room in _JPEG_ROOM.items() if kind == "JPEG" else ():
        size = len(kept[what] or b"")
        if size > room:
            notes.append(f"{what} data of {size} bytes is too large for JPEG files and was left out")
            kept[what] = None
    return kept, notes


def _options(kind: str, fixed: dict[str, Any], kept: dict[str, bytes | None], notes: list[str]) -> dict[str, Any]:
    """What Pillow wants to know to save a picture with this metadata; adds to `notes` where it cannot."""
    options, exif, xmp = dict(fixed), kept["EXIF"], kept["XMP"]
    if kept["ICC"]:
        options["icc_profile"] = kept["ICC"]
    if kind == "TIFF" and (exif or xmp):
        tags = tiff_exif(exif, xmp)
        if tags is None:
            notes.append("the EXIF data is damaged and was left out")
            tags = tiff_exif(None, xmp)
        if tags:
            options["exif"] = tags
            options.pop("compression", None)  # Pillow's compressed TIFF cannot hold EXIF's own directory
    elif exif:
        options["exif"] = EXIF_PREFIX + exif
    if xmp and kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        options["pnginfo"] = text
    elif xmp and kind in ("WEBP", "JPEG"):
        options["xmp"] = xmp
    return options

"""Pictures to ordinary image files: by way of Pillow, and of 16 bits a sample by our own hand."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from codec.errors import InputError
from codec.pictures import resolution, sixteen_bits
from codec.pictures.exif import PREFIX as EXIF_PREFIX
from codec.pictures.metadata import Picture
from codec.pictures.placing import Placed, in_jpeg, in_png, in_tiff

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
_DEEP_FORMATS = ("PNG", "PPM")
_LONGEST = {"WEBP": 16383, "JPEG": 65500}  #: pixels of a side; libjpeg's limit is somewhat below that of the format


def write_format(name: str | os.PathLike[str] | None) -> tuple[str, dict[str, Any]]:
    """Return Pillow's format and options for an output name; PNG without a name or suffix."""
    suffix = Path(name).suffix.lower() if name is not None else ""
    if suffix and suffix not in WRITE_FORMATS:
        known = ", ".join(WRITE_FORMATS)
        raise InputError(f"cannot write {suffix} images; the suffixes known are {known}")
    return WRITE_FORMATS[suffix or ".png"]


def check_target(name: str | os.PathLike[str] | None, depth: int, alpha: bool, longest: int = 1) -> None:
    """Raise InputError where the format of `name`'s suffix has no room for these samples, for alpha or for the size.

    longest: the longer side in pixels.
    """
    kind, _ = write_format(name)
    if longest > _LONGEST.get(kind, longest):
        raise InputError(f"{kind} files have at most {_LONGEST[kind]} pixels in a row or column; take .png or .tif")
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
    check_target(name, depth, channels % 2 == 0, max(pixels.shape[:2]))
    placed = Placed.of(picture, kind)
    if depth == 16:
        deep_png = kind == "PNG"
        data = sixteen_bits.png(pixels, placed.icc, placed.exif) if deep_png else sixteen_bits.ppm(pixels)
        target.write(in_png(data, placed) if deep_png else data)
        return placed.notes
    image = Image.fromarray(pixels)
    if image.mode == "LA" and kind in ("WEBP", "BMP"):
        image = image.convert("RGBA")
    file = io.BytesIO()
    image.save(file, format=kind, **options, **_given(kind, placed))
    finish = _FINISH.get(kind)
    target.write(finish(file.getvalue(), placed) if finish else file.getbuffer())
    return placed.notes


def _given(kind: str, placed: Placed) -> dict[str, Any]:
    """What Pillow is given of the metadata; the rest is put into the file that it has made."""
    options: dict[str, Any] = {}
    if placed.icc and kind != "JPEG":
        options["icc_profile"] = placed.icc
    if placed.exif and kind != "TIFF":
        options["exif"] = EXIF_PREFIX + placed.exif
    if placed.xmp and kind == "WEBP":
        options["xmp"] = placed.xmp
    if placed.resolution and kind == "BMP" and (dpi := resolution.dpi(placed.resolution)):
        options["dpi"] = dpi
    return options


_FINISH: dict[str, Callable[[bytes, Placed], bytes]] = {"PNG": in_png, "JPEG": in_jpeg, "TIFF": in_tiff}

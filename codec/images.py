"""Pictures from and to ordinary image files, by way of Pillow.

:func:`load` hands out 8-bit RGB or raises :class:`~codec.errors.InputError` with
one line that says why not and what to do; what was changed on the way (orientation,
palette, a dropped opaque alpha channel) stands in ``Picture.notes``.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from codec.bitstream import DEFAULT_MAX_PIXELS, check_pixels
from codec.errors import InputError

# Named, because Pillow's full list has formats that start other programs (EPS) or are
# drawings rather than pictures.
READ_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "TGA",
    "JPEG2000", "QOI", "ICO", "PCX", "SGI", "DDS",
)  # fmt: skip

# Suffix -> format and the options it is saved with. JPEG is the one that loses anything.
WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".bmp": ("BMP", {}),
    ".ppm": ("PPM", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0, "optimize": True}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0, "optimize": True}),
}

_EXIF_PREFIX = b"Exif\x00\x00"
_pillow_limit = threading.Lock()


@dataclass
class Picture:
    """8-bit RGB pixels (height, width, 3) and the metadata that travels with them."""

    pixels: np.ndarray
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)


@contextmanager
def _limit(max_pixels: int | None) -> Iterator[None]:
    """Lift Pillow's own guard against bombs where ours is wider.

    Otherwise Pillow's stays, since it covers what only decoding finds, such as an icon
    larger than its directory says. It is a global, hence the lock, which ordinary limits
    do not need: threads that load pictures do not wait for each other.
    """
    before = Image.MAX_IMAGE_PIXELS
    if before is None or (max_pixels is not None and max_pixels <= 2 * before):
        yield
        return
    with _pillow_limit:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a directory, not an image"
    return error.strerror or "cannot be read"


def load(
    source: str | os.PathLike[str] | BinaryIO, max_pixels: int | None = DEFAULT_MAX_PIXELS
) -> Picture:
    """Read a picture from a path or a seekable binary file.

    The size is checked before pixels are decoded. InputError for everything that
    is not a picture this version can take.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _load(source, max_pixels)
    try:
        with open(source, "rb") as stream:
            return _load(stream, max_pixels)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise InputError(reason) from None


def _load(stream: BinaryIO, max_pixels: int | None) -> Picture:
    try:
        if not stream.read(1):
            raise InputError("the file is empty")
        stream.seek(0)
        Image.init()
        with _limit(max_pixels):
            formats = [name for name in READ_FORMATS if name in Image.OPEN]
            with Image.open(stream, formats=formats) as image:
                check_pixels(*image.size, max_pixels)
                _refuse_deep(image)
                notes = _frame_notes(image)
                image.load()
                check_pixels(*image.size, max_pixels)
                return _convert(image, notes)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InputError("not an image, or one of a format that is not supported") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"more than the limit of {max_pixels} pixels (--max-pixels raises it)"
        ) from None
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the image cannot be read: {text}") from None


def _refuse_deep(image: Image.Image) -> None:
    """Refuse samples of more than 8 bits, also where Pillow would quietly cut them to 8."""
    deep = image.mode.startswith("I") or image.mode == "F"
    for tile in getattr(image, "tile", ()):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        deep |= any(isinstance(a, str) and ";16" in a for a in arguments)
        # The last argument of the PPM decoders is the largest sample value.
        deep |= tile[0].startswith("ppm") and isinstance(arguments[-1], int) and arguments[-1] > 255
    if image.format == "TIFF":
        deep |= max(getattr(image, "tag_v2", {}).get(258, (8,))) > 8
    if deep:
        raise InputError(
            "more than 8 bits a channel are not supported by this version; "
            "convert the image to 8 bits a channel first"
        )


def _frame_notes(image: Image.Image) -> list[str]:
    frames = getattr(image, "n_frames", 1)
    return [f"only the first of {frames} frames is used"] if frames > 1 else []


def _convert(image: Image.Image, notes: list[str]) -> Picture:
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception:  # EXIF is outside the pixels: damage there must not cost the picture
        notes.append("the EXIF data is damaged and was dropped")
        image.info.pop("exif", None)
        turned = image
    exif, icc, xmp = (_bytes(turned.info.get(key)) for key in ("exif", "icc_profile", "xmp"))
    if exif and exif.startswith(_EXIF_PREFIX):
        exif = exif[len(_EXIF_PREFIX) :]

    if turned.has_transparency_data:
        turned = turned.convert("RGBA")
        if np.asarray(turned.getchannel("A")).min() < 255:
            raise InputError(
                "alpha is not supported by this version; "
                "flatten the image onto a background first"
            )
        notes.append("an alpha channel that is opaque everywhere was dropped")
    if turned.mode in ("CMYK", "LAB", "HSV"):
        turned, icc = _to_srgb(turned, icc), None
        notes.append("converted to sRGB through the image's colour profile")
    elif turned.mode not in ("RGB", "RGBA"):
        kind = {"1": "1-bit", "L": "grey", "P": "palette"}.get(turned.mode, turned.mode)
        notes.append(f"{kind} image stored as RGB")
        turned = turned.convert("RGB")
    if icc and icc[16:20] != b"RGB ":
        notes.append("a colour profile that is not for RGB was dropped")
        icc = None
    pixels = np.array(turned.convert("RGB"), dtype=np.uint8)
    return Picture(pixels, exif or None, icc or None, xmp or None, notes)


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    refusal = InputError(
        f"{image.mode} images are supported only with a usable ICC profile; "
        "convert the image to RGB first"
    )
    if not icc:
        raise refusal
    try:
        from PIL import ImageCms

        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except Exception:  # a damaged profile, or a Pillow without LittleCMS
        raise refusal from None
    if converted is None:
        raise refusal
    return converted


def write_format(name: str | os.PathLike[str] | None) -> tuple[str, dict[str, Any]]:
    """Return Pillow's format and options for an output name; PNG without a name or suffix."""
    suffix = Path(name).suffix.lower() if name is not None else ""
    if suffix and suffix not in WRITE_FORMATS:
        known = ", ".join(WRITE_FORMATS)
        raise InputError(f"cannot write {suffix} images; the suffixes known are {known}")
    return WRITE_FORMATS[suffix or ".png"]


def save(
    picture: Picture,
    target: str | os.PathLike[str] | BinaryIO,
    name: str | os.PathLike[str] | None = None,
) -> None:
    """Write a picture to a path or binary stream, in the format of `name`'s suffix.

    `name` defaults to `target` where that is a path; PNG where neither says more.
    Formats without room for metadata leave it out.
    """
    if name is None and isinstance(target, (str, os.PathLike)):
        name = target
    kind, options = write_format(name)
    options = dict(options)
    if kind in ("PNG", "WEBP", "TIFF", "JPEG"):
        if picture.icc:
            options["icc_profile"] = picture.icc
        if picture.exif:
            options["exif"] = _EXIF_PREFIX + picture.exif
        if picture.xmp and kind == "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_itxt("XML:com.adobe.xmp", picture.xmp.decode("utf-8", "replace"))
            options["pnginfo"] = text
        elif picture.xmp and kind in ("WEBP", "JPEG"):
            options["xmp"] = picture.xmp
    Image.fromarray(picture.pixels).save(target, format=kind, **options)

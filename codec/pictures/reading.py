"""Pictures from ordinary image files, by way of Pillow.

:func:`load` hands out grey or RGB of 8 or 16 bits, with alpha where there is some, or
raises :class:`~codec.errors.InputError` with one line that says why not and what to do;
whatever was converted or left out on the way stands in ``Picture.notes``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from codec.container.bitstream import DEFAULT_MAX_PIXELS, check_pixels
from codec.errors import InputError
from codec.pictures import sixteen_bits
from codec.pictures.limit import pillow_limit
from codec.pictures.metadata import CONVERTED_MODES, Picture, add_metadata, of_info

# Named, because Pillow's full list has formats that start other programs (EPS) or are
# drawings rather than pictures.
READ_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "TGA",
    "JPEG2000", "QOI", "ICO", "PCX", "SGI", "DDS",
)  # fmt: skip


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a directory, not an image"
    return error.strerror or "cannot be read"


def load(source: str | os.PathLike[str] | BinaryIO, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> Picture:
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
        with pillow_limit(max_pixels):
            formats = [name for name in READ_FORMATS if name in Image.OPEN]

            def reopen() -> ImageFile.ImageFile:
                stream.seek(0)
                return Image.open(stream, formats=formats)

            with reopen() as image:
                check_pixels(*image.size, max_pixels)
                notes = _frame_notes(image)
                if bits := sixteen_bits.cut_to_8(image, stream):
                    notes.append(f"{bits} bits a sample were read as 8")
                if sixteen_bits.is_deep(image):
                    picture = _load_deep(image, reopen, notes)
                else:
                    image.load()
                    check_pixels(*image.size, max_pixels)
                    picture = _convert(_upright(image, notes), notes)
                add_metadata(picture, image)
                return picture
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InputError("not an image, or one of a format that is not supported") from None
    except Image.DecompressionBombError:
        raise InputError(f"more than the limit of {max_pixels} pixels (--max-pixels raises it)") from None
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the image cannot be read: {text}") from None


def _frame_notes(image: Image.Image) -> list[str]:
    frames = getattr(image, "n_frames", 1)
    notes = [f"only the first of {frames} frames is used"] if frames > 1 else []
    sizes = image.info.get("sizes", ())
    if image.format == "ICO" and len(sizes) > 1:
        notes.append(f"only the largest of {len(sizes)} sizes is used")
    return notes


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    """Apply the orientation of EXIF to the image itself; its metadata no longer has it then."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # EXIF is outside the pixels: damage there must not cost the picture
        image.info.pop("exif", None)
        image.load()  # unless it is the pixels that are damaged
        note = "the EXIF data is damaged and was dropped"
        notes += [] if note in notes else [note]
    return image


def _load_deep(image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], notes: list[str]) -> Picture:
    pixels = sixteen_bits.read(image, reopen, lambda part: _upright(part, notes))
    key = image.info.get("transparency")
    if key is not None and pixels.shape[2:] in ((), (3,)):
        alpha = np.where((pixels == np.array(key)).reshape(*pixels.shape[:2], -1).all(2), 0, 65535)
        pixels = np.dstack([pixels, alpha.astype(np.uint16)])
        notes.append("the transparent colour was turned into an alpha channel")
    return Picture(_without_opaque_alpha(pixels, notes), notes=notes)


def _without_opaque_alpha(pixels: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels % 2 or (pixels[..., -1] < np.iinfo(pixels.dtype).max).any():
        return pixels
    notes.append("an alpha channel that is opaque everywhere was dropped")
    return np.ascontiguousarray(pixels[..., 0] if channels == 2 else pixels[..., :3])


# Mode -> the mode it is coded as and what is said of it.
_CONVERSIONS = {
    "1": ("L", "1-bit image stored as 8-bit grey"),
    "P": ("RGB", "palette image stored as RGB"),
    "PA": ("RGBA", "palette image stored as RGB"),
    "La": ("LA", "premultiplied alpha was divided out"),
    "RGBa": ("RGBA", "premultiplied alpha was divided out"),
    "RGBX": ("RGB", ""),
    "YCbCr": ("RGB", "YCbCr image stored as RGB"),
}


def _convert(image: Image.Image, notes: list[str]) -> Picture:
    """8-bit pixels of a kind that is coded, from an image of any mode."""
    icc = of_info(image, "icc_profile")
    transparent = "transparency" in image.info
    if image.mode in CONVERTED_MODES:
        image, icc = _to_srgb(image, icc), None
        notes.append("converted to sRGB through the image's colour profile")
    elif image.mode in _CONVERSIONS:
        mode, note = _CONVERSIONS[image.mode]
        notes += [note] if note else []
        image = image.convert("RGBA" if transparent and mode == "RGB" else mode)
    elif transparent:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
        notes.append("the transparent colour was turned into an alpha channel")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise InputError(f"{image.mode} images are not supported; convert the image to RGB first")
    if icc and icc[16:20] == b"RGB " and image.mode in ("L", "LA"):
        image = image.convert("RGB" if image.mode == "L" else "RGBA")
        notes.append("grey image stored as RGB, since its colour profile is for RGB")
    return Picture(_without_opaque_alpha(np.array(image, np.uint8), notes), notes=notes, icc=icc)


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    refusal = InputError(
        f"{image.mode} images are supported only with a usable ICC profile; convert the image to RGB first"
    )
    if not icc:
        raise refusal
    try:
        from PIL import ImageCms

        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except Exception:  # a damaged profile, or a Pillow without LittleCMS
        raise refusal from None
    if converted is None:
        raise refusal
    return converted

"""What travels with the pixels of a picture: EXIF, colour profile, XMP."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from PIL import Image

EXIF_PREFIX = b"Exif\x00\x00"  #: before EXIF data in a JPEG, and as Pillow hands them out
#: TIFF tags that say something of the picture; the others describe how the file is laid out
_TIFF_EXIF = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853)
_TIFF_XMP = 700
#: modes whose profile is used up when they are converted to RGB
CONVERTED_MODES = ("CMYK", "LAB", "HSV")


@dataclass
class Picture:
    """Pixels and the metadata that travels with them.

    `pixels` is uint8 or uint16: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or H,W,4 (RGB, alpha). `exif` is a TIFF
    stream, without the prefix of JPEG. `notes`: what was converted or left out on the way, a line each.
    """

    pixels: NDArray[Any]
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)


def of_info(image: Image.Image, key: str) -> bytes | None:
    """What Pillow has found under this key, as bytes."""
    value = image.info.get(key)
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


def add_metadata(picture: Picture, image: Image.Image) -> None:
    """Take over EXIF, profile and XMP of the opened image, without what no longer holds."""
    grey = picture.pixels.ndim == 2 or picture.pixels.shape[2] == 2
    icc = picture.icc
    if icc is None and image.mode not in CONVERTED_MODES:
        icc = of_info(image, "icc_profile")
    if icc and icc[16:20] != (b"GRAY" if grey else b"RGB "):
        picture.notes.append(f"a colour profile that is not for {'grey' if grey else 'RGB'} was dropped")
        icc = None
    gamma = image.info.get("gamma")
    if gamma and not icc and "srgb" not in image.info and abs(gamma - 1 / 2.2) > 1e-3:
        picture.notes.append(f"the gamma of {gamma:g} that the file states is not kept")
    picture.exif, picture.icc = _exif(image), icc or None
    picture.xmp = of_info(image, "xmp") or None


def _of_the_picture(exif: Image.Exif) -> Image.Exif:
    """EXIF data without the tags that describe a file's layout."""
    for tag in [tag for tag in exif if tag not in _TIFF_EXIF]:
        del exif[tag]
    return exif


def _exif(image: Image.Image) -> bytes | None:
    """The EXIF data, a TIFF stream; of a TIFF file, those of its own tags that say something of the picture."""
    if image.format != "TIFF":
        raw = of_info(image, "exif")
        return raw.removeprefix(EXIF_PREFIX) or None if raw else None
    found = _of_the_picture(image.getexif())
    return found.tobytes().removeprefix(EXIF_PREFIX) if len(found) else None


def tiff_exif(exif: bytes | None, xmp: bytes | None) -> bytes | None:
    """EXIF data for a TIFF file: without tags that describe a file's layout, which would take the place of the file's
    own, and with XMP as a tag. Empty where nothing is left, None where Pillow cannot read it or write it again.
    """
    joined = Image.Exif()
    try:
        joined.load(exif or b"")
        _of_the_picture(joined)
        if xmp:
            joined[_TIFF_XMP] = xmp
        data = joined.tobytes() if len(joined) else b""
        Image.new("L", (1, 1)).save(io.BytesIO(), "TIFF", exif=data)
    except MemoryError:
        raise
    except Exception:  # Pillow raises almost anything on damaged EXIF data
        return None
    return data

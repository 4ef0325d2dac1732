"""What travels with the pixels of a picture: EXIF, colour profile, XMP."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from codec.pictures.account import Account
from codec.pictures.parts import Parts

EXIF_PREFIX = b"Exif\x00\x00"  #: before EXIF data in a JPEG, and as Pillow hands them out
#: TIFF tags that say something of the picture; the others describe how the file is laid out
_TIFF_EXIF = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853)
_TIFF_XMP = 700
_ORIENTATION = 0x0112


@dataclass
class Picture:
    """Pixels and the metadata that travels with them.

    `pixels` is uint8 or uint16: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or H,W,4 (RGB, alpha). `exif` is a TIFF
    stream, without the prefix of JPEG. `account`: what the file states, and what became of it.
    """

    pixels: NDArray[Any]
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    account: Account = field(default_factory=Account)

    @property
    def notes(self) -> list[str]:
        """What was converted or left out on the way, a line each."""
        return self.account.notes


def of_info(image: Image.Image, key: str) -> bytes | None:
    """What Pillow has found under this key, as bytes."""
    value = image.info.get(key)
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


#: what Pillow and the parts of a file call the resolution
_RESOLUTION = ("dpi", "resolution", "aspect", "jfif_unit", "jfif_density", "pHYs", "tag 282", "tag 283", "tag 296")
_NO_RESOLUTION = ((1, 1), (72, 72), (96, 96))  #: what programs write that know of none
#: of what is kept: its key in Pillow's info, and the parts of files that hold it
_EXIF_NAMES = ("exif", "eXIf", "APP1 Exif", "EXIF", "tag 34665", "tag 34853")
_XMP_NAMES = ("xmp", "XML:com.adobe.xmp", "APP1 XMP", "XMP ", "tag 700")


def add_metadata(picture: Picture, image: Image.Image, parts: Parts, orientation: int) -> None:
    """Take over EXIF and XMP of the opened image, and say in the picture's account what became of all metadata.

    parts: what the image's file is made of; empty where it has none; orientation: how the pixels were turned.
    """
    account = picture.account
    picture.exif, picture.xmp = _exif(image, orientation, account), of_info(image, "xmp") or None
    account.keep(
        "metadata",
        *([] if account.fate_of("exif") == "dropped" else _EXIF_NAMES),
        *(f"tag {tag}" for tag in _TIFF_EXIF),
    )
    account.keep("metadata", *_XMP_NAMES)
    dpi = image.info.get("dpi")
    in_exif = image.format == "TIFF"  # among the tags that are kept
    if not in_exif and isinstance(dpi, tuple) and tuple(map(round, dpi)) not in _NO_RESOLUTION:
        account.drop(
            "resolution", f"the resolution of {float(dpi[0]):g} x {float(dpi[1]):g} dpi is not kept", *_RESOLUTION
        )
    else:
        account.pass_over(*_RESOLUTION)


def orientation_of(image: Image.Image, account: Account) -> int:
    """How the loaded pixels have to be turned, 1 to 8 as EXIF counts; 1 for TIFF that Pillow has loaded, and turned."""
    account.keep("orientation", "tag 274", "property irot", "property imir")  # Pillow says the latter as EXIF
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # EXIF is outside the pixels: damage there must not cost the picture
        account.drop("metadata", "the EXIF data is damaged and was dropped", *_EXIF_NAMES)
        return 1
    return found if found in range(1, 9) else 1


def _of_the_picture(exif: Image.Exif) -> Image.Exif:
    """EXIF data without the tags that describe a file's layout."""
    for tag in [tag for tag in exif if tag not in _TIFF_EXIF]:
        del exif[tag]
    return exif


def _exif(image: Image.Image, orientation: int, account: Account) -> bytes | None:
    """The EXIF data, a TIFF stream; of a TIFF file, those of its own tags that say something of the picture."""
    if image.format != "TIFF":
        raw = of_info(image, "exif")
        if not raw or account.fate_of("exif") == "dropped":
            return None
        if orientation == 1:
            return raw.removeprefix(EXIF_PREFIX) or None
        exif = Image.Exif()
        exif.load(raw)
        del exif[_ORIENTATION]
        return exif.tobytes().removeprefix(EXIF_PREFIX)
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

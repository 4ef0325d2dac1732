"""Pictures from and to ordinary image files, by way of Pillow.

:func:`load` hands out grey or RGB of 8 or 16 bits, with alpha where there is some, or
raises :class:`~codec.errors.InputError` with one line that says why not and what to do;
whatever was converted or left out on the way stands in ``Picture.notes``.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from codec.container.bitstream import DEFAULT_MAX_PIXELS, check_pixels
from codec.errors import InputError
from codec.pictures import sixteen_bits

# Named, because Pillow's full list has formats that start other programs (EPS) or are
# drawings rather than pictures.
READ_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "TGA",
    "JPEG2000", "QOI", "ICO", "PCX", "SGI", "DDS",
)  # fmt: skip

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

# What these lack, and for the names in messages.
_NO_ALPHA = ("PPM", "BMP", "JPEG")
_WITH_METADATA = ("PNG", "WEBP", "TIFF", "JPEG")
_DEEP_FORMATS = ("PNG", "PPM")

# TIFF tags that say something of the picture; the others describe how the file is laid out.
_TIFF_EXIF = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853)
_EXIF_PREFIX = b"Exif\x00\x00"
# Bytes that JPEG's segments hold: one for EXIF and XMP, 255 for a profile.
_JPEG_ROOM = {"EXIF": 65533 - len(_EXIF_PREFIX), "ICC": 255 * (65533 - 14), "XMP": 65533 - 29}
_pillow_limit = threading.Lock()


@dataclass
class Picture:
    """Pixels and the metadata that travels with them.

    `pixels` is uint8 or uint16: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or H,W,4 (RGB, alpha).
    """

    pixels: NDArray[Any]
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)


@contextmanager
def pillow_limit(max_pixels: int | None) -> Iterator[None]:
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

            def reopen() -> Image.Image:
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
                _add_metadata(picture, image)
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


def _load_deep(image: Image.Image, reopen: Callable[[], Image.Image], notes: list[str]) -> Picture:
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
    icc = _bytes(image.info.get("icc_profile"))
    transparent = "transparency" in image.info
    if image.mode in ("CMYK", "LAB", "HSV"):
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


def _add_metadata(picture: Picture, image: Image.Image) -> None:
    """Take over EXIF, profile and XMP of the opened image, without what no longer holds."""
    grey = picture.pixels.ndim == 2 or picture.pixels.shape[2] == 2
    icc = picture.icc
    if icc is None and image.mode not in ("CMYK", "LAB", "HSV"):
        icc = _bytes(image.info.get("icc_profile"))
    if icc and icc[16:20] != (b"GRAY" if grey else b"RGB "):
        picture.notes.append(f"a colour profile that is not for {'grey' if grey else 'RGB'} was dropped")
        icc = None
    gamma = image.info.get("gamma")
    if gamma and not icc and "srgb" not in image.info and abs(gamma - 1 / 2.2) > 1e-3:
        picture.notes.append(f"the gamma of {gamma:g} that the file states is not kept")
    picture.exif, picture.icc = _exif(image), icc or None
    picture.xmp = _bytes(image.info.get("xmp")) or None


def _exif(image: Image.Image) -> bytes | None:
    """The EXIF data, a TIFF stream; of a TIFF file, those of its own tags that say something of the picture."""
    if image.format != "TIFF":
        raw = _bytes(image.info.get("exif"))
        return raw.removeprefix(_EXIF_PREFIX) or None if raw else None
    found = image.getexif()
    for tag in [tag for tag in found if tag not in _TIFF_EXIF]:
        del found[tag]
    return found.tobytes().removeprefix(_EXIF_PREFIX) if len(found) else None


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


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
    picture: Picture, target: str | os.PathLike[str] | BinaryIO, name: str | os.PathLike[str] | None = None
) -> list[str]:
    """Write a picture to a path or binary stream, in the format of `name`'s suffix.

    `name` defaults to `target` where that is a path; PNG where neither says more. Returns
    what was left out for want of room in the format, a line each.
    InputError where the format cannot hold the pixels.
    """
    if name is None and isinstance(target, (str, os.PathLike)):
        name = target
    kind, options = write_format(name)
    pixels, notes, options = picture.pixels, [], dict(options)
    depth, channels = 8 * pixels.itemsize, pixels.shape[2] if pixels.ndim == 3 else 1
    check_target(name, depth, channels % 2 == 0)
    kept = {"EXIF": picture.exif, "ICC": picture.icc, "XMP": picture.xmp}
    if kept["ICC"] and channels < 3 and kind == "WEBP":
        kept["ICC"] = None
        notes.append("the colour profile is for grey, which WEBP files do not have, and was left out")
    if kind not in _WITH_METADATA and any(kept.values()):
        notes.append(f"{kind} files hold no metadata: {', '.join(k for k, v in kept.items() if v)} left out")
        kept = dict.fromkeys(kept)
    for what, room in _JPEG_ROOM.items() if kind == "JPEG" else ():
        if len(kept[what] or b"") > room:
            notes.append(f"{what} data of {len(kept[what] or b'')} bytes is too large for JPEG files and was left out")
            kept[what] = None
    if depth == 16:
        data = (
            sixteen_bits.png(pixels, kept["ICC"], kept["EXIF"], kept["XMP"])
            if kind == "PNG"
            else sixteen_bits.ppm(pixels)
        )
        _put(target, data)
        return notes
    image = Image.fromarray(pixels)
    if image.mode == "LA" and kind in ("WEBP", "BMP"):
        image = image.convert("RGBA")
    if kept["ICC"]:
        options["icc_profile"] = kept["ICC"]
    if kind == "TIFF" and (kept["EXIF"] or kept["XMP"]):
        exif = _tiff_exif(kept["EXIF"], kept["XMP"])
        if exif is None:
            notes.append("the EXIF data is damaged and was left out")
            exif = _tiff_exif(None, kept["XMP"])
        if exif:
            options["exif"] = exif
            options.pop("compression", None)  # Pillow's compressed TIFF cannot hold EXIF's own directory
    elif kept["EXIF"]:
        options["exif"] = _EXIF_PREFIX + kept["EXIF"]
    if kept["XMP"] and kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", kept["XMP"].decode("utf-8", "replace"))
        options["pnginfo"] = text
    elif kept["XMP"] and kind in ("WEBP", "JPEG"):
        options["xmp"] = kept["XMP"]
    image.save(target, format=kind, **options)
    return notes


def _tiff_exif(exif: bytes | None, xmp: bytes | None) -> bytes | None:
    """EXIF data for a TIFF file: without tags that describe a file's layout, which would take the place of the file's
    own, and with XMP as a tag. Empty where nothing is left, None where Pillow cannot read it or write it again.
    """
    joined = Image.Exif()
    try:
        joined.load(exif or b"")
        for tag in [tag for tag in joined if tag not in _TIFF_EXIF]:
            del joined[tag]
        if xmp:
            joined[700] = xmp
        data = joined.tobytes() if len(joined) else b""
        Image.new("L", (1, 1)).save(io.BytesIO(), "TIFF", exif=data)
    except MemoryError:
        raise
    except Exception:  # Pillow raises almost anything on damaged EXIF data
        return None
    return data


def _put(target: str | os.PathLike[str] | BinaryIO, data: bytes) -> None:
    if isinstance(target, (str, os.PathLike)):
        Path(target).write_bytes(data)
    else:
        target.write(data)

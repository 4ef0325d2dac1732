"""Samples of 8 bits and fewer, of any of Pillow's modes, as one of the kinds that are coded."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, TiffImagePlugin

from codec.errors import InputError
from codec.pictures.account import Account
from codec.pictures.formats import refusal
from codec.pictures.parts import Parts
from codec.pictures.transparency import (
    DIVIDED_NOTE,
    KEY_NAMES,
    UNKNOWN_NOTE,
    Extra,
    divided,
    extra_of_tiff,
    key_of,
    with_key,
)

#: modes whose profile is used up when they are converted to RGB
_CONVERTED_MODES = ("CMYK", "LAB", "HSV")
# Mode -> the mode it is coded as and what is said of it.
_CONVERSIONS = {
    "1": ("L", "1-bit image stored as 8-bit grey"),
    "P": ("RGB", "palette image stored as RGB"),
    "PA": ("RGBA", "palette image stored as RGB"),
    "La": ("LA", DIVIDED_NOTE),
    "RGBa": ("RGBA", DIVIDED_NOTE),
    "RGBX": ("RGB", ""),
    "YCbCr": ("RGB", "YCbCr image stored as RGB"),
}


def read(image: Image.Image, stated: Parts, icc: bytes | None, account: Account) -> tuple[NDArray[Any], bytes | None]:
    """H,W[,C] uint8 of a loaded image, or uint16 of one of mode I;16, and the profile of these samples.

    InputError, with the remedy, for modes that are not taken.
    """
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint16)
        white_is_zero = image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262) == 0  # Pillow leaves that
        return np.invert(grey) if white_is_zero else grey, icc
    extra = extra_of_tiff(image.tag_v2, account) if isinstance(image, TiffImagePlugin.TiffImageFile) else Extra()
    if image.mode in _CONVERTED_MODES:
        image, icc = _to_srgb(_as_ink(image, account), icc), None
        account.convert("colour", "converted to sRGB through the image's colour profile", "icc_profile")
    if extra.premultiplied:
        account.convert("transparency", DIVIDED_NOTE, "tag 338")  # by Pillow
    key = key_of(image, stated) if image.mode in ("1", "L", "RGB") else None
    mode, note = _CONVERSIONS.get(image.mode, (image.mode, ""))
    if note:
        account.convert("samples", note)
    if image.mode == "P" and _has_alpha(image):
        mode = "RGBA"
        account.keep("transparency", *KEY_NAMES)
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise refusal(mode)
    pixels: NDArray[Any] = np.array(image.convert(mode) if mode != image.mode else image, np.uint8)
    if key is not None:
        pixels = with_key(pixels, key, account)
    _note_fourth_bytes(stated, account)
    return _divided(pixels, stated, account), icc


def _as_ink(image: Image.Image, account: Account) -> Image.Image:
    """The image, its CMYK samples as amounts of ink.

    In a JPEG with Adobe's marker they are amounts of paper, as Pillow takes them to be in every JPEG.
    """
    if image.format not in ("JPEG", "MPO") or image.mode != "CMYK" or "adobe" in image.info:
        return image
    account.convert("colour", "CMYK without Adobe's marker: its samples were taken as amounts of ink")
    return ImageChops.invert(image)


def _has_alpha(image: Image.Image) -> bool:
    """Whether colours of the palette are transparent."""
    given = image.info.get("transparency")
    return isinstance(given, (int, bytes)) or (image.palette is not None and image.palette.mode.endswith("A"))


def _note_fourth_bytes(stated: Parts, account: Account) -> None:
    """Say where a BMP of 32 bits a pixel has more than padding in the bytes that it does not say to be alpha."""
    if stated.first("BMP alpha of 16 bits"):
        note = "the alpha of a BMP of 16 bits a pixel, which Pillow does not read, was left out"
        account.drop("transparency", note, "BMP alpha of 16 bits")
    fourth = np.frombuffer(stated.first("BMP fourth bytes") or b"", np.uint8)
    if fourth.size and fourth.min() != fourth.max():
        note = "the fourth byte of each pixel, which the file does not say to be alpha, was left out"
        account.drop("transparency", note, "BMP fourth bytes")
    else:
        account.pass_over("BMP fourth bytes")


def _divided(pixels: NDArray[Any], stated: Parts, account: Account) -> NDArray[Any]:
    """The pixels, their alpha divided out where a JPEG 2000 or TGA file says that it is premultiplied."""
    if pixels.ndim < 3 or pixels.shape[2] not in (2, 4):
        return pixels
    channels, alpha = stated.first("cdef") or b"", stated.first("TGA alpha")
    kinds = [channels[at : at + 2] for at in range(4, len(channels), 6)]
    if stated.first("ihdr") and not {b"\0\1", b"\0\2"} & {*kinds}:
        account.convert("transparency", UNKNOWN_NOTE, "cdef")
    return divided(pixels, account) if b"\0\2" in kinds or alpha == b"\4" else pixels


def without_opaque_alpha(pixels: NDArray[Any], account: Account) -> NDArray[Any]:
    """The pixels without an alpha channel that is opaque everywhere."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels % 2 or (pixels[..., -1] < np.iinfo(pixels.dtype).max).any():
        return pixels
    account.drop("transparency", "an alpha channel that is opaque everywhere was dropped")
    return np.ascontiguousarray(pixels[..., 0] if channels == 2 else pixels[..., :3])


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    refused = InputError(
        f"{image.mode} images are supported only with a usable ICC profile; convert the image to RGB first"
    )
    if not icc:
        raise refused
    try:
        from PIL import ImageCms

        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except Exception:  # a damaged profile, or a Pillow without LittleCMS
        raise refused from None
    if converted is None:
        raise refused
    return converted

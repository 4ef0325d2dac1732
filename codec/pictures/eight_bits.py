"""Samples of 8 bits and fewer, of any of Pillow's modes, as one of the kinds that are coded."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.errors import InputError
from codec.pictures.account import Account
from codec.pictures.formats import refusal
from codec.pictures.parts import Parts

#: modes whose profile is used up when they are converted to RGB
_CONVERTED_MODES = ("CMYK", "LAB", "HSV")
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


def read(image: Image.Image, stated: Parts, icc: bytes | None, account: Account) -> tuple[NDArray[Any], bytes | None]:
    """H,W[,C] uint8 of a loaded image, or uint16 of one of mode I;16, and the profile of these samples.

    InputError, with the remedy, for modes that are not taken.
    """
    transparent = image.has_transparency_data and "transparency" in image.info
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint16)
        white_is_zero = (
            image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262) == 0
        )  # Pillow leaves that as it is
        return np.invert(grey) if white_is_zero else grey, icc
    if image.mode in _CONVERTED_MODES:
        image, icc = _to_srgb(image, icc), None
        account.convert("colour", "converted to sRGB through the image's colour profile", "icc_profile")
    elif image.mode in _CONVERSIONS:
        mode, note = _CONVERSIONS[image.mode]
        if note:
            account.convert("samples", note)
        image = image.convert("RGBA" if transparent and mode == "RGB" else mode)
        account.keep("transparency", "transparency", "tRNS")
    elif transparent:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
        account.convert(
            "transparency", "the transparent colour was turned into an alpha channel", "transparency", "tRNS"
        )
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise refusal(image.mode)
    return np.array(image, np.uint8), icc


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

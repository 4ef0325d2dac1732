"""The colour of a picture: the ICC profile that goes with its samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.pictures.account import Account
from codec.pictures.parts import Parts


def profile_of(image: Image.Image, stated: Parts, account: Account) -> bytes | None:
    """The profile that the file holds."""
    found = image.info.get("icc_profile")
    icc = bytes(found) if isinstance(found, (bytes, bytearray)) and found else None
    account.keep("colour", "icc_profile", "iCCP", "APP2 ICC", "ICCP", "tag 34675", "srgb", "sRGB", "property colr")
    gamma = image.info.get("gamma")
    names = ("gamma", "gAMA", "chromaticity", "cHRM", "cICP")
    if isinstance(gamma, float) and not icc and "srgb" not in image.info and abs(gamma - 1 / 2.2) > 1e-3:
        account.drop("colour", f"the gamma of {gamma:g} that the file states is not kept", *names)
    else:
        account.keep("colour", *names)
    return icc


def fitted(pixels: NDArray[Any], icc: bytes | None, account: Account) -> tuple[NDArray[Any], bytes | None]:
    """Pixels and profile that fit each other.

    Grey with a profile for RGB becomes RGB; other profiles that do not fit are dropped.
    """
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if not icc or icc[16:20] == (b"GRAY" if channels < 3 else b"RGB "):
        return pixels, icc or None
    if icc[16:20] == b"RGB ":
        account.convert("samples", "grey image stored as RGB, since its colour profile is for RGB")
        grey = pixels.reshape(*pixels.shape[:2], channels)
        return np.ascontiguousarray(grey[..., [0, 0, 0, 1][: channels + 2]]), icc
    kind = "grey" if channels < 3 else "RGB"
    account.drop("colour", f"a colour profile that is not for {kind} was dropped", "icc_profile")
    return pixels, None

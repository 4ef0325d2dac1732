"""Rescaling for Python: PIL images down and up, the mark in their XMP.

>>> photo = Image.new("RGB", (41, 30), (90, 120, 60))
>>> small = downscale(photo)
>>> small.size, upscale(small).size
((21, 15), (41, 30))
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from codec.pictures import formats
from codec.rescale import photos
from codec.rescale.mark import Mark, without


class Small(Image.Image):
    """A small picture; saved as PNG, WebP or TIFF it keeps its mark, which Pillow alone would not write."""

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """As Pillow's; PNG and WebP (without loss, unless asked otherwise) get the mark."""
        kind = (format or (Path(fp).suffix[1:] if isinstance(fp, str | Path) else "")).upper()
        packet: bytes = self.info["xmp"]
        if kind == "PNG" and "pnginfo" not in params:
            params["pnginfo"] = PngImagePlugin.PngInfo()
            params["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode())
        elif kind == "WEBP":
            params = {"xmp": packet, "lossless": True, "exact": True} | params
        super().save(fp, format, **params)


def downscale(image: Image.Image | NDArray[Any], scale: int = 2, *, effort: int = 0) -> Small:
    """A photo made small: RGB or RGBA of 8 bits, each side divided by `scale` (2 or 4) and rounded up.

    image: what `codec.encode` takes. effort: 0 is one pass; 1 to 9 search for a small picture that is made large
    better, which takes 50 to 1,300 times as long. Saved as PNG or WebP, the small picture says how to make it large
    again; its colour profile, EXIF and XMP are those of the photo. Raises InputError, WeightsError, ValueError.
    """
    pil = image if isinstance(image, Image.Image) else None
    small, mark = photos.down(formats.of_image(pil) if pil is not None else np.asarray(image), scale, effort=effort)
    out = Image.fromarray(small)
    out.__class__ = Small  # Pillow has no constructor for pixels of a subclass
    info = pil.info if pil is not None else {}
    out.info = {
        key: info[key] for key in ("icc_profile", "exif") if key in info and not (mark.grey and key == "icc_profile")
    }
    given = info.get("xmp")
    out.info["xmp"] = mark.in_xmp(given if isinstance(given, bytes) else None)
    return out  # type: ignore[return-value]  # by its class just set


def upscale(
    image: Image.Image | NDArray[Any],
    scale: int | None = None,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    array: bool = False,
    depth: int = 8,
) -> Image.Image | formats.Pixels:
    """The photo that `downscale` made small, as a PIL image or (array=True) as an array.

    Where the picture has no mark, or was changed since, the outcome is a guess, and a warning says so; scale: of such
    pictures (default 2). temperature (0..2) and seed (0..65535): at 0 the most likely photo, above it what was lost is
    drawn.
    depth: 8 or 16 bits a sample, the latter of colour only as an array. Raises InputError, WeightsError, ValueError.
    """
    pil = image if isinstance(image, Image.Image) else None
    packet = pil.info.get("xmp") if pil is not None else None
    mark = Mark.find(packet if isinstance(packet, bytes) else None)
    pixels = formats.of_image(pil) if pil is not None else np.asarray(image)
    large = photos.up(pixels, mark, scale=scale, temperature=temperature, seed=seed, depth=depth)
    for note in large.notes:
        warnings.warn(note, stacklevel=2)
    if array:
        return large.pixels
    out = formats.to_image(large.pixels)
    if pil is not None:
        out.info = {key: pil.info[key] for key in ("icc_profile", "exif") if key in pil.info}
        if isinstance(packet, bytes):
            out.info["xmp"] = without(packet)
    return out

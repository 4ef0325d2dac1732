"""Photos made small and large again: what the network does not see (alpha, depth, grey, the mark) is dealt with here.

>>> import numpy as np
>>> photo = np.random.default_rng(0).integers(90, 120, (41, 60, 3), np.uint8)
>>> small, mark = down(photo, 2)
>>> small.shape, up(small, mark).pixels.shape
((21, 30, 3), (41, 60, 3))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding.draw import from_counters
from codec.coding.options import DecodeOptions, EncodeOptions
from codec.container.grid import Box
from codec.errors import InputError
from codec.network import host
from codec.pictures import formats
from codec.pictures.formats import Pixels
from codec.rescale.mark import SCALES, Mark, checksum
from codec.rescale.network import DETAIL, Rescaler
from codec.rescale.picture import enlarged, reduced
from codec.rescale.search import STEPS
from codec.rescale.weights import load

#: what `scale` may be; numbers of numpy are numbers here as they are in `codec.encode`
_SCALE = DecodeOptions.values("scale")._replace(text=" or ".join(map(str, SCALES)), test=SCALES.__contains__)


class Large(NamedTuple):
    """An enlarged picture, and what is to be said of it."""

    pixels: Pixels
    notes: list[str]


def _resized(alpha: NDArray[Any], width: int, height: int) -> NDArray[np.uint8]:
    """H,W samples of 8 bits by bicubic interpolation, which reduces over an area."""
    return np.asarray(Image.fromarray(alpha).resize((width, height), Image.Resampling.BICUBIC))


@host.plainly
def down(
    picture: NDArray[Any], scale: int = 2, *, effort: int = 0, weights: str | None = None
) -> tuple[NDArray[np.uint8], Mark]:
    """A picture of any kind that `codec.encode` takes -> h,w,3 (with alpha h,w,4) of 8 bits, and its mark.

    Sides are divided by `scale` (2 or 4) and rounded up. Alpha is reduced by bicubic interpolation. effort (0..9): of a
    search for a small picture that is made large better. weights: id of the network (None: the installed one of this
    scale). Raises InputError, WeightsError, ValueError.
    """
    scale, effort = _SCALE.take("scale", scale), EncodeOptions.values("effort").take("effort", effort)
    if effort >= len(STEPS):
        raise ValueError(f"effort must be in 0..{len(STEPS) - 1}, not {effort}")
    colour, alpha = formats.split(picture)
    found = load(scale, weights)
    small = reduced(found.network, colour, effort)
    height, width = colour.shape[:2]
    mode = formats.mode_of(colour)
    mark = Mark(
        scale, width, height, formats.depth_of(mode), formats.is_grey(mode), found.id, checksum(small.tobytes())
    )
    if alpha is not None:
        padded = np.pad(formats.to_depth(alpha, 8), [(0, -n % scale) for n in (height, width)], "edge")
        small = np.dstack([small, _resized(padded, small.shape[1], small.shape[0])])
    return small, mark


@host.plainly
def up(
    picture: NDArray[Any],
    mark: Mark | None = None,
    *,
    scale: int | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    depth: int = 8,
) -> Large:
    """A small picture and its mark -> the photo, at 8 or 16 bits a sample.

    Without a mark, or where the samples or the size are not those that it names, the outcome is a guess, and a note
    says so. scale: of pictures without a mark (default 2); other than the mark's, it is an InputError. temperature
    (0..2), seed (0..65535): of the draw of what was lost; at 0 the most likely photo. Raises InputError,
    WeightsError, ValueError.
    """
    asked = DecodeOptions(temperature=temperature, seed=seed, depth=depth)
    scale = None if scale is None else _SCALE.take("scale", scale)
    if mark and scale not in (None, mark.scale):
        raise InputError(f"the picture was made small by {mark.scale}, not by {scale}")
    scale = mark.scale if mark else scale or 2
    colour, alpha = formats.split(picture)
    notes: list[str] = []
    eight = formats.to_depth(colour, 8)
    small = np.array(eight if eight.ndim == 3 else np.stack([eight] * 3, 2), np.uint8)
    height, width = small.shape[:2]
    size, grey = (scale * height, scale * width), False
    if mark is None:
        notes.append("it has no mark of irc downscale: what is enlarged is a guess")
    elif mark.small != (width, height):
        notes.append(
            f"it is {width} x {height} pixels, its mark says {mark.small[0]} x {mark.small[1]}: it was cropped or "
            "resized since, and what is enlarged is a guess"
        )
    else:
        size, grey = (mark.height, mark.width), mark.grey
        if checksum(small.tobytes()) != mark.checksum:
            notes.append("its pixels were changed since irc downscale made it: what is enlarged is a guess")
    found = load(scale, mark.weights if mark else None)
    mode = (not grey) + 2 * formats.DEPTHS.index(asked.depth)
    pixels = enlarged(
        found.network, small, size, mode, _drawing(found.network, asked.temperature or 0.0, asked.seed or 0)
    )
    if alpha is not None:
        large = _resized(formats.to_depth(alpha, 8), scale * width, scale * height)[: size[0], : size[1]]
        pixels = formats.join(pixels, large)
    return Large(pixels, notes)


def _drawing(network: Rescaler, temperature: float, seed: int) -> Callable[[int, Box, int], NDArray[np.float32]] | None:
    """What draws z at a temperature; None for the most likely one."""
    if temperature == 0:
        return None

    def draw(level: int, window: Box, unit: int) -> NDArray[np.float32]:
        return from_counters(seed, level, DETAIL, window, unit) * np.float32(temperature)

    return draw

"""Kinds of pixels: grey or colour, 8 or 16 bits, with alpha or without; how each reaches the network and comes back.

    >>> import numpy as np
    >>> colour, alpha = split(np.zeros((2, 5, 4), np.uint16))
    >>> colour.shape, alpha.shape, mode_of(colour)
    ((2, 5, 3), (2, 5), 3)

A picture is an array of uint8 or uint16: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or H,W,4 (RGB, alpha). The
network codes three channels in units of 1/255 of full scale: grey is coded three times, and is the mean of the three
again; 16 bits go in undivided (65535 is 255) and come out rounded to 16 bits.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from codec.container.grid import Box
from codec.errors import DamagedError, InputError
from codec.pictures.opening import opened

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
DEPTHS = (8, 16)
TO_16 = 257  #: 65535 / 255
_MODES = ("L", "LA", "RGB", "RGBA")
#: of images that only need converting, what to convert them to
_REMEDIES = {"1": "L", "P": "RGB or RGBA", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "I": "I;16", "F": "L"}


def mode_of(colour: Pixels) -> int:
    """The header's mode of colour without alpha: 0 grey, 1 RGB, 2 grey of 16 bits, 3 RGB of 16 bits."""
    return (colour.ndim == 3) + 2 * (colour.dtype == np.uint16)


def is_grey(mode: int) -> bool:
    """Whether a mode has one channel of colour."""
    return mode % 2 == 0


def depth_of(mode: int) -> int:
    """Bits a sample: 8 or 16."""
    return DEPTHS[mode // 2]


def of_image(image: Image.Image) -> Pixels:
    """The pixels of a PIL image of mode L, LA, RGB, RGBA or I;16; InputError, with the remedy, for others."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode not in _MODES or "transparency" in image.info:
        raise refusal(image.mode)
    return np.asarray(image)


def refusal(mode: str) -> InputError:
    """What is raised for images of a mode that is not taken; it says what to do."""
    remedy = _REMEDIES.get(mode, "RGBA" if mode in _MODES else "RGB")
    shown = mode + (" with a transparent colour" if mode in _MODES else "")
    return InputError(f"mode {shown} is not supported; convert the image to {remedy} first")


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The pixels as they are to be looked at; orientation: 1 to 8, as EXIF counts."""
    if orientation == 1:
        return pixels
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def to_image(pixels: Pixels) -> Image.Image:
    """A PIL image of 8-bit pixels or of grey 16-bit ones; ValueError where Pillow has no mode for them."""
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        raise ValueError("PIL images have no 16-bit colour or alpha; take the array (array=True)")
    return Image.fromarray(pixels)


def split(image: NDArray[Any]) -> tuple[Pixels, Pixels | None]:
    """Colour (H,W or H,W,3) and alpha (H,W, or None) of a picture; InputError for anything else."""
    array = np.asarray(image)
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if array.dtype not in (np.uint8, np.uint16) or 0 in array.shape or not 1 <= channels <= 4:
        raise InputError(
            f"expected uint8 or uint16 of shape H,W or H,W,C with C of 1 to 4, got {array.dtype} of shape {array.shape}"
        )
    if array.ndim == 2:
        return array, None
    colour = array[..., 0] if channels < 3 else array[..., :3]
    return colour, array[..., -1] if channels % 2 == 0 else None


def join(colour: Pixels, alpha: Pixels | None) -> Pixels:
    """The inverse of `split`; alpha is brought to the colour's depth."""
    if alpha is None:
        return colour
    if alpha.dtype != colour.dtype:
        alpha = to_depth(alpha, 8 * colour.itemsize)
    return np.concatenate([colour.reshape(*alpha.shape, -1), alpha[..., None]], 2)


def to_depth(samples: Pixels, depth: int) -> Pixels:
    """The samples at 8 or 16 bits, rounded where bits are lost."""
    if samples.itemsize * 8 == depth:
        return samples
    if depth == 16:
        return samples.astype(np.uint16) * np.uint16(TO_16)
    return ((samples.astype(np.uint32) + TO_16 // 2) // TO_16).astype(np.uint8)


def reduce(samples: Pixels, part: Box, scale: int) -> Pixels:
    """A part of H,W samples at 1/scale, each the mean of a cell of scale x scale, sides rounded up."""
    top, left = part.top // scale * scale, part.left // scale * scale
    bottom, right = -(-part.bottom // scale) * scale, -(-part.right // scale) * scale
    here = samples[top:bottom, left:right]
    if scale == 1:
        return here
    padded = np.pad(here, ((0, bottom - top - here.shape[0]), (0, right - left - here.shape[1])), "edge")
    cells = padded.reshape(padded.shape[0] // scale, scale, -1, scale).mean((1, 3), dtype=np.float32)
    return np.round(cells).astype(samples.dtype)  # type: ignore[no-any-return]


def planes(colour: Pixels) -> torch.Tensor:
    """3,H,W float32 in 0..255 of H,W or H,W,3 samples."""
    three = colour if colour.ndim == 3 else np.broadcast_to(colour[..., None], (*colour.shape, 3))
    x = torch.from_numpy(np.ascontiguousarray(three)).permute(2, 0, 1).float()
    return x / TO_16 if colour.dtype == np.uint16 else x


def samples(x: torch.Tensor, grey: bool, depth: int) -> Pixels:
    """Pixels of the network (3,H,W float in 0..255, neither clipped nor rounded) -> samples, H,W or H,W,3."""
    x = x.mean(0) if grey else x.permute(1, 2, 0)
    if depth == 16:
        return np.ascontiguousarray((x * TO_16).clamp(0, 65535).round().to(torch.int32).cpu().numpy().astype(np.uint16))
    return np.ascontiguousarray(x.clamp(0, 255).round().to(torch.uint8).cpu().numpy())


# --- alpha ---------------------------------------------------------------------------------------


def pack_alpha(alpha: Pixels) -> bytes:
    """The payload of an alPH chunk: a grey PNG stream of 8 or 16 bits."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(alpha)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def unpack_alpha(payload: bytes, width: int, height: int) -> Pixels:
    """H,W uint8 or uint16; DamagedError where the payload is not an alpha channel of this size."""
    try:
        # the size is compared before anything is decoded
        with opened(io.BytesIO(payload), ["PNG"]) as image:
            if image.size != (width, height) or image.mode not in ("L", "I;16"):
                raise DamagedError(
                    f"chunk alPH: {image.width} x {image.height} pixels of mode {image.mode} "
                    f"for a picture of {width} x {height}"
                )
            return np.asarray(image).copy()
    except (DamagedError, MemoryError):
        raise
    except Exception as error:  # Pillow raises almost anything on damaged data
        raise DamagedError(f"chunk alPH: not a PNG stream ({' '.join(str(error).split())})") from None

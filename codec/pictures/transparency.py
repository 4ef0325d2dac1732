"""Transparency as files state it: a transparent colour in the file's own units, extra channels, premultiplied alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.pictures.account import Account
from codec.pictures.parts import Parts

KEY_NAMES = ("transparency", "tRNS")
KEY_NOTE = "the transparent colour was turned into an alpha channel"
UNKNOWN_NOTE = "the file does not say what its extra channel is: taken as alpha"
DIVIDED_NOTE = "premultiplied alpha was divided out"
_EXTRA_SAMPLES, _SAMPLES, _PHOTOMETRIC = 338, 277, 262
_COLOUR_SAMPLES = {2: 3, 5: 4, 6: 3, 8: 3}  #: of TIFF's photometric interpretations with more than one
_ASSOCIATED = 1


def key_of(image: Image.Image, stated: Parts) -> NDArray[np.uint16] | None:
    """The transparent colour of a grey or RGB picture in units of its samples: 255 or 65535 is white.

    PNG has it in the file's units, of 1 to 16 bits a sample, which Pillow hands out as they are.
    """
    head, data = stated.first("IHDR"), stated.first("tRNS")
    if head and data and len(head) > 9 and head[9] in (0, 2):
        largest = (1 << head[8]) - 1
        key = np.frombuffer(data[: 2 if head[9] == 0 else 6], ">u2").astype(np.uint32) & largest
        return (key * (255 // largest if largest < 255 else 1)).astype(np.uint16)
    given = image.info.get("transparency")
    if isinstance(given, int) or (isinstance(given, tuple) and all(isinstance(n, int) for n in given)):
        return np.array(given, np.uint16).reshape(-1)
    return None


def with_key(samples: NDArray[Any], key: NDArray[np.uint16], account: Account) -> NDArray[Any]:
    """H,W or H,W,3 samples with an alpha channel that is 0 where they are the key's."""
    channels = samples.reshape(*samples.shape[:2], -1)
    if len(key) != channels.shape[2]:
        return samples
    account.convert("transparency", KEY_NOTE, *KEY_NAMES)
    alpha = np.where((channels == key).all(2), 0, np.iinfo(samples.dtype).max)
    return np.dstack([channels, alpha.astype(samples.dtype)])


def divided(samples: NDArray[Any], account: Account) -> NDArray[Any]:
    """The samples, whose last channel is alpha, with colour that is not multiplied by it any more, rounded."""
    account.convert("transparency", DIVIDED_NOTE, "tag 338", "cdef", "TGA alpha")
    largest = np.iinfo(samples.dtype).max
    out = samples.copy()
    for row, alpha in zip(out, samples[..., -1:].astype(np.uint64)):  # by rows: the products need four times the room
        colour = (row[..., :-1] * np.uint64(largest) + alpha // 2) // np.maximum(alpha, 1)
        row[..., :-1] = np.where(alpha > 0, np.minimum(colour, largest), row[..., :-1])
    return out


@dataclass(frozen=True)
class Extra:
    """What the first channel of a TIFF beyond its colours is: whether alpha, and whether that is premultiplied."""

    alpha: bool = False
    premultiplied: bool = False


def extra_of_tiff(tags: Any, account: Account) -> Extra:
    """What the tag ExtraSamples says, and a note on what is left out or taken for granted."""
    count = int(tags.get(_SAMPLES, 1)) - _COLOUR_SAMPLES.get(tags.get(_PHOTOMETRIC), 1)
    kinds = tags.get(_EXTRA_SAMPLES, ())
    kinds = tuple(kinds) if isinstance(kinds, tuple) else (kinds,)
    account.keep("transparency", "tag 338")
    if count < 1:
        return Extra()
    if kinds[:1] == (0,):
        left, found = count, Extra()
    else:
        left, found = count - 1, Extra(True, kinds[:1] == (_ASSOCIATED,))
        if kinds[:1] != (2,) and not found.premultiplied:
            account.convert("transparency", UNKNOWN_NOTE, "tag 338")
    if left:
        what = "an extra channel" if left == 1 else f"{left} extra channels"
        account.drop("transparency", f"{what} that the file does not say to be alpha was left out", "tag 338")
    return found

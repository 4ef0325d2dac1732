"""Pictures to .irc bytes and back.

>>> import numpy as np, codec
>>> photo = np.full((40, 60, 3), 90, np.uint8)
>>> data = codec.encode(photo, quality=75)
>>> codec.decode(data).size
(60, 40)
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, Unpack, overload

from numpy.typing import NDArray
from PIL import Image

from codec.coding import picture
from codec.coding.ahead import Workers
from codec.coding.options import DecodeKeywords, DecodeOptions, EncodeKeywords, EncodeOptions, takes
from codec.coding.progress import Progress
from codec.coding.salvage import Salvager
from codec.coding.tiles import Reader
from codec.coding.windows import View
from codec.container import bitstream
from codec.container.damaged import read_damaged
from codec.errors import DamagedError
from codec.network import host
from codec.network.session import open_session
from codec.pictures import formats
from codec.pictures.formats import Pixels

__all__ = ["decode", "encode", "verify"]


@takes(EncodeOptions)
@host.plainly
def encode(image: Image.Image | NDArray[Any], quality: float = 75.0, **options: Unpack[EncodeKeywords]) -> bytes:
    """Encode a picture to the bytes of an .irc file.

    image: PIL image (L, LA, RGB, RGBA, I;16) or uint8 or uint16 array: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or
    H,W,4 (RGB, alpha). Alpha is kept without loss, whatever the quality; colour under alpha 0 is not kept: a smooth
    continuation of what lies around it is coded in its place.

    OPTIONS

    Raises InputError, TargetError, WeightsError, ValueError, TypeError.

        >>> import numpy as np
        >>> data = encode(np.zeros((8, 8, 3), np.uint8), quality=50)
        >>> decode(data, array=True).shape
        (8, 8, 3)
    """
    asked = EncodeOptions.of("encode", quality=quality, **options)
    colour, alpha = formats.split(formats.of_image(image) if isinstance(image, Image.Image) else image)
    extras = dict(asked.extras or {})
    for kind in (bitstream.NOISE, bitstream.DRAW):  # of another file
        extras.pop(kind, None)
    session = open_session(asked.weights, asked.device)
    with Workers() as workers:
        return picture.PictureEncoder(session, (colour, alpha), asked, extras, workers).encode()


@overload
def decode(data: bytes, *, array: Literal[False] = ..., **options: Unpack[DecodeKeywords]) -> Image.Image: ...
@overload
def decode(data: bytes, *, array: Literal[True], **options: Unpack[DecodeKeywords]) -> Pixels: ...
@takes(DecodeOptions)
@host.plainly
def decode(data: bytes, *, array: bool = False, **options: Unpack[DecodeKeywords]) -> Image.Image | Pixels:
    """Decode the bytes of an .irc file to a PIL image, or to an array.

    OPTIONS

    Raises InputError, DamagedError, WeightsError, ValueError, TypeError.

        >>> import numpy as np
        >>> data = encode(np.full((50, 70, 3), 200, np.uint8), 90)
        >>> decode(data).size, decode(data, region=(60, 0, 10, 5)).size, decode(data, scale=8).size
        ((70, 50), (10, 5), (9, 7))
    """
    asked = DecodeOptions.of("decode", array=array, **options)
    if asked.salvage:
        found = read_damaged(data, asked.max_pixels)
        reader: Reader = Salvager(open_session(found.file.header.weights, asked.device), found)
    else:
        reader = Reader.of(data, asked.max_pixels, asked.device)
    header, region = reader.file.header, reader.layout.region(asked.region)
    view = View(
        header.quality_code,
        header.temperature if asked.temperature is None else asked.temperature,
        header.seed if asked.seed is None else asked.seed,
        region,
        asked.scale,
        reader.grain(),
        reader.file.draw,
    )
    with Workers() as workers:
        pixels = picture.decode(reader, view, asked.depth, workers, asked.progress)
    if isinstance(reader, Salvager):
        if len(reader.lost) == len(reader.layout.tiles):
            raise DamagedError("no tile decodes")
        note = reader.note(region)
        if note and asked.notes is not None:
            asked.notes.append(note)
        elif note:
            warnings.warn(note, stacklevel=2)
    return pixels if asked.array else formats.to_image(pixels)


@host.plainly
def verify(
    data: bytes, *, max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS, progress: Progress | None = None
) -> None:
    """Decode latent and alpha, compare the latent's checksum; raises what `decode` would, else returns nothing.

    >>> import numpy as np
    >>> verify(encode(np.zeros((8, 8, 3), np.uint8)))
    """
    reader = Reader.of(data, max_pixels)
    with Workers() as workers:
        picture.verify(reader, workers, progress)

"""Pictures to .irc bytes and back.

>>> import numpy as np, codec
>>> photo = np.full((40, 60, 3), 90, np.uint8)
>>> data = codec.encode(photo, quality=75)
>>> codec.decode(data).size
(60, 40)
"""

from __future__ import annotations

import io
import os
import warnings
from typing import Any, BinaryIO, Literal, TypeAlias, Unpack, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding import picture
from codec.coding.ahead import Workers
from codec.coding.options import DecodeKeywords, DecodeOptions, EncodeKeywords, EncodeOptions, takes
from codec.coding.progress import Progress
from codec.coding.salvage import Salvager
from codec.coding.tiles import Reader
from codec.coding.windows import View
from codec.container import bitstream, source
from codec.container.damaged import read_damaged
from codec.container.source import Source
from codec.errors import DamagedError, InputError
from codec.network import host
from codec.network.session import open_session
from codec.pictures import formats, reading
from codec.pictures.formats import Pixels
from codec.pictures.info import info_of
from codec.pictures.metadata import Picture

__all__ = ["decode", "encode", "verify"]


#: what is taken as a picture
Picturelike: TypeAlias = Image.Image | NDArray[Any] | str | os.PathLike[str] | BinaryIO


def picture_of(image: Picturelike, max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS) -> Picture:
    """The picture that a caller has, and its metadata; InputError or TypeError where it is none.

    max_pixels: of a file that is to be read.
    """
    stream: Any
    if isinstance(image, Image.Image):
        stream = getattr(image, "fp", None)
        try:
            return reading.of_image(image)
        except OSError as error:  # what Pillow says of a file that it has opened, but cannot load
            if image.format == "JPEG" and stream is not None and not stream.closed and stream.seekable():
                stream.seek(0)
                return reading.load(stream, None)  # which knows of a missing end marker
            raise InputError(f"the image cannot be read: {error}") from None
    if isinstance(image, str | os.PathLike):
        try:
            return reading.load(image, max_pixels)
        except InputError as error:
            raise InputError(f"{os.fspath(image)!r}: {error}") from None
    if source.is_file(image):
        stream = image
        seekable = callable(getattr(stream, "seekable", None)) and stream.seekable()
        binary = seekable and isinstance(stream.read(0), bytes)
        return reading.load(stream if binary else io.BytesIO(source.read_file(stream)), max_pixels)
    if isinstance(image, bytes | bytearray | memoryview):
        raise TypeError("expected a picture, not bytes; those of an image file are taken as io.BytesIO(data)")
    array = np.asarray(image)
    if array.dtype == object:
        raise TypeError(f"expected a PIL image, an array, a path or a file open for bytes, not {type(image).__name__}")
    return Picture(array)


def _tell(note: str, notes: list[str] | None) -> None:
    """Say something worth knowing: to the caller's list or, without one, as a warning where the caller stands."""
    if notes is not None:
        notes.append(note)
    else:
        warnings.warn(note, stacklevel=4)


@takes(EncodeOptions)
@host.plainly
def encode(image: Picturelike, quality: float = 75.0, **options: Unpack[EncodeKeywords]) -> bytes:
    """Encode a picture to the bytes of an .irc file.

    image: PIL image, the path of a picture or a file open for bytes, each treated as the command `irc encode` does:
    turned as its EXIF says, with profile, EXIF and XMP, other modes than L, LA, RGB, RGBA and I;16 converted, and notes
    of what is converted or left out. Or a uint8 or uint16 array: H,W (grey), H,W,2 (grey, alpha), H,W,3 (RGB) or H,W,4
    (RGB, alpha). Alpha is kept without loss, whatever the quality; colour under alpha 0 is not kept: a smooth
    continuation of what lies around it is coded in its place.

    OPTIONS

    Raises InputError, TargetError, WeightsError, ValueError, TypeError.

        >>> import numpy as np
        >>> data = encode(np.zeros((8, 8, 3), np.uint8), quality=50)
        >>> decode(data, array=True).shape
        (8, 8, 3)
    """
    asked = EncodeOptions.of("encode", quality=quality, **options)
    taken = picture_of(image, asked.max_pixels)
    for note in taken.notes:
        _tell(note, asked.notes)
    colour, alpha = formats.split(taken.pixels)
    extras = taken.chunks() | dict(asked.extras or {})
    for kind in (bitstream.NOISE, bitstream.DRAW):  # of another file
        extras.pop(kind, None)
    session = open_session(asked.weights, asked.device)
    with Workers() as workers:
        return picture.PictureEncoder(session, (colour, alpha), asked, extras, workers).encode()


@overload
def decode(data: Source, *, array: Literal[False] = ..., **options: Unpack[DecodeKeywords]) -> Image.Image: ...
@overload
def decode(data: Source, *, array: Literal[True], **options: Unpack[DecodeKeywords]) -> Pixels: ...
@takes(DecodeOptions)
@host.plainly
def decode(data: Source, *, array: bool = False, **options: Unpack[DecodeKeywords]) -> Image.Image | Pixels:
    """Decode an .irc file to a PIL image, or to an array.

    data: its bytes, its path or a file open for bytes. The image's `info` has the metadata of the file under Pillow's
    keys (icc_profile, exif, xmp), and quality, temperature and seed that it shows.

    OPTIONS

    Raises InputError, DamagedError, WeightsError, ValueError, TypeError.

        >>> import numpy as np
        >>> data = encode(np.full((50, 70, 3), 200, np.uint8), 90)
        >>> decode(data).size, decode(data, region=(60, 0, 10, 5)).size, decode(data, scale=8).size
        ((70, 50), (10, 5), (9, 7))
    """
    asked = DecodeOptions.of("decode", array=array, **options)
    data = source.read_source(data)
    if asked.salvage:
        found = read_damaged(data, asked.max_pixels)
        reader: Reader = Salvager(open_session(found.file.header.weights, asked.device), found)
    else:
        reader = Reader.of(data, asked.max_pixels, asked.device)
    header, region = reader.file.header, reader.layout.region(asked.region)
    view = View(
        reader.file.quantisation,
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
        if note:
            _tell(note, asked.notes)
    if asked.array:
        return pixels
    out = formats.to_image(pixels)
    out.info.update(info_of(reader.file, asked.temperature, asked.seed))
    return out


@host.plainly
def verify(
    data: Source, *, max_pixels: int | None = bitstream.DEFAULT_MAX_PIXELS, progress: Progress | None = None
) -> None:
    """Decode latent and alpha, compare the latent's checksum; raises what `decode` would, else returns nothing.

    data: as `decode` takes it.

    >>> import numpy as np
    >>> verify(encode(np.zeros((8, 8, 3), np.uint8)))
    """
    reader = Reader.of(source.read_source(data), max_pixels)
    with Workers() as workers:
        picture.verify(reader, workers, progress)

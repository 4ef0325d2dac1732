"""Pictures from ordinary image files, by way of Pillow.

:func:`load` hands out grey or RGB of 8 or 16 bits, with alpha where there is some, or
raises :class:`~codec.errors.InputError` with one line that says why not and what to do;
everything that the file states stands in ``Picture.account``, with what became of it.
:func:`of_image` does the same with an image that is open in Pillow.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from codec.container.bitstream import DEFAULT_MAX_PIXELS, check_pixels
from codec.errors import InputError
from codec.pictures import (
    colour,
    cut_jpeg,
    eight_bits,
    foreign,
    formats,
    jxl_head,
    layout,
    parts,
    sixteen_bits,
    tiff_samples,
)
from codec.pictures.account import Account
from codec.pictures.gather import gather
from codec.pictures.metadata import Picture
from codec.pictures.opening import opened
from codec.pictures.parts import Parts

# Named, because Pillow's full list has formats that start other programs (EPS) or are
# drawings rather than pictures.
READ_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "TGA",
    "JPEG2000", "QOI", "ICO", "PCX", "SGI", "DDS",
)  # fmt: skip


def suffixes() -> frozenset[str]:
    """The suffixes of files that may be pictures, in lower case, with their dots."""
    Image.init()
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name in READ_FORMATS) | foreign.SUFFIXES


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


def _name(stream: BinaryIO) -> str | None:
    """The name of an open file, None where it has none; that of a pipe may be a number."""
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else None


def _load(stream: BinaryIO, max_pixels: int | None) -> Picture:
    name: str | None = None
    try:
        if not stream.read(1):
            raise InputError("the file is empty")
        stream.seek(0)
        head, name = foreign.head_of(stream), _name(stream)
        if maker := foreign.raw_of(stream, head, name):
            raise foreign.refusal(maker)
        reader = foreign.reader_of(head)
        taken = [reader.ready()] if reader else READ_FORMATS

        def reopen() -> ImageFile.ImageFile:
            try:
                return opened(stream, taken)
            except UnidentifiedImageError:
                if tiff := tiff_samples.opened(stream):
                    return tiff
                raise

        with reopen() as image:
            check_pixels(*image.size, max_pixels)
            stated = parts.of_file(stream, image.format)
            if not stated.ended:
                return _load_cut(stream, max_pixels)
            account = Account()
            _frames(image, account)
            picture = _read(image, stated, reopen, account)
            check_pixels(*image.size, max_pixels)
            return picture
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        if maker := foreign.by_name(name):
            raise foreign.refusal(maker) from None
        raise InputError(_unknown(stream)) from None
    except Image.DecompressionBombError:
        raise InputError("more pixels than Pillow's own limit, which is another for each format, allows") from None
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the image cannot be read: {text}") from None


def _unknown(stream: BinaryIO) -> str:
    """What is said of a file that nobody can open."""
    stream.seek(0)
    if stream.read(4) in tiff_samples.SIGNATURES:
        return "a TIFF of a layout that is not supported; convert it to PNG or RGB TIFF of 8 or 16 bits first"
    return "not an image, or one of a format that is not supported"


def _load_cut(stream: BinaryIO, max_pixels: int | None) -> Picture:
    """The picture of a JPEG file without its end marker."""
    picture = _load(cut_jpeg.with_end(stream), max_pixels)
    picture.account.convert("samples", cut_jpeg.NOTE)
    return picture


def of_image(image: Image.Image) -> Picture:
    """The picture that a PIL image is: turned as its EXIF data says, with its profile and metadata.

    Of an image that is open, but not loaded yet, the file is asked for what Pillow does not tell, such as the low bytes
    of 16-bit colour; it is loaded then, as by any other use. Nothing else of the image changes. InputError, with the
    remedy, for modes and colours that are not taken.
    """
    if maker := foreign.raw_of_image(image):
        raise foreign.refusal(maker)
    stream = getattr(image, "fp", None)
    fresh = isinstance(image, ImageFile.ImageFile) and image.tile and stream is not None and stream.seekable()
    if not fresh:
        return _read(image, parts.of_loaded(image), None, Account())
    frame, file = image.tell(), cast(BinaryIO, stream)
    stated = parts.of_file(file, image.format)
    # Pillow closes the file as it loads the image; the low bytes of deep samples are read after that
    copy: BinaryIO = (
        io.BytesIO(sixteen_bits.file_of(cast(ImageFile.ImageFile, image))) if sixteen_bits.is_deep(image) else file
    )

    def reopen() -> ImageFile.ImageFile:
        again = opened(copy, [image.format] if image.format else READ_FORMATS)
        again.seek(frame)
        return again

    return _read(image, stated, reopen, Account())


def _frames(image: Image.Image, account: Account) -> None:
    """Say which of several pictures in a file is used."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        account.drop("frames", f"only the first of {frames} frames is used")
    sizes = image.info.get("sizes", ())
    if image.format == "ICO" and len(sizes) > 1:
        account.drop("frames", f"only the largest of {len(sizes)} sizes is used")


def _read(
    image: Image.Image, stated: Parts, reopen: Callable[[], ImageFile.ImageFile] | None, account: Account
) -> Picture:
    """The picture, and the account of everything that its file states.

    reopen: opens the same file once more, None where there is none or the pixels are decoded already.
    """
    names = layout.names_of(image, stated)
    if image.format == "JXL" and jxl_head.of_bytes(stated.first("JXL head") or b"").animated:
        account.drop("frames", "only the last frame is used: pillow-jxl-plugin gives no other of an animation")
    lost = sixteen_bits.lost_depth(image, stated) if reopen is None else 0
    if bits := lost or sixteen_bits.cut_to_8(image, stated):
        account.convert("samples", f"{bits} bits a sample were read as 8")
    if reopen is not None and isinstance(image, ImageFile.ImageFile) and sixteen_bits.is_deep(image):
        pixels: NDArray[Any] = sixteen_bits.read(image, stated, reopen, account)
        icc = colour.profile_of(image, stated, account)
    else:
        image.load()
        sixteen_bits.refuse_wrapped(image, stated)
        icc = colour.profile_of(image, stated, account)
        pixels, icc = eight_bits.read(image, stated, icc, account)
    names += [name for name in layout.names_of(image, stated) if name not in names]  # more is known once it is loaded
    found = gather(image, stated, account)
    pixels = formats.turned(pixels, found.to_turn)
    pixels, icc = colour.fitted(eight_bits.without_opaque_alpha(pixels, account), icc, account)
    picture = Picture(pixels, icc=icc, account=account)
    found.put_into(picture, account)
    if stated.trailing and image.format != "MPO":
        account.drop("trailing data", f"{stated.trailing} bytes after the end of the picture are not kept")
    layout.say_doubled(image, stated, account)
    layout.pass_over(image, account)
    account.settle("metadata", names)
    return picture

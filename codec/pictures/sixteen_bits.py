"""Pictures of 16 bits a sample, which Pillow has no modes for beyond grey: read through it, written as PNG or PPM.

Pillow decodes 16-bit colour to the high bytes only. Told that the bytes of a sample are in the other order, the same
decoder gives the low ones; both together are the samples.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from codec.errors import InputError
from codec.pictures import jxl_head, tiff_samples
from codec.pictures.account import Account
from codec.pictures.parts import Parts
from codec.pictures.transparency import key_of, with_key

Samples = NDArray[np.uint16]
_SWAPPED = {f"{kind};16B": f"{kind};16L" for kind in ("RGB", "RGBA")}
_LITTLE = 1 << 14  #: samples that stay below fill a quarter of the range, or less
REMEDY = "convert it to PNG or TIFF of 8 or 16 bits first"


def _raw_modes(image: Image.Image) -> set[str]:
    """The names by which Pillow's decoders know the layout of the samples in the file."""
    arguments = (t[3] if isinstance(t[3], tuple) else (t[3],) for t in getattr(image, "tile", ()))
    return {a for given in arguments for a in given[:1] if isinstance(a, str)}


def is_deep(image: Image.Image) -> bool:
    """Whether an opened, not yet loaded image has more than 8 bits a sample, or is a TIFF that Pillow does not read."""
    if tiff_samples.takes(image):
        return True
    if image.mode.startswith("I") or image.mode == "F" or any(";16" in raw for raw in _raw_modes(image)):
        return True
    if image.format == "TIFF":
        bits: tuple[int, ...] = getattr(image, "tag_v2", {}).get(258, (8,))
        return max(bits) > 8
    return _ppm_largest(image) > 255


def _ppm_largest(image: Image.Image) -> int:
    """The largest sample of a PPM or PGM file; 0 for other formats."""
    tile = next(iter(getattr(image, "tile", ())), None)
    if tile is None or not tile[0].startswith("ppm") or not isinstance(tile[3], tuple):
        return 0
    return tile[3][-1] if isinstance(tile[3][-1], int) else 0


def read(
    image: ImageFile.ImageFile, stated: Parts, reopen: Callable[[], ImageFile.ImageFile], account: Account
) -> Samples:
    """H,W[,C] uint16 of a deep image, not turned by its orientation yet.

    `reopen` opens the same image once more. InputError, with the remedy, for depths and layouts that are not taken.
    """
    if tiff_samples.takes(image):
        samples = tiff_samples.read(image, file_of(image), account)
    else:
        samples = _read(image, reopen)
        key = key_of(image, stated)
        samples = samples if key is None or samples.shape[2:] not in ((), (3,)) else with_key(samples, key, account)
    if samples.dtype == np.uint16:
        _note_range(samples, account)
    return samples


def file_of(image: ImageFile.ImageFile) -> bytes:
    """The bytes of the file that an image is opened from; its position is what it was before."""
    stream = image.fp
    if stream is None:
        raise InputError("the image cannot be read: it is closed")
    place = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(place)
    return data


def _note_range(samples: Samples, account: Account) -> None:
    """Say where samples fill little of the 16 bits, as those of cameras of 12 bits do that nobody has scaled."""
    colour = samples if samples.ndim == 2 else samples[..., : samples.shape[2] - 1 + samples.shape[2] % 2]
    low, high = int(colour.min()), int(colour.max())
    if low < high and (high < _LITTLE or high - low < _LITTLE // 4):
        account.convert(
            "samples", f"the samples lie between {low} and {high} of 65535; qualities are meant for the whole range"
        )


def _read(image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile]) -> Samples:
    raw = _raw_modes(image)
    if image.format == "PPM" and raw != {"I;16B"}:
        return _read_ppm(image)
    if image.format != "TIFF":
        image.load()
        if image.mode.startswith("I;16") or raw == {"I;16B"}:
            return np.asarray(image).astype(np.uint16)
        if raw == {"LA;16B"}:
            four = np.asarray(_as(reopen(), {"LA;16B": "RGBA"})).astype(np.uint16)
            return four[..., ::2] << np.uint16(8) | four[..., 1::2]
        if raw in ({"RGB;16B"}, {"RGBA;16B"}):
            high = np.asarray(image).astype(np.uint16)
            return high << np.uint16(8) | np.asarray(_as(reopen(), _SWAPPED)).astype(np.uint16)
    layout = ", ".join(sorted(raw)) or image.mode
    raise InputError(f"samples of this kind ({image.format}, {layout}) are not supported; {REMEDY}")


def _as(image: ImageFile.ImageFile, modes: dict[str, str]) -> ImageFile.ImageFile:
    """The opened image, its samples to be decoded as if they were laid out in another way."""

    def renamed(arguments: Any) -> Any:  # of a decoder: the mode, alone or before others
        return (modes[arguments[0]], *arguments[1:]) if isinstance(arguments, tuple) else modes[arguments]

    image.tile = [part._replace(args=renamed(part.args)) for part in image.tile]
    return image


def _read_ppm(image: ImageFile.ImageFile) -> Samples:
    tile, stream = image.tile[0], image.fp
    if tile[0] != "ppm" or _ppm_largest(image) != 65535 or image.mode != "RGB":
        raise InputError(f"PPM with samples up to {_ppm_largest(image)} is not supported; {REMEDY}")
    if stream is None:
        raise InputError("the image cannot be read: it is closed")
    stream.seek(tile[2])
    data = stream.read(6 * image.width * image.height)
    if len(data) < 6 * image.width * image.height:
        raise InputError("the image cannot be read: the file is truncated")
    return np.frombuffer(data, ">u2").astype(np.uint16).reshape(image.height, image.width, 3)


def cut_to_8(image: Image.Image, stated: Parts) -> int:
    """The bits a sample of an AVIF, HEIF, JPEG XL, JPEG 2000 or SGI file that is decoded to 8 only; 0 where it is not.

    Pillow does not say, so the file is asked: boxes `av1C` and `pixi`, JPEG 2000's SIZ marker, SGI's header.
    """
    bits = 8
    if image.format in ("AVIF", "HEIF"):
        pixi = stated.of_primary("pixi") or b""  # version and flags, number of channels, bits of each
        bits = max(pixi[5:], default=8)
        for box in stated.all("property av1C"):
            if len(box) > 2 and box[2] & 0x40:
                bits = max(bits, 12 if box[2] & 0x20 else 10)
    elif image.format == "JPEG2000" and not image.mode.startswith("I"):
        size = stated.first("SIZ") or b""
        if len(size) > 36:
            bits = max((b & 0x7F) + 1 for b in size[36::3])
    elif image.format == "JXL":
        bits = jxl_head.of_bytes(stated.first("JXL head") or b"").bits
    elif image.format == "SGI":
        bits = 16 if (stated.first("SGI header") or b"")[3:4] == b"\2" else 8
    return bits if bits > 8 else 0


def refuse_wrapped(image: Image.Image, stated: Parts) -> None:
    """InputError for a loaded JPEG 2000 of more than 8 bits in which black may be white.

    Pillow rounds such samples to 8 bits without a limit, so that the largest become 0. Where no sample is 0, none has;
    in YCbCr, which is converted after that, it cannot be seen.
    """
    if image.format != "JPEG2000" or not cut_to_8(image, stated):
        return
    size = stated.first("SIZ") or b""
    ycc = any(box[3:7] == b"\0\0\0\x12" for box in stated.all("colr")) or {*size[37::3], *size[38::3]} != {1}
    if ycc or 0 in np.asarray(image):
        raise InputError(
            "in a JPEG 2000 of more than 8 bits Pillow takes the brightest samples for black; "
            "convert it to PNG or TIFF first"
        )


def lost_depth(image: Image.Image, stated: Parts) -> int:
    """The bits a sample of a PNG or TIFF whose image is loaded already, so that its low bytes are gone; else 0."""
    if image.mode.startswith("I"):
        return 0
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    bits = int(max(tags.get(258, (0,)), default=0) or (stated.first("IHDR") or bytes(9))[8])
    return bits if bits > 8 else 0


# --- writing -------------------------------------------------------------------------------------


def ppm(samples: Samples) -> bytes:
    """A binary PGM (H,W) or PPM (H,W,3) file of 16 bits."""
    height, width = samples.shape[:2]
    return b"P%d %d %d 65535\n" % (5 if samples.ndim == 2 else 6, width, height) + samples.astype(">u2").tobytes()


def png(samples: Samples, icc: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None) -> bytes:
    """A PNG file of 16 bits: H,W grey, H,W,2 grey and alpha, H,W,3 RGB, H,W,4 RGBA."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))]
    if icc:
        parts.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if exif:
        parts.append(_chunk(b"eXIf", exif))
    if xmp:
        parts.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    parts += [_chunk(b"IDAT", _packed(samples.reshape(height, width * channels), 2 * channels)), _chunk(b"IEND", b"")]
    return b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))))


def _packed(samples: Samples, unit: int) -> bytes:
    """Rows through PNG's filter "average" (for photos within a few percent of choosing row by row) and zlib.

    unit: bytes a pixel.
    """
    out, packer = [], zlib.compressobj(6)
    above = np.zeros((1, 2 * samples.shape[1]), np.uint8)
    for start in range(0, len(samples), 64):  # some rows at a time: the sums need more room than the samples
        rows = samples[start : start + 64].astype(">u2").view(np.uint8)
        mean = np.concatenate([above, rows[:-1]]).astype(np.uint16)
        mean[:, unit:] += rows[:, :-unit]
        filtered = np.full((len(rows), rows.shape[1] + 1), 3, np.uint8)
        filtered[:, 1:] = rows - (mean >> 1).astype(np.uint8)
        out.append(packer.compress(filtered.data))
        above = rows[-1:]
    return b"".join([*out, packer.flush()])

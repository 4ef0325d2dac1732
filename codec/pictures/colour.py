"""The colour of a picture: the ICC profile that goes with its samples.

Where a file describes its colour without a profile, a small one is made that says the same (`codec.pictures.icc`),
since a profile is what an .irc file has room for. What holds where a file describes its colour twice: a profile, then
H.273's numbers (PNG's cICP, nclx), PNG's sRGB, its gAMA and cHRM, TIFF's primaries, EXIF. (PNG's specification has cICP
before the profile; most readers do not know it yet, and it is kept by none of the formats that are written.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.errors import InputError
from codec.pictures import code_points
from codec.pictures.account import Account
from codec.pictures.icc import ADOBE_RGB, ALIKE, D65, SRGB, SRGB_CURVE, Curve, Point, Space
from codec.pictures.parts import Parts

_PROFILE_NAMES = ("icc_profile", "iCCP", "APP2 ICC", "ICCP", "tag 34675", "extension ICCRGBG1012")
_EXIF_IFD, _INTEROP_IFD = 0x8769, 0xA005
_COLOR_SPACE, _GAMMA, _WHITE, _PRIMARIES, _TRANSFER = 0xA001, 0xA500, 318, 319, 301
#: names by which a file states its colour, all claimed at once: what is not used of them contradicts what is
_STATED = (
    "gamma", "gAMA", "chromaticity", "cHRM", "cICP", "srgb", "sRGB", "property colr", "colr", "tag 318", "tag 319",
    "tag 301", "nclx_profile", "BMP colour space", "BMP profile", "QOI colour space", "TGA gamma",
)  # fmt: skip
_MOST_TABLE = 4096  #: entries of a curve; a longer table of a file is thinned out to as many


def profile_of(image: Image.Image, stated: Parts, account: Account) -> bytes | None:
    """The profile of the samples: the file's own, or one made of what else the file says; None is sRGB.

    InputError, with what to do, for colour that cannot be kept (PQ, HLG, logarithmic curves).
    """
    grey = image.mode in ("1", "L", "LA", "La", "I") or image.mode.startswith("I;16")
    own = image.info.get("icc_profile") or _embedded(image, stated)
    if isinstance(own, (bytes, bytearray)) and own:
        account.keep("colour", *_PROFILE_NAMES, *_STATED)
        if (stated.first("cICP") or b"\0\0")[1] in (16, 18):
            account.drop("colour", "the file also says PQ or HLG (cICP), which is not kept: its profile is", "cICP")
        return bytes(own)
    if held := [name for name in _PROFILE_NAMES if name in stated.names]:
        account.drop("colour", "the colour profile is damaged and was dropped", *held)
    for space in _described(image, stated, account):
        if space.alike(SRGB, grey):
            account.keep("colour", *_STATED)
            return None
        try:
            profile = space.profile(grey)
        except (ValueError, ZeroDivisionError, struct.error):
            account.drop("colour", "the colour that the file states is of no colour space there is: taken as sRGB")
            return None
        account.convert("colour", f"the colour that the file states was kept as an ICC profile: {space.name}", *_STATED)
        return profile
    account.keep("colour", *_STATED)
    return None


def _embedded(image: Image.Image, stated: Parts) -> bytes | None:
    """A profile that Pillow does not hand out."""
    if image.format == "JPEG2000":
        return next((box[3:] for box in stated.all("colr") if box[:1] in (b"\2", b"\3")), None)
    if image.format in ("BMP", "DIB"):
        return stated.first("BMP profile")
    return stated.first("extension ICCRGBG1012")


def _described(image: Image.Image, stated: Parts, account: Account) -> Iterator[Space]:
    """The colour spaces that the file describes, the one that holds first."""
    yield from _by_numbers(image, stated, account)
    yield from _of_png(image, stated, account)
    yield from _of_headers(image, stated, account)
    yield from _of_exif(image, account)


def _by_numbers(image: Image.Image, stated: Parts, account: Account) -> Iterator[Space]:
    numbers = None
    if png := stated.first("cICP"):
        numbers = png[:2]
        if len(png) > 3 and png[3] == 0:
            raise InputError(
                "the samples are of narrow range (cICP), which is not supported; convert to full range first"
            )
    elif box := stated.of_primary("colr", b"nclx"):
        numbers = box[5:6] + box[7:8]
    if numbers and len(numbers) == 2 and tuple(numbers) != (2, 2):
        space = code_points.space_of(*numbers)
        if space is None:
            account.drop(
                "colour", "colour of primaries {} and transfer {} is not known: taken as sRGB".format(*numbers)
            )
        else:
            yield space


def _of_png(image: Image.Image, stated: Parts, account: Account) -> Iterator[Space]:
    """By PNG's chunks sRGB, gAMA and cHRM; of an image without its file, by what Pillow has made of them."""
    srgb, gamma, points = stated.first("sRGB"), stated.first("gAMA"), stated.first("cHRM")
    info = image.info
    if srgb is not None or isinstance(info.get("srgb"), int):
        yield SRGB
        return
    power = int.from_bytes(gamma[:4], "big") / 100000 if gamma else info.get("gamma")
    numbers = [n / 100000 for n in struct.unpack(">8I", points[:32])] if points and len(points) >= 32 else None
    numbers = numbers or info.get("chromaticity")
    if not isinstance(power, float) or power == 0:
        power = None
    if not isinstance(numbers, (tuple, list)) or len(numbers) != 8:
        numbers = None
    if power is None and numbers is None:
        return
    # 1/2.2 is what the specification has written for sRGB's curve, for readers that know of powers only
    curve = SRGB_CURVE if power is None or abs(power - 1 / 2.2) < 1e-3 else Curve(1 / power)
    pairs: list[Point] = [*zip(numbers[::2], numbers[1::2])] if numbers else [*SRGB.points]
    yield Space(_name(pairs, curve), tuple(pairs), (curve,))


def _name(points: list[Point], curve: Curve) -> str:
    """Words for primaries and curve."""
    if curve is SRGB_CURVE:
        bend = "sRGB's curve"
    elif curve.table:
        bend = "a curve of its own"
    else:
        bend = "linear light" if curve.power == 1 else f"gamma {curve.power:.3g}"
    for name, *known in code_points.PRIMARIES.values():
        if all(abs(a - b) <= ALIKE for p, q in zip(points, known) for a, b in zip(p, q)):
            return "Display P3" if (name, curve) == ("P3", SRGB_CURVE) else f"{name} primaries, {bend}"
    return f"primaries of its own, {bend}"


def _of_headers(image: Image.Image, stated: Parts, account: Account) -> Iterator[Space]:
    """By the header of BMP (version 4), QOI or JPEG 2000, and by tags of a TIFF."""
    if bmp := stated.first("BMP colour space"):
        yield from _of_bmp(bmp, account)
    over, under = struct.unpack("<HH", stated.first("TGA gamma") or bytes(4))
    if over and under and over != under:  # the specification leaves open of what it is the exponent
        account.drop("colour", f"the gamma of {over / under:.3g} that the file states is not kept")
    if stated.first("QOI colour space") == b"\1":  # so does Pillow, whatever it saves
        account.drop(
            "colour", "the file says that its samples are linear light, as some programs always do: taken as sRGB"
        )
    kinds = {box[3:7] for box in stated.all("colr") if box[:1] == b"\1"}
    unknown = kinds - {(n).to_bytes(4, "big") for n in (0, 12, 15, 16, 17, 18)}
    if unknown:
        raise InputError(
            "colour of another kind than grey, sRGB and sYCC is not supported; convert the image to RGB first"
        )
    if image.format == "TIFF":
        yield from _of_tags(getattr(image, "tag_v2", {}), account)


def _of_bmp(header: bytes, account: Account) -> Iterator[Space]:
    """By the fields of BITMAPV4HEADER from bV4CSType on."""
    kind = header[:4][::-1]
    if kind == b"LINK":
        account.drop("colour", "the file names a colour profile elsewhere, which is not kept")
    if kind != bytes(4) or len(header) < 52 or not any(header[4:52]):
        return
    numbers = struct.unpack("<9i3I", header[4:52])
    columns = [np.array(numbers[i : i + 3], float) / (1 << 30) for i in (0, 3, 6)]
    sums = [column.sum() for column in columns]
    white = np.sum(columns, axis=0)
    if min(sums) <= 0 or min(numbers[9:]) <= 0:
        account.drop("colour", "the colour that the file states is of no colour space there is: taken as sRGB")
        return
    pairs = [(float(c[0] / c.sum()), float(c[1] / c.sum())) for c in (white, *columns)]
    curves = tuple(Curve(n / 65536) for n in numbers[9:])
    yield Space(_name(pairs, curves[1]), tuple(pairs), curves)


def _of_tags(tags: Any, account: Account) -> Iterator[Space]:
    """By the tags WhitePoint, PrimaryChromaticities and TransferFunction of TIFF 6.0, section 20."""
    white, primaries, table = (_numbers(tags.get(tag)) for tag in (_WHITE, _PRIMARIES, _TRANSFER))
    points = (*(white or D65), *(primaries or sum(SRGB.points[1:], ())))
    pairs = [*zip(points[::2], points[1::2])]
    # without a function the specification has gamma 2.2; but programs that state sRGB's primaries alone mean sRGB
    srgb = all(abs(a - b) <= ALIKE for p, q in zip(pairs, SRGB.points) for a, b in zip(p, q))
    curves = _tables(table) if table else (SRGB_CURVE if srgb else Curve(2.2),)
    if (primaries or table) and len(points) == 8 and curves:
        yield Space(_name(pairs, curves[0]), tuple(pairs), curves)
    elif primaries or table or (white and any(abs(a - b) > ALIKE for a, b in zip(white, D65))):
        account.drop("colour", "tags that state part of a colour space are not kept: taken as sRGB")


def _numbers(value: Any) -> tuple[float, ...]:
    """The numbers of a tag; none where it is not there, or is a text."""
    try:
        return tuple(float(n) for n in (value if isinstance(value, tuple) else (value,)))
    except (TypeError, ValueError, ZeroDivisionError):
        return ()


def _tables(values: Any) -> tuple[Curve, ...]:
    """One curve or three of the tag TransferFunction; none where its length is not that of a table."""
    for count in (1, 3):
        entries, rest = divmod(len(values), count)
        if not rest and entries > 1 and entries & (entries - 1) == 0:
            at = np.linspace(0, entries - 1, min(entries, _MOST_TABLE)).round().astype(int)
            table = np.array(values, np.uint16).reshape(count, entries)[:, at]
            return tuple(Curve(table=tuple(int(n) for n in row)) for row in table)
    return ()


def _of_exif(image: Image.Image, account: Account) -> Iterator[Space]:
    """By EXIF's ColorSpace, with the DCF's option for Adobe RGB, and its primaries."""
    try:
        exif = image.getexif()
        own = exif.get_ifd(_EXIF_IFD)
        kind, interop = own.get(_COLOR_SPACE), exif.get_ifd(_INTEROP_IFD).get(1)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF data: said where it is read
        return
    if kind == 2 or (kind == 0xFFFF and str(interop or "").startswith("R03")):
        yield ADOBE_RGB
    elif kind == 0xFFFF:
        found = [*_of_tags(exif, account)] if image.format != "TIFF" else []
        if found and isinstance(own.get(_GAMMA), (int, float)) and own[_GAMMA] > 0:
            found = [Space(found[0].name, found[0].points, (Curve(float(own[_GAMMA])),))]
        yield from found
        if not found:
            account.drop(
                "colour", "EXIF says that the colour is uncalibrated, and nothing says what it is: taken as sRGB"
            )


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

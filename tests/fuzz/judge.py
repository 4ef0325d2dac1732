"""Whether a picture has come through as it was: Pillow on the input beside Pillow on what irc makes of it.

Where they differ, a note must say so. What is compared: size, pixels, alpha, whether there is colour, colour profile,
colour stated without one, EXIF tag by tag, XMP, resolution, and words that stand in any metadata.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from containers import taken_apart
from PIL import Image, ImageOps

from codec.batch import Decoder, Encoder
from codec.errors import InputError
from codec.pictures import reading, writing
from codec.pictures.metadata import Picture

_READ = [kind for kind in reading.READ_FORMATS if kind != "MPO"]  # which Pillow opens as JPEG
_WORD = re.compile(rb"tok[0-9a-f]{8}")
_SRGB_GAMMA = (1 / 2.2, 0.01)
_SRGB_POINTS = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_TIFF_LAYOUT = {332, *range(254, 267), 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338, 339}
_POINTERS = {0x8769, 0x8825, 0xA005}
_NUMBERS = {
    b"IHDR",
    b"PLTE",
    b"tRNS",
    b"IDAT",
    b"bKGD",
    b"hIST",
    b"tIME",
    b"sBIT",
    b"sPLT",
    b"IEND",
    b"acTL",
    b"fcTL",
    b"CgBI",
    b"fdAT",
    b"iDOT",
}
_NO_RESOLUTION = ((1, 1), (0, 0), (2.54, 2.54))
#: of JPEG: tables, frames, scans; of the others what holds samples
_NO_STATEMENTS = {*(bytes([n]) for n in range(0xE0)), b"mdat", b"iinf", b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ALPH"}
_TURNING, _SIZES = {0x0112}, {0xA002, 0xA003}
_ELSEWHERE = {700, 33723, 34377, 34675, 318, 319, 301}  #: tags that become something else than EXIF data
MAX_PIXELS = 50_000  #: of mutants
LOSSY = 6.0  #: mean of pixels' differences, where something is coded with loss: at quality 95 it is 1.5
#: what is compared -> the notes that excuse a difference
EXCUSES = {
    "size": r"orientation|XMP data is no text|largest of|frames",
    "pixels": r"orientation|XMP data is no text|largest of|of \d+ frames|converted to sRGB|CMYK|extra channel|fourth byte|end marker"
              r"|premultiplied alpha",
    "alpha": r"different|extra channel|fourth byte|premultiplied|does not say",
    "grey": r"stored as RGB|for RGB",
    "profile": r"different|profile|converted to sRGB",
    "colour": r"different|colour|profile|sRGB|gamma",
    "EXIF": r"different|EXIF|not kept|dropped|thumbnail",
    "XMP": r"different|XMP|not kept",
    "resolution": r"different|resolution|dpi|pHYs|JFIF|EXIF data is damaged",
    "words": r"different|not kept|dropped|left out|only the|damaged|is kept|disagree|recoded",
}  # fmt: skip


@dataclass
class View:
    """What Pillow sees in a file."""

    format: str
    size: tuple[int, int]
    rgb: np.ndarray  #: H,W,3 int, 0 to 255
    alpha: np.ndarray  #: H,W
    grey: bool
    icc: bytes | None
    states_colour: bool
    exif: dict[int, Any]
    xmp: bytes | None
    dpi: tuple[float, float] | None
    words: set[bytes]
    known_alpha: bool = True
    orientable: bool = True  #: whether Pillow can tell the orientation
    turned: bool = False
    raw_exif: bytes | None = None
    mode: str = ""
    file_words: set[bytes] = field(default_factory=set)


def _rgba(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    return np.asarray(image.convert("RGBA"))


def words_of(data: bytes) -> set[bytes]:
    """The words of the fuzzer in a file, compressed texts and hexadecimal ones among them."""
    file = taken_apart(data) if data.startswith(b"\x89PNG") else None
    found = set() if file else set(_WORD.findall(data)) | set(_WORD.findall(data.replace(b"\0", b"")))
    for kind, payload in file.lists[0] if file else []:
        if kind in (b"zTXt", b"iTXt"):
            packed = payload.find(b"\x78")
            while packed >= 0:
                stream = zlib.decompressobj()
                try:
                    payload += b" " + stream.decompress(payload[packed:])
                    break
                except zlib.error:
                    packed = payload.find(b"\x78", packed + 1)
        if kind in _NUMBERS:
            continue
        if kind in (b"tEXt", b"zTXt"):
            digits = b"".join(re.findall(rb"^[0-9a-f]+$", payload, re.M))
            payload += b" " + bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
        found |= set(_WORD.findall(payload)) | set(_WORD.findall(payload.replace(b"\0", b"")))
    return found


def _stated_words(data: bytes, image: Image.Image, exif: dict[int, Any]) -> set[bytes]:
    """The words in what a file states: of TIFF and AVIF files what Pillow sees of them, else all of their parts."""
    file = taken_apart(data)
    if image.format == "PNG" or file is None:
        return words_of(data)
    seen = b" ".join(v if isinstance(v, bytes) else str(v).encode() for v in [*exif.values(), *image.info.values()])
    if file.form != "tiff":
        seen += b" ".join(part.data for parts in file.lists for part in parts if part.kind not in _NO_STATEMENTS)
    return set(_WORD.findall(seen)) | set(_WORD.findall(seen.replace(b"\0", b"")))


def _exif_of(image: Image.Image) -> dict[int, Any]:
    """Tags of EXIF data, those of directories below with the number of these; none of damaged data."""
    try:
        exif = image.getexif()
        found = dict(exif)
        for pointer in _POINTERS:
            found |= {(pointer << 16) + tag: value for tag, value in exif.get_ifd(pointer).items()}
    except Exception:  # Pillow raises almost anything on damaged EXIF data
        return {}
    return {tag: value for tag, value in found.items() if tag & 0xFFFF not in _POINTERS}


def _dpi_of(info: dict[Any, Any], exif: dict[int, Any]) -> tuple[float, float] | None:
    """The resolution in pixels an inch, from the file or its EXIF data."""
    given = info.get("dpi")
    by_exif = info.get("jfif_unit") == 0  # of which Pillow hands out the horizontal one
    try:
        if given is None or given in _NO_RESOLUTION or (by_exif and {282, 283} <= {*exif}):
            unit = {3: 2.54}.get(exif.get(296, 2), 1.0)
            given = float(exif[282]) * unit, float(exif[283]) * unit
        x, y = map(float, given)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 < x < 1e9 and 1 < y < 1e9 else None


def view(data: bytes) -> View | None:
    """What Pillow sees; None where it reads nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=_READ) as image:
                return _view(image, data) if image.width * image.height <= MAX_PIXELS else None
        except Exception:  # Pillow raises almost anything on damaged files
            return None


def _view(image: Image.Image, data: bytes) -> View:
    tags = dict(image.tag_v2) if image.format == "TIFF" else {}  # type: ignore[attr-defined]
    image.load()
    exif = _exif_of(image)
    before = image.size
    upright, orientable = image, True
    try:
        upright = ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data
        orientable = False
    info = image.info
    orientable &= not {"Raw profile type APP1", "Raw profile type xmp"} & {*info}  # which Pillow does not look into
    icc = info.get("icc_profile")
    gamma, points = (info.get(key) for key in ("gamma", "chromaticity"))
    if not isinstance(gamma, float):  # a text with this keyword
        gamma = None
    grey = image.mode in ("1", "L", "LA", "La", "I;16", "I")
    if grey:
        points = None
    states = (gamma is not None and gamma > 0 and abs(gamma - _SRGB_GAMMA[0]) > _SRGB_GAMMA[1]) or (
        points is not None and max(abs(a - b) for a, b in zip(points, _SRGB_POINTS)) > 0.01
    )
    states = (states and "srgb" not in info) or 319 in tags or 301 in tags
    rgba = _rgba(upright)
    deep = data[:4] == b"\x89PNG" and data[24] != 8
    if image.format == "TIFF":
        exif = {tag: value for tag, value in {**exif, **tags}.items() if tag not in _TIFF_LAYOUT | _POINTERS}
    packet = info.get("xmp")
    return View(
        image.format or "", upright.size, rgba[..., :3].astype(int), rgba[..., 3].astype(int),
        grey, icc if isinstance(icc, bytes) else None, bool(states), exif,
        packet.encode() if isinstance(packet, str) else packet, _dpi_of(info, exif), _stated_words(data, image, exif),
        known_alpha=not (deep and "transparency" in info),
        turned=before != upright.size or exif.get(0x0112, 1) != 1, raw_exif=info.get("exif"), mode=image.mode,
        orientable=orientable, file_words=words_of(data),
    )  # fmt: skip


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) != isinstance(b, tuple):
        a, b = (v if isinstance(v, tuple) else (v,) for v in (a, b))
    try:
        return bool(a == b) or (a != a and b != b) or str(a) == str(b)
    except Exception:
        return str(a) == str(b)


def differences(before: View, after: View, tolerance: float | None = None) -> dict[str, str]:
    """What is not the same: aspect -> in which way. tolerance: of the mean of pixels' differences, None for exact."""
    found: dict[str, str] = {}
    if before.size == after.size:
        found |= _pixel_differences(before, after, tolerance) if before.orientable else {}
    elif before.orientable:
        found["size"] = f"{before.size} became {after.size}"
    if before.grey and not after.grey and after.format != "WEBP":
        found["grey"] = "grey became colour"
    if before.icc and before.icc != after.icc:
        found["profile"] = f"profile of {len(before.icc)} bytes became {after.icc and len(after.icc)}"
    elif not before.icc and before.states_colour and not after.icc:
        found["colour"] = "colour that is stated without a profile is lost"
    left_out = _TURNING | _ELSEWHERE | (_SIZES if before.turned else set())
    lost = {
        tag: (value, after.exif.get(tag))
        for tag, value in before.exif.items()
        if tag & 0xFFFF not in left_out and not _alike(value, after.exif.get(tag))
    }
    if lost and before.raw_exif != after.raw_exif:
        found["EXIF"] = f"tags {str(lost)[:200]}"
    if before.xmp and (after.xmp is None or not _alike_packets(before.xmp, after.xmp)):
        found["XMP"] = f"{before.xmp[:40]!r} became {(after.xmp or b'')[:40]!r}"
    if before.dpi and (not after.dpi or np.abs(np.subtract(before.dpi, after.dpi)).max() > 0.02 * max(before.dpi)):
        found["resolution"] = f"{before.dpi} became {after.dpi}"
    if before.words - after.file_words:
        found["words"] = f"{sorted(before.words - after.file_words)} lost"
    return found


def _pixel_differences(before: View, after: View, tolerance: float | None) -> dict[str, str]:
    found = {}
    shown = (before.alpha > 0) & (after.alpha > 0)
    differ = np.abs(before.rgb - after.rgb)[shown]
    if differ.size and (differ.max() > 1 if tolerance is None else differ.mean() > tolerance):
        found["pixels"] = f"differ by {differ.mean():.1f} on average, {differ.max()} at most"
    if before.known_alpha and np.abs(before.alpha - after.alpha).max() > 1:
        found["alpha"] = f"alpha differs by {np.abs(before.alpha - after.alpha).max()}"
    return found


def _alike_packets(a: bytes, b: bytes) -> bool:
    a, b = (re.sub(rb"(tiff:Orientation\W+)\d", rb"\1", packet).rstrip(b"\0") for packet in (a, b))
    return a == b


class Findings(AssertionError):
    """What was altered silently."""


def judge(data: bytes, through_model: bool, format: str = "png") -> str:
    """What became of a file: "refused", "same", "noted"; Findings where something was altered without a word.

    through_model: encoded at quality 95 and decoded; otherwise only read, and its chunks written in this format.
    """
    before = view(data)
    try:
        if through_model:
            made = Encoder(95.0, max_pixels=MAX_PIXELS).run(io.BytesIO(data))
            out = Decoder(format).run(io.BytesIO(bytes(made.data)))
            notes, written = made.notes + out.notes, bytes(out.data)
        else:
            picture = reading.load(io.BytesIO(data), MAX_PIXELS)
            if before:
                _same_from_image(data, picture)
            again = Picture(picture.pixels)
            again.take_chunks(picture.chunks())
            stream = io.BytesIO()
            notes = picture.notes + writing.save(again, stream, f"x.{format}")
            written = stream.getvalue()
    except InputError as error:
        assert str(error) and "\n" not in str(error), f"not one line: {error!r}"
        return "refused"
    assert all(note and "\n" not in note for note in notes), f"not one line each: {notes}"
    after = view(written)
    if after is None:
        raise Findings(f"what was written is read by nobody; notes {notes}")
    if before is None:
        return "noted" if notes else "same"
    said = " | ".join(notes)
    found = differences(before, after, LOSSY if through_model or format == "jpg" else None)
    silent = {aspect: how for aspect, how in found.items() if not re.search(EXCUSES[aspect], said)}
    if silent:
        raise Findings(f"{silent}; mode {before.mode}; notes {notes}")
    return "noted" if notes else "same"


def _same_from_image(data: bytes, picture: Picture) -> None:
    """An image that is open in Pillow must give what its file gives."""
    try:
        with Image.open(io.BytesIO(data), formats=_READ) as image:
            found = reading.of_image(image)
    except InputError as error:
        raise Findings(f"read from the file, refused of an open image: {error}") from None
    for name in ("pixels", "exif", "icc", "xmp", "texts", "photoshop", "resolution"):
        if not np.array_equal(getattr(found, name), getattr(picture, name)):
            raise Findings(f"{name} of an open image is not that of its file; notes {picture.notes}")

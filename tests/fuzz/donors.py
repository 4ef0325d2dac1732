"""What is put into picture files: parts that state something of a picture, and small pictures that take them.

Texts and the like hold a word of their own (`word`), so that it can be seen what has got lost.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from containers import File, Part, tag, taken_apart
from PIL import Image, ImageCms

from codec.pictures import code_points, sixteen_bits, xmp

Random = np.random.Generator
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
P3 = code_points.DISPLAY_P3.profile()
GREY = code_points.DISPLAY_P3.profile(True)


def word(random: Random) -> bytes:
    """A word that is in no other place."""
    return b"tok%08x" % int(random.integers(1 << 32))


def one_of(random: Random, *values: Any) -> Any:
    """One of the values."""
    return values[int(random.integers(len(values)))]


def packet(random: Random) -> bytes:
    """An XMP packet."""
    turn = one_of(random, b"", b"", b' tiff:Orientation="%d"' % random.integers(0, 10))
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"%s dc:t="%s"/></rdf:RDF></x:xmpmeta>'
        % (turn, word(random))
    )


def exif(random: Random, order: str = "") -> bytes:
    """A TIFF stream with tags of its own, and EXIF's."""
    order = order or one_of(random, "<", ">")
    own = [
        tag(order, 270, 2, word(random) + b"\0"),
        tag(order, 271, 2, b"Maker\0"),
        tag(order, 282, 5, struct.pack(order + "II", 300, 1)),
        tag(order, 283, 5, struct.pack(order + "II", 300, 1)),
        tag(order, 296, 3, struct.pack(order + "H", 2)),
        tag(order, 34665, 4, bytes(4)),
    ]
    if random.random() < 0.6:
        own.insert(2, tag(order, 274, 3, struct.pack(order + "H", random.integers(1, 9))))
    within = [
        tag(order, 33434, 5, struct.pack(order + "II", 1, 60)),
        tag(order, 37500, 7, word(random) + bytes(range(40))),
        tag(order, 40961, 3, struct.pack(order + "H", one_of(random, 1, 1, 2, 65535))),
        tag(order, 40962, 4, struct.pack(order + "I", 32)),
        tag(order, 40963, 4, struct.pack(order + "I", 24)),
    ]
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    return File("tiff", [own, within], head + bytes(4)).bytes()


def resources(random: Random) -> bytes:
    """Photoshop's resources with IPTC records."""
    text = word(random)
    records = b"\x1c\x02\x78" + struct.pack(">H", len(text)) + text
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + bytes(len(records) % 2)


def _raw_profile(random: Random) -> bytes:
    name, data = one_of(
        random,
        (b"exif", b"Exif\0\0" + exif(random)),
        (b"APP1", b"Exif\0\0" + exif(random)),
        (b"xmp", packet(random)),
        (b"iptc", resources(random)),
        (b"8bim", resources(random)),
        (b"other", word(random)),
    )
    text = b"\n%s\n%8d\n%s\n" % (name, len(data), data.hex().encode())
    return b"Raw profile type %s\0\0" % name + zlib.compress(text)


def png_chunk(random: Random) -> Part:
    """A chunk for a PNG file."""
    number = struct.Struct(">I")
    makers: list[tuple[bytes, Any]] = [
        (b"gAMA", lambda: number.pack(one_of(random, 45455, 100000, 55556, 0, 1, 45400, 0xFFFFFFFF))),
        (b"cHRM", lambda: struct.pack(">8I", *one_of(random, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
            (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000), (0,) * 8, (33333,) * 8))),
        (b"sRGB", lambda: bytes([random.integers(0, 5)])),
        (b"cICP", lambda: bytes(one_of(random, (1, 13, 0, 1), (12, 13, 0, 1), (9, 16, 0, 1), (9, 14, 0, 0),
            (2, 2, 0, 1), (200, 3, 0, 1), (9, 18, 0, 1), (11, 17, 0, 1)))),
        (b"iCCP", lambda: b"p\0\0" + zlib.compress(one_of(random, SRGB, P3, GREY, P3[:200], b""))),
        (b"tRNS", lambda: bytes(random.integers(0, 256, one_of(random, 1, 2, 6, 6, 16, 256)).tolist())),
        (b"eXIf", lambda: exif(random)),
        (b"iTXt", lambda: b"XML:com.adobe.xmp\0\0\0\0\0" + packet(random)),
        (b"iTXt", lambda: b"Title\0\0\0de\0Titel\0" + word(random)),
        (b"iTXt", lambda: b"Title\0\1\0\0\0" + zlib.compress(word(random))),
        (b"tEXt", lambda: one_of(random, b"Title", b"Comment", b"exif", b"dpi", b"gamma", b"interlace", b"") + b"\0"
            + word(random)),
        (b"zTXt", lambda: b"Author\0\0" + zlib.compress(word(random))),
        (b"zTXt", lambda: _raw_profile(random)),
        (b"tEXt", lambda: b"Raw profile type xmp\0\nxmp\n%8d\n" % 44 + (b"<x>%b</x>" % word(random)).hex().encode()),
        (b"pHYs", lambda: struct.pack(">IIB", *one_of(random, (11811, 11811, 1), (2, 1, 0), (0, 0, 1), (2835, 5000, 1)))),
        (b"bKGD", lambda: bytes(6)), (b"sBIT", lambda: bytes(one_of(random, (5, 6, 5), (8, 8, 8), (1,), (3,) * 4))),
        (b"tIME", lambda: struct.pack(">HBBBBB", 2026, 1, 2, 3, 4, 5)), (b"sTER", lambda: b"\0"),
        (b"mDCV", lambda: bytes(24)), (b"cLLI", lambda: bytes(8)), (b"oFFs", lambda: bytes(9)),
        (b"pCAL", lambda: word(random) + b"\0" + bytes(10)), (b"sCAL", lambda: b"\x011.0\x002.0"),
        (b"acTL", lambda: struct.pack(">II", one_of(random, 0, 1, 2), 0)),
        (b"fcTL", lambda: struct.pack(">IIIIIHHBB", 0, 32, 24, 0, 0, 1, 1, 0, 0)),
        (b"PLTE", lambda: bytes(random.integers(0, 256, 48).tolist())), (b"caBX", lambda: word(random)),
        (b"prVt", lambda: word(random)), (b"vpAg", lambda: bytes(9)), (b"CgBI", lambda: bytes(4)),
    ]  # fmt: skip
    kind, make = one_of(random, *makers)
    return Part(kind, make())


def jpeg_segment(random: Random) -> Part:
    """A segment for a JPEG file."""
    makers: list[tuple[int, Any]] = [
        (0xE0, lambda: b"JFIF\0\1\1" + struct.pack(">BHHBB", one_of(random, 0, 1, 2, 3), one_of(random, 1, 72, 300, 0),
            one_of(random, 1, 72, 300, 2), 0, 0)),
        (0xE0, lambda: b"JFXX\0\x10thumbnail"), (0xE1, lambda: b"Exif\0\0" + exif(random)),
        (0xE1, lambda: xmp.JPEG_PREFIX + packet(random)), (0xE1, lambda: word(random) + b"\0xx"),
        (0xE1, lambda: xmp.EXTENSION_PREFIX + b"A" * 32 + struct.pack(">II", 11, 0) + word(random)),
        (0xE2, lambda: b"ICC_PROFILE\0\1\1" + one_of(random, SRGB, P3, GREY)),
        (0xE2, lambda: b"ICC_PROFILE\0" + bytes([one_of(random, 0, 1, 2), 2]) + P3[:300]),
        (0xE2, lambda: b"MPF\0II*\0" + bytes(20)), (0xE2, lambda: b"FPXR\0" + word(random)),
        (0xED, lambda: b"Photoshop 3.0\0" + resources(random)),
        (0xEE, lambda: b"Adobe\0\x64\0\0\0\0" + bytes([one_of(random, 0, 1, 2)])),
        (0xFE, lambda: word(random)), (0xFE, lambda: b"\xe4" + word(random) + b"\0"),
        (int(random.integers(0xE3, 0xF0)), lambda: one_of(random, b"Ducky\0", b"HDR_RI", b"JP", b"") + word(random)),
        (0xDD, lambda: b"\0\0"), (0xF0, lambda: word(random)), (0xEB, lambda: b"JP\0\1\0\0\0\1" + word(random)),
    ]  # fmt: skip
    marker, make = one_of(random, *makers)
    return Part(bytes([marker]), make())


def riff_chunk(random: Random) -> Part:
    """A chunk for a WebP file."""
    return one_of(
        random, Part(b"EXIF", exif(random)), Part(b"EXIF", b"Exif\0\0" + exif(random)), Part(b"XMP ", packet(random)),
        Part(b"ICCP", one_of(random, SRGB, P3, GREY)), Part(b"prVt", word(random)),
        Part(b"VP8X", bytes([one_of(random, 0x3C, 0x2C, 0x10, 0)]) + bytes(3) + b"\x1f\0\0\x17\0\0"),
        Part(b"ANIM", bytes(6)),
    )  # fmt: skip


def box(random: Random) -> Part:
    """A box, most of them properties, for an AVIF or HEIF file."""
    return one_of(
        random, Part(b"irot", bytes([random.integers(0, 5)])), Part(b"imir", bytes([random.integers(0, 3)])),
        Part(b"colr", b"nclx" + struct.pack(">HHHB", *one_of(random, (1, 13, 6, 128), (12, 13, 1, 128), (9, 16, 9, 128),
            (1, 13, 6, 0), (2, 2, 2, 128), (9, 18, 9, 128), (300, 1, 1, 128)))),
        Part(b"colr", b"prof" + one_of(random, SRGB, P3, GREY)), Part(b"colr", b"rICC" + P3),
        Part(b"pasp", struct.pack(">II", 2, 1)), Part(b"clap", struct.pack(">8I", 16, 1, 12, 1, 0, 1, 0, 1)),
        Part(b"clli", bytes(4)), Part(b"mdcv", bytes(24)), Part(b"pixi", bytes(4) + b"\3\x0a\x0a\x0a"),
        Part(b"udes", bytes(4) + word(random)), Part(b"uuid", bytes(16) + word(random)), Part(b"free", bytes(9)),
        Part(b"ispe", struct.pack(">III", 0, 16, 16)), Part(b"prVt", word(random)),
        Part(b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"),
    )  # fmt: skip


def tiff_tag(random: Random, order: str) -> Part:
    """A tag for a TIFF file or EXIF data."""

    def shorts(*values: int) -> bytes:
        return struct.pack(f"{order}{len(values)}H", *values)

    def rational(*values: int) -> bytes:
        return struct.pack(f"{order}{len(values)}I", *values)

    text = word(random) + b"\0"
    return tag(order, *one_of(
        random, (262, 3, shorts(one_of(random, 0, 1, 2, 3, 5, 6, 8))), (274, 3, shorts(int(random.integers(0, 10)))),
        (274, 4, rational(int(random.integers(1, 9)))), (338, 3, shorts(one_of(random, 0, 1, 2, 3))),
        (338, 3, shorts(2, 0)), (317, 3, shorts(one_of(random, 1, 2, 3))), (284, 3, shorts(one_of(random, 1, 2))),
        (339, 3, shorts(*[one_of(random, 1, 2, 3, 4)] * one_of(random, 1, 3))), (266, 3, shorts(one_of(random, 1, 2))),
        (277, 3, shorts(one_of(random, 1, 2, 3, 4, 5))), (258, 3, shorts(*[one_of(random, 1, 4, 8, 12, 16)] * 3)),
        (290, 3, shorts(3)), (291, 3, shorts(*range(256))), (320, 3, shorts(*range(768))), (336, 1, bytes((16, 235))),
        (280, 3, shorts(16)), (281, 3, shorts(235)), (340, 3, shorts(10)), (341, 3, shorts(100)), (532, 5, rational(*(
            16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1))), (318, 5, rational(3127, 10000, 329, 1000)),
        (319, 5, rational(68, 100, 32, 100, 265, 1000, 69, 100, 15, 100, 6, 100)), (301, 3, shorts(*(
            n * 257 for n in range(256)))), (34675, 7, one_of(random, SRGB, P3, GREY)), (700, 1, packet(random)),
        (700, 7, packet(random)), (33723, 7, resources(random)[12:]), (34377, 1, resources(random)), (270, 2, text),
        (285, 2, text), (305, 2, text), (315, 2, text), (269, 2, text), (33432, 2, text), (37724, 7, text), (65000, 2, text),
        (50000, 7, text), (40092, 1, text), (40094, 1, text.decode().encode("utf-16-le")), (37510, 7, bytes(8) + text),
        (282, 5, rational(one_of(random, 72, 300, 0), 1)), (283, 5, rational(one_of(random, 72, 150), 1)),
        (296, 3, shorts(one_of(random, 1, 2, 3, 7))), (254, 4, rational(one_of(random, 0, 1, 2, 4))),
        (255, 3, shorts(one_of(random, 1, 2, 3))), (40961, 3, shorts(one_of(random, 1, 2, 65535))), (32995, 3, shorts(1)),
        (37500, 7, text + bytes(50)), (306, 2, b"2026:01:02 03:04:05\0"), (321, 3, shorts(10, 200)),
        (346, 3, shorts(1)), (332, 3, shorts(2)), (42112, 2, text), (700, 4, rational(*range(8))), (33550, 12, bytes(24)),
    ))  # fmt: skip


def of_form(form: str, random: Random, order: str) -> Part:
    """A part for a file of this form."""
    if form == "tiff":
        return tiff_tag(random, order)
    return {"png": png_chunk, "jpeg": jpeg_segment, "riff": riff_chunk, "boxes": box}[form](random)


def seeds(photo: Image.Image) -> list[tuple[str, bytes]]:
    """Small files with much in them, by name. photo: RGB, 32 x 24 pixels."""
    random = np.random.default_rng(8)
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 32).astype(np.uint8), (24, 1)))
    veiled = photo.copy()
    veiled.putalpha(alpha)
    deep = np.asarray(photo).astype(np.uint16) * 257
    pictures = {"RGB": photo, "L": photo.convert("L"), "RGBA": veiled, "P": photo.quantize(16), "1": photo.convert("1"),
                "LA": veiled.convert("LA")}  # fmt: skip
    data = exif(random)
    full: dict[str, Any] = {"exif": b"Exif\0\0" + data, "icc_profile": SRGB, "xmp": packet(random)}
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        *(("PNG", mode, options) for mode in pictures for options in ({}, {"exif": full["exif"], "dpi": (300, 300)})),
        ("JPEG", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "RGB", full | {"comment": word(random), "dpi": (300, 300)}),
        ("JPEG", "RGB", {"progressive": True}),
        *(("WEBP", mode, {"lossless": True, "exact": True} | more) for mode in ("RGB", "RGBA") for more in ({}, full)),
        *(("AVIF", mode, {"quality": 90} | more) for mode in ("RGB", "RGBA") for more in ({}, full)),
        *(("TIFF", mode, {}) for mode in pictures), ("TIFF", "RGB", {"compression": "tiff_lzw", "dpi": (300, 300)}),
        ("TIFF", "RGB", {"compression": "tiff_adobe_deflate", "icc_profile": SRGB}),
    ]  # fmt: skip
    found = []
    for kind, mode, options in wanted:
        stream = io.BytesIO()
        pictures[mode].save(stream, kind, **options)
        found.append((f"{kind}-{mode}{'-full' if len(options) > 1 else ''}", stream.getvalue()))
    for channels, samples in ((1, deep[..., 1]), (3, deep), (4, np.dstack([deep, deep[..., :1]]))):
        found.append((f"PNG-16-{channels}", sixteen_bits.png(samples)))
        found.append((f"TIFF-16-{channels}", tiff_of(samples)))
    return [(name, data) for name, data in found if taken_apart(data) is not None]


def tiff_of(samples: np.ndarray, order: str = ">") -> bytes:
    """A TIFF file of 16 bits a sample, in one strip."""
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    data = samples.astype(order + "u2").tobytes()
    short = struct.Struct(order + "H").pack
    tags = [
        tag(order, 256, 3, short(width)), tag(order, 257, 3, short(height)), tag(order, 258, 3, short(16) * count),
        tag(order, 259, 3, short(1)), tag(order, 262, 3, short(1 if count < 3 else 2)), tag(order, 277, 3, short(count)),
        tag(order, 273, 4, struct.pack(order + "I", 8)), tag(order, 278, 3, short(height)),
        tag(order, 279, 4, struct.pack(order + "I", len(data))),
    ]  # fmt: skip
    if count == 4:
        tags.append(tag(order, 338, 3, short(2)))
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    return File("tiff", [tags], head + data + bytes(4)).bytes()

"""The strange files that tests/strange.py drives the tool over: pictures, and .irc files that are damaged or lie."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from fuzz.targets import repaired
from PIL import Image, ImageCms
from roundtrip import noise_photo

from codec import api
from codec.container import bitstream
from codec.pictures import formats, sixteen_bits

DAMAGED, INPUT, WEIGHTS = 4, 3, 5  #: exit statuses

# --- pictures --------------------------------------------------------------------------------------

SIZES = (
    (1, 1),
    (2, 1),
    (1, 2),
    (31, 33),
    (32, 32),
    (33, 64),
    (7, 700),
    (700, 7),
    (1, 20000),
    (20000, 1),
    (333, 500),
    (1025, 900),
)


def profile(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()  # type: ignore[arg-type]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pictures() -> Iterator[tuple[str, Callable[[], bytes], int]]:
    """Name, contents and the exit status of encoding it."""
    for width, height in SIZES:
        yield (
            f"size-{width}x{height}.png",
            lambda w=width, h=height: saved(Image.fromarray(noise_photo(max(h, 2), max(w, 2), 1)[:h, :w]), "PNG"),
            0,
        )
    photo = Image.fromarray(noise_photo(61, 83, 2))
    alpha = Image.fromarray(np.arange(61 * 83, dtype=np.uint8).reshape(61, 83))
    four = photo.copy()
    four.putalpha(alpha)
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"):
        kind, colour = ("TIFF" if mode == "PA" else "PNG"), four if "A" in mode else photo
        made = (
            Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 255)
            if mode == "I;16"
            else colour.convert(mode)
        )
        yield f"mode-{mode.replace(';', '')}.{kind.lower()}", lambda m=made, k=kind: saved(m, k), 0
    yield "mode-P-transparent.png", lambda: saved(photo.convert("P"), "PNG", transparency=3), 0
    yield "mode-RGB-transparent.png", lambda: saved(photo, "PNG", transparency=(0, 0, 0)), 0
    yield "mode-CMYK.jpg", lambda: saved(photo.convert("CMYK"), "JPEG"), INPUT
    yield (
        "mode-CMYK-wrong-profile.jpg",
        lambda: saved(photo.convert("CMYK"), "JPEG", icc_profile=profile("sRGB")),
        INPUT,
    )
    yield (
        "mode-LAB.tiff",
        lambda: saved(
            ImageCms.applyTransform(
                photo,
                ImageCms.buildTransform(  # type: ignore[arg-type]
                    ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
                ),
            ),
            "TIFF",
            icc_profile=profile("LAB"),
        ),
        0,
    )  # type: ignore[arg-type]
    yield "mode-YCbCr.tiff", lambda: saved(photo.convert("YCbCr"), "TIFF"), 0
    yield "mode-I.tiff", lambda: saved(photo.convert("I"), "TIFF"), INPUT
    yield "mode-F.tiff", lambda: saved(photo.convert("F"), "TIFF"), INPUT
    random = np.random.default_rng(3)
    for name, shape in (("grey", (40, 50)), ("la", (40, 50, 2)), ("rgb", (40, 50, 3)), ("rgba", (40, 50, 4))):
        yield f"png-{name}-16.png", lambda s=shape: sixteen_bits.png(random.integers(0, 65536, s, np.uint16)), 0
    yield "ppm-16.ppm", lambda: sixteen_bits.ppm(random.integers(0, 65536, (30, 20, 3), np.uint16)), 0
    for kind in (
        "BMP",
        "TGA",
        "PPM",
        "WEBP",
        "JPEG",
        "GIF",
        "TIFF",
        "QOI",
        "SGI",
        "PCX",
        "DDS",
        "ICO",
        "JPEG2000",
        "AVIF",
    ):
        if kind in Image.SAVE or Image.init() and kind in Image.SAVE:
            yield f"format-{kind}.{kind.lower()}", lambda k=kind: saved(photo, k), 0
    frames = [photo, photo.rotate(180), photo.convert("L").convert("RGB")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        yield f"animated.{kind.lower()}", lambda k=kind: saved(photo, k, save_all=True, append_images=frames[1:]), 0
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010E] = "a description"
        yield f"exif-{orientation}.jpg", lambda e=exif: saved(photo, "JPEG", exif=e), 0
    full = {"exif": exif, "icc_profile": profile("sRGB")}
    yield "all-metadata.webp", lambda: saved(photo, "WEBP", xmp=b"<x:xmpmeta/>", **full), 0
    yield "all-metadata.png", lambda: saved(four, "PNG", **full), 0
    yield "wrong-exif.jpg", lambda: saved(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), 0
    yield "wrong-profile.png", lambda: saved(photo, "PNG", icc_profile=profile("LAB")), 0
    yield "no-profile.png", lambda: saved(photo, "PNG", icc_profile=b"no profile"), 0
    for name, pixels in (
        ("black", np.zeros((50, 70, 3), np.uint8)),
        ("white", np.full((50, 70, 3), 255, np.uint8)),
        ("noise", random.integers(0, 256, (50, 70, 3), np.uint8)),
        ("checks", (np.indices((50, 70)).sum(0) % 2 * 255).astype(np.uint8)),
        ("clear", np.zeros((50, 70, 4), np.uint8)),
    ):
        yield f"content-{name}.png", lambda p=pixels: saved(Image.fromarray(p), "PNG"), 0
    plain = saved(photo, "PNG")
    for name in (
        "a b.png",
        "two\nlines.png",
        "ünï😀.png",
        "-q.png",
        "x" * 250 + ".png",
        "none",
        "wrong.jpg",
        "UPPER.PNG",
        "dots..png",
        "%s{0}.png",
    ):
        yield f"name-{name}"[-254:], lambda: plain, 0
    yield "empty.png", lambda: b"", INPUT
    yield "byte.png", lambda: b"\x89", INPUT
    yield "text.png", lambda: b"this is no picture\n" * 40, INPUT
    yield "zeros.jpg", lambda: bytes(5000), INPUT
    yield "vector.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', INPUT
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000"):
        whole = saved(photo, kind)
        for share in (0.1, 0.5, 0.9):
            yield f"truncated-{share:g}.{kind.lower()}", lambda w=whole, s=share: w[: int(len(w) * s)], INPUT
    flipped = bytearray(plain)
    flipped[len(plain) // 2] ^= 1
    yield "truncated-flip.png", lambda: bytes(flipped), INPUT
    yield (
        "bomb.png",
        lambda: (
            plain[:16]
            + (b := struct.pack(">II", 200_000, 200_000) + plain[24:29])
            + struct.pack(">I", zlib.crc32(plain[12:16] + b))
            + plain[33:]
        ),
        INPUT,
    )
    yield "trailing.png", lambda: plain + bytes(1000), 0


# --- .irc files ----------------------------------------------------------------------------------


def base_files() -> dict[str, bytes]:
    """One of one tile, one of six."""
    photo = noise_photo(70, 90, 4)
    extras = {"eXIF": b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "icCP": profile("sRGB"), "xmPP": b"<x:xmpmeta/>"}
    return {
        "one": api.encode(np.dstack([photo, photo[..., 1]]), 60, extras=extras),
        "tiles": api.encode(
            noise_photo(120, 170, 5), 60, tile=64, extras={"eXIF": extras["eXIF"]}, temperature=0.5, seed=2
        ),
    }


def damaged(name: str, data: bytes) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    """Name, bytes and the exit statuses that verifying them may have."""
    file = bitstream.read(data)
    for i, chunk in enumerate(file.chunks):
        label = f"{i}-{chunk.type}"
        start, end = chunk.offset, chunk.offset + chunk.size + bitstream.CHUNK_OVERHEAD
        for part, at in (
            ("type", start + 1),
            ("length", start + 6),
            ("high length", start + 4),
            ("payload", start + 8 + chunk.size // 2),
            ("crc", end - 1),
        ):
            broken = bytearray(data)
            broken[at] ^= 0x10
            yield f"{label}-flip-{part}", bytes(broken), (DAMAGED,)
        yield f"{label}-cut-before", data[:start], (DAMAGED,)
        yield f"{label}-cut-within", data[: start + 8 + chunk.size // 2], (DAMAGED,)
        harmless = chunk.type[0].islower()  # an ancillary chunk that is missing is a file without it
        yield f"{label}-removed", data[:start] + data[end:], (0,) if harmless else (DAMAGED,)
        yield f"{label}-twice", data[:end] + data[start:end] + data[end:], (DAMAGED,)
        yield (
            f"{label}-zeroed",
            repaired(data[: start + 8] + bytes(chunk.size) + data[start + 8 + chunk.size :]),
            (0, INPUT, DAMAGED, WEIGHTS),
        )
        yield (
            f"{label}-emptied",
            repaired(data[: start + 4] + bytes(4) + data[end - 4 :]),
            (0, DAMAGED) if harmless else (DAMAGED,),
        )
        huge = bytearray(data)
        huge[start + 4 : start + 8] = b"\xff\xff\xff\xff"
        yield f"{label}-endless", bytes(huge), (DAMAGED,)
    h, tiles, extras = file.header, list(file.tiles), dict(file.extras)

    def written(
        header: bitstream.Header = h,
        parts: list[bytes] | None = None,
        more: dict[str, bytes] | None = None,
        checksums: tuple[int, ...] | None = None,
    ) -> bytes:
        return bitstream.write(header, parts or tiles, extras if more is None else more, checksums or file.checksums)

    for field, value, codes in (
        ("width", h.width + 64, (DAMAGED,)),
        ("height", 2**31 - 1, (INPUT,)),
        ("mode", 0, (0,)),
        ("quality_code", 25600, (DAMAGED,)),
        ("temperature_code", 128, (0,)),
        ("tile_size", 33, (DAMAGED,)),
        ("weights", b"none", (WEIGHTS,)),
        ("checksum", h.checksum ^ 1, (DAMAGED,)),
    ):
        header = dataclasses.replace(h, **{field: value})
        if header.grid == h.grid:
            yield f"head-{field}", written(header), codes
        else:  # the same chunks under another header
            head = bitstream.write(dataclasses.replace(header, tile_size=0), [b""])[: bitstream.HEAD_END - 4]
            body = bytearray(head + b"\0\0\0\0" + data[bitstream.HEAD_END :])
            at = bitstream.HEAD_END - 4 - 10  # tile_size, weights, checksum end the header
            struct.pack_into(">H", body, at, header.tile_size)
            yield f"head-{field}", repaired(bytes(body)), codes
    yield "version-3", data[:8] + b"\3" + data[9:], (INPUT,)
    yield "version-0", data[:8] + b"\0" + data[9:], (DAMAGED,)
    yield "signature", b"\x9cIRX" + data[4:], (INPUT,)
    yield "text-mode", data.replace(b"\r\n", b"\n"), (DAMAGED,)
    yield "7-bit", bytes(b & 0x7F for b in data), (DAMAGED,)
    yield "trailing", data + b"\0", (DAMAGED,)
    yield "twice", data + data, (DAMAGED,)
    yield "leading", b"\0" + data, (INPUT,)
    yield "zeroed-tile", written(parts=[bytes(len(t)) for t in tiles]), (DAMAGED,)
    yield "odd-tile", written(parts=[tiles[0] + b"\0", *tiles[1:]]), (DAMAGED,)
    yield "unknown-ancillary", written(more={**extras, "zzZz": b"what"}), (0,)
    many = b"".join(bitstream._chunk(f"a{a}A{b}", b"") for a in "abcdefgh" for b in "abcdefghi")
    yield "many-chunks", data[: bitstream.HEAD_END] + many + data[bitstream.HEAD_END :], (DAMAGED,)
    yield (
        "unknown-critical",
        data[: bitstream.HEAD_END] + bitstream._chunk("ZZZZ", b"") + data[bitstream.HEAD_END :],
        (DAMAGED,),
    )
    for label, payload in (
        ("alpha-not-png", b"no"),
        ("alpha-of-another-size", formats.pack_alpha(np.zeros((9, 9), np.uint8))),
        ("alpha-cut", formats.pack_alpha(np.arange(h.pixels, dtype=np.uint8).reshape(h.height, h.width))[:-40]),
        ("alpha-colour", saved(Image.new("RGB", (h.width, h.height)), "PNG")),
    ):
        yield label, written(more={bitstream.ALPHA: payload}), (DAMAGED,)
    yield "noise-short", written(more={bitstream.NOISE: b"no"}), (DAMAGED,)
    yield "draw-long", written(more={bitstream.DRAW: b"no"}), (DAMAGED,)
    yield "draw-unknown", written(more={bitstream.DRAW: b"\xff"}), (INPUT if h.temperature else 0,)
    for label, kind in (("exif", "eXIF"), ("icc", "icCP"), ("xmp", "xmPP")):
        yield f"{label}-noise", written(more={kind: np.random.default_rng(1).bytes(3000)}), (0,)
        yield f"{label}-large", written(more={kind: bytes(5 << 20)}), (0,)
    if len(tiles) > 1:
        yield (
            "tiles-swapped",
            written(
                parts=[tiles[1], tiles[0], *tiles[2:]],
                checksums=(file.checksums[1], file.checksums[0], *file.checksums[2:]),
            ),
            (DAMAGED,),
        )
        yield "tiles-repeated", written(parts=[tiles[0]] * len(tiles)), (DAMAGED,)
        yield "tile-cut", written(parts=[*tiles[:2], tiles[2][:8], *tiles[3:]]), (DAMAGED,)
        index = next(c for c in file.chunks if c.type == "TILE")
        lie = bytearray(data)
        lie[index.offset + 11] ^= 4
        yield "index-lies", repaired(bytes(lie)), (DAMAGED,)

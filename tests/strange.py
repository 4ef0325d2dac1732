"""A folder of strange files, and the tool driven over it:

    python tests/strange.py FOLDER            # some hundred files, a thousand commands
    python tests/strange.py FOLDER --few      # the part that the suite runs
    python tests/strange.py FOLDER --large    # 20000 x 5000 pixels too, through `python -m codec`

Whatever the file, a command ends in time and in bounded memory, with an exit status that is documented. If that is 0, the
picture is what it should be; if not, there is one line on standard error and no output. Each command has a process of its
own (forked, so that torch is imported once), so that a crash is seen as one.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import os
import resource
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: threads do not survive a fork
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
from PIL import Image, ImageCms  # noqa: E402
from roundtrip import noise_photo  # noqa: E402

from codec import api  # noqa: E402
from codec.container import bitstream  # noqa: E402
from codec.errors import EXIT_CODES  # noqa: E402
from codec.network.session import open_session  # noqa: E402
from codec.pictures import formats, reading, sixteen_bits  # noqa: E402
from codec.tool import cli  # noqa: E402

SECONDS = 100  #: of processor time for a command
MEGABYTES = 1200  #: resident at most, of pictures of a megapixel and less
DAMAGED, INPUT, WEIGHTS = 4, 3, 5


# --- running -------------------------------------------------------------------------------------


class Done(NamedTuple):
    """How a command ended: exit status (negative: the signal that killed it), output, errors, what it took."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float


def run(arguments: list[str]) -> Done:
    """`irc arguments` in a forked process."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            code = 99
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                code = cli.main(arguments)
                sys.stdout.flush()
            finally:
                os._exit(code)
        _, status, usage = os.wait4(child, 0)
        return _done(status, usage, out, err)


def run_alone(arguments: list[str]) -> Done:
    """`python -m codec arguments`, for what takes long."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "codec", *arguments],
            stdout=out,
            stderr=err,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return _done(status, usage, out, err)


# Linux starts a child's largest resident size at its parent's, so that no figure is below what this process has had.
def _done(status: int, usage: resource.struct_rusage, *streams: io.BufferedRandom) -> Done:
    texts = []
    for stream in streams:
        stream.seek(0)
        texts.append(stream.read().decode("utf-8", "replace"))
    return Done(
        os.waitstatus_to_exitcode(status), texts[0], texts[1], usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )


class Tool:
    """Runs commands and keeps what was wrong with how they ended."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest, self.largest = 0.0, 0.0

    def __call__(
        self, *arguments: str, output: Path | None = None, expect: tuple[int, ...] = (), alone: bool = False
    ) -> Done:
        done = (run_alone if alone else run)(list(arguments))
        self.codes[f"{arguments[0]} {done.code}"] += 1
        lines = done.err.splitlines()

        def check(holds: bool, what: str) -> None:
            if not holds:
                self.wrong.append(f"irc {' '.join(arguments)!r}: {what}; exit status {done.code}, {done.err[-500:]!r}")

        check(0 <= done.code < len(EXIT_CODES), "no documented exit status")
        check(not expect or done.code in expect, f"expected {expect}")
        check("Traceback" not in done.err and "unexpected" not in done.err, "an error that is not ours")
        notes = [line for line in lines if ": note: " in line]
        check(len(lines) - len(notes) == (done.code != 0), "not one line on standard error")
        check(all(line.startswith("irc: ") for line in lines), "a line that is not ours")
        if output is not None:
            check(output.exists() == (done.code == 0), "an output although it failed, or none")
            check(not list(output.parent.glob(".*.part")), "something half done is left")
        if not alone:
            check(done.megabytes < MEGABYTES, f"{done.megabytes:.0f} MB")
            self.slowest, self.largest = max(self.slowest, done.seconds), max(self.largest, done.megabytes)
        return done


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
FEW = (
    "size-1x1",
    "mode-L",
    "mode-RGB.",
    "mode-P-",
    "mode-CMYK.",
    "png-rgba-16",
    "exif-6",
    "truncated-0.5",
    "bomb",
    "name-two",
    "name--q",
)


def _profile(kind: str) -> bytes:
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
        lambda: saved(photo.convert("CMYK"), "JPEG", icc_profile=_profile("sRGB")),
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
            icc_profile=_profile("LAB"),
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
    full = {"exif": exif, "icc_profile": _profile("sRGB")}
    yield "all-metadata.webp", lambda: saved(photo, "WEBP", xmp=b"<x:xmpmeta/>", **full), 0
    yield "all-metadata.png", lambda: saved(four, "PNG", **full), 0
    yield "wrong-exif.jpg", lambda: saved(photo, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), 0
    yield "wrong-profile.png", lambda: saved(photo, "PNG", icc_profile=_profile("LAB")), 0
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


def check_round_trip(tool: Tool, source: Path, coded: Path) -> None:
    """What was encoded is verified, decoded at both depths, and compared."""
    given = reading.load(source).pixels
    colour, alpha = formats.split(given)
    height, width = given.shape[:2]
    tool("verify", str(coded), expect=(0,))
    again, back = coded.with_name("again.irc"), coded.with_name("back.png")
    tool("encode", "-q", "60", str(source), str(again), output=again, expect=(0,))
    if again.read_bytes() != coded.read_bytes():
        tool.wrong.append(f"{source.name}: encoding it again gives other bytes")
    for depth in (8, 16):
        tool("decode", "-f", "--depth", str(depth), str(coded), str(back), output=back, expect=(0,))
        out = reading.load(back).pixels
        new, new_alpha = formats.split(out)
        if out.shape[:2] != (height, width) or (new.ndim != colour.ndim):
            tool.wrong.append(f"{source.name}: {given.shape} became {out.shape}")
            continue
        error = ((formats.to_depth(new, 8).astype(float) - formats.to_depth(colour, 8)) ** 2).mean()
        if error > 300:
            tool.wrong.append(f"{source.name}: mean squared error {error:.0f}")
        same = (
            alpha is None
            if new_alpha is None
            else alpha is not None
            and (np.array_equal(formats.to_depth(new_alpha, depth), formats.to_depth(alpha, depth)))
        )
        if not same:
            tool.wrong.append(f"{source.name}: alpha has changed")
    back.unlink()
    again.unlink()
    small = coded.with_name("small.png")
    tool(
        "decode",
        "--scale",
        "1/8",
        "--region",
        f"{width // 2},{height // 2},1,1",
        str(coded),
        str(small),
        output=small,
        expect=(0,),
    )
    small.unlink(missing_ok=True)


# --- .irc files ----------------------------------------------------------------------------------


def base_files() -> dict[str, bytes]:
    """One of one tile, one of six."""
    photo = noise_photo(70, 90, 4)
    extras = {"eXIF": b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "icCP": _profile("sRGB"), "xmPP": b"<x:xmpmeta/>"}
    return {
        "one": api.encode(np.dstack([photo, photo[..., 1]]), 60, extras=extras),
        "tiles": api.encode(
            noise_photo(120, 170, 5), 60, tile=64, extras={"eXIF": extras["eXIF"]}, temperature=0.5, seed=2
        ),
    }


def repaired(data: bytes) -> bytes:
    """Right CRCs as far as the chunks can be followed."""
    from fuzz.targets import repaired as right

    return right(data)


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
    yield "version-2", data[:8] + b"\2" + data[9:], (INPUT,)
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


OPTIONS = (
    (),
    ("--salvage",),
    ("--scale", "1/8"),
    ("--scale", "1/2", "--salvage"),
    ("--region", "3,5,40,30"),
    ("--region", "60,60,9,8", "--salvage", "--scale", "1/4"),
    ("--depth", "16", "--strip"),
)


def check_damaged(
    tool: Tool, path: Path, codes: tuple[int, ...], options: tuple[tuple[str, ...], ...] = OPTIONS
) -> None:
    info = tool("info", "--json", str(path))
    verified = tool("verify", str(path), expect=codes)
    out = path.with_name("decoded.png")
    for option in options:
        done = tool("decode", *option, str(path), str(out), output=out)
        if not option and done.code != verified.code:
            tool.wrong.append(f"{path.name}: verify gives {verified.code}, decode {done.code}")
        if verified.code == 0 and done.code:
            tool.wrong.append(f"{path.name}: good, but decode {option} gives {done.code}: {done.err}")
        out.unlink(missing_ok=True)
    if verified.code == 0 and info.code:
        tool.wrong.append(f"{path.name}: good, but info gives {info.code}")


# --- large ---------------------------------------------------------------------------------------


def check_large(tool: Tool, folder: Path, quality: float) -> None:
    """20000 x 5000 pixels, 100 megapixels."""
    photo = noise_photo(1000, 1250, 6)
    source, coded, out = folder / "large.png", folder / "large.irc", folder / "large-out.png"
    Image.fromarray(np.tile(photo, (5, 16, 1))).save(source, compress_level=1)

    def step(*arguments: str, output: Path | None = None, codes: tuple[int, ...] = (0,)) -> None:
        done = tool(*arguments, output=output, expect=codes, alone=True)
        if done.megabytes > 2000:
            tool.wrong.append(f"{' '.join(arguments)}: {done.megabytes:.0f} MB")
        shown = " ".join(a for a in arguments if not a.startswith(str(folder)))
        print(
            f"20000 x 5000: {shown}: {done.seconds:.1f} s of processor time, {done.megabytes:.0f} MB, {done.code}",
            flush=True,
        )

    step("encode", "-q", str(quality), str(source), str(coded), output=coded)
    step("info", str(coded))
    step("decode", "--scale", "1/16", str(coded), str(out), output=out)
    step("decode", "-f", "--region", "19000,4000,1000,1000", str(coded), str(out), output=out)
    step("decode", "-f", str(coded), str(out), output=out)
    with Image.open(out) as image:
        error = max(
            float(((np.asarray(image.crop(box)).astype(float) - np.asarray(original)) ** 2).mean())
            for box in ((0, 0, 500, 500), (19500, 4500, 20000, 5000), (9800, 2300, 10300, 2800))
            for original in [
                Image.fromarray(np.tile(photo, (2, 2, 1))).crop(
                    (box[0] % 1250, box[1] % 1000, box[0] % 1250 + 500, box[1] % 1000 + 500)
                )
            ]
        )
    if error > 300:
        tool.wrong.append(f"20000 x 5000: mean squared error {error:.0f}")
    out.unlink()
    data = bytearray(coded.read_bytes())
    data[len(data) // 2] ^= 1
    coded.write_bytes(data)
    step("decode", str(coded), str(out), output=out, codes=(DAMAGED,))
    step("decode", "--salvage", "--scale", "1/8", str(coded), str(out), output=out)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files are made")
    parser.add_argument("--few", action="store_true", help="a part only")
    parser.add_argument("--large", action="store_true", help="20000 x 5000 pixels too")
    parser.add_argument("--quality", type=float, default=60, help="of the large picture")
    a = parser.parse_args(arguments)
    a.folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # of Pillow, on damaged EXIF data
    open_session()  # before the forks: weights are read once
    tool, count = Tool(), 0
    for name, make, expected in pictures():
        if a.few and not name.startswith(FEW):
            continue
        source, coded = a.folder / name, a.folder / "coded.irc"
        source.write_bytes(make())
        count += 1
        done = tool("encode", "-q", "60", str(source), str(coded), output=coded, expect=(expected,))
        if done.code == 0 == expected:
            check_round_trip(tool, source, coded)
        if not done.code and (len(coded.read_bytes()) > source.stat().st_size) != (
            "larger than its source" in done.err
        ):
            tool.wrong.append(f"{name}: {done.err} of {coded.stat().st_size} bytes from {source.stat().st_size}")
        coded.unlink(missing_ok=True)
    for base, data in base_files().items():
        for number, (name, broken, codes) in enumerate(damaged(base, data)):
            if a.few and number % 9:
                continue
            path = a.folder / f"{base}-{name}.irc"
            path.write_bytes(broken)
            count += 1
            check_damaged(tool, path, codes, OPTIONS[:2] if a.few else OPTIONS)
    if a.large:
        check_large(tool, a.folder, a.quality)
    print("\n".join(tool.wrong))
    total = sum(tool.codes.values())
    print(
        f"{count} files, {total} commands, {len(tool.wrong)} wrong; slowest {tool.slowest:.1f} s of processor time, "
        f"largest {tool.largest:.0f} MB; by exit status: {dict(sorted(tool.codes.items()))}"
    )
    return bool(tool.wrong)


if __name__ == "__main__":
    raise SystemExit(main())

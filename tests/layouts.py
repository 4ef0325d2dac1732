"""Picture files of layouts that other programs write, each read exactly, noted or refused, never wrongly:

    pip install tifffile imagecodecs pyvips-binary pyvips opencv-python-headless
    python tests/layouts.py make FOLDER     # in an environment with these writers
    python tests/layouts.py check FOLDER    # in one with irc; both may be the same

Each file has its right samples beside it (.npy). They are noise, low bytes as well as high ones, so that nothing else can
pass for them. Lossy formats are left out: what they hold only a decoder says.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
SIZE = (37, 53)
RANDOM = np.random.default_rng(4)
DEEP = RANDOM.integers(0, 65536, (*SIZE, 4), np.uint16)
DEPTHS = {8: (DEEP >> 8).astype(np.uint8), 16: DEEP}
Write = Callable[[str], None]


def of_tifffile() -> Iterator[tuple[str, np.ndarray, Write]]:
    """Byte orders, compressions, prediction, planes, tiles, channels, BigTIFF, premultiplied and unknown channels."""
    import tifffile

    packed = (None, "lzw", "deflate", "packbits", "zstd", "lzma")
    options = (
        DEPTHS.items(),
        "<>",
        packed,
        (False, True),
        (False, True),
        (None, (16, 32)),
        (1, 2, 3, 4),
        (False, True),
    )
    for (depth, samples), order, packing, predicted, planar, tile, channels, big in itertools.product(*options):
        if (predicted and not packing) or (planar and channels == 1) or (big and (tile or predicted)):
            continue
        pixels = samples[..., :channels].squeeze()
        given: dict[str, Any] = {
            "byteorder": order, "compression": packing, "predictor": 2 if predicted else None, "tile": tile, "bigtiff": big,
            "photometric": "rgb" if channels > 2 else "minisblack", "rowsperstrip": None if tile else 10, "metadata": None,
            "planarconfig": ("separate" if planar else "contig") if channels > 1 else None,
            "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
        }  # fmt: skip
        words = [
            "le" if order == "<" else "be",
            packing,
            predicted and "predicted",
            planar and "planes",
            tile and "tiles",
        ]
        name = "-".join(map(str, filter(None, ["tifffile", depth, channels, *words, big and "big"])))
        data = np.moveaxis(pixels, 2, 0) if planar else pixels
        yield f"{name}.tif", pixels, lambda path, data=data, given=given: tifffile.imwrite(path, data, **given)
    for (depth, samples), planar in itertools.product(DEPTHS.items(), (False, True)):
        data = np.moveaxis(samples, 2, 0) if planar else samples
        given = {
            "photometric": "rgb",
            "planarconfig": "separate" if planar else "contig",
            "extrasamples": ["unspecified"],
        }
        name = f"tifffile-{depth}-unknown-{'planes' if planar else 'chunky'}.tif"
        yield name, samples[..., :3], lambda path, data=data, given=given: tifffile.imwrite(path, data, **given)
    for depth, samples in DEPTHS.items():
        white = np.iinfo(samples.dtype).max - samples[..., 0]
        given = {"photometric": "miniswhite"}
        yield (
            f"tifffile-{depth}-white.tif",
            white,
            lambda path, data=samples[..., 0], given=given: tifffile.imwrite(path, data, **given),
        )


def of_vips() -> Iterator[tuple[str, np.ndarray, Write]]:
    """TIFF, PNG of all kinds, WebP, JPEG 2000 and PPM without loss."""
    import pyvips

    def image(pixels: np.ndarray) -> Any:
        grey = pixels.ndim == 2 or pixels.shape[2] < 3
        kinds = ("b-w", "srgb") if pixels.itemsize == 1 else ("grey16", "rgb16")
        return pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(interpretation=kinds[not grey])

    for (depth, samples), channels in itertools.product(DEPTHS.items(), (1, 2, 3, 4)):
        pixels = samples[..., :channels].squeeze()
        for packing, predictor, tile in itertools.product(
            ("none", "lzw", "deflate", "packbits"), ("none", "horizontal"), (False, True)
        ):
            given: dict[str, Any] = {"compression": packing, "predictor": predictor, "tile": tile}
            given |= {"tile_width": 32, "tile_height": 16}
            name = f"vips-{depth}-{channels}-{packing}-{predictor}{'-tiles' if tile else ''}.tif"
            yield name, pixels, lambda path, p=pixels, given=given: image(p).tiffsave(path, **given)
        for interlace, filters in itertools.product((False, True), ("none", "sub", "up", "avg", "paeth", "all")):
            given = {"interlace": interlace, "filter": filters}
            name = f"vips-{depth}-{channels}-{filters}{'-interlaced' if interlace else ''}.png"
            yield name, pixels, lambda path, p=pixels, given=given: image(p).pngsave(path, **given)
        if channels in (1, 3):
            yield f"vips-{depth}-{channels}.ppm", pixels, lambda path, p=pixels: image(p).ppmsave(path)
        if depth == 8 and channels > 2:
            yield (
                f"vips-{channels}.webp",
                pixels,
                lambda path, p=pixels: image(p).webpsave(path, lossless=True, exact=True),
            )
        if depth == 8:
            yield f"vips-{channels}.jp2", pixels, lambda path, p=pixels: image(p).jp2ksave(path, lossless=True)
    for bits in (1, 2, 4):
        largest = (1 << bits) - 1
        pixels = (DEPTHS[8][..., 0] >> (8 - bits)) * np.uint8(255 // largest)
        yield f"vips-grey-{bits}.png", pixels, lambda path, p=pixels, bits=bits: image(p).pngsave(path, bitdepth=bits)


def of_opencv() -> Iterator[tuple[str, np.ndarray, Write]]:
    """PNG, TIFF, JPEG 2000, WebP, BMP, PPM."""
    import cv2

    for (depth, samples), channels in itertools.product(DEPTHS.items(), (1, 3, 4)):
        pixels = samples[..., :channels].squeeze()
        swapped = pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]]
        kinds = ["png", "tif"] + (["ppm"] if channels == 3 else ["pgm"] if channels == 1 else [])
        for kind in kinds + (["bmp", "jp2"] if depth == 8 and channels < 4 else []):
            given = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if kind == "jp2" else []
            yield (
                f"opencv-{depth}-{channels}.{kind}",
                pixels,
                lambda path, p=swapped, given=given: cv2.imwrite(path, p, given),
            )


def make(folder: Path) -> None:
    """Write all files that the installed writers can."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, pixels, write in itertools.chain(of_tifffile(), of_vips(), of_opencv()):
        try:
            write(str(folder / name))
        except Exception as error:  # a library without some compression
            print(f"{name}: not written: {' '.join(str(error).split())[:90]}")
            (folder / name).unlink(missing_ok=True)
            continue
        np.save(folder / f"{name}.npy", pixels)
        count += 1
    print(f"{count} files")


def judge(path: Path) -> str:
    """What became of a file: exact, noted, refused, or WRONG."""
    from codec.errors import InputError
    from codec.pictures import reading

    right = np.load(f"{path}.npy")
    try:
        picture = reading.load(path)
    except InputError:
        return "refused"
    found = picture.pixels
    if right.ndim != found.ndim and np.ptp(right.reshape(*right.shape[:2], -1), axis=2).max() == 0:
        right = np.broadcast_to(right.reshape(*SIZE, -1)[..., :1], found.shape)  # grey in a format that has none
    if found.dtype == right.dtype and np.array_equal(found, right):
        return "noted" if picture.notes else "exact"
    if "16 bits a sample were read as 8" in picture.notes and np.array_equal(found, right >> 8):
        return "noted"
    print(f"{path.name}: WRONG {found.dtype}{found.shape} for {right.dtype}{right.shape}, notes {picture.notes}")
    return "WRONG"


def plain(path: Path) -> str:
    """What Pillow alone makes of it."""
    from PIL import Image

    right = np.load(f"{path}.npy")
    try:
        with Image.open(path) as image:
            found = np.asarray(image)
    except Exception:
        return "refused"
    return "exact" if found.dtype == right.dtype and np.array_equal(found, right) else "other"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("folder", type=Path)
    a = parser.parse_args()
    if a.what == "make":
        make(a.folder)
        return 0
    sys.path.insert(0, str(ROOT))
    warnings.simplefilter("ignore")
    paths = [path.with_suffix("") for path in sorted(a.folder.glob("*.npy"))]
    outcome, pillow = Counter(map(judge, paths)), Counter(map(plain, paths))
    print(f"{len(paths)} files: {dict(outcome)}; by Pillow's array alone: {dict(pillow)}")
    return outcome["WRONG"] > 0


if __name__ == "__main__":
    raise SystemExit(main())

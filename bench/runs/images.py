"""The images of a folder, and result files that are whole or not there."""

import functools
import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.errors import BenchError
from codec import atomic
from codec.metrics.distortion import Image8

__all__ = [
    "IMAGE_SUFFIXES",
    "fingerprint",
    "is_not_kodaks",
    "list_images",
    "machine",
    "middle",
    "mosaic",
    "read_image",
    "write_json",
]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name; a folder without any is an error."""
    if not folder.is_dir():
        raise BenchError(f"{folder} is not a folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not paths:
        raise BenchError(f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return paths


def read_image(path: Path) -> Image8:
    """Return an image as 8-bit RGB; alpha is dropped, deeper images are refused."""
    with Image.open(path) as picture:
        # Pillow would clip these to 8 bit instead of scaling them
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"mode {picture.mode}: only 8-bit images are measured")
        return np.array(picture.convert("RGB"))


def middle(image: Image8, width: int, height: int) -> Image8:
    """Return the middle of an image, at most so large."""
    top, left = (max(0, (n - size) // 2) for n, size in zip(image.shape, (height, width)))
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def mosaic(photos: Sequence[Image8], height: int, width: int, shift: int = 0) -> Image8:
    """Return a picture of whole photos side by side at their own scale, cropped at its edges.

    A photo larger than the picture is cropped to its centre. `shift` moves the photos up and to the left by so many
    pixels, so that they do not end where tiles of a codec end.
    """
    result = np.empty((height + shift, width + shift, 3), np.uint8)
    number, top = 0, 0
    while top < len(result):
        left, row = 0, len(result)
        while left < result.shape[1]:
            part = middle(photos[number % len(photos)], width, height)[: len(result) - top, : result.shape[1] - left]
            number += 1
            # a row of photos is as high as its lowest
            row = min(row, len(part))
            result[top : top + len(part), left : left + part.shape[1]] = part
            left += part.shape[1]
        top += row
    return result[shift:, shift:]


@functools.cache
def _kodak_sums() -> dict[str, str]:
    text = resources.files("bench").joinpath("data/kodak.sha256").read_text(encoding="utf-8")
    return {Path(name).stem: digest for digest, name in (line.split() for line in text.splitlines())}


def is_not_kodaks(name: str, image: Image8) -> bool:
    """Return whether an image has the name of one of Kodak's 24, and other pixels (bench/data/kodak.sha256)."""
    known = _kodak_sums().get(Path(name).stem.lower())
    return known is not None and known != hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def fingerprint(image: Image8) -> str:
    """Return a short hash of an image's size and pixels."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()[:16]


def machine() -> dict[str, Any]:
    """Return what times depend on: processor, cores, system, Python."""
    model = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # only Linux has it
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file so that a reader, or a crash, finds the old one or the new one."""
    atomic.write(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())

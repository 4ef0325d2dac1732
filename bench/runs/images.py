"""The images of a folder, and result files that are whole or not there."""

import hashlib
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.errors import BenchError
from bench.metrics.distortion import Image8

__all__ = [
    "IMAGE_SUFFIXES",
    "fingerprint",
    "list_images",
    "machine",
    "middle",
    "read_image",
    "write_json",
    "write_text",
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
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash, finds the old one or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; results are as readable as any new file
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

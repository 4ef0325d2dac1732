"""Multiply-accumulates of one decoding, or of rescaling, a pixel, counted where they happen.

    python -m bench.inside.macs PHOTO --quality 50
    python -m bench.inside.macs PHOTO --rescale 2

Every convolution of a decode is counted, those of 1x1 as the products of matrices that they are: probability model,
head, couplings. Lifting steps of the wavelet and
rotation of the colours are not convolutions; they are added by their number. `--rescale` counts `codec.downscale` and
`codec.upscale` of the middle of a photo, which is one window, so that none of it is computed twice.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import codec
from bench.inside.program import parser as program
from bench.runs.images import middle, read_image
from codec.metrics.distortion import Image8
from codec.rescale.picture import SIDE

#: 3 colours, 2 directions, 4 lifting steps and 2 scalings for each pair of samples; levels
LIFTING = 3 * 2 * 3 * (1 + 1 / 4 + 1 / 16 + 1 / 64)
ROTATION = 9


def part() -> str:
    """Which package the running convolution belongs to."""
    names = [frame.filename for frame in traceback.extract_stack()]
    for name in reversed(names):
        for found, ending in (
            ("head", "codec/network/head.py"),
            ("probability model", "entropy/integer.py"),
            ("transform", "codec/network/transform.py"),
            ("rescaling", "codec/rescale/network.py"),
        ):
            if name.endswith(ending):
                return found
    return "other"


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts the multiply-accumulates of all convolutions and products of matrices within, by part."""
    counts: Counter[str] = Counter()
    originals = torch.nn.functional.conv2d, torch.addmm
    convolution, product_and_sum = originals

    def conv2d(x: torch.Tensor, weight: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        out = convolution(x, weight, *rest, **more)
        counts[part()] += out[0, 0].numel() * weight.numel() * len(out)
        return out

    def addmm(bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        counts[part()] += len(a) * b.numel()
        return product_and_sum(bias, a, b)

    torch.nn.functional.conv2d, torch.addmm = conv2d, addmm  # type: ignore[assignment]
    try:
        yield counts
    finally:
        torch.nn.functional.conv2d, torch.addmm = originals


def of_decoding(pixels: Image8, quality: float) -> Counter[str]:
    """Count a decoding of a picture, by part."""
    data = codec.encode(pixels, quality)
    with counted() as counts:
        codec.decode(data)
    counts["transform"] += round((LIFTING + ROTATION) * pixels.shape[0] * pixels.shape[1])
    counts["decode"] = sum(counts.values())
    return counts


def of_rescaling(pixels: Image8, scale: int) -> Counter[str]:
    """Count each way of rescaling; the Haar wavelet's additions are not multiplications."""
    both: Counter[str] = Counter()
    with counted() as counts:
        small = codec.downscale(pixels, scale)
    both["downscale"] = counts["rescaling"]
    with counted() as counts:
        codec.upscale(small)
    both["upscale"] = counts["rescaling"]
    return both


def main(argv: list[str] | None = None) -> int:
    """Run the program on its arguments (default: the command line's)."""
    parser = program("bench.inside.macs", __doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--rescale", type=int, choices=(2, 4), help="count rescaling by this instead")
    a = parser.parse_args(argv)
    pixels = read_image(a.photo)
    if a.rescale:
        height, width = (min(SIDE, side // a.rescale * a.rescale) for side in pixels.shape[:2])
        pixels = middle(pixels, width, height)
    counts = of_rescaling(pixels, a.rescale) if a.rescale else of_decoding(pixels, a.quality)
    total = counts.pop("decode", None)
    lines = sorted(counts.items()) + ([("decode", total)] if total else [])
    for name, count in lines:
        print(f"{name:18} {count / (pixels.shape[0] * pixels.shape[1]) / 1000:8.2f} kMAC/pixel")
    return 0


if __name__ == "__main__":
    sys.exit(main())

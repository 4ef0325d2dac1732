"""The figures of image rescaling: PSNR and SSIM on luma as its papers have them, and what they published."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from codec.metrics.distortion import Image8

__all__ = ["Published", "luma", "mean_square", "published", "resized", "ssim_y"]

#: MATLAB's rgb2ycbcr: luma of 219 levels, so that PSNR on it is 1.3 dB above that of full range
_LUMA = np.array([65.481, 128.553, 24.966]) / 255


@dataclass(frozen=True)
class Published:
    """A row of a published table; of each set PSNR-Y in dB and SSIM-Y, or None where it was not given."""

    scale: int
    method: str
    parameters: float | None
    kmac: float | None  #: thousands of multiply-accumulates a pixel of the photo, each way
    sets: dict[str, tuple[float, float | None]]


def published() -> list[Published]:
    """Return the published rows (bench/data/rescaling.json), in their order."""
    text = resources.files("bench").joinpath("data/rescaling.json").read_text(encoding="utf-8")
    return [
        Published(
            row["scale"],
            row["method"],
            row["parameters"],
            row.get("kmac"),
            {name: (values[0], values[1]) for name, values in row["sets"].items()},
        )
        for row in json.loads(text)["rows"]
    ]


def luma(image: Image8) -> NDArray[np.float64]:
    """Return luma as super-resolution papers take it, without its offset, not rounded."""
    return image @ _LUMA


def mean_square(reference: Image8, image: Image8, border: int, y: bool) -> float:
    """Return the mean squared error, on luma or over RGB, without `border` pixels on each side."""
    inner = (slice(border, image.shape[0] - border), slice(border, image.shape[1] - border))
    difference = reference[inner].astype(np.float64) - image[inner]
    return float(np.square(difference @ _LUMA if y else difference).mean())


def ssim_y(reference: Image8, image: Image8, border: int) -> float | None:
    """Return SSIM on luma (Gaussian window of 11 taps), or None where pytorch_msssim is not installed."""
    try:
        from pytorch_msssim import ssim
    except ImportError:
        return None
    import torch

    inner = (slice(border, image.shape[0] - border), slice(border, image.shape[1] - border))
    planes = [torch.from_numpy(np.ascontiguousarray(luma(i)[inner]))[None, None] for i in (reference, image)]
    with torch.no_grad():
        return float(ssim(*planes, data_range=255.0, size_average=True))


def resized(image: Image8, size: Sequence[int], method: str = "BICUBIC") -> Image8:
    """Return an image of (height, width) by Pillow's interpolation, over an area where it is made smaller."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling[method]))

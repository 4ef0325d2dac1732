"""Distortion between two 8-bit RGB images of one size."""

import math
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

__all__ = ["MS_SSIM_MIN_SIDE", "Image8", "ms_ssim", "ms_ssim_missing", "psnr", "psnr_y", "ssimulacra2"]

Image8 = NDArray[np.uint8]
"""An RGB image: height x width x 3, 8 bit."""

MS_SSIM_MIN_SIDE = 161
"""The smallest side that leaves room for an 11-tap window in the fifth scale."""

# BT.601, the matrix of JPEG, WebP and BPG
_LUMA = np.array([0.299, 0.587, 0.114])


def psnr(reference: Image8, image: Image8) -> float:
    """Return the PSNR in dB of the squared error over all three channels; inf if identical."""
    _check(reference, image)
    difference = reference.astype(np.int32) - image
    return _decibels(float(np.mean(np.square(difference), dtype=np.float64)))


def psnr_y(reference: Image8, image: Image8) -> float:
    """Return the PSNR in dB of BT.601 luma, full range, not rounded; inf if identical."""
    _check(reference, image)
    # luma is linear: that of the difference is the difference of the lumas
    difference = (reference.astype(np.int32) - image) @ _LUMA
    return _decibels(float(np.mean(np.square(difference))))


def ms_ssim(reference: Image8, image: Image8) -> float | None:
    """Return MS-SSIM over RGB, or None where `ms_ssim_missing` says why there is none."""
    _check(reference, image)
    if ms_ssim_missing(reference) is not None:
        return None
    import torch
    from pytorch_msssim import ms_ssim as library_ms_ssim

    def tensor(pixels: Image8) -> torch.Tensor:
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
        return torch.from_numpy(planes)[None]

    with torch.no_grad():
        return float(library_ms_ssim(tensor(reference), tensor(image), data_range=255.0))


def ssimulacra2(reference: Image8, image: Image8) -> float | None:
    """Return SSIMULACRA2, at most 100; None for images that it cannot judge, of fewer than 8 pixels a side."""
    _check(reference, image)
    # torch is slow to import, and PSNR does without
    from codec.metrics.ssimulacra2 import MIN_SIDE
    from codec.metrics.ssimulacra2 import ssimulacra2 as score

    return score(reference, image) if min(reference.shape[:2]) >= MIN_SIDE else None


def ms_ssim_missing(image: Image8 | None = None) -> str | None:
    """Return why MS-SSIM cannot be had (for this image, if one is given), or None."""
    if find_spec("pytorch_msssim") is None:
        return "the package pytorch_msssim is not installed"
    if image is not None and min(image.shape[:2]) < MS_SSIM_MIN_SIDE:
        return f"it needs sides of at least {MS_SSIM_MIN_SIDE} pixels"
    return None


def _check(reference: Image8, image: Image8) -> None:
    for pixels in (reference, image):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"not an 8-bit RGB image: {pixels.dtype} {pixels.shape}")
    if reference.shape != image.shape:
        raise ValueError(f"images of different sizes: {reference.shape} and {image.shape}")


def _decibels(mean_square: float) -> float:
    return 10 * math.log10(255.0**2 / mean_square) if mean_square > 0 else math.inf

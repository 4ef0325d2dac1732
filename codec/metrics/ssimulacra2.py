"""SSIMULACRA2 (version 2.1), a perceptual metric: 100 is identical, 90 visually lossless, 30 low quality.

Written anew in torch, since the Python package of that name treats borders otherwise than libjxl does, which moves a
score by up to three points. The blur is libjxl's Gaussian of deviation 1.5 with zeros beyond the border, as a sum of
11 taps instead of a recursion.
"""

import functools
import json
from importlib import resources
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["MIN_SIDE", "ssimulacra2"]

MIN_SIDE = 8
"""The smallest side, in pixels, that one scale is computed on."""

_SCALES = 6
_C2 = 0.0009
_BIAS = 0.0037930732552754493
_OPSIN = ((0.30, 0.622, 0.078), (0.23, 0.692, 0.078), (0.24342268924547819, 0.20476744424496821, 0.5518098665095536))


@torch.no_grad()
def ssimulacra2(reference: NDArray[np.uint8], image: NDArray[np.uint8]) -> float:
    """Return the score, at most 100, of an 8-bit sRGB image against a reference of the same size."""
    if reference.shape != image.shape or min(reference.shape[:2]) < MIN_SIDE:
        raise ValueError(f"SSIMULACRA2 needs two images of one size, from {MIN_SIDE} pixels a side")
    linear = [_linear(reference), _linear(image)]
    scales: list[Tensor] = []
    while len(scales) < _SCALES and min(linear[0].shape[1:]) >= MIN_SIDE:
        scales.append(_features(_xyb(linear[0]), _xyb(linear[1])))
        linear = [functional.avg_pool2d(x[None], 2, ceil_mode=True, count_include_pad=False)[0] for x in linear]
    # plane, scale, norm, map: the order of the trained weights
    features = torch.stack(scales, 1).flatten()
    distance = 0.9562382616834844 * float(features @ _weights()[: len(features)])
    distance = 2.326765642916932 * distance - 0.020884521182843837 * distance**2 + 6.248496625763138e-05 * distance**3
    return 100 - 10 * distance**0.6276336467831387 if distance > 0 else 100.0


@functools.cache
def _weights() -> Tensor:
    text = resources.files("codec").joinpath("metrics/ssimulacra2.json").read_text(encoding="utf-8")
    return torch.tensor(json.loads(text)["weights"], dtype=torch.float64)


def _linear(pixels: NDArray[np.uint8]) -> Tensor:
    """Linear light, 3,h,w, of sRGB pixels."""
    levels = np.arange(256) / 255
    curve = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    planes: NDArray[Any] = curve[pixels].transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes))


def _xyb(linear: Tensor) -> Tensor:
    """XYB, scaled and shifted to be positive, of linear light."""
    mixed = torch.einsum("ij,jhw->ihw", torch.tensor(_OPSIN, dtype=linear.dtype), linear) + _BIAS
    red, green, blue = mixed.clamp(min=0) ** (1 / 3) - _BIAS ** (1 / 3)
    x, y = (red - green) / 2, (red + green) / 2
    return torch.stack([14 * x + 0.42, y + 0.01, blue - y + 0.55])


def _blur(planes: Tensor) -> Tensor:
    # numpy, since torch convolves doubles 13 times as slowly
    return torch.from_numpy(np.stack([_along_columns(_along_columns(plane).T).T for plane in planes.numpy()]))


def _along_columns(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """A plane blurred from top to bottom, zeros beyond its edges."""
    taps = np.exp(-(np.arange(6) ** 2) / (2 * 1.5**2))
    taps /= 2 * taps.sum() - taps[0]
    out = plane * taps[0]
    part = np.empty_like(out)
    for distance in range(1, min(6, len(plane))):
        np.multiply(plane, taps[distance], out=part)
        out[distance:] += part[:-distance]
        out[:-distance] += part[distance:]
    return out


def _features(a: Tensor, b: Tensor) -> Tensor:
    """Plane x norm x map: structure, edges that were added, edges that were lost; their means and 4-norms."""
    mean_a, mean_b, aa, bb, ab = _blur(torch.cat([a, b, a * a, b * b, a * b])).split(3)
    covariance = 2 * (ab - mean_a * mean_b) + _C2
    variances = aa - mean_a**2 + bb - mean_b**2 + _C2
    structure = (1 - (1 - (mean_a - mean_b) ** 2) * covariance / variances).clamp(min=0)
    edges = (1 + (b - mean_b).abs()) / (1 + (a - mean_a).abs()) - 1
    maps = torch.stack([structure, edges.clamp(min=0), (-edges).clamp(min=0)])
    return torch.stack([maps.mean((2, 3)), (maps**4).mean((2, 3)) ** 0.25]).permute(2, 0, 1)

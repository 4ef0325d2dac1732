"""Train a rescaling network (codec/rescale/network.py).

    python -m codec.training.rescaling PHOTOS... --valid FOLDER --set scale=2 minutes=60 --out run
    python -m codec.training.rescaling PHOTOS... --out run --resume      # goes on exactly where it stood

Writes run/checkpoint.pt, run/log.jsonl and run/config.json, as codec/training/train.py does. `python -m codec.training.export`
makes weights of a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from codec.rescale.network import Rescaler, Shape
from codec.training.settings import setting

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  #: of BT.601, as MATLAB's rgb2ycbcr has it: 219 levels


@dataclass(frozen=True)
class RescalingSettings:
    """What the loss of a rescaling network weighs."""

    colour: float = setting(1.0, "The error over red, green and blue has this weight beside that of luma.")
    guidance: float = setting(
        300.0, "The squared error of the small picture against the bicubic reduction has this weight."
    )
    floor: float = setting(1e-5, "Errors are counted by their logarithm above about this (of full scale squared).")


class Losses(NamedTuple):
    """Of each picture of a batch, N each: mean squared errors of full scale."""

    luma: Tensor
    colour: Tensor
    small: Tensor


def luma(x: Tensor) -> Tensor:
    """N,3,H,W in 0..1 -> N,1,H,W, without its offset."""
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def bicubic(x: Tensor, scale: int) -> Tensor:
    """Reduced as Pillow and MATLAB do: bicubic, over an area."""
    return F.interpolate(x, scale_factor=1 / scale, mode="bicubic", antialias=True)


def stored(small: Tensor) -> Tensor:
    """Rounded to 8 bits and clipped, with the gradient of the identity."""
    return small + ((small.clamp(0, 1) * 255).round() / 255 - small).detach()


def losses(network: Rescaler, x: Tensor) -> Losses:
    """Photos N,3,H,W in 0..1 down and up again, z dropped."""
    small, _ = network(x)
    back = network.inverse(stored(small))
    square = lambda d: d.square().mean((1, 2, 3))  # noqa: E731
    return Losses(square(luma(back - x)), square(back - x), square(small - bicubic(x, network.shape.scale)))


def objective(found: Losses, settings: RescalingSettings) -> Tensor:
    """PSNRs are logarithms of errors, and their mean over pictures is the figure; the small picture's error counts as it is,
    so that no picture pays for another with a small one that looks wrong."""
    logs = torch.log(found.luma + settings.floor) + settings.colour * torch.log(found.colour + settings.floor)
    return (logs + settings.guidance * found.small).mean()

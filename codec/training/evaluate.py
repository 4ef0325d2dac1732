"""What held-out photos would cost, and how near they come."""

from __future__ import annotations

import math

import numpy as np
import torch

from codec.network.model import Codec
from entropy.config import MULTIPLE


@torch.no_grad()
def evaluate(
    model: Codec, images: list[np.ndarray], qualities: tuple[float, ...] = (0.2, 0.35, 0.5, 0.7), caution: float = 0.0
) -> list[dict[str, float]]:
    """Mean estimated bpp of rounded coefficients and mean PSNR (dB) of 8-bit pictures, at each quality in 0..1.

    images: H,W,3 uint8, of which the largest corner with sides in multiples of 32 counts; caution: see `Settings`.
    """
    rows = []
    device = model.deviation.device
    for quality in qualities:
        bpp, psnr = [], []
        for image in images:
            height, width = (n // MULTIPLE * MULTIPLE for n in image.shape[:2])
            x = torch.tensor(image[:height, :width], device=device).permute(2, 0, 1)[None].float()
            out = model(x, torch.tensor([quality], device=device), hard=True, caution=caution)
            bpp.append(out.bits.item() / (height * width))
            psnr.append(10 * math.log10(65025 / ((out.x.clamp(0, 255).round() - x) ** 2).mean().item()))
        rows.append({"quality": 100 * quality, "bpp": float(np.mean(bpp)), "psnr": float(np.mean(psnr))})
    return rows

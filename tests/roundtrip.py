"""What the tests of the network share: the round-trip assertion, random parameters, a small model."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from codec.network.blocks import Coupling, Transform
from codec.network.model import Codec
from entropy.config import Config

FULL_SCALE = 255 / 64  #: of a pixel in the network's units
TINY = Config(hidden_quarter=4, hidden_eighth=4, prior=(12, 8, 8, 8), head=(8, 8, 8, 8), side=4, side_prior=8, knots=3)


def assert_inverts(transform: Transform, x: Tensor, scale: float = FULL_SCALE) -> Tensor:
    """inverse(forward(x)) is x to 1e-4 of full scale, in shape, type and value; returns forward(x)."""
    with torch.no_grad():
        y = transform.forward(x)
        back = transform.inverse(y)
    assert back.shape == x.shape and back.dtype == x.dtype
    assert (back - x).abs().max().item() < 1e-4 * scale
    return y


def randomise(module: nn.Module, seed: int = 0, last: float = 0.1) -> None:
    """Random couplings whose last layers are not zero, with scales that differ from channel to channel."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, Coupling):
                for predictor in (part.f, part.g):
                    predictor.last.weight.normal_(0, last, generator=random)
                    predictor.last.bias.normal_(0, last, generator=random)
                    predictor.scale_in.uniform_(0.05, 2, generator=random)
                    predictor.scale_out.uniform_(0.05, 2, generator=random)


def noise_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """H,W,3 uint8 with the spectrum of a photo: noise whose amplitude falls with frequency."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    spectrum = np.fft.fft2(random.standard_normal((3, height, width))) / (0.01 + np.hypot(y, x)) ** 1.2
    channels = np.fft.ifft2(spectrum).real
    channels = (channels - channels.mean((1, 2), keepdims=True)) / channels.std((1, 2), keepdims=True)
    mixed = np.stack([channels[0] + 0.3 * channels[1], channels[0], channels[0] + 0.3 * channels[2]], 2)
    return np.clip(127 + 50 * mixed, 0, 255).astype(np.uint8)


def batch(*photos: np.ndarray) -> Tensor:
    """N,3,H,W float32 in 0..255."""
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float()


def tiny_model(seed: int = 0) -> Codec:
    """A small model, measured on photos as training starts one, with every parameter random."""
    torch.manual_seed(seed)
    model = Codec(TINY)
    model.start(batch(*(noise_photo(64, 64, seed + i) for i in range(8))))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".last." in name or ".out_" in name:
                p.add_(torch.randn(p.shape, generator=random) * 0.02)
            elif name.endswith(("log_gain", "quality", "phase")) or ".quality." in name:
                p.add_(torch.randn(p.shape, generator=random) * 0.1)
        # the low band's predictor: about the mean of the neighbours
        for low in model.prior.graph.levels[0].low:
            for c in range(3):
                low.conv.weight[c, c].uniform_(0, 0.15, generator=random)
        model.side_log_gain.fill_(1.5)
    return model.eval().requires_grad_(False)

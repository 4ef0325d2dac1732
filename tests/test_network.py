"""The whole model: keeping z and what rounding took, the decoder inverts the encoder."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from roundtrip import batch, noise_photo, tiny_model

from codec.network.model import Codec
from codec.network.weights import load


def shipped() -> Codec:
    return load().model


@pytest.mark.parametrize("make", [tiny_model, shipped])
@pytest.mark.parametrize("quality", [0.0, 0.37, 0.75, 1.0])
@torch.no_grad()
def test_nothing_is_lost_that_is_not_dropped(make, quality: float) -> None:
    model: Codec = make()
    x = batch(noise_photo(96, 64, 5))
    q = torch.tensor([quality])
    latent = model.analyse(x, q)
    k = [(a * c).round() for a, c in zip(latent.k, latent.coded)]
    lost = model.lost(k, latent, q)
    z = [e / s * (1 - c) for (e, s), c in zip(model.errors(k, latent, lost), latent.coded)]
    # what rounding took: the place of the coefficient in its bin, less the point where the decoder puts it
    residual = [a - (b + o.offset) for a, b, o in zip(latent.k, k, lost)]
    whole = [b + r for b, r in zip(k, residual)]
    back = model.synthesise(model.restore(whole, latent, lost, z))
    assert (back - x).abs().max().item() < 1e-4 * 255
    # without either it is another picture, the one that the decoder shows
    assert (model.synthesise(model.restore(k, latent, lost)) - x).abs().max().item() > 0.3
    for a, c in zip(z, latent.coded):
        assert (a * c).abs().max() == 0


@torch.no_grad()
def test_the_point_is_inside_its_bin() -> None:
    model = tiny_model()
    x, q = batch(noise_photo(64, 64, 5)), torch.tensor([0.6])
    latent = model.analyse(x, q)
    k = [(a * c).round() for a, c in zip(latent.k, latent.coded)]
    wild = [a + 1000 for a in k]
    likely = model.restore(k, latent, model.lost(k, latent, q))
    z = [3 * torch.randn_like(a) for a in k]
    for ks, drawn in itertools.product((k, wild), (None, z)):
        bands = model.restore(ks, latent, model.lost(ks, latent, q), drawn)
        for a, b, g, c, mode in zip(ks, bands, latent.gain, latent.coded, likely):
            assert ((b * g).round() - a).mul(c).abs().max() == 0
            if drawn:  # every band is, coded or dropped
                assert ((b != mode).float().mean((0, 2, 3)) > 0.2).all()


@torch.no_grad()
def test_more_bands_are_coded_as_quality_rises() -> None:
    model = shipped()
    x = batch(noise_photo(64, 64))
    counts = [sum(c.sum().item() for c in model.analyse(x, torch.tensor([q])).coded) for q in np.linspace(0, 1, 9)]
    assert counts == sorted(counts) and counts[0] < counts[-1] == 39


def test_interpolation_of_qualities() -> None:
    model = tiny_model()
    table = torch.tensor([[0.0], [10.0], [50.0]])
    at = model.interpolator(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 2.0]))(table)
    assert at[:, 0].tolist() == pytest.approx([0, 5, 10, 30, 50, 50])
    lam = model.lambda_at(torch.tensor([0.0, 0.5, 1.0]))
    assert lam[1] ** 2 == pytest.approx((lam[0] * lam[2]).item(), rel=1e-4)


def test_gradients_reach_every_parameter() -> None:
    model = tiny_model().requires_grad_(True)
    torch.manual_seed(0)
    x = batch(noise_photo(64, 64, 5), noise_photo(64, 64, 6))
    model.deviation[-5:] = 0.01  # bands that are dropped, so that their scales are learned
    out = model(x, torch.tensor([0.0, 0.6]))
    (out.bits.mean() + out.mse.mean() + out.nll.mean()).backward()
    idle = [
        n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all() or not p.grad.any()
    ]
    assert idle == []


@torch.no_grad()
def test_band_error_is_near_pixel_error() -> None:
    """The wavelet is near orthonormal: training may leave the inverse out."""
    model = tiny_model()
    model.f.couplings = False
    x, q = batch(noise_photo(96, 96, 3)), torch.tensor([0.6])
    pixels, bands = model(x, q, hard=True), model(x, q, hard=True, pixels=False)
    assert bands.x is None and pixels.bits.item() == bands.bits.item()
    assert bands.mse.item() == pytest.approx(pixels.mse.item(), rel=0.15)

"""A model grown into a larger one computes the same."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from roundtrip import batch, noise_photo

from codec.network.model import Codec
from codec.training.grow import grow
from entropy.config import Config

SMALL = Config(hidden_quarter=4, hidden_eighth=4, prior=(12, 8, 8, 8), head=(8, 8, 8, 8), side=4, knots=3)


def drawn(config: Config) -> Codec:
    """Every weight away from its start."""
    torch.manual_seed(3)
    model = Codec(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.03)
    model.deviation.copy_(torch.linspace(0.02, 2, 39))
    return model.eval()


@torch.no_grad()
def test_wider_and_deeper_is_the_same_function() -> None:
    small = drawn(SMALL)
    large = Codec(dataclasses.replace(SMALL, prior=(16, 8, 12, 10), head=(8, 12, 8, 10), head_blocks=3))
    large.load_state_dict(grow(small.state_dict(), SMALL, large))
    x, q = batch(noise_photo(96, 64, 5)), torch.tensor([0.4])
    a, b = small(x, q, hard=True), large(x, q, hard=True)
    assert a.bits.item() == pytest.approx(b.bits.item(), rel=1e-5)
    assert a.mse.item() == pytest.approx(b.mse.item(), rel=1e-5)
    assert a.nll.item() == pytest.approx(b.nll.item(), rel=1e-4)
    assert sum(p.numel() for p in large.parameters()) > 1.1 * sum(p.numel() for p in small.parameters())


@torch.no_grad()
def test_a_wider_range_of_qualities_keeps_the_old_steps() -> None:
    small = drawn(SMALL)
    large = Codec(dataclasses.replace(SMALL, lambda_min=SMALL.lambda_min / 4))
    large.load_state_dict(grow(small.state_dict(), SMALL, large))
    q = torch.tensor([1.0])  # the end that both have
    assert torch.allclose(small.interpolator(q)(small.log_gain), large.interpolator(q)(large.log_gain), atol=1e-5)
    assert torch.equal(large.log_gain_start, Codec(large.config).log_gain_start)
    # the old low end lies inside now: the new one has larger steps
    assert (large.log_gain[0] < small.log_gain[0]).float().mean() > 0.5


def test_smaller_is_refused() -> None:
    small = drawn(SMALL)
    with pytest.raises(ValueError, match="smaller"):
        grow(small.state_dict(), SMALL, Codec(dataclasses.replace(SMALL, side=2)))

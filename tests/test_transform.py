"""The invertible network as a whole."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from roundtrip import TINY, assert_inverts, batch, noise_photo, randomise

from codec.network.blocks import Transform
from codec.network.transform import Analysis, pack, unpack
from entropy.config import BANDS


class Packed(Transform):
    """Analysis with its bands as one tensor."""

    def __init__(self, f: Analysis):
        super().__init__()
        self.f = f

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return pack(self.f(x))

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        return self.f.inverse(unpack(y))


def analysis(seed: int, last: float = 0.1) -> Analysis:
    torch.manual_seed(seed)
    f = Analysis(TINY)
    f.start((batch(*(noise_photo(64, 64, i) for i in range(4))) - 127.5) / 64)
    for part in (f.quarter, f.eighth):
        scales = {n: b.clone() for n, b in part.named_buffers()}
        randomise(part, seed, last)
        for name, buffer in part.named_buffers():
            buffer.copy_(scales[name])
    return f


@pytest.mark.parametrize("size", [(16, 16), (16, 48), (80, 32)])
@pytest.mark.parametrize("seed", range(3))
def test_inverts(size: tuple[int, int], seed: int) -> None:
    x = (batch(noise_photo(*size, seed)) - 127.5) / 64
    f = analysis(seed)
    y = assert_inverts(Packed(f), x)
    assert [tuple(b.shape) for b in unpack(y)] == [
        (1, c, size[0] >> s, size[1] >> s) for c, s in zip(BANDS, (4, 3, 2, 1))
    ]
    f.couplings = False
    assert (assert_inverts(Packed(f), x) - y).abs().max() > 0.1  # the couplings did something


def test_without_couplings() -> None:
    """A width of 0: no couplings and no parameters, at that scale alone or at both."""
    with_both = analysis(1)
    bare = Analysis(dataclasses.replace(TINY, hidden_quarter=0, hidden_eighth=0))
    assert not list(bare.parameters()) and list(bare.state_dict()) == ["colour.rotation"]
    bare.colour.rotation.copy_(with_both.colour.rotation)
    x = (batch(noise_photo(48, 32, 2)) - 127.5) / 64
    y = assert_inverts(Packed(bare), x)
    assert (y - pack(with_both(x))).abs().max() > 0.1
    with_both.couplings = False
    assert torch.equal(y, pack(with_both(x)))
    one = Analysis(dataclasses.replace(TINY, hidden_eighth=0))
    assert {name.split(".")[0] for name, _ in one.named_parameters()} == {"quarter"}
    bare.start(x)
    one.start(x)
    assert torch.allclose(pack(one(x)), pack(bare(x)), atol=1e-4)  # couplings start as the identity
    with pytest.raises(ValueError, match="hidden_quarter"):
        dataclasses.replace(TINY, hidden_quarter=-1)


def test_inverts_noise_and_extremes() -> None:
    f = Packed(analysis(5))
    random = torch.Generator().manual_seed(0)
    assert_inverts(f, (torch.randint(0, 256, (1, 3, 32, 32), generator=random) - 127.5) / 64)
    assert_inverts(f, (torch.randint(0, 2, (1, 3, 32, 32), generator=random) * 255 - 127.5) / 64)


def test_bands_keep_their_place() -> None:
    u = torch.randn(2, 768, 2, 3)
    assert torch.equal(pack(unpack(u)), u)
    bands = unpack(u)
    again = unpack(pack(bands))
    assert all(torch.equal(a, b) for a, b in zip(bands, again))


def test_each_band_holds_its_own_frequencies() -> None:
    """Stripes of two pixels are horizontal detail of the finest level; a constant is the low band only."""
    f = Analysis(TINY)
    energy = [b.pow(2).sum().item() for b in f(torch.tensor([1.0, -1.0]).repeat(32).expand(1, 3, 64, 64))]
    assert energy[3] > 0.9 * sum(energy)
    low = f(torch.ones(1, 3, 64, 64))
    assert torch.allclose(low[0][:, :3], torch.tensor(16.0), rtol=1e-3)
    assert low[0][:, 3:].abs().max() < 1e-3 and all(b.abs().max() < 1e-3 for b in low[1:])


def test_start_finds_the_axes() -> None:
    rotation = analysis(0).colour.rotation
    assert torch.allclose(rotation @ rotation.t(), torch.eye(3), atol=1e-5)
    assert (rotation[0] > 0.4).all()  # grey, of a photo

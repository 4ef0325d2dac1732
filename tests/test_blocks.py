"""Each invertible block: forward and inverse are inverse to each other, with any parameters."""

from __future__ import annotations

import pytest
import torch
from roundtrip import FULL_SCALE, assert_inverts, randomise

from codec.network.blocks import Colour, Composition, Coupling, Reversed, Split, Transform, Wavelet

SIZES = [(1, 1), (1, 7), (13, 5), (16, 32)]
EVEN = [(2, 2), (2, 34), (10, 6), (32, 16)]


def noise(channels: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Of the size of pixels in the network's units."""
    random = torch.Generator().manual_seed(seed)
    return (torch.rand(2, channels, *size, generator=random) - 0.5) * FULL_SCALE


def rotation(seed: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[
        0
    ].float()


def coupling(channels: int, seed: int = 0) -> Coupling:
    torch.manual_seed(seed)
    part = Coupling.halves(channels, 8)
    randomise(part, seed)
    return part


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_colour(size: tuple[int, int], seed: int) -> None:
    part = Colour()
    part.rotation.copy_(rotation(seed))
    x = noise(3, size, seed)
    y = assert_inverts(part, x)
    assert torch.allclose(y.norm(dim=1), x.norm(dim=1), atol=1e-5)
    assert not torch.allclose(y, x, atol=0.1)


@pytest.mark.parametrize("size", EVEN)
@pytest.mark.parametrize("channels", [3, 4, 12, 48])
def test_wavelet(channels: int, size: tuple[int, int]) -> None:
    y = assert_inverts(Wavelet(channels), noise(channels, size))
    assert y.shape == (2, 4 * channels, size[0] // 2, size[1] // 2)


def test_wavelet_of_a_flat_picture_and_of_a_ramp() -> None:
    flat = Wavelet(3)(torch.full((1, 3, 8, 12), 0.75))
    assert torch.allclose(flat[:, :3], torch.tensor(2 * 0.75), atol=1e-3)  # a low band is the picture times 2
    assert flat[:, 3:].abs().max() < 1e-5
    ramp = Wavelet(3)(torch.arange(32.0).expand(1, 3, 32, 32) / 8)
    assert ramp[:, 3:, :, 4:-4].abs().max() < 1e-5  # four vanishing moments, away from the edge
    across = Wavelet(3)(torch.tensor([1.0, -1.0]).repeat(16).expand(1, 3, 32, 32))[:, :, 4:-4, 4:-4]
    energy = across.pow(2).sum((0, 2, 3)).reshape(4, 3).sum(1)
    assert energy.argmax() == 1  # horizontal detail is the second band


def test_wavelet_is_near_orthonormal() -> None:
    x = noise(3, (64, 64))
    assert abs((Wavelet(3)(x).pow(2).sum() / x.pow(2).sum()).item() - 1) < 0.1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [2, 6, 48])
def test_split(channels: int, size: tuple[int, int]) -> None:
    x = noise(channels, size)
    y = assert_inverts(Split(), x)
    assert torch.equal(y[:, 0], x[:, 0]) and torch.equal(y[:, channels // 2], x[:, 1])


@pytest.mark.parametrize("part", [Split(), Wavelet(3), coupling(12)], ids=lambda p: type(p).__name__)
def test_reversed(part: Transform) -> None:
    x = noise(12, (6, 10))
    y = assert_inverts(Reversed(part), x)
    assert torch.equal(y, part.inverse(x))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [2, 7, 48])
def test_coupling(channels: int, size: tuple[int, int]) -> None:
    x = noise(channels, size)
    y = assert_inverts(coupling(channels), x)
    half = channels // 2
    assert not torch.allclose(y[:, :half], x[:, :half], atol=0.01)
    assert not torch.allclose(y[:, half:], x[:, half:], atol=0.01)
    fresh = Coupling.halves(channels, 8)
    assert torch.equal(fresh(x), x)  # the identity, until trained


def test_coupling_preserves_volume() -> None:
    part = coupling(4).double()
    part.f.forward, part.g.forward = (exact(p) for p in (part.f, part.g))  # type: ignore[method-assign]
    x = noise(4, (2, 2)).double()[:1]
    jacobian = torch.autograd.functional.jacobian(part, x).reshape(16, 16)
    assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-9)


def exact(predictor: torch.nn.Module):
    """The predictor without its last conversion to float32."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = predictor.first(x / predictor.scale_in[None, :, None, None]).relu()
        return predictor.last(x) * predictor.scale_out[None, :, None, None]

    return forward


@pytest.mark.parametrize("size", EVEN[1:])
def test_composition(size: tuple[int, int]) -> None:
    colour = Colour()
    colour.rotation.copy_(rotation(1))
    parts = [colour, Wavelet(3), coupling(12, 1), Split(), coupling(12, 2), Reversed(Split())]
    x = noise(3, size)
    y = assert_inverts(Composition(*parts), x)
    for part in parts:
        x = part(x)
    assert torch.equal(y, x)
    assert torch.equal(Composition()(x), x)


def test_the_assertion_finds_a_wrong_inverse() -> None:
    class Wrong(Split):
        def inverse(self, y: torch.Tensor) -> torch.Tensor:
            return super().inverse(y) + 5e-4

    with pytest.raises(AssertionError):
        assert_inverts(Wrong(), noise(4, (3, 3)))

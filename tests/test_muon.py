"""The optimiser: against the library's Adam, and what makes Muon one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from codec.training.muon import Muon, is_matrix, orthogonal


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    out = orthogonal(matrix)
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.5 and values.max() < 1.3
    # the directions are those of the nearest orthogonal matrix
    assert ((out * (u @ v)).sum() / out.norm() / (u @ v).norm()).item() > 0.97
    assert not torch.allclose(s, torch.ones_like(s), atol=0.3)


def test_adam_is_the_library_s() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2))
    a = Muon([{"params": [ours]}], lr=0.01)
    b = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99))
    for step in range(5):
        for p, optimiser in ((ours, a), (theirs, b)):
            optimiser.zero_grad()
            ((p - step) ** 3).sum().backward()
            optimiser.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_step_has_adam_s_size_and_learns() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 8, 3)
    assert [is_matrix(p) for p in layer.parameters()] == [True, False]
    assert not is_matrix(nn.Conv2d(4, 4, 3, groups=4).weight)
    before = layer.weight.detach().clone()
    x, target = torch.randn(2, 4, 6, 6), torch.randn(2, 8, 4, 4)
    optimiser = Muon([{"params": [layer.weight], "muon": True}, {"params": [layer.bias]}], lr=0.01)
    losses = []
    for step in range(30):
        optimiser.zero_grad()
        loss = ((layer(x) - target) ** 2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if step == 0:
            # Muon's root mean square is 0.2 x the rate, whatever the gradient's
            assert (layer.weight - before).pow(2).mean().sqrt().item() == pytest.approx(0.002, rel=0.25)
    assert losses[-1] < 0.9 * losses[0]

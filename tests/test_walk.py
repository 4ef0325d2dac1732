"""The walk over the probability model: its order, and that no step sees what is coded later."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from roundtrip import TINY

from codec.network.model import Codec
from entropy.coder import Models
from entropy.config import BANDS, CHANNELS, PHASES, chroma, luma
from entropy.integer import IntegerPrior, Walker
from entropy.latent import Latent
from entropy.levels import arrays_by_level, by_level
from entropy.prior import Hidden
from entropy.walk import SIDE, Step, level_steps, side_steps

H, W = 2, 3  #: of the side latent


def integers(seed: int) -> list[torch.Tensor]:
    """Side latent and the four levels."""
    random = torch.Generator().manual_seed(seed)
    shapes = [(TINY.side, H, W), *((c, 2 * H << i, 2 * W << i) for i, c in enumerate(BANDS))]
    return [torch.randint(-3, 4, (1, *shape), generator=random).float() for shape in shapes]


@torch.no_grad()
def floating(model: Codec, values: list[torch.Tensor]) -> list[Step]:
    side, *ks = values
    at = model.interpolator(torch.tensor([0.5]))
    bias = [at(table)[:, :, None, None] for table in model.prior.graph.quality]
    known = [Hidden(k) for k in ks]
    steps = list(side_steps(model.prior.graph, bias, Hidden(side)))
    return steps + list(level_steps(model.prior.graph, bias, torch.asinh(side), known.__getitem__))


def test_each_integer_once_level_by_level(model: Codec) -> None:
    steps = floating(model, integers(0))
    half = list(range(TINY.side // 2)), list(range(TINY.side // 2, TINY.side))
    groups = {SIDE: half} | {i: (luma(band), chroma(band)) for i, band in enumerate(BANDS)}
    expected = [(level, group, y, x) for level, pair in groups.items() for y, x in PHASES for group in pair]
    assert [step[:4] for step in steps] == expected
    seen = [torch.zeros_like(v) for v in integers(0)]
    for step in steps:
        seen[step.level + 1][:, step.group, step.y :: 2, step.x :: 2] += 1
    assert all((count == 1).all() for count in seen)
    assert all((step.linear is not None) == (step.level == 0 and (step.y, step.x) != PHASES[0]) for step in steps)


@pytest.mark.parametrize("number", [0, 3, 7, 9, 14, 20, 38])
def test_causal(model: Codec, number: int) -> None:
    """Other values from a step on change nothing that is said up to it, and something of what is said after it."""
    before = integers(0)
    steps, after = floating(model, before), [v.clone() for v in before]
    for step in steps[number:]:
        other = integers(1)[step.level + 1]
        after[step.level + 1][:, step.group, step.y :: 2, step.x :: 2] = step.of(other)
    again = floating(model, after)
    for a, b in zip(steps[: number + 1], again):
        assert torch.equal(a.out, b.out)
        assert a.linear is None or b.linear is not None and torch.equal(a.linear, b.linear)
    assert any(not torch.equal(a.out, b.out) for a, b in zip(steps[number + 1 :], again[number + 1 :]))


class Recorder:
    """A coder that codes nothing: it notes how many symbols each step has, and hands back what it was given."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def code(self, models: Models, ids: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        self.counts.append(len(ids))
        assert values is not None
        return values


def test_coding_takes_the_same_steps(model: Codec, prior: IntegerPrior) -> None:
    """One call of the coder a step of a level that codes something; never more symbols than the step has."""
    values = integers(0)
    arrays = [v[0].int().numpy() for v in values]
    for quality in (0, 25600):
        recorder = Recorder()
        Walker(prior, recorder, quality).walk(arrays[0].shape, Latent(arrays[0], arrays[1:]))
        coded = [np.ones(TINY.side, bool), *arrays_by_level(prior.coded(quality))]
        sizes = [
            s.of(values[s.level + 1]).numel() for s in floating(model, values) if coded[s.level + 1][s.group].any()
        ]
        assert len(recorder.counts) == len(sizes)
        assert all(n <= size for n, size in zip(recorder.counts, sizes))
    assert coded[4].any() and sum(recorder.counts) > 0


def test_levels() -> None:
    numbers = np.arange(CHANNELS)
    assert [len(a) for a in arrays_by_level(numbers)] == list(BANDS)
    tensors = by_level(torch.from_numpy(numbers)[None])
    assert all(np.array_equal(t.flatten().numpy(), a) for t, a in zip(tensors, arrays_by_level(numbers)))
    assert [t.shape for t in tensors] == [(1, c, 1, 1) for c in BANDS]

"""Where tiles, blocks and windows lie, and that the margin of a window is wide enough."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from roundtrip import batch, noise_photo

from codec.coding.ahead import Ahead, Workers
from codec.container import grid
from codec.container.grid import UNITS, Box, Layout
from codec.network import host
from codec.network.blocks import Coupling
from codec.network.model import Codec, Scaled
from codec.network.weights import load
from entropy.config import BANDS


@pytest.mark.parametrize("size", [(1, 1), (1024, 1024), (1025, 3), (700, 5000), (3072, 2049)])
def test_tiles_and_blocks_cover_the_picture(size: tuple[int, int]) -> None:
    height, width = map(grid.padded, size)
    for boxes in (
        Layout(*size).tiles,
        Layout(*size, 512).tiles,
        Layout(*size, 96).tiles,
        Layout(*size).blocks(),
        Layout(*size).blocks(4),
    ):
        seen = np.zeros((height // 32, width // 32), int)
        for box in boxes:
            assert all(v % 32 == 0 for v in box)
            seen[box.within(Box(0, 0, height, width), 32)] += 1
        assert (seen == 1).all()
        assert boxes == sorted(boxes)


def test_touching() -> None:
    size = 700, 1000
    for side in (0, 96, 512):
        layout = Layout(*size, side)
        for box in (Box(0, 0, 1, 1), Box(95, 96, 97, 193), Box(600, 900, 704, 1024), Box(0, 0, 704, 1024)):
            assert layout.touching(box) == [i for i, t in enumerate(layout.tiles) if t.meet(box)]


def test_a_window_touches_few_tiles() -> None:
    layout = Layout(6000, 5000, 1024)
    for block in layout.blocks():
        window = layout.window(block)
        assert max(window.height, window.width) <= 1024 + 2 * grid.MARGIN
        assert sum(t.meet(window) is not None for t in layout.tiles) <= 4


def test_ahead_makes_each_item_once_and_drops_it() -> None:
    steps = [[0, 1], [1, 2], [2, 0], [3]]
    threads = torch.get_num_threads()
    for workers in (1, 2, 5):
        made: list[int] = []
        with Workers(workers) as pool:
            walk = list(Ahead(lambda i: (made.append(i), i * 10)[1], steps, pool))  # noqa: B023
        assert walk == [{0: 0, 1: 10}, {1: 10, 2: 20}, {2: 20, 0: 0}, {3: 30}]
        assert sorted(made) == [0, 1, 2, 3]
    assert torch.get_num_threads() == threads

    def fails(i: int) -> int:
        if i == 2:
            raise ValueError("two")
        return i

    for workers in (1, 3):
        with pytest.raises(ValueError, match="two"), Workers(workers) as pool:
            list(Ahead(fails, steps, pool))
        assert torch.get_num_threads() == threads


def test_torch_has_its_threads_back_whatever_fails() -> None:
    """Also where whoever takes the items fails, and keeps the error with the walk in its traceback."""
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        with pytest.raises(ZeroDivisionError) as kept, Workers(3) as pool:
            for item in Ahead(lambda i: i, [[i] for i in range(20)], pool):
                assert item and torch.get_num_threads() == 3
                raise ZeroDivisionError
        assert kept.value and torch.get_num_threads() == 6
        with pytest.raises(KeyError), host.torch_threads(1):
            raise KeyError
        assert torch.get_num_threads() == 6
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == 6
    finally:
        torch.set_num_threads(before)


def test_a_window_outside() -> None:
    with pytest.raises(ValueError, match="outside the picture of 64 x 100"):
        Layout(100, 64).window(Box(1024, 0, 1056, 64))


def with_couplings(strength: float) -> Codec:
    """The shipped model with random couplings of widths 48 and 96; at 1 each half adds about as much as there was."""
    shipped = load().model
    model = Codec(dataclasses.replace(shipped.config, hidden_quarter=48, hidden_eighth=96), prior=False)
    model.load_state_dict(shipped.state_dict(), strict=False)
    random = torch.Generator().manual_seed(1)
    for part in model.f.modules():
        if isinstance(part, Coupling):
            for predictor in (part.f, part.g):
                fan = predictor.last.weight[0].numel()
                predictor.last.weight.normal_(0, strength * (2 / fan) ** 0.5, generator=random)
    model.f.couplings = strength > 0
    return model


@pytest.mark.parametrize("strength", [0, 0.3, 1])
@torch.no_grad()
def test_the_margin_is_wide_enough(strength: float) -> None:
    """Bands and pixels of a block from its window, against those from the whole picture."""
    model, q = with_couplings(strength), torch.tensor([0.5])
    whole, block = Box(0, 0, 480, 480), Box(160, 192, 288, 320)
    x = batch(noise_photo(480, 480, 3))
    x[:, :, :, 180:] = 255 - x[:, :, :, 180:]  # an edge just outside the block
    bands = model.f((x - 127.5) / 64)
    at = model.interpolator(q)
    split = lambda v: list(v[:, :, None, None].split(BANDS, 1))  # noqa: E731
    gain = split(torch.exp(at(model.log_gain)))
    latent = Scaled([], [torch.ones_like(g) for g in gain], gain, split(model.deviation[None]))
    k = [(b * g).round() for b, g in zip(bands, gain)]

    def pixels(k: list[torch.Tensor]) -> torch.Tensor:
        return model.synthesise(model.restore(k, latent, model.lost(k, latent, q)))

    expected = pixels(k)[:, :, *block.within(whole)]
    assert expected.std() > 20
    errors, steps = {}, {}
    for margin in (32, grid.MARGIN):
        window = Box(block.top - margin, block.left - margin, block.bottom + margin, block.right + margin)
        inside = [a[:, :, *window.within(whole, u)] for a, u in zip(k, UNITS)]
        errors[margin] = float((pixels(inside)[:, :, *block.within(window)] - expected).abs().max())
        part = model.f((x[:, :, *window.within(whole)] - 127.5) / 64)
        steps[margin] = max(
            float(((a[:, :, *block.within(window, u)] - b[:, :, *block.within(whole, u)]) * g).abs().max())
            for a, b, g, u in zip(part, bands, gain, UNITS)
        )
    assert errors[grid.MARGIN] < 0.05 and steps[grid.MARGIN] < 0.05
    assert errors[32] > 0.05  # this test can see a margin that is too small

"""Rounding by cost, the integer model as floats, and the search for a better latent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_integer import random_latent

import codec
from codec.coding import latent_search
from codec.container import bitstream
from codec.network.model import Codec
from codec.network.session import open_session
from codec.tool import cli
from entropy.float_copy import float_copy
from entropy.integer import IntegerPrior
from entropy.latent import Latent
from entropy.rounding import Rounding
from entropy.tables import TOTAL, logistic_tables

Pixels = np.ndarray
QUALITY = 12800


# --- rounding --------------------------------------------------------------------------------------


def test_each_coefficient_takes_the_cheaper_of_two() -> None:
    tables, random = logistic_tables(), np.random.default_rng(1)
    rounding, n = Rounding(tables), 3000
    y = random.laplace(0, 1.5, n).astype(np.float32)
    ids = random.integers(0, len(tables.start) - 1, n)
    base = random.integers(-2, 3, n)
    weight = random.uniform(1, 40, n).astype(np.float32)
    found = rounding(y, base, ids, weight)

    def cost(i: int, k: float) -> float:
        table = tables.frequencies[tables.start[ids[i]] : tables.start[ids[i] + 1]].astype(float)
        at = int(k) - base[i] + len(table) // 2
        bits = -np.log2(table[at] / TOTAL) if 1 <= at < len(table) else 40.0
        return bits + weight[i] * (y[i] - k) ** 2

    for i in range(n):
        near = np.rint(y[i])
        both = near, near - np.sign(near)
        assert found[i] in both
        assert cost(i, found[i]) <= min(cost(i, k) for k in both) + 1e-3
    assert 0 < np.mean(found != np.rint(y)) < 0.5


def test_an_error_that_counts_for_much_gives_the_nearest(prior: IntegerPrior) -> None:
    latent = random_latent(64, 96, 1, 2.0)
    y = [(a + np.random.default_rng(2).uniform(-0.45, 0.45, a.shape)).astype(np.float32) for a in latent.k]
    nearest = prior.encode(latent, QUALITY)
    assert prior.encode(Latent(latent.side, y), QUALITY, np.full(39, 1e9, np.float32))[0] == nearest[0]
    data, held = prior.encode(Latent(latent.side, y), QUALITY, np.full(39, 3, np.float32))
    assert len(data) < len(nearest[0])
    assert all((np.abs(a) <= np.abs(b)).all() for a, b in zip(held.k, latent.k))
    decoded = prior.decode(data, QUALITY, 64, 96)
    assert all(np.array_equal(a, b) for a, b in zip(decoded.k, held.k))


@torch.no_grad()
def test_training_rounds_as_the_encoder_does(model: Codec, prior: IntegerPrior) -> None:
    random = torch.Generator().manual_seed(3)
    x = torch.rand(1, 3, 64, 96, generator=random) * 255
    q = torch.tensor([QUALITY / 25600])
    latent = model.analyse(x, q)
    y = [a * c for a, c in zip(latent.k, latent.coded)]
    nearest = [a.round() for a in y]
    here = model.by_cost(y, nearest, latent, q, 1.0)
    weight = torch.cat([w.flatten() for w in model.worth(latent, q)]).numpy()
    side = model.side_latent(nearest, q).round()[0].numpy().astype(np.int32)
    there = prior.encode(Latent(side, [a[0].numpy() for a in y]), QUALITY, weight)[1]
    a, b, near = (
        np.concatenate([v.ravel() for v in w])
        for w in ([v[0].numpy() for v in here], there.k, [v[0].numpy() for v in nearest])
    )
    changed = (a != near).mean()
    assert changed > 0.003  # of random weights and noise: there is something to compare
    assert (a != b).mean() < 0.3 * changed  # floors, tables and skipped symbols make some differ, and those others


# --- the model as floats ---------------------------------------------------------------------------


@torch.no_grad()
def test_the_integer_model_as_floats_says_the_same(model: Codec, prior: IntegerPrior) -> None:
    again, q = float_copy(prior), torch.tensor([QUALITY / 25600])
    latent = random_latent(64, 96, 4, 1.0)
    side, *ks = (torch.from_numpy(a.astype(np.float32))[None] for a in (latent.side, *latent.k))
    given = model.prior_inputs(q, [torch.ones(1, a.shape[1], 1, 1) for a in ks])
    bits = [(p.side_bits(side, side, given.at), p(side, ks, ks, given)) for p in (model.prior, again)]
    assert torch.allclose(bits[0][0], bits[1][0], rtol=0.01)
    assert torch.allclose(bits[0][1], bits[1][1], rtol=0.01)
    assert not any(p.requires_grad for p in again.parameters())


# --- search ------------------------------------------------------------------------------------------


def cost(data: bytes, picture: Pixels, quality: float) -> float:
    """Bits + lambda x squared error: what a search lessens."""
    error = ((codec.decode(data, array=True).astype(float) - picture) ** 2).sum()
    model = open_session().model
    return 8 * len(data) + model.lambda_at(torch.tensor(quality / 100)).item() * error / 3


def test_search_lessens_the_cost(photo: Pixels) -> None:
    first, better = (codec.encode(photo, 30, effort=e) for e in (0, 6))
    assert cost(better, photo, 30) < 0.99 * cost(first, photo, 30)
    codec.verify(better)


def test_search_in_tiles_and_parts(photo: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_search, "STEPS", (0, *[3] * 9))
    monkeypatch.setattr(latent_search, "BLOCK", 64)
    seen: list[tuple[int, int]] = []
    whole = codec.encode(photo, 30, effort=1, progress=lambda *done: seen.append(done))
    assert len(seen) > 3 and seen == sorted(set(seen)) and seen[-1][0] == seen[-1][1]
    tiled = codec.encode(photo, 30, effort=1, tile=64)
    for data in (whole, tiled):
        codec.verify(data)
        assert cost(data, photo, 30) < 2 * cost(codec.encode(photo, 30), photo, 30)


def test_search_gives_the_same_bytes_on_any_number_of_threads(photo: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_search, "STEPS", (0, *[4] * 9))
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(codec.encode(photo, 40, effort=2))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2] != codec.encode(photo, 40)


def test_what_was_searched_for_settles(photo: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_search, "STEPS", (0, *[4] * 9))
    data = codec.encode(photo, 40, effort=1, stable=True)
    assert codec.encode(codec.decode(data), 40) == data


def test_a_draw_hardens() -> None:
    random, v = torch.Generator().manual_seed(0), torch.linspace(-3, 3, 601)
    hard = latent_search.relaxed(v, 0.05, random)
    assert (hard - hard.round()).abs().mean() < 0.02
    assert ((hard - v).abs() <= 1).all()
    clear = (v - v.round()).abs() < 0.3
    assert torch.equal(hard.round()[clear], v.round()[clear])


@pytest.mark.parametrize("length", [32, 480, 512, 544, 1024, 1056, 1504, 4096])
def test_parts(length: int) -> None:
    cuts = latent_search.parts(length)
    sides = np.diff(cuts)
    assert cuts[0] == 0 and cuts[-1] == length and max(sides) <= 512 and max(sides) - min(sides) <= 96
    assert not any(c % 64 for c in cuts[:-1])


@pytest.mark.parametrize("effort", [-1, 10])
def test_effort_out_of_range(photo: Pixels, effort: int) -> None:
    with pytest.raises(ValueError, match="effort must be in 0..9"):
        codec.encode(photo, 40, effort=effort)


def test_effort_goes_with_a_quality_only(photo: Pixels, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="effort goes with a quality"):
        codec.encode(photo, size=2000, effort=1)
    source = tmp_path / "photo.png"
    codec.decode(codec.encode(photo, 40)).save(source)
    assert cli.main(["encode", str(source), "--size", "2000", "--effort", "1"]) == 2
    assert "effort" in capsys.readouterr().err
    assert cli.main(["encode", str(source), "-q", "20", "--effort", "1"]) == 0
    assert bitstream.read_header((tmp_path / "photo.irc").read_bytes()).quality == 20

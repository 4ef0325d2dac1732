"""The exact probability model: made from the float one, saved, coding, and refusing what is not exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from roundtrip import TINY, batch, noise_photo

from codec.network.model import Codec
from entropy.coder import CorruptStream
from entropy.config import BANDS
from entropy.exact_layer import EXACT, IntegerLayer, NotExact
from entropy.integer import IntegerPrior, interpolate
from entropy.latent import CLIP, Latent
from entropy.layers import Layer, Shape
from entropy.levels import arrays_by_level

QUALITIES = [0, 3333, 12800, 25600]


def random_latent(height: int, width: int, seed: int, deviation: float, wild: float = 0.0) -> Latent:
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        a = np.rint(random.laplace(0, deviation, shape)).clip(-CLIP, CLIP)
        far = random.random(shape) < wild
        a[far] = random.integers(-CLIP, CLIP + 1, far.sum())
        return a.astype(np.int32)

    h, w = height // 32, width // 32
    return Latent(draw(TINY.side, h, w), [draw(c, 2 * h << i, 2 * w << i) for i, c in enumerate(BANDS)])


def same(a: Latent, b: Latent) -> bool:
    return np.array_equal(a.side, b.side) and all(np.array_equal(x, y) for x, y in zip(a.k, b.k, strict=True))


@pytest.mark.parametrize("size", [(32, 32), (32, 160), (96, 64)])
@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize(("deviation", "wild"), [(0.2, 0.0), (3.0, 0.0), (2.0, 0.02), (5000.0, 0.5)])
def test_round_trip(prior: IntegerPrior, size: tuple[int, int], quality: int, deviation: float, wild: float) -> None:
    latent = random_latent(*size, quality, deviation, wild)
    data, held = prior.encode(latent, quality)
    assert same(prior.decode(data, quality, *size), held)
    assert np.array_equal(held.side, latent.side)
    coded = arrays_by_level(prior.coded(quality))
    for a, b, c in zip(held.k, latent.k, coded):
        assert not a[~c].any()
        kept = a != 0
        assert np.array_equal(a[kept], b[kept])
    assert prior.encode(held, quality)[0] == data


def test_what_is_large_is_kept(prior: IntegerPrior) -> None:
    latent = random_latent(64, 64, 0, 20.0)
    held = prior.encode(latent, 25600)[1]
    assert prior.coded(25600).all()
    assert same(held, latent)


def test_arrays(prior: IntegerPrior) -> None:
    arrays = prior.arrays()
    assert all(a.dtype.kind in "iu" for a in arrays.values())
    again = IntegerPrior.from_arrays(TINY, arrays)
    assert arrays.keys() == again.arrays().keys()
    assert all(np.array_equal(a, again.arrays()[k]) for k, a in arrays.items())
    for quality in QUALITIES:
        latent = random_latent(64, 32, 1, 3.0, 0.01)
        data, held = prior.encode(latent, quality)
        assert again.encode(latent, quality)[0] == data
        assert same(again.decode(data, quality, 64, 32), held)


def test_damaged_streams(prior: IntegerPrior) -> None:
    random = np.random.default_rng(0)
    data, held = prior.encode(random_latent(64, 64, 0, 2.0), 20000)
    for attempt in range(60):
        if attempt % 2:
            broken = data[: int(random.integers(len(data) - 4))]
        else:
            flipped = bytearray(data)
            flipped[random.integers(len(data) - 8)] ^= 1 << random.integers(8)
            broken = bytes(flipped)
        try:
            found = prior.decode(broken, 20000, 64, 64)
        except CorruptStream:
            continue
        assert not same(found, held)


@torch.no_grad()
@pytest.mark.parametrize("quality", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_bytes_are_those_of_the_float_model(model: Codec, prior: IntegerPrior, quality: float) -> None:
    """Within 1 % and 100 bytes of the bits that the float model estimates on the same integers."""
    x, q = batch(noise_photo(256, 256, 9)), torch.tensor([quality])
    latent = model.analyse(x, q)
    k = [(a * c).round() for a, c in zip(latent.k, latent.coded)]
    side = model.side_latent(k, q).round()
    whole = Latent(side[0].int().numpy(), [a[0].int().numpy() for a in k])
    data, held = prior.encode(whole, round(quality * 25600))
    ks = [torch.from_numpy(a.astype(np.float32))[None] for a in held.k]
    given = model.prior_inputs(q, latent.coded)
    bits, coded = (
        model.prior.side_bits(side, side, given.at, skipped) + model.prior(side, ks, ks, given, skipped)
        for skipped in (False, True)
    )
    assert bits.item() >= coded.item() > 1600
    for estimate in (bits, coded):
        assert abs(len(data) - estimate.item() / 8) < 0.01 * estimate.item() / 8 + 100


def test_interpolation_is_exact_at_the_knots() -> None:
    table = np.array([[-70000], [3], [2**30]])
    assert [interpolate(table, q)[0] for q in (0, 12800, 25600)] == [-70000, 3, 2**30]
    between = [int(interpolate(table, q)[0]) for q in range(0, 25601, 128)]
    assert between == sorted(between)


# --- exactness by construction -----------------------------------------------------------------


def layers(prior: IntegerPrior) -> list[tuple[str, IntegerLayer]]:
    return [(n, m) for n, m in prior.graph.named_modules() if isinstance(m, IntegerLayer)]


def test_sums_stay_below_the_bound(prior: IntegerPrior) -> None:
    assert len(layers(prior)) > 40
    for name, layer in layers(prior):
        w, b = layer.weight.double(), layer.bias.double()
        assert (w == w.round()).all() and (b == b.round()).all(), name
        assert (w.abs().sum((1, 2, 3)) * layer.limit_in + b.abs()).max() < EXACT, name


def test_float32_is_as_good_as_float64(prior: IntegerPrior) -> None:
    random = torch.Generator().manual_seed(0)
    for name, layer in layers(prior):
        channels = layer.shape.channels_in
        x = torch.randint(-layer.limit_in, layer.limit_in + 1, (1, channels, 6, 6), generator=random).float()
        exact = torch.nn.functional.conv2d(
            x.double(),
            layer.weight.double(),
            layer.bias.double(),
            padding=layer.weight.shape[-1] // 2,
            groups=layer.shape.groups,
        )
        exact = torch.floor(exact / torch.exp2(layer.shift.double())[:, None, None]).clamp(layer.low, layer.limit)
        exact = torch.nn.functional.pixel_shuffle(exact, 2) if layer.shape.up else exact
        assert torch.equal(layer(x).double(), exact), name


@pytest.mark.parametrize("size", [1, 3])
def test_a_layer_is_near_its_float_one(size: int) -> None:
    torch.manual_seed(0)
    layer = Layer(Shape(16, 8, size, signed=True))
    x = torch.randint(-600, 600, (1, 16, 5, 5)).float()
    assert (IntegerLayer.of(layer)(x) / 64 - layer(x / 64)).abs().max() < 2 / 64


def spoil(arrays: dict[str, np.ndarray], key: str, value: float) -> dict[str, np.ndarray]:
    array = arrays[key].astype(np.float64)
    array.reshape(-1)[0] = value
    return arrays | {key: array}


KEY = "graph.levels.0.widen"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("weight", 2.0**23),
        ("weight", -(2.0**23)),
        ("weight", 0.5),
        ("weight", np.nan),
        ("weight", np.inf),
        ("bias", 2.0**24),
        ("bias", np.nan),
        ("shift", 21),
        ("shift", -1),
        ("shift", 0.5),
        ("shift", np.nan),
    ],
)
def test_not_exact(prior: IntegerPrior, part: str, value: float) -> None:
    with pytest.raises(NotExact):
        IntegerPrior.from_arrays(TINY, spoil(prior.arrays(), f"{KEY}.{part}", value))


def test_missing_and_misshapen_arrays(prior: IntegerPrior) -> None:
    arrays = prior.arrays()
    for key in (KEY + ".weight", "tables.start", "own", "features"):
        with pytest.raises((KeyError, RuntimeError)):
            IntegerPrior.from_arrays(TINY, {k: v for k, v in arrays.items() if k != key})
    with pytest.raises(RuntimeError):
        IntegerPrior.from_arrays(TINY, arrays | {KEY + ".weight": arrays[KEY + ".weight"][:-1]})

"""The range coder and its tables."""

from __future__ import annotations

import numpy as np
import pytest

from entropy.coder import CorruptStream, Decoder, Encoder, Models
from entropy.tables import SCALES, TOTAL, Tables, join, logistic, logistic_tables

Step = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return logistic_tables()


def write(models: Models, steps: list[Step]) -> bytes:
    writer = Encoder()
    for ids, values in steps:
        writer.code(models, ids, values)
    return writer.bytes()


def read(models: Models, data: bytes, steps: list[Step]) -> list[np.ndarray]:
    reader = Decoder(data)
    return [reader.code(models, ids, None) for ids, _ in steps]


def random_steps(tables: Tables, seed: int, sizes: list[int], wild: float = 0.0) -> list[Step]:
    random = np.random.default_rng(seed)
    steps = []
    for n in sizes:
        ids = random.integers(0, len(tables.start) - 1, n)
        values = np.rint(random.standard_normal(n) * tables.reach[ids] / 3).astype(np.int32)
        far = random.random(n) < wild
        values[far] = random.integers(-70000, 70000, far.sum())
        steps.append((ids, values))
    return steps


# --- tables ----------------------------------------------------------------------------


def check(tables: Tables) -> None:
    assert tables.start[0] == 0 and tables.start[-1] == len(tables.frequencies)
    for i, reach in enumerate(tables.reach):
        f = tables.frequencies[tables.start[i] : tables.start[i + 1]].astype(np.int64)
        assert len(f) == 2 * reach + 2 and reach >= 1
        assert f.sum() == TOTAL == 2**20
        assert f.min() >= 1


def test_logistic_tables(tables: Tables) -> None:
    check(tables)
    assert len(tables.first) == len(tables.fractions) == SCALES
    for index in range(1, SCALES):
        first, count = tables.first[index], tables.fractions[index]
        assert count in (1, 2, 4, 8)
        assert first + count == (tables.first[index + 1] if index + 1 < SCALES else len(tables.start) - 1)


@pytest.mark.parametrize("deviation", [0.08, 0.3, 1.0, 7.5, 200.0])
@pytest.mark.parametrize("offset", [-0.4375, 0.0, 0.25])
def test_a_table_has_its_deviation_and_mean(deviation: float, offset: float) -> None:
    f = logistic(deviation, offset)[1:].astype(float)
    r = len(f) // 2
    x = np.arange(-r, r + 1)
    mean = (x * f).sum() / f.sum()
    spread = np.sqrt(((x - mean) ** 2 * f).sum() / f.sum())
    if deviation >= 1:  # below, rounding to integers has the say
        assert mean == pytest.approx(offset, abs=0.02 * deviation)
        assert spread == pytest.approx(np.sqrt(deviation**2 + 1 / 12), rel=0.02)
    assert x[np.argmax(f)] == 0


def test_small_scales_leave_little(tables: Tables) -> None:
    """The table of the smallest scale around 0 costs next to nothing for a zero."""
    f = tables.frequencies[tables.start[4] : tables.start[5]]
    assert -np.log2(f[1 + tables.reach[4]] / TOTAL) < 0.1


# --- round trips -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [[1], [0], [], [0, 5, 0], [3000, 1, 200]])
@pytest.mark.parametrize("wild", [0.0, 0.1, 1.0])
def test_round_trip(tables: Tables, seed: int, sizes: list[int], wild: float) -> None:
    models = Models(tables)
    steps = random_steps(tables, seed, sizes, wild)
    found = read(models, write(models, steps), steps)
    assert all(np.array_equal(a, values) for a, (_, values) in zip(found, steps))


def test_random_tables() -> None:
    random = np.random.default_rng(3)
    made = [
        logistic(float(d), float(o)) for d, o in zip(np.exp(random.uniform(-3, 6, 30)), random.uniform(-0.5, 0.5, 30))
    ]
    tables = join(made, list(range(30)), [1] * 30)
    check(tables)
    models = Models(tables)
    steps = random_steps(tables, 5, [4000], 0.02)
    assert np.array_equal(read(models, write(models, steps), steps)[0], steps[0][1])


def test_edges_of_the_escape(tables: Tables) -> None:
    models = Models(tables)
    ids = np.repeat(np.arange(len(tables.start) - 1), 8)
    r = tables.reach[ids]
    step = np.tile([0, 1, 2, 3, -1, -2, -3, 60000], len(tables.start) - 1)
    values = (np.sign(step) * r + step).astype(np.int32)
    steps = [(ids, values)]
    assert np.array_equal(read(models, write(models, steps), steps)[0], values)


def test_the_cost_is_that_of_the_tables(tables: Tables) -> None:
    models = Models(tables)
    random = np.random.default_rng(0)
    ids, values = random.integers(0, len(tables.start) - 1, 5000), []
    for i in ids:
        f = tables.frequencies[tables.start[i] : tables.start[i + 1]].astype(float)
        f[0] = 0  # no escapes: their suffix is no part of the table
        values.append(random.choice(len(f), p=f / f.sum()) - 1 - tables.reach[i])
    at = tables.start[ids] + np.array(values) + tables.reach[ids] + 1
    bits = -np.log2(tables.frequencies[at] / TOTAL).sum()
    size = 8 * len(write(models, [(ids, np.array(values, np.int32))]))
    assert bits - 1 <= size <= bits * 1.001 + 64


def test_an_encoder_needs_values(tables: Tables) -> None:
    with pytest.raises(ValueError, match="values"):
        Encoder().code(Models(tables), np.array([3]), None)


# --- bytes -------------------------------------------------------------------------------

FIXED: list[Step] = [
    (np.array([0, 5, 5, 100, 150, 0, 30]), np.array([0, 1, -1, 4, -20, 0, 2])),
    (np.array([], np.int64), np.array([], np.int64)),
    (np.array([7, 168, 7, 3]), np.array([12, -1234, -65000, 1])),
]
GOLDEN = "b59882ff306461b5fb08eabd4780000002696f7b"


def test_golden_bytes(tables: Tables) -> None:
    models = Models(tables)
    assert write(models, FIXED).hex() == GOLDEN
    found = read(models, bytes.fromhex(GOLDEN), FIXED)
    assert [a.tolist() for a in found] == [values.tolist() for _, values in FIXED]


# --- damage ------------------------------------------------------------------------------


def outcome(models: Models, data: bytes, steps: list[Step]) -> bool | None:
    """Whether the values are the same; None: CorruptStream. Anything else fails the test."""
    try:
        found = read(models, data, steps)
    except CorruptStream:
        return None
    return all(np.array_equal(a, values) for a, (_, values) in zip(found, steps))


def test_truncation(tables: Tables) -> None:
    models = Models(tables)
    steps = random_steps(tables, 1, [150, 50], 0.05)
    data = write(models, steps)
    assert outcome(models, data, steps) is True
    for length in range(len(data) - 4):
        assert not outcome(models, data[:length], steps)
        if length % 4:
            assert outcome(models, data[:length], steps) is None


@pytest.mark.parametrize("seed", range(3))
def test_damage(tables: Tables, seed: int) -> None:
    models = Models(tables)
    random = np.random.default_rng(seed)
    steps = random_steps(tables, seed, [200, 100], 0.05)
    data = write(models, steps)
    for _ in range(100):
        broken = bytearray(data)
        broken[random.integers(len(data) - 8)] ^= 1 << random.integers(8)
        assert not outcome(models, bytes(broken), steps)
        outcome(models, random.bytes(4 * int(random.integers(60))), steps)


@pytest.mark.parametrize("byte", [0, 255])
def test_constant_bytes_end(tables: Tables, byte: int) -> None:
    models = Models(tables)
    steps = random_steps(tables, 1, [2000])
    assert not outcome(models, bytes([byte]) * 4000, steps)


def test_no_bytes(tables: Tables) -> None:
    steps = random_steps(tables, 1, [20])
    assert not outcome(Models(tables), b"", steps)

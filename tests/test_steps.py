"""Steps of a file's own: how they are written, that they are coded with exactly, and that older readers refuse them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_decoder import Damaged, level_qualities, with_offset
from reference_decoder import steps as reference
from roundtrip import noise_photo

import codec
from codec.container import bitstream
from codec.container.steps import Steps, pack, unpack
from codec.errors import DamagedError
from codec.network.session import open_session
from entropy.config import BANDS, CHANNELS
from entropy.integer import Walker, interpolate
from entropy.quantisation import MOST, Quantisation

FORMAT = " ".join((Path(__file__).parent.parent / "docs" / "format.md").read_text("utf-8").split())


def offsets(seed: int, most: int = MOST) -> tuple[int, ...]:
    draw = random.Random(seed)
    return tuple(draw.randint(-most, most) for _ in range(CHANNELS))


# --- how they are written ----------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 1, 3, 20, MOST])
def test_round_trip(most: int) -> None:
    for seed in range(20):
        steps = Steps(seed % 3, offsets(seed, most))
        payload = pack(steps)
        assert unpack(payload) == steps
        assert reference(payload) == (steps.tune, list(steps.offsets))


def test_they_take_a_few_bytes() -> None:
    assert len(pack(Steps(1, (0,) * CHANNELS))) == 6
    data = codec.encode(noise_photo(40, 40), 50, tune="visual")
    assert bitstream.read(data).chunks[1].size <= 24


@pytest.mark.parametrize("seed", range(200))
def test_the_same_of_any_bytes(seed: int) -> None:
    """What no encoder writes is refused, by the reference too, and by nothing but DamagedError."""
    draw = random.Random(seed)
    payload = bytearray(pack(Steps(1, offsets(seed, seed % 9))))
    if seed % 4:
        payload[draw.randrange(1, len(payload))] ^= 1 << draw.randrange(8)
    elif seed % 8:
        payload = payload[: draw.randrange(len(payload))]
    else:
        payload += draw.randbytes(draw.randrange(3))
    try:
        expected = reference(bytes(payload)) if len(payload) > 1 else None
    except Damaged:
        expected = None
    try:
        found = unpack(bytes(payload))
    except DamagedError:
        assert expected is None
    else:
        assert expected == (found.tune, list(found.offsets))
        assert pack(found) == payload


@pytest.mark.parametrize("steps", [Steps(1, (0,) * 38), Steps(256, (0,) * 39), Steps(1, (65,) * 39)])
def test_what_cannot_be_written(steps: Steps) -> None:
    with pytest.raises(ValueError, match="offsets of -64..64"):
        pack(steps)


# --- the container -------------------------------------------------------------------------------------


def test_the_version_says_it() -> None:
    """Readers of version 1 refuse a file of version 2 by its version, in words that name the remedy."""
    header, steps = bitstream.Header.of(64, 32, 50), Steps(1, offsets(1, 9))
    plain, own = bitstream.write(header, [b"tile"]), bitstream.write(header, [b"tile"], steps=steps)
    assert (plain[8], own[8]) == (1, 2)
    file = bitstream.read(own)
    assert file.steps == steps and file.version == 2 and [c.type for c in file.chunks] == ["HEAD", "STEP", "DATA"]
    assert file.quantisation == Quantisation(header.quality_code, steps.offsets)
    assert bitstream.write(file.header, file.tiles, file.extras, file.checksums, file.steps) == own
    assert bitstream.read(plain).steps is None and bitstream.read(plain).quantisation.plain
    assert (bitstream.describe(bitstream.read(plain))["tune"], bitstream.describe(file)["tune"]) == ("psnr", "visual")
    for broken in (plain[:8] + b"\2" + plain[9:], own[:8] + b"\1" + own[9:], own[:60] + own[61:]):
        with pytest.raises(DamagedError):
            bitstream.read(broken)
    assert "STEP is missing" in str(pytest.raises(DamagedError, bitstream.read, plain[:8] + b"\2" + plain[9:]).value)


# --- integers ------------------------------------------------------------------------------------------


def test_the_rules_of_the_format() -> None:
    """Which bands are coded, and the numbers of the integer model, by the reference; the table is in the format."""
    prior = open_session().prior
    for seed, quality in ((0, 0), (1, 2560), (2, 12345), (3, 25600)):
        own_offsets = offsets(seed, 24 if seed else MOST)
        at = Quantisation(quality, own_offsets)
        tables = [interpolate(t, quality).tolist() for t in (prior.own, prior.mean_gain, prior.coded_from)]
        walker = Walker(prior, None, at)  # type: ignore[arg-type]
        own, gain = (np.concatenate([getattr(n, name) for n in walker.numbers]) for name in ("own", "gain"))
        for i, (a, b, c, offset) in enumerate(zip(*tables, own_offsets)):
            expected = with_offset(a // 64, b // 64, c, offset)
            assert bool(prior.coded(at)[i]) == expected[2] and gain[i] == expected[1]
            assert own[i] == (expected[0] if expected[2] else -(1 << 20))
            assert 4095 * gain[i] < 2**24  # so that products are exact
        told = level_qualities(quality, [*own_offsets])
        for bias, table, q in zip(walker.bias, prior.graph.quality, [*told, quality]):
            assert torch.equal(bias.flatten(), torch.from_numpy(interpolate(table.numpy(), q) // 256).float())
    assert "16384 17109 17867" in FORMAT


@pytest.mark.parametrize("seed", range(6))
def test_coding_is_exact(seed: int) -> None:
    """Any offsets: what was encoded is decoded, and the stream of what was decoded is the same."""
    session = open_session()
    at = Quantisation([0, 2000, 9000, 14000, 19200, 25600][seed], offsets(seed, 24 if seed else MOST))
    stream, latent = session.encode(session.bands(noise_photo(64, 96, seed)), at)
    again = session.prior.decode(stream, at, 64, 96)
    assert all(np.array_equal(a, b) for a, b in zip((latent.side, *latent.k), (again.side, *again.k)))
    assert session.prior.encode(again, at)[0] == stream
    coded = session.prior.coded(at)
    for k, wanted in zip(again.k, np.split(coded, np.cumsum(BANDS)[:-1])):
        assert not k[~wanted].any()


def test_steps_of_zero_are_none() -> None:
    session, pixels = open_session(), noise_photo(64, 64, 1)
    bands = session.bands(pixels)
    assert session.encode(bands, 12800)[0] == session.encode(bands, Quantisation(12800, (0,) * CHANNELS))[0]


def test_finer_steps_are_nearer() -> None:
    """Half an octave finer everywhere is as good as the quality that much higher, for nearly the same bytes."""
    session, pixels = open_session(), noise_photo(96, 96, 2)

    def measured(at: Quantisation) -> tuple[int, float]:
        stream, latent = session.encode(session.bands(pixels), at)
        x = session.render([k.astype(np.float32) for k in latent.k], at)[0].permute(1, 2, 0).numpy()
        return len(stream), float(((x - pixels) ** 2).mean())

    (size, error), (plain_size, plain_error) = (
        measured(Quantisation(10240, (8,) * CHANNELS)),
        measured(Quantisation(10240 + 2560)),
    )
    assert abs(size / plain_size - 1) < 0.1 and abs(error / plain_error - 1) < 0.25


@torch.no_grad()
def test_the_float_model_agrees() -> None:
    """What the search minimises is what the integers cost, with steps of a file's own too."""
    from entropy.float_copy import float_copy

    session, at = open_session(), Quantisation(12800, offsets(5, 12))
    stream, latent = session.encode(session.bands(noise_photo(64, 64, 3)), at)
    scaled, q = session.scaled(session.bands(noise_photo(64, 64, 3)), at)
    prior = float_copy(session.prior)
    ks = [torch.from_numpy(k)[None].float() for k in latent.k]
    side = torch.from_numpy(latent.side)[None].float()
    given = session.model.prior_inputs(q, scaled.coded, scaled.finer)
    bits = prior.side_bits(side, side, given.at, True) + prior(side, ks, ks, given, True)
    assert abs(float(bits) / 8 / len(stream) - 1) < 0.03

"""Weights files: written, read back, found by name, and refused where they are not usable."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from roundtrip import batch, noise_photo, tiny_model
from safetensors.numpy import load as parse
from safetensors.numpy import save

from codec.errors import WeightsError
from codec.network import weights
from codec.network.weights import pack, read
from entropy.integer import Latent


@pytest.fixture(scope="module")
def packed() -> bytes:
    return pack(tiny_model(), {"licence": "none"})


def metadata(data: bytes) -> dict[str, str]:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def put(folder: Path, data: bytes) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    return path


@torch.no_grad()
def test_round_trip(packed: bytes, tmp_path: Path) -> None:
    assert len(packed) < 300_000
    assert metadata(packed)["licence"] == "none"
    found = read(put(tmp_path, packed))
    assert found.name == hashlib.sha256(packed).digest()[:4]
    model = tiny_model()
    x = batch(noise_photo(64, 64, 3))
    assert torch.allclose(found.model.f(x / 64)[3], model.f(x / 64)[3], atol=0.05)  # float16 between them
    assert torch.equal(found.model.f.colour.rotation, model.f.colour.rotation)
    latent = model.analyse(x, torch.tensor([0.5]))
    k = [(a * c).round()[0].int().numpy() for a, c in zip(latent.k, latent.coded)]
    data, held = found.prior.encode(Latent(np.zeros((4, 2, 2), np.int32), k), 12800)
    again = read(put(tmp_path, packed)).prior.decode(data, 12800, 64, 64)
    assert all(np.array_equal(a, b) for a, b in zip(again.k, held.k))


def test_packing_is_reproducible() -> None:
    """The same bytes each time, however many notes there are and in whatever order they come."""
    notes = {f"note {i}": str(i) for i in range(12)}
    files = {
        pack(tiny_model(), dict(given)) for given in (list(notes.items()), list(notes.items())[::-1]) for _ in range(3)
    }
    assert len(files) == 1
    assert metadata(files.pop()).items() >= notes.items()


@pytest.mark.parametrize("quality", range(0, 101, 20))
def test_both_models_code_the_same_bands(packed: bytes, tmp_path: Path, quality: int) -> None:
    found, model = read(put(tmp_path, packed)), tiny_model()
    latent = model.analyse(batch(noise_photo(32, 32)), torch.tensor([quality / 100]))
    assert torch.cat([c.flatten() for c in latent.coded]).bool().tolist() == found.prior.coded(quality * 256).tolist()


def test_the_shipped_file() -> None:
    path = weights.FOLDER / weights.DEFAULT
    assert path.stat().st_size <= 30e6
    notes = metadata(path.read_bytes())
    assert notes["licence"] and notes["credits"]
    assert weights.load().name == hashlib.sha256(path.read_bytes()).digest()[:4]


def test_found_by_name(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_cached_weights: None) -> None:
    name = hashlib.sha256(packed).digest()[:4]
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    put(tmp_path / "full", packed)
    monkeypatch.setenv("IRC_WEIGHTS", str(tmp_path / "empty"))
    with pytest.raises(WeightsError, match=name.hex()):
        weights.load(name)
    monkeypatch.setenv("IRC_WEIGHTS", f"{tmp_path / 'missing'}:{tmp_path / 'empty'}:{tmp_path / 'full'}")
    assert weights.load(name).name == name


@pytest.mark.parametrize("name, draws", [("golden", False), ("golden-2", False), (None, True)])
def test_coded_coefficients_are_drawn_where_the_head_learned_it(name: str | None, draws: bool) -> None:
    path = Path(__file__).parent / "data" / f"{name}.safetensors" if name else weights.FOLDER / weights.DEFAULT
    assert read(path).model.draws_kept is draws


# --- what is not usable ------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 1e-5, 0.001, 0.01, 0.1, 0.5, 0.9999])
def test_truncated(packed: bytes, tmp_path: Path, share: float) -> None:
    with pytest.raises(WeightsError, match="model.safetensors"):
        read(put(tmp_path, packed[: int(len(packed) * share)]))


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        read(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "edit",
    [
        {"format": "4"},
        {"format": ""},
        {"format": "1"},
        {"config": "{"},
        {"config": "[]"},
        {"config": "{}"},
        {"config": '{"what": 1}'},
        {"config": '{"prior": [1, 2]}'},
        {"config": '{"side": "x"}'},
        {"config": '{"side": 100000000}'},
        {"config": '{"prior": [1000000, 1000000, 1000000, 1000000]}'},
        {"config": '{"knots": 1}'},
        {"config": '{"knots": true}'},
        {"config": '{"drop": NaN}'},
        {"config": '{"drop": -1}'},
        {"config": "[" * 100000},
        {"config": "null"},
        {"config": '{"side": %s}' % ("9" * 5000)},
    ],
)
def test_wrong_metadata(packed: bytes, tmp_path: Path, edit: dict[str, str]) -> None:
    with pytest.raises(WeightsError) as caught:
        read(put(tmp_path, save(parse(packed), metadata(packed) | edit)))
    assert "\n" not in str(caught.value)


def spoilt(packed: bytes, edit) -> bytes:
    arrays = parse(packed)
    edit(arrays)
    return save(arrays, metadata(packed))


def too_large(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.graph.levels.0.widen.weight"] = arrays["prior.graph.levels.0.widen.weight"].astype(np.int32) * 1000


def fractions(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.graph.levels.1.narrow.bias"] = arrays["prior.graph.levels.1.narrow.bias"] + 0.5


def missing_array(arrays: dict[str, np.ndarray]) -> None:
    del arrays["prior.own"]


def missing_network(arrays: dict[str, np.ndarray]) -> None:
    del arrays["head.quality"]


def unknown_array(arrays: dict[str, np.ndarray]) -> None:
    arrays["head.more"] = np.zeros(3, np.float32)


def misshapen(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.graph.levels.0.widen.weight"] = arrays["prior.graph.levels.0.widen.weight"][:3]


@pytest.mark.parametrize("edit", [too_large, fractions, missing_array, missing_network, unknown_array, misshapen])
def test_wrong_arrays(packed: bytes, tmp_path: Path, edit) -> None:
    with pytest.raises(WeightsError) as caught:
        read(put(tmp_path, spoilt(packed, edit)))
    assert "\n" not in str(caught.value)


def zero_frequency(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.tables.frequencies"] = arrays["prior.tables.frequencies"].copy()
    arrays["prior.tables.frequencies"][3] = 0


def short_tables(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.tables.frequencies"] = arrays["prior.tables.frequencies"][:100].copy()


def no_scales(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.tables.first"] = arrays["prior.tables.first"][:5].copy()


def short_features(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.features"] = arrays["prior.features"][:100].copy()


def large_features(arrays: dict[str, np.ndarray]) -> None:
    """Inputs beyond the range that the sums were bounded for."""
    arrays["prior.features"] = arrays["prior.features"] * np.int16(20)


def few_channels(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.coded_from"] = arrays["prior.coded_from"][:, :7].copy()


def fractional_phase(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.graph.levels.0.phase"] = arrays["prior.graph.levels.0.phase"] + np.float32(0.3)


def not_finite(arrays: dict[str, np.ndarray]) -> None:
    arrays["head.quality"] = np.full_like(arrays["head.quality"], np.nan)


def floats_for_integers(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.own"] = np.full(arrays["prior.own"].shape, np.inf, np.float32)


def unordered_tables(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.tables.start"] = arrays["prior.tables.start"][::-1].copy()


def tables_far_away(arrays: dict[str, np.ndarray]) -> None:
    arrays["prior.tables.first"] = arrays["prior.tables.first"] + 2**30


def zero_scale(arrays: dict[str, np.ndarray]) -> None:
    """Found by fuzzing: a division by zero in a coupling, and the coder met what was not a number."""
    arrays["f.eighth.parts.0.g.scale_in"] = arrays["f.eighth.parts.0.g.scale_in"] * 0


TABLES = [
    zero_scale,
    not_finite,
    floats_for_integers,
    unordered_tables,
    tables_far_away,
    zero_frequency,
    short_tables,
    no_scales,
    short_features,
    large_features,
    few_channels,
    fractional_phase,
]


@pytest.mark.parametrize("edit", TABLES)
def test_wrong_tables(packed: bytes, tmp_path: Path, edit) -> None:
    with pytest.raises(WeightsError):
        read(put(tmp_path, spoilt(packed, edit)))


@pytest.mark.parametrize(("key", "value"), [("prior.side_mean", -(2**31) + 1000), ("prior.side.frequencies", 7)])
def test_wrong_tables_of_format_1(tmp_path: Path, key: str, value: int) -> None:
    data = (Path(__file__).parent / "data" / "golden.safetensors").read_bytes()
    assert read(put(tmp_path, data)).prior.factorised
    arrays = parse(data)
    with pytest.raises(WeightsError):
        read(put(tmp_path, save(arrays | {key: np.full_like(arrays[key], value)}, metadata(data))))


def test_memory_is_not_taken_on_a_files_word(packed: bytes, tmp_path: Path) -> None:
    """A header that announces more than the file has, and one that is larger than the file."""
    size = int.from_bytes(packed[:8], "little")
    header = json.loads(packed[8 : 8 + size])
    header["head.quality"] = {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}
    text = json.dumps(header).encode()
    for data in (
        len(text).to_bytes(8, "little") + text + packed[8 + size :],
        (2**62).to_bytes(8, "little") + packed[8:],
    ):
        with pytest.raises(WeightsError):
            read(put(tmp_path, data))
    with (tmp_path / "model.safetensors").open("wb") as sparse:
        sparse.truncate(2**33)
    with pytest.raises(WeightsError, match="larger than"):
        read(tmp_path / "model.safetensors")


def test_what_cannot_be_read_is_passed_over(
    packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_cached_weights: None
) -> None:
    (tmp_path / "a.safetensors").mkdir()
    put(tmp_path, packed)
    monkeypatch.setenv("IRC_WEIGHTS", str(tmp_path))
    name = hashlib.sha256(packed).digest()[:4]
    assert weights.load(name).name == name

"""Weights files: written, read back, found by name, and refused where they are not usable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from roundtrip import batch, noise_photo, tiny_model
from safetensors.numpy import load as parse
from safetensors.numpy import save

import codec
from codec.errors import WeightsError
from codec.network import registry, weights, weights_file
from codec.network.weights import pack, read
from codec.training import export
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
    assert found.name.hex() == registry.identify(packed)
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


# --- identity and names ------------------------------------------------------------------------


def named(folder: Path, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    return export.write(data, folder)


def test_identity_is_of_arrays_configuration_and_format(packed: bytes) -> None:
    metadata, arrays = weights_file.parse(packed)
    config, format = json.loads(metadata["config"]), metadata["format"]
    id = weights_file.identity(arrays, config, format)
    assert (
        id == registry.identify(packed) == registry.identify(pack(tiny_model(), {"licence": "other", "more": "note"}))
    )
    assert id == weights_file.identity(dict(reversed(arrays.items())), dict(reversed(config.items())), format)
    key = "head.quality"
    for changed in (
        weights_file.identity(arrays | {key: arrays[key] + 1}, config, format),
        weights_file.identity(arrays | {key: arrays[key].astype(np.float32)}, config, format),
        weights_file.identity(arrays | {key: arrays[key].reshape(-1)}, config, format),
        weights_file.identity({k + "x" * (k == key): v for k, v in arrays.items()}, config, format),
        weights_file.identity(arrays, config | {"drop": 0.05}, format),
        weights_file.identity(arrays, config, "other"),
    ):
        assert changed != id


def test_of_any_kind(tmp_path: Path) -> None:
    """A file of another network has an identity, too, and is no codec."""
    arrays = {"b": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.float32([1.5])}
    data = weights_file.pack(arrays, {"format": "other-1", "config": '{"width": 3}', "licence": "none"})
    path = named(tmp_path, data)
    metadata, again = weights_file.read(path)
    assert metadata == {"format": "other-1", "config": '{"width": 3}', "licence": "none"}
    assert all(again[k].dtype == v.dtype and np.array_equal(again[k], v) for k, v in arrays.items())
    assert path.name == f"irc-{weights_file.identity(arrays, {'width': 3}, 'other-1')}.safetensors"
    assert registry.check(path) is None
    with pytest.raises(WeightsError, match="unknown format"):
        read(path)
    with pytest.raises(WeightsError, match="other"):
        registry.default("other")


def test_the_released_files(no_cached_weights: None) -> None:
    """Every one is in the package, as it was released, with licence and credits."""
    listed = registry.released()
    here = {one.id: one for one in registry.installed() if one.path.parent == registry.FOLDER}
    assert sorted(one.id for one in listed) == sorted(here) and len(here) == len(
        list(registry.FOLDER.glob("*.safetensors"))
    )
    for one in listed:
        assert here[one.id].released == one and registry.check(here[one.id].path) is None
        notes = metadata(here[one.id].path.read_bytes())
        assert notes["licence"] and notes["credits"] and notes["format"] == one.format
        assert one.better and one.training and here[one.id].path.stat().st_size <= 30e6
    defaults = {registry.default(one.kind) for one in listed}
    assert {one.id for one in here.values() if one.default} == defaults and registry.default() in defaults
    assert weights.load() is weights.load() and weights.load().name.hex() == registry.default()


def test_couplings_that_are_the_identity_are_left_out(packed: bytes, tmp_path: Path) -> None:
    model = tiny_model()
    for name, p in model.f.named_parameters():
        if ".last." in name:
            p.zero_()
    found = read(named(tmp_path, pack(model, {})))
    assert (found.model.config.hidden_quarter, found.model.config.hidden_eighth) == (0, 0)
    assert read(named(tmp_path, packed)).model.config == model.config
    x = batch(noise_photo(64, 64, 3)) / 64
    assert all(torch.equal(a, b) for a, b in zip(found.model.f(x), model.f(x)))


def test_loaded_by_id_and_by_file(
    packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_cached_weights: None
) -> None:
    path = named(tmp_path / "full", packed)
    id = path.stem.removeprefix("irc-")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("IRC_WEIGHTS", str(tmp_path / "empty"))
    with pytest.raises(WeightsError, match=f"{id} are not installed.*pip install.*irc-{id}.safetensors.*IRC_WEIGHTS"):
        weights.load(bytes.fromhex(id))
    copy = tmp_path / "mine.safetensors"
    shutil.copy(path, copy)
    for file in (path, copy, str(copy)):
        assert weights.load(file).name.hex() == id
    monkeypatch.chdir(tmp_path)
    assert weights.load("mine.safetensors").name.hex() == id
    monkeypatch.setenv("IRC_WEIGHTS", f"{tmp_path / 'missing'}:{tmp_path / 'empty'}:{tmp_path / 'full'}")
    for name in (id, id.upper(), bytes.fromhex(id)):
        assert weights.load(name).name.hex() == id
    data = codec.encode(noise_photo(40, 40), 50, weights=id)
    assert codec.info(data)["weights"] == id and codec.decode(data).size == (40, 40)


@pytest.mark.parametrize(
    "name", ["", "0badf00", "0badf00dd", "irc-a0187698", b"", b"123", "none/here", Path("nothing")]
)
def test_no_such_name(name: bytes | str | Path) -> None:
    with pytest.raises(WeightsError):
        weights.load(name)


def test_a_release_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_cached_weights: None
) -> None:
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    with pytest.raises(WeightsError, match=f"{registry.default()} are not installed.*release of irc-codec since"):
        weights.load()


def test_right_name_other_content(
    packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_cached_weights: None
) -> None:
    id = registry.default()
    path = named(tmp_path, packed)
    wrong = path.rename(path.with_name("irc-0badf00d.safetensors"))
    released = tmp_path / f"irc-{id}.safetensors"
    arrays = parse(registry.locate(id).read_bytes())
    released.write_bytes(save(arrays, metadata(registry.locate(id).read_bytes()) | {"licence": "mine"}))
    for bad in (wrong, released):
        assert "content is that of" in str(registry.check(bad))
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    for name in ("0badf00d", id):
        with pytest.raises(WeightsError, match="not the weights that its name says"):
            weights.load(name)


def test_a_release_with_other_notes(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its networks are the same, and may be used; but it is not what was released."""
    id = registry.identify(packed)
    known = dataclasses.replace(registry.released()[0], id=id, sha256=hashlib.sha256(packed).hexdigest())
    monkeypatch.setattr(registry, "_index", lambda: ({"codec": id}, {id: known}))
    assert registry.check(named(tmp_path / "a", packed)) is None
    changed = named(tmp_path / "b", pack(tiny_model(), {"licence": "mine"}))
    assert "rest of the file was changed" in str(registry.check(changed))
    assert weights.read(changed).name.hex() == id


def test_what_check_says_of_what_is_no_weights_file(packed: bytes, tmp_path: Path) -> None:
    stranger = put(tmp_path, packed)
    assert "name is not" in str(registry.check(stranger))
    path = tmp_path / "irc-0badf00d.safetensors"
    assert "cannot be read" in str(registry.check(path))
    path.write_bytes(packed[:-1])
    assert "content is that of" in str(registry.check(path))
    for data in (
        b"",
        b"text that is longer than a size",
        b"\2" + bytes(7) + b"[]",
        (8).to_bytes(8, "little") + b"[[[[[[[[",
    ):
        path.write_bytes(data)
        assert "not a weights file" in str(registry.check(path))
    with path.open("wb") as sparse:
        sparse.truncate(2**33)
    assert "larger than" in str(registry.check(path))


def test_strangers_files_are_not_opened(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is any when they are listed: names are enough, and neither torch nor numpy is loaded for them."""
    (tmp_path / "irc-11111111.safetensors").mkdir()
    for name in (
        "model.safetensors",
        "irc-0BADF00D.safetensors",
        "irc-0badf00d.safetensors.part",
        "irc-123.safetensors",
    ):
        (tmp_path / name).write_bytes(packed)
    path = named(tmp_path, packed)
    script = """
import sys
from codec.network import registry
registry.default()
opened = []
sys.addaudithook(lambda event, given: opened.append(given[0]) if event == "open" else None)
print([(one.id, one.default) for one in registry.installed() if one.released is None], opened)
assert not {"torch", "numpy", "safetensors"} & sys.modules.keys()
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"IRC_WEIGHTS": str(tmp_path)},
        cwd=Path(__file__).parent.parent,
        text=True,
        capture_output=True,
    )
    assert run.stdout == f"[('{path.stem.removeprefix('irc-')}', False)] []\n", run.stderr


def test_export_never_writes_over_other_content(packed: bytes, tmp_path: Path) -> None:
    path = named(tmp_path, packed)
    assert named(tmp_path, packed) == path
    with pytest.raises(FileExistsError):
        named(tmp_path, pack(tiny_model(), {"licence": "other"}))
    assert path.read_bytes() == packed and list(tmp_path.iterdir()) == [path]


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
        {"format": "2"},
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


def test_pipes_and_devices_are_no_weights(tmp_path: Path) -> None:
    """They may have no end, and a pipe would be waited for."""
    os.mkfifo(pipe := tmp_path / "pipe.safetensors")
    (endless := tmp_path / "endless.safetensors").symlink_to("/dev/zero")
    for path in (pipe, endless, tmp_path):
        with pytest.raises(WeightsError, match="no regular file"):
            read(path)

"""The same file gives the same integers, on any number of threads and with any instructions.

The golden files were made with the small model that lies beside them, or with released weights, which they are then
called by (`python tests/test_exactness.py` makes those that are missing); they must decode for ever.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from roundtrip import noise_photo, tiny_model

import codec
from codec import api
from codec.coding.tiles import Reader
from codec.container import bitstream
from codec.network import registry
from codec.network.session import open_session
from codec.pictures import formats
from entropy.config import BANDS, PHASES

DATA = Path(__file__).parent / "data"
GOLDEN = {
    "golden-a0187698.irc": "0dd305644032779135c7ed152b039286108795fc2d6188980966151f792b1d4b",
    "golden-steps.irc": "85c53b6a5fbda1507aa70e2f6bbe3b3fa87f9c49454bdc9b997ecb04da74053c",
    "golden-steps-a0187698.irc": "c9332ecbd04a31ed44cdb85f4c67fcba25938d7a3fd7d94c3d25665908ab2c65",
    "golden-grey.irc": "f7d2cf9c04bb0b7145d7c41cc64fc59a00891b940711ad9ec5a54f066729924a",
    "golden-rgba.irc": "1d6e286de93cfe852ae0704e65cac076ba306acb302e58ba9c4462577bc76344",
    "golden-grey-alpha-16.irc": "2edd497df170843edfaf8838a41e65cca4deb01b88d3ec7401246d1ee457f4a0",
    "golden-20.irc": "1c583c42b140f667f0c35d4b0904ce3a935a065ec0afc9aa99b21695d31d485a",
    "golden-60.irc": "d45cd1610902cdc4e569ce1443890ec80f072a63c0a9d01b043a41379a34da75",
    "golden-95.irc": "ebd1f34771292f36d9123499d2be20aa19c77e33145b5e3cd303e036c3027df0",
    "golden-rgb-16.irc": "4a33912cadf039f2e22561ebbde9d30266a2a484a06dc1f8ebbd0bb65ca9ce3e",
}
#: of alpha, at 16 bits
ALPHA = {
    "golden-rgba.irc": "941e6691a97b06da69cfb49105553066c84aa7d777f7e15b25543abf4f172191",
    "golden-grey-alpha-16.irc": "bd50a1c40283080756b4b6489a236514690835332a7d0dac04a5ecec3aa756f0",
}

#: prints, for each file and each way that a process can change, what it decodes and encodes again
SCRIPT = """
import sys, hashlib, pathlib, torch
from codec import api
from codec.coding.tiles import Reader
from codec.container import bitstream
from codec.network.session import open_session
def digest(latent):
    return hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in (latent.side, *latent.k))).hexdigest()
print(torch.backends.cpu.get_cpu_capability())
for threads in (1, 2, 4, 16):
    torch.set_num_threads(threads)
    assert torch.get_num_threads() == threads
    for onednn in (True, False):
        with torch.backends.mkldnn.flags(enabled=onednn):
            for name in sys.argv[1:]:
                data = pathlib.Path(name).read_bytes()
                latent = Reader.of(data).latent()
                file = bitstream.read(data)
                again = open_session(file.header.weights).prior.encode(latent, file.quantisation)[0]
                print(threads, onednn, pathlib.Path(name).name, digest(latent), again == file.tiles[0])
"""
ORDER = ["DEFAULT", "AVX2", "AVX512"]
WAYS = [
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ATEN_CPU_CAPABILITY": "avx512"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ONEDNN_MAX_CPU_ISA": "ALL"},
]


def digest(data: bytes) -> str:
    """SHA-256 of the latent: side latent, then levels coarse to fine, little-endian int32."""
    latent = Reader.of(data).latent()
    return hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in (latent.side, *latent.k))).hexdigest()


def alpha_digest(data: bytes) -> str | None:
    """SHA-256 of alpha, little-endian samples; None where there is none."""
    colour, alpha = formats.split(api.decode(data, array=True, depth=16))
    return None if alpha is None else hashlib.sha256(alpha.astype("<u2").tobytes()).hexdigest()


def test_every_released_weights_file_has_a_golden_file() -> None:
    """Which are decoded with the others, from the package's folder alone: what a release wrote decodes for ever."""
    ids = [one.id for one in registry.released() if one.kind == "codec"]
    assert ids
    for id in ids:
        data = (DATA / f"golden-{id}.irc").read_bytes()
        assert bitstream.read_header(data).weights.hex() == id
        assert digest(data) == GOLDEN[f"golden-{id}.irc"]


@pytest.fixture
def golden_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRC_WEIGHTS", str(DATA))


def test_golden_files_are_all_there() -> None:
    assert sorted(p.name for p in DATA.glob("golden-*.irc")) == sorted(GOLDEN)
    assert sum(p.stat().st_size for p in DATA.iterdir()) < 640_000


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, golden_weights: None) -> None:
    data = (DATA / name).read_bytes()
    assert digest(data) == GOLDEN[name]
    assert Reader.of(data).latent().k[0].any()
    assert alpha_digest(data) == ALPHA.get(name)
    api.verify(data)


#: of the latent of tiles.irc, six tiles of 64 pixels
TILES = "481dbc50104cf27992801be8594faea2d23bb5b929cf53b34a212d935a399da0"


def test_golden_tiles(golden_weights: None) -> None:
    data = (DATA / "tiles.irc").read_bytes()
    assert bitstream.read(data).header.grid == (2, 3) and digest(data) == TILES
    api.verify(data)
    whole = api.decode(data, array=True)
    assert np.array_equal(api.decode(data, array=True, region=(50, 30, 60, 60)), whole[30:90, 50:110])


@pytest.fixture(scope="module")
def shipped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exact") / "shipped.irc"
    path.write_bytes(api.encode(noise_photo(70, 130, 4), 80, device="cpu"))
    return path


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(*way.items()))
def test_any_processor(way: dict[str, str], shipped_file: Path) -> None:
    needs = way.get("ATEN_CPU_CAPABILITY", "default").upper()
    if needs not in ORDER[: ORDER.index(torch.backends.cpu.get_cpu_capability()) + 1]:
        pytest.skip(f"this processor has no {needs}")
    files = [*(DATA / name for name in GOLDEN), shipped_file]
    variables = {k: v for k, v in os.environ.items() if k not in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, files)],
        cwd=Path(__file__).parent.parent,
        env=variables | {"IRC_WEIGHTS": str(DATA)} | way,
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    capability, *lines = run.stdout.splitlines()
    if way.get("ATEN_CPU_CAPABILITY") == "default":
        assert capability == "DEFAULT"  # the variable does what this test is about
    expected = GOLDEN | {shipped_file.name: digest(shipped_file.read_bytes())}
    assert lines == [
        f"{threads} {onednn} {file.name} {expected[file.name]} True"
        for threads in (1, 2, 4, 16)
        for onednn in (True, False)
        for file in files
    ]


@torch.no_grad()
def test_a_tile_alone_and_in_a_batch(golden_weights: None) -> None:
    """Every network of the integer model gives a picture the same integers by itself and among others."""
    session = open_session(bitstream.read_header((DATA / "golden-60.irc").read_bytes()).weights)
    for prior in (session.prior, open_session().prior):
        graph, config = prior.graph, prior.config
        random = torch.Generator().manual_seed(1)

        def integers(*shape: int, low: int = 0, high: int = 1024) -> torch.Tensor:
            whole = torch.randint(low, high, shape, generator=random)  # noqa: B023
            return whole.float().contiguous(memory_format=torch.channels_last)

        def margin(known: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.pad(known, (1, 1, 1, 1))

        def both(network: Callable[..., torch.Tensor | None], *inputs: torch.Tensor | None) -> torch.Tensor | None:
            together = network(*(i if i is None else i.clone() for i in inputs))  # they may write to their inputs
            for n in range(3):
                alone = network(
                    *(
                        i if i is None or len(i) == 1 else i[n : n + 1].clone(memory_format=torch.channels_last)
                        for i in inputs
                    )
                )
                assert (alone is None) == (together is None)
                if together is not None and alone is not None:
                    assert torch.equal(alone[0], together[n]) and together.any()
            return together

        bias = [(q[1:2] / 256).floor()[:, :, None, None] for q in graph.quality]
        trunk = bias[4].expand(3, -1, 6, 10).contiguous(memory_format=torch.channels_last)
        side = integers(3, config.side, 6, 10, low=-1023)
        known = torch.cat([side, side.abs()], 1).contiguous(memory_format=torch.channels_last)
        for step in range(len(PHASES)):
            both(graph.side.out_second, both(functools.partial(graph.side.at_phase, step), trunk, margin(known)))
        parent = both(graph.hyper, integers(3, config.side, 3, 5, low=-500, high=501), bias[0])
        for i, level in enumerate(graph.levels):
            bands = BANDS[i]
            trunk = both(level.trunk, parent)
            signed = integers(3, bands, 6 << i, 10 << i, low=-1023)
            known = torch.cat([signed, signed.abs()], 1).contiguous(memory_format=torch.channels_last)
            for step, (y, x) in enumerate(PHASES):
                c = both(functools.partial(level.at_phase, step), trunk, margin(known))
                both(functools.partial(level.linear, step), integers(3, 3, 6 << i, 10 << i, low=-4095, high=4096))
                both(level.out_first, c)
                first = known[:, level.of_first, y::2, x::2].contiguous(memory_format=torch.channels_last)
                both(level.out_second, both(level.from_first, first, c))
            if i < 3:
                parent = both(functools.partial(graph.down, i), trunk, known, bias[i + 1])


#: golden files: quality, shape, type and whether encoding settles them
KINDS: dict[str, tuple[float, tuple[int, ...], type, bool]] = {
    "golden-20.irc": (20, (60, 90, 3), np.uint8, False),
    "golden-60.irc": (60, (100, 70, 3), np.uint8, False),
    "golden-95.irc": (95, (33, 20, 3), np.uint8, False),
    "golden-grey.irc": (50, (40, 33), np.uint8, True),
    "golden-rgba.irc": (70, (35, 48, 4), np.uint8, False),
    "golden-grey-alpha-16.irc": (85, (33, 40, 2), np.uint16, False),
    "golden-rgb-16.irc": (100, (40, 40, 3), np.uint16, False),
}


#: golden files with steps of their own, of version 2
VISUAL: dict[str, dict[str, Any]] = {
    "golden-steps.irc": {"quality": 55},
    "golden-steps-a0187698.irc": {"quality": 30, "weights": "a0187698"},
}


def make() -> None:
    """Make the golden files that are not there yet. Those that are must decode for ever, and are left alone."""
    from codec.network import weights
    from codec.training import export

    if not (found := list(DATA.glob("irc-*.safetensors"))):
        notes = {"licence": "Random weights, for tests: CC0.", "credits": "Nobody."}
        found = [export.write(weights.pack(tiny_model(), notes), DATA)]
    name = found[0]
    os.environ["IRC_WEIGHTS"] = str(DATA)
    for one in registry.released():
        if one.kind == "codec" and not (path := DATA / f"golden-{one.id}.irc").exists():
            path.write_bytes(data := api.encode(noise_photo(64, 90, 10), 40, weights=one.id))
            print(f'    "{path.name}": "{digest(data)}",  # {len(data)} bytes')
    for number, (file, (quality, shape, kind, stable)) in enumerate(KINDS.items()):
        if (DATA / file).exists():
            continue
        channels = np.concatenate([noise_photo(*shape[:2], 2 * number), noise_photo(*shape[:2], 2 * number + 1)], 2)
        pixels = channels[..., : shape[2]] if len(shape) == 3 else channels[..., 0]
        if kind is np.uint16:
            pixels = (
                pixels.astype(np.uint16) * 257 ^ np.arange(pixels.size, dtype=np.uint16).reshape(pixels.shape) % 200
            )
        extras = {"eXIF": b"MM\0*\0\0\0\x08\0\0"}
        data = api.encode(np.ascontiguousarray(pixels), quality, stable=stable, extras=extras, weights=name)
        (DATA / file).write_bytes(data)
        print(f'    "{file}": "{digest(data)}",  # {len(data)} bytes, alpha {alpha_digest(data)}')
    for file, options in VISUAL.items():
        if not (DATA / file).exists():
            data = api.encode(noise_photo(64, 96, 11), tune="visual", **({"weights": name} | options))
            (DATA / file).write_bytes(data)
            print(f'    "{file}": "{digest(data)}",  # {len(data)} bytes')
    if not (DATA / "tiles.irc").exists():
        data = api.encode(noise_photo(100, 140, 9), 60, tile=64, temperature=1, seed=4, weights=name)
        (DATA / "tiles.irc").write_bytes(data)
        print(f'TILES = "{digest(data)}"  # {len(data)} bytes')


def test_any_number_of_threads_finds_the_same_coefficients() -> None:
    """To the bit, before they are rounded: of a hundred thousand, some always lie on an edge."""
    pixels, threads, found = noise_photo(200, 300, 1), torch.get_num_threads(), []
    session = open_session()
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            bands = session.bands(pixels)
            found.append((codec.encode(pixels, 75), [b.numpy().tobytes() for b in bands]))
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


if __name__ == "__main__":
    make()

"""The same file gives the same integers, on any number of threads and with any instructions.

The golden files were made with the small model that lies beside them (`python tests/test_exactness.py` made them);
they must decode for ever.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from codec import api
from entropy.config import BANDS, PHASES

DATA = Path(__file__).parent / "data"
GOLDEN = {
    "golden-20.irc": "5291fe7f7b47a9eb5f5a4ae43a689741fd8bd075baeaa501905fd71c0dd1392c",
    "golden-60.irc": "53e7d4579caf60f83e905c0d7d7517d2404731fa2b92eeff4fc7d4c99017a536",
    "golden-95.irc": "cf7a7ba5cf9bc7545682eefd02b8a69ac41bfa9a5e7850e0b458bfc31caa5e13",
}

#: prints, for each file and each way that a process can change, what it decodes and encodes again
SCRIPT = """
import sys, hashlib, pathlib, torch
from codec import api, bitstream
def digest(latent):
    return hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in (latent.side, *latent.k))).hexdigest()
print(torch.backends.cpu.get_cpu_capability())
for threads in (1, 2):
    torch.set_num_threads(threads)
    assert torch.get_num_threads() == threads
    for onednn in (True, False):
        with torch.backends.mkldnn.flags(enabled=onednn):
            for name in sys.argv[1:]:
                data = pathlib.Path(name).read_bytes()
                latent = api.latent(data)
                file = bitstream.read(data)
                again = api._session(file.header.weights, torch.device("cpu")).prior.encode(latent, file.header.quality_code)[0]
                print(threads, onednn, pathlib.Path(name).name, digest(latent), again == file.tiles[0])
"""
ORDER = ["DEFAULT", "AVX2", "AVX512"]
WAYS = [{"ATEN_CPU_CAPABILITY": "default"}, {"ATEN_CPU_CAPABILITY": "avx2"}, {"ATEN_CPU_CAPABILITY": "avx512"},
        {"ONEDNN_MAX_CPU_ISA": "SSE41"}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"ONEDNN_MAX_CPU_ISA": "ALL"}]


def digest(data: bytes) -> str:
    """SHA-256 of the latent: side latent, then levels coarse to fine, little-endian int32."""
    latent = api.latent(data)
    return hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in (latent.side, *latent.k))).hexdigest()


@pytest.fixture
def golden_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRC_WEIGHTS", str(DATA))


def test_golden_files_are_all_there() -> None:
    assert sorted(p.name for p in DATA.glob("golden-*.irc")) == sorted(GOLDEN)
    assert sum(p.stat().st_size for p in DATA.iterdir()) < 300_000


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, golden_weights: None) -> None:
    data = (DATA / name).read_bytes()
    assert digest(data) == GOLDEN[name]
    assert all(a.any() for a in api.latent(data).k)
    api.verify(data)


@pytest.fixture(scope="module")
def shipped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from roundtrip import noise_photo

    path = tmp_path_factory.mktemp("exact") / "shipped.irc"
    path.write_bytes(api.encode(noise_photo(70, 130, 4), 80, device="cpu"))
    return path


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(*way.items()))
def test_any_processor(way: dict[str, str], shipped_file: Path) -> None:
    needs = way.get("ATEN_CPU_CAPABILITY", "default").upper()
    if needs not in ORDER[:ORDER.index(torch.backends.cpu.get_cpu_capability()) + 1]:
        pytest.skip(f"this processor has no {needs}")
    files = [*(DATA / name for name in GOLDEN), shipped_file]
    variables = {k: v for k, v in os.environ.items() if k not in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")}
    run = subprocess.run([sys.executable, "-c", SCRIPT, *map(str, files)], cwd=Path(__file__).parent.parent,
                         env=variables | {"IRC_WEIGHTS": str(DATA)} | way, text=True, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr
    capability, *lines = run.stdout.splitlines()
    if way.get("ATEN_CPU_CAPABILITY") == "default":
        assert capability == "DEFAULT"  # the variable does what this test is about
    expected = GOLDEN | {shipped_file.name: digest(shipped_file.read_bytes())}
    assert lines == [f"{threads} {onednn} {file.name} {expected[file.name]} True"
                     for threads in (1, 2) for onednn in (True, False) for file in files]


@torch.no_grad()
def test_a_tile_alone_and_in_a_batch(golden_weights: None) -> None:
    """Every network of the integer model gives a picture the same integers by itself and among others."""
    session = api._session(api.bitstream.read_header((DATA / "golden-60.irc").read_bytes()).weights, torch.device("cpu"))
    for prior in (session.prior, api._session(None, torch.device("cpu")).prior):
        graph, config = prior.graph, prior.config
        random = torch.Generator().manual_seed(1)

        def integers(*shape: int, low: int = 0, high: int = 1024) -> torch.Tensor:
            whole = torch.randint(low, high, shape, generator=random)  # noqa: B023
            return whole.float().contiguous(memory_format=torch.channels_last)

        def both(network: Callable[..., torch.Tensor | None], *inputs: torch.Tensor | None) -> torch.Tensor | None:
            together = network(*inputs)
            for n in range(3):
                alone = network(*(i if i is None or len(i) == 1 else
                                  i[n:n + 1].contiguous(memory_format=torch.channels_last) for i in inputs))
                assert (alone is None) == (together is None)
                if together is not None and alone is not None:
                    assert torch.equal(alone[0], together[n]) and together.any()
            return together

        bias = [(q[1:2] / 256).floor()[:, :, None, None] for q in graph.quality]
        parent = both(graph.hyper, integers(3, config.side, 3, 5, low=-500, high=501), bias[0])
        for i, level in enumerate(graph.levels):
            bands = BANDS[i]
            trunk = both(level.trunk, parent)
            signed = integers(3, bands, 6 << i, 10 << i, low=-1023)
            known = torch.cat([signed, signed.abs()], 1).contiguous(memory_format=torch.channels_last)
            for step, (y, x) in enumerate(PHASES):
                c = both(functools.partial(level.at_phase, step), trunk, known)
                both(functools.partial(level.linear, step), integers(3, 3, 6 << i, 10 << i, low=-4095, high=4096))
                both(level.out_luma, c)
                luma = known[:, [*level.luma, *(m + bands for m in level.luma)], y::2, x::2]
                both(level.out_chroma, both(level.from_luma, luma.contiguous(memory_format=torch.channels_last), c))
            if i < 3:
                parent = both(functools.partial(graph.down, i), trunk, known, bias[i + 1])


def make() -> None:
    """Make the golden files anew, and print what they decode to."""
    from roundtrip import noise_photo, tiny_model

    from codec.weights import pack, read

    path = DATA / "golden.safetensors"
    path.write_bytes(pack(tiny_model(), {"licence": "Apache-2.0", "credits": "random parameters, for tests"}))
    os.environ["IRC_WEIGHTS"] = str(DATA)
    session = api._Session(read(path), torch.device("cpu"))
    for quality, (height, width) in ((20, (61, 45)), (60, (32, 100)), (95, (50, 70))):
        pixels = noise_photo(height, width, quality)
        pixels[10:20, 10:20] = np.array([255, 0, 0])
        with torch.no_grad():
            tiles = api.Source(session, pixels, 0, 1).code(quality * 256)
            data = api._file(session, tiles, quality * 256, pixels.shape, 0, 0.0, 0, {})
        (DATA / f"golden-{quality}.irc").write_bytes(data)
        print(f'    "golden-{quality}.irc": "{digest(data)}",  # {len(data)} bytes')


if __name__ == "__main__":
    make()

"""What the program around us has set of torch neither reaches in nor is changed; forked processes work."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codec
from codec.network import host

ROOT = Path(__file__).parent.parent


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        assert torch.get_default_dtype() == torch.float64
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)


@contextmanager
def low_precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    before = [place.fp32_precision for place in PLACES]
    try:
        yield
        assert torch.get_float32_matmul_precision() == "medium"
        assert [place.fp32_precision for place in PLACES] == before
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


PLACES = (torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv, torch.backends.cuda.matmul)
SETTINGS: dict[str, Callable[[], Any]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default dtype": default_dtype,
    "default device": default_device,
    "device": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "gradients": torch.enable_grad,
    "precision": low_precision,
    "deterministic": deterministic,
}


def everything(photo: np.ndarray) -> list[bytes]:
    """Bytes of whatever the codec makes of a photo: drawn, in tiles; decoded; rescaled."""
    data = codec.encode(photo[:64, :64], 60, temperature=1, seed=3, tile=32)
    decoded = codec.decode(data, array=True, temperature=0.5)
    small = codec.downscale(photo[:32, :32])
    return [data, decoded.tobytes(), small.tobytes(), codec.upscale(small).tobytes()]


@pytest.fixture(scope="module")
def expected(photo: np.ndarray) -> list[bytes]:
    return everything(photo)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.usefixtures("no_cached_weights")
def test_settings_of_the_host(name: str, photo: np.ndarray, expected: list[bytes]) -> None:
    """Weights are loaded under the setting, and used after it, too."""
    with SETTINGS[name]():
        assert everything(photo) == expected
    assert everything(photo) == expected


@pytest.mark.usefixtures("no_cached_weights")
def test_a_search_under_all_settings(photo: np.ndarray) -> None:
    """The search for a latent has gradients, random numbers and an optimiser of its own."""
    searched = codec.encode(photo[:32, :32], 40, effort=1)
    with ExitStack() as stack:
        for enter in SETTINGS.values():
            stack.enter_context(enter())
        assert codec.encode(photo[:32, :32], 40, effort=1) == searched


@pytest.mark.usefixtures("no_cached_weights")
def test_random_numbers_are_the_hosts(photo: np.ndarray) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    everything(photo)
    codec.encode(photo[:32, :32], 40, effort=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]


def test_precision_is_full_inside(photo: np.ndarray) -> None:
    """Where the processor has bfloat16 sums, a lowered precision would cost the exactness of the integers."""
    seen: list[list[str]] = []
    with low_precision():
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
        try:
            codec.encode(photo, 40, progress=lambda *_: seen.append([place.fp32_precision for place in PLACES]))
            assert torch.backends.mkldnn.conv.fp32_precision == "bf16"
        finally:
            torch.backends.mkldnn.conv.fp32_precision = "none"
    assert seen and all(value in ("ieee", "none") for values in seen for value in values)


def test_precision_set_by_the_host_meanwhile_stays() -> None:
    place = torch.backends.mkldnn.matmul
    place.fp32_precision = "bf16"
    try:
        with host.plain():
            assert place.fp32_precision == "ieee"
            with host.plain():
                pass
            assert place.fp32_precision == "ieee"
            place.fp32_precision = "tf32"
        assert place.fp32_precision == "tf32"
    finally:
        place.fp32_precision = "none"


# --- threads -------------------------------------------------------------------------


def fresh_threads() -> int:
    """The number of threads that a thread begins with."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_the_number_of_threads_is_a_threads_own() -> None:
    with host.torch_threads(1):
        assert (torch.get_num_threads(), fresh_threads()) == (1, 3)
    assert (torch.get_num_threads(), fresh_threads()) == (3, 3)
    with pytest.raises(KeyError), host.torch_threads(2):
        raise KeyError
    assert (torch.get_num_threads(), fresh_threads()) == (3, 3)


@pytest.mark.usefixtures("three_threads")
def test_tiles_encoded_in_threads_of_the_host(photo: np.ndarray) -> None:
    """Threads that begin while others are at work see, and leave, what the process has."""
    alone, begin = codec.encode(photo, 40, tile=32), threading.Barrier(3)

    def encode() -> bytes:
        begin.wait(20)
        data = codec.encode(photo, 40, tile=32)
        assert torch.get_num_threads() == 3
        return data

    with ThreadPoolExecutor(3) as pool:
        files = list(pool.map(lambda _: encode(), range(3)))
    assert files == [alone] * 3
    assert torch.get_num_threads() == 3 == fresh_threads()


# --- forked processes ----------------------------------------------------------------

PREPARED = """
import multiprocessing, os, sys, threading
import numpy as np, torch
import codec

torch.set_num_threads(2)
photo = np.random.default_rng(0).integers(90, 160, (96, 128, 3)).astype(np.uint8)

def work(number=0):
    assert torch.get_num_threads() in (1, 2)
    return codec.encode(photo, 40, tile=64), codec.decode(data, array=True).tobytes(), codec.encode(photo, 40)

if __name__ == "__main__":
    data = codec.encode(photo, 40)
    whole = work()
    assert "torch._dynamo" not in sys.modules  # which takes a second to load
    torch.nn.functional.conv2d(torch.ones(1, 8, 200, 200), torch.ones(8, 8, 3, 3))  # on all of its threads
"""
PROGRAMS = {
    "fork": """
    child = os.fork()
    if not child:
        os._exit(0 if work() == whole and torch.get_num_threads() == 2 else 1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """,
    "fork while another thread encodes": """
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            codec.encode(photo, 40, tile=32)
    thread = threading.Thread(target=busy)
    thread.start()
    for _ in range(3):
        child = os.fork()
        if not child:
            os._exit(0 if work() == whole else 1)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    """,
    "pool": """
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, range(4), chunksize=1) == [whole] * 4
    """,
    "data loader": """
    from torch.utils.data import DataLoader, Dataset
    class Photos(Dataset):
        def __len__(self):
            return 4
        def __getitem__(self, number):
            return work(number)
    loader = DataLoader(Photos(), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert [tuple(item) for item in loader] == [whole] * 4
    """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize("name", PROGRAMS)
def test_after_a_fork(name: str, tmp_path: Path) -> None:
    """A process forks when it has encoded, as gunicorn does with preload_app; the children encode, too."""
    program = tmp_path / "program.py"
    program.write_text(PREPARED + textwrap.indent(textwrap.dedent(PROGRAMS[name]), "    "))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-W", "ignore", str(program)], check=True, timeout=60, env=environment)

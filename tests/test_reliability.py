"""What must hold when things go wrong around the codec: killed, out of room, out of memory, many at once.

`python tests/test_reliability.py 1000` encodes and decodes a thousand times and prints the memory in use as it goes.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from roundtrip import noise_photo

import codec

ROOT = Path(__file__).parent.parent
IRC = [sys.executable, "-m", "codec"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def irc(*arguments: str, limit: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IRC, *arguments], env=ENVIRONMENT, text=True, capture_output=True, timeout=100, preexec_fn=limit
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise_photo(200, 300, 1)).save("photo.png")
    Path("photo.irc").write_bytes(codec.encode(noise_photo(200, 300, 2), 60))
    return tmp_path


# --- faults --------------------------------------------------------------------------------------

#: the command line, which stops where its output has been written beside its place, before it is renamed
STOPPED = """
import os, pathlib, sys, time
from codec.tool import cli
fsync = os.fsync
def stop(descriptor):
    fsync(descriptor)
    pathlib.Path("reached").touch()
    time.sleep(100)
os.fsync = stop
cli.main(sys.argv[1:])
"""


@pytest.mark.parametrize("line", ["encode -f photo.png photo.irc", "decode photo.irc out.png"])
def test_killed_at_the_worst_moment(line: str, folder: Path) -> None:
    """Kill -9 with the output whole, but not yet in its place: the old one is untouched, and a rerun completes."""
    before = Path("photo.irc").read_bytes()
    process = subprocess.Popen([sys.executable, "-c", STOPPED, *line.split()], env=ENVIRONMENT)
    while not Path("reached").exists() and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert Path("photo.irc").read_bytes() == before and not Path("out.png").exists()
    done = irc(*line.split())
    assert done.returncode == 0, done.stderr
    if "decode" in line:
        assert np.array_equal(np.asarray(Image.open("out.png")), codec.decode(before, array=True))
    else:
        assert Path("photo.irc").read_bytes() == codec.encode(noise_photo(200, 300, 1))


@pytest.mark.parametrize("line", ["encode photo.png new.irc", "decode photo.irc new.png"])
def test_full_disk(line: str, folder: Path) -> None:
    """Room for 1000 bytes only (a limit on file size is a full disk to the writer): one line, nothing left."""

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    before = sorted(os.listdir())
    done = irc(*line.split(), limit=little_room)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "cannot write new" in done.stderr, done.stderr
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("megabytes", [250, 800, 1100])
def test_little_memory(megabytes: int, folder: Path) -> None:
    """Too little to import torch, too little for the network: one line that says so, and exit status 1."""

    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    Image.fromarray(noise_photo(2000, 1500, 3)).save("large.png")
    done = irc("encode", "large.png", "new.irc", limit=little_memory)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "out of memory" in done.stderr, done.stderr
    assert not Path("new.irc").exists()


def test_a_bad_file_in_the_middle(folder: Path) -> None:
    """The files before and after it are done, and the exit status says that one was not."""
    Path("bad.irc").write_bytes(Path("photo.irc").read_bytes()[:-1])
    Path("directory.irc").mkdir()
    Path("last.irc").write_bytes(Path("photo.irc").read_bytes())
    done = irc("verify", "photo.irc", "bad.irc", "directory.irc", "last.irc")
    assert done.returncode == 4
    assert done.stdout.splitlines()[:2] == ["photo.irc: ok", "last.irc: ok"]
    # a folder without files in it is known before anything is decoded
    assert [line.split(":")[1].strip() for line in done.stderr.splitlines()] == ["directory.irc", "bad.irc"]


def test_a_file_larger_than_its_source(folder: Path) -> None:
    Image.new("RGB", (8, 8), "red").save("tiny.gif")
    done = irc("encode", "tiny.gif")
    assert done.returncode == 0 and "is larger than its source of" in done.stderr


# --- the same bytes, every time, side by side ------------------------------------------------------


def test_threads_of_python() -> None:
    """Eight at once, on pictures of many kinds and sizes, give what one after the other gives."""
    jobs = []
    for i in range(16):
        photo = noise_photo(40 + 9 * i, 150 - 7 * i, i)
        pixels = (photo, photo[..., 0], photo.astype(np.uint16) * 257, np.dstack([photo, photo[..., 0]]))[i % 4]
        jobs.append((pixels, 6.0 * i, i % 5 == 0))

    def work(job: tuple[np.ndarray, float, bool]) -> tuple[bytes, bytes]:
        data = codec.encode(job[0], job[1], stable=job[2], temperature=0.5, seed=7)
        codec.verify(data)
        return data, codec.decode(data, array=True, depth=16).tobytes()

    alone = [work(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, jobs)) == alone


def resident() -> float:
    """Megabytes in memory now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def rounds(count: int) -> float:
    """Encode and decode that many times, at all qualities, with alpha and tiles now and then; megabytes in memory after it."""
    photo = noise_photo(64, 96, 1)
    alpha = np.dstack([photo, photo[..., 0]])
    for i in range(count):
        data = codec.encode(alpha if i % 4 == 0 else photo, 7 * i % 101, tile=32 if i % 9 == 0 else 0)
        codec.decode(data, array=True)
    return resident()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_memory_does_not_grow() -> None:
    """docs/reliability.md has a thousand rounds."""
    before = rounds(40)
    assert rounds(80) - before < 15


if __name__ == "__main__":
    for done in range(0, int(sys.argv[1]), 100):
        print(
            f"after {done + 100} rounds {rounds(100):.1f} MB, {time.process_time():.0f} s of processor time", flush=True
        )

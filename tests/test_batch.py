"""Callables and runners of batches: what they give, that they travel, what happens where a process dies or is stopped."""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fake_codec import ENVIRONMENT
from PIL import Image

import codec
from codec.batch import Decoder, Downscaler, Encoder, ReadBack, Upscaler, Verifier, callables, runners
from codec.batch.jobs import Job, Report
from codec.batch.runners import Processes
from codec.batch.task import FileTask
from codec.errors import DamagedError, InputError, IrcError


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "words"
    Image.fromarray(pixels).save(stream, "PNG", exif=exif)
    return stream.getvalue()


def test_the_callables_do_what_the_functions_do(photo: np.ndarray) -> None:
    data = Encoder(quality=40, seed=3)(png(photo))
    plain = Encoder(quality=40, seed=3, strip=True)(png(photo))
    assert plain == codec.encode(photo, 40, seed=3)
    assert codec.info(data)["quality"] == 40 and len(data) > len(plain)
    picture = Image.open(io.BytesIO(Decoder()(data)))
    assert np.array_equal(np.asarray(picture), codec.decode(data, array=True))
    assert picture.getexif()[0x010E] == "words" and not Image.open(io.BytesIO(Decoder(strip=True)(data))).getexif()
    assert Image.open(io.BytesIO(Decoder("jpg", jpeg_quality=30, scale=2)(data))).size == (64, 48)
    assert Verifier()(data) == b""
    with pytest.raises(DamagedError):
        Verifier()(data[:-1])
    with pytest.raises(IrcError, match="does not decode to what was encoded"):
        ReadBack()(data[:-1])
    large = Image.open(io.BytesIO(Upscaler("webp")(Downscaler(2)(png(photo)))))
    assert (large.size, large.format) == ((128, 96), "WEBP")


def test_quality_of_a_jpeg(photo: np.ndarray) -> None:
    data = Encoder(60)(png(photo))
    sizes = [len(Decoder("jpg", jpeg_quality=quality)(data)) for quality in (20, 80, 95)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 3
    assert len(Decoder("jpg")(data)) == sizes[-1]


def test_they_travel_and_check_their_options(photo: np.ndarray) -> None:
    encoder, decoder = Encoder(30, threads=1, tile=64), Decoder("ppm", temperature=1, seed=2)
    sent = [pickle.dumps(one) for one in (encoder, decoder, Verifier(), Downscaler(4), Upscaler(seed=1))]
    assert max(map(len, sent)) < 1000
    data = pickle.loads(sent[0])(png(photo))
    assert data == encoder(png(photo)) and codec.info(data)["tiles"] == [2, 2]
    assert pickle.loads(sent[1])(data) == decoder(data)
    for kind, options, error in [
        (Encoder, {"quality": 101}, ValueError),
        (Encoder, {"progress": print}, TypeError),
        (Encoder, {"effort": 3, "bpp": 1}, ValueError),
        (Decoder, {"scale": 3}, ValueError),
        (Decoder, {"array": True}, TypeError),
        (Upscaler, {"qualty": 3}, TypeError),
        (Downscaler, {"format": "jpg"}, InputError),
    ]:
        with pytest.raises(error):
            kind(**options)


def test_importing_them_is_light() -> None:
    program = "import sys, codec, codec.batch.runners; codec.batch.Encoder(9); print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_a_file_task(photo: np.ndarray, tmp_path: Path) -> None:
    source, target = str(tmp_path / "a.png"), str(tmp_path / "deep" / "a.irc")
    Path(source).write_bytes(png(photo))
    task = FileTask(Encoder(), irc=False, check=ReadBack())
    (report,) = task(Job(source, target))
    assert (report.error, report.before, report.after) == (None, len(png(photo)), os.path.getsize(target))
    assert report.pixels == 96 * 128 and report.facts["seconds"] > 0
    (again,) = task(Job(source, target))
    assert again.code == 1 and "exists; -f overwrites it" in str(again.error)
    (missing,) = task(Job(str(tmp_path / "b.png"), target))
    assert (missing.code, missing.error) == (3, "no such file")
    (other,) = FileTask(Decoder(), irc=True)(Job(source, str(tmp_path / "b.png")))
    assert (other.code, other.error) == (3, "not an .irc file") and not (tmp_path / "b.png").exists()


# --- processes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "processors", "memory"),
    [
        ({}, 8, 32 << 30),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, 8, 32 << 30),
        ({"cpu.max": "250000 100000\n", "memory.max": f"{4 << 30}\n"}, 2, 4 << 30),
        ({"cpu.max": "50000 100000\n", "memory.max": f"{64 << 30}\n"}, 1, 32 << 30),
    ],
)
def test_room_in_a_container(
    limits: dict[str, str], processors: int, memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in limits.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(runners, "CGROUP", tmp_path)
    monkeypatch.setattr(runners, "cores", lambda: 8)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 8 << 20, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert runners.room() == (processors, memory)


def described(job: Job) -> list[Report]:
    """A task of its own process, which some jobs end."""
    tries = Path(job.source)
    with tries.open("a") as stream:
        stream.write("x")
    if tries.name == "dies" or (tries.name == "dies once" and tries.read_text() == "x"):
        os.kill(os.getpid(), signal.SIGKILL)
    return [Report(job.source, facts={"pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]})]


def test_a_process_that_dies_costs_its_own_job(tmp_path: Path) -> None:
    names = ["a", "dies", "b", "dies once", "c", "d"]
    jobs = [Job(str(tmp_path / name)) for name in names]
    found = {Path(job.source).name: reports for job, reports in Processes(2, 3).run(described, jobs)}
    assert sorted(found) == sorted(names)
    assert {name for name, (report,) in found.items() if report.error} == {"dies"}
    assert "killed" in str(found["dies"][0].error) and found["dies"][0].code == 1
    assert {name: len((tmp_path / name).read_text()) for name in names} == {
        **dict.fromkeys("abcd", 1), "dies": 2, "dies once": 2
    }  # fmt: skip
    rest = [report.facts for (report,) in found.values() if not report.error]
    assert {facts["threads"] for facts in rest} == {"3"} and os.getpid() not in {facts["pid"] for facts in rest}


def sleeping(job: Job) -> list[Report]:
    """A task that would leave something behind."""
    part = Path(job.source)
    part.touch()
    try:
        time.sleep(0 if part.name == "0" else 60)
    finally:
        part.unlink()
    return [Report(job.source)]


def test_stopped_early_nothing_is_left(tmp_path: Path) -> None:
    started = time.monotonic()
    run = Processes(2).run(sleeping, [Job(str(tmp_path / str(n))) for n in range(9)])
    assert next(run)[0].source.endswith("0")
    while not list(tmp_path.iterdir()):
        time.sleep(0.01)
    run.close()
    assert list(tmp_path.iterdir()) == [] and time.monotonic() - started < 30


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_collector_is_left_as_it_was(enabled: bool, fails: bool) -> None:
    """Whatever happens while torch is imported; and what lives in a process of somebody else's is not frozen."""
    before, frozen = gc.isenabled(), gc.get_freeze_count()
    (gc.enable if enabled else gc.disable)()
    try:
        with suppress(MemoryError), callables._uncollected():
            assert not gc.isenabled()
            if fails:
                raise MemoryError
        assert gc.isenabled() == enabled
        callables.load_api()
        assert gc.isenabled() == enabled and gc.get_freeze_count() == frozen
    finally:
        (gc.enable if before else gc.disable)()

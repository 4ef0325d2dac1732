"""The speed benchmark: its pictures, its turns, and codecs that take too long, too much, or die."""

import json
import os
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.peers import pillow_codecs
from bench.peers.codecs import CODECS
from bench.runs.images import mosaic
from bench.runs.pool import Failure
from bench.runs.speed import sides
from bench.runs.workers import Worker, run_process


class Troubled:
    """JPEG that does something bad to pictures that are not small."""

    name = "avif"

    def __init__(self, trouble):
        self._jpeg = pillow_codecs.jpeg()
        self._trouble = trouble

    def __getattr__(self, name):
        return getattr(self._jpeg, name)

    def encode(self, image, setting):
        if image.size > 3 * 15_000:
            self._trouble()
        return self._jpeg.encode(image, setting)


def sleep():
    time.sleep(60)


def die():
    os._exit(3)


def fill():
    np.ones(30_000_000_000, np.uint8)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "photos"
    path.mkdir()
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path / f"{seed}.png")
    return path


def test_mosaics():
    photos = [np.full((40, 60, 3), 10, np.uint8), np.full((30, 50, 3), 20, np.uint8)]
    for megapixels in (0.0005, 0.02, 0.3):
        image = mosaic(photos, *sides(megapixels))
        assert image.shape[0] * image.shape[1] == pytest.approx(megapixels * 1e6, rel=0.03)
        assert image.shape[1] / image.shape[0] == pytest.approx(1.5, rel=0.1)
        assert set(np.unique(image)) <= {10, 20}
    gradient = np.arange(60, dtype=np.uint8)[None, :, None].repeat(40, 0).repeat(3, 2)
    small = mosaic([gradient], *sides(0.0006))
    assert (small == gradient[:20, 15:45]).all()  # the centre, not scaled
    moved = mosaic(photos, 100, 150, shift=7)
    assert (moved == mosaic(photos, 107, 157)[7:, 7:]).all() and moved.shape == (100, 150, 3)


def test_speed_of_two_codecs(folder, tmp_path, capsys):
    out = tmp_path / "speed.json"
    command = [
        "speed",
        str(folder),
        "--codecs",
        "jpeg,jpeg2000",
        "--sizes",
        "0.01,0.1",
        "--repeats",
        "1",
        "--threads",
        "1",
    ]
    assert main([*command, "--settings", "jpeg=50", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(row["codec"], row["megapixels"]) for row in rows] == [
        ("jpeg", 0.01), ("jpeg2000", 0.01), ("jpeg", 0.1), ("jpeg2000", 0.1),
    ]  # fmt: skip
    for row in rows:
        assert row["threads"] == 1
        for kind in ("encode", "decode"):
            assert len(row[kind]) == len(row[f"process_{kind}"]) == 1
            # a process starts Python first
            assert 0 < min(row[kind]) < min(row[f"process_{kind}"])
            assert row[f"peak_{kind}"] > 1e6
        assert row["bpp"] == 8 * row["bytes"] / (row["width"] * row["height"])
    assert [row["setting"] for row in rows if row["codec"] == "jpeg"] == [50, 50]
    # noise takes more than 0.8 bits a pixel: the nearest is found from above
    assert "jpeg2000" in capsys.readouterr().out
    assert main([*command, "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("trouble", "why"), [(sleep, "took longer than 2 s"), (die, "exit status 3"), (fill, "MemoryError")]
)
def test_what_is_too_slow_or_too_large_is_reported(folder, tmp_path, monkeypatch, capsys, trouble, why):
    monkeypatch.setitem(CODECS, "avif", partial(Troubled, trouble))
    out = tmp_path / "speed.json"
    command = ["speed", str(folder), "--codecs", "avif,jpeg", "--sizes", "0.01,0.02,0.03", "--repeats", "1"]
    command += [
        "--threads",
        "1",
        "--no-processes",
        "--settings",
        "50",
        "--limit",
        "2",
        "--memory",
        "8",
        "--out",
        str(out),
    ]
    assert main(command) == 0
    rows = [row for row in json.loads(out.read_text())["rows"] if row["codec"] == "avif"]
    assert "note" not in rows[0]
    assert why in rows[1]["note"]
    assert rows[2]["note"].startswith("not tried: ") and why in rows[2]["note"]
    assert why in capsys.readouterr().out
    assert not any("note" in row for row in json.loads(out.read_text())["rows"] if row["codec"] == "jpeg")


def test_a_slow_codec_is_asked_less_often(folder, tmp_path, monkeypatch, capsys):
    """Its first run counts once the budget is spent, and a size is left out that would take too long."""
    monkeypatch.setitem(CODECS, "avif", partial(Troubled, partial(time.sleep, 0.5)))
    out = tmp_path / "speed.json"
    command = [
        "speed",
        str(folder),
        "--codecs",
        "avif,jpeg",
        "--sizes",
        "0.01,0.02,0.2",
        "--repeats",
        "3",
        "--threads",
        "1",
    ]
    command += ["--no-processes", "--settings", "50", "--limit", "4", "--budget", "0.4", "--out", str(out)]
    assert main(command) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [len(row.get("encode", ())) for row in rows] == [3, 3, 1, 3, 0, 3]
    assert rows[4]["note"].startswith("not tried: would take 5 s at 0.2 MP by its time at 0.02 MP")
    assert "would take 5 s" in capsys.readouterr().out


def test_the_clock_of_the_processor(folder, tmp_path, monkeypatch, capsys):
    """It stands still while a codec waits."""
    monkeypatch.setitem(CODECS, "avif", partial(Troubled, partial(time.sleep, 1)))
    out = tmp_path / "speed.json"
    command = ["speed", str(folder), "--codecs", "avif", "--sizes", "0.02", "--repeats", "1", "--threads", "1"]
    command += ["--no-processes", "--settings", "50", "--clock", "processor", "--out", str(out)]
    assert main(command) == 0
    document = json.loads(out.read_text())
    assert document["clock"] == "processor"
    assert max(document["rows"][0]["encode"]) < 1
    assert "processor seconds: median" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (["--threads", "500"], "this process may use"),
        (["--sizes", "0"], "must be positive"),
        (["--settings", "jpeg=1,2"], "one setting"),
    ],
)
def test_wrong_questions(folder, tmp_path, capsys, extra, why):
    out = tmp_path / "speed.json"
    assert main(["speed", str(folder), "--codecs", "jpeg", *extra, "--out", str(out)]) == 2
    assert why in capsys.readouterr().err
    assert not out.exists()


def test_processes_that_fail(tmp_path):
    missing = run_process(["jpeg", "encode", "50", str(tmp_path / "no.png"), str(tmp_path / "x")], 60)
    assert isinstance(missing, Failure) and "no.png" in missing.error
    assert run_process(["jpeg", "encode", "50", "a", "b"], 0.01) == Failure("took longer than 0.01 s")


def test_memory_is_that_of_the_process_alone(folder, tmp_path):
    """It does not count what the process that started it holds."""
    held = np.ones(400_000_000, np.uint8)
    finished = run_process(["jpeg", "encode", "50", str(folder / "0.png"), str(tmp_path / "x")], 60)
    assert 10e6 < finished.peak < held.size


def test_a_worker_goes_on_after_an_error():
    worker = Worker("jpeg", 1, 0)
    try:
        assert "settings" not in str(worker.ask("open"))
        assert isinstance(worker.ask("decode"), Failure)
        worker.ask("image", np.zeros((8, 8, 3), np.uint8))
        assert worker.ask("encode", 50)[1] > 0
        assert worker.ask("decode") > 0
    finally:
        worker.close()

"""irc-bench as it is used: measuring, resuming, comparing, drawing, and what goes wrong."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from bench.cli import main
from bench.commands import common
from bench.peers import pillow_codecs
from bench.peers.codecs import CODECS, open_codec
from bench.runs import generations, rd
from bench.runs.folder import Outcome, Run, readable
from bench.runs.generations import run_generations, schedules
from bench.runs.images import list_images, read_image

SETTINGS = ["--settings", "10,30,60,90", "--jobs", "1"]  # in this process, where faults can be planted


def picture(seed, height=32, width=48):
    """A picture with a gradient and some texture."""
    y, x = np.mgrid[:height, :width]
    texture = np.random.default_rng(seed).integers(0, 40, (height, width, 3))
    planes = np.stack([4 * x, 6 * y, 2 * x + 3 * y], -1)
    return np.clip(planes + texture, 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "photos"
    path.mkdir()
    for seed in range(3):
        Image.fromarray(picture(seed)).save(path / f"{seed}.png")
    (path / "notes.txt").write_text("no image")
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "rd.json"


class Faulty:
    """JPEG that raises what it is given to raise at its n-th encoding."""

    def __init__(self, at, error):
        self._jpeg = pillow_codecs.jpeg()
        self._left = at
        self._error = error

    def __getattr__(self, name):
        return getattr(self._jpeg, name)

    def encode(self, image, setting):
        self._left -= 1
        if self._left == 0:
            raise self._error
        return self._jpeg.encode(image, setting)


def plant(monkeypatch, codec):
    monkeypatch.setitem(CODECS, "jpeg", lambda: codec)


def test_rd_of_one_codec_is_in_compressais_form(folder, out):
    assert main(["rd", str(folder), "--codecs", "jpeg", *SETTINGS, "--out", str(out)]) == 0
    curve = json.loads(out.read_text())
    assert curve["name"] == "jpeg"
    assert "4:2:0" in curve["description"]
    results = curve["results"]
    for key in ("bpp", "psnr-rgb", "psnr-y", "encoding_time", "decoding_time"):
        assert len(results[key]) == 4
    assert results["bpp"] == sorted(results["bpp"])
    assert curve["images"] == ["0.png", "1.png", "2.png"]
    assert len(curve["rows"]) == 12
    assert curve["runs"][0]["command"].startswith("irc-bench rd ")
    assert curve["runs"][0]["machine"]["cores"]

    # the averages by hand
    image = picture(1)
    codec = open_codec("jpeg")
    data = codec.encode(image, 30)
    row = next(r for r in curve["rows"] if (r["image"], r["setting"]) == ("1.png", 30))
    assert row["bytes"] == row["file_bytes"] == len(data)
    assert row["bpp"] == 8 * len(data) / (32 * 48)
    mean_square = np.mean((image.astype(float) - codec.decode(data)) ** 2)
    assert row["psnr-rgb"] == pytest.approx(10 * np.log10(255**2 / mean_square))
    at = results["setting"].index(30)
    psnrs = [r["psnr-rgb"] for r in curve["rows"] if r["setting"] == 30]
    assert results["psnr-rgb"][at] == pytest.approx(np.mean(psnrs))


def test_rd_resumes(folder, out, capsys):
    command = ["rd", str(folder), "--codecs", "jpeg", "--out", str(out)]
    assert main([*command, "--settings", "10,30"]) == 0
    before = json.loads(out.read_text())["rows"]
    assert main([*command, *SETTINGS]) == 0
    assert "6 measured, 6 kept" in capsys.readouterr().err
    curve = json.loads(out.read_text())
    assert len(curve["rows"]) == 12
    assert all(row in curve["rows"] for row in before)  # times and all
    assert len(curve["runs"]) == 2

    # another codec joins the file; the first stays as it was
    assert main([*command[:3], "webp", *command[4:], *SETTINGS]) == 0
    curves = json.loads(out.read_text())["curves"]
    assert [c["name"] for c in curves] == ["jpeg", "webp"]
    assert curves[0]["rows"] == curve["rows"]


def test_a_changed_image_is_measured_again(folder, out, capsys):
    command = ["rd", str(folder), "--codecs", "jpeg", *SETTINGS, "--out", str(out)]
    assert main(command) == 0
    Image.fromarray(picture(9)).save(folder / "1.png")
    assert main(command) == 0
    assert "4 measured, 8 kept" in capsys.readouterr().err
    assert len(json.loads(out.read_text())["rows"]) == 12


def test_rows_that_do_not_belong_together_are_refused(folder, out, capsys):
    command = ["rd", str(folder), "--codecs", "jpeg", *SETTINGS, "--out", str(out)]
    assert main(command) == 0
    whole = out.read_text()
    out.write_text(whole.replace("libjpeg", "otherjpeg"))
    assert main(command) == 2
    assert "otherjpeg" in capsys.readouterr().err
    out.write_text(whole)
    (folder / "2.png").unlink()
    assert main(command) == 2
    assert "rows of 2.png" in capsys.readouterr().err
    assert out.read_text() == whole
    out.write_text('{"name": "jpeg", "results": {"bpp": [], "psnr": []}}')
    assert main(command) == 2
    assert "cannot be resumed" in capsys.readouterr().err


def test_an_unreadable_image_is_named_and_skipped(folder, out, capsys):
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])
    assert main(["rd", str(folder), "--codecs", "jpeg", *SETTINGS, "--out", str(out)]) == 1
    messages = capsys.readouterr().err
    assert "unreadable: 1.png" in messages
    assert "1 unreadable, 0 failed" in messages
    curve = json.loads(out.read_text())
    assert curve["images"] == ["0.png", "2.png"]
    assert "1.png" in curve["unreadable"]


def test_deep_images_are_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 30000, np.uint16)).save(path)
    with pytest.raises(ValueError, match="only 8-bit"):
        read_image(path)


class Panic(BaseException):
    """Like a panic from Rust, no Exception."""


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), Panic("out of luck")])
def test_a_codec_that_fails_on_one_image(folder, out, capsys, monkeypatch, error):
    plant(monkeypatch, Faulty(6, error))
    command = ["rd", str(folder), "--codecs", "jpeg,webp", *SETTINGS, "--out", str(out)]
    assert main(command) == 1
    assert "failed: jpeg at 30, 1.png" in capsys.readouterr().err
    jpeg, webp = json.loads(out.read_text())["curves"]
    assert len(jpeg["rows"]) == 11
    assert [f["image"] for f in jpeg["failures"]] == ["1.png"]
    # every point is a mean over the same images
    assert jpeg["images"] == ["0.png", "2.png"]
    assert jpeg["left_out"] == {"1.png": "measured at 3 of 4 settings"}
    assert webp["images"] == ["0.png", "1.png", "2.png"]

    # it is tried again, and a success ends the failure
    assert main(command) == 0
    jpeg = json.loads(out.read_text())["curves"][0]
    assert (len(jpeg["rows"]), jpeg["failures"]) == (12, [])


def test_an_interrupt_keeps_what_was_measured(folder, out, capsys, monkeypatch):
    plant(monkeypatch, Faulty(7, KeyboardInterrupt()))
    command = ["rd", str(folder), "--codecs", "jpeg", *SETTINGS, "--out", str(out)]
    assert main(command) == 130
    assert "interrupted" in capsys.readouterr().err
    curve = json.loads(out.read_text())
    assert len(curve["rows"]) == 6
    assert curve["images"] == ["0.png"]
    assert main(command) == 0
    assert "6 measured, 6 kept" in capsys.readouterr().err


def test_a_full_disk_keeps_the_last_whole_file(folder, out, capsys, monkeypatch):
    real = os.fsync
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(rd, "SAVE_SECONDS", 0)
    assert main(["rd", str(folder), "--codecs", "jpeg", *SETTINGS, "--out", str(out)]) == 1
    assert "No space left" in capsys.readouterr().err
    assert len(json.loads(out.read_text())["rows"]) == 1
    assert [path.name for path in out.parent.iterdir() if path.is_file()] == ["rd.json"]


class Broken(Faulty):
    """JPEG that does not survive the picture whose first pixel is that of the second photo."""

    def __init__(self, how):
        super().__init__(0, None)
        self._how = how

    def encode(self, image, setting):
        if (image[0, 0] == picture(1)[0, 0]).all():
            if self._how == "dies":
                os._exit(7)  # as a crash in a library, or the system short of memory
            raise RuntimeError("out of luck")
        return super().encode(image, setting)


@pytest.mark.parametrize(
    ("how", "why"), [("raises", "RuntimeError: out of luck"), ("dies", "the process of the codec died")]
)
def test_several_processes(folder, out, capsys, monkeypatch, how, why):
    """One image of a codec fails, or takes its process down; the rest is as in one process."""
    command = ["rd", str(folder), "--settings", "60", "--no-ms-ssim", "--no-ssimulacra2", "--codecs"]
    assert main([*command, "jpeg,webp", "--jobs", "1", "--out", str(out)]) == 0
    one = json.loads(out.read_text())["curves"]
    out.unlink()
    monkeypatch.setitem(CODECS, "jpeg", partial(Broken, how))
    assert main([*command, "jpeg,webp", "--jobs", "2", "--out", str(out)]) == 1
    assert f"failed: jpeg at 60, 1.png: {why}" in capsys.readouterr().err
    for single, several in zip(one, json.loads(out.read_text())["curves"]):
        wanted = [row for row in single["rows"] if several["name"] == "webp" or row["image"] != "1.png"]
        times = {"encoding_time", "decoding_time", "run"}
        assert [{k: v for k, v in row.items() if k not in times} for row in several["rows"]] == [
            {k: v for k, v in row.items() if k not in times} for row in wanted
        ]


def test_an_interrupt_from_outside(folder, out):
    """Ctrl-C while several processes are at work: what was measured stays, and the run can go on."""
    for seed in range(3, 40):
        Image.fromarray(picture(seed, 192, 192)).save(folder / f"{seed}.png")
    command = [sys.executable, "-m", "bench", "rd", str(folder), "--codecs", "webp"]
    command += ["--no-ms-ssim", "--no-ssimulacra2", "--jobs", "2", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (out.exists() and json.loads(out.read_text())["rows"]):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted; what was measured is kept" in said
    assert "Traceback" not in said
    assert 0 < len(json.loads(out.read_text())["rows"]) < 40 * 10


def test_lossless_makes_no_point():
    rows = [
        {
            "image": "a",
            "setting": setting,
            "bpp": setting / 10,
            "psnr-rgb": psnr,
            "psnr-y": psnr,
            "encoding_time": 1.0,
            "decoding_time": 1.0,
        }
        for setting, psnr in ((1, 30.0), (2, None))
    ]
    results, images, left_out = rd.averages(rows)
    assert results["setting"] == [1]
    assert images == ["a"]
    assert "lossless" in left_out["setting 2"]
    assert "ms-ssim-rgb" not in results


def test_a_metric_that_some_images_are_too_small_for(folder, out, capsys):
    Image.fromarray(picture(4)[:7]).save(folder / "low.png")
    assert main(["rd", str(folder), "--codecs", "jpeg,webp", *SETTINGS, "--no-ms-ssim", "--out", str(out)]) == 0
    for curve in json.loads(out.read_text())["curves"]:
        assert curve["left_out"] == {"ssimulacra2": "not measured on low.png"}
        assert "ssimulacra2" not in curve["results"]
    assert "left out of jpeg, webp: ssimulacra2 (not measured on low.png)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (["--codecs", "gif"], "no codec is called 'gif'"),
        (["--codecs", "jpeg", "--settings", "webp=3"], "not among the codecs"),
        (["--codecs", "jpeg", "--settings", "low"], "not a list of numbers"),
    ],
)
def test_wrong_questions(folder, out, capsys, extra, why):
    assert main(["rd", str(folder), *extra, "--out", str(out)]) == 2
    assert why in capsys.readouterr().err
    assert not out.exists()


def test_folders_without_images(tmp_path, out, capsys):
    for path, why in ((tmp_path, "holds no images"), (tmp_path / "no", "is not a folder")):
        for command in ("rd", "generations"):
            assert main([command, str(path), "--codecs", "jpeg", "--out", str(out)]) == 2
            assert why in capsys.readouterr().err
    assert not out.exists()


def test_a_missing_codec_is_named(folder, out, capsys, monkeypatch):
    monkeypatch.setattr(common, "open_codecs", lambda names: ([open_codec("jpeg")], {"avif": "not built in"}))
    command = ["rd", str(folder), *SETTINGS, "--out", str(out)]
    assert main([*command, "--codecs", "jpeg,avif"]) == 1
    assert "avif is missing: not built in" in capsys.readouterr().err
    assert json.loads(out.read_text())["missing"] == {"avif": "not built in"}
    assert main(command) == 0  # nobody asked for it by name
    assert "avif is missing" in capsys.readouterr().err


def test_settings_of_one_codec_overrule_those_of_all():
    given = ["webp=5,6", "1,2"]
    assert common.settings_by_codec(given, ["jpeg", "webp"]) == {"jpeg": [1, 2], "webp": [5, 6]}


ENCODE = f"{sys.executable} -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).save(sys.argv[2], quality=int(sys.argv[3]))'"
DECODE = f"{sys.executable} -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).save(sys.argv[2])'"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_codec_of_two_commands(folder, out, capsys, jobs):
    """It is measured as the one that it calls is; {out}.jpg has a suffix."""
    encoder, decoder = ENCODE + " {in} {out}.jpg {q}", DECODE + " {in}.jpg {out}"
    command = ["rd", str(folder), "--settings", "mine=60,90", "--jobs", jobs, "--out", str(out)]
    command += ["--no-ms-ssim", "--no-ssimulacra2", "--external", f"mine={encoder}", decoder]
    assert main(command) == 0
    curve = json.loads(out.read_text())
    assert (curve["name"], curve["version"], len(curve["rows"])) == ("mine", f"{encoder}; {decoder}", 6)
    buffer = io.BytesIO()
    Image.fromarray(picture(1)).save(buffer, "JPEG", quality=60)
    row = next(row for row in curve["rows"] if (row["image"], row["setting"]) == ("1.png", 60))
    assert row["bytes"] == len(buffer.getvalue())
    with Image.open(buffer) as decoded:
        mean_square = np.mean((picture(1).astype(float) - np.asarray(decoded)) ** 2)
    assert row["psnr-rgb"] == pytest.approx(10 * np.log10(255**2 / mean_square))
    # another command is another codec
    assert main([*command[:-2], f"mine={encoder} x", decoder]) == 2
    assert "write to another file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        (["mine=true {in} {out}", "true {in} {out}"], "lacks {q}"),
        (["mine=true {in} {out} {q}", "true {in}"], "lacks {out}"),
        (["jpeg=true {in} {out} {q}", "true {in} {out}"], "there is a codec of that name"),
        (["mine=true {in} {out} {q}", "true {in} {out}"], "must say at which settings"),
        (["mine=nosuchprogram {in} {out} {q}", "true {in} {out}"], "no program nosuchprogram"),
    ],
)
def test_commands_that_are_no_codec(folder, out, capsys, pair, why):
    assert main(["rd", str(folder), "--external", *pair, "--out", str(out)]) == 2
    assert why in capsys.readouterr().err and not out.exists()


def test_generations_by_hand():
    codec = open_codec("jpeg")
    image = picture(0)
    rows = run_generations(codec, image, (50, 80), 4)
    assert [row.setting for row in rows] == [50, 80, 50, 80]
    pixels = image
    for row in rows:
        data = codec.encode(pixels, row.setting)
        pixels = codec.decode(data)
        assert row.bytes == len(data)
    assert rows[0].psnr_first is None
    assert rows[0].same_bytes_as_first
    assert not rows[1].same_bytes_as_first
    assert rows[1].same_bytes_as_first_at_setting
    assert rows[3].psnr_original <= rows[0].psnr_original + 1


class Latent:
    """A codec whose files are the pixels divided by the setting, and whose latent is their sum."""

    name = "latent"

    def encode(self, image, setting):
        coarse = (image.astype(int) + 1) // int(setting)  # drifts upwards until it sticks
        return coarse.astype(np.uint8).tobytes() + bytes([int(setting)])

    def decode(self, data):
        return (np.frombuffer(data[:-1], np.uint8).reshape(1, -1, 3) * data[-1]).astype(np.uint8)

    def latent(self, data):
        return str(sum(data[:-1]))


def test_the_latent_is_compared_with_the_first_at_the_setting():
    image = np.full((1, 4, 3), 7, np.uint8)
    same = [row.same_latent_as_first_at_setting for row in run_generations(Latent(), image, (4, 1), 6)]
    # 7 -> 2 x 4 = 8, 9 x 1 = 9; 10 // 4 = 2, 9; stuck
    assert same == [True] * 6
    same = [row.same_latent_as_first_at_setting for row in run_generations(Latent(), image, (1,), 3)]
    assert same == [True, False, False]


def test_schedules():
    assert schedules([1, 2], alternate=False) == [(1,), (2,)]
    assert schedules([1, 2], alternate=True) == [(1,), (2,), (1, 2)]
    assert schedules([1], alternate=True) == [(1,)]
    with pytest.raises(ValueError, match="at least one"):
        run_generations(open_codec("jpeg"), picture(0), (), 3)


def test_what_was_coded_before_is_not_coded_again():
    class Counting(Latent):
        calls = 0

        def encode(self, image, setting):
            Counting.calls += 1
            return super().encode(image, setting)

    rows = run_generations(Counting(), np.full((1, 4, 3), 7, np.uint8), (4, 1), 12)
    assert [row.generation for row in rows] == list(range(1, 13))
    assert Counting.calls == 3  # 7 and 9 at 4, which give 8, and 8 at 1


def test_generations_of_the_middle(folder, out):
    command = ["generations", str(folder), "--codecs", "jpeg", "--settings", "50", "--jobs", "1"]
    command += ["--generations", "2", "--out", str(out)]
    assert main(command) == 0
    whole = json.loads(out.read_text())["series"][0]["means"][0]["bytes"]
    assert main([*command, "--crop", "16x24"]) == 0
    document = json.loads(out.read_text())
    assert document["crop"] == [16, 24] and document["series"][0]["means"][0]["bytes"] < whole
    with pytest.raises(SystemExit):
        main([*command, "--crop", "16"])


def test_generations_command(folder, out, capsys):
    (folder / "1.png").write_bytes(b"broken")
    command = ["generations", str(folder), "--codecs", "jpeg", "--settings", "50,80", "--jobs", "1"]
    command += ["--alternate", "--generations", "5", "--out", str(out)]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert "unreadable: 1.png" in captured.err
    assert "50/80" in captured.out
    document = json.loads(out.read_text())
    assert [series["schedule"] for series in document["series"]] == [[50], [80], [50, 80]]
    for series in document["series"]:
        assert sorted(series["images"]) == ["0.png", "2.png"]
        assert [mean["generation"] for mean in series["means"]] == [1, 2, 3, 4, 5]
        assert series["means"][0]["same_bytes_as_first"] == 2
        assert series["means"][0]["identical_to_first"] == 2

    # what is there is kept; an image that can now be read is added
    Image.fromarray(picture(1)).save(folder / "1.png")
    assert main(command) == 0
    assert "3 measured, 6 kept" in capsys.readouterr().err
    for before, after in zip(document["series"], json.loads(out.read_text())["series"]):
        assert after["images"].keys() == {"0.png", "1.png", "2.png"}
        assert {name: after["images"][name] for name in before["images"]} == before["images"]
    command[command.index("5")] = "6"
    assert main(command) == 2
    assert "has 5 generations" in capsys.readouterr().err


def test_generations_refuse_a_file_of_something_else(folder, out, capsys):
    for text, why in (("{}", "no result of generations"), ("[", "not JSON")):
        out.write_text(text)
        assert main(["generations", str(folder), "--codecs", "jpeg", "--out", str(out)]) == 2
        assert why in capsys.readouterr().err
        assert out.read_text() == text


def test_generations_of_a_failing_codec(folder, out):
    codec = Faulty(4, RuntimeError("out of luck"))
    document, outcome = generations.measure_generations(
        Run(folder, out, [codec], report=lambda text: None), {"jpeg": [(50,)]}, 3
    )
    assert sorted(document["series"][0]["images"]) == ["0.png", "2.png"]
    assert len(outcome.failures) == 1
    assert "1.png" in outcome.failures[0]


def test_kodaks_images_are_known(tmp_path):
    """The checksums are those of the documentation; what only bears the name of one of the images is told apart."""
    sums = resources.files("bench").joinpath("data/kodak.sha256").read_text().splitlines()
    documented = (Path(__file__).parent.parent / "docs" / "benchmarks.md").read_text()
    assert len(sums) == 24 and all(f"    {line}\n" in documented for line in sums)
    for name in ("kodim03.png", "holiday.png"):
        Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(tmp_path / name)
    said = []
    assert len(list(readable(list_images(tmp_path), Outcome(), said.append))) == 2
    assert [line.partition(":")[0] for line in said] == ["kodim03.png"] and "its pixels differ" in said[0]

"""Metrics against second implementations, and the codecs behind their protocol."""

import builtins
import io
import math
import re
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from bench.errors import BenchError, CodecMissing
from bench.peers import codecs
from bench.peers.codecs import CODECS, coded_picture_bytes, open_codec, open_codecs
from bench.peers.compressai_models import pack, unpack
from codec.metrics import distortion
from codec.network import registry


def picture(height=40, width=56):
    """A smooth picture with an edge in it."""
    y, x = np.mgrid[:height, :width]
    planes = [128 + 90 * np.sin(x / 9), 128 + 90 * np.cos(y / 7), 3 * x + (y > 20) * 60]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def noisy(image, seed=1):
    noise = np.random.default_rng(seed).integers(-9, 10, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_psnr_of_known_errors():
    black = np.zeros((4, 4, 3), np.uint8)
    grey = np.full((4, 4, 3), 16, np.uint8)
    expected = 20 * math.log10(255 / 16)
    assert distortion.psnr(black, grey) == pytest.approx(expected)
    assert distortion.psnr(grey, black) == pytest.approx(expected)
    assert distortion.psnr_y(black, grey) == pytest.approx(expected)
    assert distortion.psnr(black, black) == math.inf
    red = black.copy()
    red[..., 0] = 16
    assert distortion.psnr(black, red) == pytest.approx(expected + 10 * math.log10(3))
    assert distortion.psnr_y(black, red) == pytest.approx(expected - 20 * math.log10(0.299))


def test_psnr_y_against_pillows_luma():
    image = picture()
    other = noisy(image)
    lumas = [np.asarray(Image.fromarray(x).convert("L"), float) for x in (image, other)]
    mean_square = np.mean((lumas[0] - lumas[1]) ** 2)
    # Pillow rounds its luma
    assert distortion.psnr_y(image, other) == pytest.approx(10 * math.log10(255**2 / mean_square), abs=0.1)


def test_metrics_refuse_other_shapes():
    with pytest.raises(ValueError, match="different sizes"):
        distortion.psnr(picture(), picture(41))
    with pytest.raises(ValueError, match="not an 8-bit RGB"):
        distortion.psnr(picture().astype(float), picture())


def second_ms_ssim(a, b):
    """MS-SSIM of Wang 2003 by SciPy, windows inside the image only."""
    from scipy.ndimage import correlate1d

    taps = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def blur(x):
        return correlate1d(correlate1d(x, taps, axis=0), taps, axis=1)[5:-5, 5:-5]

    x, y = a.astype(float), b.astype(float)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    result = np.ones(3)
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for level, weight in enumerate(weights):
        mx, my = blur(x), blur(y)
        vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        term = (2 * vxy + c2) / (vx + vy + c2)
        if level == len(weights) - 1:
            term = term * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        result *= term.mean((0, 1)) ** weight
        x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))
    return result.mean()


def test_ms_ssim_against_a_second_implementation():
    pytest.importorskip("pytorch_msssim")
    pytest.importorskip("scipy")
    image = picture(192, 192)
    other = noisy(image)
    assert distortion.ms_ssim(image, other) == pytest.approx(second_ms_ssim(image, other), abs=1e-4)


def test_ms_ssim_says_why_there_is_none(monkeypatch):
    image = picture()
    assert distortion.ms_ssim(image, image) is None
    monkeypatch.setattr(distortion, "find_spec", lambda name: None)
    assert "not installed" in distortion.ms_ssim_missing(image)
    monkeypatch.setattr(distortion, "find_spec", lambda name: object())
    assert "161 pixels" in distortion.ms_ssim_missing(image)


@pytest.mark.parametrize("size", [(130, 67), (48, 48)])
def test_ssimulacra2_against_a_second_implementation(monkeypatch, size):
    """The package of that name, with libjxl's border of zeros in the place of its own."""
    library = pytest.importorskip("ssimulacra2.ssimulacra2")
    from scipy.ndimage import gaussian_filter

    def blur(image, sigma=1.5):
        return gaussian_filter(image, sigma, truncate=3.33, mode="constant", axes=(0, 1))

    monkeypatch.setattr(library, "blur_image", blur)
    image = picture(*size)
    files = []
    for pixels in (image, noisy(image)):
        files.append(io.BytesIO())
        Image.fromarray(pixels).save(files[-1], "PNG")
    assert distortion.ssimulacra2(image, noisy(image)) == pytest.approx(library.compute_ssimulacra2(*files), abs=1e-6)
    assert distortion.ssimulacra2(image, image) == pytest.approx(100, abs=1e-5)


def test_ssimulacra2_falls_with_quality():
    image = picture(96, 96)
    jpeg = open_codec("jpeg")
    scores = [distortion.ssimulacra2(image, jpeg.decode(jpeg.encode(image, q))) for q in (95, 60, 20, 5)]
    assert 100 > scores[0] > scores[1] > scores[2] > scores[3]
    assert distortion.ssimulacra2(image[:7], image[:7]) is None


@pytest.mark.parametrize("name", [name for name in CODECS if not name.startswith("irc")])
def test_codec_there_and_back(name):
    try:
        codec = open_codec(name)
    except CodecMissing as error:
        pytest.skip(str(error))
    image = picture()
    best = codec.encode(image, codec.settings[-1])
    decoded = codec.decode(best)
    assert decoded.shape == image.shape and decoded.dtype == np.uint8
    if not name.endswith("-untrained"):  # of which only times mean something
        by_rate = sorted(len(codec.encode(image, setting)) for setting in codec.settings[::3])
        assert by_rate[0] < by_rate[-1]
        assert distortion.psnr(image, decoded) > 30
    assert 0 < codec.rate_bytes(best) <= len(best)
    assert codec.name == name
    assert codec.version
    assert codec.description


def test_stand_in_is_counted_without_its_container():
    try:
        codec = open_codec("hevc")
    except CodecMissing as error:
        pytest.skip(str(error))
    data = codec.encode(picture(), 32)
    assert codec.rate_bytes(data) == coded_picture_bytes(data) + 24 < len(data)
    assert "stand-in" in codec.description


def box(kind, payload):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def test_coded_picture_bytes():
    start = box(b"ftyp", b"heic")
    assert coded_picture_bytes(start + box(b"mdat", b"12345")) == 5
    assert coded_picture_bytes(start + struct.pack(">I4sQ", 1, b"mdat", 19) + b"123") == 3
    assert coded_picture_bytes(start + struct.pack(">I4s", 0, b"mdat") + b"1234567") == 7
    for broken in (start, b"", start + struct.pack(">I4s", 3, b"mdat"), b"\0\0\0\1mdat"):
        with pytest.raises(ValueError, match="no mdat"):
            coded_picture_bytes(broken)


def test_missing_codecs_are_named(monkeypatch):
    real_import = builtins.__import__

    def without_plugins(name, *args, **kwargs):
        if name in ("pillow_jxl", "pillow_heif"):
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_plugins)
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    found, missing = open_codecs(["jxl", "hevc", "avif", "webp", "webp"])
    assert [codec.name for codec in found] == ["webp"]
    assert set(missing) == {"jxl", "hevc", "avif"}
    assert "without libavif" in missing["avif"]
    assert "pillow_heif" in missing["hevc"]


def test_irc_with_weights_of_an_id():
    """In a process of its own, too; ids that are not here are missing, and other names take none."""
    id = registry.default()
    codec = open_codec(f"irc:{id}")
    assert codec.name == f"irc:{id}" and f"weights {id}" in codec.version
    image = picture(40, 64)
    assert codec.encode(image, 30) == open_codec("irc").encode(image, 30)
    with pytest.raises(CodecMissing, match="0badf00d are not installed"):
        open_codec("irc:0badf00d")
    for name in ("irc:", "jpeg:0badf00d"):
        with pytest.raises(BenchError, match="irc:ID"):
            open_codec(name)


def test_irc_names_its_weights_or_is_missing(monkeypatch):
    """The adapter alone: what the codec does has its own tests."""
    fake = types.ModuleType("codec")
    fake.encode = lambda image, quality, stable=False, effort=0: (
        bytes([int(quality) + stable + effort]) + image.tobytes()
    )
    fake.decode = lambda data, array: np.frombuffer(data[1:], np.uint8).reshape(-1, 64, 3)
    fake.info = lambda data: {"weights": "0123abcd", "checksum": f"{data[0]:08x}"}
    monkeypatch.setitem(sys.modules, "codec", fake)
    codec = open_codec("irc")
    assert "weights 0123abcd" in codec.version
    image = picture(40, 64)
    data = codec.encode(image, 7)
    assert (codec.decode(data) == image).all()
    assert codec.rate_bytes(data) == len(data)
    assert codec.latent(data) == "00000007"
    assert open_codec("irc-stable").encode(image, 7)[0] == 8
    assert open_codec("irc-effort-5").encode(image, 7)[0] == 12 and open_codec("irc-effort-5").name == "irc-effort-5"

    def no_weights(image, quality):
        raise FileNotFoundError("no weights")

    fake.encode = no_weights
    with pytest.raises(CodecMissing, match="no weights"):
        open_codec("irc")


@pytest.mark.parametrize("name", ["irc", "irc-stable", "irc-visual"])
def test_irc_itself_there_and_back(photo, name):
    """The adapter with the codec behind it: pixels, checksum and weights are the codec's own."""
    import codec

    adapter = open_codec(name)
    crop = photo[:64, :96]
    data = adapter.encode(crop, 60)
    assert data == codec.encode(
        crop, 60, stable=name == "irc-stable", tune="visual" if name == "irc-visual" else "psnr"
    )
    decoded = adapter.decode(data)
    assert decoded.dtype == np.uint8 and distortion.psnr(crop, decoded) > 28
    info = codec.info(data)
    assert adapter.latent(data) == str(info["checksum"])
    assert adapter.version.endswith(f"weights {info['weights']}") and adapter.rate_bytes(data) == len(data)
    again = adapter.encode(decoded, 60)
    if name == "irc-stable":
        assert again == data
    assert len(adapter.encode(crop, 20)) < len(data) < len(adapter.encode(crop, 90))


def test_avif_by_its_tunes():
    """What people get by default is tune IQ, at another size and lower PSNR than tune PSNR; speed 0 is another file."""
    try:
        plain, eye, slow = (open_codec(name) for name in ("avif", "avif-iq", "avif-s0"))
    except CodecMissing as error:
        pytest.skip(str(error))
    image = noisy(picture(96, 128))
    files = [codec.encode(image, 60) for codec in (plain, eye, slow)]
    assert len(set(files)) == 3
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "AVIF", quality=60, speed=4, subsampling="4:4:4", max_threads=1)
    assert files[1] == buffer.getvalue()
    assert eye.description == "AVIF 4:4:4, libaom at speed 4, tune IQ; the setting is quality"
    assert "speed 0" in slow.description and slow.name == "avif-s0"


def test_unknown_codec():
    with pytest.raises(BenchError, match="no codec is called 'gif'"):
        codecs.open_codec("gif")


ENCODER = """#!{python}
import sys
arguments = sys.argv[1:]
if arguments == ["-h"]:
    print("BPG Image Encoder version 0.9.8")
    sys.exit(1)
options = dict(zip(arguments[:-1:2], arguments[1:-1:2]))
if options["-q"] == "51":
    sys.exit("no such file")
assert (options["-f"], options["-e"], options["-c"], options["-b"]) == ("444", "x265", "ycbcr", "8")
open(options["-o"], "wb").write(open(arguments[-1], "rb").read())
"""
DECODER = """#!{python}
import sys
open(sys.argv[2], "wb").write(open(sys.argv[3], "rb").read())
"""


def test_bpg_through_its_programs(tmp_path, monkeypatch):
    """Programs in the place of BPG's that keep the picture: command lines, files and errors."""
    for name, text in (("bpgenc", ENCODER), ("bpgdec", DECODER)):
        (tmp_path / name).write_text(text.format(python=sys.executable))
        (tmp_path / name).chmod(0o755)
    with pytest.raises(CodecMissing, match="not on the PATH"):
        monkeypatch.setenv("PATH", "")
        open_codec("bpg")
    monkeypatch.setenv("PATH", str(tmp_path))
    codec = open_codec("bpg")
    assert codec.version == "libbpg 0.9.8"
    assert (codec.decode(codec.encode(picture(), 32)) == picture()).all()
    with pytest.raises(RuntimeError, match="bpgenc exited with 1: no such file"):
        codec.encode(picture(), 51)


def test_files_of_compressais_models():
    strings = [b"first", b"", b"third"]
    data = pack(512, 768, 3, (8, 12), strings)
    assert unpack(data) == (512, 768, 3, (8, 12), strings)


def test_compressai_without_a_checkpoint_is_missing(tmp_path, monkeypatch):
    pytest.importorskip("compressai")
    monkeypatch.setenv("IRC_BENCH_CHECKPOINTS", str(tmp_path))
    with pytest.raises(CodecMissing, match="no checkpoint mbt2018-mean-QUALITY"):
        open_codec("mbt2018-mean")


def test_compressai_with_a_checkpoint(tmp_path, monkeypatch):
    """A checkpoint of the untrained network gives the files of the untrained network."""
    pytest.importorskip("compressai")
    import torch

    monkeypatch.setenv("IRC_BENCH_CHECKPOINTS", str(tmp_path))
    untrained = open_codec("bmshj2018-hyperprior-untrained")
    torch.save(untrained._network(4).state_dict(), tmp_path / "bmshj2018-hyperprior-4-01234567.pth.tar")
    codec = open_codec("bmshj2018-hyperprior")
    assert codec.settings == (4,)
    assert "4-01234567" in codec.version
    assert codec.encode(picture(), 4) == untrained.encode(picture(), 4)


def test_every_codec_is_described() -> None:
    """A row of docs/benchmarks.md says how each is run; families of many settings share one."""
    text = (Path(__file__).parent.parent / "docs" / "benchmarks.md").read_text()
    first = [
        row.split("|")[1]
        for row in text.split("## How each codec is run")[1].split("\n## ")[0].splitlines()
        if row[:1] == "|"
    ]
    named = set(re.findall("`([^`]+)`", " ".join(first)))
    assert not set(codecs.VARIANTS) - set(CODECS)
    for name in CODECS:
        family = (
            {f"irc-effort-{n}" for n in range(1, 10)}
            if name.startswith("irc-effort")
            else {name.removesuffix("-untrained")}
        )
        assert family & named, f"docs/benchmarks.md has no row for {name}"

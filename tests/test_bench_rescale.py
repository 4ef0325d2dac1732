"""irc-bench rescale: methods, codecs between, the table, and the count of its arithmetic."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.inside import macs
from bench.metrics.rescaling import published
from bench.runs.rescaling import DIRECT, Through, means, measure
from codec.rescale.weights import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "Set5"
    found.mkdir()
    with Image.open(Path(__file__).parent.parent / "examples" / "photo.jpg") as image:
        image.convert("RGB").crop((40, 60, 137, 141)).save(found / "a.png")  # odd sides
    return found


def test_methods(folder: Path) -> None:
    irc, bicubic, lanczos = (means(list(measure(folder, name, 2)))[0] for name in ("irc", "bicubic", "lanczos"))
    assert irc.psnr_y > lanczos.psnr_y + 3 > bicubic.psnr_y + 2
    assert bicubic.small_y is None and irc.small_y is not None and irc.small_y > 30


def test_through_a_codec(folder: Path) -> None:
    through = Through("jpeg", 90)
    direct, small = (means(list(measure(folder, name, 2, through)))[0] for name in (DIRECT, "bicubic"))
    with Image.open(folder / "a.png") as image:
        photo = np.asarray(image)[:80, :96]
    assert direct.bpp == pytest.approx(8 * through(photo)[1] / (80 * 96))
    assert 0 < small.bpp < direct.bpp and small.psnr_y < direct.psnr_y


def test_the_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.json"
    line = ["rescale", str(folder), "--scale", "2", "--methods", "irc", "--through", "jpeg=80", "--draws", "2"]
    assert main([*line, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    irn = next(row for row in published() if row.method == "IRN" and row.scale == 2)
    assert f"{irn.sets['Set5'][0]:.2f} / " in text and "2 draws at temperature 1" in text
    found = json.loads(out.read_text())
    assert [row["method"] for row in found["means"]] == ["irc", "irc", DIRECT]
    assert f"{found['means'][0]['psnr_y']:.2f} / {found['means'][0]['ssim_y']:.4f}" in text


@pytest.mark.parametrize("scale", [2, 4])
def test_arithmetic_is_counted(scale: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert macs.main([str(folder / "a.png"), "--rescale", str(scale)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["downscale", "upscale"]
    expected = f"{load(scale).network.multiplications / 1000:.2f}"
    assert all(line.split()[1] == expected for line in lines)

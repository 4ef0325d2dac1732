"""The pictures of docs/idea.md: drawn by the project's own script, and small."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.figures.idea import main, pyramid

ROOT = Path(__file__).parent.parent


def test_the_script_draws_them(tmp_path, capsys):
    photo = str(ROOT / "examples" / "photo.jpg")
    assert main([photo, "--box", "256,128,64,96", "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "idea-codec.jpg") as sheet:
        assert sheet.width == 5 * 74 - 10 and sheet.height > 3 * 96
        pixels = np.asarray(sheet.convert("RGB"), int)
    orange = (np.abs(pixels - (230, 159, 0)).max(2) < 40).sum()
    assert orange > 64 * 96 / 4  # of chroma a band or more is dropped
    with Image.open(tmp_path / "idea-rescaling.jpg") as sheet:
        assert sheet.width == 6 * 74 - 10
    with pytest.raises(SystemExit):
        main([photo, "--box", "0,0,50,64", "--out", str(tmp_path)])
    assert "not multiples of 32" in capsys.readouterr().err


def test_they_are_small():
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "img").glob("idea-*")) < 400_000


def test_a_pyramid_has_each_band_in_its_place():
    levels = [np.arange(12.0)[:, None, None], *(np.zeros((9, n, n)) + np.arange(9.0)[:, None, None] for n in (2, 4, 8))]
    for level in range(1, 4):
        levels[level] = levels[level] + 100 * level
    levels[1] = levels[1][:, :2, :2]
    found = pyramid(levels, 1)
    assert found.shape == (16, 16)
    assert found[:2, :2].tolist() == [[1, 4], [7, 10]]  # low band, then the three of 1/16
    assert (found[0, 15], found[15, 0], found[15, 15]) == (301, 304, 307)
